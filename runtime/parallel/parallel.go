// Package parallel is the one pool of workers of a process: kernels hand it work that is split over outputs, and it
// runs the pieces on every thread with about a microsecond between the call and the first piece.
//
// It knows nothing of what the pieces compute. It never splits a sum: which thread runs a piece, and in what order,
// must not show in the result, so a caller gives every piece outputs of its own.
//
// The pool is built for calls that follow each other closely, as the time steps of a recurrent network do. A worker
// that has run out of work spins for some tens of microseconds, because waking a sleeping thread costs several, and
// then parks: an idle process uses no processor time. Calls that run at the same time, such as those of two trainings,
// share the workers: each gets as many of those that are free as there are threads for each call. A call never waits
// for a worker that has not begun, so calls from inside of a piece cannot deadlock.
//
// Pieces that lie beside each other go to one thread, and those at the same place of the next call to the same thread
// again, so that a processor finds in its own cache what it has written there: each thread has a range of the pieces,
// from the front of which it takes them. A thread that has done its own takes others, from the back of their ranges,
// so that nobody waits while there is work.
package parallel

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Body is a piece of work that can be cut into tasks. Do runs task i; tasks run at the same time on several threads,
// in any order, each exactly once. Tasks whose numbers are close are likely to run on one thread. The value behind the
// interface should be a pointer that the caller keeps and uses again: then Run allocates nothing.
//
// When a task panics, those that have not begun are left out.
type Body interface {
	Do(task int)
}

// maxThreads bounds SetThreads; a larger number is cut to it.
const maxThreads = 1024

// maxRanges is how many ranges the tasks of a call are cut into, at the most: so many bits has a word. More threads
// than that share them.
const maxRanges = 64

// maxTasks is the most tasks that threads share: a range's ends are two halves of a word.
const maxTasks = 1<<31 - 1

// maxCalls is how many calls share the workers at a time, at the most; others run their tasks themselves, in order.
const maxCalls = 16 // a power of two: see worker

// spinFor is how long a worker looks for new work before it parks: longer than the gap between two kernels of a time
// step, short enough not to be seen in a process that does something else.
const spinFor = 50 * time.Microsecond

// line is more than the cache lines that a processor fetches together: what two threads write lies that far apart.
const line = 128

type pool struct {
	threads atomic.Int32 // callers plus workers in use
	_       [line]byte
	taken   atomic.Uint32 // a bit for each of calls that a Run has
	_       [line]byte
	workers atomic.Pointer[[]*worker]
	mu      sync.Mutex // of what starts and ends workers
	calls   [maxCalls]call
}

// call is a Run on several threads. It is used again when that Run has returned: no worker is in it then.
type call struct {
	_     [line]byte
	body  Body
	first int           // the first worker that was asked, of
	most  int           // so many
	cut   int           // the number of ranges
	left  atomic.Uint64 // a bit for each range that may have tasks
	_     [line]byte
	fault atomic.Pointer[Panic]
	asked []asked
	parts [maxRanges]span
}

// span is a range of tasks that nobody has taken yet.
type span struct {
	_    [line]byte
	ends atomic.Uint64 // the first task, and 2³² times the one behind the last
}

// front takes the first task.
func (s *span) front() (int, bool) {
	for {
		v := s.ends.Load()
		from, to := uint32(v), uint32(v>>32)
		if from >= to {
			return 0, false
		}
		if s.ends.CompareAndSwap(v, v+1) {
			return int(from), true
		}
	}
}

// back takes the last task.
func (s *span) back() (int, bool) {
	for {
		v := s.ends.Load()
		from, to := uint32(v), uint32(v>>32)
		if from >= to {
			return 0, false
		}
		if s.ends.CompareAndSwap(v, v-1<<32) {
			return int(to - 1), true
		}
	}
}

// asked is a worker that was free when a call began.
type asked struct {
	w     *worker
	state uint64 // that it was asked in
}

// worker is a goroutine that takes part in calls, one after the other.
//
// Its state is one word, in which it and those who ask it agree on what it does: a number that grows with each call
// (58 bits), the number of the call (4), and what the worker does about it (2). So nobody mistakes a later call for an
// earlier one.
type worker struct {
	_      [line]byte
	state  atomic.Uint64
	_      [line]byte
	asleep atomic.Bool
	wake   chan struct{}
	number int // among the workers
}

