package kernelbench

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/internal/hook"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// BenchmarkKernels is the same as Run, through Go's own tools: one sub-benchmark a kernel, size and level, for
// benchstat.
func BenchmarkKernels(b *testing.B) {
	before, threads := kernel.Level(), parallel.Threads()
	defer hook.SetLevel(before)
	defer parallel.SetThreads(threads)
	parallel.SetThreads(1)
	levels, err := levelsOf("")
	if err != nil {
		b.Fatal(err)
	}
	for _, k := range benchmarks() {
		for _, l := range levels {
			b.Run(k.kernel+"/"+k.size+"/"+l, func(b *testing.B) {
				if l == "generic" && k.flops > slow {
					b.Skip("the generic version takes seconds at this size")
				}
				hook.SetLevel(l)
				k.run()
				b.SetBytes(int64(k.read + k.write))
				for b.Loop() {
					k.run()
				}
				if k.flops > 0 {
					b.ReportMetric(k.flops*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				}
			})
		}
	}
}

var table = flag.String("table", "", "print the table of the kernels whose name and size contain this; all for every "+
	"kernel")
var tableThreads = flag.Int("threads", 1, "threads for -table")
var rounds = flag.Int("rounds", 11, "measurements of which the median counts, for -table and -report")
var tableLevels = flag.String("levels", "", "levels for -table")

// TestTable prints the table of Run with -table; it checks nothing but that it runs.
func TestTable(t *testing.T) {
	if *table == "" {
		t.Skip("prints the table of the benchmark, with -table")
	}
	if *table == "all" {
		*table = ""
	}
	if err := Run(os.Stdout,
		Options{Kernels: *table, Threads: *tableThreads, Levels: *tableLevels, Rounds: *rounds}); err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	var text, js bytes.Buffer
	if err := Run(&text, Options{Kernels: "GemmNN 64x64x64", Rounds: 1}); err != nil {
		t.Fatal(err)
	}
	if s := text.String(); !strings.Contains(s, kernel.Level()) || !strings.Contains(s, "naive") {
		t.Errorf("table without a line for %s or naive:\n%s", kernel.Level(), s)
	}
	if err := Run(&js, Options{Kernels: "Softmax 32x256", Rounds: 1, JSON: true}); err != nil {
		t.Fatal(err)
	}
	var r []Result
	if err := json.Unmarshal(js.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	for _, r := range r {
		if r.Kernel != "Softmax" || r.Nanoseconds <= 0 || r.Rate <= 0 {
			t.Errorf("result %+v", r)
		}
	}
	if len(r) == 0 {
		t.Error("no results")
	}
	text.Reset()
	err := Run(&text, Options{Kernels: "Gem64"})
	if err == nil || !strings.Contains(err.Error(), `"Gem64"`) ||
		!strings.Contains(err.Error(), "GELU, GELUErf, GELUGrad, Gate, GemmBF16, GemmF32, GemmNN, ") ||
		text.Len() > 0 {
		t.Errorf("a name that nothing has: %v, and prints %q", err, &text)
	}
	if err := Run(&js, Options{Levels: "sse"}); err == nil {
		t.Error("no error for an unknown level")
	}
}
