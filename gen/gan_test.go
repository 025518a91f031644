package gen

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/cases/labelgan"
	"github.com/gradsmith/gradsmith/gen/cases/spectral"
	"github.com/gradsmith/gradsmith/gen/cases/wgan"
	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/modeltest"
	"github.com/gradsmith/gradsmith/spec"
)

// ganSpecs are small pairs of networks that together use every word of kind gan.
var ganSpecs = map[string]string{
	"minimax": `{generator: [{dense: {units: 5, activation: relu}}, {dense: {activation: tanh}}],
discriminator: [{dense: {units: 6, activation: leaky_relu}}, {dense: {units: 4, activation: {leaky_relu: 0.1}}}, dense], loss: minimax}`,
	"non-saturating-r1": `{generator: [{dense: {units: 5, activation: tanh}}, layernorm, {dense: {activation: sigmoid}}],
discriminator: [{dense: {units: 6, activation: leaky_relu}}, {dense: {units: 4, activation: relu}}, dense],
loss: {non_saturating: {label_smoothing: 0.1}}, gradient_penalty: {r1: 3}}`,
	"least-squares": `{generator: [{dense: {units: 5, activation: leaky_relu}}, dense], discriminator: [{dense: {units: 6, activation: tanh}}, dense],
loss: {least_squares: 0.2}, feature_matching: 2}`,
	"hinge-spectral": `{generator: [{dense: {units: 5, activation: relu}}, dense],
discriminator: [{dense: {units: 6, activation: leaky_relu, spectral_norm: true}}, {dense: {units: 4, activation: relu, spectral_norm: true}}, {dense: {spectral_norm: true, bias: false}}], loss: hinge}`,
	"wasserstein-gp": `{generator: [{dense: {units: 5, activation: relu}}, dense],
discriminator: [{dense: {units: 6, activation: leaky_relu}}, {dense: {units: 4, activation: leaky_relu}}, dense],
loss: wasserstein, gradient_penalty: wgan_gp, critic_steps: 3}`,
	"smooth-gp": `{generator: [{dense: {units: 5, activation: relu}}, dense],
discriminator: [{dense: {units: 6, activation: tanh}}, {dense: {units: 4, activation: sigmoid}}, dense], gradient_penalty: wgan_gp}`,
	"gelu-gp": `{generator: [{dense: {units: 5, activation: gelu}}, dense],
discriminator: [{dense: {units: 6, activation: gelu}}, {dense: {units: 4, activation: gelu}}, dense], gradient_penalty: wgan_gp}`,
	"smooth-r1-spectral": `{generator: [dense],
discriminator: [{dense: {units: 6, activation: sigmoid, spectral_norm: true}}, {dense: {units: 4, activation: tanh, spectral_norm: true}}, {dense: {spectral_norm: true}}],
loss: wasserstein, gradient_penalty: r1}`,
	"relativistic": `{generator: [{dense: {units: 5, activation: relu}}, dense],
discriminator: [{dense: {units: 6, activation: leaky_relu}}, {dropout: {rate: 0.2}}, dense], loss: relativistic, feature_matching: 1, gradient_penalty: wgan_gp, ema: 0.9}`,
	"labels": `{labels: {count: 4, size: 2}, generator: [{dense: {units: 5, activation: relu}}, dense],
discriminator: [{dense: {units: 6, activation: tanh, spectral_norm: true}}, {dense: {units: 4, activation: sigmoid}}, dense], gradient_penalty: wgan_gp, feature_matching: 1}`,
	"labels-r1": `{labels: {count: 3, size: 3}, generator: [dense], discriminator: [{dense: {units: 6, activation: tanh}}, dense], gradient_penalty: r1, loss: relativistic, ema: 0.9}`,
	"line":      `{generator: [dense], discriminator: [dense], gradient_penalty: r1}`,
}

