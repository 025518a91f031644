package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Attention is y = softmax(scale·q·kᵀ + mask)·v of each head, the scaled dot product of Vaswani et al. 2017, equation
// 1. Sequences are time-major: [steps, batch, features].
//
// The first arguments hold queries, keys and values side by side: one value qkv, or q and kv where queries come from
// elsewhere (attribute cross), or q and what is both keys and values (attribute memory). The last argument is the
// tokens of the keys: a key whose token is negative takes no part. With the attribute full all do, and there are no
// tokens. A query that sees no key gives zeros.
//
// Attributes: name, the variable that holds them in generated code; heads, kv (heads of keys and values, Ainslie et
// al. 2023) and size (features of a head); scale (1/√size when it is absent); cap, a bound of the scores, which become
// cap·tanh(score/cap) (Gemma Team 2024); bias, whether an argument [heads, span] behind the first ones has what is
// added to the scores of each head, at column (span − 1)/2 + the key's place less the query's; causal, window and
// prefix say which keys a query sees; alibi takes a distance off the scores (Press et al. 2022); rate and stream are
// those of dropout on the probabilities, with the loop's index as another last argument.
//
// The second result is the logarithm of each softmax's denominator, [batch, heads, steps], from which the gradient has
// the probabilities again (Dao et al. 2022, section 3.1).
var Attention = &graph.Op{
	Name: "attention",
	ONNX: attentionONNX,
	Infer: func(n *node) ([]graph.TypedShape, error) {
		a, err := attentionOf(n, 0)
		if err != nil {
			return nil, err
		}
		return f32(a.y, a.lse), nil
	},
	Flops: func(n *node) dim { return attentionFlops(n, 0, 4) },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		a := newScores(n, in, 0)
		a.each(func(q, y int, p, mask []float64, lse float64, at int, keys func(j int) (int, int)) {
			out[1].F[at] = lse
			for j, w := range p {
				if w *= mask[j]; w != 0 {
					_, v := keys(j)
					for f := range a.size {
						out[0].F[y+f] += w * a.vals.F[v+f]
					}
				}
			}
		})
		return nil
	},
	Emit: func(n *node) []call {
		a, _ := attentionOf(n, 0)
		lse := graph.Operand(n.Outs[1])
		if n.Attrs.Bool("decoding") {
			lse = graph.Nil{}
		}
		args := append([]graph.Operand{n.Outs[0], lse}, a.qkv(n.Args[:a.sources()])...)
		return []call{{Func: "Attention", Args: append(args, a.tokens(), a.queries, a.keys, a.batch, a.heads(n))}}
	},
	Formula: func(n *node, name names) string {
		a, _ := attentionOf(n, 0)
		return fmt.Sprintf("%s = softmax(%s%s)·v of %s, q, k, v = %s", name(n.Outs[0]), a.scored(n, name), a.masks(n),
			a.headCount(), a.parts(n.Args, name))
	},
}

// AttentionWeights is the probabilities of an [Attention] with the same arguments and attributes, which that does not
// keep: [batch, heads, queries, keys], in float64 but for what it reads. They are for those who look at a model.
var AttentionWeights = &graph.Op{
	Name: "attention_weights",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		a, err := attentionOf(n, 0)
		if err != nil {
			return nil, err
		}
		return f32(graph.Shape{a.batch, graph.Const(a.count, ""), a.queries, a.keys}), nil
	},
	Flops: func(n *node) dim { return attentionFlops(n, 0, 2) },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		a := newScores(n, in, 0)
		a.each(func(_, _ int, p, _ []float64, _ float64, at int, _ func(j int) (int, int)) {
			copy(out[0].F[at*a.keys:], p)
		})
		return nil
	},
	Emit: func(n *node) []call {
		a, _ := attentionOf(n, 0)
		qkv := a.qkv(n.Args[:a.sources()])
		return []call{{Func: "AttentionWeights",
			Args: []graph.Operand{n.Outs[0], qkv[0], qkv[1], a.tokens(), a.queries, a.keys, a.batch, a.heads(n)}}}
	},
	Formula: func(n *node, name names) string {
		a, _ := attentionOf(n, 0)
		return fmt.Sprintf("%s = softmax(%s%s) of %s, q, k = %s", name(n.Outs[0]), a.scored(n, name), a.masks(n),
			a.headCount(), a.parts(n.Args, name))
	},
}

