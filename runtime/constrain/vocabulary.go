package constrain

import (
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// A Vocabulary is the tokens of a tokenizer as a trie of their bytes, for any number of constraints. It is safe for
// concurrent use, and remembers of the last languages how it looks to them.
type Vocabulary struct {
	size  int
	all   *trie
	plain []plain // tokens of plain characters, by length, the shortest first
	other *trie   // tokens that are not

	has    [256]bool // bytes that are in tokens
	single [256]bool // bytes that are tokens
	bytes  [][]byte  // of each token; nil for one that is no text

	before, behind string // what the pieces of a text have around it

	mu      sync.Mutex
	classed map[[256]uint8]*trie // of languages: the trie of classes of bytes, nil where it is not worth it
}

// plain are the tokens of whole characters that no string of JSON has to escape, up to a length. They are the bulk of
// most vocabularies, and where a language allows any of these characters they are allowed all at once.
type plain struct {
	chars int      // the length of the longest
	upTo  []uint64 // the tokens of this length and below
	more  *trie    // the tokens of this length alone
}

// mostLengths is how many lengths of plain tokens are told apart; what is longer is taken together.
const mostLengths = 40

// Special is what a tokenizer has some of whose tokens stand for no text, such as those that begin and end an answer,
// or the one for what the vocabulary does not know. No constraint allows them.
type Special interface {
	// Special reports whether the token stands for no text.
	Special(token int32) bool
}

// Framed is what a tokenizer has whose pieces, one behind the other, are more than the text that they decode to, such
// as numbers that each have a blank behind them.
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
	buckets := make([][]int32, mostLengths+1)
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
		n, ok := plainLength(p)
		if !ok {
			others = append(others, int32(i))
			continue
		}
		k := min(n-1, mostLengths)
		longest = max(longest, n)
		buckets[k] = append(buckets[k], int32(i))
	}
	v.all, v.other = newTrie(pieces, every), newTrie(pieces, others)
	upTo := make([]uint64, (len(pieces)+63)/64)
	for k, tokens := range buckets {
		chars := longest
		if k < mostLengths {
			chars = k + 1
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

// plainLength counts the characters of p, and reports whether all are plain.
func plainLength(p []byte) (int, bool) {
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
	rests []rest
	depth int // of the deepest node
}

type trieNode struct {
	token int32 // that ends here, or -1
	skip  int32 // the node behind those below this one
	rest  int32 // number of the rest of the tokens that end here, or -1
	depth uint16
	b     byte
}

// rest are tokens: a list, or a set where there are many.
type rest struct {
	list []int32
	bits []uint64
}

// add adds the tokens that end at node i.
func (m *Mask) add(t *trie, i int32) {
	n := &t.nodes[i]
	m.set(n.token)
	if n.rest < 0 {
		return
	}
	r := &t.rests[n.rest]
	for _, token := range r.list {
		m.set(token)
	}
	for k, x := range r.bits {
		m.Bits[k] |= x
	}
}

func newTrie(pieces [][]byte, tokens []int32) *trie {
	t := &trie{}
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
			t.nodes = append(t.nodes, trieNode{token: -1, rest: -1, depth: uint16(d), b: p[d]})
		}
		t.depth = max(t.depth, len(p))
		at := open[len(open)-1]
		if n := &t.nodes[at]; n.token < 0 {
			n.token = token
		} else {
			if n.rest < 0 {
				n.rest = int32(len(t.rests))
				t.rests = append(t.rests, rest{})
			}
			r := &t.rests[n.rest]
			r.list = append(r.list, token)
		}
		before = p
	}
	closeTo(0)
	return t
}

// mostClassed is how many languages' tries of classes are kept, and mostClasses how many classes a language may have
// for one to be worth it.
const (
	mostClassed = 16
	mostClasses = 32
)

// classes gives a trie for languages that tell bytes of different classes apart and no others: tokens that are equal
// but for that end at one node. It has far fewer nodes than the trie of bytes where a language has few classes, such
// as letters, digits and the rest; where it has not, that one is given. Node bytes stand for their class.
func (v *Vocabulary) classes(of *[256]uint8, count int) *trie {
	v.mu.Lock()
	defer v.mu.Unlock()
	t, ok := v.classed[*of]
	if !ok {
		t = classTrie(v.all, of, count, v.size)
		if len(v.classed) >= mostClassed || v.classed == nil {
			v.classed = map[[256]uint8]*trie{}
		}
		v.classed[*of] = t
	}
	if t == nil {
		return v.all
	}
	return t
}

// classTrie merges the nodes of a trie that are reached by bytes of equal classes; nil where few are.
func classTrie(all *trie, of *[256]uint8, count, size int) *trie {
	if count > mostClasses || len(all.nodes) == 0 {
		return nil
	}
	type merged struct {
		from   int32 // a node of all
		tokens []int32
	}
	nodes := []merged{{from: -1}}
	children := make([]int32, count, 64*count) // of each node by class, 0 for none
	path := make([]int32, all.depth+1)
	for i := range all.nodes {
		n := &all.nodes[i]
		slot := int(path[n.depth])*count + int(of[n.b])
		at := children[slot]
		if at == 0 {
			if len(nodes) > len(all.nodes)/4+64 {
				return nil
			}
			at = int32(len(nodes))
			children[slot] = at
			nodes = append(nodes, merged{from: int32(i)})
			children = append(children, make([]int32, count)...)
		}
		path[n.depth+1] = at
		if n.token >= 0 {
			m := &nodes[at]
			m.tokens = append(m.tokens, n.token)
			if n.rest >= 0 {
				m.tokens = append(m.tokens, all.rests[n.rest].list...)
			}
		}
	}
	t := &trie{nodes: make([]trieNode, 0, len(nodes)-1), depth: all.depth}
	var emit func(at int32)
	emit = func(at int32) {
		for _, child := range children[int(at)*count : (int(at)+1)*count] {
			if child == 0 {
				continue
			}
			from := &all.nodes[nodes[child].from]
			k := len(t.nodes)
			n := trieNode{token: -1, rest: -1, depth: from.depth, b: from.b}
			if tokens := nodes[child].tokens; len(tokens) > 0 {
				n.token = tokens[0]
				if len(tokens) > 1 {
					n.rest = int32(len(t.rests))
					t.rests = append(t.rests, newRest(tokens[1:], size))
				}
			}
			t.nodes = append(t.nodes, n)
			emit(child)
			t.nodes[k].skip = int32(len(t.nodes))
		}
	}
	emit(0)
	return t
}

// newRest holds tokens in the form that takes less time to add.
func newRest(tokens []int32, size int) rest {
	words := (size + 63) / 64
	if len(tokens) < words/2 {
		return rest{list: tokens}
	}
	m := Mask{Bits: make([]uint64, words)}
	for _, t := range tokens {
		m.set(t)
	}
	return rest{bits: m.Bits}
}
