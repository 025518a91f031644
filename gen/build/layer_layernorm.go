package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("layernorm", construction[*spec.LayerNorm]{build: (*builder).layerNorm, relaxed: (*relaxing).layerNorm})
}

func (b *builder) layerNorm(l *spec.LayerNorm, x *graph.Value, _ bool) *graph.Value {
	gain, bias := b.normalizer(l, x.Shape.Last())
	return b.Apply(op.LayerNorm, []string{b.called(l, "x"), b.called(l, "mean"), b.called(l, "rstd")},
		graph.Attrs{{Key: "epsilon", Val: l.Epsilon}}, x, gain, bias)[0]
}

func (w *relaxing) layerNorm(l *spec.LayerNorm, h *graph.Value, _ bool) *graph.Value {
	gain, bias := w.normalizer(l, h.Shape.Last())
	return w.inner.Apply(op.LayerNorm, []string{l.Name, l.Name + "Mean", l.Name + "Rstd"},
		graph.Attrs{{Key: "epsilon", Val: l.Epsilon}}, h, w.read(gain), w.read(bias))[0]
}

// normalizer gives the parameters of a layer norm of rows of width n.
func (b *builder) normalizer(l *spec.LayerNorm, n graph.Dim) (gain, bias *graph.Value) {
	w := graph.Shape{n}
	return b.param(l.Name, "gain", w, 0, 0, l.Name, Init{Scheme: "ones"}), b.param(l.Name, "bias", w, 0, 0, l.Name,
		Init{Scheme: "zeros"})
}
