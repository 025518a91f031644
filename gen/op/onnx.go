package op

import (
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Shorthands for the rules that say how an operation stands in ONNX.

type (
	asm  = graph.Assembler
	rule = func(x asm, n *node, a []string) []string
)

// operator is the rule of an operation that is one operator of ONNX without attributes.
func operator(name string) rule {
	return func(x asm, _ *node, a []string) []string { return []string{x.Op(name, nil, a...)} }
}

func axis(i int) graph.Attrs { return graph.Attrs{{Key: "axis", Val: i}} }

func perm(axes ...int) graph.Attrs { return graph.Attrs{{Key: "perm", Val: axes}} }

func keep(dims bool) graph.Attrs {
	v := 0
	if dims {
		v = 1
	}
	return graph.Attrs{{Key: "keepdims", Val: v}}
}

// as is v in an element type of ONNX.
func as(x asm, v string, onnx int) string {
	return x.Op("Cast", graph.Attrs{{Key: "to", Val: onnx}}, v)
}

// Element types of ONNX (TensorProto.DataType).
const (
	onnxFloat = 1
	onnxInt32 = 6
)

// there tells which tokens are not missing.
func there(x asm, tokens string) string { return x.Op("GreaterOrEqual", nil, tokens, x.ID(0)) }

// rowsWhere is v [..., n] with zero rows where cond [...] does not hold.
func rowsWhere(x asm, cond, v string) string {
	return x.Op("Where", nil, x.Op("Unsqueeze", nil, cond, x.Ints(-1)), v, x.Float(0))
}

// cut are the columns [from, to) of v.
func cut(x asm, v string, from, to int) string {
	return x.Op("Slice", nil, v, x.Ints(from), x.Ints(to), x.Ints(-1))
}

// columns are the parts of rows of count·n numbers.
func columns(x asm, v string, count int) []string { return x.Ops("Split", count, axis(-1), v) }

// reshape is v in another shape.
func reshape(x asm, v string, dims ...dim) string {
	sizes, free := make([]int, len(dims)), 0
	for i, d := range dims {
		if sizes[i] = d.N; !d.IsConst() {
			sizes[i] = -1
			free++
		}
	}
	if free > 1 {
		return x.Op("Reshape", nil, v, x.Sizes(dims...))
	}
	return x.Op("Reshape", nil, v, x.Ints(sizes...))
}

// counted is the vector 0, 1, … of the size d (int32).
func counted(x asm, d dim) string {
	n := as(x, x.Op("Squeeze", nil, x.Sizes(d)), onnxInt32)
	return x.Op("Range", nil, x.ID(0), n, x.ID(1))
}

// softmaxWhere is the softmax of scores over those along the axis for which cond holds; the others have 0, as all have
// where it holds for none.
func softmaxWhere(x asm, cond, scores string, along int) string {
	p := x.Op("Softmax", axis(along), x.Op("Where", nil, cond, scores, x.Float(-3e38)))
	return x.Op("Where", nil, cond, p, x.Float(0))
}

func matmulONNX(x asm, n *node, a []string) []string {
	if len(a) != 2 || n.Attrs.Str("act") != "" || n.Attrs.Bool("packed") {
		panic("op: a fused product has no form in ONNX: write a graph before it is optimized")
	}
	left, right := a[0], a[1]
	if n.Attrs.Bool("ta") {
		l, r := n.Args[0].Shape, n.Args[1].Shape
		left = x.Op("Transpose", perm(1, 0), reshape(x, left, l.Rows(), l.Last()))
		right = reshape(x, right, r.Rows(), r.Last())
	}
	if n.Attrs.Bool("tb") {
		right = x.Op("Transpose", perm(1, 0), right)
	}
	return []string{x.Op("MatMul", nil, left, right)}
}

// ropeONNX turns heads: the halves of each become (a·cos − b·sin, b·cos + a·sin).
func ropeONNX(x asm, n *node, a []string) []string {
	s, size, heads := n.Args[0].Shape, n.Attrs.Int("size"), n.Attrs.Int("heads")
	var angles string // [steps, 1 or batch, 1, size]
	if len(a) > 2 {
		rows := x.Op("Gather", axis(0), a[1], x.Op("Max", nil, a[2], x.ID(0)))
		angles = x.Op("Unsqueeze", nil, rows, x.Ints(2))
	} else {
		rows := x.Op("Slice", nil, a[1], x.Ints(0), x.Sizes(s[0]), x.Ints(0))
		angles = x.Op("Unsqueeze", nil, rows, x.Ints(1, 2))
	}
	turns := columns(x, angles, 2)
	cos, sin := turns[0], turns[1]
	turned, rest := a[0], heads*size < s[2].N
	if rest {
		turned = cut(x, a[0], 0, heads*size)
	}
	parts := columns(x, x.Op("Reshape", nil, turned, x.Ints(0, 0, heads, size)), 2)
	first, second := "Sub", "Add"
	if n.Attrs.Bool("inverse") {
		first, second = second, first
	}
	low := x.Op(first, nil, x.Op("Mul", nil, parts[0], cos), x.Op("Mul", nil, parts[1], sin))
	high := x.Op(second, nil, x.Op("Mul", nil, parts[1], cos), x.Op("Mul", nil, parts[0], sin))
	y := x.Op("Reshape", nil, x.Op("Concat", axis(-1), low, high), x.Ints(0, 0, heads*size))
	if len(a) > 2 { // a row without a place stays what it is
		y = x.Op("Where", nil, x.Op("Unsqueeze", nil, there(x, a[2]), x.Ints(-1)), y, turned)
	}
	if rest {
		y = x.Op("Concat", axis(-1), y, cut(x, a[0], heads*size, s[2].N))
	}
	return []string{y}
}

func seenONNX(x asm, n *node, a []string) []string {
	y := n.Outs[0].Shape
	seen := ""
	if n.Attrs.Bool("missing") {
		seen = there(x, a[0])
	}
	if n.Attrs.Str("upto") != "" { // the one that sees has a place, or each sequence has
		places := x.Op("Unsqueeze", nil, counted(x, y[0]), x.Ints(1))
		upto := x.Op("LessOrEqual", nil, places, a[len(a)-1])
		if seen == "" {
			seen = upto
		} else {
			seen = x.Op("And", nil, seen, upto)
		}
	}
	if seen == "" {
		return []string{x.Op("Expand", nil, x.Float(1), x.Sizes(y...))}
	}
	return []string{x.Op("Expand", nil, as(x, seen, onnxFloat), x.Sizes(y...))}
}

// attentionONNX makes products of all heads: queries become [batch, kv, heads of each, steps, size], keys [batch, kv,
// 1, size, steps].
func attentionONNX(x asm, n *node, a []string) []string {
	s, err := attentionOf(n, 0)
	if err != nil {
		panic(err)
	}
	q, k, v := a[0], "", ""
	if s.memory && len(n.Args[0].Shape) == 2 { // one query of each sequence
		q = x.Op("Unsqueeze", nil, q, x.Ints(0))
	}
	own, theirs := s.count*s.size, s.kv*s.size
	switch {
	case s.memory:
		k, v = a[1], a[1]
	case s.cross:
		k, v = cut(x, a[1], 0, theirs), cut(x, a[1], theirs, 2*theirs)
	default:
		parts := x.Ops("Split", 3, axis(-1), q, x.Ints(own, theirs, theirs))
		q, k, v = parts[0], parts[1], parts[2]
	}
	grouped := s.count != s.kv
	laid := func(v string, heads int, each bool, axes ...int) string {
		if !grouped {
			return x.Op("Transpose", perm(axes...), x.Op("Reshape", nil, v, x.Ints(0, 0, heads, s.size)))
		}
		sizes := []int{0, 0, s.kv, 1, s.size}
		if each {
			sizes[3] = s.count / s.kv
		}
		wide := make([]int, 0, 5) // the axes, with that of the heads of a group behind the groups
		for _, i := range axes {
			if i == 3 {
				i = 4
			}
			if wide = append(wide, i); i == 2 {
				wide = append(wide, 3)
			}
		}
		return x.Op("Transpose", perm(wide...), x.Op("Reshape", nil, v, x.Ints(sizes...)))
	}
	q, k, v = laid(q, s.count, true, 1, 2, 0, 3), laid(k, s.kv, false, 1, 2, 3, 0), laid(v, s.kv, false, 1, 2, 0, 3)
	scale := n.Attrs.Float("scale")
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(s.size))
	}
	if scale != 1 {
		q = x.Op("Mul", nil, q, x.Float(scale))
	}
	scores := x.Op("MatMul", nil, q, k)
	if c := n.Attrs.Float("cap"); c > 0 {
		scores = x.Op("Mul", nil, x.Op("Tanh", nil, x.Op("Div", nil, scores, x.Float(c))), x.Float(c))
	}
	scores = s.placed(x, n, a, scores, grouped)
	p := ""
	if cond := s.seenONNX(x, n, a, grouped); cond != "" {
		p = softmaxWhere(x, cond, scores, -1)
	} else {
		p = x.Op("Softmax", axis(-1), scores)
	}
	y := x.Op("MatMul", nil, p, v)
	if grouped {
		y = x.Op("Transpose", perm(3, 0, 1, 2, 4), y)
	} else {
		y = x.Op("Transpose", perm(2, 0, 1, 3), y)
	}
	y = x.Op("Reshape", nil, y, x.Ints(0, 0, own))
	if len(n.Outs[0].Shape) == 2 {
		y = x.Op("Squeeze", nil, y, x.Ints(0))
	}
	return []string{y, ""}
}

