package op

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// LayerNorm is y = gain∘(x − mean)/√(variance + epsilon) + bias of each row (Ba et al. 2016, equations 3 and 4). It
// also gives the mean and the reciprocal of the standard deviation, which the gradient reads.
var LayerNorm = &graph.Op{
	Name: "layernorm",
	ONNX: func(x asm, n *node, a []string) []string {
		attrs := graph.Attrs{{Key: "axis", Val: -1}, {Key: "epsilon", Val: n.Attrs.Float("epsilon")}}
		return []string{x.Op("LayerNormalization", attrs, a...), "", ""}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		x := n.Args[0].Shape
		for i := 1; i < 3; i++ {
			if s := n.Args[i].Shape; len(s) != 1 || !s[0].Same(x.Last()) {
				return nil, fmt.Errorf("argument %d is %s for rows of %s", i, s, x.Last())
			}
		}
		rows := x[:len(x)-1]
		return f32(x, rows, rows), nil
	},
	Grad: func(c *graph.Context, n *node, g []*value) []*value {
		if g[1] != nil || g[2] != nil {
			panic("op: the statistics of a layer norm are read by its gradient only")
		}
		return c.Apply(LayerNormGrad, []string{d(n.Args[0]), d(n.Args[1]), d(n.Args[2])}, nil,
			g[0], c.Val(n.Args[0]), c.Val(n.Args[1]), c.Val(n.Outs[1]), c.Val(n.Outs[2]))
	},
	Flops: perElement(8), Rowwise: firstStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		w := in[0].Cols()
		for r := range in[0].Rows() {
			x := in[0].F[r*w : (r+1)*w]
			mean, variance := 0.0, 0.0
			for _, v := range x {
				mean += v / float64(w)
			}
			for _, v := range x {
				variance += (v - mean) * (v - mean) / float64(w)
			}
			rstd := 1 / math.Sqrt(variance+n.Attrs.Float("epsilon"))
			for j, v := range x {
				out[0].F[r*w+j] = in[1].F[j]*(v-mean)*rstd + in[2].F[j]
			}
			out[1].F[r], out[2].F[r] = mean, rstd
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "LayerNorm",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Outs[2], n.Args[0], n.Args[1], n.Args[2], x.Rows(), x.Last(),
				graph.Float(n.Attrs.Float("epsilon"))}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s ∘ (%s − mean)/√(var + %g) + %s", name(n.Outs[0]), name(n.Args[1]), name(n.Args[0]),
			n.Attrs.Float("epsilon"), name(n.Args[2]))
	},
}

