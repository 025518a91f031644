package op

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
)

func filled(name string, x float64, emit func(n *node) []call) *graph.Op {
	return &graph.Op{
		Name: name,
		Infer: func(n *node) ([]graph.TypedShape, error) {
			s, ok := n.Attrs.Get("shape").(graph.Shape)
			if !ok {
				return nil, fmt.Errorf("has no attribute shape")
			}
			return f32(s), nil
		},
		Eval: func(n *node, in, out []*graph.Tensor) error {
			for i := range out[0].F {
				out[0].F[i] = x
			}
			return nil
		},
		Emit: emit,
		ONNX: func(asm asm, n *node, _ []string) []string {
			return []string{asm.Op("Expand", nil, asm.Float(x), asm.Sizes(n.Outs[0].Shape...))}
		},
		Formula: func(n *node, name names) string { return fmt.Sprintf("%s = %g", name(n.Outs[0]), x) },
	}
}

// Zeros is a value of shape `shape` that is 0 everywhere.
var Zeros = filled("zeros", 0, func(n *node) []call {
	return []call{{Func: "Clear", Args: []graph.Operand{n.Outs[0], n.Outs[0].Shape.Elems()}}}
})

// Ones is a value of shape `shape` that is 1 everywhere: where a gradient starts.
var Ones = filled("ones", 1, func(n *node) []call {
	return []call{{Func: "Fill", Args: []graph.Operand{n.Outs[0], graph.Float(1), n.Outs[0].Shape.Elems()}}}
})

// Index is the number of the iteration of the loop around it, in the order of the elements.
var Index = &graph.Op{
	Name:  "index",
	ONNX:  func(x asm, _ *node, _ []string) []string { return []string{x.Iteration()} },
	Infer: func(n *node) ([]graph.TypedShape, error) { return []graph.TypedShape{{Type: graph.I32}}, nil },
	Emit:  func(n *node) []call { return nil },
}

// Reshape is its argument with shape `shape` of as many elements.
var Reshape = &graph.Op{
	Name: "reshape",
	ONNX: func(x asm, n *node, a []string) []string { return []string{reshape(x, a[0], n.Outs[0].Shape...)} },
	Infer: func(n *node) ([]graph.TypedShape, error) {
		s, ok := n.Attrs.Get("shape").(graph.Shape)
		if !ok || len(n.Args) != 1 {
			return nil, fmt.Errorf("wants one argument and the attribute shape")
		}
		if !s.Elems().Same(n.Args[0].Shape.Elems()) {
			return nil, fmt.Errorf("%s does not have as many elements as %s", s, n.Args[0].Shape)
		}
		return []graph.TypedShape{{Type: n.Args[0].Type, Shape: s}}, nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		copy(out[0].F, in[0].F)
		copy(out[0].I, in[0].I)
		return nil
	},
	Alias: true,
}

// Copy is its argument in memory of its own.
var Copy = &graph.Op{
	Name:  "copy",
	ONNX:  func(x asm, _ *node, a []string) []string { return a },
	Infer: allSame(1),
	Grad:  func(c *graph.Context, n *node, g []*value) []*value { return g },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		copy(out[0].F, in[0].F)
		return nil
	},
	Emit: func(n *node) []call {
		return []call{{Func: "Copy", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string { return name(n.Outs[0]) + " = " + name(n.Args[0]) },
	Rowwise: always,
}

func init() {
	Reshape.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(Reshape, []string{d(n.Args[0])}, graph.Attrs{{Key: "shape", Val: n.Args[0].Shape}}, g[0])
	}
}
