package graph

import (
	"fmt"
	"runtime/debug"
)

// Fault is what a stage panics with when it cannot go on. Specs are checked before they are compiled, so that is a
// mistake of the compiler. Package gen makes an error of it, in one place.
type Fault struct {
	Origin string // file:line of the spec's layer that was compiled; may be empty
	Cause  any    // what was wrong
	Stack  []byte
}

func (f *Fault) Error() string { return fmt.Sprint(f.Cause) }

// Blame is deferred by what works for one place of the spec: a panic in there becomes a Fault that names it.
func Blame(origin string) {
	if r := recover(); r != nil {
		panic(NewFault(origin, r))
	}
}

// NewFault is the Fault of a panic with cause, which may be one already.
func NewFault(origin string, cause any) *Fault {
	f, ok := cause.(*Fault)
	if !ok {
		f = &Fault{Cause: cause, Stack: debug.Stack()}
	}
	if f.Origin == "" {
		f.Origin = origin
	}
	return f
}
