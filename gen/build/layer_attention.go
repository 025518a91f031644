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
		tell:   tellAttention,
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

func tellAttention(m *spec.Model, l *spec.Attention) Account {
	a := Account{}
	a.looks(m, look{heads: l.Heads, kv: l.KVHeads, size: l.HeadSize, causal: l.Causal, cross: l.Cross, window: l.Window,
		prefix: l.Prefix, rotary: l.Rotary, alibi: l.ALiBi, relative: l.Relative, norm: l.QueryNorm, scale: l.Scale,
		cap: l.SoftCap, bias: l.Bias, last: l.BiasOut, dropout: l.Dropout, x: "x", y: "y", product: "o"})
	return a
}

// look is an attention to be told.
type look struct {
	heads, kv, size, window, prefix int
	causal, cross, alibi            bool
	rotary                          spec.Rotation
	relative                        *spec.Relative
	norm, scale, cap, dropout       float64
	bias, last                      bool   // whether the products, and the last one, add a bias
	x, y                            string // what is read and given, in formulas
	product                         string // name of the last product
}

// looks tells an attention.
func (a *Account) looks(m *spec.Model, l look) {
	a.say("%s of %d features look at tokens and mix what they find.", counted(l.heads, "head"), l.size)
	h, of := "h", "h"
	if l.kv != l.heads {
		of = "g"
		a.say("%s share the keys and values of %s: head h reads those of g.", counted(l.heads, "head"),
			counted(l.kv, "head"))
		a.show(fmt.Sprintf(`g = \lceil h \cdot \frac{%d}{%d} \rceil`, l.kv, l.heads))
	}
	if l.cross {
		a.say("Keys and values are of what the encoder gives, m; a token sees all of a source.")
		a.show(`[Q_1, \ldots, Q_{`+fmt.Sprint(l.heads)+`}] = `+affine(l.x, "wq", "bq", l.bias),
			`[K_1, \ldots, V_1, \ldots] = `+affine("m", "wkv", "bkv", l.bias))
	} else {
		switch {
		case !l.causal:
			a.say("A token sees all tokens of its text.")
		case l.window > 0:
			a.say("A token sees itself and the %d before it.", l.window-1)
		case l.prefix > 0:
			a.say("A token sees itself and those before it, and all of the first %d tokens.", l.prefix)
		default:
			a.say("A token sees itself and those before it.")
		}
		a.show(`[Q_1, \ldots, K_1, \ldots, V_1, \ldots] = ` + affine(l.x, "wqkv", "bqkv", l.bias))
	}
	if l.norm > 0 {
		a.say("Queries and keys are normalised, head by head (Henry et al. 2020).")
		for _, v := range [][2]string{{"Q_h", "queries_gain"}, {"K_" + of, "keys_gain"}} {
			a.show(fmt.Sprintf(`%s \leftarrow %s \odot \frac{%s}{\sqrt{\text{mean}(%s^2) + %s}}`, v[0],
				Symbol(v[1]), v[0],
				v[0], figure(l.norm)))
		}
	}
	if l.rotary.On() {
		a.turns(l)
	}
	scale := `\frac{1}{\sqrt{` + fmt.Sprint(l.size) + `}}`
	if l.scale > 0 {
		scale = figure(l.scale)
	}
	score := scale + ` \cdot Q_` + h + ` \cdot K_` + of + `^\top`
	if l.cap > 0 {
		c := figure(l.cap)
		score = c + ` \cdot \tanh(\frac{` + score + `}{` + c + `})`
		a.say("Scores stay between −%g and %g.", l.cap, l.cap)
	}
	if l.relative != nil {
		a.relatively(l.relative)
		score += ` + B_h`
	}
	if l.alibi {
		a.say("A score loses its distance times a constant of the head (Press et al. 2022).")
		score += ` - s_h \cdot \lvert i - j \rvert`
		n := 1
		for 2*n <= l.heads {
			n *= 2
		}
		a.show(fmt.Sprintf(`s_h = 2^{-8 h / %d}`, n))
		if n < l.heads {
			a.say("Heads above %d have the constants of twice as many heads, every second one.", n)
		}
	}
	a.dropped("the weights A", l.dropout)
	heads := fmt.Sprintf(`[A_1 \cdot V_1, \ldots, A_{%d} \cdot V_{%d}]`, l.heads, l.kv)
	a.show("S_h = "+score, `A_h = \operatorname{softmax}(S_h)`,
		l.y+" = "+affine(heads, "w"+l.product, "b"+l.product, l.last))
}

// turns tells rotary positions.
func (a *Account) turns(l look) {
	r, n := l.rotary, l.size
	a.say("Queries and keys are turned by the place t of their token, feature i with feature i + %d, so that scores "+
		"depend on distances (Su et al. 2021).", n/2)
	if r.Features > 0 {
		a.say("Of the %d features of a head %d are turned.", n, r.Features)
		n = r.Features
	}
	a.show(`[u_i, v_i] \leftarrow [u_i \cos(t \theta_i) - v_i \sin(t \theta_i), `+
		`u_i \sin(t \theta_i) + v_i \cos(t \theta_i)]`,
		fmt.Sprintf(`\theta_i = c^{-2 i / %d} \quad c = %s`, n, figure(r.Base)))
	switch r.Scaling {
	case "linear":
		a.say("Places are divided by %g (Chen et al. 2023).", r.Factor)
	case "llama3":
		a.say("For longer texts than the %d tokens of before, wavelengths above %d/%g are multiplied with %g, those "+
			"below %d/%g stay, and those in between are mixed (Grattafiori et al. 2024).", r.Original, r.Original,
			r.Low,
			r.Factor, r.Original, r.High)
	case "yarn":
		a.say("For longer texts than the %d tokens of before, features that turn less than %g times in one are "+
			"stretched %g times, those that turn more than %g times stay (Peng et al. 2024).", r.Original, r.Low,
			r.Factor, r.High)
	}
}

// relatively tells a learnt number for ranges of distances.
func (a *Account) relatively(r *spec.Relative) {
	a.say("A score gains a learnt number of the head and of the bucket of its distance: one each for the nearest "+
		"ones, ranges that grow up to %d for the others, %d in all (Raffel et al. 2020).", r.Distance, r.Buckets)
	if r.Table != "" {
		a.say("Layers share the table %q.", r.Table)
	}
	a.show(`B_{h, i, j} = ` + Symbol("table") + `_{\text{bucket}(j - i), h}`)
}
