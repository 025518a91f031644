package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// ScaleRows is x with each row multiplied by its element of s, whose elements are as many as x has rows.
var ScaleRows = &graph.Op{
	Name: "scale_rows",
	ONNX: func(x asm, n *node, a []string) []string {
		rows := n.Args[0].Shape
		s := reshape(x, a[1], append(append(graph.Shape{}, rows[:len(rows)-1]...), graph.Const(1, ""))...)
		return []string{x.Op("Mul", nil, a[0], s)}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		if x, s := n.Args[0].Shape, n.Args[1].Shape; !x.Rows().Same(s.Elems()) {
			return nil, fmt.Errorf("has factors %s for rows of %s", s, x)
		}
		return f32(n.Args[0].Shape), nil
	},
	Flops: perElement(1), InPlace: [][2]int{{0, 0}}, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		cols := in[0].Cols()
		for i, x := range in[0].F {
			out[0].F[i] = x * in[1].F[i/cols]
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "ScaleRows", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], x.Rows(), x.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s ∘ rows of %s", name(n.Outs[0]), name(n.Args[1]), name(n.Args[0]))
	},
}

// DotRows is Σ a∘b of each row, as a column: a and b are [..., n], the result is [..., 1].
var DotRows = &graph.Op{
	Name: "dot_rows",
	ONNX: func(x asm, _ *node, a []string) []string {
		return []string{x.Op("ReduceSum", keep(true), x.Op("Mul", nil, a[0], a[1]), x.Ints(-1))}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		if err := wantSame(n, 0, 1); err != nil {
			return nil, err
		}
		return f32(n.Args[0].Shape.With(graph.Const(1, ""))), nil
	},
	Flops: func(n *node) dim { return graph.Mul(graph.Const(2, ""), n.Args[0].Shape.Elems()) }, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		cols := in[0].Cols()
		for i, x := range in[0].F {
			out[0].F[i/cols] += x * in[1].F[i]
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "DotRows", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], x.Rows(), x.Last()}}}
	},
	Formula: func(n *node, name names) string {
		if n.Args[0] == n.Args[1] {
			return fmt.Sprintf("%s = Σ %s² of each row", name(n.Outs[0]), name(n.Args[0]))
		}
		return fmt.Sprintf("%s = Σ %s ∘ %s of each row", name(n.Outs[0]), name(n.Args[0]), name(n.Args[1]))
	},
}

// MeanRows is the mean of all rows.
var MeanRows = &graph.Op{
	Name: "mean_rows",
	ONNX: func(x asm, n *node, a []string) []string {
		rows := reshape(x, a[0], n.Args[0].Shape.Rows(), n.Args[0].Shape.Last())
		return []string{x.Op("ReduceMean", append(keep(false), graph.Attr{Key: "axes", Val: []int{0}}), rows)}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		return f32(graph.Shape{n.Args[0].Shape.Last()}), nil
	},
	Flops: func(n *node) dim { return n.Args[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		cols, rows := in[0].Cols(), float64(in[0].Rows())
		for i, x := range in[0].F {
			out[0].F[i%cols] += x / rows
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{
			{Func: "SumRows", Args: []graph.Operand{n.Outs[0], n.Args[0], x.Rows(), x.Last()}},
			{Func: "Scale", Args: []graph.Operand{n.Outs[0], n.Outs[0], graph.OneOver{Size: x.Rows()}, x.Last()}},
		}
	},
	Formula: func(n *node, name names) string { return name(n.Outs[0]) + " = mean of the rows of " + name(n.Args[0]) },
}

// SpreadRows gives every row of `shape` an equal share of x, x/rows: the gradient of MeanRows.
var SpreadRows = &graph.Op{
	Name: "spread_rows",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		s, ok := n.Attrs.Get("shape").(graph.Shape)
		if x := n.Args[0].Shape; !ok || len(x) != 1 || !x[0].Same(s.Last()) {
			return nil, fmt.Errorf("spreads %s over rows of %s", x, s)
		}
		return f32(s), nil
	},
	Flops: perElement(1),
	Eval: func(n *node, in, out []*graph.Tensor) error {
		cols, rows := out[0].Cols(), float64(out[0].Rows())
		for i := range out[0].F {
			out[0].F[i] = in[0].F[i%cols] / rows
		}
		return nil
	},
	Emit: func(n *node) []call {
		y := n.Outs[0].Shape
		return []call{
			{Func: "Clear", Args: []graph.Operand{n.Outs[0], y.Elems()}},
			{Func: "AddBias", Args: []graph.Operand{n.Outs[0], n.Outs[0], n.Args[0], y.Rows(), y.Last()}},
			{Func: "Scale", Args: []graph.Operand{n.Outs[0], n.Outs[0], graph.OneOver{Size: y.Rows()}, y.Elems()}},
		}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s / %s in every row", name(n.Outs[0]), name(n.Args[0]), n.Outs[0].Shape.Rows())
	},
}

// Normalize is x/‖x‖, the direction of all its elements together; it is a constant to gradients, as the estimate of a
// singular vector is (Miyato et al. 2018, appendix A).
var Normalize = &graph.Op{
	Name: "normalize", Infer: allSame(1), Flops: perElement(3), InPlace: [][2]int{{0, 0}},
	Stops: true, // singular vectors count as constants (Miyato et al. 2018, appendix D)
	ONNX: func(x asm, _ *node, a []string) []string {
		square := x.Op("ReduceSum", keep(false), x.Op("Mul", nil, a[0], a[0]))
		some := x.Op("Greater", nil, square, x.Float(0)) // of zeros it is zero
		return []string{x.Op("Div", nil, a[0], x.Op("Sqrt", nil, x.Op("Where", nil, some, square, x.Float(1))))}
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		square := 0.0
		for _, x := range in[0].F {
			square += x * x
		}
		if square == 0 {
			return nil
		}
		for i, x := range in[0].F {
			out[0].F[i] = x / math.Sqrt(square)
		}
		return nil
	},
	Emit: func(n *node) []call {
		return []call{{Func: "Normalize", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %[2]s / ‖%[2]s‖", name(n.Outs[0]), name(n.Args[0]))
	},
}

func init() {
	ScaleRows.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		x, s := n.Args[0], n.Args[1]
		r := make([]*value, 2)
		if c.Need(0) {
			r[0] = c.Apply(ScaleRows, []string{d(x)}, nil, g[0], c.Val(s))[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(DotRows, []string{d(s)}, nil, g[0], c.Val(x))[0]
			if !r[1].Shape.Same(s.Shape) {
				r[1] = c.Apply(Reshape, []string{d(s)}, graph.Attrs{{Key: "shape", Val: s.Shape}}, r[1])[0]
			}
		}
		return r
	}
	DotRows.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		r := make([]*value, 2)
		for i := range r {
			if c.Need(i) {
				r[i] = c.Apply(ScaleRows, []string{d(n.Args[i])}, nil, c.Val(n.Args[1-i]), g[0])[0]
			}
		}
		return r
	}
	MeanRows.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(SpreadRows, []string{d(n.Args[0])}, graph.Attrs{{Key: "shape", Val: n.Args[0].Shape}}, g[0])
	}
	SpreadRows.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(MeanRows, []string{d(n.Args[0])}, nil, g[0])
	}
}
