package emit

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/gen/plan"
)

// writer turns the nodes of one graph into statements.
type writer struct {
	e        *emitter
	plan     *plan.Plan
	g        *graph.Graph
	receiver string                  // m or d
	acts     string                  // the receiver's field with the buffers
	typ      string                  // the type of that field
	params   string                  // the receiver's field with the parameters
	fields   map[*graph.Value]string // of the struct of buffers, by value
	home     map[*graph.Value]string // the layer, or the pass, whose own struct of buffers has the field, or ""
	// the value that the field of a value is named after: all that live in one place of one home share a field
	first  map[*graph.Value]*graph.Value
	passes map[string]bool              // those over one network, which have a struct of buffers each
	twins  map[string]string            // layers that share their functions, by name, and the name that they share
	order  []*graph.Value               // values with a field, in the order of their definition
	scope  *names.Scope                 // of the struct of buffers
	homes  map[string]*names.Scope      // of the structs of layers
	read   map[*graph.Value]bool        // fields that the code refers to
	owner  map[*graph.Value]*graph.Node // the loop whose body a value belongs to
	steps  map[*graph.Value]bool        // values of all time steps, of which a loop over time reads or gives elements
	tapped *build.Tapped                // what the graph is, where it has taps
	added  map[*graph.Value]string      // fields of what is added to values, and of the seed, in such a graph
	done   *finish                      // when gradients are complete; nil before it is asked for
}

// newWriter makes a writer; passes are those that may go through one network.
func newWriter(e *emitter, g *graph.Graph, receiver string, passes ...string) *writer {
	w := &writer{e: e, plan: e.Plans[g], g: g, receiver: receiver, acts: "acts", typ: "acts", params: "weights",
		scope: names.Members(), homes: map[string]*names.Scope{}, fields: map[*graph.Value]string{},
		home: map[*graph.Value]string{}, twins: e.twins(), read: map[*graph.Value]bool{},
		owner: map[*graph.Value]*graph.Node{}, steps: map[*graph.Value]bool{}, first: map[*graph.Value]*graph.Value{},
		passes: map[string]bool{}}
	for _, n := range g.Nodes {
		if slices.Contains(passes, n.Pass) {
			w.passes[n.Pass] = true
		}
	}
	if len(w.passes) > 1 {
		w.twins = nil // what passes share is written layer by layer
	} else {
		clear(w.passes)
	}
	if w.tapped = e.tappedOf(g); w.tapped != nil {
		w.twins = nil // each layer adds something else
		w.nameAdded()
	}
	w.name(g, nil)
	return w
}

// name gives a field to every value that lives in a buffer of its own.
func (w *writer) name(g *graph.Graph, in *graph.Node) {
	add := func(v *graph.Value, n, in *graph.Node) {
		scope := n.Scope
		w.owner[v] = in
		pl := w.plan.Of(v)
		if pl.Kind != plan.Buffer || w.fields[v] != "" {
			return
		}
		id := graph.Identity(v.Base)
		if id.Layer != scope && scope != "" && in != nil {
			id = graph.ID{Layer: scope, Field: v.Base}
		}
		scoped, want := w.scope, names.Lower(id.String())
		switch {
		case w.passes[n.Pass]:
			w.home[v] = n.Pass
			scoped = members(w.homes, n.Pass)
		case w.twins[id.Layer] != "":
			w.home[v] = id.Layer
			scoped, want = members(w.homes, id.Layer), names.Lower(id.Field)
		}
		for _, o := range pl.Values() { // which may have the field already
			if w.fields[o] != "" && w.home[o] == w.home[v] {
				w.fields[v], w.first[v] = w.fields[o], w.first[o]
				return
			}
		}
		w.fields[v], w.first[v] = scoped.Fresh(want), v
		w.order = append(w.order, v)
	}
	for _, n := range g.Nodes {
		if n.Loop != nil {
			for i, v := range n.Loop.Body.Inputs {
				w.owner[v] = n
				if n.Loop.Kind == graph.Scan && i >= n.Loop.Carries && i < n.Loop.Carries+n.Loop.Seqs {
					w.steps[n.Args[i]] = true
				}
				if i < n.Loop.Carries {
					add(v, n, n)
				}
			}
			w.name(n.Loop.Body, n)
		}
		for i, o := range n.Outs {
			add(o, n, in)
			if n.Loop != nil && n.Loop.Kind == graph.Scan && i >= n.Loop.Carries {
				w.steps[o] = true
			}
		}
	}
}

// use is the field of a value that code refers to.
func (w *writer) use(v *graph.Value) string {
	w.read[w.first[v]] = true
	return w.fields[v]
}

// member is the memory of a value in the struct of buffers of the whole graph.
func (w *writer) member(acts *jen.Statement, v *graph.Value) *jen.Statement {
	if home := w.home[v]; home != "" {
		acts = acts.Dot(w.homeField(home))
	}
	return acts.Dot(w.use(v))
}