func smallGAN(t testing.TB, name string) *spec.Model {
	t.Helper()
	src := "{name: small, kind: gan, vectors: 3, noise: 2, shape: {batch: 4}, " + ganSpecs[name][1:]
	m, err := spec.Parse("small.yaml", []byte(src), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return m
}

// settle runs the power iteration of spectral norms until it stands: there the estimate of the singular value does not
// change with its vectors, which gradients take for constants.
func settle(t *testing.T) func(*build.Model, map[string]*graph.Tensor) {
	return func(m *build.Model, in map[string]*graph.Tensor) {
		sizes := map[string]int{"steps": 4, "batch": 3}
		all := values(m, m.Discriminate, sizes, 1)
		for name, x := range in {
			all[name] = x
		}
		settleIn(t, m, all, sizes)
	}
}

func settleIn(t *testing.T, m *build.Model, in map[string]*graph.Tensor, sizes map[string]int) {
	t.Helper()
	for range 2000 {
		out, err := eval.Run(m.Discriminate, in, sizes)
		if err != nil {
			t.Fatal(err)
		}
		kept := false
		for _, p := range m.Params {
			if u := out["keep:"+p.Name()]; u != nil {
				copy(in[p.Name()].F, u.F)
				kept = true
			}
		}
		if !kept {
			return
		}
	}
}

// TestGANGradients compares the gradients of both steps with central differences: with a penalty, that of the
// discriminator is a gradient of a gradient.
func TestGANGradients(t *testing.T) {
	for name := range ganSpecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := smallGAN(t, name)
			checkGradients(t, m, func(m *build.Model) *graph.Graph { return m.Discriminate }, settle(t))
			checkGradients(t, m, func(m *build.Model) *graph.Graph { return m.Train }, settle(t))
		})
	}
}

// TestGANOptimize compares the outputs of the optimized graphs with the plain ones'.
func TestGANOptimize(t *testing.T) {
	for name := range ganSpecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkOptimized(t, smallGAN(t, name))
		})
	}
}

// TestGANGenerator holds that the generator's step computes no gradient of the discriminator's parameters.
func TestGANGenerator(t *testing.T) {
	for name := range ganSpecs {
		c, err := run(smallGAN(t, name), "optimize")
		if err != nil {
			t.Fatal(err)
		}
		judged := map[string]bool{}
		for _, p := range c.model.Params {
			judged[p.Scope] = p.Discriminator
		}
		for _, n := range c.model.Train.Nodes {
			if n.Phase == graph.Backward && judged[n.Scope] && (n.Op.Name == "sum_rows" || n.Attrs.Bool("ta")) {
				t.Errorf("%s: the generator's step computes %s", name, n.Outs[0])
			}
		}
	}
}

// TestGANCompiled compares the losses and the gradients of compiled pairs with the graphs of the same specs, before
// any optimization, evaluated in float64.
func TestGANCompiled(t *testing.T) {
	for _, c := range []struct {
		path string
		m    modeltest.Adversaries
	}{
		{"cases/wgan/model.yaml", wgan.New()},
		{"cases/spectral/model.yaml", spectral.New()},
		{"cases/labelgan/model.yaml", labelgan.New()},
		{"../generated/gan/gan.yaml", gan.New()},
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
			info := c.m.Info()
			dropout := func(x []float64, rate float64, stream, index int) {
				ones := make([]float32, len(x))
				for i := range ones {
					ones[i] = 1
				}
				kernel.Dropout(ones, ones, float32(rate), model.Key(info.Seed, 0, uint64(stream), uint64(index)),
					len(x))
				for i := range x {
					x[i] *= float64(ones[i])
				}
			}
			sizes := map[string]int{"batch": 3} // below the capacity
			for _, side := range []struct {
				g     *graph.Graph
				grads func(*model.Batch) (float64, error)
			}{{plain.model.Discriminate, c.m.DiscriminatorGradients}, {plain.model.Train, c.m.GeneratorGradients}} {
				in := values(plain.model, side.g, sizes, 3)
				round := func(x []float64) []float32 {
					y := make([]float32, len(x))
					for i := range x {
						y[i] = float32(x[i])
						x[i] = float64(y[i])
					}
					return y
				}
				tensors := map[string]model.Tensor{}
				// makes the memory of gradients
				side.grads(&model.Batch{Batch: 1, Vectors: make([]float32, info.Vector.Width),
					Noise: make([]float32, info.Adversary.Noise), Mix: []float32{0}, Labels: []int32{0}})
				for _, ts := range c.m.Tensors() {
					tensors[ts.Name] = ts
				}
				b := &model.Batch{Batch: sizes["batch"]}
				for name, x := range in {
					switch name {
					case "vectors":
						b.Vectors = round(x.F)
					case "noise":
						b.Noise = round(x.F)
					case build.LabelsInput:
						b.Labels = x.I
					case "mix":
						for i := range x.F {
							x.F[i] = math.Abs(math.Sin(x.F[i]))
						}
						b.Mix = round(x.F)
					default:
						copy(tensors[name].Value, round(x.F))
					}
				}
				want, err := eval.RunRandom(side.g, in, sizes, eval.Random{Dropout: dropout})
				if err != nil {
					t.Fatal(err)
				}
				loss, err := side.grads(b)
				if err != nil {
					t.Fatal(err)
				}
				if w := want["loss"].F[0]; !(math.Abs(loss-w) <= 2e-6*(1+math.Abs(w))) {
					t.Errorf("%s: loss %v, want %v", side.g.Name, loss, w)
				}
				for _, v := range plain.model.Learns(side.g) {
					w := want["grad:"+v.Name].F
					var diff, norm float64
					for i, g := range tensors[v.Name].Grad {
						diff += (float64(g) - w[i]) * (float64(g) - w[i])
						norm += w[i] * w[i]
					}
					if e := math.Sqrt(diff) / (math.Sqrt(norm) + 1e-6); !(e <= 1e-5) {
						t.Errorf("%s: relative error %.2g of %s", side.g.Name, e, v.Name)
					}
				}
			}
		})
	}
}

