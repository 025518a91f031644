package build

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("transformer", construction[*spec.Transformer]{
		build: func(b *builder, l *spec.Transformer, x *graph.Value, _ bool) *graph.Value {
			return b.transformer(l, x)
		},
		begin:  (*builder).crossKeys,
		counts: true,
		tell:   tellTransformer,
	})
}

// table is an input that holds constants.
func (b *builder) table(t *Table) *graph.Value {
	if v := b.tables[t.Name]; v != nil {
		return v
	}
	if b.site != nil {
		b.tables[t.Name] = b.site.invariant(b.site.outer.table(t))
		return b.tables[t.Name]
	}
	known := false // other graphs have the same tables
	for _, o := range b.r.Tables {
		known = known || o.Name == t.Name
	}
	if b.training && !known {
		b.r.Tables = append(b.r.Tables, t)
	}
	v := b.G.Input(t.Name, graph.Table, graph.F32, graph.Shape{t.Rows, t.Columns})
	b.tables[t.Name] = v
	return v
}

// cache is an input that a decoder keeps something in, such as what it reads of the source at every step.
func (b *builder) cache(name string, shape graph.Shape) *graph.Value {
	return b.cached(name, shape, false)
}

// kept is an input that a decoder keeps keys or values of its tokens in, [batch, heads, slots, features], for
// op.AttentionCached alone.
func (b *builder) kept(name string, shape graph.Shape) *graph.Value {
	return b.cached(name, shape, true)
}

func (b *builder) cached(name string, shape graph.Shape, kept bool) *graph.Value {
	if s := b.site; s != nil {
		return s.element(s.outer.cached(name, shape.Stack(s.trip), kept), name)
	}
	b.r.Caches = append(b.r.Caches, &State{Name: name, Shape: shape, Kept: kept})
	return b.G.Input(name, graph.Cache, graph.F32, shape)
}

// block is one layer of a stack of Transformer layers: what it reads beside its input.
type block struct {
	*graph.Builder
	b      *builder
	l      *spec.Transformer
	called func(name string) string // the name of a value of the layer
	weight map[string]*graph.Value  // by field
	tokens *graph.Value
	places *graph.Value // in decoding
	angles *graph.Value // of rotary positions
	keys   *graph.Value // in decoding: the caches
	values *graph.Value
	source *graph.Value // tokens of the source, with cross-attention
	memory *graph.Value // what the encoder makes of them
	cross  *graph.Value // in decoding: keys and values of the memory, in place of it
	index  *graph.Value // of the layer, for dropout
	// streams of dropout: of the probabilities, behind each of up to three parts, of the probabilities of the
	// cross-attention
	masks [5]int
	width graph.Dim
}

// field is a parameter of a block.
type field struct {
	name  string
	shape graph.Shape
	init  Init
}

func (k *block) headSize() int { return k.l.Width / k.l.Heads }

// attrs are the attributes of the self-attention.
func (k *block) attrs() graph.Attrs {
	a := graph.Attrs{
		{Key: "name", Val: k.l.Name + ".heads"}, {Key: "heads", Val: k.l.Heads}, {Key: "kv", Val: k.l.KVHeads},
		{Key: "size", Val: k.headSize()},
		{Key: "width", Val: k.width}, {Key: "causal", Val: k.l.Causal},
	}
	if k.l.Window > 0 {
		a = append(a, graph.Attr{Key: "window", Val: k.l.Window})
	}
	if k.l.Prefix > 0 {
		a = append(a, graph.Attr{Key: "prefix", Val: k.l.Prefix})
	}
	if k.l.ALiBi {
		a = append(a, graph.Attr{Key: "alibi", Val: true})
	}
	return a
}