// family is what the homes of one kind share: the name of a stack of layers, or of what passes are over.
func (w *writer) family(home string) string {
	if w.passes[home] {
		return passFamily
	}
	return w.twins[home]
}

// passFamily is the family of passes.
const passFamily = "pass"

// homeField is the field of the struct of buffers that has those of a layer.
func (w *writer) homeField(layer string) string { return w.scope.For(layer, names.Lower(layer)) }

// methods is the scope of the methods of the receiver.
func (w *writer) methods() *names.Scope {
	if w.receiver == "d" {
		return w.e.ids.decoder
	}
	return w.e.ids.model
}

// function collects the statements of one function, and what they refer to.
type function struct {
	w     *writer
	body  []jen.Code
	used  map[string]bool // "p", "a", "g", "s", "steps", "batch", "rows"
	loops []*frame
	carry map[string]bool         // variables of loops outside of any other
	scope *names.Scope            // of local variables
	names map[*graph.Value]string // in formulas
	ends  map[*plan.Place]string  // variables of what loops begin and end with
	// makes a function of a part of a layer, and calls it; nil keeps all in one
	split func(n *graph.Node, part string, fn *function) jen.Code

	shared *shared                   // for a function that several layers or passes share
	again  func(fn *function, i int) // writes the function of a pass
}

// frame is a loop that statements stand in.
type frame struct {
	n     *graph.Node
	bound map[*plan.Place]*graph.Value // what a local variable has been declared for
	carry map[string]bool              // variables of loops in it
	vars  map[*graph.Value]string
	scope *names.Scope
	index bool // whether statements read the loop's variable
	out   []jen.Code
}

func (w *writer) function() *function {
	return &function{w: w, used: map[string]bool{}, names: map[*graph.Value]string{}, carry: map[string]bool{},
		ends: map[*plan.Place]string{}, scope: w.e.ids.functions.Inner()}
}

func (f *function) add(c ...jen.Code) {
	if len(f.loops) > 0 {
		top := f.loops[len(f.loops)-1]
		top.out = append(top.out, c...)
		return
	}
	f.body = append(f.body, c...)
}

func (f *function) comment(text string) {
	for _, line := range wrap(text, min(110, columns-len("// ")-4*(1+len(f.loops)))) {
		f.add(jen.Comment(line))
	}
}

// wrap breaks a comment at spaces.
func wrap(text string, width int) []string {
	var lines []string
	for _, para := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Split(para, " ") {
			if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
				lines = append(lines, line)
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		lines = append(lines, line)
	}
	return lines
}

func (f *function) dim(d graph.Dim) jen.Code {
	switch runs := d.Ordered(); {
	case len(runs) == 2 && runs[0] == "steps":
		f.used["rows"] = true
	default:
		for _, r := range runs {
			f.used[r] = true
		}
	}
	if f.shared != nil {
		d = f.shared.dim(d)
	}
	return f.w.e.product(d)
}

func (f *function) frameOf(v *graph.Value) *frame {
	owner := f.w.owner[v]
	for _, fr := range f.loops {
		if fr.n == owner {
			return fr
		}
	}
	return nil
}

// unshaped is the value that v is under another shape, or v itself.
func unshaped(v *graph.Value) *graph.Value {
	for v.Def != nil && v.Def.Op.Alias {
		v = v.Def.Args[0]
	}
	return v
}

// mem is the memory of v: the expression for a slice that starts with its elements.
func (f *function) mem(v *graph.Value) *jen.Statement {
	v = unshaped(v)
	w := f.w
	pl := w.plan.Of(v)
	if fr := f.frameOf(v); fr != nil {
		if name := fr.vars[v]; name != "" {
			return jen.Id(name)
		}
		// An invariant of the loop is what it is outside.
		for i, in := range fr.n.Loop.Body.Inputs {
			if in == v && i >= fr.n.Loop.Carries+fr.n.Loop.Seqs {
				return f.mem(fr.n.Args[i])
			}
		}
		if pl.Kind == plan.Element && pl.Loop == fr.n {
			return f.bind(fr, v, pl)
		}
	}
	switch pl.Kind {
	case plan.Outside:
		if pl.Target != nil {
			return f.target(*pl.Target, nil, v)
		}
		return f.input(v)
	case plan.Buffer:
		return f.buffer(v)
	case plan.Element: // outside of its loop: the last one, or the first
		n := pl.Loop
		switch pl.At {
		case plan.First:
			return f.end(pl, jen.Lit(0), v)
		case plan.Last:
			return f.end(pl, f.dim(n.Loop.Trip), v)
		}
		stack := v.Def.Outs[givenAs(v)]
		var last jen.Code
		if n.Loop.Reverse {
			last = jen.Lit(0)
		} else {
			last = jen.Add(f.dim(n.Loop.Trip)).Op("-").Lit(1)
		}
		return f.element(stack, last, v)
	case plan.Number:
		return f.variable(v)
	}
	panic(fmt.Sprintf("emit: %s has no memory", v))
}