// distances are the places of the keys less those of the queries, [queries, keys] (int32).
func (s *attention) distances(x asm) (d, keys string) {
	keys = counted(x, s.keys)
	at := counted(x, s.queries)
	if !s.keys.Same(s.queries) { // the last query stands at the last key
		more := x.Op("Sub", nil, x.Sizes(s.keys), x.Sizes(s.queries))
		at = x.Op("Add", nil, at, as(x, more, onnxInt32))
	}
	return x.Op("Sub", nil, keys, x.Op("Unsqueeze", nil, at, x.Ints(1))), keys
}

// placed adds to the scores what depends on the places of key and query.
func (s *attention) placed(x asm, n *node, a []string, scores string, grouped bool) string {
	shape := []int{s.count, 1, 1}
	if grouped {
		shape = []int{s.kv, s.count / s.kv, 1, 1}
	}
	if s.bias != nil {
		d, _ := s.distances(x)
		rows := x.Op("Gather", axis(1), a[s.sources()], x.Op("Add", nil, d, x.ID((s.bias.Shape[1].N-1)/2)))
		if grouped {
			rows = reshape(x, rows, graph.Const(s.kv, ""), graph.Const(s.count/s.kv, ""), s.queries, s.keys)
		}
		scores = x.Op("Add", nil, scores, rows)
	}
	if n.Attrs.Bool("alibi") {
		slopes := make([]float64, s.count)
		for h := range slopes {
			slopes[h] = Slope(h, s.count)
		}
		d, _ := s.distances(x)
		far := as(x, x.Op("Abs", nil, d), onnxFloat)
		scores = x.Op("Sub", nil, scores, x.Op("Mul", nil, far, x.Floats(slopes, shape...)))
	}
	return scores
}

// seenONNX tells which keys a query sees; "" stands for all.
func (s *attention) seenONNX(x asm, n *node, a []string, grouped bool) string {
	cond := ""
	if n.Attrs.Bool("causal") {
		d, keys := s.distances(x)
		cond = x.Op("LessOrEqual", nil, d, x.ID(0))
		if w := n.Attrs.Int("window"); w > 0 {
			cond = x.Op("And", nil, cond, x.Op("Greater", nil, d, x.ID(-w)))
		}
		if p := n.Attrs.Int("prefix"); p > 0 {
			cond = x.Op("Or", nil, cond, x.Op("Less", nil, keys, x.ID(p)))
		}
	}
	if s.present == nil {
		return cond
	}
	at := 0
	for i, v := range n.Args {
		if v == s.present && i >= s.sources() {
			at = i
		}
	}
	axes := []int{1, 2}
	if grouped {
		axes = []int{1, 2, 3}
	}
	tokens := x.Op("Unsqueeze", nil, x.Op("Transpose", perm(1, 0), there(x, a[at])), x.Ints(axes...))
	if cond == "" {
		return tokens
	}
	return x.Op("And", nil, cond, tokens)
}
