package cache

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// Fits is the error that says that caches of a kind for batch sequences, so many bytes, are larger than the memory that
// there is: what the machine has, a limit of its container, or of the environment variable GOMEMLIMIT. Where the system
// does not tell (Linux does), it finds what Go cannot address.
func Fits(kind Kind, batch int, bytes int64) error {
	most, what := memory()
	if bytes <= most {
		return nil
	}
	advice := "take a smaller window or another kind"
	switch {
	case batch > 1:
		advice = "take fewer sequences, or a smaller kind"
	case kind == Q8:
		advice = "take a smaller window"
	}
	return fmt.Errorf("keys and values of %d sequences as %v take %s, and %s %s: %s", batch, kind, size(bytes), what,
		size(most), advice)
}

// memory is how many bytes there can be, and of what that is said.
func memory() (bytes int64, what string) {
	bytes, what = math.MaxInt, "Go can address"
	less := func(n int64, name string) {
		if n > 0 && n < bytes {
			bytes, what = n, name
		}
	}
	less(installed(), "this machine has")
	if data, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		n, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64) // "max" is 0, no limit
		less(n, "this container has")
	}
	less(debug.SetMemoryLimit(-1), "GOMEMLIMIT allows")
	return bytes, what
}

// installed is the memory of the machine in bytes, 0 where the system does not tell.
func installed() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}

func size(bytes int64) string {
	x, unit := float64(bytes), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if x < 1024 {
			break
		}
		x, unit = x/1024, u
	}
	return fmt.Sprintf("%.4g %s", x, unit)
}
