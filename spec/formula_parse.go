package spec

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Expr is a node of a formula, whose size is known. Op says what it is:
//
//	number     Number
//	input      what the layer reads, or, with Memory, the encoder's output, of the token that Index counts
//	param      the parameter Name
//	value      the value that an equation gives the Name
//	last       that value at the step before
//	product    Args[0]·Args[1], the first a matrix parameter; transposed, if Transposed is set
//	dot        Args[0]ᵀ·Args[1]
//	outer      Args[0]·Args[1]ᵀ, a matrix of each token
//	apply      Args[0]·Args[1], the first a matrix of each token; transposed, if Transposed is set
//	rows       diag(Args[0])·Args[1], and columns Args[1]·diag(Args[0]), of a matrix of each token
//	+ - * /    element by element; a scalar of one operand goes with each element of the other
//	join       Args side by side
//	sum        Σ of Args[0] over the tokens that Index counts
//	weight     softmax of Args[0] over the tokens that Index counts, at one of them; it stands in a sum over the same
//
// and the functions in Functions, of Args[0].
type Expr struct {
	Op         string
	Args       []*Expr
	Name       string
	Number     float64
	Transposed bool
	Size       int    // elements of a vector, or of a matrix of each token; 0 for a scalar
	Rows       int    // of a matrix of each token, whose elements lie row by row; 0 for others
	Index      string // of an input, a sum or a weight: what counts tokens; empty for the layer's own token
	Memory     bool   // the tokens are those of the source
	Causal     bool   // of a sum or weight: over the tokens up to the layer's own

	at    int // place in the formula, in characters
	token formulaToken
	kind  exprKind
	size  *extent // of a vector, or of a matrix's result
	in    *extent // of a matrix: what it reads
}

// Cols is the number of columns of a matrix of each token.
func (x *Expr) Cols() int { return x.Size / max(1, x.Rows) }

// Reads reports whether the value differs from one of the tokens that index counts to another, index being empty for
// the layer's own.
func (x *Expr) Reads(index string) bool {
	switch x.Op {
	case "input":
		return x.Index == index
	case "value", "last":
		return index == ""
	case "sum":
		if x.Causal && index == "" {
			return true
		}
	case "weight":
		if x.Index == index || x.Causal && index == "" {
			return true
		}
	}
	for _, a := range x.Args {
		if a.Reads(index) {
			return true
		}
	}
	return false
}

// Key is the same for equal formulas of the same indices.
func (x *Expr) Key() string { return x.key("", "") }

// KeyOf is the same for formulas that differ in what they call index alone.
func (x *Expr) KeyOf(index string) string { return x.key(index, "*") }

// key is Key with one index in the place of another.
func (x *Expr) key(from, to string) string {
	var b strings.Builder
	index := x.Index
	if index == from {
		index = to
	}
	fmt.Fprintf(&b, "(%s %s %g %t %s %t %t", x.Op, x.Name, x.Number, x.Transposed, index, x.Memory, x.Causal)
	for _, a := range x.Args {
		b.WriteString(a.key(from, to))
	}
	b.WriteByte(')')
	return b.String()
}

type exprKind uint8

const (
	scalarKind exprKind = iota
	vectorKind
	rowKind // a transposed vector
	matrixKind
	unknownKind // of what is still to be found
)

// Functions are what a formula can apply to each element, or, softmax, to a vector, by their names and by others that
// are read as well. Activations are among them.
var functionNames = map[string]string{"softmax": "softmax", "diag": "diag"}

// formulaError is what is wrong with a formula, and where, in characters from its start.
type formulaError struct {
	at  int
	msg string
}

type formulaToken struct {
	text string
	kind byte // 'n' number, 'a' name, or the sign itself
	at   int
	base string   // of a name: what stands before the subscripts
	subs []string // its subscripts but for the time
	time string   // "", "t" or "t-1"
}

