package parallel

import (
	"sync/atomic"
	"time"
)

// recording is what [Record] makes of each Run.
type recording struct {
	ran    func(body Body, times []time.Time)
	times  []time.Time
	inside bool // of a task
}

// recorded is the recording that takes place; nil outside of Record.
var recorded atomic.Pointer[recording]

// Record calls f while the pool stands still: kernels cut their work as for so many threads, but a Run makes its tasks
// one after the other in the goroutine that calls it. Then ran is told when the first of them began and when each of
// them ended. So a benchmark learns what the tasks of a program are, and how long each takes.
//
// A Run from inside of a task is a part of that task. times is used again when ran returns. Nothing else may call Run
// meanwhile.
func Record(threads int, ran func(body Body, times []time.Time), f func()) {
	before := Threads()
	SetThreads(threads)
	recorded.Store(&recording{ran: ran})
	defer func() {
		recorded.Store(nil)
		SetThreads(before)
	}()
	f()
}

// run makes the tasks of a Run.
func (r *recording) run(tasks int, body Body) {
	if r.inside {
		for i := range tasks {
			body.Do(i)
		}
		return
	}
	r.inside = true
	defer func() { r.inside = false }()
	r.times = append(r.times[:0], time.Now())
	for i := range tasks {
		body.Do(i)
		r.times = append(r.times, time.Now())
	}
	r.ran(body, r.times)
}
