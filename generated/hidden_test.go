package generated

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// What a model of masked tokens shows of each token is what its logits are made from: their product with the table of
// the embedding, which is tied.
func TestHidden(t *testing.T) {
	m := bertmini.New()
	b := &model.Batch{
		Steps: 7, Batch: 2, Tokens: make([]int32, 14), Targets: make([]int32, 14), Reset: make([]int32, 14),
	}
	for i := range b.Tokens {
		b.Tokens[i] = int32(37 * i)
	}
	hidden, err := m.Hidden(b)
	if err != nil {
		t.Fatal(err)
	}
	hidden = slices.Clone(hidden)
	logits, err := m.Logits(b)
	if err != nil {
		t.Fatal(err)
	}
	table, vocab := m.Params().Tok.Table, m.Info().Vocab
	width := len(hidden) / 14
	for row := range 14 {
		for _, token := range []int{0, 1, 100, vocab - 1} {
			sum := 0.0
			for i := range width {
				sum += float64(hidden[row*width+i]) * float64(table[token*width+i])
			}
			if got := float64(logits[row*vocab+token]); math.Abs(got-sum) > 1e-4*(1+math.Abs(sum)) {
				t.Fatalf("row %d, token %d: the logit is %v, of what is shown %v", row, token, got, sum)
			}
		}
	}
}

// Representations have length 1, are the same each time, and are nearer to those of texts that are alike.
func TestEmbedder(t *testing.T) {
	texts := []string{"what is the news", "what is the new", "o romeo romeo"}
	for _, p := range []model.Program{bertmini.Program(), gptnano.Program(), textvae.Program()} {
		embed, err := inference.Embedder(p.New(1), p.Tokenizer)
		if err != nil {
			t.Fatal(err)
		}
		lines := texts
		if p.Info.Latent != nil { // it has words of its own
			lines = []string{"a man in a hat", "a man in a hat", "two dogs"}
		}
		var all [][]float32
		for _, s := range lines {
			x, err := embed(context.Background(), s)
			if err != nil {
				t.Fatalf("%s: %v", p.Info.Name, err)
			}
			again, err := embed(context.Background(), s)
			if err != nil || !slices.Equal(x, again) {
				t.Errorf("%s: %q is another vector the second time (%v)", p.Info.Name, s, err)
			}
			if n := cosine(x, x); math.Abs(n-1) > 1e-5 {
				t.Errorf("%s: %q has length %v", p.Info.Name, s, math.Sqrt(n))
			}
			all = append(all, x)
		}
		if near, far := cosine(all[0], all[1]), cosine(all[0], all[2]); near <= far {
			t.Errorf("%s: texts that are alike have a cosine of %v, others of %v", p.Info.Name, near, far)
		}
		if _, err := embed(context.Background(), ""); p.Info.Latent == nil && err == nil {
			t.Errorf("%s: an empty text has a representation", p.Info.Name)
		}
	}
}

func cosine(x, y []float32) float64 {
	sum := 0.0
	for i := range x {
		sum += float64(x[i]) * float64(y[i])
	}
	return sum
}