type formulaParser struct {
	src    []rune
	tokens []formulaToken
	next   int
	own    map[string]bool // names of functions that equations give another meaning
}

func (p *formulaParser) fail(at int, format string, args ...any) {
	panic(formulaError{at, fmt.Sprintf(format, args...)})
}

// signs are other ways to write a sign.
var signs = map[rune]string{'−': "-", '·': "·", '⋅': "·", '@': "·", '∘': "∘", '⊙': "∘", '×': "*", '→': "="}

var fractions = map[rune]float64{'½': 0.5, '¼': 0.25, '¾': 0.75, '⅓': 1.0 / 3}

// scan cuts the formula into tokens.
func (p *formulaParser) scan() {
	for i := 0; i < len(p.src); {
		c := p.src[i]
		add := func(kind byte, text string, n int) {
			p.tokens = append(p.tokens, formulaToken{text: text, kind: kind, at: i})
			i += n
		}
		switch {
		case c == '\n' || c == ';':
			add(';', string(c), 1)
		case unicode.IsSpace(c):
			i++
		case c == '#':
			for i < len(p.src) && p.src[i] != '\n' {
				i++
			}
		case fractions[c] != 0:
			add('n', strconv.FormatFloat(fractions[c], 'g', -1, 64), 1)
		case unicode.IsDigit(c) && c < 128:
			end := i
			for end < len(p.src) && (p.src[end] >= '0' && p.src[end] <= '9' || p.src[end] == '.') {
				end++
			}
			if end < len(p.src) && (p.src[end] == 'e' || p.src[end] == 'E') {
				e := end + 1
				if e < len(p.src) && (p.src[e] == '-' || p.src[e] == '+') {
					e++
				}
				if e < len(p.src) && p.src[e] >= '0' && p.src[e] <= '9' {
					for end = e; end < len(p.src) && p.src[end] >= '0' && p.src[end] <= '9'; {
						end++
					}
				}
			}
			add('n', string(p.src[i:end]), end-i)
		case c == '√':
			add('a', "√", 1)
		case c == 'ᵀ' || c == '²':
			add(map[rune]byte{'ᵀ': 'T', '²': '2'}[c], string(c), 1)
		case c == 'Σ' || c == '∑':
			p.src[i] = 'Σ'
			p.name(&i)
			p.tokens[len(p.tokens)-1].kind = 'S'
		case unicode.IsLetter(c):
			p.name(&i)
			if t := &p.tokens[len(p.tokens)-1]; t.base == "sum" && len(t.subs) > 0 {
				t.kind = 'S'
			}
		case c == '^':
			switch {
			case i+1 < len(p.src) && p.src[i+1] == 'T':
				add('T', "^T", 2)
			case i+1 < len(p.src) && p.src[i+1] == '2':
				add('2', "^2", 2)
			default:
				p.fail(i, "expected ^T, the transpose, or ^2, the square, behind ^")
			}
		case c == '.' && i+1 < len(p.src) && p.src[i+1] == '*':
			add('o', "∘", 2)
		case signs[c] != "":
			s := signs[c]
			add(map[string]byte{"-": '-', "·": '.', "∘": 'o', "*": '*', "=": '='}[s], s, 1)
		case strings.ContainsRune("+-*/()[],=|~", c):
			add(byte(c), string(c), 1)
		default:
			p.fail(i, "the sign %q has no meaning in a formula", c)
		}
	}
	p.tokens = append(p.tokens, formulaToken{kind: ';', at: len(p.src)}, formulaToken{kind: 0, at: len(p.src)})
}

