package emit

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/gen/report"
	"github.com/gradsmith/gradsmith/spec"
)

func (e *emitter) mixes() bool { return e.spec.GAN.Penalty.Kind == "wgan_gp" }

func (e *emitter) adversarialCost() string {
	s, r := e.spec, e.Report
	return fmt.Sprintf("A step of training on %d vectors at once takes %s floating-point operations a vector and %s of "+
		"memory: %s of parameters, as much of gradients, %s of optimizer state and %s of activations, in an arena for "+
		"each network's step, whose parts share memory where their lives do not overlap. Making vectors takes %s.",
		s.Shape.Batch, report.Count(r.TrainFlops), report.Bytes(r.TrainBytes), report.Bytes(r.ParamBytes),
		report.Bytes(r.SlotBytes), report.Bytes(r.ArenaBytes), report.Bytes(r.DecodeBytes))
}

// adversarial reports whether the model is networks of vectors that are trained against each other.
func (e *emitter) adversarial() bool { return e.spec.GAN != nil && e.spec.GAN.Text == nil }

// outputOf is the memory of the output of a graph with that target, and its name in code.
func (e *emitter) outputOf(w *writer, target string) *jen.Statement {
	v := w.g.Find(target)
	if v == nil {
		panic("emit: no output " + target)
	}
	return w.member(jen.Id("m").Dot(w.acts), v)
}

func (e *emitter) self() *jen.Statement { return jen.Func().Params(jen.Id("m").Op("*").Id("Model")) }

// rates are the constants that rate reads.
func (e *emitter) rates() []jen.Code {
	var defs []jen.Code
	add := func(name string, rate float64, comment string) {
		defs = append(defs, jen.Id(name).Float64().Op("=").Lit(rate).Comment(comment))
	}
	if e.Model.OwnRate(e.spec.GAN.Optimizer.Rate) {
		add("discriminatorRate", e.spec.GAN.Optimizer.Rate, "of the discriminator's optimizer")
	}
	if t := e.spec.GAN.Text; t != nil && e.Model.OwnRate(t.Rate) {
		add("pretrainingRate", t.Rate, "of the generator's, on text alone")
	}
	if len(defs) > 0 {
		add("generatorRate", e.spec.Optimizer.Rate, "of the generator's, which a training gives")
	}
	return defs
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
			g.Id("Text").Op(":").Op("&").Qual(e.modelPkg(),
				"Imitation").ValuesFunc(func(g *jen.Group) {
				g.Id("Pretraining").Op(":").Id("pretrainingSteps")
				if n := s.GAN.Text.Patience; n > 0 {
					g.Id("Patience").Op(":").Lit(n)
				}
				g.Id("HeadStart").Op(":").Id("headStart")
				if x := s.GAN.Text.Tolerance; x > 0 {
					g.Id("Tolerance").Op(":").Lit(x)
				}
				g.Id("Begin").Op(":").Id("beginToken")
				g.Id("End").Op(":").Add(end)
			})
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
func (e *emitter) sampling(f *jen.File) {
	mp := e.modelPkg()
	maker, judge := e.runOf("maker"), e.runOf("judge")
	e.loading(f)
	with := "the parameters of the last step"
	if e.averages() {
		with = "the average of the parameters"
	}
	e.sample(f, with)
	chunks := func(name, from, into string, inSize, outSize jen.Code, call string, r *build.Run) {
		w, make := e.runs[r], "new"+call
		output, run := w.member(jen.Id("m").Dot(w.acts),
			w.g.Outputs[0]), jen.Code(jen.Id("m").Dot(strings.TrimSuffix(lowerFirst(call), "Acts")).Call(jen.Id("b")))
		if l := e.alike[r]; l != nil {
			make = "new" + names.UpperFirst(r.Field)
			output = jen.Id("m").Dot(r.Field).Dot(l.r.w.use(l.output))
			run = e.callAlike(r, l)
		}
		comment(f, "%s is %s of rows that have been checked.", name, names.UpperFirst(strings.TrimSuffix(name, "All")))
		f.Add(e.self()).Id(name).Params(jen.List(jen.Id(into), jen.Id(from)).Index().Float32(),
			e.runtimeLabels()).BlockFunc(func(g *jen.Group) {
			g.If(output.Clone().Op("==").Nil()).Block(jen.Id("m").Dot(w.acts).Op("=").Id(make).Call())
			g.For(jen.Len(jen.Id(from)).Op(">").Lit(0)).BlockFunc(func(g *jen.Group) {
				values := []jen.Code{jen.Id("Batch").Op(":").Min(jen.Id("maxBatch"),
					jen.Len(jen.Id(from)).Op("/").Add(inSize)), jen.Id(names.UpperFirst(from)).Op(":").Id(from)}
				g.Id("b").Op(":=").Op("&").Qual(mp, "Batch").Values(values...)
				if e.conditional() {
					g.List(jen.Id("b").Dot("Labels"),
						jen.Id("labels")).Op("=").List(jen.Id("labels").Index(jen.Empty(), jen.Id("b").Dot("Batch")),
						jen.Id("labels").Index(jen.Id("b").Dot("Batch"), jen.Empty()))
				}
				g.Add(run)
				g.Id("n").Op(":=").Copy(jen.Id(into),
					output.Clone().Index(jen.Empty(), jen.Id("b").Dot("Batch").Add(outSize)))
				g.List(jen.Id(into), jen.Id(from)).Op("=").List(jen.Id(into).Index(jen.Id("n"), jen.Empty()),
					jen.Id(from).Index(jen.Id("b").Dot("Batch").Op("*").Add(inSize), jen.Empty()))
			})
		})
		f.Line()
	}
	// rowwise emits the method that gives outSize numbers for each row of inSize; both have room for as many rows as
	// each other.
	rowwise := func(name, doc, from, into, row string, inSize, outSize jen.Code) {
		rows := jen.Len(jen.Id(from)).Op("/").Add(inSize)
		faults := []jen.Code{jen.Qual(mp, "CheckWhole").Call(jen.Lit(row), jen.Id(from), rows.Clone(), inSize),
			jen.Qual(mp, "CheckRoom").Call(jen.Lit(into), jen.Id(into), rows.Clone(), outSize)}
		labels := jen.Code(jen.Nil())
		if e.conditional() {
			faults = append(faults, e.checkLabels(jen.Id("labels"), rows.Clone()))
			labels = jen.Id("labels")
		}
		comment(f, "%s", doc)
		f.Add(e.self()).Id(name).Params(jen.List(jen.Id(into), jen.Id(from)).Index().Float32(),
			e.runtimeLabels()).Error().BlockFunc(func(g *jen.Group) {
			fault := e.first(faults[0], faults[1:]...)
			g.If(jen.Err().Op(":=").Id("m").Dot("guard").Dot("Enter").Call(jen.Id("info").Dot("Name"), jen.Lit(name),
				fault), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err()))
			g.Defer().Id("m").Dot("guard").Dot("Leave").Call()
			g.Id("m").Dot(lowerFirst(name)+"All").Call(jen.Id(into), jen.Id(from), labels)
			g.Return(jen.Nil())
		})
		f.Line()
	}
	e.outputOf(e.runs[maker], "made")
	e.outputOf(e.runs[judge], "verdict")
	rowwise("Make",
		"Make makes a vector of each row of noise [n, noiseSize]"+e.withLabels(" and its label, one of labels [n]")+
			", into made [n, vectorSize].", "noise", "made", "row of noise", jen.Id("noiseSize"), jen.Id("vectorSize"))
	chunks("makeAll", "noise", "made", jen.Id("noiseSize"), jen.Op("*").Id("vectorSize"), "MakerActs", maker)
	rowwise("Judge",
		"Judge judges vectors: a number for each row of vectors [n, vectorSize]"+
			e.withLabels(" and its label, one of labels [n]")+
			", into verdicts [n], that is high where the discriminator takes it for one of the data"+
			e.withLabels(" with that label")+".", "vectors", "verdicts", "vector", jen.Id("vectorSize"), jen.Lit(1))
	chunks("judgeAll", "vectors", "verdicts", jen.Id("vectorSize"), jen.Null(), "JudgeActs", judge)
	e.phases(f, maker)
	if e.alike[judge] == nil {
		e.phases(f, judge)
	}
	e.calls(f)
	e.program(f)
}

