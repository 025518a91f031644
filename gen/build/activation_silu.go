package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

func init() {
	activates("silu", op.SiLU)
	activations["swiglu"] = func(a activating, x *graph.Value) *graph.Value {
		return a.last(op.SwiGLU, graph.Attrs{{Key: "half", Val: a.half}}, x)
	}
}
