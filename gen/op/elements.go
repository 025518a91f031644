package op

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Body is what an Elementwise node computes: operations on elements, of values of the node's own shapes. Columns
// may be split off an argument and joined to a result, vectors added to every row, and rows scaled.
type Body struct{ *graph.Graph }

// String is a text that is the same for bodies that compute the same.
func (b Body) String() string {
	number := map[*value]string{}
	name := func(v *value) string {
		if number[v] == "" {
			number[v] = fmt.Sprintf("%%%d", len(number))
		}
		return number[v]
	}
	list := func(vs []*value) string {
		parts := make([]string, len(vs))
		for i, v := range vs {
			parts[i] = name(v)
		}
		return strings.Join(parts, ", ")
	}
	s := "(" + list(b.Inputs) + ") { "
	for _, n := range b.Nodes {
		s += fmt.Sprintf("%s = %s%s(%s); ", list(n.Outs), n.Op.Name, n.Attrs, list(n.Args))
	}
	return s + "return " + list(b.Outputs) + " }"
}

// BodyOf is the body of an Elementwise node.
func BodyOf(n *node) Body { return n.Attrs.Get("body").(Body) }

// Elementwise computes what its attribute `body` says, in one pass over its arguments. Its rows are of `n`
// elements, or of a multiple; without an n all values are of one shape, and rows are what is handy. The optimizer
// makes it, after which there is no gradient rule.
var Elementwise = &graph.Op{
	Name:     "elementwise",
	Infer:    elementwiseInfer,
	Flops:    elementwiseFlops,
	Eval:     elementwiseEval,
	Emit:     elementwiseEmit,
	Formula:  elementwiseFormula,
	Replaces: elementwiseReplaces,
}

func elementwiseInfer(n *node) ([]graph.TypedShape, error) {
	body := BodyOf(n)
	if len(body.Inputs) != len(n.Args) {
		return nil, fmt.Errorf("has %d arguments for a body of %d", len(n.Args), len(body.Inputs))
	}
	for i, in := range body.Inputs {
		if a := n.Args[i]; a.Type != in.Type || !a.Shape.Same(in.Shape) {
			return nil, fmt.Errorf("argument %d is %s, its body reads %s", i, a.Shape, in.Shape)
		}
	}
	var r []graph.TypedShape
	for _, o := range body.Outputs {
		r = append(r, graph.TypedShape{Type: o.Type, Shape: o.Shape})
	}
	return r, nil
}

func elementwiseFlops(n *node) dim {
	sum := graph.Const(0, "")
	for _, m := range BodyOf(n).Nodes {
		if m.Op.Flops != nil {
			d := m.Op.Flops(m)
			sum = dim{N: sum.N + d.N, Run: d.Run}
		}
	}
	return sum
}

func elementwiseEval(n *node, in, out []*graph.Tensor) error {
	body := BodyOf(n)
	env := map[*value]*graph.Tensor{}
	for i, v := range body.Inputs {
		env[v] = in[i]
	}
	for i, v := range body.Outputs {
		if env[v] == nil {
			env[v] = out[i]
		}
	}
	for _, m := range body.Nodes {
		var args, outs []*graph.Tensor
		for _, a := range m.Args {
			args = append(args, env[a])
		}
		for _, o := range m.Outs {
			if env[o] == nil {
				shape := slices.Clone(args[0].Shape)
				if o.Shape.Last().IsConst() {
					shape[len(shape)-1] = o.Shape.Last().N
				}
				t := &graph.Tensor{Shape: shape}
				t.F = make([]float64, t.Elems())
				env[o] = t
			}
			outs = append(outs, env[o])
		}
		if err := m.Op.Eval(m, args, outs); err != nil {
			return err
		}
	}
	for i, v := range body.Outputs {
		copy(out[i].F, env[v].F)
	}
	return nil
}

func elementwiseEmit(n *node) []call {
	c := call{Func: "EachBlock", Args: []graph.Operand{graph.RowFunc{N: n}, n.Outs[0].Shape.Elems()}}
	if width, ok := n.Attrs.Get("n").(dim); ok {
		c = call{Func: "EachRow", Args: []graph.Operand{graph.RowFunc{N: n}, n.Outs[0].Shape.Rows(), width}}
	}
	for _, o := range n.Outs {
		c.Args = append(c.Args, o)
	}
	for _, a := range n.Args {
		c.Args = append(c.Args, a)
	}
	return []call{c}
}

