package gen

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/grad"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/gen/optimize"
	"github.com/gradsmith/gradsmith/gen/plan"
	"github.com/gradsmith/gradsmith/runtime/kernel"
)

// windowGraph is a discriminator of relaxed text: filters of two widths, their largest values over time, a highway
// layer, a verdict. Its loss has a gradient penalty, so that every operation is differentiated twice.
func windowGraph(t *testing.T, differentiated bool) (*graph.Graph, []*graph.Value) {
	t.Helper()
	g := graph.New("windows")
	b := &graph.Builder{G: g, Scope: "filters"}
	steps, batch, one := graph.Sym("steps"), graph.Sym("batch"), graph.Const(1, "")
	dim := func(n int) graph.Dim { return graph.Const(n, "") }
	x := g.Input("x", graph.Data, graph.F32, graph.Shape{steps, batch, dim(3)})
	var params []*graph.Value
	param := func(name string, shape ...graph.Dim) *graph.Value {
		v := g.Input(name, graph.Param, graph.F32, shape)
		params = append(params, v)
		return v
	}
	apply := func(o *graph.Op, name string, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
		return b.Apply(o, []string{name}, attrs, args...)[0]
	}
	var features *graph.Value
	for i, width := range []int{2, 3, 6} {
		name, filters := string(rune('a'+i)), dim(4-i)
		windows := apply(op.Unfold, "windows", graph.Attrs{{Key: "width", Val: width}}, x)
		z := apply(op.MatMul, "filtered", nil, windows, param("filters."+name, dim(3*width), filters))
		z = apply(op.ReLU, "filtered", nil, apply(op.AddBias, "filtered", nil, z, param("filters.bias_"+name, filters)))
		if features == nil {
			features = z
		} else {
			features = apply(op.JoinColumns, "features", nil, features, z)
		}
	}
	features = apply(op.MaxSteps, "largest", nil, features)
	b.Scope = "highway"
	wide := dim(9)
	affine := func(name string) *graph.Value {
		z := apply(op.MatMul, name, nil, features, param("highway.w_"+name, wide, wide))
		return apply(op.AddBias, name, nil, z, param("highway.b_"+name, wide))
	}
	h, gate := apply(op.ReLU, "h", nil, affine("h")), apply(op.Sigmoid, "gate", nil, affine("gate"))
	y := apply(op.Add, "y", nil, features, apply(op.Mul, "step", nil, gate, apply(op.Sub, "change", nil, h, features)))
	b.Scope = "verdict"
	verdict := b.Apply(op.MatMul, []string{"verdict"}, nil, y, param("verdict.w", wide, one))[0]
	ones := b.Apply(op.Ones, []string{"dverdict"}, graph.Attrs{{Key: "shape", Val: verdict.Shape}})[0]
	slopes, err := grad.From(b, verdict, ones, []*graph.Value{x})
	if err != nil {
		t.Fatal(err)
	}
	slope := b.Apply(op.DotRows, []string{"slope"}, nil, slopes[0], slopes[0])[0] // [steps, batch, 1]
	b.Phase, b.Scope = graph.Loss, "loss"
	flat := b.Apply(op.Reshape, []string{"slopes"},
		graph.Attrs{{Key: "shape", Val: graph.Shape{graph.Mul(steps, batch), one}}}, slope)[0]
	total := b.Apply(op.SumRows, []string{"slopeSum"}, nil, flat)[0]
	rows := b.Apply(op.AddBias, []string{"rows"}, nil, b.Apply(op.Softplus, []string{"rows"}, nil, verdict)[0],
		total)[0]
	loss := b.Apply(op.Mean, []string{"loss"}, nil, rows)[0]
	g.Output(loss, "loss")
	if differentiated {
		if err := differentiate(g, params); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Verify(); err != nil {
		t.Fatal(err)
	}
	return g, params
}

// TestWindowGradients compares the gradients of the operations over windows, of which some are gradients of gradients,
// with central differences, and the optimized graph with the plain one.
func TestWindowGradients(t *testing.T) {
	// one is shorter than the widest filter
	for _, sizes := range []map[string]int{{"steps": 7, "batch": 3}, {"steps": 4, "batch": 2},
		{"steps": 1, "batch": 1}} {
		g, params := windowGraph(t, true)
		forward, _ := windowGraph(t, false)
		r := rand.New(rand.NewPCG(5, 7))
		in := map[string]*graph.Tensor{}
		for _, v := range g.Inputs {
			x := eval.New(v, sizes)
			for i := range x.F {
				x.F[i] = r.NormFloat64() * 0.7
			}
			in[v.Name] = x
		}
		got, err := eval.Run(g, in, sizes)
		if err != nil {
			t.Fatal(err)
		}
		loss := func() float64 {
			out, err := eval.Run(forward, in, sizes)
			if err != nil {
				t.Fatal(err)
			}
			return out["loss"].F[0]
		}
		for _, p := range params {
			x, d := in[p.Name], got["grad:"+p.Name]
			var diff, norm float64
			for i := range x.F {
				const eps = 1e-5
				keep := x.F[i]
				x.F[i] = keep + eps
				up := loss()
				x.F[i] = keep - eps
				down := loss()
				x.F[i] = keep
				fd := (up - down) / (2 * eps)
				diff += (fd - d.F[i]) * (fd - d.F[i])
				norm += fd * fd
			}
			if e := math.Sqrt(diff) / (math.Sqrt(norm) + 1e-4); !(e <= 1e-6) {
				t.Errorf("%v: %s: relative error %.2g to finite differences (norm %.2g)", sizes, p.Name, e,
					math.Sqrt(norm))
			}
		}
		if err := optimize.Run(g, false); err != nil {
			t.Fatal(err)
		}
		fast, err := eval.Run(g, in, sizes)
		if err != nil {
			t.Fatal(err)
		}
		for target, w := range got {
			for i, x := range fast[target].F {
				if !(math.Abs(x-w.F[i]) <= 1e-12*(1+math.Abs(w.F[i]))) {
					t.Fatalf("%v: optimized, %s[%d] is %v, want %v", sizes, target, i, x, w.F[i])
				}
			}
		}
		if _, err := plan.Make(g, sizes); err != nil {
			t.Error(err)
		}
	}
}

// TestWindowKernels compares what the operations mean in float64 with what the kernels that code calls compute.
func TestWindowKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 7))
	for range 200 {
		steps, batch, cols, width := 1+r.IntN(9), 1+r.IntN(4), 1+r.IntN(40), 1+r.IntN(4)
		sizes := map[string]int{"steps": steps, "batch": batch}
		g := graph.New("kernels")
		b := &graph.Builder{G: g}
		shape := graph.Shape{graph.Sym("steps"), graph.Sym("batch"), graph.Const(cols, "")}
		x, y := g.Input("x", graph.Data, graph.F32, shape), g.Input("y", graph.Data, graph.F32,
			shape.With(graph.Const(cols*width, "")))
		dy := g.Input("dy", graph.Data, graph.F32, shape[1:])
		w := graph.Attrs{{Key: "width", Val: width}}
		g.Output(b.Apply(op.Unfold, nil, w, x)[0], "unfolded")
		g.Output(b.Apply(op.Fold, nil, w.Set("features", shape[2]), y)[0], "folded")
		top := b.Apply(op.MaxSteps, nil, nil, x)[0]
		g.Output(top, "top")
		g.Output(b.Apply(op.MaxStepsGrad, nil, nil, x, top, dy)[0], "placed")
		g.Output(b.Apply(op.MaxStepsPick, nil, nil, x, top, x)[0], "picked")
		in, floats := map[string]*graph.Tensor{}, map[string][]float32{}
		for _, v := range g.Inputs {
			in[v.Name] = eval.New(v, sizes)
			floats[v.Name] = make([]float32, in[v.Name].Elems())
			for i := range floats[v.Name] {
				floats[v.Name][i] = float32(r.IntN(9)-4) / 4 // with ties, and exact sums
				in[v.Name].F[i] = float64(floats[v.Name][i])
			}
		}
		want, err := eval.Run(g, in, sizes)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]float32{}
		for name, x := range want {
			got[name] = make([]float32, x.Elems())
		}
		kernel.Unfold(got["unfolded"], floats["x"], steps, batch, cols, width)
		kernel.Fold(got["folded"], floats["y"], steps, batch, cols, width)
		kernel.MaxSteps(got["top"], floats["x"], steps, batch, cols)
		kernel.MaxStepsGrad(got["placed"], floats["x"], got["top"], floats["dy"], steps, batch, cols)
		kernel.MaxStepsPick(got["picked"], floats["x"], got["top"], floats["x"], steps, batch, cols)
		for name, w := range want {
			for i, v := range got[name] {
				if float64(v) != w.F[i] {
					t.Fatalf("%d×%d×%d, width %d: %s[%d] is %v, its definition gives %v", steps, batch, cols, width,
						name, i, v, w.F[i])
				}
			}
		}
	}
}
