package kernel

import (
	"math"
	"testing"
)

// AddRows gives the bits of SumRows and a sum, whatever the shape, and leaves what is not its own.
func TestAddRows(t *testing.T) {
	for _, rows := range []int{0, 1, 2, 7, 33, 400} {
		for _, cols := range []int{0, 1, 15, 16, 17, 63, 64, 65, 128, 200} {
			x, dst := make([]float32, rows*cols), make([]float32, cols+1)
			Normal(x, uint64(rows), 0, len(x))
			Normal(dst, uint64(cols), 0, len(dst))
			want, sum := append([]float32{}, dst...), make([]float32, cols)
			SumRows(sum, x, rows, cols)
			for i, s := range sum {
				want[i] += s
			}
			AddRows(dst, x, rows, cols)
			for i := range want {
				if math.Float32bits(dst[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%d × %d: element %d is %v, want %v", rows, cols, i, dst[i], want[i])
				}
			}
		}
	}
}
