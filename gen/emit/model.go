package emit

import (
	"math"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
)

func (e *emitter) model(f *jen.File) {
	e.constants(f)
	e.params(f)
	e.modelType(f)
	for _, r := range e.Model.Runs {
		if l := e.alike[r]; l != nil {
			e.memoryAlike(f, r, l)
			continue
		}
		e.memory(f, r.Type, r.What, e.runs[r], false)
	}
	for _, t := range e.Model.Tapped {
		e.memory(f, t.Type, t.What, e.runs[t.Run], false)
	}
	if e.hasState() {
		e.stateType(f)
	}
	e.heads(f)
	e.tables(f)
	if e.spec.Vectors == nil || e.stacked {
		e.at(f)
	}
}

// tensors emits the list of all parameters.
func (e *emitter) tensors(f *jen.File) {
	comment(f, "tensors lists the parameters in the order of the flat arrays: what they are called in checkpoints, "+
		"where their values go, what they start from, and their shapes.")
	f.Func().Params(jen.Id("p").Op("*").Id("Params")).Id("tensors").Params().Qual(e.path("param"),
		"List").BlockFunc(func(g *jen.Group) {
		g.Var().Id("ts").Qual(e.path("param"), "List")
		for _, s := range e.scopes() {
			one := func(g *jen.Group, layer *jen.Statement) {
				for _, p := range s.params {
					name := jen.Code(jen.Lit(p.Tensors()[0]))
					if s.stack() > 0 {
						name = jen.Qual("fmt", "Sprintf").Call(jen.Lit(p.Layer+".%d."+p.Field),
							jen.Id("l").Op("+").Lit(p.First))
					}
					args := []jen.Code{name, jen.Op("&").Add(layer.Clone()).Dot(e.paramField(p.ID())), e.start(p)}
					for _, d := range shape(p) {
						args = append(args, e.product(d))
					}
					g.Id("ts").Dot("Add").Call(args...)
				}
			}
			layer := jen.Id("p").Dot(e.layerField(s.name))
			if s.stack() == 0 {
				one(g, layer)
			} else {
				g.For(jen.Id("l").Op(":=").Range().Add(layer)).BlockFunc(func(g *jen.Group) {
					one(g,
						layer.Clone().Index(jen.Id("l")))
				})
			}
		}
		g.Return(jen.Id("ts"))
	})
	f.Line()
	average := e.averaged()
	comment(f, "Tensors lists the parameters with the names that they have in checkpoints, in the order of their "+
		"definition. Gradients are nil before the first training step.")
	f.Add(e.self()).Id("Tensors").Params().Index().Qual(e.modelPkg(), "Tensor").BlockFunc(func(g *jen.Group) {
		all := jen.Id("m").Dot("weights").Dot("tensors").Call().Dot("Tensors").Call(jen.Lit(""),
			jen.Id("m").Dot("gradients").Dot("tensors").Call())
		if average == nil {
			g.Return(all)
			return
		}
		g.Id("average").Op(":=").Id("m").Dot("averaged").Dot("tensors").Call().Dot("First").Call(jen.Id(average.To)).
			Comment("which no gradient changes")
		g.Return(jen.Append(all, jen.Id("average").Dot("Tensors").Call(jen.Lit("average."), jen.Nil()).Op("...")))
	})
	f.Line()
}

// averaged is the part with an average of its parameters, which is the first one; nil for none.
func (e *emitter) averaged() *build.Part {
	for _, p := range e.Model.Parts {
		if p.Decay > 0 {
			return p
		}
	}
	return nil
}

// start is what a parameter starts from.
func (e *emitter) start(p *build.Param) jen.Code {
	i := p.Init
	in, out := float64(max(i.In, 1)), float64(max(i.Out, 1))
	call := func(name string, args ...jen.Code) *jen.Statement {
		return jen.Qual(e.path("param"), name).Call(args...)
	}
	drawn := func(name string, x float64) *jen.Statement { return call(name, jen.Lit(x)) }
	var s *jen.Statement
	switch i.Scheme {
	case "uniform":
		s = drawn("Uniform", i.Scale)
	case "normal":
		s = drawn("Normal", i.Scale)
	case "xavier_uniform":
		s = drawn("Uniform", i.Scale*math.Sqrt(6/(in+out)))
	case "xavier_normal":
		s = drawn("Normal", i.Scale*math.Sqrt(2/(in+out)))
	case "he_uniform":
		s = drawn("Uniform", i.Scale*math.Sqrt(6/in))
	case "he_normal":
		s = drawn("Normal", i.Scale*math.Sqrt(2/in))
	case "orthogonal":
		s = call("Orthogonal", jen.Lit(max(i.Blocks, 1)), jen.Lit(i.Scale))
	case "ones":
		s = call("Constant", jen.Lit(1))
	case "zeros", "":
		s = call("Constant", jen.Lit(0))
	default:
		panic("emit: no initialisation " + i.Scheme)
	}
	if i.Add != 0 {
		s = s.Dot("Plus").Call(jen.Lit(i.Add), jen.Lit(i.AddAt[0]), jen.Lit(i.AddAt[1]))
	}
	return s
}

