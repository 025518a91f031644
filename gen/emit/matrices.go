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

// matrix is the matrix that a product or a lookup reads.
func (f *function) matrix(x graph.Matrix) *jen.Statement {
	v := unshaped(x.V)
	if fr := f.frameOf(v); fr != nil {
		for i, in := range fr.n.Loop.Body.Inputs {
			if in == v && i >= fr.n.Loop.Carries+fr.n.Loop.Seqs {
				x.V = fr.n.Args[i]
				return f.matrix(x)
			}
		}
		return f.laid(laid{f.stackOf(fr, v).ID, x.Transpose}, x.Rows).Index(fr.variable())
	}
	return f.laid(laid{v.ID, x.Transpose}, x.Rows)
}

func (f *function) laid(l laid, rows bool) *jen.Statement {
	f.used["w"] = true
	e := f.w.e
	e.multiplies[l] = e.multiplies[l] || !rows
	return jen.Id("w").Dot(e.matrixField(l))
}

// matrixField is the field of matrices with a parameter.
func (e *emitter) matrixField(l laid) string {
	return e.ids.matrices.For(l, names.Lower(l.id.String()))
}

// eachMatrix calls do for every matrix that decoders read, and keep for every parameter that they read as it is, in the
// order of the parameters' definition, inside of loops over the layers of stacks where loop makes them.
func (e *emitter) eachMatrix(loop func(s scope, body func()), do func(s scope, p *build.Param, l laid),
	keep func(s scope, p *build.Param)) {
	for _, s := range e.scopes() {
		var found []func()
		for _, p := range s.params {
			for _, transpose := range []bool{false, true} {
				l := laid{p.ID(), transpose}
				if _, ok := e.multiplies[l]; ok {
					found = append(found, func() { do(s, p, l) })
				}
			}
			if e.kept[p.ID()] && keep != nil {
				found = append(found, func() { keep(s, p) })
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
	comment(f, "matrices are those that decoders multiply by or take rows of, in the form in which they read them.")
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
		}, nil)
	})
	f.Line()
	// of is a parameter, and its name as arguments of a layout.
	of := func(s scope, p *build.Param) (from *jen.Statement, name []jen.Code) {
		from = jen.Id("p").Dot(e.layerField(s.name))
		if s.stack() == 0 {
			return from.Dot(e.paramField(p.ID())), []jen.Code{jen.Lit(p.Tensors()[0])}
		}
		name = []jen.Code{jen.Lit(p.Layer + ".%d." + p.Field), jen.Id("l").Op("+").Lit(p.First)}
		return from.Index(jen.Id("l")).Dot(e.paramField(p.ID())), name
	}
	comment(f, "newMatrices makes the matrices of p with a layout, and tells it which parameters decoders read as "+
		"they are.")
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
			switch {
			case l.transpose && e.multiplies[l]:
				how = "Transpose"
			case l.transpose:
				how = "Rows"
			}
			field := jen.Id("w").Dot(e.matrixField(l))
			if s.stack() > 0 {
				field = field.Index(jen.Id("l"))
			}
			from, name := of(s, p)
			sh := shape(p)
			g.Add(field).Op("=").Id("layout").Dot(how).Call(append([]jen.Code{from, e.product(sh[0]),
				e.product(sh[1])}, name...)...)
		}, func(s scope, p *build.Param) {
			from, name := of(s, p)
			g.Id("layout").Dot("Keep").Call(append([]jen.Code{jen.Op("&").Add(from)}, name...)...)
		})
		g.Return(jen.Id("w"))
	})
	f.Line()
	e.packing(f)
}

