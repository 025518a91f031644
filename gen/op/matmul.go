package op

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// MatMul is the matrix product y = act(a·b + c + bias) of row-major matrices; all dimensions of a but the last are
// rows.
//
// Attributes: tb reads b as [n, k]; ta sums over the rows of both, y[k, n] = Σ_r a[r, k]·b[r, n], which is the
// gradient of a weight. acc adds a third argument c of y's shape, bias a last argument [n]; act is the name of an
// operation that follows; packed says that b comes from Pack, with n the columns; laid says that b is a parameter
// that decoders read laid out. acc, bias, act, packed and laid are set by the optimizer, after which there is no
// gradient rule.
var MatMul = &graph.Op{
	Name:    "matmul",
	ONNX:    matmulONNX,
	Infer:   matmulInfer,
	Flops:   matmulFlops,
	Eval:    matmulEval,
	Emit:    matmulEmit,
	Formula: matmulFormula,
	InPlace: [][2]int{{0, 2}}, // only c may share memory with y; plan asks Accumulates
	Rowwise: func(n *node, stacked []bool) bool {
		if n.Attrs.Bool("ta") || len(n.Args) != 2 {
			return false
		}
		return stacked[0] && !stacked[1]
	},
	Contracts: true,
	Heavy:     true,
}

func matmulInfer(n *node) ([]graph.TypedShape, error) {
	want := 2
	if n.Attrs.Bool("acc") {
		want++
	}
	if n.Attrs.Bool("bias") {
		want++
	}
	if err := wantArgs(n, make([]graph.Type, want)...); err != nil {
		return nil, err
	}
	a, b := n.Args[0].Shape, n.Args[1].Shape
	var y graph.Shape
	switch {
	case n.Attrs.Bool("packed"):
		cols, ok := n.Attrs.Get("n").(dim)
		if !ok || len(b) != 2 || !b[0].Same(a.Last()) {
			return nil, fmt.Errorf("packed matrix %s does not fit rows of %s", b, a.Last())
		}
		y = a.With(cols)
	case n.Attrs.Bool("ta"):
		if !a.Rows().Same(b.Rows()) {
			return nil, fmt.Errorf("%s and %s do not have the same number of rows", a, b)
		}
		y = graph.Shape{a.Last(), b.Last()}
	case n.Attrs.Bool("tb"):
		if len(b) != 2 || !b[1].Same(a.Last()) {
			return nil, fmt.Errorf("%s does not fit the transpose of %s", a, b)
		}
		y = a.With(b[0])
	default:
		if len(b) != 2 || !b[0].Same(a.Last()) {
			return nil, fmt.Errorf("%s does not fit %s", a, b)
		}
		y = a.With(b[1])
	}
	i := 2
	if n.Attrs.Bool("acc") {
		if !n.Args[i].Shape.Same(y) {
			return nil, fmt.Errorf("adds %s to a product of shape %s", n.Args[i].Shape, y)
		}
		i++
	}
	if n.Attrs.Bool("bias") && !(len(n.Args[i].Shape) == 1 && n.Args[i].Shape[0].Same(y.Last())) {
		return nil, fmt.Errorf("adds a bias of shape %s to rows of %s", n.Args[i].Shape, y.Last())
	}
	return f32(y), nil
}

// Product gives m, n and k of y[m, n] = Σ_k.
func product(n *node) (rows, cols, depth dim) {
	y, a := n.Outs[0].Shape, n.Args[0].Shape
	if n.Attrs.Bool("ta") {
		return y[0], y[1], a.Rows()
	}
	return y.Rows(), y.Last(), a.Last()
}

func matmulFlops(n *node) dim {
	r, c, k := product(n)
	return graph.Mul(graph.Const(2, ""), r, c, k)
}

