package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// finder looks for added tokens in a text: at each place the longest, from the left.
type finder struct {
	tokens  map[string]*Added
	lengths [256][]int // by first byte, the lengths of the tokens, the longest first
}

// add makes the finder look for a token that is spelt so.
func (f *finder) add(spelt string, a *Added) {
	if spelt == "" {
		return
	}
	if f.tokens == nil {
		f.tokens = map[string]*Added{}
	}
	f.tokens[spelt] = a
	of := &f.lengths[spelt[0]]
	if !slices.Contains(*of, len(spelt)) {
		*of = append(*of, len(spelt))
		slices.SortFunc(*of, func(a, b int) int { return b - a })
	}
}

// each gives the parts of a text in their order: a token, or text, whose token is then -1. Start says of text that the
// whole text begins with it. Special tokens are taken for text unless they are asked for.
func (f *finder) each(s string, special bool, give func(part string, token int32, start bool)) {
	if f.tokens == nil {
		if s != "" {
			give(s, -1, true)
		}
		return
	}
	from := 0
	for i := 0; i < len(s); {
		lengths := f.lengths[s[i]]
		var a *Added
		for _, n := range lengths {
			if i+n <= len(s) {
				if a = f.tokens[s[i:i+n]]; a != nil {
					lengths = []int{n}
					break
				}
			}
		}
		if a == nil {
			i++
			continue
		}
		start, end := i, i+lengths[0]
		i = end
		if a.Special && !special || a.SingleWord && (wordBefore(s[:start]) || wordBehind(s[end:])) {
			continue
		}
		if a.LStrip {
			start = max(from, len(strings.TrimRightFunc(s[:start], unicode.IsSpace)))
		}
		if a.RStrip {
			end += len(s[end:]) - len(strings.TrimLeftFunc(s[end:], unicode.IsSpace))
			i = max(i, end)
		}
		if from < start {
			give(s[from:start], -1, from == 0)
		}
		give(s[start:end], a.ID, start == 0)
		from = end
	}
	if from < len(s) {
		give(s[from:], -1, from == 0)
	}
}

func wordBefore(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return s != "" && isWord(r)
}

func wordBehind(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && isWord(r)
}

// isWord is \w of Unicode Technical Standard 18: letters, marks, decimal digits, connecting punctuation and joiners.
func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z'
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic,
		unicode.Join_Control)
}