// What a worker does about a call.
const (
	free    = iota // nothing: it looks for another
	called         // it has been asked to take part
	working        // it takes part
	ending         // it is no longer needed
	doing   = 3    // the bits of these

	callShift = 2
	growth    = maxCalls << callShift // of the state, from one call to the next
	numbers   = growth - 1            // the bits below
)

var shared pool

// environment is what is wrong with GRADSMITH_THREADS.
var environment error

func init() {
	n, err := threadsOf(os.Getenv("GRADSMITH_THREADS"))
	environment = err
	SetThreads(n)
}

// threadsOf reads GRADSMITH_THREADS. What is no number of threads counts as if it were not set.
func threadsOf(s string) (int, error) {
	n := runtime.GOMAXPROCS(0)
	if s == "" {
		return n, nil
	}
	v, err := strconv.Atoi(s)
	if err != nil || v < 1 {
		return n, fmt.Errorf("GRADSMITH_THREADS=%q: want a whole number of at least 1", s)
	}
	return v, nil
}

// Environment reports what is wrong with the environment variable GRADSMITH_THREADS, which the process began with; the
// number of threads is then that of GOMAXPROCS.
func Environment() error { return environment }

// SetThreads sets the number of threads that a Run uses, the caller's included. A number below 1 counts as 1. It may
// be called at any time; a call that is running keeps the number that it began with. Workers that are no longer needed
// end.
func SetThreads(n int) {
	n = max(1, min(n, maxThreads))
	p := &shared
	p.threads.Store(int32(n))
	if ws := p.workers.Load(); ws != nil && len(*ws) > n-1 {
		p.end(n - 1)
	}
}

// Threads returns the number of threads that a Run uses, the caller's included. It starts as GRADSMITH_THREADS, or
// without it as GOMAXPROCS. Calls that run at the same time share them.
func Threads() int { return int(shared.threads.Load()) }

// Run runs tasks 0 to tasks-1 of body and returns when all are done. The caller works too. No tasks is a no-op. It
// allocates nothing, but for starting workers the first time.
//
// When a task panics, Run panics when no other task runs any more: with the same value where the task ran in the
// caller's goroutine, else with a [*Panic] that holds it and its stack. The pool is then as it was before.
func Run(tasks int, body Body) {
	p := &shared
	if r := recorded.Load(); r != nil {
		r.run(tasks, body)
		return
	}
	if threads := int(p.threads.Load()); tasks > 1 && tasks <= maxTasks && threads > 1 {
		for {
			taken := p.taken.Load()
			i := bits.TrailingZeros32(^taken)
			if i >= maxCalls {
				break
			}
			if p.taken.CompareAndSwap(taken, taken|1<<i) {
				p.run(i, tasks, threads, bits.OnesCount32(taken)+1, body)
				return
			}
		}
	}
	for i := range tasks {
		body.Do(i)
	}
}

// run runs body as call number i, one of active calls that share the threads.
func (p *pool) run(i, tasks, threads, active int, body Body) {
	c := &p.calls[i]
	share := (threads + active - 1) / active
	c.body, c.first, c.most, c.cut = body, i*share, threads-1, min(share, tasks, maxRanges)
	at := func(k int) uint64 { return uint64(tasks) * uint64(k) / uint64(c.cut) }
	for k := range c.cut {
		c.parts[k].ends.Store(at(k+1)<<32 | at(k))
	}
	c.left.Store(1<<c.cut - 1)
	if n := min(share, tasks) - 1; n > 0 {
		p.ask(i, c.first, n, c.most)
	}
	whole := false
	defer func() { p.leave(i, whole) }()
	c.work(0)
	whole = true
}

// ask asks n of the first most workers to take part in call number i, those that are free, from number first on: so
// calls that share the workers ask each the same ones again and again.
func (p *pool) ask(i, first, n, most int) {
	c, ws := &p.calls[i], p.started(most)
	for k := range ws {
		w := ws[(first+k)%len(ws)]
		s := w.state.Load()
		if s&doing != free || !w.state.CompareAndSwap(s, s&^numbers|uint64(i)<<callShift|called) {
			continue
		}
		c.asked = append(c.asked, asked{w, s&^numbers | uint64(i)<<callShift | called})
		if w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
		if n--; n == 0 {
			return
		}
	}
}

