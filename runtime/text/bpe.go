package text

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// byteOrder holds the bytes in the order of their tokens, which is that of GPT-2: first those that print, then the
// others. byteChars has the character that stands for each in a vocabulary file, and charBytes the way back.
var byteOrder, byteChars, charBytes = func() (order [256]byte, chars [256]rune, back map[rune]byte) {
	back = map[rune]byte{}
	n := 0
	add := func(b byte, c rune) {
		order[n], chars[b], back[c] = b, c, b
		n++
	}
	prints := func(b int) bool { return b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE }
	for b := range 256 {
		if prints(b) {
			add(byte(b), rune(b))
		}
	}
	next := rune(256)
	for b := range 256 {
		if !prints(b) {
			add(byte(b), next)
			next++
		}
	}
	return order, chars, back
}()

// visible writes bytes in the characters of a vocabulary file: a blank as Ġ, a newline as Ċ.
func visible(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(byteChars[s[i]])
	}
	return b.String()
}

// hidden is the way back from visible. It reports false for what visible does not write.
func hidden(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for _, c := range s {
		x, ok := charBytes[c]
		if !ok {
			return "", false
		}
		b = append(b, x)
	}
	return string(b), true
}

// pieceLen is the length of the first piece of s, which is not empty. Tokens of [BPE] and [Words] do not reach beyond a
// piece: a run of letters, of digits or of other characters, each with the blank before it, a run of white space, or one of
// the endings 's, 't, 're, 've, 'm, 'll and 'd. These are the pieces of GPT-2, whose expression is
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func pieceLen(s string) int {
	if s[0] == '\'' {
		for _, ending := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
			if strings.HasPrefix(s, ending) {
				return len(ending)
			}
		}
	}
	start := 0
	if s[0] == ' ' {
		start = 1
	}
	if start < len(s) {
		if kind, _ := classify(s[start:]); kind != space {
			return start + run(s[start:], kind)
		}
	}
	n := run(s, space)
	if n == len(s) {
		return n
	}
	// The last character of white space belongs to what follows, unless it is the only one.
	_, last := utf8.DecodeLastRuneInString(s[:n])
	if last < n {
		return n - last
	}
	return n
}

// class is a class of characters.
type class uint8

const (
	other class = iota
	letter
	digit
	space
)

// classify returns the class and the length of the first character. A byte that is not UTF-8 is a character of no class.
func classify(s string) (class, int) {
	c, size := rune(s[0]), 1
	switch {
	case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
		return letter, 1
	case c < utf8.RuneSelf:
	default:
		c, size = utf8.DecodeRuneInString(s)
	}
	switch {
	case unicode.IsLetter(c):
		return letter, size
	case unicode.IsNumber(c):
		return digit, size
	case unicode.IsSpace(c):
		return space, size
	}
	return other, size
}

// run is the length of the characters of a class that s begins with.
func run(s string, want class) int {
	n := 0
	for n < len(s) {
		kind, size := classify(s[n:])
		if kind != want {
			break
		}
		n += size
	}
	return n
}

// pairTokens has a token a byte and a token for what merges of two others make.
type pairTokens struct {
	pieces []string
	bytes  [256]int32       // token of each byte
	merges map[uint64]int32 // by pair of tokens, the number of their merge; the smaller, the earlier
	made   []int32          // token that each merge makes
	digest string
}