// elementwiseFormula writes what is read once where it is read.
func elementwiseFormula(n *node, outer names) string {
	body := BodyOf(n)
	name, taken := map[*value]string{}, map[string]bool{}
	called := func(v *value) string {
		if name[v] == "" {
			name[v] = local(v)
			for i := 2; taken[name[v]]; i++ {
				name[v] = fmt.Sprintf("%s%d", local(v), i)
			}
			taken[name[v]] = true
		}
		return name[v]
	}
	for i, v := range body.Inputs {
		name[v] = outer(n.Args[i])
		taken[name[v]] = true
	}
	for i, v := range body.Outputs {
		name[v] = outer(n.Outs[i])
		taken[name[v]] = true
	}
	reads := map[*value]int{}
	for _, m := range body.Nodes {
		for _, a := range m.Args {
			reads[a]++
		}
	}
	inner := map[*value]string{} // expressions
	var text []string
	for _, m := range body.Nodes {
		switch m.Op {
		case SplitColumns:
			if m.Args[0].Def == nil {
				var parts []string
				for _, v := range Leaves(body, m.Args[0]) {
					parts = append(parts, called(v))
				}
				text = append(text, fmt.Sprintf("[%s] = %s", strings.Join(parts, ", "), called(m.Args[0])))
			}
			continue
		case JoinColumns:
			var parts []string
			for _, v := range joined(m.Outs[0]) {
				if x := inner[v]; x != "" {
					parts = append(parts, x)
				} else {
					parts = append(parts, called(v))
				}
			}
			if reads[m.Outs[0]] == 0 {
				text = append(text, fmt.Sprintf("%s = [%s]", called(m.Outs[0]), strings.Join(parts, ", ")))
			}
			continue
		}
		o := m.Outs[0]
		f := m.Op.Formula(m, func(v *value) string {
			if x := inner[v]; x != "" {
				return x
			}
			return called(v)
		})
		if name[o] != "" && taken[name[o]] && slices.Contains(body.Outputs, o) || reads[o] != 1 {
			text = append(text, f)
			continue
		}
		_, expr, _ := strings.Cut(f, " = ")
		if loose(expr) {
			expr = "(" + expr + ")"
		}
		inner[o] = expr
		delete(taken, name[o])
	}
	return twice.ReplaceAllString(strings.Join(text, ";  "), "($1)")
}

// twice is brackets in brackets, as of the argument of a function.
var twice = regexp.MustCompile(`\(\(([^()]*)\)\)`)

// Leaves are the parts that columns of v are split into in the end.
func Leaves(b Body, v *value) []*value {
	for _, m := range b.Nodes {
		if m.Op == SplitColumns && m.Args[0] == v {
			return append(Leaves(b, m.Outs[0]), Leaves(b, m.Outs[1])...)
		}
	}
	return []*value{v}
}

// joined are the parts that v is joined of.
func joined(v *value) []*value {
	if v.Def != nil && v.Def.Op == JoinColumns {
		return append(joined(v.Def.Args[0]), joined(v.Def.Args[1])...)
	}
	return []*value{v}
}

func local(v *value) string { return v.Base[strings.LastIndexByte(v.Base, '.')+1:] }

// loose reports whether an expression wants brackets around it inside of another.
func loose(expr string) bool {
	depth := 0
	for _, r := range expr {
		switch r {
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case '+', '−', '-', '/':
			if depth == 0 {
				return true
			}
		}
	}
	return strings.Contains(expr, ", or ") || strings.Contains(expr, " where ")
}

// Spot is where a value of a row lies: in a result or an argument of the node, or in scratch.
type Spot struct {
	In    SpotKind
	Index int // of the result, the argument, or the scratch
	From  int // its first part
	Parts int // how many parts the whole has
}

// SpotKind says what a Spot is in.
type SpotKind uint8

// Kinds of spots.
const (
	InScratch SpotKind = iota
	InResult
	InArgument
	InVector // an argument that is one row for all
	InFactor // an argument of single numbers for rows
)

// Step is a call of a kernel on parts of a row: that of N, or, without one, a copy.
type Step struct {
	N    *node
	To   Spot
	Args []Spot
	Vs   []*value // what stands in Args
	V    *value   // and in To
}

// Routine is what an Elementwise node does to a row.
type Routine struct {
	Steps   []Step
	Scratch int // how many rows of memory it needs beside results and arguments
}

// RoutineOf lowers the body of an Elementwise node.
func RoutineOf(n *node) *Routine {
	l := &lowering{body: BodyOf(n), spot: map[*value]Spot{}, goal: map[*value]Spot{}, last: map[*value]int{}}
	l.width = 1
	if w, ok := n.Attrs.Get("n").(dim); ok {
		l.width = w.N
	} else {
		l.flat = true
	}
	l.inputs()
	for i, v := range l.body.Outputs {
		l.aim(v, Spot{In: InResult, Index: i, Parts: l.parts(v)})
	}
	l.uses()
	for i, m := range l.body.Nodes {
		l.lower(i, m)
	}
	for i, v := range l.body.Outputs {
		l.move(v, Spot{In: InResult, Index: i, Parts: l.parts(v)})
	}
	return &l.r
}

type lowering struct {
	body  Body
	width int
	flat  bool
	spot  map[*value]Spot
	goal  map[*value]Spot // where what is computed is to lie
	last  map[*value]int  // the node that reads it last
	free  []int           // scratch
	r     Routine
}

