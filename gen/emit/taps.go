package emit

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/gen/report"
)

// tappedOf is what the graph is, where it has taps; nil elsewhere.
func (e *emitter) tappedOf(g *graph.Graph) *build.Tapped {
	for _, t := range e.Model.Tapped {
		if t.Graph == g {
			return t
		}
	}
	return nil
}

// tapInputs is the field of the model with what is added to the values of a graph with taps.
func (w *writer) tapInputs() string { return w.tapped.Name + "Inputs" }

func tapInputsType(t *build.Tapped) string { return t.Name + "Added" }

// nameAdded names the fields of what is added to values, and of the seed.
func (w *writer) nameAdded() {
	w.added = map[*graph.Value]string{}
	scope := names.Members()
	w.added[w.tapped.Seed] = scope.Fresh("seed")
	scope.Fresh("blind") // a field beside them
	for _, t := range w.tapped.Taps {
		if t.Add != nil {
			w.added[t.Add] = scope.Fresh(names.Lower(t.Name))
		}
	}
}

// taps emits the pass with taps: its two directions, what is added to its values, and the list of these.
func (e *emitter) taps(f *jen.File, t *build.Tapped) {
	w := e.runs[t.Run]
	of := "the network"
	if t.Part != "" {
		of = "the " + t.Part
	}
	forward, backward := t.Name+"Forward", t.Name+"Backward"
	e.phase(f, w, t.Graph.Nodes, graph.Forward, forward, forward+" runs "+of+" over one sequence, as it is after "+
		"training: no dropout, and states that begin with zeros. To values it adds what m."+w.tapInputs()+" holds, "+
		"zeros unless a caller has set it.")
	e.phase(f, w, t.Graph.Nodes, graph.Backward, backward, backward+" computes the gradient of Σ seed∘y, y being "+
		"what "+forward+" gave, with respect to what was added to values. No parameter has one.")
	e.tapList(f, t)
	e.tapAdded(f, t)
	if t == e.Model.Tapped[len(e.Model.Tapped)-1] {
		e.tapMethod(f)
	}
}

// tapMethod emits the method by which the runtime reaches the passes.
func (e *emitter) tapMethod(f *jen.File) {
	mp := e.modelPkg()
	m := func() *jen.Statement { return jen.Id("m") }
	comment(f, "Taps gives the passes whose values on the way can be read and moved, for package explain. The first "+
		"call makes their memory.")
	f.Add(e.self()).Id("Taps").Params().Index().Op("*").Qual(mp, "Taps").BlockFunc(func(g *jen.Group) {
		first := e.Model.Tapped[0]
		g.If(m().Dot(e.runs[first.Run].tapInputs()).Dot("seed").Op("==").Nil()).BlockFunc(func(g *jen.Group) {
			for _, t := range e.Model.Tapped {
				w := e.runs[t.Run]
				g.List(m().Dot(t.Field), m().Dot(w.tapInputs())).Op("=").List(
					jen.Id("new"+names.UpperFirst(t.Type)).Call(),
					jen.Id("new"+names.UpperFirst(tapInputsType(t))).Call())
			}
		})
		var all []jen.Code
		for _, t := range e.Model.Tapped {
			w := e.runs[t.Run]
			all = append(all, jen.Line().ValuesFunc(func(g *jen.Group) {
				set := func(name string, v jen.Code) { g.Line().Id(name).Op(":").Add(v) }
				if t.Part != "" {
					set("Part", jen.Lit(t.Part))
				}
				set("Begin", jen.Func().Params(e.batch()).Error().Block(jen.Return(m().Dot("guard").Dot("Enter").Call(
					jen.Id("info").Dot("Name"), jen.Lit("Taps"), e.tapFault(t)))))
				set("End", m().Dot("guard").Dot("Leave"))
				set("Forward", m().Dot(t.Name+"Forward"))
				set("Backward", m().Dot(t.Name+"Backward"))
				set("List", m().Dot(t.Name+"Taps"))
				set("Seed", m().Dot(w.tapInputs()).Dot("seed"))
				if looks(t) {
					set("Blind", jen.Op("&").Add(m()).Dot(w.tapInputs()).Dot("blind"))
				}
				g.Line()
			}))
		}
		g.Return(jen.Index().Op("*").Qual(mp, "Taps").Values(append(all, jen.Line())...))
	})
	f.Line()
}

// tapFault is what is wrong with the batch of a pass.
func (e *emitter) tapFault(t *build.Tapped) jen.Code {
	b, mp := jen.Id("b"), e.modelPkg()
	switch {
	case t.Part == "generator" && e.adversarial():
		faults := []jen.Code{b.Clone().Dot("CheckVectors").Call(jen.Lit(1), jen.Lit(0)),
			jen.Qual(mp, "CheckRows").Call(jen.Lit("row of noise"), b.Clone().Dot("Noise"), b.Clone().Dot("Batch"),
				jen.Id("noiseSize"))}
		if e.conditional() {
			faults = append(faults, e.checkLabels(b.Clone().Dot("Labels"), b.Clone().Dot("Batch")))
		}
		return e.first(faults[0], faults[1:]...)
	case t.Part == "discriminator" && e.ofText():
		return b.Clone().Dot("CheckLines").Call(jen.Id("maxSteps"), jen.Lit(1), jen.Id("vocab"))
	}
	return jen.Id("check").Call(b, jen.Lit(1))
}

// inList is how many values a function lists at the most.
const inList = 12

