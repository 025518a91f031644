package constrain

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// A Language is a set of texts. It is immutable, and safe for concurrent use.
type Language struct {
	rules   []rule // the first is the root
	machine machine
	both    *[2]*Language // of which a text must be in both; in place of rules
}

type rule struct {
	name string
	body expr
}

// An expr is a part of a rule: one of the types below.
type expr any

type (
	literal  string   // these bytes
	class    []runes  // one character of these, in UTF-8; sorted, without overlaps and surrogates
	sequence []expr   // one behind the other
	choice   []expr   // one of them
	ref      int      // what rule of that number describes
	repeat   struct { // of, min to max times
		of       expr
		min, max int // max below 0: any number
	}
)

// runes are the characters from lo to hi.
type runes struct{ lo, hi rune }

const unbounded = -1

// empty is the empty text.
var empty = literal("")

func optional(e expr) expr { return repeat{e, 0, 1} }

// newClass is the class of characters that are in any of the ranges.
func newClass(ranges ...runes) class {
	var parts []runes
	for _, r := range ranges {
		// Surrogates are no characters.
		for _, p := range [...]runes{{max(r.lo, 0), min(r.hi, 0xD7FF)}, {max(r.lo, 0xE000), min(r.hi, utf8.MaxRune)}} {
			if p.lo <= p.hi {
				parts = append(parts, p)
			}
		}
	}
	slices.SortFunc(parts, func(a, b runes) int { return int(a.lo - b.lo) })
	var c class
	for _, p := range parts {
		if n := len(c); n > 0 && p.lo <= c[n-1].hi+1 && !(c[n-1].hi == 0xD7FF && p.lo == 0xE000) {
			c[n-1].hi = max(c[n-1].hi, p.hi)
			continue
		}
		c = append(c, p)
	}
	return c
}

// not is the class of the other characters.
func (c class) not() class {
	var out []runes
	next := rune(0)
	for _, r := range c {
		if r.lo > next {
			out = append(out, runes{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= utf8.MaxRune {
		out = append(out, runes{next, utf8.MaxRune})
	}
	return newClass(out...)
}

// and is the class of the characters that are in both.
func (c class) and(d class) class {
	var out []runes
	for _, a := range c {
		for _, b := range d {
			if lo, hi := max(a.lo, b.lo), min(a.hi, b.hi); lo <= hi {
				out = append(out, runes{lo, hi})
			}
		}
	}
	return newClass(out...)
}

// anyChar is every character.
var anyChar = newClass(runes{0, utf8.MaxRune})

// Choices is the language of the given texts.
func Choices(texts ...string) (*Language, error) {
	if len(texts) == 0 {
		return nil, errors.New("constrain: no choices: give one text or more")
	}
	c := make(choice, len(texts))
	for i, s := range texts {
		if !utf8.ValidString(s) {
			return nil, fmt.Errorf("constrain: choice %d, %q, is not valid UTF-8", i+1, s)
		}
		c[i] = literal(s)
	}
	return &Language{rules: []rule{{"root", c}}}, nil
}

// Join is the language of the texts of all languages, one behind the other: of a form that is written from parts.
func Join(languages ...*Language) (*Language, error) {
	joined := &Language{rules: []rule{{name: "root"}}}
	var body sequence
	for _, l := range languages {
		if l.rules == nil {
			return nil, errors.New("constrain: a language of a function, of phrases or of two others can't be joined " +
				"with others")
		}
		offset := len(joined.rules)
		for _, r := range l.rules {
			joined.rules = append(joined.rules, rule{r.name, shift(r.body, offset)})
		}
		body = append(body, ref(offset))
	}
	joined.rules[0].body = body
	return joined, nil
}

// framed is l with texts in front of and behind each of its own.
func framed(l *Language, before, behind string) (*Language, error) {
	switch {
	case l.both != nil:
		a, err := framed(l.both[0], before, behind)
		if err != nil {
			return nil, err
		}
		b, err := framed(l.both[1], before, behind)
		return And(a, b), err
	case l.machine == nil:
		return Join(Text(before), l, Text(behind))
	}
	if _, ok := l.machine.(*phraseMachine); ok {
		return l, nil // phrases are looked for anywhere
	}
	return nil, fmt.Errorf("constrain: pieces of this tokenizer have %q in front of a text and %q behind it, which "+
		"the function of a language can't be told", before, behind)
}

// Text is the language of one text, for [Join].
func Text(s string) *Language { return &Language{rules: []rule{{"root", literal(s)}}} }

// shift moves the numbers of the rules that e refers to.
func shift(e expr, by int) expr {
	switch e := e.(type) {
	case ref:
		return e + ref(by)
	case sequence:
		out := make(sequence, len(e))
		for i, x := range e {
			out[i] = shift(x, by)
		}
		return out
	case choice:
		out := make(choice, len(e))
		for i, x := range e {
			out[i] = shift(x, by)
		}
		return out
	case repeat:
		return repeat{shift(e.of, by), e.min, e.max}
	}
	return e
}
