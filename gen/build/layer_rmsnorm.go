package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("rmsnorm", construction[*spec.RMSNorm]{build: (*builder).rmsNorm})
}

func (b *builder) rmsNorm(l *spec.RMSNorm, x *graph.Value, _ bool) *graph.Value {
	gain := b.param(l.Name, "gain", graph.Shape{x.Shape.Last()}, 0, 0, l.Name, Init{Scheme: "ones"})
	return b.Apply(op.RMSNorm, []string{l.Name + ".x", l.Name + ".rstd"}, graph.Attrs{{Key: "epsilon", Val: l.Epsilon}}, x, gain)[0]
}