// end is element i of the stack that a loop keeps its carry in, outside of the loop. It has a variable where no other
// loop is around what reads it.
func (f *function) end(pl *plan.Place, i jen.Code, v *graph.Value) *jen.Statement {
	name := f.ends[pl]
	if name == "" {
		element := f.element(pl.Stack, i, v)
		if len(f.loops) > 0 {
			return element
		}
		name = f.scope.Fresh(local(v.Base))
		f.ends[pl] = name
		f.add(jen.Id(name).Op(":=").Add(element))
	}
	return jen.Id(name)
}

// variable is the local variable of a number, or of memory that is there at times.
func (f *function) variable(v *graph.Value) *jen.Statement {
	if f.w.result(v) {
		return jen.Id("loss")
	}
	return jen.Id(f.scope.For(v, local(v.Base)))
}

// givenAs is the result of a loop that stacks what its result v is the last of.
func givenAs(v *graph.Value) int {
	l := v.Def.Loop
	for j := l.Carries; j < len(l.Body.Outputs); j++ {
		if l.Body.Outputs[j] == l.Body.Outputs[v.Out] {
			return j
		}
	}
	panic("emit: a carried value is not given")
}

// bind declares a local variable for the element of a stacked value that v is, at the loop's index.
func (f *function) bind(fr *frame, v *graph.Value, pl *plan.Place) *jen.Statement {
	stack, index := f.stackOf(fr, v), fr.variable()
	if pl.At == plan.Next {
		stack, index = pl.Stack, index.Op("+").Lit(1)
	}
	own := stack != nil
	if !own { // v is on the way to another value in its place, which is an element
		for _, o := range pl.Values() {
			if s := f.stackOf(fr, o); s != nil {
				stack = s
				break
			}
		}
	}
	if st := f.w.plan.Of(stack); st.Kind == plan.Outside &&
		(st.Target != nil || own && f.outerInput(stack) && stack.Role != graph.Cache) {
		return f.element(stack, index, v) // parameters, data and state read well where they are used
	}
	base := local(v.Base)
	if f.w.steps[v] {
		base += "All" // of all time steps, beside the one of a step
	}
	name := fr.scope.Fresh(base)
	fr.vars[v] = name
	if other := fr.bound[pl]; other != nil {
		fr.out = append(fr.out, jen.Id(name).Op(":=").Id(fr.vars[other]).Comment("in place"))
		return jen.Id(name)
	}
	fr.bound[pl] = v
	// The declaration belongs to this loop's block even when a loop inside of it asks for the value.
	expr := f.element(stack, index, v)
	fr.out = append(fr.out, jen.Id(name).Op(":=").Add(expr))
	return jen.Id(name)
}

func (f *function) outerInput(v *graph.Value) bool {
	return v.Def == nil && v.Role != graph.Local
}

// stackOf is the stacked value, outside of the loop, that v is an element of by itself.
func (f *function) stackOf(fr *frame, v *graph.Value) *graph.Value {
	l := fr.n.Loop
	for i := l.Carries; i < l.Carries+l.Seqs; i++ {
		if l.Body.Inputs[i] == v {
			return fr.n.Args[i]
		}
	}
	for j := l.Carries; j < len(fr.n.Outs); j++ {
		if l.Body.Outputs[j] == v {
			return fr.n.Outs[j]
		}
	}
	return nil
}

// element is element i of a stacked value.
func (f *function) element(stack *graph.Value, i jen.Code, v *graph.Value) *jen.Statement {
	pl := f.w.plan.Of(stack)
	if pl.Kind == plan.Outside {
		if pl.Target != nil {
			return f.target(*pl.Target, i, v)
		}
		if stack.Role == graph.Param {
			return f.parameter(stack.ID, i)
		}
		if stack.Role == graph.Cache && f.w.e.ofTokens(stack.ID) {
			return f.mem(stack).Index(i)
		}
	}
	return f.w.e.element(f.mem(stack), i, f.dim(v.Shape.Elems()))
}

func (f *function) field(base string, id graph.ID, index jen.Code) *jen.Statement {
	e := f.w.e
	if f.shared != nil && !f.shared.pass {
		if id.Layer != f.shared.layer {
			f.shared.fail("reads the parameters of another layer")
		}
		return jen.Id(base).Dot(e.paramField(id))
	}
	s := jen.Id(base).Dot(e.layerField(id.Layer))
	if index != nil {
		s = s.Index(index)
	}
	return s.Dot(e.paramField(id))
}

func (f *function) parameter(id graph.ID, index jen.Code) *jen.Statement {
	f.used["p"] = true
	if f.w.receiver == "d" {
		f.w.e.kept[id] = true
	}
	return f.field("p", id, index)
}

// target is where an output of the graph goes, or element index of it, which is v.
func (f *function) target(t graph.Target, index jen.Code, v *graph.Value) *jen.Statement {
	if t.Ends == graph.Grad {
		f.used["g"] = true
		return f.field("g", t.ID, index)
	}
	f.used["kv"] = true
	s := jen.Id("kv").Dot(f.w.e.cacheField(t.ID))
	if index == nil {
		return s
	}
	return f.w.e.element(s, index, f.dim(v.Shape.Elems()))
}

