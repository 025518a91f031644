package inference_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/gen/cases/labeltext"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// TestGuided compares what guided decoders write with the definition, in float64, from the logits of two decoders that
// read the same tokens; and labels change what the model does.
func TestGuided(t *testing.T) {
	m := labeltext.NewSeeded(3)
	info := m.Info()
	const n, scale = 4, 2.5
	z := make([]float32, n*info.Latent.Width)
	for i := range z {
		z[i] = float32(math.Sin(float64(5 * i)))
	}
	labels := []int32{0, 3, 2, 1}
	g, err := inference.Guided(m, scale)
	if err != nil {
		t.Fatal(err)
	}
	dec, told, untold := g.MakeDecoder(n), m.MakeDecoder(n), m.MakeDecoder(n)
	none := slices.Repeat([]int32{model.NoLabel}, n)
	for d, l := range map[model.Decoder][]int32{dec: labels, told: labels, untold: none} {
		if err := d.(model.LatentDecoder).Begin(z, l); err != nil {
			t.Fatal(err)
		}
	}
	tokens := slices.Repeat([]int32{info.Source.AnswerBegin}, n)
	apart := 0.0
	for step := range 5 {
		if step == 2 { // as a beam does
			for _, d := range []model.Decoder{dec, told, untold} {
				if err := d.Reorder([]int{1, 1, 3, 2}); err != nil {
					t.Fatal(err)
				}
			}
		}
		a := slices.Clone(must(untold.Step(tokens))(t))
		b := slices.Clone(must(told.Step(tokens))(t))
		for i, got := range must(dec.Step(tokens))(t) {
			want := float64(a[i]) + scale*(float64(b[i])-float64(a[i]))
			if math.Abs(float64(got)-want) > 1e-5 {
				t.Fatalf("step %d: logit %d is %v, want %v", step, i, got, want)
			}
			apart = max(apart, math.Abs(float64(a[i]-b[i])))
		}
		for i := range tokens {
			tokens[i] = int32((7*step + 3*i) % 90)
		}
	}
	if apart < 1e-3 {
		t.Errorf("with a label and without one the logits are the same but for %v", apart)
	}

	one, err := inference.Guided(m, 1)
	if err != nil {
		t.Fatal(err)
	}
	var texts [3][]string
	for i, m := range []inference.Sentences{m, one, g} {
		if texts[i], err = inference.DecodeSentences(context.Background(), m, labeltext.Tokenizer, z, labels,
			sample.Temperature(1), sample.Seed(1)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(texts[0], texts[1]) || slices.Equal(texts[0], texts[2]) {
		t.Errorf("without guidance, with a scale of 1, and with 2.5: %q", texts)
	}
}

func must[T any](x T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

// TestGuidedFaults: models that cannot be guided say why.
func TestGuidedFaults(t *testing.T) {
	for _, scale := range []float64{-1, math.NaN(), math.Inf(1), 1001} {
		if _, err := inference.Guided(labeltext.New(), scale); err == nil {
			t.Errorf("guidance of %v is no error", scale)
		}
	}
	if _, err := inference.Guided(textvae.New(), 2); err == nil {
		t.Error("a model without labels is guided")
	}
}
