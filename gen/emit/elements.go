package emit

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/asm"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/gen/op"
)

// What is computed element by element, in one pass over memory, comes out as a function of one row, which the runtime
// calls for each. Layers and graphs that compute the same share it. It calls one kernel after the other, on rows that
// stay in the first cache: that is its definition, in elements.go. For amd64 there is assembly beside it, which package
// asm makes of the same steps, and which keeps what lies between them in registers.

// The files of the assembly.
const (
	elementsAsm   = "elements_amd64.s"
	elementsAMD64 = "elements_amd64.go"
	elementsNoAsm = "elements_noasm.go"
)

// rowFunction is such a function.
type rowFunction struct {
	name     string
	doc      string
	declared []jen.Code // parts of rows
	scratch  []jen.Code // and of memory beside them
	code     []jen.Code
	text     string // what tells it from others
	matrices []int  // how many parts the rows of each have

	routine  *asm.Routine // nil where a step has no piece of assembly
	pointers []string     // what it is given
	assembly bool         // whether there is assembly
}

// nameElements writes the functions of rows, and so gives them their names, before anything that calls them is
// written.
func (e *emitter) nameElements() {
	e.elements = map[*graph.Node]*rowFunction{}
	known := map[string]*rowFunction{}
	visit := func(g *graph.Graph) {
		g.Walk(func(g *graph.Graph) {
			for _, n := range g.Nodes {
				if n.Op != op.Elementwise {
					continue
				}
				r := e.rowFunction(n)
				if first := known[r.text]; first != nil {
					e.elements[n] = first
					continue
				}
				known[r.text], e.elements[n] = r, r
				want := names.Lower(e.typeOf(n.Scope)) + names.UpperFirst(n.Part) + "Elements"
				if n.Phase == graph.Backward {
					want += "Grad"
				}
				r.name = e.freshRow(want)
				e.rows = append(e.rows, r)
			}
		})
	}
	for _, r := range e.Model.Runs {
		visit(r.Graph)
	}
	for _, t := range e.Model.Tapped {
		visit(t.Graph)
	}
	for _, g := range []*graph.Graph{e.Model.Encode, e.Model.Decode} {
		if g != nil {
			visit(g)
		}
	}
}

// forms end the names of the definition of a row function and of its assembly.
var forms = []string{"Generic", "AVX2", "AVX512"}

// freshRow is a name of which all forms are free, and takes them.
func (e *emitter) freshRow(want string) string {
	for {
		name := e.ids.pkg.Fresh(want)
		free := true
		for _, f := range forms {
			free = free && !e.ids.pkg.Taken(name+f)
		}
		if !free {
			continue
		}
		for _, f := range forms {
			e.ids.pkg.Reserve(name + f)
		}
		return name
	}
}

// assemble writes the assembly of the functions of rows.
func (e *emitter) assemble() error {
	var routines []asm.Routine
	var of []*rowFunction
	for _, r := range e.rows {
		if r.routine != nil {
			r.routine.Name = r.name
			routines, of = append(routines, *r.routine), append(of, r)
		}
	}
	text, done, err := asm.WriteRoutines("// "+e.header(), routines)
	if err != nil {
		return fmt.Errorf("emit: %s: %w", elementsAsm, err)
	}
	for i, r := range of {
		r.assembly = done[i]
	}
	e.assembly = text
	return nil
}

