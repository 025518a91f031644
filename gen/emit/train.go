package emit

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func (e *emitter) dropout() bool {
	found := false
	for _, g := range e.Model.Trained() {
		g.Walk(func(g *graph.Graph) {
			for _, n := range g.Nodes {
				found = found || n.Op == op.Dropout || n.Attrs.Float("rate") > 0
			}
		})
	}
	return found
}

// noise reports whether a graph of the model draws noise, and whether it does so in a loop.
func (e *emitter) noise() (drawn, indexed bool) {
	e.eachOperand(func(a graph.Operand) {
		if k, ok := a.(graph.NoiseKey); ok {
			drawn, indexed = true, indexed || k.Index != nil
		}
	})
	return drawn, indexed
}

// inTraining reports whether a call has a number that is 0 outside of training.
func (e *emitter) inTraining() bool {
	found := false
	e.eachOperand(func(a graph.Operand) {
		switch a.(type) {
		case graph.InTraining, graph.InTraining32:
			found = true
		}
	})
	return found
}

// eachOperand calls do for the arguments of all calls in the graphs of the model.
func (e *emitter) eachOperand(do func(graph.Operand)) {
	for _, g := range e.Model.Graphs() {
		g.Walk(func(g *graph.Graph) {
			for _, n := range g.Nodes {
				if n.Op.Emit == nil || n.Loop != nil {
					continue
				}
				for _, c := range n.Op.Emit(n) {
					for _, a := range c.Args {
						do(a)
					}
				}
			}
		})
	}
}

// randomHelpers emits what the graphs of training refer to where something is drawn.
func (e *emitter) randomHelpers(f *jen.File) {
	self := func() *jen.Statement { return jen.Func().Params(jen.Id("m").Op("*").Id("Model")) }
	key := func(args ...jen.Code) jen.Code {
		done := jen.Id("m").Dot("train").Dot("Made").Call()
		if e.Model.Random.Steps {
			done = jen.Id("m").Dot("train").Dot("Count")
		}
		all := []jen.Code{jen.Id("m").Dot("train").Dot("Seed").Call(jen.Id("m").Dot("seed")), jen.Uint64().Call(done)}
		for _, a := range args {
			all = append(all, jen.Uint64().Call(a))
		}
		return jen.Return(jen.Qual(e.modelPkg(), "Key").Call(all...))
	}
	if e.dropout() {
		comment(f, "dropRate is rate in a training step, and 0 elsewhere.")
		f.Add(self()).Id("dropRate").Params(jen.Id("rate").Float32()).Float32().Block(
			jen.If(jen.Id("m").Dot("training")).Block(jen.Return(jen.Id("rate"))),
			jen.Return(jen.Lit(0)),
		)
		f.Line()
		comment(f, "dropKey is the key of a dropout mask: another one for each place in the model, each layer of a "+
			"stack and each %s.", e.Model.Random.Each)
		f.Add(self()).Id("dropKey").Params(jen.List(jen.Id("place"),
			jen.Id("layer")).Int()).Uint64().Block(key(jen.Id("place"), jen.Id("layer")))
		f.Line()
	}
	if e.inTraining() {
		comment(f, "inTraining is x in a training step, and 0 elsewhere.")
		f.Add(self()).Id("inTraining").Params(jen.Id("x").Float64()).Float64().Block(
			jen.If(jen.Id("m").Dot("training")).Block(jen.Return(jen.Id("x"))),
			jen.Return(jen.Lit(0)),
		)
		f.Line()
	}
	switch drawn, indexed := e.noise(); {
	case indexed:
		comment(f, "noiseKey is the key of the noise of a sample: another one for each place in the model, each "+
			"iteration of the loop around it and each %s.", e.Model.Random.Each)
		f.Add(self()).Id("noiseKey").Params(jen.List(jen.Id("place"),
			jen.Id("i")).Int()).Uint64().Block(key(jen.Id("place"), jen.Id("i")))
		f.Line()
	case drawn:
		comment(f, "noiseKey is the key of the noise of a sample: another one for each place in the model and each %s.",
			e.Model.Random.Each)
		f.Add(self()).Id("noiseKey").Params(jen.Id("place").Int()).Uint64().Block(key(jen.Id("place")))
		f.Line()
	}
}

