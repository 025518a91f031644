package gen

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/cases/adapted"
	"github.com/gradsmith/gradsmith/gen/cases/adapter"
	"github.com/gradsmith/gradsmith/gen/cases/albert"
	"github.com/gradsmith/gradsmith/gen/cases/align"
	"github.com/gradsmith/gradsmith/gen/cases/answer"
	"github.com/gradsmith/gradsmith/gen/cases/attentive"
	"github.com/gradsmith/gradsmith/gen/cases/before"
	"github.com/gradsmith/gradsmith/gen/cases/bert"
	"github.com/gradsmith/gradsmith/gen/cases/cells"
	"github.com/gradsmith/gradsmith/gen/cases/chain"
	"github.com/gradsmith/gradsmith/gen/cases/elman"
	"github.com/gradsmith/gradsmith/gen/cases/formulacells"
	"github.com/gradsmith/gradsmith/gen/cases/frugal"
	"github.com/gradsmith/gradsmith/gen/cases/gemma"
	"github.com/gradsmith/gradsmith/gen/cases/gla"
	"github.com/gradsmith/gradsmith/gen/cases/gpt"
	"github.com/gradsmith/gradsmith/gen/cases/gptj"
	"github.com/gradsmith/gradsmith/gen/cases/heads"
	"github.com/gradsmith/gradsmith/gen/cases/labeltext"
	"github.com/gradsmith/gradsmith/gen/cases/labelvae"
	"github.com/gradsmith/gradsmith/gen/cases/latentgpt"
	"github.com/gradsmith/gradsmith/gen/cases/leading"
	"github.com/gradsmith/gradsmith/gen/cases/llama"
	"github.com/gradsmith/gradsmith/gen/cases/luong"
	"github.com/gradsmith/gradsmith/gen/cases/mingru"
	"github.com/gradsmith/gradsmith/gen/cases/mixture"
	"github.com/gradsmith/gradsmith/gen/cases/peephole"
	"github.com/gradsmith/gradsmith/gen/cases/qwen"
	"github.com/gradsmith/gradsmith/gen/cases/recompute"
	"github.com/gradsmith/gradsmith/gen/cases/rotary"
	"github.com/gradsmith/gradsmith/gen/cases/scores"
	"github.com/gradsmith/gradsmith/gen/cases/sentence"
	"github.com/gradsmith/gradsmith/gen/cases/stack"
	"github.com/gradsmith/gradsmith/gen/cases/stretched"
	"github.com/gradsmith/gradsmith/gen/cases/t5"
	"github.com/gradsmith/gradsmith/gen/cases/textbookattention"
	"github.com/gradsmith/gradsmith/gen/cases/tied"
	"github.com/gradsmith/gradsmith/gen/cases/tokens"
	vaecase "github.com/gradsmith/gradsmith/gen/cases/vae"
	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/modeltest"
	"github.com/gradsmith/gradsmith/spec"
)

// compiled is a generated model whose gradients can be looked at.
type compiled interface {
	model.LanguageModel
	Gradients(b *model.Batch) (float64, error)
}

// TestCompiled compares the loss, the gradient of every tensor and the next state of compiled packages with the graph
// of the same spec, before any optimization, evaluated in float64: the compiled code's errors are those of float32
// alone.
func TestCompiled(t *testing.T) {
	for _, c := range []struct {
		path string
		m    compiled
	}{
		{"cases/stack/model.yaml", stack.New()},
		{"cases/tied/model.yaml", tied.New()},
		{"cases/before/model.yaml", before.New()},
		{"cases/chain/model.yaml", chain.New()},
		{"cases/cells/model.yaml", cells.New()},
		{"cases/formulacells/model.yaml", formulacells.New()},
		{"cases/gpt/model.yaml", gpt.New()},
		{"cases/rotary/model.yaml", rotary.New()},
		{"cases/bert/model.yaml", bert.New()},
		{"cases/answer/model.yaml", answer.New()},
		{"cases/align/model.yaml", align.New()},
		{"cases/tokens/model.yaml", tokens.New()},
		{"cases/luong/model.yaml", luong.New()},
		{"../generated/rnn/rnn.yaml", rnn.New()},
		{"../generated/lstm/lstm.yaml", lstm.New()},
		{"../generated/gru/gru.yaml", gru.New()},
		{"cases/vae/model.yaml", vaecase.New()},
		{"cases/sentence/model.yaml", sentence.New()},
		{"../generated/vae/vae.yaml", vae.New()},
		{"cases/labelvae/model.yaml", labelvae.New()},
		{"cases/labeltext/model.yaml", labeltext.New()},
		{"cases/leading/model.yaml", leading.New()},
		{"cases/latentgpt/model.yaml", latentgpt.New()},
		{"cases/albert/model.yaml", albert.New()},
		{"cases/attentive/model.yaml", attentive.New()},
		{"cases/gemma/model.yaml", gemma.New()},
		{"cases/gptj/model.yaml", gptj.New()},
		{"cases/llama/model.yaml", llama.New()},
		{"cases/adapter/model.yaml", adapter.New()},
		{"cases/adapted/model.yaml", adapted.New()},
		{"cases/frugal/model.yaml", frugal.New()},
		{"cases/recompute/model.yaml", recompute.New()},
		{"cases/mixture/model.yaml", mixture.New()},
		{"cases/qwen/model.yaml", qwen.New()},
		{"cases/stretched/model.yaml", stretched.New()},
		{"cases/t5/model.yaml", t5.New()},
		{"cases/elman/model.yaml", elman.New()},
		{"cases/gla/model.yaml", gla.New()},
		{"cases/heads/model.yaml", heads.New()},
		{"cases/mingru/model.yaml", mingru.New()},
		{"cases/peephole/model.yaml", peephole.New()},
		{"cases/scores/model.yaml", scores.New()},
		{"cases/textbookattention/model.yaml", textbookattention.New()},
	} {
		t.Run(c.m.Info().Name, func(t *testing.T) {
			t.Parallel()
			m, err := spec.Load(c.path)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := run(m, "grad")
			if err != nil {
				t.Fatal(err)
			}
			// A window shorter and narrower than the capacity, as the last one of a text is.
			sizes := map[string]int{"steps": min(m.Shape.Steps, 7) - 1, "batch": min(m.Shape.Batch, 3)}
			if m.Source != nil {
				sizes["sourceSteps"] = max(1, min(m.Source.Steps, 7)-1)
			}
			compare(t, m, plain.model.Train, c.m, sizes)
		})
	}
}

