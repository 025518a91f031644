package op

import (
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Erf is the error function, 2/√π·∫₀ˣ exp(−t²) dt.
var Erf = zip("erf", "Erf", 1, 8, func(x []float64) float64 { return math.Erf(x[0]) }, "erf(%s)", operator("Erf"))

// ErfGrad is 2/√π·exp(−x²)·dy.
var ErfGrad = zip("erf_grad", "ErfGrad", 2, 6, func(x []float64) float64 {
	return 2 / math.Sqrt(math.Pi) * math.Exp(-x[0]*x[0]) * x[1]
}, "erf′(%s) ∘ %s", nil)

func init() {
	Erf.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(ErfGrad, []string{d(n.Args[0])}, nil, c.Val(n.Args[0]), g[0])
	}
	// f(x, dy) = erf′(x)·dy: ∂/∂dy is the operation itself on the incoming gradient, ∂/∂x is −2·x·erf′(x)·dy.
	ErfGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		x, dy := n.Args[0], n.Args[1]
		r := make([]*value, 2)
		if c.Need(0) {
			p := c.Apply(Mul, nil, nil, c.Val(x), c.Apply(Mul, nil, nil, c.Val(dy), g[0])[0])[0]
			p = c.Apply(Scale, nil, graph.Attrs{{Key: "by", Val: -2.0}}, p)[0]
			r[0] = c.Apply(ErfGrad, []string{d(x)}, nil, c.Val(x), p)[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(ErfGrad, []string{d(dy)}, nil, c.Val(x), g[0])[0]
		}
		return r
	}
}
