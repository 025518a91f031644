package build

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("repeat", construction[*spec.Repeat]{build: (*builder).repeat, relaxed: (*relaxing).repeat,
		begin: (*builder).beginRepeat, tell: tellRepeat})
}

// repeat adds layers again and again: as a loop, where they can be one.
func (b *builder) repeat(l *spec.Repeat, x *graph.Value, _ bool) *graph.Value {
	if l.Copies != nil {
		for _, c := range l.Copies {
			x = b.layers(c, x, false)
		}
		return x
	}
	in := b.inside(l)
	inner := in.G.Input("x", graph.Local, x.Type, x.Shape)
	in.G.Inputs = nil // the loop puts its inputs in order when it is closed
	scope, origin := b.Scope, b.Origin
	out := in.layers(l.Layers, inner, false)
	b.Scope, b.Origin = scope, origin
	return in.close(x, inner, out, b.called(l, "y"))
}

func (w *relaxing) repeat(l *spec.Repeat, h *graph.Value, _ bool) *graph.Value {
	for _, c := range l.Copies {
		h = w.layers(c, h, false)
	}
	return h
}

func (b *builder) beginRepeat(l *spec.Repeat) {
	if l.Copies != nil {
		for _, c := range l.Copies {
			b.beginAll(c)
		}
		return
	}
	in := b.inside(l)
	in.beginAll(l.Layers)
	in.close(nil, nil, nil, "")
}

// beginAll adds what a decoder keeps of a source for the layers of a list.
func (b *builder) beginAll(layers []spec.Layer) {
	for _, l := range layers {
		b.Scope, b.Origin = l.LayerName(), b.at(l.LayerPos(), l.LayerName())
		if begin := constructionOf(l).begin; begin != nil {
			begin(b, l)
		}
	}
}

func tellRepeat(_ *spec.Model, l *spec.Repeat) Account {
	a := Account{Formulas: []string{`x_0 = x`, `x_i = f_i(x_{i-1})`, fmt.Sprintf(`y = x_{%d}`, l.Times)}}
	switch {
	case l.Shared:
		a.Formulas[1] = `x_i = f(x_{i-1})`
		a.say("The layers f below come %d times, always with the same parameters.", l.Times)
	default:
		a.say("The layers f below come %d times, each time with parameters of their own.", l.Times)
	}
	if l.Recompute {
		a.say("The backward pass computes again what it needs of a repetition.")
	}
	return a
}
