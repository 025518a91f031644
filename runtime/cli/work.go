package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Work shows that something is being done of which nobody knows how long it takes: what it is and for how long it has
// gone on.
type Work struct {
	w     io.Writer
	line  *Line
	begun time.Time
	mu    sync.Mutex
	what  string
	once  sync.Once
	stop  chan struct{}
	ended chan struct{}
}

// NewWork begins to show what is being done, once that takes longer than a second: on a terminal, and as a line from
// time to time elsewhere. Until End nothing else may be written to w.
func NewWork(w io.Writer, what string) *Work {
	k := &Work{w: w, line: NewLine(w, 1), begun: time.Now(), what: what, stop: make(chan struct{}),
		ended: make(chan struct{})}
	go k.run()
	return k
}

// Now tells what is being done now.
func (k *Work) Now(what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.what = what
}

// End takes the line away. Calls after the first do nothing.
func (k *Work) End() {
	k.once.Do(func() { close(k.stop) })
	<-k.ended
}

func (k *Work) run() {
	defer close(k.ended)
	every := redraw
	if k.line == nil {
		every = between
	}
	wait := time.NewTimer(max(quiet, every))
	defer wait.Stop()
	for {
		select {
		case <-k.stop:
			k.line.Clear()
			return
		case <-wait.C:
		}
		k.mu.Lock()
		what := k.what
		k.mu.Unlock()
		parts := []Part{{what, 0}, {Duration(time.Since(k.begun)), 1}}
		if k.line != nil {
			k.line.Say(parts...)
		} else {
			fmt.Fprintln(k.w, Fit(parts, 120))
		}
		wait.Reset(every)
	}
}