// AttentionGrad gives the gradients of qkv, or of q and kv, from dy, those arguments, y, the logarithms of the
// denominators, and the tokens (Dao et al. 2022, appendix B.2).
var AttentionGrad = &graph.Op{
	Name: "attention_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		a, err := attentionOf(n, 1)
		if err != nil {
			return nil, err
		}
		if !n.Args[0].Shape.Same(a.y) {
			return nil, fmt.Errorf("the gradient %s is not of shape %s", n.Args[0].Shape, a.y)
		}
		r := f32(n.Args[1].Shape)
		switch {
		case a.memory:
			r = f32(n.Args[1].Shape, n.Args[2].Shape, n.Args[2].Shape)
		case a.cross:
			r = f32(n.Args[1].Shape, n.Args[2].Shape)
		}
		if a.bias != nil { // of each sequence
			r = append(r, f32(graph.Shape{a.batch, a.bias.Shape.Elems()})...)
		}
		return r, nil
	},
	Flops: func(n *node) dim { return attentionFlops(n, 1, 10) },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		a := newScores(n, in, 1)
		var dbias *graph.Tensor
		if a.bias != nil {
			dbias, out = out[len(out)-1], out[:len(out)-1]
		}
		dq, dk, dv := out[0], out[min(1, len(out)-1)], out[len(out)-1]
		a.each(func(q, y int, p, mask []float64, _ float64, at int, keys func(j int) (int, int)) {
			dp := make([]float64, len(p))
			sum := 0.0
			for j, w := range p {
				if w != 0 {
					_, v := keys(j)
					for f := range a.size {
						dp[j] += mask[j] * in[0].F[y+f] * a.vals.F[v+f]
						dv.F[v+f] += w * mask[j] * in[0].F[y+f]
					}
					sum += dp[j] * w
				}
			}
			for j, w := range p {
				if w != 0 {
					k, _ := keys(j)
					ds := w * (dp[j] - sum)
					if dbias != nil {
						b, h, i := at/(a.count*a.queries), at/a.queries%a.count, at%a.queries
						dbias.F[b*len(a.bias.F)+a.biasAt(h, i, j)] += ds
					}
					ds *= a.scale
					if a.cap > 0 {
						t := math.Tanh(a.dot(q, k) / a.cap)
						ds *= 1 - t*t
					}
					for f := range a.size {
						dq.F[q+f] += ds * a.keyv.F[k+f]
						dk.F[k+f] += ds * a.query.F[q+f]
					}
				}
			}
		})
		return nil
	},
	Emit: func(n *node) []call {
		a, _ := attentionOf(n, 1)
		rest := n.Args[1+a.sources():]
		outs, name := n.Outs, "AttentionGrad"
		var args []graph.Operand
		if a.bias != nil {
			name, args, outs = "AttentionBiasGrad", []graph.Operand{outs[len(outs)-1]}, outs[:len(outs)-1]
		}
		args = append(append(args, a.qkv(outs)...), n.Args[0])
		args = append(append(args, a.qkv(n.Args[1:1+a.sources()])...), rest[0], rest[1])
		return []call{{Func: name, Args: append(args, a.tokens(), a.queries, a.keys, a.batch, a.heads(n))}}
	},
	Formula: func(n *node, name names) string {
		a, _ := attentionOf(n, 1)
		return fmt.Sprintf("dq, dk, dv = %s, gradients of the attention from %s", a.parts(n.Outs, name),
			name(n.Args[0]))
	},
}

