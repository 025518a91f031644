package metric

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The probabilities of all tokens add up to 1, and the likeliest one is that of the highest.
func TestCounts(t *testing.T) {
	const vocab = 7
	r := rand.New(rand.NewPCG(1, 2))
	c := NewCounts(vocab)
	before := int32(-1)
	for range 60 {
		token := int32(min(r.IntN(vocab), r.IntN(vocab), 5)) // token 6 is never seen
		c.Add(before, token)
		before = token
	}
	for b := int32(-1); b < vocab; b++ {
		one, two := 0.0, 0.0
		best, top := int32(0), int32(0)
		for x := range int32(vocab) {
			one += math.Exp(c.Unigram(x))
			two += math.Exp(c.Bigram(b, x))
			if c.Bigram(b, x) > c.Bigram(b, best) {
				best = x
			}
			if c.Unigram(x) > c.Unigram(top) {
				top = x
			}
		}
		if math.Abs(one-1) > 1e-12 || math.Abs(two-1) > 1e-12 {
			t.Errorf("behind %d probabilities add up to %v and %v", b, one, two)
		}
		if u, v := c.Likeliest(b); u != top || v != best {
			t.Errorf("behind %d the likeliest are %d and %d, want %d and %d", b, u, v, top, best)
		}
	}
}

// By hand: a b a b a c.
func TestCountsByHand(t *testing.T) {
	c := NewCounts(4)
	before := int32(-1)
	for _, x := range []int32{0, 1, 0, 1, 0, 2} {
		c.Add(before, x)
		before = x
	}
	for _, x := range []struct {
		got, want float64
	}{
		{c.Unigram(0), 4.0 / 10},
		{c.Unigram(3), 1.0 / 10},
		{c.Bigram(0, 1), (2 + 2*0.3) / (3 + 2)},
		{c.Bigram(0, 3), (0 + 2*0.1) / (3 + 2)},
		{c.Bigram(2, 0), 0.4}, // nothing was seen behind it
		{c.Bigram(-1, 0), 0.4},
	} {
		if math.Abs(math.Exp(x.got)-x.want) > 1e-12 {
			t.Errorf("probability %v, want %v", math.Exp(x.got), x.want)
		}
	}
}
