package app

import (
	"os"
	"strconv"
	"strings"
)

// peakMemory is the largest size that the process has had in memory, in bytes, where the system tells: Linux does. 0
// otherwise.
func peakMemory() int {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				return 0
			}
			return kib * 1024
		}
	}
	return 0
}
