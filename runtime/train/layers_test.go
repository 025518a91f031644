package train

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLayers holds the norms in a log to those computed from the model before and behind the step, and that measuring
// them changes no bit of the training.
func TestLayers(t *testing.T) {
	dir := t.TempDir()
	plain := options(filepath.Join(dir, "plain"))
	if _, err := Run(context.Background(), newBigram(4), data(), plain); err != nil {
		t.Fatal(err)
	}
	o := options(filepath.Join(dir, "measured"))
	m := newBigram(4)
	var before, after []float32 // of the parameters, around step 7
	m.stepped = func(step int) {
		switch step {
		case 6:
			before = bytesOf(m)
		case 7:
			after = bytesOf(m)
		}
	}
	seen := 0
	o.LayersEvery, o.Reporter = 7, &watching{func(p Progress) {
		if (len(p.Layers) > 0) != (p.Step%7 == 0) {
			t.Errorf("step %d has %d layers", p.Step, len(p.Layers))
		}
		if seen += len(p.Layers); p.Step != 7 {
			return
		}
		var gradient, update, weight float64
		for i, w := range after {
			update += float64(w-before[i]) * float64(w-before[i])
			weight += float64(w) * float64(w)
		}
		for _, tensor := range m.Tensors() {
			for _, g := range tensor.Grad {
				gradient += float64(g) * float64(g)
			}
		}
		got := p.Layers[0]
		for _, x := range []struct {
			what      string
			got, want float64
		}{{"gradient", got.Gradient, gradient}, {"update", got.Update, update}, {"weight", got.Weight, weight}} {
			if want := math.Sqrt(x.want); math.Abs(x.got-want) > 1e-6*want || want == 0 {
				t.Errorf("the norm of the %s is %v, want %v", x.what, x.got, want)
			}
		}
	}}
	if _, err := Run(context.Background(), m, data(), o); err != nil {
		t.Fatal(err)
	}
	a, b := read(t, plain.Path), read(t, o.Path)
	if seen < 3 || a != b {
		t.Errorf("%d layers were measured; the checkpoints are the same: %v", seen, a == b)
	}
}

func bytesOf(m *bigram) []float32 {
	var all []float32
	for _, x := range m.Tensors() {
		all = append(all, x.Value...)
	}
	return all
}

// watching is a reporter that looks at steps.
type watching struct{ step func(Progress) }

func (w *watching) Resumed(int, int)     {}
func (w *watching) Step(p Progress)      { w.step(p) }
func (w *watching) Evaluated(Evaluation) {}
func (w *watching) Saved(string, int)    {}
func (w *watching) Warn(string)          {}

func TestLayerOf(t *testing.T) {
	for name, want := range map[string]string{"lstm.1.wx": "lstm.1", "embed.table": "embed", "w": "w", ".x": ".x"} {
		if got := LayerOf(name); got != want {
			t.Errorf("%q is of the layer %q, want %q", name, got, want)
		}
	}
}

// A log says once what its training is, also when that goes on, and again when it goes on otherwise.
func TestDescribe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	run := func(from int, rate string) {
		l := NewLogFile(path, nil)
		l.Describe(Description{Model: "tiny", Settings: map[string]string{"rate": rate}})
		if from > 0 {
			l.Resumed(from, 9)
		}
		l.Step(Progress{Step: from + 1, Layers: []Layer{{Layer: "a", Gradient: math.Inf(1)}}})
		l.Show(from+1, Sample{Text: "some <text>"})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	run(0, "1")
	run(1, "1")
	run(2, "2")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for line := range bytes.Lines(data) {
		for _, word := range []string{`"run"`, `"loss"`, `"sample"`, `"layers"`} {
			if bytes.Contains(line, []byte(word)) {
				what = append(what, word)
			}
		}
	}
	if got, want := strings.Join(what, " "), `"run" "loss" "sample" "loss" "sample" "run" "loss" "sample"`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if !bytes.HasPrefix(data, []byte(`{"step":0,"seconds":0,"run":{"model":"tiny",`)) {
		t.Errorf("%s", data)
	}
}