// goldenStep is what PyTorch computed of a step: the loss, and of each gradient its norm, its product with numbers of
// its own, and some elements.
type goldenStep struct {
	Loss    float64
	Tensors []struct {
		Name      string
		Norm, Dot float64
		At        []int
		Values    []float64
	}
}

// goldenNumbers are n of a stream, from -scale to scale.
func goldenNumbers(stream uint64, n int, scale float32) []float64 {
	x := make([]float64, n)
	for i := range x {
		u := float32(model.Key(stream, uint64(i))>>40) / (1 << 24)
		x[i] = float64((u*2 - 1) * scale)
	}
	return x
}

// check compares outputs of a graph with the step, which trains so many tensors; stream numbers these.
func (s goldenStep) check(t *testing.T, name string, got map[string]*graph.Tensor, stream map[string]uint64,
	tensors int) {
	t.Helper()
	if e := math.Abs(got["loss"].F[0] - s.Loss); !(e <= 1e-7) {
		t.Errorf("%s: loss %v, PyTorch's is %v", name, got["loss"].F[0], s.Loss)
	}
	if len(s.Tensors) != tensors {
		t.Fatalf("%s: PyTorch has %d tensors", name, len(s.Tensors))
	}
	for _, w := range s.Tensors {
		g := got["grad:"+w.Name].F
		var square, dot float64
		for j, v := range goldenNumbers(200+stream[w.Name], len(g), 1) {
			square += g[j] * g[j]
			dot += g[j] * v
		}
		errs := []float64{math.Abs(math.Sqrt(square) - w.Norm), math.Abs(dot - w.Dot)}
		for k, at := range w.At {
			errs = append(errs, math.Abs(g[at]-w.Values[k]))
		}
		for _, e := range errs {
			if !(e <= 1e-7*(1+w.Norm)) {
				t.Errorf("%s: %s is %.2g away from PyTorch's, whose norm is %.3g", name, w.Name, e, w.Norm)
			}
		}
	}
}

