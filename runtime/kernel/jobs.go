package kernel

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// jobs is a free list of what calls of kernels, and their tasks, need while they run: a job outlives the stack of its
// caller, and must not be allocated anew each call. It keeps two for each thread, which is what one caller needs, if
// now and then. Of what many callers at once have needed it lets go what none of the last jobsWatched calls did, and it
// never keeps more than jobsMost, and as many in places.
//
// Tasks begin and end on all threads at about the same time, so that a lock would have them wait for each other, and a
// goroutine that waits may lose its thread. Each goroutine therefore has a place of its own, where it finds the job
// that it has given back, which its processor still has in its cache; the list behind the lock is for those that find
// nothing in their place and the next ones.
//
// A call that panics does not give its job back, as workers may have left it in any state.
type jobs[T any] struct {
	places [jobsMost]place[T]

	mu    sync.Mutex
	free  []*T
	least int // the shortest that free has been since calls were counted
}

const (
	jobsMost    = 64 // a power of two
	jobsWatched = 256
	jobsNear    = 4 // places that a goroutine looks at
)

// place is where a goroutine puts a job. Places are as far apart as what a processor fetches together.
type place[T any] struct {
	job  atomic.Pointer[T]
	puts atomic.Uint32
	seen uint32 // puts when the list was last looked through
	_    [128]byte
}

// home is the place of this goroutine, by where its stack is.
func home() int {
	var here byte
	const odd = 0x9e3779b1
	return int(uint32(uintptr(unsafe.Pointer(&here))>>14) * odd >> 26)
}

func (l *jobs[T]) get() *T { return l.from(home()) }

// from takes a job: one of the places at and behind it, or of the list, or, before it makes another one, of any place.
// A goroutine whose stack is larger than what home tells apart, and who puts from a deeper call than it gets from, or
// is moved in between, would else leave a job in each place that it comes by.
func (l *jobs[T]) from(at int) *T {
	if j := l.near(at, jobsNear); j != nil {
		return j
	}
	if j := l.listed(); j != nil {
		return j
	}
	if j := l.near(at+jobsNear, jobsMost-jobsNear); j != nil {
		return j
	}
	return new(T)
}

// near takes the job of one of n places, or nil.
func (l *jobs[T]) near(at, n int) *T {
	for k := range n {
		p := &l.places[(at+k)%jobsMost]
		if j := p.job.Load(); j != nil && p.job.CompareAndSwap(j, nil) {
			return j
		}
	}
	return nil
}

// listed takes a job of the list, or nil.
func (l *jobs[T]) listed() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.free)
	if n == 0 {
		l.least = 0
		return nil
	}
	j := l.free[n-1]
	l.free[n-1] = nil
	l.free = l.free[:n-1]
	l.least = min(l.least, n-1)
	return j
}

func (l *jobs[T]) put(j *T) { l.to(home(), j) }

// to gives a job back, to one of the places at and behind it or to the list.
func (l *jobs[T]) to(at int, j *T) {
	for k := range jobsNear {
		p := &l.places[(at+k)%jobsMost]
		if p.job.Load() == nil && p.job.CompareAndSwap(nil, j) {
			if p.puts.Add(1)%jobsWatched == 0 {
				l.shrink()
			}
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) < jobsMost {
		l.free = append(l.free, j)
	}
}

// shrink lets go what nobody has needed since it was last called: of the list, and of places beyond two for each
// thread.
func (l *jobs[T]) shrink() {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Those in front have not been taken.
	kept := copy(l.free, l.free[min(l.least, len(l.free)):])
	clear(l.free[kept:])
	l.free = l.free[:kept]
	l.least = kept
	full := 0
	for i := range l.places {
		if l.places[i].job.Load() != nil {
			full++
		}
	}
	for i := range l.places {
		p := &l.places[i]
		puts := p.puts.Load()
		if puts == p.seen && full > 2*parallel.Threads() {
			if p.job.Swap(nil) != nil {
				full--
			}
		}
		p.seen = puts
	}
}

// kept is the number of jobs that wait to be taken.
func (l *jobs[T]) kept() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.free)
	for i := range l.places {
		if l.places[i].job.Load() != nil {
			n++
		}
	}
	return n
}

// drain gives up the jobs that wait to be taken, and calls f with each.
func (l *jobs[T]) drain(f func(*T)) {
	l.mu.Lock()
	free := l.free
	l.free, l.least = nil, 0
	l.mu.Unlock()
	for i := range l.places {
		if j := l.places[i].job.Swap(nil); j != nil {
			free = append(free, j)
		}
	}
	for _, j := range free {
		f(j)
	}
}
