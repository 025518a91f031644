// Package formula reads formulas in a part of LaTeX and writes them as plain text with Unicode, and as MathML, which
// browsers show without a script.
//
// The part is what the formulas of layers, losses and rules of update need: letters and numbers, the commands that
// Symbols lists, \frac, \sqrt, \text, \mathrm, \operatorname, \mathbb, \mathcal, \hat, \tilde and \bar, subscripts and
// superscripts. Anything else is an error, so that every formula has all of its forms. It must know nothing of models.
package formula

import (
	"fmt"
	"strings"
	"unicode"
)

// node is a part of a formula.
type node struct {
	kind     kind
	text     string // of leaves, in Unicode
	parts    []*node
	sub, sup *node // scripts; nil for none
}

type kind uint8

const (
	row      kind = iota // parts side by side
	letter               // a variable
	number               //
	word                 // upright text: a name of several letters
	function             // upright text that stands in front of an argument: tanh, log, softmax
	binary               // an operator or a relation, with blanks around it
	open                 // an opening bracket
	closing              // a closing one
	other                // signs that stand close to their neighbours, as commas do
	large                // Σ
	space                //
	fraction             // parts[0] over parts[1]
	root                 // of parts[0]
	accent               // text over parts[0]
)

// symbols are the commands that stand for one sign.
var symbols = map[string]node{
	"alpha": {kind: letter, text: "α"}, "beta": {kind: letter, text: "β"}, "gamma": {kind: letter, text: "γ"},
	"delta": {kind: letter, text: "δ"}, "epsilon": {kind: letter, text: "ε"}, "zeta": {kind: letter, text: "ζ"},
	"eta": {kind: letter, text: "η"}, "theta": {kind: letter, text: "θ"}, "kappa": {kind: letter, text: "κ"},
	"lambda": {kind: letter, text: "λ"}, "mu": {kind: letter, text: "μ"}, "nu": {kind: letter, text: "ν"},
	"xi": {kind: letter, text: "ξ"}, "pi": {kind: letter, text: "π"}, "rho": {kind: letter, text: "ρ"},
	"sigma": {kind: letter, text: "σ"}, "tau": {kind: letter, text: "τ"}, "upsilon": {kind: letter, text: "υ"},
	"phi": {kind: letter, text: "φ"}, "chi": {kind: letter, text: "χ"}, "psi": {kind: letter, text: "ψ"},
	"omega": {kind: letter, text: "ω"}, "Phi": {kind: letter, text: "Φ"}, "Delta": {kind: letter, text: "Δ"},
	"Gamma": {kind: letter, text: "Γ"}, "Lambda": {kind: letter, text: "Λ"}, "Omega": {kind: letter, text: "Ω"},
	"Pi": {kind: letter, text: "Π"}, "Psi": {kind: letter, text: "Ψ"}, "Theta": {kind: letter, text: "Θ"},
	"Xi": {kind: letter, text: "Ξ"}, "ell": {kind: letter, text: "ℓ"}, "infty": {kind: letter, text: "∞"},
	"nabla": {kind: letter, text: "∇"}, "top": {kind: letter, text: "⊤"}, "prime": {kind: letter, text: "′"},
	"emptyset": {kind: letter, text: "∅"},

	"cdot": {kind: binary, text: "·"}, "odot": {kind: binary, text: "⊙"}, "times": {kind: binary, text: "×"},
	"le": {kind: binary, text: "≤"}, "ge": {kind: binary, text: "≥"}, "ne": {kind: binary, text: "≠"},
	"sim": {kind: binary, text: "∼"}, "leftarrow": {kind: binary, text: "←"}, "approx": {kind: binary, text: "≈"},
	"in": {kind: binary, text: "∈"}, "mid": {kind: binary, text: "|"}, "pm": {kind: binary, text: "±"},
	"equiv": {kind: binary, text: "≡"}, "parallel": {kind: binary, text: "‖"}, "bmod": {kind: binary, text: "mod"},

	"lVert": {kind: open, text: "‖"}, "rVert": {kind: closing, text: "‖"}, "lvert": {kind: open, text: "|"},
	"rvert": {kind: closing, text: "|"}, "lfloor": {kind: open, text: "⌊"}, "rfloor": {kind: closing, text: "⌋"},
	"lceil": {kind: open, text: "⌈"}, "rceil": {kind: closing, text: "⌉"}, "{": {kind: open, text: "{"},
	"}": {kind: closing, text: "}"},

	"ldots": {kind: other, text: "…"}, "sum": {kind: large, text: "Σ"}, "quad": {kind: space, text: "  "},
	",": {kind: space, text: " "}, "%": {kind: other, text: "%"}, "_": {kind: other, text: "_"},

	"tanh": {kind: function, text: "tanh"}, "log": {kind: function, text: "log"},
	"exp": {kind: function, text: "exp"}, "max": {kind: function, text: "max"}, "min": {kind: function, text: "min"},
	"cos": {kind: function, text: "cos"}, "sin": {kind: function, text: "sin"},
}

