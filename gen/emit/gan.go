package emit

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/gen/report"
	"github.com/gradsmith/gradsmith/spec"
)

// side is one of two adversarial networks, as the code of its step names it.
type side struct {
	name  string // "discriminator"
	graph *graph.Graph
	w     *writer
	acts  string // field with the buffers
}

// adversarial lists the files of a pair of networks.
func (e *emitter) adversarial() []part {
	m := e.Model
	writer := func(g *graph.Graph, acts, typ string) *writer {
		w := newWriter(e, g, "m")
		w.acts, w.typ = acts, typ
		return w
	}
	d := side{"discriminator", m.Discriminate, writer(m.Discriminate, "discriminating", "discriminatorActs"), "discriminating"}
	g := side{"generator", m.Train, writer(m.Train, "generating", "generatorActs"), "generating"}
	maker, judge := writer(m.Make, "making", "makerActs"), writer(m.Judge, "judging", "judgeActs")
	if e.spec.GAN.EMA > 0 {
		maker.params = "averaged"
	}
	e.training = g.w
	return []part{
		{"doc.go", e.doc},
		{"discriminator.go", func(f *jen.File) { e.side(f, d) }},
		{"generator.go", func(f *jen.File) { e.side(f, g) }},
		{"sample.go", func(f *jen.File) { e.sampling(f, maker, judge) }},
		{"train.go", func(f *jen.File) { e.adversarialTrain(f, d, g) }},
		{"model.go", func(f *jen.File) { e.adversarialModel(f, d, g, maker, judge) }}, // after the files whose buffers it declares
		{"model_test.go", e.adversarialTests},
	}
}

// network lists the scopes of the generator, or of the discriminator.
func (e *emitter) network(discriminator bool) []scope {
	var out []scope
	for _, s := range e.scopes() {
		if s.params[0].Discriminator == discriminator {
			out = append(out, s)
		}
	}
	return out
}

func (e *emitter) mixes() bool { return e.spec.GAN.Penalty.Kind == "wgan_gp" }

func (e *emitter) adversarialCost(b *strings.Builder) {
	s, r := e.spec, e.Report
	fmt.Fprintf(b, "\nA step of training on %d vectors at once takes %s floating-point operations a vector and %s of memory:\n", s.Shape.Batch, report.Count(r.TrainFlops), report.Bytes(r.TrainBytes))
	fmt.Fprintf(b, "%s of parameters, as much of gradients, %s of optimizer state and %s of activations, in an arena for\n", report.Bytes(r.ParamBytes), report.Bytes(r.SlotBytes), report.Bytes(r.ArenaBytes))
	fmt.Fprintf(b, "each network's step, whose parts share memory where their lives do not overlap. Making vectors takes %s.\n", report.Bytes(r.DecodeBytes))
}

// bindNetworks emits a method for each network, so that an average of the generator's parameters can be a view of its own.
func (e *emitter) bindNetworks(f *jen.File, next func(*jen.Group), set func(*jen.Group, *build.Param, *jen.Statement, jen.Code)) {
	self := func() *jen.Statement { return jen.Func().Params(jen.Id("p").Op("*").Id("Params")) }
	flat := jen.Id("flat").Index().Float32()
	comment(f, "bind makes the fields of p views of flat: those of the generator, then those of the discriminator.")
	f.Add(self()).Id("bind").Params(flat.Clone()).Block(
		jen.Id("p").Dot("bindGenerator").Call(jen.Id("flat")),
		jen.Id("p").Dot("bindDiscriminator").Call(jen.Id("flat").Index(jen.Id("generatorParams"), jen.Empty())),
	)
	f.Line()
	for _, n := range []struct {
		name          string
		discriminator bool
	}{{"Generator", false}, {"Discriminator", true}} {
		comment(f, "bind%s makes the fields of the %s views of flat, in the order of their definition.", n.name, strings.ToLower(n.name))
		f.Add(self()).Id("bind" + n.name).Params(flat.Clone()).BlockFunc(func(g *jen.Group) {
			next(g)
			e.eachParam(g, "p", e.network(n.discriminator), set)
		})
		f.Line()
	}
}

// side emits the forward pass, the loss and the backward pass of a network's step.
func (e *emitter) side(f *jen.File, s side) {
	forward := fmt.Sprintf("%sForward makes vectors of b.Noise and judges them, and keeps what %sBackward needs.", s.name, s.name)
	backward := fmt.Sprintf("%sBackward computes the gradient of the generator's loss with respect to the generator's parameters, into m.gradients: through the discriminator, whose parameters stay.", s.name)
	loss := fmt.Sprintf("%sLoss gives the %s's mean loss of the verdicts that %sForward left.", s.name, s.name, s.name)
	if s.name == "discriminator" {
		forward = "discriminatorForward makes vectors of b.Noise, judges them and those of b.Vectors, and keeps what discriminatorBackward needs."
		if e.spec.GAN.Penalty.Kind != "" {
			forward += " It goes on with the gradient of the verdict with respect to what is judged, which the penalty of the loss is taken of."
		}
		backward = "discriminatorBackward computes the gradient of the discriminator's loss with respect to its parameters, into m.gradients. The generator's stay."
	}
	if e.ofText() {
		forward, loss, backward = e.lineSide(s)
	}
	e.passes(f, s.w, graph.Forward, s.name+"Forward", forward)
	e.loss(f, s.w, s.name+"Loss", loss)
	e.passes(f, s.w, graph.Backward, s.name+"Backward", backward)
}

