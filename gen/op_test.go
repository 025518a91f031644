package gen

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/emit"
	"github.com/gradsmith/gradsmith/gen/eval"
	"github.com/gradsmith/gradsmith/gen/grad"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/gen/optimize"
	"github.com/gradsmith/gradsmith/gen/plan"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Operations that stand in graphs of their own here, made by hand: their gradients, and the kernels that code calls
// for them.

var (
	opSizes = map[string]int{"steps": 4, "batch": 3}
	opSteps = graph.Sym("steps")
	opBatch = graph.Sym("batch")
)

// opDraw is what code of seed 1 draws in its first step.
func opDraw(x []float64, stream, index int) {
	drawn := make([]float32, len(x))
	kernel.Gumbel(drawn, model.Key(1, 0, uint64(stream), uint64(index)), 0, len(x))
	for i, v := range drawn {
		x[i] = float64(v)
	}
}

// opGraph is a graph whose loss is of the arguments that f gets.
func opGraph(f func(b *graph.Builder) *graph.Value) *graph.Graph {
	b := &graph.Builder{G: graph.New("small"), Phase: graph.Loss}
	b.G.Output(f(b), "loss")
	return b.G
}

// opInputs are float32 numbers for the inputs of g: parameters and data from a normal distribution, tokens below 5
// with one that is missing, scalars 1.7.
func opInputs(g *graph.Graph) map[string]*graph.Tensor {
	r := rand.New(rand.NewPCG(3, 9))
	in := map[string]*graph.Tensor{}
	for _, v := range g.Inputs {
		x := eval.New(v, opSizes)
		for i := range x.F {
			if x.F[i] = float64(float32(r.NormFloat64())); v.Role == graph.Scalar {
				x.F[i] = 1.7
			}
		}
		for i := range x.I {
			x.I[i] = int32(r.IntN(5))
		}
		if len(x.I) > 1 {
			x.I[1] = -1
		}
		in[v.Name] = x
	}
	return in
}

