package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// GumbelSoftmax draws from the categorical distribution softmax(logits) of each row, in a form that has a gradient: y
// = softmax(β·(logits + g)) with g from the standard Gumbel distribution, β being one over the temperature, a number
// of the step (Jang, Gu and Poole 2017, equation 2). g comes from a counter under a key of the attribute stream, and
// is not kept. Arguments are logits [..., categories], β and, inside of a loop, the loop's index, which keeps the
// noise of its iterations apart.
//
// With `hard` there are two results: the one-hot rows of the largest entries of y, and y. The gradient of the first
// goes to y as it is (straight-through, their section 2.2), so it has no gradient itself. No gradient flows to β.
//
// Evaluation in float64 takes g from the attribute noise, which gen/eval sets; without it g is 0.
var GumbelSoftmax = &graph.Op{
	Name: "gumbel_softmax",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		types := []graph.Type{graph.F32, graph.F32, graph.I32}
		if err := wantArgs(n, types[:max(2, min(len(n.Args), 3))]...); err != nil {
			return nil, err
		}
		x := n.Args[0].Shape
		if b := n.Args[1].Shape; len(x) == 0 || len(b) != 0 {
			return nil, fmt.Errorf("wants rows of logits and a number, has %s and %s", x, b)
		}
		if n.Attrs.Bool("hard") {
			return f32(x, x), nil
		}
		return f32(x), nil
	},
	Flops: perElement(8), InPlace: [][2]int{{0, 0}, {1, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		noise, _ := n.Attrs.Get("noise").([]float64)
		y, cols := out[len(out)-1], in[0].Cols()
		for lo := 0; lo < len(y.F); lo += cols {
			row, top := y.F[lo:lo+cols], math.Inf(-1)
			for i, x := range in[0].F[lo : lo+cols] {
				if noise != nil {
					x += noise[lo+i]
				}
				if row[i] = in[1].F[0] * x; math.IsInf(x, -1) {
					row[i] = x // whatever β
				}
				top = math.Max(top, row[i])
			}
			sum, best := 0.0, 0
			for i, x := range row {
				if row[i] = 0; !math.IsInf(x, -1) {
					row[i] = math.Exp(x - top)
				}
				sum += row[i]
			}
			for i := range row {
				if sum != 0 {
					row[i] /= sum
				}
				if row[i] > row[best] {
					best = i
				}
			}
			if len(out) > 1 {
				if row[best] > 0 {
					out[0].F[lo+best] = 1
				} else { // nothing takes part, or all is NaN
					copy(out[0].F[lo:], row)
				}
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		y := n.Outs[len(n.Outs)-1]
		key := graph.NoiseKey{Stream: n.Attrs.Int("stream")}
		if len(n.Args) > 2 {
			key.Index = n.Args[2]
		}
		calls := []call{{Func: "GumbelSoftmax",
			Args: []graph.Operand{y, n.Args[0], n.Args[1], key, y.Shape.Rows(), y.Shape.Last()}}}
		if len(n.Outs) > 1 {
			calls = append(calls,
				call{Func: "OneHotMax", Args: []graph.Operand{n.Outs[0], y, y.Shape.Rows(), y.Shape.Last()}})
		}
		return calls
	},
	Formula: func(n *node, name names) string {
		y := n.Outs[len(n.Outs)-1]
		text := fmt.Sprintf("%s = softmax(%s·(%s + g)), g from the standard Gumbel distribution", name(y),
			name(n.Args[1]), name(n.Args[0]))
		if len(n.Outs) > 1 {
			text += fmt.Sprintf("; %s is 1 where a row of it is largest", name(n.Outs[0]))
		}
		return text
	},
}

// SoftmaxGrad is s·y∘(dy − Σ y∘dy) of each row: the gradient of y = softmax(s·x) from y, dy and the number s, to which
// no gradient flows.
var SoftmaxGrad = &graph.Op{
	Name: "softmax_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		if err := wantSame(n, 0, 1); err != nil {
			return nil, err
		}
		if s := n.Args[2].Shape; len(s) != 0 {
			return nil, fmt.Errorf("has a factor of shape %s, wants a number", s)
		}
		return f32(n.Args[0].Shape), nil
	},
	Flops: perElement(5), InPlace: [][2]int{{0, 0}, {0, 1}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		cols, s := in[0].Cols(), in[2].F[0]
		for lo := 0; lo < len(in[0].F); lo += cols {
			dot := 0.0
			for i := lo; i < lo+cols; i++ {
				dot += in[0].F[i] * in[1].F[i]
			}
			for i := lo; i < lo+cols; i++ {
				out[0].F[i] = s * in[0].F[i] * (in[1].F[i] - dot)
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		y := n.Args[0].Shape
		return []call{{Func: "SoftmaxPrefixGrad",
			Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], graph.Single{V: n.Args[2]}, graph.Nil{}, y.Rows(),
				y.Last()}}}
	},
	Formula: func(n *node, name names) string {
		y, dy := name(n.Args[0]), name(n.Args[1])
		return fmt.Sprintf("%s = %s·%s ∘ (%s − Σ %s ∘ %s)", name(n.Outs[0]), name(n.Args[2]), y, dy, y, dy)
	},
}

