package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// floats is n normal numbers.
func floats(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// same reports whether a and b are the same bits, or both NaN.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func diff(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !same(got[i], want[i]) {
			t.Fatalf("%s: element %d is %v (%#x), want %v (%#x)", what, i, got[i], math.Float32bits(got[i]), want[i],
				math.Float32bits(want[i]))
		}
	}
}

// near checks got against a float64 reference with an absolute and a relative tolerance.
func near(t *testing.T, what string, got []float32, want []float64, abs, rel float64) {
	t.Helper()
	for i := range want {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= abs+rel*math.Abs(want[i])) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

const canary = 0x7fc0dead // a NaN that no kernel computes

// guarded is a slice of n elements inside a larger array whose other elements are canaries; check tells whether a
// kernel wrote to them. The elements themselves start as canaries too, so that one that is read before it is written
// shows as a NaN.
type guarded struct {
	all, x []float32
	at     int
}

func guard(n, misalign int) *guarded {
	g := &guarded{all: make([]float32, n+160), at: 64 + misalign%16}
	for i := range g.all {
		g.all[i] = math.Float32frombits(canary)
	}
	g.x = g.all[g.at : g.at+n : g.at+n]
	return g
}

func guardOf(x []float32, misalign int) *guarded {
	g := guard(len(x), misalign)
	copy(g.x, x)
	return g
}

func (g *guarded) check(t *testing.T, what string) {
	t.Helper()
	for i, v := range g.all {
		if (i < g.at || i >= g.at+len(g.x)) && math.Float32bits(v) != canary {
			t.Fatalf("%s: wrote at %d, outside of 0 to %d", what, i-g.at, len(g.x))
		}
	}
}

func withThreads(t testing.TB, n int) {
	old := parallel.Threads()
	parallel.SetThreads(n)
	t.Cleanup(func() { parallel.SetThreads(old) })
}

// eachLevel runs f at every level that this machine has.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	for _, l := range levels() {
		t.Run(levelNames[l], func(t *testing.T) {
			setLevel(t, l)
			f(t)
		})
	}
}
