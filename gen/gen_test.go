package gen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/optimize"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/spec"
)

// specs are small models that together use every word of the language.
var specs = map[string]string{
	"rnn-tanh":        `[{embedding: {size: 3}}, {rnn: {units: 4}}, {dense: {}}]`,
	"rnn-relu":        `[{embedding: {size: 3}}, {rnn: {units: 4, activation: relu}}, {dense: {}}]`,
	"rnn-one-hot":     `[{one_hot: {}}, {rnn: {units: 4, layers: 2}}, {dense: {}}]`,
	"lstm":            `[{embedding: {size: 3}}, {lstm: {units: 4}}, {dense: {}}]`,
	"lstm-stack":      `[{embedding: {size: 3}}, {lstm: {units: 4, layers: 4}}, {dense: {}}]`,
	"lstm-even":       `[{embedding: {size: 4}}, {lstm: {units: 4, layers: 3}}, {dense: {}}]`,
	"lstm-dropout":    `[{embedding: {size: 4}}, {dropout: {rate: 0.2}}, {lstm: {units: 4, layers: 3, dropout: 0.3}}, {dropout: {rate: 0.1}}, {dense: {}}]`,
	"lstm-tied":       `[{embedding: {name: e, size: 4}}, {lstm: {units: 4, forget_bias: 1}}, {dense: {tie: e}}]`,
	"lstm-norm":       `[{embedding: {size: 3}}, {lstm: {units: 4, bias: false}}, {layernorm: {}}, {dense: {units: 5, activation: relu}}, {dense: {bias: false}}]`,
	"gru-after":       `[{embedding: {size: 3}}, {gru: {units: 4, reset: after}}, {dense: {}}]`,
	"gru-after-plain": `[{embedding: {size: 3}}, {gru: {units: 4, reset: after, bias: false, layers: 2}}, {dense: {}}]`,
	"gru-before":      `[{embedding: {size: 3}}, {gru: {units: 4, reset: before, layers: 3}}, {dense: {}}]`,
	"gru-one-hot":     `[{one_hot: {}}, {gru: {units: 4, reset: before}}, {dense: {activation: tanh, units: 4}}, {dense: {}}]`,
	"gpt":             `decoder: [{embedding: {size: 8}}, {positions: {}}, {dropout: {rate: 0.1}}, {transformer: {heads: 2, layers: 3, dropout: 0.1}}, {layernorm: {}}, {dense: {}}]`,
	"gpt-tied":        `decoder: [{embedding: {name: tok, size: 8}}, {positions: sinusoidal}, {transformer: {heads: 4, kv_heads: 2, hidden: 5, activation: gelu_tanh}}, {dense: {tie: tok, bias: false}}]`,
	"gpt-rotary":      `decoder: [{embedding: {size: 8}}, {transformer: {heads: 2, kv_heads: 1, layers: 2, rotary: true, norm: rmsnorm, activation: swiglu, bias: false}}, {rmsnorm: {}}, {dense: {}}]`,
	"gpt-window":      `decoder: [{embedding: {size: 8}}, {transformer: {heads: 2, layers: 2, window: 2, alibi: true, activation: silu, norm_at: post}}, {dense: {}}]`,
	"gpt-prefix":      `decoder: [{embedding: {size: 6}}, {positions: learned}, {transformer: {heads: 3, prefix: 2, activation: relu, norm: rmsnorm, norm_at: post}}, {dense: {}}]`,
	"bert":            `encoder: [{embedding: {size: 8}}, {positions: learned}, {transformer: {heads: 2, layers: 2}}, {layernorm: {}}, {dense: {}}]`,
	"bert-alibi":      `encoder: [{one_hot: {}}, {dense: {units: 4, activation: tanh}}, {transformer: {heads: 2, alibi: true}}, {dense: {}}]`,
	"translate": `encoder: [{embedding: {name: src, size: 8}}, {positions: sinusoidal}, {transformer: {heads: 2, layers: 2}}, {layernorm: {}}]
decoder: [{embedding: {name: dst, size: 6}}, {positions: learned}, {transformer: {heads: 3, kv_heads: 1, layers: 3}}, {layernorm: {}}, {dense: {tie: dst}}]
source: {steps: 5}`,
	"translate-one": `encoder: [{embedding: {name: src, size: 8}}, {transformer: {heads: 2, rotary: true, norm_at: post}}]
decoder: [{embedding: {name: dst, size: 8}}, {transformer: {heads: 2, rotary: true, norm_at: post}}, {dense: {}}]
source: {steps: 3}`,
	"seq2seq": `encoder: [{embedding: {name: src, size: 4}}, {lstm: {units: 5, layers: 2}}]
decoder: [{embedding: {name: dst, size: 3}}, {lstm: {name: writer, units: 4, layers: 2}}, {dense: {}}]
source: {steps: 5}`,
	"bahdanau": `encoder: [{embedding: {name: src, size: 4}}, {gru: {units: 3, bidirectional: true}}]
decoder: [{embedding: {name: dst, size: 3}}, {gru: {name: writer, units: 4, attention: additive}}, {dense: {}}]
source: {steps: 5}`,
	"bahdanau-before": `encoder: [{embedding: {name: src, size: 4}}, {gru: {units: 3, reset: before, bidirectional: true, layers: 2}}]
decoder: [{embedding: {name: dst, size: 3}}, {gru: {name: writer, units: 4, layers: 2, reset: before, attention: {additive: 6}}}, {dense: {}}]
source: {steps: 4}`,
	"luong-dot": `encoder: [{embedding: {name: src, size: 4}}, {rnn: {units: 4}}]
decoder: [{embedding: {name: dst, size: 3}}, {rnn: {name: writer, units: 4, attention: dot}}, {dense: {}}]
source: {steps: 5}`,
	"luong-general": `encoder: [{embedding: {name: src, size: 4}}, {lstm: {units: 3, bidirectional: true}}]
decoder: [{embedding: {name: dst, size: 3}}, {lstm: {name: writer, units: 4, layers: 2, attention: {general: {input_feeding: false}}}}, {dense: {}}]
source: {steps: 5}`,
	"luong-concat": `encoder: [{embedding: {name: src, size: 4}}, {gru: {units: 3}}]
decoder: [{embedding: {name: dst, size: 3}}, {gru: {name: writer, units: 4, reset: before, attention: concat}}, {dense: {}}]
source: {steps: 5}`,
	"scaled-mixed": `encoder: [{embedding: {name: src, size: 4}}, {positions: {}}, {transformer: {heads: 2}}]
decoder: [{embedding: {name: dst, size: 3}}, {lstm: {name: writer, units: 4, attention: scaled_dot}}, {dense: {}}]
source: {steps: 5}`,
	"rnn-to-transformer": `encoder: [{embedding: {name: src, size: 4}}, {gru: {units: 3, bidirectional: true}}]
decoder: [{embedding: {name: dst, size: 4}}, {positions: {}}, {transformer: {heads: 2, layers: 2}}, {dense: {}}]
source: {steps: 5}`,
	"vae": `vectors: 7
encoder: [{dense: {units: 6, activation: relu}}, {dropout: 0.1}]
latent: {size: 3}
decoder: [{dense: {units: 5, activation: tanh}}, {dense: {}}]`,
	"vae-gaussian": `vectors: 7
encoder: [{dense: {units: 6, activation: sigmoid}}, {layernorm: {}}, {dense: {units: 5}}]
latent: {size: 3, free_bits: {dimension: 0.05}, beta: 2}
decoder: [{dense: {units: 5, activation: tanh}}, {rmsnorm: {}}, {dense: {bias: false}}]
likelihood: {gaussian: 0.6}`,
	"vae-free": `vectors: 5
encoder: [{dense: {units: 4, activation: tanh}}]
latent: {size: 2, free_bits: {total: 100}}
decoder: [{dense: {}}]`,
	"vae-text": `encoder: [{embedding: {name: src, size: 4}}, {gru: {units: 3, layers: 2}}]
latent: {size: 2, free_bits: 0.01}
decoder: [{embedding: {name: dst, size: 3}}, {lstm: {name: writer, units: 4, layers: 2}}, {dense: {}}]
word_dropout: 0.3`,
	"vae-text-bag": `encoder: [{embedding: {name: src, size: 4}}, {rnn: {units: 3}}]
latent: {size: 2}
decoder: [{one_hot: {}}, {rnn: {name: writer, units: 4}}, {dense: {}}]
bag_of_words: 0.3`,
	"vae-text-tied": `encoder: [{embedding: {name: src, size: 4}}, {lstm: {units: 3}}]
latent: {size: 2}
decoder: [{embedding: {name: dst, size: 4, tie: src}}, {gru: {name: writer, units: 4, reset: before}}, {dense: {tie: dst}}]`,
	"vae-labels": `vectors: 7
labels: {count: 4, size: 2}
encoder: [{dense: {units: 6, activation: relu}}, {dropout: 0.1}]
latent: {size: 3}
decoder: [{dense: {units: 5, activation: tanh}}, {dense: {}}]`,
	"vae-labels-plain": `vectors: 5
labels: 3
encoder: [dropout: 0.1]
latent: {size: 2}
decoder: [dense]
likelihood: gaussian`,
	"vae-transformer": `encoder: [{embedding: {name: src, size: 4}}, {positions: {name: pos}}, {transformer: {name: reader, heads: 2, layers: 2}}, {layernorm: {}}]
latent: {size: 2}
decoder: [{embedding: {name: dst, size: 6}}, {positions: sinusoidal}, {transformer: {heads: 3, layers: 3}}, {layernorm: {name: ln}}, {dense: {tie: dst}}]
word_dropout: 0.3`,
	"vae-transformer-labels": `labels: {count: 5, size: 2}
encoder: [{embedding: {name: src, size: 4}}, {transformer: {name: reader, heads: 2, rotary: true, norm: rmsnorm, activation: swiglu}}, {dense: {units: 5, activation: tanh}}]
latent: {size: 3, encoder_first: {}}
decoder: [{one_hot: {}}, {dense: {units: 8, activation: relu}}, {transformer: {name: first, heads: 2, alibi: true, dropout: 0.1}}, {transformer: {name: second, heads: 2, kv_heads: 1, window: 2, norm_at: post}}, {dense: {}}]
bag_of_words: 0.2`,
	"vae-transformer-reader": `encoder: [{embedding: {name: src, size: 4}}, {gru: {units: 4}}, {transformer: {name: reader, heads: 2, alibi: true}}]
latent: {size: 2}
decoder: [{embedding: {name: dst, size: 4, tie: src}}, {gru: {name: writer, units: 4}}, {dense: {tie: dst}}]`,
	"vae-transformer-writer": `encoder: [{embedding: {name: src, size: 4}}, {transformer: {name: reader, heads: 2, alibi: true}}, {lstm: {units: 3}}]
latent: {size: 2}
decoder: [{embedding: {name: dst, size: 4}}, {dropout: 0.1}, {transformer: {heads: 2, rotary: true, attention_dropout: 0.1}}, {dense: {}}]`,
	"vae-text-labels": `encoder: [{embedding: {name: src, size: 4}}, {gru: {units: 3}}]
labels: {count: 5, size: 2}
latent: {size: 2}
decoder: [{embedding: {name: dst, size: 3}}, {gru: {name: writer, units: 4, reset: before, layers: 2}}, {dense: {}}]
bag_of_words: 0.3`,
	"mixed": `[{one_hot: {}}, {lstm: {units: 4}}, {gru: {units: 3}}, {rnn: {units: 5}}, {dense: {units: 4, activation: sigmoid}}, {dense: {}}]`,
}

