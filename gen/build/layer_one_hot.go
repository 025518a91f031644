package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("one_hot", construction[*spec.OneHot]{build: func(b *builder, l *spec.OneHot, _ *graph.Value,
		_ bool) *graph.Value {
		x := b.Apply(op.OneHot, []string{l.Name + ".x"}, graph.Attrs{{Key: "vocab", Val: b.tokensRead()}}, b.tokens)[0]
		return b.dropWords(x, l.Name+".seen")
	}})
}