func init() {
	GumbelSoftmax.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		dy := g[len(g)-1]
		if len(g) > 1 && g[0] != nil {
			if dy == nil {
				dy = g[0]
			} else {
				dy = c.Apply(Add, []string{d(n.Outs[1])}, nil, dy, g[0])[0]
			}
		}
		return append(c.Apply(SoftmaxGrad, []string{d(n.Args[0])}, nil, c.Val(n.Outs[len(n.Outs)-1]), dy,
			c.Val(n.Args[1])), make([]*value, len(n.Args)-1)...)
	}
	// f(y, dy) = s·(y∘dy − y·Σ y∘dy): ∂/∂dy is the operation itself on the incoming gradient h, ∂/∂y is s·(h∘dy − h·Σ
	// y∘dy − dy·Σ y∘h).
	SoftmaxGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		y, dy, s := n.Args[0], n.Args[1], n.Args[2]
		r := make([]*value, 3)
		if c.Need(0) {
			weighted := func(a, b *value) *value { // a·Σ y∘b
				return c.Apply(ScaleRows, nil, nil, a, c.Apply(DotRows, nil, nil, c.Val(y), b)[0])[0]
			}
			q := c.Apply(Mul, nil, nil, g[0], c.Val(dy))[0]
			q = c.Apply(Sub, nil, nil, q, weighted(g[0], c.Val(dy)))[0]
			q = c.Apply(Sub, nil, nil, q, weighted(c.Val(dy), g[0]))[0]
			r[0] = c.Apply(Times, []string{d(y)}, nil, q, c.Val(s))[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(SoftmaxGrad, []string{d(dy)}, nil, c.Val(y), g[0], c.Val(s))[0]
		}
		return r
	}
	Times.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return append(c.Apply(Times, []string{d(n.Args[0])}, nil, g[0], c.Val(n.Args[1])), nil)
	}
}

// Times is x times a number of the step, to which no gradient flows.
var Times = &graph.Op{
	Name: "times",
	ONNX: operator("Mul"),
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		if x, s := n.Args[0].Shape, n.Args[1].Shape; len(x) == 0 || len(s) != 0 {
			return nil, fmt.Errorf("multiplies %s by %s, wants a number", x, s)
		}
		return f32(n.Args[0].Shape), nil
	},
	Flops: perElement(1), InPlace: [][2]int{{0, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		for i, x := range in[0].F {
			out[0].F[i] = x * in[1].F[0]
		}
		return nil
	},
	Emit: func(n *node) []call {
		return []call{{Func: "Scale",
			Args: []graph.Operand{n.Outs[0], n.Args[0], graph.Single{V: n.Args[1]}, n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s·%s", name(n.Outs[0]), name(n.Args[1]), name(n.Args[0]))
	},
}