// small parses one of specs with a vocabulary of six characters.
func small(t testing.TB, name, extra string) *spec.Model {
	t.Helper()
	src := "kind: rnn\nlayers: " + specs[name]
	if specs[name][0] != '[' {
		src = "kind: attention\n" + specs[name]
	}
	common := "\nname: small\ntokenizer: {chars: six.vocab}\nshape: {batch: 3, steps: 4}\n" + extra
	if strings.HasPrefix(name, "vae") {
		src = "kind: vae\n" + specs[name]
		common = "\nname: small\ntokenizer: {chars: six.vocab}\nshape: {batch: 3, steps: 4}\n"
		if strings.HasPrefix(specs[name], "vectors") {
			common = "\nname: small\nshape: {batch: 3}\n"
		}
	}
	src += common
	m, err := spec.Parse("small.yaml", []byte(src), func(string) ([]byte, error) {
		return spec.FormatVocabulary([]rune("abcdef"), ""), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// values draws inputs for a graph: parameters and states from a normal distribution, tokens at random, a reset in the
// middle, one target that is padding; with attention tokens that are missing, and the tables of constants.
func values(m *build.Model, g *graph.Graph, sizes map[string]int, seed uint64) map[string]*graph.Tensor {
	vocab := max(m.Spec.Vocab(), 1) // a model of vectors has none
	r := rand.New(rand.NewPCG(seed, 7))
	in := map[string]*graph.Tensor{}
	for _, v := range g.Inputs {
		x := eval.New(v, sizes)
		// Wide matrices get small numbers, as in a model that can be trained: large ones make a recurrent network
		// chaotic.
		scale := 0.5
		if n := len(v.Shape); v.Role == graph.Param && n > 1 {
			scale = min(scale, 1/math.Sqrt(float64(v.Shape[n-2].N)))
		}
		for i := range x.F {
			x.F[i] = r.NormFloat64() * scale
		}
		for i := range x.I {
			if x.I[i] = int32(r.IntN(vocab)); v.Name == "source" {
				x.I[i] %= int32(m.Spec.Source.Tokenizer.Vocab)
			}
			if v.Name == build.LabelsInput {
				x.I[i] = int32(r.IntN(m.Spec.Labels.Count))
			}
			if v.Name == "reset" {
				x.I[i] = int32(r.IntN(4) / 3)
			}
		}
		switch v.Name {
		case "klWeight", "inverseTemperature":
			x.F[0] = 0.7
		case "vectors":
			for i := range x.F {
				x.F[i] = r.Float64()
			}
		case "targets":
			if g != m.Discriminate && g != m.Judge { // lines that are judged have no padding
				x.I[len(x.I)-1] = -1
			}
		case "tokens", "source":
			if (m.Spec.Source != nil || m.Spec.Kind == "attention") && len(x.I) > 2 {
				x.I[len(x.I)-2] = -1
			}
			if v.Name == "source" {
				for b := range sizes["batch"] - 1 { // the sources of all but the last sequence are shorter
					x.I[len(x.I)-1-b] = -1
				}
			}
		case "positions":
			for i := range x.I {
				x.I[i] = int32(i / sizes["batch"])
			}
		}
		in[v.Name] = x
	}
	for _, t := range m.Tables {
		if x := in[t.Name]; x != nil {
			copy(x.F, t.Values())
		}
	}
	return in
}

// gumbel is what compiled models of seed 1 draw in their first step, in an iteration of a loop.
func gumbel(x []float64, stream, index int) {
	drawn := make([]float32, len(x))
	kernel.Gumbel(drawn, model.Key(1, 0, uint64(stream), uint64(index)), 0, len(x))
	for i, v := range drawn {
		x[i] = float64(v)
	}
}

// random is what evaluations draw.
var random = eval.Random{Normal: noise, Gumbel: gumbel}

// noise is what compiled models of seed 1 draw in their first step.
func noise(x []float64, stream int) {
	drawn := make([]float32, len(x))
	kernel.Normal(drawn, model.Key(1, 0, uint64(stream)), 0, len(x))
	for i, v := range drawn {
		x[i] = float64(v)
	}
}

// small sizes of a window.
func window(m *spec.Model) map[string]int {
	s := map[string]int{"steps": 4, "batch": 3, "ends": 2}
	if m.Source != nil {
		s["sourceSteps"] = m.Source.Steps
	}
	return s
}

// TestGradients compares the gradient of every parameter with central differences of the evaluated loss.
func TestGradients(t *testing.T) {
	for name := range specs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkGradients(t, small(t, name, "loss: {cross_entropy: {label_smoothing: 0.1}}\n"),
				func(m *build.Model) *graph.Graph { return m.Train }, nil)
		})
	}
}

