// Package text turns text into batches of tokens and tokens into text: tokenizers, corpora with their split into
// training and validation, and the windows that truncated backpropagation through time reads.
//
// It must not know what a model computes from a batch, nor where its results go.
package text

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Tokenizer turns text into tokens and back.
type Tokenizer = model.Tokenizer

// EncodeError says where a text has what a vocabulary has not.
type EncodeError struct {
	Source  string // name of the file, if it is known
	Offset  int    // in bytes, from 0
	Line    int    // from 1
	Column  int    // in characters, from 1
	Char    string // the character, or the bytes that are not UTF-8
	Invalid bool   // the bytes at Offset are not UTF-8
	Advice  string // what to do
}

// Error gives place, character and advice in one line.
func (e *EncodeError) Error() string {
	place := fmt.Sprintf("line %d, column %d (byte %d)", e.Line, e.Column, e.Offset)
	if e.Source != "" {
		place = e.Source + ": " + place
	}
	if e.Invalid {
		return fmt.Sprintf("%s: %q is not valid UTF-8; %s", place, e.Char, e.Advice)
	}
	r, _ := utf8.DecodeRuneInString(e.Char)
	return fmt.Sprintf("%s: the character %q (%U) is not in the vocabulary; %s", place, e.Char, r, e.Advice)
}

// locate makes the error for the character of s at offset.
func locate(s string, offset int, advice string) *EncodeError {
	before := s[:offset]
	start := strings.LastIndexByte(before, '\n') + 1
	r, size := utf8.DecodeRuneInString(s[offset:])
	e := &EncodeError{
		Offset: offset,
		Line:   strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(before[start:]) + 1,
		Char:   s[offset : offset+size],
		Advice: advice,
	}
	if e.Invalid = r == utf8.RuneError && size == 1; e.Invalid {
		e.Advice = "convert the text to UTF-8, or use the tokenizer bytes, which takes any text"
	}
	return e
}

// appender is a tokenizer that can be fed a text in parts, as long as no part ends within a character or between \r and
// \n.
type appender interface {
	appendTokens(dst []int32, s string) ([]int32, *EncodeError)
}

// byteTokens is the tokenizer [Bytes].
type byteTokens struct{}

// bytePieces holds the text of each byte, so that Piece need not allocate.
var bytePieces = func() (p [256]string) {
	for i := range p {
		p[i] = string([]byte{byte(i)})
	}
	return p
}()

// Bytes is the tokenizer whose 256 tokens are the bytes: any text works, and a character beyond ASCII is several
// tokens. A sequence of tokens need not be valid UTF-8; see [Stream].
func Bytes() Tokenizer { return byteTokens{} }

func (byteTokens) Encode(s string) ([]int32, error) {
	tokens, _ := byteTokens{}.appendTokens(make([]int32, 0, len(s)), s)
	return tokens, nil
}

func (byteTokens) appendTokens(dst []int32, s string) ([]int32, *EncodeError) {
	for i := range len(s) {
		dst = append(dst, int32(s[i]))
	}
	return dst, nil
}

func (byteTokens) Decode(tokens []int32) string {
	b := make([]byte, len(tokens))
	for i, t := range tokens {
		check(t, 256)
		b[i] = byte(t)
	}
	return string(b)
}

func (byteTokens) Piece(token int32) string {
	check(token, 256)
	return bytePieces[token]
}

func (byteTokens) Vocab() int     { return 256 }
func (byteTokens) Digest() string { return digest("bytes", nil, -1) }

// charTokens has a token a character.
type charTokens struct {
	kind    string
	pieces  []string
	ascii   [utf8.RuneSelf]int32 // token of each ASCII character, or -1
	wide    map[rune]int32       // tokens of the others
	unknown int32                // token for what is not in the vocabulary, or -1
	bytes   int32                // token of byte 0, of those that stand for what is not in the vocabulary, or -1
	advice  string
	digest  string
}

// Option changes a tokenizer.
type Option func(*charTokens)

