package gen

import (
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/gen/optimize"
)

// TestContract holds which sums and products become one operation: what is left of each graph, what it computes in
// float64, and what its kernels compute.
func TestContract(t *testing.T) {
	shape := graph.Shape{opBatch, graph.Const(5, "")}
	var b *graph.Builder
	one := func(o *graph.Op, args ...*graph.Value) *graph.Value { return b.Apply(o, nil, nil, args...)[0] }
	mul := func(x, y *graph.Value) *graph.Value { return one(op.Mul, x, y) }
	add := func(x, y *graph.Value) *graph.Value { return one(op.Add, x, y) }
	sub := func(x, y *graph.Value) *graph.Value { return one(op.Sub, x, y) }
	affine := func(x *graph.Value, by, plus float64) *graph.Value {
		return b.Apply(op.Affine, nil, graph.Attrs{{Key: "by", Val: by}, {Key: "plus", Val: plus}}, x)[0]
	}
	scale := func(x *graph.Value, by float64) *graph.Value {
		return b.Apply(op.Scale, nil, graph.Attrs{{Key: "by", Val: by}}, x)[0]
	}
	for _, c := range []struct {
		name string
		of   func(x, y, z, u *graph.Value) []*graph.Value
		want string // the operations that are left
	}{
		{"product and term", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(mul(x, y), z)}
		}, "mul_add"},
		{"term and product", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(z, mul(x, y))}
		}, "mul_add"},
		{"two products", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(mul(x, y), mul(z, u))}
		}, "mul mul_add"},
		{"product less term", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{sub(mul(x, y), z)}
		}, "mul_sub"},
		{"term less product", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{sub(z, mul(x, y))}
		}, "sub_mul"},
		{"two products, the second subtracted", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{sub(mul(x, y), mul(z, u))}
		}, "mul mul_sub"},
		{"between", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(mul(affine(z, -1, 1), x), mul(z, y))}
		}, "sub mul_add"},
		{"between, the other way", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(mul(y, z), mul(x, affine(z, -1, 1)))}
		}, "sub mul_add"},
		{"not quite between", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(mul(affine(z, -1, 2), x), mul(z, y))}
		}, "affine mul mul_add"},
		{"a factor in common", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(mul(x, y), mul(z, x))}
		}, "add mul"},
		{"a factor in common of a difference", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(sub(mul(x, y), mul(x, z)), u)}
		}, "sub mul_add"},
		{"a negative term", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(scale(mul(x, y), -1), mul(x, z))}
		}, "sub mul"},
		{"less a negative term", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{sub(x, scale(y, -1))}
		}, "add"},
		{"a negative first term", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{sub(scale(x, -1), y)}
		}, "scale sub"},
		{"half a term", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(x, scale(y, 0.5))}
		}, "scale add"},
		{"gradient of a tanh", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(x, one(op.TanhGrad, y, z))}
		}, "add_tanh_grad"},
		{"gradient of a sigmoid", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(one(op.SigmoidGrad, y, z), x)}
		}, "add_sigmoid_grad"},
		{"gradient of a tanh of a product", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{one(op.TanhGrad, y, mul(x, z))}
		}, "mul tanh_grad"},
		{"gradient of a sigmoid of a product", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{one(op.SigmoidGrad, y, mul(x, z)), mul(y, u)}
		}, "mul sigmoid_grad mul"},
		{"gradient of a tanh of a product in a sum", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(x, one(op.TanhGrad, y, mul(z, u)))}
		}, "mul add_tanh_grad"},
		{"a product that is read twice", func(x, y, z, u *graph.Value) []*graph.Value {
			p := mul(x, y)
			return []*graph.Value{add(p, z), sub(p, u)}
		}, "mul add sub"},
		{"twice a product", func(x, y, z, u *graph.Value) []*graph.Value {
			p := mul(x, y)
			return []*graph.Value{add(p, p)}
		}, "mul add"},
		{"a product that is an output", func(x, y, z, u *graph.Value) []*graph.Value {
			p := mul(x, y)
			return []*graph.Value{add(p, z), p}
		}, "mul add"},
		{"a chain", func(x, y, z, u *graph.Value) []*graph.Value {
			return []*graph.Value{add(add(mul(x, y), mul(z, u)), mul(y, u))}
		}, "mul mul_add mul_add"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b = &graph.Builder{G: graph.New("small"), Phase: graph.Forward}
			var in []*graph.Value
			for _, name := range []string{"x", "y", "z", "u"} {
				in = append(in, b.G.Input(name, graph.Data, graph.F32, shape))
			}
			for i, v := range c.of(in[0], in[1], in[2], in[3]) {
				b.G.Output(v, []string{"first", "second"}[i])
			}
			numbers := opInputs(b.G)
			opOptimized(t, b.G, numbers, opRun(t, b.G, numbers))
			var left []string
			for _, n := range b.G.Nodes {
				left = append(left, n.Op.Name)
			}
			if got := strings.Join(left, " "); got != c.want {
				t.Errorf("%s is left, want %s", got, c.want)
			}
			opCompiled(t, b.G, 2e-7)
		})
	}

	// Numbers are expressions of Go.
	b = &graph.Builder{G: graph.New("numbers"), Phase: graph.Forward}
	x, y := b.G.Input("x", graph.Scalar, graph.F32, nil), b.G.Input("y", graph.Scalar, graph.F32, nil)
	b.G.Output(add(mul(x, y), y), "first")
	if err := optimize.Run(b.G, false); err != nil {
		t.Fatal(err)
	}
	if n := b.G.Nodes; len(n) != 2 || n[1].Op != op.Add {
		t.Errorf("a sum of numbers becomes %v", n)
	}
}