// passTexts say what the passes of a step over its networks do: forward, and backward.
var passTexts = map[string][2]string{
	"made":     {"makes vectors of b.Noise", "goes back through the generator"},
	"spectral": {"divides the discriminator's matrices by their largest singular value", "goes back through the division by singular values"},
	"real":     {"judges the vectors of b.Vectors", "goes back through the verdicts on b.Vectors"},
	"fake":     {"judges the vectors that were made", "goes back through the verdicts on the vectors that were made"},
	"mixed":    {"judges points between the vectors of b.Vectors and those that were made", "goes back through the verdicts on points in between"},
	"slope":    {"computes the gradient of the verdict with respect to what was judged", "goes back through the gradient of the verdict"},
	"":         {"judges the vectors of b.Vectors", ""},
	"loss":     {"computes the loss", "computes the gradient of the verdicts from the loss"},
}

// short is how many calls a pass may have in the function of its phase, long how many in one of its own before its layers have theirs.
const short, long = 3, 19

// passes emits a function for a phase of a step in which several networks take part, one after the other or one several times: it calls one function a pass.
func (e *emitter) passes(f *jen.File, w *writer, ph graph.Phase, name, doc string) {
	var all [][]*graph.Node
	top, p := w.function(), e.newPhase(w, ph, name)
	for _, n := range w.g.Nodes {
		if n.Phase != ph || top.silent(n) {
			continue
		}
		if k := len(all) - 1; k >= 0 && all[k][0].Pass == n.Pass {
			all[k] = append(all[k], n)
		} else {
			all = append(all, []*graph.Node{n})
		}
	}
	inline := false // the last pass stands in top itself
	for _, nodes := range all {
		pass := nodes[0].Pass
		if alone := len(all) == 1; weight(nodes) <= short || alone {
			if len(top.body) > 0 {
				top.add(jen.Line())
			}
			inline = true
			if alone && weight(nodes) > long {
				p.layers(top, groups(nodes, ph))
			} else {
				inLayers(top, nodes)
			}
			continue
		}
		id := p.unique(name + names.UpperFirst(cmp.Or(pass, "data")))
		texts := passTexts[pass]
		if e.ofText() {
			texts = linePasses[pass]
		}
		what := texts[0]
		if ph == graph.Backward {
			what = texts[1]
		}
		fn := w.function()
		p.methods = append(p.methods, method{name: id, doc: id + " " + what + ".", fn: fn})
		if weight(nodes) <= long {
			inLayers(fn, nodes)
		} else {
			sub := *p
			sub.name = names.UpperFirst(id)
			sub.layers(fn, groups(nodes, ph))
			p.methods, p.shares = sub.methods, sub.shares
		}
		if inline {
			top.add(jen.Line())
		}
		inline = false
		top.add(jen.Id(w.receiver).Dot(id).Call(jen.Id("b")))
	}
	p.emit(f, method{name: name, doc: doc, fn: top})
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
	}
}

// adversarialModel emits the type of the model and its memory.
func (e *emitter) adversarialModel(f *jen.File, d, g side, maker, judge *writer) {
	e.constants(f)
	e.params(f)
	mp, op := e.modelPkg(), e.path("optim")
	own, other := newOptimizer(&e.spec.Optimizer), newOptimizer(&e.spec.GAN.Optimizer)
	comment(f, "Model is the parameters and, once they are asked for, the memory of training and of samples. %s", oneGoroutine)
	f.Type().Id("Model").StructFunc(func(x *jen.Group) {
		e.flats(x, "of the last step of each network")
		x.Id("discriminating").Id("discriminatorActs")
		x.Id("generating").Id("generatorActs")
		x.Id("making").Id("makerActs")
		x.Id("judging").Id("judgeActs")
		x.Id("drawn").Qual(mp, "Batch").Comment("what a step reads")
		x.Id("discriminatorOptimizer").Op("*").Qual(op, other.typ)
		x.Id("generatorOptimizer").Op("*").Qual(op, own.typ)
		x.Id("duel").Qual(mp, "Duel").Comment("how the last training step went")
		x.Id("guard").Qual(mp, "Guard")
		x.Id("seed").Uint64()
		x.Id("step").Int().Comment("steps of the generator done")
		x.Id("discriminated").Int().Comment("steps of the discriminator done")
		x.Id("training").Bool().Comment("whether dropout is on")
	})
	f.Line()
	e.views(f)
	comment(f, "New makes a model with the initial parameters of %s.", e.spec.File)
	f.Func().Id("New").Params().Op("*").Id("Model").Block(jen.Return(jen.Id("NewSeeded").Call(jen.Id("defaultSeed"))))
	f.Line()
	comment(f, "NewSeeded makes a model whose initial parameters and noise in training come from another seed.")
	f.Func().Id("NewSeeded").Params(jen.Id("seed").Uint64()).Op("*").Id("Model").BlockFunc(func(x *jen.Group) {
		x.Id("m").Op(":=").Id("empty").Call(jen.Id("seed"))
		x.Id("m").Dot("initialize").Call()
		if e.averages() {
			x.Copy(jen.Id("m").Dot("average"), jen.Id("m").Dot("params"))
		}
		x.Return(jen.Id("m"))
	})
	f.Line()
	comment(f, "empty makes a model whose parameters are zero.")
	f.Func().Id("empty").Params(jen.Id("seed").Uint64()).Op("*").Id("Model").BlockFunc(func(x *jen.Group) {
		x.Id("m").Op(":=").Op("&").Id("Model").Values(jen.Id("seed").Op(":").Id("seed"), jen.Id("params").Op(":").Qual(mp, "Floats").Call(jen.Id("flatParams")))
		x.Id("m").Dot("weights").Dot("bind").Call(jen.Id("m").Dot("params"))
		if e.averages() {
			x.Id("m").Dot("average").Op("=").Qual(mp, "Floats").Call(jen.Id("generatorParams"))
			x.Id("m").Dot("averaged").Op("=").Id("m").Dot("weights")
			x.Id("m").Dot("averaged").Dot("bindGenerator").Call(jen.Id("m").Dot("average"))
		}
		x.Return(jen.Id("m"))
	})
	f.Line()
	comment(f, "allocate makes the memory of training, the first time that it is asked for.")
	f.Func().Params(jen.Id("m").Op("*").Id("Model")).Id("allocate").Params().BlockFunc(func(x *jen.Group) {
		x.If(jen.Id("m").Dot("grads").Op("!=").Nil()).Block(jen.Return())
		x.Id("m").Dot("grads").Op("=").Qual(mp, "Floats").Call(jen.Id("flatParams"))
		x.Id("m").Dot("gradients").Dot("bind").Call(jen.Id("m").Dot("grads"))
		x.Id("m").Dot("discriminating").Op("=").Id("newDiscriminatorActs").Call()
		x.Id("m").Dot("generating").Op("=").Id("newGeneratorActs").Call()
		x.Id("m").Dot("drawn").Dot("Noise").Op("=").Qual(mp, "Floats").Call(jen.Id("maxBatch").Op("*").Id("noiseSize"))
		if e.mixes() {
			x.Id("m").Dot("drawn").Dot("Mix").Op("=").Qual(mp, "Floats").Call(jen.Id("maxBatch"))
		}
		x.Id("m").Dot("discriminatorOptimizer").Op("=").Qual(op, "New"+other.typ).Call(append([]jen.Code{jen.Id("flatParams").Op("-").Id("generatorParams")}, other.args...)...)
		x.Id("m").Dot("generatorOptimizer").Op("=").Qual(op, "New"+own.typ).Call(append([]jen.Code{jen.Id("generatorParams")}, own.args...)...)
	})
	f.Line()
	for _, s := range []side{d, g} {
		e.memory(f, s.name+"Acts", "", fmt.Sprintf("what a step of the %s computes: each field holds the values of its name, at full capacity. Fields share memory where the life of one ends before that of the other begins.", s.name), s.w, false)
	}
	e.memory(f, "makerActs", "", "what making vectors computes.", maker, false)
	e.memory(f, "judgeActs", "", "what judging vectors computes.", judge, false)
	if e.stacked {
		e.at(f)
	}
}