// rowFunction writes the function of a row of n.
func (e *emitter) rowFunction(n *graph.Node) *rowFunction {
	r := op.RoutineOf(n)
	w := &rowWriter{node: n, scope: e.ids.pkg.Without(packages...).Inner(), is: map[op.Spot]string{}}
	w.scope.Reserve("kernel", "r", "n")
	body := op.BodyOf(n)
	of := map[op.Spot]*graph.Value{} // what it is called after
	var spots []op.Spot
	for _, s := range r.Steps {
		for i, a := range append(s.Args[:len(s.Args):len(s.Args)], s.To) {
			if of[a] == nil {
				of[a] = append(s.Vs[:len(s.Vs):len(s.Vs)], s.V)[i]
				spots = append(spots, a)
			}
		}
	}
	// Arguments, results, scratch, each in its order.
	rank := map[op.SpotKind]int{op.InScratch: 2, op.InResult: 1}
	slices.SortStableFunc(spots, func(a, b op.Spot) int {
		return cmp.Or(rank[a.In]-rank[b.In], a.Index-b.Index, a.From-b.From)
	})
	for _, s := range spots {
		w.declare(s, of[s])
	}
	for _, s := range r.Steps {
		w.step(s)
	}
	args, results := parts(n)
	out := &rowFunction{doc: n.Scope, text: body.String() + fmt.Sprint(n.Attrs.Get("n") != nil, args, results),
		declared: w.declared, scratch: w.scratch, code: w.lines(), matrices: append(results, args...),
		routine: w.routine(spots, r)}
	out.pointers = w.pointers
	return out
}

// parts is how many rows of n elements the rows of each argument and result of n are, which the code depends on.
func parts(n *graph.Node) (args, results []int) {
	width, ok := n.Attrs.Get("n").(graph.Dim)
	count := func(vs []*graph.Value) (k []int) {
		for _, v := range vs {
			if ok {
				k = append(k, v.Shape.Last().N/width.N)
			} else {
				k = append(k, 1)
			}
		}
		return k
	}
	return count(n.Args), count(n.Outs)
}

