package gen

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/cases/causalgan"
	"github.com/gradsmith/gradsmith/gen/cases/pooledgan"
	"github.com/gradsmith/gradsmith/gen/cases/relaxed"
	"github.com/gradsmith/gradsmith/gen/cases/verses"
	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/modeltest"
	"github.com/gradsmith/gradsmith/spec"
)

// textGANs are small adversarial networks of text that together use every word of their language.
var textGANs = map[string]string{
	"rollouts": `generator: [{embedding: {size: 3}}, {lstm: {units: 4}}, dense],
discriminator: [{embedding: {size: 3}}, {conv1d: {widths: [1, 2, 4], filters: 2}}, max_pool, highway, {dense: {units: 3, activation: tanh}}, dense]`,
	"tokens": `generator: [{embedding: {size: 3}}, {gru: {units: 4, layers: 2, dropout: 0.2}}, {dropout: {rate: 0.1}}, layernorm, {dense: {units: 5, activation: tanh}}, dense],
discriminator: [{embedding: {size: 3}}, {gru: {units: 3, layers: 2}}, layernorm, {dropout: {rate: 0.1}}, dense], estimator: {policy_gradient: {rewards: tokens, discount: 0.9}}, loss: {minimax: 0.1}`,
	"gumbel": `generator: [{embedding: {size: 3}}, {lstm: {units: 4, layers: 2}}, layernorm, {dense: {units: 5, activation: tanh}}, dense],
discriminator: [{embedding: {size: 3}}, {lstm: {units: 3, bidirectional: true, layers: 2}}, max_pool, dense], estimator: gumbel_softmax, loss: relativistic`,
	"gumbel-windows": `generator: [{embedding: {size: 3}}, {gru: {units: 4, reset: before}}, dense],
discriminator: [{embedding: {size: 3}}, {conv1d: {widths: [2, 3], filters: 3, activation: {leaky_relu: 0.1}}}, {conv1d: {widths: [2], filters: 4, activation: sigmoid}}, max_pool, {highway: {gate_bias: 0}}, dense],
estimator: {gumbel_softmax: {start: 0.8, end: 0.5}}, loss: hinge`,
	"gumbel-tokens": `generator: [{embedding: {size: 3}}, {rnn: {units: 4}}, dense], discriminator: [{embedding: {size: 3}}, {rnn: {units: 3}}, {dense: {units: 4, activation: relu, spectral_norm: true}}, dense],
estimator: gumbel_softmax, loss: least_squares`,
	"gumbel-transformer": `generator: [{embedding: {size: 3}}, {rnn: {units: 4}}, dense],
discriminator: [{embedding: {size: 4}}, positions, {transformer: {layers: 2, heads: 2, hidden: 5, dropout: 0.1, attention_dropout: 0.2}}, layernorm, max_pool, dense],
estimator: gumbel_softmax, loss: relativistic`,
	"rotary-transformer": `generator: [{embedding: {size: 3}}, {rnn: {units: 4}}, dense],
discriminator: [{embedding: {size: 4}}, {transformer: {heads: 2, kv_heads: 1, rotary: true, activation: swiglu, norm: rmsnorm, norm_at: post}}, {transformer: {heads: 1, alibi: true, layers: 2, bias: false}}, dense],
estimator: {gumbel_softmax: {start: 0.8, end: 0.5}}, loss: hinge`,
	"tokens-transformer": `generator: [{embedding: {size: 3}}, {lstm: {units: 4}}, dense],
discriminator: [{embedding: {size: 4}}, {positions: sinusoidal}, {transformer: {layers: 2, heads: 2, window: 3}}, {transformer: {heads: 1, dropout: 0.1}}, layernorm, dense], estimator: {policy_gradient: tokens}`,
	"straight-through": `generator: [{embedding: {size: 3}}, {lstm: {units: 4}}, dense], discriminator: [{embedding: {size: 3}}, {gru: {units: 3}}, max_pool, dense],
estimator: {gumbel_softmax: {straight_through: true}}, loss: wasserstein`,
}

func smallTextGAN(t testing.TB, name string) *spec.Model {
	t.Helper()
	src := "{name: small, kind: gan, tokenizer: {numbers: 7}, shape: {batch: 4, steps: 5}, " + textGANs[name] + "}"
	m, err := spec.Parse("small.yaml", []byte(src), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return m
}

// TestTextGANGradients compares the gradients of all steps with central differences: through the discriminator, the
// relaxed tokens and the loop that writes them. A step whose tokens are not relaxed has a gradient that is not its
// loss's, on purpose.
func TestTextGANGradients(t *testing.T) {
	for name := range textGANs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := smallTextGAN(t, name)
			checkGradients(t, m, func(m *build.Model) *graph.Graph { return m.Train }, nil)
			checkGradients(t, m, func(m *build.Model) *graph.Graph { return m.Discriminate }, settle(t))
			if x := m.GAN.Text; x.Estimator == "gumbel_softmax" && !x.Hard {
				checkGradients(t, m, func(m *build.Model) *graph.Graph { return m.Relax }, settle(t))
			}
		})
	}
}