// input is an input of the whole graph.
func (f *function) input(v *graph.Value) *jen.Statement {
	switch v.Role {
	case graph.Param:
		return f.parameter(v.ID, nil)
	case graph.State:
		return f.state(v.ID)
	case graph.Data:
		if field := f.w.added[v]; field != "" {
			return jen.Id("m").Dot(f.w.tapInputs()).Dot(field)
		}
		if f.shared != nil && f.shared.pass && !f.shared.direct[v] {
			return f.shared.argument(v)
		}
		if f.shared != nil && f.shared.pass {
			f.shared.argument(v) // which stands in the list
		}
		if f.w.receiver == "d" && v.Name == "source" {
			return jen.Id("d").Dot("source")
		}
		if f.w.receiver == "d" {
			return jen.Id(v.Name)
		}
		return jen.Id("b").Dot(names.Exported(v.Name))
	case graph.Table:
		return jen.Id(f.w.e.variable(v.Name)).Call()
	case graph.Scalar:
		return jen.Id(f.w.receiver).Dot(v.Name)
	case graph.Cache:
		f.used["kv"] = true
		return jen.Id("kv").Dot(f.w.e.cacheField(v.ID))
	}
	panic("emit: " + v.Name + " is not bound")
}

func (f *function) state(id graph.ID) *jen.Statement {
	f.used["s"] = true
	if f.shared == nil || f.shared.pass || f.w.twins[id.Layer] == "" {
		return f.w.e.stateOf(jen.Id("s"), id)
	}
	if id.Layer != f.shared.layer {
		f.shared.fail("reads the state of another layer")
	}
	_, field := f.w.e.stateField(id)
	return jen.Id("s").Dot(field)
}

// nodes emits a list of nodes, with the outputs of the graph that are complete after each.
func (f *function) nodes(nodes []*graph.Node) {
	first := true
	for _, n := range nodes {
		if f.silent(n) {
			continue
		}
		if !first {
			f.add(jen.Line())
		}
		first = false
		if n.Loop != nil {
			f.loop(n)
		} else {
			f.node(n)
		}
		f.assign(n)
		f.spoil(n)
	}
}

// spoil fills the buffers whose life ends with n with what is no number, where that is asked for.
func (f *function) spoil(n *graph.Node) {
	if !f.w.e.Poison {
		return
	}
	for _, pl := range f.w.plan.Dead(n) {
		for _, v := range pl.Values() {
			if f.w.fields[v] != "" {
				f.add(f.w.e.poison(f.buffer(v)))
				break
			}
		}
	}
}

// buffer is the field of the struct of buffers with the memory of v.
func (f *function) buffer(v *graph.Value) *jen.Statement {
	w := f.w
	f.used["a"] = f.used["a"] || f.shared == nil || w.home[v] == f.shared.layer
	home := w.home[v]
	switch {
	case f.shared == nil:
		return w.member(jen.Id("a"), v)
	case home == f.shared.layer:
		return jen.Id("a").Dot(w.use(v))
	}
	return f.shared.argument(v)
}

// assign copies outputs of the graph to where they go.
func (f *function) assign(n *graph.Node) {
	at := f.w.plan.Assign[n]
	if len(at) == 0 {
		return
	}
	f.add(jen.Line())
	kept := false
	for n, i := range at {
		o := f.w.g.Outputs[i]
		if t := f.w.g.Targets[i]; t.Ends == graph.Keep {
			f.comment("In training, what the next step goes on from.")
			f.add(jen.If(jen.Id(f.w.receiver).Dot("training")).Block(f.kernel("Copy", f.parameter(t.ID, nil), f.mem(o),
				f.dim(o.Shape.Elems()))))
			kept = true
			continue
		}
		if n == 0 || kept {
			f.comment("The state from which the next call goes on.")
		}
		f.add(f.kernel("Copy", f.state(f.w.g.Targets[i].ID), f.mem(o), f.dim(o.Shape.Elems())))
	}
}

func (f *function) kernel(name string, args ...jen.Code) *jen.Statement {
	return jen.Qual(f.w.e.kernel(), name).Call(args...)
}

// silent reports whether n comes to no code.
func (f *function) silent(n *graph.Node) bool {
	// A number that is 1 is where a gradient starts: whoever reads it knows.
	return n.Op == op.Zeros && (f.w.plan.Of(n.Outs[0]).Kind == plan.Nowhere || n.Attrs.Bool("gradient")) ||
		n.Op == op.Ones && len(n.Outs[0].Shape) == 0 || n.Op == op.Index || n.Op.Alias
}

