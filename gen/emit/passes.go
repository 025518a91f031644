package emit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/gen/report"
)

// Passes of a step over one network come out as calls of the same functions, as far as the texts are the same: each
// pass has its buffers in a struct of its own, which is an argument beside what else differs, such as what the pass
// reads. Where the first layers differ, as they do for tokens and relaxed ones, the others are still shared.

// short is how many calls a pass may have in the function of its phase, long how many in one of its own before its
// layers have theirs.
const short, long = 3, 19

// chunk is the nodes of a phase that belong to one pass.
type chunk struct {
	pass  string
	nodes []*graph.Node
	from  int // of its groups, those from here on are the shared ones, up to to
	to    int
}

// passes emits a function for a phase of a step in which several networks take part, one after the other or one
// several times: it calls one function a pass.
func (e *emitter) passes(f *jen.File, r *build.Run, ph graph.Phase, name, doc string) {
	w := e.runs[r]
	var all []*chunk
	top, p := w.function(), e.newPhase(w, ph, name)
	zeros := false
	for _, n := range w.g.Nodes {
		if n.Phase != ph {
			continue
		}
		zeros = zeros || n.Attrs.Bool("gradient")
		if top.silent(n) {
			continue
		}
		if k := len(all) - 1; k >= 0 && all[k].pass == n.Pass {
			all[k].nodes = append(all[k].nodes, n)
		} else {
			all = append(all, &chunk{pass: n.Pass, nodes: []*graph.Node{n}})
		}
	}
	if zeros {
		e.clearGradients(top, r)
	}
	shared := e.sharePasses(p, all)
	if shared != nil && ph == graph.Forward {
		e.findAlike(r, shared, all)
	}
	inline := false // the last pass stands in top itself
	for _, c := range all {
		texts := r.Passes[c.pass]
		what := texts[0]
		if ph == graph.Backward {
			what = texts[1]
		}
		if len(top.body) > 0 && (inline || zeros || c.to > 0) {
			top.add(jen.Line())
		}
		zeros = false
		if c.to > 0 {
			all := groups(c.nodes, ph)
			top.comment(names.UpperFirst(what) + ".")
			if c.from > 0 {
				inLayers(top, flat(all[:c.from]))
				top.add(jen.Line())
			}
			top.add(shared.call(top, c.pass))
			top.ready(flat(all[c.from:c.to]))
			if c.to < len(all) {
				top.add(jen.Line())
				inLayers(top, flat(all[c.to:]))
			}
			inline = true
			continue
		}
		if alone := len(all) == 1; weight(c.nodes) <= short || alone {
			if len(top.body) > 0 && !inline {
				top.add(jen.Line())
			}
			inline = true
			if alone && weight(c.nodes) > long {
				p.layers(top, groups(c.nodes, ph))
			} else {
				inLayers(top, c.nodes)
			}
			continue
		}
		id := p.unique(name + names.UpperFirst(cmp.Or(c.pass, "data")))
		fn := w.function()
		p.methods = append(p.methods, method{name: id, doc: id + " " + what + ".", fn: fn})
		if weight(c.nodes) <= long {
			inLayers(fn, c.nodes)
		} else {
			sub := *p
			sub.name = names.UpperFirst(id)
			sub.layers(fn, groups(c.nodes, ph))
			p.methods, p.shares = sub.methods, sub.shares
		}
		inline = false
		top.add(jen.Id(w.receiver).Dot(id).Call(jen.Id("b")))
	}
	p.emit(f, method{name: name, doc: doc, fn: top})
}

// likeness is a run that computes what a pass of another does.
type likeness struct {
	r      *routine
	pass   string
	nodes  []*graph.Node // of the pass
	output *graph.Value
}

// findAlike looks for runs that compute what a pass of r does, all of which stands in a routine.
func (e *emitter) findAlike(r *build.Run, shared *routine, all []*chunk) {
	for _, o := range e.Model.Runs {
		for _, c := range all {
			if c.pass != o.Like || o.Like == "" || c.from > 0 || c.to < len(groups(c.nodes, graph.Forward)) {
				continue
			}
			for _, v := range shared.sites[c.pass].values {
				if v.Def != nil || v.Role != graph.Data {
					return
				}
			}
			if out := sameNodes(o.Graph, c.nodes); out != nil {
				e.alike[o] = &likeness{shared, c.pass, c.nodes, out}
				o.Type = e.homeType(e.runs[r], c.pass, r.Type)
			}
		}
	}
}

