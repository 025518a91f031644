package kernel

import "math"

// Dropping is h with dropout of the attention's probabilities at the given rate, under the key of its mask.
func (h Heads) Dropping(rate float32, key uint64) Heads {
	h.Rate, h.Key = rate, key
	return h
}

// Biased is h with bias, which begins with [Count, span], added to the scores.
func (h Heads) Biased(bias []float32, span int) Heads {
	h.Bias = bias[:h.Count*span]
	return h
}

// ALiBiSlopes gives what each of count heads takes off a score for each step of distance (Press et al. 2022, section
// 3): powers of 2^(-8/count) where count is a power of two; otherwise those of the next lower power of two, and every
// other one of the next higher power in between.
func ALiBiSlopes(count int) []float32 {
	n := 1
	for 2*n <= count {
		n *= 2
	}
	s := make([]float32, count)
	for h := range s {
		if h < n {
			s[h] = float32(math.Pow(2, -8*float64(h+1)/float64(n)))
		} else {
			s[h] = float32(math.Pow(2, -4*float64(2*(h-n)+1)/float64(n)))
		}
	}
	return s
}
