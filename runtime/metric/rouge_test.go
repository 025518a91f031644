package metric

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestOverlap has the example of Lin 2004, section 3, and cases at the edges.
func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		answer, reference string
		want              ROUGE
	}{
		{"police kill the gunman", "police killed the gunman", ROUGE{75, 100. / 3, 75}},
		{"the gunman kill police", "police killed the gunman", ROUGE{75, 100. / 3, 50}},
		{"The gunman police killed!", "police killed the gunman", ROUGE{100, 200. / 3, 50}},
		{"a a a b", "a b", ROUGE{200. / 3, 50, 200. / 3}},
		{"", "police", ROUGE{}},
		{"police", "", ROUGE{}},
		{"...", "...", ROUGE{}},
		{"naïve Ärzte", "NAÏVE ärzte", ROUGE{100, 100, 100}},
	} {
		got, err := Overlap([]string{c.answer}, []string{c.reference})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range [][2]float64{{got.One, c.want.One}, {got.Two, c.want.Two}, {got.Longest, c.want.Longest}} {
			if math.Abs(x[0]-x[1]) > 1e-9 {
				t.Errorf("%q for %q: %+v, want %+v", c.answer, c.reference, got, c.want)
			}
		}
	}
	if _, err := Overlap([]string{"a"}, nil); err == nil {
		t.Error("an answer without a reference is scored")
	}
	both, _ := Overlap([]string{"a b", "c"}, []string{"a b", "d"})
	if both != (ROUGE{50, 50, 50}) {
		t.Errorf("the mean is %+v", both)
	}
}

// TestLongestCommon compares with trying all parts of the shorter text.
func TestLongestCommon(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		words := func() []string {
			w := make([]string, r.IntN(9))
			for i := range w {
				w[i] = string(rune('a' + r.IntN(3)))
			}
			return w
		}
		x, y := words(), words()
		best := 0
		for set := range 1 << len(x) {
			at, n := 0, 0
			for i, w := range x {
				if set>>i&1 == 0 {
					continue
				}
				for at < len(y) && y[at] != w {
					at++
				}
				if at == len(y) {
					n = -1
					break
				}
				at++
				n++
			}
			best = max(best, n)
		}
		if got := longestCommon(x, y); got != best {
			t.Fatalf("%s and %s have %d in common, want %d", strings.Join(x, ""), strings.Join(y, ""), got, best)
		}
	}
}
