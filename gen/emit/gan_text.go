package emit

import (
	"fmt"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/names"
	"github.com/gradsmith/gradsmith/gen/report"
	"github.com/gradsmith/gradsmith/spec"
)

// Adversarial networks of text: the generator is a language model, whose files are those of one; beside them stand the
// discriminator's step, the generator's on relaxed tokens where it has one, and the training that leads from one to
// the other.

// ofText reports whether the model is adversarial networks of text, relaxes whether its generator has a step on
// relaxed tokens.
func (e *emitter) ofText() bool  { return e.spec.GAN != nil && e.spec.GAN.Text != nil }
func (e *emitter) relaxes() bool { return e.Model.Relax != nil }

func (e *emitter) imitationCost() string {
	s, r := e.spec, e.Report
	return fmt.Sprintf("A step of training on %d lines of %d tokens takes up to %s floating-point operations a token, "+
		"lines that are drawn not counted, and %s of memory: %s of parameters, as much of gradients, %s of optimizer "+
		"state and %s of activations, in an arena for each kind of step, whose parts share memory where their lives "+
		"do not overlap. Decoding one line takes %s.", s.Shape.Batch, s.Shape.Steps, report.Count(r.TrainFlops),
		report.Bytes(r.TrainBytes), report.Bytes(r.ParamBytes), report.Bytes(r.SlotBytes),
		report.Bytes(r.ArenaBytes), report.Bytes(r.DecodeBytes))
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
func (e *emitter) judge(f *jen.File) {
	mp := e.modelPkg()
	run := e.runOf("judge")
	judge, maker := e.runs[run], "new"+names.UpperFirst(run.Type)
	like := e.alike[run]
	m := func() *jen.Statement { return jen.Id("m") }
	batch := func() *jen.Statement { return jen.Id("b").Op("*").Qual(mp, "Batch") }
	verdict, call := e.outputOf(judge, "verdict"), jen.Code(jen.Id("m").Dot("judge").Call(jen.Id("b")))
	if like != nil {
		verdict, call = jen.Id("m").Dot(run.Field).Dot(like.r.w.use(like.output)), e.callAlike(run, like)
		maker = "new" + names.UpperFirst(run.Field)
	}
	shape, count := "[batch]", jen.Code(jen.Id("b").Dot("Batch"))
	if !e.pools() {
		shape, count = "[steps, batch], each on a line up to there",
			jen.Id("b").Dot("Steps").Op("*").Id("b").Dot("Batch")
	}
	comment(f, "Judge judges the lines of b.Targets [steps, batch]: a number for each, into verdicts [batch], that "+
		"is high where the discriminator takes it for one of the text.")
	f.Add(e.self()).Id("Judge").Params(jen.Id("verdicts").Index().Float32(),
		batch()).Error().BlockFunc(func(x *jen.Group) {
		fault := e.first(jen.Id("b").Dot("CheckLines").Call(jen.Id("maxSteps"), jen.Id("maxBatch"), jen.Id("vocab")),
			jen.Qual(mp, "CheckRoom").Call(jen.Lit("verdicts"), jen.Id("verdicts"), jen.Id("b").Dot("Batch"),
				jen.Lit(1)))
		x.If(jen.Err().Op(":=").Id("m").Dot("guard").Dot("Enter").Call(jen.Id("info").Dot("Name"), jen.Lit("Judge"),
			fault), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err()))
		x.Defer().Id("m").Dot("guard").Dot("Leave").Call()
		if e.pools() {
			x.Copy(jen.Id("verdicts"), m().Dot("verdicts").Call(jen.Id("b")))
			x.Return(jen.Nil())
			return
		}
		x.Id("all").Op(":=").Add(m()).Dot("verdicts").Call(jen.Id("b"))
		x.For(jen.Id("i").Op(":=").Range().Id("b").Dot("Batch")).Block(
			jen.Id("sum").Op(":=").Lit(0.0).Comment("the mean of the verdicts on its tokens"),
			jen.For(jen.Id("t").Op(":=").Range().Id("b").Dot("Steps")).Block(
				jen.Id("sum").Op("+=").Float64().Call(
					jen.Id("all").Index(jen.Id("t").Op("*").Id("b").Dot("Batch").Op("+").Id("i")))),
			jen.Id("verdicts").Index(jen.Id("i")).Op("=").Float32().Call(
				jen.Id("sum").Op("/").Float64().Call(jen.Id("b").Dot("Steps"))),
		)
		x.Return(jen.Nil())
	})
	f.Line()
	comment(f, "verdicts are those on the lines of b.Targets, %s. The slice is overwritten by the next call.", shape)
	f.Add(e.self()).Id("verdicts").Params(batch()).Index().Float32().Block(
		jen.If(verdict.Clone().Op("==").Nil()).Block(m().Dot("judging").Op("=").Id(maker).Call()),
		call,
		jen.Return(verdict.Clone().Index(jen.Empty(), count)),
	)
	f.Line()
	if like == nil {
		e.phases(f, run)
	}
}
