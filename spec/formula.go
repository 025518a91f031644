package spec

import (
	"fmt"
	"strings"
	"unicode"
)

// Formula is a layer that the spec defines by equations, with the sizes of all that is in them.
type Formula struct {
	Pos
	Text      string
	Equations []Equation
	Params    []FormulaParam
	States    []string // values that an equation reads of the step before
	Output    string   // the value that the layer gives
	Size      int      // of the output and of the states
}

// Equation gives a value its name, or its equal parts theirs.
type Equation struct {
	Names []string
	Expr  *Expr
}

// FormulaParam is a parameter of a formula: a vector of Out elements, or a matrix that makes Out features of In.
type FormulaParam struct {
	Name  string // in the formula: "W_h"
	Field string // in code and checkpoints: "w_h"
	Out   int
	In    int  // 0 for a vector
	Bias  bool // a vector that is only added
}

// extent is a size that may not be known yet.
type extent struct {
	n      int
	parent *extent
}

func (e *extent) root() *extent {
	for e.parent != nil {
		e = e.parent
	}
	return e
}

// joint says that one size is the sum of others, or a multiple of one.
type joint struct {
	whole *extent
	parts []*extent
	at    int
}

// sizing finds the sizes of a formula.
type sizing struct {
	*formulaParser
	input  string
	params map[string]*Expr // declared, by name
	order  []string
	values map[string]*Expr   // by name, what an equation gives
	extent map[string]*extent // of values and of the input
	last   map[string]int     // names that are read of the step before, and where first
	states []string
	joints []joint
	used   map[string]bool
	added  map[string]bool // vectors that are added
	other  map[string]bool // vectors that are used in another way
}

// parseFormula parses and sizes a formula. in is the width of what the layer reads, sizes those that the spec gives: of a vector one number, of a matrix two, out and in. wide is the width
// of what the layer gives, where the stack decides it and the formula does not; 0 otherwise.
func parseFormula(text string, in int, params []string, sizes map[string][]int, output string, wide int) (f *Formula, err *formulaError) {
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(formulaError)
			if !ok {
				panic(p)
			}
			f, err = nil, &e
		}
	}()
	s := &sizing{
		formulaParser: &formulaParser{src: []rune(text)}, input: "x", params: map[string]*Expr{}, order: params, values: map[string]*Expr{}, extent: map[string]*extent{},
		last: map[string]int{}, used: map[string]bool{}, added: map[string]bool{}, other: map[string]bool{},
	}
	s.scan()
	equations := s.equations()
	if len(equations) == 0 {
		s.fail(0, "the formula has no equation")
	}
	for _, name := range params {
		p := &Expr{Op: "param", Name: name, kind: vectorKind, size: &extent{}}
		if r := []rune(name)[0]; unicode.IsUpper(r) && len(sizes[name]) != 1 || len(sizes[name]) == 2 {
			p.kind, p.in = matrixKind, &extent{}
		}
		if n := sizes[name]; len(n) > 0 {
			p.size.n = n[0]
			if len(n) == 2 {
				p.in.n = n[1]
			}
		}
		s.params[name] = p
	}
	s.extent[s.input] = &extent{n: in}
	for name, n := range sizes {
		if s.params[name] == nil && len(n) == 1 {
			s.extent[name] = &extent{n: n[0]}
		}
	}
	f = &Formula{Text: text, Output: output}
	for i, e := range equations {
		if arg, ok := strings.CutPrefix(e.names[0].time, "("); ok {
			if i > 0 {
				s.fail(e.names[0].at, "only the first equation says, as %s(%s) does, how what the layer reads is called", e.names[0].text, arg)
			}
			s.input = arg
			s.extent[arg] = &extent{n: in}
		}
	}
	for _, e := range equations {
		x := s.resolve(e.expr)
		var names []string
		for _, n := range e.names {
			switch {
			case n.time == "t-1":
				s.fail(n.at, "an equation gives %s at step t, not at the step before", n.text)
			case s.params[n.text] != nil:
				s.fail(n.at, "%s is a parameter, which no equation gives", n.text)
			case n.text == s.input:
				s.fail(n.at, "%s is what the layer reads, which no equation gives", n.text)
			case s.values[n.text] != nil:
				s.fail(n.at, "%s has an equation already", n.text)
			}
			names = append(names, n.text)
		}
		if x.kind == matrixKind || x.kind == rowKind {
			s.fail(e.names[0].at, "%s would be a %s; an equation gives a vector or a number", names[0], x.kindWord())
		}
		if len(names) > 1 {
			if x.kind != vectorKind {
				s.fail(e.names[0].at, "only a vector has parts")
			}
			part := s.of(names[0])
			var parts []*extent
			for _, n := range names {
				s.equal(s.of(n), part, e.names[0].at, "the parts of a vector are equal")
				parts = append(parts, part)
			}
			s.joints = append(s.joints, joint{x.size, parts, e.names[0].at})
		} else if x.kind == vectorKind {
			s.equal(s.of(names[0]), x.size, e.names[0].at, "what is given to "+names[0])
		}
		for _, n := range names {
			s.values[n] = x
		}
		f.Equations = append(f.Equations, Equation{names, x})
		if output == "" {
			f.Output = names[len(names)-1]
		}
	}
	if e := s.of(f.Output).root(); wide > 0 && e.n == 0 {
		e.n = wide
	}
	s.finish(f)
	return f, nil
}