// checkGradients compares the gradient of every parameter that the step of one of the model's graphs trains with
// central differences of the evaluated loss. prepare, if it is not nil, changes the inputs before.
func checkGradients(t *testing.T, m *spec.Model, of func(*build.Model) *graph.Graph,
	prepare func(*build.Model, map[string]*graph.Tensor)) {
	c, err := run(m, "grad")
	if err != nil {
		t.Fatal(err)
	}
	g := of(c.model)
	sizes := window(m)
	in := values(c.model, g, sizes, 1)
	forward, err := build.Build(m)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(forward, in)
	}
	got, err := eval.RunRandom(g, in, sizes, random)
	if err != nil {
		t.Fatal(err)
	}
	loss := func() float64 {
		out, err := eval.RunRandom(of(forward), in, sizes, random)
		if err != nil {
			t.Fatal(err)
		}
		return out["loss"].F[0]
	}
	for _, v := range c.model.Learns(g) {
		x, d := in[v.Name], got["grad:"+v.Name]
		var diff, norm float64
		for i := range x.F {
			const eps = 1e-5
			keep := x.F[i]
			x.F[i] = keep + eps
			up := loss()
			x.F[i] = keep - eps
			down := loss()
			x.F[i] = keep
			fd := (up - down) / (2 * eps)
			diff += (fd - d.F[i]) * (fd - d.F[i])
			norm += fd * fd
		}
		// The differences themselves are good to 1e-10: the loss has 16 digits and the step takes 5 of them.
		if e := math.Sqrt(diff) / (math.Sqrt(norm) + 1e-4); !(e <= 1e-6) {
			t.Errorf("%s: relative error %.2g to finite differences (norm %.2g)", v.Name, e, math.Sqrt(norm))
		}
	}
}