// outputOf is the memory of the output of a graph with that target, and its name in code.
func (e *emitter) outputOf(w *writer, target string) *jen.Statement {
	v := w.g.Find(target)
	if v == nil {
		panic("emit: no output " + target)
	}
	w.read[v] = true
	return jen.Id("m").Dot(w.acts).Dot(w.fields[v])
}

func (e *emitter) self() *jen.Statement { return jen.Func().Params(jen.Id("m").Op("*").Id("Model")) }

// clipped emits the bound of a network's gradient: the statements that find norm, the check that all is finite, and the factor for the update.
func (e *emitter) clipped(g *jen.Group, loss string, grads jen.Code) jen.Code {
	return e.clip(g, grads, jen.Id(loss), jen.Id("norm"), jen.Nil())
}

// clippedOf is clipped in a function that returns no error.
func (e *emitter) clippedOf(g *jen.Group, loss string, grads jen.Code) jen.Code {
	return e.clip(g, grads, jen.Id(loss), jen.Id("norm"))
}

// lossNormError are the results of a training step.
func lossNormError() *jen.Statement {
	return jen.Params(jen.List(jen.Id("loss"), jen.Id("norm")).Float64(), jen.Err().Error())
}

func (e *emitter) clip(g *jen.Group, grads jen.Code, results ...jen.Code) jen.Code {
	op := e.path("optim")
	scale := jen.Code(jen.Lit(1))
	if c := e.spec.Clip; c.Norm > 0 {
		g.List(jen.Id("norm"), jen.Id("scale")).Op(":=").Qual(op, "ClipNorm").Call(grads, jen.Lit(c.Norm))
		scale = jen.Id("scale")
	} else {
		g.Id("norm").Op("=").Qual(op, "Norm").Call(grads)
	}
	g.If(jen.Op("!").Qual(op, "Finite").Call(results[0], results[1])).Block(jen.Return(results...))
	if c := e.spec.Clip; c.Value > 0 {
		g.Qual(op, "ClipValue").Call(grads, scale, jen.Lit(c.Value))
		scale = jen.Lit(1)
	}
	return scale
}

