package emit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/gen/op"
)

// What is computed element by element, in one pass over memory, comes out as a function of one row, which the runtime
// calls for each. Layers and graphs that compute the same share it.

// rowFunction is such a function.
type rowFunction struct {
	name string
	doc  string
	code []jen.Code
	text string // what tells it from others
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
				r.name = e.ids.pkg.Fresh(want)
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
	out := &rowFunction{doc: n.Scope, text: body.String() + fmt.Sprint(n.Attrs.Get("n") != nil, parts(n))}
	out.code = append(w.declared, jen.Line())
	out.code = append(out.code, w.lines()...)
	return out
}

// parts is how many rows of n elements the rows of each argument and result of n are, which the code depends on.
func parts(n *graph.Node) []int {
	width, ok := n.Attrs.Get("n").(graph.Dim)
	var k []int
	for _, v := range append(append([]*graph.Value{}, n.Args...), n.Outs...) {
		if ok {
			k = append(k, v.Shape.Last().N/width.N)
		}
	}
	return k
}

type rowWriter struct {
	node     *graph.Node
	scope    *names.Scope
	is       map[op.Spot]string
	declared []jen.Code
	steps    []rowStep
}

// rowStep is a call in a function of a row, and what it computes.
type rowStep struct {
	function string
	args     []string
	text     string
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
	w.declared = append(w.declared, jen.Id(name).Op(":=").Add(from))
}

// step writes a call.
func (w *rowWriter) step(s op.Step) {
	if s.N == nil {
		w.steps = append(w.steps, rowStep{"Copy", []string{w.is[s.To], w.is[s.Args[0]], "r.N"},
			w.is[s.To] + " = " + w.is[s.Args[0]]})
		return
	}
	spot := map[*graph.Value]string{s.V: w.is[s.To]}
	for i, v := range s.Vs {
		spot[v] = w.is[s.Args[i]]
	}
	c := s.N.Op.Emit(s.N)[0]
	step := rowStep{function: c.Func}
	for _, x := range c.Args {
		switch x := x.(type) {
		case *graph.Value:
			step.args = append(step.args, spot[x])
		case graph.Float:
			number := fmt.Sprintf("%v", float64(x))
			if !strings.ContainsAny(number, ".e") {
				number += ".0"
			}
			step.args = append(step.args, number)
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

// elementsFile emits the functions of rows.
func (e *emitter) elementsFile(f *jen.File) {
	for _, r := range e.rows {
		of := "what is made element by element"
		if r.doc != "" {
			of = r.doc + " that is made element by element"
			if strings.HasSuffix(r.name, "Grad") {
				of = "the gradients of " + r.doc + " that are made element by element"
			}
		}
		comment(f, "%s computes a row of %s.", r.name, of)
		f.Func().Id(r.name).Params(jen.Id("r").Op("*").Qual(e.kernel(), "Row")).Block(r.code...)
		f.Line()
	}
}
