package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("layernorm", construction[*spec.LayerNorm]{build: (*builder).layerNorm, relaxed: (*relaxing).layerNorm,
		tell: func(_ *spec.Model, l *spec.LayerNorm) Account {
			return Account{[]string{layerNormWords}, []string{"y = " + layerNorm("x", "gain", "bias", l.Epsilon)}}
		}})
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

const layerNormWords = "Brings each row to mean 0 and variance 1, then to a learnt scale and mean."

// layerNorm is the formula of a layer norm of x.
func layerNorm(x, gain, bias string, epsilon float64) string {
	return Symbol(gain) + ` \odot \frac{` + x + ` - \text{mean}(` + x + `)}{\sqrt{\text{var}(` + x + `) + ` +
		figure(epsilon) +
		`}} + ` + Symbol(bias)
}
