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

// points are examples of a class each, whose centres are apart, and labels of those or of none.
func points(n, width, classes int, apart float64, seed uint64) ([]float32, []int) {
	r := rand.New(rand.NewPCG(seed, 1))
	var x []float32
	var y []int
	for range n {
		l := r.IntN(classes)
		for f := range width {
			v := 3 + 10*r.NormFloat64() // as features come: neither around 0 nor of one size
			if f == l {
				v += 10 * apart
			}
			x = append(x, float32(v))
		}
		y = append(y, l)
	}
	return x, y
}

// TestLinearProbe holds probes to what can be read: classes that are far apart, nothing of noise, and of two classes in
// one dimension what the best classifier reads, whose share of errors is known.
func TestLinearProbe(t *testing.T) {
	x, y := points(600, 12, 4, 8, 1)
	p, err := explain.LinearProbe(x, y, explain.ProbeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Accuracy < 0.99 || p.Train != 420 || p.Held != 180 || p.Classes != 4 || p.Features != 12 ||
		math.Abs(p.Majority-0.25) > 0.12 || p.Shuffled > 0.4 {
		t.Errorf("classes that are apart: %+v", p)
	}
	again, err := explain.LinearProbe(x, y, explain.ProbeOptions{})
	if err != nil || *again != *p {
		t.Errorf("the same examples give %+v and %+v", p, again)
	}
	x, y = points(600, 12, 4, 0, 2)
	if p, err = explain.LinearProbe(x, y, explain.ProbeOptions{}); err != nil || p.Accuracy > 0.25+5*p.Error {
		t.Errorf("of noise it reads %+v, %v", p, err)
	}
	// Of N(±1, 1) the sign is right in Φ(1) of the cases, and no classifier reads more.
	r := rand.New(rand.NewPCG(3, 4))
	x, y = nil, nil
	for range 20000 {
		l := r.IntN(2)
		x, y = append(x, float32(r.NormFloat64()+float64(2*l-1))), append(y, l)
	}
	best := 0.5 * (1 + math.Erf(1/math.Sqrt2))
	if p, err = explain.LinearProbe(x, y, explain.ProbeOptions{}); err != nil || math.Abs(p.Accuracy-best) > 4*p.Error {
		t.Errorf("of two normal distributions it reads %v, the best is %v (%v)", p.Accuracy, best, err)
	}
	// p(1|x) = σ(2x) there, so that the loss is known too: E −log σ(2|…|), by the sample itself.
	loss := 0.0
	for i, v := range x {
		loss += math.Log1p(math.Exp(-2*float64(v)*float64(2*y[i]-1))) / float64(len(x))
	}
	if math.Abs(p.Loss-loss) > 0.01 {
		t.Errorf("its loss is %v, that of the true probabilities %v", p.Loss, loss)
	}
}

func TestProbeErrors(t *testing.T) {
	for want, f := range map[string]func() error{
		"do not fit": func() error {
			_, err := explain.LinearProbe(make([]float32, 7), []int{1, 2}, explain.ProbeOptions{})
			return err
		},
		"counted from 0": func() error {
			_, err := explain.LinearProbe(make([]float32, 8), []int{0, -1, 1, 0}, explain.ProbeOptions{})
			return err
		},
		"one label alone": func() error {
			_, err := explain.LinearProbe(make([]float32, 8), []int{1, 1, 1, 1}, explain.ProbeOptions{})
			return err
		},
		"cannot be split": func() error {
			_, err := explain.LinearProbe(make([]float32, 2), []int{1, 0}, explain.ProbeOptions{})
			return err
		},
		"not finite": func() error {
			_, err := explain.LinearProbe([]float32{float32(math.NaN()), 1, 2, 3, 4, float32(math.NaN()),
				float32(math.NaN()), 8},
				[]int{0, 1, 0, 1}, explain.ProbeOptions{})
			return err
		},
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one that says %q", err, want)
		}
	}
}

// TestProbeModels reads, from the values of an autoencoder that has learnt for a moment, which of four shapes a vector
// has, and from those of a language model which token a text ends with.
func TestProbeModels(t *testing.T) {
	if kernel.Level() == "generic" {
		t.Skip("trains for minutes without assembly")
	}
	m := vae.New()
	r := rand.New(rand.NewPCG(8, 9))
	draw := func(n int) (v []float32, labels []int) {
		for range n {
			l := r.IntN(4)
			labels = append(labels, l)
			for i := range 784 {
				x := float32(0)
				if (i/196 == l) != (r.IntN(5) == 0) {
					x = 1
				}
				v = append(v, x)
			}
		}
		return v, labels
	}
	for range 60 {
		v, _ := draw(16)
		if _, _, err := m.TrainStep(&model.Batch{Steps: 1, Batch: 16, Vectors: v}, 1e-3); err != nil {
			t.Fatal(err)
		}
	}
	e := explainer(t, m, "")
	v, labels := draw(200)
	var examples []*model.Batch
	for i := range labels {
		examples = append(examples, &model.Batch{Steps: 1, Batch: 1, Vectors: v[i*784:][:784]})
	}
	found := probed(t, e, examples, labels)
	for name, p := range found {
		if p.Shuffled > 0.45 || p.Held != 60 {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if z := found["latent.z"]; z == nil || z.Accuracy < 0.8 || z.Features != 16 {
		t.Errorf("the latent vector: %+v", z)
	}

	g := explainer(t, gptnano.New(), "")
	examples, labels = nil, nil
	for range 60 {
		text := tokens(8, 60)
		text[7] = int32(r.IntN(3))
		for i := range 7 {
			text[i] = int32(r.IntN(60))
		}
		examples, labels = append(examples, explain.Text(text)), append(labels, int(text[7]))
	}
	found = probed(t, g, examples, labels)
	if p := found["tok.x"]; p == nil || p.Accuracy < 0.99 {
		t.Errorf("the last token, from its embedding: %+v", p)
	}
	if p := found["blocks.xNext, layer 4"]; p == nil || p.Features != 128 {
		t.Errorf("the last layer: %+v", p)
	}
}

func probed(t *testing.T, e *explain.Explainer, examples []*model.Batch, labels []int) map[string]*explain.Probe {
	t.Helper()
	p, err := e.Run(examples[0])
	if err != nil {
		t.Fatal(err)
	}
	values := explain.Values(p)
	read, err := e.Rows(context.Background(), examples, values)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*explain.Probe{}
	for i, v := range values {
		if found[v.String()], err = explain.LinearProbe(read[i], labels, explain.ProbeOptions{}); err != nil {
			t.Fatalf("%s: %v", v, err)
		}
	}
	return found
}
