package build

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("attention", construction[*spec.Attention]{
		build: func(b *builder, l *spec.Attention, x *graph.Value, _ bool) *graph.Value {
			return b.attending(l).layer(x)
		},
		begin:  func(b *builder, l *spec.Attention) { b.attending(l).begin() },
		counts: true,
	})
}

// heads is an attention without norms and sums around it, while it is built.
type heads struct {
	*builder
	l     *spec.Attention
	width graph.Dim // of what reads and of what is given
	q, kv graph.Dim // of all queries, and of all keys or all values, side by side
}

func (b *builder) attending(l *spec.Attention) *heads {
	size := func(heads int, suffix, what string) graph.Dim {
		return b.sized(l.Name, suffix, heads*l.HeadSize,
			fmt.Sprintf("%s of %s side by side: %d heads of %d", what, l.Name, heads, l.HeadSize))
	}
	k := &heads{builder: b, l: l, q: size(l.Heads, "queries", "queries")}
	k.kv = k.q
	if l.KVHeads != l.Heads {
		k.kv = size(l.KVHeads, "keys", "keys, or values,")
	}
	return k
}

func (k *heads) called(part string) string { return k.builder.called(k.l, part) }

func (k *heads) one(o *graph.Op, part string, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
	return k.Apply(o, []string{k.called(part)}, attrs, args...)[0]
}

// product is x·w + b.
func (k *heads) product(part, field string, x *graph.Value, out graph.Dim, init spec.Init) *graph.Value {
	w, b := k.weights(field, x.Shape.Last(), out, init)
	y := k.one(op.MatMul, part, nil, x, w)
	if b != nil {
		y = k.one(op.AddBias, part, nil, y, b)
	}
	return y
}

// weights are the parameters of a product; b is nil where it adds no bias.
func (k *heads) weights(field string, in, out graph.Dim, init spec.Init) (w, b *graph.Value) {
	l := k.l
	w = k.param(l.Name, "w"+field, graph.Shape{in, out}, 0, 0, l.Name, matrix(init, in.N, out.N))
	if field == "o" && l.BiasOut || field != "o" && l.Bias {
		b = k.param(l.Name, "b"+field, graph.Shape{out}, 0, 0, l.Name, matrix(l.BiasInit, in.N, out.N))
	}
	return w, b
}

func (k *heads) attrs() graph.Attrs {
	l := k.l
	a := graph.Attrs{{Key: "name", Val: l.Name + ".heads"}, {Key: "heads", Val: l.Heads}, {Key: "kv", Val: l.KVHeads},
		{Key: "size", Val: l.HeadSize}, {Key: "width", Val: k.q}}
	if l.Cross {
		a = append(a, graph.Attr{Key: "cross", Val: true})
	} else {
		a = append(a, graph.Attr{Key: "causal", Val: l.Causal})
	}
	for _, o := range []struct {
		key string
		n   int
	}{{"window", l.Window}, {"prefix", l.Prefix}} {
		if o.n > 0 {
			a = append(a, graph.Attr{Key: o.key, Val: o.n})
		}
	}
	if l.ALiBi {
		a = append(a, graph.Attr{Key: "alibi", Val: true})
	}
	if l.Scale > 0 {
		a = append(a, graph.Attr{Key: "scale", Val: l.Scale})
	}
	if l.SoftCap > 0 {
		a = append(a, graph.Attr{Key: "cap", Val: l.SoftCap})
	}
	return a
}

// decodes reports whether the layer keeps keys and values while a text is written.
func (k *heads) decodes() bool {
	return !k.training && !k.judging && !k.encoding && (k.l.Causal || k.l.Cross)
}

// layer is the attention of x.
func (k *heads) layer(x *graph.Value) *graph.Value {
	k.width = x.Shape.Last()
	if k.l.Cross {
		return k.cross(x)
	}
	l := k.l
	three := graph.Mul(graph.Const(3, ""), k.q)
	if l.KVHeads != l.Heads {
		three = k.sized(l.Name, "QKV", (l.Heads+2*l.KVHeads)*l.HeadSize,
			fmt.Sprintf("queries, keys and values of %s side by side", l.Name))
	}
	qkv := k.product("qkv", "qkv", x, three, l.Init)
	if l.QueryNorm > 0 {
		qkv = k.normed(qkv, three)
	}
	if l.Rotary.On() {
		angles := k.table(&Table{Name: l.Name + ".angles", Scheme: "angles", Rows: k.turns(),
			Columns: graph.Const(l.HeadSize, ""), Turns: turns(l.Rotary),
			Comment: "cosines and sines of the rotary positions of " + l.Name})
		args := []*graph.Value{qkv, angles}
		if k.places != nil {
			args = append(args, k.places)
		}
		qkv = k.one(op.Rope, "qkvTurned",
			graph.Attrs{{Key: "heads", Val: l.Heads + l.KVHeads}, {Key: "size", Val: l.HeadSize}}, args...)
	}
	attrs, args := k.attrs(), []*graph.Value{qkv}
	var bias []*graph.Value
	if l.Relative != nil {
		k.weights("o", k.q, k.width, l.InitOut) // the parameters of a layer are defined together
		bias = []*graph.Value{k.bias()}
		attrs = append(attrs, graph.Attr{Key: "bias", Val: true})
	}
	if k.decodes() {
		shape := graph.Shape{batch, graph.Const(l.KVHeads, ""), k.room(), graph.Const(l.HeadSize, "")}
		args = append(args, k.places, k.kept(l.Name+".keys", shape), k.kept(l.Name+".values", shape))
		return k.output(k.one(op.AttentionCached, "context", attrs, append(args, bias...)...))
	}
	args = append(args, bias...)
	if k.judging {
		attrs = attrs.Set("full", true)
	} else {
		args = append(args, k.tokens)
	}
	return k.output(k.attend(attrs, args))
}

