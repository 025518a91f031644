package text

import (
	"fmt"
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

// pairTokens has a token a byte and a token a merge of two others.
type pairTokens struct {
	pieces []string
	bytes  [256]int32       // token of each byte
	merges map[uint64]int32 // by pair of tokens, what they become; the smaller, the earlier
	digest string
}

func pairOf(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// BPE is the tokenizer of byte-pair encoding (Sennrich et al. 2016) over bytes, as GPT-2 has it: any text works, frequent
// words are one token, rare ones several. Merges has one a line, in the order in which they are applied: two tokens with
// a blank in between, as characters that stand for their bytes, a blank for instance as Ġ. A first line that begins with #
// is a comment. The tokens are the 256 bytes, then one a merge; with the merges of GPT-2 they have its numbers. Merges that are
// not well formed panic: they are constants of generated code.
func BPE(merges string) Tokenizer {
	t := &pairTokens{merges: map[uint64]int32{}}
	byPiece := map[string]int32{}
	for i, b := range byteOrder {
		t.bytes[b] = int32(i)
		t.pieces = append(t.pieces, bytePieces[b])
		byPiece[bytePieces[b]] = int32(i)
	}
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
		_, twice := byPiece[a+b]
		if !ok || !okA || !okB || !knownA || !knownB || twice {
			panic(fmt.Sprintf("text: line %d of the merges, %q, is not two tokens that are known, with a blank in between, whose merge is new", line, text))
		}
		token := int32(len(t.pieces))
		t.merges[pairOf(from, to)] = token
		byPiece[a+b] = token
		t.pieces = append(t.pieces, a+b)
	}
	t.digest = digest("bpe", t.pieces, -1)
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

// merge appends the tokens of a piece: its bytes, of which the earliest merge that fits is made everywhere, until none does.
func (t *pairTokens) merge(dst []int32, piece string) []int32 {
	from := len(dst)
	for i := range len(piece) {
		dst = append(dst, t.bytes[piece[i]])
	}
	for {
		p := dst[from:]
		best := int32(-1)
		for i := 1; i < len(p); i++ {
			if token, ok := t.merges[pairOf(p[i-1], p[i])]; ok && (best < 0 || token < best) {
				best = token
			}
		}
		if best < 0 {
			return dst
		}
		n := 0
		for i := 0; i < len(p); i++ {
			if i+1 < len(p) {
				if token, ok := t.merges[pairOf(p[i], p[i+1])]; ok && token == best {
					p[n] = best
					n++
					i++
					continue
				}
			}
			p[n] = p[i]
			n++
		}
		dst = dst[:from+n]
	}
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