// AttentionCached is the causal attention of a decoder: it stores the keys and values of x [steps, batch, (heads +
// 2·kv)·size] in the caches, at the positions of their tokens, and lets every query see what the caches hold up to its
// own position. Arguments are x, the positions [steps, batch], negative where there is no token, and the caches of
// keys and values [batch, kv, capacity, size], which it changes: position p has slot p mod capacity.
var AttentionCached = &graph.Op{
	Name: "attention_cached",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		types := []graph.Type{graph.F32, graph.I32, graph.F32, graph.F32}
		if n.Attrs.Bool("bias") {
			types = append(types, graph.F32)
		}
		if err := wantArgs(n, types...); err != nil {
			return nil, err
		}
		x, c := n.Args[0].Shape, n.Args[2].Shape
		heads, kv, size := n.Attrs.Int("heads"), n.Attrs.Int("kv"), n.Attrs.Int("size")
		if len(x) != 3 || x[2].N != (heads+2*kv)*size {
			return nil, fmt.Errorf("queries, keys and values are %s, want rows of %d", x, (heads+2*kv)*size)
		}
		if len(c) != 4 || c[1].N != kv || c[3].N != size || !c.Same(n.Args[3].Shape) {
			return nil, fmt.Errorf("the caches are %s and %s", c, n.Args[3].Shape)
		}
		return f32(x.With(plainAttention(n).width)), nil
	},
	Flops: func(n *node) dim {
		return graph.Mul(graph.Const(4*n.Attrs.Int("heads")*n.Attrs.Int("size"), ""), n.Args[0].Shape[0],
			n.Args[2].Shape[0], n.Args[2].Shape[2])
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		x, keys, vals := in[0], in[2], in[3]
		steps, batch, capacity := x.Shape[0], x.Shape[1], keys.Shape[2]
		heads, kv, size := n.Attrs.Int("heads"), n.Attrs.Int("kv"), n.Attrs.Int("size")
		at := func(b, g, p int) int { return ((b*kv+g)*capacity + p%capacity) * size }
		causal := &node{Attrs: n.Attrs.Set("causal", true)}
		scale := n.Attrs.Float("scale")
		if scale == 0 {
			scale = 1 / math.Sqrt(float64(size))
		}
		for t := range steps {
			for b := range batch {
				p := int(in[1].I[t*batch+b])
				if p < 0 {
					continue
				}
				row := x.F[(t*batch+b)*x.Cols():]
				for g := range kv {
					copy(keys.F[at(b, g, p):][:size], row[(heads+g)*size:])
					copy(vals.F[at(b, g, p):][:size], row[(heads+kv+g)*size:])
				}
				for h := range heads {
					g := h / (heads / kv)
					sees := visible(causal, 0)
					score := make([]float64, p+1)
					sum := 0.0
					for j := max(0, p+1-capacity); j <= p; j++ {
						if !sees(p, j) {
							continue
						}
						for f := range size {
							score[j] += row[h*size+f] * keys.F[at(b, g, j)+f] * scale
						}
						if c := n.Attrs.Float("cap"); c > 0 {
							score[j] = c * math.Tanh(score[j]/c)
						}
						if n.Attrs.Bool("bias") {
							span := in[4].Cols()
							score[j] += in[4].F[h*span+(span-1)/2+j-p]
						}
						if n.Attrs.Bool("alibi") {
							score[j] -= Slope(h, heads) * float64(p-j)
						}
						score[j] = math.Exp(score[j])
						sum += score[j]
					}
					for j, w := range score {
						for f := range size {
							out[0].F[(t*batch+b)*heads*size+h*size+f] += w / sum * vals.F[at(b, g, j)+f]
						}
					}
				}
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		a := plainAttention(n)
		if n.Attrs.Bool("bias") {
			a.bias = n.Args[4]
		}
		x := n.Args[0].Shape
		qkv := a.qkv(n.Args)
		bare := *n
		bare.Attrs = n.Attrs.Set("rate", 0.0)
		h := a.heads(&bare)
		return []call{
			{Func: "CacheStore", Args: []graph.Operand{n.Args[2], qkv[1], n.Args[1], x[0], x[1], h}},
			{Func: "CacheStore", Args: []graph.Operand{n.Args[3], qkv[2], n.Args[1], x[0], x[1], h}},
			{Func: "AttentionCached",
				Args: []graph.Operand{n.Outs[0], qkv[0], n.Args[2], n.Args[3], n.Args[1], x[0], x[1], h}},
		}
	},
	Formula: func(n *node, name names) string {
		a := plainAttention(n)
		if n.Attrs.Bool("bias") {
			a.bias = n.Args[4]
		}
		return fmt.Sprintf("%s = softmax(%s%s)·v of %d heads, q, k, v = %s behind what the caches hold",
			name(n.Outs[0]), a.scored(n, name), a.masks(n), a.count, a.parts(n.Args, name))
	},
}

// attention is what the arguments and attributes of a node say. Its arguments begin at first.
type attention struct {
	count, kv, size      int
	cross, memory        bool
	y, lse               graph.Shape
	width                dim // of all heads of the queries
	queries, keys, batch dim
	present, index, bias *value
}

// sources is the number of values that hold q, k and v.
func (a *attention) sources() int {
	if a.cross || a.memory {
		return 2
	}
	return 1
}

// plainAttention is what the attributes alone say.
func plainAttention(n *node) *attention {
	return &attention{count: n.Attrs.Int("heads"), kv: n.Attrs.Int("kv"), size: n.Attrs.Int("size"),
		cross: n.Attrs.Bool("cross"), memory: n.Attrs.Bool("memory"), width: n.Attrs.Get("width").(dim)}
}

func attentionOf(n *node, first int) (*attention, error) {
	a := plainAttention(n)
	types := make([]graph.Type, first+a.sources())
	if first > 0 {
		types = append(types, graph.F32, graph.F32) // y and the logarithms
	}
	if n.Attrs.Bool("bias") {
		types = append(types, graph.F32)
		if at := len(types) - 1; at < len(n.Args) {
			a.bias = n.Args[at]
			if s := a.bias.Shape; len(s) != 2 || s[0].N != a.count || !s[1].IsConst() {
				return nil, fmt.Errorf("the bias is %s, want [%d, distances]", s, a.count)
			}
		}
	}
	full := n.Attrs.Bool("full")
	if !full {
		types = append(types, graph.I32)
	}
	if n.Attrs.Int("stream") > 0 && len(n.Args) > len(types) {
		types = append(types, graph.I32)
		a.index = n.Args[len(n.Args)-1]
	}
	if err := wantArgs(n, types...); err != nil {
		return nil, err
	}
	q, k := n.Args[first], n.Args[first]
	width := graph.Const((a.count+2*a.kv)*a.size, "")
	if a.sources() == 2 {
		k, width = n.Args[first+1], graph.Const(a.count*a.size, "")
		if kv := graph.Const(a.kvColumns(), ""); len(k.Shape) != 3 || !k.Shape[2].Same(kv) {
			return nil, fmt.Errorf("keys and values are %s, want rows of %s", k.Shape, kv)
		}
	}
	at := q.Shape
	if len(at) == 2 && a.memory { // one query of each sequence
		at = at.Stack(graph.Const(1, ""))
	}
	if len(at) != 3 || !at[2].Same(width) {
		return nil, fmt.Errorf("queries are %s, want rows of %s", q.Shape, width)
	}
	if !at[1].Same(k.Shape[1]) {
		return nil, fmt.Errorf("queries %s and keys %s are not of the same sequences", q.Shape, k.Shape)
	}
	a.queries, a.keys, a.batch = at[0], k.Shape[0], at[1]
	a.y = q.Shape.With(a.width)
	a.lse = graph.Shape{a.batch, graph.Const(a.count, ""), a.queries}
	if full {
		return a, nil
	}
	a.present = n.Args[len(types)-1]
	if a.index != nil {
		a.present = n.Args[len(types)-2]
	}
	if !a.present.Shape.Same(graph.Shape{a.keys, a.batch}) {
		return nil, fmt.Errorf("tokens %s are not those of keys %s", a.present.Shape, k.Shape)
	}
	return a, nil
}

// tokens is the operand that says which keys take part.
func (a *attention) tokens() graph.Operand {
	if a.present == nil {
		return graph.Nil{}
	}
	return a.present
}

// kvColumns is the width of what holds keys and values.
func (a *attention) kvColumns() int {
	if a.memory {
		return a.kv * a.size
	}
	return 2 * a.kv * a.size
}

// qkv are the operands for q, k and v, which begin in args.
func (a *attention) qkv(args []*value) []graph.Operand {
	if a.memory {
		return []graph.Operand{args[0], args[1], args[len(args)-1]} // of gradients two
	}
	kv := graph.Const(a.kv*a.size, "")
	if a.kv == a.count {
		kv = a.width
	}
	if a.cross {
		return []graph.Operand{args[0], args[1], graph.Columns{V: args[1], From: kv}}
	}
	values := graph.Const(a.width.N+kv.N, "")
	if a.kv == a.count {
		values = graph.Mul(graph.Const(2, ""), a.width)
	}
	return []graph.Operand{args[0], graph.Columns{V: args[0], From: a.width}, graph.Columns{V: args[0], From: values}}
}

func (a *attention) parts(args []*value, name names) string {
	switch {
	case a.memory && len(args) > 2 && args[2].Type == graph.F32:
		return name(args[0]) + ", " + name(args[1]) + ", " + name(args[2])
	case a.memory:
		return name(args[0]) + ", " + name(args[1]) + ", " + name(args[1])
	case a.cross:
		return name(args[0]) + ", " + name(args[1])
	}
	return "parts of " + name(args[0])
}

// scored is the scores, in a formula.
func (a *attention) scored(n *node, name names) string {
	s := "q·kᵀ" + a.scaled(n)
	if c := n.Attrs.Float("cap"); c > 0 {
		s = fmt.Sprintf("%g·tanh(%s/%g)", c, s, c)
	}
	if a.bias != nil {
		s += " + " + name(a.bias)
	}
	return s
}

// scaled is what scores are divided by, in a formula.
func (a *attention) scaled(n *node) string {
	switch s := n.Attrs.Float("scale"); {
	case s == 1:
		return ""
	case s != 0:
		return fmt.Sprintf("·%.4g", s)
	}
	return fmt.Sprintf("/√%d", a.size)
}

func (a *attention) headCount() string {
	if a.count == 1 {
		return "one head"
	}
	return fmt.Sprintf("%d heads", a.count)
}

func (a *attention) masks(n *node) string {
	s := ""
	if n.Attrs.Bool("alibi") {
		s += " − slope·distance"
	}
	if n.Attrs.Bool("causal") {
		s += ", causal"
	}
	if w := n.Attrs.Int("window"); w > 0 {
		s += fmt.Sprintf(", the last %d", w)
	}
	if p := n.Attrs.Int("prefix"); p > 0 {
		s += fmt.Sprintf(", the first %d for all", p)
	}
	return s
}

// heads is the struct that says all this to the kernels.
func (a *attention) heads(n *node) graph.Operand {
	h := graph.Heads{Name: n.Attrs.Str("name"), Count: a.count, KV: a.kv, Size: a.size,
		Causal: n.Attrs.Bool("causal"), Window: n.Attrs.Int("window"), Prefix: n.Attrs.Int("prefix"),
		ALiBi: n.Attrs.Bool("alibi")}
	h.LDQ = (a.count + 2*a.kv) * a.size
	h.LDK = h.LDQ
	if a.sources() == 2 {
		h.LDQ, h.LDK = a.count*a.size, a.kvColumns()
	}
	if h.Scale = n.Attrs.Float("scale"); h.Scale == 0 {
		h.Scale = math.Sqrt(1 / float64(a.size))
	}
	h.Cap, h.Bias = n.Attrs.Float("cap"), a.bias
	if rate := n.Attrs.Float("rate"); rate > 0 {
		h.Rate, h.Key = graph.DropRate(rate), graph.DropKey{Stream: n.Attrs.Int("stream"), Index: a.index}
	}
	return h
}

func attentionFlops(n *node, first, k int) dim {
	a, err := attentionOf(n, first)
	if err != nil {
		return graph.Const(0, "")
	}
	// Of steps² pairs a causal mask leaves half; k operations a pair and feature.
	f := k
	if n.Attrs.Bool("causal") {
		f = k / 2
	}
	return graph.Mul(graph.Const(f*a.count*a.size, ""), a.queries, a.keys, a.batch)
}

// Slope is what head h of count takes off a score for each step of distance (Press et al. 2022, section 3): powers of
// 2^(−8/count), with those of the next power of two in between where count is none.
func Slope(h, count int) float64 {
	n := 1
	for 2*n <= count {
		n *= 2
	}
	if h < n {
		return math.Pow(2, -8*float64(h+1)/float64(n))
	}
	return math.Pow(2, -4*float64(2*(h-n)+1)/float64(n))
}

// scores computes the probabilities of an attention, by its definition.
type scores struct {
	count, kv, size      int
	query, keyv, vals    *graph.Tensor
	qAt, kAt, vAt        int // first columns
	queries, keys, batch int
	scale, cap           float64
	bias                 *graph.Tensor // [count, span]; nil for none
	sees                 func(i, j int) bool
	alibi                bool
	present              []int32   // of the keys; nil where all take part
	mask                 []float64 // of dropout, [batch, count, queries, padded keys]; nil for none
}

// MaskColumns is the number of keys that the rows of a dropout mask are padded to a multiple of. It is part of the
// contract with the runtime's attention.
const MaskColumns = 64

// MaskLen is the length of the dropout mask of an attention, in evaluation.
func MaskLen(n *node, in []*graph.Tensor) int {
	first := 0
	if n.Op == AttentionGrad {
		first = 1
	}
	s := newScores(n, in, first)
	return s.batch * s.count * s.queries * s.padded()
}

func (s *scores) padded() int { return (s.keys + MaskColumns - 1) / MaskColumns * MaskColumns }

func newScores(n *node, in []*graph.Tensor, first int) *scores {
	s := &scores{count: n.Attrs.Int("heads"), kv: n.Attrs.Int("kv"), size: n.Attrs.Int("size"),
		alibi: n.Attrs.Bool("alibi")}
	if s.scale = n.Attrs.Float("scale"); s.scale == 0 {
		s.scale = 1 / math.Sqrt(float64(s.size))
	}
	s.query, s.keyv = in[first], in[first]
	s.kAt = s.count * s.size
	last := first + 1
	if n.Attrs.Bool("cross") || n.Attrs.Bool("memory") {
		s.keyv, s.kAt = in[first+1], 0
		last++
	}
	if first > 0 {
		last += 2
	}
	s.vals, s.vAt = s.keyv, s.kAt+s.kv*s.size
	if n.Attrs.Bool("memory") {
		s.vAt = s.kAt
	}
	s.cap = n.Attrs.Float("cap")
	if n.Attrs.Bool("bias") {
		s.bias = in[last]
		last++
	}
	if !n.Attrs.Bool("full") {
		s.present = in[last].I
	}
	s.mask, _ = n.Attrs.Get("mask").([]float64)
	s.keys, s.batch = s.keyv.Shape[0], s.keyv.Shape[1]
	s.queries = s.query.Rows() / s.batch
	s.sees = visible(n, s.keys-s.queries)
	return s
}

// dot is the scaled product of a query and a key.
func (s *scores) dot(q, k int) float64 {
	sum := 0.0
	for c := range s.size {
		sum += s.scale * s.query.F[q+c] * s.keyv.F[k+c]
	}
	return sum
}

// biasAt is the place of what head h adds to the score of query i and key j.
func (s *scores) biasAt(h, i, j int) int {
	span := s.bias.Cols()
	return h*span + (span-1)/2 + j - (i + s.keys - s.queries)
}

// visible says whether query i sees key j, where query 0 stands at key offset.
func visible(n *node, offset int) func(i, j int) bool {
	causal, window, prefix := n.Attrs.Bool("causal"), n.Attrs.Int("window"), n.Attrs.Int("prefix")
	return func(i, j int) bool {
		at := i + offset
		switch {
		case !causal || j < prefix:
			return true
		case j > at:
			return false
		}
		return window == 0 || j > at-window
	}
}

// each calls f for every query: where q and y begin, the probabilities of the keys and what dropout multiplies them
// with, the logarithm of their denominator and its place, and where k and v of key j begin.
func (s *scores) each(f func(q, y int, p, mask []float64, lse float64, at int, keys func(j int) (int, int))) {
	ones := make([]float64, s.keys)
	for j := range ones {
		ones[j] = 1
	}
	for b := range s.batch {
		for h := range s.count {
			g := h / (s.count / s.kv)
			keys := func(j int) (int, int) {
				row := (j*s.batch + b) * s.keyv.Cols()
				return row + s.kAt + g*s.size, row + s.vAt + g*s.size
			}
			for i := range s.queries {
				q := (i*s.batch+b)*s.query.Cols() + s.qAt + h*s.size
				p := make([]float64, s.keys)
				top := math.Inf(-1)
				for j := range p {
					p[j] = math.Inf(-1)
					if !s.sees(i, j) || s.present != nil && s.present[j*s.batch+b] < 0 {
						continue
					}
					k, _ := keys(j)
					p[j] = s.dot(q, k)
					if s.cap > 0 {
						p[j] = s.cap * math.Tanh(p[j]/s.cap)
					}
					if s.bias != nil {
						p[j] += s.bias.F[s.biasAt(h, i, j)]
					}
					if s.alibi {
						p[j] -= Slope(h, s.count) * math.Abs(float64(i+s.keys-s.queries-j))
					}
					top = math.Max(top, p[j])
				}
				sum := 0.0
				for j := range p {
					if math.IsInf(top, -1) {
						p[j] = 0
						continue
					}
					p[j] = math.Exp(p[j] - top)
					sum += p[j]
				}
				if sum > 0 {
					for j := range p {
						p[j] /= sum
					}
				}
				at := (b*s.count+h)*s.queries + i
				mask := ones
				if s.mask != nil {
					mask = s.mask[at*s.padded():][:s.keys]
				}
				f(q, (i*s.batch+b)*s.count*s.size+h*s.size, p, mask, top+math.Log(sum), at, keys)
			}
		}
	}
}

func init() {
	Attention.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		if g[1] != nil {
			panic("op: the denominators of an attention are read by its gradient only")
		}
		a, err := attentionOf(n, 0)
		if err != nil {
			panic(err)
		}
		args := []*value{g[0]}
		var outs []string
		for _, x := range n.Args[:a.sources()] {
			args = append(args, c.Val(x))
			outs = append(outs, d(x))
		}
		args = append(args, c.Val(n.Outs[0]), c.Val(n.Outs[1]))
		for _, x := range n.Args[a.sources():] {
			args = append(args, c.Val(x))
		}
		if a.memory {
			outs = []string{outs[0], outs[1] + "Keys", outs[1] + "Values"}
		}
		if a.bias != nil {
			outs = append(outs, d(a.bias)+"Rows")
		}
		r := c.Apply(AttentionGrad, outs, n.Attrs, args...)
		if a.bias != nil { // its place is behind the sources
			rows := r[len(r)-1]
			sum := c.Apply(SumRows, []string{d(a.bias)}, nil, rows)[0]
			r = append(r[:len(r)-1:len(r)-1],
				c.Apply(Reshape, []string{d(a.bias)}, graph.Attrs{{Key: "shape", Val: a.bias.Shape}}, sum)[0])
		}
		if a.memory {
			r = []*value{r[0], c.Apply(Add, []string{d(n.Args[1])}, nil, r[1], r[2])[0]}
		}
		return append(r, make([]*value, len(n.Args)-len(r))...)
	}
}