func (e *emitter) adversarialTrain(f *jen.File, d, g side) {
	mp, op := e.modelPkg(), e.path("optim")
	s := e.spec
	vectors := func() *jen.Statement { return jen.Id("b").Op("*").Qual(mp, "Batch") }
	m := func() *jen.Statement { return jen.Id("m") }

	share := "a step of the discriminator on b.Vectors"
	if s.GAN.CriticSteps > 1 {
		share = "criticSteps steps of the discriminator, each on its share of b.Vectors"
	}
	comment(f, "TrainStep makes one training step: %s, and one of the generator, at the given rate of the generator's optimizer. It gives the generator's mean loss before the update and the norm of its gradient before clipping, and Duel tells more. If a loss or a norm is not finite, that is what it gives, and the network's parameters stay as they were.", share)
	f.Add(e.self()).Id("TrainStep").Params(vectors(), jen.Id("rate").Float64()).Add(lossNormError()).BlockFunc(func(x *jen.Group) {
		most := jen.Code(jen.Id("maxBatch"))
		if s.GAN.CriticSteps > 1 {
			most = jen.Id("criticSteps").Op("*").Id("maxBatch")
		}
		add(x, e.enter("TrainStep", jen.Id("check").Call(jen.Id("b"), most), "number", "number"))
		critic := jen.Code(jen.Id("rate"))
		if e.ownRate(s.GAN.Optimizer.Rate) {
			critic = e.rate("discriminatorRate")
		}
		step := func(x *jen.Group, part jen.Code) {
			x.If(jen.List(jen.Id("loss"), jen.Id("norm")).Op("=").Id("m").Dot("stepDiscriminator").Call(part, critic), jen.Op("!").Qual(op, "Finite").Call(jen.Id("loss"), jen.Id("norm"))).Block(
				jen.Return(jen.Id("loss"), jen.Id("norm"), jen.Nil()))
		}
		last := func(part jen.Code) {
			x.List(jen.Id("loss"), jen.Id("norm")).Op("=").Id("m").Dot("stepGenerator").Call(part, jen.Id("rate"))
			x.Return(jen.Id("loss"), jen.Id("norm"), jen.Nil())
		}
		if s.GAN.CriticSteps == 1 {
			step(x, jen.Id("b"))
			last(jen.Id("b"))
			return
		}
		x.Id("part").Op(":=").Qual(mp, "Batch").Values(jen.Id("Batch").Op(":").Max(jen.Lit(1), jen.Id("b").Dot("Batch").Op("/").Id("criticSteps")))
		x.For(jen.Id("k").Op(":=").Range().Id("criticSteps")).BlockFunc(func(x *jen.Group) {
			x.Id("from").Op(":=").Id("k").Op("*").Id("part").Dot("Batch").Op("%").Id("b").Dot("Batch").Comment("fewer vectors than steps begin again")
			x.Id("part").Dot("Vectors").Op("=").Id("b").Dot("Vectors").Index(jen.Id("from").Op("*").Id("vectorSize"), jen.Empty())
			if e.conditional() {
				x.Id("part").Dot("Labels").Op("=").Id("b").Dot("Labels").Index(jen.Id("from"), jen.Id("from").Op("+").Id("part").Dot("Batch"))
			}
			step(x, jen.Op("&").Id("part"))
		})
		last(jen.Op("&").Id("part"))
	})
	f.Line()

	stepOf := func(name, call, doc string, body func(x *jen.Group)) {
		comment(f, "%s", doc)
		f.Add(e.self()).Id(name).Params(vectors(), jen.Id("rate").Float64()).Add(lossNormError()).BlockFunc(func(x *jen.Group) {
			add(x, e.enter(name, jen.Id("check").Call(jen.Id("b"), jen.Id("maxBatch")), "number", "number"))
			x.List(jen.Id("loss"), jen.Id("norm")).Op("=").Id("m").Dot(call).Call(jen.Id("b"), jen.Id("rate"))
			x.Return(jen.Id("loss"), jen.Id("norm"), jen.Nil())
		})
		f.Line()
		comment(f, "%s is %s of a batch that has been checked.", call, name)
		f.Add(e.self()).Id(call).Params(vectors(), jen.Id("rate").Float64()).Params(jen.List(jen.Id("loss"), jen.Id("norm")).Float64()).BlockFunc(body)
		f.Line()
	}
	stepOf("DiscriminatorStep", "stepDiscriminator", "DiscriminatorStep makes one step of the discriminator on b.Vectors and as many vectors that the generator makes. It gives the mean loss before the update and the norm of the gradient before clipping.", func(x *jen.Group) {
		x.Id("loss").Op("=").Add(m()).Dot("discriminatorGradients").Call(m().Dot("draw").Call(jen.Id("b"), jen.Id("discriminatorNoise"), m().Dot("discriminated")))
		real, fake := e.outputOf(d.w, "real"), e.outputOf(d.w, "fake")
		n := func(v *jen.Statement) jen.Code { return v.Index(jen.Empty(), jen.Id("b").Dot("Batch")) }
		x.Add(m()).Dot("duel").Dot("Judged").Call(n(real), n(fake), jen.Id("info").Dot("Adversary"))
		x.Id("grads").Op(":=").Add(m()).Dot("grads").Index(jen.Id("generatorParams"), jen.Empty())
		scale := e.clippedOf(x, "loss", jen.Id("grads"))
		x.Add(m()).Dot("duel").Dot("Discriminator").Op("=").Id("loss")
		x.Add(m()).Dot("discriminated").Op("++")
		x.Add(m()).Dot("discriminatorOptimizer").Dot("Step").Call(m().Dot("params").Index(jen.Id("generatorParams"), jen.Empty()), jen.Id("grads"), jen.Id("rate"), scale, m().Dot("discriminated"))
		x.Return(jen.Id("loss"), jen.Id("norm"))
	})

	reads := "b.Batch vectors that the generator makes; b.Vectors is not read"
	if e.reads(g.w.g, "vectors") {
		reads = "b.Batch vectors that the generator makes, beside those of b.Vectors"
	}
	reads += e.withLabels(", and their labels are those of b")
	stepOf("GeneratorStep", "stepGenerator", "GeneratorStep makes one step of the generator on "+reads+". It gives the mean loss before the update and the norm of the gradient before clipping.", func(x *jen.Group) {
		x.Id("loss").Op("=").Add(m()).Dot("generatorGradients").Call(m().Dot("draw").Call(jen.Id("b"), jen.Id("generatorNoise"), m().Dot("step")))
		x.Id("grads").Op(":=").Add(m()).Dot("grads").Index(jen.Empty(), jen.Id("generatorParams"))
		scale := e.clippedOf(x, "loss", jen.Id("grads"))
		x.Add(m()).Dot("duel").Dot("Generator").Op("=").Id("loss")
		x.Add(m()).Dot("step").Op("++")
		x.Add(m()).Dot("generatorOptimizer").Dot("Step").Call(m().Dot("params").Index(jen.Empty(), jen.Id("generatorParams")), jen.Id("grads"), jen.Id("rate"), scale, m().Dot("step"))
		if e.averages() {
			x.Qual(op, "Average").Call(m().Dot("average"), m().Dot("params"), jen.Lit(s.GAN.EMA))
		}
		x.Return(jen.Id("loss"), jen.Id("norm"))
	})

	comment(f, "The streams of random numbers of training.")
	streams := []jen.Code{jen.Id("discriminatorNoise").Op("=").Iota().Op("+").Lit(1).Comment("what the generator makes vectors of in a step of the discriminator"), jen.Id("generatorNoise").Comment("and in one of its own")}
	if e.mixes() {
		streams = append(streams, jen.Id("mixing").Comment("where between vectors of the data and of the generator the penalty is taken"))
	}
	f.Const().Defs(streams...)
	f.Line()
	comment(f, "draw gives what step number step reads: the vectors of b%s, and noise that the seed, the stream and the step decide.", e.withLabels(" and their labels"))
	f.Add(e.self()).Id("draw").Params(vectors(), jen.Id("stream").Uint64(), jen.Id("step").Int()).Op("*").Qual(mp, "Batch").BlockFunc(func(x *jen.Group) {
		x.Id("d").Op(":=").Op("&").Add(m()).Dot("drawn")
		x.List(jen.Id("d").Dot("Batch"), jen.Id("d").Dot("Vectors")).Op("=").List(jen.Id("b").Dot("Batch"), jen.Id("b").Dot("Vectors"))
		if e.conditional() {
			x.Id("d").Dot("Labels").Op("=").Id("b").Dot("Labels")
		}
		x.Id("noise").Call(jen.Id("d").Dot("Noise"), jen.Qual(mp, "Key").Call(m().Dot("seed"), jen.Id("stream"), jen.Uint64().Call(jen.Id("step"))), jen.Lit(0), jen.Id("d").Dot("Batch"))
		if e.mixes() {
			x.Qual(e.kernel(), "Uniform").Call(jen.Id("d").Dot("Mix"), jen.Qual(mp, "Key").Call(m().Dot("seed"), jen.Id("mixing"), jen.Uint64().Call(jen.Id("step"))), jen.Lit(0), jen.Id("d").Dot("Batch"))
		}
		x.Return(jen.Id("d"))
	})
	f.Line()
	how := "independent normal numbers of mean 0 and variance 1"
	if s.GAN.Noise.Distribution == "uniform" {
		how = "independent uniform numbers in [-1, 1)"
	}
	comment(f, "noise fills dst with what rows vectors are made of, from row first of a key's on: %s   [rows, %d].", how, s.GAN.Noise.Size)
	f.Func().Id("noise").Params(jen.Id("dst").Index().Float32(), jen.List(jen.Id("key"), jen.Id("first")).Uint64(), jen.Id("rows").Int()).BlockFunc(func(x *jen.Group) {
		count := jen.Id("rows").Op("*").Id("noiseSize")
		if s.GAN.Noise.Distribution == "uniform" {
			x.Qual(e.kernel(), "Uniform").Call(jen.Id("dst"), jen.Id("key"), jen.Id("first").Op("*").Id("noiseSize"), count.Clone())
			x.Qual(e.kernel(), "Affine").Call(jen.Id("dst"), jen.Id("dst"), jen.Lit(2), jen.Lit(-1), count.Clone())
			return
		}
		x.Qual(e.kernel(), "Normal").Call(jen.Id("dst"), jen.Id("key"), jen.Id("first").Op("*").Id("noiseSize"), count.Clone())
	})
	f.Line()

	for _, n := range []struct{ side, doc string }{
		{"discriminator", "DiscriminatorGradients computes the discriminator's mean loss on b.Vectors and what the generator makes of b.Noise, and its gradient, which Grads gives."},
		{"generator", "GeneratorGradients computes the generator's mean loss on what it makes of b.Noise, and its gradient, which Grads gives."},
	} {
		doc := n.doc
		if n.side == "discriminator" && e.mixes() {
			doc += " b.Mix says for each vector of the data how far on the line to it, from the one that is made, the penalty is taken."
		}
		comment(f, "%s", doc)
		f.Add(e.self()).Id(names.UpperFirst(n.side)+"Gradients").Params(vectors()).Params(jen.Id("loss").Float64(), jen.Err().Error()).BlockFunc(func(x *jen.Group) {
			fits := jen.Id("check").Call(jen.Id("b"), jen.Id("maxBatch"))
			if n.side == "generator" && !e.reads(g.w.g, "vectors") {
				fits = e.first(jen.Id("b").Dot("CheckVectors").Call(jen.Id("maxBatch"), jen.Lit(0)), e.labelFaults(jen.Id("b").Dot("Labels"), jen.Id("b").Dot("Batch"))...)
			}
			fault := e.first(fits, jen.Id("b").Dot("CheckNoise").Call(jen.Id("noiseSize"), jen.Lit(e.mixes() && n.side == "discriminator")))
			add(x, e.enter(names.UpperFirst(n.side)+"Gradients", fault, "number"))
			x.Return(m().Dot(n.side+"Gradients").Call(jen.Id("b")), jen.Nil())
		})
		f.Line()
		comment(f, "%sGradients is %sGradients of a batch that has been checked.", n.side, names.UpperFirst(n.side))
		f.Add(e.self()).Id(n.side+"Gradients").Params(vectors()).Float64().Block(
			m().Dot("training").Op("=").True(),
			m().Dot(n.side+"Forward").Call(jen.Id("b")),
			jen.Id("loss").Op(":=").Add(m()).Dot(n.side+"Loss").Call(jen.Id("b")),
			m().Dot(n.side+"Backward").Call(jen.Id("b")),
			m().Dot("training").Op("=").False(),
			jen.Return(jen.Id("loss")),
		)
		f.Line()
	}
	comment(f, "Loss gives the discriminator's mean loss on b.Vectors and as many vectors that the generator makes, without dropout. The noise is the same each time.")
	f.Add(e.self()).Id("Loss").Params(vectors()).Params(jen.Id("loss").Float64(), jen.Err().Error()).BlockFunc(func(x *jen.Group) {
		add(x, e.enter("Loss", jen.Id("check").Call(jen.Id("b"), jen.Id("maxBatch")), "number"))
		x.Id("d").Op(":=").Add(m()).Dot("draw").Call(jen.Id("b"), jen.Id("discriminatorNoise"), jen.Lit(0))
		x.Add(m()).Dot("discriminatorForward").Call(jen.Id("d"))
		x.Return(m().Dot("discriminatorLoss").Call(jen.Id("d")), jen.Nil())
	})
	f.Line()
	comment(f, "check reports what of b does not fit the model, which takes up to most vectors at once.")
	f.Func().Id("check").Params(vectors(), jen.Id("most").Int()).Error().BlockFunc(func(x *jen.Group) {
		all := []jen.Code{jen.Id("b").Dot("CheckVectors").Call(jen.Id("most"), jen.Id("vectorSize"))}
		if e.conditional() {
			all = append(all, e.checkLabels(jen.Id("b").Dot("Labels"), jen.Id("b").Dot("Batch")))
		}
		checks(x, all...)
	})
	f.Line()
	e.entry(f)

	slots := jen.Append(jen.Qual(mp, "Named").Call(jen.Lit("generator"), m().Dot("generatorOptimizer").Dot("Slots").Call()), jen.Qual(mp, "Named").Call(jen.Lit("discriminator"), m().Dot("discriminatorOptimizer").Dot("Slots").Call()).Op("..."))
	for _, x := range []struct {
		doc, name string
		params    []jen.Code
		result    *jen.Statement
		body      []jen.Code
	}{
		{"Duel tells how the last training step went.", "Duel", nil, jen.Op("*").Qual(mp, "Duel"), []jen.Code{jen.Return(jen.Op("&").Add(m()).Dot("duel"))}},
		{"Step is the number of training steps done.", "Step", nil, jen.Int(), []jen.Code{jen.Return(m().Dot("step"))}},
		{"SetStep is for a training that goes on from a checkpoint.", "SetStep", []jen.Code{jen.Id("step").Int()}, jen.Null(), []jen.Code{jen.List(m().Dot("step"), m().Dot("discriminated")).Op("=").List(jen.Id("step"), jen.Id("step").Op("*").Id("criticSteps"))}},
		{"State is nothing: no state is carried from one step to the next.", "State", nil, jen.Index().Float32(), []jen.Code{jen.Return(jen.Nil())}},
		{"Slots lists the arrays of the optimizers.", "Slots", nil, jen.Index().Qual(mp, "Slot"), []jen.Code{m().Dot("allocate").Call(), jen.Return(slots)}},
		{infoDoc, "Info", nil, jen.Op("*").Qual(mp, "Info"), []jen.Code{jen.Return(jen.Id("info").Dot("Clone").Call())}},
	} {
		comment(f, "%s", x.doc)
		f.Add(e.self()).Id(x.name).Params(x.params...).Add(x.result).Block(x.body...)
		f.Line()
	}
	e.randomHelpers(f)
	e.info(f)
}