// routine is what assembly is made of, or nil: the steps, with numbers for values.
func (w *rowWriter) routine(spots []op.Spot, r *op.Routine) *asm.Routine {
	out := &asm.Routine{}
	if width, ok := w.node.Attrs.Get("n").(graph.Dim); ok {
		out.Width = width.N
	}
	pointer, value := map[op.Spot]int{}, map[op.Spot]int{}
	for _, s := range spots {
		switch s.In {
		case op.InFactor:
			return nil
		case op.InArgument, op.InVector:
			value[s] = len(out.Inputs)
			out.Inputs = append(out.Inputs, len(out.Pointers))
		}
		if s.In != op.InScratch {
			pointer[s] = len(out.Pointers)
			w.pointers = append(w.pointers, w.is[s])
			name := w.is[s]
			if name == "g" { // which is a register to Go's assembler
				name = w.scope.Fresh("gRow")
			}
			out.Pointers = append(out.Pointers, name)
		}
	}
	for i, s := range r.Steps {
		from := w.steps[i]
		step := asm.Step{Store: -1, Text: from.text}
		if s.To.In == op.InResult {
			step.Store = pointer[s.To]
		}
		if s.N == nil {
			step.Inputs = []int{value[s.Args[0]]}
		} else if step.Kernel = from.function; !asm.HasPiece(step.Kernel) {
			return nil
		}
		for _, a := range from.inputs {
			step.Inputs = append(step.Inputs, value[a])
		}
		for _, n := range from.numbers {
			x, err := strconv.ParseFloat(n, 32) // as Go reads it
			if err != nil {
				panic(err)
			}
			step.Numbers = append(step.Numbers, float32(x))
		}
		value[s.To] = len(out.Inputs) + i
		if s.N == nil {
			value[s.To] = step.Inputs[0]
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}

type rowWriter struct {
	node     *graph.Node
	scope    *names.Scope
	is       map[op.Spot]string
	declared []jen.Code
	scratch  []jen.Code
	pointers []string // the variables that assembly is given
	steps    []rowStep
}

// rowStep is a call in a function of a row, and what it computes.
type rowStep struct {
	function string
	args     []string
	text     string

	// The same for assembly, but for copies.
	inputs  []op.Spot
	numbers []string
}

// lines are the calls with what they compute behind them, or, where that is too wide, in front.
func (w *rowWriter) lines() []jen.Code {
	code, text := 0, 0 // how wide
	for _, s := range w.steps {
		code = max(code, len([]rune("kernel."+s.function+"("+strings.Join(s.args, ", ")+")")))
		text = max(text, len([]rune(s.text)))
	}
	behind := 4+code+len(" // ")+text <= columns
	var lines []jen.Code
	for _, s := range w.steps {
		var args []jen.Code
		for _, a := range s.args {
			args = append(args, jen.Op(a)) // as it stands
		}
		call := jen.Qual(Module+"/runtime/kernel", s.function).Call(args...)
		if behind {
			lines = append(lines, call.Comment(s.text))
			continue
		}
		for _, l := range wrap(s.text, 110) {
			lines = append(lines, jen.Comment(l))
		}
		lines = append(lines, call)
	}
	return lines
}

// called is what v is called, without the name of the layer, which all values of the function are of.
func (w *rowWriter) called(v *graph.Value) string {
	field := graph.Identity(v.Base).Field
	layer, _, _ := strings.Cut(w.node.Scope, ".")
	layer = names.Lower(layer)
	for i := 0; layer != ""; i++ {
		rest, ok := strings.CutPrefix(field[i:], layer)
		if rest, more := strings.CutPrefix(strings.TrimLeft(rest, "0123456789"), "_"); ok && more && rest != "" {
			return names.Lower(field[:i] + rest)
		}
		if field[i] != 'd' || i+1 == len(field) { // of a gradient
			break
		}
	}
	return local(v.Base)
}

// declare binds a variable to a part of a row.
func (w *rowWriter) declare(s op.Spot, v *graph.Value) {
	name := w.scope.Fresh(w.called(v))
	w.is[s] = name
	var from *jen.Statement
	at := s.Index // in the list of matrices, results first
	if s.In == op.InArgument || s.In == op.InVector || s.In == op.InFactor {
		at += len(w.node.Outs)
	}
	switch {
	case s.In == op.InScratch:
		from = jen.Id("r").Dot("Scratch").Call(jen.Lit(s.Index))
	case s.In == op.InVector:
		from = jen.Id("r").Dot("Vector").Call(jen.Lit(at), jen.Lit(s.From))
	case s.In == op.InFactor:
		from = jen.Id("r").Dot("Factor").Call(jen.Lit(at))
	case s.Parts > 1:
		from = jen.Id("r").Dot("Part").Call(jen.Lit(at), jen.Lit(s.From), jen.Lit(s.Parts))
	default:
		from = jen.Id("r").Dot("Of").Call(jen.Lit(at))
	}
	line := jen.Id(name).Op(":=").Add(from)
	if s.In == op.InScratch {
		w.scratch = append(w.scratch, line)
	} else {
		w.declared = append(w.declared, line)
	}
}

// step writes a call.
func (w *rowWriter) step(s op.Step) {
	if s.N == nil {
		w.steps = append(w.steps, rowStep{function: "Copy", args: []string{w.is[s.To], w.is[s.Args[0]], "r.N"},
			text: w.is[s.To] + " = " + w.is[s.Args[0]]})
		return
	}
	spot := map[*graph.Value]string{s.V: w.is[s.To]}
	at := map[*graph.Value]op.Spot{}
	for i, v := range s.Vs {
		spot[v], at[v] = w.is[s.Args[i]], s.Args[i]
	}
	c := s.N.Op.Emit(s.N)[0]
	step := rowStep{function: c.Func}
	for _, x := range c.Args {
		switch x := x.(type) {
		case *graph.Value:
			step.args = append(step.args, spot[x])
			if x != s.V {
				step.inputs = append(step.inputs, at[x])
			}
		case graph.Float:
			number := fmt.Sprintf("%v", float64(x))
			if !strings.ContainsAny(number, ".e") {
				number += ".0"
			}
			step.args, step.numbers = append(step.args, number), append(step.numbers, number)
		case graph.Dim:
			step.args = append(step.args, "r.N")
		default:
			panic(fmt.Sprintf("emit: %s of elements has an operand %T", s.N.Op.Name, x))
		}
	}
	if s.N.Op == op.AddBias { // of one row
		step.function, step.args = "Add", append(step.args[:3], "r.N")
	}
	step.text = s.N.Op.Formula(s.N, func(v *graph.Value) string { return spot[v] })
	w.steps = append(w.steps, step)
}

// comment says what a function of a row computes, called by name.
func (r *rowFunction) comment(f *jen.File, name, text string) {
	of := "what is made element by element"
	if r.doc != "" {
		of = r.doc + " that is made element by element"
		if strings.HasSuffix(r.name, "Grad") {
			of = "the gradients of " + r.doc + " that are made element by element"
		}
	}
	comment(f, text, name, of)
}

// elementsFile emits the functions of rows.
func (e *emitter) elementsFile(f *jen.File) {
	for _, r := range e.rows {
		name := r.name
		if r.assembly {
			name += "Generic"
		}
		r.comment(f, name, "%s computes a row of %s.")
		f.Func().Id(name).Params(e.row()).Block(slices.Concat(r.declared, r.scratch, []jen.Code{jen.Line()}, r.code)...)
		f.Line()
	}
}

// row is the parameter of a function of a row.
func (e *emitter) row() jen.Code { return jen.Id("r").Op("*").Qual(e.kernel(), "Row") }

// elementsAMD64 emits what chooses among the definition and the assembly of functions of rows, and declares that.
func (e *emitter) elementsAMD64(f *jen.File) {
	f.HeaderComment("//go:build amd64 && !purego")
	for _, r := range e.rows {
		if !r.assembly {
			continue
		}
		var pointers, params []jen.Code
		for i, p := range r.pointers {
			pointers = append(pointers, jen.Op("&").Id(p).Index(jen.Lit(0)))
			params = append(params, jen.Id(r.routine.Pointers[i]))
		}
		pointers = append(pointers, jen.Id("r").Dot("N"))
		params[len(params)-1] = jen.Add(params[len(params)-1], jen.Op("*").Float32())
		params = append(params, jen.Id("n").Int())
		set := func(name string) jen.Code { return jen.Qual(e.kernel(), name) }
		r.comment(f, r.name, "%s computes a row of %s.")
		f.Func().Id(r.name).Params(e.row()).Block(append(r.declared[:len(r.declared):len(r.declared)], jen.Line(),
			jen.Switch(jen.Add(set("Instructions")).Call()).Block(
				jen.Case(set("AVX512")).Block(jen.Id(r.name+"AVX512").Call(pointers...)),
				jen.Case(set("AVX2")).Block(jen.Id(r.name+"AVX2").Call(pointers...)),
				jen.Default().Block(jen.Id(r.name+"Generic").Call(jen.Id("r"))),
			))...)
		f.Line()
		for _, form := range []string{"AVX512", "AVX2"} {
			comment(f, "%s is %sGeneric of n elements.", r.name+form, r.name)
			f.Comment("//")
			f.Comment("//go:noescape")
			f.Func().Id(r.name + form).Params(params...)
			f.Line()
		}
	}
}

// elementsNoAsm emits the functions of rows where there is no assembly.
func (e *emitter) elementsNoAsm(f *jen.File) {
	f.HeaderComment("//go:build !amd64 || purego")
	for _, r := range e.rows {
		if !r.assembly {
			continue
		}
		r.comment(f, r.name, "%s computes a row of %s.")
		f.Func().Id(r.name).Params(e.row()).Block(jen.Id(r.name + "Generic").Call(jen.Id("r")))
		f.Line()
	}
}

// elementsTest emits the test of the functions of rows.
func (e *emitter) elementsTest(f *jen.File) {
	var calls []jen.Code
	for _, r := range e.rows {
		if !r.assembly {
			continue
		}
		args := []jen.Code{jen.Id("t"), jen.Id(r.name)}
		for _, m := range r.matrices {
			args = append(args, jen.Lit(m))
		}
		calls = append(calls, jen.Qual(e.path("modeltest"), "Elements").Call(args...))
	}
	if len(calls) == 0 {
		return
	}
	comment(f, "What is made element by element has the same bits on all sets of instructions.")
	f.Func().Id("TestElements").Params(jen.Id("t").Op("*").Qual("testing", "T")).Block(calls...)
	f.Line()
}
