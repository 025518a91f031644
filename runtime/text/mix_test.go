package text

import (
	"math"
	"testing"
)

// TestMix looks at orders of all small sizes and of some large ones: each number stands in them once, every place has
// every number as often as the others, and numbers that follow each other are as far apart as in any order.
func TestMix(t *testing.T) {
	for n := 1; n < 700; n++ {
		m := newMix(n, 3, uint64(n))
		seen := make([]bool, n)
		for i := range n {
			x := m.at(i)
			if x < 0 || x >= n || seen[x] {
				t.Fatalf("of %d, place %d has %d", n, i, x)
			}
			seen[x] = true
		}
	}
	for _, n := range []int{1<<20 - 1, 1 << 20, 1<<20 + 1} {
		m := newMix(n, 1)
		seen := make([]bool, n)
		distance, last := 0.0, 0
		for i := range n {
			x := m.at(i)
			if seen[x] {
				t.Fatalf("of %d, %d stands there twice", n, x)
			}
			seen[x] = true
			distance += math.Abs(float64(x - last))
			last = x
		}
		if mean := distance / float64(n) / float64(n); math.Abs(mean-1./3) > 0.002 {
			t.Errorf("of %d, neighbours are %.4f of them apart, want a third", n, mean)
		}
	}
	big := newMix(math.MaxInt, 1)
	for i := range 1000 {
		if x := big.at(math.MaxInt - 1 - i); x < 0 {
			t.Fatalf("place %d from the end has %d", i, x)
		}
	}
	const n, orders = 11, 40_000
	var count [n][n]int
	for o := range orders {
		m := newMix(n, 7, uint64(o))
		for i := range n {
			count[i][m.at(i)]++
		}
	}
	chi := 0.0 // of (n−1)² degrees of freedom
	for i := range n {
		for k := range n {
			d := float64(count[i][k]) - float64(orders)/n
			chi += d * d / (float64(orders) / n)
		}
	}
	if chi > 160 || chi < 55 { // the 0.01 % and 99.99 % points of 100
		t.Errorf("numbers are spread over places with χ² = %.0f", chi)
	}
}
