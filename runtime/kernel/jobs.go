package kernel

import (
	"sync"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// jobs is a free list of what calls of kernels need while they run: a job outlives the stack of its caller, and must
// not be allocated anew each call. It keeps two for each thread, which is what one caller needs, if now and then. Of
// what many callers at once have needed it lets go what none of the last jobsWatched calls did, and it never keeps
// more than jobsMost.
//
// A call that panics does not give its job back, as workers may have left it in any state.
type jobs[T any] struct {
	mu    sync.Mutex
	free  []*T
	least int // the shortest that free has been since calls were counted
	calls int
}

const (
	jobsMost    = 64
	jobsWatched = 256
)

func (l *jobs[T]) get() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.free)
	if n == 0 {
		l.least = 0
		return new(T)
	}
	j := l.free[n-1]
	l.free[n-1] = nil
	l.free = l.free[:n-1]
	l.least = min(l.least, n-1)
	return j
}

func (l *jobs[T]) put(j *T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) < max(jobsMost, 2*parallel.Threads()) {
		l.free = append(l.free, j)
	}
	if l.calls++; l.calls == jobsWatched {
		// Those in front have not been taken by any of these calls.
		idle := min(l.least, max(0, len(l.free)-2*parallel.Threads()))
		kept := copy(l.free, l.free[idle:])
		clear(l.free[kept:])
		l.free = l.free[:kept]
		l.calls, l.least = 0, kept
	}
}
