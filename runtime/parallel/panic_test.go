package parallel

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// meeting is work whose tasks wait for each other: it ends only where all of them run at the same time.
type meeting struct {
	here atomic.Int32
	all  chan struct{}
	n    int32
	then func(task int)
}

func newMeeting(n int) *meeting { return &meeting{all: make(chan struct{}), n: int32(n)} }

func (m *meeting) Do(task int) {
	if m.here.Add(1) == m.n {
		close(m.all)
	}
	select {
	case <-m.all:
	case <-time.After(time.Minute):
		panic("the tasks do not run at the same time")
	}
	if m.then != nil {
		m.then(task)
	}
}

// panicOf is what f panics with.
func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

var errTask = errors.New("a task that can't go on")

// fragile is work in which some tasks panic. It knows how many tasks run.
type fragile struct {
	running atomic.Int32
	done    []atomic.Int32
	bad     func(task int) bool
}

func (f *fragile) Do(task int) {
	f.running.Add(1)
	defer f.running.Add(-1)
	if f.bad(task) {
		panic(errTask)
	}
	for range 50 {
		runtime.Gosched()
	}
	f.done[task].Add(1)
}

// TestPanic lets random tasks panic: the panic reaches the caller, no task runs when it does, and the next calls run
// every task once and on all threads.
func TestPanic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		threads, tasks := 2+r.IntN(4), 2+r.IntN(12)
		withThreads(t, threads)
		bad := map[int]bool{r.IntN(tasks): true, r.IntN(tasks): true}
		f := &fragile{done: make([]atomic.Int32, tasks), bad: func(task int) bool { return bad[task] }}
		value := panicOf(func() { Run(tasks, f) })
		err, ok := value.(error)
		if !ok || !errors.Is(err, errTask) {
			t.Fatalf("the caller gets %v", value)
		}
		if n := f.running.Load(); n != 0 {
			t.Fatalf("%d tasks still run when the panic reaches the caller", n)
		}
		if p, ok := value.(*Panic); ok &&
			(!strings.Contains(string(p.Stack), "(*fragile).Do") || !strings.Contains(p.Error(), errTask.Error())) {
			t.Fatalf("a panic of another thread says %v", p)
		}
		Run(threads, newMeeting(threads)) // all threads at once
		c := newCounts(tasks)
		Run(tasks, c)
		c.check(t, 1)
	}
}

// TestPanicOfWorker holds where a panic comes from: of the two tasks, which run on two threads, the one that is not in
// the caller's goroutine panics.
func TestPanicOfWorker(t *testing.T) {
	withThreads(t, 2)
	stack := func() string { b := make([]byte, 1<<16); return string(b[:runtime.Stack(b, false)]) }
	m := newMeeting(2)
	m.then = func(int) {
		if !strings.Contains(stack(), "TestPanicOfWorker(") {
			panic(errTask)
		}
	}
	var p *Panic
	if err, _ := panicOf(func() { Run(2, m) }).(error); !errors.As(err, &p) || !errors.Is(err, errTask) ||
		!strings.Contains(string(p.Stack), "(*meeting).Do") {
		t.Errorf("the caller gets %v", err)
	}
	m = newMeeting(2)
	m.then = func(int) {
		if strings.Contains(stack(), "TestPanicOfWorker(") {
			panic(errTask)
		}
	}
	if value := panicOf(func() { Run(2, m) }); value != errTask {
		t.Errorf("a panic in its own goroutine reaches the caller as %v", value)
	}
}

// TestGoexit lets tasks end their goroutine, as FailNow of a test does: the caller is told, and the pool has as many
// workers as before.
func TestGoexit(t *testing.T) {
	withThreads(t, 3)
	for range 20 {
		m := newMeeting(3)
		m.then = func(int) { runtime.Goexit() }
		ended := make(chan any)
		go func() {
			whole := false
			defer func() { ended <- fmt.Sprint(whole, recover()) }()
			Run(3, m)
			whole = true
		}()
		if got := <-ended; got != "false <nil>" {
			t.Fatalf("the goroutine of the caller ended with %v", got)
		}
		Run(3, newMeeting(3))
	}
}

// TestShares holds that two calls at once share the workers: while the first one holds its share, the second one runs
// on several threads as well.
func TestShares(t *testing.T) {
	withThreads(t, 4)
	began, end := make(chan struct{}, 2), make(chan struct{})
	first := newMeeting(2)
	first.then = func(int) { began <- struct{}{}; <-end }
	var wg sync.WaitGroup
	wg.Go(func() { Run(2, first) })
	<-began
	<-began
	Run(2, newMeeting(2))

	// From inside of a task too.
	outer := newMeeting(2)
	outer.then = func(task int) {
		if task == 0 {
			c := newCounts(9)
			Run(9, c)
			c.check(t, 1)
		}
	}
	Run(2, outer)
	close(end)
	wg.Wait()
}

// TestMoreCallersThanCalls has more callers at once than calls share the workers, with panics in between.
func TestMoreCallersThanCalls(t *testing.T) {
	withThreads(t, 4)
	var wg sync.WaitGroup
	for i := range 3 * maxCalls {
		wg.Go(func() {
			for k := range 100 {
				if (i+k)%7 == 0 {
					f := &fragile{done: make([]atomic.Int32, 5), bad: func(task int) bool { return task == k%5 }}
					if panicOf(func() { Run(5, f) }) == nil {
						t.Error("a panic is lost")
					}
					continue
				}
				c := newCounts(17)
				Run(17, c)
				c.check(t, 1)
			}
		})
	}
	wg.Wait()
	if taken := shared.taken.Load(); taken != 0 {
		t.Errorf("calls %b are not given back", taken)
	}
	Run(4, newMeeting(4))
}

// TestWorkersEnd holds that workers end when fewer threads are asked for.
func TestWorkersEnd(t *testing.T) {
	withThreads(t, 1)
	before := runtime.NumGoroutine()
	SetThreads(20)
	Run(20, newMeeting(20))
	SetThreads(1)
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before and %d after", before, runtime.NumGoroutine())
		}
		SetThreads(1) // ends those that were still at work
		time.Sleep(time.Millisecond)
	}
	SetThreads(3)
	Run(3, newMeeting(3))
}

// TestEnvironment holds what the environment variable may be.
func TestEnvironment(t *testing.T) {
	usual := runtime.GOMAXPROCS(0)
	for s, want := range map[string]int{"": usual, "1": 1, "7": 7} {
		if n, err := threadsOf(s); n != want || err != nil {
			t.Errorf("%q is %d threads, %v", s, n, err)
		}
	}
	for _, s := range []string{"0", "-1", "two", "1.5", " 2", "99999999999999999999"} {
		if n, err := threadsOf(s); n != usual || err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("GRADSMITH_THREADS=%q", s)) {
			t.Errorf("%q is %d threads, %v", s, n, err)
		}
	}
}
