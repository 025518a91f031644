package emit

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/report"
	"github.com/gradsmith/gradsmith/spec"
)

// Adversarial networks of text: the generator is a language model, whose files are those of one; beside them stand the discriminator's step, the generator's on relaxed tokens
// where it has one, and the training that leads from one to the other.

// ofText reports whether the model is adversarial networks of text, relaxes whether its generator has a step on relaxed tokens.
func (e *emitter) ofText() bool  { return e.spec.GAN != nil && e.spec.GAN.Text != nil }
func (e *emitter) relaxes() bool { return e.Model.Relax != nil }

// imitation lists the files of adversarial networks of text.
func (e *emitter) imitation() []part {
	d := side{"discriminator", e.Model.Discriminate, newWriter(e, e.Model.Discriminate, "m"), "discriminating"}
	d.w.acts, d.w.typ = d.acts, "discriminatorActs"
	judge := newWriter(e, e.Model.Judge, "m")
	judge.acts, judge.typ = "judging", "judgeActs"
	parts := []part{
		{"doc.go", e.doc},
		{"forward.go", e.forward},
		{"backward.go", e.backward},
		{"discriminator.go", func(f *jen.File) { e.side(f, d) }},
	}
	var relaxed *side
	if e.relaxes() {
		relaxed = &side{"relaxed", e.Model.Relax, newWriter(e, e.Model.Relax, "m"), "relaxing"}
		relaxed.w.acts, relaxed.w.typ = relaxed.acts, "relaxedActs"
		parts = append(parts, part{"relaxed.go", func(f *jen.File) { e.side(f, *relaxed) }})
	}
	return append(parts,
		part{"train.go", func(f *jen.File) { e.imitationTrain(f, d, relaxed) }},
		part{"text.go", func(f *jen.File) { e.text(f); e.judge(f, judge) }},
		part{"model.go", func(f *jen.File) { e.imitationModel(f, d, relaxed, judge) }}, // after the files whose buffers it declares
		part{"model_test.go", e.imitationTests},
		part{"decode.go", e.decode},
	)
}

// linePasses say what the passes of a step on lines of text do: forward, and backward.
var linePasses = map[string][2]string{
	"made":     {"writes relaxed lines", "goes back through the lines that were written, from their last token to the first"},
	"spectral": passTexts["spectral"],
	"real":     {"judges the lines of b.Targets", "goes back through the verdicts on the lines of b.Targets"},
	"fake":     {"judges the lines that the generator wrote", "goes back through the verdicts on the lines that the generator wrote"},
	"":         {"judges the lines of b.Targets", ""},
	"loss":     passTexts["loss"],
}

// lineSide is what the functions of a step on lines of text say of themselves: forward, loss, backward.
func (e *emitter) lineSide(s side) (forward, loss, backward string) {
	loss = fmt.Sprintf("%sLoss gives the mean loss of the verdicts that %sForward left.", s.name, s.name)
	if s.name == "relaxed" {
		return "relaxedForward lets the generator write relaxed lines [steps, batch, vocab], judges them, and keeps what relaxedBackward needs.", loss,
			"relaxedBackward computes the gradient of the generator's loss with respect to the generator's parameters, into m.gradients: through the discriminator, whose parameters stay, and through the tokens that were written."
	}
	forward = "discriminatorForward judges the lines of b.Targets and those of b.Made, and keeps what discriminatorBackward needs."
	if e.relaxes() {
		forward = "discriminatorForward lets the generator write relaxed lines [steps, batch, vocab], judges the lines of b.Targets and those, and keeps what discriminatorBackward needs."
	}
	return forward, loss, "discriminatorBackward computes the gradient of the discriminator's loss with respect to its parameters, into m.gradients. The generator's stay."
}

func (e *emitter) imitationCost(b *strings.Builder) {
	s, r := e.spec, e.Report
	fmt.Fprintf(b, "\nA step of training on %d lines of %d tokens takes up to %s floating-point operations a token, lines that are drawn not counted, and %s\n", s.Shape.Batch, s.Shape.Steps, report.Count(r.TrainFlops), report.Bytes(r.TrainBytes))
	fmt.Fprintf(b, "of memory: %s of parameters, as much of gradients, %s of optimizer state and %s of activations, in an\n", report.Bytes(r.ParamBytes), report.Bytes(r.SlotBytes), report.Bytes(r.ArenaBytes))
	fmt.Fprintf(b, "arena for each kind of step, whose parts share memory where their lives do not overlap. Decoding one line takes %s.\n", report.Bytes(r.DecodeBytes))
}