func (f *function) node(n *graph.Node) {
	defer graph.Blame(n.Origin)
	if n.Op.Emit == nil {
		panic("emit: no kernel for " + n.Op.Name + ": the pass that replaces it did not run")
	}
	lines := &f.body
	if len(f.loops) > 0 {
		lines = &f.loops[len(f.loops)-1].out
	}
	mark := len(*lines)
	var stmts []jen.Code
	for _, c := range n.Op.Emit(n) {
		if s := f.call(n, c); s != nil {
			stmts = append(stmts, s)
		}
	}
	if f.w.tapped != nil && n.Op == op.AttentionWeights { // which only who looks at the model reads
		blind := jen.Id(f.w.receiver).Dot(f.w.tapInputs()).Dot("blind")
		stmts = []jen.Code{jen.If(jen.Op("!").Add(blind)).Block(stmts...)}
	}
	// The formula comes after the calls, which bind names, but stands above them.
	text := f.formula(n)
	if s := n.Outs[0].Shape; len(s) > 0 {
		if f.shared != nil {
			s = f.shared.shape(s)
		}
		text += "   " + shapeText(s)
	}
	text += f.instead(n.Outs[0])
	// The comment stands above the variables that the call needed.
	declared := append([]jen.Code{}, (*lines)[mark:]...)
	*lines = (*lines)[:mark]
	f.comment(text)
	f.add(append(declared, stmts...)...)
}

// formula is what n computes, in the notation of the field. A sum with what stands there already is written as what it
// is.
func (f *function) formula(n *graph.Node) string {
	out := f.nameOf(n.Outs[0])
	acc := map[*graph.Op]int{op.MatMul: 2, op.ScatterAdd: 2, op.SumRows: 1}[n.Op]
	if acc == 0 || !n.Attrs.Bool("acc") || n.Attrs.Str("act") != "" || f.nameOf(n.Args[acc]) != out {
		text := n.Op.Formula(n, f.nameOf)
		if rest, ok := strings.CutPrefix(text, out+" = "+out+" + "); ok {
			return out + " += " + rest
		}
		return text
	}
	added := *n
	added.Attrs = n.Attrs.Set("acc", false)
	added.Args = append(n.Args[:acc:acc], n.Args[acc+1:]...)
	return strings.Replace(n.Op.Formula(&added, f.nameOf), " = ", " += ", 1)
}

// instead says where a value lies that has taken the place of another, whose name the code has.
func (f *function) instead(v *graph.Value) string {
	v = unshaped(v)
	first := f.w.first[v]
	if first == nil || local(first.Base) == local(v.Base) || f.shared != nil && f.w.home[v] != f.shared.layer {
		return ""
	}
	return ", in the place of " + f.w.fields[v]
}

// nameOf is the name of a value in formulas: that of what an invariant of a loop is outside of it.
func (f *function) nameOf(v *graph.Value) string {
	v = unshaped(v)
	for i := len(f.loops) - 1; i >= 0; i-- {
		l := f.loops[i].n.Loop
		for j := l.Carries + l.Seqs; j < len(l.Body.Inputs); j++ {
			if l.Body.Inputs[j] == v {
				v = f.loops[i].n.Args[j]
			}
		}
	}
	for _, fr := range f.loops {
		if name := fr.vars[v]; name != "" {
			return name
		}
	}
	if name := f.ends[f.w.plan.Of(v)]; name != "" {
		return name
	}
	if f.shared != nil {
		if name := f.shared.nameOf(v); name != "" {
			return name
		}
	}
	return f.named(v)
}

// named is the name of a value without that of its layer. Another value of that name has it too, unless both are
// needed at the same time.
func (f *function) named(v *graph.Value) string {
	if v.Def == nil && v.Role != graph.Local {
		return local(v.Name)
	}
	if name := f.names[v]; name != "" {
		return name
	}
	want := local(v.Base)
	if first := f.w.first[v]; first != nil && first.Base == v.Base { // as its field is called
		if number, ok := strings.CutPrefix(f.w.fields[v], names.Lower(v.Base)); ok {
			want += number
		}
	}
	name := want
	for i := 2; f.clashes(v, name); i++ {
		name = fmt.Sprintf("%s%d", want, i)
	}
	f.names[v] = name
	return name
}

func (f *function) clashes(v *graph.Value, name string) bool {
	for o, n := range f.names {
		if n != name || f.w.plan.Same(o, v) {
			continue
		}
		from, to := f.w.plan.Life(o)
		start, end := f.w.plan.Life(v)
		if to < 0 || end < 0 || from <= end && start <= to {
			return true
		}
	}
	return false
}

func (f *function) call(n *graph.Node, c graph.Call) jen.Code {
	if c.Func == "Place" {
		dst, src := c.Args[0].(*graph.Value), c.Args[1].(*graph.Value)
		from := f.mem(src) // first, so that the names follow the flow of values
		to := f.mem(dst)
		if f.w.plan.Same(dst, src) {
			return nil
		}
		return f.kernel("Copy", to, from, f.operand(c.Args[2]))
	}
	// Arguments before results, so that "in place" reads from what there is to what becomes of it.
	args := make([]jen.Code, len(c.Args))
	isOut := func(x graph.Operand) bool {
		v, ok := x.(*graph.Value)
		if !ok {
			return false
		}
		for _, o := range n.Outs {
			if v == o {
				return true
			}
		}
		return false
	}
	for pass := range 2 {
		for i, x := range c.Args {
			if isOut(x) == (pass == 1) {
				args[i] = f.operand(x)
			}
		}
	}
	s := f.kernel(c.Func, args...)
	if c.Infix != "" {
		s = jen.Add(args[0]).Op(c.Infix).Add(args[1])
	}
	switch {
	case c.Result == nil:
		return s
	case f.w.result(c.Result):
		return f.variable(c.Result).Op("=").Add(s)
	}
	return f.variable(c.Result).Op(":=").Add(s)
}