// of is the size of the value of that name.
func (s *sizing) of(name string) *extent {
	if s.extent[name] == nil {
		s.extent[name] = &extent{}
	}
	return s.extent[name]
}

// equal makes two sizes one.
func (s *sizing) equal(a, b *extent, at int, what string) {
	a, b = a.root(), b.root()
	switch {
	case a == b:
	case a.n > 0 && b.n > 0 && a.n != b.n:
		s.fail(at, "%s: the sizes are %d and %d, and must be equal", what, a.n, b.n)
	case a.n > 0:
		b.parent = a
	default:
		a.parent = b
	}
}

// resolve gives names their meaning, and every node its kind and size.
func (s *sizing) resolve(x *Expr) *Expr {
	if x.Op == "name" {
		return s.named(x)
	}
	if x.kind != scalarKind || len(x.Args) == 0 { // a square has one operand twice
		return x
	}
	for i, a := range x.Args {
		x.Args[i] = s.resolve(a)
	}
	a := x.Args[0]
	switch x.Op {
	case "ᵀ":
		return s.transposed(x, a)
	case "join":
		x.kind, x.size = vectorKind, &extent{}
		var parts []*extent
		for _, a := range x.Args {
			s.mustBe(a, vectorKind, "what stands side by side is vectors")
			s.useOther(a)
			parts = append(parts, a.size)
		}
		s.joints = append(s.joints, joint{x.size, parts, x.at})
	case "+", "-", "∘", "*", "/":
		return s.elements(x)
	case "·":
		return s.multiplied(x)
	default: // a function
		if a.kind == matrixKind || a.kind == rowKind {
			s.fail(x.at, "%s is of a vector or a number, not of a %s", x.Op, a.kindWord())
		}
		if x.Op == "softmax" && a.kind != vectorKind {
			s.fail(x.at, "softmax is of a vector")
		}
		s.useOther(a)
		x.kind, x.size = a.kind, a.size
	}
	return x
}

func (s *sizing) named(x *Expr) *Expr {
	name, time, _ := strings.Cut(x.Name, "\x00")
	x.Name = name
	p := s.params[name]
	switch {
	case time == "t-1":
		if p != nil || name == s.input {
			s.fail(x.at, "%s has no step before: only values that an equation gives do", name)
		}
		if _, ok := s.last[name]; !ok {
			s.last[name] = x.at
			s.states = append(s.states, name)
		}
		x.Op, x.kind, x.size = "last", vectorKind, s.of(name)
	case p != nil:
		s.used[name] = true
		c := *p
		c.at = x.at
		return &c
	case name == s.input:
		x.Op, x.kind, x.size = "input", vectorKind, s.extent[name]
	case s.values[name] != nil:
		x.Op, x.kind, x.size = "value", s.values[name].kind, s.of(name)
	default:
		known := append(append([]string{s.input}, s.order...), keysOf(s.values)...)
		s.fail(x.at, "nothing is called %s here%s; a parameter stands in the list `parameters`, a value in an equation above, and %s is what the layer reads", name, didYouMean(nearest(name, known)), s.input)
	}
	return x
}