// opRun evaluates g.
func opRun(t *testing.T, g *graph.Graph, in map[string]*graph.Tensor) map[string]*graph.Tensor {
	t.Helper()
	out, err := eval.RunRandom(g, in, opSizes, eval.Random{Gumbel: opDraw})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// opGradients differentiates the loss of the graph that make gives with respect to its parameters, compares with
// central differences, optimizes, and compares again.
func opGradients(t *testing.T, make func() *graph.Graph) {
	t.Helper()
	g, forward := make(), make()
	in := opInputs(g)
	var params []*graph.Value
	for _, v := range g.Inputs {
		if v.Role == graph.Param {
			params = append(params, v)
		}
	}
	if err := differentiate(g, params); err != nil {
		t.Fatal(err)
	}
	got := opRun(t, g, in)
	for _, v := range params {
		x, d := in[v.Name].F, got["grad:"+v.Name].F
		var diff, norm float64
		for i := range x {
			const eps = 1e-5
			keep := x[i]
			x[i] = keep + eps
			up := opRun(t, forward, in)["loss"].F[0]
			x[i] = keep - eps
			down := opRun(t, forward, in)["loss"].F[0]
			x[i] = keep
			fd := (up - down) / (2 * eps)
			diff += (fd - d[i]) * (fd - d[i])
			norm += fd * fd
		}
		if e := math.Sqrt(diff) / (math.Sqrt(norm) + 1e-4); !(e <= 1e-6) || norm == 0 {
			t.Errorf("%s: relative error %.2g to finite differences (norm %.2g)", v.Name, e, math.Sqrt(norm))
		}
	}
	opOptimized(t, g, in, got)
}

// opOptimized holds that g has the same outputs when it is optimized, and a plan.
func opOptimized(t *testing.T, g *graph.Graph, in, want map[string]*graph.Tensor) {
	t.Helper()
	if err := optimize.Run(g, false); err != nil {
		t.Fatal(err)
	}
	fast := opRun(t, g, in)
	for target, w := range want {
		for i, x := range fast[target].F {
			if !(math.Abs(x-w.F[i]) <= 1e-12*(1+math.Abs(w.F[i]))) {
				t.Fatalf("optimized, %s[%d] is %v, want %v", target, i, x, w.F[i])
			}
		}
	}
	if _, err := plan.Make(g, opSizes); err != nil {
		t.Fatal(err)
	}
}

// opKernels are the kernels that opExecute knows.
var opKernels = map[string]any{
	"Add": kernel.Add, "Sub": kernel.Sub, "Mul": kernel.Mul, "Scale": kernel.Scale, "Fill": kernel.Fill,
	"Clear": kernel.Clear, "Mean": kernel.Mean, "DotRows": kernel.DotRows, "ScaleRows": kernel.ScaleRows,
	"WeightedCrossEntropy": kernel.WeightedCrossEntropy, "GumbelSoftmax": kernel.GumbelSoftmax,
	"MulAdd": kernel.MulAdd, "MulSub": kernel.MulSub, "SubMul": kernel.SubMul, "AddTanhGrad": kernel.AddTanhGrad,
	"TanhGrad": kernel.TanhGrad, "SigmoidGrad": kernel.SigmoidGrad,
	"AddSigmoidGrad": kernel.AddSigmoidGrad, "Affine": kernel.Affine,
	"OneHotMax": kernel.OneHotMax, "SoftmaxPrefixGrad": kernel.SoftmaxPrefixGrad,
}

// opExecute runs the kernels that code calls for the nodes of g, which has no loops, and gives the outputs.
func opExecute(t *testing.T, g *graph.Graph, in map[string]*graph.Tensor) map[string][]float32 {
	t.Helper()
	floats, ids, numbers := map[*graph.Value][]float32{}, map[*graph.Value][]int32{}, map[*graph.Value]float64{}
	for _, v := range g.Inputs {
		x := in[v.Name]
		ids[v] = x.I
		for _, f := range x.F {
			floats[v] = append(floats[v], float32(f))
			numbers[v] = f
		}
	}
	operand := func(x graph.Operand) any {
		switch x := x.(type) {
		case *graph.Value:
			switch {
			case x.Type == graph.I32:
				return ids[x]
			case len(x.Shape) == 0:
				return numbers[x]
			}
			return floats[x]
		case graph.Dim:
			return x.At(opSizes)
		case graph.Float:
			return float64(x)
		case graph.Single:
			return numbers[x.V]
		case graph.OneOver:
			return 1 / float64(x.Size.At(opSizes))
		case graph.IfTraining:
			return floats[x.V]
		case graph.NoiseKey:
			if x.Index != nil {
				t.Fatal("a graph without a loop has an index")
			}
			return model.Key(1, 0, uint64(x.Stream), 0)
		}
		t.Fatalf("operand %T", x)
		return nil
	}
	for _, n := range g.Nodes {
		for _, o := range n.Outs {
			if n.Op.Alias {
				floats[o] = floats[n.Args[0]]
			} else if len(o.Shape) > 0 {
				floats[o] = make([]float32, o.Shape.Elems().At(opSizes))
			} else if n.Op == op.Ones {
				numbers[o] = 1
			}
		}
		if n.Op.Alias || n.Op == op.Ones && len(n.Outs[0].Shape) == 0 {
			continue
		}
		for _, c := range n.Op.Emit(n) {
			f := reflect.ValueOf(opKernels[c.Func])
			if !f.IsValid() {
				t.Fatalf("%s calls %s, which is not in the table", n.Op.Name, c.Func)
			}
			args := make([]reflect.Value, len(c.Args))
			for i, x := range c.Args {
				if _, absent := x.(graph.Nil); absent {
					args[i] = reflect.Zero(f.Type().In(i))
				} else {
					args[i] = reflect.ValueOf(operand(x)).Convert(f.Type().In(i))
				}
			}
			if r := f.Call(args); c.Result != nil {
				numbers[c.Result] = r[0].Float()
			}
		}
	}
	out := map[string][]float32{}
	for i, o := range g.Outputs {
		if out[g.Targets[i].String()] = floats[o]; len(o.Shape) == 0 {
			out[g.Targets[i].String()] = []float32{float32(numbers[o])}
		}
	}
	return out
}

// opCompiled compares what the kernels compute for g with its evaluation.
func opCompiled(t *testing.T, g *graph.Graph, tolerance float64) {
	t.Helper()
	in := opInputs(g)
	got, want := opExecute(t, g, in), opRun(t, g, in)
	for target, w := range want {
		var diff, norm float64
		for i, x := range w.F {
			diff += (float64(got[target][i]) - x) * (float64(got[target][i]) - x)
			norm += x * x
		}
		if e := math.Sqrt(diff) / (math.Sqrt(norm) + 1e-12); !(e <= tolerance) {
			t.Errorf("%s: relative error %.2g of the kernels", target, e)
		}
	}
}

// drawn adds a relaxed sample of logits; the last result is soft.
func drawn(b *graph.Builder, stream int, hard bool, args ...*graph.Value) []*graph.Value {
	attrs := graph.Attrs{{Key: "stream", Val: stream}}
	if hard {
		attrs = attrs.Set("hard", true)
	}
	return b.Apply(op.GumbelSoftmax, []string{"choice"}, attrs, args...)
}

// squares is a loss: the mean of (x + by)².
func squares(b *graph.Builder, x, by *graph.Value) *graph.Value {
	s := b.Apply(op.Add, nil, nil, x, by)[0]
	return b.Apply(op.Mean, []string{"loss"}, nil, b.Apply(op.Mul, nil, nil, s, s)[0])[0]
}

func TestGumbelSoftmax(t *testing.T) {
	shape := graph.Shape{opBatch, graph.Const(5, "")}
	flat := func(hard bool) *graph.Graph {
		return opGraph(func(b *graph.Builder) *graph.Value {
			x, by, beta := b.G.Input("x", graph.Param, graph.F32, shape), b.G.Input("by", graph.Data, graph.F32,
				shape), b.G.Input("beta", graph.Scalar, graph.F32, nil)
			y := drawn(b, 3, hard, x, beta)
			for i, v := range y {
				b.G.Output(v, []string{"first", "second"}[i])
			}
			return squares(b, y[0], by)
		})
	}
	t.Run("soft", func(t *testing.T) {
		opGradients(t, func() *graph.Graph { return flat(false) })
		g := flat(false)
		if err := differentiate(g, g.Inputs[:1]); err != nil {
			t.Fatal(err)
		}
		opCompiled(t, g, 1e-6)
	})
	// The gradient of the one-hot rows is that of the relaxed ones, at the same gradient from above.
	t.Run("hard", func(t *testing.T) {
		g := flat(true)
		in := opInputs(g)
		if err := differentiate(g, g.Inputs[:1]); err != nil {
			t.Fatal(err)
		}
		out := opRun(t, g, in)
		hard, soft, d := out["first"].F, out["second"].F, out["grad:x"].F
		for lo := 0; lo < len(hard); lo += 5 {
			best, dot := lo, 0.0
			for i := lo; i < lo+5; i++ {
				if soft[i] > soft[best] {
					best = i
				}
			}
			dy := func(i int) float64 { return 2 * (hard[i] + in["by"].F[i]) / float64(len(hard)) }
			for i := lo; i < lo+5; i++ {
				dot += soft[i] * dy(i)
			}
			for i := lo; i < lo+5; i++ {
				if one := hard[i] == 1; one != (i == best) || !one && hard[i] != 0 {
					t.Errorf("the one-hot row of %v is %v", soft[lo:lo+5], hard[lo:lo+5])
				}
				if w := 1.7 * soft[i] * (dy(i) - dot); !(math.Abs(d[i]-w) <= 1e-14) {
					t.Errorf("the gradient is %v, want %v", d[i], w)
				}
			}
		}
		opCompiled(t, g, 1e-6)
		opOptimized(t, g, in, out)
	})
	// The gradient of both results is the sum.
	t.Run("both", func(t *testing.T) {
		make := func(soft float64) *graph.Graph {
			return opGraph(func(b *graph.Builder) *graph.Value {
				x, by, beta := b.G.Input("x", graph.Param, graph.F32, shape), b.G.Input("by", graph.Data, graph.F32,
					shape), b.G.Input("beta", graph.Scalar, graph.F32, nil)
				y := drawn(b, 3, true, x, beta)
				scaled := b.Apply(op.Scale, nil, graph.Attrs{{Key: "by", Val: soft}}, y[1])[0]
				sum := b.Apply(op.Add, nil, nil, y[0], scaled)[0]
				return b.Apply(op.Mean, nil, nil, b.Apply(op.Mul, nil, nil, sum, by)[0])[0]
			})
		}
		var d [2][]float64
		for i, soft := range []float64{0, 2} {
			g := make(soft)
			if err := differentiate(g, g.Inputs[:1]); err != nil {
				t.Fatal(err)
			}
			d[i] = opRun(t, g, opInputs(g))["grad:x"].F
		}
		for i := range d[0] {
			if !(math.Abs(d[1][i]-3*d[0][i]) <= 1e-14) {
				t.Errorf("the gradient of both is %v, of the first %v", d[1][i], d[0][i])
			}
		}
	})
	// The gradient of a gradient.
	t.Run("twice", func(t *testing.T) {
		opGradients(t, func() *graph.Graph {
			return opGraph(func(b *graph.Builder) *graph.Value {
				x, by, beta := b.G.Input("x", graph.Param, graph.F32, shape), b.G.Input("by", graph.Param, graph.F32,
					shape), b.G.Input("beta", graph.Scalar, graph.F32, nil)
				y := drawn(b, 3, false, x, beta)[0]
				dy := b.Apply(op.Mul, nil, nil, by, y)[0]
				slope, err := grad.From(b, y, dy, []*graph.Value{x})
				if err != nil {
					t.Fatal(err)
				}
				return squares(b, slope[0], by)
			})
		})
	})
	// In a loop over time steps every step draws other noise, and the gradient's loop needs none.
	t.Run("scan", func(t *testing.T) {
		make := func() *graph.Graph {
			return opGraph(func(b *graph.Builder) *graph.Value {
				shape := shape.Stack(opSteps)
				x, w, by := b.G.Input("x", graph.Param, graph.F32, shape), b.G.Input("w", graph.Param, graph.F32,
					graph.Shape{graph.Const(5, ""), graph.Const(5, "")}), b.G.Input("by", graph.Data, graph.F32, shape)
				beta, first := b.G.Input("beta", graph.Scalar, graph.F32, nil), b.G.Input("first", graph.Data,
					graph.F32, shape[1:])
				body := graph.New("step")
				n := &graph.Loop{Kind: graph.Scan, Trip: opSteps, Index: "t", Carries: 1, Seqs: 1, Body: body}
				bb := &graph.Builder{G: body, Phase: graph.Loss}
				before, xt := body.Input("before", graph.Local, graph.F32, shape[1:]), body.Input("xt", graph.Local,
					graph.F32, shape[1:])
				wt, bt := body.Input("wt", graph.Local, graph.F32, w.Shape), body.Input("bt", graph.Local, graph.F32,
					nil)
				logits := bb.Apply(op.Add, nil, nil, xt, bb.Apply(op.MatMul, nil, nil, before, wt)[0])[0]
				y := drawn(bb, 3, false, logits, bt, bb.Apply(op.Index, []string{"t"}, nil)[0])[0]
				body.Outputs = []*graph.Value{y, y}
				out := b.AddLoop(n, []string{"last", "all"}, first, x, w, beta)
				b.G.Output(out.Outs[1], "all")
				return squares(b, out.Outs[1], by)
			})
		}
		opGradients(t, make)
		g := make()
		in := opInputs(g)
		for _, v := range g.Inputs { // all steps see the same
			if v.Role != graph.Scalar {
				clear(in[v.Name].F)
			}
		}
		all := opRun(t, g, in)["all"].F
		for i := 15; i < len(all); i++ {
			if all[i] == all[i-15] {
				t.Errorf("step %d draws what step %d does", i/15, i/15-1)
			}
		}
	})
	t.Run("special", func(t *testing.T) {
		g := flat(true)
		in := opInputs(g)
		inf := math.Inf(1)
		copy(in["x"].F, []float64{-inf, -inf, -inf, -inf, -inf, 1, -inf, 3, -inf, 2, 1, inf, 1, 1, 1})
		for _, beta := range []float64{1.7, 0} {
			in["beta"].F[0] = beta
			got, want := opExecute(t, g, in), opRun(t, g, in)
			for _, target := range []string{"first", "second"} {
				for i, w := range want[target].F {
					if x := float64(got[target][i]); !(math.Abs(x-w) <= 1e-6) && !(math.IsNaN(x) && math.IsNaN(w)) {
						t.Errorf("β %v: %s[%d] is %v, evaluated %v", beta, target, i, x, w)
					}
				}
			}
		}
	})
}

func TestWeightedCrossEntropy(t *testing.T) {
	make := func() *graph.Graph {
		return opGraph(func(b *graph.Builder) *graph.Value {
			at := graph.Shape{opSteps, opBatch}
			x, targets, weights := b.G.Input("x", graph.Param, graph.F32,
				graph.Shape{opSteps, opBatch, graph.Const(5, "")}), b.G.Input("targets", graph.Data, graph.I32,
				at), b.G.Input("weights", graph.Data, graph.F32, at)
			out := b.Apply(op.WeightedCrossEntropy, []string{"loss", "rowLoss"}, nil, x, targets, weights)
			b.G.Output(out[1], "rows")
			return out[0]
		})
	}
	opGradients(t, make)
	g := make()
	if err := differentiate(g, g.Inputs[:1]); err != nil {
		t.Fatal(err)
	}
	if err := optimize.Run(g, false); err != nil {
		t.Fatal(err)
	}
	if len(g.Nodes) != 1 || g.Nodes[0].Op != op.WeightedCrossEntropyFused {
		t.Errorf("the loss and its gradient are not joined:\n%s", g)
	}
	opCompiled(t, g, 1e-6)
	// With weights of 1 it is the mean of what the rows have, and with all of 0 nothing.
	in := opInputs(g)
	for i := range in["weights"].F {
		in["weights"].F[i] = 1
	}
	out := opRun(t, g, in)
	sum, count := 0.0, 0.0
	for i, target := range in["targets"].I {
		if target >= 0 {
			sum += out["rows"].F[i]
			count++
		}
	}
	if w := sum / count; !(math.Abs(out["loss"].F[0]-w) <= 1e-14) || count != 11 {
		t.Errorf("with weights of 1 the loss is %v, want %v", out["loss"].F[0], w)
	}
	clear(in["weights"].F)
	if out := opExecute(t, g, in); out["loss"][0] != 0 || out["grad:x"][0] != 0 || out["rows"][0] == 0 {
		t.Errorf("with weights of 0: loss %v, gradient %v, row %v", out["loss"], out["grad:x"][0], out["rows"][0])
	}
}

// TestNoiseKey holds how code names the key of noise that is drawn in a loop: by the place and the loop's variable.
func TestNoiseKey(t *testing.T) {
	m := small(t, "rnn-tanh", "")
	b, err := build.Build(m)
	if err != nil {
		t.Fatal(err)
	}
	beta := b.Train.Input("inverse", graph.Scalar, graph.F32, nil)
	for _, n := range b.Train.Nodes {
		if n.Loop == nil {
			continue
		}
		body := n.Loop.Body
		bb := &graph.Builder{G: body, Scope: n.Scope}
		h := body.Outputs[0]
		y := drawn(bb, 8, true, h, n.ConstIn(beta, "inverse"), bb.Apply(op.Index, []string{"t"}, nil)[0])[0]
		for i, o := range body.Outputs {
			if o == h {
				body.Outputs[i] = y
			}
		}
	}
	if err := differentiate(b.Train, b.Learns(b.Train)); err != nil {
		t.Fatal(err)
	}
	c := &compilation{model: b, plans: map[*graph.Graph]*plan.Plan{}}
	for _, g := range b.Graphs() {
		if err := optimize.Run(g, false); err != nil {
			t.Fatal(err)
		}
		if c.plans[g], err = plan.Make(g, b.Capacity(g)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := emit.Package(emit.Input{Model: b, Plans: c.plans, Report: c.report(), Generator: Version})
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, f := range files {
		all += string(f.Data)
	}
	for _, want := range []string{
		", m.inverse, m.noiseKey(8, t), batch, ",
		"kernel.OneHotMax(",
		"func (m *Model) noiseKey(place, i int) uint64 {\n\treturn model.Key(m.train.Seed(m.seed), uint64(m.train.Made()), " +
			"uint64(place), uint64(i))\n}",
		", float32(m.inverse), nil, batch, ",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the code has no %q", want)
		}
	}
}
