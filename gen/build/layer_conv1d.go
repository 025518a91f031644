package build

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("conv1d", construction[*spec.Conv1D]{build: (*builder).conv, tell: tellConv})
}

// conv is f(windows·w + b) for the filters of each width, side by side, [steps, batch, widths·filters] of x [steps,
// batch, features] (Kim 2014, equation 2).
func (b *builder) conv(l *spec.Conv1D, x *graph.Value, _ bool) *graph.Value {
	act := activations[l.Activation]
	filters := b.sized(l.Name, "filters", l.Filters, "filters of each width")
	var y *graph.Value
	defer func() { b.Part = "" }()
	for _, width := range l.Widths {
		b.Part = fmt.Sprintf("windows%d", width)
		in := graph.Mul(graph.Const(width, ""), x.Shape.Last())
		one := func(o *graph.Op, part string, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
			return b.Apply(o, []string{fmt.Sprintf("%s%d", b.called(l, part), width)}, attrs, args...)[0]
		}
		w := b.param(l.Name, fmt.Sprintf("w%d", width), graph.Shape{in, filters}, 0, 0, l.Name,
			matrix(l.Init, in.N, l.Filters))
		bias := b.param(l.Name, fmt.Sprintf("b%d", width), graph.Shape{filters}, 0, 0, l.Name,
			matrix(l.BiasInit, in.N, l.Filters))
		windows := x
		if width > 1 {
			windows = one(op.Unfold, "windows", graph.Attrs{{Key: "width", Val: width}}, x)
		}
		sums := "z"
		if act == nil {
			sums = "filtered"
		}
		z := one(op.AddBias, sums, nil, one(op.MatMul, sums, nil, windows, w), bias)
		if act != nil {
			by := func(part string) apply {
				return func(o *graph.Op, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
					return one(o, part, attrs, args...)
				}
			}
			z = act(activating{inner: by("z"), last: by("filtered"), slope: l.Slope}, z)
		}
		if y == nil {
			y = z
			continue
		}
		y = b.Apply(op.JoinColumns, []string{b.called(l, "y")}, nil, y, z)[0]
	}
	return y
}

func tellConv(_ *spec.Model, l *spec.Conv1D) Account {
	var a Account
	a.say("%s of each width read windows of as many steps, which begin at each step; behind the last step stand zeros.",
		counted(l.Filters, "filter"))
	var parts, define []string
	for _, width := range l.Widths {
		window := "x_t"
		if width > 1 {
			window = fmt.Sprintf(`[x_t, \ldots, x_{t+%d}]`, width-1)
		}
		var y string
		y, define = activated(l.Activation,
			affine(window, fmt.Sprintf("w%d", width), fmt.Sprintf("b%d", width), true), l.Slope)
		part := fmt.Sprintf("f_{%d, t}", width)
		a.show(part + " = " + y)
		parts = append(parts, part)
	}
	a.show("y_t = [" + strings.Join(parts, ", ") + "]")
	a.show(define...)
	return a
}