func (e *emitter) batch() *jen.Statement { return jen.Id("b").Op("*").Qual(e.modelPkg(), "Batch") }

// train emits the steps of training, the methods that compute what they need, and what the runtime asks of a model.
func (e *emitter) train(f *jen.File) {
	mp := e.modelPkg()
	m := func() *jen.Statement { return jen.Id("m") }
	stepped := func() *jen.Statement {
		return jen.Params(jen.List(jen.Id("loss"), jen.Id("norm")).Float64(), jen.Err().Error())
	}
	stays := " If either is not finite, that is an error (*model.NotFinite), and the parameters stay as they were."
	rows := func() *jen.Statement { return m().Dot("train").Dot("Rows").Call(jen.Id("maxBatch")) }
	most := e.checkedUpTo(rows())
	for _, s := range e.Model.Steps {
		if s.Times != "" {
			most = e.checkedUpTo(jen.Id(s.Times).Op("*").Add(rows()))
		}
	}
	comment(f, "TrainStep %s%s", e.Model.TrainDoc, stays)
	f.Add(e.self()).Id("TrainStep").Params(e.batch(),
		jen.Id("rate").Float64()).Add(stepped()).BlockFunc(func(g *jen.Group) {
		add(g, e.enter("TrainStep", most, "number", "number"))
		g.Return(m().Dot("train").Dot("TrainStep").Call(jen.Id("b"), jen.Id("rate")))
	})
	f.Line()
	if e.Model.Steps[0].Kind != "" {
		var kinds []string
		for _, s := range e.Model.Steps {
			kinds = append(kinds, strconv.Quote(s.Kind))
		}
		last := len(kinds) - 1
		comment(f, "StepOf makes one step of a kind, %s or %s, whatever its turn, at a rate of its own. It gives the "+
			"mean loss before the update and the norm of the gradient before clipping.%s",
			strings.Join(kinds[:last], ", "), kinds[last], stays)
		f.Add(e.self()).Id("StepOf").Params(jen.Id("kind").String(), e.batch(),
			jen.Id("rate").Float64()).Add(stepped()).BlockFunc(func(g *jen.Group) {
			add(g, e.enter("StepOf", e.checkedUpTo(rows()), "number", "number"))
			g.Return(m().Dot("train").Dot("StepOf").Call(jen.Id("kind"), jen.Id("b"), jen.Id("rate")))
		})
		f.Line()
	}
	e.asked(f, stays, stepped)
	if e.spec.Latent != nil {
		e.annealing(f)
	}
	done := map[string]bool{}
	for _, s := range e.Model.Steps {
		if !done[s.Method] {
			done[s.Method] = true
			e.gradients(f, s)
			e.outputs(f, s.Run)
		}
	}
	for _, s := range e.Model.Steps {
		e.reads(f, s)
	}
	e.draws(f)

	comment(f, "Loss %s", e.Model.LossDoc)
	f.Add(e.self()).Id("Loss").Params(e.batch()).Params(jen.Id("loss").Float64(),
		jen.Err().Error()).BlockFunc(func(g *jen.Group) {
		s := e.Model.Steps[0]
		add(g, e.enter("Loss", e.checked(), "number"))
		if slices.Contains(e.scalars(), "klWeight") {
			g.Add(m()).Dot("klWeight").Op("=").Lit(1)
		}
		if s.Source == build.Noise {
			g.Id("d").Op(":=").Add(m()).Dot("draw").Call(jen.Id("b"), jen.Id(s.Kind+"Noise"), jen.Lit(0))
			g.Add(m()).Dot(phaseName(s.Run, "forward")).Call(jen.Id("d"))
			g.Return(e.lossCall(s.Run, false, jen.Id("d")), jen.Nil())
			return
		}
		g.Add(m()).Dot(phaseName(s.Run, "forward")).Call(jen.Id("b"))
		if e.spec.Latent != nil {
			g.Id("loss").Op("=").Add(e.lossCall(s.Run, false, jen.Id("b")))
			g.Add(m()).Dot("measure").Call(jen.Id("b"))
			g.Return(jen.Id("loss"), jen.Nil())
			return
		}
		g.Return(e.lossCall(s.Run, false, jen.Id("b")), jen.Nil())
	})
	f.Line()
	if e.spec.Vectors == nil {
		carries := ""
		if e.carries() && !e.ofText() {
			carries = ", and carries the state on"
		}
		e.logits(f, carries)
	}
	e.check(f)
	e.entry(f)
	if e.duels() {
		comment(f, "Duel tells how the last step of each network went.")
		f.Add(e.self()).Id("Duel").Params().Op("*").Qual(mp, "Duel").Block(jen.Return(jen.Op("&").Add(m()).Dot("duel")))
		f.Line()
	}
	comment(f, "Step is the number of training steps done.")
	f.Add(e.self()).Id("Step").Params().Int().Block(jen.Return(m().Dot("train").Dot("Count")))
	f.Line()
	comment(f, "SetStep is for a training that goes on from a checkpoint.")
	f.Add(e.self()).Id("SetStep").Params(jen.Id("step").Int()).Block(m().Dot("allocate").Call(),
		m().Dot("train").Dot("SetCount").Call(jen.Id("step")))
	f.Line()
	if e.carries() {
		comment(f, "State is the state that is carried from one window to the next.")
		f.Add(e.self()).Id("State").Params().Index().Float32().Block(m().Dot("allocate").Call(),
			jen.Return(m().Dot("train").Dot("Carried").Call()))
	} else {
		comment(f, "State is nothing: no state is carried from one step to the next.")
		f.Add(e.self()).Id("State").Params().Index().Float32().Block(jen.Return(jen.Nil()))
	}
	f.Line()
	comment(f, "Training gives the steps of a training, into which the training's loop looks.")
	f.Add(e.self()).Id("Training").Params().Op("*").Qual(e.path("schedule"), "Training").Block(
		m().Dot("allocate").Call(), jen.Return(jen.Op("&").Add(m()).Dot("train")))
	f.Line()
	comment(f, "Slots lists the arrays of the optimizer, or of those of each part.")
	f.Add(e.self()).Id("Slots").Params().Index().Qual(mp, "Slot").Block(m().Dot("allocate").Call(),
		jen.Return(m().Dot("train").Dot("Slots").Call()))
	f.Line()
	comment(f, "Tune says which parameters training steps move, and how fast, before the first of them. What does not "+
		"move has no memory of the optimizer.")
	f.Add(e.self()).Id("Tune").Params(jen.Id("by").Qual(mp, "Tuning")).Error().Block(m().Dot("allocate").Call(),
		jen.Return(m().Dot("train").Dot("Tune").Call(jen.Id("by"))))
	f.Line()
	comment(f, "%s", infoDoc)
	f.Add(e.self()).Id("Info").Params().Op("*").Qual(mp, "Info").Block(jen.Return(jen.Id("info").Dot("Clone").Call()))
	f.Line()
	e.randomHelpers(f)
	e.info(f)
}

