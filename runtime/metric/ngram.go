package metric

import "math"

// Counts are the unigrams and bigrams of a text: the baseline that a model of it has to beat.
type Counts struct {
	vocab  int
	tokens int
	single []int          // how often each token stands there
	pairs  map[uint64]int // how often a token stands behind another
	before []int          // how often a token has another behind it
	kinds  []int          // how many different ones
	best   []int32        // the most frequent token behind each, or -1
	top    int32          // the most frequent token
}

// NewCounts makes counts of nothing, for tokens from 0 to vocab-1.
func NewCounts(vocab int) *Counts {
	return &Counts{vocab: vocab, single: make([]int, vocab), pairs: map[uint64]int{}, before: make([]int, vocab),
		kinds: make([]int, vocab)}
}

// Add counts a token and the one before it, which is negative where there is none.
func (c *Counts) Add(before, token int32) {
	c.tokens++
	c.single[token]++
	c.best = nil
	if before < 0 {
		return
	}
	key := uint64(before)<<32 | uint64(token)
	if c.pairs[key] == 0 {
		c.kinds[before]++
	}
	c.pairs[key]++
	c.before[before]++
}

// Unigram is the logarithm of the probability of a token, (n(t)+1)/(n+vocab) (Laplace).
func (c *Counts) Unigram(token int32) float64 {
	return math.Log(float64(c.single[token]+1) / float64(c.tokens+c.vocab))
}

// Bigram is the logarithm of the probability of a token behind another, where what is new is as likely as there are
// different tokens behind that one, and shared by their frequency (Witten and Bell 1991, method C):
//
//	p(t|b) = (n(b,t) + kinds(b)·p(t)) / (n(b) + kinds(b))
//
// Behind a token that was not seen, or a negative one, it is Unigram.
func (c *Counts) Bigram(before, token int32) float64 {
	if before < 0 || c.before[before] == 0 {
		return c.Unigram(token)
	}
	n, kinds := float64(c.before[before]), float64(c.kinds[before])
	seen := float64(c.pairs[uint64(before)<<32|uint64(token)])
	return math.Log((seen + float64(kinds*math.Exp(c.Unigram(token)))) / (n + kinds))
}

// Likeliest is the likeliest token by Unigram, and behind another by Bigram. Of equally likely ones it is the first.
func (c *Counts) Likeliest(before int32) (unigram, bigram int32) {
	if c.best == nil {
		c.find()
	}
	if before < 0 || c.best[before] < 0 {
		return c.top, c.top
	}
	return c.top, c.best[before]
}

// find fills best and top. Each token is compared with what is best so far, so that the order of the map does not
// matter.
func (c *Counts) find() {
	c.top = 0
	for t, n := range c.single {
		if n > c.single[c.top] {
			c.top = int32(t)
		}
	}
	c.best = make([]int32, c.vocab)
	for t := range c.best {
		c.best[t] = -1
	}
	// The share of a token is n(b,t) + kinds(b)·p(t): of two that were seen as often, the more frequent one is
	// likelier.
	likelier := func(b uint64, t, than int32) bool {
		if than < 0 {
			return true
		}
		x, y := c.Bigram(int32(b), t), c.Bigram(int32(b), than)
		return x > y || x == y && t < than
	}
	for key := range c.pairs {
		b, t := key>>32, int32(key&(1<<32-1))
		if likelier(b, t, c.best[b]) {
			c.best[b] = t
		}
	}
	for b, t := range c.best {
		if t >= 0 && likelier(uint64(b), c.top, t) {
			c.best[b] = c.top
		}
	}
}
