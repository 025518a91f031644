package text

import (
	"fmt"
	"strconv"
	"strings"
)

// unknownWord is the text of the token for what is not in a vocabulary of words.
const unknownWord = " <unk>"

// wordTokens has a token a piece of a list, and one for all others.
type wordTokens struct {
	pieces []string // unknownWord last, or the bytes
	tokens map[string]int32
	bytes  int32 // token of byte 0, or -1
	breaks bool  // some piece has a \r, or bytes have
	digest string
}

// Words is the tokenizer of a list of words: tokens are pieces as [BPE] has them, a word with the blank before it,
// digits, other characters, white space. List has one a line, as Go strings in double quotes, in the order of their
// tokens; lines that are empty or begin with # are comments. The last token stands for all pieces that the list has
// not, so any text works, but it cannot be had back. Where no piece has a \r, \r\n is read as \n. A list that is not
// well formed panics: it is a constant of generated code.
func Words(list string) Tokenizer { return newWords(list, false) }

// WordsOrBytes is [Words] with 256 tokens for bytes in place of the one for other pieces: what the list has not is its
// bytes, so that any text comes back as it was.
func WordsOrBytes(list string) Tokenizer { return newWords(list, true) }

func newWords(list string, orBytes bool) Tokenizer {
	t := &wordTokens{tokens: map[string]int32{}, bytes: -1, breaks: orBytes}
	line := 0
	for text := range strings.Lines(list) {
		line++
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		word, err := strconv.Unquote(text)
		_, twice := t.tokens[word]
		if err != nil || word == "" || twice {
			panic(fmt.Sprintf("text: line %d of the words, %s, is not a new word in quotes", line, text))
		}
		t.tokens[word] = int32(len(t.pieces))
		t.pieces = append(t.pieces, word)
		t.breaks = t.breaks || strings.Contains(word, "\r")
	}
	if orBytes {
		t.bytes = int32(len(t.pieces))
		t.pieces = append(t.pieces, bytePieces[:]...)
		t.digest = digest("words or bytes", t.pieces, -1)
		return t
	}
	t.pieces = append(t.pieces, unknownWord)
	t.digest = digest("words", t.pieces, int32(len(t.pieces)-1))
	return t
}

func (t *wordTokens) Encode(s string) ([]int32, error) {
	if !t.breaks {
		s = strings.ReplaceAll(s, "\r\n", "\n")
	}
	tokens := make([]int32, 0, len(s)/4+1)
	for len(s) > 0 {
		n := pieceLen(s)
		token, ok := t.tokens[s[:n]]
		if !ok && t.bytes >= 0 {
			for i := range n {
				tokens = append(tokens, t.bytes+int32(s[i]))
			}
			s = s[n:]
			continue
		}
		if !ok {
			token = int32(len(t.pieces) - 1)
		}
		tokens = append(tokens, token)
		s = s[n:]
	}
	return tokens, nil
}

func (t *wordTokens) Decode(tokens []int32) string {
	var b strings.Builder
	for _, token := range tokens {
		b.WriteString(t.Piece(token))
	}
	return b.String()
}

func (t *wordTokens) Piece(token int32) string {
	check(token, len(t.pieces))
	return t.pieces[token]
}

// Special reports whether the token is the one for what is not in the list, which is no text.
func (t *wordTokens) Special(token int32) bool { return t.bytes < 0 && int(token) == len(t.pieces)-1 }

func (t *wordTokens) Vocab() int     { return len(t.pieces) }
func (t *wordTokens) Digest() string { return t.digest }
