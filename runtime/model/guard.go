package model

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// ErrInUse is in the error of a call that was made while another goroutine was inside of a call that it cannot run
// beside.
var ErrInUse = errors.New("called from two goroutines at once")

// ErrMounted is in the error of a call that needs the parameters of a model which has none, but matrices for writing.
var ErrMounted = errors.New("the model was loaded from a file of quantize, which has what writing needs and no more; " +
	"load the checkpoint that the file was made of")

// A Guard lets one goroutine at a time into the methods of a model or of a decoder, which keep what they compute in
// memory of their own. It never waits: the goroutine that comes second gets an error, and touches nothing. Decoders of
// a model may run beside each other, but not beside a call that trains or evaluates the model.
//
// The zero value is a guard of a model.
type Guard struct {
	users   atomic.Int32 // exclusive, or the number of decoders that are at work
	model   *Guard       // of a decoder: what guards its model
	refused error        // why no call may begin
	faults  bool         // of a decoder: what the goroutine that is inside had set debug.SetPanicOnFault to
}

const exclusive = -1

// Watch makes g the guard of a decoder of the model that m guards. It is called before g is used.
func (g *Guard) Watch(m *Guard) { g.model = m }

// Refuse makes every later call return an error. It is called inside of one.
func (g *Guard) Refuse(why error) { g.refused = why }

// Enter begins a call of a method, which Leave ends; it returns an error when there is a fault in the arguments or
// another goroutine is inside. The name of the model and the call are for the error.
func (g *Guard) Enter(name, call string, fault error) error {
	switch {
	case fault != nil:
	case g.refused != nil:
		fault = g.refused
	case !g.users.CompareAndSwap(0, exclusive):
		fault = fmt.Errorf("%w: a model and a decoder serve one goroutine at a time; make a decoder for each "+
			"goroutine, or guard the model with a mutex", ErrInUse)
	case g.model != nil && !g.model.share():
		g.users.Store(0)
		fault = fmt.Errorf("%w: the model is being trained or evaluated; wait until that call has returned", ErrInUse)
	default:
		if g.model != nil {
			g.faults = debug.SetPanicOnFault(true)
		}
		return nil
	}
	return fmt.Errorf("%s: %s: %w", name, call, fault)
}

// Leave ends a call that Enter has begun.
func (g *Guard) Leave() {
	if g.model != nil {
		debug.SetPanicOnFault(g.faults)
		g.model.users.Add(-1)
	}
	g.users.Store(0)
}

// LeaveFile is Leave for a call that reads weights, which may be those of a file that is mapped. It is deferred by the
// method itself: where the method has panicked because the file is no longer there, it returns that as an error in
// place of the panic. The decoder has then computed half of a step.
func (g *Guard) LeaveFile(err *error) {
	g.Leave()
	value := recover()
	if value == nil {
		return
	}
	if lost := files.Lost(value); lost != nil {
		*err = lost
		return
	}
	panic(value)
}

// share lets one more decoder in, unless the model is in use by itself.
func (g *Guard) share() bool {
	for {
		n := g.users.Load()
		if n == exclusive {
			return false
		}
		if g.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}
