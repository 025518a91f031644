package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

func rowCall(kernel string, state graph.Shape, n *node) []call {
	var ops []graph.Operand
	for _, o := range n.Outs {
		ops = append(ops, o)
	}
	for _, a := range n.Args {
		ops = append(ops, a)
	}
	return []call{{Func: kernel, Args: append(ops, state.Rows(), state.Last())}}
}

// gradients is the formula of a cell's gradient.
func gradients(what string) func(n *node, name names) string {
	return func(n *node, name names) string {
		s := name(n.Outs[0])
		for _, o := range n.Outs[1:] {
			s += ", " + name(o)
		}
		return s + " = gradients of " + what + " from " + name(n.Args[0])
	}
}

// GRUCell is the pointwise part of a gated recurrent unit whose reset gate acts after the product with the state (the
// form of cuDNN and PyTorch): from gx = x·Wx + b and gh = h′·Wh + bh, both [batch, 3·hidden] in the order r, z, n, r,
// z = σ(gx + gh), n = tanh(gxₙ + r∘ghₙ), h = (1−z)∘n + z∘h′. It gives h and the activated gates.
var GRUCell = &graph.Op{
	Name: "gru_cell",
	ONNX: func(x asm, _ *node, a []string) []string {
		gx, gh := columns(x, a[0], 3), columns(x, a[1], 3)
		r := x.Op("Sigmoid", nil, x.Op("Add", nil, gx[0], gh[0]))
		z := x.Op("Sigmoid", nil, x.Op("Add", nil, gx[1], gh[1]))
		c := x.Op("Tanh", nil, x.Op("Add", nil, gx[2], x.Op("Mul", nil, r, gh[2])))
		return []string{between(x, z, c, a[2]), ""}
	},
	Infer: cellInfer(3, 0, 3, 2, 1, 3),
	Grad: func(c *graph.Context, n *node, g []*value) []*value {
		if g[1] != nil {
			panic("op: the activated gates of a GRU are read by its gradient only")
		}
		return c.Apply(GRUCellGrad, []string{d(n.Args[0]), d(n.Args[1]), d(n.Args[2])}, nil, g[0], c.Val(n.Outs[1]),
			c.Val(n.Args[1]), c.Val(n.Args[2]))
	},
	Flops: perElement(10), InPlace: [][2]int{{1, 0}}, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		h := in[2].Cols()
		for e := range in[2].F {
			row, j := e/h, e%h
			gx, gh, act := in[0].F[row*3*h:], in[1].F[row*3*h:], out[1].F[row*3*h:]
			r, z := sigmoid(gx[j]+gh[j]), sigmoid(gx[h+j]+gh[h+j])
			c := math.Tanh(gx[2*h+j] + r*gh[2*h+j])
			act[j], act[h+j], act[2*h+j] = r, z, c
			out[0].F[e] = (1-z)*c + z*in[2].F[e]
		}
		return nil
	},
	Emit: func(n *node) []call { return rowCall("GRUCell", n.Args[2].Shape, n) },
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("r, z = σ(%[1]s + %[2]s);  n = tanh(%[1]sₙ + r∘%[2]sₙ);  %[3]s = (1−z)∘n + z∘%[4]s",
			name(n.Args[0]), name(n.Args[1]), name(n.Outs[0]), name(n.Args[2]))
	},
}

// GRUCellGrad gives the gradients of gx, gh and h′ (its elementwise part) from dh, the activated gates, gh and h′.
var GRUCellGrad = &graph.Op{
	Name:  "gru_cell_grad",
	Infer: cellInfer(4, 1, 3, 0, 3, 3, 1),
	Flops: perElement(5), InPlace: [][2]int{{0, 1}, {1, 2}, {2, 0}}, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		h := in[0].Cols()
		for e := range in[0].F {
			row, j := e/h, e%h
			act, gh := in[1].F[row*3*h:], in[2].F[row*3*h:]
			r, z, c := act[j], act[h+j], act[2*h+j]
			dh := in[0].F[e]
			dn := dh * (1 - z) * (1 - c*c)
			dr := dn * gh[2*h+j] * r * (1 - r)
			dz := dh * (in[3].F[e] - c) * z * (1 - z)
			dgx, dgh := out[0].F[row*3*h:], out[1].F[row*3*h:]
			dgx[j], dgx[h+j], dgx[2*h+j] = dr, dz, dn
			dgh[j], dgh[h+j], dgh[2*h+j] = dr, dz, dn*r
			out[2].F[e] = dh * z
		}
		return nil
	},
	Emit:    func(n *node) []call { return rowCall("GRUCellGrad", n.Args[0].Shape, n) },
	Formula: gradients("the GRU cell"),
}

