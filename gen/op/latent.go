package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// GaussianSample draws z = mean + e^(logvar/2)∘ε with ε from the standard normal distribution (Kingma and Welling
// 2014, section 2.4). ε comes from a counter under a key of the attribute stream, and is not kept: its share of the
// gradient is that of z − mean.
//
// Evaluation in float64 takes ε from the attribute noise, which gen/eval sets; without it z is the mean.
var GaussianSample = &graph.Op{
	Name:  "gaussian_sample",
	Infer: allSame(2),
	Flops: perElement(5),
	Eval: func(n *node, in, out []*graph.Tensor) error {
		noise, _ := n.Attrs.Get("noise").([]float64)
		for i, m := range in[0].F {
			out[0].F[i] = m
			if noise != nil {
				out[0].F[i] += math.Exp(in[1].F[i]/2) * noise[i]
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		return []call{{Func: "GaussianSample",
			Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], graph.NoiseKey{Stream: n.Attrs.Int("stream")},
				n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s + exp(½·%s) ∘ ε, ε from N(0, 1)", name(n.Outs[0]), name(n.Args[0]), name(n.Args[1]))
	},
}

// GaussianKL is the divergence of N(mean, e^logvar) from N(0, 1) in nats, the mean over the rows: max(freeTotal, Σ
// max(free, dims)), where the second result, dims, is that of each dimension, ½(mean² + e^logvar − 1 − logvar) (Kingma
// and Welling 2014, appendix B; free bits: Kingma et al. 2016, equation 15). Free bits are for training; without it
// they are 0.
var GaussianKL = &graph.Op{
	Name: "gaussian_kl",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		s, err := allSame(2)(n)
		if err != nil {
			return nil, err
		}
		return f32(nil, graph.Shape{s[0].Shape.Last()}), nil
	},
	Flops: func(n *node) dim { return graph.Mul(graph.Const(6, ""), n.Args[0].Shape.Elems()) },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		rows, cols := float64(in[0].Rows()), in[0].Cols()
		for i, m := range in[0].F {
			l := in[1].F[i]
			out[1].F[i%cols] += (m*m + math.Exp(l) - 1 - l) / 2 / rows
		}
		out[0].F[0] = freeSum(n, out[1].F)
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		free := func(key string) graph.Operand {
			if v := n.Attrs.Float(key); v > 0 {
				return graph.InTraining(v)
			}
			return graph.Float(0)
		}
		return []call{{Func: "GaussianKL", Result: n.Outs[0],
			Args: []graph.Operand{n.Outs[1], n.Args[0], n.Args[1], x.Rows(), x.Last(), free("free"),
				free("free_total")}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = KL(N(%s, exp(%s)) ‖ N(0, 1)) = Σ ½(μ² + σ² − 1 − log σ²), %s that of each dimension",
			name(n.Outs[0]), name(n.Args[0]), name(n.Args[1]), name(n.Outs[1]))
	},
}

// freeSum is the divergence with free bits.
func freeSum(n *node, dims []float64) float64 {
	sum := 0.0
	for _, d := range dims {
		sum += math.Max(n.Attrs.Float("free"), d)
	}
	return math.Max(n.Attrs.Float("free_total"), sum)
}

// GaussianKLGrad gives the gradients of mean and logvar from them, the divergence of each dimension, and that of the
// whole.
var GaussianKLGrad = &graph.Op{
	Name: "gaussian_kl_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		return f32(n.Args[0].Shape, n.Args[1].Shape), nil
	},
	Flops: perElement(5),
	Eval: func(n *node, in, out []*graph.Tensor) error {
		rows, cols, d := float64(in[0].Rows()), in[0].Cols(), in[3].F[0]
		sum := 0.0
		for _, x := range in[2].F {
			sum += math.Max(n.Attrs.Float("free"), x)
		}
		for i, m := range in[0].F {
			if in[2].F[i%cols] > n.Attrs.Float("free") && sum > n.Attrs.Float("free_total") {
				out[0].F[i] = d * m / rows
				out[1].F[i] = d * (math.Exp(in[1].F[i]) - 1) / (2 * rows)
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "GaussianKLGrad",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Args[0], n.Args[1], n.Args[2], n.Args[3], x.Rows(), x.Last(),
				graph.Float(n.Attrs.Float("free")), graph.Float(n.Attrs.Float("free_total"))}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s, %s = %s·(μ, ½(σ² − 1))/batch, 0 in dimensions with free bits", name(n.Outs[0]),
			name(n.Outs[1]), name(n.Args[3]))
	},
}

func init() {
	GaussianSample.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		r := []*value{g[0], nil}
		if c.Need(1) { // ∂z/∂logvar = ½·e^(logvar/2)·ε = ½·(z − mean)
			x := c.Apply(Sub, []string{d(n.Args[1])}, nil, c.Val(n.Outs[0]), c.Val(n.Args[0]))[0]
			x = c.Apply(Mul, []string{d(n.Args[1])}, nil, x, g[0])[0]
			r[1] = c.Apply(Scale, []string{d(n.Args[1])}, graph.Attrs{{Key: "by", Val: 0.5}}, x)[0]
		}
		return r
	}
	GaussianKL.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		if g[0] == nil {
			return nil
		}
		return c.Apply(GaussianKLGrad, []string{d(n.Args[0]), d(n.Args[1])}, n.Attrs, c.Val(n.Args[0]),
			c.Val(n.Args[1]), c.Val(n.Outs[1]), g[0])
	}
}

