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
	Written   []string // the equations in LaTeX, as they stand in the spec
	Equations []Equation
	Params    []FormulaParam
	States    []string // values that an equation reads of the step before
	Output    string   // the value that the layer gives
	Size      int      // of the output

	Reads      []string // names of what the layer reads, where the spec says them
	Scalars    []string // names of parameters that are numbers
	StateSizes []int    // elements of the states
	Sums       bool     // there is a sum over tokens
	Looks      bool     // one is over the tokens that the layer stands among
	Memory     bool     // one is over those of the source
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
	Bias  bool // a vector, or a number, that is only added

	Scalar bool // a number
}

// LaTeX is the parameter's name in the formula.
func (p *FormulaParam) LaTeX() string {
	base, subs, _ := strings.Cut(p.Name, "_")
	t := formulaToken{base: base}
	if subs != "" {
		t.subs = strings.Split(subs, "_")
	}
	return t.latex()
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

// formulaTask is a formula to be parsed and sized.
type formulaTask struct {
	text    string
	in      int              // width of what the layer reads
	memory  int              // width of the encoder's output; 0 where there is none
	causal  bool             // a token sees itself and those before it
	reads   []string         // names of what the layer reads and of the encoder's output, where the spec says them
	params  []string         // names of vectors and matrices
	scalars []string         // names of parameters that are numbers
	sizes   map[string][]int // that the spec gives: of a vector one number, of a matrix two, rows and columns
	output  string           // name of what the layer gives; empty for the last value
	// width of what the layer gives, where the stack decides it and the formula does not; 0 otherwise
	wide  int
	heads bool // the formula ends with N(mean, variance), in the place of a value
}

// sizing gives the names of a formula their meaning and finds its sizes.
type sizing struct {
	*formulaParser
	task      formulaTask
	input     string // name of what the layer reads
	source    string // name of the encoder's output; may be empty
	params    map[string]*Expr
	order     []string
	letters   map[string]bool             // that count tokens
	functions map[string]*formulaEquation // with arguments, or with two indices
	plain     map[string]*formulaEquation // the equation of a value
	values    map[string]*Expr            // by name, what an equation gives
	extent    map[string]*extent          // sizes of values and of the inputs
	inner     map[string]*extent          // columns of values that are matrices
	last      map[string]int              // names that are read of the step before, and where first
	states    []string
	joints    []joint
	used      map[string]bool
	added     map[string]bool // vectors that are added
	other     map[string]bool // vectors that are used in another way
	expanding map[string]bool // functions around what is resolved
	indices   int
	nodes     int
}

// maxFormula bounds what the functions of a formula are expanded to.
const maxFormula = 100_000

// parseFormula parses and sizes a formula.
func parseFormula(task formulaTask) (f *Formula, err *formulaError) {
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
		formulaParser: &formulaParser{src: []rune(task.text)}, task: task, params: map[string]*Expr{},
		values: map[string]*Expr{}, extent: map[string]*extent{}, inner: map[string]*extent{},
		last: map[string]int{}, used: map[string]bool{}, added: map[string]bool{}, other: map[string]bool{},
		letters: map[string]bool{}, functions: map[string]*formulaEquation{},
		plain: map[string]*formulaEquation{}, expanding: map[string]bool{},
	}
	s.scan()
	equations := s.equations()
	if len(equations) == 0 {
		s.fail(0, "the formula has no equation")
	}
	f = &Formula{Text: task.text, Output: task.output}
	for i := range equations {
		f.Written = append(f.Written, equations[i].latex())
	}
	s.parameters()
	equations = s.roles(equations)
	for _, e := range equations {
		s.equation(f, e)
	}
	if len(f.Equations) == 0 {
		s.fail(0, "the formula has functions, but no equation that gives a value")
	}
	if task.heads != (f.Equations[len(f.Equations)-1].Expr.Op == "normal") {
		at := f.Equations[len(f.Equations)-1].Expr.at
		if task.heads {
			s.fail(at, "the heads of a latent vector end with its distribution, as in q(z|x) = N(μ, σ²)")
		}
		s.fail(at, "N, the normal distribution, is what the heads of a latent vector end with; this layer gives a "+
			"vector")
	}
	if e := s.of(f.Output).root(); task.wide > 0 && e.n == 0 {
		e.n = task.wide
	}
	s.finish(f)
	return f, nil
}

