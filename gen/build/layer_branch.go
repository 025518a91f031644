package build

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("branch", construction[*spec.Branch]{build: (*builder).branch, relaxed: (*relaxing).branch,
		begin: func(b *builder, l *spec.Branch) {
			for _, p := range l.Paths {
				b.beginAll(p)
			}
		}, tell: tellBranch})
}

// branch is what several paths that read x give together.
func (b *builder) branch(l *spec.Branch, x *graph.Value, _ bool) *graph.Value {
	var ys []*graph.Value
	for _, p := range l.Paths {
		ys = append(ys, b.layers(p, x, false))
	}
	b.enter(l)
	name := func(part string) string { return b.called(l, part) }
	return b.joined(b.Builder, l, x, ys, name, func(v *graph.Value) *graph.Value { return v })
}

func (w *relaxing) branch(l *spec.Branch, h *graph.Value, _ bool) *graph.Value {
	var ys []*graph.Value
	for _, p := range l.Paths {
		ys = append(ys, w.layers(p, h, false))
	}
	w.enterInner(l)
	return w.joined(w.inner, l, h, ys, func(part string) string { return l.Name + upperFirst(part) }, w.read)
}

// joined puts together what the paths of a branch give for x, in the graph of bb, in which read gives what stands
// outside.
func (b *builder) joined(bb *graph.Builder, l *spec.Branch, x *graph.Value, ys []*graph.Value, name func(string) string,
	read func(*graph.Value) *graph.Value) *graph.Value {
	one := func(o *graph.Op, part string, args ...*graph.Value) *graph.Value {
		return bb.Apply(o, []string{name(part)}, nil, args...)[0]
	}
	if l.Join == "gate" { // b + g∘(a − b), which is g∘a + (1 − g)∘b with one product less
		in, out := x.Shape.Last(), ys[0].Shape.Last()
		w := b.param(l.Name, "w_gate", graph.Shape{in, out}, 0, 0, l.Name, matrix(l.Init, in.N, out.N))
		bias := b.param(l.Name, "b_gate", graph.Shape{out}, 0, 0, l.Name, matrix(l.BiasInit, in.N, out.N))
		g := one(op.Sigmoid, "gate", one(op.AddBias, "gate", one(op.MatMul, "gate", x, read(w)), read(bias)))
		return one(op.Add, "y", ys[1], one(op.Mul, "step", g, one(op.Sub, "change", ys[0], ys[1])))
	}
	join := map[string]*graph.Op{"sum": op.Add, "product": op.Mul, "concatenation": op.JoinColumns}[l.Join]
	y := ys[0]
	for _, next := range ys[1:] {
		y = one(join, "y", y, next)
	}
	return y
}

func tellBranch(_ *spec.Model, l *spec.Branch) Account {
	var a Account
	a.say("%s of layers read the same features; an empty one passes them on.", counted(len(l.Paths), "path"))
	var parts []string
	for i := range l.Paths {
		parts = append(parts, fmt.Sprintf("f_{%d}(x)", i+1))
	}
	switch l.Join {
	case "sum":
		a.show("y = " + strings.Join(parts, " + "))
	case "product":
		a.show("y = " + strings.Join(parts, ` \odot `))
	case "concatenation":
		a.show("y = [" + strings.Join(parts, ", ") + "]")
	case "gate":
		a.show(`g = \sigma(`+affine("x", "w_gate", "b_gate", true)+")",
			`y = g \odot f_1(x) + (1 - g) \odot f_2(x)`, activationFormulas["sigmoid"][0])
	}
	return a
}
