package kernelbench

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/internal/hook"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// Options say what to measure and how to print it.
type Options struct {
	Kernels string // only kernels whose name and size, as printed, contain this
	Levels  string // the levels to run, comma-separated; all that the machine has if empty
	Threads int    // 1 if 0
	Rounds  int    // measurements of which the median counts; 11 if 0
	JSON    bool   // one JSON array of Result instead of a table
}

// A Result is one kernel at one size and level.
type Result struct {
	Kernel      string  `json:"kernel"`
	Size        string  `json:"size"`
	Level       string  `json:"level"` // generic, avx2, avx512, or naive for a plain Go loop
	Threads     int     `json:"threads"`
	Nanoseconds float64 `json:"ns"`
	Rate        float64 `json:"rate"`
	Unit        string  `json:"unit"`            // of Rate: GFLOP/s, GB/s or G elements/s
	Limit       string  `json:"limit,omitempty"` // what bounds the kernel: peak or memory
	LimitRate   float64 `json:"limitRate,omitempty"`
	Share       float64 `json:"share,omitempty"` // of the limit, the median over the rounds
	Best        float64 `json:"best,omitempty"`  // of the limit, in the best round of each: what a busy machine hides
	// bytes that the kernel works in besides its arguments, where that is much
	Memory int `json:"memory,omitempty"`
}

// A benchmark is one kernel at one size.
type benchmark struct {
	kernel, size string
	flops        float64 // multiplications and additions, 0 if the kernel is not bound by them
	read, write  float64 // bytes that must be read and written
	// bytes of those written that are not read as well; the machine reads their lines before it writes
	fresh    float64
	elements float64 // the unit of the rate, if flops is 0
	run      func()
	naive    func()     // nil if there is none
	memory   func() int // bytes to work in; nil if there are few
}

// Run measures every kernel that o names and prints the results to w. On one thread it counts the time that the thread
// has a processor, where the system tells; on several, time by the clock, for which the machine should be quiet.
func Run(w io.Writer, o Options) error {
	if o.Threads == 0 {
		o.Threads = 1
	}
	if o.Rounds == 0 {
		o.Rounds = 11
	}
	before, threads := kernel.Level(), parallel.Threads()
	defer func() {
		hook.SetLevel(before)
		parallel.SetThreads(threads)
	}()
	parallel.SetThreads(o.Threads)
	if o.Threads == 1 {
		runtime.LockOSThread() // the time of this thread is what counts
		defer runtime.UnlockOSThread()
	}
	levels, err := levelsOf(o.Levels)
	if err != nil {
		return err
	}
	list, err := named(o.Kernels)
	if err != nil {
		return err
	}
	var all []Result
	if !o.JSON {
		fmt.Fprintf(w, "%-16s %-16s %-8s %12s %9s %-11s %s\n", "kernel", "size", "level", "ns", "rate", "unit",
			"share of the limit")
	}
	for _, b := range list {
		for _, r := range b.measure(levels, o) {
			all = append(all, r)
			if !o.JSON {
				r.print(w)
			}
		}
	}
	if o.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	return nil
}

// named is the list of benchmarks whose name and size contain s.
func named(s string) ([]*benchmark, error) {
	var list []*benchmark
	var names []string
	for _, b := range benchmarks() {
		if strings.Contains(b.kernel+" "+b.size, s) {
			list = append(list, b)
		}
		if !slices.Contains(names, b.kernel) {
			names = append(names, b.kernel)
		}
	}
	if len(list) == 0 {
		sort.Strings(names)
		return nil, fmt.Errorf("no kernel has %q in its name and size; the kernels are %s", s,
			strings.Join(names, ", "))
	}
	return list, nil
}

// levelsOf is the list of levels that s names, or all that the machine has.
func levelsOf(s string) ([]string, error) {
	var levels []string
	if s == "" {
		for _, l := range []string{"generic", "avx2", "avx512"} {
			if hook.SetLevel(l) {
				levels = append(levels, l)
			}
		}
		return levels, nil
	}
	for _, l := range strings.Split(s, ",") {
		if !hook.SetLevel(l) {
			return nil, fmt.Errorf("kernelbench: this machine does not run kernels at level %q", l)
		}
		levels = append(levels, l)
	}
	return levels, nil
}

// slow is the number of operations from which the generic and the naive versions are left out: they would take seconds.
const slow = 5e7

