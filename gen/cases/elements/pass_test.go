package elements

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// BenchmarkPass measures the sixteen operations of the layer, and those of its gradient, on 16 MiB in each matrix,
// which no cache holds, against a copy of as many bytes: as a multiple of its time, by one thread.
//
//	go test ./gen/cases/elements -run '^$' -bench Pass
func BenchmarkPass(b *testing.B) {
	const rows, n = 1 << 14, 256
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(1)
	for _, f := range []struct {
		name     string
		f        func(*kernel.Row)
		matrices int
	}{
		{"forward", chebyshevElements, 5}, {"forward, kernel by kernel", chebyshevElementsGeneric, 5},
		{"backward", chebyshevElementsGrad, 5}, {"backward, kernel by kernel", chebyshevElementsGradGeneric, 5},
	} {
		b.Run(f.name, func(b *testing.B) {
			x := make([][]float32, f.matrices)
			for k := range x {
				x[k] = make([]float32, rows*n)
				for i := range x[k] {
					x[k][i] = float32(i%97)/48 - 1
				}
			}
			half := f.matrices * rows * n / 2
			from, to := make([]float32, half), make([]float32, half)
			var ratios []float64
			for b.Loop() {
				start := time.Now()
				kernel.EachRow(f.f, rows, n, x...)
				pass := time.Since(start)
				start = time.Now()
				kernel.Copy(to, from, half)
				ratios = append(ratios, float64(pass)/float64(time.Since(start)))
			}
			slices.SortFunc(ratios, cmp.Compare[float64])
			b.ReportMetric(ratios[len(ratios)/2], "copies")
		})
	}
}
