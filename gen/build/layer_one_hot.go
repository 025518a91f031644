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
	}, tell: func(m *spec.Model, l *spec.OneHot) Account {
		a := Account{Formulas: []string{`y_i = 1 \quad \text{where } i = x \text{, else } 0`}}
		a.say("Turns a token into a row of %d numbers, 1 at the token and 0 elsewhere.", l.Width)
		a.words(m, l)
		return a
	}})
}
