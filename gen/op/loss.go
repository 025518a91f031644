package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// CrossEntropy is the mean, over all rows whose target is not negative, of −log softmax(logits)[target], in nats; with `smoothing` s the target
// distribution is 1−s on the target plus s/vocabulary everywhere (Szegedy et al. 2016, section 7). The second result is the loss of each row.
//
// With `sequences` it is the sum over the tokens of each sequence, targets being [steps, batch], and the mean over these.
var CrossEntropy = &graph.Op{
	Name:  "cross_entropy",
	Infer: crossEntropyInfer(2),
	Grad: func(c *graph.Context, n *node, g []*value) []*value {
		return append(c.Apply(CrossEntropyGrad, []string{d(n.Args[0])}, n.Attrs, c.Val(n.Args[0]), c.Val(n.Args[1]), g[0]), nil)
	},
	Flops: func(n *node) dim { return graph.Mul(graph.Const(4, ""), n.Args[0].Shape.Elems()) },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		out[0].F[0] = crossEntropy(n, in[0], in[1], out[1].F, nil)
		return nil
	},
	Emit: func(n *node) []call { return crossEntropyCall(n, n.Outs[1], graph.Nil{}) },
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = " + over(n) + " −log softmax(" + name(n.Args[0]) + ")[" + name(n.Args[1]) + "]"
	},
}

// CrossEntropyGrad is the gradient of the logits from the loss's: (softmax(logits) − target distribution)/rows·dloss. The optimizer joins it with
// its loss into CrossEntropyFused.
var CrossEntropyGrad = &graph.Op{
	Name: "cross_entropy_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.I32, graph.F32); err != nil {
			return nil, err
		}
		return f32(n.Args[0].Shape), nil
	},
	Flops: perElement(4),
	Eval: func(n *node, in, out []*graph.Tensor) error {
		crossEntropy(n, in[0], in[1], nil, out[0].F)
		for i := range out[0].F {
			out[0].F[i] *= in[2].F[0]
		}
		return nil
	},
}

// CrossEntropyFused gives the loss, the loss of each row and the gradient of the logits in one pass over them; the probabilities are never stored twice.
var CrossEntropyFused = &graph.Op{
	Name:  "cross_entropy_fused",
	Infer: crossEntropyInfer(3),
	Flops: func(n *node) dim { return graph.Mul(graph.Const(8, ""), n.Args[0].Shape.Elems()) },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		out[0].F[0] = crossEntropy(n, in[0], in[1], out[1].F, out[2].F)
		return nil
	},
	InPlace: [][2]int{{2, 0}},
	Emit:    func(n *node) []call { return crossEntropyCall(n, n.Outs[1], graph.IfTraining{V: n.Outs[2]}) },
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s −log softmax(%s)[%s], %s its gradient", name(n.Outs[0]), over(n), name(n.Args[0]), name(n.Args[1]), name(n.Outs[2]))
	},
}

func crossEntropyInfer(outs int) func(n *node) ([]graph.TypedShape, error) {
	return func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.I32); err != nil {
			return nil, err
		}
		x, t := n.Args[0].Shape, n.Args[1].Shape
		if !x.Rows().Same(t.Elems()) {
			return nil, fmt.Errorf("has targets %s for logits %s", t, x)
		}
		return f32(nil, t, x)[:outs], nil
	}
}

func crossEntropyCall(n *node, rows *value, dlogits graph.Operand) []call {
	x := n.Args[0].Shape
	c := call{Func: "CrossEntropy", Result: n.Outs[0], Args: []graph.Operand{rows, dlogits, n.Args[0], n.Args[1], x.Rows(), x.Last(), graph.Float(n.Attrs.Float("smoothing"))}}
	if n.Attrs.Bool("sequences") {
		c.Func, c.Args = "SequenceCrossEntropy", append(c.Args, n.Args[1].Shape.Last())
	}
	return []call{c}
}

// crossEntropy is the definition; rows and grad may be nil.
func crossEntropy(n *node, logits, target *graph.Tensor, rows, grad []float64) float64 {
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
				grad[r*w+j] = (math.Exp(v-lse) - q) / count
			}
		}
		if rows != nil {
			rows[r] = loss
		}
		sum += loss
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

// MeanGrad gives every element of `shape` its share of the gradient of the mean, dmean divided by their number. In code dmean is 1, where a gradient starts.
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
