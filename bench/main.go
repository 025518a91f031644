// Command bench compares the kernels with other Go libraries. It is a module of its own, so that users of gradsmith do
// not inherit what only the comparison needs. Its scripts do the same for libraries outside of Go: openblas.py and
// elementwise_torch.py.
//
//	go run .
//
// Every line is one measurement of both, taken in turn in one run, on one thread.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sort"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// median times the functions in turn and returns the median time of one call of each, in nanoseconds.
func median(rounds int, fs ...func()) []float64 {
	calls, times := make([]int, len(fs)), make([][]float64, len(fs))
	run := func(i int) time.Duration {
		start := time.Now()
		for range calls[i] {
			fs[i]()
		}
		return time.Since(start)
	}
	for i := range fs {
		for calls[i] = 1; run(i) < time.Millisecond; calls[i] *= 2 {
		}
	}
	for range rounds {
		for i := range fs {
			times[i] = append(times[i], float64(run(i))/float64(calls[i]))
		}
	}
	result := make([]float64, len(fs))
	for i, t := range times {
		sort.Float64s(t)
		result[i] = t[len(t)/2]
	}
	return result
}

func numbers(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = rand.Float32() - 0.5
	}
	return x
}

func main() {
	rounds := flag.Int("rounds", 7, "measurements of which the median counts")
	flag.Parse()
	parallel.SetThreads(1)
	fmt.Printf("kernels at level %s, one thread\n%-12s %-16s %12s %12s %8s\n", kernel.Level(), "operation", "size",
		"gradsmith", "gonum", "ratio")
	var g gonum.Implementation
	line := func(name, size, unit string, work float64, t []float64) {
		fmt.Printf("%-12s %-16s %8.1f %s %8.1f %s %6.1fx\n", name, size, work/t[0], unit, work/t[1], unit, t[1]/t[0])
	}
	for _, s := range [][3]int{{64, 64, 64}, {128, 128, 128}, {256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024},
		{32, 1024, 256}, {2048, 1024, 128}} {
		m, n, k := s[0], s[1], s[2]
		a, b, c := numbers(m*k), numbers(k*n), make([]float32, m*n)
		size, work := fmt.Sprintf("%dx%dx%d", m, n, k), 2*float64(m)*float64(n)*float64(k)
		line("product NN", size, "GF/s", work, median(*rounds,
			func() { kernel.GemmNN(c, a, b, m, n, k) },
			func() { g.Sgemm(blas.NoTrans, blas.NoTrans, m, n, k, 1, a, k, b, n, 0, c, n) }))
		line("product NT", size, "GF/s", work, median(*rounds,
			func() { kernel.GemmNT(c, a, b, m, n, k) },
			func() { g.Sgemm(blas.NoTrans, blas.Trans, m, n, k, 1, a, k, b, k, 0, c, n) }))
		line("product TN", size, "GF/s", work, median(*rounds,
			func() { kernel.GemmTN(c, a, b, m, n, k) },
			func() { g.Sgemm(blas.Trans, blas.NoTrans, m, n, k, 1, a, m, b, n, 0, c, n) }))
	}
	const rows, cols = 1024, 1024
	a, x, y := numbers(rows*cols), numbers(cols), make([]float32, cols)
	line("vector", "1x1024x1024", "GF/s", 2*rows*cols, median(*rounds,
		func() { kernel.GemmNN(y, x, a, 1, cols, rows) },
		func() { g.Sgemv(blas.Trans, rows, cols, 1, a, cols, x, 1, 0, y, 1) }))
	for _, n := range []int{1 << 10, 1 << 18, 1 << 22} {
		p, q := numbers(n), numbers(n)
		line("add scaled", fmt.Sprint(n), "G/s ", float64(n), median(*rounds,
			func() { kernel.AddScaled(p, p, q, 1e-9, n) },
			func() { g.Saxpy(n, 1e-9, q, 1, p, 1) }))
		line("norm", fmt.Sprint(n), "G/s ", float64(n), median(*rounds,
			func() { kernel.SquaredNorm(p, n) },
			func() { g.Snrm2(n, p, 1) }))
	}
}
