package emit

import (
	"math"
	"slices"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

// optimizer is the type of package optim and the arguments of its constructor.
type optimizer struct {
	typ  string
	args []jen.Code
}

func newOptimizer(o *spec.Optimizer) optimizer {
	lit := func(xs ...float64) []jen.Code {
		var r []jen.Code
		for _, x := range xs {
			r = append(r, jen.Lit(x))
		}
		return r
	}
	switch o.Kind {
	case "sgd":
		return optimizer{"SGD", append(lit(0), jen.False(), jen.Lit(o.WeightDecay))}
	case "momentum":
		return optimizer{"SGD", append(lit(o.Momentum), jen.False(), jen.Lit(o.WeightDecay))}
	case "nesterov":
		return optimizer{"SGD", append(lit(o.Momentum), jen.True(), jen.Lit(o.WeightDecay))}
	case "rmsprop":
		return optimizer{"RMSprop", lit(o.Alpha, o.Momentum, o.Epsilon, o.WeightDecay)}
	case "adagrad":
		return optimizer{"Adagrad", lit(o.Epsilon, o.WeightDecay)}
	case "adam":
		return optimizer{"Adam", lit(o.Beta1, o.Beta2, o.Epsilon, o.WeightDecay)}
	case "adamw":
		return optimizer{"AdamW", lit(o.Beta1, o.Beta2, o.Epsilon, o.WeightDecay)}
	}
	panic("emit: no optimizer " + o.Kind)
}

// constant are the initialisations that draw nothing.
var constant = []string{"ones", "zeros", ""}

func (e *emitter) initialize(f *jen.File) {
	pkg := e.path("initialize")
	comment(f, "initialize draws the initial parameters. Each tensor has a stream of random numbers of its own, so that the numbers do not depend on the order.")
	f.Func().Params(jen.Id("m").Op("*").Id("Model")).Id("initialize").Params().BlockFunc(func(g *jen.Group) {
		g.Id("p").Op(":=").Op("&").Id("m").Dot("weights")
		if slices.ContainsFunc(e.Model.Params, func(p *build.Param) bool { return !slices.Contains(constant, p.Init.Scheme) }) {
			g.Id("stream").Op(":=").Uint64().Call(jen.Lit(0))
			g.Id("next").Op(":=").Func().Params().Uint64().Block(jen.Id("stream").Op("++"), jen.Return(jen.Id("stream")))
		}
		e.eachParam(g, "p", e.scopes(), func(g *jen.Group, p *build.Param, field *jen.Statement, _ jen.Code) {
			call := func(fn string, args ...jen.Code) {
				g.Qual(pkg, fn).Call(append([]jen.Code{field.Clone()}, args...)...)
			}
			i := p.Init
			gain := i.Scale
			in, out := float64(max(i.In, 1)), float64(max(i.Out, 1))
			uniform := func(bound float64) { call("Uniform", jen.Id("m").Dot("seed"), jen.Id("next").Call(), jen.Lit(bound)) }
			normal := func(std float64) { call("Normal", jen.Id("m").Dot("seed"), jen.Id("next").Call(), jen.Lit(std)) }
			switch i.Scheme {
			case "uniform":
				uniform(i.Scale)
			case "normal":
				normal(i.Scale)
			case "xavier_uniform":
				uniform(gain * math.Sqrt(6/(in+out)))
			case "xavier_normal":
				normal(gain * math.Sqrt(2/(in+out)))
			case "he_uniform":
				uniform(gain * math.Sqrt(6/in))
			case "he_normal":
				normal(gain * math.Sqrt(2/in))
			case "orthogonal":
				s := shape(p)
				if len(s) == 1 { // a bias is a matrix of one row
					s = s.Stack(graph.Const(1, ""))
				}
				call("Orthogonal", e.product(s[0]), e.product(s[1]), jen.Lit(max(i.Blocks, 1)), jen.Id("m").Dot("seed"), jen.Id("next").Call(), jen.Lit(gain))
			case "ones":
				call("Constant", jen.Lit(1))
			case "zeros", "":
				call("Constant", jen.Lit(0))
			default:
				panic("emit: no initialisation " + i.Scheme)
			}
			if i.Add != 0 {
				g.Qual(pkg, "AddConstant").Call(field.Clone().Index(jen.Lit(i.AddAt[0]), jen.Lit(i.AddAt[1])), jen.Lit(i.Add)).Comment("the bias of the forget gate")
			}
		})
	})
	f.Line()
}

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
		steps := e.updates()
		if e.spec.GAN != nil && !e.ofText() {
			steps = steps.Op("+").Id("m").Dot("discriminated") // which have steps of their own
		}
		all := []jen.Code{jen.Id("m").Dot("seed"), jen.Uint64().Call(steps)}
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
		comment(f, "dropKey is the key of a dropout mask: another one for each place in the model, each layer of a stack and each %s.", e.each())
		f.Add(self()).Id("dropKey").Params(jen.List(jen.Id("place"), jen.Id("layer")).Int()).Uint64().Block(key(jen.Id("place"), jen.Id("layer")))
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
		comment(f, "noiseKey is the key of the noise of a sample: another one for each place in the model, each iteration of the loop around it and each %s.", e.each())
		f.Add(self()).Id("noiseKey").Params(jen.List(jen.Id("place"), jen.Id("i")).Int()).Uint64().Block(key(jen.Id("place"), jen.Id("i")))
		f.Line()
	case drawn:
		comment(f, "noiseKey is the key of the noise of a sample: another one for each place in the model and each %s.", e.each())
		f.Add(self()).Id("noiseKey").Params(jen.Id("place").Int()).Uint64().Block(key(jen.Id("place")))
		f.Line()
	}
}