// accents are the commands for what stands over a letter, as the combining sign and as the one beside it.
var accents = map[string][2]string{"hat": {"\u0302", "^"}, "tilde": {"\u0303", "~"}, "bar": {"\u0304", "¯"}}

type parser struct {
	src []rune
	at  int
}

// failure is what is wrong with a formula.
type failure string

func (p *parser) fail(format string, args ...any) {
	panic(failure(fmt.Sprintf("formula %q, at character %d: %s", string(p.src), p.at+1, fmt.Sprintf(format, args...))))
}

// parse reads a formula.
func parse(latex string) (n *node, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(failure)
			if !ok {
				panic(r)
			}
			n, err = nil, fmt.Errorf("%s", string(f))
		}
	}()
	p := &parser{src: []rune(latex)}
	n = p.row(0)
	if err := balanced(n); err != "" {
		p.fail("%s", err)
	}
	return n, nil
}

// balanced says which bracket of the formula has no other; empty where each has.
func balanced(n *node) string {
	var stack []string
	pair := map[string]string{")": "(", "]": "[", "}": "{", "‖": "‖", "|": "|", "⌋": "⌊", "⌉": "⌈"}
	for _, x := range n.parts {
		switch x.kind {
		case open:
			stack = append(stack, x.text)
		case closing:
			// An interval that is open at one end has two kinds of brackets.
			if len(stack) == 0 || stack[len(stack)-1] != pair[x.text] &&
				!strings.Contains("([", stack[len(stack)-1]) {
				return "the bracket " + x.text + " closes nothing"
			}
			stack = stack[:len(stack)-1]
		}
		for _, inner := range []*node{x.sub, x.sup} {
			if inner != nil {
				if s := balanced(inner); s != "" {
					return s
				}
			}
		}
		for _, inner := range x.parts {
			if s := balanced(inner); s != "" {
				return s
			}
		}
	}
	if len(stack) > 0 {
		return "the bracket " + stack[len(stack)-1] + " is not closed"
	}
	return ""
}

// row reads up to end, or to the end of the formula where end is 0.
func (p *parser) row(end rune) *node {
	n := &node{kind: row}
	for {
		for p.at < len(p.src) && unicode.IsSpace(p.src[p.at]) {
			p.at++
		}
		if p.at == len(p.src) {
			if end != 0 {
				p.fail("%q is missing", end)
			}
			return n
		}
		c := p.src[p.at]
		if end != 0 && c == end {
			p.at++
			return n
		}
		if c == '_' || c == '^' {
			p.script(n, c)
			continue
		}
		n.parts = append(n.parts, p.one())
	}
}

// script gives the last part of n what stands below or above it.
func (p *parser) script(n *node, c rune) {
	if len(n.parts) == 0 {
		p.fail("%q stands behind nothing", c)
	}
	base := n.parts[len(n.parts)-1]
	p.at++
	for p.at < len(p.src) && unicode.IsSpace(p.src[p.at]) {
		p.at++
	}
	if p.at == len(p.src) {
		p.fail("nothing stands behind %q", c)
	}
	x := &node{kind: row, parts: []*node{p.one()}}
	if g := x.parts[0]; g.kind == row {
		x = g
	}
	to := &base.sub
	if c == '^' {
		to = &base.sup
	}
	if *to != nil {
		p.fail("a second %q stands behind one letter", c)
	}
	*to = x
}

