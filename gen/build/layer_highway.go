package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("highway", construction[*spec.Highway]{build: (*builder).highway, tell: tellHighway})
}

// highway is x + g∘(relu(x·w + b) − x) with the gate g = σ(x·w_gate + b_gate): g∘relu(x·w + b) + (1 − g)∘x with one
// product less (Srivastava et al. 2015, equation 3).
func (b *builder) highway(l *spec.Highway, x *graph.Value, _ bool) *graph.Value {
	n := x.Shape.Last()
	affine := func(part, suffix string, bias Init) *graph.Value {
		w := b.param(l.Name, "w"+suffix, graph.Shape{n, n}, 0, 0, l.Name, matrix(l.Init, n.N, n.N))
		v := b.param(l.Name, "b"+suffix, graph.Shape{n}, 0, 0, l.Name, bias)
		z := b.Apply(op.MatMul, []string{b.called(l, part)}, nil, x, w)[0]
		return b.Apply(op.AddBias, []string{b.called(l, part)}, nil, z, v)[0]
	}
	one := func(o *graph.Op, part string, args ...*graph.Value) *graph.Value {
		return b.Apply(o, []string{b.called(l, part)}, nil, args...)[0]
	}
	h := one(op.ReLU, "h", affine("h", "", matrix(l.BiasInit, n.N, n.N)))
	closed := Init{Scheme: "zeros"}
	if l.GateBias != 0 {
		closed.Add, closed.AddAt = l.GateBias, [2]int{0, n.N}
	}
	gate := one(op.Sigmoid, "gate", affine("gate", "_gate", closed))
	return one(op.Add, "y", x, one(op.Mul, "step", gate, one(op.Sub, "change", h, x)))
}

func tellHighway(*spec.Model, *spec.Highway) Account {
	var a Account
	a.say("A gate g says how much of each feature is new and how much is passed on.")
	relu, sigmoid := activationFormulas["relu"], activationFormulas["sigmoid"]
	a.show(`g = \sigma(`+affine("x", "w_gate", "b_gate", true)+")",
		`y = g \odot \operatorname{relu}(`+affine("x", "w", "b", true)+`) + (1 - g) \odot x`, relu[0], sigmoid[0])
	return a
}