// Likelihoods of vectors: the mean over the rows of −log p(x) in nats, from what a decoder gives and x. The second
// result is that of each row.
var (
	// BernoulliLoss has the logits of numbers that are 0 or 1: Σ softplus(logit) − x·logit.
	BernoulliLoss, BernoulliLossGrad,
	BernoulliLossFused = likelihood("bernoulli_loss", "BernoulliLoss", "−log Bernoulli(%[2]s; σ(%[1]s))",
		func(_ *node, y, x float64) (loss, dy float64) {
			return math.Max(y, 0) + math.Log1p(math.Exp(-math.Abs(y))) - x*y, sigmoid(y) - x
		})
	// GaussianLoss has the means of normal distributions of standard deviation `deviation`.
	GaussianLoss, GaussianLossGrad,
	GaussianLossFused = likelihood("gaussian_loss", "GaussianLoss", "−log N(%[2]s; %[1]s, σ)",
		func(n *node, y, x float64) (loss, dy float64) {
			s := n.Attrs.Float("deviation")
			return (x-y)*(x-y)/(2*s*s) + math.Log(s) + math.Log(2*math.Pi)/2, (y - x) / (s * s)
		})
)

// likelihood makes the operation of a loss, that of its gradient, and the one that the optimizer joins the two into.
func likelihood(name, kernel, formula string, f func(n *node, y, x float64) (loss, dy float64)) (loss, grad,
	fused *graph.Op) {
	infer := func(outs int) func(n *node) ([]graph.TypedShape, error) {
		return func(n *node) ([]graph.TypedShape, error) {
			s, err := allSame(2)(n)
			if err != nil {
				return nil, err
			}
			y := s[0].Shape
			return f32(nil, y[:len(y)-1], y)[:outs], nil
		}
	}
	sum := func(n *node, in, out []*graph.Tensor) {
		rows, cols := float64(in[0].Rows()), in[0].Cols()
		for i, y := range in[0].F {
			l, dy := f(n, y, in[1].F[i])
			out[0].F[0] += l / rows
			out[1].F[i/cols] += l
			if len(out) > 2 {
				out[2].F[i] = dy / rows
			}
		}
	}
	calls := func(n *node, dy graph.Operand) []call {
		y := n.Args[0].Shape
		c := call{Func: kernel, Result: n.Outs[0],
			Args: []graph.Operand{n.Outs[1], dy, n.Args[0], n.Args[1], y.Rows(), y.Last()}}
		if s := n.Attrs.Float("deviation"); s > 0 {
			c.Args = append(c.Args, graph.Float(s))
		}
		return []call{c}
	}
	text := func(n *node, name names) string {
		return name(n.Outs[0]) + " = mean " + fmt.Sprintf(formula, name(n.Args[0]), name(n.Args[1]))
	}
	flops := func(k int) func(n *node) dim {
		return func(n *node) dim { return graph.Mul(graph.Const(k, ""), n.Args[0].Shape.Elems()) }
	}
	loss = &graph.Op{
		Name: name, Infer: infer(2), Flops: flops(4), Formula: text,
		Eval: func(n *node, in, out []*graph.Tensor) error { sum(n, in, out); return nil },
		Emit: func(n *node) []call { return calls(n, graph.Nil{}) },
	}
	grad = &graph.Op{
		Name: name + "_grad", Flops: flops(2),
		Infer: func(n *node) ([]graph.TypedShape, error) {
			if err := wantArgs(n, graph.F32, graph.F32, graph.F32); err != nil {
				return nil, err
			}
			return f32(n.Args[0].Shape), nil
		},
		Eval: func(n *node, in, out []*graph.Tensor) error {
			rows := float64(in[0].Rows())
			for i, y := range in[0].F {
				_, dy := f(n, y, in[1].F[i])
				out[0].F[i] = dy / rows * in[2].F[0]
			}
			return nil
		},
	}
	fused = &graph.Op{
		Name: name + "_fused", Infer: infer(3), Flops: flops(6), InPlace: [][2]int{{2, 0}},
		Eval: func(n *node, in, out []*graph.Tensor) error { sum(n, in, out); return nil },
		Emit: func(n *node) []call { return calls(n, graph.IfTraining{V: n.Outs[2]}) },
		Formula: func(n *node, name names) string {
			return text(n, name) + ", " + name(n.Outs[2]) + " its gradient"
		},
	}
	loss.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return append(c.Apply(grad, []string{d(n.Args[0])}, n.Attrs, c.Val(n.Args[0]), c.Val(n.Args[1]), g[0]), nil)
	}
	return loss, grad, fused
}