// parameters declares the parameters that the spec lists.
func (s *sizing) parameters() {
	for _, name := range s.task.params {
		p := &Expr{Op: "param", Name: name, kind: vectorKind, size: &extent{}}
		n := s.task.sizes[name]
		if r := []rune(name)[0]; unicode.IsUpper(r) && len(n) != 1 || len(n) == 2 {
			p.kind, p.in = matrixKind, &extent{}
		}
		if len(n) > 0 {
			p.size.n = n[0]
			if len(n) == 2 {
				p.in.n = n[1]
			}
		}
		s.params[name] = p
	}
	for _, name := range s.task.scalars {
		s.params[name] = &Expr{Op: "param", Name: name}
	}
	s.order = append(append([]string{}, s.task.params...), s.task.scalars...)
}

// roles finds what the layer reads, which letters count tokens, and which equations define functions; it gives the
// others.
func (s *sizing) roles(equations []formulaEquation) []formulaEquation {
	called := map[string]bool{}
	for _, e := range equations {
		e.expr.Each(func(x *Expr) {
			if x.Op == "call" {
				called[x.token.text] = true
			}
		})
	}
	reads, head := s.task.reads, (*formulaToken)(nil)
	var rest []formulaEquation
	for i, e := range equations {
		name := e.names[0]
		switch {
		case len(e.args) > 0 && called[name.text] || len(e.args) > 2:
			if s.functions[name.text] != nil {
				s.fail(name.at, "%s has an equation already", name.text)
			}
			s.functions[name.text] = &equations[i]
			continue
		case len(e.args) > 0:
			if head != nil || len(reads) > 0 {
				other := "the definition's `reads` says"
				if head != nil {
					other = "another equation says"
				}
				s.fail(name.at, "nothing calls %s, and %s already how what the layer reads is called", name.text, other)
			}
			head = &equations[i].names[0]
			for _, a := range e.args {
				reads = append(reads, a.text)
			}
		}
		rest = append(rest, e)
	}
	if len(reads) == 0 {
		reads = []string{"x"}
	}
	s.input = reads[0]
	s.extent[s.input] = &extent{n: s.task.in}
	if len(reads) > 1 {
		s.source = reads[1]
		if s.task.memory == 0 {
			at := 0
			if head != nil {
				at = head.at
			}
			s.fail(at, "%s would be the encoder's output, but there is none here: only the decoder of an encoder and "+
				"a decoder reads one", s.source)
		}
		s.extent[s.source] = &extent{n: s.task.memory}
	}
	for name, n := range s.task.sizes {
		if s.params[name] == nil && name != s.input && name != s.source {
			s.extent[name] = &extent{n: n[0]}
			if len(n) == 2 {
				s.inner[name] = &extent{n: n[1]}
			}
		}
	}
	for _, e := range equations {
		e.expr.Each(func(x *Expr) {
			switch {
			case x.Op == "sum" || x.Op == "softmax over":
				s.letters[x.Index] = true
				if x.Name != "" { // Σ_{j≤i}
					s.letters[x.Name] = true
				}
			case x.Op == "name" && s.params[x.token.text] == nil &&
				(x.token.base == s.input || x.token.base == s.source):
				for _, l := range x.token.subs {
					s.letters[l] = true
				}
			}
		})
	}
	equations, rest = rest, nil
	for i, e := range equations {
		base, letters := s.indexed(e.names[0])
		switch {
		case len(letters) > 2:
			s.fail(e.names[0].at, "%s has %d indices; at most two tokens meet", base, len(letters))
		case len(letters) == 2:
			if s.functions[base] != nil {
				s.fail(e.names[0].at, "%s has an equation already", base)
			}
			s.functions[base] = &equations[i]
			continue
		case len(letters) == 1:
			e.names[0].text = base
		}
		for _, n := range e.names {
			if s.plain[n.text] == nil {
				s.plain[n.text] = &equations[i]
			}
		}
		rest = append(rest, e)
	}
	return rest
}

// Each calls f with the node and all below it.
func (x *Expr) Each(f func(*Expr)) {
	f(x)
	for _, a := range x.Args {
		a.Each(f)
	}
}

// indexed cuts a name into what is named and the letters that count its tokens.
func (s *sizing) indexed(t formulaToken) (string, []string) {
	if s.params[t.text] != nil {
		return t.text, nil
	}
	n := len(t.subs)
	for n > 0 && s.letters[t.subs[n-1]] {
		n--
	}
	return strings.Join(append([]string{t.base}, t.subs[:n]...), "_"), t.subs[n:]
}

