package optim

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/param"
)

// Adafactor is the rule of Shazeer & Stern 2018, algorithms 4 and 5, without momentum. For a matrix G of gradients,
// with β = 1 − t^−exponent in step t:
//
//	R = β·R + (1−β)·(G² + 1e-30)·1      sums of rows
//	C = β·C + (1−β)·1ᵀ·(G² + 1e-30)     sums of columns
//	U = G/√(R·C/ΣR)
//	P = P·(1 − rate·decay) − min(rate, 1/√t)·max(floor, RMS(P))·U/max(1, RMS(U)/threshold)
//
// where RMS is the root of the mean of the squares. A vector has R·C/ΣR of its own: an average of squares for each
// number. It keeps the sums alone, so that it takes hardly any memory.
type Adafactor struct {
	tensors                           []param.Extent
	rows, columns, squares            []float32 // the sums of all matrices, the averages of all vectors
	update, variance, sums, downwards []float32 // scratch
	exponent, threshold, floor, decay float64
}

// NewAdafactor makes the rule for parameters in a flat array of n numbers, which holds tensors at these places.
func NewAdafactor(n int, tensors []param.Extent, exponent, threshold, floor, decay float64) *Adafactor {
	a := &Adafactor{tensors: tensors, exponent: exponent, threshold: threshold, floor: floor, decay: decay}
	rows, columns, squares, largest, height, width := 0, 0, 0, 0, 0, 0
	for _, t := range tensors {
		within(t, n)
		largest = max(largest, t.Len())
		if t.Matrix() {
			rows, columns = rows+t.Rows, columns+t.Columns
			height, width = max(height, t.Rows), max(width, t.Columns)
		} else {
			squares += t.Len()
		}
	}
	a.rows, a.columns, a.squares = model.Floats(rows), model.Floats(columns), model.Floats(squares)
	a.update, a.variance = model.Floats(largest), model.Floats(largest)
	a.sums, a.downwards = model.Floats(height), model.Floats(width)
	return a
}

// tiny is what the squares of gradients are above, so that nothing is divided by zero.
const tiny = 1e-30

// Step makes one update.
func (a *Adafactor) Step(params, grads []float32, rate float64, gscale float32, step int) {
	beta := 1 - math.Pow(float64(step), -a.exponent)
	relative := min(rate, 1/math.Sqrt(float64(step)))
	rows, columns, squares := a.rows, a.columns, a.squares
	for _, t := range a.tensors {
		n := t.Len()
		p, g := params[t.From:][:n], grads[t.From:][:n]
		u, v := a.update[:n], a.variance[:n]
		kernel.Scale(u, g, gscale, n)
		kernel.Mul(v, u, u, n)
		kernel.Affine(v, v, 1, tiny, n)
		if t.Matrix() {
			kernel.SumCols(a.sums, v, t.Rows, t.Columns)
			kernel.SumRows(a.downwards, v, t.Rows, t.Columns)
			average(rows, a.sums, beta, t.Rows)
			average(columns, a.downwards, beta, t.Columns)
			total := 0.0
			for _, r := range rows[:t.Rows] {
				total += float64(r)
			}
			// The root is taken before the product: where a row and a column have no gradient, that of the squares is
			// below what a float32 can be.
			kernel.Sqrt(a.sums, rows, t.Rows)
			kernel.Scale(a.sums, a.sums, float32(1/math.Sqrt(total)), t.Rows)
			kernel.Sqrt(a.downwards, columns, t.Columns)
			kernel.Outer(v, a.sums, a.downwards, 1, t.Rows, t.Columns)
			rows, columns = rows[t.Rows:], columns[t.Columns:]
		} else {
			average(squares, v, beta, n)
			kernel.Sqrt(v, squares, n)
			squares = squares[n:]
		}
		kernel.Div(u, u, v, n)
		size := relative * max(a.floor, rms(p)) / max(1, rms(u)/a.threshold)
		if a.decay != 0 {
			kernel.Scale(p, p, float32(1-rate*a.decay), n)
		}
		kernel.AddScaled(p, p, u, float32(-size), n)
	}
}

// average moves the first n numbers of x on: x = beta·x + (1−beta)·y.
func average(x, y []float32, beta float64, n int) {
	kernel.Scale(x, x, float32(beta), n)
	kernel.AddScaled(x, x, y, float32(1-beta), n)
}

// rms is the root of the mean of the squares of x.
func rms(x []float32) float64 { return math.Sqrt(kernel.SquaredNorm(x, len(x)) / float64(len(x))) }

// Slots lists the optimizer's arrays.
func (a *Adafactor) Slots() []model.Slot {
	return []model.Slot{{Name: "adafactor.rows", Value: a.rows}, {Name: "adafactor.columns", Value: a.columns},
		{Name: "adafactor.squares", Value: a.squares}}
}
