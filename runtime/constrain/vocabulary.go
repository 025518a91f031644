package constrain

import (
	"slices"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// A Vocabulary is the tokens of a tokenizer as a trie of their bytes, for any number of constraints. It is immutable, and
// safe for concurrent use.
type Vocabulary struct {
	size  int
	all   *trie
	plain []plain // tokens of plain characters, by length, the shortest first
	other *trie   // tokens that are not

	has    [256]bool // bytes that are in tokens
	single [256]bool // bytes that are tokens
	bytes  [][]byte  // of each token; nil for one that is no text

	before, behind string // what the pieces of a text have around it
}

// plain are the tokens of whole characters that no string of JSON has to escape, up to a length. They are the bulk of
// most vocabularies, and where a language allows any of these characters they are allowed all at once.
type plain struct {
	chars int      // the length of the longest
	upTo  []uint64 // the tokens of this length and below
	more  *trie    // the tokens of this length alone
}

// lengths are those at which plain tokens are told apart; the last holds the rest.
var lengths = [...]int{1, 2, 3, 4, 6, 8, 12, 16, 24, 32}

// Special is what a tokenizer has some of whose tokens stand for no text, such as those that begin and end an answer, or
// the one for what the vocabulary does not know. No constraint allows them.
type Special interface {
	// Special reports whether the token stands for no text.
	Special(token int32) bool
}

// Framed is what a tokenizer has whose pieces, one behind the other, are more than the text that they decode to, such as
// numbers that each have a blank behind them.
type Framed interface {
	// Frame gives what the pieces of every text have in front of it and behind it.
	Frame() (before, behind string)
}

// NewVocabulary makes the trie of a tokenizer's tokens. It takes some 20 ms for 50,000 of them, so keep it.
func NewVocabulary(t model.Tokenizer) *Vocabulary {
	special, _ := t.(Special)
	pieces := make([][]byte, t.Vocab())
	for i := range pieces {
		if special == nil || !special.Special(int32(i)) {
			pieces[i] = []byte(t.Piece(int32(i)))
		}
	}
	v := vocabularyOf(pieces)
	if f, ok := t.(Framed); ok {
		v.before, v.behind = f.Frame()
	}
	return v
}

func vocabularyOf(pieces [][]byte) *Vocabulary {
	v := &Vocabulary{size: len(pieces), bytes: pieces}
	every := make([]int32, 0, len(pieces))
	var others []int32
	buckets := make([][]int32, len(lengths)+1)
	longest := 0
	for i, p := range pieces {
		if len(p) == 0 {
			continue // it would never come to an end
		}
		every = append(every, int32(i))
		if len(p) == 1 {
			v.single[p[0]] = true
		}
		for _, x := range p {
			v.has[x] = true
		}
		n, ok := plainChars(p)
		if !ok {
			others = append(others, int32(i))
			continue
		}
		k := 0
		for k < len(lengths) && n > lengths[k] {
			k++
		}
		longest = max(longest, n)
		buckets[k] = append(buckets[k], int32(i))
	}
	v.all, v.other = newTrie(pieces, every), newTrie(pieces, others)
	upTo := make([]uint64, (len(pieces)+63)/64)
	for k, tokens := range buckets {
		chars := longest
		if k < len(lengths) {
			chars = min(lengths[k], longest)
		}
		if len(tokens) == 0 {
			continue
		}
		for _, t := range tokens {
			upTo[t/64] |= 1 << (t % 64)
		}
		v.plain = append(v.plain, plain{chars, slices.Clone(upTo), newTrie(pieces, tokens)})
	}
	return v
}

// plainChars counts the characters of p, and reports whether all are plain.
func plainChars(p []byte) (int, bool) {
	n := 0
	for len(p) > 0 {
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 || r < ' ' || r == '"' || r == '\\' || r == 0x7F {
			return 0, false
		}
		n++
		p = p[size:]
	}
	return n, true
}

// Size is the number of tokens.
func (v *Vocabulary) Size() int { return v.size }

// trie holds tokens by their bytes, its nodes in the order of a walk that goes down first.
type trie struct {
	nodes []trieNode
	same  map[int32][]int32 // of a node: further tokens of the same bytes
	depth int               // of the deepest node
}

type trieNode struct {
	token int32 // that ends here, or -1
	skip  int32 // the node behind those below this one
	depth uint16
	b     byte
	more  bool // there are further tokens in same
}

func newTrie(pieces [][]byte, tokens []int32) *trie {
	t := &trie{same: map[int32][]int32{}}
	sorted := slices.Clone(tokens)
	slices.SortStableFunc(sorted, func(a, b int32) int { return slices.Compare(pieces[a], pieces[b]) })
	var open []int32 // the nodes on the way to the last one
	var before []byte
	closeTo := func(depth int) {
		for len(open) > depth {
			t.nodes[open[len(open)-1]].skip = int32(len(t.nodes))
			open = open[:len(open)-1]
		}
	}
	for _, token := range sorted {
		p := pieces[token]
		if len(p) > 60_000 {
			continue
		}
		shared := 0
		for shared < len(before) && shared < len(p) && before[shared] == p[shared] {
			shared++
		}
		closeTo(shared)
		for d := shared; d < len(p); d++ {
			open = append(open, int32(len(t.nodes)))
			t.nodes = append(t.nodes, trieNode{token: -1, depth: uint16(d), b: p[d]})
		}
		t.depth = max(t.depth, len(p))
		at := open[len(open)-1]
		if n := &t.nodes[at]; n.token < 0 {
			n.token = token
		} else {
			n.more = true
			t.same[at] = append(t.same[at], token)
		}
		before = p
	}
	closeTo(0)
	return t
}