// measure runs b at every level, each beside the limits of that level.
func (b *benchmark) measure(levels []string, o Options) []Result {
	var results []Result
	for _, l := range levels {
		if l == "generic" && b.flops > slow {
			continue
		}
		hook.SetLevel(l)
		t := timer{wall: o.Threads > 1}
		run := t.add(b.run)
		peak, memory := -1, -1
		fma, flops := limits(l)
		const rounds = 200
		if fma != nil && b.flops > 0 {
			peak = t.add(func() { fma(rounds) })
		}
		// Memory is read, or copied where the kernel writes a part that counts, over as many bytes as it touches.
		half := max(1024, int((b.read+b.write)/2)&^1023)
		traffic := 0.0
		if l != "generic" {
			buf := buffer(2 * half)
			if b.write > b.read/16 {
				memory = t.add(func() { move(l, buf[:half], buf[half:]) })
				traffic = (b.read + b.write + b.fresh) / float64(3*half)
			} else {
				memory = t.add(func() { read(l, buf) })
				traffic = (b.read + b.write + b.fresh) / float64(2*half)
			}
		}
		t.run(o.Rounds)
		r := Result{Kernel: b.kernel, Size: b.size, Level: l, Threads: o.Threads, Nanoseconds: t.nanoseconds(run)}
		limit := func(i int) (peakTime, memoryTime float64) {
			if peak >= 0 {
				peakTime = b.flops / (rounds * flops / t.at(peak, i)) / float64(o.Threads)
			}
			if memory >= 0 {
				memoryTime = t.at(memory, i) * traffic
			}
			return peakTime, memoryTime
		}
		b.rate(&r, &t, limit)
		if b.memory != nil {
			r.Memory = b.memory()
		}
		results = append(results, r)
	}
	if b.naive != nil && b.flops <= slow {
		var t timer
		t.add(b.naive)
		t.run(3)
		r := Result{Kernel: b.kernel, Size: b.size, Level: "naive", Threads: 1, Nanoseconds: t.nanoseconds(0)}
		b.rate(&r, &t, func(int) (float64, float64) { return 0, 0 })
		results = append(results, r)
	}
	return results
}

// rate fills in the rate of r and its limit: the longer of the times that the arithmetic and the memory need at least.
// limit returns both for a round, or for the median or the best of all.
func (b *benchmark) rate(r *Result, t *timer, limit func(round int) (peak, memory float64)) {
	peak, memory := limit(median)
	work := 0.0
	switch {
	case b.flops > 0 && memory <= peak || b.flops > 0 && memory == 0:
		work, r.Unit = b.flops, "GFLOP/s"
	case b.elements > 0:
		work, r.Unit = b.elements, "G elem/s"
	default:
		work, r.Unit = b.read+b.write, "GB/s"
	}
	r.Rate = work / r.Nanoseconds
	if peak == 0 && memory == 0 {
		return
	}
	r.Limit = "peak"
	if memory > peak {
		r.Limit = "memory"
	}
	r.LimitRate = work / max(peak, memory)
	var shares []float64
	for i := range t.rounds[0] {
		shares = append(shares, most(limit(i))/t.rounds[0][i])
	}
	sort.Float64s(shares)
	r.Share = shares[len(shares)/2]
	r.Best = most(limit(best)) / t.at(0, best)
}

func (r *Result) print(w io.Writer) {
	fmt.Fprintf(w, "%-16s %-16s %-8s %12.0f %9.2f %-11s", r.Kernel, r.Size, r.Level, r.Nanoseconds, r.Rate, r.Unit)
	if r.Limit != "" {
		fmt.Fprintf(w, " %5.1f%% (best round %5.1f%%) of %s %.1f", 100*r.Share, 100*r.Best, r.Limit, r.LimitRate)
	}
	if r.Memory > 0 {
		fmt.Fprintf(w, ", works in %.1f MB", float64(r.Memory)/1e6)
	}
	fmt.Fprintln(w)
}

var bytesOf []byte

// buffer is n bytes that have been written to, so that they are memory and not one page of zeros.
func buffer(n int) []byte {
	if len(bytesOf) < n {
		bytesOf = make([]byte, n)
		for i := range bytesOf {
			bytesOf[i] = byte(i)
		}
	}
	return bytesOf[:n]
}

var random = rand.New(rand.NewPCG(1, 2))

// numbers is n numbers from -1 to 1.
func numbers(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*random.Float32() - 1
	}
	return x
}

func most(a, b float64) float64 { return max(a, b) }
