package text

import (
	"cmp"
	"container/heap"
	"slices"
)

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
	l := newLearner(p)
	least = max(least, 2)
	for pair, w := range l.where {
		if w.n >= least {
			l.heap = append(l.heap, pairCount{int32(pair >> 32), int32(uint32(pair)), w.n})
		}
	}
	heap.Init(&l.heap)

	var merges []string
	for len(l.pieces) < tokens && len(l.heap) > 0 {
		top := heap.Pop(&l.heap).(pairCount)
		w := l.where[pairOf(top.a, top.b)]
		if w == nil || w.n < least {
			continue
		}
		if w.n != top.n {
			heap.Push(&l.heap, pairCount{top.a, top.b, w.n}) // it has become rarer since it was put there
			continue
		}
		joined := l.pieces[top.a] + l.pieces[top.b]
		if l.known[joined] {
			continue // other pairs have made it already
		}
		merges = append(merges, visible(l.pieces[top.a])+" "+visible(l.pieces[top.b]))
		l.merge(top.a, top.b, joined)
	}
	return merges
}

// learner holds all different pieces, one behind the other, as tokens that become fewer. A merge looks at the places of
// its pair and at nothing else, so that learning takes time in proportion to the text, whatever its pieces are.
type learner struct {
	pieces []string // of tokens
	known  map[string]bool

	tokens []int32 // at each place, -1 where the token before has taken it in
	next   []int32 // the place behind each, or -1 at the end of a piece
	last   []int32 // the place before each, or -1 at the start of a piece
	word   []int32 // the piece of each place
	counts []int   // how often each piece occurs
	where  map[uint64]*places
	heap   pairHeap
}

// places are where a pair of tokens stands.
type places struct {
	n  int     // how often, in all texts
	at []int32 // rising places of its first token; at some of them it stood once and does no more
}

func newLearner(p Pieces) *learner {
	l := &learner{known: map[string]bool{}, where: map[uint64]*places{}}
	var order [256]int32
	for i, b := range byteOrder {
		order[b] = int32(i)
		l.pieces = append(l.pieces, bytePieces[b])
		l.known[bytePieces[b]] = true
	}
	texts := make([]string, 0, len(p))
	size := 0
	for text := range p {
		texts = append(texts, text)
		size += len(text)
	}
	slices.Sort(texts) // an order that is the same every time
	l.tokens, l.next, l.last, l.word = make([]int32, 0, size), make([]int32, 0, size), make([]int32, 0, size), make([]int32, 0, size)
	for i, text := range texts {
		l.counts = append(l.counts, p[text])
		for j := range len(text) {
			at := int32(len(l.tokens))
			l.tokens, l.word = append(l.tokens, order[text[j]]), append(l.word, int32(i))
			l.last, l.next = append(l.last, at-1), append(l.next, at+1)
			if j == 0 {
				l.last[at] = -1
			} else {
				l.add(at - 1)
			}
		}
		l.next[len(l.next)-1] = -1
	}
	return l
}

// pair is the pair that begins at a place, if one does.
func (l *learner) pair(at int32) (uint64, bool) {
	if at < 0 || l.next[at] < 0 {
		return 0, false
	}
	return pairOf(l.tokens[at], l.tokens[l.next[at]]), true
}

// add counts the pair that begins at a place, if one does, and returns it.
func (l *learner) add(at int32) (pair uint64, ok bool) {
	if pair, ok = l.pair(at); ok {
		w := l.where[pair]
		if w == nil {
			w = &places{}
			l.where[pair] = w
		}
		w.n += l.counts[l.word[at]]
		w.at = append(w.at, at)
	}
	return pair, ok
}

// remove is the reverse of add, but for the place, which is passed over when its turn comes.
func (l *learner) remove(at int32) {
	if pair, ok := l.pair(at); ok {
		if w := l.where[pair]; w != nil {
			if w.n -= l.counts[l.word[at]]; w.n == 0 {
				delete(l.where, pair)
			}
		}
	}
}

// merge makes a token of a pair, wherever it stands. Only pairs of the new token come to be by that, at places that rise as
// those of the pair do.
func (l *learner) merge(a, b int32, joined string) {
	token := int32(len(l.pieces))
	l.pieces, l.known[joined] = append(l.pieces, joined), true
	at := l.where[pairOf(a, b)].at
	delete(l.where, pairOf(a, b))
	made := map[uint64]bool{}
	for _, i := range at {
		j := l.next[i]
		if l.tokens[i] != a || j < 0 || l.tokens[j] != b {
			continue // another merge, or this one, has taken one of them
		}
		l.remove(l.last[i])
		l.remove(j)
		l.tokens[i], l.tokens[j], l.next[i] = token, -1, l.next[j]
		if k := l.next[i]; k >= 0 {
			l.last[k] = i
		}
		for _, at := range [...]int32{l.last[i], i} {
			if pair, ok := l.add(at); ok {
				made[pair] = true
			}
		}
	}
	for pair := range made {
		if w := l.where[pair]; w != nil {
			heap.Push(&l.heap, pairCount{int32(pair >> 32), int32(uint32(pair)), w.n})
		}
	}
}
