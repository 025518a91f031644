package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

func init() {
	activates("relu", op.ReLU, `\operatorname{relu}(z) = \max(z, 0)`)
	activation("leaky_relu", func(a activating, x *graph.Value) *graph.Value {
		return a.last(op.LeakyReLU, graph.Attrs{{Key: "slope", Val: a.slope}}, x)
	}, `\operatorname{leaky\_relu}(z) = \max(z, 0) + s \cdot \min(z, 0)`)
}