func (e *emitter) train(f *jen.File) {
	mp := e.modelPkg()
	self := func() *jen.Statement { return jen.Func().Params(jen.Id("m").Op("*").Id("Model")) }
	s := e.spec

	stepped := func() *jen.Statement {
		return jen.Params(jen.List(jen.Id("loss"), jen.Id("norm")).Float64(), jen.Err().Error())
	}
	comment(f, "TrainStep makes one training step on a %s, at the given rate. It gives the mean loss in nats a %s before the update and the norm of the gradient before clipping. If either is not finite, the parameters stay as they were.", e.material(), e.unit())
	f.Add(self()).Id("TrainStep").Params(jen.Id("b").Op("*").Qual(mp, "Batch"), jen.Id("rate").Float64()).Add(stepped()).BlockFunc(func(g *jen.Group) {
		add(g, e.enter("TrainStep", e.checked(), "number", "number"))
		g.Id("loss").Op("=").Id("m").Dot("lossAndGradients").Call(jen.Id("b"))
		scale := e.clipped(g, "loss", jen.Id("m").Dot("grads"))
		g.Id("m").Dot("step").Op("++")
		if e.encoderFirst() {
			e.encoderUpdate(g, scale)
			own := func(of string) jen.Code { return jen.Id("m").Dot(of).Index(jen.Id("encoderParams"), jen.Empty()) }
			g.Id("m").Dot("decoderOptimizer").Dot("Step").Call(own("params"), own("grads"), jen.Id("rate"), scale, jen.Id("m").Dot("step"))
		} else {
			g.Id("m").Dot("optimizer").Dot("Step").Call(jen.Id("m").Dot("params"), jen.Id("m").Dot("grads"), jen.Id("rate"), scale, jen.Id("m").Dot("step"))
		}
		g.Return(jen.Id("loss"), jen.Id("norm"), jen.Nil())
	})
	f.Line()
	e.encoderStep(f)

	carries := ""
	if e.carries() {
		carries = ", and carries the state on"
	}
	window, more := "window", ""
	if s.Latent != nil {
		e.annealing(f)
		window = "batch"
		more = " It is the negative evidence lower bound with the divergence weighted and with free bits, as the spec and the step say."
	}
	comment(f, "Gradients computes the mean loss of a %s in nats a %s and its gradient, which Grads gives%s.%s", window, e.unit(), carries, more)
	f.Add(self()).Id("Gradients").Params(jen.Id("b").Op("*").Qual(mp, "Batch")).Params(jen.Id("loss").Float64(), jen.Err().Error()).BlockFunc(func(g *jen.Group) {
		add(g, e.enter("Gradients", e.checked(), "number"))
		g.Return(jen.Id("m").Dot("lossAndGradients").Call(jen.Id("b")), jen.Nil())
	})
	f.Line()
	comment(f, "lossAndGradients is Gradients of a batch that has been checked.")
	f.Add(self()).Id("lossAndGradients").Params(jen.Id("b").Op("*").Qual(mp, "Batch")).Float64().BlockFunc(func(g *jen.Group) {
		g.Id("m").Dot("training").Op("=").True()
		if s.Latent != nil {
			g.Id("m").Dot("klWeight").Op("=").Add(e.weight())
		}
		g.Id("m").Dot("forward").Call(jen.Id("b"))
		g.Id("loss").Op(":=").Id("m").Dot("loss").Call(jen.Id("b"), jen.True())
		g.Id("m").Dot("backward").Call(jen.Id("b"))
		g.Id("m").Dot("training").Op("=").False()
		g.Return(jen.Id("loss"))
	})
	f.Line()

	if more = ""; s.Latent != nil {
		more = " It is the negative evidence lower bound, all of the divergence counted, with one sample a " + e.unit() + "."
	}
	without := "dropout"
	if s.Loss.LabelSmoothing > 0 {
		without = "dropout and label smoothing"
	}
	comment(f, "Loss gives the mean loss of a %s in nats a %s, without %s%s.%s", window, e.unit(), without, carries, more)
	f.Add(self()).Id("Loss").Params(jen.Id("b").Op("*").Qual(mp, "Batch")).Params(jen.Id("loss").Float64(), jen.Err().Error()).BlockFunc(func(g *jen.Group) {
		add(g, e.enter("Loss", e.checked(), "number"))
		if s.Latent != nil {
			g.Id("m").Dot("klWeight").Op("=").Lit(1)
		}
		g.Id("m").Dot("forward").Call(jen.Id("b"))
		g.Return(jen.Id("m").Dot("loss").Call(jen.Id("b"), jen.False()), jen.Nil())
	})
	f.Line()

	if s.Vectors == nil {
		e.logits(f, carries)
	}

	comment(f, "check reports what of b does not fit the model.")
	f.Func().Id("check").Params(jen.Id("b").Op("*").Qual(mp, "Batch")).Error().BlockFunc(func(g *jen.Group) {
		check := "Check"
		if s.Kind == "attention" || s.Latent != nil {
			check = "CheckPadded"
		}
		all := []jen.Code{jen.Id("b").Dot(check).Call(jen.Id("maxSteps"), jen.Id("maxBatch"), jen.Id("vocab"))}
		if s.Vectors != nil {
			all = []jen.Code{jen.Id("b").Dot("CheckVectors").Call(jen.Id("maxBatch"), jen.Id("vectorSize"))}
		}
		if s.Source != nil {
			all = append(all, jen.Id("b").Dot("CheckSource").Call(jen.Id("maxSourceSteps"), e.sourceVocab()))
		}
		if e.conditional() {
			all = append(all, e.checkLabels(jen.Id("b").Dot("Labels"), jen.Id("b").Dot("Batch")))
		}
		checks(g, all...)
	})
	f.Line()
	e.entry(f)

	plural := ""
	if e.encoderFirst() {
		plural = "s"
	}
	small := []struct {
		doc, name string
		params    []jen.Code
		result    *jen.Statement
		body      []jen.Code
	}{
		{"Step is the number of training steps done.", "Step", nil, jen.Int(), []jen.Code{jen.Return(jen.Id("m").Dot("step"))}},
		{"SetStep is for a training that goes on from a checkpoint.", "SetStep", []jen.Code{jen.Id("step").Int()}, jen.Null(), []jen.Code{jen.Id("m").Dot("step").Op("=").Id("step")}},
		{"State is the state that is carried from one window to the next.", "State", nil, jen.Index().Float32(), []jen.Code{jen.Id("m").Dot("allocate").Call(), jen.Return(jen.Id("m").Dot("state").Dot("flat"))}},
		{"State is nothing: no state is carried from one window to the next.", "State", nil, jen.Index().Float32(), []jen.Code{jen.Return(jen.Nil())}},
		{"Slots lists the arrays of the optimizer" + plural + ".", "Slots", nil, jen.Index().Qual(mp, "Slot"), []jen.Code{jen.Id("m").Dot("allocate").Call(), jen.Return(e.slots())}},
		{infoDoc, "Info", nil, jen.Op("*").Qual(mp, "Info"), []jen.Code{jen.Return(jen.Id("info").Dot("Clone").Call())}},
	}
	for i, x := range small {
		if x.name == "State" && e.carries() != (i == 2) {
			continue
		}
		comment(f, "%s", x.doc)
		f.Add(self()).Id(x.name).Params(x.params...).Add(x.result).Block(x.body...)
		f.Line()
	}
	e.info(f)
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
	comment(f, "Logits gives the logits [steps, batch, vocab] %s, without dropout%s. The slice is overwritten by the next call.", what, carries)
	f.Add(e.self()).Id("Logits").Params(jen.Id("b").Op("*").Qual(mp, "Batch")).Params(jen.Index().Float32(), jen.Error()).BlockFunc(func(g *jen.Group) {
		add(g, e.enter("Logits", e.checked(), "slice"))
		add(g, forward)
		g.Return(jen.Id("m").Dot("acts").Dot("logits").Index(jen.Empty(), jen.Id("b").Dot("Steps").Op("*").Id("b").Dot("Batch").Op("*").Id("vocab")), jen.Nil())
	})
	f.Line()
}