// asked emits the step that is made when it is asked for: that of an encoder alone (He et al. 2019).
func (e *emitter) asked(f *jen.File, stays string, stepped func() *jen.Statement) {
	for _, s := range e.Model.Steps {
		if !s.Asked {
			continue
		}
		train := func() *jen.Statement { return jen.Id("m").Dot("train") }
		comment(f, "EncoderStep makes one update of the parameters of the encoder, the heads of the latent vector "+
			"included, on a %s, at the given rate; the decoder's stay as they are. It gives the mean loss in nats a "+
			"%s before the update and the norm of the encoder's gradient before clipping.%s", e.Model.Material(),
			e.Model.Unit(), stays)
		f.Add(e.self()).Id("EncoderStep").Params(e.batch(),
			jen.Id("rate").Float64()).Add(stepped()).BlockFunc(func(g *jen.Group) {
			add(g, e.enter("EncoderStep", e.checkedUpTo(train().Dot("Rows").Call(jen.Id("maxBatch"))), "number",
				"number"))
			g.Return(train().Dot("StepOf").Call(jen.Lit(s.Kind), jen.Id("b"), jen.Id("rate")))
		})
		f.Line()
		comment(f, "EncoderSteps is the number of updates that the encoder has had alone.")
		f.Add(e.self()).Id("EncoderSteps").Params().Int().Block(jen.Return(train().Dot("MadeOf").Call(jen.Lit(s.Kind))))
		f.Line()
		comment(f, "SetEncoderSteps is for a training that goes on from a checkpoint.")
		f.Add(e.self()).Id("SetEncoderSteps").Params(jen.Id("n").Int()).Block(jen.Id("m").Dot("allocate").Call(),
			train().Dot("SetMadeOf").Call(jen.Lit(s.Kind), jen.Id("n")))
		f.Line()
	}
}

