package parallel

import (
	"slices"
	"testing"
	"time"
)

// TestRecord holds that a recorded Run makes its tasks in order in its own goroutine, that one from inside of a task
// belongs to it, and that the pool is as before, also after a panic.
func TestRecord(t *testing.T) {
	withThreads(t, 3)
	var order []int
	body := bodyFunc(func(task int) {
		order = append(order, task)
		if task == 1 {
			c := newCounts(4)
			Run(4, c)
			c.check(t, 1)
		}
		if Threads() != 16 {
			t.Errorf("tasks are cut for %d threads", Threads())
		}
	})
	calls := 0
	Record(16, func(b Body, times []time.Time) {
		calls++
		if len(times) != 4 || !slices.IsSortedFunc(times, time.Time.Compare) {
			t.Errorf("three tasks begin and end at %v", times)
		}
	}, func() {
		Run(3, body)
		Run(3, body)
	})
	if !slices.Equal(order, []int{0, 1, 2, 0, 1, 2}) || calls != 2 {
		t.Errorf("tasks ran in the order %v, and %d calls were told of", order, calls)
	}
	if panicOf(func() {
		Record(2, func(Body, []time.Time) {}, func() { Run(2, bodyFunc(func(int) { panic(errTask) })) })
	}) != errTask {
		t.Error("a panic is lost")
	}
	if n := Threads(); n != 3 {
		t.Errorf("there are %d threads after it", n)
	}
	Run(3, newMeeting(3))
}

type bodyFunc func(task int)

func (f bodyFunc) Do(task int) { f(task) }
