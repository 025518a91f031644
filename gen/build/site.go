package build

import (
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

// site is the body of a loop over equal layers, while its layers are built. What they take from outside, parameters,
// states, caches and values that all repetitions read, becomes inputs of the loop; what each repetition gives to the
// outside, such as its next state, becomes results.
type site struct {
	outer  *builder
	layer  *spec.Repeat
	trip   graph.Dim
	index  *graph.Value
	seqs   []port // elements of stacked values
	consts []port // invariants
	gives  []given
}

type port struct{ outer, inner *graph.Value }

type given struct {
	v    *graph.Value
	give func(stacked *graph.Value)
}

// inside is a builder of the body of a loop over the repetitions of l.
func (b *builder) inside(l *spec.Repeat) *builder {
	in := *b
	s := &site{outer: b, layer: l, trip: b.sized(l.Name, "times", l.Times, "repetitions of the layers of "+l.Name)}
	body := *b.Builder
	body.G = graph.New(l.Name + ".layers")
	in.Builder, in.site = &body, s
	in.params, in.tables, in.state = map[string]*graph.Value{}, map[string]*graph.Value{}, nil
	for _, v := range []**graph.Value{&in.tokens, &in.places, &in.reset, &in.source, &in.memory, &in.latent,
		&in.labels} {
		if *v != nil {
			*v = s.invariant(*v)
		}
	}
	return &in
}

func (s *site) invariant(v *graph.Value) *graph.Value {
	for _, p := range s.consts {
		if p.outer == v {
			return p.inner
		}
	}
	p := port{v, &graph.Value{Name: v.Base, Type: v.Type, Shape: v.Shape}}
	s.consts = append(s.consts, p)
	return p.inner
}

func (s *site) element(v *graph.Value, name string) *graph.Value {
	p := port{v, &graph.Value{Name: name, Type: v.Type, Shape: v.Shape[1:]}}
	s.seqs = append(s.seqs, p)
	return p.inner
}

// give hands v of every repetition to the outside, stacked.
func (s *site) give(v *graph.Value, give func(stacked *graph.Value)) {
	s.gives = append(s.gives, given{v, give})
}

// output hands v out of the graph, as all repetitions' where b builds the body of a loop.
func (b *builder) output(v *graph.Value, target string) {
	if s := b.site; s != nil {
		s.give(v, func(stacked *graph.Value) { s.outer.output(stacked, target) })
		return
	}
	b.G.Output(v, target)
}

// count is the number of the repetition.
func (b *builder) count() *graph.Value {
	if b.site == nil {
		return nil
	}
	if b.site.index == nil {
		b.site.index = b.Apply(op.Index, []string{"index"}, nil)[0]
	}
	return b.site.index
}

// close adds the loop to the graph outside. It carries x from one repetition to the next: in is what the first reads,
// out what each gives. A loop that carries nothing, where these are nil, only gives. Close returns what the last
// repetition gives.
func (in *builder) close(x, inner, out *graph.Value, name string) *graph.Value {
	s, b, body := in.site, in.site.outer, in.Builder.G
	b.streams = in.streams
	for _, state := range in.state {
		s.give(state.v, func(stacked *graph.Value) { b.state = append(b.state, stateOut{state.name, stacked}) })
	}
	used := map[*graph.Value]bool{}
	for _, n := range body.Nodes {
		for _, a := range n.Args {
			used[a] = true
		}
	}
	used[out] = true
	for _, g := range s.gives {
		used[g.v] = true
	}
	loop := &graph.Loop{Kind: graph.Repeat, Trip: s.trip, Recompute: s.layer.Recompute && b.training, Index: "l",
		Body: body}
	var args []*graph.Value
	var names []string
	if x != nil {
		loop.Carries = 1
		args = append(args, x)
		body.Inputs = append(body.Inputs, inner)
		body.Outputs = append(body.Outputs, out)
		names = append(names, name)
	}
	add := func(p port) bool {
		if !used[p.inner] {
			return false
		}
		p.inner.Base = p.inner.Name
		p.inner.Name = body.Unique(p.inner.Name)
		args = append(args, p.outer)
		body.Inputs = append(body.Inputs, p.inner)
		return true
	}
	for _, p := range s.seqs {
		if add(p) {
			loop.Seqs++
		}
	}
	for _, p := range s.consts {
		add(p)
	}
	for _, g := range s.gives {
		body.Outputs = append(body.Outputs, g.v)
		names = append(names, s.layer.Name+"."+strings.ReplaceAll(g.v.Base, ".", "_"))
	}
	if len(body.Outputs) == 0 {
		return nil
	}
	n := b.AddLoop(loop, names, args...)
	for i, g := range s.gives {
		g.give(n.Outs[loop.Carries+i])
	}
	if x == nil {
		return nil
	}
	return n.Outs[0]
}
