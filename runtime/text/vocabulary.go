package text

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
)

// Pieces counts the pieces of texts, from which vocabularies of [BPE] and [Words] are made.
type Pieces map[string]int

// Add counts the pieces of a text.
func (p Pieces) Add(text string) {
	for len(text) > 0 {
		n := pieceLen(text)
		if _, ok := p[text[:n]]; ok {
			p[text[:n]]++
		} else {
			p[strings.Clone(text[:n])] = 1 // the text need not stay in memory
		}
		text = text[n:]
	}
}

// Words returns the most frequent pieces, at most size of them and none that occurs fewer than least times, the most frequent
// first.
func (p Pieces) Words(size, least int) []string {
	words := make([]string, 0, len(p))
	for w, n := range p {
		if n >= least {
			words = append(words, w)
		}
	}
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(p[b], p[a]), cmp.Compare(a, b))
	})
	return words[:min(size, len(words))]
}

// pairCount is a pair of tokens that stand side by side, and how often.
type pairCount struct {
	a, b int32
	n    int
}

// pairHeap has the most frequent pair on top; of equal ones that of the smaller tokens.
type pairHeap []pairCount

func (h pairHeap) Len() int { return len(h) }
func (h pairHeap) Less(i, j int) bool {
	x, y := h[i], h[j]
	return cmp.Or(cmp.Compare(y.n, x.n), cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b)) < 0
}
func (h pairHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *pairHeap) Push(x any)   { *h = append(*h, x.(pairCount)) }
func (h *pairHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// Merges learns byte-pair encoding (Sennrich et al. 2016): again and again the most frequent pair of tokens within the
// pieces becomes a token, until there are that many tokens, the 256 bytes included, or no pair occurs at least twice
// and at least least times. The merges are in the form that [BPE] takes, one a line.
func (p Pieces) Merges(tokens, least int) []string {
	least = max(least, 2)
	order := make([]int32, 256)
	pieces := make([]string, 0, tokens)
	known := map[string]bool{}
	for i, b := range byteOrder {
		order[b] = int32(i)
		pieces = append(pieces, bytePieces[b])
		known[bytePieces[b]] = true
	}
	type word struct {
		tokens []int32
		n      int
	}
	texts := make([]string, 0, len(p))
	for text := range p {
		texts = append(texts, text)
	}
	slices.Sort(texts) // an order that is the same every time
	words := make([]word, len(texts))
	counts := map[uint64]int{}
	where := map[uint64][]int32{} // words that have or had the pair
	for i, text := range texts {
		w := word{make([]int32, len(text)), p[text]}
		for j := range len(text) {
			w.tokens[j] = order[text[j]]
		}
		words[i] = w
		for j := 1; j < len(w.tokens); j++ {
			pair := pairOf(w.tokens[j-1], w.tokens[j])
			counts[pair] += w.n
			if at := where[pair]; len(at) == 0 || at[len(at)-1] != int32(i) {
				where[pair] = append(at, int32(i))
			}
		}
	}
	var h pairHeap
	for pair, n := range counts {
		h = append(h, pairCount{int32(pair >> 32), int32(uint32(pair)), n})
	}
	heap.Init(&h)

	var merges []string
	for len(pieces) < tokens && len(h) > 0 {
		top := heap.Pop(&h).(pairCount)
		pair := pairOf(top.a, top.b)
		if now := counts[pair]; now != top.n {
			if now > 0 && now < top.n {
				heap.Push(&h, pairCount{top.a, top.b, now}) // it has become rarer since it was put there
			}
			continue
		}
		if top.n < least {
			break
		}
		joined := pieces[top.a] + pieces[top.b]
		if known[joined] {
			continue // other pairs have made it already
		}
		known[joined] = true
		token := int32(len(pieces))
		pieces = append(pieces, joined)
		merges = append(merges, visible(pieces[top.a])+" "+visible(pieces[top.b]))

		more := map[uint64]bool{}
		for _, i := range where[pair] {
			w := &words[i]
			n := 0
			old := slices.Clone(w.tokens)
			for j := 0; j < len(old); j++ {
				if j+1 < len(old) && old[j] == top.a && old[j+1] == top.b {
					w.tokens[n] = token
					j++
				} else {
					w.tokens[n] = old[j]
				}
				n++
			}
			if n == len(old) {
				continue
			}
			w.tokens = w.tokens[:n]
			for j := 1; j < len(old); j++ {
				counts[pairOf(old[j-1], old[j])] -= w.n
			}
			for j := 1; j < n; j++ {
				next := pairOf(w.tokens[j-1], w.tokens[j])
				counts[next] += w.n
				if w.tokens[j-1] == token || w.tokens[j] == token {
					more[next] = true
					if at := where[next]; len(at) == 0 || at[len(at)-1] != i {
						where[next] = append(at, i)
					}
				}
			}
		}
		delete(where, pair)
		delete(counts, pair)
		for next := range more {
			heap.Push(&h, pairCount{int32(next >> 32), int32(uint32(next)), counts[next]})
		}
	}
	return merges
}
