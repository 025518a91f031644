package op

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Dropout sets elements to zero with probability `rate` in training and scales the others by 1/(1−rate) (Srivastava et
// al. 2014, in its inverted form). The mask is computed from a counter and a key, so the gradient is the same
// operation with the same key. Attribute stream tells the places of a model apart; inside of a loop an argument gives
// the iteration.
//
// Evaluation in float64 is that of a trained model: the identity.
var Dropout = &graph.Op{
	Name: "dropout",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		types := []graph.Type{graph.F32, graph.I32}[:len(n.Args)]
		if err := wantArgs(n, types...); err != nil {
			return nil, err
		}
		return f32(n.Args[0].Shape), nil
	},
	Flops: perElement(1), InPlace: [][2]int{{0, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		copy(out[0].F, in[0].F)
		return nil
	},
	Emit: func(n *node) []call {
		key := graph.DropKey{Stream: n.Attrs.Int("stream")}
		if len(n.Args) > 1 {
			key.Index = n.Args[1]
		}
		return []call{{Func: "Dropout",
			Args: []graph.Operand{n.Outs[0], n.Args[0], graph.DropRate(n.Attrs.Float("rate")), key,
				n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = dropout(%s, %g)", name(n.Outs[0]), name(n.Args[0]), n.Attrs.Float("rate"))
	},
}

// DropRows sets whole rows to zero with probability `rate` in training, and leaves the others as they are: word
// dropout, after which a decoder does not see a token (Bowman et al. 2016, section 3.2). As with Dropout, the gradient
// is the same operation, and evaluation in float64 the identity, but for what gen/eval puts in.
var DropRows = &graph.Op{
	Name: "drop_rows", Infer: allSame(1), InPlace: [][2]int{{0, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		mask, _ := n.Attrs.Get("mask").([]float64)
		for i, x := range in[0].F {
			if mask != nil {
				x *= mask[i/in[0].Cols()]
			}
			out[0].F[i] = x
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Outs[0].Shape
		key := graph.DropKey{Stream: n.Attrs.Int("stream")}
		return []call{{Func: "DropRows",
			Args: []graph.Operand{n.Outs[0], n.Args[0], graph.DropRate(n.Attrs.Float("rate")), key, x.Rows(),
				x.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s, each row 0 with probability %g", name(n.Outs[0]), name(n.Args[0]),
			n.Attrs.Float("rate"))
	},
}

// ResetRows is x with a zero row where the flag of the row is set: where a text begins, the state is zero.
var ResetRows = &graph.Op{
	Name: "reset_rows",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.I32); err != nil {
			return nil, err
		}
		if !n.Args[0].Shape.Rows().Same(n.Args[1].Shape.Elems()) {
			return nil, fmt.Errorf("has flags %s for rows of %s", n.Args[1].Shape, n.Args[0].Shape)
		}
		return f32(n.Args[0].Shape), nil
	},
	InPlace: [][2]int{{0, 0}}, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		cols := in[0].Cols()
		for i, x := range in[0].F {
			if in[1].I[i/cols] == 0 {
				out[0].F[i] = x
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "ResetRows", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], x.Rows(), x.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = " + name(n.Args[0]) + ", or 0 where a text begins"
	},
}

func init() {
	Dropout.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		args := []*value{g[0]}
		for _, a := range n.Args[1:] {
			args = append(args, c.Val(a))
		}
		return append(c.Apply(Dropout, []string{d(n.Args[0])}, n.Attrs, args...), make([]*value, len(args)-1)...)
	}
	DropRows.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(DropRows, []string{d(n.Args[0])}, n.Attrs, g[0])
	}
	ResetRows.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return append(c.Apply(ResetRows, []string{d(n.Args[0])}, nil, g[0], c.Val(n.Args[1])), nil)
	}
}