// result reports whether a number is a named result of the function that computes it: the loss.
func (w *writer) result(v *graph.Value) bool {
	for i, o := range w.g.Outputs {
		if o == v && w.g.Targets[i].Is("loss") {
			return true
		}
	}
	return false
}

func (f *function) operand(x graph.Operand) jen.Code {
	switch x := x.(type) {
	case *graph.Value:
		return f.mem(x)
	case graph.Dim:
		return f.dim(x)
	case graph.Float:
		return jen.Lit(float64(x))
	case graph.InTraining32:
		return jen.Float32().Call(f.operand(graph.InTraining(x)))
	case graph.InTraining:
		return jen.Id(f.w.receiver).Dot("inTraining").Call(jen.Lit(float64(x)))
	case graph.NoiseKey:
		args := []jen.Code{jen.Lit(x.Stream)}
		if _, indexed := f.w.e.noise(); indexed {
			args = append(args, f.index(x.Index))
		}
		return jen.Id(f.w.receiver).Dot("noiseKey").Call(args...)
	case graph.Nil:
		return jen.Nil()
	case graph.IfTraining:
		return f.variable(x.V)
	case graph.Option:
		var args []jen.Code
		for _, a := range x.Args {
			args = append(args, f.operand(a))
		}
		return f.kernel(x.Func, args...)
	case graph.Onto:
		from := f.mem(x.V)
		if f.w.plan.Same(x.V, x.Result) {
			return f.kernel("Accumulate")
		}
		return f.kernel("Residual", from)
	case graph.OneOver:
		return jen.Lit(1).Op("/").Float32().Call(f.dim(x.Size))
	case graph.Single:
		return jen.Float32().Call(f.mem(x.V))
	case graph.RowFunc:
		return jen.Id(f.w.e.elements[x.N].name)
	case graph.Columns:
		return f.mem(x.V).Clone().Index(f.dim(x.From), jen.Empty())
	case graph.Last:
		if x.Of != nil {
			first := jen.Parens(jen.Add(f.dim(x.V.Shape[0])).Op("-").Add(f.dim(x.Of.Shape[0])))
			return f.mem(x.V).Clone().Index(first.Op("*").Add(f.dim(x.V.Shape[1:].Elems())), jen.Empty())
		}
		return f.w.e.element(f.mem(x.V), jen.Add(f.dim(x.V.Shape[0])).Op("-").Lit(1), f.dim(x.V.Shape[1:].Elems()))
	case graph.Matrix:
		return f.matrix(x)
	case graph.Bool:
		return jen.Lit(bool(x))
	case graph.Heads:
		h := jen.Id(f.w.e.variable(x.Name))
		if x.Bias != nil {
			h = h.Dot("Biased").Call(f.mem(x.Bias), f.dim(x.Bias.Shape[1]))
		}
		if x.Rate > 0 {
			return h.Dot("Dropping").Call(f.operand(x.Rate), f.operand(x.Key))
		}
		return h
	case graph.LoopIndex:
		return f.index(x.V)
	case graph.DropRate:
		return jen.Id(f.w.receiver).Dot("dropRate").Call(jen.Lit(float64(x)))
	case graph.DropKey:
		stream := jen.Code(jen.Lit(x.Stream))
		if f.shared != nil && f.shared.pass {
			stream = f.shared.stream(x.Stream)
		}
		return jen.Id(f.w.receiver).Dot("dropKey").Call(stream, f.index(x.Index))
	}
	panic(fmt.Sprintf("emit: operand %T", x))
}

// index is the variable of the loop whose index v is, and 0 where there is no loop.
func (f *function) index(v *graph.Value) jen.Code {
	if v == nil {
		return jen.Lit(0)
	}
	for _, fr := range f.loops {
		if fr.n == f.w.owner[v] {
			return fr.variable()
		}
	}
	panic("emit: an index outside of its loop")
}

