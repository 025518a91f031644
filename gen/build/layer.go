package build

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/spec"
)

// construction is what a kind of layer computes: the other half of its record in package spec, which has the same name.
type construction[L spec.Layer] struct {
	// build adds the layer to what b builds, reading x; last says that it gives what the loss reads.
	build func(b *builder, l L, x *graph.Value, last bool) *graph.Value

	// relaxed adds one step of the layer where a generator writes relaxed tokens; nil where a generator of text cannot
	// have it.
	relaxed func(w *relaxing, l L, h *graph.Value, last bool) *graph.Value

	// begin adds what a decoder keeps of a source for the layer; nil for nothing.
	begin func(b *builder, l L)

	counts bool // a decoder has to know where its tokens stand

	// tell says what the layer computes, in words and formulas.
	tell func(m *spec.Model, l L) Account
}

var constructions = map[string]construction[spec.Layer]{}

// register says what the layers of a kind compute.
func register[L spec.Layer](kind string, c construction[L]) {
	any := construction[spec.Layer]{counts: c.counts}
	if c.tell != nil {
		any.tell = func(m *spec.Model, l spec.Layer) Account { return c.tell(m, l.(L)) }
	}
	any.build = func(b *builder, l spec.Layer, x *graph.Value, last bool) *graph.Value {
		return c.build(b, l.(L), x, last)
	}
	if c.relaxed != nil {
		any.relaxed = func(w *relaxing, l spec.Layer, h *graph.Value, last bool) *graph.Value {
			return c.relaxed(w, l.(L), h, last)
		}
	}
	if c.begin != nil {
		any.begin = func(b *builder, l spec.Layer) { c.begin(b, l.(L)) }
	}
	constructions[kind] = any
}

func constructionOf(l spec.Layer) construction[spec.Layer] {
	kind := l.LayerKind()
	switch l := l.(type) {
	case *spec.Defined:
		switch kind = "define"; {
		case l.Formula.Looks:
			kind = "define_attention"
		case l.Formula.Memory:
			kind = "define_source"
		}
	case *spec.Recurrent:
		if l.Formula != nil {
			kind = "rnn"
		}
	}
	c, ok := constructions[kind]
	if !ok {
		panic(fmt.Sprintf("build: no rule for layers of kind %s", l.LayerKind()))
	}
	return c
}
