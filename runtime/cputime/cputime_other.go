//go:build !linux

package cputime

import "time"

var start = time.Now()

// Thread is wall-clock time where the time of a thread is not to be had.
func Thread() time.Duration { return time.Since(start) }
