package optim

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// panel is how many reflections are applied together.
const panel = 32

// reflections is the memory of a QR decomposition by Householder's reflections, of which panels are applied together
// as products of matrices (Schreiber and Van Loan 1989): H₁·…·H_b = I − V·T·Vᵀ. Matrices lie transposed, so that their
// columns, and the vectors of the reflections, are rows of memory.
type reflections struct {
	t          []float32 // T of each panel
	products   []float32 // of rows with the vectors of a panel
	moved      []float32 // the same times T
	gram, dots []float32 // of the vectors of a panel
}

// newReflections makes the memory for matrices of up to n rows.
func newReflections(n int) reflections {
	if n == 0 {
		return reflections{}
	}
	return reflections{t: model.Floats((n + panel - 1) / panel * panel * panel), products: model.Floats(n * panel),
		moved: model.Floats(n * panel), gram: model.Floats(panel * panel), dots: model.Floats(panel)}
}

// orthonormal sets the rows of q [n, n] to an orthonormal basis, whose first k rows span the first k rows of a [n, n]
// for every k: the transposed Q of the QR decomposition of aᵀ. It overwrites a, which may have any rank. Bits do not
// depend on the number of threads.
func (x *reflections) orthonormal(q, a []float32, n int) {
	for j := 0; j < n; j += panel {
		b := min(panel, n-j)
		v, t := a[j*n:][:b*n], x.t[j*panel:][:b*b]
		x.reflect(v, t, j, b, n)
		if rest := n - j - b; rest > 0 { // the rows behind: A·(I − V·T·Vᵀ)
			rows := a[(j+b)*n:][:rest*n]
			kernel.GemmNT(x.products, rows, v, rest, b, n)
			kernel.GemmNN(x.moved, x.products, t, rest, b, b)
			kernel.Scale(x.moved, x.moved, -1, rest*b)
			kernel.GemmNN(rows, x.moved, v, rest, n, b, kernel.Accumulate())
		}
	}
	identity(q, n)
	for j := (n - 1) / panel * panel; j >= 0; j -= panel {
		b, rest := min(panel, n-j), n-j // the rows before are not touched yet
		v, t, rows := a[j*n:][:b*n], x.t[j*panel:][:b*b], q[j*n:][:rest*n]
		kernel.GemmNT(x.products, rows, v, rest, b, n)
		kernel.GemmNT(x.moved, x.products, t, rest, b, b)
		kernel.Scale(x.moved, x.moved, -1, rest*b)
		kernel.GemmNN(rows, x.moved, v, rest, n, b, kernel.Accumulate())
	}
}

// nothing is the length below which a vector counts as zero: what is divided by it stays within float32.
const nothing = 1e-30

// reflect makes the reflections of b rows v [b, n], of which row k is to have zeros behind element first+k, leaves
// their vectors in place of the rows, and sets t [b, b].
func (x *reflections) reflect(v, t []float32, first, b, n int) {
	var scale [panel]float64
	for k := range b {
		row := v[k*n:][:n]
		from := row[first+k:]
		head, tail := float64(from[0]), kernel.SquaredNorm(from[1:], len(from)-1)
		if norm := math.Sqrt(float64(head*head) + tail); tail > 0 && norm > nothing {
			end := -math.Copysign(norm, head)
			scale[k] = (end - head) / end
			kernel.Scale(from[1:], from[1:], float32(1/(head-end)), len(from)-1)
		} else {
			clear(from[1:])
		}
		clear(row[:first+k])
		from[0] = 1
		if rest := b - k - 1; rest > 0 && scale[k] != 0 {
			below := v[(k+1)*n:][:rest*n]
			kernel.GemmNT(x.dots, below, row, rest, 1, n)
			for i := range rest {
				r := below[i*n:][:n]
				kernel.AddScaled(r, r, row, float32(-scale[k]*float64(x.dots[i])), n)
			}
		}
	}
	kernel.GemmNT(x.gram, v, v, b, b, n)
	clear(t)
	for k := range b {
		for i := range k {
			sum := 0.0
			for l := i; l < k; l++ {
				sum += float64(float64(t[i*b+l]) * float64(x.gram[l*b+k]))
			}
			t[i*b+k] = float32(-scale[k] * sum)
		}
		t[k*b+k] = float32(scale[k])
	}
}