// gradientsName is the method that a step's Method calls when it has checked its batch, and readsName the one that
// gives what it reads in its turn.
func gradientsName(s *build.Step) string {
	if s.Method == "Gradients" {
		return "lossAndGradients"
	}
	return lowerFirst(s.Method)
}

func readsName(s *build.Step) string { return s.Kind + "Reads" }

// gradients emits the method that computes the loss and the gradient of a batch.
func (e *emitter) gradients(f *jen.File, s *build.Step) {
	m := func() *jen.Statement { return jen.Id("m") }
	comment(f, "%s %s", s.Method, s.Doc)
	result := func() *jen.Statement { return jen.Params(jen.Id("loss").Float64(), jen.Err().Error()) }
	f.Add(e.self()).Id(s.Method).Params(e.batch()).Add(result()).BlockFunc(func(g *jen.Group) {
		add(g, e.enter(s.Method, e.fault(s), "number"))
		g.Return(m().Dot(gradientsName(s)).Call(jen.Id("b")))
	})
	f.Line()
	comment(f, "%s is %s of a batch that has been checked.", gradientsName(s), s.Method)
	f.Add(e.self()).Id(gradientsName(s)).Params(e.batch()).Add(result()).BlockFunc(func(g *jen.Group) {
		g.Add(m()).Dot("training").Op("=").True()
		if slices.Contains(e.scalars(), "klWeight") {
			g.Add(m()).Dot("klWeight").Op("=").Add(e.weight())
		}
		g.Add(m()).Dot(phaseName(s.Run, "forward")).Call(jen.Id("b"))
		g.Id("loss").Op("=").Add(e.lossCall(s.Run, true, jen.Id("b")))
		outputs := jen.Func().Params().Index().Qual(e.modelPkg(),
			"Output").Block(jen.Return(m().Dot(outputsName(s.Run)).Call(jen.Id("b"))))
		g.If(jen.Err().Op("=").Qual(e.modelPkg(), "CheckLoss").Call(jen.Id("loss"), outputs),
			jen.Err().Op("==").Nil()).Block(
			m().Dot(phaseName(s.Run, "backward")).Call(jen.Id("b")))
		if s.Judges {
			e.judged(g, s)
		}
		if e.spec.Latent != nil {
			g.Add(m()).Dot("measure").Call(jen.Id("b"))
		}
		g.Add(m()).Dot("training").Op("=").False()
		g.Return(jen.Id("loss"), jen.Err())
	})
	f.Line()
}

// fault is the check of a batch of which a step computes gradients.
func (e *emitter) fault(s *build.Step) jen.Code {
	g, b := s.Run.Graph, jen.Id("b")
	window := []jen.Code{jen.Id("maxSteps"), jen.Id("maxBatch"), jen.Id("vocab")}
	switch {
	case s.Source == build.Noise:
		fits := e.checked()
		if !g.Reads("vectors") {
			fits = e.first(b.Clone().Dot("CheckVectors").Call(jen.Id("maxBatch"), jen.Lit(0)),
				e.labelFaults(b.Clone().Dot("Labels"), b.Clone().Dot("Batch"))...)
		}
		return e.first(fits, b.Clone().Dot("CheckNoise").Call(jen.Id("noiseSize"), jen.Lit(g.Reads("mix"))))
	case g.Reads("made"):
		return b.Clone().Dot("CheckMade").Call(window...)
	case e.ofText() && !g.Reads("tokens"):
		return b.Clone().Dot("CheckLines").Call(window...)
	}
	return e.checked()
}