// TestTextGANStraightThrough holds what straight-through means: the step's gradient is that of the relaxed tokens at
// the discriminator's slope where it read the likeliest ones, so that it is not zero, and the loss is that of tokens:
// it does not change with the temperature.
func TestTextGANStraightThrough(t *testing.T) {
	c, err := run(smallTextGAN(t, "straight-through"), "grad")
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{"steps": 4, "batch": 3}
	in := values(c.model, c.model.Relax, sizes, 1)
	var losses []float64
	for _, beta := range []float64{0.5, 2} {
		in["inverseTemperature"].F[0] = beta
		out, err := eval.RunRandom(c.model.Relax, in, sizes, random)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, out["loss"].F[0])
		for _, v := range c.model.Learns(c.model.Relax) {
			norm := 0.0
			for _, x := range out["grad:"+v.Name].F {
				norm += x * x
			}
			if norm == 0 {
				t.Errorf("the gradient of %s is zero", v.Name)
			}
		}
	}
	if losses[0] != losses[1] {
		t.Errorf("at inverse temperatures of 0.5 and 2 the losses are %v", losses)
	}
}

// TestTextGANSight holds that a verdict on each token is one on the line up to there, and that a verdict on a line is
// one on all of it.
func TestTextGANSight(t *testing.T) {
	for _, name := range []string{"tokens", "tokens-transformer", "gumbel-transformer"} {
		c, err := run(smallTextGAN(t, name), "build")
		if err != nil {
			t.Fatal(err)
		}
		sizes := map[string]int{"steps": 5, "batch": 2}
		in := values(c.model, c.model.Judge, sizes, 1)
		verdicts := func() []float64 {
			out, err := eval.Run(c.model.Judge, in, sizes)
			if err != nil {
				t.Fatal(err)
			}
			return out["verdict"].F
		}
		before := verdicts()
		targets := in["targets"].I
		last := len(targets) - 2 // the last token of the first line
		targets[last] = (targets[last] + 1) % 7
		after := verdicts()
		for i := range before {
			same := before[i] == after[i]
			wantSame := len(before) == len(targets) && i != last || len(before) == 2 && i != 0
			if same != wantSame {
				t.Errorf("%s: with another last token of line 0 verdict %d of %d has changed: %t", name, i, len(before),
					!same)
			}
		}
	}
}

// TestTextGANOptimize compares the outputs of the optimized graphs with the plain ones'.
func TestTextGANOptimize(t *testing.T) {
	for name := range textGANs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkOptimized(t, smallTextGAN(t, name))
		})
	}
}

// TestTextGANSides holds that no step computes gradients of the other network.
func TestTextGANSides(t *testing.T) {
	for name := range textGANs {
		c, err := run(smallTextGAN(t, name), "optimize")
		if err != nil {
			t.Fatal(err)
		}
		judged := map[string]bool{}
		for _, p := range c.model.Params {
			judged[p.Name()] = p.Discriminator
		}
		for _, g := range c.model.Trained() {
			for _, target := range g.Targets {
				if target.Ends == graph.Grad && judged[target.ID.String()] != (g == c.model.Discriminate) {
					t.Errorf("%s: the step %s has a gradient of %s", name, g.Name, target.ID)
				}
			}
		}
	}
}