// sources reports whether a step of the model reads what comes from s.
func (e *emitter) sources(s build.Source) bool {
	for _, x := range e.Model.Steps {
		if x.Source == s {
			return true
		}
	}
	return false
}

// scalars are the numbers that are another one in each step, with what they are.
func (e *emitter) scalars() []string {
	var all []string
	seen := map[string]bool{}
	for _, g := range e.Model.Graphs() {
		for _, in := range g.Inputs {
			if in.Role == graph.Scalar && !seen[in.Name] {
				seen[in.Name] = true
				all = append(all, in.Name)
			}
		}
	}
	return all
}

var scalarTexts = map[string]string{"klWeight": "weight of the divergence in the loss",
	"inverseTemperature": "of the relaxation"}

// modelType emits the type of the model and what makes one.
func (e *emitter) modelType(f *jen.File) {
	mp := e.modelPkg()
	beside := ""
	if e.decoding != nil {
		beside = " " + decodersBeside
	}
	average := e.averaged()
	m := func() *jen.Statement { return jen.Id("m") }
	comment(f, "Model is the parameters and, once it has been trained or used, all memory that this takes. %s%s",
		oneGoroutine, beside)
	f.Type().Id("Model").StructFunc(func(g *jen.Group) {
		of := "of the last training step"
		if len(e.Model.Runs) > 1 {
			of = "of the last step of each network"
		}
		e.flats(g, of)
		for _, r := range e.Model.Runs {
			g.Id(r.Field).Id(r.Type)
		}
		for _, t := range e.Model.Tapped {
			g.Id(t.Field).Id(t.Type)
			g.Id(e.runs[t.Run].tapInputs()).Id(tapInputsType(t))
		}
		if e.carries() {
			g.Id("state").Id("state")
		}
		if e.sources(build.Noise) {
			g.Id("drawn").Qual(mp, "Batch").Comment("what a step reads")
		}
		if e.sources(build.Lines) {
			g.Id("judged").Qual(mp, "Batch").Comment("lines that the discriminator reads")
		}
		if e.sources(build.Rewards) {
			g.Id("lines").Op("*").Qual(e.path("policy"), "Lines").Comment("what draws lines")
			if e.spec.GAN.Text.Rewards == "tokens" {
				g.Id("said").Index().Float32().Comment("of them, the verdicts")
			}
		}
		g.Id("train").Qual(e.path("schedule"), "Training").Comment("which steps there are, and how many have been made")
		if e.duels() {
			g.Id("duel").Qual(mp, "Duel").Comment("how the last step of each network went")
		}
		g.Id("guard").Qual(mp, "Guard")
		g.Id("seed").Uint64()
		on := "whether dropout is on"
		if e.spec.Latent != nil {
			on = "whether dropout and free bits are on"
		}
		g.Id("training").Bool().Comment(on)
		for _, s := range e.scalars() {
			g.Id(s).Float64().Comment(scalarTexts[s])
		}
		if e.spec.Latent != nil {
			g.List(jen.Id("reconstruction"),
				jen.Id("divergence")).Float64().Comment("the parts of the last loss, which Bound gives")
		}
	})
	f.Line()
	e.views(f)
	comment(f, "New makes a model with the initial parameters of %s.", e.spec.File)
	f.Func().Id("New").Params().Op("*").Id("Model").Block(jen.Return(jen.Id("NewSeeded").Call(jen.Id("defaultSeed"))))
	f.Line()
	comment(f, "NewSeeded makes a model whose initial parameters, and all that training draws, come from another seed.")
	f.Func().Id("NewSeeded").Params(jen.Id("seed").Uint64()).Op("*").Id("Model").BlockFunc(func(g *jen.Group) {
		g.Id("m").Op(":=").Id("empty").Call(jen.Id("seed"))
		g.Add(m()).Dot("weights").Dot("tensors").Call().Dot("Initialize").Call(jen.Id("seed"))
		if average != nil {
			g.Copy(m().Dot("average"), m().Dot("params"))
		}
		g.Return(m())
	})
	f.Line()
	comment(f, "empty makes a model whose parameters are zero.")
	f.Func().Id("empty").Params(jen.Id("seed").Uint64()).Op("*").Id("Model").BlockFunc(func(g *jen.Group) {
		g.Id("m").Op(":=").Op("&").Id("Model").Values(jen.Id("seed").Op(":").Id("seed"),
			jen.Id("params").Op(":").Qual(mp, "Floats").Call(jen.Id("flatParams")))
		g.Add(m()).Dot("weights").Dot("tensors").Call().Dot("Bind").Call(m().Dot("params"))
		if average != nil {
			g.Add(m()).Dot("average").Op("=").Qual(mp, "Floats").Call(jen.Id(average.To))
			g.Add(m()).Dot("averaged").Op("=").Add(m()).Dot("weights")
			g.Add(m()).Dot("averaged").Dot("tensors").Call().Dot("First").Call(jen.Id(average.To)).Dot("Bind").Call(
				m().Dot("average"))
		}
		g.Return(m())
	})
	f.Line()
	e.allocate(f)
}

