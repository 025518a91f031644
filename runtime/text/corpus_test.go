package text

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// letters is a vocabulary in which token i is the i-th letter.
var letters = Chars("abcdefghijklmnopqrstuvwxyz|\n")

func corpus(t *testing.T, o Options, texts ...string) *Corpus {
	t.Helper()
	var s []Source
	for i, x := range texts {
		s = append(s, Source{fmt.Sprintf("text%d", i), x})
	}
	c, err := NewCorpus(letters, o, s...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// show writes the windows of a pass, a row a line: inputs, with an apostrophe before one that is reset, then targets,
// with a dot where there is none.
func show(w *Windows) string {
	var out strings.Builder
	var b model.Batch
	for w.Next(&b) {
		for row := range b.Batch {
			for s := range b.Steps {
				i := s*b.Batch + row
				if b.Reset[i] != 0 {
					out.WriteByte('\'')
				}
				out.WriteString(letters.Piece(b.Tokens[i]))
			}
			out.WriteByte(' ')
			for s := range b.Steps {
				if t := b.Targets[s*b.Batch+row]; t < 0 {
					out.WriteByte('.')
				} else {
					out.WriteString(letters.Piece(t))
				}
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		name         string
		texts        []string
		separator    string
		batch, steps int
		want         string
	}{
		{"one row", []string{"abcdefg"}, "", 1, 3, "'abc bcd\ndef efg\n"},
		{"two rows", []string{"abcdefghi"}, "", 2, 2, "'ab bc\n'ef fg\ncd de\ngh hi\n"},
		{"the rest is not used", []string{"abcdefghijk"}, "", 2, 2, "'ab bc\n'ef fg\ncd de\ngh hi\n"},
		{"exactly one window", []string{"abcde"}, "", 2, 2, "'ab bc\n'cd de\n"},
		{"files", []string{"abc", "defg"}, "", 1, 6, "'abc'def bc.efg\n"},
		{"a file begins at a window", []string{"abc", "defg"}, "", 1, 3, "'abc bc.\n'def efg\n"},
		{"separators", []string{"ab|c||def"}, "|", 1, 8, "'ab|'c|'|'de b|.|..ef\n"},
		{"a document begins at a row", []string{"abcd", "efghi"}, "", 2, 4, "'abcd bcd.\n'efgh fghi\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := corpus(t, Options{Separator: c.separator}, c.texts...).Train.Windows(c.batch, c.steps)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(w); got != c.want {
				t.Errorf("the windows are\n%swant\n%s", got, c.want)
			}
			w.Rewind()
			if got := show(w); got != c.want {
				t.Errorf("after Rewind the windows are\n%swant\n%s", got, c.want)
			}
		})
	}
}

// TestShuffled holds that a pass gives every piece of the text but the ends once, in another order each time, and that
// a pass can be gone to.
func TestShuffled(t *testing.T) {
	text := make([]byte, 90)
	for i := range text {
		text[i] = byte('!' + i)
	}
	c, err := NewCorpus(Bytes(), Options{}, Source{"text", string(text)})
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Train.Shuffled(3, 4, 7)
	if err != nil {
		t.Fatal(err)
	}
	if w.Windows() != 7 || w.Tokens() != 84 {
		t.Fatalf("%d windows of %d tokens", w.Windows(), w.Tokens())
	}
	read := func() string {
		var s strings.Builder
		var b model.Batch
		for w.Next(&b) {
			fmt.Fprintln(&s, b.Tokens, b.Targets, b.Reset)
			for i, x := range b.Tokens {
				if b.Targets[i] != x+1 {
					t.Fatalf("%d is followed by %d", x, b.Targets[i])
				}
			}
		}
		return s.String()
	}
	seen := map[string]int{}
	var passes []string
	for pass := range 10 {
		s := read()
		passes = append(passes, s)
		if other, ok := seen[s]; ok {
			t.Errorf("passes %d and %d are the same", other, pass)
		}
		seen[s] = pass
		w.NextPass()
	}
	w.SetPosition(4, 0)
	if read() != passes[4] {
		t.Error("pass 4 is another one the second time")
	}
	w.Rewind()
	if read() != passes[0] {
		t.Error("Rewind does not go back to the first pass")
	}
	if w, err := corpus(t, Options{}, "abcdefg").Train.Shuffled(2, 3, 1); err != nil {
		t.Error(err)
	} else if w.Windows() != 1 {
		t.Errorf("a text of one window gives %d", w.Windows())
	}
}

func TestWhole(t *testing.T) {
	for _, c := range []struct {
		name         string
		text         string
		batch, steps int
		want         string
	}{
		{"one token", "ab", 8, 4, "'a b\n"},
		{"short texts have fewer rows", "abcdefg", 8, 3, "'abc bcd\n'def efg\n"},
		{"padding", "abcdefgh", 2, 3, "'abc bcd\n'efg fgh\nd e\na .\n"},
		{"a row more than there is text", "abcdefghij", 4, 2, "'ab bc\n'de ef\n'gh hi\n'aa ..\nc d\nf g\ni j\na .\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := corpus(t, Options{}, c.text).Train
			w, err := p.Whole(c.batch, c.steps)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(w); got != c.want {
				t.Errorf("the windows are\n%swant\n%s", got, c.want)
			}
		})
	}
}

// Every token but the first of a text is predicted exactly once, whatever the sizes are.
func TestWholeIsComplete(t *testing.T) {
	for n := 2; n < 60; n++ {
		var s strings.Builder
		for i := range n {
			s.WriteByte('a' + byte(i*7%26))
		}
		p := corpus(t, Options{}, s.String()).Train
		for batch := 1; batch < 6; batch++ {
			for steps := 1; steps < 6; steps++ {
				w, err := p.Whole(batch, steps)
				if err != nil {
					t.Fatal(err)
				}
				rows, count := map[int]string{}, 0
				var b model.Batch
				for w.Next(&b) {
					for i, target := range b.Targets {
						if target >= 0 {
							rows[i%b.Batch] += letters.Piece(target)
						}
					}
					count++
				}
				all := ""
				for r := range b.Batch {
					all += rows[r]
				}
				if all != s.String()[1:] || count != w.Windows() || w.Tokens() != n-1 {
					t.Fatalf("%d tokens in %d × %d: %q in %d windows of %d, %d tokens", n, batch, steps, all, count,
						w.Windows(), w.Tokens())
				}
			}
		}
	}
}

func TestPosition(t *testing.T) {
	w, err := corpus(t, Options{}, "abcdefghijklm").Train.Windows(2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if w.Windows() != 3 || w.Tokens() != 12 {
		t.Fatalf("%d windows of %d tokens", w.Windows(), w.Tokens())
	}
	all := strings.SplitAfter(show(w), "\n")
	for p := range 4 {
		w.SetPosition(0, int64(p))
		if w.Position() != int64(p) {
			t.Errorf("position %d, want %d", w.Position(), p)
		}
		if got, want := show(w), strings.Join(all[2*p:], ""); got != want {
			t.Errorf("from window %d on:\n%swant\n%s", p, got, want)
		}
	}
	panics(t, "position 4 of pass 0 in a text of 3 windows", func() { w.SetPosition(0, 4) })
}

func TestNextAllocatesNothing(t *testing.T) {
	w, err := corpus(t, Options{Separator: "|"}, strings.Repeat("abcdef|gh", 100)).Train.Windows(4, 8)
	if err != nil {
		t.Fatal(err)
	}
	var b model.Batch
	w.Next(&b)
	if n := testing.AllocsPerRun(100, func() {
		if !w.Next(&b) {
			w.Rewind()
		}
	}); n != 0 {
		t.Errorf("a window allocates %v times", n)
	}
}

func TestSplit(t *testing.T) {
	c := corpus(t, Options{Validation: 0.25, Separator: "|"}, "abcdef|ghijkl|mno", "pqrs")
	if c.Train.Tokens() != 15 || c.Validation.Tokens() != 6 {
		t.Errorf("%d tokens to train, %d to validate", c.Train.Tokens(), c.Validation.Tokens())
	}
	w, err := c.Validation.Whole(1, 10)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := show(w), "'no'pqr o.qrs\n"; got != want {
		t.Errorf("validation is %q, want %q", got, want)
	}
	if c.Train.Documents() != 3 || c.Validation.Documents() != 2 {
		t.Errorf("%d and %d documents", c.Train.Documents(), c.Validation.Documents())
	}
	if c := corpus(t, Options{}, "abc"); c.Validation != nil || c.Train.Tokens() != 3 {
		t.Errorf("without a share there is %v", c.Validation)
	}
}

func TestCorpusDigest(t *testing.T) {
	seen := map[string]int{}
	for i, c := range []*Corpus{
		corpus(t, Options{}, "abc"), corpus(t, Options{}, "abd"), corpus(t, Options{}, "ab", "c"),
		corpus(t, Options{Separator: "b"}, "abc"),
		corpus(t, Options{}, "abcdefgh"), corpus(t, Options{Validation: 0.5}, "abcdefgh"),
	} {
		if j, ok := seen[c.Digest]; ok {
			t.Errorf("corpora %d and %d have the same digest", i, j)
		}
		seen[c.Digest] = i
	}
}

func TestCharacters(t *testing.T) {
	c, err := NewCorpus(Bytes(), Options{}, Source{"x", "aé世🙂\xff"})
	if err != nil {
		t.Fatal(err)
	}
	// Each broken byte counts as a character, as in a text that is printed.
	if c.Train.Tokens() != 11 || c.Train.Chars() != 5 {
		t.Errorf("%d tokens, %d characters", c.Train.Tokens(), c.Train.Chars())
	}
}

// A text longer than the pieces in which it is read, in a vocabulary of more than 256 tokens.
func TestLongText(t *testing.T) {
	var chars strings.Builder
	for r := rune(0x4e00); r < 0x4e00+300; r++ {
		chars.WriteRune(r)
	}
	chars.WriteString("a\n")
	tok := Chars(chars.String())
	s := "a" + strings.Repeat("世\n", 60000) // the pieces would end within a character
	c, err := NewCorpus(tok, Options{}, Source{"x", s})
	if err != nil {
		t.Fatal(err)
	}
	want, err := tok.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	if c.Train.Tokens() != len(want) {
		t.Fatalf("%d tokens, want %d", c.Train.Tokens(), len(want))
	}
	for i, x := range want {
		if c.Train.at(i) != x {
			t.Fatalf("token %d is %d, want %d", i, c.Train.at(i), x)
		}
	}
	_, err = NewCorpus(tok, Options{}, Source{"x", s + "\n b"})
	if want := `x: line 60002, column 1 (byte 240002): the character " "`; err == nil ||
		!strings.HasPrefix(err.Error(), want) {
		t.Errorf("the error is %v, want one that begins %s", err, want)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for name, s := range map[string]string{"b.txt": "defg", "a.txt": "abc", "sub/c.txt": "hij", ".hidden": "zzz",
		".git/x.txt": "zzz", "d.md": "xyz", "empty.txt": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path, match, want string) {
		t.Helper()
		c, err := Read(Input{Paths: []string{path}, Match: match}, letters, Options{})
		if err != nil {
			t.Error(err)
			return
		}
		w, err := c.Train.Whole(1, 100)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(show(w), " "); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
	}
	read(dir, "*.txt", "'abc'defg'hi")
	read(dir, "", "'abc'defg'xyz'hi")
	read(filepath.Join(dir, "b.txt"), "", "'def")

	bad := func(want, path, match string, tok Tokenizer, o Options) {
		t.Helper()
		_, err := Read(Input{Paths: []string{path}, Match: match}, tok, o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is %v, want one line with %q", err, want)
		}
	}
	bad("none cannot be read", filepath.Join(dir, "none"), "", letters, Options{})
	bad(`no file in it has a name like "*.go"`, dir, "*.go", letters, Options{})
	bad("the text is empty", filepath.Join(dir, "empty.txt"), "", letters, Options{})
	bad("a validation share of 1", filepath.Join(dir, "a.txt"), "", letters, Options{Validation: 1})
	bad("a share of 0.1 of its 3 tokens leaves too little", filepath.Join(dir, "a.txt"), "", letters,
		Options{Validation: 0.1})
	bad("1 token for training", filepath.Join(dir, "a.txt"), "", letters, Options{Validation: 0.5})
	bad(filepath.Join(dir, "a.txt")+`: line 1, column 3 (byte 2): the character "c" (U+0063)`,
		filepath.Join(dir, "a.txt"), "", Chars("ab"), Options{})
}

func TestTooShort(t *testing.T) {
	_, err := corpus(t, Options{}, "abcd").Train.Windows(2, 2)
	if want := "text0: the text has 4 tokens for training, one window of 2 sequences × 2 steps takes 5"; err == nil ||
		!strings.HasPrefix(err.Error(), want) {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if _, err := corpus(t, Options{}, "abcd").Train.Windows(0, 2); err == nil {
		t.Error("windows of no sequences are no error")
	}
}

// TestConditions leaves the conditions of a share of the documents out, and nothing else.
func TestConditions(t *testing.T) {
	var whole strings.Builder
	var documents, rests []string
	for i := range 2000 {
		d := fmt.Sprintf("kind %d: text: %d.\n", i%7, i)
		if i%10 == 0 {
			d = fmt.Sprintf("no condition %d\n", i)
		}
		documents, rests = append(documents, d), append(rests, d[max(0, strings.Index(d, ": ")):])
		whole.WriteString(d)
	}
	for _, drop := range []float64{0, 0.3, 0.9} {
		c, err := NewCorpus(ASCII(), Options{Separator: "\n", Condition: ": ", Drop: drop}, Source{"x", whole.String()})
		if err != nil {
			t.Fatal(err)
		}
		p := c.Train
		if p.Documents() != len(documents) {
			t.Fatalf("%d documents", p.Documents())
		}
		dropped := 0
		for i, at := range p.starts {
			end := p.Tokens()
			if i+1 < len(p.starts) {
				end = p.starts[i+1]
			}
			var tokens []int32
			for k := at; k < end; k++ {
				tokens = append(tokens, p.at(k))
			}
			switch got := ASCII().Decode(tokens); {
			case got == documents[i]:
			case got == rests[i]:
				dropped++
			default:
				t.Fatalf("document %d, %q, is read as %q", i, documents[i], got)
			}
		}
		if share := float64(dropped) / 1800; math.Abs(share-drop) > 0.04 || drop == 0 && dropped > 0 {
			t.Errorf("%.3f of the conditions are left out, it should be %v", share, drop)
		}
		if again, _ := NewCorpus(ASCII(), Options{Separator: "\n", Condition: ": ", Drop: drop + 0.01},
			Source{"x", whole.String()}); again.Digest == c.Digest {
			t.Error("the digest does not say how many")
		}
	}
	if _, err := NewCorpus(ASCII(), Options{Condition: ": ", Drop: 1}, Source{"x", "a: b"}); err == nil {
		t.Error("a share of 1 is no error")
	}
}
