// Command products times matrix products for openblas.py: it reads lines of a form and a size, "NN 64 64 64", and
// answers each with the seconds of one call.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/gradsmith/gradsmith/runtime/cputime"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

func main() {
	runtime.LockOSThread()
	parallel.SetThreads(1)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var form string
		var m, n, k int
		if _, err := fmt.Sscan(in.Text(), &form, &m, &n, &k); err != nil {
			fmt.Fprintln(os.Stderr, "products:", err)
			os.Exit(1)
		}
		fmt.Println(measure(form, m, n, k))
	}
}

func measure(form string, m, n, k int) float64 {
	a, b, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
	kernel.Uniform(a, 1, 0, len(a))
	kernel.Uniform(b, 2, 0, len(b))
	f := map[string]func(c, a, b []float32, m, n, k int, ep ...kernel.Epilogue){
		"NN": kernel.GemmNN, "NT": kernel.GemmNT, "TN": kernel.GemmTN,
	}[form]
	f(c, a, b, m, n, k)
	for calls := 1; ; calls *= 2 {
		start := cputime.Thread()
		for range calls {
			f(c, a, b, m, n, k)
		}
		if d := cputime.Thread() - start; d > 2*time.Millisecond {
			return d.Seconds() / float64(calls)
		}
	}
}