// Computing blocks again changes no bit of a training, dropout and the optimizer's arrays included, and takes less
// memory.
func TestRecompute(t *testing.T) {
	for _, c := range []struct {
		name, plain   string
		again, before model.LanguageModel
	}{
		{"recompute", "gpt", recompute.New(), gpt.New()},
		{"frugal", "adapter", frugal.New(), adapter.New()},
	} {
		if a, b := modeltest.Bits(c.again), modeltest.Bits(c.before); a != b {
			t.Errorf("%s has other bits than %s", c.name, c.plain)
		}
		var reports [2]*Report
		for i, name := range []string{c.name, c.plain} {
			m, err := spec.Load("cases/" + name + "/model.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if reports[i], err = Inspect(m); err != nil {
				t.Fatal(err)
			}
		}
		again, before := reports[0], reports[1]
		if again.ArenaBytes*3 > before.ArenaBytes*2 || again.TrainFlops <= before.TrainFlops ||
			again.TrainFlops > before.TrainFlops+before.Flops {
			t.Errorf("%s takes %d bytes and %d operations a token, of %d and %d", c.name, again.ArenaBytes,
				again.TrainFlops, before.ArenaBytes, before.TrainFlops)
		}
	}
}

// The cells of the library compute what lstm and gru do, to the bit: losses, gradients and what several training steps
// leave.
func TestCells(t *testing.T) {
	word, formula := cells.New(), formulacells.New()
	theirs, ours := word.Tensors(), formula.Tensors()
	if len(ours) != len(theirs) {
		t.Fatalf("%d tensors by formula, %d otherwise", len(ours), len(theirs))
	}
	for i, ts := range theirs {
		if len(ours[i].Value) != len(ts.Value) {
			t.Fatalf("%s has %d numbers, %s %d", ours[i].Name, len(ours[i].Value), ts.Name, len(ts.Value))
		}
		copy(ours[i].Value, ts.Value)
	}
	info := word.Info()
	for step := range 4 {
		b := &model.Batch{Steps: info.Steps, Batch: info.Batch}
		for i := range b.Steps * b.Batch {
			b.Tokens = append(b.Tokens, int32((i*i+3*step)%info.Vocab))
			b.Targets = append(b.Targets, int32((i*i+5*step+1)%info.Vocab))
			b.Reset = append(b.Reset, int32((i+step)%7/6))
		}
		want, norm, err := word.TrainStep(b, 0.1)
		if err != nil {
			t.Fatal(err)
		}
		got, ourNorm, err := formula.TrainStep(b, 0.1)
		if err != nil {
			t.Fatal(err)
		}
		if got != want || ourNorm != norm {
			t.Errorf("step %d: loss %v and norm %v by formula, %v and %v otherwise", step, got, ourNorm, want, norm)
		}
		for i, ts := range theirs {
			if !slices.Equal(ours[i].Value, ts.Value) {
				t.Errorf("step %d: %s differs from %s", step, ours[i].Name, ts.Name)
			}
		}
		if !slices.Equal(word.State(), formula.State()) {
			t.Errorf("step %d: the states differ", step)
		}
	}
}