// fields lists the parameters of a block, in the order of their use.
func (k *block) fields() []field {
	l, w := k.l, k.width
	var fs []field
	init := func(i spec.Init, in, out int) Init { return matrix(i, in, out) }
	norm := func(name string) {
		fs = append(fs, field{name + "_gain", graph.Shape{w}, Init{Scheme: "ones"}})
		if l.Norm == "layernorm" {
			fs = append(fs, field{name + "_bias", graph.Shape{w}, Init{Scheme: "zeros"}})
		}
	}
	product := func(name string, in, out graph.Dim, i spec.Init) {
		fs = append(fs, field{"w" + name, graph.Shape{in, out}, init(i, in.N, out.N)})
		if l.Bias {
			fs = append(fs, field{"b" + name, graph.Shape{out}, init(l.BiasInit, in.N, out.N)})
		}
	}
	hidden := k.b.sized(l.Name, "hidden", l.Hidden, "width of the feed-forward part")
	up := hidden
	if spec.Gated(l.Activation) {
		up = graph.Mul(graph.Const(2, ""), hidden)
	}
	attention := func() {
		product("qkv", w, k.qkvWidth(), l.Init)
		product("o", w, w, l.InitResidual)
	}
	cross := func() {
		product("q", w, w, l.Init)
		product("kv", k.b.memoryWidth(), k.kvWidth(), l.Init)
		product("c", w, w, l.InitResidual)
	}
	feedForward := func() {
		product("up", w, up, l.Init)
		product("down", hidden, w, l.InitResidual)
	}
	parts := []func(){attention, feedForward}
	if l.Cross {
		parts = []func(){attention, cross, feedForward}
	}
	for i, part := range parts {
		name := fmt.Sprintf("norm%d", i+1)
		if l.NormFirst {
			norm(name)
		}
		part()
		if !l.NormFirst {
			norm(name)
		}
	}
	return fs
}

// memoryWidth is the width of what the encoder gives.
func (b *builder) memoryWidth() graph.Dim {
	if b.memory != nil {
		return b.memory.Shape.Last()
	}
	return graph.Const(b.m.Encoder[len(b.m.Encoder)-1].OutputWidth(), "")
}

// kvWidth is the width of keys and values of the memory side by side.
func (k *block) kvWidth() graph.Dim {
	if k.l.KVHeads == k.l.Heads {
		return graph.Mul(graph.Const(2, ""), k.width)
	}
	return graph.Const(2*k.l.KVHeads*k.headSize(), "")
}

// crossKeys computes the keys and values of the memory for every layer, for a decoder to keep.
func (b *builder) crossKeys(l *spec.Transformer) {
	home := l.Name // of the parameters, which may be those of another layer
	if base := b.shared[l.Name]; base != nil {
		home = base.Share
	}
	var ps []*Param
	for _, p := range b.r.Params {
		if p.Scope == home && (p.Field == "wkv" || p.Field == "bkv") {
			ps = append(ps, p)
		}
	}
	kv := func(bb *graph.Builder, prefix string, memory *graph.Value, ws []*graph.Value) *graph.Value {
		y := bb.Apply(op.MatMul, []string{prefix + "kv"}, nil, memory, ws[0])[0]
		if len(ws) > 1 {
			y = bb.Apply(op.AddBias, []string{prefix + "kv"}, nil, y, ws[1])[0]
		}
		return y
	}
	var args, ws []*graph.Value
	for _, p := range ps {
		shape := p.Shape
		if l.Layers == 1 && p.Stack > 0 { // one of each repetition
			shape = shape[1:]
		}
		args = append(args, b.param(l.Name, p.Field, shape, p.Stack, p.First, l.Name, p.Init))
	}
	if l.Layers == 1 {
		b.output(kv(b.Builder, l.Name+".", b.memory, args), "cache:"+l.Name+".memory")
		return
	}
	body := graph.New(l.Name + ".memory")
	bb := &graph.Builder{G: body, Phase: b.Phase, Scope: b.Scope, Pass: b.Pass, Stage: b.Stage, Origin: b.Origin}
	loop := &graph.Loop{Kind: graph.Repeat, Trip: ps[0].Shape[0], Index: "l", Seqs: len(ps), Body: body}
	for _, p := range ps {
		ws = append(ws, body.Input(p.Field, graph.Local, graph.F32, p.Shape[1:]))
	}
	args = append(args, b.memory)
	memory := body.Input("memory", graph.Local, graph.F32, b.memory.Shape)
	body.Outputs = []*graph.Value{kv(bb, "", memory, ws)}
	b.G.Output(b.AddLoop(loop, []string{l.Name + ".kv"}, args...).Outs[0], "cache:"+l.Name+".memory")
}

