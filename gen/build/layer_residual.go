package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("residual", construction[*spec.Residual]{build: (*builder).residual, relaxed: (*relaxing).residual,
		begin: func(b *builder, l *spec.Residual) { b.beginAll(l.Layers) }, tell: tellResidual})
}

// residual is x + scale·f(x).
func (b *builder) residual(l *spec.Residual, x *graph.Value, _ bool) *graph.Value {
	y := b.layers(l.Layers, x, false)
	b.enter(l)
	if l.Scale != 1 {
		y = b.Apply(op.Scale, []string{b.called(l, "scaled")}, graph.Attrs{{Key: "by", Val: l.Scale}}, y)[0]
	}
	y = b.dropout(b.Builder, y, b.called(l, "dropped"), l.Dropout, nil)
	return b.Apply(op.Add, []string{b.called(l, "y")}, nil, x, y)[0]
}

func (w *relaxing) residual(l *spec.Residual, h *graph.Value, _ bool) *graph.Value {
	y := w.layers(l.Layers, h, false)
	w.enterInner(l)
	if l.Scale != 1 {
		y = w.inner.Apply(op.Scale, []string{l.Name + "Scaled"}, graph.Attrs{{Key: "by", Val: l.Scale}}, y)[0]
	}
	return w.inner.Apply(op.Add, []string{l.Name}, nil, h, w.drop(y, l.Name+"Dropped", l.Dropout))[0]
}

func tellResidual(_ *spec.Model, l *spec.Residual) Account {
	var a Account
	a.say("Adds to what it reads what the layers f below make of it.")
	y := "y = x + "
	if l.Scale != 1 {
		y += figure(l.Scale) + ` \cdot `
	}
	a.show(y + "f(x)")
	a.dropped("the features of f(x)", l.Dropout)
	return a
}
