package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// AdditiveAttention is the context of one query of each sequence (Bahdanau et al. 2015, appendix A.1.2): with the
// energies e = v·tanh(q + key) of the steps of a memory and the weights w = softmax(e), c = Σ w·memory. Arguments are
// q [batch, hidden], keys [steps, batch, hidden], memory [steps, batch, width], v [hidden] and the tokens of the
// memory: a step whose token is negative takes no part. The second result is the weights, [batch, steps].
var AdditiveAttention = &graph.Op{
	Name: "additive_attention",
	ONNX: func(x asm, _ *node, a []string) []string {
		// e = v·tanh(q + keys) [steps, batch], weights = softmax over the steps that have a token
		e := x.Op("MatMul", nil, x.Op("Tanh", nil, x.Op("Add", nil, a[1], a[0])), a[3])
		w := x.Op("Transpose", perm(1, 0), softmaxWhere(x, there(x, a[4]), e, 0))
		each := x.Op("MatMul", nil, x.Op("Unsqueeze", nil, w, x.Ints(1)), x.Op("Transpose", perm(1, 0, 2), a[2]))
		return []string{x.Op("Squeeze", nil, each, x.Ints(1)), w}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32, graph.F32, graph.F32, graph.I32); err != nil {
			return nil, err
		}
		if err := additiveShapes(n.Args[0], n.Args[1], n.Args[2], n.Args[3], n.Args[4]); err != nil {
			return nil, err
		}
		m := n.Args[2].Shape
		return f32(graph.Shape{m[1], m[2]}, graph.Shape{m[1], m[0]}), nil
	},
	Flops: func(n *node) dim { return graph.Mul(graph.Const(4, ""), n.Args[1].Shape.Elems()) },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		eachAdditive(in[0], in[1], in[2], in[3], in[4], func(b int, w []float64, _ func(s, h int) float64) {
			for s, p := range w {
				out[1].F[b*len(w)+s] = p
				if p != 0 {
					for i := range in[2].Cols() {
						out[0].F[b*in[2].Cols()+i] += p * in[2].F[(s*in[2].Shape[1]+b)*in[2].Cols()+i]
					}
				}
			}
		})
		return nil
	},
	Emit: func(n *node) []call {
		m := n.Args[2].Shape
		return []call{{Func: "AdditiveAttention",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Args[0], n.Args[1], n.Args[2], n.Args[3], n.Args[4], m[0],
				m[1], n.Args[3].Shape[0], m[2]}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("w = softmax(%s·tanh(%s + %s));  %s = Σ w·%s", name(n.Args[3]), name(n.Args[0]),
			name(n.Args[1]), name(n.Outs[0]), name(n.Args[2]))
	},
}

// AdditiveAttentionGrad gives the gradients of q, keys and memory, and that of v for each sequence [batch, hidden],
// from dc, the arguments and the weights.
var AdditiveAttentionGrad = &graph.Op{
	Name: "additive_attention_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32, graph.F32, graph.F32, graph.F32, graph.F32, graph.I32); err != nil {
			return nil, err
		}
		if err := additiveShapes(n.Args[1], n.Args[2], n.Args[3], n.Args[4], n.Args[6]); err != nil {
			return nil, err
		}
		return f32(n.Args[1].Shape, n.Args[2].Shape, n.Args[3].Shape, n.Args[1].Shape), nil
	},
	Flops: func(n *node) dim { return graph.Mul(graph.Const(12, ""), n.Args[2].Shape.Elems()) },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		dc, q, keys, memory, v := in[0], in[1], in[2], in[3], in[4]
		batch, hidden, width := q.Shape[0], q.Cols(), memory.Cols()
		eachAdditive(q, keys, memory, v, in[6], func(b int, w []float64, tanh func(s, h int) float64) {
			dw := make([]float64, len(w))
			sum := 0.0
			for s, p := range w {
				if p == 0 {
					continue
				}
				for i := range width {
					dw[s] += dc.F[b*width+i] * memory.F[(s*batch+b)*width+i]
					out[2].F[(s*batch+b)*width+i] = p * dc.F[b*width+i]
				}
				sum += p * dw[s]
			}
			for s, p := range w {
				if p == 0 {
					continue
				}
				de := p * (dw[s] - sum)
				for h := range hidden {
					t := tanh(s, h)
					out[3].F[b*hidden+h] += de * t
					g := de * v.F[h] * (1 - t*t)
					out[1].F[(s*batch+b)*hidden+h] = g
					out[0].F[b*hidden+h] += g
				}
			}
		})
		return nil
	},
	Emit: func(n *node) []call {
		m := n.Args[3].Shape
		return []call{{Func: "AdditiveAttentionGrad",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Outs[2], n.Outs[3], n.Args[0], n.Args[1], n.Args[2],
				n.Args[3], n.Args[4], n.Args[5], n.Args[6], m[0], m[1], n.Args[4].Shape[0], m[2]}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s, %s, %s, %s = gradients of the context from %s", name(n.Outs[0]), name(n.Outs[1]),
			name(n.Outs[2]), name(n.Outs[3]), name(n.Args[0]))
	},
}