// BagOfWords is `weight` times the mean over the sequences of Σ −log softmax(logits)[target]: one row of logits for
// all targets [steps, batch] of a sequence (Zhao et al. 2017, section 3.3). It is a loss of training; elsewhere its
// weight is 0.
var BagOfWords = &graph.Op{
	Name: "bag_of_words", Infer: bagInfer(2), Flops: bagFlops,
	Eval:    func(n *node, in, out []*graph.Tensor) error { bag(n, in, out[0].F, out[1].F, nil); return nil },
	Emit:    func(n *node) []call { return bagCall(n, graph.Nil{}) },
	Formula: bagFormula,
}

// BagOfWordsGrad is the gradient of its logits.
var BagOfWordsGrad = &graph.Op{
	Name: "bag_of_words_grad", Flops: bagFlops,
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.I32, graph.F32); err != nil {
			return nil, err
		}
		return f32(n.Args[0].Shape), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		bag(n, in, nil, nil, out[0].F)
		for i := range out[0].F {
			out[0].F[i] *= in[2].F[0]
		}
		return nil
	},
}

// BagOfWordsFused gives the loss, that of each sequence, and the gradient of the logits.
var BagOfWordsFused = &graph.Op{
	Name: "bag_of_words_fused", Infer: bagInfer(3), Flops: bagFlops, InPlace: [][2]int{{2, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error { bag(n, in, out[0].F, out[1].F, out[2].F); return nil },
	Emit: func(n *node) []call { return bagCall(n, graph.IfTraining{V: n.Outs[2]}) },
	Formula: func(n *node, name names) string {
		return bagFormula(n, name) + ", " + name(n.Outs[2]) + " its gradient"
	},
}

func bagInfer(outs int) func(n *node) ([]graph.TypedShape, error) {
	return func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.I32); err != nil {
			return nil, err
		}
		x, t := n.Args[0].Shape, n.Args[1].Shape
		if len(x) != 2 || len(t) != 2 || !x[0].Same(t[1]) {
			return nil, fmt.Errorf("has targets %s for logits %s", t, x)
		}
		return f32(nil, x[:1], x)[:outs], nil
	}
}

func bagFlops(n *node) dim { return graph.Mul(graph.Const(4, ""), n.Args[0].Shape.Elems()) }

func bagFormula(n *node, name names) string {
	return fmt.Sprintf("%s = %g·mean over the sequences of Σ −log softmax(%s)[%s], in training", name(n.Outs[0]),
		n.Attrs.Float("weight"), name(n.Args[0]), name(n.Args[1]))
}

func bagCall(n *node, dlogits graph.Operand) []call {
	x, t := n.Args[0].Shape, n.Args[1].Shape
	return []call{{Func: "BagOfWords", Result: n.Outs[0],
		Args: []graph.Operand{n.Outs[1], dlogits, n.Args[0], n.Args[1], t[0], t[1], x[1],
			graph.InTraining(n.Attrs.Float("weight"))}}}
}

// bag is the definition; loss, rows and grad may be nil.
func bag(n *node, in []*graph.Tensor, loss, rows, grad []float64) {
	x, targets, weight := in[0], in[1], n.Attrs.Float("weight")/float64(in[0].Rows())
	w := x.Cols()
	for i, t := range targets.I {
		if t < 0 {
			continue
		}
		b := i % targets.Cols()
		z := 0.0
		for _, v := range x.F[b*w : (b+1)*w] {
			z += math.Exp(v)
		}
		if loss != nil {
			l := math.Log(z) - x.F[b*w+int(t)]
			loss[0] += weight * l
			rows[b] += l
		}
		if grad != nil {
			for k := range w {
				grad[b*w+k] += weight * math.Exp(x.F[b*w+k]) / z
			}
			grad[b*w+int(t)] -= weight
		}
	}
}

func init() {
	BagOfWords.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return append(c.Apply(BagOfWordsGrad, []string{d(n.Args[0])}, n.Attrs, c.Val(n.Args[0]), c.Val(n.Args[1]),
			g[0]), nil)
	}
}

// Loss is a loss that the optimizer joins with its gradient, where it is what is differentiated.
type Loss struct{ Loss, Grad, Fused *graph.Op }

// Losses lists them. The first argument of a loss is logits, or what stands for them; its results are its value and
// that of each row. The gradient has the same arguments, and the loss's gradient as a last one.
var Losses = []Loss{
	{CrossEntropy, CrossEntropyGrad, CrossEntropyFused},
	{WeightedCrossEntropy, WeightedCrossEntropyGrad, WeightedCrossEntropyFused},
	{BernoulliLoss, BernoulliLossGrad, BernoulliLossFused},
	{GaussianLoss, GaussianLossGrad, GaussianLossFused},
	{BagOfWords, BagOfWordsGrad, BagOfWordsFused},
}
