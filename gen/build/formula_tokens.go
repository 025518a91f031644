package build

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	define := func(b *builder, l *spec.Defined, x *graph.Value, _ bool) *graph.Value {
		return b.formula(b.Builder, l, x, func(part string) string { return b.called(l, part) },
			func(v *graph.Value) *graph.Value { return v })
	}
	register("define_attention", construction[*spec.Defined]{build: define, counts: true, tell: tellDefined})
	register("define_source", construction[*spec.Defined]{build: define, begin: (*builder).beginFormula,
		tell: tellDefined})
}

// meeting is a formula in which a token meets others, those that a sum is over. What is of one token alone is computed
// for all tokens at once: of the layer's own tokens as rows, of the others as keys. A loop over the rows puts each
// beside all keys. A decoder keeps the keys of earlier tokens, or those of the source.
type meeting struct {
	*builder
	l    *spec.Defined
	rows *equations
	kept map[string]*graph.Value // keys by formula
}

// parts are the largest formulas in a sum that are of the layer's own token alone, and of the other alone.
func parts(sum *spec.Expr) (rows, keys []*spec.Expr) {
	seen := map[string]bool{}
	var walk func(x *spec.Expr)
	walk = func(x *spec.Expr) {
		own, other := x.Reads(""), x.Reads(sum.Index)
		switch {
		case x.Op == "number" || x.Op == "param" || seen[x.Key()]:
			return
		case own && !other:
			rows = append(rows, x)
		case other && !own && !weighs(x):
			keys = append(keys, x)
		default:
			for _, a := range x.Args {
				walk(a)
			}
			return
		}
		seen[x.Key()] = true
	}
	walk(sum.Args[0])
	return rows, keys
}

// weighs reports whether there is a softmax over tokens in the formula, which is of all of them.
func weighs(x *spec.Expr) bool {
	if x.Op == "weight" {
		return true
	}
	for _, a := range x.Args {
		if weighs(a) {
			return true
		}
	}
	return false
}

// keys are the values of a formula for all tokens that the index of a sum counts, [tokens, batch, width].
func (m *meeting) keys(sum, x *spec.Expr) *graph.Value {
	text := x.KeyOf(sum.Index)
	if v := m.kept[text]; v != nil {
		return v
	}
	if m.kept == nil {
		m.kept = map[string]*graph.Value{}
	}
	name := fmt.Sprintf("keys%d", len(m.kept)+1)
	width := graph.Const(max(1, x.Size), "")
	var v *graph.Value
	switch {
	case sum.Memory && !m.training && !m.encoding:
		v = m.cache(m.l.Name+"."+name, graph.Shape{sourceSteps, batch, width})
	case sum.Memory:
		v = m.each(m.memory, sum, x, name)
	default:
		v = m.each(m.rows.x, sum, x, name)
		if !m.training && !m.judging && !m.encoding && m.places != nil {
			room := m.sized(m.l.Name, "cache", m.m.Shape.Steps, "tokens whose keys a decoder keeps")
			cache := m.cache(m.l.Name+"."+name, graph.Shape{batch, graph.Const(1, ""), room, v.Shape.Last()})
			v = m.Apply(op.CacheRows, []string{m.called(m.l, name)}, nil, v, m.places, cache)[0]
		}
	}
	m.kept[text] = v
	return v
}

// each is a formula of each token of x.
func (m *meeting) each(x *graph.Value, sum, f *spec.Expr, name string) *graph.Value {
	e := &equations{Builder: m.Builder, f: m.rows.f, x: x, shape: rowsOf(x), params: m.rows.params,
		values: map[string]*graph.Value{}, made: map[*spec.Expr]*graph.Value{}, equals: name}
	e.name = func(part string) string { return m.called(m.l, part) }
	return e.row(f)
}