// equation gives a value, or its parts, what they are.
func (s *sizing) equation(f *Formula, e formulaEquation) {
	in := scope{letters: map[string]string{}}
	if _, letters := s.indexed(s.written(e.names[0])); len(letters) == 1 {
		in.letters[letters[0]] = ""
	}
	x := s.resolve(e.expr, in)
	var names []string
	for _, n := range e.names {
		switch {
		case n.time == "t-1":
			s.fail(n.at, "an equation gives %s at step t, not at the step before", n.text)
		case s.params[n.text] != nil:
			s.fail(n.at, "%s is a parameter, which no equation gives", n.text)
		case n.text == s.input || n.text == s.source:
			s.fail(n.at, "%s is what the layer reads, which no equation gives", n.text)
		case s.values[n.text] != nil:
			s.fail(n.at, "%s has an equation already", n.text)
		}
		names = append(names, n.text)
	}
	if x.kind == rowKind || x.kind == matrixKind && x.own() {
		s.fail(e.names[0].at, "%s would be a %s; an equation gives a vector, a number, or a matrix of each token "+
			"such as k·vᵀ", names[0], x.kindWord())
	}
	switch {
	case len(names) > 1:
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
	case x.kind == vectorKind:
		s.equal(s.of(names[0]), x.size, e.names[0].at, "what is given to "+names[0])
	case x.kind == matrixKind:
		s.equal(s.of(names[0]), x.size, e.names[0].at, "the rows of "+names[0])
		s.equal(s.columns(names[0]), x.in, e.names[0].at, "the columns of "+names[0])
	}
	for _, n := range names {
		s.values[n] = x
	}
	f.Equations = append(f.Equations, Equation{names, x})
	if s.task.output == "" {
		f.Output = names[len(names)-1]
	}
}

// written is a token as it stands in the formula, with its subscripts.
func (s *sizing) written(t formulaToken) formulaToken {
	t.text = strings.Join(append([]string{t.base}, t.subs...), "_")
	return t
}

// own reports whether a matrix is a parameter, or of the diagonal, and not one of each token.
func (x *Expr) own() bool { return x.Op == "param" || x.Op == "diag" }

// of is the size of the value of that name.
func (s *sizing) of(name string) *extent { return extentOf(s.extent, name) }

// columns is the number of columns of the value of that name, a matrix.
func (s *sizing) columns(name string) *extent { return extentOf(s.inner, name) }