func matmulGrad(c *graph.Context, n *node, g []*value) []*value {
	if len(n.Args) != 2 || n.Attrs.Str("act") != "" {
		panic("op: a fused matmul has no gradient: differentiate before optimizing")
	}
	dy := g[0]
	da, db := []string{d(n.Args[0])}, []string{d(n.Args[1])}
	ta, tb := graph.Attrs{{Key: "ta", Val: true}}, graph.Attrs{{Key: "tb", Val: true}}
	r := make([]*value, 2)
	switch {
	case n.Attrs.Bool("ta"):
		if c.Need(0) {
			r[0] = c.Apply(MatMul, da, tb, c.Val(n.Args[1]), dy)[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(MatMul, db, nil, c.Val(n.Args[0]), dy)[0]
		}
	case n.Attrs.Bool("tb"):
		if c.Need(0) {
			r[0] = c.Apply(MatMul, da, nil, dy, c.Val(n.Args[1]))[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(MatMul, db, ta, dy, c.Val(n.Args[0]))[0]
		}
	default:
		if c.Need(0) {
			r[0] = c.Apply(MatMul, da, tb, dy, c.Val(n.Args[1]))[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(MatMul, db, ta, c.Val(n.Args[0]), dy)[0]
		}
	}
	return r
}

func matmulEval(n *node, in, out []*graph.Tensor) error {
	a, b, y := in[0], in[1], out[0]
	rows, cols := y.Rows(), y.Cols()
	if n.Attrs.Bool("ta") {
		rows = y.Shape[0]
	}
	depth := a.Cols()
	at := func(i, k int) float64 { return a.F[i*depth+k] }
	bt := func(k, j int) float64 { return b.F[k*cols+j] }
	if n.Attrs.Bool("ta") {
		depth = a.Rows()
		at = func(i, k int) float64 { return a.F[k*rows+i] }
	}
	if n.Attrs.Bool("tb") {
		bt = func(k, j int) float64 { return b.F[j*depth+k] }
	}
	if n.Attrs.Bool("packed") { // with columns of zeros at the end
		bt = func(k, j int) float64 { return b.F[k*b.Cols()+j] }
	}
	for i := range rows {
		for j := range cols {
			s := 0.0
			for k := range depth {
				s += at(i, k) * bt(k, j)
			}
			y.F[i*cols+j] = s
		}
	}
	next := 2
	if n.Attrs.Bool("acc") {
		for i := range y.F {
			y.F[i] += in[next].F[i]
		}
		next++
	}
	if n.Attrs.Bool("bias") {
		for i := range y.F {
			y.F[i] += in[next].F[i%cols]
		}
	}
	if f := n.Attrs.Str("act"); f != "" {
		act := &node{Op: epilogues[f].op, Outs: n.Outs}
		return act.Op.Eval(act, []*graph.Tensor{y}, []*graph.Tensor{y})
	}
	return nil
}

func matmulEmit(n *node) []call {
	rows, cols, depth := product(n)
	c := call{Func: "GemmNN", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], rows, cols, depth}}
	switch {
	case n.Attrs.Bool("packed"):
		c.Func = "GemmPacked"
	case n.Attrs.Bool("laid"):
		c = call{Func: "GemmWeights",
			Args: []graph.Operand{n.Outs[0], n.Args[0], graph.Matrix{V: n.Args[1], Transpose: n.Attrs.Bool("tb")},
				rows}}
	case n.Attrs.Bool("ta"):
		c.Func = "GemmTN"
	case n.Attrs.Bool("tb"):
		c.Func = "GemmNT"
	}
	i := 2
	if n.Attrs.Bool("acc") {
		c.Args = append(c.Args, graph.Onto{V: n.Args[i], Result: n.Outs[0]})
		i++
	}
	if n.Attrs.Bool("bias") {
		c.Args = append(c.Args, graph.Option{Func: "Bias", Args: []graph.Operand{n.Args[i]}})
	}
	if f := n.Attrs.Str("act"); f != "" {
		c.Args = append(c.Args, graph.Option{Func: epilogues[f].option})
	}
	return []call{c}
}

func matmulFormula(n *node, name names) string {
	a, b := name(n.Args[0]), name(n.Args[1])
	switch {
	case n.Attrs.Bool("packed"):
	case n.Attrs.Bool("ta"):
		a += "ᵀ"
	case n.Attrs.Bool("tb"):
		b += "ᵀ"
	}
	terms := []string{a + "·" + b}
	for _, x := range n.Args[2:] {
		terms = append(terms, name(x))
	}
	s := strings.Join(terms, " + ")
	if f := n.Attrs.Str("act"); f != "" {
		s = f + "(" + s + ")"
	}
	return name(n.Outs[0]) + " = " + s
}

// PanelColumns is the number of columns that a packed matrix is padded to a multiple of. It is part of the contract
// with the runtime's packed products.
const PanelColumns = 32

// Pack lays a matrix [k, n] (with tb: [n, k]) out in the order in which the product reads it, once for many products.
var Pack = &graph.Op{
	Name: "pack",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		s := n.Args[0].Shape
		if len(s) != 2 || !s[0].IsConst() || !s[1].IsConst() {
			return nil, fmt.Errorf("packs a constant matrix, not %s", s)
		}
		k, cols := s[0], s[1]
		if n.Attrs.Bool("tb") {
			k, cols = cols, k
		}
		return f32(graph.Shape{k, graph.Const((cols.N+PanelColumns-1)/PanelColumns*PanelColumns, "")}), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		b, cols := in[0], out[0].Cols()
		for i, x := range b.F {
			k, j := i/b.Cols(), i%b.Cols()
			if n.Attrs.Bool("tb") {
				k, j = j, k
			}
			out[0].F[k*cols+j] = x
		}
		return nil
	},
	Emit: func(n *node) []call {
		s := n.Args[0].Shape
		if n.Attrs.Bool("tb") {
			return []call{{Func: "PackT", Args: []graph.Operand{n.Outs[0], n.Args[0], s[1], s[0]}}}
		}
		return []call{{Func: "Pack", Args: []graph.Operand{n.Outs[0], n.Args[0], s[0], s[1]}}}
	},
	Formula: func(n *node, name names) string {
		if n.Attrs.Bool("tb") {
			return name(n.Outs[0]) + " = " + name(n.Args[0]) + "ᵀ, packed once for all steps"
		}
		return name(n.Outs[0]) + " = " + name(n.Args[0]) + ", packed once for all steps"
	},
}

func init() { MatMul.Grad = matmulGrad }

// epilogues are the operations on one element that a product can apply to its result, by name.
var epilogues = map[string]epilogue{}

type epilogue struct {
	op     *graph.Op
	option string // of the kernels of products
}

// follows registers an operation that a product can apply by an option of its kernels.
func follows(o *graph.Op, option string) { epilogues[o.Name] = epilogue{o, option} }

// Follows reports whether a product can apply the operation to its result, so that it needs no pass over memory.
func Follows(o *graph.Op) bool { return o != nil && epilogues[o.Name].op == o }