// imitationModel emits the type of the model and its memory.
func (e *emitter) imitationModel(f *jen.File, d side, relaxed *side, judge *writer) {
	e.constants(f)
	e.params(f)
	mp, op := e.modelPkg(), e.path("optim")
	own, other := newOptimizer(&e.spec.Optimizer), newOptimizer(&e.spec.GAN.Optimizer)
	comment(f, "Model is the parameters and, once they are asked for, the memory of training and of verdicts. %s %s", oneGoroutine, decodersBeside)
	f.Type().Id("Model").StructFunc(func(x *jen.Group) {
		e.flats(x, "of the last step of each network")
		x.Id("acts").Id("acts").Comment("of the generator on text")
		x.Id("state").Id("state")
		x.Id("discriminating").Id("discriminatorActs")
		if relaxed != nil {
			x.Id("relaxing").Id("relaxedActs")
		}
		x.Id("judging").Id("judgeActs")
		x.Id("drawn").Qual(mp, "Batch").Comment("what a step reads")
		if relaxed == nil {
			x.Id("lines").Op("*").Qual(e.path("policy"), "Lines").Comment("what draws lines")
			x.Id("rewards").Index().Float32().Comment("[steps, batch]")
			x.Id("ones").Index().Float32().Comment("[steps, batch] weights of a text's tokens")
		}
		x.Id("generatorOptimizer").Op("*").Qual(op, own.typ)
		x.Id("discriminatorOptimizer").Op("*").Qual(op, other.typ)
		x.Id("duel").Qual(mp, "Duel").Comment("how the last step of each network went")
		x.Id("guard").Qual(mp, "Guard")
		x.Id("seed").Uint64()
		x.Id("step").Int().Comment("training steps done")
		if relaxed != nil {
			x.Id("inverseTemperature").Float64().Comment("of the relaxation")
		}
		x.Id("training").Bool().Comment("whether dropout is on")
	})
	f.Line()
	e.views(f)
	comment(f, "New makes a model with the initial parameters of %s.", e.spec.File)
	f.Func().Id("New").Params().Op("*").Id("Model").Block(jen.Return(jen.Id("NewSeeded").Call(jen.Id("defaultSeed"))))
	f.Line()
	comment(f, "NewSeeded makes a model whose initial parameters and draws in training come from another seed.")
	f.Func().Id("NewSeeded").Params(jen.Id("seed").Uint64()).Op("*").Id("Model").Block(
		jen.Id("m").Op(":=").Id("empty").Call(jen.Id("seed")),
		jen.Id("m").Dot("initialize").Call(),
		jen.Return(jen.Id("m")),
	)
	f.Line()
	comment(f, "empty makes a model whose parameters are zero.")
	f.Func().Id("empty").Params(jen.Id("seed").Uint64()).Op("*").Id("Model").Block(
		jen.Id("m").Op(":=").Op("&").Id("Model").Values(jen.Id("seed").Op(":").Id("seed"), jen.Id("params").Op(":").Qual(mp, "Floats").Call(jen.Id("flatParams"))),
		jen.Id("m").Dot("weights").Dot("bind").Call(jen.Id("m").Dot("params")),
		jen.Return(jen.Id("m")),
	)
	f.Line()
	comment(f, "allocate makes the memory of training and evaluation, the first time that it is asked for.")
	m := func() *jen.Statement { return jen.Id("m") }
	f.Add(e.self()).Id("allocate").Params().BlockFunc(func(x *jen.Group) {
		x.If(m().Dot("grads").Op("!=").Nil()).Block(jen.Return())
		x.Add(m()).Dot("grads").Op("=").Qual(mp, "Floats").Call(jen.Id("flatParams"))
		x.Add(m()).Dot("gradients").Dot("bind").Call(m().Dot("grads"))
		x.Add(m()).Dot("acts").Op("=").Id("newActs").Call()
		x.Add(m()).Dot("state").Op("=").Id("newState").Call(jen.Id("maxBatch"))
		x.Add(m()).Dot("discriminating").Op("=").Id("newDiscriminatorActs").Call()
		if relaxed != nil {
			x.Add(m()).Dot("relaxing").Op("=").Id("newRelaxedActs").Call()
			x.Add(m()).Dot("inverseTemperature").Op("=").Lit(1)
		} else {
			x.Add(m()).Dot("rewards").Op("=").Qual(mp, "Floats").Call(jen.Id("maxSteps").Op("*").Id("maxBatch"))
			x.Add(m()).Dot("ones").Op("=").Qual(mp, "Floats").Call(jen.Id("maxSteps").Op("*").Id("maxBatch"))
			x.For(jen.Id("i").Op(":=").Range().Add(m()).Dot("ones")).Block(m().Dot("ones").Index(jen.Id("i")).Op("=").Lit(1))
			for _, buffer := range []string{"Tokens", "Targets", "Made"} {
				x.Add(m()).Dot("drawn").Dot(buffer).Op("=").Make(jen.Index().Int32(), jen.Id("maxSteps").Op("*").Id("maxBatch"))
			}
			x.Add(m()).Dot("drawn").Dot("Reset").Op("=").Make(jen.Index().Int32(), jen.Id("maxSteps").Op("*").Id("maxBatch"))
		}
		x.Add(m()).Dot("generatorOptimizer").Op("=").Qual(op, "New"+own.typ).Call(append([]jen.Code{jen.Id("generatorParams")}, own.args...)...)
		x.Add(m()).Dot("discriminatorOptimizer").Op("=").Qual(op, "New"+other.typ).Call(append([]jen.Code{jen.Id("flatParams").Op("-").Id("generatorParams")}, other.args...)...)
	})
	f.Line()
	shared := "each field holds the values of its name, at full capacity. Fields share memory where the life of one ends before that of the other begins."
	e.memory(f, "acts", "acts", "what a step of the generator on text computes: "+shared, e.training, false)
	e.memory(f, "discriminatorActs", "", "what a step of the discriminator computes: "+shared, d.w, false)
	if relaxed != nil {
		e.memory(f, "relaxedActs", "", "what a step of the generator on relaxed lines computes: "+shared, relaxed.w, false)
	}
	e.memory(f, "judgeActs", "", "what judging lines computes.", judge, false)
	e.stateType(f)
	e.heads(f)
	e.tables(f)
	e.at(f)
}

