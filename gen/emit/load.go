package emit

import (
	"strings"

	"github.com/dave/jennifer/jen"
)

// loading emits what makes a model of a checkpoint.
func (e *emitter) loading(f *jen.File) {
	for _, x := range []struct {
		name, arg, reads, doc string
		typ                   *jen.Statement
	}{
		{"Load", "path", "LoadWeights", "Load makes a model with the parameters of a checkpoint. It returns what is " +
			"wrong with the checkpoint, or with the environment variables that the kernels read (kernel.Environment).",
			jen.String()},
		{"Parse", "data", "ParseWeights",
			"Parse is Load from memory, for instance for a checkpoint that the program embeds.", jen.Index().Byte()},
	} {
		steps := []jen.Code{
			jen.If(jen.Err().Op(":=").Qual(e.kernel(), "Environment").Call(),
				jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
			jen.Id("m").Op(":=").Id("empty").Call(jen.Id("defaultSeed")),
			jen.If(jen.Err().Op(":=").Qual(e.path("checkpoint"), x.reads).Call(jen.Id(x.arg), jen.Id("m")),
				jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
		}
		if kind := e.spec.Decode.Weights; kind != "" {
			wp := e.path("weights")
			x.doc += " Decoders have weights of the kind " + kind + ", as the spec says."
			steps = append(steps, jen.If(jen.Id("m").Dot("Kind").Call().Op("==").Qual(wp, "Live")).Block(
				jen.If(jen.Err().Op(":=").Id("m").Dot("Pack").Call(jen.Qual(wp, strings.ToUpper(kind))),
					jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err()))))
		}
		comment(f, "%s", x.doc)
		f.Func().Id(x.name).Params(jen.Id(x.arg).Add(x.typ)).Params(jen.Op("*").Id("Model"), jen.Error()).Block(
			append(steps, jen.Return(jen.Id("m"), jen.Nil()))...)
		f.Line()
	}
}
