package subword

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Merges is the table of byte-pair encoding (Sennrich et al. 2016): which two tokens that stand side by side become
// which other one, and which merge comes before which. It is filled with [Merges.Add] and may then be used by any
// number of goroutines.
type Merges struct {
	slots []merge // open addressing; a power of two of them, at most half of them used
	shift uint
	n     int

	walk   sync.Once
	walker *walker      // of long runs; nil where the table is none that it serves
	seen   atomic.Int64 // symbols of long runs
}

// merge is one line of a table of merges.
type merge struct {
	pair  uint64 // plus one, so that 0 is an empty slot
	rank  int32
	token int32
}

// NewMerges makes a table with room for n merges.
func NewMerges(n int) *Merges {
	m := &Merges{}
	m.resize(max(16, 2*n))
	return m
}

func (m *Merges) resize(slots int) {
	size := bits.Len(uint(slots - 1))
	old := m.slots
	m.slots, m.shift = make([]merge, 1<<size), uint(64-size)
	for _, s := range old {
		if s.pair != 0 {
			*m.slot(s.pair) = s
		}
	}
}

// slot is where a pair is or belongs.
func (m *Merges) slot(pair uint64) *merge {
	mask := uint64(len(m.slots) - 1)
	for i := hash(pair) >> m.shift; ; i = (i + 1) & mask {
		if s := &m.slots[i]; s.pair == pair || s.pair == 0 {
			return s
		}
	}
}

// Len is the number of merges.
func (m *Merges) Len() int { return m.n }

// Add says that token a with token b behind it becomes a token; of two merges that fit, that of the lower rank is made
// first. It reports false for a pair that the table has already, which it leaves as it is.
func (m *Merges) Add(a, b, rank, token int32) bool {
	if 2*(m.n+1) > len(m.slots) {
		m.resize(2 * len(m.slots))
	}
	key := pairOf(a, b) + 1
	s := m.slot(key)
	if s.pair != 0 {
		return false
	}
	*s = merge{key, rank, token}
	m.n++
	return true
}

// Find tells what a pair becomes and the rank of that merge.
func (m *Merges) Find(a, b int32) (token, rank int32, ok bool) {
	s := m.slot(pairOf(a, b) + 1)
	return s.token, s.rank, s.pair != 0
}

func hash(pair uint64) uint64 { return pair * 0x9E3779B97F4A7C15 }

func pairOf(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// short is the length up to which looking at all pairs is faster than keeping them in a heap, many the number of
// symbols of longer runs behind which a walker is worth what it takes to make it.
const (
	short = 32
	many  = 1 << 14
)

// Apply makes the merges of the symbols of a piece, in place, and returns the tokens that are left. Again and again the
// merge of the lowest rank is made, of equal ones the first in the piece, until none fits: the order of GPT-2, of
// SentencePiece and of tiktoken. The time is in proportion to the number of
// symbols for tables that are learnt, and that of sorting them for others.
func (m *Merges) Apply(symbols []int32) []int32 {
	switch {
	case len(symbols) < 2:
		return symbols
	case len(symbols) <= short:
		return m.applyShort(symbols)
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	if m.seen.Load() >= many || m.seen.Add(int64(len(symbols))) >= many {
		m.walk.Do(func() { m.walker = newWalker(m) })
		if m.walker != nil {
			if tokens, ok := m.walker.apply(symbols, s); ok {
				return tokens
			}
		}
	}
	return m.applyLong(symbols, s)
}

const noRank = 1<<31 - 1

// applyShort keeps the rank of each pair in an array that is searched for the lowest one.
func (m *Merges) applyShort(symbols []int32) []int32 {
	var ranks, tokens [short]int32 // of the pair that begins at each symbol
	n := len(symbols)
	look := func(i int) {
		if s := m.slot(pairOf(symbols[i], symbols[i+1]) + 1); s.pair != 0 {
			ranks[i], tokens[i] = s.rank, s.token
		} else {
			ranks[i] = noRank
		}
	}
	for i := range n - 1 {
		look(i)
	}
	ranks[n-1] = noRank // no pair begins at the last one
	for n > 1 {
		best := 0
		for i := 1; i < n-1; i++ {
			if ranks[i] < ranks[best] {
				best = i
			}
		}
		if ranks[best] == noRank {
			break
		}
		symbols[best] = tokens[best]
		copy(symbols[best+1:], symbols[best+2:n])
		copy(ranks[best+1:], ranks[best+2:n])
		copy(tokens[best+1:], tokens[best+2:n])
		n--
		ranks[n-1] = noRank
		if best > 0 {
			look(best - 1)
		}
		if best < n-1 {
			look(best)
		}
	}
	return symbols[:n]
}

// scratch is the memory of applyLong and of the walker.
type scratch struct {
	prev, next []int32
	heap       []candidate
	symbols    []int32 // of the walker, as what follows
	tokens     []int32
	given      []uint64
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// candidate is a merge that may be made: of the symbol at a place and the one behind it.
type candidate struct {
	order uint64 // rank, then place
	token int32
}

// gone marks a symbol that has become a part of the one before it.
const gone = -1

// applyLong keeps the candidates in a heap and the symbols in a linked list.
func (m *Merges) applyLong(symbols []int32, s *scratch) []int32 {
	n := int32(len(symbols))
	if cap(s.prev) < len(symbols) {
		s.prev, s.next = make([]int32, n), make([]int32, n)
	}
	prev, next := s.prev[:n], s.next[:n]
	h := s.heap[:0]
	for i := range n {
		prev[i], next[i] = i-1, i+1
		if i+1 < n {
			if f := m.slot(pairOf(symbols[i], symbols[i+1]) + 1); f.pair != 0 {
				h = append(h, candidate{uint64(f.rank)<<32 | uint64(i), f.token})
			}
		}
	}
	for i := len(h)/4 + 1; i >= 0; i-- {
		down(h, i)
	}
	add := func(i, j int32) {
		if f := m.slot(pairOf(symbols[i], symbols[j]) + 1); f.pair != 0 {
			h = append(h, candidate{uint64(f.rank)<<32 | uint64(i), f.token})
			up(h, len(h)-1)
		}
	}
	for len(h) > 0 {
		top := h[0]
		h[0] = h[len(h)-1]
		h = h[:len(h)-1]
		down(h, 0)
		i := int32(uint32(top.order))
		if symbols[i] == gone || next[i] == n {
			continue
		}
		j := next[i]
		f := m.slot(pairOf(symbols[i], symbols[j]) + 1)
		if f.pair == 0 || f.rank != int32(top.order>>32) {
			continue // one of the two has become another
		}
		symbols[i], symbols[j] = top.token, gone
		next[i] = next[j]
		if next[i] < n {
			prev[next[i]] = i
			add(i, next[i])
		}
		if prev[i] >= 0 {
			add(prev[i], i)
		}
	}
	s.heap = h
	k := 0
	for _, x := range symbols {
		if x != gone {
			symbols[k] = x
			k++
		}
	}
	return symbols[:k]
}

// The heap has four children a node, which touches fewer lines of memory than two.

func up(h []candidate, i int) {
	x := h[i]
	for i > 0 {
		parent := (i - 1) / 4
		if h[parent].order <= x.order {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = x
}

func down(h []candidate, i int) {
	if i >= len(h) {
		return
	}
	x := h[i]
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].order < h[least].order {
				least = c
			}
		}
		if x.order <= h[least].order {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = x
}