// GRUReset is the first half of a GRU whose reset gate acts before the product with the state (Cho et al. 2014,
// equations 5 to 8): from the pre-activations [batch, 2·hidden] in the order r, z, it gives r, z = σ(…) and r∘h′.
var GRUReset = &graph.Op{
	Name: "gru_reset",
	ONNX: func(x asm, _ *node, a []string) []string {
		rz := x.Op("Sigmoid", nil, a[0])
		return []string{rz, x.Op("Mul", nil, columns(x, rz, 2)[0], a[1])}
	},
	Infer: cellInfer(2, 0, 2, 1, 2, 1),
	Grad: func(c *graph.Context, n *node, g []*value) []*value {
		drz, drh := or0(c, g[0], n.Outs[0], "drz"), or0(c, g[1], n.Outs[1], "drh")
		return c.Apply(GRUResetGrad, []string{d(n.Args[0]), d(n.Args[1])}, nil, drz, drh, c.Val(n.Outs[0]),
			c.Val(n.Args[1]))
	},
	Flops: perElement(2), InPlace: [][2]int{{0, 0}}, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		for i, x := range in[0].F {
			out[0].F[i] = sigmoid(x)
		}
		h := in[1].Cols()
		for e, x := range in[1].F {
			out[1].F[e] = out[0].F[e/h*2*h+e%h] * x
		}
		return nil
	},
	Emit: func(n *node) []call { return rowCall("GRUReset", n.Args[1].Shape, n) },
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("r, z = σ(%s);  %s = r∘%s", name(n.Args[0]), name(n.Outs[1]), name(n.Args[1]))
	},
}

// GRUResetGrad gives the gradients of the pre-activations and of h′ from those of r, z and of r∘h′, the activated
// gates and h′.
var GRUResetGrad = &graph.Op{
	Name:  "gru_reset_grad",
	Infer: cellInfer(4, 0, 2, 1, 2, 1),
	Flops: perElement(4), InPlace: [][2]int{{0, 0}}, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		h := in[1].Cols()
		for e, drh := range in[1].F {
			at := e / h * 2 * h
			i, k := at+e%h, at+h+e%h
			r, z := in[2].F[i], in[2].F[k]
			out[0].F[i] = (in[0].F[i] + drh*in[3].F[e]) * r * (1 - r)
			out[0].F[k] = in[0].F[k] * z * (1 - z)
			out[1].F[e] = drh * r
		}
		return nil
	},
	Emit: func(n *node) []call {
		s := n.Args[1].Shape
		return []call{{Func: "GRUResetGrad",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Args[0], n.Args[1], n.Args[2], n.Args[3], s.Rows(),
				s.Last()}}}
	},
	Formula: gradients("the GRU's reset gate"),
}

// GRUUpdate is the second half: from the candidate's pre-activation, r, z and h′ it gives h = (1−z)∘n + z∘h′ and n =
// tanh(…).
var GRUUpdate = &graph.Op{
	Name: "gru_update",
	ONNX: func(x asm, _ *node, a []string) []string {
		return []string{between(x, columns(x, a[1], 2)[1], x.Op("Tanh", nil, a[0]), a[2]), ""}
	},
	Infer: cellInfer(3, 1, 2, 2, 1, 1),
	Grad: func(c *graph.Context, n *node, g []*value) []*value {
		if g[1] != nil {
			panic("op: the activated candidate of a GRU is read by its gradient only")
		}
		return c.Apply(GRUUpdateGrad, []string{d(n.Args[0]), d(n.Args[1]), d(n.Args[2])}, nil, g[0], c.Val(n.Outs[1]),
			c.Val(n.Args[1]), c.Val(n.Args[2]))
	},
	Flops: perElement(5), InPlace: [][2]int{{1, 0}}, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		h := in[2].Cols()
		for e, hp := range in[2].F {
			c, z := math.Tanh(in[0].F[e]), in[1].F[e/h*2*h+h+e%h]
			out[1].F[e] = c
			out[0].F[e] = (1-z)*c + z*hp
		}
		return nil
	},
	Emit: func(n *node) []call { return rowCall("GRUUpdate", n.Args[2].Shape, n) },
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("n = tanh(%s);  %s = (1−z)∘n + z∘%s", name(n.Args[0]), name(n.Outs[0]), name(n.Args[2]))
	},
}

// GRUUpdateGrad gives the gradients of the candidate's pre-activation, of r, z (after their activation; r's is 0) and
// of h′ from dh, n, r, z and h′.
var GRUUpdateGrad = &graph.Op{
	Name:  "gru_update_grad",
	Infer: cellInfer(4, 2, 2, 0, 1, 2, 1),
	Flops: perElement(6), InPlace: nil, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		h := in[0].Cols()
		for e, dh := range in[0].F {
			k := e/h*2*h + h + e%h
			c, z := in[1].F[e], in[2].F[k]
			out[0].F[e] = dh * (1 - z) * (1 - c*c)
			out[1].F[k] = dh * (in[3].F[e] - c)
			out[2].F[e] = dh * z
		}
		return nil
	},
	Emit:    func(n *node) []call { return rowCall("GRUUpdateGrad", n.Args[0].Shape, n) },
	Formula: gradients("the GRU's candidate"),
}