// packing emits the methods by which a model has matrices that decoders share.
func (e *emitter) packing(f *jen.File) {
	wp := e.path("weights")
	enter := func(call string) []jen.Code {
		return e.entering(jen.Id("m").Dot("guard").Dot("Enter").Call(jen.Id("info").Dot("Name"), jen.Lit(call),
			jen.Nil()), "m", nil)
	}
	taking := func(name, arg string, typ *jen.Statement) *jen.Statement {
		return f.Add(e.self()).Id(name).Params(jen.Id(arg).Add(typ))
	}
	layout := func() *jen.Statement { return jen.Op("*").Qual(wp, "Layout") }
	failed := jen.If(jen.Err().Op(":=").Id("layout").Dot("Err").Call(), jen.Err().Op("!=").Nil()).Block(jen.Return(
		jen.Err()))
	set := []jen.Code{
		jen.List(jen.Id("m").Dot("packed"), jen.Id("m").Dot("packedAt"), jen.Id("m").Dot("packedAs")).Op("=").List(
			jen.Id("packed"), jen.Id("m").Dot("Step").Call(), jen.Id("layout").Dot("Kind")),
	}

	comment(f, "Pack copies the matrices that decoders multiply by into the form that is fastest to read, or "+
		"quantises them: decoders that are made after it share the copies. A training step ends that, and so does "+
		"Pack(weights.Live), after which decoders read the parameters themselves. It returns an error that names the "+
		"tensor where a number is not finite. It may not run beside another call of the model.")
	taking("Pack", "kind", jen.Qual(wp, "Kind")).Error().Block(
		jen.Return(jen.Id("m").Dot("Lay").Call(jen.Op("&").Qual(wp, "Layout").Values(jen.Dict{
			jen.Id("Kind"): jen.Id("kind")}))),
	)
	f.Line()
	comment(f, "Lay is Pack with a layout, which may choose the kind of each matrix and is told of each.")
	taking("Lay", "layout", layout()).Error().Block(append(append(enter("Lay"),
		jen.Id("packed").Op(":=").Id("newMatrices").Call(jen.Op("&").Id("m").Dot("weights"), jen.Id("layout")),
		failed), append(set, jen.Return(jen.Nil()))...)...)
	f.Line()
	comment(f, "Mount makes decoders read what the layout's source has, and lets the parameters go: the model can "+
		"write, and methods that need its parameters return model.ErrMounted from then on. It is called before "+
		"decoders are made. On an error the model is as it was.")
	taking("Mount", "layout", layout()).Error().Block(append(append(enter("Mount"),
		jen.Id("p").Op(":=").Op("&").Id("Params").Values(),
		jen.Id("packed").Op(":=").Id("newMatrices").Call(jen.Id("p"), jen.Id("layout")),
		failed.Clone(), jen.List(jen.Id("m").Dot("weights"), jen.Id("m").Dot("params")).Op("=").List(
			jen.Op("*").Id("p"), jen.Nil())), append(set,
		jen.Id("m").Dot("guard").Dot("Refuse").Call(jen.Qual(e.modelPkg(), "ErrMounted")),
		jen.Return(jen.Nil()))...)...)
	f.Line()
	comment(f, "Kind is the kind of the matrices of decoders that are made now: weights.Live where they read the "+
		"parameters themselves.")
	f.Add(e.self()).Id("Kind").Params().Qual(wp, "Kind").Block(
		jen.If(jen.Id("m").Dot("packed").Op("==").Nil().Op("||").Id("m").Dot("packedAt").Op("!=").Id("m").Dot("Step").
			Call()).Block(jen.Return(jen.Qual(wp, "Live"))),
		jen.Return(jen.Id("m").Dot("packedAs")),
	)
	f.Line()
	comment(f, "MatrixBytes is the number of bytes that a decoding step reads of matrices of a kind, which is what "+
		"its speed depends on.")
	f.Add(e.self()).Id("MatrixBytes").Params(jen.Id("kind").Qual(wp, "Kind")).Int().Block(
		jen.Id("layout").Op(":=").Qual(wp, "Layout").Values(jen.Id("Kind").Op(":").Id("kind"),
			jen.Id("Measure").Op(":").True()),
		jen.Id("newMatrices").Call(jen.Op("&").Id("m").Dot("weights"), jen.Op("&").Id("layout")),
		jen.Return(jen.Id("layout").Dot("Bytes").Call()),
	)
	f.Line()
}
