package gen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/cases/labelgan"
	"github.com/gradsmith/gradsmith/gen/cases/labeltext"
	"github.com/gradsmith/gradsmith/gen/cases/labelvae"
	"github.com/gradsmith/gradsmith/gen/cases/tapped"
	"github.com/gradsmith/gradsmith/gen/cases/verses"
	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/generated/transformer"
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/spec"
)

// everySpec calls do for small models of every kind.
func everySpec(t *testing.T, do func(t *testing.T, m *spec.Model)) {
	for name := range specs {
		t.Run(name, func(t *testing.T) { t.Parallel(); do(t, small(t, name, "")) })
	}
	for name := range ganSpecs {
		t.Run("gan-"+name, func(t *testing.T) { t.Parallel(); do(t, smallGAN(t, name)) })
	}
	for name := range textGANs {
		t.Run("gan-text-"+name, func(t *testing.T) { t.Parallel(); do(t, smallTextGAN(t, name)) })
	}
}

// TestTapGradients compares the gradients of passes with taps with central differences of Σ seed∘y, y being what the
// pass gives, with respect to what is added to each value.
func TestTapGradients(t *testing.T) {
	everySpec(t, func(t *testing.T, m *spec.Model) {
		m.Taps = true
		b, err := build.Build(m)
		if err != nil {
			t.Fatal(err)
		}
		sizes := window(m)
		for _, pass := range b.Tapped {
			in := values(b, pass.Graph, sizes, 5)
			run := func() map[string]*graph.Tensor {
				out, err := eval.Run(pass.Graph, in, sizes)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			seed := in[pass.Seed.Name].F
			score := func() float64 {
				sum := 0.0
				for i, y := range run()["tap:"+pass.Taps[len(pass.Taps)-1].Name].F {
					sum += seed[i] * y
				}
				return sum
			}
			got := run()
			r := rand.New(rand.NewPCG(4, 2))
			for _, tap := range pass.Taps {
				if tap.Add == nil {
					continue
				}
				x := in[tap.Add.Name].F
				at := r.Perm(len(x))[:min(len(x), 12)]
				for _, i := range at {
					const eps = 1e-5
					keep := x[i]
					x[i] = keep + eps
					up := score()
					x[i] = keep - eps
					down := score()
					x[i] = keep
					want, d := (up-down)/(2*eps), 0.0
					if tap.Gradient != nil {
						d = got["pull:"+tap.Name].F[i]
					}
					if !(math.Abs(d-want) <= 1e-6*(1+math.Abs(want))) {
						t.Fatalf("%s%s: element %d has the gradient %v, differences give %v", pass.Part, tap.Name, i, d,
							want)
					}
				}
			}
		}
	})
}

// TestTapOptimize compares the passes, optimized, with the plain ones.
func TestTapOptimize(t *testing.T) {
	everySpec(t, func(t *testing.T, m *spec.Model) {
		m.Taps = true
		checkOptimized(t, m)
	})
}

// TestTapsOfModel holds that a pass in which nothing is added gives what the trained model does, by the graph that is
// exported of it.
func TestTapsOfModel(t *testing.T) {
	everySpec(t, func(t *testing.T, m *spec.Model) {
		m.Taps = true
		b, err := build.Build(m)
		if err != nil {
			t.Fatal(err)
		}
		if m.Latent != nil {
			return // which is exported in two parts
		}
		for _, pass := range b.Tapped {
			m.Taps = false
			plain, err := build.Build(m)
			if err != nil {
				t.Fatal(err)
			}
			g, err := plain.Inference(pass.Part)
			if err != nil {
				t.Fatal(err)
			}
			sizes := window(m)
			in := values(b, pass.Graph, sizes, 5)
			for _, tap := range pass.Taps {
				if tap.Add != nil {
					clear(in[tap.Add.Name].F)
				}
			}
			got, err := eval.Run(pass.Graph, in, sizes)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range g.Inputs {
				if v.Role == graph.State {
					in[v.Name] = eval.New(v, sizes)
				} else if in[v.Name] == nil {
					t.Fatalf("the pass %q does not read %s", pass.Part, v.Name)
				}
			}
			want, err := eval.Run(g, in, sizes)
			if err != nil {
				t.Fatal(err)
			}
			var y *graph.Tensor
			for _, name := range []string{"logits", "means", "made", "verdict"} {
				if want[name] != nil {
					y = want[name]
				}
			}
			for i, x := range got["tap:output"].F {
				if !(math.Abs(x-y.F[i]) <= 1e-12*(1+math.Abs(y.F[i]))) {
					t.Fatalf("pass %q: output %d is %v, want %v", pass.Part, i, x, y.F[i])
				}
			}
		}
	})
}

// TestTapPlaces holds that taps say what they are: names are unique, every axis has a name, embeddings and the output
// are there, and so are gates and attention where there are any.
func TestTapPlaces(t *testing.T) {
	everySpec(t, func(t *testing.T, m *spec.Model) {
		m.Taps = true
		b, err := build.Build(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, pass := range b.Tapped {
			seen, kinds := map[string]bool{}, map[string]int{}
			for _, tap := range pass.Taps {
				if seen[tap.Name] || len(tap.Axes) != len(tap.Value.Shape) || tap.Place == "" && tap.Kind != "input" {
					t.Errorf("a tap of pass %q does not say what it is: %+v", pass.Part, tap)
				}
				seen[tap.Name] = true
				kinds[tap.Kind]++
			}
			if kinds["embedding"]+kinds["input"] == 0 || kinds["output"] != 1 {
				t.Errorf("pass %q has taps %v", pass.Part, kinds)
			}
			attends := false
			pass.Graph.Walk(func(g *graph.Graph) {
				for _, n := range g.Nodes {
					attends = attends || n.Op.Name == "attention"
				}
			})
			if attends != (kinds["attention"] > 0 && kinds["heads"] > 0) && kinds["attention"] == 0 {
				t.Errorf("pass %q has attention, and taps %v", pass.Part, kinds)
			}
		}
	})
}

// TestTapped compares the values and the gradients of compiled passes with their graphs, before any optimization,
// evaluated in float64.
func TestTapped(t *testing.T) {
	for _, c := range []struct {
		path string
		m    model.Tapped
	}{
		{"cases/tapped/model.yaml", tapped.New()},
		{"../generated/lstm/lstm.yaml", lstm.New()},
		{"../generated/gptnano/gptnano.yaml", gptnano.New()},
		{"../generated/translate/translate.yaml", translate.New()},
		{"../generated/transformer/transformer.yaml", transformer.New()},
		{"../generated/vae/vae.yaml", vae.New()},
		{"../generated/textvae/textvae.yaml", textvae.New()},
		{"../generated/gan/gan.yaml", gan.New()},
		{"cases/labeltext/model.yaml", labeltext.New()},
		{"cases/labelvae/model.yaml", labelvae.New()},
		{"cases/labelgan/model.yaml", labelgan.New()},
		{"cases/verses/model.yaml", verses.New()},
	} {
		t.Run(c.m.Info().Name, func(t *testing.T) {
			t.Parallel()
			m, err := spec.Load(c.path)
			if err != nil {
				t.Fatal(err)
			}
			if !m.Taps {
				t.Fatal("the spec asks for no taps")
			}
			b, err := build.Build(m)
			if err != nil {
				t.Fatal(err)
			}
			for i, pass := range c.m.Taps() {
				checkTapped(t, m, b, b.Tapped[i], c.m, pass)
			}
		})
	}
}

func checkTapped(t *testing.T, m *spec.Model, b *build.Model, graphs *build.Tapped, c model.Tapped,
	pass *model.Taps) {
	t.Helper()
	sizes := map[string]int{"steps": min(m.Shape.Steps, 7) - 1, "batch": 1}
	if m.Source != nil {
		sizes["sourceSteps"] = max(1, min(m.Source.Steps, 7)-1)
	}
	in := values(b, graphs.Graph, sizes, 3)
	floats := map[string][]float32{}
	for _, ts := range c.Tensors() {
		floats[ts.Name] = ts.Value
	}
	round := func(x []float64) []float32 {
		y := make([]float32, len(x))
		for i, v := range x {
			y[i] = float32(v)
			x[i] = float64(y[i])
		}
		return y
	}
	for _, p := range b.Params {
		x := in[p.Name()]
		if x == nil {
			continue
		}
		rounded := round(x.F)
		names := p.Tensors()
		n := len(rounded) / len(names)
		for l, name := range names {
			copy(floats[name], rounded[l*n:(l+1)*n])
			if average := floats["average."+name]; average != nil {
				copy(average, rounded[l*n:(l+1)*n])
			}
		}
	}
	batch := &model.Batch{Steps: sizes["steps"], Batch: 1, SourceSteps: sizes["sourceSteps"]}
	n := batch.Steps
	batch.Tokens, batch.Targets, batch.Reset = make([]int32, n), make([]int32, n), make([]int32, n)
	for name, to := range map[string]*[]int32{"tokens": &batch.Tokens, "targets": &batch.Targets,
		"source": &batch.Source, build.LabelsInput: &batch.Labels} {
		if x := in[name]; x != nil {
			*to = x.I
		}
	}
	if pass.Part == "discriminator" { // whose lines have no tokens that are missing
		for i, token := range batch.Targets {
			batch.Targets[i] = max(0, token)
		}
	}
	if x := in["vectors"]; x != nil {
		batch.Steps, batch.Vectors = 1, round(x.F)
	}
	if x := in["noise"]; x != nil {
		batch.Steps, batch.Noise = 1, round(x.F)
	}
	listed, err := pass.Run(batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, tap := range graphs.Taps {
		if tap.Add != nil {
			copy(listed[i].Add, round(in[tap.Add.Name].F))
		}
	}
	seed := round(in[graphs.Seed.Name].F)
	want, err := eval.Run(graphs.Graph, in, sizes)
	if err != nil {
		t.Fatal(err)
	}
	if listed, err = pass.Run(batch); err != nil {
		t.Fatal(err)
	}
	if err := pass.Pull(batch, seed); err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	check := func(name string, got []float32, want []float64) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s has %d elements, want %d", name, len(got), len(want))
		}
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
	for i, tap := range graphs.Taps {
		if listed[i].Name != tap.Name {
			t.Fatalf("tap %d is %s, want %s", i, listed[i].Name, tap.Name)
		}
		if size := product(listed[i].Shape); size != len(listed[i].Value) {
			t.Errorf("%s has %d elements and the shape %v", tap.Name, len(listed[i].Value), listed[i].Shape)
		}
		check(tap.Name, listed[i].Value, want["tap:"+tap.Name].F)
		if tap.Gradient != nil {
			check("the gradient of "+tap.Name, listed[i].Gradient, want["pull:"+tap.Name].F)
		}
	}
	t.Logf("pass %q: largest relative error %.2g over %d values", graphs.Part, worst, len(graphs.Taps))
	if err := pass.Pull(batch, seed[1:]); err == nil {
		t.Error("a seed that is too short is taken")
	}
	two := *batch
	two.Batch, two.Tokens = 2, slices.Repeat(batch.Tokens, 2)
	if _, err := pass.Run(&two); err == nil {
		t.Error("two sequences are taken")
	}
}

func product(shape []int) int {
	n := 1
	for _, x := range shape {
		n *= x
	}
	return n
}

// A package without taps is byte for byte what it is without the key.
func TestTapsOff(t *testing.T) {
	src := func(more string) string {
		return "kind: rnn\nname: off\ntokenizer: bytes\nlayers: [embedding: {size: 3}, lstm: {units: 4}, dense]\n" + more
	}
	var all [2]string
	for i, more := range []string{"#taps: false\n", "taps: false\n"} {
		m, err := spec.Parse("off.yaml", []byte(src(more)), nil)
		if err != nil {
			t.Fatal(err)
		}
		m.Digest = ""
		files, err := Generate(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.Name == "explain.go" {
				t.Error("there is an explain.go")
			}
			all[i] += fmt.Sprintf("%s\n%s\n", f.Name, f.Data)
		}
	}
	if all[0] != all[1] {
		t.Error("the key changes the package")
	}
}
