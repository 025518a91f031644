package parallel

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type counts struct {
	n      []atomic.Int32
	nested *counts
}

func (c *counts) Do(i int) {
	c.n[i].Add(1)
	if c.nested != nil {
		Run(len(c.nested.n), c.nested)
	}
}

func newCounts(n int) *counts { return &counts{n: make([]atomic.Int32, n)} }

func (c *counts) check(t *testing.T, want int32) {
	t.Helper()
	for i := range c.n {
		if got := c.n[i].Load(); got != want {
			t.Fatalf("task %d of %d ran %d times, want %d", i, len(c.n), got, want)
		}
	}
}

func withThreads(t *testing.T, n int) {
	old := Threads()
	SetThreads(n)
	t.Cleanup(func() { SetThreads(old) })
}

func TestEveryTaskRunsOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		withThreads(t, threads)
		for _, n := range []int{0, 1, 2, 3, 17, 1000} {
			c := newCounts(n)
			for range 50 {
				Run(n, c)
			}
			c.check(t, 50)
		}
	}
}

func TestAfterParking(t *testing.T) {
	withThreads(t, 4)
	c := newCounts(64)
	for range 20 {
		Run(64, c)
		time.Sleep(4 * spinFor) // long enough for the workers to park; whether they have does not matter to the result
	}
	c.check(t, 20)
}

func TestNested(t *testing.T) {
	withThreads(t, 3)
	inner, outer := newCounts(5), newCounts(7)
	outer.nested = inner
	Run(7, outer)
	outer.check(t, 1)
	inner.check(t, 7)
}

func TestManyCallers(t *testing.T) {
	withThreads(t, 4)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := newCounts(33)
			for range 500 {
				Run(33, c)
			}
			c.check(t, 500)
		})
	}
	wg.Wait()
}

func TestChangingThreads(t *testing.T) {
	withThreads(t, 2)
	c := newCounts(40)
	for i := range 200 {
		SetThreads(1 + i%5)
		Run(40, c)
	}
	c.check(t, 200)
}

func TestNoAllocations(t *testing.T) {
	withThreads(t, 4)
	c := newCounts(100)
	Run(100, c)
	if n := testing.AllocsPerRun(200, func() { Run(100, c) }); n != 0 {
		t.Errorf("Run allocates %v times a call, want 0", n)
	}
}

type nothing struct{ pad [2]atomic.Int64 }

func (n *nothing) Do(i int) { n.pad[i].Add(1) }

// BenchmarkForkJoin is the cost of a Run of two empty tasks.
func BenchmarkForkJoin(b *testing.B) {
	SetThreads(2)
	var n nothing
	for b.Loop() {
		Run(2, &n)
	}
}

// goroutine is the number of the goroutine that calls it.
func goroutine() string {
	b := make([]byte, 64)
	return strings.Fields(string(b[:runtime.Stack(b, false)]))[1]
}

// TestSameThreads holds that a thread gets the same tasks in each call, those that lie beside each other: here the
// tasks wait for each other, so that nobody can take over those of others.
func TestSameThreads(t *testing.T) {
	const threads = 5
	withThreads(t, threads)
	var first, now [threads]string
	for round := range 50 {
		m := newMeeting(threads)
		m.then = func(task int) { now[task] = goroutine() }
		Run(threads, m)
		if round == 0 {
			first = now
		}
		if now != first || now[0] != goroutine() {
			t.Fatalf("tasks run in goroutines %v at first, in %v in round %d; the caller is %s", first, now, round,
				goroutine())
		}
	}
}

// TestRanges runs calls with fewer tasks than threads, and with more threads than there are ranges of tasks.
func TestRanges(t *testing.T) {
	for _, threads := range []int{maxRanges - 1, maxRanges, maxRanges + 1, 3 * maxRanges} {
		withThreads(t, threads)
		for _, n := range []int{2, maxRanges - 1, maxRanges, maxRanges + 1, threads, 1000} {
			c := newCounts(n)
			for range 20 {
				Run(n, c)
			}
			c.check(t, 20)
		}
		for bad := range 9 {
			f := &fragile{done: make([]atomic.Int32, 300), bad: func(task int) bool { return task%9 == bad }}
			if panicOf(func() { Run(300, f) }) == nil {
				t.Error("a panic is lost")
			}
		}
	}
}

// TestTake takes the tasks of a range from both ends.
func TestTake(t *testing.T) {
	var s span
	if _, ok := s.front(); ok {
		t.Error("an empty range has a first task")
	}
	s.ends.Store(maxTasks<<32 | (maxTasks - 3))
	var got []int
	for _, take := range []func() (int, bool){s.back, s.front, s.back, s.back, s.front} {
		if i, ok := take(); ok {
			got = append(got, i-maxTasks)
		}
	}
	if !slices.Equal(got, []int{-1, -3, -2}) {
		t.Errorf("a range of three gives %v", got)
	}
}