// TestFuseGradients holds what gradients of elements take in: products of values that are rows of their own, and none
// of parts of rows, whose place the gradients take.
func TestFuseGradients(t *testing.T) {
	five := graph.Const(5, "")
	b := &graph.Builder{G: graph.New("small"), Phase: graph.Forward}
	one := func(o *graph.Op, args ...*graph.Value) *graph.Value { return b.Apply(o, nil, nil, args...)[0] }
	gates := b.G.Input("gates", graph.Data, graph.F32, graph.Shape{opBatch, graph.Const(10, "")})
	x, y := b.G.Input("x", graph.Data, graph.F32, graph.Shape{opBatch, five}),
		b.G.Input("y", graph.Data, graph.F32, graph.Shape{opBatch, five})
	parts := b.Apply(op.SplitColumns, nil, graph.Attrs{{Key: "a", Val: five}, {Key: "b", Val: five}}, gates)
	dx := one(op.Add, x, y)
	first := one(op.SigmoidGrad, parts[0], one(op.Mul, dx, parts[1])) // the second part is read before it is written
	second := one(op.TanhGrad, parts[1], one(op.Mul, dx, y))
	b.G.Output(one(op.JoinColumns, first, second), "first")
	in := opInputs(b.G)
	opOptimized(t, b.G, in, opRun(t, b.G, in))
	if len(b.G.Nodes) != 1 || b.G.Nodes[0].Op != op.Elementwise {
		t.Fatalf("%v is not one node of elements", b.G)
	}
	var left []string
	for _, n := range op.BodyOf(b.G.Nodes[0]).Nodes {
		left = append(left, n.Op.Name)
	}
	if got, want := strings.Join(left, " "), "split_columns add mul sigmoid_grad mul_tanh_grad join_columns"; got != want {
		t.Errorf("%s is left, want %s", got, want)
	}
	if pairs := b.G.Nodes[0].InPlace(); len(pairs) == 0 || pairs[0] != [2]int{0, 0} {
		t.Errorf("results take the places of arguments %v, want those of the parts", pairs)
	}
}
