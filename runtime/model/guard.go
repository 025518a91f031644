package model

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrInUse is in the error of a call that was made while another goroutine was inside of a call that it cannot run
// beside.
var ErrInUse = errors.New("called from two goroutines at once")

// A Guard lets one goroutine at a time into the methods of a model or of a decoder, which keep what they compute in
// memory of their own. It never waits: the goroutine that comes second gets an error, and touches nothing. Decoders of
// a model may run beside each other, but not beside a call that trains or evaluates the model.
//
// The zero value is a guard of a model.
type Guard struct {
	users atomic.Int32 // exclusive, or the number of decoders that are at work
	model *Guard       // of a decoder: what guards its model
}

const exclusive = -1

// Watch makes g the guard of a decoder of the model that m guards. It is called before g is used.
func (g *Guard) Watch(m *Guard) { g.model = m }

// Enter begins a call of a method, which Leave ends; it returns an error when there is a fault in the arguments or
// another goroutine is inside. The name of the model and the call are for the error.
func (g *Guard) Enter(name, call string, fault error) error {
	switch {
	case fault != nil:
	case !g.users.CompareAndSwap(0, exclusive):
		fault = fmt.Errorf("%w: a model and a decoder serve one goroutine at a time; make a decoder for each "+
			"goroutine, or guard the model with a mutex", ErrInUse)
	case g.model != nil && !g.model.share():
		g.users.Store(0)
		fault = fmt.Errorf("%w: the model is being trained or evaluated; wait until that call has returned", ErrInUse)
	default:
		return nil
	}
	return fmt.Errorf("%s: %s: %w", name, call, fault)
}

// Leave ends a call that Enter has begun.
func (g *Guard) Leave() {
	if g.model != nil {
		g.model.users.Add(-1)
	}
	g.users.Store(0)
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
