package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

var (
	// CrossEntropy is the mean, over all rows whose target is not negative, of −log softmax(logits)[target], in nats;
	// with `smoothing` s the target distribution is 1−s on the target plus s/vocabulary everywhere (Szegedy et al.
	// 2016, section 7). The second result is the loss of each row.
	//
	// With `sequences` it is the sum over the tokens of each sequence, targets being [steps, batch], and the mean over
	// these.
	//
	// CrossEntropyGrad is the gradient of the logits from the loss's: (softmax(logits) − target
	// distribution)/rows·dloss. The optimizer joins it with its loss into CrossEntropyFused: the loss, the loss of
	// each row and the gradient of the logits in one pass over them; the probabilities are never stored twice.
	CrossEntropy, CrossEntropyGrad, CrossEntropyFused = crossEntropies("cross_entropy", false)

	// WeightedCrossEntropy is Σ weight·−log softmax(logits)[target] over all rows whose target is not negative,
	// divided by their number: with the rewards of tokens that were drawn as weights, its gradient is that of a policy
	// by the likelihood ratio (Williams 1992; Yu et al. 2017, equation 8). Weights are as many as targets, may be
	// negative, and get no gradient. The second result is the loss of each row without its weight.
	WeightedCrossEntropy, WeightedCrossEntropyGrad,
	WeightedCrossEntropyFused = crossEntropies("weighted_cross_entropy", true)
)

// crossEntropies makes the operation of the loss, that of its gradient, and the one that the optimizer joins the two
// into.
func crossEntropies(name string, weighted bool) (loss, grad, fused *graph.Op) {
	types := []graph.Type{graph.F32, graph.I32}
	if weighted {
		types = append(types, graph.F32)
	}
	infer := func(outs int) func(n *node) ([]graph.TypedShape, error) {
		return func(n *node) ([]graph.TypedShape, error) {
			if err := wantArgs(n, types...); err != nil {
				return nil, err
			}
			x, t := n.Args[0].Shape, n.Args[1].Shape
			if !x.Rows().Same(t.Elems()) {
				return nil, fmt.Errorf("has targets %s for logits %s", t, x)
			}
			if weighted && !n.Args[2].Shape.Elems().Same(t.Elems()) {
				return nil, fmt.Errorf("has weights %s for targets %s", n.Args[2].Shape, t)
			}
			return f32(nil, t, x)[:outs], nil
		}
	}
	flops := func(k int) func(n *node) dim {
		return func(n *node) dim { return graph.Mul(graph.Const(k, ""), n.Args[0].Shape.Elems()) }
	}
	calls := func(n *node, dlogits graph.Operand) []call {
		x := n.Args[0].Shape
		c := call{Func: "CrossEntropy", Result: n.Outs[0],
			Args: []graph.Operand{n.Outs[1], dlogits, n.Args[0], n.Args[1]}}
		smoothing := graph.Operand(graph.Float(0))
		if s := n.Attrs.Float("smoothing"); s > 0 {
			smoothing = graph.InTraining32(s)
		}
		switch {
		case weighted:
			c.Func, c.Args = "WeightedCrossEntropy", append(c.Args, n.Args[2], x.Rows(), x.Last())
		case n.Attrs.Bool("sequences"):
			c.Func, c.Args = "SequenceCrossEntropy", append(c.Args, x.Rows(), x.Last(), smoothing,
				n.Args[1].Shape.Last())
		default:
			c.Args = append(c.Args, x.Rows(), x.Last(), smoothing)
		}
		return []call{c}
	}
	text := func(n *node, name names) string {
		weight := ""
		if weighted {
			weight = name(n.Args[2]) + "·"
		}
		return fmt.Sprintf("%s = %s %s−log softmax(%s)[%s]", name(n.Outs[0]), over(n), weight, name(n.Args[0]),
			name(n.Args[1]))
	}
	loss = &graph.Op{
		Name: name, Infer: infer(2), Flops: flops(4), Formula: text,
		Eval: func(n *node, in, out []*graph.Tensor) error {
			out[0].F[0] = crossEntropy(n, in[:len(types)], out[1].F, nil)
			return nil
		},
		Emit: func(n *node) []call { return calls(n, graph.Nil{}) },
	}
	grad = &graph.Op{
		Name: name + "_grad", Flops: flops(4),
		Infer: func(n *node) ([]graph.TypedShape, error) {
			if err := wantArgs(n, append(types[:len(types):len(types)], graph.F32)...); err != nil {
				return nil, err
			}
			return f32(n.Args[0].Shape), nil
		},
		Eval: func(n *node, in, out []*graph.Tensor) error {
			crossEntropy(n, in[:len(types)], nil, out[0].F)
			for i := range out[0].F {
				out[0].F[i] *= in[len(types)].F[0]
			}
			return nil
		},
	}
	fused = &graph.Op{
		Name: name + "_fused", Infer: infer(3), Flops: flops(8), InPlace: [][2]int{{2, 0}},
		Eval: func(n *node, in, out []*graph.Tensor) error {
			out[0].F[0] = crossEntropy(n, in, out[1].F, out[2].F)
			return nil
		},
		Emit: func(n *node) []call { return calls(n, graph.IfTraining{V: n.Outs[2]}) },
		Formula: func(n *node, name names) string {
			return text(n, name) + ", " + name(n.Outs[2]) + " its gradient"
		},
	}
	loss.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		var args []*value
		for _, a := range n.Args {
			args = append(args, c.Val(a))
		}
		return append(c.Apply(grad, []string{d(n.Args[0])}, n.Attrs, append(args, g[0])...),
			make([]*value, len(args)-1)...)
	}
	return loss, grad, fused
}