// loop emits a loop: what its carries start from, its head, its body, and what they carry on.
func (f *function) loop(n *graph.Node) {
	l, w := n.Loop, f.w
	fr := f.frame(n)
	// What the loop starts from; the statements come after those that its body needs outside of it.
	var start, firsts []jen.Code
	var carried []string
	for i := range l.Carries {
		in, first := l.Body.Inputs[i], n.Args[i]
		if w.plan.Of(in).Kind == plan.Rebound {
			name := local(in.Base)
			if block := f.carried(); !block[name] || fr.hasVariable(name) {
				name = f.blockScope().Fresh(name)
			}
			carried = append(carried, name)
			firsts = append(firsts, f.mem(first))
			fr.vars[in] = name
			continue
		}
		clear := w.plan.Of(first).Kind == plan.Nowhere
		if !clear && w.plan.Same(in, first) {
			continue
		}
		var to *jen.Statement
		if j := n.Kept(in); j >= 0 {
			if w.plan.Of(first).Stack == n.Outs[j] {
				continue
			}
			to = f.element(n.Outs[j], jen.Lit(0), in)
		} else {
			f.loops = append(f.loops, fr)
			to = f.mem(in)
			f.loops = f.loops[:len(f.loops)-1]
		}
		size := f.dim(in.Shape.Elems())
		if clear {
			start = append(start, f.kernel("Clear", to, size))
		} else {
			start = append(start, f.kernel("Copy", to, f.mem(first), size))
		}
	}
	if len(carried) > 0 {
		// A loop before this one, in the same block, may have had the same names.
		block := f.carried()
		declare := "="
		var vars []jen.Code
		for _, name := range carried {
			if !block[name] {
				declare = ":="
			}
			block[name] = true
			vars = append(vars, jen.Id(name))
		}
		start = append(start, jen.List(vars...).Op(declare).List(firsts...))
	}

	f.loops = append(f.loops, fr)
	if !f.parts(n) {
		f.nodes(l.Body.Nodes)
	}
	if k := len(fr.out); k > 0 {
		fr.out = append(fr.out, jen.Line())
	}
	plain := len(fr.out)
	var carry, next []jen.Code
	type move struct{ c jen.Code }
	var moves []move
	for i := range l.Carries {
		in, o := l.Body.Inputs[i], l.Body.Outputs[i]
		if n.Kept(in) >= 0 {
			continue
		}
		if name := fr.vars[in]; w.plan.Of(in).Kind == plan.Rebound {
			carry = append(carry, jen.Id(name))
			next = append(next, f.mem(o))
		} else if !w.plan.Same(in, o) {
			moves = append(moves, move{f.kernel("Copy", f.mem(in), f.mem(o), f.dim(o.Shape.Elems()))})
		}
	}
	if len(carry) > 0 {
		f.add(jen.List(carry...).Op("=").List(next...))
	}
	for _, m := range moves {
		f.add(m.c)
	}
	f.readyEach(n)
	if len(fr.out) == plain {
		fr.out = fr.out[:plain-1]
	}
	f.loops = f.loops[:len(f.loops)-1]

	f.comment(loopText(n))
	f.add(start...)
	index := jen.Id(l.Index)
	trip := f.dim(l.Trip)
	if l.Reverse {
		f.add(jen.For(index.Clone().Op(":=").Add(trip).Op("-").Lit(1), jen.Id(l.Index).Op(">=").Lit(0),
			jen.Id(l.Index).Op("--")).Block(fr.out...))
	} else {
		head := jen.Range().Add(trip)
		if fr.index {
			head = index.Clone().Op(":=").Add(head)
		}
		f.add(jen.For(head).Block(fr.out...))
	}
	for i := range l.Carries {
		in, final := l.Body.Inputs[i], n.Outs[i]
		if w.plan.Of(in).Kind != plan.Rebound && n.Kept(in) < 0 && !w.plan.Same(in, final) && w.isRead(final) {
			f.add(f.kernel("Copy", f.mem(final), f.mem(in), f.dim(final.Shape.Elems())))
		}
	}
}

// carried are the names of the variables that loops in the current block carry.
func (f *function) carried() map[string]bool {
	if len(f.loops) > 0 {
		return f.loops[len(f.loops)-1].carry
	}
	return f.carry
}

// blockScope is the scope of the block that statements stand in.
func (f *function) blockScope() *names.Scope {
	if len(f.loops) > 0 {
		return f.loops[len(f.loops)-1].scope
	}
	return f.scope
}

func (f *function) frame(n *graph.Node) *frame {
	return &frame{n: n, carry: map[string]bool{}, bound: map[*plan.Place]*graph.Value{},
		vars: map[*graph.Value]string{}, scope: f.blockScope().Inner()}
}

// variable is the loop's variable.
func (fr *frame) variable() *jen.Statement {
	fr.index = true
	return jen.Id(fr.n.Loop.Index)
}

// hasVariable reports whether the frame has a variable of that name.
func (fr *frame) hasVariable(name string) bool {
	for _, n := range fr.vars {
		if n == name {
			return true
		}
	}
	return false
}

// inOne is how many calls the body of a loop may have in one function: more are split by the parts of the block.
const inOne = 15