// TestTextGANCompiled compares the losses and gradients of compiled networks with the graphs of the same specs, before
// any optimization, evaluated in float64.
func TestTextGANCompiled(t *testing.T) {
	soft, pooled := relaxed.New(), pooledgan.New()
	hard, causal := verses.New(), causalgan.New()
	for _, c := range []struct {
		path  string
		m     modeltest.Imitation
		relax func(*model.Batch) (float64, error)
	}{
		{"cases/relaxed/model.yaml", soft, soft.RelaxedGradients},
		{"cases/pooledgan/model.yaml", pooled, pooled.RelaxedGradients},
		{"cases/verses/model.yaml", hard, nil}, {"cases/causalgan/model.yaml", causal, nil},
	} {
		t.Run(c.m.Info().Name, func(t *testing.T) {
			m, err := spec.Load(c.path)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := run(m, "grad")
			if err != nil {
				t.Fatal(err)
			}
			info := c.m.Info()
			drawn := eval.Random{Gumbel: gumbel, Dropout: func(x []float64, rate float64, stream, index int) {
				ones := make([]float32, len(x))
				for i := range ones {
					ones[i] = 1
				}
				kernel.Dropout(ones, ones, float32(rate), model.Key(info.Seed, 0, uint64(stream), uint64(index)),
					len(x))
				for i := range x {
					x[i] *= float64(ones[i])
				}
			}}
			sizes := map[string]int{"steps": 4, "batch": 3} // below the capacity
			n := sizes["steps"] * sizes["batch"]
			for _, side := range []struct {
				g     *graph.Graph
				grads func(*model.Batch) (float64, error)
			}{{plain.model.Train, c.m.Gradients}, {plain.model.Discriminate, c.m.DiscriminatorGradients},
				{plain.model.Relax, c.relax}} {
				if side.g == nil {
					continue
				}
				in := values(plain.model, side.g, sizes, 3)
				round := func(x []float64) []float32 {
					y := make([]float32, len(x))
					for i := range x {
						y[i] = float32(x[i])
						x[i] = float64(y[i])
					}
					return y
				}
				b := &model.Batch{Steps: sizes["steps"], Batch: sizes["batch"], Tokens: make([]int32, n),
					Targets: make([]int32, n), Reset: make([]int32, n)}
				c.m.Loss(b) // makes the memory of gradients
				clear(c.m.State())
				tensors := map[string]model.Tensor{}
				for _, ts := range c.m.Tensors() {
					tensors[ts.Name] = ts
				}
				for name, x := range in {
					switch name {
					case "tokens":
						b.Tokens = x.I
					case "targets":
						b.Targets = x.I
					case "made":
						b.Made = x.I
					case "reset":
						b.Reset = x.I
					case "weights":
						b.Weights = round(x.F)
					case "inverseTemperature":
						x.F[0] = 1 // of a model that has made no step yet
					default:
						if strings.HasSuffix(name, "0") { // states
							clear(x.F)
							continue
						}
						for _, p := range plain.model.Params {
							if p.Name() != name {
								continue
							}
							values := round(x.F)
							for _, layer := range p.Tensors() {
								values = values[copy(tensors[layer].Value, values):]
							}
						}
					}
				}
				want, err := eval.RunRandom(side.g, in, sizes, drawn)
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
				for _, p := range plain.model.Params {
					d := want["grad:"+p.Name()]
					if d == nil {
						continue
					}
					var diff, norm float64
					rest := d.F
					for _, layer := range p.Tensors() {
						grad := tensors[layer].Grad
						for i, g := range grad {
							diff += (float64(g) - rest[i]) * (float64(g) - rest[i])
							norm += rest[i] * rest[i]
						}
						rest = rest[len(grad):]
					}
					if e := math.Sqrt(diff) / (math.Sqrt(norm) + 1e-6); !(e <= 1e-5) {
						t.Errorf("%s: relative error %.2g of %s", side.g.Name, e, p.Name())
					}
				}
			}
		})
	}
}

// TestTextGANPyTorch compares the losses and gradients of all steps of small networks of text in float64 with those
// that PyTorch computes from the same weights, tokens and noise: testdata/pytorch_golden.py of the generated packages
// has the formulas.
func TestTextGANPyTorch(t *testing.T) {
	data, err := os.ReadFile("../generated/testdata/pytorch_golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Imitators map[string]struct{ Text, Discriminator, Relaxed goldenStep }
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]string{"policy": "",
		"relaxed": "estimator: gumbel_softmax, loss: relativistic,"} {
		t.Run(name, func(t *testing.T) {
			src := "{name: small, kind: gan, tokenizer: {numbers: 7}, shape: {batch: 4, steps: 5}, " + options + `
generator: [{embedding: {name: tokens, size: 3}}, {lstm: {name: write, units: 4}}, {dense: {name: out}}],
discriminator: [{embedding: {name: words, size: 3}}, {conv1d: {name: filters, widths: [1, 2], filters: 2}}, {max_pool: {name: top}}, {highway: {name: way}}, {dense: {name: verdict}}]}`
			m, err := spec.Parse("small.yaml", []byte(src), nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := run(m, "grad")
			if err != nil {
				t.Fatal(err)
			}
			sizes := map[string]int{"steps": 5, "batch": 4}
			stream := map[string]uint64{}
			for i, p := range c.model.Params {
				stream[p.Name()] = uint64(i)
			}
			want := golden.Imitators[name]
			for _, side := range []struct {
				g    *graph.Graph
				want goldenStep
				of   int // parameters that the step trains
			}{{c.model.Train, want.Text, 6}, {c.model.Discriminate, want.Discriminator, 11},
				{c.model.Relax, want.Relaxed, 6}} {
				if side.g == nil {
					continue
				}
				in := values(c.model, side.g, sizes, 1)
				for name, x := range in {
					switch i, learnt := stream[name]; {
					case learnt:
						copy(x.F, goldenNumbers(100+i, len(x.F), 0.5))
					case name == "tokens", name == "targets", name == "made":
						of := map[string]uint64{"tokens": 1, "targets": 2, "made": 3}[name]
						for i := range x.I {
							x.I[i] = int32(model.Key(of, uint64(i)) % 7)
						}
					case name == "weights":
						copy(x.F, goldenNumbers(4, len(x.F), 1))
					case name == "reset":
						clear(x.I)
					case name != "inverseTemperature": // the state
						clear(x.F)
					}
				}
				got, err := eval.RunRandom(side.g, in, sizes,
					eval.Random{Gumbel: func(x []float64, _,
						at int) {
						copy(x, goldenNumbers(10+uint64(at), len(x), 2))
					}})
				if err != nil {
					t.Fatal(err)
				}
				side.want.check(t, side.g.Name, got, stream, side.of)
			}
		})
	}
}
