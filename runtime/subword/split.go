package subword

import (
	"strings"
	"unicode/utf8"
)

// A Split gives the length of the first piece of a text that is not empty. Tokens do not reach beyond a piece. A split
// takes any text apart: no characters are left out.
type Split func(s string) int

// The expressions that published tokenizers split with, as their files have them. GPT2 is that of GPT-2 and RoBERTa,
// CL100K that of GPT-4 and of Llama 3, Qwen2 that of Qwen 2 and 3, and O200K that of GPT-4o.
const (
	GPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	CL100K = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	Qwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	O200K  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// splits has the expressions that are written out, in the spellings that files have them in.
var splits = map[string]Split{
	GPT2: SplitGPT2,
	`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`:         SplitGPT2,
	`'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`: SplitGPT2,
	CL100K: SplitCL100K,
	`(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: func(s string) int {
		return splitWords(s, 1, asciiEndings)
	},
	`(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: func(s string) int {
		return splitWords(s, 3, asciiEndings)
	},
	`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`: func(s string) int {
		if n := run(s, isSpace); n == len(s) {
			return n // \s++$
		}
		return splitWords(s, 3, foldedEndings)
	},
	Qwen2: SplitQwen2,
	O200K: SplitO200K,
}

// FindSplit returns the split of an expression that is written out here. Others need an engine for expressions.
func FindSplit(expression string) (Split, bool) {
	s, ok := splits[expression]
	return s, ok
}

// SplitGPT2 is the split of the expression [GPT2]: a run of letters, of digits or of other characters, each with the
// blank before it, a run of white space, or one of the endings 's, 't, 're, 've, 'm, 'll and 'd.
func SplitGPT2(s string) int {
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
		switch c, _ := class(s[start:]); {
		case isLetter(c):
			return start + run(s[start:], isLetter)
		case isDigit(c):
			return start + run(s[start:], isDigit)
		case isOther(c):
			return start + run(s[start:], isOther)
		}
	}
	return spaces(s)
}

// spaces is the length of \s+(?!\S)|\s+ in a text that begins with white space: the last character of a run belongs to
// what follows, unless it is the only one.
func spaces(s string) int {
	n := run(s, isSpace)
	if n == len(s) {
		return n
	}
	if _, last := utf8.DecodeLastRuneInString(s[:n]); last < n {
		return n - last
	}
	return n
}

// SplitCL100K is the split of the expression [CL100K].
func SplitCL100K(s string) int { return splitWords(s, 3, foldedEndings) }

// SplitQwen2 is the split of the expression [Qwen2].
func SplitQwen2(s string) int { return splitWords(s, 1, foldedEndings) }

// foldedEndings is the length of (?i:'s|'t|'re|'ve|'m|'ll|'d) at the beginning of s, or 0. The long s, ſ, is an s
// there.
func foldedEndings(s string) int {
	if n := asciiEndings(s); n > 0 {
		return n
	}
	if strings.HasPrefix(s, "'ſ") {
		return len("'ſ")
	}
	return 0
}

// asciiEndings is foldedEndings for the letters of ASCII.
func asciiEndings(s string) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	switch a := s[1] | 0x20; a {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v', 'l':
		if len(s) < 3 {
			return 0
		}
		if b := s[2] | 0x20; a == 'l' && b == 'l' || a != 'l' && b == 'e' {
			return 3
		}
	}
	return 0
}

// splitWords is the split of CL100K with that many digits in a piece.
func splitWords(s string, digits int, endings func(string) int) int {
	if n := endings(s); n > 0 {
		return n
	}
	c, size := class(s)
	switch {
	case isLetter(c):
		return run(s, isLetter)
	case c == digit:
		n := size
		for i := 1; i < digits && n < len(s); i++ {
			next, size := class(s[n:])
			if next != digit {
				break
			}
			n += size
		}
		return n
	case s[0] != '\r' && s[0] != '\n' && size < len(s):
		if next, _ := class(s[size:]); isLetter(next) {
			return size + run(s[size:], isLetter)
		}
	}
	return splitRest(s, c, "\r\n")
}

// splitRest is | ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ of a text whose first character is of class c, with
// the characters that may follow those that are neither letters nor digits.
func splitRest(s string, c uint8, behind string) int {
	start := 0
	if s[0] == ' ' && len(s) > 1 {
		start = 1
		c, _ = class(s[1:])
	}
	if isOther(c) {
		n := start + run(s[start:], isOther)
		for n < len(s) && strings.IndexByte(behind, s[n]) >= 0 {
			n++
		}
		return n
	}
	n := run(s, isSpace)
	if last := strings.LastIndexAny(s[:n], "\r\n"); last >= 0 {
		return last + 1
	}
	return spaces(s)
}

// SplitO200K is the split of the expression [O200K].
func SplitO200K(s string) int {
	c, size := class(s)
	switch {
	case c == digit:
		return splitWords(s, 3, foldedEndings)
	case !isLetter(c) && s[0] != '\r' && s[0] != '\n':
		// The character before a word may be a mark, which may also begin one.
		if n := word(s[size:]); n > 0 {
			n += size
			return n + foldedEndings(s[n:])
		}
	}
	if isLetter(c) || c == mark {
		n := word(s)
		if n == 0 {
			n = capitals(s)
		}
		return n + foldedEndings(s[n:])
	}
	if s[0] != '\r' && s[0] != '\n' {
		if n := capitals(s[size:]); n > 0 {
			n += size
			return n + foldedEndings(s[n:])
		}
	}
	return splitRest(s, c, "\r\n/")
}

func mayBegin(c uint8) bool  { return c == upper || c == letter || c == mark }
func mayFollow(c uint8) bool { return c == lower || c == letter || c == mark }

// word is the length of [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+, or 0.
func word(s string) int {
	n, both := 0, 0 // both is behind the last character that may stand in either part
	for n < len(s) {
		c, size := class(s[n:])
		if !mayBegin(c) {
			break
		}
		n += size
		if c != upper {
			both = n
		}
	}
	if more := run(s[n:], mayFollow); more > 0 {
		return n + more
	}
	return both
}

// capitals is the length of [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]* where word is 0.
func capitals(s string) int { return run(s, mayBegin) }