// judged emits how the verdicts of a step are told.
func (e *emitter) judged(g *jen.Group, s *build.Step) {
	verdicts := jen.Code(jen.Id("b").Dot("Batch"))
	if v := s.Run.Graph.Find("real"); len(v.Shape) > 2 { // one for each token
		verdicts = jen.Id("b").Dot("Steps").Op("*").Id("b").Dot("Batch")
	}
	n := func(target string) jen.Code {
		return e.outputOf(e.runs[s.Run], target).Index(jen.Empty(), verdicts)
	}
	g.Id("m").Dot("duel").Dot("Judged").Call(n("real"), n("fake"), jen.Id("info").Dot("Adversary"))
}

// reads emits the method that gives what a step reads in its turn, where that is more than the batch.
func (e *emitter) reads(f *jen.File, s *build.Step) {
	if s.Step == "" {
		return
	}
	m := func() *jen.Statement { return jen.Id("m") }
	comment(f, "%s gives what a step of kind %s reads. The step %s", readsName(s), s.Kind, s.Step)
	f.Add(e.self()).Id(readsName(s)).Params(e.batch()).Params(jen.Op("*").Qual(e.modelPkg(), "Batch"),
		jen.Error()).BlockFunc(func(g *jen.Group) {
		reads := jen.Id("b")
		switch s.Source {
		case build.Noise:
			reads = m().Dot("draw").Call(jen.Id("b"), jen.Id(s.Kind+"Noise"),
				m().Dot("train").Dot("MadeOf").Call(jen.Lit(s.Kind)))
		case build.Lines:
			e.drawn(g, "discriminatorLines")
			g.Add(m()).Dot("judged").Op("=").Op("*").Id("b")
			g.Add(m()).Dot("judged").Dot("Made").Op("=").Id("d").Dot("Targets")
			reads = jen.Op("&").Add(m()).Dot("judged")
		case build.Rewards:
			e.drawn(g, "policyLines")
			e.rewards(g)
			reads = jen.Id("d")
		case build.Relaxed:
			g.Add(m()).Dot("cool").Call()
		}
		g.Return(reads, jen.Nil())
	})
	f.Line()
}

// check emits the check of a batch.
func (e *emitter) check(f *jen.File) {
	s, b := e.spec, jen.Id("b")
	most := jen.Id("most")
	doc := "check reports what of b does not fit the model, which takes up to most sequences at once."
	check := "Check"
	if s.Kind == "attention" || s.Latent != nil {
		check = "CheckPadded"
	}
	all := []jen.Code{b.Clone().Dot(check).Call(jen.Id("maxSteps"), most, jen.Id("vocab"))}
	if s.Vectors != nil {
		doc = "check reports what of b does not fit the model, which takes up to most vectors at once."
		all = []jen.Code{b.Clone().Dot("CheckVectors").Call(most, jen.Id("vectorSize"))}
	}
	if s.Source != nil {
		all = append(all, b.Clone().Dot("CheckSource").Call(jen.Id("maxSourceSteps"), e.sourceVocab()))
	}
	if e.conditional() {
		all = append(all, e.checkLabels(b.Clone().Dot("Labels"), b.Clone().Dot("Batch")))
	}
	comment(f, "%s", doc)
	f.Func().Id("check").Params(e.batch(), most.Clone().Int()).Error().BlockFunc(func(g *jen.Group) {
		checks(g, all...)
	})
	f.Line()
}

