package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("rmsnorm", construction[*spec.RMSNorm]{build: (*builder).rmsNorm, relaxed: (*relaxing).rmsNorm})
}

func (w *relaxing) rmsNorm(l *spec.RMSNorm, h *graph.Value, _ bool) *graph.Value {
	gain := w.param(l.Name, "gain", graph.Shape{h.Shape.Last()}, 0, 0, l.Name, Init{Scheme: "ones"})
	return w.inner.Apply(op.RMSNorm, []string{l.Name, l.Name + "Rstd"}, graph.Attrs{{Key: "epsilon", Val: l.Epsilon}},
		h, w.read(gain))[0]
}

func (b *builder) rmsNorm(l *spec.RMSNorm, x *graph.Value, _ bool) *graph.Value {
	gain := b.param(l.Name, "gain", graph.Shape{x.Shape.Last()}, 0, 0, l.Name, Init{Scheme: "ones"})
	return b.Apply(op.RMSNorm, []string{b.called(l, "x"), b.called(l, "rstd")},
		graph.Attrs{{Key: "epsilon", Val: l.Epsilon}}, x, gain)[0]
}