// TestGANPyTorch compares the losses and gradients of small pairs, one for every loss and penalty, in float64 with
// those that PyTorch computes from the same weights and noise: testdata/pytorch_golden.py of the generated packages
// has both formulas.
func TestGANPyTorch(t *testing.T) {
	data, err := os.ReadFile("../generated/testdata/pytorch_golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Adversaries map[string]struct{ Discriminator, Generator goldenStep }
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]string{
		"minimax":       "loss: {minimax: 0.1}",
		"least_squares": "loss: least_squares, feature_matching: 2",
		"hinge":         "loss: hinge",
		"wasserstein":   "loss: wasserstein, gradient_penalty: wgan_gp",
		"relativistic":  "loss: relativistic, gradient_penalty: r1",
		"spectral":      "gradient_penalty: wgan_gp",
	} {
		t.Run(name, func(t *testing.T) {
			norm := name == "hinge" || name == "spectral"
			src := fmt.Sprintf(`{name: small, kind: gan, vectors: 3, noise: 2, shape: {batch: 5}, generator: [{dense: {name: g1, units: 6, activation: relu}},
{dense: {name: g2, units: 6, activation: relu}}, {dense: {name: made, activation: tanh}}], discriminator: [
{dense: {name: d1, units: 6, activation: leaky_relu, spectral_norm: %[1]t}}, {dense: {name: d2, units: 6, activation: leaky_relu, spectral_norm: %[1]t}},
{dense: {name: verdict, spectral_norm: %[1]t}}], %[2]s}`, norm, options)
			m, err := spec.Parse("small.yaml", []byte(src), nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := run(m, "grad")
			if err != nil {
				t.Fatal(err)
			}
			forward, err := build.Build(m)
			if err != nil {
				t.Fatal(err)
			}
			sizes := map[string]int{"batch": 5}
			stream := map[string]uint64{}
			for i, layer := range []string{"g1", "g2", "made", "d1", "d2", "verdict"} {
				stream[layer+".w"], stream[layer+".b"] = uint64(2*i), uint64(2*i+1)
			}
			want := golden.Adversaries[name]
			for _, side := range []struct {
				g    *graph.Graph
				want goldenStep
			}{{c.model.Discriminate, want.Discriminator}, {c.model.Train, want.Generator}} {
				in := values(c.model, c.model.Discriminate, sizes, 1)
				for name, x := range in {
					switch i, learnt := stream[name]; {
					case learnt:
						copy(x.F, goldenNumbers(100+i, len(x.F), 0.5))
					case name == "vectors":
						copy(x.F, goldenNumbers(1, len(x.F), 1))
					case name == "noise":
						copy(x.F, goldenNumbers(2, len(x.F), 1))
					case name == "mix":
						copy(x.F, goldenNumbers(3, len(x.F), 0.5))
						for i := range x.F {
							x.F[i] += 0.5
						}
					}
				}
				if norm {
					settleIn(t, forward, in, sizes)
				}
				got, err := eval.Run(side.g, in, sizes)
				if err != nil {
					t.Fatal(err)
				}
				side.want.check(t, side.g.Name, got, stream, 6)
			}
		})
	}
}

// TestGANTwice holds that generating is a function of the spec, for every word of the kind, and that deep networks
// come out in functions that a person can read.
func TestGANTwice(t *testing.T) {
	ganSpecs := maps.Clone(ganSpecs)
	hidden := strings.Repeat("{dense: {units: 5, activation: leaky_relu, spectral_norm: true}}, ", 9)
	ganSpecs["deep"] = "{generator: [" + strings.ReplaceAll(hidden, ", spectral_norm: true",
		"") + "dense], discriminator: [" + hidden + "dense], gradient_penalty: wgan_gp}"
	for name := range ganSpecs {
		src := "{name: small, kind: gan, vectors: 3, noise: 2, shape: {batch: 4}, " + ganSpecs[name][1:]
		var first []File
		for range 3 {
			m, err := spec.Parse("small.yaml", []byte(src), nil)
			if err != nil {
				t.Fatal(err)
			}
			files, err := Generate(m)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for i, f := range files {
				if first != nil && (f.Name != first[i].Name || string(f.Data) != string(first[i].Data)) {
					t.Errorf("%s: %s differs from one run to the next", name, f.Name)
				}
				lines := 0
				for line := range strings.Lines(string(f.Data)) {
					if lines++; strings.HasPrefix(line, "func ") {
						lines = 0
						// the layout of an arena is a list
					} else if f.Name != "model.go" && strings.HasPrefix(line, "}") && lines > 120 {
						t.Errorf("%s: %s has a function of %d lines", name, f.Name, lines)
					}
				}
			}
			first = files
		}
	}
}

// TestSecondDerivatives holds the gradient of a gradient penalty through each function that formulas have to central
// differences: what such a loss is made of are derivatives of derivatives.
func TestSecondDerivatives(t *testing.T) {
	for _, f := range []string{"tanh(%s)", "σ(%s)", "relu(%s)", "exp(%s)", "log(1 + (%s)²)", "√(1 + (%s)²)",
		"softplus(%s)", "gelu(%s)", "silu(%s)", "relu2(%s)", "erf(%s)", "softmax(%s)", "(%[1]s/(2 + (%[1]s)²))", "%s"} {
		t.Run(f, func(t *testing.T) {
			t.Parallel()
			m, err := spec.Parse("model.yaml", []byte(`
kind: gan
shape: {batch: 3}
vectors: {size: 5}
gradient_penalty: wgan_gp
define:
  f:
    parameters: [W, V]
    sizes: {p: 6, y: 4}
    formula: |
      p = W·x
      y = V·`+fmt.Sprintf(f, "(p)")+`
discriminator:
  - f
  - dense
generator:
  - dense
`), nil)
			if err != nil {
				t.Fatal(err)
			}
			checkGradients(t, m, func(m *build.Model) *graph.Graph { return m.Discriminate }, nil)
		})
	}
}