// logits emits what tests and commands look at between text and loss.
func (e *emitter) logits(f *jen.File, carries string) {
	what, mp := "of what follows each token of b", e.modelPkg()
	forward := []jen.Code{jen.Id("m").Dot("forward").Call(jen.Id("b"))}
	switch {
	case e.Model.Masked():
		what = "of what each token of b is"
	case e.spec.Latent != nil:
		what += ", from the means of the latent vectors"
		forward = []jen.Code{
			jen.Id("m").Dot("encode").Call(jen.Id("b")),
			jen.Copy(e.output(build.SampleTarget, "m"), e.output(build.MeanTarget, "m")),
			jen.Id("m").Dot("decode").Call(jen.Id("b")),
		}
	}
	comment(f, "Logits gives the logits [steps, batch, vocab] %s, without dropout%s. The slice is overwritten by the "+
		"next call.", what, carries)
	f.Add(e.self()).Id("Logits").Params(jen.Id("b").Op("*").Qual(mp, "Batch")).Params(jen.Index().Float32(),
		jen.Error()).BlockFunc(func(g *jen.Group) {
		add(g, e.enter("Logits", e.checked(), "slice"))
		add(g, forward)
		g.Return(jen.Id("m").Dot("acts").Dot("logits").Index(jen.Empty(),
			jen.Id("b").Dot("Steps").Op("*").Id("b").Dot("Batch").Op("*").Id("vocab")), jen.Nil())
	})
	f.Line()
	x := e.Model.Train.Find("hidden")
	if x == nil {
		return
	}
	width := x.Shape[len(x.Shape)-1]
	comment(f, "Hidden gives what the logits of each token of b are made from, [steps, batch, %s], without dropout: a "+
		"representation of the token in its text. The slice is overwritten by the next call.", strconv.Itoa(width.N))
	f.Add(e.self()).Id("Hidden").Params(jen.Id("b").Op("*").Qual(mp, "Batch")).Params(jen.Index().Float32(),
		jen.Error()).BlockFunc(func(g *jen.Group) {
		add(g, e.enter("Hidden", e.checked(), "slice"))
		add(g, forward)
		g.Return(e.output("hidden", "m").Index(jen.Empty(),
			jen.Id("b").Dot("Steps").Op("*").Id("b").Dot("Batch").Op("*").Add(e.product(width))), jen.Nil())
	})
	f.Line()
}

// infoDoc is the comment on Info.
const infoDoc = "Info tells what the model is. It is a copy."

// checked is the check of a batch b, checkedUpTo that of up to so many rows.
func (e *emitter) checked() jen.Code { return e.checkedUpTo(jen.Id("maxBatch")) }

func (e *emitter) checkedUpTo(most jen.Code) jen.Code { return jen.Id("check").Call(jen.Id("b"), most) }

// sourceVocab is the number of tokens of the source.
func (e *emitter) sourceVocab() jen.Code { return jen.Lit(e.spec.Source.Tokenizer.Vocab) }

// checks emits checks one behind the other, as the body of a function that returns the first fault.
func checks(g *jen.Group, all ...jen.Code) {
	for _, c := range all[:len(all)-1] {
		g.If(jen.Err().Op(":=").Add(c), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err()))
	}
	g.Return(all[len(all)-1])
}

// add adds statements to a block.
func add(g *jen.Group, body []jen.Code) {
	for _, c := range body {
		g.Add(c)
	}
}

