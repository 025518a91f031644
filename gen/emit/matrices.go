package emit

import (
	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/names"
)

// Decoders do not multiply by parameters but by matrices that are made of them: the parameters themselves, or copies
// that are laid out for reading or quantised. The matrices have a struct of their own, which all decoders of a model
// share.

// laid is a parameter by which decoders multiply, or its transpose.
type laid struct {
	id        graph.ID
	transpose bool
}

// matrix is the matrix that a product reads.
func (f *function) matrix(x graph.Matrix) *jen.Statement {
	v := unshaped(x.V)
	if fr := f.frameOf(v); fr != nil {
		for i, in := range fr.n.Loop.Body.Inputs {
			if in == v && i >= fr.n.Loop.Carries+fr.n.Loop.Seqs {
				return f.matrix(graph.Matrix{V: fr.n.Args[i], Transpose: x.Transpose})
			}
		}
		return f.laid(laid{f.stackOf(fr, v).ID, x.Transpose}).Index(fr.variable())
	}
	return f.laid(laid{v.ID, x.Transpose})
}

func (f *function) laid(l laid) *jen.Statement {
	f.used["w"] = true
	e := f.w.e
	if e.multiplies == nil {
		e.multiplies = map[laid]bool{}
	}
	e.multiplies[l] = true
	return jen.Id("w").Dot(e.matrixField(l))
}

// matrixField is the field of matrices with a parameter.
func (e *emitter) matrixField(l laid) string {
	return e.ids.matrices.For(l, names.Lower(l.id.String()))
}

// eachMatrix calls do for every matrix that decoders multiply by, in the order of the parameters' definition, inside
// of loops over the layers of stacks where loop makes them.
func (e *emitter) eachMatrix(loop func(s scope, body func()), do func(s scope, p *build.Param, l laid)) {
	for _, s := range e.scopes() {
		var found []func()
		for _, p := range s.params {
			for _, transpose := range []bool{false, true} {
				if l := (laid{p.ID(), transpose}); e.multiplies[l] {
					found = append(found, func() { do(s, p, l) })
				}
			}
		}
		if len(found) > 0 {
			loop(s, func() {
				for _, f := range found {
					f()
				}
			})
		}
	}
}

// matrices emits the struct of matrices, and what makes them.
func (e *emitter) matrices(f *jen.File) {
	wp := e.path("weights")
	comment(f, "matrices are those that decoders multiply by, in the form in which they read them.")
	f.Type().Id("matrices").StructFunc(func(g *jen.Group) {
		e.eachMatrix(func(_ scope, body func()) { body() }, func(s scope, p *build.Param, l laid) {
			field := g.Id(e.matrixField(l))
			if s.stack() > 0 {
				field.Index(e.product(p.Shape[0]))
			}
			sh := shape(p)
			if l.transpose {
				sh = graph.Shape{sh[1], sh[0]}
			}
			field.Op("*").Qual(wp, "Matrix").Comment(shapeText(sh))
		})
	})
	f.Line()
	comment(f, "newMatrices makes the matrices of p.")
	f.Func().Id("newMatrices").Params(jen.Id("p").Op("*").Id("Params"),
		jen.Id("layout").Op("*").Qual(wp, "Layout")).Op("*").Id("matrices").BlockFunc(func(g *jen.Group) {
		g.Id("w").Op(":=").Op("&").Id("matrices").Values()
		e.eachMatrix(func(s scope, body func()) {
			if s.stack() == 0 {
				body()
				return
			}
			outer := g
			outer.For(jen.Id("l").Op(":=").Range().Id("p").Dot(e.layerField(s.name))).BlockFunc(func(inner *jen.Group) {
				g = inner
				body()
				g = outer
			})
		}, func(s scope, p *build.Param, l laid) {
			how := "Matrix"
			if l.transpose {
				how = "Transpose"
			}
			field, from := jen.Id("w").Dot(e.matrixField(l)), jen.Id("p").Dot(e.layerField(s.name))
			name := []jen.Code{jen.Lit(p.Tensors()[0])}
			if s.stack() > 0 {
				field, from = field.Index(jen.Id("l")), from.Index(jen.Id("l"))
				name = []jen.Code{jen.Lit(p.Layer + ".%d." + p.Field), jen.Id("l").Op("+").Lit(p.First)}
			}
			sh := shape(p)
			g.Add(field).Op("=").Id("layout").Dot(how).Call(append([]jen.Code{from.Dot(e.paramField(p.ID())),
				e.product(sh[0]), e.product(sh[1])}, name...)...)
		})
		g.Return(jen.Id("w"))
	})
	f.Line()
	comment(f, "Pack copies the matrices that decoders multiply by into the form that is fastest to read, or "+
		"quantises them: decoders that are made after it share the copies. A training step ends that, and so does "+
		"Pack(weights.Live), after which decoders read the parameters themselves. It returns an error that names the "+
		"tensor where a number is not finite. It may not run beside another call of the model.")
	layout := func(more ...jen.Code) jen.Code {
		return jen.Id("layout").Op(":=").Qual(wp,
			"Layout").Values(append([]jen.Code{jen.Id("Kind").Op(":").Id("kind")}, more...)...)
	}
	made := func() *jen.Statement {
		return jen.Id("newMatrices").Call(jen.Op("&").Id("m").Dot("weights"), jen.Op("&").Id("layout"))
	}
	f.Add(e.self()).Id("Pack").Params(jen.Id("kind").Qual(wp, "Kind")).Error().Block(
		jen.If(jen.Err().Op(":=").Id("m").Dot("guard").Dot("Enter").Call(jen.Id("info").Dot("Name"), jen.Lit("Pack"),
			jen.Nil()), jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err())),
		jen.Defer().Id("m").Dot("guard").Dot("Leave").Call(),
		layout(),
		jen.Id("packed").Op(":=").Add(made()),
		jen.If(jen.Err().Op(":=").Id("layout").Dot("Err").Call(),
			jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Err())),
		jen.List(jen.Id("m").Dot("packed"), jen.Id("m").Dot("packedAt")).Op("=").List(jen.Id("packed"),
			jen.Id("m").Dot("Step").Call()),
		jen.Return(jen.Nil()),
	)
	f.Line()
	comment(f, "MatrixBytes is the number of bytes that a decoding step reads of matrices of a kind, which is what "+
		"its speed depends on.")
	f.Add(e.self()).Id("MatrixBytes").Params(jen.Id("kind").Qual(wp, "Kind")).Int().Block(
		layout(jen.Id("Measure").Op(":").True()),
		made(),
		jen.Return(jen.Id("layout").Dot("Bytes").Call()),
	)
	f.Line()
}
