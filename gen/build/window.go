package build

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// A Convolution is a layer of filters over time of several widths, of each of which the largest value over the steps is kept (Kim 2014): what a discriminator of text reads.
type Convolution struct {
	Widths  []int
	Filters []graph.Dim // of each width
	Weights []*graph.Value
	Biases  []*graph.Value
}

// Apply gives the features of the filters side by side, [batch, Σ filters], of x [steps, batch, features]: max over t of relu(x[t … t+width−1]·w + b). Windows that go beyond
// the last step do not count, unless the text is shorter than the width. Weights are [width·features, filters], biases [filters].
func (c *Convolution) Apply(b *graph.Builder, name string, x *graph.Value) *graph.Value {
	var y *graph.Value
	for i, width := range c.Widths {
		one := func(o *graph.Op, part string, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
			return b.Apply(o, []string{fmt.Sprintf("%s.%s%d", name, part, width)}, attrs, args...)[0]
		}
		rows := one(op.Unfold, "windows", graph.Attrs{{Key: "width", Val: width}}, x)
		z := one(op.AddBias, "filtered", nil, one(op.MatMul, "filtered", nil, rows, c.Weights[i]), c.Biases[i])
		top := one(op.MaxSteps, "largest", graph.Attrs{{Key: "without", Val: width - 1}}, one(op.ReLU, "filtered", nil, z))
		if y == nil {
			y = top
			continue
		}
		y = one(op.JoinColumns, "features", nil, y, top)
	}
	return y
}

// Highway is t∘relu(x·w + b) + (1 − t)∘x with the gate t = σ(x·wt + bt) (Srivastava et al. 2015, equation 3), of rows x; the weights are square.
func Highway(b *graph.Builder, name string, x, w, bias, wt, biasT *graph.Value) *graph.Value {
	one := func(o *graph.Op, part string, args ...*graph.Value) *graph.Value {
		return b.Apply(o, []string{name + "." + part}, nil, args...)[0]
	}
	h := one(op.ReLU, "h", one(op.AddBias, "h", one(op.MatMul, "h", x, w), bias))
	t := one(op.Sigmoid, "gate", one(op.AddBias, "gate", one(op.MatMul, "gate", x, wt), biasT))
	// x + t∘(h − x) is the same with one product less.
	return one(op.Add, "y", x, one(op.Mul, "step", t, one(op.Sub, "change", h, x)))
}