// ownRate reports whether a rate of the spec is not that of the generator's optimizer, which training steps are given.
func (e *emitter) ownRate(rate float64) bool { return rate != e.spec.Optimizer.Rate }

// rate is the rate of a step that has one of its own, which rises and falls as that of the generator does.
func (e *emitter) rate(name string) jen.Code {
	return jen.Id("rate").Op("*").Parens(jen.Id(name).Op("/").Id("generatorRate"))
}

// rates are the constants that rate reads.
func (e *emitter) rates() []jen.Code {
	var defs []jen.Code
	add := func(name string, rate float64, comment string) {
		defs = append(defs, jen.Id(name).Float64().Op("=").Lit(rate).Comment(comment))
	}
	if e.ownRate(e.spec.GAN.Optimizer.Rate) {
		add("discriminatorRate", e.spec.GAN.Optimizer.Rate, "of the discriminator's optimizer")
	}
	if t := e.spec.GAN.Text; t != nil && e.ownRate(t.Rate) {
		add("pretrainingRate", t.Rate, "of the generator's, on text alone")
	}
	if len(defs) > 0 {
		add("generatorRate", e.spec.Optimizer.Rate, "of the generator's, which a training gives")
	}
	return defs
}

// reads reports whether g has an input of that name that a node reads.
func (e *emitter) reads(g *graph.Graph, name string) bool {
	for in, users := range g.Users() {
		if in.Def == nil && in.Name == name && len(users) > 0 {
			return true
		}
	}
	return false
}

