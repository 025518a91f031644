package sample

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/tokenizer"
)

// TestBeginAndEnd holds that a text begins with the token that its tokenizer puts there, whose text begins as Decode
// has it, and ends before the token that ends one.
func TestBeginAndEnd(t *testing.T) {
	data, err := os.ReadFile("../tokenizer/testdata/llama2.json")
	if err != nil {
		t.Fatal(err)
	}
	file, err := tokenizer.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	begin, _ := file.Token("<s>")
	end, _ := file.Token("</s>")
	tok := tokenizer.Embedded(string(data), tokenizer.Parse, tokenizer.Begin("<s>"), tokenizer.End("</s>"))
	said := "a cat a cat"
	tokens, err := tok.Encode(said)
	if err != nil {
		t.Fatal(err)
	}
	// A model that knows one text by heart.
	follows := func(all []int32) *script { return &script{all: all, vocab: tok.Vocab()} }
	whole := slices.Concat([]int32{begin}, tokens, []int32{end, tokens[0]})
	write := func(m *script, prompt string, opts ...Option) (s string, err error) {
		for part, e := range Generate(context.Background(), m, tok, prompt, append(opts, Greedy())...) {
			s, err = s+part, e
		}
		return s, err
	}
	for _, c := range []struct{ prompt, want string }{{"", said}, {"a cat", " a cat"}} {
		m := follows(whole)
		if got, err := write(m, c.prompt, MaxTokens(50)); err != nil || got != c.want {
			t.Errorf("behind %q: %q, %v, want %q", c.prompt, got, err, c.want)
		}
		if want := whole[:len(whole)-2]; !slices.Equal(m.fed, want) {
			t.Errorf("behind %q the model read %v, want %v", c.prompt, m.fed, want)
		}
	}
	for _, c := range []struct {
		opts []Option
		want string
	}{
		{nil, said},
		{[]Option{Constrain(anything(t, tok))}, said},
	} {
		h, err := Beam(context.Background(), follows(whole), tok, "", 1, append(c.opts, MaxTokens(50))...)
		if err != nil || h[0].Text != c.want || !slices.Equal(h[0].Tokens, tokens) {
			t.Errorf("a beam finds %v, %v, want %q", h, err, c.want)
		}
	}
	if _, err := Beam(context.Background(), follows(whole), tok, "", 1, MaxTokens(5),
		EndToken(int32(tok.Vocab()))); err == nil {
		t.Error("a beam takes an end that is no token")
	}
	// Another end wins, and a special token within the text is left out of it.
	got, err := write(follows(whole), "", MaxTokens(len(whole)-1), EndToken(0))
	if err != nil || !strings.HasPrefix(got, said) || strings.Contains(got, "</s>") {
		t.Errorf("%q, %v", got, err)
	}
}

// script is a decoder that goes on with one row of tokens, whatever it reads.
type script struct {
	all   []int32
	fed   []int32
	vocab int
}

func (m *script) Batch() int          { return 1 }
func (m *script) Reset()              { m.fed = nil }
func (m *script) Reorder([]int) error { return nil }
func (m *script) Step(tokens []int32) ([]float32, error) {
	m.fed = append(m.fed, tokens...)
	logits := make([]float32, m.vocab)
	logits[m.all[min(len(m.fed), len(m.all)-1)]] = 100
	return logits, nil
}

// anything is the constraint that allows every text.
func anything(t *testing.T, tok text.Tokenizer) *constrain.Constraint {
	t.Helper()
	l, err := constrain.Regexp(`(.|\n)*`)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Compile(constrain.NewVocabulary(tok))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