func extentOf(m map[string]*extent, name string) *extent {
	if m[name] == nil {
		m[name] = &extent{}
	}
	return m[name]
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

// scope is what names mean where they stand.
type scope struct {
	// letters that count tokens, and what counts them: an index, or empty for the layer's own token
	letters map[string]string
	args    map[string]*Expr // of a function
	row     string           // what counts tokens where no letter stands
}

func (in scope) with(letter, index string) scope {
	letters := map[string]string{letter: index}
	for l, i := range in.letters {
		if l != letter {
			letters[l] = i
		}
	}
	in.letters = letters
	return in
}

// resolve gives names their meaning, and every node its kind and size. The formula is left as it is, since functions
// are resolved where they are used.
func (s *sizing) resolve(x *Expr, in scope) *Expr {
	if s.nodes++; s.nodes > maxFormula {
		s.fail(x.at, "with its functions put in, the formula has more than %d parts", maxFormula)
	}
	switch x.Op {
	case "name":
		return s.named(x, in)
	case "call":
		return s.call(x, in)
	case "sum":
		return s.total(x, in)
	case "softmax over":
		return s.softmaxOver(x, in)
	case "²":
		a := s.resolve(x.Args[0], in)
		return s.elements(&Expr{Op: "∘", Args: []*Expr{a, a}, at: x.at})
	}
	y := &Expr{Op: x.Op, Number: x.Number, at: x.at}
	for _, a := range x.Args {
		y.Args = append(y.Args, s.resolve(a, in))
	}
	if len(y.Args) == 0 {
		return y
	}
	a := y.Args[0]
	switch y.Op {
	case "ᵀ":
		return s.transposed(y, a)
	case "join":
		y.kind, y.size = vectorKind, &extent{}
		var parts []*extent
		for _, a := range y.Args {
			s.mustBe(a, vectorKind, "what stands side by side is vectors")
			s.useOther(a)
			parts = append(parts, a.size)
		}
		s.joints = append(s.joints, joint{y.size, parts, y.at})
	case "+", "-", "∘", "*":
		return s.elements(y)
	case "/":
		if w := s.normalised(y); w != nil {
			return w
		}
		return s.elements(y)
	case "·":
		return s.multiplied(y)
	case "diag":
		s.mustBe(a, vectorKind, "diag is of a vector")
		s.useOther(a)
		y.kind, y.size, y.in = matrixKind, a.size, a.size
	default: // a function
		switch {
		case a.kind == rowKind || a.kind == matrixKind && a.own():
			s.fail(y.at, "%s is of a vector or a number, not of a %s", y.Op, a.kindWord())
		case y.Op == "softmax" && a.kind != vectorKind:
			s.fail(y.at, "softmax is of a vector; over the tokens that j counts it is softmax_j")
		}
		s.useOther(a)
		y.kind, y.size, y.in = a.kind, a.size, a.in
	}
	return y
}

func (s *sizing) named(x *Expr, in scope) *Expr {
	t := x.token
	if v := in.args[t.text]; v != nil && t.time != "t-1" {
		return v
	}
	name, letters := s.indexed(t)
	p := s.params[name]
	y := &Expr{Name: name, at: x.at, kind: vectorKind}
	if t.time == "t-1" {
		if p != nil || name == s.input || name == s.source {
			s.fail(x.at, "%s has no step before: only values that an equation gives do", name)
		}
		if _, ok := s.last[name]; !ok {
			s.last[name] = x.at
			s.states = append(s.states, name)
		}
		y.Op, y.size = "last", s.of(name)
		if e := s.plain[name]; e != nil && s.kindOf(e.expr, map[string]bool{name: true}) == matrixKind {
			y.kind, y.in = matrixKind, s.columns(name)
		}
		return y
	}
	index := in.row
	var more []string
	for _, l := range letters {
		i, ok := in.letters[l]
		if !ok {
			s.fail(x.at, "nothing says what %s counts: a sum Σ_%s around it, or the left side of the equation", l, l)
		}
		more = append(more, i)
	}
	if len(more) == 1 {
		index = more[0]
	}
	f := s.functions[name]
	switch {
	case p != nil:
		s.used[name] = true
		c := *p
		c.at = x.at
		return &c
	case len(more) == 2 && f != nil && len(f.args) == 0:
		_, formal := s.indexed(f.names[0])
		inside := scope{letters: map[string]string{formal[0]: more[0], formal[1]: more[1]}, row: more[0]}
		return s.inside(name, x.at, func() *Expr { return s.resolve(f.expr, inside) })
	case len(more) == 2:
		s.fail(x.at, "%s has two indices, but no equation gives %s of two tokens", name, name)
	case name == s.input:
		y.Op, y.size, y.Index = "input", s.extent[name], index
	case name == s.source:
		if index == "" {
			s.fail(x.at, "%s is the encoder's output, of which a layer reads all tokens: write %s_j in a sum over j",
				name, name)
		}
		y.Op, y.size, y.Index, y.Memory = "input", s.extent[name], index, true
	case index != "" && s.plain[name] != nil: // the value of another token
		e := s.plain[name]
		if len(e.names) > 1 {
			s.fail(x.at, "%s is a part of a vector; give it an equation of its own to use it at another token", name)
		}
		inside := scope{letters: map[string]string{}, row: index}
		if _, formal := s.indexed(s.written(e.names[0])); len(formal) == 1 {
			inside.letters[formal[0]] = index
		}
		return s.inside(name, x.at, func() *Expr { return s.resolve(e.expr, inside) })
	case s.values[name] != nil:
		v := s.values[name]
		y.Op, y.kind, y.size = "value", v.kind, s.of(name)
		if v.kind == matrixKind {
			y.in = s.columns(name)
		}
	case f != nil:
		s.fail(x.at, "%s is a function; it stands with its arguments, as %s(…)", name, name)
	default:
		known := append(append([]string{s.input}, s.order...), keysOf(s.values)...)
		s.fail(x.at, "nothing is called %s here%s; a parameter stands in the list `parameters`, a value in an "+
			"equation above, and %s is what the layer reads", name, didYouMean(nearest(name, known)), s.input)
	}
	return y
}

// inside resolves the body of a function.
func (s *sizing) inside(name string, at int, f func() *Expr) *Expr {
	if s.expanding[name] {
		s.fail(at, "%s is defined by itself", name)
	}
	s.expanding[name] = true
	defer delete(s.expanding, name)
	return f()
}

// call is a function of the formula with its arguments, or a product with what stands in parentheses.
func (s *sizing) call(x *Expr, in scope) *Expr {
	name := x.token.text
	f := s.functions[name]
	switch {
	case f != nil && len(f.args) > 0:
		if len(f.args) != len(x.Args) {
			s.fail(x.at, "%s has %d arguments, but here stand %d", name, len(f.args), len(x.Args))
		}
		args := map[string]*Expr{}
		for i, a := range f.args {
			args[a.text] = s.resolve(x.Args[i], in)
		}
		return s.inside(name, x.at,
			func() *Expr { return s.resolve(f.expr, scope{letters: in.letters, args: args, row: in.row}) })
	case name == "N" && s.params["N"] == nil && s.values["N"] == nil && len(x.Args) == 2:
		mean, variance := s.resolve(x.Args[0], in), s.resolve(x.Args[1], in)
		s.mustBe(mean, vectorKind, "the mean of N is a vector")
		s.mustBe(variance, vectorKind, "the variance of N is a vector, each element's own")
		s.equal(mean.size, variance.size, x.at, "the mean and the variance of N")
		s.useOther(mean)
		s.useOther(variance)
		return &Expr{Op: "normal", Args: []*Expr{mean, variance}, kind: vectorKind, size: mean.size, at: x.at}
	case len(x.Args) > 1:
		s.fail(x.at, "no equation gives a function %s of %d arguments", name, len(x.Args))
	}
	a := s.named(&Expr{Op: "name", token: x.token, at: x.at}, in)
	return s.multiplied(&Expr{Op: "·", Args: []*Expr{a, s.resolve(x.Args[0], in)}, at: x.at})
}

// total is a sum over tokens.
func (s *sizing) total(x *Expr, in scope) *Expr {
	s.indices++
	y := &Expr{Op: "sum", Index: fmt.Sprintf("%s%d", x.Index, s.indices), at: x.at}
	y.Causal = s.upto(x, in)
	a := s.resolve(x.Args[0], in.with(x.Index, y.Index))
	if a.kind == rowKind || a.kind == matrixKind && a.own() {
		s.fail(x.at, "a sum is of vectors, numbers, or matrices of each token, not of a %s", a.kindWord())
	}
	s.useOther(a)
	y.Args, y.kind, y.size, y.in = []*Expr{a}, a.kind, a.size, a.in
	s.counted(y, x.Index)
	return y
}

// upto reports whether a sum says that it ends at the layer's own token, as Σ_{j≤i} does.
func (s *sizing) upto(x *Expr, in scope) bool {
	if x.Name == "" {
		return false
	}
	if i, ok := in.letters[x.Name]; !ok || i != "" {
		s.fail(x.at, "Σ_{%s≤%s} ends at the layer's own token; %s does not count that", x.Index, x.Name, x.Name)
	}
	return true
}

// counted finds which tokens an index counts.
func (s *sizing) counted(y *Expr, letter string) {
	own, source := false, false
	others := map[string]bool{}
	y.Args[0].Each(func(x *Expr) {
		if x.Op == "input" && x.Index == y.Index {
			own, source = own || !x.Memory, source || x.Memory
		} else if x.Op == "input" && x.Index != "" {
			others[x.Index] = true
		}
	})
	y.Args[0].Each(func(x *Expr) {
		if x.Op == "sum" {
			delete(others, x.Index)
		}
	})
	switch {
	case own && source:
		s.fail(y.at, "%s counts tokens of %s here and of %s there; a sum is over one of them", letter, s.input,
			s.source)
	case !own && !source:
		s.fail(y.at, "%s counts nothing: no token of %s with this index stands in the sum", letter, s.input)
	case len(others) > 0:
		s.fail(y.at, "three tokens meet in this sum: that of the layer and two that are summed over; give the inner "+
			"sum an equation of its own")
	}
	if y.Memory = source; source && y.Causal {
		s.fail(y.at, "the tokens of %s do not stand before or behind those of the layer", s.source)
	}
	y.Causal = y.Causal || own && s.task.causal
}

// softmaxOver is a weight of a token: softmax over all that its index counts.
func (s *sizing) softmaxOver(x *Expr, in scope) *Expr {
	index, ok := in.letters[x.Index]
	if !ok || index == "" {
		s.fail(x.at, "softmax_%s stands in a sum over %s, or in an equation of two tokens that one uses", x.Index,
			x.Index)
	}
	return s.weight(x.at, index, s.resolve(x.Args[0], in), false, x.Index)
}

func (s *sizing) weight(at int, index string, score *Expr, causal bool, letter string) *Expr {
	s.mustBe(score, scalarKind, "the softmax over tokens is of numbers")
	y := &Expr{Op: "weight", Index: index, Args: []*Expr{score}, Causal: causal, at: at}
	s.counted(y, letter)
	return y
}

// normalised is exp(a_j)/Σ_k exp(a_k) as the softmax that it is, which no large a harms; nil where the quotient is
// another one.
func (s *sizing) normalised(x *Expr) *Expr {
	above, below := x.Args[0], x.Args[1]
	if above.Op != "exp" || below.Op != "sum" || below.Args[0].Op != "exp" {
		return nil
	}
	found := ""
	above.Each(func(a *Expr) {
		if a.Op == "input" && a.Index != "" && above.key(a.Index, below.Index) == below.Args[0].Key() {
			found = a.Index
		}
	})
	if found == "" {
		return nil
	}
	return s.weight(x.at, found, above.Args[0], below.Causal, strings.TrimRight(found, "0123456789"))
}

// kindOf is the kind of a formula before names are resolved, as far as it can be said.
func (s *sizing) kindOf(x *Expr, seen map[string]bool) exprKind {
	arg := func(i int) exprKind { return s.kindOf(x.Args[i], seen) }
	switch x.Op {
	case "number":
		return scalarKind
	case "name":
		name, _ := s.indexed(x.token)
		switch e := s.plain[name]; {
		case s.params[name] != nil:
			return s.params[name].kind
		case name == s.input || name == s.source:
			return vectorKind
		case s.values[name] != nil:
			return s.values[name].kind
		case e != nil && !seen[name]:
			seen[name] = true
			defer delete(seen, name)
			return s.kindOf(e.expr, seen)
		}
		return unknownKind
	case "ᵀ":
		if a := arg(0); a == vectorKind {
			return rowKind
		}
		return arg(0)
	case "·":
		switch a, b := arg(0), arg(1); {
		case a == vectorKind && b == rowKind:
			return matrixKind
		case a == rowKind && b == vectorKind:
			return scalarKind
		case a == matrixKind && b == vectorKind:
			return vectorKind
		case a == scalarKind:
			return b
		case b == scalarKind:
			return a
		case a == matrixKind && b == matrixKind:
			return matrixKind
		}
		return unknownKind
	case "join":
		return vectorKind
	case "diag":
		return matrixKind
	case "+", "-", "∘", "*", "/":
		a, b := arg(0), arg(1)
		for _, k := range []exprKind{matrixKind, vectorKind} {
			if a == k || b == k {
				return k
			}
		}
		return max(a, b)
	case "call":
		if f := s.functions[x.token.text]; f != nil {
			return s.kindOf(f.expr, seen)
		}
		return unknownKind
	case "softmax over":
		return scalarKind
	}
	if len(x.Args) > 0 {
		return arg(0)
	}
	return unknownKind
}

func keysOf[V any](m map[string]V) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	return names
}