// imitationTrain emits the steps of training.
func (e *emitter) imitationTrain(f *jen.File, d side, relaxed *side) {
	mp, op, pp := e.modelPkg(), e.path("optim"), e.path("policy")
	s, text := e.spec, e.spec.GAN.Text
	batch := func() *jen.Statement { return jen.Id("b").Op("*").Qual(mp, "Batch") }
	m := func() *jen.Statement { return jen.Id("m") }
	times := func(name string, rate float64) jen.Code {
		if !e.ownRate(rate) {
			return jen.Id("rate")
		}
		return e.rate(name)
	}
	own := "PolicyStep"
	if relaxed != nil {
		own = "RelaxedStep"
	}

	comment(f, "TrainStep makes one training step on the lines of b, at the given rate of the generator's optimizer. In the first pretrainingSteps steps the generator learns from the text alone; in the others the discriminator makes a step, and, after headStart of them, in each step that is a multiple of criticSteps from there the generator as well. TrainStep gives the mean loss before the update and the norm of the gradient before clipping of the network that has moved, of the generator where both have. If either is not finite, the parameters of that network stay as they were.")
	f.Add(e.self()).Id("TrainStep").Params(batch(), jen.Id("rate").Float64()).Add(lossNormError()).BlockFunc(func(x *jen.Group) {
		add(x, e.enter("TrainStep", e.checked(), "number", "number"))
		both := jen.List(jen.Id("loss"), jen.Id("norm"), jen.Err())
		x.If(jen.Id("m").Dot("step").Op("<").Id("pretrainingSteps")).Block(
			both.Clone().Op("=").Add(m()).Dot("stepLikelihood").Call(jen.Id("b"), times("pretrainingRate", text.Rate)),
		).Else().Block(
			both.Clone().Op("=").Add(m()).Dot("stepDiscriminator").Call(jen.Id("b"), times("discriminatorRate", s.GAN.Optimizer.Rate)),
			jen.If(jen.Id("turn").Op(":=").Add(m()).Dot("step").Op("-").Id("pretrainingSteps").Op("-").Id("headStart"), jen.Err().Op("==").Nil().Op("&&").Qual(op, "Finite").Call(jen.Id("loss"), jen.Id("norm")).Op("&&").Id("turn").Op(">=").Lit(0).Op("&&").Id("turn").Op("%").Id("criticSteps").Op("==").Lit(0)).Block(
				both.Clone().Op("=").Add(m()).Dot("step"+strings.TrimSuffix(own, "Step")).Call(jen.Id("b"), jen.Id("rate")),
			),
		)
		x.If(jen.Err().Op("==").Nil().Op("&&").Qual(op, "Finite").Call(jen.Id("loss"), jen.Id("norm"))).Block(m().Dot("step").Op("++"))
		x.Return(jen.Id("loss"), jen.Id("norm"), jen.Err())
	})
	f.Line()
	comment(f, "updates are how many steps each network has made, from which its optimizer goes on.")
	f.Add(e.self()).Id("updates").Params().Params(jen.List(jen.Id("generator"), jen.Id("discriminator")).Int()).Block(
		jen.Id("generator").Op("=").Min(m().Dot("step"), jen.Id("pretrainingSteps")),
		jen.Id("discriminator").Op("=").Add(m()).Dot("step").Op("-").Id("generator"),
		jen.If(jen.Id("turns").Op(":=").Id("discriminator").Op("-").Id("headStart"), jen.Id("turns").Op(">").Lit(0)).Block(
			jen.Id("generator").Op("+=").Parens(jen.Id("turns").Op("+").Id("criticSteps").Op("-").Lit(1)).Op("/").Id("criticSteps"),
		),
		jen.Return(jen.Id("generator"), jen.Id("discriminator")),
	)
	f.Line()

	moved := func(x *jen.Group, loss string, discriminator bool) {
		part, optimizer := jen.Index(jen.Empty(), jen.Id("generatorParams")), "generatorOptimizer"
		if discriminator {
			part, optimizer = jen.Index(jen.Id("generatorParams"), jen.Empty()), "discriminatorOptimizer"
		}
		x.Id("grads").Op(":=").Add(m()).Dot("grads").Add(part.Clone())
		scale := e.clipped(x, loss, jen.Id("grads"))
		if discriminator {
			x.Add(m()).Dot("duel").Dot("Discriminator").Op("=").Id("loss")
			x.List(jen.Id("_"), jen.Id("done")).Op(":=").Add(m()).Dot("updates").Call()
		} else {
			x.Add(m()).Dot("duel").Dot("Generator").Op("=").Id("loss")
			x.List(jen.Id("done"), jen.Id("_")).Op(":=").Add(m()).Dot("updates").Call()
		}
		x.Add(m()).Dot(optimizer).Dot("Step").Call(m().Dot("params").Add(part.Clone()), jen.Id("grads"), jen.Id("rate"), scale, jen.Id("done").Op("+").Lit(1))
		x.Return(jen.Id("loss"), jen.Id("norm"), jen.Nil())
	}
	comment(f, "LikelihoodStep makes one step of the generator on the lines of b, by maximum likelihood. It gives the mean loss in nats a token before the update and the norm of the gradient before clipping.")
	e.lineStep(f, "Likelihood", func(x *jen.Group) {
		x.Id("loss").Op("=").Add(m()).Dot("lossAndGradients").Call(jen.Id("b"))
		moved(x, "loss", false)
	})
	what := "as many that the generator writes"
	if relaxed != nil {
		what = "as many relaxed ones that the generator writes"
	}
	comment(f, "DiscriminatorStep makes one step of the discriminator on the lines of b and on %s. It gives the mean loss before the update and the norm of the gradient before clipping.", what)
	e.lineStep(f, "Discriminator", func(x *jen.Group) {
		if relaxed != nil {
			x.Add(m()).Dot("cool").Call()
			x.Id("loss").Op("=").Add(m()).Dot("discriminatorGradients").Call(jen.Id("b"))
		} else {
			drawn(x, "discriminatorLines")
			x.Id("made").Op(":=").Op("*").Id("b")
			x.Id("made").Dot("Made").Op("=").Id("d").Dot("Targets")
			x.Id("loss").Op("=").Add(m()).Dot("discriminatorGradients").Call(jen.Op("&").Id("made"))
		}
		verdicts := jen.Code(jen.Id("b").Dot("Batch"))
		if !e.pools() {
			verdicts = jen.Id("b").Dot("Steps").Op("*").Id("b").Dot("Batch")
		}
		n := func(v *jen.Statement) jen.Code { return v.Index(jen.Empty(), verdicts) }
		real, fake := e.outputOf(d.w, "real"), e.outputOf(d.w, "fake")
		x.Add(m()).Dot("duel").Dot("Judged").Call(n(real), n(fake), jen.Id("info").Dot("Adversary"))
		moved(x, "loss", true)
	})

	if relaxed == nil {
		e.policyStep(f, moved)
	} else {
		comment(f, "RelaxedStep makes one step of the generator against the discriminator, on relaxed lines that it writes. It gives the mean loss before the update and the norm of the gradient before clipping.")
		e.lineStep(f, "Relaxed", func(x *jen.Group) {
			x.Add(m()).Dot("cool").Call()
			x.Id("loss").Op("=").Add(m()).Dot("relaxedGradients").Call(jen.Id("b"))
			moved(x, "loss", false)
		})
		comment(f, "cool sets the temperature of the step: it falls from %v to %v in %d steps of the generator that follow those on text alone.", text.Hot, text.Cold, text.Cooling)
		f.Add(e.self()).Id("cool").Params().Block(
			jen.List(jen.Id("done"), jen.Id("_")).Op(":=").Add(m()).Dot("updates").Call(),
			m().Dot("inverseTemperature").Op("=").Lit(1).Op("/").Qual(pp, "Temperature").Call(jen.Lit(text.Hot), jen.Lit(text.Cold), jen.Lit(text.Cooling), jen.Id("done").Op("-").Min(m().Dot("step"), jen.Id("pretrainingSteps"))),
		)
		f.Line()
	}

	gradients := func(name, doc, run string) {
		fault := e.checked()
		if run == "discriminator" {
			fault = jen.Id("b").Dot("CheckMade").Call(jen.Id("maxSteps"), jen.Id("maxBatch"), jen.Id("vocab"))
			if relaxed != nil {
				fault = jen.Id("b").Dot("CheckLines").Call(jen.Id("maxSteps"), jen.Id("maxBatch"), jen.Id("vocab"))
			}
		}
		comment(f, "%s", doc)
		f.Add(e.self()).Id(name).Params(batch()).Params(jen.Id("loss").Float64(), jen.Err().Error()).BlockFunc(func(x *jen.Group) {
			add(x, e.enter(name, fault, "number"))
			x.Return(m().Dot(lowerFirst(name)).Call(jen.Id("b")), jen.Nil())
		})
		f.Line()
		comment(f, "%s is %s of a batch that has been checked.", lowerFirst(name), name)
		f.Add(e.self()).Id(lowerFirst(name)).Params(batch()).Float64().Block(
			m().Dot("training").Op("=").True(),
			m().Dot(run+"Forward").Call(jen.Id("b")),
			jen.Id("loss").Op(":=").Add(m()).Dot(run+"Loss").Call(jen.Id("b")),
			m().Dot(run+"Backward").Call(jen.Id("b")),
			m().Dot("training").Op("=").False(),
			jen.Return(jen.Id("loss")),
		)
		f.Line()
	}
	weighed := func() jen.Code {
		if relaxed != nil {
			return jen.Id("b")
		}
		return m().Dot("weighed").Call(jen.Id("b"))
	}
	weights := ""
	if relaxed == nil {
		weights = ", each token's share times its weight in b.Weights, or times 1 where there are none"
	}
	comment(f, "Gradients computes the generator's mean loss on the lines of b in nats a token and its gradient, which Grads gives%s.", weights)
	f.Add(e.self()).Id("Gradients").Params(batch()).Params(jen.Id("loss").Float64(), jen.Err().Error()).BlockFunc(func(x *jen.Group) {
		add(x, e.enter("Gradients", e.checked(), "number"))
		x.Return(m().Dot("lossAndGradients").Call(jen.Id("b")), jen.Nil())
	})
	f.Line()
	comment(f, "lossAndGradients is Gradients of a batch that has been checked.")
	f.Add(e.self()).Id("lossAndGradients").Params(batch()).Float64().BlockFunc(func(x *jen.Group) {
		if relaxed == nil {
			x.Id("b").Op("=").Add(weighed())
		}
		x.Add(m()).Dot("training").Op("=").True()
		x.Add(m()).Dot("forward").Call(jen.Id("b"))
		x.Id("loss").Op(":=").Add(m()).Dot("loss").Call(jen.Id("b"), jen.True())
		x.Add(m()).Dot("backward").Call(jen.Id("b"))
		x.Add(m()).Dot("training").Op("=").False()
		x.Return(jen.Id("loss"))
	})
	f.Line()
	read := "those of b.Made"
	if relaxed != nil {
		read = "relaxed ones that the generator writes"
	}
	gradients("DiscriminatorGradients", "DiscriminatorGradients computes the discriminator's mean loss on the lines of b.Targets and "+read+", and its gradient, which Grads gives.", "discriminator")
	if relaxed != nil {
		gradients("RelaxedGradients", "RelaxedGradients computes the generator's mean loss on relaxed lines that it writes, and its gradient, which Grads gives.", "relaxed")
	}
	comment(f, "Loss gives the generator's mean loss on the lines of b in nats a token, without dropout: how likely they are to it.")
	f.Add(e.self()).Id("Loss").Params(batch()).Params(jen.Id("loss").Float64(), jen.Err().Error()).BlockFunc(func(x *jen.Group) {
		add(x, e.enter("Loss", e.checked(), "number"))
		if relaxed == nil {
			x.Id("b").Op("=").Add(weighed())
		}
		x.Add(m()).Dot("forward").Call(jen.Id("b"))
		x.Return(m().Dot("loss").Call(jen.Id("b"), jen.False()), jen.Nil())
	})
	f.Line()
	e.logits(f, "")
	comment(f, "check reports what of b does not fit the model.")
	f.Func().Id("check").Params(batch()).Error().Block(jen.Return(jen.Id("b").Dot("Check").Call(jen.Id("maxSteps"), jen.Id("maxBatch"), jen.Id("vocab"))))
	f.Line()
	e.entry(f)
	if relaxed == nil {
		comment(f, "weighed is b with weights of 1 where it has none.")
		f.Add(e.self()).Id("weighed").Params(batch()).Op("*").Qual(mp, "Batch").Block(
			jen.If(jen.Len(jen.Id("b").Dot("Weights")).Op(">").Lit(0)).Block(jen.Return(jen.Id("b"))),
			jen.Id("w").Op(":=").Op("*").Id("b"),
			jen.Id("w").Dot("Weights").Op("=").Add(m()).Dot("ones"),
			jen.Return(jen.Op("&").Id("w")),
		)
		f.Line()
	}
	slots := jen.Append(jen.Qual(mp, "Named").Call(jen.Lit("generator"), m().Dot("generatorOptimizer").Dot("Slots").Call()), jen.Qual(mp, "Named").Call(jen.Lit("discriminator"), m().Dot("discriminatorOptimizer").Dot("Slots").Call()).Op("..."))
	for _, x := range []struct {
		doc, name string
		params    []jen.Code
		result    *jen.Statement
		body      []jen.Code
	}{
		{"Duel tells how the last step of each network went.", "Duel", nil, jen.Op("*").Qual(mp, "Duel"), []jen.Code{jen.Return(jen.Op("&").Add(m()).Dot("duel"))}},
		{"Step is the number of training steps done.", "Step", nil, jen.Int(), []jen.Code{jen.Return(m().Dot("step"))}},
		{"SetStep is for a training that goes on from a checkpoint.", "SetStep", []jen.Code{jen.Id("step").Int()}, jen.Null(), []jen.Code{m().Dot("step").Op("=").Id("step")}},
		{"State is that of the generator behind the last batch. Each line begins without one.", "State", nil, jen.Index().Float32(), []jen.Code{m().Dot("allocate").Call(), jen.Return(m().Dot("state").Dot("flat"))}},
		{"Slots lists the arrays of the optimizers.", "Slots", nil, jen.Index().Qual(mp, "Slot"), []jen.Code{m().Dot("allocate").Call(), jen.Return(slots)}},
		{infoDoc, "Info", nil, jen.Op("*").Qual(mp, "Info"), []jen.Code{jen.Return(jen.Id("info").Dot("Clone").Call())}},
	} {
		comment(f, "%s", x.doc)
		f.Add(e.self()).Id(x.name).Params(x.params...).Add(x.result).Block(x.body...)
		f.Line()
	}
	e.info(f)
}