// sameNodes is what nodes compute in place of the output of g, which are the same but for dropout, which does nothing
// outside of training; nil where they are not.
func sameNodes(g *graph.Graph, nodes []*graph.Node) *graph.Value {
	is := map[*graph.Value]*graph.Value{} // of nodes, by that of g
	var theirs []*graph.Node
	same := map[*graph.Value]*graph.Value{} // the argument of a dropout, by its result
	for _, n := range nodes {
		if n.Op == op.Dropout {
			same[n.Outs[0]] = n.Args[0]
			continue
		}
		theirs = append(theirs, n)
	}
	through := func(v *graph.Value) *graph.Value {
		for same[unshaped(v)] != nil {
			v = same[unshaped(v)]
		}
		return unshaped(v)
	}
	at := 0
	for _, n := range g.Nodes {
		if n.Op.Alias {
			continue
		}
		if at == len(theirs) || n.Loop != nil || theirs[at].Op != n.Op ||
			theirs[at].Attrs.String() != n.Attrs.String() || len(theirs[at].Args) != len(n.Args) {
			return nil
		}
		t := theirs[at]
		at++
		for i, a := range n.Args {
			a, b := unshaped(a), through(t.Args[i])
			if a.Def == nil && (b.Def != nil || a.ID != b.ID || a.Role != b.Role) || a.Def != nil && is[a] != b {
				return nil
			}
		}
		for i, o := range n.Outs {
			is[o] = t.Outs[i]
		}
	}
	if at < len(theirs) {
		return nil
	}
	return is[unshaped(g.Outputs[0])]
}

// callAlike is the call of what a run computes, with memory of its own.
func (e *emitter) callAlike(run *build.Run, l *likeness) jen.Code {
	args := []jen.Code{jen.Id("b"), jen.Op("&").Id("m").Dot(run.Field)}
	s := l.r.sites[l.pass]
	for k, v := range s.values {
		if s.called(k) != "" {
			args = append(args, jen.Id("b").Dot(names.Exported(v.Name)))
		}
	}
	if l.r.masks {
		args = append(args, jen.Lit(0))
	}
	return jen.Id("m").Dot(l.r.name).Call(args...)
}

// memoryAlike emits what makes the memory of a run that computes what a pass does.
func (e *emitter) memoryAlike(f *jen.File, run *build.Run, l *likeness) {
	w := l.r.w
	offsets, size := w.plan.Alone(l.nodes, l.output)
	name := "new" + names.UpperFirst(run.Field)
	comment(f, "%s makes the memory of a pass that nothing is kept of, %s: %s", name, report.Bytes(4*size), run.What)
	f.Func().Id(name).Params().Id(run.Type).BlockFunc(func(g *jen.Group) {
		g.Id("part").Op(":=").Qual(e.modelPkg(), "Arena").Call(jen.Lit(size), jen.Lit(1))
		g.Return(jen.Id(run.Type).ValuesFunc(func(g *jen.Group) {
			for _, v := range w.members() {
				if offset, ok := offsets[w.plan.Of(v)]; ok && w.home[v] == l.pass {
					g.Line().Id(w.fields[v]).Op(":").Id("part").Call(jen.Lit(offset),
						e.capacity(w.shape(v).Elems(), false, false))
				}
			}
			g.Line()
		}))
	})
	f.Line()
}