func (k *block) qkvWidth() graph.Dim {
	if k.l.KVHeads == k.l.Heads {
		return graph.Mul(graph.Const(3, ""), k.width)
	}
	return k.b.sized(k.l.Name, "QKV", (k.l.Heads+2*k.l.KVHeads)*k.headSize(),
		fmt.Sprintf("queries, keys and values side by side: %d and twice %d heads of %d", k.l.Heads, k.l.KVHeads,
			k.headSize()))
}

// transformer adds a stack of equal Transformer layers (Vaswani et al. 2017), in one loop.
func (b *builder) transformer(l *spec.Transformer, x *graph.Value) *graph.Value {
	width := x.Shape.Last()
	var angles *graph.Value
	if l.Rotary.On() {
		size := graph.Const(l.Width/l.Heads, "")
		angles = b.table(&Table{Name: l.Name + ".angles", Scheme: "angles", Rows: b.turns(), Columns: size,
			Turns: turns(l.Rotary), Comment: "cosines and sines of the rotary positions of " + l.Name})
	}
	var masks [5]int
	if b.training {
		for i, rate := range []float64{l.AttentionDropout, l.Dropout, l.Dropout, l.Dropout, l.AttentionDropout} {
			if rate > 0 && (i < 3 || l.Cross) {
				b.streams++
				masks[i] = b.streams
			}
		}
	}
	var cacheShape graph.Shape // of a decoder
	if l.Causal && !b.judging {
		cacheShape = graph.Shape{batch, graph.Const(l.KVHeads, ""), b.capacity(l), graph.Const(l.Width/l.Heads, "")}
	}
	if l.Layers == 1 {
		called := func(name string) string { return l.Name + "." + name }
		if b.judging { // in several passes
			called = func(name string) string { return ident(l.Name) + upperFirst(name) }
		}
		k := &block{Builder: b.Builder, b: b, l: l, called: called, weight: map[string]*graph.Value{}, tokens: b.tokens,
			places: b.places, angles: angles, masks: masks, width: width}
		for _, f := range k.fields() {
			if b.decoding(l) && (f.name == "wkv" || f.name == "bkv") {
				continue // what they are for is in the cache
			}
			k.weight[f.name] = b.param(l.Name, f.name, f.shape, 0, 0, l.Name, f.init)
		}
		if b.decoding(l) {
			k.keys, k.values = b.kept(l.Name+".keys", cacheShape), b.kept(l.Name+".values", cacheShape)
		}
		if l.Cross {
			k.source, k.memory = b.source, b.memory
			if b.decoding(l) {
				k.cross = b.cache(l.Name+".memory", graph.Shape{sourceSteps, batch, k.kvWidth()})
			}
		}
		if masks != [5]int{} {
			k.index = b.count()
		}
		return k.layer(x)
	}
	n := b.sized(l.Name, "layers", l.Layers, "layers of "+l.Name+", in one loop")
	body := graph.New(l.Name + ".layer")
	bb := &graph.Builder{G: body, Phase: b.Phase, Scope: b.Scope, Pass: b.Pass, Stage: b.Stage, Origin: b.Origin}
	k := &block{Builder: bb, b: b, l: l, called: func(name string) string { return name },
		weight: map[string]*graph.Value{}, masks: masks, width: width}
	loop := &graph.Loop{Kind: graph.Repeat, Trip: n, Recompute: l.Recompute && b.training, Index: "l", Carries: 1,
		Body: body}
	args := []*graph.Value{x}
	in := body.Input("x", graph.Local, x.Type, x.Shape)
	for _, f := range k.fields() {
		if b.decoding(l) && (f.name == "wkv" || f.name == "bkv") {
			continue // what they are for is in the cache
		}
		args = append(args, b.param(l.Name, f.name, f.shape.Stack(n), l.Layers, 1, l.Name, f.init))
		k.weight[f.name] = body.Input(f.name, graph.Local, graph.F32, f.shape)
		loop.Seqs++
	}
	if b.decoding(l) {
		type slot struct {
			name  string
			to    **graph.Value
			shape graph.Shape
		}
		slots := []slot{{"keys", &k.keys, cacheShape}, {"values", &k.values, cacheShape}}
		if l.Cross {
			slots = append(slots, slot{"memory", &k.cross, graph.Shape{sourceSteps, batch, k.kvWidth()}})
		}
		for _, c := range slots {
			args = append(args, b.cached(l.Name+"."+c.name, c.shape.Stack(n), c.to != &k.cross))
			*c.to = body.Input(c.name, graph.Local, graph.F32, c.shape)
			loop.Seqs++
		}
	}
	invariant := func(v *graph.Value, name string) *graph.Value {
		if v == nil {
			return nil
		}
		args = append(args, v)
		return body.Input(name, graph.Local, v.Type, v.Shape)
	}
	if !b.judging { // where lines are all of one length
		k.tokens = invariant(b.tokens, "tokens")
	}
	k.places = invariant(b.places, "positions")
	k.angles = invariant(angles, "angles")
	if l.Cross {
		k.source = invariant(b.source, "source")
		k.memory = invariant(b.memory, "memory")
	}
	if masks != [5]int{} {
		k.index = bb.Apply(op.Index, []string{"index"}, nil)[0]
	}
	body.Outputs = []*graph.Value{k.layer(in)}
	return b.AddLoop(loop, []string{b.called(l, "y")}, args...).Outs[0]
}

