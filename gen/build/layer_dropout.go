package build

import (
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
	})
}
