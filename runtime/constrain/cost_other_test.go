//go:build !linux

package constrain

import "time"

var begun = time.Now()

// threadTime is the time that has passed, where the system tells no better.
func threadTime() time.Duration { return time.Since(begun) }