// Unknown makes the character r, which must be in the vocabulary, stand in for those that are not. Without it they are
// errors. Bytes that are not UTF-8 are replaced too, one by one.
func Unknown(r rune) Option {
	return func(t *charTokens) {
		token := t.token(r)
		if token < 0 {
			panic(fmt.Sprintf("text: the character %q for unknown ones is not in the vocabulary itself", r))
		}
		t.unknown = token
	}
}

// OrBytes makes the bytes of characters that are not in the vocabulary tokens, 256 of them behind the others, so that
// any text works and comes back as it was.
func OrBytes() Option {
	return func(t *charTokens) {
		t.bytes = int32(len(t.pieces))
		t.pieces = append(t.pieces, bytePieces[:]...)
	}
}

// asciiChars are newline and the printable characters of ASCII.
var asciiChars = func() string {
	b := []byte{'\n'}
	for c := byte(' '); c <= '~'; c++ {
		b = append(b, c)
	}
	return string(b)
}()

// ASCII is the tokenizer of 96 tokens: newline is 0, and the printable ASCII characters, space to tilde, are 1 to 95.
func ASCII(options ...Option) Tokenizer {
	return newChars("ascii", asciiChars,
		"give the tokenizer a character for unknown ones, such as {ascii: {unknown: \"?\"}}, or use bytes, which "+
			"takes any text", options)
}

// Chars is the tokenizer whose tokens are the characters of chars, in their order. Empty, repeated and invalid
// characters panic: the characters are constants of generated code. Where they have \n but no \r, \r\n is read as \n.
func Chars(chars string, options ...Option) Tokenizer {
	return newChars("chars", chars, "add it to the vocabulary file, or give the tokenizer a character for unknown ones",
		options)
}

func newChars(kind, chars, advice string, options []Option) *charTokens {
	t := &charTokens{kind: kind, wide: map[rune]int32{}, unknown: -1, bytes: -1, advice: advice}
	for i := range t.ascii {
		t.ascii[i] = -1
	}
	if chars == "" {
		panic("text: a vocabulary of no characters")
	}
	for i, r := range chars {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError && !strings.HasPrefix(chars[i:], string(utf8.RuneError)) {
			panic(fmt.Sprintf("text: byte %d of the vocabulary is not valid UTF-8", i))
		}
		if t.token(r) >= 0 {
			panic(fmt.Sprintf("text: the character %q is twice in the vocabulary", r))
		}
		if r < utf8.RuneSelf {
			t.ascii[r] = int32(len(t.pieces))
		} else {
			t.wide[r] = int32(len(t.pieces))
		}
		t.pieces = append(t.pieces, chars[i:i+size])
	}
	for _, o := range options {
		o(t)
	}
	if t.bytes >= 0 {
		kind += " or bytes"
	}
	t.digest = digest(kind, t.pieces, t.unknown)
	return t
}

// token is the token of r, or -1.
func (t *charTokens) token(r rune) int32 {
	if r < utf8.RuneSelf {
		return t.ascii[r]
	}
	if token, ok := t.wide[r]; ok {
		return token
	}
	return -1
}

func (t *charTokens) Encode(s string) ([]int32, error) {
	tokens, err := t.appendTokens(make([]int32, 0, len(s)), s)
	if err != nil {
		return nil, err
	}
	return tokens, nil
}

func (t *charTokens) appendTokens(dst []int32, s string) ([]int32, *EncodeError) {
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		token := t.token(r)
		if r == utf8.RuneError && size == 1 {
			token = -1 // even when the vocabulary has U+FFFD
		}
		if token < 0 && t.bytes >= 0 {
			for j := range size {
				dst = append(dst, t.bytes+int32(s[i+j]))
			}
			i += size
			continue
		}
		if r == '\r' && token < 0 && strings.HasPrefix(s[i+1:], "\n") && t.ascii['\n'] >= 0 {
			i++ // a line ends in \n here, wherever it was written
			continue
		}
		if token < 0 {
			if token = t.unknown; token < 0 {
				return dst, locate(s, i, t.advice)
			}
		}
		dst = append(dst, token)
		i += size
	}
	return dst, nil
}