// name scans a name with its subscript, of which t and t−1 are times.
func (p *formulaParser) name(i *int) {
	start := *i
	part := func(c rune) bool {
		return unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.Is(unicode.Mn, c) || c == '\'' || c == '′'
	}
	for *i < len(p.src) && part(p.src[*i]) && p.src[*i] != 'ᵀ' {
		*i++
	}
	text, time := string(p.src[start:*i]), ""
	base, subs := text, []string(nil)
	for *i+1 < len(p.src) && p.src[*i] == '_' {
		var sub string
		if p.src[*i+1] == '{' {
			end := *i + 2
			for end < len(p.src) && p.src[end] != '}' {
				end++
			}
			if end == len(p.src) {
				p.fail(*i+1, "the brace of the subscript is not closed")
			}
			sub = string(p.src[*i+2 : end])
			*i = end + 1
		} else {
			end := *i + 1
			for end < len(p.src) && part(p.src[end]) && p.src[end] != 'ᵀ' {
				end++
			}
			sub = string(p.src[*i+1 : end])
			*i = end
		}
		for _, s := range strings.Split(sub, ",") {
			s = strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(s), "−", "-"), " ", "")
			if s == "t" || s == "t-1" {
				time = s
				continue
			}
			text += "_" + s
			subs = append(subs, s)
		}
	}
	p.tokens = append(p.tokens, formulaToken{text: text, kind: 'a', at: start, base: base, subs: subs, time: time})
}

func (p *formulaParser) peek() formulaToken { return p.tokens[p.next] }

func (p *formulaParser) take(kind byte) (formulaToken, bool) {
	t := p.peek()
	if t.kind != kind {
		return t, false
	}
	p.next++
	return t, true
}

func (p *formulaParser) need(kind byte, what string) formulaToken {
	t, ok := p.take(kind)
	if !ok {
		p.fail(t.at, "expected %s, found %s", what, t.words())
	}
	return t
}

func (t formulaToken) words() string {
	switch t.kind {
	case 0:
		return "the end of the formula"
	case ';':
		return "the end of the equation"
	}
	return strconv.Quote(t.text)
}

// formulaEquation is one equation: names, of which several are equal parts, and what they are.
type formulaEquation struct {
	names []formulaToken
	args  []formulaToken // of a function: f(a, b) = …
	expr  *Expr
}

// equations parses the whole formula.
func (p *formulaParser) equations() []formulaEquation {
	p.own = map[string]bool{}
	for i, t := range p.tokens {
		if t.kind == 'a' && (i == 0 || p.tokens[i-1].kind == ';') {
			n := i + 1
			if p.tokens[n].kind == '(' {
				for p.tokens[n].kind != ')' && p.tokens[n].kind != ';' {
					n++
				}
				n++
			}
			p.own[t.text] = p.tokens[min(n, len(p.tokens)-1)].kind == '=' || p.own[t.text]
		}
	}
	var all []formulaEquation
	for p.peek().kind != 0 {
		if _, ok := p.take(';'); ok {
			continue
		}
		var e formulaEquation
		if _, ok := p.take('['); ok {
			for {
				e.names = append(e.names, p.need('a', "a name"))
				if _, ok := p.take(','); !ok {
					break
				}
			}
			p.need(']', "] behind the names")
		} else {
			e.names = []formulaToken{p.need('a', "the name that an equation begins with")}
			if _, ok := p.take('('); ok { // G(z) = …
				for {
					e.args = append(e.args, p.need('a', "the name of an argument"))
					if _, ok := p.take('|'); ok { // q(z|x): z given x
						e.args = nil
						continue
					}
					if _, ok := p.take(','); !ok {
						break
					}
				}
				p.need(')', ")")
			}
		}
		if _, ok := p.take('~'); !ok {
			p.need('=', "= behind the name")
		}
		p.blank()
		e.expr = p.sum()
		p.blankBefore()
		if t := p.peek(); t.kind != ';' {
			p.fail(t.at, "expected an operator or the end of the equation, found %s", t.words())
		}
		all = append(all, e)
	}
	return all
}

// blank passes over ends of lines where an equation goes on: behind =, operators and inside of brackets.
func (p *formulaParser) blank() {
	for p.peek().text == "\n" {
		p.next++
	}
}

