// Package generated_test compares the generated packages with PyTorch and with the compiler's own evaluation in
// float64.
package generated_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/transformer"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// trainable is a model whose gradients can be looked at.
type trainable interface {
	model.LanguageModel
	Gradients(b *model.Batch) (float64, error)
}

// numbers gives n numbers in [-scale, scale) from the formula of testdata/pytorch_golden.py.
func numbers(stream uint64, n int, scale float32) []float32 {
	x := make([]float32, n)
	for i := range x {
		u := float32(model.Key(stream, uint64(i))>>40) / (1 << 24)
		x[i] = (u*2 - 1) * scale
	}
	return x
}

func tokens(stream uint64, n, vocab int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(model.Key(stream, uint64(i)) % uint64(vocab))
	}
	return x
}

// step is what PyTorch computes of one step.
type step struct {
	Loss    float64
	Tensors []gradient
}

// gradient is what the file holds of a tensor's gradient: its norm, its product with numbers of the formula, and some
// elements.
type gradient struct {
	Name      string
	Norm, Dot float64
	At        []int
	Values    []float64
}

type goldenFile struct {
	Models      map[string]step
	Adversaries map[string]struct{ Discriminator, Generator step }
}

func readGolden(t *testing.T) *goldenFile {
	t.Helper()
	data, err := os.ReadFile("testdata/pytorch_golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden goldenFile
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	return &golden
}

// compare gives the largest error of the gradient g of tensor number i of the model. Errors are relative to the size
// of what is compared: the whole gradient, or its root mean square for single elements.
func (w *gradient) compare(g []float32, i int) float64 {
	var norm, dot float64
	for j, v := range numbers(uint64(200+i), len(g), 1) {
		norm += float64(g[j]) * float64(g[j])
		dot += float64(g[j]) * float64(v)
	}
	norm = math.Sqrt(norm)
	rms := w.Norm / math.Sqrt(float64(len(g)))
	worst := max(math.Abs(norm-w.Norm)/w.Norm, math.Abs(dot-w.Dot)/w.Norm)
	for k, at := range w.At {
		worst = max(worst, math.Abs(float64(g[at])-w.Values[k])/(10*rms+math.Abs(w.Values[k])))
	}
	return worst
}

// TestPyTorch compares the loss and the gradient of every tensor, at the full size of the models, with those that
// PyTorch computes in float64 from the same weights and tokens.
func TestPyTorch(t *testing.T) {
	golden := readGolden(t)
	for name, m := range map[string]trainable{"rnn": rnn.New(), "lstm": lstm.New(), "gru": gru.New(),
		"gptnano": gptnano.New(), "bertmini": bertmini.New(), "transformer": transformer.New(),
		"translate": translate.New(), "vae": vae.New(), "textvae": textvae.New()} {
		t.Run(name, func(t *testing.T) {
			want := golden.Models[name]
			info := m.Info()
			if kernel.Level() == "generic" && info.Params > 300_000 {
				t.Skipf("%d parameters at full size, without assembly", info.Params)
			}
			b := &model.Batch{Steps: info.Steps, Batch: info.Batch}
			if info.Source != nil {
				b.Steps, b.SourceSteps, b.Batch = 9, 11, 3
				b.Source = tokens(3, b.SourceSteps*b.Batch, info.Source.Vocab)
			}
			n := b.Steps * b.Batch
			if v := info.Vector; v != nil {
				b.Vectors = numbers(1, n*v.Width, 0.5)
				for i := range b.Vectors {
					b.Vectors[i] += 0.5
				}
			} else {
				b.Tokens, b.Targets, b.Reset = tokens(1, n, info.Vocab), tokens(2, n, info.Vocab), make([]int32, n)
			}
			if info.Source != nil { // the last source and its answer are shorter
				for s := 7; s < b.SourceSteps; s++ {
					b.Source[s*b.Batch+b.Batch-1] = -1
				}
				for s := 6; s < b.Steps; s++ {
					b.Tokens[s*b.Batch+b.Batch-1], b.Targets[s*b.Batch+b.Batch-1] = -1, -1
				}
			}
			if info.Masking != nil { // every third token is to be restored, and the last sequence is shorter
				for i := range b.Targets {
					if i%3 > 0 {
						b.Targets[i] = -1
					}
				}
				for s := 100; s < b.Steps; s++ {
					b.Tokens[s*b.Batch+b.Batch-1], b.Targets[s*b.Batch+b.Batch-1] = -1, -1
				}
			}
			for i, ts := range m.Tensors() {
				copy(ts.Value, numbers(uint64(100+i), len(ts.Value), 0.1))
			}
			step := m.Gradients
			if want.Tensors == nil {
				step = m.Loss                            // without dropout
				if s := info.Training.Smoothing; s > 0 { // which Loss leaves out
					step = func(b *model.Batch) (float64, error) {
						logits, err := m.(model.Predictor).Logits(b)
						if err != nil {
							return 0, err
						}
						return kernel.CrossEntropy(make([]float32, n), nil, logits, b.Targets, n, info.Vocab,
							float32(s)), nil
					}
				}
			}
			loss, err := step(b)
			if err != nil {
				t.Fatal(err)
			}
			if e := math.Abs(loss-want.Loss) / want.Loss; !(e < 1e-6) {
				t.Errorf("loss %v, PyTorch's is %v", loss, want.Loss)
			}
			if want.Tensors == nil {
				return
			}
			ts := m.Tensors()
			if len(ts) != len(want.Tensors) {
				t.Fatalf("%d tensors, PyTorch has %d", len(ts), len(want.Tensors))
			}
			worst := 0.0
			for i, w := range want.Tensors {
				g := ts[i].Grad
				if ts[i].Name != w.Name {
					t.Fatalf("tensor %d is %s, PyTorch's %s", i, ts[i].Name, w.Name)
				}
				e := w.compare(g, i)
				if worst = max(worst, e); !(e <= 1e-5) {
					t.Errorf("%s: relative error %.2g", w.Name, e)
				}
			}
			t.Logf("largest relative error %.2g", worst)
		})
	}
}

// TestPyTorchAdversaries does the same for both steps of the pair gan, from the same noise as well.
func TestPyTorchAdversaries(t *testing.T) {
	want := readGolden(t).Adversaries["gan"]
	m := gan.New()
	info := m.Info()
	b := &model.Batch{Batch: info.Batch, Vectors: numbers(1, info.Batch*info.Vector.Width, 1),
		Noise: numbers(2, info.Batch*info.Adversary.Noise, 1)}
	for i, ts := range m.Tensors() {
		copy(ts.Value, numbers(uint64(100+i), len(ts.Value), 0.1))
	}
	for _, side := range []struct {
		name  string
		want  step
		grads func(*model.Batch) (float64, error)
		first int
	}{{"discriminator", want.Discriminator, m.DiscriminatorGradients, 6},
		{"generator", want.Generator, m.GeneratorGradients, 0}} {
		loss, err := side.grads(b)
		if err != nil {
			t.Fatal(err)
		}
		if e := math.Abs(loss-side.want.Loss) / side.want.Loss; !(e < 1e-6) {
			t.Errorf("%s: loss %v, PyTorch's is %v", side.name, loss, side.want.Loss)
		}
		if len(side.want.Tensors) != 6 {
			t.Fatalf("%s: PyTorch has %d tensors", side.name, len(side.want.Tensors))
		}
		for i, w := range side.want.Tensors {
			ts := m.Tensors()[side.first+i]
			if ts.Name != w.Name {
				t.Fatalf("%s: tensor %d is %s, PyTorch's %s", side.name, i, ts.Name, w.Name)
			}
			e := w.compare(ts.Grad, side.first+i)
			if len(ts.Grad) == 1 { // the difference of two means of verdicts: what is left of numbers near ½
				e = math.Abs(float64(ts.Grad[0])-w.Values[0]) / 0.5
			}
			if !(e <= 1e-5) {
				t.Errorf("%s: %s: relative error %.2g", side.name, w.Name, e)
			}
		}
	}
}