// policyStep emits the generator's step on lines that it draws.
func (e *emitter) policyStep(f *jen.File, moved func(*jen.Group, string, bool)) {
	mp, pp := e.modelPkg(), e.path("policy")
	text := e.spec.GAN.Text
	m := func() *jen.Statement { return jen.Id("m") }
	batch := func() *jen.Statement { return jen.Id("b").Op("*").Qual(mp, "Batch") }
	worth := fmt.Sprintf("%d lines that it finishes behind the token", text.Rollouts)
	if text.Rewards == "tokens" {
		worth = "the token and those behind it"
	}
	less := ""
	switch text.Baseline {
	case "mean":
		less = ", less its mean over the batch"
	case "prefix":
		less = ", less what they say of the token before"
	}
	value := jen.Qual(pp, map[string]string{"odds": "Odds", "probability": "Probability"}[text.Value])
	comment(f, "PolicyStep makes one step of the generator on lines that it draws, as many as those of b: the gradient is that of −Σ reward·log p(token), where the reward is what the discriminator's verdicts say of %s%s. It gives that loss before the update and the norm of the gradient before clipping.", worth, less)
	e.lineStep(f, "Policy", func(x *jen.Group) {
		drawn(x, "policyLines")
		x.Id("n").Op(":=").Id("b").Dot("Steps").Op("*").Id("b").Dot("Batch")
		x.Id("d").Dot("Weights").Op("=").Add(m()).Dot("rewards").Index(jen.Empty(), jen.Id("n"))
		if text.Rewards == "tokens" {
			x.Qual(pp, "Returns").Call(jen.Id("d").Dot("Weights"), m().Dot("verdicts").Call(jen.Id("d")), jen.Lit(text.Discount), value, jen.Id("b").Dot("Batch"))
		} else {
			err := jen.Err().Op("=").Add(m()).Dot("lines").Dot("Rollouts").Call(jen.Id("d").Dot("Weights"), jen.Id("d").Dot("Targets"), jen.Lit(text.Rollouts), jen.Qual(mp, "Key").Call(m().Dot("seed"), jen.Id("rollouts"), jen.Uint64().Call(m().Dot("step"))), value, jen.Func().Params(jen.Id("verdicts").Index().Float32(), jen.Id("lines").Index().Int32()).Block(
				jen.Copy(jen.Id("verdicts"), m().Dot("verdicts").Call(jen.Op("&").Qual(mp, "Batch").Values(jen.Id("Steps").Op(":").Id("d").Dot("Steps"), jen.Id("Batch").Op(":").Id("d").Dot("Batch"), jen.Id("Targets").Op(":").Id("lines")))),
			))
			x.If(err, jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Lit(0), jen.Lit(0), jen.Err()))
		}
		switch text.Baseline {
		case "prefix":
			x.Qual(pp, "PrefixBaseline").Call(jen.Id("d").Dot("Weights"), jen.Id("b").Dot("Batch"))
		case "mean":
			x.Qual(pp, "Baseline").Call(jen.Id("d").Dot("Weights"), jen.Id("b").Dot("Batch"))
		}
		x.Id("loss").Op("=").Add(m()).Dot("lossAndGradients").Call(jen.Id("d"))
		moved(x, "loss", false)
	})
	comment(f, "The streams of random numbers of training.")
	streams := []jen.Code{jen.Id("discriminatorLines").Op("=").Iota().Op("+").Lit(1).Comment("lines that the discriminator learns from"), jen.Id("policyLines").Comment("lines that the generator learns from")}
	if text.Rewards != "tokens" {
		streams = append(streams, jen.Id("rollouts").Comment("and those that finish them"))
	}
	f.Const().Defs(streams...)
	f.Line()
	comment(f, "draw lets the generator write as many lines as b has: what it reads, and, as targets, what it writes. The seed, the stream and the step decide them.")
	f.Add(e.self()).Id("draw").Params(batch(), jen.Id("stream").Uint64()).Params(jen.Op("*").Qual(mp, "Batch"), jen.Error()).Block(
		jen.If(m().Dot("lines").Op("==").Nil().Op("||").Add(m()).Dot("lines").Dot("Batch").Call().Op("!=").Id("b").Dot("Batch")).Block(
			m().Dot("lines").Op("=").Qual(pp, "NewLines").Call(m().Dot("newDecoder").Call(jen.Id("b").Dot("Batch")), jen.Id("beginToken"), jen.Id("vocab"), jen.Lit(1)),
		),
		jen.List(jen.Id("n"), jen.Id("d")).Op(":=").List(jen.Id("b").Dot("Steps").Op("*").Id("b").Dot("Batch"), jen.Op("&").Add(m()).Dot("drawn")),
		jen.List(jen.Id("d").Dot("Steps"), jen.Id("d").Dot("Batch")).Op("=").List(jen.Id("b").Dot("Steps"), jen.Id("b").Dot("Batch")),
		jen.List(jen.Id("d").Dot("Tokens"), jen.Id("d").Dot("Targets"), jen.Id("d").Dot("Reset")).Op("=").List(jen.Id("d").Dot("Tokens").Index(jen.Empty(), jen.Id("n")), jen.Id("d").Dot("Targets").Index(jen.Empty(), jen.Id("n")), jen.Id("d").Dot("Reset").Index(jen.Empty(), jen.Id("n"))),
		jen.If(jen.Err().Op(":=").Add(m()).Dot("lines").Dot("Draw").Call(jen.Id("d").Dot("Targets"), jen.Qual(mp, "Key").Call(m().Dot("seed"), jen.Id("stream"), jen.Uint64().Call(m().Dot("step")))), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
		jen.Qual(pp, "Shift").Call(jen.Id("d").Dot("Tokens"), jen.Id("d").Dot("Targets"), jen.Id("beginToken"), jen.Id("b").Dot("Batch")),
		jen.Clear(jen.Id("d").Dot("Reset")),
		jen.For(jen.Id("i").Op(":=").Range().Id("b").Dot("Batch")).Block(jen.Id("d").Dot("Reset").Index(jen.Id("i")).Op("=").Lit(1)),
		jen.Return(jen.Id("d"), jen.Nil()),
	)
	f.Line()
}