// parts emits the body of loop n as calls of functions, one for each part of the block, and reports whether it did.
func (f *function) parts(n *graph.Node) bool {
	body := n.Loop.Body.Nodes
	if f.split == nil || len(f.loops) > 1 || n.Loop.Kind != graph.Repeat || weight(body) <= inOne {
		return false
	}
	for _, in := range n.Loop.Body.Inputs[:n.Loop.Carries] {
		if f.w.plan.Of(in).Kind == plan.Rebound {
			return false // a Go variable that all parts would have to share
		}
	}
	for at := 0; at < len(body); {
		end := at + 1
		for end < len(body) && body[end].Part == body[at].Part {
			end++
		}
		if part := body[at].Part; part == "" {
			f.nodes(body[at:end])
		} else {
			fn := f.w.function()
			fr := fn.frame(n)
			fn.loops = []*frame{fr}
			fn.nodes(body[at:end])
			fn.loops, fn.body = nil, fr.out
			f.loops[len(f.loops)-1].index = true // for the call
			f.add(f.split(n, part, fn))
		}
		at = end
	}
	return true
}

// isRead reports whether anything reads v.
func (w *writer) isRead(v *graph.Value) bool {
	found := false
	w.g.Walk(func(g *graph.Graph) {
		found = found || g.IsOutput(v) > 0
		for _, n := range g.Nodes {
			for _, a := range n.Args {
				found = found || a == v
			}
		}
	})
	return found
}

func loopText(n *graph.Node) string {
	dir := "forward"
	if n.Loop.Reverse {
		dir = "backward"
	}
	if n.Loop.Kind == graph.Scan {
		return "Through time, " + dir + "."
	}
	return "Layer by layer, " + map[string]string{"forward": "from the first to the last.",
		"backward": "from the last to the first."}[dir]
}

// prologue declares the short names that the statements use.
func (f *function) prologue() []jen.Code {
	r := f.w.receiver
	var names, values []jen.Code
	if f.shared != nil && !f.shared.pass {
		return f.sizes()
	}
	for _, x := range []struct{ name, field string }{{"p", f.w.params}, {"w", "matrices"}, {"g", "gradients"},
		{"a", "acts"}, {"s", "state"}, {"kv", "kv"}} {
		if !f.used[x.name] || x.name == "a" && f.shared != nil {
			continue
		}
		names = append(names, jen.Id(x.name))
		field := x.field
		if x.name == "a" {
			field = f.w.acts
		}
		if r == "d" && x.name == "p" {
			values = append(values, jen.Id(r).Dot("params"))
			continue
		}
		if x.name == "w" {
			values = append(values, jen.Id(r).Dot(field))
			continue
		}
		values = append(values, jen.Op("&").Id(r).Dot(field))
	}
	var out []jen.Code
	if len(names) > 0 {
		out = append(out, jen.List(names...).Op(":=").List(values...))
	}
	if r == "d" {
		out = append(out, f.w.e.decodeSizes(f)...)
	} else {
		out = append(out, f.sizes()...)
	}
	return out
}

// sizes declares the run-time sizes that the statements use.
func (f *function) sizes() []jen.Code {
	var out []jen.Code
	var ns, vs []jen.Code
	for _, s := range []string{"steps", "sourceSteps", "batch"} {
		if f.used[s] {
			ns = append(ns, jen.Id(s))
			vs = append(vs, jen.Id("b").Dot(names.Exported(s)))
		}
	}
	if len(ns) > 0 {
		out = append(out, jen.List(ns...).Op(":=").List(vs...))
	}
	if f.used["rows"] {
		size := func(name string) jen.Code {
			if f.used[name] {
				return jen.Id(name)
			}
			return jen.Id("b").Dot(names.Exported(name))
		}
		out = append(out, jen.Id("rows").Op(":=").Add(size("steps")).Op("*").Add(size("batch")))
	}
	return out
}

// block is the whole body of the function.
func (f *function) block() []jen.Code {
	out := f.prologue()
	if len(out) > 0 {
		out = append(out, jen.Line())
	}
	return append(out, f.body...)
}

// groups splits the nodes of one phase into runs of one layer.
func groups(nodes []*graph.Node, phase graph.Phase) [][]*graph.Node {
	var out [][]*graph.Node
	for _, n := range nodes {
		if n.Phase != phase {
			continue
		}
		if k := len(out) - 1; k >= 0 && out[k][0].Scope == n.Scope {
			out[k] = append(out[k], n)
			continue
		}
		out = append(out, []*graph.Node{n})
	}
	return out
}

// weight counts the calls that nodes come to.
func weight(nodes []*graph.Node) int {
	c := 0
	for _, n := range nodes {
		if n.Loop != nil {
			c += 2 + weight(n.Loop.Body.Nodes)
		} else if !n.Op.Alias {
			c++
		}
	}
	return c
}

// members lists the values with a field that the code refers to, in the order of their definition.
func (w *writer) members() []*graph.Value {
	var vs []*graph.Value
	for _, v := range w.order {
		if w.read[v] {
			vs = append(vs, v)
		}
	}
	return vs
}

// byOffset is members by their place in the arena.
func (w *writer) byOffset() []*graph.Value {
	vs := w.members()
	sort.SliceStable(vs, func(i, j int) bool { return w.plan.Of(vs[i]).Offset < w.plan.Of(vs[j]).Offset })
	return vs
}
