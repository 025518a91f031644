package modeltest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/internal/hook"
	"github.com/gradsmith/gradsmith/runtime/kernel"
)

// Elements holds a function of rows to the bits of its definition, which runs at level generic, at all levels that the
// machine has: for rows of any length, of ordinary and of extreme numbers. The rows of matrix k have parts[k] parts.
func Elements(t *testing.T, f func(*kernel.Row), parts ...int) {
	t.Helper()
	before := kernel.Level()
	defer hook.SetLevel(before)
	lengths := []int{64, 100, 255, 1031}
	for n := 1; n <= 35; n++ {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		const rows = 3
		first := elements(rows*n, parts, uint64(n))
		hook.SetLevel("generic")
		want := clones(first)
		kernel.EachRow(f, rows, n, want...)
		for _, level := range []string{"avx2", "avx512"} {
			if !hook.SetLevel(level) {
				continue
			}
			got := clones(first)
			kernel.EachRow(f, rows, n, got...)
			for k := range got {
				for i, x := range got[k] {
					if y := want[k][i]; math.Float32bits(x) != math.Float32bits(y) && (x == x || y == y) {
						t.Fatalf("at %s, with rows of %d elements, element %d of matrix %d is %v, by the definition %v",
							level, n, i, k, x, y)
					}
				}
			}
		}
	}
}

// elements are matrices with n elements for each part of a row: one in 16 is a number that functions treat apart.
func elements(n int, parts []int, seed uint64) [][]float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	apart := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 88.8, -88, 1e-30, -1e30, math.MaxFloat32, 1e-40,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	x := make([][]float32, len(parts))
	for k, p := range parts {
		x[k] = make([]float32, n*p)
		for i := range x[k] {
			if x[k][i] = float32(2 * r.NormFloat64()); r.IntN(16) == 0 {
				x[k][i] = apart[r.IntN(len(apart))]
			}
		}
	}
	return x
}

func clones(x [][]float32) [][]float32 {
	c := make([][]float32, len(x))
	for k := range x {
		c[k] = slices.Clone(x[k])
	}
	return c
}
