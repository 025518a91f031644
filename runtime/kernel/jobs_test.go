package kernel

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// TestMain refuses to test another level than the one that is asked for.
func TestMain(m *testing.M) {
	if err := Environment(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// What many calls at once needed is let go when it is no longer needed, and calls one after the other get the same job
// each time.
func TestJobsShrink(t *testing.T) {
	old := parallel.Threads()
	parallel.SetThreads(2)
	defer parallel.SetThreads(old)
	var l jobs[int]
	for _, crowd := range []int{1, 5, jobsMost, 10 * jobsMost} {
		held := map[*int]bool{}
		for range crowd {
			held[l.get()] = true
		}
		if len(held) != crowd {
			t.Fatalf("%d calls at once share jobs", crowd)
		}
		for j := range held {
			l.put(j)
		}
		if n := l.kept(); n > 2*jobsMost {
			t.Errorf("%d jobs are kept of %d", n, crowd)
		}
		for range 2 * jobsWatched {
			l.put(l.get())
		}
		if n := l.kept(); n > 4 {
			t.Errorf("after %d calls at once and %d alone, %d jobs are kept", crowd, 2*jobsWatched, n)
		}
		if n := testing.AllocsPerRun(2*jobsWatched, func() { l.put(l.get()) }); n != 0 {
			t.Errorf("a call alone allocates %v times", n)
		}
	}
}

// Calls one after the other use one job, wherever the stack is when they get it and when they put it back.
func TestJobsAnywhere(t *testing.T) {
	var l jobs[int]
	at := 0
	if n := testing.AllocsPerRun(10*jobsWatched, func() {
		l.to(at/jobsMost, l.from(at))
		at++
	}); n != 0 {
		t.Errorf("a call allocates %v times", n)
	}
	if n := l.kept(); n != 1 {
		t.Errorf("%d jobs are kept", n)
	}
}

// No two goroutines hold the same job, whatever places theirs are.
func TestJobsAtOnce(t *testing.T) {
	var l jobs[atomic.Int32]
	var wg sync.WaitGroup
	for range 3 * jobsMost {
		wg.Go(func() {
			for range 500 {
				a, b := l.get(), l.get()
				if a.Add(1) != 1 || b.Add(1) != 1 {
					t.Error("two hold one job")
				}
				runtime.Gosched()
				a.Add(-1)
				b.Add(-1)
				l.put(a)
				l.put(b)
			}
		})
	}
	wg.Wait()
	if n := l.kept(); n > 2*jobsMost {
		t.Errorf("%d jobs are kept", n)
	}
}

// A kernel that panics in the middle of parallel work leaves the pool and itself fit for the next call.
func TestPanicInKernel(t *testing.T) {
	old := parallel.Threads()
	parallel.SetThreads(2)
	defer parallel.SetThreads(old)
	const rows, dim = 4000, 64
	table, ids := make([]float32, 10*dim), make([]int32, rows)
	for i := range ids {
		ids[i] = int32(i % 10)
	}
	for i := range table {
		table[i] = float32(i)
	}
	dst, want := make([]float32, rows*dim), make([]float32, rows*dim)
	Gather(want, table, ids, dim)
	for _, bad := range []int{0, rows / 2, rows - 1} {
		ids[bad] += 1000
		func() {
			defer func() {
				if value := recover(); value == nil {
					t.Error("an index that the table does not have is no panic")
				}
			}()
			Gather(dst, table, ids, dim)
		}()
		ids[bad] -= 1000
		Gather(dst, table, ids, dim)
		diff(t, "after a panic", dst, want)
	}
}

func TestChooseLevel(t *testing.T) {
	for env, want := range map[string]int{"": avx2, "generic": generic, "avx2": avx2} {
		if l, err := chooseLevel(avx2, env); l != want || err != nil {
			t.Errorf("%q is level %d, %v", env, l, err)
		}
	}
	for env, what := range map[string]string{"avx512": "has avx2 at best", "AVX2": "want generic",
		"sse": "want generic", " ": "want generic"} {
		if l, err := chooseLevel(avx2, env); l != avx2 || err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%q is level %d, %v", env, l, err)
		}
	}
}