// duels reports whether two networks stand against each other.
func (e *emitter) duels() bool {
	for _, s := range e.Model.Steps {
		if s.Judges {
			return true
		}
	}
	return false
}

// allocate emits the method that makes the memory of training, and says what its steps are.
func (e *emitter) allocate(f *jen.File) {
	mp, sp := e.modelPkg(), e.path("schedule")
	m := func() *jen.Statement { return jen.Id("m") }
	comment(f, "allocate makes the memory of training and evaluation, the first time that it is asked for, and says "+
		"what the steps of a training are.")
	f.Add(e.self()).Id("allocate").Params().BlockFunc(func(g *jen.Group) {
		g.If(m().Dot("grads").Op("!=").Nil()).Block(jen.Return())
		learnt, tensors := "flatParams", m().Dot("gradients").Dot("tensors").Call()
		if e.spec.Adapter != nil { // the others have no gradients
			learnt = "adapterParams"
			tensors = tensors.Dot("First").Call(jen.Id(learnt))
		}
		g.Add(m()).Dot("grads").Op("=").Qual(mp, "Floats").Call(jen.Id(learnt))
		g.Add(tensors).Dot("Bind").Call(m().Dot("grads"))
		for _, r := range e.Model.Runs {
			if r.Loss != "" {
				g.Add(m()).Dot(r.Field).Op("=").Id("new" + names.UpperFirst(r.Type)).Call()
			}
		}
		if e.carries() {
			g.Add(m()).Dot("state").Op("=").Id("newState").Call(jen.Id("maxBatch"))
		}
		if e.sources(build.Noise) {
			g.Add(m()).Dot("drawn").Dot("Noise").Op("=").Qual(mp,
				"Floats").Call(jen.Id("maxBatch").Op("*").Id("noiseSize"))
			if e.mixes() {
				g.Add(m()).Dot("drawn").Dot("Mix").Op("=").Qual(mp, "Floats").Call(jen.Id("maxBatch"))
			}
		}
		for _, s := range e.scalars() {
			g.Add(m()).Dot(s).Op("=").Lit(1)
		}
		for _, p := range e.Model.Parts {
			var values []jen.Code
			set := func(name string, v jen.Code) { values = append(values, jen.Id(name).Op(":").Add(v)) }
			if p.Name != "" {
				set("Name", jen.Lit(p.Name))
			}
			if p.From != "" {
				set("From", jen.Id(p.From))
			}
			set("To", jen.Id(p.To))
			arguments := []jen.Code{jen.Id("to").Op("-").Id("from")}
			if p.Optimizer.Shapes {
				arguments = append(arguments, e.extents(p))
			}
			for _, a := range p.Optimizer.Arguments {
				arguments = append(arguments, jen.Lit(a))
			}
			set("NewRule", jen.Func().Params(jen.List(jen.Id("from"), jen.Id("to")).Int()).Qual(sp, "Rule").Block(
				jen.Return(jen.Qual(e.path("optim"), "New"+p.Optimizer.New).Call(arguments...))))
			if p.Decay > 0 {
				set("Average", m().Dot("average"))
				set("Decay", jen.Lit(p.Decay))
			}
			g.Id(partVariable(p)).Op(":=").Op("&").Qual(sp, "Part").Values(values...)
		}
		g.Add(m()).Dot("train").Op("=").Qual(sp, "Training").ValuesFunc(func(g *jen.Group) {
			set := func(name string, v jen.Code) { g.Line().Id(name).Op(":").Add(v) }
			set("Params", m().Dot("params"))
			set("Grads", m().Dot("grads"))
			set("Tensors", m().Dot("Tensors"))
			if c := e.spec.Clip; c.Norm > 0 {
				set("Norm", jen.Lit(c.Norm))
			}
			if c := e.spec.Clip; c.Value > 0 {
				set("Value", jen.Lit(c.Value))
			}
			if e.spec.Vectors != nil {
				set("Width", jen.Id("vectorSize"))
			}
			if e.sources(build.Noise) {
				set("Noise", jen.Id("noiseSize"))
			}
			if e.carries() {
				set("State", m().Dot("state").Dot("flat"))
			}
			if e.sources(build.Rewards) {
				set("Judge", m().Dot("verdicts"))
			}
			if fixed := e.fixed(); len(fixed) > 0 {
				set("Fixed", jen.Index().Index().Float32().Values(fixed...))
			}
			set("Steps", jen.Index().Op("*").Qual(sp, "Step").ValuesFunc(func(g *jen.Group) {
				for _, s := range e.Model.Steps {
					g.Line().Values(e.stepValues(s)...)
				}
				g.Line()
			}))
			g.Line()
		})
	})
	f.Line()
}

