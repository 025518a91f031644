package op

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// ScaleColumns is x with each column multiplied by its element of s, which has as many elements as x has columns.
var ScaleColumns = &graph.Op{
	Name: "scale_columns",
	ONNX: operator("Mul"),
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		if x, s := n.Args[0].Shape, n.Args[1].Shape; len(s) != 1 || !s[0].Same(x.Last()) {
			return nil, fmt.Errorf("has factors %s for rows of %s", s, x.Last())
		}
		return f32(n.Args[0].Shape), nil
	},
	Flops: perElement(1), InPlace: [][2]int{{0, 0}}, Rowwise: firstStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		cols := in[0].Cols()
		for i, x := range in[0].F {
			out[0].F[i] = x * in[1].F[i%cols]
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "ScaleColumns",
			Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], x.Rows(), x.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s ∘ each row of %s", name(n.Outs[0]), name(n.Args[1]), name(n.Args[0]))
	},
}

func init() {
	ScaleColumns.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		x, s := n.Args[0], n.Args[1]
		r := make([]*value, 2)
		if c.Need(0) {
			r[0] = c.Apply(ScaleColumns, []string{d(x)}, nil, g[0], c.Val(s))[0]
		}
		if c.Need(1) {
			each := c.Apply(Mul, []string{d(s) + "Rows"}, nil, g[0], c.Val(x))[0]
			r[1] = c.Apply(SumRows, []string{d(s)}, nil, each)[0]
		}
		return r
	}
}
