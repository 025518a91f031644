package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

func init() {
	activation("relu2", func(a activating, x *graph.Value) *graph.Value {
		h := a.inner(op.ReLU, nil, x)
		return a.last(op.Mul, nil, h, h)
	}, `\operatorname{relu2}(z) = \max(z, 0)^2`)
}