// blankBefore passes over ends of lines in front of an operator, which no equation begins with.
func (p *formulaParser) blankBefore() {
	n := p.next
	for p.tokens[n].text == "\n" {
		n++
	}
	switch p.tokens[n].kind {
	case '+', '-', '.', 'o', '*', '/':
		p.next = n
	}
}

func (p *formulaParser) sum() *Expr {
	x := p.term()
	for {
		p.blankBefore()
		t := p.peek()
		if t.kind != '+' && t.kind != '-' {
			return x
		}
		p.next++
		p.blank()
		x = &Expr{Op: string(t.kind), Args: []*Expr{x, p.term()}, at: t.at}
	}
}

func (p *formulaParser) term() *Expr {
	x := p.factor()
	for {
		p.blankBefore()
		t := p.peek()
		switch t.kind {
		case '.', 'o', '*', '/':
			p.next++
			p.blank()
			op := map[byte]string{'.': "·", 'o': "∘", '*': "*", '/': "/"}[t.kind]
			x = &Expr{Op: op, Args: []*Expr{x, p.factor()}, at: t.at}
		case 'a', 'n', '(', '[', 'S': // side by side is a product
			x = &Expr{Op: "·", Args: []*Expr{x, p.factor()}, at: t.at}
		default:
			return x
		}
	}
}

func (p *formulaParser) factor() *Expr {
	if t, ok := p.take('-'); ok {
		return &Expr{Op: "-", Args: []*Expr{{Op: "number", at: t.at}, p.factor()}, at: t.at}
	}
	x := p.primary()
	for {
		t := p.peek()
		switch t.kind {
		case 'T':
			x = &Expr{Op: "ᵀ", Args: []*Expr{x}, at: t.at}
		case '2':
			x = &Expr{Op: "²", Args: []*Expr{x}, at: t.at}
		default:
			return x
		}
		p.next++
	}
}

func (p *formulaParser) primary() *Expr {
	t := p.peek()
	p.next++
	switch t.kind {
	case 'n':
		v, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			p.fail(t.at, "%q is no number", t.text)
		}
		return &Expr{Op: "number", Number: v, at: t.at}
	case 'a':
		if f := functionNames[t.text]; f != "" && !p.own[t.text] {
			return &Expr{Op: f, Args: []*Expr{p.factor()}, at: t.at}
		}
		if t.base == "softmax" && len(t.subs) == 1 && !p.own[t.text] {
			return &Expr{Op: "softmax over", Index: t.subs[0], Args: []*Expr{p.factor()}, at: t.at}
		}
		x := &Expr{Op: "name", token: t, at: t.at}
		if p.peek().kind != '(' {
			return x
		}
		p.next++
		call := &Expr{Op: "call", token: t, at: t.at}
		for {
			p.blank()
			call.Args = append(call.Args, p.sum())
			p.blank()
			if _, ok := p.take(','); !ok {
				break
			}
		}
		p.need(')', ")")
		return call
	case 'S':
		if len(t.subs) != 1 {
			p.fail(t.at, "a sum has an index, as in Σ_j or Σ_{j≤i}")
		}
		x := &Expr{Op: "sum", at: t.at}
		x.Index, x.Name, _ = strings.Cut(strings.ReplaceAll(t.subs[0], "<=", "≤"), "≤")
		x.Args = []*Expr{p.term()}
		return x
	case '(':
		p.blank()
		x := p.sum()
		p.blank()
		p.need(')', ")")
		return x
	case '[':
		x := &Expr{Op: "join", at: t.at}
		for {
			p.blank()
			x.Args = append(x.Args, p.sum())
			p.blank()
			if _, ok := p.take(','); ok {
				continue
			}
			if _, ok := p.take(';'); !ok {
				break
			}
		}
		p.need(']', "] behind what stands side by side")
		return x
	}
	p.fail(t.at, "expected a name, a number, ( or [, found %s", t.words())
	return nil
}
