package subword

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// The classes of characters that splits ask for. Letters of o200k's expression fall into those that may stand in front
// of a word, those that may stand within it, and those that may do either.
const (
	other  uint8 = iota
	upper        // Lu, Lt
	lower        // Ll
	letter       // Lm, Lo
	mark         // M
	digit        // N
	space        // White_Space
)

// classes has the class of each character below U+10000, which is made when first asked for: range tables are searched
// too slowly for each character of a text.
var classes = sync.OnceValue(func() *[1 << 16]uint8 {
	var c [1 << 16]uint8
	for r := range c {
		c[r] = search(rune(r))
	}
	return &c
})

func search(r rune) uint8 {
	switch {
	case unicode.Is(unicode.Ll, r):
		return lower
	case unicode.Is(unicode.Lu, r), unicode.Is(unicode.Lt, r):
		return upper
	case unicode.IsLetter(r):
		return letter
	case unicode.IsMark(r):
		return mark
	case unicode.IsNumber(r):
		return digit
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// ascii has the classes of ASCII.
var ascii = func() (c [utf8.RuneSelf]uint8) {
	for r := range c {
		c[r] = search(rune(r))
	}
	return c
}()

// class is the class and the length of the first character of s, which is not empty. A byte that is not UTF-8 is a
// character of class other.
func class(s string) (uint8, int) {
	if s[0] < utf8.RuneSelf {
		return ascii[s[0]], 1
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && size == 1:
		return other, 1
	case r < 1<<16:
		return classes()[r], size
	}
	return search(r), size
}

// isLetter tells whether a class is one of \p{L}.
func isLetter(c uint8) bool { return c >= upper && c <= letter }

// isOther tells whether a class is one of [^\s\p{L}\p{N}].
func isOther(c uint8) bool { return c == other || c == mark }

// run is the length of the characters at the beginning of s of whose class in holds.
func run(s string, in func(uint8) bool) int {
	n := 0
	for n < len(s) {
		c, size := class(s[n:])
		if !in(c) {
			break
		}
		n += size
	}
	return n
}

func isDigit(c uint8) bool { return c == digit }
func isSpace(c uint8) bool { return c == space }
