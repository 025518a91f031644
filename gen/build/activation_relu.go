package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

func init() {
	activates("relu", op.ReLU)
	activations["leaky_relu"] = func(a activating, x *graph.Value) *graph.Value {
		return a.last(op.LeakyReLU, graph.Attrs{{Key: "slope", Val: a.slope}}, x)
	}
}