// sum is Σ over tokens for every row.
func (m *meeting) sum(x *spec.Expr) *graph.Value {
	rows, keys := parts(x)
	e := m.rows
	attrs := graph.Attrs{}
	var places, tokens *graph.Value // which tokens there are, and up to which a row sees
	first := m.keys(x, keys[0])
	attrs = attrs.Set("tokens", first.Shape[0]).Set("batch", first.Shape[1])
	caching := !x.Memory && !m.training && !m.judging && !m.encoding && m.places != nil
	switch {
	case x.Memory:
		tokens = m.source
	case caching:
		places = m.places
	case !m.judging:
		tokens = m.tokens
	}
	if tokens != nil {
		attrs = attrs.Set("missing", true)
	}
	if caching {
		attrs = attrs.Set("upto", "places")
	} else if x.Causal {
		attrs = attrs.Set("upto", "index")
	}

	looped := len(e.shape) > 1
	sb, inner := m.Builder, func(name string, v *graph.Value, element bool) *graph.Value { return v }
	var loop *graph.Loop
	var args []*graph.Value
	if looped {
		body := graph.New(m.l.Name + ".meet")
		sb = &graph.Builder{G: body, Phase: m.Phase, Scope: m.Scope, Part: m.Part, Pass: m.Pass, Stage: m.Stage,
			Origin: m.Origin}
		loop = &graph.Loop{Kind: graph.Scan, Trip: e.shape[0], Index: "t", Body: body}
		inner = func(name string, v *graph.Value, element bool) *graph.Value {
			args = append(args, v)
			shape := v.Shape
			if element {
				shape = shape[1:]
				loop.Seqs++
			}
			return body.Input(body.Unique(name), graph.Local, v.Type, shape)
		}
	}
	one := func(o *graph.Op, name string, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
		if !looped {
			name = e.name(name)
		}
		return sb.Apply(o, []string{name}, attrs, args...)[0]
	}
	known := map[string]*graph.Value{}
	for i, r := range rows { // elements come before invariants
		v := inner(fmt.Sprintf("row%d", i+1), e.row(r), true)
		known[r.Key()] = one(op.SpreadSteps, fmt.Sprintf("row%d", i+1),
			graph.Attrs{{Key: "tokens", Val: first.Shape[0]}}, v)
	}
	if caching {
		places = inner("places", places, true)
	}
	for i, k := range keys {
		known[k.Key()] = inner(fmt.Sprintf("key%d", i+1), m.keys(x, k), false)
	}
	if tokens != nil {
		tokens = inner("tokens", tokens, false)
	}
	params := map[string]*graph.Value{}
	for i := range e.f.Params {
		if p := &e.f.Params[i]; mixes(x.Args[0], p.Name, known) {
			params[p.Name] = inner(p.Field, e.params[p.Name], false)
		}
	}
	var seen []*graph.Value
	for _, v := range []*graph.Value{tokens, places} {
		if v != nil {
			seen = append(seen, v)
		}
	}
	if attrs.Str("upto") == "index" {
		if !looped {
			panic("build: a row that stands among the tokens of its sum, alone")
		}
		seen = append(seen, sb.Apply(op.Index, []string{"index"}, nil)[0])
	}
	over := one(op.Seen, "seen", attrs, seen...)
	pairs := &equations{Builder: sb, f: e.f, shape: first.Shape[:2:2], params: params,
		values: map[string]*graph.Value{}, made: map[*spec.Expr]*graph.Value{}, equals: "pair", over: over,
		leaf: func(x *spec.Expr) *graph.Value { return known[x.Key()] }}
	if pairs.name = func(part string) string { return part }; !looped {
		pairs.name = e.name
	}
	y := pairs.row(x.Args[0])
	if a := x.Args[0]; len(seen) > 0 && a.Op != "weight" &&
		!(a.Op == "*" && (a.Args[0].Op == "weight" || a.Args[1].Op == "weight")) {
		y = one(op.ScaleRows, "pair", nil, y, over)
	}
	y = one(op.SumSteps, "sum", nil, y)
	if !looped {
		return y
	}
	loop.Body.Outputs = []*graph.Value{y}
	return m.AddLoop(loop, []string{e.name("sum")}, args...).Outs[0]
}

// mixes reports whether a parameter stands in a formula outside of what is known.
func mixes(x *spec.Expr, param string, known map[string]*graph.Value) bool {
	if known[x.Key()] != nil {
		return false
	}
	if x.Op == "param" {
		return x.Name == param
	}
	for _, a := range x.Args {
		if mixes(a, param, known) {
			return true
		}
	}
	return false
}

// beginFormula adds what a decoder keeps of a source for a formula that sums over its tokens.
func (b *builder) beginFormula(l *spec.Defined) {
	e := &equations{Builder: b.Builder, f: l.Formula, x: b.memory, shape: rowsOf(b.memory),
		params: map[string]*graph.Value{}}
	m := &meeting{builder: b, l: l, rows: e}
	in := graph.Const(l.In, "")
	for i := range l.Formula.Params {
		p := &l.Formula.Params[i]
		w := weightOf(p, in, p.Start(l.Init, l.BiasInit))
		e.params[p.Name] = b.param(l.Name, w.field, w.shape(in), 0, 0, l.Name, w.init(in.N))
	}
	for _, q := range l.Formula.Equations {
		q.Expr.Each(func(x *spec.Expr) {
			if x.Op != "sum" || !x.Memory {
				return
			}
			_, keys := parts(x)
			for _, k := range keys {
				n := len(m.kept)
				if v := m.keys(x, k); len(m.kept) > n {
					if v == b.memory {
						v = b.Apply(op.Copy, []string{l.Name + ".keys"}, nil, v)[0]
					}
					b.output(v, fmt.Sprintf("cache:%s.keys%d", l.Name, n+1))
				}
			}
		})
	}
}