// crossEntropy is the definition, of logits, targets and, where there are three arguments, weights; rows and grad may
// be nil.
func crossEntropy(n *node, in []*graph.Tensor, rows, grad []float64) float64 {
	logits, target := in[0], in[1]
	smoothing, targets := n.Attrs.Float("smoothing"), target.I
	w := logits.Cols()
	count := 0.0
	for _, t := range targets {
		if t >= 0 {
			count++
		}
	}
	if count == 0 {
		return 0
	}
	if n.Attrs.Bool("sequences") {
		count = float64(target.Cols())
	}
	sum := 0.0
	for r, t := range targets {
		if t < 0 {
			continue
		}
		weight := 1.0
		if len(in) > 2 {
			weight = in[2].F[r]
		}
		x := logits.F[r*w : (r+1)*w]
		top := math.Inf(-1)
		for _, v := range x {
			top = math.Max(top, v)
		}
		z := 0.0
		for _, v := range x {
			z += math.Exp(v - top)
		}
		lse := top + math.Log(z)
		loss := 0.0
		for j, v := range x {
			q := smoothing / float64(w)
			if j == int(t) {
				q += 1 - smoothing
			}
			loss -= q * (v - lse)
			if grad != nil {
				grad[r*w+j] = weight * (math.Exp(v-lse) - q) / count
			}
		}
		if rows != nil {
			rows[r] = loss
		}
		sum += weight * loss
	}
	return sum / count
}

// over says what the loss is a mean over.
func over(n *node) string {
	if n.Attrs.Bool("sequences") {
		return "mean over the sequences of Σ"
	}
	return "mean"
}

// Mean is the mean of all elements, a number.
var Mean = &graph.Op{
	Name: "mean",
	ONNX: func(x asm, _ *node, a []string) []string { return []string{x.Op("ReduceMean", keep(false), a[0])} },
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		return f32(nil), nil
	},
	Flops: func(n *node) dim { return n.Args[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		for _, x := range in[0].F {
			out[0].F[0] += x / float64(len(in[0].F))
		}
		return nil
	},
	Emit: func(n *node) []call {
		return []call{{Func: "Mean", Result: n.Outs[0], Args: []graph.Operand{n.Args[0], n.Args[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string { return name(n.Outs[0]) + " = mean of " + name(n.Args[0]) },
}

// MeanGrad gives every element of `shape` its share of the gradient of the mean, dmean divided by their number. In
// code dmean is 1, where a gradient starts.
var MeanGrad = &graph.Op{
	Name: "mean_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		s, ok := n.Attrs.Get("shape").(graph.Shape)
		if !ok || len(n.Args[0].Shape) != 0 {
			return nil, fmt.Errorf("wants a number and the attribute shape")
		}
		return f32(s), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		for i := range out[0].F {
			out[0].F[i] = in[0].F[0] / float64(len(out[0].F))
		}
		return nil
	},
	Emit: func(n *node) []call {
		if def := n.Args[0].Def; def == nil || def.Op != Ones {
			panic("op: the gradient of a mean that is not the loss itself has no code")
		}
		size := n.Outs[0].Shape.Elems()
		return []call{{Func: "Fill", Args: []graph.Operand{n.Outs[0], graph.OneOver{Size: size}, size}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = 1/%s, the gradient of the mean", name(n.Outs[0]), n.Outs[0].Shape.Elems())
	},
}

func init() {
	Mean.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(MeanGrad, []string{d(n.Args[0])}, graph.Attrs{{Key: "shape", Val: n.Args[0].Shape}}, g[0])
	}
	MeanGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		// Σ g/n is the mean of g.
		return c.Apply(Mean, []string{d(n.Args[0])}, nil, g[0])
	}
}
