package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("rmsnorm", construction[*spec.RMSNorm]{build: (*builder).rmsNorm, relaxed: (*relaxing).rmsNorm,
		tell: func(_ *spec.Model, l *spec.RMSNorm) Account {
			return Account{[]string{rmsNormWords}, []string{"y = " + rmsNorm("x", "gain", l.Epsilon)}}
		}})
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

const rmsNormWords = "Brings the mean square of each row to 1, then to a learnt scale."

// rmsNorm is the formula of an RMS norm of x.
func rmsNorm(x, gain string, epsilon float64) string {
	return Symbol(gain) + ` \odot \frac{` + x + `}{\sqrt{\text{mean}(` + x + `^2) + ` + figure(epsilon) + `}}`
}
