//go:build !linux

package kernelbench

import "time"

var start = time.Now()

// processorTime is wall-clock time where the time of a thread is not to be had.
func processorTime() time.Duration { return time.Since(start) }