// turns is the number of positions that rotary embeddings of the stack tell apart: those of the text that it reads.
func (b *builder) turns() graph.Dim {
	if b.steps.Same(sourceSteps) {
		return b.named("maxSourcePositions", b.m.Source.Steps,
			"positions of a source that rotary embeddings tell apart")
	}
	return b.named("maxPositions", b.m.Shape.Steps, "positions that rotary embeddings tell apart")
}

// decoding reports whether the layer is that of a decoder that keeps keys and values.
func (b *builder) decoding(l *spec.Transformer) bool { return !b.training && !b.judging && l.Causal }

// capacity is the number of tokens whose keys and values a decoder keeps: all of a window, or, with a sliding window,
// that and a chunk of the prompt.
func (b *builder) capacity(l *spec.Transformer) graph.Dim {
	n := b.m.Shape.Steps
	if l.Window > 0 {
		n = min(n, l.Window+b.r.Chunk()-1)
	}
	return b.sized(l.Name, "cache", n, "tokens whose keys and values a decoder keeps")
}

func (k *block) one(o *graph.Op, name string, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
	return k.Apply(o, []string{k.called(name)}, attrs, args...)[0]
}

// layer is x + attention, then that + feed-forward, with a norm in front of each part or behind each sum.
func (k *block) layer(x *graph.Value) *graph.Value {
	type part struct {
		part, name string
		apply      func(*graph.Value) *graph.Value
	}
	parts := []part{{"attention", "xMid", k.attention}, {"feedForward", "xNext", k.feedForward}}
	if k.l.Cross {
		parts = []part{parts[0], {"crossAttention", "xCrossed", k.crossAttention}, parts[1]}
	}
	defer func() { k.Part = "" }()
	for i, p := range parts {
		k.Part = p.part
		norm := fmt.Sprintf("norm%d", i+1)
		var y *graph.Value
		if k.l.NormFirst {
			y = p.apply(k.norm(fmt.Sprintf("n%d", i+1), norm, x))
			x = k.residual(p.name, x, y, i+1)
		} else {
			y = p.apply(x)
			x = k.norm(p.name, norm, k.residual(fmt.Sprintf("sum%d", i+1), x, y, i+1))
		}
		k.b.r.mark(y, mark{"part", k.l.Name + "." + p.part, k.l.Name, k.l.LayerKind()})
		k.b.r.mark(x, mark{"stream", k.l.Name + "." + p.name, k.l.Name, k.l.LayerKind()})
	}
	return x
}

