package explain_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// TestTunedLens trains a lens of a language model that has learnt for a moment, and holds it to what it is for: on
// texts that it was not trained on every layer is closer to what the model predicts than with the plain lens, and what
// it shows of the last layer is what the model predicts. The divergence of the plain lens is that of what Lens gives.
func TestTunedLens(t *testing.T) {
	if kernel.Level() == "generic" {
		t.Skip("trains for minutes without assembly")
	}
	m := gptnano.New()
	r := rand.New(rand.NewPCG(5, 6))
	// A text that goes on with the letter three behind the last one, or repeats it.
	draw := func(n int) []int32 {
		x := make([]int32, n)
		x[0] = int32(r.IntN(60))
		for i := 1; i < n; i++ {
			if x[i] = (x[i-1] + 3) % 60; r.IntN(4) == 0 {
				x[i] = x[i-1]
			}
		}
		return x
	}
	const steps, rows = 24, 4
	for range 60 {
		b := &model.Batch{Steps: steps, Batch: rows, Tokens: make([]int32, steps*rows), Targets: make([]int32,
			steps*rows),
			Reset: make([]int32, steps*rows)}
		for k := range rows {
			x := draw(steps + 1)
			for s := range steps {
				b.Tokens[s*rows+k], b.Targets[s*rows+k] = x[s], x[s+1]
			}
		}
		if _, _, err := m.TrainStep(b, 2e-3); err != nil {
			t.Fatal(err)
		}
	}
	e := explainer(t, m, "")
	var texts []*model.Batch
	for range 12 {
		texts = append(texts, explain.Text(draw(16)))
	}
	told := 0
	lens, found, err := e.TuneLens(context.Background(), texts, explain.TuneOptions{Steps: 30,
		Report: func(done, all int) { told = done }})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 4 || told != 30 {
		t.Fatalf("%d layers, and %d updates", len(found), told)
	}
	for _, d := range found {
		t.Logf("%s: %.4f nats, tuned %.4f", d.Layer, d.Plain, d.Tuned)
		if d.Layer.String() == "blocks.xNext, layer 4" { // which gives what the model predicts from
			if d.Plain > 1e-6 || d.Tuned > 1e-6 {
				t.Errorf("the last layer is %v nats from the model, and %v with a tuned lens", d.Plain, d.Tuned)
			}
			continue
		}
		if !(d.Tuned < d.Plain) || d.Tuned < 0 {
			t.Errorf("%s is %v nats from the model, and %v with a tuned lens", d.Layer, d.Plain, d.Tuned)
		}
	}
	b := texts[0]
	plain, err := e.Lens(b)
	if err != nil {
		t.Fatal(err)
	}
	tuned, err := e.Tuned(b, lens)
	if err != nil {
		t.Fatal(err)
	}
	if len(plain) != len(tuned) || len(plain) != len(found)+1 {
		t.Fatalf("%d layers by the plain lens, %d by the tuned one", len(plain), len(tuned))
	}
	for i := range plain {
		if plain[i].String() != tuned[i].String() || i < len(found) && plain[i].String() != found[i].Layer.String() {
			t.Errorf("layer %d is %s, %s and %s", i, &plain[i], &tuned[i], found[i].Layer)
		}
	}
	last := len(plain) - 1
	for i, x := range plain[last].Logits {
		if x != tuned[last].Logits[i] {
			t.Fatal("the last row is not what the model predicts")
		}
	}
	// On average over all texts, by what the lenses show of them, too.
	before, behind := 0.0, 0.0
	for _, b := range texts {
		for _, x := range []struct {
			sum *float64
			of  func() ([]explain.Layer, error)
		}{{&before, func() ([]explain.Layer, error) { return e.Lens(b) }},
			{&behind, func() ([]explain.Layer, error) { return e.Tuned(b, lens) }}} {
			all, err := x.of()
			if err != nil {
				t.Fatal(err)
			}
			n := len(all) - 1
			width := len(all[n].Logits) / b.Steps
			for s := range b.Steps {
				p, logP := explain.Softmax(all[n].Logits[s*width:][:width])
				_, logQ := explain.Softmax(all[0].Logits[s*width:][:width])
				for k := range p {
					*x.sum += p[k] * (logP[k] - logQ[k])
				}
			}
		}
	}
	if !(behind < before) || math.IsNaN(behind) {
		t.Errorf("the first layer is %v nats from the model over all texts, and %v with a tuned lens", before, behind)
	}
}

func TestTunedLensErrors(t *testing.T) {
	e := explainer(t, gptnano.New(), "")
	one := []*model.Batch{explain.Text(tokens(5, 60))}
	if _, _, err := e.TuneLens(context.Background(), one, explain.TuneOptions{}); err == nil ||
		!strings.Contains(err.Error(), "give more text") {
		t.Errorf("of one text: %v", err)
	}
	v := explainer(t, vae.New(), "")
	x := &model.Batch{Steps: 1, Batch: 1, Vectors: make([]float32, 784)}
	if _, _, err := v.TuneLens(context.Background(), []*model.Batch{x, x}, explain.TuneOptions{}); err == nil {
		t.Error("a model of vectors has a tuned lens")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := e.TuneLens(ctx, append(one, one...), explain.TuneOptions{}); err == nil {
		t.Error("it goes on when it is interrupted")
	}
}
