package kernel

import (
	"fmt"
	"testing"
)

// gate is what TestEach computes of rows: from x of two parts, a vector and a factor for each row, y of two parts
// and z.
func gate(r *Row) {
	a, b := r.Part(2, 0, 2), r.Part(2, 1, 2)
	bias, by := r.Vector(3, 0), r.Factor(4)
	y0, y1, z := r.Part(0, 0, 2), r.Part(0, 1, 2), r.Of(1)
	t, u := r.Scratch(0), r.Scratch(1)
	Add(t, a, bias, r.N)
	Sigmoid(t, t, r.N)
	Tanh(u, b, r.N)
	Mul(z, t, u, r.N)
	Copy(y0, u, r.N)
	Scale(y1, t, by, r.N)
}

// TestEachRow holds it to the same kernels over whole matrices, in place too, for any number of threads, at every
// level.
func TestEachRow(t *testing.T) {
	for _, rows := range []int{1, 2, 7, 33, 300} {
		for _, n := range []int{1, 5, 16, 31, 64, 700} {
			r := rng(uint64(rows*1000 + n))
			x, bias, by := floats(r, 2*rows*n), floats(r, n), floats(r, rows)
			// The definition: kernels for whole matrices.
			a, b := make([]float32, rows*n), make([]float32, rows*n)
			SplitColumns(a, b, x, rows, n, n)
			AddBias(a, a, bias, rows, n)
			Sigmoid(a, a, rows*n)
			Tanh(b, b, rows*n)
			z := make([]float32, rows*n)
			Mul(z, a, b, rows*n)
			ScaleRows(a, a, by, rows, n)
			y := make([]float32, 2*rows*n)
			JoinColumns(y, b, a, rows, n, n)

			eachLevel(t, func(t *testing.T) {
				for threads := 1; threads <= 3; threads++ {
					withThreads(t, threads)
					what := fmt.Sprintf("%d rows of %d, %d threads", rows, n, threads)
					gotY, gotZ := guard(2*rows*n, n), guard(rows*n, rows)
					EachRow(gate, rows, n, gotY.x, gotZ.x, x, bias, by)
					diff(t, what, gotY.x, y)
					diff(t, what, gotZ.x, z)
					gotY.check(t, what)
					gotZ.check(t, what)
				}
			})
		}
	}
}

// polynomial is what TestEachBlock computes: y = (a + b)·a − b.
func polynomial(r *Row) {
	y, a, b, t := r.Of(0), r.Of(1), r.Of(2), r.Scratch(3)
	Add(t, a, b, r.N)
	Mul(t, t, a, r.N)
	Sub(y, t, b, r.N)
}

func TestEachBlock(t *testing.T) {
	for _, n := range []int{0, 1, 15, 1023, 1024, 1025, 2048, 10000} {
		r := rng(uint64(n))
		a, b, want := floats(r, n), floats(r, n), make([]float32, n)
		for i := range want {
			want[i] = float32(float32(a[i]+b[i])*a[i]) - b[i]
		}
		eachLevel(t, func(t *testing.T) {
			for threads := 1; threads <= 3; threads++ {
				withThreads(t, threads)
				got := guard(n, n)
				EachBlock(polynomial, n, got.x, a, b)
				diff(t, fmt.Sprint(n), got.x, want)
				got.check(t, fmt.Sprint(n))
				inPlace := guardOf(a, n) // each block is read before it is written
				EachBlock(polynomial, n, inPlace.x, inPlace.x, b)
				diff(t, fmt.Sprintf("%d in place", n), inPlace.x, want)
			}
		})
	}
}

// TestEachAllocates holds calls to no memory of their own once their scratch is there.
func TestEachAllocates(t *testing.T) {
	x, y, z := make([]float32, 64*200), make([]float32, 64*200), make([]float32, 32*200)
	bias, by := make([]float32, 200), make([]float32, 32)
	for threads := 1; threads <= 2; threads++ {
		withThreads(t, threads)
		call := func() { EachRow(gate, 32, 200, y, z, x, bias, by) }
		for range 10 {
			call()
		}
		if a := testing.AllocsPerRun(100, call); a > 0 {
			t.Errorf("%d threads: %v allocations", threads, a)
		}
	}
}
