package metric

import (
	"fmt"
	"math"
	"slices"
)

// SentenceBLEU says how much of the sentences that a generator made is in texts that people wrote, as the field of
// adversarial networks of text measures it (Zhu et al. 2018, "Texygen", section 4): the BLEU of each sentence against
// all the references at once, and the mean of these. Element n-1 of the result is BLEU-n, from 0 to 1, for n from 1 to
// order; BLEU-2 to BLEU-5 are usual. Tokens are words or numbers. High values mean quality, not diversity: see
// [SelfBLEU].
//
// It is another metric than [Corpus], that of translations, and no value of one can be compared with one of the other:
// here a count is clipped by the largest count in any one reference (Papineni et al. 2002, section 2.1.1), the
// reference whose length is nearest counts for the brevity penalty, the shorter of two that are as near, every n-gram
// length weighs the same, an n-gram length without a match counts as 0.1 of one (method 1 of Chen and Cherry 2014,
// with ε = 0.1), a sentence without any word in common is 0, and nothing is tokenised here. So it is what NLTK's
// sentence_bleu gives with SmoothingFunction().method1.
//
// It takes time in the number of all tokens, and not in the product of the numbers of sentences. Without a sentence or
// a reference it is an error.
func SentenceBLEU[T comparable](sentences, references [][]T, order int) ([]float64, error) {
	if len(sentences) == 0 || len(references) == 0 || order < 1 {
		return nil, fmt.Errorf("metric: %d sentences, %d references and n-grams up to %d: give one of each at least",
			len(sentences), len(references), order)
	}
	o := newOverlap(references, order)
	return o.mean(sentences, func(int) int { return -1 }), nil
}

// SelfBLEU is the mean over the sentences of the BLEU of each against all the others, as [SentenceBLEU] defines it
// (Zhu et al. 2018, section 4). The higher it is, the more alike the sentences are: 1 means that each is made of
// pieces of the others. Fewer than two sentences are an error.
func SelfBLEU[T comparable](sentences [][]T, order int) ([]float64, error) {
	if len(sentences) < 2 || order < 1 {
		return nil, fmt.Errorf(
			"metric: %d sentences and n-grams up to %d: give two sentences and single words at least", len(sentences),
			order)
	}
	o := newOverlap(sentences, order)
	return o.mean(sentences, func(i int) int { return i }), nil
}

// overlap holds what references have of each n-gram. N-grams of a length are numbered in the order in which they are
// met; those of one word are numbered by words, longer ones by the n-gram without its last word and that word.
type overlap[T comparable] struct {
	words   map[T]int32
	longer  []map[[2]int32]int32 // of 2 words, 3 words, ...
	grams   [][]gram             // of 1 word, 2 words, ...
	lengths []length             // of references, the shortest first
	// of the sentence that is worked on: where it has which n-gram, -1 for one that no reference has
	ids    [][]int32
	counts map[int32]int32 // of its n-grams of one length
}

// gram is how often references have an n-gram: the most that one has, which one this is, and the most of the others.
type gram struct{ most, second, holder int32 }

type length struct{ tokens, references int }

func newOverlap[T comparable](references [][]T, order int) *overlap[T] {
	o := &overlap[T]{words: map[T]int32{}, longer: make([]map[[2]int32]int32, order-1), grams: make([][]gram, order),
		ids: make([][]int32, order), counts: map[int32]int32{}}
	for n := range o.longer {
		o.longer[n] = map[[2]int32]int32{}
	}
	count := map[int]int{}
	for i, r := range references {
		count[len(r)]++
		o.number(r, true)
		for n, ids := range o.ids {
			o.count(ids)
			for _, id := range ids {
				c := o.counts[id]
				if c == 0 {
					continue // it has had its turn
				}
				o.counts[id] = 0
				if g := &o.grams[n][id]; c > g.most {
					*g = gram{most: c, second: g.most, holder: int32(i)}
				} else {
					g.second = max(g.second, c)
				}
			}
		}
	}
	for tokens, references := range count {
		o.lengths = append(o.lengths, length{tokens, references})
	}
	slices.SortFunc(o.lengths, func(a, b length) int { return a.tokens - b.tokens })
	return o
}

// number fills ids for a sentence. Where add is set, new n-grams get the next number.
func (o *overlap[T]) number(sentence []T, add bool) {
	for n := range o.ids {
		ids := o.ids[n][:0]
		for at := 0; at+n < len(sentence); at++ {
			id, ok := int32(-1), false
			if n == 0 {
				id, ok = o.words[sentence[at]]
			} else {
				id, ok = o.longer[n-1][[2]int32{o.ids[n-1][at], o.ids[0][at+n]}]
			}
			if !ok && add {
				id = int32(len(o.grams[n]))
				o.grams[n] = append(o.grams[n], gram{})
				if n == 0 {
					o.words[sentence[at]] = id
				} else {
					o.longer[n-1][[2]int32{o.ids[n-1][at], o.ids[0][at+n]}] = id
				}
			} else if !ok {
				id = -1
			}
			ids = append(ids, id)
		}
		o.ids[n] = ids
	}
}

// count counts n-grams of one length.
func (o *overlap[T]) count(ids []int32) {
	clear(o.counts)
	for _, id := range ids {
		o.counts[id]++
	}
}

// mean is the mean BLEU of each n-gram length over the sentences; without(i) is the reference that sentence i is not
// compared with, or -1.
func (o *overlap[T]) mean(sentences [][]T, without func(i int) int) []float64 {
	sums := make([]float64, len(o.grams))
	for i, s := range sentences {
		skip := without(i)
		o.number(s, false)
		penalty := o.brevity(len(s), skip >= 0)
		logs := 0.0
		for n, ids := range o.ids {
			o.count(ids)
			matches := int32(0)
			for _, id := range ids {
				if id < 0 || o.counts[id] == 0 {
					continue
				}
				g := o.grams[n][id]
				most := g.most
				if skip == int(g.holder) {
					most = g.second
				}
				matches += min(o.counts[id], most)
				o.counts[id] = 0
			}
			if n == 0 && matches == 0 {
				break // 0 for every n
			}
			hits := float64(matches)
			if matches == 0 {
				hits = 0.1
			}
			logs += math.Log(hits / float64(max(1, len(ids))))
			sums[n] += float64(penalty * math.Exp(logs/float64(n+1)))
		}
	}
	for n := range sums {
		sums[n] /= float64(len(sentences))
	}
	return sums
}

// brevity is the penalty of a sentence of so many tokens, from the reference of the nearest length. Where the sentence
// is a reference itself, it is left out.
func (o *overlap[T]) brevity(tokens int, itself bool) float64 {
	nearest := -1
	for _, l := range o.lengths {
		if l.tokens == tokens && itself && l.references == 1 {
			continue
		}
		if nearest < 0 || abs(l.tokens-tokens) < abs(nearest-tokens) {
			nearest = l.tokens
		}
	}
	switch {
	case tokens > nearest:
		return 1
	case tokens == 0:
		return 0
	}
	return math.Exp(1 - float64(nearest)/float64(tokens))
}

func abs(x int) int { return max(x, -x) }
