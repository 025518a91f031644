package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// cellInfer checks the first argument [batch, gates·hidden] against state arguments [batch, hidden] and gives the
// batch's shape with each of the widths, in units of hidden.
func cellInfer(args int, gatesArg, gates, stateArg int, outs ...int) func(n *node) ([]graph.TypedShape, error) {
	return func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, make([]graph.Type, args)...); err != nil {
			return nil, err
		}
		g, s := n.Args[gatesArg].Shape, n.Args[stateArg].Shape
		h := s.Last()
		if !g.Last().Same(graph.Mul(graph.Const(gates, ""), h)) || !g.Rows().Same(s.Rows()) {
			return nil, fmt.Errorf("has gates %s for a state %s", g, s)
		}
		r := make([]graph.TypedShape, len(outs))
		for i, k := range outs {
			r[i].Shape = s.With(wide(k, h))
		}
		return r, nil
	}
}

func wide(k int, h dim) dim {
	if k == 1 {
		return h
	}
	return graph.Mul(graph.Const(k, ""), h)
}

// LSTMCell is the pointwise part of a long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of
// Gers et al. 2000) from the gates' pre-activations [batch, 4·hidden], in the order i, f, g, o, and the last cell
// state: i, f, o = σ(…), g = tanh(…), c = f∘c′ + i∘g, h = o∘tanh(c). It gives h, c and the activated gates.
var LSTMCell = &graph.Op{
	Name: "lstm_cell",
	ONNX: func(x asm, _ *node, a []string) []string {
		g := columns(x, a[0], 4)
		keeps := x.Op("Mul", nil, x.Op("Sigmoid", nil, g[1]), a[1])
		c := x.Op("Add", nil, keeps, x.Op("Mul", nil, x.Op("Sigmoid", nil, g[0]), x.Op("Tanh", nil, g[2])))
		return []string{x.Op("Mul", nil, x.Op("Sigmoid", nil, g[3]), x.Op("Tanh", nil, c)), c, ""}
	},
	Infer: cellInfer(2, 0, 4, 1, 1, 1, 4),
	Grad: func(c *graph.Context, n *node, g []*value) []*value {
		if g[2] != nil {
			panic("op: the activated gates of an LSTM are read by its gradient only")
		}
		dh, dc := or0(c, g[0], n.Outs[0], "dh"), or0(c, g[1], n.Outs[1], "dc")
		return c.Apply(LSTMCellGrad, []string{d(n.Args[0]), d(n.Args[1])}, nil, dh, dc, c.Val(n.Outs[2]),
			c.Val(n.Outs[1]), c.Val(n.Args[1]))
	},
	Flops: perElement(9), InPlace: [][2]int{{2, 0}}, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		h := in[1].Cols()
		for e := range in[1].F {
			r, j := e/h, e%h
			pre, act := in[0].F[r*4*h:], out[2].F[r*4*h:]
			i, f, g, o := sigmoid(pre[j]), sigmoid(pre[h+j]), math.Tanh(pre[2*h+j]), sigmoid(pre[3*h+j])
			act[j], act[h+j], act[2*h+j], act[3*h+j] = i, f, g, o
			out[1].F[e] = f*in[1].F[e] + i*g
			out[0].F[e] = o * math.Tanh(out[1].F[e])
		}
		return nil
	},
	Emit: func(n *node) []call {
		s := n.Args[1].Shape
		return []call{{Func: "LSTMCell",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Outs[2], n.Args[0], n.Args[1], s.Rows(), s.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("i, f, g, o = σ, σ, tanh, σ of %s;  %s = f∘%s + i∘g;  %s = o∘tanh(%[2]s)", name(n.Args[0]),
			name(n.Outs[1]), name(n.Args[1]), name(n.Outs[0]))
	},
}

// LSTMCellGrad gives the gradients of the pre-activations and of the last cell state from dh, dc, the activated gates,
// c and c′.
var LSTMCellGrad = &graph.Op{
	Name:  "lstm_cell_grad",
	Infer: cellInfer(5, 2, 4, 0, 4, 1),
	Flops: perElement(6), InPlace: [][2]int{{0, 2}, {1, 1}}, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		h := in[0].Cols()
		for e := range in[0].F {
			r, j := e/h, e%h
			act, dg := in[2].F[r*4*h:], out[0].F[r*4*h:]
			i, f, g, o := act[j], act[h+j], act[2*h+j], act[3*h+j]
			dh, t := in[0].F[e], math.Tanh(in[3].F[e])
			dc := in[1].F[e] + dh*o*(1-t*t)
			dg[j] = dc * g * i * (1 - i)
			dg[h+j] = dc * in[4].F[e] * f * (1 - f)
			dg[2*h+j] = dc * i * (1 - g*g)
			dg[3*h+j] = dh * t * o * (1 - o)
			out[1].F[e] = dc * f
		}
		return nil
	},
	Emit: func(n *node) []call {
		s := n.Args[0].Shape
		return []call{{Func: "LSTMCellGrad",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Args[0], n.Args[1], n.Args[2], n.Args[3], n.Args[4], s.Rows(),
				s.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s, %s = gradients of the LSTM cell from %s, %s", name(n.Outs[0]), name(n.Outs[1]),
			name(n.Args[0]), name(n.Args[1]))
	},
}