// TestOptimize compares the outputs of optimized graphs, those of training and of decoding, with the plain ones'.
func TestOptimize(t *testing.T) {
	for name := range specs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkOptimized(t, small(t, name, ""))
		})
	}
}

// checkOptimized compares the outputs of optimized graphs with the plain ones'.
func checkOptimized(t *testing.T, m *spec.Model) {
	plain, err := run(m, "grad")
	if err != nil {
		t.Fatal(err)
	}
	fast, err := run(m, "grad")
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range plain.model.Graphs() {
		p := [2]*graph.Graph{g, fast.model.Graphs()[i]}
		if err := optimize.Run(p[1], fast.model.Decodes(p[1])); err != nil {
			t.Fatal(err)
		}
		for _, sizes := range []map[string]int{window(m),
			{"steps": 1, "batch": 1, "sourceSteps": 2, "ends": 1}} {
			want, err := eval.Run(p[0], values(plain.model, p[0], sizes, 2), sizes)
			if err != nil {
				t.Fatal(err)
			}
			got, err := eval.Run(p[1], values(plain.model, p[0], sizes, 2), sizes) // caches are changed by a run
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Errorf("%s: %d outputs, want %d", p[0].Name, len(got), len(want))
			}
			for target, w := range want {
				for i, x := range got[target].F {
					if !(math.Abs(x-w.F[i]) <= 1e-12*(1+math.Abs(w.F[i]))) {
						t.Fatalf("%s at %v: %s[%d] is %v, want %v", p[0].Name, sizes, target, i, x, w.F[i])
					}
				}
			}
		}
	}
}