// leave ends call number i: it waits for the workers that take part, and panics when a task of one has. whole is
// whether the caller has run its share to the end, and not panicked itself.
func (p *pool) leave(i int, whole bool) {
	c := &p.calls[i]
	if !whole {
		c.stop()
	}
	for _, a := range c.asked {
		for spins := 0; ; spins++ {
			s := a.w.state.Load()
			// A worker that has not begun need not.
			if s&^numbers != a.state&^numbers || s == a.state && a.w.state.CompareAndSwap(s, s&^numbers+growth) {
				break
			}
			if spins > 2000 {
				// The thread that holds the last task may have lost its processor: give it this one.
				runtime.Gosched()
				spins = 1000
			}
		}
	}
	fault := c.fault.Load()
	if fault != nil {
		c.fault.Store(nil)
	}
	c.body, c.asked = nil, c.asked[:0]
	p.taken.And(^(uint32(1) << i))
	if whole && fault != nil {
		panic(fault)
	}
}

// work takes tasks until there are none left, those of one range first.
func (c *call) work(own int) {
	body := c.body
	for {
		i, ok := c.parts[own].front()
		if !ok {
			break
		}
		body.Do(i)
	}
	for victim := own; ; {
		c.left.And(^(uint64(1) << victim))
		left := c.left.Load()
		if left == 0 {
			return
		}
		victim = (victim + bits.TrailingZeros64(bits.RotateLeft64(left, -victim))) % maxRanges
		for {
			i, ok := c.parts[victim].back()
			if !ok {
				break
			}
			body.Do(i)
		}
	}
}

// stop keeps further tasks from beginning.
func (c *call) stop() {
	for k := range c.cut {
		c.parts[k].ends.Store(0)
	}
}

// started makes sure that there are at least n workers and gives the first n.
func (p *pool) started(n int) []*worker {
	if ws := p.workers.Load(); ws != nil && len(*ws) >= n {
		return (*ws)[:n]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*worker
	if ws := p.workers.Load(); ws != nil {
		all = append(all, *ws...)
	}
	for len(all) < n {
		w := &worker{wake: make(chan struct{}, 1), number: len(all)}
		all = append(all, w)
		go w.loop(p)
	}
	p.workers.Store(&all)
	return all[:n]
}

// end ends the workers behind the first n, but for those that are at work: these stay until it is called again.
func (p *pool) end(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := *p.workers.Load()
	kept := append([]*worker{}, all[:min(n, len(all))]...)
	for _, w := range all[len(kept):] {
		if s := w.state.Load(); s&doing != free || !w.state.CompareAndSwap(s, s|ending) {
			kept = append(kept, w)
			continue
		}
		if w.asleep.Load() && w.asleep.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
	p.workers.Store(&kept)
}

// loop serves calls of p until the worker is no longer needed.
func (w *worker) loop(p *pool) {
	debug.SetPanicOnFault(true) // which is the caller's to judge, as of a file that is mapped and was shortened
	for {
		s := w.wait()
		switch s & doing {
		case ending:
			return
		case called:
			if w.state.CompareAndSwap(s, s&^doing|working) {
				w.serve(p, s)
			}
		}
	}
}

// serve takes part in the call of a state. A panic of a task stays in the call, for the goroutine that has made it.
func (w *worker) serve(p *pool, s uint64) {
	c := &p.calls[s&numbers>>callShift]
	whole := false
	defer func() {
		if !whole {
			value := recover()
			c.fail(value)
			if value == nil { // a task has ended the goroutine: another one takes its place
				defer func() { go w.loop(p) }()
			}
		}
		w.state.Store(s&^numbers + growth)
	}()
	c.work((1 + (w.number+c.most-c.first%c.most)%c.most) % c.cut)
	whole = true
}

// wait spins until the worker is asked for something, and parks when that takes long; it gives the state.
func (w *worker) wait() uint64 {
	var began time.Time
	for i := 1; ; i++ {
		if s := w.state.Load(); s&doing != free {
			return s
		}
		if i%256 == 0 {
			if began.IsZero() {
				began = time.Now()
			} else if time.Since(began) > spinFor {
				break
			}
			runtime.Gosched()
		}
	}
	// Say so first, then look once more, so that a call made in between is not missed.
	w.asleep.Store(true)
	if w.state.Load()&doing == free || !w.asleep.CompareAndSwap(true, false) {
		<-w.wake // who saw the worker asleep has sent, or is about to
	}
	return w.state.Load()
}
