package constrain

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Grammar is the language of rule root of a grammar in GBNF, as llama.cpp reads it: rules name ::= alternatives, with
// literals in double quotes, classes of characters in brackets, . for any character, parentheses, the repetitions * +
// ? {n} {n,} {n,m}, and comments from # to the end of the line. A literal of a token's number, <[7]>, is an error, as
// is a rule that can begin with itself. The number of repetitions is exact, where llama.cpp takes more than 2,000 for
// any number.
func Grammar(source string) (*Language, error) {
	p := &gbnf{text: source, numbers: map[string]int{}, language: &Language{}}
	p.rule("root") // the first
	for p.space(true); p.err == nil && p.at < len(p.text); p.space(true) {
		p.definition()
	}
	if p.err == nil {
		for i, r := range p.language.rules {
			if r.body != nil {
				continue
			}
			if i == 0 {
				return nil, fmt.Errorf("constrain: the grammar has no rule root, which is where it begins")
			}
			p.at = p.named[i]
			p.fail("rule %q is used here and defined nowhere", r.name)
			break
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.language, nil
}

// GrammarFile is [Grammar] of a file.
func GrammarFile(name string) (*Language, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("can't read the grammar: %w", err)
	}
	l, err := Grammar(string(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

// gbnf reads a grammar.
type gbnf struct {
	text     string
	at       int
	depth    int
	numbers  map[string]int
	named    []int // where a rule is first named
	language *Language
	err      error
}

// mostNested is how deep parentheses may be nested.
const mostNested = 1000

// fail keeps the first mistake, with its place.
func (p *gbnf) fail(format string, args ...any) {
	if p.err != nil {
		return
	}
	before := p.text[:min(p.at, len(p.text))]
	line := strings.LastIndexByte(before, '\n') + 1
	place := fmt.Sprintf("line %d, column %d: ", strings.Count(before, "\n")+1, utf8.RuneCountInString(before[line:])+1)
	p.err = fmt.Errorf("constrain: grammar: "+place+format, args...)
}

func (p *gbnf) peek() byte {
	if p.err == nil && p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// rule gives the number of a rule.
func (p *gbnf) rule(name string) int {
	i, ok := p.numbers[name]
	if !ok {
		i = len(p.language.rules)
		p.numbers[name] = i
		p.language.rules = append(p.language.rules, rule{name: name})
		p.named = append(p.named, p.at)
	}
	return i
}

// space skips blanks and comments, and newlines where they end nothing.
func (p *gbnf) space(newlines bool) {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == ' ' || c == '\t' || newlines && (c == '\n' || c == '\r'):
			p.at++
		case c == '#':
			for p.at < len(p.text) && p.text[p.at] != '\n' && p.text[p.at] != '\r' {
				p.at++
			}
		default:
			return
		}
	}
}

func word(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func (p *gbnf) name() string {
	start := p.at
	for p.at < len(p.text) && word(p.text[p.at]) {
		p.at++
	}
	if p.at == start {
		p.fail("the name of a rule must stand here")
	}
	return p.text[start:p.at]
}

func (p *gbnf) definition() {
	start := p.at
	name := p.name()
	at := p.at
	p.at = start
	i := p.rule(name)
	p.at = at
	p.space(false)
	if p.err == nil && !strings.HasPrefix(p.text[p.at:], "::=") {
		p.fail("::= must stand here, behind the name of the rule")
		return
	}
	p.at += 3
	p.space(true)
	body := p.alternatives(false)
	if c := p.peek(); c != 0 && c != '\n' && c != '\r' {
		p.fail("the end of the rule must stand here, not %q", c)
	}
	if p.language.rules[i].body != nil {
		p.at = start
		p.fail("rule %q is defined twice", name)
	}
	p.language.rules[i].body = body
}

func (p *gbnf) alternatives(nested bool) expr {
	if p.depth++; p.depth > mostNested {
		p.fail("parentheses are nested more than %d deep", mostNested)
		return empty
	}
	defer func() { p.depth-- }()
	out := choice{p.sequence(nested)}
	for p.peek() == '|' {
		p.at++
		p.space(true)
		out = append(out, p.sequence(nested))
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}

func (p *gbnf) sequence(nested bool) expr {
	var out sequence
	last := -1 // where what is repeated begins
	for {
		switch c := p.peek(); {
		case c == '"':
			last = len(out)
			out = append(out, p.literal())
		case c == '[':
			last = len(out)
			out = append(out, p.class())
		case c == '.':
			p.at++
			last = len(out)
			out = append(out, anyChar)
		case c == '(':
			p.at++
			p.space(true)
			last = len(out)
			out = append(out, p.alternatives(true))
			if p.peek() != ')' {
				p.fail("a closing parenthesis must stand here")
			}
			p.at++
		case c == '<' || c == '!':
			p.fail("tokens by number or name are not supported: write their text")
		case word(c):
			last = len(out)
			start := p.at
			name := p.name()
			end := p.at
			p.at = start
			out = append(out, ref(p.rule(name)))
			p.at = end
		case c == '*' || c == '+' || c == '?' || c == '{':
			if last < 0 {
				p.fail("%q must stand behind what is repeated", c)
			}
			low, high := p.times()
			if p.err != nil {
				return empty
			}
			out[last] = repeat{out[last], low, high}
		default:
			if len(out) == 1 {
				return out[0]
			}
			return out
		}
		if p.err != nil {
			return empty
		}
		p.space(nested)
	}
}

// times reads a repetition.
func (p *gbnf) times() (low, high int) {
	p.at++
	switch p.text[p.at-1] {
	case '*':
		return 0, unbounded
	case '+':
		return 1, unbounded
	case '?':
		return 0, 1
	}
	number := func() int {
		start := p.at
		for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
			p.at++
		}
		n, err := strconv.Atoi(p.text[start:p.at])
		if err != nil || n > MostNodes {
			p.at = start
			p.fail("a number of at most %d must stand here", MostNodes)
		}
		return n
	}
	p.space(true)
	low = number()
	high = low
	p.space(true)
	if p.peek() == ',' {
		p.at++
		p.space(true)
		high = unbounded
		if p.peek() != '}' {
			high = number()
			p.space(true)
		}
	}
	if p.peek() != '}' {
		p.fail("a closing brace must stand here")
	}
	if high >= 0 && high < low {
		p.fail("a repetition of at least %d and at most %d times", low, high)
	}
	p.at++
	return low, high
}

func (p *gbnf) literal() expr {
	p.at++
	var b strings.Builder
	for p.err == nil {
		switch p.peek() {
		case 0:
			p.fail("the literal does not end")
		case '"':
			p.at++
			return literal(b.String())
		default:
			b.WriteRune(p.char())
		}
	}
	return empty
}

func (p *gbnf) class() expr {
	p.at++
	not := p.peek() == '^'
	if not {
		p.at++
	}
	var ranges []runes
	for p.err == nil && p.peek() != ']' {
		if p.at >= len(p.text) {
			p.fail("the class of characters does not end")
			return empty
		}
		lo := p.char()
		hi := lo
		if strings.HasPrefix(p.text[p.at:], "-") && !strings.HasPrefix(p.text[p.at:], "-]") {
			p.at++
			if hi = p.char(); hi < lo {
				p.fail("the range from %q to %q is empty", lo, hi)
			}
		}
		ranges = append(ranges, runes{lo, hi})
	}
	p.at++
	c := newClass(ranges...)
	if not {
		c = c.not()
	}
	if len(c) == 0 {
		p.fail("the class has no characters")
	}
	return c
}

// char reads a character or its escape.
func (p *gbnf) char() rune {
	if p.at >= len(p.text) {
		p.fail("a character must stand here")
		return 0
	}
	if p.text[p.at] != '\\' {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if r == utf8.RuneError && size == 1 {
			p.fail("byte %#x is not valid UTF-8", p.text[p.at])
		}
		p.at += size
		return r
	}
	if p.at+1 >= len(p.text) {
		p.fail("the escape does not end")
		return 0
	}
	c := p.text[p.at+1]
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	switch {
	case digits > 0:
		if p.at+2+digits > len(p.text) {
			p.fail("\\%c takes %d hexadecimal digits", c, digits)
			return 0
		}
		n, err := strconv.ParseUint(p.text[p.at+2:p.at+2+digits], 16, 32)
		if err != nil {
			p.fail("\\%c takes %d hexadecimal digits", c, digits)
			return 0
		}
		if n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
			p.fail("%#x is no character of Unicode", n)
			return 0
		}
		p.at += 2 + digits
		return rune(n)
	case strings.IndexByte(`"\[]-`, c) >= 0:
		p.at += 2
		return rune(c)
	}
	if i := strings.IndexByte("trn", c); i >= 0 {
		p.at += 2
		return rune("\t\r\n"[i])
	}
	p.fail("\\%c is no escape: there are \\t \\r \\n \\\\ \\\" \\[ \\] \\- \\xNN \\uNNNN \\UNNNNNNNN", c)
	return 0
}