func flat(groups [][]*graph.Node) []*graph.Node {
	var all []*graph.Node
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// clearGradients adds the start of gradients that more than one pass adds to.
func (e *emitter) clearGradients(top *function, r *build.Run) {
	for _, s := range e.Model.Steps {
		if s.Run != r {
			continue
		}
		part := s.Moves[0]
		grads := jen.Id("m").Dot("grads")
		if part.From != "" {
			grads = grads.Index(jen.Id(part.From), jen.Id(part.To))
		} else {
			grads = grads.Index(jen.Empty(), jen.Id(part.To))
		}
		top.comment("What the passes add to.")
		top.add(jen.Clear(grads))
		return
	}
}

// routine is a function that all passes call.
type routine struct {
	w     *writer
	name  string
	doc   string
	fn    *function
	sites map[string]*shared // by pass
	masks bool               // whether streams of random numbers differ
}

// sharePasses finds the groups of the passes over one network that come out the same, and makes the routine for them;
// nil where there are none.
func (e *emitter) sharePasses(p *phaseWriter, all []*chunk) *routine {
	var over []*chunk
	for _, c := range all {
		if p.w.passes[c.pass] {
			over = append(over, c)
		}
	}
	seen := map[string]bool{}
	for _, c := range over {
		if seen[c.pass] {
			return nil // in two pieces
		}
		seen[c.pass] = true
	}
	if len(over) < 2 {
		return nil
	}
	parts := make([][][]*graph.Node, len(over))
	least := 0
	for i, c := range over {
		parts[i] = groups(c.nodes, p.ph)
		if n := len(parts[i]); i == 0 || n < least {
			least = n
		}
	}
	// The longest run of groups: the last ones forward, whose first layer may differ, and the first ones backward.
	for n := least; n > 0; n-- {
		run := make([][][]*graph.Node, len(over))
		for i, part := range parts {
			if p.ph == graph.Backward {
				over[i].from, over[i].to = 0, n
			} else {
				over[i].from, over[i].to = len(part)-n, len(part)
			}
			run[i] = part[over[i].from:over[i].to]
		}
		if weight(flat(run[0])) > short {
			if r := e.passRoutine(p, over, run); r != nil {
				return r
			}
		}
	}
	for _, c := range over {
		c.from, c.to = 0, 0
	}
	return nil
}

// passRoutine makes the routine of a run of groups, with one routine each for those that are large; nil where the
// passes do not come out the same.
func (e *emitter) passRoutine(p *phaseWriter, over []*chunk, run [][][]*graph.Node) *routine {
	w := p.w
	verb := map[graph.Phase]string{graph.Forward: "Forward", graph.Backward: "Backward"}[p.ph]
	type piece struct {
		nodes [][]*graph.Node // by pass
		r     *routine        // nil for a few calls
	}
	var pieces []piece
	var made []*routine
	for g := range run[0] {
		var cut [][]*graph.Node // of the first pass
		for _, part := range parted([][]*graph.Node{run[0][g]}, nil) {
			cut = append(cut, part.nodes)
		}
		at := 0
		for _, part := range cut {
			x := piece{}
			for i := range run {
				group := run[i][g]
				if len(group) != len(run[0][g]) {
					return nil
				}
				x.nodes = append(x.nodes, group[at:at+len(part)])
			}
			at += len(part)
			if weight(part) > short && (len(run[0]) > 1 || len(cut) > 1) {
				for _, n := range part {
					if n.Loop != nil && n.Loop.Kind == graph.Repeat && weight(n.Loop.Body.Nodes) > inOne {
						return nil // whose parts have functions of their own
					}
				}
				first := part[0]
				id := names.Lower(first.Scope) + verb
				if len(cut) > 1 {
					id = names.Lower(first.Scope) + names.UpperFirst(first.Part) + verb
				}
				doc := "runs " + e.scopeText(first.Scope)
				if p.ph == graph.Backward {
					doc = "computes the gradients of " + e.scopeText(first.Scope) + " and of what it reads"
				}
				if len(cut) > 1 {
					doc = fmt.Sprintf("%s the %s of %s",
						map[bool]string{true: "computes the gradients of", false: "runs"}[p.ph == graph.Backward],
						partName(first.Part), e.scopeText(first.Scope))
				}
				if x.r = w.routine(id, doc+", in one pass", over,
					func(fn *function, i int) { fn.nodes(x.nodes[i]) }); x.r == nil {
					return nil
				}
				made = append(made, x.r)
			}
			pieces = append(pieces, x)
		}
	}
	whole := w.routine(p.name+"Pass",
		map[graph.Phase]string{graph.Forward: "runs the network",
			graph.Backward: "goes back through the network"}[p.ph]+", in one pass", over, func(fn *function, i int) {
			origin := ""
			for _, x := range pieces {
				if o := x.nodes[i][0].Origin; o != origin || o == "" {
					if len(fn.body) > 0 {
						fn.add(jen.Line())
					}
					if o != "" {
						fn.comment(o)
					}
					origin = o
				}
				if x.r != nil {
					fn.add(x.r.call(fn, over[i].pass))
				} else {
					fn.nodes(x.nodes[i])
				}
			}
		})
	if whole == nil {
		return nil
	}
	for _, r := range append([]*routine{whole}, made...) {
		r.name = p.unique(r.name)
	}
	// Calls were written with the names that were asked for: once more, with those that there are.
	again := w.routine(whole.name, whole.doc, over, whole.fn.again)
	if again == nil {
		return nil
	}
	p.routines = append(p.routines, again)
	p.routines = append(p.routines, made...)
	return again
}

// routine writes a function for each pass, and makes one of them where they come out the same; nil otherwise.
func (w *writer) routine(name, doc string, over []*chunk, body func(fn *function, i int)) *routine {
	write := func(i int, s *shared) *function {
		fn := w.function()
		fn.shared = s
		fn.scope.Reserve(s.names...)
		fn.again = body
		body(fn, i)
		return fn
	}
	var first []*shared
	for i, c := range over {
		s := &shared{layer: c.pass, pass: true}
		write(i, s)
		if s.reason != "" {
			return nil
		}
		first = append(first, s)
	}
	a := first[0]
	offsets := make([]int, len(over))
	for i, s := range first {
		if len(s.values) != len(a.values) || len(s.streams) != len(a.streams) {
			return nil
		}
		for k, stream := range s.streams {
			if d := stream - a.streams[k]; k == 0 {
				offsets[i] = d
			} else if d != offsets[i] {
				return nil
			}
		}
	}
	r := &routine{w: w, name: name, doc: doc, sites: map[string]*shared{}}
	least := slices.Min(offsets)
	for i := range offsets {
		offsets[i] -= least
		r.masks = r.masks || offsets[i] != 0
	}
	scope := w.e.ids.functions.Inner()
	scope.Reserve("masks")
	var called []string
	direct := map[*graph.Value]bool{}
	for k, v := range a.values {
		same := v.Def == nil && v.Role == graph.Data
		for _, s := range first {
			same = same && s.values[k] == v
		}
		if same {
			direct[v] = true
			called = append(called, "")
			continue
		}
		want := local(v.Base)
		if v.Def == nil && v.Role == graph.Data {
			want = map[bool]string{true: "ids", false: "x"}[v.Type == graph.I32]
		}
		called = append(called, scope.Fresh(want))
	}
	text := ""
	for i, c := range over {
		s := &shared{layer: c.pass, pass: true, names: called, direct: direct, masks: r.masks, offset: offsets[i]}
		fn := write(i, s)
		r.sites[c.pass] = s
		t := fmt.Sprintf("%#v", jen.Func().Id("f").Params().Block(fn.body...))
		if text == "" {
			text, r.fn = t, fn
		} else if t != text {
			return nil
		}
	}
	return r
}

// call is the call of a routine for a pass, from a function of the whole graph or from another routine.
func (r *routine) call(f *function, pass string) jen.Code {
	s := r.sites[pass]
	args := []jen.Code{jen.Id("b")}
	f.used["a"] = true
	if f.shared != nil {
		args = append(args, jen.Id("a"))
	} else {
		args = append(args, jen.Op("&").Id("a").Dot(r.w.homeField(pass)))
	}
	for k, v := range s.values {
		if s.called(k) != "" {
			args = append(args, f.mem(v))
		}
	}
	if r.masks {
		if f.shared != nil {
			f.shared.stream(s.streams[0])
			args = append(args, jen.Id("masks"))
		} else {
			args = append(args, jen.Lit(s.offset))
		}
	}
	return jen.Id(r.w.receiver).Dot(r.name).Call(args...)
}

// emit writes the function.
func (r *routine) emit(f *jen.File) {
	e := r.w.e
	params := []jen.Code{e.batch(), jen.Id("a").Op("*").Id(e.homeType(r.w, r.fn.shared.layer, r.w.typ))}
	doc := r.doc
	notes := ""
	s := r.fn.shared
	for k, v := range s.values {
		if s.called(k) == "" {
			continue
		}
		typ := jen.Index().Float32()
		if v.Type == graph.I32 {
			typ = jen.Index().Int32()
		}
		params = append(params, jen.Id(s.called(k)).Add(typ))
		notes += fmt.Sprintf(", %s is %s", s.called(k), shapeText(v.Shape))
	}
	if notes != "" {
		doc += ";" + notes[1:]
	}
	if r.masks {
		params = append(params, jen.Id("masks").Int())
		doc += "; masks keeps its dropout masks apart from those of other passes"
	}
	comment(f, "%s %s.", r.name, doc)
	f.Add(e.self()).Id(r.name).Params(params...).Block(r.fn.block()...)
	f.Line()
}

// inLayers adds nodes to fn, with the place in the spec above those of each layer.
func inLayers(fn *function, nodes []*graph.Node) {
	for i, group := range groups(nodes, nodes[0].Phase) {
		if i > 0 {
			fn.add(jen.Line())
		}
		if o := group[0].Origin; o != "" {
			fn.comment(o)
		}
		fn.nodes(group)
		fn.ready(group)
	}
}