func keysOf(m map[string]*Expr) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	return names
}

func (x *Expr) kindWord() string {
	return [...]string{"number", "vector", "transposed vector", "matrix"}[x.kind]
}

func (s *sizing) mustBe(x *Expr, kind exprKind, what string) {
	if x.kind != kind {
		s.fail(x.at, "%s, but here stands a %s", what, x.kindWord())
	}
}

// useOther notes that a vector is not only added.
func (s *sizing) useOther(x *Expr) {
	if x.Op == "param" {
		s.other[x.Name] = true
	}
}

func (s *sizing) transposed(x, a *Expr) *Expr {
	switch a.kind {
	case vectorKind:
		s.useOther(a)
		return &Expr{Op: "ᵀ", Args: []*Expr{a}, kind: rowKind, size: a.size, at: x.at}
	case matrixKind:
		c := *a
		c.Transposed = !a.Transposed
		c.size, c.in = a.in, a.size
		return &c
	}
	s.fail(x.at, "only a vector or a matrix has a transpose")
	return nil
}

func (s *sizing) elements(x *Expr) *Expr {
	a, b := x.Args[0], x.Args[1]
	for _, o := range x.Args {
		if o.kind == matrixKind || o.kind == rowKind {
			s.fail(x.at, "%s is between vectors and numbers, element by element, but one side is a %s; a product of a matrix is written ·", x.Op, o.kindWord())
		}
		if x.Op != "+" && x.Op != "-" {
			s.useOther(o)
		} else if o.Op == "param" {
			s.added[o.Name] = true
		}
	}
	if x.Op == "∘" {
		x.Op = "*"
	}
	switch {
	case a.kind == vectorKind && b.kind == vectorKind:
		s.equal(a.size, b.size, x.at, fmt.Sprintf("both sides of %s", x.Op))
		x.kind, x.size = vectorKind, a.size
	case a.kind == vectorKind:
		x.kind, x.size = vectorKind, a.size
	case b.kind == vectorKind:
		x.kind, x.size = vectorKind, b.size
	}
	return x
}

func (s *sizing) multiplied(x *Expr) *Expr {
	a, b := x.Args[0], x.Args[1]
	switch {
	case a.kind == matrixKind && b.kind == vectorKind:
		s.equal(a.in, b.size, x.at, fmt.Sprintf("%s reads as many features as it is multiplied with", a.Name))
		s.useOther(b)
		return &Expr{Op: "product", Args: x.Args, Transposed: a.Transposed, kind: vectorKind, size: a.size, at: x.at}
	case a.kind == rowKind && b.kind == vectorKind:
		s.equal(a.size, b.size, x.at, "both sides of a scalar product")
		s.useOther(b)
		return &Expr{Op: "dot", Args: []*Expr{a.Args[0], b}, at: x.at}
	case a.kind == scalarKind && b.kind != matrixKind && b.kind != rowKind || b.kind == scalarKind && a.kind == vectorKind:
		x.Op = "*"
		return s.elements(x)
	case a.kind == vectorKind && b.kind == vectorKind:
		s.fail(x.at, "the product of two vectors is ∘, element by element, or aᵀ·b, a number; which is meant?")
	}
	s.fail(x.at, "a %s cannot be multiplied with a %s", a.kindWord(), b.kindWord())
	return nil
}

