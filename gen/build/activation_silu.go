package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

func init() {
	const silu = `\operatorname{silu}(z) = \frac{z}{1 + e^{-z}}`
	activates("silu", op.SiLU, silu)
	activation("swiglu", func(a activating, x *graph.Value) *graph.Value {
		return a.last(op.SwiGLU, graph.Attrs{{Key: "half", Val: a.half}}, x)
	}, `\operatorname{swiglu}(a, b) = \operatorname{silu}(a) \odot b`, silu)
}