// crossAttention lets x attend to the encoder's memory.
func (k *block) crossAttention(x *graph.Value) *graph.Value {
	q := k.product("q", "q", x)
	kv := k.cross
	if kv == nil {
		kv = k.product("kv", "kv", k.memory)
	}
	attrs := graph.Attrs{
		{Key: "name", Val: k.l.Name + ".cross"}, {Key: "heads", Val: k.l.Heads}, {Key: "kv", Val: k.l.KVHeads},
		{Key: "size", Val: k.headSize()},
		{Key: "width", Val: k.width}, {Key: "cross", Val: true},
	}
	args := []*graph.Value{q, kv, k.source}
	if k.cross != nil {
		attrs = attrs.Set("decoding", true)
	} else if k.masks[0] > 0 {
		attrs = attrs.Set("rate", k.l.AttentionDropout).Set("stream", k.masks[4])
		if k.index != nil {
			args = append(args, k.index)
		}
	}
	y := k.Apply(op.Attention, []string{k.called("yCross"), k.called("lseCross")}, attrs, args...)[0]
	return k.product("c", "c", y)
}

func (k *block) norm(name, params string, x *graph.Value) *graph.Value {
	eps := graph.Attrs{{Key: "epsilon", Val: k.l.Epsilon}}
	names := []string{k.called(name), k.called(params + "Mean"), k.called(params + "Rstd")}
	if k.l.Norm == "rmsnorm" {
		return k.Apply(op.RMSNorm, []string{names[0], names[2]}, eps, x, k.weight[params+"_gain"])[0]
	}
	return k.Apply(op.LayerNorm, names, eps, x, k.weight[params+"_gain"], k.weight[params+"_bias"])[0]
}

// product is x·w + b.
func (k *block) product(name, weight string, x *graph.Value) *graph.Value {
	y := k.one(op.MatMul, name, nil, x, k.weight["w"+weight])
	if bias := k.weight["b"+weight]; bias != nil {
		y = k.one(op.AddBias, name, nil, y, bias)
	}
	return y
}

// residual is x + branch, with dropout on the branch.
func (k *block) residual(name string, x, branch *graph.Value, mask int) *graph.Value {
	branch = k.dropout(name+"Dropped", branch, k.l.Dropout, k.masks[mask])
	return k.one(op.Add, name, nil, x, branch)
}

func (k *block) dropout(name string, x *graph.Value, rate float64, stream int) *graph.Value {
	if stream == 0 {
		return x
	}
	args := []*graph.Value{x}
	if k.index != nil {
		args = append(args, k.index)
	}
	return k.one(op.Dropout, name, graph.Attrs{{Key: "rate", Val: rate}, {Key: "stream", Val: stream}}, args...)
}

func (k *block) attention(x *graph.Value) *graph.Value {
	qkv := k.product("qkv", "qkv", x)
	if k.angles != nil {
		attrs := graph.Attrs{{Key: "heads", Val: k.l.Heads + k.l.KVHeads}, {Key: "size", Val: k.headSize()}}
		args := []*graph.Value{qkv, k.angles}
		if k.places != nil {
			args = append(args, k.places)
		}
		qkv = k.one(op.Rope, "qkvTurned", attrs, args...)
	}
	if k.keys != nil {
		y := k.one(op.AttentionCached, "y", k.attrs(), qkv, k.places, k.keys, k.values)
		return k.product("o", "o", y)
	}
	attrs, args := k.attrs(), []*graph.Value{qkv}
	if k.b.judging {
		attrs = attrs.Set("full", true)
	} else {
		args = append(args, k.tokens)
	}
	if !k.b.training {
		attrs = attrs.Set("decoding", true)
	}
	if k.masks[0] > 0 {
		attrs = attrs.Set("rate", k.l.AttentionDropout).Set("stream", k.masks[0])
		if k.index != nil {
			args = append(args, k.index)
		}
	}
	y := k.Apply(op.Attention, []string{k.called("y"), k.called("lse")}, attrs, args...)[0]
	return k.product("o", "o", y)
}

