package op

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// MeanSteps is the mean over time of x [steps, batch, features], [batch, features], over the steps whose token, of
// tokens [steps, batch], is not negative; 0 where a sequence has none.
var MeanSteps = &graph.Op{
	Name: "mean_steps",
	ONNX: func(x asm, _ *node, a []string) []string {
		seen := there(x, a[1])
		sum := x.Op("ReduceSum", keep(false), rowsWhere(x, seen, a[0]), x.Ints(0))
		count := x.Op("ReduceSum", keep(false), as(x, seen, onnxFloat), x.Ints(0))
		count = x.Op("Unsqueeze", nil, x.Op("Max", nil, count, x.Float(1)), x.Ints(-1))
		return []string{x.Op("Div", nil, sum, count)}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.I32); err != nil {
			return nil, err
		}
		x, err := threeDims(n, 0)
		if err != nil {
			return nil, err
		}
		if !n.Args[1].Shape.Same(x[:2]) {
			return nil, fmt.Errorf("has tokens %s for steps of %s", n.Args[1].Shape, x)
		}
		return f32(x[1:]), nil
	},
	Flops: func(n *node) dim { return n.Args[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		eachPresent(in[1], out[0].Cols(), func(share float64, at, y, cols int) {
			for c := range cols {
				out[0].F[y+c] += share * in[0].F[at+c]
			}
		})
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "MeanSteps", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], x[0], x[1], x[2]}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = mean of %s over the steps that have a token", name(n.Outs[0]), name(n.Args[0]))
	},
}

// MeanStepsGrad gives each step with a token its share of dy [batch, features], and the others 0.
var MeanStepsGrad = &graph.Op{
	Name: "mean_steps_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.I32); err != nil {
			return nil, err
		}
		dy, tokens := n.Args[0].Shape, n.Args[1].Shape
		if len(dy) != 2 || len(tokens) != 2 || !tokens[1].Same(dy[0]) {
			return nil, fmt.Errorf("spreads %s over steps of %s", dy, tokens)
		}
		return f32(dy.Stack(tokens[0])), nil
	},
	Flops: func(n *node) dim { return n.Outs[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		eachPresent(in[1], out[0].Cols(), func(share float64, at, y, cols int) {
			for c := range cols {
				out[0].F[at+c] = share * in[0].F[y+c]
			}
		})
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Outs[0].Shape
		return []call{{Func: "MeanStepsGrad", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], x[0], x[1], x[2]}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s over their number at the steps that have a token, 0 elsewhere", name(n.Outs[0]),
			name(n.Args[0]))
	},
}

// eachPresent calls f for every step with a token: its share of its sequence, the place of its row of cols features,
// and that of its sequence's.
func eachPresent(tokens *graph.Tensor, cols int, f func(share float64, at, y, cols int)) {
	steps, batch := tokens.Shape[0], tokens.Shape[1]
	for b := range batch {
		n := 0
		for t := range steps {
			if tokens.I[t*batch+b] >= 0 {
				n++
			}
		}
		for t := range steps {
			if r := t*batch + b; tokens.I[r] >= 0 {
				f(1/float64(n), r*cols, b*cols, cols)
			}
		}
	}
}

func init() {
	MeanSteps.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return append(c.Apply(MeanStepsGrad, []string{d(n.Args[0])}, nil, g[0], c.Val(n.Args[1])), nil)
	}
	MeanStepsGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return append(c.Apply(MeanSteps, []string{d(n.Args[0])}, nil, g[0], c.Val(n.Args[1])), nil)
	}
}
