package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/kernel/kernelbench"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// host is what was measured of this machine, in seconds and bytes a second.
type host struct {
	peak                         [2]float64 // floating-point operations a second of one thread and of two
	near, memory                 [2]float64 // of copies in the last cache, and beyond it
	ask, start, wake, grab, join float64
	// seconds that it takes more to write a line that another core has read, from a matrix that its cache holds and one
	// that it does not
	take  [2]float64
	fetch float64 // seconds that a line takes more to read that another core has written
}

func (h *host) String() string {
	return fmt.Sprintf("Peak %.0f and %.0f GFLOP/s on one and two threads; copies in the last cache %.0f and %.0f GB/s, "+
		"beyond it %.1f and %.1f GB/s.\nThe pool: %.0f ns to ask a worker, which begins %.0f ns later, or %.1f µs when it "+
		"has to be woken; %.0f ns a task; %.0f ns from the last one's end to the caller. Writing "+
		"what another core has read takes %.1f ns a line more, and %.1f ns where that has left the core's own cache; reading what "+
		"another has written %.1f ns.",
		h.peak[0]/1e9, h.peak[1]/1e9, h.near[0]/1e9, h.near[1]/1e9, h.memory[0]/1e9, h.memory[1]/1e9,
		1e9*h.ask, 1e9*h.start, 1e6*h.wake, 1e9*h.grab, 1e9*h.join, 1e9*h.take[0], 1e9*h.take[1], 1e9*h.fetch)
}

func measureHost() *host {
	defer parallel.SetThreads(parallel.Threads())
	h := &host{}
	for n := 1; n <= 2; n++ {
		parallel.SetThreads(n)
		h.peak[n-1] = kernelbench.Peak(n)
		h.near[n-1] = copies(3 << 20)
		h.memory[n-1] = copies(64 << 20)
	}
	parallel.SetThreads(2)
	m := &meeting{}
	var ask, start, join []float64
	for range 2000 {
		a, s, j := m.hold()
		ask, start, join = append(ask, a), append(start, s), append(join, j)
	}
	h.ask, h.start, h.join = middle(ask), middle(start), middle(join)
	var wake []float64
	for range 200 {
		for began := time.Now(); time.Since(began) < 200*time.Microsecond; { // the caller works on, as in a step
		}
		_, s, _ := m.hold()
		wake = append(wake, s)
	}
	h.wake = middle(wake)
	h.take[0], h.fetch = measureTake(256 << 10)
	h.take[1], _ = measureTake(3 << 20)
	var grab []float64
	for range 51 {
		const tasks = 4096
		began := time.Now()
		parallel.Run(tasks, nothing{})
		grab = append(grab, time.Since(began).Seconds()/tasks*2)
	}
	h.grab = middle(grab)
	return h
}

// copies is the bytes a second that are read, and fetched and written, when numbers are copied from one array of bytes
// to another.
func copies(bytes int) float64 {
	x, y := make([]float32, bytes/4), make([]float32, bytes/4)
	kernel.Fill(x, 1, len(x))
	kernel.Fill(y, 1, len(y))
	var times []float64
	for began := time.Now(); len(times) < 5 || time.Since(began) < 150*time.Millisecond; {
		one := time.Now()
		kernel.Copy(y, x, len(x))
		times = append(times, time.Since(one).Seconds())
	}
	return 2 * float64(bytes) / middle(times)
}

type nothing struct{}

func (nothing) Do(int) {}

// meeting is two tasks that wait for each other, so that each is another thread's. The first is the caller's.
type meeting struct {
	first, second, last time.Time
	begun               atomic.Int32
}

func (m *meeting) Do(task int) {
	if task == 0 {
		m.first = time.Now()
		for m.begun.Load() == 0 {
		}
		return
	}
	m.second = time.Now()
	m.begun.Store(1)
	for m.last = time.Now(); m.last.Sub(m.second) < 2*time.Microsecond; m.last = time.Now() {
	}
}

// hold gives what the caller takes before its first task, how much later the worker begins, and when the caller goes on
// after the worker has ended.
func (m *meeting) hold() (ask, start, join float64) {
	m.begun.Store(0)
	began := time.Now()
	parallel.Run(2, m)
	end := time.Now()
	return m.first.Sub(began).Seconds(), max(0, m.second.Sub(m.first).Seconds()), end.Sub(m.last).Seconds()
}

// exchange is two tasks, each of a thread of its own, which read or write an array each and take the time.
type exchange struct {
	x, y  [2][]float32
	of    int // 1: each takes the other's
	write bool
	took  [2]float64
	here  atomic.Int32
}

func (e *exchange) Do(task int) {
	for e.here.Add(1); e.here.Load() < 2; {
	}
	x := e.x[task^e.of]
	began := time.Now()
	for len(x) > 0 {
		n := min(4096, len(x))
		if e.write {
			kernel.Fill(x, 1, n)
		} else {
			kernel.SumCols(e.y[task], x, 1, n)
		}
		x = x[n:]
	}
	e.took[task] = time.Since(began).Seconds()
}

// measureTake writes so many bytes that the same thread has read, and that the other one has, and reads what each has
// written.
func measureTake(bytes int) (take, fetch float64) {
	var wrote, read [2][]float64
	e := &exchange{}
	for i := range 2 {
		e.x[i], e.y[i] = make([]float32, bytes/4), make([]float32, 32)
	}
	pass := func(write bool, of int) float64 {
		e.write, e.of = write, of
		e.here.Store(0)
		parallel.Run(2, e)
		return e.took[0]
	}
	for range 40 {
		for of := range 2 {
			pass(true, 0)
			read[of] = append(read[of], pass(false, of))
			wrote[of] = append(wrote[of], pass(true, 0))
		}
	}
	a := func(x *[2][]float64) float64 { return max(0, middle(x[1])-middle(x[0])) / float64(bytes/line) }
	return a(&wrote), a(&read)
}

// same reports whether it takes as long to ask a worker as when the machine was measured.
func (h *host) same() bool {
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(2)
	m := &meeting{}
	var ask []float64
	for range 200 {
		a, _, _ := m.hold()
		ask = append(ask, a)
	}
	now := middle(ask)
	return now < 1.5*h.ask && h.ask < 1.5*now
}