// adversary is what the commands ask of a pair of networks.
func (e *emitter) adversary() jen.Code {
	s := e.spec
	return jen.Op("&").Qual(e.modelPkg(), "Adversary").ValuesFunc(func(g *jen.Group) {
		if e.ofText() {
			end := jen.Lit(-1)
			if t := e.spec.Tokenizer.Special(spec.EndToken); t >= 0 {
				end = jen.Lit(t)
			}
			g.Id("Text").Op(":").Op("&").Qual(e.modelPkg(), "Imitation").Values(jen.Id("Pretraining").Op(":").Id("pretrainingSteps"), jen.Id("HeadStart").Op(":").Id("headStart"), jen.Id("Begin").Op(":").Id("beginToken"), jen.Id("End").Op(":").Add(end))
		} else {
			g.Id("Noise").Op(":").Id("noiseSize")
		}
		g.Id("Steps").Op(":").Id("criticSteps")
		g.Id("Loss").Op(":").Lit(s.Loss.Kind)
		switch s.Loss.Kind {
		case "least_squares":
			g.Id("Middle").Op(":").Lit(0.5)
		case "wasserstein", "relativistic":
			g.Id("Pairs").Op(":").True()
		}
	})
}

// sampling emits what a trained pair is for.
func (e *emitter) sampling(f *jen.File, maker, judge *writer) {
	mp := e.modelPkg()
	e.loading(f)
	with := "the parameters of the last step"
	if e.averages() {
		with = "the average of the parameters"
	}
	e.sample(f, with)
	chunks := func(name, from, into string, inSize, outSize jen.Code, call string, w *writer) {
		comment(f, "%s is %s of rows that have been checked.", name, names.UpperFirst(strings.TrimSuffix(name, "All")))
		f.Add(e.self()).Id(name).Params(jen.List(jen.Id(into), jen.Id(from)).Index().Float32(), e.runtimeLabels()).BlockFunc(func(g *jen.Group) {
			g.If(jen.Id("m").Dot(w.acts).Dot(w.fields[w.g.Outputs[0]]).Op("==").Nil()).Block(jen.Id("m").Dot(w.acts).Op("=").Id("new" + call).Call())
			g.For(jen.Len(jen.Id(from)).Op(">").Lit(0)).BlockFunc(func(g *jen.Group) {
				values := []jen.Code{jen.Id("Batch").Op(":").Min(jen.Id("maxBatch"), jen.Len(jen.Id(from)).Op("/").Add(inSize)), jen.Id(names.UpperFirst(from)).Op(":").Id(from)}
				g.Id("b").Op(":=").Qual(mp, "Batch").Values(values...)
				if e.conditional() {
					g.List(jen.Id("b").Dot("Labels"), jen.Id("labels")).Op("=").List(jen.Id("labels").Index(jen.Empty(), jen.Id("b").Dot("Batch")), jen.Id("labels").Index(jen.Id("b").Dot("Batch"), jen.Empty()))
				}
				g.Id("m").Dot(strings.TrimSuffix(lowerFirst(call), "Acts")).Call(jen.Op("&").Id("b"))
				g.Id("n").Op(":=").Copy(jen.Id(into), jen.Id("m").Dot(w.acts).Dot(w.fields[w.g.Outputs[0]]).Index(jen.Empty(), jen.Id("b").Dot("Batch").Add(outSize)))
				g.List(jen.Id(into), jen.Id(from)).Op("=").List(jen.Id(into).Index(jen.Id("n"), jen.Empty()), jen.Id(from).Index(jen.Id("b").Dot("Batch").Op("*").Add(inSize), jen.Empty()))
			})
		})
		f.Line()
	}
	// rowwise emits the method that gives outSize numbers for each row of inSize; both have room for as many rows as each other.
	rowwise := func(name, doc, from, into, row string, inSize, outSize jen.Code) {
		rows := jen.Len(jen.Id(from)).Op("/").Add(inSize)
		faults := []jen.Code{jen.Qual(mp, "CheckWhole").Call(jen.Lit(row), jen.Id(from), rows.Clone(), inSize), jen.Qual(mp, "CheckRoom").Call(jen.Lit(into), jen.Id(into), rows.Clone(), outSize)}
		labels := jen.Code(jen.Nil())
		if e.conditional() {
			faults = append(faults, e.checkLabels(jen.Id("labels"), rows.Clone()))
			labels = jen.Id("labels")
		}
		comment(f, "%s", doc)
		f.Add(e.self()).Id(name).Params(jen.List(jen.Id(into), jen.Id(from)).Index().Float32(), e.runtimeLabels()).Error().BlockFunc(func(g *jen.Group) {
			fault := e.first(faults[0], faults[1:]...)
			g.If(jen.Err().Op(":=").Id("m").Dot("guard").Dot("Enter").Call(jen.Id("info").Dot("Name"), jen.Lit(name), fault), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err()))
			g.Defer().Id("m").Dot("guard").Dot("Leave").Call()
			g.Id("m").Dot(lowerFirst(name)+"All").Call(jen.Id(into), jen.Id(from), labels)
			g.Return(jen.Nil())
		})
		f.Line()
	}
	e.outputOf(maker, "made")
	e.outputOf(judge, "verdict")
	rowwise("Make", "Make makes a vector of each row of noise [n, noiseSize]"+e.withLabels(" and its label, one of labels [n]")+", into made [n, vectorSize].", "noise", "made", "row of noise", jen.Id("noiseSize"), jen.Id("vectorSize"))
	chunks("makeAll", "noise", "made", jen.Id("noiseSize"), jen.Op("*").Id("vectorSize"), "MakerActs", maker)
	rowwise("Judge", "Judge judges vectors: a number for each row of vectors [n, vectorSize]"+e.withLabels(" and its label, one of labels [n]")+", into verdicts [n], that is high where the discriminator takes it for one of the data"+e.withLabels(" with that label")+".", "vectors", "verdicts", "vector", jen.Id("vectorSize"), jen.Lit(1))
	chunks("judgeAll", "vectors", "verdicts", jen.Id("vectorSize"), jen.Null(), "JudgeActs", judge)
	e.passes(f, maker, graph.Forward, "maker", "maker makes vectors of b.Noise.")
	e.passes(f, judge, graph.Forward, "judge", "judge judges the vectors of b.Vectors.")
	e.calls(f)
	comment(f, "Program is what the commands of the model's program need of it.")
	f.Func().Id("Program").Params().Qual(mp, "Program").Block(
		jen.Return(jen.Qual(mp, "Program").Values(
			jen.Line().Id("Info").Op(":").Id("info").Dot("Clone").Call(),
			jen.Line().Id("New").Op(":").Func().Params(jen.Id("seed").Uint64()).Qual(mp, "LanguageModel").Block(jen.Return(jen.Id("NewSeeded").Call(jen.Id("seed")))),
			jen.Line(),
		)))
}

