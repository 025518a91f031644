package kernel

import (
	"fmt"
	"math"
	"testing"
)

// TestAttentionWeights compares the probabilities with their definition in float64, on memory that holds none before,
// and their bits on several threads.
func TestAttentionWeights(t *testing.T) {
	for _, c := range someAttentions(rng(31), shrink(200)) {
		h := &c.h
		h.Rate = 0
		q, k := widen(c.q), widen(c.k)
		var first []float32
		for _, threads := range []int{1, 3} {
			withThreads(t, threads)
			p := make([]float32, c.batch*h.Count*c.queries*c.keys)
			for i := range p {
				p[i] = float32(math.NaN())
			}
			AttentionWeights(p, c.q, c.k, c.present, c.queries, c.keys, c.batch, *h)
			if first == nil {
				first = p
			}
			diff(t, fmt.Sprintf("%v on %d threads", c, threads), p, first)
		}
		for b := range c.batch {
			for head := range h.Count {
				for i := range c.queries {
					want, _ := c.probabilities(q, k, i, b, head)
					if want == nil { // it sees no key
						want = make([]float64, c.keys)
					}
					for j, w := range want {
						got := float64(first[((b*h.Count+head)*c.queries+i)*c.keys+j])
						if math.Abs(got-w) > 1e-7*w+1e-37 { // float32 has fewer digits below
							t.Fatalf("%v: key %d of query %d, head %d has %v, want %v", c, j, i, head, got, w)
						}
					}
				}
			}
		}
	}
}