// LayerNormGrad gives dx, dgain and dbias from dy, x, gain, mean and rstd: with x̂ = (x − mean)·rstd and s = gain∘dy,
// dx = rstd·(s − mean(s) − x̂·mean(s∘x̂)).
var LayerNormGrad = &graph.Op{
	Name: "layernorm_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, make([]graph.Type, 5)...); err != nil {
			return nil, err
		}
		if err := wantSame(n, 0, 1); err != nil {
			return nil, err
		}
		w := graph.Shape{n.Args[0].Shape.Last()}
		return f32(n.Args[0].Shape, w, w), nil
	},
	Flops: perElement(14), InPlace: [][2]int{{0, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		w := in[0].Cols()
		for r := range in[0].Rows() {
			dy, x := in[0].F[r*w:(r+1)*w], in[1].F[r*w:(r+1)*w]
			mean, rstd := in[3].F[r], in[4].F[r]
			ms, msx := 0.0, 0.0
			for j := range w {
				xh, s := (x[j]-mean)*rstd, in[2].F[j]*dy[j]
				ms += s / float64(w)
				msx += s * xh / float64(w)
				out[1].F[j] += dy[j] * xh
				out[2].F[j] += dy[j]
			}
			for j := range w {
				xh, s := (x[j]-mean)*rstd, in[2].F[j]*dy[j]
				out[0].F[r*w+j] = rstd * (s - ms - xh*msx)
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "LayerNormGrad",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Outs[2], n.Args[0], n.Args[1], n.Args[2], n.Args[3],
				n.Args[4], x.Rows(), x.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s, %s, %s = gradients of the layer norm from %s", name(n.Outs[0]), name(n.Outs[1]),
			name(n.Outs[2]), name(n.Args[0]))
	},
}

// RMSNorm is y = gain∘x/√(mean(x²) + epsilon) of each row (Zhang and Sennrich 2019, equation 4). It also gives the
// reciprocal of the root, which the gradient reads.
var RMSNorm = &graph.Op{
	Name: "rmsnorm",
	ONNX: func(x asm, n *node, a []string) []string {
		square := x.Op("ReduceMean", graph.Attrs{{Key: "axes", Val: []int{-1}}}, x.Op("Mul", nil, a[0], a[0]))
		root := x.Op("Sqrt", nil, x.Op("Add", nil, square, x.Float(n.Attrs.Float("epsilon"))))
		return []string{x.Op("Mul", nil, x.Op("Div", nil, a[0], root), a[1]), ""}
	},
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, graph.F32, graph.F32); err != nil {
			return nil, err
		}
		x := n.Args[0].Shape
		if s := n.Args[1].Shape; len(s) != 1 || !s[0].Same(x.Last()) {
			return nil, fmt.Errorf("the gain is %s for rows of %s", s, x.Last())
		}
		return f32(x, x[:len(x)-1]), nil
	},
	Flops: perElement(5), Rowwise: firstStacked,
	Eval: func(n *node, in, out []*graph.Tensor) error {
		w := in[0].Cols()
		for r := range in[0].Rows() {
			x := in[0].F[r*w : (r+1)*w]
			square := 0.0
			for _, v := range x {
				square += v * v / float64(w)
			}
			rstd := 1 / math.Sqrt(square+n.Attrs.Float("epsilon"))
			for j, v := range x {
				out[0].F[r*w+j] = in[1].F[j] * v * rstd
			}
			out[1].F[r] = rstd
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "RMSNorm",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Args[0], n.Args[1], x.Rows(), x.Last(),
				graph.Float(n.Attrs.Float("epsilon"))}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s = %s ∘ %s/√(mean of squares + %g)", name(n.Outs[0]), name(n.Args[1]), name(n.Args[0]),
			n.Attrs.Float("epsilon"))
	},
}

// RMSNormGrad gives dx and dgain from dy, x, gain and rstd: with x̂ = x·rstd and s = gain∘dy, dx = rstd·(s −
// x̂·mean(s∘x̂)).
var RMSNormGrad = &graph.Op{
	Name: "rmsnorm_grad",
	Infer: func(n *node) ([]graph.TypedShape, error) {
		if err := wantArgs(n, make([]graph.Type, 4)...); err != nil {
			return nil, err
		}
		if err := wantSame(n, 0, 1); err != nil {
			return nil, err
		}
		return f32(n.Args[0].Shape, graph.Shape{n.Args[0].Shape.Last()}), nil
	},
	Flops: perElement(9), InPlace: [][2]int{{0, 0}},
	Eval: func(n *node, in, out []*graph.Tensor) error {
		w := in[0].Cols()
		for r := range in[0].Rows() {
			dy, x, rstd := in[0].F[r*w:(r+1)*w], in[1].F[r*w:(r+1)*w], in[3].F[r]
			mean := 0.0
			for j := range w {
				mean += in[2].F[j] * dy[j] * x[j] * rstd / float64(w)
				out[1].F[j] += dy[j] * x[j] * rstd
			}
			for j := range w {
				out[0].F[r*w+j] = rstd * (in[2].F[j]*dy[j] - x[j]*rstd*mean)
			}
		}
		return nil
	},
	Emit: func(n *node) []call {
		x := n.Args[0].Shape
		return []call{{Func: "RMSNormGrad",
			Args: []graph.Operand{n.Outs[0], n.Outs[1], n.Args[0], n.Args[1], n.Args[2], n.Args[3], x.Rows(),
				x.Last()}}}
	},
	Formula: func(n *node, name names) string {
		return fmt.Sprintf("%s, %s = gradients of the norm from %s", name(n.Outs[0]), name(n.Outs[1]), name(n.Args[0]))
	},
}

func init() {
	RMSNorm.Grad = func(c *graph.Context, n *node, g []*value) []*value {
		if g[1] != nil {
			panic("op: the statistics of a norm are read by its gradient only")
		}
		return c.Apply(RMSNormGrad, []string{d(n.Args[0]), d(n.Args[1])}, nil, g[0], c.Val(n.Args[0]), c.Val(n.Args[1]),
			c.Val(n.Outs[1]))
	}
}
