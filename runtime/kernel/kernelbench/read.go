package kernelbench

import (
	"time"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// ReadRate measures how many bytes a second products of one row read of matrices of float32 that have about size bytes
// together, on all threads: what bounds the speed of decoding. More than 256 MiB are not tried.
func ReadRate(size int) float64 {
	const k = 1024
	n := max(weights.PanelCols, min(size, 256<<20)/(4*k))
	b, err := weights.New(weights.F32, make([]float32, k*n), k, n)
	if err != nil {
		panic(err) // zeros are finite
	}
	a, c := make([]float32, k), make([]float32, n)
	kernel.GemmWeights(c, a, b, 1) // warm
	best := time.Duration(1<<63 - 1)
	for began, times := time.Now(), 0; times < 3 || time.Since(began) < 50*time.Millisecond; times++ {
		at := time.Now()
		kernel.GemmWeights(c, a, b, 1)
		best = min(best, max(1, time.Since(at)))
	}
	return float64(b.Bytes()) / best.Seconds()
}