func compare(t *testing.T, m *spec.Model, g *graph.Graph, c compiled, sizes map[string]int) {
	plain, err := run(m, "build")
	if err != nil {
		t.Fatal(err)
	}
	in := values(plain.model, g, sizes, 3)
	floats := map[string][]float32{}
	first := &model.Batch{Steps: 1, Batch: 1, Tokens: make([]int32, 1), Targets: make([]int32, 1),
		Reset: make([]int32, 1), SourceSteps: 1, Source: make([]int32, 1)}
	if v := m.Vectors; v != nil {
		first.Vectors = make([]float32, v.Size)
	}
	if m.Labels != nil {
		first.Labels = make([]int32, 1)
	}
	c.Loss(first) // makes the memory of gradients
	for _, ts := range c.Tensors() {
		floats[ts.Name] = ts.Value
	}
	// The compiled model's parameters are the graph's, rounded.
	for _, p := range plain.model.Params {
		x := in[p.Name()]
		names := p.Tensors()
		n := len(x.F) / len(names)
		for l, name := range names {
			for i := range n {
				floats[name][i] = float32(x.F[l*n+i])
				x.F[l*n+i] = float64(floats[name][i])
			}
		}
	}
	state := c.State()
	carried := plain.model.States
	if m.Kind != "rnn" {
		carried = nil // the states are those of a decoder
	}
	for _, s := range carried {
		x := in[s.Name+"0"]
		capacity := s.Shape.Elems().At(map[string]int{"batch": m.Shape.Batch})
		for i := range x.F {
			state[i] = float32(x.F[i])
			x.F[i] = float64(state[i])
		}
		state = state[capacity:]
	}
	info := c.Info()
	mask := func(x []float64, rate float64, stream, index int) {
		ones := make([]float32, len(x))
		for i := range ones {
			ones[i] = 1
		}
		kernel.Dropout(ones, ones, float32(rate), model.Key(info.Seed, uint64(c.Step()), uint64(stream), uint64(index)),
			len(x))
		for i := range x {
			x[i] *= float64(ones[i])
		}
	}
	if l := m.Latent; l != nil { // of the first step
		in["klWeight"].F[0] = l.Beta
		if l.Annealing.Kind != "none" {
			in["klWeight"].F[0] *= l.Annealing.Start
		}
		if x := in["vectors"]; x != nil {
			for i := range x.F {
				x.F[i] = float64(float32(x.F[i]))
			}
		}
	}
	rows := func(stay []float64, rate float64, stream int) {
		ones, out := make([]float32, len(stay)), make([]float32, len(stay))
		for i := range ones {
			ones[i] = 1
		}
		kernel.DropRows(out, ones, float32(rate), model.Key(info.Seed, uint64(c.Step()), uint64(stream), 0), len(stay),
			1)
		for i := range stay {
			stay[i] = float64(out[i])
		}
	}
	want, err := eval.RunRandom(g, in, sizes, eval.Random{Dropout: mask, Normal: noise, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	b := &model.Batch{Steps: sizes["steps"], Batch: sizes["batch"]}
	if x := in["vectors"]; x != nil {
		b.Steps, b.Vectors = 1, make([]float32, len(x.F))
		for i, v := range x.F {
			b.Vectors[i] = float32(v)
		}
	} else {
		b.Tokens, b.Targets, b.Reset = in["tokens"].I, in["targets"].I, make([]int32, len(in["tokens"].I))
	}
	if reset := in["reset"]; reset != nil {
		b.Reset = reset.I
	}
	if source := in["source"]; source != nil {
		b.SourceSteps, b.Source = sizes["sourceSteps"], source.I
	}
	if labels := in[build.LabelsInput]; labels != nil {
		b.Labels = labels.I
	}
	loss, err := c.Gradients(b)
	if err != nil {
		t.Fatal(err)
	}
	if e := math.Abs(loss-want["loss"].F[0]) / want["loss"].F[0]; !(e <= 1e-6) {
		t.Errorf("loss %v, want %v", loss, want["loss"].F[0])
	}
	grads := map[string][]float32{}
	for _, ts := range c.Tensors() {
		grads[ts.Name] = ts.Grad
	}
	worst := 0.0
	check := func(name string, got []float32, want []float64) {
		var diff, norm float64
		for i, w := range want {
			diff += (float64(got[i]) - w) * (float64(got[i]) - w)
			norm += w * w
		}
		e := math.Sqrt(diff) / (math.Sqrt(norm) + 1e-12)
		worst = max(worst, e)
		if !(e <= 1e-5) {
			t.Errorf("%s: relative error %.2g", name, e)
		}
	}
	for _, p := range plain.model.Params {
		d := want["grad:"+p.Name()]
		names := p.Tensors()
		if d == nil { // it does not learn, so that there is none
			for _, name := range names {
				if grads[name] != nil {
					t.Errorf("%s has a gradient", name)
				}
			}
			continue
		}
		w := d.F
		n := len(w) / len(names)
		for l, name := range names {
			check(name, grads[name], w[l*n:(l+1)*n])
		}
	}
	state = c.State()
	for _, s := range carried {
		check("state "+s.Name, state, want["state:"+s.Name].F)
		state = state[s.Shape.Elems().At(map[string]int{"batch": m.Shape.Batch}):]
	}
	t.Logf("largest relative error %.2g over %s", worst, strings.Join([]string{"gradients", "states"}, " and "))
}