// drawn emits the lines that the generator draws for a step, or the step's end.
func drawn(x *jen.Group, stream string) {
	x.List(jen.Id("d"), jen.Err()).Op(":=").Id("m").Dot("draw").Call(jen.Id("b"), jen.Id(stream))
	x.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Lit(0), jen.Lit(0), jen.Err()))
}

// lineStep emits the method that makes a step on lines, NAMEStep, below its comment, and the one that it and TrainStep call.
func (e *emitter) lineStep(f *jen.File, name string, body func(x *jen.Group)) {
	params := func() *jen.Statement {
		return jen.Params(jen.Id("b").Op("*").Qual(e.modelPkg(), "Batch"), jen.Id("rate").Float64()).Add(lossNormError())
	}
	f.Add(e.self()).Id(name + "Step").Add(params()).BlockFunc(func(x *jen.Group) {
		add(x, e.enter(name+"Step", e.checked(), "number", "number"))
		x.Return(jen.Id("m").Dot("step"+name).Call(jen.Id("b"), jen.Id("rate")))
	})
	f.Line()
	comment(f, "step%s is %sStep of a batch that has been checked.", name, name)
	f.Add(e.self()).Id("step" + name).Add(params()).BlockFunc(body)
	f.Line()
}

// pools reports whether the discriminator has one verdict a line.
func (e *emitter) pools() bool {
	for _, l := range e.spec.GAN.Discriminator {
		if _, ok := l.(*spec.MaxPool); ok {
			return true
		}
	}
	return false
}