func (x *Expr) kindWord() string {
	return [...]string{"number", "vector", "transposed vector", "matrix", "value"}[x.kind]
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
	switch {
	case a.kind == vectorKind:
		s.useOther(a)
		return &Expr{Op: "ᵀ", Args: []*Expr{a}, kind: rowKind, size: a.size, at: x.at}
	case a.kind == rowKind:
		return a.Args[0]
	case a.kind == matrixKind && a.Op == "diag":
		return a
	case a.kind == matrixKind && a.Op == "ᵀ":
		return a.Args[0]
	case a.kind == matrixKind && a.Op == "param":
		c := *a
		c.Transposed = !a.Transposed
		c.size, c.in = a.in, a.size
		return &c
	case a.kind == matrixKind:
		return &Expr{Op: "ᵀ", Args: []*Expr{a}, kind: matrixKind, size: a.in, in: a.size, at: x.at}
	}
	s.fail(x.at, "only a vector or a matrix has a transpose")
	return nil
}

func (s *sizing) elements(x *Expr) *Expr {
	a, b := x.Args[0], x.Args[1]
	for _, o := range x.Args {
		if o.kind == rowKind || o.kind == matrixKind && (o.own() || o.Op == "ᵀ") {
			s.fail(x.at, "%s is between vectors and numbers, element by element, but one side is a %s; a product of "+
				"a matrix is written ·", x.Op, o.kindWord())
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
	case a.kind == matrixKind && b.kind == matrixKind:
		s.equal(a.size, b.size, x.at, fmt.Sprintf("the rows on both sides of %s", x.Op))
		s.equal(a.in, b.in, x.at, fmt.Sprintf("the columns on both sides of %s", x.Op))
	case a.kind == vectorKind && b.kind == vectorKind:
		s.equal(a.size, b.size, x.at, fmt.Sprintf("both sides of %s", x.Op))
	case a.kind == matrixKind && b.kind == vectorKind || a.kind == vectorKind && b.kind == matrixKind:
		s.fail(x.at, "one side of %s is a %s, the other a %s", x.Op, a.kindWord(), b.kindWord())
	}
	if b.kind > a.kind {
		a = b
	}
	x.kind, x.size, x.in = a.kind, a.size, a.in
	return x
}

func (s *sizing) multiplied(x *Expr) *Expr {
	a, b := x.Args[0], x.Args[1]
	each := func(o *Expr) bool { return o.kind == matrixKind && !o.own() } // a matrix of each token
	diagonal := func(o *Expr) bool { return o.Op == "diag" }
	matrix := func(op string, v, m *Expr) *Expr {
		return &Expr{Op: op, Args: []*Expr{v, m}, kind: matrixKind, size: m.size, in: m.in, at: x.at}
	}
	row := func(o *Expr) *Expr { return &Expr{Op: "ᵀ", Args: []*Expr{o}, kind: rowKind, size: o.size, at: x.at} }
	switch {
	case diagonal(a) && b.kind == vectorKind:
		return s.elements(&Expr{Op: "∘", Args: []*Expr{a.Args[0], b}, at: x.at})
	// as the transpose of the product of the transposes
	case each(a) && diagonal(b) && a.Op == "ᵀ" || diagonal(a) && each(b) && b.Op == "ᵀ":
		return s.transposed(x,
			s.multiplied(&Expr{Op: "·", Args: []*Expr{s.transposed(x, b), s.transposed(x, a)}, at: x.at}))
	case diagonal(a) && each(b):
		s.equal(a.size, b.size, x.at, "a diagonal matrix and the rows of a matrix")
		return matrix("rows", a.Args[0], b)
	case each(a) && diagonal(b):
		s.equal(a.in, b.size, x.at, "the columns of a matrix and a diagonal matrix")
		return matrix("columns", b.Args[0], a)
	case each(a) && b.kind == vectorKind:
		s.equal(a.in, b.size, x.at, "a matrix and the vector that it is multiplied with")
		s.useOther(b)
		y := &Expr{Op: "apply", Args: []*Expr{a, b}, kind: vectorKind, size: a.size, at: x.at}
		if a.Op == "ᵀ" {
			y.Args[0], y.Transposed = a.Args[0], true
		}
		return y
	case a.kind == rowKind && each(b):
		return row(s.multiplied(&Expr{Op: "·", Args: []*Expr{s.transposed(x, b), a.Args[0]}, at: x.at}))
	case a.kind == vectorKind && b.kind == rowKind:
		s.useOther(a)
		s.useOther(b.Args[0])
		return &Expr{Op: "outer", Args: []*Expr{a, b.Args[0]}, kind: matrixKind, size: a.size, in: b.size, at: x.at}
	case a.kind == matrixKind && a.Op == "param" && b.kind == vectorKind:
		s.equal(a.in, b.size, x.at, fmt.Sprintf("%s reads as many features as it is multiplied with", a.Name))
		s.useOther(b)
		return &Expr{Op: "product", Args: x.Args, Transposed: a.Transposed, kind: vectorKind, size: a.size, at: x.at}
	case a.kind == rowKind && b.kind == matrixKind && b.Op == "param":
		return row(s.multiplied(&Expr{Op: "·", Args: []*Expr{s.transposed(x, b), a.Args[0]}, at: x.at}))
	case a.kind == rowKind && b.kind == vectorKind:
		s.equal(a.size, b.size, x.at, "both sides of a scalar product")
		s.useOther(b)
		return &Expr{Op: "dot", Args: []*Expr{a.Args[0], b}, at: x.at}
	case a.kind == scalarKind && b.kind == rowKind:
		return row(s.elements(&Expr{Op: "*", Args: []*Expr{a, b.Args[0]}, at: x.at}))
	case a.kind == scalarKind && !(b.kind == matrixKind && b.own()) ||
		b.kind == scalarKind && (a.kind == vectorKind || each(a)):
		x.Op = "*"
		return s.elements(x)
	case a.kind == vectorKind && b.kind == vectorKind:
		s.fail(x.at, "the product of two vectors is ∘, element by element, or aᵀ·b, a number; which is meant?")
	case a.kind == matrixKind && b.kind == matrixKind:
		s.fail(x.at, "a product of two matrices has no place here; multiply with the vector first, as in A·(B·x)")
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
		s.fail(0, "no equation gives %s, which the layer is to give%s", f.Output,
			didYouMean(nearest(f.Output, keysOf(s.values))))
	}
	if value.kind != vectorKind {
		s.fail(value.at, "the layer would give %s, a %s; it gives a vector", f.Output, value.kindWord())
	}
	size := func(e *extent, what string, at int) int {
		n := e.root().n
		if n == 0 {
			s.fail(at, "nothing says the size of %s; give it under `sizes`", what)
		}
		return n
	}
	for _, name := range s.states {
		at, v := s.last[name], s.values[name]
		switch {
		case v == nil:
			s.fail(at, "%s is read of the step before, but no equation gives it: the state is never set", name)
		case v.kind == scalarKind:
			s.fail(at, "the state %s is a number; a state is a vector, of one element if need be, or a matrix", name)
		}
		n := size(s.of(name), name, at)
		if v.kind == matrixKind {
			n *= size(s.columns(name), "the columns of "+name, at)
		}
		f.StateSizes = append(f.StateSizes, n)
	}
	f.States = s.states
	f.Size = size(s.of(f.Output), f.Output, value.at)
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
		q := FormulaParam{Name: name, Field: field, Out: 1, Scalar: p.kind == scalarKind,
			Bias: s.added[name] && !s.other[name]}
		if !q.Scalar {
			q.Out = size(p.size, name, 0)
		}
		if p.kind == matrixKind {
			q.In = size(p.in, "what "+name+" reads", 0)
		}
		f.Params = append(f.Params, q)
	}
	s.reached(f)
	for _, e := range f.Equations {
		s.fill(e.Expr)
		e.Expr.Each(func(x *Expr) {
			if x.Op == "sum" {
				f.Sums = true
				f.Memory = f.Memory || x.Memory
				f.Looks = f.Looks || !x.Memory
			}
			if x.Op == "sum" && len(s.states) > 0 {
				s.fail(x.at, "a formula reads the step before or sums over tokens, not both; make two layers of it")
			}
		})
	}
}

