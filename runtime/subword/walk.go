package subword

import (
	"cmp"
	"math/bits"
	"slices"
)

// walker finds the tokens of a run from its beginning to its end, in time that is in proportion to its length. It
// rests on this: tokens are what a run becomes if each of them is what its own symbols become, and each two side by
// side are what theirs become together. For until a merge has reached across a border, the merges on either side of
// it are made in the order in which they would be made were there nothing else; so the first merge across any border
// would be one that the two neighbours alone make too. Hence the longest token is taken that can stand behind the one
// before it, and where none can, the one before it gives way to a shorter one. No place of the run is given up twice.
// (The algorithm of H. van Antwerpen and A. Neubeck: "So many tokens, so little time", GitHub 2024.)
//
// It serves tables in which all merges that make a token make it of the same symbols, as all do that stand for texts.
// Where each merge comes behind those that make its parts, whether two tokens stay apart follows from a few looks at
// the table. Some published tables, such as that of Llama 3, have merges that come before their parts and do happen:
// what these make is merged anew to see.
type walker struct {
	merges  *Merges
	tokens  []walked // by number
	filter  []uint64 // bits of the pairs that merges may have
	shift   uint
	tree    tree
	longest int               // symbols of a token
	spelt   map[int32][]int32 // symbols of the tokens of rank anew
}

// walked is a token: the last merge that makes it, of which parts, its symbols, and the longest other token that it
// begins with, or none.
type walked struct{ rank, left, right, length, prefix int32 }

const (
	none   = -1
	symbol = -1 // the rank of what no merge makes,
	anew   = -2 // of what a merge makes that comes before one of its parts,
	never  = -3 // and of what its own symbols do not become

	// What a walker keeps is bounded, whatever a file says.
	mostTokens  = 1 << 24
	mostSymbols = 1 << 24 // of all tokens together
)

// line is a line of a table of merges.
type line struct{ left, right, rank, token int32 }

// newWalker makes a walker, or returns nil for a table that it does not serve.
func newWalker(m *Merges) *walker {
	lines := make([]line, 0, m.n)
	size := int32(0)
	for _, s := range m.slots {
		if s.pair != 0 {
			l := line{int32((s.pair - 1) >> 32), int32(uint32(s.pair - 1)), s.rank, s.token}
			if min(l.left, l.right, l.rank, l.token) < 0 || max(l.left, l.right, l.token) >= mostTokens {
				return nil
			}
			lines = append(lines, l)
			size = max(size, l.left+1, l.right+1, l.token+1)
		}
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.token, b.token), cmp.Compare(a.left, b.left))
	})
	last := make([]int32, size) // rank of the last merge that makes a token
	for i := range last {
		last[i] = none
	}
	for _, l := range lines {
		last[l.token] = l.rank
	}
	spelt := spell(lines, last)
	if spelt == nil {
		return nil
	}

	w := &walker{merges: m, tokens: make([]walked, size), spelt: map[int32][]int32{}}
	w.shift = uint(64 - max(10, bits.Len(uint(8*len(lines)))))
	w.filter = make([]uint64, 1<<(64-w.shift)/64)
	for _, l := range lines {
		h := hash(pairOf(l.left, l.right)+1) >> w.shift
		w.filter[h/64] |= 1 << (h % 64)
	}
	for x := range w.tokens {
		rank := int32(symbol)
		if spelt[x] != nil {
			rank = never
		}
		w.tokens[x] = walked{rank, none, none, int32(max(1, len(spelt[x]))), none}
	}
	for _, l := range lines {
		t := &w.tokens[l.token]
		known := max(last[l.left], last[l.right]) < l.rank && min(w.tokens[l.left].rank,
			w.tokens[l.right].rank) >= symbol
		if t.rank == never && known && w.stays(l.left, l.right, int(l.rank)) {
			t.rank, t.left, t.right = l.rank, l.left, l.right
		}
	}
	s := new(scratch)
	for x := range w.tokens {
		if w.tokens[x].rank == never {
			symbols := append(s.symbols[:0], spelt[x]...)
			if s.symbols = symbols; len(m.applyLong(symbols, s)) == 1 && symbols[0] == int32(x) {
				w.tokens[x].rank = anew
				w.spelt[int32(x)] = spelt[x]
			}
		}
	}
	for x, symbols := range spelt {
		if w.tokens[x].rank != never && symbols != nil {
			w.tree.add(symbols, int32(x))
			w.longest = max(w.longest, len(symbols))
		}
	}
	for x, symbols := range spelt {
		if w.tokens[x].rank != never && symbols != nil {
			w.tokens[x].prefix = w.match(symbols[:len(symbols)-1])
		}
	}
	return w
}

// spell lists the symbols of the tokens that merges make, whose last ranks are given, or returns nil where they are
// too many, or differ from merge to merge.
func spell(lines []line, last []int32) [][]int32 {
	spelt := make([][]int32, len(last))
	symbols := 0
	of := func(x int32) []int32 {
		if last[x] == none {
			return []int32{x}
		}
		return spelt[x]
	}
	const rounds = 32 // of merges that come before their parts: many more than published tables need
	for range rounds {
		var later []line
		for _, l := range lines {
			left, right := of(l.left), of(l.right)
			if left == nil || right == nil {
				later = append(later, l)
				continue
			}
			if symbols += len(left) + len(right); symbols > mostSymbols {
				return nil
			}
			x := slices.Concat(left, right)
			if spelt[l.token] != nil && !slices.Equal(spelt[l.token], x) {
				return nil
			}
			spelt[l.token] = x
		}
		if len(later) == 0 {
			return spelt
		}
		lines = later
	}
	return nil
}