// TestPasses holds what the optimizer is for: what must be gone from the loops of a recurrent model.
func TestPasses(t *testing.T) {
	for name := range specs {
		m := small(t, name, "")
		c, err := run(m, "optimize")
		if err != nil {
			t.Fatal(err)
		}
		c.model.Train.Walk(func(g *graph.Graph) {
			for _, n := range g.Nodes {
				if n.Loop == nil || n.Loop.Kind != graph.Scan {
					continue
				}
				for _, b := range n.Loop.Body.Nodes {
					if b.Op.Name == "matmul" && (b.Attrs.Bool("ta") || !b.Attrs.Bool("packed")) {
						t.Errorf("%s: %s is computed in every step", name, b.Outs[0])
					}
					if b.Op.Name == "sum_rows" || b.Op.Name == "one_hot" {
						t.Errorf("%s: %s is computed in every step", name, b.Outs[0])
					}
				}
			}
		})
	}
}

// TestDepth holds that a deeper model has no more lines: layers are loops.
func TestDepth(t *testing.T) {
	count := func(kind string, layers int) int {
		src := fmt.Sprintf("kind: %s\nname: deep\ntokenizer: bytes\nshape: {batch: 2, steps: 4}\n",
			kind) + fmt.Sprintf(map[string]string{
			"rnn":       "layers: [{embedding: {size: 3}}, {lstm: {units: 4, layers: %d}}, {dense: {}}]\n",
			"attention": "decoder: [{embedding: {size: 4}}, {transformer: {heads: 2, layers: %d}}, {dense: {}}]\n",
		}[kind], layers)
		m, err := spec.Parse("deep.yaml", []byte(src), nil)
		if err != nil {
			t.Fatal(err)
		}
		files, err := Generate(m)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range files {
			n += strings.Count(string(f.Data), "\n")
		}
		return n
	}
	for _, kind := range []string{"rnn", "attention"} {
		if a, b := count(kind, 4), count(kind, 48); a != b {
			t.Errorf("kind %s: 4 layers give %d lines, 48 give %d", kind, a, b)
		}
	}
}

// TestTwice holds that generating is a function of the spec.
func TestTwice(t *testing.T) {
	for name := range specs {
		var first []File
		for range 3 {
			files, err := Generate(small(t, name, ""))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if first == nil {
				first = files
				continue
			}
			for i, f := range files {
				if f.Name != first[i].Name || string(f.Data) != string(first[i].Data) {
					t.Errorf("%s: %s differs from one run to the next", name, f.Name)
				}
			}
		}
	}
}

// TestDump holds that every stage can be looked at, and that an unknown one is refused by name.
func TestDump(t *testing.T) {
	m := small(t, "lstm", "")
	for _, s := range Stages {
		if text, err := Dump(m, s); err != nil || len(text) < 100 {
			t.Errorf("stage %s: %q, %v", s, text, err)
		}
	}
	if _, err := Dump(m, "fold"); err == nil || !strings.Contains(err.Error(), "build, grad, optimize, plan") {
		t.Errorf("an unknown stage gives %v", err)
	}
}
