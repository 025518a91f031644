// Package op is the table of all operations: for each its shape rule, its gradient as operations, its cost, its
// definition in float64 and the kernel calls that compute it. Adding an operation is adding a file here.
//
// Gradient rules give operations of this table, so that a gradient can be differentiated again where those have rules
// of their own. The package must know nothing of specs, passes, memory or Go syntax.
package op

import (
	"fmt"
	"math"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Shorthands for rules.

type (
	node  = graph.Node
	value = graph.Value
	call  = graph.Call
	dim   = graph.Dim
	names = func(*graph.Value) string
)

func f32(shapes ...graph.Shape) []graph.TypedShape {
	r := make([]graph.TypedShape, len(shapes))
	for i, s := range shapes {
		r[i] = graph.TypedShape{Type: graph.F32, Shape: s}
	}
	return r
}

func wantArgs(n *node, types ...graph.Type) error {
	if len(n.Args) != len(types) {
		return fmt.Errorf("has %d arguments, wants %d", len(n.Args), len(types))
	}
	for i, t := range types {
		if n.Args[i].Type != t {
			return fmt.Errorf("argument %d is %s, wants %s", i, n.Args[i].Type, t)
		}
	}
	return nil
}

func wantSame(n *node, i, j int) error {
	if a, b := n.Args[i].Shape, n.Args[j].Shape; !a.Same(b) {
		return fmt.Errorf("arguments %d and %d differ: %s and %s", i, j, a, b)
	}
	return nil
}

// allSame is the shape rule of operations on elements: n float arguments of one shape.
func allSame(count int) func(n *node) ([]graph.TypedShape, error) {
	return func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, make([]graph.Type, count)...); err != nil {
			return nil, err
		}
		for i := 1; i < count; i++ {
			if err := wantSame(n, 0, i); err != nil {
				return nil, err
			}
		}
		return f32(n.Args[0].Shape), nil
	}
}

// perElement counts k operations for each element of the first result.
func perElement(k int) func(n *node) dim {
	return func(n *node) dim { return graph.Mul(graph.Const(k, ""), n.Outs[0].Shape.Elems()) }
}

func always(*node, []bool) bool { return true }

// allStacked is the Rowwise rule of operations whose arguments must all be per row.
func allStacked(_ *node, stacked []bool) bool {
	for _, s := range stacked {
		if !s {
			return false
		}
	}
	return true
}

// firstStacked is the Rowwise rule of operations of rows with parameters.
func firstStacked(_ *node, stacked []bool) bool {
	for i, s := range stacked {
		if s != (i == 0) {
			return false
		}
	}
	return true
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func or0(c *graph.Context, d *value, like *value, name string) *value {
	if d != nil {
		return d
	}
	return c.Apply(Zeros, []string{name}, graph.Attrs{{Key: "shape", Val: like.Shape}})[0]
}

// GradName names the gradient of v: "lstm.gates" has "lstm.dgates".
func GradName(v *value) string {
	dot := strings.LastIndexByte(v.Base, '.') + 1
	return v.Base[:dot] + "d" + v.Base[dot:]
}

func d(v *value) string { return GradName(v) }