// sample emits the methods that make vectors of a seed.
func (e *emitter) sample(f *jen.File, with string) {
	mp := e.modelPkg()
	labels := jen.Code(jen.Nil())
	faults := []jen.Code{jen.Qual(mp, "CheckCount").Call(jen.Id("n"))}
	if e.conditional() {
		labels = jen.Id("labels")
		faults = append(faults, e.checkLabels(jen.Id("labels"), jen.Id("n")))
		comment(f, "Sample makes a vector for each of labels [n], [n, vectorSize], with %s. Vector i of a seed is made of the same noise whatever the labels are, and however many.", with)
		f.Add(e.self()).Id("Sample").Params(jen.Id("labels").Index().Int32(), jen.Id("seed").Uint64()).Params(jen.Index().Float32(), jen.Error()).Block(
			jen.Return(jen.Id("m").Dot("Generate").Call(jen.Len(jen.Id("labels")), jen.Id("labels"), jen.Id("seed"))))
	} else {
		comment(f, "Sample makes n vectors [n, vectorSize] with %s. Vector i of a seed is the same for any n.", with)
		f.Add(e.self()).Id("Sample").Params(jen.Id("n").Int(), jen.Id("seed").Uint64()).Params(jen.Index().Float32(), jen.Error()).Block(
			jen.Return(jen.Id("m").Dot("Generate").Call(jen.Id("n"), jen.Nil(), jen.Id("seed"))))
	}
	f.Line()
	comment(f, "Generate is Sample for the runtime, which hands labels to any model.")
	f.Add(e.self()).Id("Generate").Params(jen.Id("n").Int(), e.runtimeLabels(), jen.Id("seed").Uint64()).Params(jen.Index().Float32(), jen.Error()).BlockFunc(func(g *jen.Group) {
		g.If(jen.Err().Op(":=").Id("m").Dot("guard").Dot("Enter").Call(jen.Id("info").Dot("Name"), jen.Lit("Sample"), e.first(faults[0], faults[1:]...)), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err()))
		g.Defer().Id("m").Dot("guard").Dot("Leave").Call()
		g.List(jen.Id("made"), jen.Id("z")).Op(":=").List(jen.Make(jen.Index().Float32(), jen.Id("n").Op("*").Id("vectorSize")), jen.Make(jen.Index().Float32(), jen.Id("n").Op("*").Id("noiseSize")))
		g.Id("noise").Call(jen.Id("z"), jen.Qual(mp, "Key").Call(jen.Id("seed")), jen.Lit(0), jen.Id("n"))
		g.Id("m").Dot("makeAll").Call(jen.Id("made"), jen.Id("z"), labels)
		g.Return(jen.Id("made"), jen.Nil())
	})
	f.Line()
}

func (e *emitter) adversarialTests(f *jen.File) {
	mt := e.path("modeltest")
	for _, t := range []struct{ name, fn, doc string }{
		{"TestGradients", "AdversarialGradients", "The gradients of both networks agree with finite differences of their losses."},
		{"TestDeterminism", "AdversarialDeterminism", "Two trainings from one seed give the same bits, on one thread and on two."},
		{"TestAllocations", "AdversarialAllocations", "A training step allocates nothing."},
		{"TestFaults", "Faults", faultsDoc},
		{"TestSamples", "AdversarialSamples", "Samples and verdicts do not depend on how many are asked for at once."},
	} {
		comment(f, "%s", t.doc)
		f.Func().Id(t.name).Params(jen.Id("t").Op("*").Qual("testing", "T")).Block(
			jen.Qual(mt, t.fn).Call(jen.Id("t"), jen.Func().Params(jen.Id("seed").Uint64()).Qual(mt, "Adversaries").Block(jen.Return(jen.Id("NewSeeded").Call(jen.Id("seed"))))))
		f.Line()
	}
}
