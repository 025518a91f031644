package text

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/gradsmith/gradsmith/runtime/model"
)

func writeTo(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// forms are ways to store a text.
var forms = map[string]func(s string) []byte{
	"plain":  func(s string) []byte { return []byte(s) },
	"marked": func(s string) []byte { return []byte("\ufeff" + s) },
	"UTF-16": func(s string) []byte {
		b := []byte{0xff, 0xfe}
		for _, x := range utf16.Encode([]rune(s)) {
			b = binary.LittleEndian.AppendUint16(b, x)
		}
		return b
	},
	"gzip": func(s string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte(s))
		z.Close()
		return b.Bytes()
	},
}

// A corpus, lines and pairs are the same, digest included, however the text is stored.
func TestForms(t *testing.T) {
	const s = "ab\tba\nb\ta\nab\tb\n"
	tok := Chars("ab\t\n")
	from, to := WithSpecials(Chars("ab"), "</s>"), WithSpecials(Chars("ab"), "<s>", "</s>")
	o := PairOptions{Source: model.Source{Steps: 4, Vocab: 3, End: 2, AnswerBegin: 2, AnswerEnd: 3}, Steps: 4}
	want, err := NewCorpus(tok, Options{}, Source{"x", s})
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := NewPairs("x", []string{"ab", "b", "ab"}, []string{"ba", "a", "b"}, from, to, o)
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range forms {
		path := writeTo(t, "text", form(s))
		if c, err := Read(Paths(path), tok, Options{}); err != nil || c.Digest != want.Digest {
			t.Errorf("%s: another corpus, %v", name, err)
		}
		if lines, err := Paths(path).Lines(); err != nil || !slices.Equal(lines, []string{"ab\tba", "b\ta", "ab\tb"}) {
			t.Errorf("%s: %q, %v", name, lines, err)
		}
		if p, err := ReadPairs(PairInput{Sources: Paths(path)}, from, to, o); err != nil || p.Digest != pairs.Digest {
			t.Errorf("%s: other pairs, %v", name, err)
		}
	}
}

// A separator of line breaks ends documents in texts of either kind of line.
func TestSeparators(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var b strings.Builder
		for range 1 + r.IntN(30) {
			b.WriteString([]string{"a", "b", "\n", "\n\n", "ab"}[r.IntN(5)])
		}
		s := b.String() + "ab"
		windows := strings.ReplaceAll(s, "\n", "\r\n")
		for _, sep := range []string{"", "\n", "\n\n", "b\n", "a\n\nb", "ab"} {
			starts := func(s, chars string) []string {
				c, err := NewCorpus(Chars(chars), Options{Separator: sep}, Source{"x", s})
				if err != nil {
					t.Fatal(err)
				}
				var documents []string
				for i, at := range c.Train.starts {
					end := c.Train.Tokens()
					if i+1 < len(c.Train.starts) {
						end = c.Train.starts[i+1]
					}
					var d strings.Builder
					for k := at; k < end; k++ {
						d.WriteByte(chars[c.Train.at(k)])
					}
					documents = append(documents, strings.ReplaceAll(d.String(), "\r\n", "\n"))
				}
				return documents
			}
			want := starts(s, "ab\n")
			if got := starts(windows, "ab\r\n"); !slices.Equal(got, want) {
				t.Fatalf("%q by %q: %q, want %q", windows, sep, got, want)
			}
			// Where the vocabulary has no \r, it is as if the lines ended in \n alone.
			if got := starts(windows, "ab\n"); !slices.Equal(got, want) {
				t.Fatalf("%q by %q: %q, want %q", windows, sep, got, want)
			}
		}
	}
	if _, err := NewCorpus(Chars("a"), Options{}, Source{"x", "a\ra"}); err == nil {
		t.Error("a \\r that ends no line is left out")
	}
}