// placesOf is the number of places that tokens can have: of the decoder's texts and of the encoder's.
func (b *builder) placesOf() int {
	n := b.m.Shape.Steps
	if b.m.Source != nil {
		n = max(n, b.m.Source.Steps)
	}
	return n
}

// attend is the attention outside of a decoder that keeps keys.
func (k *heads) attend(attrs graph.Attrs, args []*graph.Value) *graph.Value {
	if !k.training {
		attrs = attrs.Set("decoding", true)
	}
	if k.l.Dropout > 0 && k.training {
		k.streams++
		attrs = attrs.Set("rate", k.l.Dropout).Set("stream", k.streams)
		if index := k.count(); index != nil {
			args = append(args, index)
		}
	}
	return k.Apply(op.Attention, []string{k.called("context"), k.called("lse")}, attrs, args...)[0]
}

// output is the last product.
func (k *heads) output(y *graph.Value) *graph.Value {
	return k.product("y", "o", y, k.width, k.l.InitOut)
}

// room is the number of tokens whose keys and values a decoder keeps: all of a window, or, with a sliding window, that
// and a chunk of the prompt.
func (k *heads) room() graph.Dim {
	n := k.m.Shape.Steps
	if k.l.Window > 0 {
		n = min(n, k.l.Window+k.r.Chunk()-1)
	}
	return k.sized(k.l.Name, "cache", n, "tokens whose keys and values a decoder keeps")
}

// normed is qkv with each head of the queries and of the keys normalised (Henry et al. 2020).
func (k *heads) normed(qkv *graph.Value, width graph.Dim) *graph.Value {
	l, size := k.l, graph.Const(k.l.HeadSize, "")
	split := func(x *graph.Value, a, b graph.Dim, first, second string) (*graph.Value, *graph.Value) {
		y := k.Apply(op.SplitColumns, []string{k.called(first), k.called(second)},
			graph.Attrs{{Key: "a", Val: a}, {Key: "b", Val: b}}, x)
		return y[0], y[1]
	}
	q, rest := split(qkv, k.q, graph.Mul(graph.Const(2, ""), k.kv), "queries", "keysAndValues")
	keys, values := split(rest, k.kv, k.kv, "keys", "values")
	norm := func(x *graph.Value, heads int, part string) *graph.Value {
		shape := x.Shape
		rows := append(append(graph.Shape{}, shape[:len(shape)-1]...), graph.Const(heads, ""), size)
		x = k.one(op.Reshape, part, graph.Attrs{{Key: "shape", Val: rows}}, x)
		gain := k.param(l.Name, part+"_gain", graph.Shape{size}, 0, 0, l.Name, Init{Scheme: "ones"})
		y := k.Apply(op.RMSNorm, []string{k.called(part + "Normed"), k.called(part + "Rstd")},
			graph.Attrs{{Key: "epsilon", Val: l.QueryNorm}}, x, gain)[0]
		return k.one(op.Reshape, part+"Normed", graph.Attrs{{Key: "shape", Val: shape}}, y)
	}
	q, keys = norm(q, l.Heads, "queries"), norm(keys, l.KVHeads, "keys")
	two := k.one(op.JoinColumns, "queriesAndKeys", nil, q, keys)
	return k.one(op.JoinColumns, "qkvNormed", graph.Attrs{{Key: "width", Val: width}}, two, values)
}

// bias is what is added to the scores of each head for each distance, [heads, 2·positions − 1].
func (k *heads) bias() *graph.Value {
	r := k.l.Relative
	scope, layer, at := k.l.Name+"_relative", k.l.Name, k.builder
	if r.Owner != "" {
		scope, layer = r.Owner+"_relative", r.Owner
	}
	var around []*site
	if r.Table != "" { // one table for all repetitions
		for ; at.site != nil; at = at.site.outer {
			around = append(around, at.site)
		}
	}
	spread := at.tables[scope]
	if spread == nil {
		shape := graph.Shape{graph.Const(r.Buckets, ""), graph.Const(k.l.Heads, "")}
		table := at.param(scope, "table", shape, 0, 0, layer, matrix(r.Init, r.Buckets, k.l.Heads))
		span := k.named("maxDistances", 2*k.placesOf()-1, "distances between two tokens, to both sides")
		attrs := graph.Attrs{{Key: "span", Val: span}, {Key: "distance", Val: r.Distance}, {Key: "both", Val: r.Both}}
		spread = at.Apply(op.RelativeBias, []string{at.called(k.l, "bias")}, attrs, table)[0]
		at.tables[scope] = spread
	}
	for i := len(around) - 1; i >= 0; i-- {
		spread = around[i].invariant(spread)
	}
	return spread
}

// cross is the attention of x to the encoder's output.
func (k *heads) cross(x *graph.Value) *graph.Value {
	q := k.product("q", "q", x, k.q, k.l.Init)
	attrs := k.attrs()
	if k.decodes() {
		kv := k.cache(k.l.Name+".memory", graph.Shape{sourceSteps, batch, graph.Mul(graph.Const(2, ""), k.kv)})
		return k.output(k.attend(attrs, []*graph.Value{q, kv, k.source}))
	}
	return k.output(k.attend(attrs, []*graph.Value{q, k.memoryKeys(), k.source}))
}

// memoryKeys are the keys and values of the encoder's output.
func (k *heads) memoryKeys() *graph.Value {
	return k.product("kv", "kv", k.memory, graph.Mul(graph.Const(2, ""), k.kv), k.l.Init)
}

// begin adds what a decoder keeps of the encoder's output.
func (k *heads) begin() {
	if k.l.Cross {
		k.builder.output(k.memoryKeys(), "cache:"+k.l.Name+".memory")
	}
}
