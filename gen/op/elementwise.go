package op

import (
	"fmt"
	"math"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// infix are the operations that on single numbers are an expression of Go.
var infix = map[string]string{"Add": "+", "Sub": "-", "Mul": "*"}

// zip is an operation on the elements of arguments of one shape; onnx is nil for gradients.
func zip(name, kernel string, args, flops int, f func(x []float64) float64, formula string,
	onnx rule) *graph.Op {
	inPlace := make([][2]int, args)
	for i := range inPlace {
		inPlace[i] = [2]int{0, i}
	}
	return &graph.Op{
		Name: name, Infer: allSame(args), ONNX: onnx, Flops: perElement(flops), InPlace: inPlace,
		Rowwise: allStacked, Elements: true,
		Eval: func(n *node, in, out []*graph.Tensor) error {
			x := make([]float64, args)
			for i := range out[0].F {
				for j := range in {
					x[j] = in[j].F[i]
				}
				out[0].F[i] = f(x)
			}
			return nil
		},
		Emit: func(n *node) []call {
			if o := infix[kernel]; o != "" && len(n.Outs[0].Shape) == 0 {
				return []call{{Infix: o, Args: []graph.Operand{n.Args[0], n.Args[1]}, Result: n.Outs[0]}}
			}
			ops := []graph.Operand{n.Outs[0]}
			for _, a := range n.Args {
				ops = append(ops, a)
			}
			return []call{{Func: kernel, Args: append(ops, n.Outs[0].Shape.Elems())}}
		},
		Formula: func(n *node, name names) string {
			x := make([]any, args)
			for i, a := range n.Args {
				x[i] = name(a)
			}
			text := fmt.Sprintf(formula, x...)
			if len(n.Outs[0].Shape) == 0 {
				text = strings.ReplaceAll(text, " ∘ ", "·") // of numbers
			}
			return name(n.Outs[0]) + " = " + text
		},
	}
}

// Add is a + b.
var Add = zip("add", "Add", 2, 1, func(x []float64) float64 { return x[0] + x[1] }, "%s + %s", operator("Add"))

// Sub is a − b.
var Sub = zip("sub", "Sub", 2, 1, func(x []float64) float64 { return x[0] - x[1] }, "%s − %s", operator("Sub"))

// Mul is the product of elements.
var Mul = zip("mul", "Mul", 2, 1, func(x []float64) float64 { return x[0] * x[1] }, "%s ∘ %s", operator("Mul"))

// MulAdd is a∘b + c, MulSub a∘b − c, SubMul c − a∘b of the arguments c, a, b. Each rounds once. The optimizer makes
// them of products and sums, after which there is no gradient rule.
var (
	MulAdd = zip("mul_add", "MulAdd", 3, 2, func(x []float64) float64 { return x[0]*x[1] + x[2] }, "%s ∘ %s + %s", nil)
	MulSub = zip("mul_sub", "MulSub", 3, 2, func(x []float64) float64 { return x[0]*x[1] - x[2] }, "%s ∘ %s − %s", nil)
	SubMul = zip("sub_mul", "SubMul", 3, 2, func(x []float64) float64 { return x[0] - x[1]*x[2] }, "%s − %s ∘ %s", nil)
)

// Div is a/b, element by element.
var Div = zip("div", "Div", 2, 1, func(x []float64) float64 { return x[0] / x[1] }, "%s / %s", operator("Div"))

// Sqrt is the root. Its gradient at 0 is infinite.
var Sqrt = zip("sqrt", "Sqrt", 1, 1, func(x []float64) float64 { return math.Sqrt(x[0]) }, "√%s", operator("Sqrt"))

// Tanh is the hyperbolic tangent.
var Tanh = zip("tanh", "Tanh", 1, 1, func(x []float64) float64 { return math.Tanh(x[0]) }, "tanh(%s)", operator("Tanh"))

// TanhGrad is (1 − y²)·dy, with y = tanh(x).
var TanhGrad = zip("tanh_grad", "TanhGrad", 2, 3, func(x []float64) float64 { return (1 - x[0]*x[0]) * x[1] },
	"(1 − %[1]s²) ∘ %[2]s", nil)

// MulTanhGrad is TanhGrad of y and the product of a and b, of the arguments y, a, b. The optimizer makes it.
var MulTanhGrad = zip("mul_tanh_grad", "MulTanhGrad", 3, 4,
	func(x []float64) float64 { return (1 - x[0]*x[0]) * x[1] * x[2] }, "(1 − %[1]s²) ∘ %[2]s ∘ %[3]s", nil)

// AddTanhGrad is TanhGrad of y and dy, added to a, of the arguments a, y, dy, with one rounding of product and sum. The
// optimizer makes it.
var AddTanhGrad = zip("add_tanh_grad", "AddTanhGrad", 3, 4,
	func(x []float64) float64 { return x[0] + (1-x[1]*x[1])*x[2] }, "%[1]s + (1 − %[2]s²) ∘ %[3]s", nil)

// Sigmoid is 1/(1+e⁻ˣ).
var Sigmoid = zip("sigmoid", "Sigmoid", 1, 1, func(x []float64) float64 { return sigmoid(x[0]) }, "σ(%s)",
	operator("Sigmoid"))

// SigmoidGrad is y·(1 − y)·dy, with y = σ(x).
var SigmoidGrad = zip("sigmoid_grad", "SigmoidGrad", 2, 3,
	func(x []float64) float64 { return x[0] * (1 - x[0]) * x[1] }, "%[1]s ∘ (1 − %[1]s) ∘ %[2]s", nil)

// MulSigmoidGrad is SigmoidGrad of y and the product of a and b, of the arguments y, a, b. The optimizer makes it.
var MulSigmoidGrad = zip("mul_sigmoid_grad", "MulSigmoidGrad", 3, 4,
	func(x []float64) float64 { return x[0] * (1 - x[0]) * x[1] * x[2] }, "%[1]s ∘ (1 − %[1]s) ∘ %[2]s ∘ %[3]s", nil)

// AddSigmoidGrad is SigmoidGrad of y and dy, added to a, of the arguments a, y, dy, with one rounding of product and
// sum. The optimizer makes it.
var AddSigmoidGrad = zip("add_sigmoid_grad", "AddSigmoidGrad", 3, 4,
	func(x []float64) float64 { return x[0] + x[1]*(1-x[1])*x[2] }, "%[1]s + %[2]s ∘ (1 − %[2]s) ∘ %[3]s", nil)

// Gate is 1/(1+e⁻ˣ) as the gate of a recurrent cell: to 2.6 units in the last place, in less time than Sigmoid.
var Gate = zip("gate", "Gate", 1, 1, func(x []float64) float64 { return sigmoid(x[0]) }, "σ(%s)", operator("Sigmoid"))

// Softplus is log(1+eˣ), which is −log σ(−x).
var Softplus = zip("softplus", "Softplus", 1, 2, func(x []float64) float64 {
	return math.Max(x[0], 0) + math.Log1p(math.Exp(-math.Abs(x[0])))
}, "log(1 + exp %s)", operator("Softplus"))

// SoftplusGrad is σ(x)·dy.
var SoftplusGrad = zip("softplus_grad", "SoftplusGrad", 2, 2, func(x []float64) float64 { return sigmoid(x[0]) * x[1] },
	"σ(%s) ∘ %s", nil)

// LeakyReLU is x where x is above 0 and `slope`·x elsewhere (Maas et al. 2013).
var LeakyReLU = withNumber(zip("leaky_relu", "LeakyReLU", 1, 1, nil, "%[1]s where it is above 0, %%g·%[1]s elsewhere",
	leakyONNX), "slope", func(x []float64, slope float64) float64 {
	return max(x[0], slope*x[0])
})

// LeakyReLUGrad is dy where y > 0 and `slope`·dy elsewhere, y being the input of LeakyReLU or, for a slope in [0, 1),
// its output.
var LeakyReLUGrad = withNumber(zip("leaky_relu_grad", "LeakyReLUGrad", 2, 1, nil,
	"%[2]s where %[1]s is above 0, %%g·%[2]s elsewhere", nil), "slope", func(x []float64, slope float64) float64 {
	if x[0] > 0 {
		return x[1]
	}
	return slope * x[1]
})

// withNumber makes o, which zip has made without a function, one of the elements and a number, its attribute key.
func withNumber(o *graph.Op, key string, f func(x []float64, number float64) float64) *graph.Op {
	formula := o.Formula
	o.Formula = func(n *node, name names) string {
		return fmt.Sprintf(formula(n, name), n.Attrs.Float(key))
	}
	o.Eval = func(n *node, in, out []*graph.Tensor) error {
		x := make([]float64, len(in))
		for i := range out[0].F {
			for j := range in {
				x[j] = in[j].F[i]
			}
			out[0].F[i] = f(x, n.Attrs.Float(key))
		}
		return nil
	}
	emit := o.Emit
	o.Emit = func(n *node) []call {
		calls := emit(n)
		args := calls[0].Args // the number stands before the size
		last := len(args) - 1
		calls[0].Args = append(args[:last:last], graph.Float(n.Attrs.Float(key)), args[last])
		return calls
	}
	return o
}

// ReLU is max(x, 0).
var ReLU = zip("relu", "ReLU", 1, 1, func(x []float64) float64 { return math.Max(x[0], 0) }, "max(%s, 0)",
	operator("Relu"))

// ReLUGrad is dy where y > 0, and 0 elsewhere.
var ReLUGrad = zip("relu_grad", "ReLUGrad", 2, 1, func(x []float64) float64 {
	if x[0] > 0 {
		return x[1]
	}
	return 0
}, "[%s > 0] ∘ %s", nil)

// GELU is x·Φ(x) in its approximation by tanh (Hendrycks and Gimpel 2016, section 2).
var GELU = zip("gelu", "GELU", 1, 8, func(x []float64) float64 {
	return 0.5 * x[0] * (1 + math.Tanh(geluTanh(x[0])))
}, "GELU(%s)", geluONNX)

// GELUGrad is GELU′(x)·dy.
var GELUGrad = zip("gelu_grad", "GELUGrad", 2, 12, func(x []float64) float64 {
	t := math.Tanh(geluTanh(x[0]))
	return x[1] * (0.5*(1+t) + 0.5*x[0]*(1-t*t)*math.Sqrt(2/math.Pi)*(1+3*0.044715*x[0]*x[0]))
}, "GELU′(%s) ∘ %s", nil)

// geluONNX is ½·x·(1 + tanh(√(2/π)·x·(1 + 0.044715·x²))).
func geluONNX(x asm, _ *node, a []string) []string {
	square := x.Op("Mul", nil, a[0], a[0])
	inner := x.Op("Add", nil, x.Op("Mul", nil, square, x.Float(0.044715)), x.Float(1))
	inner = x.Op("Mul", nil, x.Op("Mul", nil, a[0], x.Float(math.Sqrt(2/math.Pi))), inner)
	return []string{phi(x, a[0], x.Op("Tanh", nil, inner))}
}

// geluErfONNX is ½·x·(1 + erf(x/√2)).
func geluErfONNX(x asm, _ *node, a []string) []string {
	return []string{phi(x, a[0], x.Op("Erf", nil, x.Op("Div", nil, a[0], x.Float(math.Sqrt2))))}
}

// phi is ½·v·(1 + t).
func phi(x asm, v, t string) string {
	return x.Op("Mul", nil, x.Op("Mul", nil, v, x.Float(0.5)), x.Op("Add", nil, t, x.Float(1)))
}

func siluONNX(x asm, _ *node, a []string) []string {
	return []string{x.Op("Mul", nil, a[0], x.Op("Sigmoid", nil, a[0]))}
}

func leakyONNX(x asm, n *node, a []string) []string { // for a slope above 1 as well
	return []string{x.Op("Max", nil, a[0], x.Op("Mul", nil, a[0], x.Float(n.Attrs.Float("slope"))))}
}

func geluTanh(x float64) float64 { return math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }

// GELUErf is x·Φ(x), exactly (Hendrycks and Gimpel 2016, section 2).
var GELUErf = zip("gelu_erf", "GELUErf", 1, 8, func(x []float64) float64 {
	return 0.5 * x[0] * (1 + math.Erf(x[0]/math.Sqrt2))
}, "GELU(%s)", geluErfONNX)

// GELUErfGrad is GELU′(x)·dy.
var GELUErfGrad = zip("gelu_erf_grad", "GELUErfGrad", 2, 12, func(x []float64) float64 {
	return x[1] * (0.5*(1+math.Erf(x[0]/math.Sqrt2)) + x[0]*math.Exp(-x[0]*x[0]/2)/math.Sqrt(2*math.Pi))
}, "GELU′(%s) ∘ %s", nil)

// SiLU is x·σ(x) (Elfwing et al. 2018).
var SiLU = zip("silu", "SiLU", 1, 2, func(x []float64) float64 { return x[0] * sigmoid(x[0]) }, "SiLU(%s)", siluONNX)

// SiLUGrad is SiLU′(x)·dy.
var SiLUGrad = zip("silu_grad", "SiLUGrad", 2, 6, func(x []float64) float64 {
	s := sigmoid(x[0])
	return x[1] * s * (1 + x[0]*(1-s))
}, "SiLU′(%s) ∘ %s", nil)

// SwiGLU is SiLU(gate)∘up of rows that hold the gate and then up (Shazeer 2020, equation 6).
var SwiGLU = &graph.Op{
	Name: "swiglu",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32); err != nil {
			return nil, err
		}
		half, ok := n.Attrs.Get("half").(dim)
		if !ok || 2*half.N != n.Args[0].Shape.Last().N {
			return nil, fmt.Errorf("rows of %s are not two of %s", n.Args[0].Shape.Last(), half)
		}
		return f32(n.Args[0].Shape.With(half)), nil
	},
	Flops: perElement(3), Rowwise: allStacked,
	ONNX: func(x asm, n *node, a []string) []string {
		halves := x.Ops("Split", 2, axis(-1), a[0])
		return []string{x.Op("Mul", nil, siluONNX(x, n, halves)[0], halves[1])}
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		w := out[0].Cols()
		for i := range out[0].F {
			gate, up := in[0].F[i/w*2*w+i%w], in[0].F[i/w*2*w+w+i%w]
			out[0].F[i] = gate * sigmoid(gate) * up
		}
		return nil
	},
	Emit: func(n *node) []call {
		y := n.Outs[0].Shape
		return []call{{Func: "SwiGLU", Args: []graph.Operand{n.Outs[0], n.Args[0], y.Rows(), y.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = SiLU(gate) ∘ up, gate and up being the halves of %s", name(n.Outs[0]), name(n.Args[0]))
	},
}

// SwiGLUGrad gives the gradient of the rows from them and dy.
var SwiGLUGrad = &graph.Op{
	Name: "swiglu_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		return f32(n.Args[0].Shape), nil
	},
	Flops: perElement(5), InPlace: [][2]int{{0, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		w := in[1].Cols()
		for i, dy := range in[1].F {
			at := i/w*2*w + i%w
			gate, up := in[0].F[at], in[0].F[at+w]
			s := sigmoid(gate)
			out[0].F[at] = dy * up * s * (1 + gate*(1-s))
			out[0].F[at+w] = dy * gate * s
		}
		return nil
	},
	Emit: func(n *node) []call {
		y := n.Args[1].Shape
		return []call{{Func: "SwiGLUGrad", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], y.Rows(), y.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = gradient of SiLU(gate) ∘ up from %s", name(n.Outs[0]), name(n.Args[1]))
	},
}

// Gradient rules name operations of the table, which Go would call an initialization loop in the literals above.
func init() {
	follows(Tanh, "ThenTanh")
	follows(Sigmoid, "ThenSigmoid")
	follows(Gate, "ThenGate")
	follows(ReLU, "ThenReLU")
	follows(GELU, "ThenGELU")
	follows(GELUErf, "ThenGELUErf")
	follows(SiLU, "ThenSiLU")
	Add.Grad = func(c *graph.Context, n *node, g []*value) []*value { return []*value{g[0], g[0]} }
	Sub.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		r := []*value{g[0], nil}
		if c.Need(1) {
			r[1] = neg(c, g[0], d(n.Args[1]))
		}
		return r
	}
	Mul.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		r := make([]*value, 2)
		for i := range r {
			if c.Need(i) {
				r[i] = c.Apply(Mul, []string{d(n.Args[i])}, nil, g[0], c.Val(n.Args[1-i]))[0]
			}
		}
		return r
	}
	outputGrad := func(op *graph.Op) func(*graph.Context, *node, []*value) []*value {
		return func(c *graph.Context, n *node, g []*value) []*value {
			return c.Apply(op, []string{d(n.Args[0])}, nil, c.Val(n.Outs[0]), g[0])
		}
	}
	Tanh.Grad, Sigmoid.Grad, ReLU.Grad = outputGrad(TanhGrad), outputGrad(SigmoidGrad), outputGrad(ReLUGrad)
	Gate.Grad = Sigmoid.Grad

	LeakyReLU.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(LeakyReLUGrad, []string{d(n.Args[0])}, n.Attrs, c.Val(n.Outs[0]), g[0])
	}
	LeakyReLUGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		r := make([]*value, 2)
		if c.Need(1) {
			r[1] = c.Apply(LeakyReLUGrad, []string{d(n.Args[1])}, n.Attrs, c.Val(n.Args[0]), g[0])[0]
		}
		return r
	}
	Div.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		r := make([]*value, 2)
		q := c.Apply(Div, []string{d(n.Args[0])}, nil, g[0], c.Val(n.Args[1]))[0]
		if c.Need(0) {
			r[0] = q
		}
		if c.Need(1) { // −(g/b)·(a/b)
			r[1] = neg(c, c.Apply(Mul, nil, nil, q, c.Val(n.Outs[0]))[0], d(n.Args[1]))
		}
		return r
	}
	Sqrt.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		half := c.Apply(Scale, nil, graph.Attrs{{Key: "by", Val: 0.5}}, g[0])[0]
		return c.Apply(Div, []string{d(n.Args[0])}, nil, half, c.Val(n.Outs[0]))
	}
	Affine.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(Scale, []string{d(n.Args[0])}, graph.Attrs{{Key: "by", Val: n.Attrs.Float("by")}}, g[0])
	}
	// f(x, dy) = σ(x)·dy: ∂/∂x is σ(x)·(1 − σ(x))·dy.
	SoftplusGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		x, dy := n.Args[0], n.Args[1]
		r := make([]*value, 2)
		if c.Need(0) {
			s := c.Apply(Sigmoid, nil, nil, c.Val(x))[0]
			p := c.Apply(Mul, nil, nil, c.Val(dy), g[0])[0]
			r[0] = c.Apply(SigmoidGrad, []string{d(x)}, nil, s, p)[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(SoftplusGrad, []string{d(dy)}, nil, c.Val(x), g[0])[0]
		}
		return r
	}
	SumRows.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		x := n.Args[0]
		return c.Apply(AddBias, []string{d(x)}, nil, or0(c, nil, x, d(x)), g[0])
	}

	inputGrad := func(op *graph.Op) func(*graph.Context, *node, []*value) []*value {
		return func(c *graph.Context, n *node, g []*value) []*value {
			return c.Apply(op, []string{d(n.Args[0])}, nil, c.Val(n.Args[0]), g[0])
		}
	}
	GELU.Grad, GELUErf.Grad, SiLU.Grad, SwiGLU.Grad = inputGrad(GELUGrad), inputGrad(GELUErfGrad), inputGrad(SiLUGrad),
		inputGrad(SwiGLUGrad)
	Softplus.Grad = inputGrad(SoftplusGrad)

	// f(x, dy) = (Φ(x) + x·φ(x))·dy with φ(x) = exp(−x²/2)/√2π: ∂/∂dy is the operation itself on the incoming gradient,
	// ∂/∂x is (2 − x²)·φ(x)·dy.
	GELUErfGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		x, dy := n.Args[0], n.Args[1]
		r := make([]*value, 2)
		if c.Need(0) {
			square := c.Apply(Mul, nil, nil, c.Val(x), c.Val(x))[0]
			density := c.Apply(Exp, nil, nil, c.Apply(Scale, nil, graph.Attrs{{Key: "by", Val: -0.5}}, square)[0])[0]
			one := 1 / math.Sqrt(2*math.Pi)
			slope := c.Apply(Affine, nil, graph.Attrs{{Key: "by", Val: -one}, {Key: "plus", Val: 2 * one}}, square)[0]
			slope = c.Apply(Mul, nil, nil, slope, density)[0]
			p := c.Apply(Mul, nil, nil, c.Val(dy), g[0])[0]
			r[0] = c.Apply(Mul, []string{d(x)}, nil, p, slope)[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(GELUErfGrad, []string{d(dy)}, nil, c.Val(x), g[0])[0]
		}
		return r
	}
	// f(x, dy) = (s + x·s·(1−s))·dy with s = σ(x): ∂/∂x is s·(1−s)·(2 + x − 2·x·s)·dy.
	SiLUGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		x, dy := n.Args[0], n.Args[1]
		r := make([]*value, 2)
		if c.Need(0) {
			s := c.Apply(Sigmoid, nil, nil, c.Val(x))[0]
			q := c.Apply(Mul, nil, nil, c.Val(x), s)[0]
			q = c.Apply(Affine, nil, graph.Attrs{{Key: "by", Val: -2.0}, {Key: "plus", Val: 2.0}}, q)[0]
			q = c.Apply(Add, nil, nil, q, c.Val(x))[0]
			q = c.Apply(Mul, nil, nil, q, c.Apply(Mul, nil, nil, c.Val(dy), g[0])[0])[0]
			r[0] = c.Apply(SigmoidGrad, []string{d(x)}, nil, s, q)[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(SiLUGrad, []string{d(dy)}, nil, c.Val(x), g[0])[0]
		}
		return r
	}
	// f(y, dy) = (1−y²)·dy: ∂/∂dy is the operation itself on the incoming gradient, ∂/∂y is −2·y·dy.
	TanhGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		y, dy := n.Args[0], n.Args[1]
		r := make([]*value, 2)
		if c.Need(0) {
			p := c.Apply(Mul, nil, nil, c.Val(y), c.Val(dy))[0]
			p = c.Apply(Mul, nil, nil, p, g[0])[0]
			r[0] = c.Apply(Scale, []string{d(y)}, graph.Attrs{{Key: "by", Val: -2.0}}, p)[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(TanhGrad, []string{d(dy)}, nil, c.Val(y), g[0])[0]
		}
		return r
	}
	// f(y, dy) = y(1−y)·dy: ∂/∂y is (1−2y)·dy.
	SigmoidGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		y, dy := n.Args[0], n.Args[1]
		r := make([]*value, 2)
		if c.Need(0) {
			p := c.Apply(Mul, nil, nil, c.Val(dy), g[0])[0]
			q := c.Apply(Mul, nil, nil, p, c.Val(y))[0]
			q = c.Apply(Scale, nil, graph.Attrs{{Key: "by", Val: -2.0}}, q)[0]
			r[0] = c.Apply(Add, []string{d(y)}, nil, p, q)[0]
		}
		if c.Need(1) {
			r[1] = c.Apply(SigmoidGrad, []string{d(dy)}, nil, c.Val(y), g[0])[0]
		}
		return r
	}
	ReLUGrad.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		r := make([]*value, 2)
		if c.Need(1) {
			r[1] = c.Apply(ReLUGrad, []string{d(n.Args[1])}, nil, c.Val(n.Args[0]), g[0])[0]
		}
		return r
	}
	Scale.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		return c.Apply(Scale, []string{d(n.Args[0])}, n.Attrs, g[0])
	}
}