func TestFields(t *testing.T) {
	path := writeTo(t, "x.jsonl",
		[]byte("\ufeff{\"text\":\"ab\",\"meta\":{\"n\":7,\"a.b\":\"c\"}}\r\n\n{\"meta\":{\"n\":8,\"a.b\":\"d\"},\"text\":\"b\\na\"}\n"))
	for f, want := range map[string][]string{"text": {"ab", "b\na"}, "meta.n": {"7", "8"}, "meta.a.b": {"c", "d"}} {
		if got, err := (Input{Paths: []string{path}, Field: f}).Lines(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", f, got, err)
		}
	}
	c, err := Read(Input{Paths: []string{path}, Field: "text"}, Chars("ab\n"), Options{})
	if err != nil || !slices.Equal(c.Train.starts, []int{0, 2}) || c.Train.Tokens() != 5 {
		t.Errorf("%v, %v", c, err)
	}
	for want, content := range map[string]string{
		`x:1: the object has no field "text": it has a, b`:              `{"b":1,"a":2}`,
		`x:2: the line is not a JSON object: `:                          "{\"text\":\"a\"}\n[1]",
		`x:1: the field "text" is not text: it begins with "[1,2]"`:     `{"text":[1,2]}`,
		`x:1: the field "text" is not text: it begins with "null"`:      `{"text":null}`,
		`x:1: the line is not UTF-8`:                                    "{\"text\":\"\xff\"}",
		`x: there are no lines`:                                         "\n",
		`x:2: line 1, column 2 (byte 1): the character "c" (U+0063) is`: "{\"text\":\"a\"}\n{\"text\":\"ac\"}",
	} {
		path := writeTo(t, "x", []byte(content))
		in := Input{Paths: []string{path}, Field: "text"}
		_, err := in.Lines()
		if err == nil {
			_, err = Read(in, Chars("ab"), Options{})
		}
		if err == nil || !strings.HasPrefix(err.Error(), filepath.Dir(path)+string(filepath.Separator)+want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

// Texts in alphabetical order are told from those that are not.
func TestSorted(t *testing.T) {
	var words []string
	for i := range 400 {
		words = append(words, fmt.Sprintf("%c%c%d", 'a'+i/26%26, 'a'+i%26, i))
	}
	slices.Sort(words)
	tok := Bytes()
	sorted := func(lines []string) bool {
		c, err := NewCorpus(tok, Options{}, Source{"names", strings.Join(lines, "\n")})
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPairs("names", lines, lines, tok, tok, PairOptions{Source: model.Source{Steps: 100}, Steps: 100})
		if err != nil {
			t.Fatal(err)
		}
		if (c.Sorted == "names") != (p.Tail(0.1) != "") {
			t.Errorf("a corpus says %q, pairs say %q", c.Sorted, p.Tail(0.1))
		}
		digest := p.Digest
		if p.Shuffle(); p.Tail(0.1) != "" || p.Digest == digest {
			t.Error("shuffled pairs are sorted")
		}
		return c.Sorted != ""
	}
	if !sorted(words) || !sorted(words[:60]) {
		t.Error("words in order are not sorted")
	}
	if sorted(words[:5]) || sorted(slices.Repeat([]string{"a"}, 300)) {
		t.Error("a few words or one word are sorted")
	}
	words[300], words[2] = words[2], words[300]
	if sorted(words) {
		t.Error("words of which two were swapped are sorted")
	}
}

// FuzzText reads any content as a text, as lines, as pairs and as JSON objects: no panic, and errors of one line that
// name the file.
func FuzzText(f *testing.F) {
	for _, form := range forms {
		f.Add(form("ab\tba\r\nb\ta\n\nab\tb"), "\n\n", "1,2")
	}
	f.Add([]byte(`{"a":"b","c":{"d":1}}`), "", "a,c.d")
	f.Add([]byte("\xff\xfe\x00\xd8"), "x", "a")
	f.Fuzz(func(t *testing.T, content []byte, separator, columns string) {
		path := writeTo(t, "text", content)
		check := func(err error) {
			if err != nil && (strings.ContainsAny(err.Error(), "\n\r\x00") || !strings.HasPrefix(err.Error(), path)) &&
				!strings.HasPrefix(err.Error(), "two columns") && !strings.HasPrefix(err.Error(), "column") {
				t.Errorf("an error that is not one line, or does not name the file: %q", err)
			}
		}
		in := Paths(path)
		c, err := Read(in, Bytes(), Options{Separator: separator, Validation: 0.3})
		check(err)
		if err == nil && c.Train.Tokens()+c.Validation.Tokens() > 4*len(content)+4 && content[0] != 0x1f &&
			content[0] != 0x28 {
			t.Errorf("%d tokens of %d bytes", c.Train.Tokens(), len(content))
		}
		_, err = in.Lines()
		check(err)
		sources, answers, err := PairInput{Sources: in, Columns: columns}.Lines()
		check(err)
		if err == nil && len(sources) != len(answers) {
			t.Errorf("%d sources, %d answers", len(sources), len(answers))
		}
		in.Field = columns
		_, err = Read(in, ASCII(), Options{})
		check(err)
	})
}
