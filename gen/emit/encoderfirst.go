package emit

import "github.com/dave/jennifer/jen"

// Where an autoencoder's encoder is updated alone before a step (He et al. 2019), encoder and decoder have an optimizer each, and the encoder a count of its
// updates: the rules of the update count on, and every update draws noise of its own.

func (e *emitter) encoderFirst() bool {
	return e.spec.Latent != nil && e.spec.Latent.EncoderFirst.Steps > 0
}

// updates is the number of updates that have been made of any parameter, which no two steps share.
func (e *emitter) updates() *jen.Statement {
	n := jen.Id("m").Dot("step")
	if e.encoderFirst() {
		n = n.Op("+").Id("m").Dot("encoderSteps")
	}
	return n
}

// each is what random numbers are drawn anew for.
func (e *emitter) each() string {
	if e.encoderFirst() {
		return "update"
	}
	return "training step"
}

// encoderUpdate emits the update of the encoder's parameters.
func (e *emitter) encoderUpdate(g *jen.Group, scale jen.Code) {
	own := func(of string) jen.Code { return jen.Id("m").Dot(of).Index(jen.Empty(), jen.Id("encoderParams")) }
	g.Id("m").Dot("encoderOptimizer").Dot("Step").Call(own("params"), own("grads"), jen.Id("rate"), scale, e.updates())
}

// encoderStep emits the step of the encoder alone, and its count.
func (e *emitter) encoderStep(f *jen.File) {
	if !e.encoderFirst() {
		return
	}
	comment(f, "EncoderStep makes one update of the parameters of the encoder, the heads of the latent vector included, on a %s, at the given rate; the decoder's stay as they are. It gives the mean loss in nats a %s before the update and the norm of the encoder's gradient before clipping. If either is not finite, the parameters stay as they were.", e.material(), e.unit())
	f.Add(e.self()).Id("EncoderStep").Params(jen.Id("b").Op("*").Qual(e.modelPkg(), "Batch"), jen.Id("rate").Float64()).Params(jen.List(jen.Id("loss"), jen.Id("norm")).Float64(), jen.Err().Error()).BlockFunc(func(g *jen.Group) {
		add(g, e.enter("EncoderStep", e.checked(), "number", "number"))
		g.Id("loss").Op("=").Id("m").Dot("lossAndGradients").Call(jen.Id("b"))
		g.Id("grads").Op(":=").Id("m").Dot("grads").Index(jen.Empty(), jen.Id("encoderParams"))
		scale := e.clipped(g, "loss", jen.Id("grads"))
		g.Id("m").Dot("encoderSteps").Op("++")
		g.Id("m").Dot("encoderOptimizer").Dot("Step").Call(jen.Id("m").Dot("params").Index(jen.Empty(), jen.Id("encoderParams")), jen.Id("grads"), jen.Id("rate"), scale, e.updates())
		g.Return(jen.Id("loss"), jen.Id("norm"), jen.Nil())
	})
	f.Line()
	comment(f, "EncoderSteps is the number of updates that the encoder has had alone.")
	f.Add(e.self()).Id("EncoderSteps").Params().Int().Block(jen.Return(jen.Id("m").Dot("encoderSteps")))
	f.Line()
	comment(f, "SetEncoderSteps is for a training that goes on from a checkpoint.")
	f.Add(e.self()).Id("SetEncoderSteps").Params(jen.Id("n").Int()).Block(jen.Id("m").Dot("encoderSteps").Op("=").Id("n"))
	f.Line()
}

// slots lists the arrays of the optimizer, or of both.
func (e *emitter) slots() jen.Code {
	if !e.encoderFirst() {
		return jen.Id("m").Dot("optimizer").Dot("Slots").Call()
	}
	named := func(name string) *jen.Statement {
		return jen.Qual(e.modelPkg(), "Named").Call(jen.Lit(name), jen.Id("m").Dot(name+"Optimizer").Dot("Slots").Call())
	}
	return jen.Append(named("encoder"), named("decoder").Op("..."))
}
