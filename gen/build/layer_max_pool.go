package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("max_pool",
		construction[*spec.MaxPool]{build: func(b *builder, l *spec.MaxPool, x *graph.Value, _ bool) *graph.Value {
			return b.Apply(op.MaxSteps, []string{b.called(l, "y")}, nil, x)[0]
		}, tell: func(*spec.Model, *spec.MaxPool) Account {
			return Account{[]string{"Keeps the largest value of each feature over time."}, []string{`y = \max_t x_t`}}
		}})
}