// one reads a letter, a number, a command or a group.
func (p *parser) one() *node {
	c := p.src[p.at]
	p.at++
	switch {
	case c == '{':
		return p.row('}')
	case c == '}':
		p.fail("%q closes nothing", c)
	case c == '\\':
		return p.command()
	case unicode.IsDigit(c):
		start := p.at - 1
		for p.at < len(p.src) && (unicode.IsDigit(p.src[p.at]) || p.src[p.at] == '.' && p.at+1 < len(p.src) &&
			unicode.IsDigit(p.src[p.at+1])) {
			p.at++
		}
		return &node{kind: number, text: string(p.src[start:p.at])}
	case unicode.IsLetter(c) && c < 128:
		return &node{kind: letter, text: string(c)}
	case c == '\'':
		return &node{kind: other, text: "′"}
	case strings.ContainsRune("+=", c):
		return &node{kind: binary, text: string(c)}
	case c == '-':
		return &node{kind: binary, text: "−"}
	case c == '<' || c == '>':
		return &node{kind: binary, text: string(c)}
	case c == '(' || c == '[':
		return &node{kind: open, text: string(c)}
	case c == ')' || c == ']':
		return &node{kind: closing, text: string(c)}
	case strings.ContainsRune(",/:;!.", c):
		return &node{kind: other, text: string(c)}
	}
	p.at--
	p.fail("%q has no meaning here", c)
	return nil
}

func (p *parser) command() *node {
	if p.at == len(p.src) {
		p.fail("a command is missing behind \\")
	}
	start := p.at
	for p.at < len(p.src) && p.src[p.at] < 128 && unicode.IsLetter(p.src[p.at]) {
		p.at++
	}
	if p.at == start {
		p.at++
	}
	name := string(p.src[start:p.at])
	if s, ok := symbols[name]; ok {
		return &s
	}
	switch name {
	case "text", "mathrm":
		return &node{kind: word, text: p.raw(name)}
	case "operatorname":
		return &node{kind: function, text: p.raw(name)}
	case "mathbb", "mathcal":
		s := p.raw(name)
		if d := map[string]string{"mathbb R": "ℝ", "mathbb E": "𝔼", "mathcal N": "𝒩", "mathcal L": "ℒ"}[name+" "+
			s]; d != "" {
			return &node{kind: letter, text: d}
		}
		p.fail("there is no \\%s{%s}", name, s)
	case "frac":
		return &node{kind: fraction, parts: []*node{p.group(name), p.group(name)}}
	case "sqrt":
		return &node{kind: root, parts: []*node{p.group(name)}}
	}
	if _, ok := accents[name]; ok {
		return &node{kind: accent, text: name, parts: []*node{p.group(name)}}
	}
	p.at = start
	p.fail("there is no command \\%s", name)
	return nil
}

// group reads what stands in braces behind a command.
func (p *parser) group(command string) *node {
	for p.at < len(p.src) && unicode.IsSpace(p.src[p.at]) {
		p.at++
	}
	if p.at == len(p.src) || p.src[p.at] != '{' {
		p.fail("\\%s has something in braces behind it", command)
	}
	p.at++
	return p.row('}')
}

// raw reads text in braces.
func (p *parser) raw(command string) string {
	if p.at == len(p.src) || p.src[p.at] != '{' {
		p.fail("\\%s has something in braces behind it", command)
	}
	start := p.at + 1
	for p.at < len(p.src) && p.src[p.at] != '}' {
		if p.at++; p.at < len(p.src) && p.src[p.at] == '\\' {
			if p.at+1 >= len(p.src) || p.src[p.at+1] != '_' {
				p.fail("\\%s has plain text in its braces", command)
			}
		}
	}
	if p.at == len(p.src) {
		p.fail("'}' is missing")
	}
	s := strings.ReplaceAll(string(p.src[start:p.at]), `\_`, "_")
	p.at++
	return s
}

// Escape is text as it stands in \text and the like.
func Escape(s string) string { return strings.ReplaceAll(s, "_", `\_`) }
