package diagnose_test

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/diagnose"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// windows are batches, one after the other.
type windows struct {
	all  []*model.Batch
	next int
}

func (w *windows) Next(b *model.Batch) bool {
	if w.next == len(w.all) {
		return false
	}
	*b = *w.all[w.next]
	w.next++
	return true
}
func (w *windows) Rewind()                     { w.next = 0 }
func (w *windows) NextPass()                   { w.next = 0 }
func (w *windows) Position() int64             { return int64(w.next) }
func (w *windows) SetPosition(_ int, at int64) { w.next = int(at) }
func (w *windows) Windows() int                { return len(w.all) }
func (w *windows) Tokens() int                 { return len(w.all) * w.all[0].Steps * w.all[0].Batch }

// book is a text of the documentation, in tokens of a model, as windows of a few rows: a fault does not need more.
func book(t *testing.T, tok text.Tokenizer, info *model.Info) *windows {
	t.Helper()
	data, err := os.ReadFile("../../docs/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	var tokens []int32
	for _, r := range string(data) {
		if x, err := tok.Encode(string(r)); err == nil { // what the vocabulary does not have is left out
			tokens = append(tokens, x...)
		}
	}
	w := &windows{}
	const rows, steps = 2, 32
	row := len(tokens) / rows
	for at := 0; at+steps+1 <= row; at += steps {
		b := &model.Batch{Steps: steps, Batch: rows}
		for s := range steps {
			for k := range rows {
				b.Tokens = append(b.Tokens, tokens[k*row+at+s])
				b.Targets = append(b.Targets, tokens[k*row+at+s+1])
				b.Reset = append(b.Reset, 0)
			}
		}
		w.all = append(w.all, b)
	}
	return w
}

// shapes are vectors of a few kinds, with noise, from low to 1.
func shapes(info *model.Info, batches int, low float32) *windows {
	r := rand.New(rand.NewPCG(1, 2))
	w := &windows{}
	for range batches {
		b := &model.Batch{Steps: 1, Batch: 16}
		for range b.Batch {
			kind := r.IntN(4)
			for i := range info.Vector.Width {
				x := low
				if i*4/info.Vector.Width == kind != (r.IntN(20) == 0) {
					x = 1
				}
				b.Vectors = append(b.Vectors, x)
			}
		}
		w.all = append(w.all, b)
	}
	return w
}

// watched trains m at a rate and gives what was found, by what it is.
func watched(t *testing.T, m model.LanguageModel, w *windows, steps, every int,
	rate float64) map[string][]diagnose.Finding {
	t.Helper()
	found := map[string][]diagnose.Finding{}
	doctor := diagnose.New(m, diagnose.One(w.all[0], m.Info()), false,
		func(f diagnose.Finding) { found[f.What] = append(found[f.What], f) })
	if what := doctor.Unseen(); what != "" {
		t.Errorf("a model with taps: %s", what)
	}
	o := train.Options{Steps: steps, LayersEvery: every, Reporter: doctor, EvalEvery: steps}
	o.Schedule.Kind, o.Schedule.Rate = "constant", rate
	if _, err := train.Run(context.Background(), m, train.Data{Train: w}, o); err != nil {
		t.Log(err) // a fault may end a training
	}
	return found
}

// TestHealthy: trainings in which nothing goes wrong have no finding.
func TestHealthy(t *testing.T) {
	if kernel.Level() == "generic" {
		t.Skip("trains for minutes without assembly")
	}
	for _, x := range []struct {
		name  string
		m     model.LanguageModel
		w     *windows
		steps int
	}{
		{"gptnano", gptnano.New(), book(t, gptnano.Tokenizer, gptnano.New().Info()), 300},
		{"lstm", lstm.New(), book(t, lstm.Tokenizer, lstm.New().Info()), 100},
		{"vae", vae.New(), shapes(vae.New().Info(), 40, 0), 400},
		{"gan", gan.New(), shapes(gan.New().Info(), 40, -1), 400},
	} {
		rate := x.m.Info().Training.Rate
		for what, all := range watched(t, x.m, x.w, x.steps, 10, rate) {
			t.Errorf("%s: %s: %v", x.name, what, all)
		}
	}
}

// TestFaults: each fault is found in a training that has it, with the layer, its line in the spec and what to change.
func TestFaults(t *testing.T) {
	if kernel.Level() == "generic" {
		t.Skip("trains for minutes without assembly")
	}
	tensors := func(m model.LanguageModel, change func(name string, x []float32, shape []int)) {
		for _, x := range m.Tensors() {
			change(x.Name, x.Value, x.Shape)
		}
	}
	gpt := func() (model.LanguageModel, *windows) {
		m := gptnano.New()
		return m, book(t, gptnano.Tokenizer, m.Info())
	}
	for _, x := range []struct {
		what, place, do string
		steps, every    int
		rate            float64
		make            func() (model.LanguageModel, *windows)
	}{
		{diagnose.Dead, "vae.yaml:", "leaky_relu", 60, 10, 0.1, func() (model.LanguageModel, *windows) {
			m := vae.New()
			return m, shapes(m.Info(), 10, 0)
		}},
		{diagnose.Exploding, "gptnano.yaml:", "optimizer.rate (gptnano.yaml:14)", 40, 2, 1, gpt},
		{diagnose.Still, "gptnano.yaml:10", "raise optimizer.rate (gptnano.yaml:14)", 40, 5, 1e-12, gpt},
		{diagnose.Saturated, "lstm.yaml:9", "clip.norm (lstm.yaml:13)", 60, 10, 1, func() (model.LanguageModel,
			*windows) {
			m := lstm.New()
			return m, book(t, lstm.Tokenizer, m.Info())
		}},
		{diagnose.Vanishing, "lstm.yaml:9", "residual", 10, 2, 1e-8, func() (model.LanguageModel, *windows) {
			m := lstm.New()
			tensors(m, func(name string, x []float32, shape []int) { // as with init: zeros in the last layer
				if name == "out.w" {
					clear(x)
				}
			})
			return m, book(t, lstm.Tokenizer, m.Info())
		}},
		{diagnose.Nowhere, "gptnano.yaml:10", "queries and keys", 80, 10, 1e-3, func() (model.LanguageModel, *windows) {
			m, w := gpt()
			tensors(m, func(name string, x []float32, shape []int) { // as with init: zeros
				if strings.HasPrefix(name, "blocks.2.wqkv") {
					for i := range x {
						if i%shape[1] < shape[1]*2/3 {
							x[i] = 0
						}
					}
				}
			})
			return m, w
		}},
		{diagnose.OnePlace, "gptnano.yaml:10", "init_bias", 40, 10, 1e-6, func() (model.LanguageModel, *windows) {
			m, w := gpt()
			r := rand.New(rand.NewPCG(3, 4))
			tensors(m, func(name string, x []float32, shape []int) { // as with init_bias: {normal: 100}
				if strings.HasPrefix(name, "blocks.1.bqkv") {
					for i := range x {
						x[i] = float32(100 * r.NormFloat64())
					}
				}
			})
			return m, w
		}},
		{diagnose.Collapsed, "vae.yaml:8", "latent.free_bits", 150, 10, 1e-6, func() (model.LanguageModel, *windows) {
			m := vae.New()
			tensors(m, func(name string, x []float32, shape []int) { // as with init: zeros in latent
				if strings.HasPrefix(name, "latent.") {
					clear(x)
				}
			})
			w := shapes(m.Info(), 40, 0)
			r := rand.New(rand.NewPCG(5, 6))
			for _, b := range w.all { // of which no vector tells anything
				for i := range b.Vectors {
					b.Vectors[i] = float32(r.IntN(2))
				}
			}
			return m, w
		}},
		{diagnose.Won, "gan.yaml:12", "spectral_norm", 400, 20, 1e-3, func() (model.LanguageModel, *windows) {
			m := gan.New()
			if err := m.Tune(model.Tuning{Rates: []model.RateOf{{Pattern: "g1.*", Factor: 1e-6}, {Pattern: "g2.*",
				Factor: 1e-6}, {Pattern: "made.*", Factor: 1e-6}}}); err != nil {
				t.Fatal(err)
			}
			return m, shapes(m.Info(), 10, -1)
		}},
		{diagnose.Blind, "gan.yaml:12", "raise the rate of discriminator_optimizer (gan.yaml:16)", 400, 20, 1e-12,
			func() (model.LanguageModel, *windows) {
				m := gan.New()
				tensors(m, func(name string, x []float32, shape []int) {
					if strings.HasPrefix(name, "verdict.") {
						clear(x)
					}
				})
				return m, shapes(m.Info(), 10, -1)
			}},
	} {
		m, w := x.make()
		found := watched(t, m, w, x.steps, x.every, x.rate)
		if len(found[x.what]) == 0 {
			t.Errorf("%s is not found, but %v", x.what, found)
			continue
		}
		ok := slices.ContainsFunc(found[x.what], func(f diagnose.Finding) bool {
			return strings.HasPrefix(f.String(), x.place) && strings.Contains(f.Do, x.do)
		})
		if !ok {
			t.Errorf("%s: no finding of %s that says %s: %v", x.what, x.place, x.do, found[x.what])
		}
		t.Logf("%s: %s", x.what, found[x.what][0])
	}
}

// TestBits: watching changes no bit of a training.
func TestBits(t *testing.T) {
	var bits [2][]float32
	for i := range bits {
		m := gptnano.New()
		w := book(t, gptnano.Tokenizer, m.Info())
		o := train.Options{Steps: 12, EvalEvery: 12}
		o.Schedule.Kind, o.Schedule.Rate = "constant", 1e-3
		if i == 1 {
			o.LayersEvery = 3
			o.Reporter = diagnose.New(m, diagnose.One(w.all[0], m.Info()), false, func(diagnose.Finding) {})
		}
		if _, err := train.Run(context.Background(), m, train.Data{Train: w}, o); err != nil {
			t.Fatal(err)
		}
		for _, x := range m.Tensors() {
			bits[i] = append(bits[i], x.Value...)
		}
	}
	if !slices.Equal(bits[0], bits[1]) {
		t.Error("a training that is watched ends with other parameters")
	}
}

// TestSpread holds what is said of rows of attention to rows of which that is known.
func TestSpread(t *testing.T) {
	const n = 32
	rows := func(at func(i, j int) float32) []float32 {
		p := make([]float32, n*n)
		for i := range n {
			for j := 0; j <= i; j++ {
				p[i*n+j] = at(i, j)
			}
		}
		return p
	}
	for name, x := range map[string]struct {
		p    []float32
		even bool
		one  bool
	}{
		"everywhere": {rows(func(i, j int) float32 { return 1 / float32(i+1) }), true, false},
		"the first token": {rows(func(i, j int) float32 { return float32(map[bool]int{true: 1}[j == 0]) }), false,
			true},
		"the token before": {rows(func(i, j int) float32 {
			return float32(map[bool]int{true: 1}[j == max(0,
				i-1)])
		}), false, false},
		"half here, behind": {rows(func(i,
			j int) float32 {
			return float32(map[bool]float64{true: 0.5}[j == 0 || j == i])
		}), false, false},
	} {
		spread, one := diagnose.Spread(x.p, n)
		if (spread > 0.995) != x.even || one != x.one {
			t.Errorf("%s: spread %v, one place %v", name, spread, one)
		}
	}
}

// TestStuck counts gates at their ends.
func TestStuck(t *testing.T) {
	tap := &model.Tap{Shape: []int{4, 4}, Value: []float32{
		0.999, 0.5, -1, 0, //
		0.001, 0.5, 1, 0.2, //
		1, 1, -0.999, -0.3, //
		0, 0.4, 1, 0}}
	if n := diagnose.Stuck(tap, 0, 2, false); n != 1 {
		t.Errorf("%d gates of 2 are stuck, want 1", n)
	}
	if n := diagnose.Stuck(tap, 2, 2, true); n != 1 {
		t.Errorf("%d candidates of 2 are stuck, want 1", n)
	}
}

// TestUnseen: without taps it is said what cannot be seen.
func TestUnseen(t *testing.T) {
	w := diagnose.New(untapped{gptnano.New()}, nil, false, func(diagnose.Finding) {})
	if what := w.Unseen(); !strings.Contains(what, "taps: true") || !strings.Contains(what, "gptnano.yaml") {
		t.Errorf("it says %q", what)
	}
	if what := diagnose.New(untapped{vae.New()}, nil, false, func(diagnose.Finding) {}).Unseen(); what != "" {
		t.Errorf("of a model without gates and attention it says %q", what)
	}
}

// untapped hides the taps of a model.
type untapped struct{ model.LanguageModel }