// reached finds equations that nothing needs, and a formula that does not need what the layer reads: their parameters,
// and the layers before this one, would never learn.
func (s *sizing) reached(f *Formula) {
	of := map[string]*Equation{}
	for i := range f.Equations {
		for _, name := range f.Equations[i].Names {
			of[name] = &f.Equations[i]
		}
	}
	reads, seen := false, map[*Equation]bool{}
	var visit func(name string)
	visit = func(name string) {
		e := of[name]
		if e == nil || seen[e] {
			return
		}
		seen[e] = true
		e.Expr.Each(func(x *Expr) {
			reads = reads || x.Op == "input"
			if x.Op == "value" || x.Op == "last" {
				visit(x.Name)
			}
		})
	}
	visit(f.Output)
	for i := range f.Equations {
		if e := &f.Equations[i]; !seen[e] {
			s.fail(e.Expr.at, "%s does not depend on %s; leave this equation out", f.Output,
				strings.Join(e.Names, " and "))
		}
	}
	if !reads {
		s.fail(s.values[f.Output].at, "%s does not depend on %s, which the layer reads", f.Output, s.input)
	}
}

// fill writes the sizes into the nodes.
func (s *sizing) fill(x *Expr) {
	if x.kind == vectorKind || x.kind == matrixKind && !x.own() {
		x.Size = x.size.root().n
		if x.kind == matrixKind {
			x.Rows = x.Size
			x.Size *= x.in.root().n
		}
		if x.Size == 0 {
			s.fail(x.at, "nothing says the size of what stands here; give that of a value or parameter in it under "+
				"`sizes`")
		}
	}
	for _, a := range x.Args {
		s.fill(a)
	}
}

var greek = map[rune]string{'α': "alpha", 'β': "beta", 'γ': "gamma", 'δ': "delta", 'ε': "epsilon", 'ζ': "zeta",
	'η': "eta", 'θ': "theta", 'κ': "kappa", 'λ': "lambda", 'μ': "mu", 'ν': "nu",
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