func (k *block) feedForward(x *graph.Value) *graph.Value {
	z := k.product("z", "up", x)
	apply := func(o *graph.Op, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
		return k.one(o, "h", attrs, args...)
	}
	half := k.b.sized(k.l.Name, "hidden", k.l.Hidden, "")
	h := activations[k.l.Activation](activating{inner: apply, last: apply, half: half}, z)
	return k.product("f", "down", h)
}

func tellTransformer(m *spec.Model, l *spec.Transformer) Account {
	var a Account
	if l.Layers > 1 {
		a.say("%s, one on the other, each with parameters of its own: y of one is x of the next.",
			counted(l.Layers, "equal layer"))
	}
	if l.Recompute {
		a.say("The backward pass computes again what it needs of a layer.")
	}
	if m.Latent != nil && m.Vectors == nil && firstOf(m, l) {
		a.say("The latent vector is added to what every token is before the first layer.")
		a.show(`x \leftarrow x + z \cdot W_{\text{token}}`)
	}
	where := "in front of each part, on what that reads"
	if !l.NormFirst {
		where = "behind each part, on the sum"
	}
	a.say("A norm stands %s.", where)
	norm := func(i int, y, x string) {
		if l.Norm == "rmsnorm" {
			a.show(y + " = " + rmsNorm(x, fmt.Sprintf("norm%d_gain", i), l.Epsilon))
			return
		}
		a.show(y + " = " +
			layerNorm(x, fmt.Sprintf("norm%d_gain", i), fmt.Sprintf("norm%d_bias", i), l.Epsilon))
	}
	at, n := "x", 0
	part := func(out, gives string, tell func(reads string)) {
		n++
		reads := at
		if l.NormFirst {
			reads = fmt.Sprintf("n_%d", n)
			norm(n, reads, at)
			tell(reads)
			a.show(out + " = " + at + " + " + gives)
		} else {
			tell(reads)
			sum := fmt.Sprintf("s_%d", n)
			a.show(sum + " = " + at + " + " + gives)
			norm(n, out, sum)
		}
		at = out
	}
	k := look{heads: l.Heads, kv: l.KVHeads, size: l.Width / l.Heads, causal: l.Causal, window: l.Window,
		prefix: l.Prefix, rotary: l.Rotary, alibi: l.ALiBi, bias: l.Bias, last: l.Bias, dropout: l.AttentionDropout,
		y: "a", product: "o"}
	part("u", "a", func(reads string) {
		k.x = reads
		a.looks(m, k)
	})
	if l.Cross {
		part("v", "c", func(reads string) {
			a.say("A second attention looks at the source.")
			a.looks(m, look{heads: l.Heads, kv: l.KVHeads, size: l.Width / l.Heads, cross: true, bias: l.Bias,
				last: l.Bias, dropout: l.AttentionDropout, x: reads, y: "c", product: "c"})
		})
	}
	part("y", "f", func(reads string) { a.feeds(reads, "f", l.Hidden, l.Activation, l.Bias) })
	a.dropped("the features of what each part gives", l.Dropout)
	return a
}

// firstOf reports whether l is the layer of a decoder of sentences that reads the latent vector added to every token.
func firstOf(m *spec.Model, l spec.Layer) bool {
	for x := range spec.Leaves(m.Layers) {
		if attends(x) {
			return x == l
		}
	}
	return false
}