func neg(c *graph.Context, x *value, name string) *value {
	return c.Apply(Scale, []string{name}, graph.Attrs{{Key: "by", Val: -1.0}}, x)[0]
}

// Scale is x times the number `by`.
var Scale = &graph.Op{
	Name: "scale", Elements: true, Infer: allSame(1), Flops: perElement(1), InPlace: [][2]int{{0, 0}}, Rowwise: always,
	ONNX: func(x asm, n *node, a []string) []string {
		return []string{x.Op("Mul", nil, a[0], x.Float(n.Attrs.Float("by")))}
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		for i, x := range in[0].F {
			out[0].F[i] = n.Attrs.Float("by") * x
		}
		return nil
	},
	Emit: func(n *node) []call {
		return []call{{Func: "Scale",
			Args: []graph.Operand{n.Outs[0], n.Args[0], graph.Float(n.Attrs.Float("by")), n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %g·%s", name(n.Outs[0]), n.Attrs.Float("by"), name(n.Args[0]))
	},
}

// Affine is `by`·x + `plus`.
var Affine = &graph.Op{
	Name: "affine", Elements: true, Infer: allSame(1), Flops: perElement(2), InPlace: [][2]int{{0, 0}}, Rowwise: always,
	ONNX: func(x asm, n *node, a []string) []string {
		return []string{x.Op("Add", nil, x.Op("Mul", nil, a[0], x.Float(n.Attrs.Float("by"))),
			x.Float(n.Attrs.Float("plus")))}
	},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		for i, x := range in[0].F {
			out[0].F[i] = n.Attrs.Float("by")*x + n.Attrs.Float("plus")
		}
		return nil
	},
	Emit: func(n *node) []call {
		return []call{{Func: "Affine",
			Args: []graph.Operand{n.Outs[0], n.Args[0], graph.Float(n.Attrs.Float("by")),
				graph.Float(n.Attrs.Float("plus")), n.Outs[0].Shape.Elems()}}}
	},
	Formula: func(n *node, name names) string {
		y, x := name(n.Outs[0]), name(n.Args[0])
		by, plus := n.Attrs.Float("by"), n.Attrs.Float("plus")
		switch {
		case by == -1:
			return fmt.Sprintf("%s = %g − %s", y, plus, x)
		case plus < 0:
			return fmt.Sprintf("%s = %g·%s − %g", y, by, x, -plus)
		}
		return fmt.Sprintf("%s = %g·%s + %g", y, by, x, plus)
	},
}

// AddBias adds a row to every row of x.
var AddBias = &graph.Op{
	Name: "add_bias",
	ONNX: operator("Add"),
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		x, b := n.Args[0].Shape, n.Args[1].Shape
		if len(b) != 1 || !b[0].Same(x.Last()) {
			return nil, fmt.Errorf("adds a bias of shape %s to rows of %s", b, x.Last())
		}
		return f32(x), nil
	},
	Grad: func(c *graph.Context, n *node, g []*value) []*value {
		r := []*value{g[0], nil}
		if c.Need(1) {
			r[1] = c.Apply(SumRows, []string{d(n.Args[1])}, nil, g[0])[0]
		}
		return r
	},
	Flops: perElement(1), InPlace: [][2]int{{0, 0}}, Rowwise: firstStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		cols := in[0].Cols()
		for i, x := range in[0].F {
			out[0].F[i] = x + in[1].F[i%cols]
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "AddBias", Args: []graph.Operand{n.Outs[0], n.Args[0], n.Args[1], x.Rows(), x.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return name(n.Outs[0]) + " = " + name(n.Args[0]) + " + " + name(n.Args[1])
	},
}

// SumRows is the sum of all rows: the gradient of a bias.
var SumRows = &graph.Op{
	Name: "sum_rows",
	ONNX: func(x asm, n *node, a []string) []string {
		rows := reshape(x, a[0], n.Args[0].Shape.Rows(), n.Args[0].Shape.Last())
		return []string{x.Op("ReduceSum", keep(false), rows, x.Ints(0))}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		want := []graph.Type{graph.F32}
		if n.Attrs.Bool("acc") {
			want = append(want, graph.F32)
		}
		if err := wantArgs(n, want...); err != nil {
			return nil, err
		}
		y := graph.Shape{n.Args[0].Shape.Last()}
		if n.Attrs.Bool("acc") && !n.Args[1].Shape.Same(y) {
			return nil, fmt.Errorf("adds %s to a sum of rows of %s", n.Args[1].Shape, n.Args[0].Shape)
		}
		return f32(y), nil
	},
	InPlace: [][2]int{{0, 1}},
	Flops:   func(n *node) dim { return n.Args[0].Shape.Elems() },
	Eval: func(n *node, in, out []*graph.Tensor) error {
		if n.Attrs.Bool("acc") {
			copy(out[0].F, in[1].F)
		}
		cols := in[0].Cols()
		for i, x := range in[0].F {
			out[0].F[i%cols] += x
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		if n.Attrs.Bool("acc") {
			return []call{
				{Func: "Place", Args: []graph.Operand{n.Outs[0], n.Args[1], n.Outs[0].Shape.Elems()}},
				{Func: "AddRows", Args: []graph.Operand{n.Outs[0], n.Args[0], x.Rows(), x.Last()}},
			}
		}
		return []call{{Func: "SumRows", Args: []graph.Operand{n.Outs[0], n.Args[0], x.Rows(), x.Last()}}}
	},
	Formula: func(n *node, name names) string {
		s := name(n.Outs[0]) + " = Σ rows of " + name(n.Args[0])
		if n.Attrs.Bool("acc") {
			s += " + " + name(n.Args[1])
		}
		return s
	},
	Contracts: true,
}
