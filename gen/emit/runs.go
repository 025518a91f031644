package emit

import (
	"slices"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/gen/plan"
)

// runFiles are the files with the functions of a run: that of a step on its own is split by its direction, others have
// one each, and those that no training makes stand where they are used.
func (e *emitter) runFiles(r *build.Run) []part {
	trained := slices.ContainsFunc(e.Model.Steps, func(s *build.Step) bool { return s.Run == r })
	switch {
	case !trained:
		return nil
	case r.Name == "":
		return []part{
			{"forward.go", func(f *jen.File) {
				e.phaseOf(f, r, graph.Forward)
				e.lossOf(f, r)
			}},
			{"backward.go", func(f *jen.File) { e.phaseOf(f, r, graph.Backward) }},
		}
	}
	return []part{{r.Name + ".go", func(f *jen.File) { e.phases(f, r) }}}
}

// runOf is the run of that name.
func (e *emitter) runOf(name string) *build.Run {
	for _, r := range e.Model.Runs {
		if r.Name == name {
			return r
		}
	}
	panic("emit: no run " + name)
}

// phases emits all that a run has.
func (e *emitter) phases(f *jen.File, r *build.Run) {
	e.phaseOf(f, r, graph.Forward)
	if r.Loss != "" {
		e.lossOf(f, r)
	}
	if r.Backward != "" {
		e.phaseOf(f, r, graph.Backward)
	}
}

// phaseName is the function of a phase: "forward", "discriminatorForward", or "judge" where there is no other.
func phaseName(r *build.Run, phase string) string {
	switch {
	case r.Loss == "" && r.Backward == "":
		return r.Name
	case r.Name == "":
		return phase
	}
	return r.Name + names.UpperFirst(phase)
}

// phaseOf emits the forward or the backward pass of a run.
func (e *emitter) phaseOf(f *jen.File, r *build.Run, ph graph.Phase) {
	w := e.runs[r]
	name, doc := phaseName(r, "forward"), r.Forward
	if ph == graph.Backward {
		name, doc = phaseName(r, "backward"), r.Backward
	}
	switch {
	case r.Passes != nil:
		e.passes(f, r, ph, name, doc)
	case ph == graph.Forward && slices.ContainsFunc(w.g.Nodes, func(n *graph.Node) bool { return n.Stage != "" }):
		e.stages(f, w, doc)
	default:
		e.phase(f, w, w.g.Nodes, ph, name, doc)
	}
}

// lossOf emits the loss of a run.
func (e *emitter) lossOf(f *jen.File, r *build.Run) {
	e.loss(f, e.runs[r], phaseName(r, "loss"), r.Loss)
}

// withGradient are the values that the loss of a graph computes beside it where there is a backward pass to read them:
// the gradient of the logits.
func withGradient(g *graph.Graph) []*graph.Value {
	var grads []*graph.Value
	for _, n := range g.Nodes {
		if n.Phase != graph.Loss || n.Op.Emit == nil {
			continue
		}
		for _, c := range n.Op.Emit(n) {
			for _, a := range c.Args {
				if x, ok := a.(graph.IfTraining); ok {
					grads = append(grads, x.V)
				}
			}
		}
	}
	return grads
}

// lossCall is the call of the loss of a run, after its forward pass.
func (e *emitter) lossCall(r *build.Run, train bool, b jen.Code) *jen.Statement {
	args := []jen.Code{b}
	if len(withGradient(r.Graph)) > 0 {
		args = append(args, jen.Lit(train))
	}
	return jen.Id("m").Dot(phaseName(r, "loss")).Call(args...)
}

// kept lists what is left of the outputs of layers when the loss is known: for each layer, in each pass, the last
// value that other layers read, or else any. A value is left where nothing that is computed up to then is written over
// it.
func (w *writer) kept() []*graph.Value {
	read := map[*graph.Value]bool{} // by another layer
	for _, n := range w.g.Nodes {
		for _, a := range n.Args {
			if a = unshaped(a); a.Def != nil && a.Def.Scope != n.Scope && n.Phase <= graph.Loss {
				read[a] = true
			}
		}
	}
	var out []*graph.Value
	for _, n := range w.g.Nodes {
		if n.Phase != graph.Forward || n.Scope == "" || n.Op.Alias {
			continue
		}
		for _, o := range n.Outs {
			if at := w.plan.Of(o).At; o.Type != graph.F32 || len(o.Shape) == 0 ||
				w.fields[o] == "" && at != plan.First && at != plan.Last || !w.plan.Survives(o, graph.Loss) {
				continue
			}
			before := slices.IndexFunc(out,
				func(v *graph.Value) bool { return v.Def.Scope == n.Scope && v.Def.Pass == n.Pass })
			switch {
			case before < 0:
				out = append(out, o)
			case read[o] || !read[out[before]]:
				out[before] = o
			}
		}
	}
	return out
}

// outputs emits the method that lists them.
func (e *emitter) outputs(f *jen.File, r *build.Run) {
	w := e.runs[r]
	fn := w.function()
	var list []jen.Code
	for _, v := range w.kept() {
		what := e.scopeText(v.Def.Scope)
		if v.Def.Pass != "" {
			what += " in the pass " + v.Def.Pass
		}
		each := v.Shape
		if l := v.Def.Loop; l != nil && l.Kind == graph.Repeat && v.Out >= l.Carries {
			each = v.Shape[1:]
		}
		values := []jen.Code{jen.Id("Layer").Op(":").Lit(what), jen.Id("Values").Op(":").Add(fn.whole(v))}
		if len(each) < len(v.Shape) || w.plan.Of(v).At == plan.Last {
			values[0] = jen.Id("Layer").Op(":").Lit(e.stackText(v.Def.Scope))
			values = append(values, jen.Id("Each").Op(":").Add(fn.dim(each.Elems())))
		}
		list = append(list, jen.Line().Values(values...))
	}
	name := outputsName(r)
	comment(f, "%s are what %s has left of the outputs of layers, from the first to the last, for the error of a "+
		"loss that is not finite.", name, phaseName(r, "forward"))
	f.Add(e.self()).Id(name).Params(jen.Id("b").Op("*").Qual(e.modelPkg(), "Batch")).Index().Qual(e.modelPkg(),
		"Output").BlockFunc(func(g *jen.Group) {
		add(g, fn.prologue())
		g.Return(jen.Index().Qual(e.modelPkg(), "Output").Values(append(list, jen.Line())...))
	})
	f.Line()
}

// stackText is the name of the layers of a stack, of which each has a number.
func (e *emitter) stackText(scope string) string {
	for _, s := range e.scopes() {
		if s.name == scope {
			return s.params[0].Layer
		}
	}
	return scope
}

// whole is the expression for all elements of v, outside of any loop.
func (f *function) whole(v *graph.Value) *jen.Statement {
	n := func() jen.Code { return f.dim(v.Shape.Elems()) }
	switch pl := f.w.plan.Of(v); pl.At {
	case plan.First:
		return f.mem(pl.Stack).Index(jen.Empty(), n())
	case plan.Last: // behind what the layers before it gave
		return f.mem(pl.Stack).Index(n(), f.dim(pl.Of.Find().Shape.Elems()))
	}
	return f.mem(v).Index(jen.Empty(), n())
}

func outputsName(r *build.Run) string {
	if r.Name == "" {
		return "outputs"
	}
	return r.Name + "Outputs"
}