// judge emits how lines are judged.
func (e *emitter) judge(f *jen.File, judge *writer) {
	mp := e.modelPkg()
	m := func() *jen.Statement { return jen.Id("m") }
	batch := func() *jen.Statement { return jen.Id("b").Op("*").Qual(mp, "Batch") }
	verdict := e.outputOf(judge, "verdict")
	shape, count := "[batch]", jen.Code(jen.Id("b").Dot("Batch"))
	if !e.pools() {
		shape, count = "[steps, batch], each on a line up to there", jen.Id("b").Dot("Steps").Op("*").Id("b").Dot("Batch")
	}
	comment(f, "Judge judges the lines of b.Targets [steps, batch]: a number for each, into verdicts [batch], that is high where the discriminator takes it for one of the text.")
	f.Add(e.self()).Id("Judge").Params(jen.Id("verdicts").Index().Float32(), batch()).Error().BlockFunc(func(x *jen.Group) {
		fault := e.first(jen.Id("b").Dot("CheckLines").Call(jen.Id("maxSteps"), jen.Id("maxBatch"), jen.Id("vocab")), jen.Qual(mp, "CheckRoom").Call(jen.Lit("verdicts"), jen.Id("verdicts"), jen.Id("b").Dot("Batch"), jen.Lit(1)))
		x.If(jen.Err().Op(":=").Id("m").Dot("guard").Dot("Enter").Call(jen.Id("info").Dot("Name"), jen.Lit("Judge"), fault), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err()))
		x.Defer().Id("m").Dot("guard").Dot("Leave").Call()
		if e.pools() {
			x.Copy(jen.Id("verdicts"), m().Dot("verdicts").Call(jen.Id("b")))
			x.Return(jen.Nil())
			return
		}
		x.Id("all").Op(":=").Add(m()).Dot("verdicts").Call(jen.Id("b"))
		x.For(jen.Id("i").Op(":=").Range().Id("b").Dot("Batch")).Block(
			jen.Id("sum").Op(":=").Lit(0.0).Comment("the mean of the verdicts on its tokens"),
			jen.For(jen.Id("t").Op(":=").Range().Id("b").Dot("Steps")).Block(jen.Id("sum").Op("+=").Float64().Call(jen.Id("all").Index(jen.Id("t").Op("*").Id("b").Dot("Batch").Op("+").Id("i")))),
			jen.Id("verdicts").Index(jen.Id("i")).Op("=").Float32().Call(jen.Id("sum").Op("/").Float64().Call(jen.Id("b").Dot("Steps"))),
		)
		x.Return(jen.Nil())
	})
	f.Line()
	comment(f, "verdicts are those on the lines of b.Targets, %s. The slice is overwritten by the next call.", shape)
	f.Add(e.self()).Id("verdicts").Params(batch()).Index().Float32().Block(
		jen.If(verdict.Clone().Op("==").Nil()).Block(m().Dot("judging").Op("=").Id("newJudgeActs").Call()),
		m().Dot("judge").Call(jen.Id("b")),
		jen.Return(verdict.Clone().Index(jen.Empty(), count)),
	)
	f.Line()
	e.passes(f, judge, 0, "judge", "judge judges the lines of b.Targets.")
}

