package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Exp is eˣ.
var Exp = zip("exp", "Exp", 1, 2, func(x []float64) float64 { return math.Exp(x[0]) }, "exp(%s)", operator("Exp"))

// Log is the natural logarithm.
var Log = zip("log", "Log", 1, 2, func(x []float64) float64 { return math.Log(x[0]) }, "log(%s)", operator("Log"))

// Softmax is eˣ of each element over the sum of its row.
var Softmax = &graph.Op{
	Name: "softmax", Infer: allSame(1), Flops: perElement(4), InPlace: [][2]int{{0, 0}}, Rowwise: allStacked,
	ONNX: func(x asm, _ *node, a []string) []string { return []string{x.Op("Softmax", axis(-1), a[0])} },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		cols := in[0].Cols()
		for lo := 0; lo < len(in[0].F); lo += cols {
			top, sum := math.Inf(-1), 0.0
			for _, x := range in[0].F[lo : lo+cols] {
				top = math.Max(top, x)
			}
			for i := lo; i < lo+cols; i++ {
				out[0].F[i] = math.Exp(in[0].F[i] - top)
				sum += out[0].F[i]
			}
			for i := lo; i < lo+cols; i++ {
				out[0].F[i] /= sum
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		y := n.Outs[0].Shape
		return []call{{Func: "Softmax", Args: []graph.Operand{n.Outs[0], n.Args[0], y.Rows(), y.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = softmax(%s)", name(n.Outs[0]), name(n.Args[0]))
	},
}

func init() {
	Exp.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(Mul, []string{d(n.Args[0])}, nil, c.Val(n.Outs[0]), g[0])
	}
	Log.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(Div, []string{d(n.Args[0])}, nil, g[0], c.Val(n.Args[0]))
	}
	Softmax.Grad = func(c *graph.Context, n *node, g []*value) []*value { // y∘(dy − Σ y∘dy)
		y := c.Val(n.Outs[0])
		sum := c.Apply(DotRows, nil, nil, g[0], y)[0]
		weighted := c.Apply(Mul, nil, nil, y, g[0])[0]
		return []*value{c.Apply(Sub, []string{d(n.Args[0])}, nil, weighted, c.Apply(ScaleRows, nil, nil, y, sum)[0])[0]}
	}
}