// token is what is known of a token. Those behind the table's are symbols.
func (w *walker) token(x int32) *walked {
	if int(x) < len(w.tokens) {
		return &w.tokens[x]
	}
	return &plain
}

var plain = walked{symbol, none, none, 1, none}

// stays tells whether two tokens stay as they are side by side, as far as merges of a rank below limit go. The merges
// that make the two are undone one by one, the last one first; no merge across the border may have come before the
// one that made either side of it a part of something longer. Of equal ranks that of the left one comes first.
func (w *walker) stays(left, right int32, limit int) bool {
	for {
		pair := pairOf(left, right) + 1
		if h := hash(pair) >> w.shift; w.filter[h/64]>>(h%64)&1 != 0 {
			if s := w.merges.slot(pair); s.pair != 0 && int(s.rank) < limit {
				return false
			}
		}
		l, r := w.token(left), w.token(right)
		switch {
		case l.rank == anew || r.rank == anew:
			return w.stayAnew(left, right)
		case l.rank > r.rank:
			limit, left = int(l.rank), l.right
		case r.rank != symbol:
			limit, right = int(r.rank)+1, r.left
		default:
			return true
		}
	}
}

// stayAnew tells the same of tokens of which one is of rank anew.
func (w *walker) stayAnew(left, right int32) bool {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.symbols = w.spell(w.spell(s.symbols[:0], left), right)
	tokens := w.merges.applyLong(s.symbols, s)
	return len(tokens) == 2 && tokens[0] == left && tokens[1] == right
}

// spell appends the symbols of a token.
func (w *walker) spell(dst []int32, x int32) []int32 {
	switch t := w.token(x); t.rank {
	case symbol:
		return append(dst, x)
	case anew:
		return append(dst, w.spelt[x]...)
	default:
		return w.spell(w.spell(dst, t.left), t.right)
	}
}

// match is the longest token that symbols begin with.
func (w *walker) match(symbols []int32) int32 {
	token, node := symbols[0], int32(root)
	for _, x := range symbols[:min(len(symbols), w.longest)] {
		e := w.tree.edge(node, x)
		if e.from == 0 {
			break
		}
		node = e.to
		if e.token != none {
			token = e.token
		}
	}
	return token
}

// apply makes the merges of the symbols, in place, and returns the tokens, or false where it does not serve them.
func (w *walker) apply(symbols []int32, s *scratch) ([]int32, bool) {
	for _, x := range symbols {
		if x < 0 || w.token(x).rank != symbol {
			return symbols, false
		}
	}
	// bits of the places that no token can begin at
	given := slices.Grow(s.given[:0], len(symbols)/64+1)[:len(symbols)/64+1]
	clear(given)
	tokens := s.tokens[:0]
	for at := 0; at < len(symbols); {
		next := w.match(symbols[at:])
		for {
			end := at + int(w.token(next).length)
			if given[end/64]>>(end%64)&1 == 0 && (len(tokens) == 0 || w.stays(tokens[len(tokens)-1], next, noRank)) {
				tokens = append(tokens, next)
				at = end
				break
			}
			for next = w.token(next).prefix; next == none; next = w.token(next).prefix {
				given[at/64] |= 1 << (at % 64)
				next = tokens[len(tokens)-1]
				tokens = tokens[:len(tokens)-1]
				at -= int(w.token(next).length)
			}
		}
	}
	s.given, s.tokens = given, tokens
	return symbols[:copy(symbols, tokens)], true
}

// tree is the tokens by their symbols. Nodes have numbers; the edges are in a table with open addressing, those of a
// node close to each other.
type tree struct {
	edges []edge
	n     int32
}

// edge leads from a node by a symbol to another one, at which a token ends, or none.
type edge struct {
	from      uint32 // the node plus one, so that 0 is an empty place
	by        int32
	to, token int32
}

// root is the node that no symbol leads to.
const root = 0

// edge is where an edge is or belongs.
func (t *tree) edge(node, by int32) *edge {
	mask := uint32(len(t.edges) - 1)
	for i := uint32(node)*0x9E3779B1 + uint32(by); ; i++ {
		if e := &t.edges[i&mask]; e.from == uint32(node)+1 && e.by == by || e.from == 0 {
			return e
		}
	}
}

// add adds a token.
func (t *tree) add(symbols []int32, token int32) {
	node := int32(root)
	for i, x := range symbols {
		if 2*int(t.n+1) > len(t.edges) {
			old := t.edges
			t.edges = make([]edge, max(64, 2*len(old)))
			for _, e := range old {
				if e.from != 0 {
					*t.edge(int32(e.from-1), e.by) = e
				}
			}
		}
		e := t.edge(node, x)
		if e.from == 0 {
			t.n++
			*e = edge{uint32(node) + 1, x, t.n, none}
		}
		if node = e.to; i == len(symbols)-1 {
			e.token = token
		}
	}
}