// tapList emits the method that lists the values of a pass, and those that it calls where they are many.
func (e *emitter) tapList(f *jen.File, t *build.Tapped) {
	name := t.Name + "Taps"
	doc := name + " lists the values of the last pass over b, in the order of their computation; the last is what the " +
		"model gives."
	if len(t.Taps) <= inList {
		e.tapsOf(f, t, name, doc, t.Taps)
		return
	}
	var parts []string
	var calls []jen.Code
	for range (len(t.Taps) + inList - 1) / inList {
		part := e.ids.model.Fresh(fmt.Sprintf("%s%d", name, len(parts)+1))
		parts = append(parts, part)
		calls = append(calls, jen.Id("m").Dot(part).Call(jen.Id("b")))
	}
	comment(f, "%s", doc)
	f.Add(e.self()).Id(name).Params(e.batch()).Index().Qual(e.modelPkg(), "Tap").Block(
		jen.Return(jen.Qual("slices", "Concat").Call(calls...)))
	f.Line()
	for i, part := range parts {
		at := len(t.Taps) * i / len(parts)
		e.tapsOf(f, t, part, fmt.Sprintf("%s is part %d of the list.", part, i+1),
			t.Taps[at:len(t.Taps)*(i+1)/len(parts)])
	}
}

// tapsOf emits a method that lists some values.
func (e *emitter) tapsOf(f *jen.File, t *build.Tapped, name, doc string, taps []*build.Tap) {
	w := e.runs[t.Run]
	fn := w.function()
	var list []jen.Code
	for _, tap := range taps {
		value, gradient := tap.Results(t.Graph)
		var axes, sizes []jen.Code
		for i, d := range value.Shape {
			if tap.Axes[i] != "sequence" && tap.Axes[i] != "one" {
				axes = append(axes, jen.Lit(tap.Axes[i]))
				sizes = append(sizes, jen.Add(fn.dim(d)))
			}
		}
		list = append(list, jen.Line().ValuesFunc(func(g *jen.Group) {
			set := func(name string, v jen.Code) { g.Id(name).Op(":").Add(v) }
			text := func(name, s string) {
				if s != "" {
					set(name, jen.Lit(s))
				}
			}
			text("Name", tap.Name)
			text("Kind", tap.Kind)
			text("Layer", tap.Layer)
			text("Word", tap.Word)
			text("Place", tap.Place)
			set("Axes", jen.Index().String().Values(axes...))
			set("Shape", jen.Index().Int().Values(sizes...))
			set("Value", fn.whole(value))
			if tap.Add != nil {
				set("Add", fn.whole(tap.Add))
			}
			if gradient != nil {
				set("Gradient", fn.whole(gradient))
			}
			if len(tap.Gates) > 0 {
				var gates []jen.Code
				for _, s := range tap.Gates {
					gates = append(gates, jen.Lit(s))
				}
				set("Gates", jen.Index().String().Values(gates...))
			}
			if tap.Heads > 0 {
				set("Heads", jen.Lit(tap.Heads))
			}
			if tap.Weight != nil {
				var tensors []jen.Code
				for _, s := range tap.Weight.Tensors() {
					tensors = append(tensors, jen.Lit(s))
				}
				set("Weights", jen.Index().String().Values(tensors...))
			}
		}))
	}
	comment(f, "%s", doc)
	f.Add(e.self()).Id(name).Params(e.batch()).Index().Qual(e.modelPkg(), "Tap").BlockFunc(func(g *jen.Group) {
		add(g, fn.prologue())
		g.Return(jen.Index().Qual(e.modelPkg(), "Tap").Values(append(list, jen.Line())...))
	})
	f.Line()
}

// looks reports whether a pass computes probabilities of attention for those who look at it alone.
func looks(t *build.Tapped) bool {
	found := false
	t.Graph.Walk(func(g *graph.Graph) {
		for _, n := range g.Nodes {
			found = found || n.Op == op.AttentionWeights
		}
	})
	return found
}

// tapAdded emits the struct of what is added to values, and what makes it.
func (e *emitter) tapAdded(f *jen.File, t *build.Tapped) {
	w := e.runs[t.Run]
	typ := tapInputsType(t)
	inputs := []*graph.Value{t.Seed}
	for _, tap := range t.Taps {
		if tap.Add != nil {
			inputs = append(inputs, tap.Add)
		}
	}
	comment(f, "%s is what is added to the values of a pass with taps, and the seed of its gradient.", typ)
	f.Type().Id(typ).StructFunc(func(g *jen.Group) {
		for _, v := range inputs {
			g.Id(w.added[v]).Index().Float32().Comment(shapeText(v.Shape))
		}
		if looks(t) {
			g.Id("blind").Bool().Comment("leaves out probabilities of attention, which nothing else of the pass reads")
		}
	})
	f.Line()
	size := 0
	for _, v := range inputs {
		size += v.Shape.Elems().At(e.Model.Capacity(t.Graph))
	}
	name := "new" + names.UpperFirst(typ)
	comment(f, "%s makes it, of zeros: %s.", name, report.Bytes(4*size))
	f.Func().Id(name).Params().Id(typ).Block(jen.Return(jen.Id(typ).ValuesFunc(func(g *jen.Group) {
		for _, v := range inputs {
			g.Line().Id(w.added[v]).Op(":").Qual(e.modelPkg(), "Floats").Call(e.capacity(v.Shape.Elems(), false, true))
		}
		g.Line()
	})))
	f.Line()
}

// tapNames are the names that passes with taps declare, by where they are declared.
func (e *emitter) tapNames() (pkg, model []string) {
	for _, t := range e.Model.Tapped {
		pkg = append(pkg, t.Type, "new"+names.UpperFirst(t.Type), tapInputsType(t),
			"new"+names.UpperFirst(tapInputsType(t)))
		model = append(model, t.Field, strings.TrimSuffix(tapInputsType(t), "Added")+"Inputs", t.Name+"Forward",
			t.Name+"Backward", t.Name+"Taps")
	}
	return pkg, model
}
