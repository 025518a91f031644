package subword

// Pair is a merge that was learnt: of a token with the one behind it.
type Pair struct{ Left, Right int32 }

// Learn learns byte-pair encoding (Sennrich et al. 2016): again and again the most frequent pair of tokens that stand
// side by side in a word becomes a token, of equally frequent ones that of the smaller numbers. Words are sequences of
// symbols below first, counts says how often each word occurs; the merges' tokens have the numbers from first on. It
// ends when there are limit merges, or no pair is left that occurs at least least times. A pair that accept does not
// take stays two tokens.
//
// Words are changed. The time grows with the symbols and the pairs, not with the square of a word's length.
func Learn(words [][]int32, counts []int, first int32, limit, least int, accept func(left, right int32) bool) []Pair {
	l := learner{counts: map[uint64]int{}, where: map[uint64][]int32{}}
	size := 0
	for _, w := range words {
		size += len(w) + 1
	}
	l.symbols, l.prev, l.next, l.weight = make([]int32, 0, size), make([]int32, 0, size), make([]int32, 0,
		size), make([]int, 0, size)
	for i, w := range words {
		for j, x := range w {
			at := int32(len(l.symbols))
			l.symbols = append(l.symbols, x)
			l.prev, l.next, l.weight = append(l.prev, at-1), append(l.next, at+1), append(l.weight, counts[i])
			if j == 0 {
				l.prev[at] = -1
			}
			if j == len(w)-1 {
				l.next[at] = -1
			}
			if j > 0 {
				l.add(at-1, at)
			}
		}
	}
	for pair, n := range l.counts {
		l.heap = append(l.heap, entry{pair, n})
	}
	for i := len(l.heap)/2 - 1; i >= 0; i-- {
		l.down(i)
	}
	var pairs []Pair
	for len(pairs) < limit && len(l.heap) > 0 {
		top := l.pop()
		if now := l.counts[top.pair]; now != top.n {
			if now > 0 && now < top.n {
				l.push(entry{top.pair, now}) // it has become rarer since it was put there
			}
			continue
		}
		if top.n < least || top.n <= 0 {
			break
		}
		p := Pair{int32(top.pair >> 32), int32(uint32(top.pair))}
		if !accept(p.Left, p.Right) {
			continue
		}
		l.merge(p, first+int32(len(pairs)))
		pairs = append(pairs, p)
	}
	return pairs
}

// learner has all words behind each other, as lists that are linked both ways.
type learner struct {
	symbols, prev, next []int32
	weight              []int // how often the word of a symbol occurs
	counts              map[uint64]int
	// places of the left symbols of pairs that stand or stood there, rising for a token with itself
	where map[uint64][]int32
	heap  []entry
	fresh []uint64 // pairs with the token of the last merge
}

type entry struct {
	pair uint64
	n    int
}

// add counts the pair of the symbols at i and j.
func (l *learner) add(i, j int32) uint64 {
	pair := pairOf(l.symbols[i], l.symbols[j])
	l.counts[pair] += l.weight[i]
	l.where[pair] = append(l.where[pair], i)
	return pair
}

// merge makes one token of a pair everywhere, from the left.
func (l *learner) merge(p Pair, token int32) {
	pair := pairOf(p.Left, p.Right)
	places := l.where[pair]
	delete(l.where, pair)
	l.fresh = l.fresh[:0]
	for _, i := range places {
		j := l.next[i]
		if l.symbols[i] != p.Left || j < 0 || l.symbols[j] != p.Right {
			continue
		}
		n := l.weight[i]
		before, behind := l.prev[i], l.next[j]
		l.counts[pair] -= n
		if before >= 0 {
			l.counts[pairOf(l.symbols[before], p.Left)] -= n
		}
		if behind >= 0 {
			l.counts[pairOf(p.Right, l.symbols[behind])] -= n
		}
		l.symbols[i], l.symbols[j] = token, gone
		l.next[i], l.next[j] = behind, -1
		if behind >= 0 {
			l.prev[behind] = i
			l.fresh = append(l.fresh, l.add(i, behind))
		}
		if before >= 0 {
			l.fresh = append(l.fresh, l.add(before, i))
		}
	}
	delete(l.counts, pair)
	seen := map[uint64]bool{}
	for _, f := range l.fresh {
		if n := l.counts[f]; n > 0 && !seen[f] {
			seen[f] = true
			l.push(entry{f, n})
		}
	}
}

// before tells which of two pairs is merged first.
func (e entry) before(o entry) bool {
	if e.n != o.n {
		return e.n > o.n
	}
	return e.pair < o.pair
}

func (l *learner) push(e entry) {
	h := append(l.heap, e)
	i := len(h) - 1
	for i > 0 && e.before(h[(i-1)/2]) {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = e
	l.heap = h
}

func (l *learner) pop() entry {
	top := l.heap[0]
	last := len(l.heap) - 1
	l.heap[0] = l.heap[last]
	l.heap = l.heap[:last]
	if last > 0 {
		l.down(0)
	}
	return top
}

func (l *learner) down(i int) {
	h := l.heap
	x := h[i]
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(x) {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = x
}
