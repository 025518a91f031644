package kernelbench

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/gradsmith/gradsmith/runtime/internal/hook"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

var report = flag.String("report", "", "measure all kernels and write the tables into this Markdown file")
var section = flag.String("section", "", "the only table of -report to measure, such as products")

// sections are the tables of the report, by the kernels in them; what none of them names is in the last.
var sections = []struct {
	name    string
	kernels []string
}{
	{"products", []string{"GemmNN", "GemmNT", "GemmTN", "GemmPacked"}},
	{"attention", []string{"Attention", "AttentionGrad", "AttentionPlain", "AttentionCached"}},
	{"rows", []string{"Softmax", "SoftmaxGrad", "CrossEntropy", "GumbelSoftmax", "SampleRows", "LayerNorm",
		"LayerNormGrad", "SumRows"}},
	{"optimizers", []string{"Adam", "SGD", "SquaredNorm"}},
	{"elementwise", nil},
}

func sectionOf(kernel string) string {
	for _, s := range sections {
		if s.kernels == nil || slices.Contains(s.kernels, kernel) {
			return s.name
		}
	}
	return ""
}

// TestReport fills the tables of -report: each stands between <!-- name --> and <!-- end -->.
func TestReport(t *testing.T) {
	if *report == "" {
		t.Skip("measures all kernels, with -report")
	}
	text, err := os.ReadFile(*report)
	if err != nil {
		t.Fatal(err)
	}
	before, threads := kernel.Level(), parallel.Threads()
	defer hook.SetLevel(before)
	defer parallel.SetThreads(threads)
	parallel.SetThreads(1)
	debug.SetGCPercent(400)
	runtime.LockOSThread()
	levels := []string{"avx2", "avx512"}
	levels = slices.DeleteFunc(levels, func(l string) bool { return !hook.SetLevel(l) })
	tables := map[string]*bytes.Buffer{}
	if *section == "" {
		tables["machine"] = machineTable(levels)
	}
	for _, b := range benchmarks() {
		name := sectionOf(b.kernel)
		if *section != "" && name != *section {
			continue
		}
		w := tables[name]
		if w == nil {
			w = new(bytes.Buffer)
			tables[name] = w
			writeHead(w, levels, name == "attention")
		}
		writeRow(w, b.kernel, b.size, levels, b.measure(levels, Options{Threads: 1, Rounds: *rounds}))
	}
	for name, w := range tables {
		text = fill(t, text, name, w.Bytes())
	}
	if err := os.WriteFile(*report, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// fill puts a table between its marks.
func fill(t *testing.T, text []byte, name string, table []byte) []byte {
	t.Helper()
	re := regexp.MustCompile(`(?s)(<!-- ` + regexp.QuoteMeta(name) + ` -->\n).*?(<!-- end -->)`)
	at := re.FindSubmatchIndex(text)
	if at == nil {
		t.Fatalf("no place for the table %q", name)
	}
	return slices.Concat(text[:at[3]], table, text[at[4]:])
}

func machineTable(levels []string) *bytes.Buffer {
	w := new(bytes.Buffer)
	c := &cpuid.CPU.Cache
	fmt.Fprintf(w, "%s, first cache %d KiB, second %d KiB; %s %s/%s; %s. One thread.\n\n", cpuid.CPU.BrandName,
		c.L1D>>10, c.L2>>10,
		runtime.Version(), runtime.GOOS, runtime.GOARCH, time.Now().UTC().Format("2006-01-02"))
	fmt.Fprintln(w, "| | "+strings.Join(levels, " | ")+" |\n|---|"+strings.Repeat("---:|", len(levels)))
	row := func(name string, f func(l string) float64) {
		fmt.Fprintf(w, "| %s |", name)
		for _, l := range levels {
			fmt.Fprintf(w, " %.1f |", f(l))
		}
		fmt.Fprintln(w)
	}
	measure := func(f func()) float64 {
		var tm timer
		tm.add(f)
		tm.run(21)
		return tm.at(0, best)
	}
	row("fused multiply-adds, GFLOP/s", func(l string) float64 {
		fma, flops := limits(l)
		return 200 * flops / measure(func() { fma(200) })
	})
	for _, size := range []int{16 << 10, 512 << 10, 256 << 20} {
		buf := buffer(size)
		row(fmt.Sprintf("reading %d KiB, GB/s", size>>10),
			func(l string) float64 { return float64(size) / measure(func() { read(l, buf) }) })
	}
	return w
}

func writeHead(w *bytes.Buffer, levels []string, memory bool) {
	last := "plain Go"
	if memory {
		last = "works in"
	}
	fmt.Fprint(w, "| kernel | size |")
	for _, l := range levels {
		fmt.Fprintf(w, " %s | share |", l)
	}
	fmt.Fprintf(w, " %s |\n|---|---|%s\n", last, strings.Repeat("---:|", 2*len(levels)+1))
}

// writeRow is a line of a table: for each level the time and the share of the limit, and then how many times as long a
// plain loop takes as the last level, or how much memory the kernel works in.
func writeRow(w *bytes.Buffer, kernel, size string, levels []string, results []Result) {
	fmt.Fprintf(w, "| %s | %s |", kernel, strings.ReplaceAll(size, "x", "×"))
	last, naive := 0.0, 0.0
	memory := ""
	for _, r := range results {
		switch {
		case r.Level == "naive":
			naive = r.Nanoseconds
		case slices.Contains(levels, r.Level):
			fmt.Fprintf(w, " %s | %.0f %% of %s |", duration(r.Nanoseconds), 100*r.Share, r.Limit)
			last = r.Nanoseconds
			if r.Memory > 0 {
				memory = fmt.Sprintf(" %.1f MB", float64(r.Memory)/1e6)
			}
		}
	}
	if naive > 0 {
		fmt.Fprintf(w, " %.0f × |\n", naive/last)
	} else {
		fmt.Fprintf(w, "%s |\n", memory)
	}
}

// duration is a time in nanoseconds with three digits.
func duration(ns float64) string {
	for _, u := range []string{"ns", "µs", "ms"} {
		if ns < 999.5 {
			return fmt.Sprintf("%.3g %s", ns, u)
		}
		ns /= 1000
	}
	return fmt.Sprintf("%.3g s", ns)
}

func TestDuration(t *testing.T) {
	for ns, want := range map[float64]string{1.25: "1.25 ns", 999.6: "1 µs", 14567: "14.6 µs", 2.5e8: "250 ms",
		3e9: "3 s"} {
		if got := duration(ns); got != want {
			t.Errorf("%v ns is %q, want %q", ns, got, want)
		}
	}
	got := string(fill(t, []byte("a\n<!-- rows -->\nold\n<!-- end -->\nb"), "rows", []byte("| $1 |\n")))
	if want := "a\n<!-- rows -->\n| $1 |\n<!-- end -->\nb"; got != want {
		t.Errorf("filled in: %q, want %q", got, want)
	}
}