// sample emits the methods that make vectors of a seed.
func (e *emitter) sample(f *jen.File, with string) {
	mp := e.modelPkg()
	labels := jen.Code(jen.Nil())
	faults := []jen.Code{jen.Qual(mp, "CheckCount").Call(jen.Id("n"))}
	if e.conditional() {
		labels = jen.Id("labels")
		faults = append(faults, e.checkLabels(jen.Id("labels"), jen.Id("n")))
		comment(f, "Sample makes a vector for each of labels [n], [n, vectorSize], with %s. Vector i of a seed is "+
			"made of the same noise whatever the labels are, and however many.", with)
		f.Add(e.self()).Id("Sample").Params(jen.Id("labels").Index().Int32(),
			jen.Id("seed").Uint64()).Params(jen.Index().Float32(), jen.Error()).Block(
			jen.Return(jen.Id("m").Dot("Generate").Call(jen.Len(jen.Id("labels")), jen.Id("labels"), jen.Id("seed"))))
	} else {
		comment(f, "Sample makes n vectors [n, vectorSize] with %s. Vector i of a seed is the same for any n.", with)
		f.Add(e.self()).Id("Sample").Params(jen.Id("n").Int(), jen.Id("seed").Uint64()).Params(jen.Index().Float32(),
			jen.Error()).Block(
			jen.Return(jen.Id("m").Dot("Generate").Call(jen.Id("n"), jen.Nil(), jen.Id("seed"))))
	}
	f.Line()
	comment(f, "Generate is Sample for the runtime, which hands labels to any model.")
	f.Add(e.self()).Id("Generate").Params(jen.Id("n").Int(), e.runtimeLabels(),
		jen.Id("seed").Uint64()).Params(jen.Index().Float32(), jen.Error()).BlockFunc(func(g *jen.Group) {
		g.If(jen.Err().Op(":=").Id("m").Dot("guard").Dot("Enter").Call(jen.Id("info").Dot("Name"), jen.Lit("Sample"),
			e.first(faults[0], faults[1:]...)), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err()))
		g.Defer().Id("m").Dot("guard").Dot("Leave").Call()
		g.List(jen.Id("made"),
			jen.Id("z")).Op(":=").List(jen.Make(jen.Index().Float32(), jen.Id("n").Op("*").Id("vectorSize")),
			jen.Make(jen.Index().Float32(), jen.Id("n").Op("*").Id("noiseSize")))
		g.Id("noise").Call(jen.Id("z"), jen.Qual(mp, "Key").Call(jen.Id("seed")), jen.Lit(0), jen.Id("n"))
		g.Id("m").Dot("makeAll").Call(jen.Id("made"), jen.Id("z"), labels)
		g.Return(jen.Id("made"), jen.Nil())
	})
	f.Line()
}
