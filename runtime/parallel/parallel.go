// Package parallel is the one pool of workers of a process: kernels hand it work that is split over outputs, and it
// runs the pieces on every thread with about a microsecond between the call and the first piece.
//
// It knows nothing of what the pieces compute. It never splits a sum: which thread runs a piece, and in what order,
// must not show in the result, so a caller gives every piece outputs of its own.
//
// The pool is built for calls that follow each other closely, as the time steps of a recurrent network do. A worker
// that has run out of work spins for some tens of microseconds, because waking a sleeping thread costs several, and
// then parks: an idle process uses no processor time. A call that finds the pool taken, from another goroutine or from
// inside a piece, runs all its pieces itself, in order; it neither waits nor deadlocks.
package parallel

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Body is a piece of work that can be cut into tasks. Do runs task i; tasks run at the same time on several threads,
// in any order, each exactly once. The value behind the interface should be a pointer that the caller keeps and uses
// again: then Run allocates nothing.
type Body interface {
	Do(task int)
}

// maxTasks is the largest number of tasks of one call: state keeps it in 20 bits.
const maxTasks = 1<<20 - 1

// maxThreads bounds SetThreads; a larger number is cut to it.
const maxThreads = 1024

// spinFor is how long a worker looks for new work before it parks: longer than the gap between two kernels of a time
// step, short enough not to be seen in a process that does something else.
const spinFor = 50 * time.Microsecond

type pool struct {
	threads atomic.Int32 // callers plus workers in use

	busy atomic.Bool // a Run owns the pool

	// state is the generation of the current call (24 bits), its number of tasks (20) and the next task (20). A worker
	// takes a task by compare-and-swap on the whole word, so that a worker that comes late can never take a task of a
	// later call with the body of an earlier one.
	state atomic.Uint64
	done  atomic.Int64 // tasks finished in this call
	body  Body         // written before state, read only by the holder of a task

	parked  atomic.Int32 // workers asleep or about to sleep
	mu      sync.Mutex   // guards started and the slice of workers
	workers []*worker
}

type worker struct {
	wake   chan struct{}
	asleep atomic.Bool
	index  int
}

var shared pool

func init() {
	n := runtime.GOMAXPROCS(0)
	if s := os.Getenv("GRADSMITH_THREADS"); s != "" {
		v, err := strconv.Atoi(s)
		if err != nil || v < 1 {
			fmt.Fprintf(os.Stderr, "gradsmith: GRADSMITH_THREADS=%q: want a whole number of at least 1\n", s)
			os.Exit(1)
		}
		n = v
	}
	SetThreads(n)
}

// SetThreads sets the number of threads that a Run uses, the caller's included. A number below 1 counts as 1. It may
// be called at any time; a call that is running keeps the number that it began with.
func SetThreads(n int) {
	shared.threads.Store(int32(max(1, min(n, maxThreads))))
}

// Threads returns the number of threads that a Run uses, the caller's included. It starts as GRADSMITH_THREADS, or
// without it as GOMAXPROCS.
func Threads() int { return int(shared.threads.Load()) }

// Run runs tasks 0 to tasks-1 of body and returns when all are done. The caller works too. No tasks is a no-op. It
// allocates nothing, but for starting workers the first time.
func Run(tasks int, body Body) {
	if tasks <= 0 {
		return
	}
	p := &shared
	threads := int(p.threads.Load())
	if tasks == 1 || threads == 1 || tasks > maxTasks || !p.busy.CompareAndSwap(false, true) {
		for i := range tasks {
			body.Do(i)
		}
		return
	}
	p.run(tasks, threads, body)
}

func (p *pool) run(tasks, threads int, body Body) {
	if len(p.workers) < threads-1 {
		p.start(threads - 1)
	}
	p.body = body
	p.done.Store(0)
	gen := (p.state.Load()>>40 + 1) & (1<<24 - 1)
	p.state.Store(gen<<40 | uint64(tasks)<<20)
	if p.parked.Load() > 0 {
		need := min(threads, tasks) - 1
		for _, w := range p.workers[:threads-1] {
			if need == 0 {
				break
			}
			if w.asleep.CompareAndSwap(true, false) {
				w.wake <- struct{}{}
			}
			need--
		}
	}
	p.work(gen)
	for spins := 0; p.done.Load() < int64(tasks); spins++ {
		if spins > 2000 {
			// The thread that holds the last task may have lost its processor: give it this one.
			runtime.Gosched()
			spins = 1000
		}
	}
	p.body = nil
	p.busy.Store(false)
}

// work takes tasks of call gen until there are none left.
func (p *pool) work(gen uint64) {
	for {
		s := p.state.Load()
		next, tasks := s&(1<<20-1), s>>20&(1<<20-1)
		if s>>40 != gen || next >= tasks {
			return
		}
		if p.state.CompareAndSwap(s, s+1) {
			p.body.Do(int(next))
			p.done.Add(1)
		}
	}
}

// start makes sure that there are at least n workers. The caller owns the pool.
func (p *pool) start(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.workers) < n {
		w := &worker{wake: make(chan struct{}, 1), index: len(p.workers)}
		p.workers = append(p.workers, w)
		go w.loop(p, p.state.Load()>>40)
	}
}

func (w *worker) loop(p *pool, seen uint64) {
	for {
		gen, ok := w.wait(p, seen)
		if !ok {
			// Parked: say so first, then look once more, so that a call made in between is not missed.
			w.asleep.Store(true)
			p.parked.Add(1)
			if p.state.Load()>>40 == seen || w.index >= int(p.threads.Load())-1 {
				<-w.wake
			} else if !w.asleep.CompareAndSwap(true, false) {
				<-w.wake // the caller saw us asleep and has sent, or is about to
			}
			p.parked.Add(-1)
			gen = p.state.Load() >> 40
		}
		seen = gen
		if w.index < int(p.threads.Load())-1 {
			p.work(gen)
		}
	}
}

// wait spins until a call after seen begins, or gives up after spinFor.
func (w *worker) wait(p *pool, seen uint64) (uint64, bool) {
	var began time.Time
	for i := 1; ; i++ {
		if gen := p.state.Load() >> 40; gen != seen {
			return gen, true
		}
		if i%256 == 0 {
			if began.IsZero() {
				began = time.Now()
			} else if time.Since(began) > spinFor {
				return 0, false
			}
			runtime.Gosched()
		}
	}
}
