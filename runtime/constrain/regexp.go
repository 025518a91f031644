package constrain

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Regexp is the language of the texts that a regular expression matches as a whole, from the first character to the
// last, in the syntax of package regexp. ^, $, \A and \z may stand where they mean the begin and the end of the text;
// word boundaries and the begin and end of lines within it are errors.
func Regexp(pattern string) (*Language, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("constrain: regular expression: %w", err)
	}
	c := regexpCompiler{chars: func(c class) expr { return c }}
	e, err := c.text(re, false)
	if err != nil {
		return nil, fmt.Errorf("constrain: regular expression %q: %w", pattern, err)
	}
	return &Language{rules: []rule{{"root", e}}}, nil
}

// regexpCompiler makes expressions of regular ones.
type regexpCompiler struct {
	chars func(class) expr // what stands for a character of a class
}

var errNothing = errors.New("it matches nothing")

// text compiles what is matched with a text: with all of it, or, for patterns of JSON Schema, with any part.
func (c regexpCompiler) text(re *syntax.Regexp, part bool) (expr, error) {
	switch re.Op {
	case syntax.OpCapture:
		return c.text(re.Sub[0], part)
	case syntax.OpAlternate:
		var out choice
		for _, sub := range re.Sub {
			e, err := c.text(sub, part)
			if errors.Is(err, errNothing) {
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		if len(out) == 0 {
			return nil, errNothing
		}
		return out, nil
	}
	subs := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		subs = re.Sub
	}
	begin, end := !part, !part
	for len(subs) > 0 && subs[0].Op == syntax.OpBeginText {
		begin, subs = true, subs[1:]
	}
	for len(subs) > 0 && subs[len(subs)-1].Op == syntax.OpEndText {
		end, subs = true, subs[:len(subs)-1]
	}
	var out sequence
	if !begin {
		out = append(out, repeat{c.chars(anyChar), 0, unbounded})
	}
	for _, sub := range subs {
		e, err := c.expr(sub)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if !end {
		out = append(out, repeat{c.chars(anyChar), 0, unbounded})
	}
	return out, nil
}

func (c regexpCompiler) expr(re *syntax.Regexp) (expr, error) {
	switch re.Op {
	case syntax.OpNoMatch:
		return nil, errNothing
	case syntax.OpEmptyMatch:
		return empty, nil
	case syntax.OpLiteral:
		var out sequence
		for _, r := range re.Rune {
			ranges := []runes{{r, r}}
			if re.Flags&syntax.FoldCase != 0 {
				for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
					ranges = append(ranges, runes{f, f})
				}
			}
			out = append(out, c.chars(newClass(ranges...)))
		}
		return out, nil
	case syntax.OpCharClass:
		var ranges []runes
		for i := 0; i < len(re.Rune); i += 2 {
			ranges = append(ranges, runes{re.Rune[i], re.Rune[i+1]})
		}
		cl := newClass(ranges...)
		if len(cl) == 0 {
			return nil, errNothing
		}
		return c.chars(cl), nil
	case syntax.OpAnyChar:
		return c.chars(anyChar), nil
	case syntax.OpAnyCharNotNL:
		return c.chars(newClass(runes{0, '\n' - 1}, runes{'\n' + 1, utf8.MaxRune})), nil
	case syntax.OpCapture:
		return c.expr(re.Sub[0])
	case syntax.OpStar:
		return c.repeat(re.Sub[0], 0, unbounded)
	case syntax.OpPlus:
		return c.repeat(re.Sub[0], 1, unbounded)
	case syntax.OpQuest:
		return c.repeat(re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		return c.repeat(re.Sub[0], re.Min, re.Max)
	case syntax.OpConcat:
		var out sequence
		for _, sub := range re.Sub {
			e, err := c.expr(sub)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		return out, nil
	case syntax.OpAlternate:
		var out choice
		for _, sub := range re.Sub {
			e, err := c.expr(sub)
			if errors.Is(err, errNothing) {
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		if len(out) == 0 {
			return nil, errNothing
		}
		return out, nil
	case syntax.OpBeginText, syntax.OpEndText:
		return nil, fmt.Errorf("%s stands within it: only what is matched first or last may be the begin or the end "+
			"of the text", re)
	case syntax.OpBeginLine, syntax.OpEndLine:
		return nil, errors.New("the begin and the end of a line are not supported: write the newline")
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return nil, fmt.Errorf("%s is not supported: say what may stand there", re)
	}
	return nil, fmt.Errorf("%s is not supported", re)
}

func (c regexpCompiler) repeat(sub *syntax.Regexp, low, high int) (expr, error) {
	e, err := c.expr(sub)
	if errors.Is(err, errNothing) && low == 0 {
		return empty, nil
	}
	if err != nil {
		return nil, err
	}
	// A sequence of one is what it holds.
	if s, ok := e.(sequence); ok && len(s) == 1 {
		e = s[0]
	}
	return repeat{e, low, high}, nil
}

// jsonChars is what stands for a character of a class in a string of JSON: itself, or its shortest escape where it
// needs one.
func jsonChars(c class) expr {
	var out choice
	if plain := c.and(jsonPlain); len(plain) > 0 {
		out = append(out, plain)
	}
	for _, r := range c.and(jsonPlain.not()) {
		for x := r.lo; x <= r.hi; x++ {
			out = append(out, literal(jsonEscape(x)))
		}
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}

// jsonPlain are the characters that need no escape in a string of JSON.
var jsonPlain = newClass(runes{' ', '"' - 1}, runes{'"' + 1, '\\' - 1}, runes{'\\' + 1, utf8.MaxRune})

func jsonEscape(r rune) string {
	if i := slices.Index([]rune("\"\\\b\f\n\r\t"), r); i >= 0 {
		return `\` + `"\bfnrt`[i:i+1]
	}
	return fmt.Sprintf(`\u%04x`, r)
}
