package text

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/subword"
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
// piece: a run of letters, of digits or of other characters, each with the blank before it, a run of white space, or
// one of the endings 's, 't, 're, 've, 'm, 'll and 'd. These are the pieces of GPT-2.
func pieceLen(s string) int { return subword.SplitGPT2(s) }

// pairTokens has a token a byte and a token for what merges of two others make.
type pairTokens struct {
	pieces []string
	bytes  [256]int32 // token of each byte
	merges *subword.Merges
	digest string
}

// BPE is the tokenizer of byte-pair encoding (Sennrich et al. 2016) over bytes, as GPT-2 has it: any text works,
// frequent words are one token, rare ones several. Merges has one a line, in the order in which they are applied: two
// tokens with a blank in between, as characters that stand for their bytes, a blank for instance as Ġ. A first line
// that begins with # is a comment. The tokens are the 256 bytes, then one for each merge that makes a new one; with the
// merges of GPT-2 they have its numbers. Of the merges that fit a piece of text the earliest is applied, of equal ones
// the first in the text, until none fits. Merges that are not well formed panic: they are constants of generated code.
func BPE(merges string) Tokenizer {
	t := &pairTokens{merges: subword.NewMerges(strings.Count(merges, "\n"))}
	byPiece := map[string]int32{}
	for i, b := range byteOrder {
		t.bytes[b] = int32(i)
		t.pieces = append(t.pieces, bytePieces[b])
		byPiece[bytePieces[b]] = int32(i)
	}
	var list []string // the merges, for the digest: pieces alone do not say how they are made
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
		_, _, twice := t.merges.Find(from, to)
		if !ok || !okA || !okB || !knownA || !knownB || twice {
			panic(fmt.Sprintf("text: line %d of the merges, %q, is not two tokens that are known, with a blank in "+
				"between, whose merge is new", line, text))
		}
		token, again := byPiece[a+b]
		list = append(list, text)
		if !again {
			token = int32(len(t.pieces))
			byPiece[a+b] = token
			t.pieces = append(t.pieces, a+b)
		}
		t.merges.Add(from, to, int32(t.merges.Len()), token)
	}
	t.digest = digest("bpe of merges", list, -1)
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

// merge appends the tokens of a piece: its bytes, of which the earliest merge that fits is made until none does.
func (t *pairTokens) merge(dst []int32, piece string) []int32 {
	from := len(dst)
	for i := range len(piece) {
		dst = append(dst, t.bytes[piece[i]])
	}
	return dst[:from+len(t.merges.Apply(dst[from:]))]
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