func (t *charTokens) Decode(tokens []int32) string {
	var b strings.Builder
	for _, token := range tokens {
		b.WriteString(t.Piece(token))
	}
	return b.String()
}

func (t *charTokens) Piece(token int32) string {
	check(token, len(t.pieces))
	return t.pieces[token]
}

func (t *charTokens) Vocab() int     { return len(t.pieces) }
func (t *charTokens) Digest() string { return t.digest }

// check panics on a token outside of the vocabulary, which is a mistake of the program.
func check(token int32, vocab int) {
	if token < 0 || int(token) >= vocab {
		panic(fmt.Sprintf("text: token %d is not one of 0 to %d", token, vocab-1))
	}
}

// digest tells vocabularies apart.
func digest(kind string, pieces []string, unknown int32) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d\n", kind, unknown)
	for _, p := range pieces {
		fmt.Fprintf(h, "%q\n", p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Begin is the token in front of every text of a tokenizer, where it has one.
func Begin(t Tokenizer) (int32, bool) {
	if b, ok := t.(interface{ Begin() (int32, bool) }); ok {
		return b.Begin()
	}
	return 0, false
}

// End is the token that ends a text of a tokenizer, where it has one.
func End(t Tokenizer) (int32, bool) {
	if e, ok := t.(interface{ End() (int32, bool) }); ok {
		return e.End()
	}
	return 0, false
}

// Stream puts the pieces of tokens together to whole characters, as they come. What can no longer become valid UTF-8
// comes out as U+FFFD, so that the parts are valid text; Decode gives the bytes as they are. The zero value is not
// usable: see [NewStream].
type Stream struct {
	tokenizer Tokenizer
	rest      []byte // the beginning of a character
	start     bool   // no token of the text has come
}

// NewStream makes a Stream of a tokenizer's tokens, which go on with a text.
func NewStream(t Tokenizer) *Stream {
	return &Stream{tokenizer: t, rest: make([]byte, 0, 64)}
}

// NewText is NewStream of tokens that begin a text, where some tokenizers leave a blank out.
func NewText(t Tokenizer) *Stream {
	s := NewStream(t)
	s.start = true
	return s
}

// Next takes a token and returns the text that is now complete, often none. It allocates only where a character is put
// together from several tokens, and for the first token of a text.
func (s *Stream) Next(token int32) string {
	if special, ok := s.tokenizer.(interface{ Special(token int32) bool }); ok && special.Special(token) {
		return "" // as Decode leaves it out
	}
	piece := s.tokenizer.Piece(token)
	if s.start {
		s.start = false
		// Decode begins a text; where it gives the end of the piece, it has left out what is in front of that.
		if begun := s.tokenizer.Decode([]int32{token}); strings.HasSuffix(piece, begun) {
			piece = begun
		}
	}
	if len(s.rest) == 0 && utf8.ValidString(piece) {
		return piece
	}
	s.rest = append(s.rest, piece...)
	return s.take(false)
}

// Flush returns what is left at the end: a character that was never completed, as U+FFFD.
func (s *Stream) Flush() string { return s.take(true) }

func (s *Stream) take(all bool) string {
	n := len(s.rest)
	if !all {
		// Up to three bytes at the end may begin a character.
		for back := 1; back <= min(utf8.UTFMax-1, n); back++ {
			if utf8.RuneStart(s.rest[n-back]) {
				if !utf8.FullRune(s.rest[n-back:]) {
					n -= back
				}
				break
			}
		}
	}
	if n == 0 {
		return ""
	}
	out := string(bytes.ToValidUTF8(s.rest[:n], []byte(string(utf8.RuneError))))
	s.rest = append(s.rest[:0], s.rest[n:]...)
	return out
}