func (e *emitter) info(f *jen.File) {
	s, r, mp := e.spec, e.Report, e.modelPkg()
	var masking jen.Code
	if k := s.Masking; k != nil {
		masking = jen.Op("&").Qual(mp, "Masking").Values(jen.Id("Share").Op(":").Lit(k.Share),
			jen.Id("Mask").Op(":").Lit(k.Mask), jen.Id("Random").Op(":").Lit(k.Random),
			jen.Id("Token").Op(":").Lit(s.Tokenizer.Special(spec.MaskToken)))
	}
	var source jen.Code
	if k := s.Source; k != nil {
		source = jen.Op("&").Qual(mp, "Source").Values(jen.Id("Steps").Op(":").Id("maxSourceSteps"),
			jen.Id("Vocab").Op(":").Lit(k.Tokenizer.Vocab),
			jen.Id("End").Op(":").Lit(k.Tokenizer.Special(spec.EndToken)),
			jen.Id("AnswerBegin").Op(":").Lit(s.Tokenizer.Special(spec.BeginToken)),
			jen.Id("AnswerEnd").Op(":").Lit(s.Tokenizer.Special(spec.EndToken)))
	}
	var vector, latent, adversary, labels, vocab, steps jen.Code = nil, nil, nil, nil, jen.Id("vocab"),
		jen.Id("maxSteps")
	if e.conditional() {
		labels = jen.Id("labelCount")
	}
	if s.Vectors != nil {
		vocab, steps, vector = nil, jen.Lit(1), e.vector()
	}
	if s.GAN != nil {
		adversary = e.adversary()
	}
	if k := s.Latent; k != nil {
		values := []jen.Code{jen.Id("Width").Op(":").Id("latentSize"), jen.Id("Beta").Op(":").Id("beta")}
		if end := k.Annealing.End(); end > 0 {
			values = append(values, jen.Id("Annealed").Op(":").Lit(end))
		}
		if f := k.EncoderFirst; f.Steps > 0 {
			values = append(values,
				jen.Id("EncoderFirst").Op(":").Op("&").Qual(mp,
					"EncoderFirst").Values(jen.Id("Steps").Op(":").Lit(f.Steps), jen.Id("Check").Op(":").Lit(f.Check)))
		}
		latent = jen.Op("&").Qual(mp, "Latent").Values(values...)
	}
	fields := func(kv ...any) []jen.Code {
		var out []jen.Code
		for i := 0; i < len(kv); i += 2 {
			if kv[i+1] == nil || kv[i+1] == 0 || kv[i+1] == 0.0 || kv[i+1] == "" {
				continue
			}
			var v jen.Code
			switch x := kv[i+1].(type) {
			case jen.Code:
				v = x
			default:
				v = jen.Lit(x)
			}
			out = append(out, jen.Line().Id(kv[i].(string)).Op(":").Add(v))
		}
		return append(out, jen.Line())
	}
	var layers []jen.Code
	for _, row := range r.Rows {
		values := []jen.Code{jen.Id("Name").Op(":").Lit(row.Name), jen.Id("Kind").Op(":").Lit(row.Kind),
			jen.Id("Output").Op(":").Lit(row.Output), jen.Id("Params").Op(":").Lit(row.Params),
			jen.Id("Flops").Op(":").Lit(row.Flops)}
		if row.Line > 0 {
			values = append(values, jen.Id("Line").Op(":").Lit(row.Line))
		}
		layers = append(layers, jen.Line().Values(values...))
	}
	layers = append(layers, jen.Line())
	t, sc, smoothing := s.Train, s.Schedule, 0.0
	if s.GAN == nil {
		smoothing = s.Loss.LabelSmoothing
	}
	drop := t.Drop
	if s.Labels != nil {
		drop = s.Labels.Drop
	}
	var adapter jen.Code
	if a := s.Adapter; a != nil {
		adapter = jen.Op("&").Qual(mp, "Adapter").Values(jen.Id("Rank").Op(":").Id("adapterRank"),
			jen.Id("Alpha").Op(":").Lit(a.Alpha))
	}
	var taps jen.Code
	if s.Taps {
		taps = jen.True()
	}
	accumulate := t.Accumulate
	if accumulate == 1 {
		accumulate = 0 // which says the same
	}
	comment(f, "info holds what commands and checkpoints ask of a model.")
	f.Var().Id("info").Op("=").Qual(mp, "Info").Values(fields(
		"Name", s.Name, "Kind", s.Kind, "Description", s.Description, "Spec", s.File,
		"SpecDigest", s.Digest, "Architecture", s.Architecture(),
		"Vocab", vocab, "Batch", jen.Id("maxBatch"), "Steps", steps, "Seed", jen.Id("defaultSeed"),
		"Weights", s.Decode.Weights,
		"Params", jen.Id("paramCount"), "TrainBytes", r.TrainBytes, "TrainFlops", r.TrainFlops, "DecodeBytes",
		r.DecodeBytes,
		"Prefix", e.Model.Prefix(), "Masking", masking, "Source", source, "Vector", vector, "Labels", labels, "Latent",
		latent, "Adversary", adversary, "Adapter", adapter, "Taps", taps,
		"Layers", jen.Index().Qual(mp, "Layer").Values(layers...), "Lines", e.lines(),
		"Training", jen.Qual(mp, "Training").Values(fields(
			"Rate", s.Optimizer.Rate, "Schedule", sc.Kind, "Warmup", sc.Warmup, "Every", sc.Every, "Factor", sc.Factor,
			"Floor", sc.Floor, "Fall", sc.Share, "Shape", sc.Shape, "Wait", sc.Patience, "Threshold", sc.Threshold,
			"Passes", t.Passes, "Steps", t.Steps, "Validation", t.Validation, "EvalEvery", t.EvalEvery, "SaveEvery",
			t.SaveEvery, "Accumulate", accumulate, "Patience", t.Patience, "Average", s.EMA, "Guard", e.guarding(),
			"Separator", t.Separator, "Condition", t.Condition, "Drop", drop,
			"Smoothing", smoothing, "Sampling", t.Sampling, "Rise", t.Rise)...),
	)...)
}

