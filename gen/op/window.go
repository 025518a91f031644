package op

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Operations over windows of time steps, of x [steps, batch, features]. A convolution over time (Kim 2014, equation 2)
// is Unfold and a product; several widths are several of these, whose largest values over time stand side by side.

func threeDims(n *node, arg int) (graph.Shape, error) {
	x := n.Args[arg].Shape
	if len(x) != 3 {
		return nil, fmt.Errorf("wants [steps, batch, features], not %s", x)
	}
	return x, nil
}

// Unfold lays the `width` time steps that begin at each step side by side, zeros behind the last step: row (t, b) of
// the result [steps, batch, width·features] is x at t, t+1, …, t+width−1 of sequence b.
var Unfold = &graph.Op{
	Name: "unfold",
	ONNX: func(x asm, n *node, a []string) []string { // zeros at the end, then the steps from k on, for each k
		width, s := n.Attrs.Int("width"), n.Args[0].Shape
		padded := x.Op("Pad", nil, a[0], x.Ints(0, 0, 0, width-1, 0, 0))
		parts := make([]string, width)
		for k := range parts {
			to := x.Op("Add", nil, x.Sizes(s[0]), x.Ints(k))
			parts[k] = x.Op("Slice", nil, padded, x.Ints(k), to, x.Ints(0))
		}
		return []string{x.Op("Concat", axis(-1), parts...)}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		x, err := threeDims(n, 0)
		if err != nil {
			return nil, err
		}
		width := n.Attrs.Int("width")
		if width < 1 {
			return nil, fmt.Errorf("wants the attribute width of 1 or more")
		}
		return f32(x.With(graph.Mul(graph.Const(width, ""), x[2]))), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		width, rows, batch, cols := n.Attrs.Int("width"), in[0].Rows(), in[0].Shape[1], in[0].Cols()
		for i := range out[0].F {
			row, k, c := i/(width*cols), i/cols%width, i%cols
			if from := row + k*batch; from < rows {
				out[0].F[i] = in[0].F[from*cols+c]
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "Unfold",
			Args: []graph.Operand{n.Outs[0], n.Args[0], x[0], x[1], x[2], graph.Const(n.Attrs.Int("width"), "")}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %d steps of %s side by side", name(n.Outs[0]), n.Attrs.Int("width"), name(n.Args[0]))
	},
}

// Fold is the gradient of Unfold: each step gets the sum of all places where the rows hold it.
var Fold = &graph.Op{
	Name: "fold",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		y, err := threeDims(n, 0)
		if err != nil {
			return nil, err
		}
		cols, ok := n.Attrs.Get("features").(dim)
		if width := n.Attrs.Int("width"); !ok || width < 1 || cols.N*width != y[2].N {
			return nil, fmt.Errorf("folds rows of %s into %d of %s", y[2], width, cols)
		}
		return f32(y.With(cols)), nil
	},
	Flops: func(n *node) dim { return n.Args[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		width, rows, batch, cols := n.Attrs.Int("width"), out[0].Rows(), out[0].Shape[1], out[0].Cols()
		for i, dy := range in[0].F {
			row, k, c := i/(width*cols), i/cols%width, i%cols
			if from := row + k*batch; from < rows {
				out[0].F[from*cols+c] += dy
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Outs[0].Shape
		return []call{{Func: "Fold",
			Args: []graph.Operand{n.Outs[0], n.Args[0], x[0], x[1], x[2], graph.Const(n.Attrs.Int("width"), "")}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = sums of the %d places of each step in %s", name(n.Outs[0]), n.Attrs.Int("width"),
			name(n.Args[0]))
	},
}

// atMost is the first step at which number i of x is that of y, or -1.
func atMost(x, y *graph.Tensor, i int) int {
	for t := range x.Shape[0] {
		if x.F[t*len(y.F)+i] == y.F[i] {
			return t
		}
	}
	return -1
}

// MaxSteps is the largest value of each feature over time, [batch, features] of x [steps, batch, features].
var MaxSteps = &graph.Op{
	Name: "max_steps",
	ONNX: func(x asm, _ *node, a []string) []string {
		return []string{x.Op("ReduceMax", append(keep(false), graph.Attr{Key: "axes", Val: []int{0}}), a[0])}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		x, err := threeDims(n, 0)
		if err != nil {
			return nil, err
		}
		return f32(x[1:]), nil
	},
	Flops: func(n *node) dim { return n.Args[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		copy(out[0].F, in[0].F)
		for t := range in[0].Shape[0] {
			for i := range out[0].F {
				out[0].F[i] = max(out[0].F[i], in[0].F[t*len(out[0].F)+i])
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "MaxSteps", Args: []graph.Operand{n.Outs[0], n.Args[0], x[0], x[1], x[2]}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = largest over time of " + name(n.Args[0])
	},
}

// MaxStepsGrad is the gradient of MaxSteps from its argument x, its result y and dy: dy at the first step where x is
// y, and 0 elsewhere.
var MaxStepsGrad = &graph.Op{
	Name: "max_steps_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		x, err := threeDims(n, 0)
		if err != nil {
			return nil, err
		}
		if !x[1:].Same(n.Args[1].Shape) || !x[1:].Same(n.Args[2].Shape) {
			return nil, fmt.Errorf("%s and %s are not %s without its steps", n.Args[1].Shape, n.Args[2].Shape, x)
		}
		return f32(x), nil
	},
	Flops: func(n *node) dim { return n.Args[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		for i, dy := range in[2].F {
			if t := atMost(in[0], in[1], i); t >= 0 {
				out[0].F[t*len(in[2].F)+i] = dy
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "MaxStepsGrad",
			Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], n.Args[2], x[0], x[1], x[2]}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s where %s was the largest, 0 elsewhere", name(n.Outs[0]), name(n.Args[2]),
			name(n.Args[0]))
	},
}

// MaxStepsPick picks from g [steps, batch, features] what stands where x has its largest value y: what MaxStepsGrad
// does, the other way.
var MaxStepsPick = &graph.Op{
	Name: "max_steps_pick",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		x, err := threeDims(n, 0)
		if err != nil {
			return nil, err
		}
		if !x[1:].Same(n.Args[1].Shape) || !x.Same(n.Args[2].Shape) {
			return nil, fmt.Errorf("%s and %s do not fit %s", n.Args[1].Shape, n.Args[2].Shape, x)
		}
		return f32(x[1:]), nil
	},
	Flops: func(n *node) dim { return n.Args[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		for i := range out[0].F {
			if t := atMost(in[0], in[1], i); t >= 0 {
				out[0].F[i] = in[2].F[t*len(out[0].F)+i]
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "MaxStepsPick",
			Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], n.Args[2], x[0], x[1], x[2]}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s where %s was the largest", name(n.Outs[0]), name(n.Args[2]), name(n.Args[0]))
	},
}

// Where the largest value stands does not change with the values, but for ties: those are constants to gradients.
func init() {
	Unfold.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(Fold, []string{d(n.Args[0])}, n.Attrs.Set("features", n.Args[0].Shape[2]), g[0])
	}
	Fold.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(Unfold, []string{d(n.Args[0])}, graph.Attrs{{Key: "width", Val: n.Attrs.Int("width")}}, g[0])
	}
	MaxSteps.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(MaxStepsGrad, []string{d(n.Args[0])}, n.Attrs, c.Val(n.Args[0]), c.Val(n.Outs[0]), g[0])
	}
	MaxStepsGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		r := make([]*value, 3)
		if c.Need(2) {
			r[2] = c.Apply(MaxStepsPick, []string{d(n.Args[2])}, n.Attrs, c.Val(n.Args[0]), c.Val(n.Args[1]), g[0])[0]
		}
		return r
	}
	MaxStepsPick.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		r := make([]*value, 3)
		if c.Need(2) {
			r[2] = c.Apply(MaxStepsGrad, []string{d(n.Args[2])}, n.Attrs, c.Val(n.Args[0]), c.Val(n.Args[1]), g[0])[0]
		}
		return r
	}
}
