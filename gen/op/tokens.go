package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Operations over the tokens of a text, for formulas that sum over them. A value that differs from token to token is
// [tokens, batch, ...].

// SpreadSteps is x for every token: [tokens, ...], tokens being the attribute.
var SpreadSteps = &graph.Op{
	Name: "spread_steps",
	ONNX: func(x asm, n *node, a []string) []string {
		return []string{x.Op("Expand", nil, a[0], x.Sizes(n.Outs[0].Shape...))}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		tokens, ok := n.Attrs.Get("tokens").(dim)
		if !ok {
			return nil, fmt.Errorf("has no attribute tokens")
		}
		return f32(n.Args[0].Shape.Stack(tokens)), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		for i := range out[0].F {
			out[0].F[i] = in[0].F[i%len(in[0].F)]
		}
		return nil
	},
	Emit: func(n *node) []call {
		x, y := n.Args[0].Shape.Elems(), n.Outs[0].Shape
		return []call{
			{Func: "Clear", Args: []graph.Operand{n.Outs[0], y.Elems()}},
			{Func: "AddBias", Args: []graph.Operand{n.Outs[0], n.Outs[0], n.Args[0], y[0], x}},
		}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s for every token", name(n.Outs[0]), name(n.Args[0]))
	},
}

// SumSteps is the sum of x [tokens, ...] over the tokens.
var SumSteps = &graph.Op{
	Name: "sum_steps",
	ONNX: func(x asm, _ *node, a []string) []string {
		return []string{x.Op("ReduceSum", keep(false), a[0], x.Ints(0))}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		x := n.Args[0].Shape
		if len(x) < 2 {
			return nil, fmt.Errorf("sums %s over tokens", x)
		}
		return f32(x[1:]), nil
	},
	Flops: func(n *node) dim { return n.Args[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		for i, x := range in[0].F {
			out[0].F[i%len(out[0].F)] += x
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "SumRows", Args: []graph.Operand{n.Outs[0], n.Args[0], x[0], n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = Σ over tokens of %s", name(n.Outs[0]), name(n.Args[0]))
	},
}

// Seen is 1 for each token that a sum is over, and 0 for the others, [tokens, batch]. Arguments are the tokens
// [tokens, batch], of which a negative one is missing, where the attribute missing is set, and behind them what the
// attribute upto says: "index", the place of the token that sees, the same for all sequences, or "places", that of
// each sequence [batch], which is negative where there is none. Attributes tokens and batch are the sizes.
var Seen = &graph.Op{
	Name: "seen",
	ONNX: seenONNX,
	Infer: func(n *node) ([]graph.TypedShape, error) {
		types := []graph.Type{}
		if n.Attrs.Bool("missing") {
			types = append(types, graph.I32)
		}
		if n.Attrs.Str("upto") != "" {
			types = append(types, graph.I32)
		}
		if err := wantArgs(n, types...); err != nil {
			return nil, err
		}
		tokens, ok := n.Attrs.Get("tokens").(dim)
		batch, ok2 := n.Attrs.Get("batch").(dim)
		if !ok || !ok2 {
			return nil, fmt.Errorf("has no attributes tokens and batch")
		}
		y := graph.Shape{tokens, batch}
		if n.Attrs.Bool("missing") && !n.Args[0].Shape.Same(y) {
			return nil, fmt.Errorf("has tokens %s for %s", n.Args[0].Shape, y)
		}
		return f32(y), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		batch := out[0].Cols()
		for i := range out[0].F {
			seen := !n.Attrs.Bool("missing") || in[0].I[i] >= 0
			switch n.Attrs.Str("upto") {
			case "index":
				seen = seen && i/batch <= int(in[len(in)-1].I[0])
			case "places":
				seen = seen && i/batch <= int(in[len(in)-1].I[i%batch])
			}
			if seen {
				out[0].F[i] = 1
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		y := n.Outs[0].Shape
		tokens, places := graph.Operand(graph.Nil{}), graph.Operand(graph.Nil{})
		if n.Attrs.Bool("missing") {
			tokens = n.Args[0]
		}
		switch last := len(n.Args) - 1; n.Attrs.Str("upto") {
		case "index":
			return []call{{Func: "SeenUpTo",
				Args: []graph.Operand{n.Outs[0], tokens, graph.LoopIndex{V: n.Args[last]}, y[0], y[1]}}}
		case "places":
			places = n.Args[last]
		}
		return []call{{Func: "Seen", Args: []graph.Operand{n.Outs[0], tokens, places, y[0], y[1]}}}
	},
	Formula: func(n *node, name names) string {
		what := "1 for each token"
		if n.Attrs.Bool("missing") {
			what += " that is there"
		}
		if n.Attrs.Str("upto") != "" {
			what += " up to the one that sees"
		}
		return name(n.Outs[0]) + " = " + what + ", 0 for others"
	},
}

// SoftmaxSteps is the softmax of x [tokens, batch] over the tokens whose element of seen [tokens, batch] is not 0; the
// others have 0, as all have where none is seen.
var SoftmaxSteps = &graph.Op{
	Name: "softmax_steps",
	ONNX: func(x asm, n *node, a []string) []string {
		seen := x.Op("Greater", nil, reshape(x, a[1], n.Args[0].Shape...), x.Float(0))
		return []string{softmaxWhere(x, seen, a[0], 0)}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		x := n.Args[0].Shape
		if len(x) < 2 || !n.Args[1].Shape.Elems().Same(x.Elems()) {
			return nil, fmt.Errorf("has scores %s and what is seen %s", x, n.Args[1].Shape)
		}
		return f32(x), nil
	},
	Flops: perElement(4), InPlace: [][2]int{{0, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		tokens := in[0].Shape[0]
		batch := len(in[0].F) / max(1, tokens)
		for b := range batch {
			most, sum := math.Inf(-1), 0.0
			for i := b; i < len(in[0].F); i += batch {
				if in[1].F[i] != 0 {
					most = max(most, in[0].F[i])
				}
			}
			for i := b; i < len(in[0].F); i += batch {
				if in[1].F[i] != 0 {
					out[0].F[i] = math.Exp(in[0].F[i] - most)
					sum += out[0].F[i]
				}
			}
			for i := b; i < len(in[0].F) && sum > 0; i += batch {
				out[0].F[i] /= sum
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "SoftmaxSteps",
			Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], x[0], x[1:].Elems()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = softmax(%s) over the tokens that are seen", name(n.Outs[0]), name(n.Args[0]))
	},
}

// CacheRows puts rows of x [steps, batch, width] into a cache [batch, 1, room, width], at the places of their tokens
// [steps, batch], of which a negative one is none, and gives all of the cache, [room, batch, width], with zeros behind
// the last place.
var CacheRows = &graph.Op{
	Name: "cache_rows",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.I32, graph.F32); err != nil {
			return nil, err
		}
		x, c := n.Args[0].Shape, n.Args[2].Shape
		if len(x) != 3 || len(c) != 4 || c[1].N != 1 || !c[0].Same(x[1]) || !c[3].Same(x[2]) ||
			!n.Args[1].Shape.Same(x[:2]) {
			return nil, fmt.Errorf("keeps %s at places %s in a cache %s", x, n.Args[1].Shape, c)
		}
		return f32(graph.Shape{c[2], c[0], c[3]}), nil
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		x, places, c := in[0], in[1], in[2]
		steps, batch, width, room := x.Shape[0], x.Shape[1], x.Cols(), c.Shape[2]
		for b := range batch {
			last := -1
			for t := range steps {
				if p := int(places.I[t*batch+b]); p >= 0 {
					copy(c.F[(b*room+p)*width:][:width], x.F[(t*batch+b)*width:])
					last = max(last, p)
				}
			}
			for p := range last + 1 {
				copy(out[0].F[(p*batch+b)*width:][:width], c.F[(b*room+p)*width:])
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x, c := n.Args[0].Shape, n.Args[2].Shape
		return []call{{Func: "CacheRows",
			Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], n.Args[2], x[0], x[1], c[2], x[2]}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s of this and all earlier tokens", name(n.Outs[0]), name(n.Args[0]))
	},
}

// Outer is a·bᵀ of each row: a [..., n] and b [..., m] give [..., n·m], a matrix row by row.
var Outer = &graph.Op{
	Name: "outer",
	ONNX: func(x asm, n *node, a []string) []string {
		y := x.Op("Mul", nil, x.Op("Unsqueeze", nil, a[0], x.Ints(-1)), x.Op("Unsqueeze", nil, a[1], x.Ints(-2)))
		return []string{reshape(x, y, n.Outs[0].Shape...)}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		a, b := n.Args[0].Shape, n.Args[1].Shape
		if len(a) < 2 || len(a) != len(b) || !a[:len(a)-1].Same(b[:len(b)-1]) {
			return nil, fmt.Errorf("%s and %s do not have the same rows", a, b)
		}
		return f32(a.With(graph.Const(a.Last().N*b.Last().N, ""))), nil
	},
	Flops: perElement(1), Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		k, m := in[0].Cols(), in[1].Cols()
		for r := range in[0].Rows() {
			for i := range k {
				for j := range m {
					out[0].F[(r*k+i)*m+j] = in[0].F[r*k+i] * in[1].F[r*m+j]
				}
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		a, b := n.Args[0].Shape, n.Args[1].Shape
		return []call{{Func: "Outer",
			Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], a.Rows(), a.Last(), b.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s·%sᵀ of each row", name(n.Outs[0]), name(n.Args[0]), name(n.Args[1]))
	},
}

// ApplyRows is M·v of each row: M [..., n·m], a matrix row by row, and v [..., m] give [..., n]. With the attribute
// transposed it is Mᵀ·v, of v [..., n].
var ApplyRows = &graph.Op{
	Name: "apply_rows",
	ONNX: func(x asm, n *node, a []string) []string {
		v, m := n.Args[1].Shape, []dim{n.Outs[0].Shape.Last(), n.Args[1].Shape.Last()}
		if n.Attrs.Bool("transposed") {
			m[0], m[1] = m[1], m[0]
		}
		matrix := reshape(x, a[0], append(append(graph.Shape{}, v[:len(v)-1]...), m...)...)
		if n.Attrs.Bool("transposed") {
			row := x.Op("MatMul", nil, x.Op("Unsqueeze", nil, a[1], x.Ints(-2)), matrix)
			return []string{x.Op("Squeeze", nil, row, x.Ints(-2))}
		}
		column := x.Op("MatMul", nil, matrix, x.Op("Unsqueeze", nil, a[1], x.Ints(-1)))
		return []string{x.Op("Squeeze", nil, column, x.Ints(-1))}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		a, v := n.Args[0].Shape, n.Args[1].Shape
		if len(a) < 2 || len(a) != len(v) || !a[:len(a)-1].Same(v[:len(v)-1]) || v.Last().N == 0 ||
			a.Last().N%v.Last().N != 0 {
			return nil, fmt.Errorf("matrices %s do not fit vectors %s", a, v)
		}
		return f32(v.With(graph.Const(a.Last().N/v.Last().N, ""))), nil
	},
	Flops: func(n *node) dim { return graph.Mul(graph.Const(2, ""), n.Args[0].Shape.Elems()) }, Rowwise: allStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		k, m, transposed := out[0].Cols(), in[1].Cols(), n.Attrs.Bool("transposed")
		for r := range in[0].Rows() {
			for i := range k {
				for j := range m {
					at := i*m + j
					if transposed {
						at = j*k + i
					}
					out[0].F[r*k+i] += in[0].F[r*k*m+at] * in[1].F[r*m+j]
				}
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		v, y := n.Args[1].Shape, n.Outs[0].Shape
		if n.Attrs.Bool("transposed") {
			return []call{{Func: "ApplyRowsT",
				Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], v.Rows(), v.Last(), y.Last()}}}
		}
		return []call{{Func: "ApplyRows",
			Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], v.Rows(), y.Last(), v.Last()}}}
	},
	Formula: func(n *node, name names) string {
		of := ""
		if n.Attrs.Bool("transposed") {
			of = "ᵀ"
		}
		return fmt.Sprintf("%s = %s%s·%s of each row", name(n.Outs[0]), name(n.Args[0]), of, name(n.Args[1]))
	},
}

func init() {
	SpreadSteps.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(SumSteps, []string{d(n.Args[0])}, nil, g[0])
	}
	SumSteps.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(SpreadSteps, []string{d(n.Args[0])}, graph.Attrs{{Key: "tokens", Val: n.Args[0].Shape[0]}}, g[0])
	}
	SoftmaxSteps.Grad = func(c *graph.Context, n *node, g []*value) []*value { // p∘(dp − Σ p∘dp)
		p, name := c.Val(n.Outs[0]), []string{d(n.Args[0])}
		sum := c.Apply(SumSteps, name, nil, c.Apply(Mul, name, nil, p, g[0])[0])[0]
		all := c.Apply(SpreadSteps, name, graph.Attrs{{Key: "tokens", Val: n.Args[0].Shape[0]}}, sum)[0]
		return append(c.Apply(Mul, name, nil, p, c.Apply(Sub, name, nil, g[0], all)[0]), nil)
	}
	Outer.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		r := make([]*value, 2)
		if c.Need(0) {
			r[0] = c.Apply(ApplyRows, []string{d(n.Args[0])}, nil, g[0], c.Val(n.Args[1]))[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(ApplyRows, []string{d(n.Args[1])}, graph.Attrs{{Key: "transposed", Val: true}}, g[0],
				c.Val(n.Args[0]))[0]
		}
		return r
	}
	ApplyRows.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		m, v, transposed := n.Args[0], n.Args[1], n.Attrs.Bool("transposed")
		r := make([]*value, 2)
		if c.Need(0) {
			left, right := g[0], c.Val(v)
			if transposed {
				left, right = right, left
			}
			r[0] = c.Apply(Outer, []string{d(m)}, nil, left, right)[0]
		}
		if c.Need(1) {
			var attrs graph.Attrs
			if !transposed {
				attrs = graph.Attrs{{Key: "transposed", Val: true}}
			}
			r[1] = c.Apply(ApplyRows, []string{d(v)}, attrs, c.Val(m), g[0])[0]
		}
		return r
	}
}
