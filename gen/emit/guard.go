package emit

import (
	"github.com/dave/jennifer/jen"
)

// What users call checks its arguments and takes the model or the decoder for itself before it does anything, and
// gives it back when it returns: the same lines in front of every exported method, from here.

// oneGoroutine and decodersBeside are sentences of the comments on types.
const (
	oneGoroutine = "Its methods serve one goroutine at a time: the second of two calls at once returns " +
		"model.ErrInUse, and does nothing."
	decodersBeside = "Decoders run beside each other, as long as no training or evaluation runs."
)

// zeros are results in front of an error.
var zeros = map[string]jen.Code{"number": jen.Lit(0), "slice": jen.Nil()}

// enter emits the beginning of an exported method of a model, which returns results of the given kinds and an error:
// fault is what is wrong with its arguments.
func (e *emitter) enter(call string, fault jen.Code, results ...string) []jen.Code {
	return e.entering(jen.Id("m").Dot("enter").Call(jen.Lit(call), fault), "m", results)
}

// enterDecoder is enter for a decoder, whose call reads no weights.
func (e *emitter) enterDecoder(call string, fault jen.Code, results ...string) []jen.Code {
	return e.entering(jen.Id("d").Dot("guard").Dot("Enter").Call(jen.Id("info").Dot("Name"), jen.Lit(call), fault), "d",
		results)
}

// enterReading is enterDecoder for a call that reads weights, which may be in a file that is mapped: what becomes of
// the file becomes the error that it returns, which is a result of the name err.
func (e *emitter) enterReading(call string, fault jen.Code, results ...string) []jen.Code {
	lines := e.enterDecoder(call, fault, results...)
	lines[len(lines)-1] = jen.Defer().Id("d").Dot("guard").Dot("LeaveFile").Call(jen.Op("&").Err())
	return lines
}

func (e *emitter) entering(enter jen.Code, receiver string, results []string) []jen.Code {
	var values []jen.Code
	for _, r := range results {
		values = append(values, zeros[r])
	}
	return []jen.Code{
		jen.If(jen.Err().Op(":=").Add(enter), jen.Err().Op("!=").Nil()).Block(jen.Return(append(values, jen.Err())...)),
		jen.Defer().Id(receiver).Dot("guard").Dot("Leave").Call(),
	}
}

// entry emits the method that exported methods of the model begin with.
func (e *emitter) entry(f *jen.File) {
	comment(f, "enter begins a call that uses the memory of the model, where there is no fault in its arguments and "+
		"no other call runs, and makes the memory for the first one.")
	f.Add(e.self()).Id("enter").Params(jen.Id("call").String(), jen.Id("fault").Error()).Error().Block(
		jen.If(jen.Err().Op(":=").Id("m").Dot("guard").Dot("Enter").Call(jen.Id("info").Dot("Name"), jen.Id("call"),
			jen.Id("fault")), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err())),
		jen.Id("m").Dot("allocate").Call(),
		jen.Return(jen.Nil()),
	)
	f.Line()
}

// first is a check and those behind it, which are made where it finds nothing.
func (e *emitter) first(check jen.Code, more ...jen.Code) *jen.Statement {
	if len(more) == 0 {
		return jen.Add(check)
	}
	args := []jen.Code{check}
	for _, c := range more {
		args = append(args, jen.Func().Params().Error().Block(jen.Return(c)))
	}
	return jen.Qual(e.modelPkg(), "First").Call(args...)
}

// flats emits the fields with the parameters and their gradients.
func (e *emitter) flats(g *jen.Group, of string) {
	g.Id("weights").Id("Params")
	g.Id("gradients").Id("Params").Comment(of)
	if e.averages() {
		g.Id("averaged").Id("Params").Comment("the generator's parameters, averaged over the steps; the " +
			"discriminator's as they are")
	}
	if e.decoding != nil {
		g.Id("packed").Op("*").Id("matrices").Comment("which decoders read, if no training step has been made since; " +
			"or nil")
		g.Id("packedAt").Int().Comment("training steps done by then")
		g.Id("packedAs").Qual(e.path("weights"), "Kind").Comment("of the matrices")
		if e.keeping() {
			g.Id("cacheKind").Qual(e.path("cache"), "Kind").Comment("of the keys and values of decoders")
		}
	}
	g.Line()
	g.List(jen.Id("params"), jen.Id("grads")).Index().Float32().Comment("the flat arrays")
	if e.averages() {
		g.Id("average").Index().Float32().Comment("the flat array of the average")
	}
}

// averages reports whether the model keeps an average of its generator.
func (e *emitter) averages() bool { return e.spec.GAN != nil && e.spec.GAN.EMA > 0 }

// views emits the methods that name the parameters. They give views, so that nothing can come between the parameters
// and their optimizer.
func (e *emitter) views(f *jen.File) {
	view := func(name, field, doc string) {
		comment(f, "%s", doc)
		f.Add(e.self()).Id(name).Params().Id("Params").Block(jen.Return(jen.Id("m").Dot(field)))
		f.Line()
	}
	view("Params", "weights", "Params gives the parameters by their names. The slices are those of the model: what "+
		"is written to them is what it computes with.")
	view("Grads", "gradients", "Grads gives the gradients of the last training step, in the same form; before the "+
		"first one they are nil.")
	if e.averages() {
		view("Average", "averaged", "Average gives the average of the generator's parameters, which samples are made "+
			"with, beside the discriminator's parameters.")
	}
	comment(f, "String says what the model is, in a line.")
	f.Add(e.self()).Id("String").Params().String().Block(jen.Return(jen.Id("info").Dot("String").Call()))
	f.Line()
	comment(f, "Save writes the parameters, and nothing of the training, to a checkpoint that Load and Parse read.")
	f.Add(e.self()).Id("Save").Params(jen.Id("path").String()).Error().Block(jen.Return(jen.Qual(e.path("checkpoint"),
		"SaveWeights").Call(jen.Id("path"), jen.Id("m"))))
	f.Line()
}