func (e *emitter) imitationTests(f *jen.File) {
	mt := e.path("modeltest")
	fn, typ := "ImitationGradients", "Imitation"
	if e.relaxes() && !e.spec.GAN.Text.Hard { // where tokens are not relaxed the gradient is not that of the loss
		fn, typ = "RelaxedGradients", "Relaxers"
	}
	for _, t := range []struct{ name, fn, typ, doc string }{
		{"TestGradients", fn, typ, "The gradients of both networks agree with finite differences of their losses."},
		{"TestDeterminism", "ImitationDeterminism", "Imitation", "Two trainings from one seed give the same bits, on one thread and on two."},
		{"TestAllocations", "ImitationAllocations", "Imitation", "A training step allocates nothing, whatever network moves."},
		{"TestFaults", "Faults", "Imitation", faultsDoc},
		{"TestSamples", "ImitationSamples", "Sampler", "Lines do not depend on how many are asked for at once."},
		{"TestDecoder", "Decoding", "Model", "The decoder gives the same logits, step by step, as the forward pass over whole lines."},
	} {
		comment(f, "%s", t.doc)
		f.Func().Id(t.name).Params(jen.Id("t").Op("*").Qual("testing", "T")).Block(
			jen.Qual(mt, t.fn).Call(jen.Id("t"), jen.Func().Params(jen.Id("seed").Uint64()).Qual(mt, t.typ).Block(jen.Return(jen.Id("NewSeeded").Call(jen.Id("seed"))))))
		f.Line()
	}
}
