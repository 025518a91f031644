package cputime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Thread is the time that this thread has had a processor: what other programs take does not count. Differences mean
// something between runtime.LockOSThread and runtime.UnlockOSThread.
func Thread() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
