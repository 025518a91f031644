package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("scale", construction[*spec.Scale]{
		build: func(b *builder, l *spec.Scale, x *graph.Value, _ bool) *graph.Value {
			width := x.Shape.Last()
			start := Init{Scheme: "zeros", Add: l.Start, AddAt: [2]int{0, width.N}}
			gain := b.param(l.Name, "gain", graph.Shape{width}, 0, 0, l.Name, start)
			return b.Apply(op.ScaleColumns, []string{b.called(l, "y")}, nil, x, gain)[0]
		},
		tell: func(_ *spec.Model, l *spec.Scale) Account {
			a := Account{Formulas: []string{"y = " + Symbol("gain") + ` \odot x`}}
			a.say("Multiplies each feature with a learnt number, which starts at %g.", l.Start)
			return a
		},
	})
}