// parts is how many rows of n elements a row of v is.
func (l *lowering) parts(v *value) int {
	if l.flat {
		return 1
	}
	return v.Shape.Last().N / l.width
}

func (l *lowering) inputs() {
	for i, v := range l.body.Inputs {
		l.spot[v] = Spot{In: InArgument, Index: i, Parts: l.parts(v)}
	}
	for _, m := range l.body.Nodes {
		if len(m.Args) < 2 {
			continue
		}
		second := m.Args[1]
		switch s := l.spot[second]; {
		case m.Op == AddBias:
			l.spot[second] = Spot{In: InVector, Index: s.Index, Parts: 1}
		case m.Op == ScaleRows && second.Def == nil:
			l.spot[second] = Spot{In: InFactor, Index: s.Index, Parts: 1}
		}
	}
}

// aim says where v is to lie, as far as it is computed in the body.
func (l *lowering) aim(v *value, at Spot) {
	if _, ok := l.goal[v]; ok || v.Def == nil || v.Def.Op == SplitColumns {
		return
	}
	l.goal[v] = at
	if v.Def.Op == JoinColumns {
		a, b := v.Def.Args[0], v.Def.Args[1]
		l.aim(a, at)
		at.From += l.parts(a)
		l.aim(b, at)
	}
}

func (l *lowering) uses() {
	for i, m := range l.body.Nodes {
		for _, a := range m.Args {
			l.last[a] = i
		}
	}
	for _, o := range l.body.Outputs {
		l.last[o] = len(l.body.Nodes)
	}
}

func (l *lowering) lower(i int, m *node) {
	switch m.Op {
	case SplitColumns:
		at := l.spot[m.Args[0]]
		l.spot[m.Outs[0]] = at
		at.From += l.parts(m.Outs[0])
		l.spot[m.Outs[1]] = at
		return
	case JoinColumns:
		at := l.goal[m.Outs[0]]
		l.spot[m.Outs[0]] = at
		l.move(m.Args[0], at)
		at.From += l.parts(m.Args[0])
		l.move(m.Args[1], at)
		return
	}
	s := Step{N: m, V: m.Outs[0], Vs: m.Args}
	for _, a := range m.Args {
		at := l.spot[a]
		s.Args = append(s.Args, at)
		if at.In == InScratch && l.last[a] == i && !slices.Contains(l.free, at.Index) {
			l.free = append(l.free, at.Index)
		}
	}
	to, ok := l.goal[m.Outs[0]]
	if !ok {
		to = Spot{In: InScratch, Index: l.scratch(), Parts: 1}
	}
	s.To = to
	l.spot[m.Outs[0]] = to
	l.r.Steps = append(l.r.Steps, s)
}

// scratch takes the lowest that is free.
func (l *lowering) scratch() int {
	if len(l.free) == 0 {
		l.r.Scratch++
		return l.r.Scratch - 1
	}
	least := slices.Min(l.free)
	l.free = slices.DeleteFunc(l.free, func(i int) bool { return i == least })
	return least
}

// move copies v, unless it lies where it should.
func (l *lowering) move(v *value, to Spot) {
	from := l.spot[v]
	if from.In == to.In && from.Index == to.Index && from.From == to.From {
		return
	}
	for range l.parts(v) {
		l.r.Steps = append(l.r.Steps, Step{To: to, V: v, Args: []Spot{from}, Vs: []*value{v}})
		to.From++
		from.From++
	}
}

// Order is when a row of an Elementwise node reads parts of its arguments for the last time, and when it writes
// parts of its results for the first, in steps of its routine.
func Order(n *node) (read, written map[Spot]int) {
	read, written = map[Spot]int{}, map[Spot]int{}
	for i, s := range RoutineOf(n).Steps {
		for _, a := range s.Args {
			if a.In == InArgument {
				read[a] = i
			}
		}
		if _, ok := written[s.To]; !ok && s.To.In == InResult {
			written[s.To] = i
		}
	}
	return read, written
}

// elementwiseReplaces are the results that may lie where arguments do: each part is written when that of the
// argument has been read.
func elementwiseReplaces(n *node) [][2]int {
	read, written := Order(n)
	var pairs [][2]int
	for j, o := range n.Outs {
		for i, a := range n.Args {
			ok := o.Type == a.Type && o.Shape.Same(a.Shape)
			for at, when := range written {
				from := Spot{In: InArgument, Index: i, From: at.From, Parts: at.Parts}
				if last, is := read[from]; at.Index == j && is && last > when {
					ok = false
				}
			}
			if ok {
				pairs = append(pairs, [2]int{j, i})
			}
		}
	}
	// What is widest saves most.
	slices.SortStableFunc(pairs, func(x, y [2]int) int {
		return n.Outs[y[0]].Shape.Last().N - n.Outs[x[0]].Shape.Last().N
	})
	return pairs
}