// extents tells where the tensors of a part lie, for a rule of update that asks.
func (e *emitter) extents(p *build.Part) jen.Code {
	arguments := []jen.Code{jen.Id("from"), jen.Id("to")}
	for _, name := range e.Model.Apart(p) {
		arguments = append(arguments, jen.Lit(name))
	}
	return jen.Id("m").Dot("weights").Dot("tensors").Call().Dot("Extents").Call(arguments...)
}

func partVariable(p *build.Part) string {
	if p.Name == "" {
		return "all"
	}
	return p.Name
}

// stepValues are the fields of a step in the schedule.
func (e *emitter) stepValues(s *build.Step) []jen.Code {
	var values []jen.Code
	set := func(name string, v jen.Code) { values = append(values, jen.Id(name).Op(":").Add(v)) }
	if s.Kind != "" {
		set("Name", jen.Lit(s.Kind))
	}
	var parts []jen.Code
	for _, p := range s.Moves {
		parts = append(parts, jen.Id(partVariable(p)))
	}
	set("Moves", jen.Index().Op("*").Qual(e.path("schedule"), "Part").Values(parts...))
	if s.Step != "" {
		set("Reads", jen.Id("m").Dot(readsName(s)))
	}
	set("Gradients", jen.Id("m").Dot(gradientsName(s)))
	if e.spec.Latent != nil || e.spec.Vectors != nil || s.Judges || s.Source == build.Relaxed {
		set("ByRow", jen.True())
	}
	if measures := e.measures(s); len(measures) > 0 {
		set("Measures", jen.Index().Op("*").Float64().Values(measures...))
	}
	for _, x := range []struct{ name, constant string }{{"From", s.From}, {"Until", s.Until}, {"Every", s.Every},
		{"Times", s.Times}} {
		if x.constant != "" {
			set(x.name, jen.Id(x.constant))
		}
	}
	if s.Asked {
		set("Asked", jen.True())
	}
	if s.Rate != "" {
		set("Rate", jen.Id(s.Rate).Op("/").Id("generatorRate"))
	}
	if s.Last != "" {
		set("Last", jen.Op("&").Id("m").Dot("duel").Dot(s.Last))
	}
	return values
}

// measures are the places of what the gradients of a step leave beside the loss.
func (e *emitter) measures(s *build.Step) []jen.Code {
	at := func(x *jen.Statement) jen.Code { return jen.Op("&").Add(x) }
	m := func() *jen.Statement { return jen.Id("m") }
	var all []jen.Code
	if s.Judges {
		for _, field := range []string{"Accuracy", "Real", "Fake"} {
			all = append(all, at(m().Dot("duel").Dot(field)))
		}
	}
	if e.spec.Latent != nil {
		all = append(all, at(m().Dot("reconstruction")), at(m().Dot("divergence")))
	}
	return all
}

// fixed are the parameters that the forward pass of a training step changes.
func (e *emitter) fixed() []jen.Code {
	var all []jen.Code
	for _, l := range e.Model.Layers {
		for _, p := range l.Params {
			if !p.Fixed {
				continue
			}
			for i := range max(1, p.Stack) {
				at := jen.Id("m").Dot("weights").Dot(e.layerField(p.Scope))
				if p.Stack > 0 {
					at = at.Index(jen.Lit(i))
				}
				all = append(all, at.Dot(e.paramField(p.ID())))
			}
		}
	}
	return all
}