func pairOf(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// BPE is the tokenizer of byte-pair encoding (Sennrich et al. 2016) over bytes, as GPT-2 has it: any text works, frequent
// words are one token, rare ones several. Merges has one a line, in the order in which they are applied: two tokens with
// a blank in between, as characters that stand for their bytes, a blank for instance as Ġ. A first line that begins with #
// is a comment. The tokens are the 256 bytes, then one for each merge that makes a new one; with the merges of GPT-2 they have
// its numbers. Of the merges that fit a piece of text the earliest is applied, of equal ones the first in the text, until none
// fits. Merges that are not well formed panic: they are constants of generated code.
func BPE(merges string) Tokenizer {
	t := &pairTokens{merges: map[uint64]int32{}}
	byPiece := map[string]int32{}
	for i, b := range byteOrder {
		t.bytes[b] = int32(i)
		t.pieces = append(t.pieces, bytePieces[b])
		byPiece[bytePieces[b]] = int32(i)
	}
	var others []string // merges that make a token in another way than an earlier one
	line := 0
	for text := range strings.Lines(merges) {
		line++
		text = strings.TrimRight(text, "\r\n")
		if text == "" || line == 1 && text[0] == '#' {
			continue
		}
		left, right, ok := strings.Cut(text, " ")
		a, okA := hidden(left)
		b, okB := hidden(right)
		from, knownA := byPiece[a]
		to, knownB := byPiece[b]
		_, twice := t.merges[pairOf(from, to)]
		if !ok || !okA || !okB || !knownA || !knownB || twice {
			panic(fmt.Sprintf("text: line %d of the merges, %q, is not two tokens that are known, with a blank in between, whose merge is new", line, text))
		}
		token, again := byPiece[a+b]
		if again {
			others = append(others, fmt.Sprintf("%d %s", len(t.made), text))
		} else {
			token = int32(len(t.pieces))
			byPiece[a+b] = token
			t.pieces = append(t.pieces, a+b)
		}
		t.merges[pairOf(from, to)] = int32(len(t.made))
		t.made = append(t.made, token)
	}
	t.digest = digest("bpe", append(t.pieces[:len(t.pieces):len(t.pieces)], others...), -1)
	return t
}

func (t *pairTokens) Encode(s string) ([]int32, error) {
	tokens := make([]int32, 0, len(s)/3+1)
	known := map[string][]int32{} // of the longer pieces so far: texts repeat their words
	for len(s) > 0 {
		n := pieceLen(s)
		piece := s[:n]
		s = s[n:]
		if done, ok := known[piece]; ok {
			tokens = append(tokens, done...)
			continue
		}
		from := len(tokens)
		tokens = t.merge(tokens, piece)
		if n > 1 && n <= 64 && len(known) < 1<<16 {
			known[piece] = append([]int32(nil), tokens[from:]...)
		}
	}
	return tokens, nil
}

// noMerge is the number of no merge, behind all others.
const noMerge = math.MaxInt32

// rank is the number of the merge of two tokens, or noMerge.
func (t *pairTokens) rank(a, b int32) int32 {
	if r, ok := t.merges[pairOf(a, b)]; ok {
		return r
	}
	return noMerge
}

// short is the length of pieces of which the earliest merge is looked for from one end to the other: words. Longer ones
// take a heap, so that their time does not grow with the square of their length.
const short = 64

// merge appends the tokens of a piece: its bytes, of which the earliest merge that fits is made until none does.
func (t *pairTokens) merge(dst []int32, piece string) []int32 {
	if len(piece) > short {
		return t.mergeLong(dst, piece)
	}
	from := len(dst)
	for i := range len(piece) {
		dst = append(dst, t.bytes[piece[i]])
	}
	var array [short]int32
	p, ranks := dst[from:], array[:max(0, len(piece)-1)] // of each token with the one behind it
	for i := range ranks {
		ranks[i] = t.rank(p[i], p[i+1])
	}
	for {
		best, at := int32(noMerge), 0
		for i, r := range ranks {
			if r < best {
				best, at = r, i
			}
		}
		if best == noMerge {
			return dst[:from+len(p)]
		}
		p[at] = t.made[best]
		p = append(p[:at+1], p[at+2:]...)
		ranks = append(ranks[:at], ranks[at+1:]...)
		if at > 0 {
			ranks[at-1] = t.rank(p[at-1], p[at])
		}
		if at < len(ranks) {
			ranks[at] = t.rank(p[at], p[at+1])
		}
	}
}

// mergeLong is merge with a heap of what can be merged.
func (t *pairTokens) mergeLong(dst []int32, piece string) []int32 {
	n := len(piece)
	tokens, next, last, ranks := make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	var h mergeHeap
	for i := range n {
		tokens[i], last[i], next[i] = t.bytes[piece[i]], int32(i-1), int32(i+1)
	}
	// look finds out what becomes of the token at i and the one behind it.
	look := func(i int32) {
		ranks[i] = noMerge
		if j := next[i]; int(j) < n {
			if ranks[i] = t.rank(tokens[i], tokens[j]); ranks[i] != noMerge {
				h.push(uint64(ranks[i])<<32 | uint64(i))
			}
		}
	}
	for i := range n {
		look(int32(i))
	}
	for len(h) > 0 {
		top := h.pop()
		rank, i := int32(top>>32), int32(uint32(top))
		if ranks[i] != rank {
			continue // another merge has come before
		}
		j := next[i]
		tokens[i], next[i], ranks[j] = t.made[rank], next[j], noMerge
		if int(next[i]) < n {
			last[next[i]] = i
		}
		look(i)
		if last[i] >= 0 {
			look(last[i])
		}
	}
	for i := int32(0); int(i) < n; i = next[i] {
		dst = append(dst, tokens[i])
	}
	return dst
}

// mergeHeap has the smallest number on top.
type mergeHeap []uint64

func (h *mergeHeap) push(x uint64) {
	a := append(*h, x)
	i := len(a) - 1
	for i > 0 && a[(i-1)/2] > x {
		a[i] = a[(i-1)/2]
		i = (i - 1) / 2
	}
	a[i] = x
	*h = a
}

func (h *mergeHeap) pop() uint64 {
	a := *h
	top, x := a[0], a[len(a)-1]
	a = a[:len(a)-1]
	*h = a
	if len(a) == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(a) {
			break
		}
		if child+1 < len(a) && a[child+1] < a[child] {
			child++
		}
		if a[child] >= x {
			break
		}
		a[i] = a[child]
		i = child
	}
	a[i] = x
	return top
}

func (t *pairTokens) Decode(tokens []int32) string {
	var b strings.Builder
	for _, token := range tokens {
		b.WriteString(t.Piece(token))
	}
	return b.String()
}

func (t *pairTokens) Piece(token int32) string {
	check(token, len(t.pieces))
	return t.pieces[token]
}

func (t *pairTokens) Vocab() int     { return len(t.pieces) }
func (t *pairTokens) Digest() string { return t.digest }