func additiveShapes(q, keys, memory, v, tokens *value) error {
	k, m := keys.Shape, memory.Shape
	if len(q.Shape) != 2 || len(k) != 3 || len(m) != 3 || len(v.Shape) != 1 || !v.Shape[0].Same(k[2]) ||
		!q.Shape.Same(k[1:]) || !k[:2].Same(m[:2]) || !tokens.Shape.Same(m[:2]) {
		return fmt.Errorf("query %s, keys %s, memory %s, vector %s and tokens %s do not fit", q.Shape, k, m, v.Shape,
			tokens.Shape)
	}
	return nil
}

// eachAdditive calls f with the weights of each sequence, and the hyperbolic tangents that its energies come from.
func eachAdditive(q, keys, memory, v, tokens *graph.Tensor, f func(b int, w []float64, tanh func(s, h int) float64)) {
	steps, batch, hidden := keys.Shape[0], keys.Shape[1], keys.Shape[2]
	for b := range batch {
		tanh := func(s, h int) float64 { return math.Tanh(q.F[b*hidden+h] + keys.F[(s*batch+b)*hidden+h]) }
		w := make([]float64, steps)
		sum := 0.0
		for s := range w {
			if tokens.I[s*batch+b] < 0 {
				continue
			}
			e := 0.0
			for h := range hidden {
				e += v.F[h] * tanh(s, h)
			}
			w[s] = math.Exp(e)
			sum += w[s]
		}
		for s := range w {
			if sum > 0 {
				w[s] /= sum
			}
		}
		f(b, w, tanh)
	}
}

// MaskRows is x with a zero row where the token of the row is negative: what is missing leaves no trace in a state.
var MaskRows = &graph.Op{
	Name: "mask_rows",
	ONNX: func(x asm, _ *node, a []string) []string { return []string{rowsWhere(x, there(x, a[1]), a[0])} },
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.I32); err != nil {
			return nil, err
		}
		if !n.Args[0].Shape.Rows().Same(n.Args[1].Shape.Elems()) {
			return nil, fmt.Errorf("has tokens %s for rows of %s", n.Args[1].Shape, n.Args[0].Shape)
		}
		return f32(n.Args[0].Shape), nil
	},
	InPlace: [][2]int{{0, 0}}, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		cols := in[0].Cols()
		for i, x := range in[0].F {
			if in[1].I[i/cols] >= 0 {
				out[0].F[i] = x
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "MaskRows", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], x.Rows(), x.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = " + name(n.Args[0]) + ", or 0 where there is no token"
	},
}

// JoinColumns puts the rows of two values side by side. The attribute width, if there is one, is the name of their
// width.
var JoinColumns = &graph.Op{
	Name: "join_columns",
	ONNX: func(x asm, _ *node, a []string) []string { return []string{x.Op("Concat", axis(-1), a...)} },
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		a, b := n.Args[0].Shape, n.Args[1].Shape
		if len(a) == 0 || !a[:len(a)-1].Same(b[:max(0, len(b)-1)]) {
			return nil, fmt.Errorf("%s and %s do not have the same rows", a, b)
		}
		last := graph.Const(a.Last().N+b.Last().N, "")
		if a.Last().N == b.Last().N {
			last = graph.Mul(graph.Const(2, ""), a.Last())
		}
		if w, ok := n.Attrs.Get("width").(dim); ok {
			if !w.Same(last) {
				return nil, fmt.Errorf("%s and %s are not %s wide", a, b, w)
			}
			last = w
		}
		return f32(a.With(last)), nil
	},
	Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		a, b := in[0].Cols(), in[1].Cols()
		for r := range in[0].Rows() {
			copy(out[0].F[r*(a+b):], in[0].F[r*a:(r+1)*a])
			copy(out[0].F[r*(a+b)+a:], in[1].F[r*b:(r+1)*b])
		}
		return nil
	},
	Emit: func(n *node) []call {
		a, b := n.Args[0].Shape, n.Args[1].Shape
		return []call{{Func: "JoinColumns",
			Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], a.Rows(), a.Last(), b.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = " + name(n.Args[0]) + " and " + name(n.Args[1]) + " side by side"
	},
}