// infoDoc is the comment on Info.
const infoDoc = "Info tells what the model is. It is a copy."

// checked is the check of a batch b.
func (e *emitter) checked() jen.Code { return jen.Id("check").Call(jen.Id("b")) }

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
		masking = jen.Op("&").Qual(mp, "Masking").Values(jen.Id("Share").Op(":").Lit(k.Share), jen.Id("Mask").Op(":").Lit(k.Mask), jen.Id("Random").Op(":").Lit(k.Random), jen.Id("Token").Op(":").Lit(s.Tokenizer.Special(spec.MaskToken)))
	}
	var source jen.Code
	if k := s.Source; k != nil {
		source = jen.Op("&").Qual(mp, "Source").Values(jen.Id("Steps").Op(":").Id("maxSourceSteps"), jen.Id("Vocab").Op(":").Lit(k.Tokenizer.Vocab), jen.Id("End").Op(":").Lit(k.Tokenizer.Special(spec.EndToken)),
			jen.Id("AnswerBegin").Op(":").Lit(s.Tokenizer.Special(spec.BeginToken)), jen.Id("AnswerEnd").Op(":").Lit(s.Tokenizer.Special(spec.EndToken)))
	}
	var vector, latent, adversary, labels, vocab, steps jen.Code = nil, nil, nil, nil, jen.Id("vocab"), jen.Id("maxSteps")
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
			values = append(values, jen.Id("EncoderFirst").Op(":").Op("&").Qual(mp, "EncoderFirst").Values(jen.Id("Steps").Op(":").Lit(f.Steps), jen.Id("Check").Op(":").Lit(f.Check)))
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
		layers = append(layers, jen.Line().Values(jen.Id("Name").Op(":").Lit(row.Name), jen.Id("Kind").Op(":").Lit(row.Kind), jen.Id("Output").Op(":").Lit(row.Output), jen.Id("Params").Op(":").Lit(row.Params), jen.Id("Flops").Op(":").Lit(row.Flops)))
	}
	layers = append(layers, jen.Line())
	t, sc, smoothing := s.Train, s.Schedule, 0.0
	if s.GAN == nil {
		smoothing = s.Loss.LabelSmoothing
	}
	comment(f, "info holds what commands and checkpoints ask of a model.")
	f.Var().Id("info").Op("=").Qual(mp, "Info").Values(fields(
		"Name", s.Name, "Kind", s.Kind, "Description", s.Description, "Spec", s.File,
		"SpecDigest", s.Digest, "Architecture", s.Architecture(),
		"Vocab", vocab, "Batch", jen.Id("maxBatch"), "Steps", steps, "Seed", jen.Id("defaultSeed"),
		"Params", jen.Id("paramCount"), "TrainBytes", r.TrainBytes, "DecodeBytes", r.DecodeBytes,
		"Prefix", e.Model.Prefix(), "Masking", masking, "Source", source, "Vector", vector, "Labels", labels, "Latent", latent, "Adversary", adversary,
		"Layers", jen.Index().Qual(mp, "Layer").Values(layers...),
		"Training", jen.Qual(mp, "Training").Values(fields(
			"Rate", s.Optimizer.Rate, "Schedule", sc.Kind, "Warmup", sc.Warmup, "Every", sc.Every, "Factor", sc.Factor, "Floor", sc.Floor,
			"Passes", t.Passes, "Steps", t.Steps, "Validation", t.Validation, "EvalEvery", t.EvalEvery, "SaveEvery", t.SaveEvery, "Separator", t.Separator,
			"Smoothing", smoothing, "Sampling", t.Sampling, "Rise", t.Rise)...),
	)...)
}

// vector says what vectors the model takes: those that its likelihood is for, or that the last activation of a generator can give.
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
		switch last.Activation {
		case "tanh":
			low, high, bounded = -1, 1, true
		case "sigmoid":
			high, bounded = 1, true
		}
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
