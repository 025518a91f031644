package build

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("dropout", construction[*spec.Dropout]{
		build: func(b *builder, l *spec.Dropout, x *graph.Value, _ bool) *graph.Value {
			return b.dropout(b.Builder, x, b.called(l, "x"), l.Rate, nil)
		},
		relaxed: func(w *relaxing, l *spec.Dropout, h *graph.Value, _ bool) *graph.Value {
			return w.drop(h, l.Name, l.Rate)
		},
		tell: func(_ *spec.Model, l *spec.Dropout) Account {
			a := Account{Formulas: []string{fmt.Sprintf(`y = \frac{k \odot x}{1 - %g}`, l.Rate)}}
			a.say("In training each feature is set to 0 with a probability of %g and else divided by %g, k being "+
				"drawn anew for each step. Elsewhere y is x.", l.Rate, 1-l.Rate)
			return a
		},
	})
}
