// Package lookahead gives the package tokenizer an engine for the expressions of a tokenizer.json that look ahead or
// behind and that are not written out in the package subword. A program that may meet such a file imports it for its
// effect:
//
//	import _ "github.com/gradsmith/gradsmith/runtime/tokenizer/lookahead"
//
// Encoding a text is an error when a search takes longer than ten seconds.
package lookahead

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"

	"github.com/gradsmith/gradsmith/runtime/tokenizer"
)

func init() { tokenizer.Expressions = compile }

// compile makes a search of an expression.
func compile(expression string) (tokenizer.Search, error) {
	x, err := regexp2.Compile(expression, regexp2.RE2)
	if err != nil {
		// The other dialect has what this one has not, such as possessive quantifiers.
		if x, err = regexp2.Compile(expression, regexp2.None); err != nil {
			return nil, fmt.Errorf("the expression %q is not supported: %w", expression, err)
		}
	}
	x.MatchTimeout = timeout
	return func(s string) ([][2]int, error) {
		var places [][2]int
		at, characters := 0, 0 // the engine counts characters
		forward := func(to int) int {
			for ; characters < to; characters++ {
				_, size := utf8.DecodeRuneInString(s[at:])
				at += size
			}
			return at
		}
		m, err := x.FindStringMatch(s)
		for ; m != nil && err == nil; m, err = x.FindNextMatch(m) {
			if m.Length > 0 {
				start := forward(m.Index)
				places = append(places, [2]int{start, forward(m.Index + m.Length)})
			}
		}
		if err != nil {
			return nil, fmt.Errorf("the search for %q: %w", expression, err)
		}
		return places, nil
	}, nil
}

// timeout bounds one search: the engine goes back and forth, and there are expressions for which that takes forever.
const timeout = 10 * time.Second
