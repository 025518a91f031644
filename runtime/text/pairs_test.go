package text

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// somePairs are n sources of one to five letters and what answers them.
func somePairs(t *testing.T, n int) *Pairs {
	t.Helper()
	from, to := WithSpecials(Chars("abc"), "</s>"), WithSpecials(Chars("abc"), "<s>", "</s>")
	var a, b []string
	for i := range n {
		s := ""
		for j := range i%5 + 1 {
			s += string("abc"[(i+j)%3])
		}
		a, b = append(a, s), append(b, strings.ToLower(s)+"c")
	}
	p, err := NewPairs("test", a, b, from, to,
		PairOptions{Source: model.Source{Steps: 6, Vocab: 4, End: 3, AnswerBegin: 3, AnswerEnd: 4}, Steps: 7})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestBatches holds that a pass gives every pair once, framed as it should be, in another order each time, and that a
// pass can be gone to.
func TestBatches(t *testing.T) {
	p := somePairs(t, 100)
	var expect []string
	for i := range p.sources {
		expect = append(expect, fmt.Sprint(p.sources[i], p.answers[i]))
	}
	slices.Sort(expect)
	b, err := p.Shuffled(8, 3)
	if err != nil {
		t.Fatal(err)
	}
	read := func() string {
		var all strings.Builder
		var seen []string
		var w model.Batch
		tokens := 0
		for b.Next(&w) {
			fmt.Fprintln(&all, w.Source, w.Tokens)
			for row := range w.Batch {
				var x, y []int32
				for s := range w.SourceSteps {
					if v := w.Source[s*w.Batch+row]; v >= 0 {
						x = append(x, v)
					}
				}
				for s := range w.Steps {
					in, out := w.Tokens[s*w.Batch+row], w.Targets[s*w.Batch+row]
					if (in < 0) != (out < 0) {
						t.Fatalf("token %d has target %d", in, out)
					}
					if out >= 0 {
						tokens++
						y = append(y, out)
					}
					if s == 0 && in != 3 || s > 0 && in >= 0 && in != w.Targets[(s-1)*w.Batch+row] {
						t.Fatalf("step %d: token %d does not follow", s, in)
					}
				}
				if y[len(y)-1] != 4 || x[len(x)-1] != 3 {
					t.Fatalf("%v and %v do not end", x, y)
				}
				seen = append(seen, fmt.Sprint(x, y[:len(y)-1]))
			}
		}
		slices.Sort(seen)
		if !slices.Equal(seen, expect) {
			t.Fatal("a pass does not give every pair once")
		}
		if tokens != b.Tokens() {
			t.Errorf("a pass predicts %d tokens, Tokens says %d", tokens, b.Tokens())
		}
		return all.String()
	}
	first := read()
	b.NextPass()
	second := read()
	if first == second {
		t.Error("two passes have one order")
	}
	b.SetPosition(1, 0)
	if read() != second {
		t.Error("the second pass is another one the second time")
	}
	b.Rewind()
	if read() != first {
		t.Error("Rewind does not go back to the first pass")
	}
	train, validation, err := p.Split(0.1)
	if err != nil || train.Len() != 90 || validation.Len() != 10 {
		t.Errorf("split into %d and %d, %v", train.Len(), validation.Len(), err)
	}
	if _, _, err := p.Split(0); err == nil {
		t.Error("an empty validation is no error")
	}
}

func TestReadPairs(t *testing.T) {
	dir := t.TempDir()
	write := func(name, s string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	from, to := WithSpecials(Chars("ab"), "</s>"), WithSpecials(Chars("ab"), "<s>", "</s>")
	o := PairOptions{Source: model.Source{Steps: 4, Vocab: 3, End: 2, AnswerBegin: 2, AnswerEnd: 3}, Steps: 4}
	read := func(sources, answers string) (*Pairs, error) {
		in := PairInput{Sources: Paths(sources)}
		if answers != "" {
			in.Answers = Paths(answers)
		}
		return ReadPairs(in, from, to, o)
	}
	a, b := write("a", "ab\nb\naaaaaaa\n"), write("b", "\ufeffba\r\nb\na\n")
	p, err := read(a, b)
	if err != nil || p.Len() != 2 || p.Skipped != 1 {
		t.Fatalf("%v, %v", p, err)
	}
	if p, err := read(write("tabs", "ab\tba\nb\tb"), ""); err != nil || p.Len() != 2 {
		t.Errorf("%v, %v", p, err)
	}
	// Of more columns two are said, and the others are not learnt.
	for columns, name := range map[string]string{
		"1,2":   write("three", "ab\tba\tx\nb\ta\ty\n"),
		" 3, 2": write("swapped", "x\tba\tab\ny\ta\tb\n"),
		"s,t.t": write("json", `{"s":"ab","t":{"t":"ba"},"u":1}`+"\n\n"+`{"t":{"t":"a"},"s":"b"}`),
	} {
		p, err := ReadPairs(PairInput{Sources: Paths(name), Columns: columns}, from, to, o)
		if err != nil || p.Len() != 2 || !slices.Equal(p.sources[0], []int32{0, 1, 2}) ||
			!slices.Equal(p.answers[0], []int32{1, 0}) || !slices.Equal(p.answers[1], []int32{0}) {
			t.Errorf("columns %s: %v, %v", columns, p, err)
		}
	}
	for want, try := range map[string]func() (*Pairs, error){
		"3 lines and":             func() (*Pairs, error) { return read(a, write("short", "b\n")) },
		"line n of one must":      func() (*Pairs, error) { return read(a, write("short", "b\n")) },
		"bad:2: there is no":      func() (*Pairs, error) { return read(write("bad", "a\tb\na b\n"), "") },
		"empty: there are no":     func() (*Pairs, error) { return read(write("empty", ""), b) },
		"none cannot be read":     func() (*Pairs, error) { return read(filepath.Join(dir, "none"), b) },
		"source 1: ":              func() (*Pairs, error) { return read(write("other", "x\nb\nb\n"), b) },
		"no pair that":            func() (*Pairs, error) { return read(write("long", "aaaaa"), write("one", "a")) },
		"more:2: the line has 3 ": func() (*Pairs, error) { return read(write("more", "a\tb\na\tb\tb\n"), "") },
		"two columns are needed": func() (*Pairs, error) {
			return ReadPairs(PairInput{Sources: Paths(a), Columns: "1"}, from, to, o)
		},
		"columns are counted": func() (*Pairs, error) {
			return ReadPairs(PairInput{Sources: Paths(a), Columns: "0,1"}, from, to, o)
		},
		"a:1: there is no column": func() (*Pairs, error) {
			return ReadPairs(PairInput{Sources: Paths(a), Columns: "1,2"}, from, to, o)
		},
		"there can be no answers": func() (*Pairs, error) {
			return ReadPairs(PairInput{Sources: Paths(a), Answers: Paths(b), Columns: "1,2"}, from, to, o)
		},
		"a:1: the line is not a JSON object": func() (*Pairs, error) {
			return ReadPairs(PairInput{Sources: Paths(a), Columns: "s,t"}, from, to, o)
		},
	} {
		if _, err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
	if _, err := Fill([]string{"a", "abab"}, from, o.Source); err == nil ||
		!strings.Contains(err.Error(), "source 2: the source has 4 tokens, the model takes 3") {
		t.Errorf("a long source gives %v", err)
	}
	if got, err := Fill([]string{"a", "ab"}, from, o.Source); err != nil ||
		!slices.Equal(got, []int32{0, 0, 2, 1, -1, 2}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSpecials(t *testing.T) {
	s := WithSpecials(Chars("ab"), "<s>", "</s>")
	if s.Vocab() != 4 || s.Piece(3) != "</s>" || s.Piece(1) != "b" {
		t.Errorf("%d tokens, %q, %q", s.Vocab(), s.Piece(3), s.Piece(1))
	}
	if got := s.Decode([]int32{2, 0, 1, 3, 0}); got != "aba" {
		t.Errorf("decodes to %q", got)
	}
	if s.Digest() == Chars("ab").Digest() || s.Digest() == WithSpecials(Chars("ab"), "<s>").Digest() {
		t.Error("the digest does not tell the special tokens")
	}
	panics(t, "4", func() { s.Piece(4) })
}
