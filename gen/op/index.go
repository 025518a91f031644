package op

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Gather is the row of a table [n, width] for each id: an embedding. laid says that the table is a parameter that
// decoders read laid out; the optimizer sets it.
var Gather = &graph.Op{
	Name: "gather",
	ONNX: func(x asm, _ *node, a []string) []string { // a missing token has a row of zeros
		rows := x.Op("Gather", axis(0), a[0], x.Op("Max", nil, a[1], x.ID(0)))
		return []string{rowsWhere(x, there(x, a[1]), rows)}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.I32); err != nil {
			return nil, err
		}
		if len(n.Args[0].Shape) != 2 {
			return nil, fmt.Errorf("reads rows of a matrix, not of %s", n.Args[0].Shape)
		}
		return f32(append(append(graph.Shape{}, n.Args[1].Shape...), n.Args[0].Shape[1])), nil
	},
	Grad: func(c *graph.Context, n *node, g []*value) []*value {
		return []*value{c.Apply(ScatterAdd, []string{d(n.Args[0])}, graph.Attrs{{Key: "rows", Val: n.Args[0].Shape[0]}},
			c.Val(n.Args[1]), g[0])[0], nil}
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		w := in[0].Shape[1]
		for i, id := range in[1].I {
			if id >= 0 {
				copy(out[0].F[i*w:(i+1)*w], in[0].F[int(id)*w:])
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		if n.Attrs.Bool("laid") {
			table := graph.Matrix{V: n.Args[0], Transpose: true, Rows: true}
			return []call{{Func: "GatherWeights", Args: []graph.Operand{n.Outs[0], table, n.Args[1]}}}
		}
		return []call{{Func: "Gather", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], n.Outs[0].Shape.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = " + name(n.Args[0]) + "[" + name(n.Args[1]) + "]"
	},
	Rowwise: func(n *node, stacked []bool) bool { return !stacked[0] && stacked[1] },
}

// ScatterAdd adds each row of dy to the row of the result that its id names; the result starts at zero, or at the
// third argument (acc).
var ScatterAdd = &graph.Op{
	Name: "scatter_add",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		types := []graph.Type{graph.I32, graph.F32}
		if n.Attrs.Bool("acc") {
			types = append(types, graph.F32)
		}
		if err := wantArgs(n, types...); err != nil {
			return nil, err
		}
		rows, ok := n.Attrs.Get("rows").(dim)
		if !ok || !n.Args[0].Shape.Elems().Same(n.Args[1].Shape.Rows()) {
			return nil, fmt.Errorf("ids %s do not name rows of %s", n.Args[0].Shape, n.Args[1].Shape)
		}
		return f32(graph.Shape{rows, n.Args[1].Shape.Last()}), nil
	},
	Flops:   func(n *node) dim { return n.Args[1].Shape.Elems() },
	InPlace: [][2]int{{0, 2}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		if n.Attrs.Bool("acc") {
			copy(out[0].F, in[2].F)
		}
		w := in[1].Cols()
		for i, id := range in[0].I {
			if id < 0 {
				continue
			}
			for j := range w {
				out[0].F[int(id)*w+j] += in[1].F[i*w+j]
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		add := call{Func: "ScatterAdd", Args: []graph.Operand{n.Outs[0], n.Args[1], n.Args[0], n.Outs[0].Shape.Last()}}
		if n.Attrs.Bool("acc") {
			return []call{{Func: "Place", Args: []graph.Operand{n.Outs[0], n.Args[2], n.Outs[0].Shape.Elems()}}, add}
		}
		return []call{{Func: "Clear", Args: []graph.Operand{n.Outs[0], n.Outs[0].Shape.Elems()}}, add}
	},
	Formula: func(n *node, name names) string {
		s := name(n.Outs[0]) + "[" + name(n.Args[0]) + "] += " + name(n.Args[1])
		if n.Attrs.Bool("acc") {
			s += ", on top of " + name(n.Args[2])
		}
		return s
	},
	Contracts: true,
}

// OneHot is, for each id, a row of `vocab` zeros with a 1 at the id.
var OneHot = &graph.Op{
	Name: "one_hot",
	ONNX: func(x asm, n *node, a []string) []string {
		y := x.Op("Equal", nil, x.Op("Unsqueeze", nil, a[0], x.Ints(-1)), counted(x, n.Outs[0].Shape.Last()))
		return []string{as(x, y, onnxFloat)}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.I32); err != nil {
			return nil, err
		}
		v, ok := n.Attrs.Get("vocab").(dim)
		if !ok {
			return nil, fmt.Errorf("has no attribute vocab")
		}
		return f32(append(append(graph.Shape{}, n.Args[0].Shape...), v)), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		w := out[0].Cols()
		for i, id := range in[0].I {
			if id >= 0 {
				out[0].F[i*w+int(id)] = 1
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		return []call{{Func: "OneHot", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Outs[0].Shape.Last()}}}
	},
	Formula: func(n *node, name names) string { return name(n.Outs[0]) + " = one-hot(" + name(n.Args[0]) + ")" },
	Rowwise: always,
}
