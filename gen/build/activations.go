package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// activating is how the operations of an activation are added to a graph.
type activating struct {
	inner apply   // what lies between
	last  apply   // what the layer calls by its name
	slope float64 // of a leaky unit

	// Of a gated one: the width of each product, and what makes two of them.
	half  graph.Dim
	split func(x *graph.Value) []*graph.Value
}

// apply adds an operation and gives its result.
type apply func(o *graph.Op, attrs graph.Attrs, args ...*graph.Value) *graph.Value

// activations are the functions of features by the names of their records in spec: what each makes of x, of a gated
// one the two products side by side.
var activations = map[string]func(a activating, x *graph.Value) *graph.Value{}

// activationFormulas define the functions of features in LaTeX, each of z, or of a and b where it is gated. What a
// formula needs stands behind it.
var activationFormulas = map[string][]string{}

// activates registers an activation that is one operation, and the formulas that define it.
func activates(name string, o *graph.Op, formulas ...string) {
	activation(name, func(a activating, x *graph.Value) *graph.Value { return a.last(o, nil, x) }, formulas...)
}

// activation registers an activation, and the formulas that define it.
func activation(name string, f func(a activating, x *graph.Value) *graph.Value, formulas ...string) {
	activations[name], activationFormulas[name] = f, formulas
}

// gates registers a gated activation, an operation on one product, times the other, and the formulas that define it.
func gates(name string, o *graph.Op, formulas ...string) {
	activation(name, func(a activating, x *graph.Value) *graph.Value {
		two := a.split(x)
		return a.last(op.Mul, nil, a.inner(o, nil, two[0]), two[1])
	}, formulas...)
}