// lines are where keys stand in the spec that a training depends on.
func (e *emitter) lines() jen.Code {
	s := e.spec
	at := map[string]spec.Pos{"optimizer": s.Optimizer.Pos, "schedule": s.Schedule.Pos, "clip": s.Clip.Pos,
		"loss": s.Loss.Pos, "train": s.Train.Pos}
	if s.Latent != nil {
		at["latent"] = s.Latent.Pos
	}
	if g := s.GAN; g != nil {
		at["discriminator"] = g.Discriminator[0].LayerPos()
		at["discriminator_optimizer"] = g.Optimizer.Pos
	}
	values := jen.Dict{}
	for key, p := range at {
		if p.Line > 0 && p != s.Pos { // where the spec does not have it
			values[jen.Lit(key)] = jen.Lit(p.Line)
		}
	}
	if len(values) == 0 {
		return nil
	}
	return jen.Map(jen.String()).Int().Values(values)
}

// guarding is what a training does about steps that would do harm, where that is not what it does by itself.
func (e *emitter) guarding() jen.Code {
	g := e.spec.Train.Guard
	if g.Kind == "none" {
		return jen.Qual(e.modelPkg(), "Guarding").Values(jen.Id("Off").Op(":").True())
	}
	var values []jen.Code
	set := func(name string, value, usual any) {
		if value != usual {
			values = append(values, jen.Id(name).Op(":").Lit(value))
		}
	}
	// 0 stands for what is usual.
	count := func(n int) int {
		if n == 0 {
			return -1
		}
		return n
	}
	if g.Kind == "norm" {
		set("Times", g.Times, 0.0)
		set("Window", g.Window, 100)
	}
	set("Skips", g.Skips, 3)
	set("Factor", g.Factor, 0.5)
	set("Lowerings", count(g.Lowerings), 2)
	set("Returns", count(g.Returns), 3)
	if len(values) == 0 {
		return nil
	}
	return jen.Qual(e.modelPkg(), "Guarding").Values(values...)
}

// vector says what vectors the model takes: those that its likelihood is for, or that the last activation of a
// generator can give.
func (e *emitter) vector() jen.Code {
	s := e.spec
	low, high, bounded := 0, 0, false
	values := []jen.Code{jen.Id("Width").Op(":").Id("vectorSize")}
	switch {
	case s.Likelihood != nil && s.Likelihood.Kind == "bernoulli":
		high, bounded = 1, true
	case s.Likelihood != nil:
		values = append(values, jen.Id("Deviation").Op(":").Lit(s.Likelihood.Deviation))
	default:
		last, _ := s.Layers[len(s.Layers)-1].(*spec.Dense)
		if last == nil { // a formula says nothing of its range
			last = &spec.Dense{}
		}
		var from, to float64
		from, to, bounded = spec.Range(last.Activation)
		low, high = int(from), int(to)
	}
	if bounded {
		values = append(values, jen.Id("Bounded").Op(":").True())
		if low != 0 {
			values = append(values, jen.Id("Low").Op(":").Lit(low))
		}
		values = append(values, jen.Id("High").Op(":").Lit(high))
	}
	return jen.Op("&").Qual(e.modelPkg(), "Vector").Values(values...)
}