// finish finds the sizes that follow from sums, and fills in what the formula says.
func (s *sizing) finish(f *Formula) {
	for again := true; again; {
		again = false
		for _, j := range s.joints {
			sum, unknown := 0, map[*extent]int{}
			for _, p := range j.parts {
				if r := p.root(); r.n > 0 {
					sum += r.n
				} else {
					unknown[r]++
				}
			}
			w := j.whole.root()
			switch {
			case len(unknown) == 0 && w.n == 0:
				w.n, again = sum, true
			case len(unknown) == 0 && w.n != sum:
				s.fail(j.at, "the parts side by side are %d features, but the whole is %d", sum, w.n)
			case len(unknown) == 1 && w.n > 0:
				for u, times := range unknown {
					if rest := w.n - sum; rest <= 0 || rest%times != 0 {
						s.fail(j.at, "%d features cannot be cut into %d equal parts beside %d others", w.n, times, sum)
					} else {
						u.n, again = rest/times, true
					}
				}
			}
		}
	}
	value, ok := s.values[f.Output]
	if !ok {
		s.fail(0, "no equation gives %s, which the layer is to give", f.Output)
	}
	if value.kind != vectorKind {
		s.fail(value.at, "the layer would give %s, a number; it gives a vector", f.Output)
	}
	for _, name := range s.states {
		v := s.values[name]
		if v == nil {
			s.fail(s.last[name], "%s is read of the step before, but no equation gives it: the state is never set", name)
		}
		if v.kind != vectorKind {
			s.fail(s.last[name], "the state %s is a number; a state is a vector", name)
		}
	}
	size := func(e *extent, what string, at int) int {
		n := e.root().n
		if n == 0 {
			s.fail(at, "nothing says the size of %s; give it under `sizes`", what)
		}
		return n
	}
	f.Size = size(s.of(f.Output), f.Output, value.at)
	for _, name := range s.states {
		if n := size(s.of(name), name, s.last[name]); n != f.Size {
			s.fail(s.last[name], "the state %s has %d elements and %s, which the layer gives, %d; a recurrent layer has one size for all of them", name, n, f.Output, f.Size)
		}
	}
	f.States = s.states
	taken := map[string]bool{}
	for _, name := range s.order {
		p := s.params[name]
		if !s.used[name] {
			s.fail(0, "the parameter %s stands in no equation; leave it out of `parameters`", name)
		}
		field := FieldName(name)
		for n := 2; taken[field]; n++ {
			field = fmt.Sprintf("%s%d", FieldName(name), n)
		}
		taken[field] = true
		q := FormulaParam{Name: name, Field: field, Out: size(p.size, name, 0), Bias: s.added[name] && !s.other[name]}
		if p.kind == matrixKind {
			q.In = size(p.in, "what "+name+" reads", 0)
		}
		f.Params = append(f.Params, q)
	}
	for _, e := range f.Equations {
		s.fill(e.Expr)
	}
}

// fill writes the sizes into the nodes.
func (s *sizing) fill(x *Expr) {
	if x.kind == vectorKind {
		if x.Size = x.size.root().n; x.Size == 0 {
			s.fail(x.at, "nothing says the size of what stands here; give that of a value or parameter in it under `sizes`")
		}
	}
	for _, a := range x.Args {
		s.fill(a)
	}
}

var greek = map[rune]string{'α': "alpha", 'β': "beta", 'γ': "gamma", 'δ': "delta", 'ε': "epsilon", 'ζ': "zeta", 'η': "eta", 'θ': "theta", 'κ': "kappa", 'λ': "lambda", 'μ': "mu", 'ν': "nu",
	'ξ': "xi", 'π': "pi", 'ρ': "rho", 'σ': "sigma", 'τ': "tau", 'φ': "phi", 'χ': "chi", 'ψ': "psi", 'ω': "omega"}

// FieldName is a name of a formula in the letters of Go and of checkpoints.
func FieldName(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case greek[r] != "":
			b.WriteString(greek[r])
		case r == '\'' || r == '′':
			b.WriteString("_prime")
		default:
			fmt.Fprintf(&b, "u%x", r)
		}
	}
	return strings.Trim(b.String(), "_")
}