// SplitColumns takes rows apart again; attributes a and b are the widths.
var SplitColumns = &graph.Op{
	Name: "split_columns",
	ONNX: func(x asm, n *node, a []string) []string {
		return x.Ops("Split", 2, axis(-1), a[0], x.Ints(n.Outs[0].Shape.Last().N, n.Outs[1].Shape.Last().N))
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		a, okA := n.Attrs.Get("a").(dim)
		b, okB := n.Attrs.Get("b").(dim)
		x := n.Args[0].Shape
		if !okA || !okB || a.N+b.N != x.Last().N {
			return nil, fmt.Errorf("splits %s into %s and %s", x, a, b)
		}
		return f32(x.With(a), x.With(b)), nil
	},
	Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		a, b := out[0].Cols(), out[1].Cols()
		for r := range in[0].Rows() {
			copy(out[0].F[r*a:(r+1)*a], in[0].F[r*(a+b):])
			copy(out[1].F[r*b:(r+1)*b], in[0].F[r*(a+b)+a:])
		}
		return nil
	},
	Emit: func(n *node) []call {
		a, b := n.Outs[0].Shape, n.Outs[1].Shape
		return []call{{Func: "SplitColumns",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Args[0], a.Rows(), a.Last(), b.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s, %s = the two sides of %s", name(n.Outs[0]), name(n.Outs[1]), name(n.Args[0]))
	},
}

// FirstStep is the first time step of x [steps, batch, width].
var FirstStep = &graph.Op{
	Name:  "first_step",
	ONNX:  func(x asm, _ *node, a []string) []string { return []string{x.Op("Gather", axis(0), a[0], x.ID(0))} },
	Infer: LastStep.Infer,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		copy(out[0].F, in[0].F)
		return nil
	},
	Emit: func(n *node) []call {
		return []call{{Func: "Copy", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = the first time step of " + name(n.Args[0])
	},
}

// FirstStepGrad is zero but for the first time step; attribute steps is their number.
var FirstStepGrad = &graph.Op{
	Name: "first_step_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		steps, ok := n.Attrs.Get("steps").(dim)
		if !ok {
			return nil, fmt.Errorf("has no attribute steps")
		}
		return f32(n.Args[0].Shape.Stack(steps)), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		copy(out[0].F, in[0].F)
		return nil
	},
	Emit: func(n *node) []call {
		return []call{
			{Func: "Clear", Args: []graph.Operand{n.Outs[0], n.Outs[0].Shape.Elems()}},
			{Func: "Copy", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[0].Shape.Elems()}},
		}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = " + name(n.Args[0]) + " at the first time step, 0 behind it"
	},
}

func init() {
	AdditiveAttention.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		if g[1] != nil {
			panic("op: the weights of an attention are read by its gradient only")
		}
		args := []*value{g[0]}
		for _, x := range n.Args[:4] {
			args = append(args, c.Val(x))
		}
		args = append(args, c.Val(n.Outs[1]), c.Val(n.Args[4]))
		r := c.Apply(AdditiveAttentionGrad, []string{d(n.Args[0]), d(n.Args[1]), d(n.Args[2]), d(n.Args[3]) + "Rows"},
			nil, args...)
		return append(r[:3:3], c.Apply(SumRows, []string{d(n.Args[3])}, nil, r[3])[0], nil)
	}
	MaskRows.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return append(c.Apply(MaskRows, []string{d(n.Args[0])}, nil, g[0], c.Val(n.Args[1])), nil)
	}
	JoinColumns.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(SplitColumns, []string{d(n.Args[0]), d(n.Args[1])},
			graph.Attrs{{Key: "a", Val: n.Args[0].Shape.Last()}, {Key: "b", Val: n.Args[1].Shape.Last()}}, g[0])
	}
	SplitColumns.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		width := graph.Attrs{{Key: "width", Val: n.Args[0].Shape.Last()}}
		return c.Apply(JoinColumns, []string{d(n.Args[0])}, width, or0(c, g[0], n.Outs[0], ""),
			or0(c, g[1], n.Outs[1], ""))
	}
	FirstStep.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(FirstStepGrad, []string{d(n.Args[0])}, graph.Attrs{{Key: "steps", Val: n.Args[0].Shape[0]}},
			g[0])
	}
	FirstStepGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(FirstStep, []string{d(n.Args[0])}, nil, g[0])
	}
}
