package parallel

import (
	"fmt"
	"runtime/debug"
)

// Panic is what [Run] panics with when a task has panicked in the goroutine of a worker.
type Panic struct {
	Value any    // what the task panicked with; nil where it called runtime.Goexit
	Stack []byte // of the task, as runtime/debug.Stack gives it
}

// Error tells what the task panicked with, and where.
func (p *Panic) Error() string {
	return fmt.Sprintf("a task on another thread panicked: %v\n\n%s", p.what(), p.Stack)
}

func (p *Panic) what() any {
	if p.Value == nil {
		return "it called runtime.Goexit"
	}
	return p.Value
}

// Unwrap gives the value where it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// fail keeps the first panic of a task of c, and keeps further tasks from beginning. It is called where the stack is
// still that of the task.
func (c *call) fail(value any) {
	c.fault.CompareAndSwap(nil, &Panic{Value: value, Stack: debug.Stack()})
	c.stop()
}
