// Package param lists the parameters of a model: what each is called in checkpoints, where its values go, its shape,
// and what it starts from. The list decides the layout of the flat arrays, in which every tensor starts at a cache
// line.
//
// It must know nothing of layers.
package param

import (
	"strings"

	"github.com/gradsmith/gradsmith/runtime/initialize"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Start sets what a parameter of a shape starts from. next gives the number of a stream of random numbers, another one
// each time.
type Start func(x []float32, shape []int, seed uint64, next func() uint64)

// Uniform draws from [-bound, bound).
func Uniform(bound float64) Start {
	return func(x []float32, _ []int, seed uint64, next func() uint64) {
		initialize.Uniform(x, seed, next(), bound)
	}
}

// Normal draws from the normal distribution of mean 0.
func Normal(deviation float64) Start {
	return func(x []float32, _ []int, seed uint64, next func() uint64) {
		initialize.Normal(x, seed, next(), deviation)
	}
}

// Orthogonal draws blocks of columns, each of them orthogonal, times gain. A bias is a matrix of one row.
func Orthogonal(blocks int, gain float64) Start {
	return func(x []float32, shape []int, seed uint64, next func() uint64) {
		rows, columns := 1, shape[len(shape)-1]
		if len(shape) > 1 {
			rows = shape[0]
		}
		initialize.Orthogonal(x, rows, columns, blocks, seed, next(), gain)
	}
}

// Constant is the same number everywhere.
func Constant(value float64) Start {
	return func(x []float32, _ []int, _ uint64, _ func() uint64) { initialize.Constant(x, float32(value)) }
}

// Plus adds a number to the elements from, up to but not including to, of a vector.
func (s Start) Plus(value float64, from, to int) Start {
	return func(x []float32, shape []int, seed uint64, next func() uint64) {
		s(x, shape, seed, next)
		initialize.AddConstant(x[from:to], float32(value))
	}
}

// Tensor is a parameter.
type Tensor struct {
	Name   string
	Values *[]float32 // a view of the flat array, once that is bound
	Shape  []int
	Start  Start
}

func (t *Tensor) size() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// List is parameters in the order of the flat arrays.
type List []Tensor

// Add adds a parameter.
func (l *List) Add(name string, values *[]float32, start Start, shape ...int) {
	*l = append(*l, Tensor{name, values, shape, start})
}

// align is how many numbers the length of a tensor is rounded up to in a flat array: a cache line.
const align = 16

// Stride is how far from a tensor of n numbers the next one begins in a flat array.
func Stride(n int) int { return (n + align - 1) / align * align }

// First is the parameters in the first n elements of the flat arrays.
func (l List) First(n int) List {
	for i := range l {
		if n <= 0 {
			return l[:i]
		}
		n -= Stride(l[i].size())
	}
	return l
}

// Bind makes the values views of a flat array.
func (l List) Bind(flat []float32) {
	for i := range l {
		n := l[i].size()
		*l[i].Values = flat[:n:n]
		flat = flat[Stride(n):]
	}
}

// Extent is where a tensor lies in a flat array, or in a part of one: Rows rows of Columns numbers, row by row, from
// From on. A vector is one row; a tensor of more dimensions is a matrix whose columns are the last of them.
type Extent struct {
	From, Rows, Columns int
	Apart               bool // as [List.Extents] was told
}

// Len is how many numbers the tensor has.
func (e Extent) Len() int { return e.Rows * e.Columns }

// Matrix reports whether it has more than one row and column.
func (e Extent) Matrix() bool { return e.Rows > 1 && e.Columns > 1 }

// Extents tells where the tensors of elements from to to of the flat arrays lie, counted from from. Those of the layers
// apart are marked.
func (l List) Extents(from, to int, apart ...string) []Extent {
	var all []Extent
	at := 0
	for i := range l {
		n := l[i].size()
		if at >= from && at < to {
			e := Extent{From: at - from, Rows: 1, Columns: l[i].Shape[len(l[i].Shape)-1]}
			e.Rows = n / max(1, e.Columns)
			for _, layer := range apart {
				e.Apart = e.Apart || strings.HasPrefix(l[i].Name, layer+".")
			}
			all = append(all, e)
		}
		at += Stride(n)
	}
	return all
}

// Initialize sets what the parameters start from. Each that is drawn has a stream of random numbers of its own.
func (l List) Initialize(seed uint64) {
	stream := uint64(0)
	next := func() uint64 {
		stream++
		return stream
	}
	for _, t := range l {
		t.Start(*t.Values, t.Shape, seed, next)
	}
}

// Tensors are the parameters for the runtime, with the gradients of the same model, and with prefix in front of their
// names. Of parameters that no gradient changes the gradients are nil.
func (l List) Tensors(prefix string, gradients List) []model.Tensor {
	ts := make([]model.Tensor, len(l))
	for i, t := range l {
		ts[i] = model.Tensor{Name: prefix + t.Name, Shape: t.Shape, Value: *t.Values}
		if gradients != nil {
			ts[i].Grad = *gradients[i].Values
		}
	}
	return ts
}
