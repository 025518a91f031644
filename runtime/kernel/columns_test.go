package kernel

import (
	"fmt"
	"testing"
)

func TestScaleColumns(t *testing.T) {
	for _, rows := range []int{0, 1, 3, 70} {
		for _, cols := range rowSizes {
			r := rng(uint64(rows*2000 + cols))
			x, s := floats(r, rows*cols), floats(r, cols)
			want := make([]float32, rows*cols)
			for i := range want {
				want[i] = x[i] * s[i%cols]
			}
			eachLevel(t, func(t *testing.T) {
				what := fmt.Sprintf("%d rows of %d", rows, cols)
				got := guard(rows*cols, cols)
				ScaleColumns(got.x, x, s, rows, cols)
				diff(t, what, got.x, want)
				got.check(t, what)
				same := guardOf(x, rows)
				ScaleColumns(same.x, same.x, s, rows, cols)
				diff(t, what+" in place", same.x, want)
			})
		}
	}
}
