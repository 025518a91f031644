// Package kernelbench measures the kernels of package kernel against the machine that they run on: every figure stands
// beside the peak rate of fused multiply-adds and the memory bandwidth, measured in the same run.
//
// It needs nothing but the kernels, so that a command can include it; comparisons with other libraries are in the
// module bench.
package kernelbench

import (
	"sort"
	"time"

	"github.com/gradsmith/gradsmith/runtime/cputime"
)

// timer calls functions in turn, so that a machine that is slow for a while is slow for all of them, and keeps the time
// of one call of each.
type timer struct {
	wall   bool // time by the clock: several threads work
	fs     []func()
	calls  []int
	rounds [][]float64
}

// roundTime is how long the calls of one function take in a round.
const roundTime = 500 * time.Microsecond

func (t *timer) add(f func()) int {
	t.fs = append(t.fs, f)
	return len(t.fs) - 1
}

func (t *timer) run(rounds int) {
	t.calls = make([]int, len(t.fs))
	t.rounds = make([][]float64, len(t.fs))
	for i, f := range t.fs {
		f()
		for n := 1; t.calls[i] == 0; n *= 2 {
			if t.elapsed(f, n) >= roundTime || n >= 1<<20 {
				t.calls[i] = n
			}
		}
	}
	for range rounds {
		for i, f := range t.fs {
			t.rounds[i] = append(t.rounds[i], float64(t.elapsed(f, t.calls[i]))/float64(t.calls[i]))
		}
	}
}

func (t *timer) elapsed(f func(), n int) time.Duration {
	wall, processor := time.Now(), cputime.Thread()
	for range n {
		f()
	}
	if t.wall {
		return time.Since(wall)
	}
	return cputime.Thread() - processor
}

// Rounds that are not one round.
const (
	median = -1
	best   = -2
)

// at is the time of one call of function i in a round, or the median or the best over all.
func (t *timer) at(i, round int) float64 {
	if round >= 0 {
		return t.rounds[i][round]
	}
	r := append([]float64(nil), t.rounds[i]...)
	sort.Float64s(r)
	if round == best {
		return r[0]
	}
	return r[len(r)/2]
}

func (t *timer) nanoseconds(i int) float64 { return t.at(i, median) }
