package emit

import (
	"slices"

	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
	"github.com/gradsmith/gradsmith/gen/graph"
)

// answers reports whether the model has a decoder that answers a source.
func (e *emitter) answers() bool { return e.encoding != nil && e.spec.Latent == nil }

// stageDocs say what the parts of a forward pass do.
var stageDocs = map[string]string{
	"encode": "encode runs the encoder: the distributions of the latent vectors are left in m.acts.latentMean and " +
		"m.acts.latentLogvar, [batch, latent].",
	"draw":   "draw draws a latent vector for each row from its distribution, into m.acts.latentZ.",
	"decode": "decode runs the decoder on m.acts.latentZ.",
}

// stages emits the forward pass of an autoencoder, whose parts can be run by themselves.
func (e *emitter) stages(f *jen.File, w *writer, doc string) {
	comment(f, "%s", doc)
	f.Func().Params(jen.Id("m").Op("*").Id("Model")).Id("forward").Params(jen.Id("b").Op("*").Qual(e.modelPkg(),
		"Batch")).BlockFunc(func(g *jen.Group) {
		for _, s := range build.Stages {
			g.Id("m").Dot(s).Call(jen.Id("b"))
		}
	})
	f.Line()
	for _, n := range w.g.Nodes {
		if n.Phase == graph.Forward && !slices.Contains(build.Stages, n.Stage) {
			panic("emit: " + n.Outs[0].Name + " belongs to no stage of the forward pass")
		}
	}
	for _, s := range build.Stages {
		var nodes []*graph.Node
		for _, n := range w.g.Nodes {
			if n.Phase == graph.Forward && n.Stage == s {
				nodes = append(nodes, n)
			}
		}
		e.phase(f, w, nodes, graph.Forward, s, stageDocs[s])
	}
}

// annealing emits how the weight of the divergence rises.
func (e *emitter) annealing(f *jen.File) {
	a := e.spec.Latent.Annealing
	if a.Kind == "none" {
		return
	}
	comment(f, "annealing is how the weight of the divergence rises to beta over the steps of a training.")
	f.Var().Id("annealing").Op("=").Qual(e.path("optim"), "Annealing").ValuesFunc(func(g *jen.Group) {
		g.Id("Kind").Op(":").Lit(a.Kind)
		for _, x := range []struct {
			name string
			n    int
		}{{"Steps", a.Steps}, {"Cycles", a.Cycles}, {"Middle", a.Middle}} {
			if x.n != 0 {
				g.Id(x.name).Op(":").Lit(x.n)
			}
		}
		for _, x := range []struct {
			name string
			v    float64
		}{{"Ramp", a.Ramp}, {"Start", a.Start}, {"Slope", a.Slope}} {
			if x.v != 0 {
				g.Id(x.name).Op(":").Lit(x.v)
			}
		}
	})
	f.Line()
}

// weight is the weight of the divergence in a training step.
func (e *emitter) weight() jen.Code {
	if e.spec.Latent.Annealing.Kind == "none" {
		return jen.Id("beta")
	}
	return jen.Id("beta").Op("*").Id("annealing").Dot("At").Call(jen.Id("m").Dot("train").Dot("Count"))
}

// output is the memory of an output of the training graph, in a function of its own.
func (e *emitter) output(target, receiver string) *jen.Statement {
	v := e.Model.Train.Find(target)
	if v == nil {
		panic("emit: the graph has no output " + target)
	}
	return e.training.member(jen.Id(receiver).Dot("acts"), v)
}

// latent emits what users call to go from vectors to latent vectors and back.
func (e *emitter) latent(f *jen.File) {
	mp := e.modelPkg()
	self := func() *jen.Statement { return jen.Func().Params(jen.Id("m").Op("*").Id("Model")) }
	batch := func() *jen.Statement { return jen.Id("b").Op("*").Qual(mp, "Batch") }
	upTo := func(s *jen.Statement, n jen.Code) *jen.Statement { return s.Index(jen.Empty(), n) }

	comment(f, "Posterior gives the distributions q(z|x) of the latent vectors of b: their means and the logarithms "+
		"of their variances, each [batch, latentSize]. The slices are overwritten by the next call of a method.")
	f.Add(self()).Id("Posterior").Params(batch()).Params(jen.List(jen.Id("mean"), jen.Id("logvar")).Index().Float32(),
		jen.Err().Error()).BlockFunc(func(g *jen.Group) {
		add(g, e.enter("Posterior", e.checked(), "slice", "slice"))
		g.Id("m").Dot("encode").Call(jen.Id("b"))
		g.Id("n").Op(":=").Id("b").Dot("Batch").Op("*").Id("latentSize")
		g.Return(upTo(e.output(build.MeanTarget, "m"), jen.Id("n")),
			upTo(e.output(build.LogVarTarget, "m"), jen.Id("n")), jen.Nil())
	})
	f.Line()
	rows := func(n jen.Code) jen.Code {
		return jen.Qual(mp, "CheckRows").Call(jen.Lit("latent vector"), jen.Id("z"), n, jen.Id("latentSize"))
	}
	comment(f, "Reconstruction gives −log p(x|z) in nats of each %s x of b, for the latent vector of its row of z "+
		"[batch, latentSize]. The slice is overwritten by the next call of a method.", e.Model.Unit())
	f.Add(self()).Id("Reconstruction").Params(batch(), jen.Id("z").Index().Float32()).Params(jen.Index().Float32(),
		jen.Error()).BlockFunc(func(g *jen.Group) {
		add(g,
			e.enter("Reconstruction",
				e.first(e.checked(),
					jen.Qual(mp, "CheckWhole").Call(jen.Lit("latent vector"), jen.Id("z"), jen.Id("b").Dot("Batch"),
						jen.Id("latentSize"))), "slice"))
		g.Copy(e.output(build.SampleTarget, "m"),
			jen.Id("z").Index(jen.Empty(), jen.Id("b").Dot("Batch").Op("*").Id("latentSize")))
		g.Id("m").Dot("decode").Call(jen.Id("b"))
		g.Id("m").Dot("loss").Call(jen.Id("b"),
			jen.False()).Comment("for the loss of each row; the divergence in it is of no meaning")
		g.Return(upTo(e.output(build.RowsTarget, "m"), jen.Id("b").Dot("Batch")), jen.Nil())
	})
	f.Line()
	comment(f, "Bound gives the two parts of the negative evidence lower bound of b, the batch of the last TrainStep "+
		"or Loss, in nats a %s: the mean of −log p(x|z), and the divergence of the latent vectors from their prior, "+
		"all of it, whatever its weight in the loss was.", e.Model.Unit())
	m := func(field string) *jen.Statement { return jen.Id("m").Dot(field) }
	f.Add(self()).Id("Bound").Params(jen.Op("*").Qual(mp, "Batch")).Params(jen.List(jen.Id("reconstruction"),
		jen.Id("divergence")).Float64()).Block(jen.Return(m("reconstruction"), m("divergence")))
	f.Line()
	comment(f, "measure finds the parts of the loss of b, which loss has left.")
	f.Add(self()).Id("measure").Params(batch()).Block(
		jen.List(m("reconstruction"), m("divergence")).Op("=").List(jen.Lit(0), jen.Lit(0)),
		jen.For(jen.List(jen.Id("_"),
			jen.Id("x")).Op(":=").Range().Add(upTo(e.output(build.RowsTarget, "m"), jen.Id("b").Dot("Batch")))).Block(
			m("reconstruction").Op("+=").Float64().Call(jen.Id("x")).Op("/").Float64().Call(
				jen.Id("b").Dot("Batch"))),
		jen.For(jen.List(jen.Id("_"),
			jen.Id("x")).Op(":=").Range().Add(upTo(e.output(build.DimsTarget, "m"), jen.Id("latentSize")))).Block(
			m("divergence").Op("+=").Float64().Call(jen.Id("x"))),
	)
	f.Line()
	if e.spec.Vectors == nil {
		return
	}
	what, last := "the probabilities that numbers are 1", e.lastOutput()
	if e.spec.Likelihood.Kind == "gaussian" {
		what = "the means of the numbers"
	}
	comment(f, "Likelihood gives what the decoder writes from latent vectors z [n, latentSize]%s, n from 1 to the "+
		"batch of the spec: %s, [n, vectorSize]. The slice is overwritten by the next call of a method.",
		e.withLabels(" and labels [n]"), what)
	f.Add(self()).Id("Likelihood").Params(jen.Id("z").Index().Float32(),
		e.runtimeLabels()).Params(jen.Index().Float32(), jen.Error()).BlockFunc(func(g *jen.Group) {
		values := []jen.Code{jen.Id("Steps").Op(":").Lit(1),
			jen.Id("Batch").Op(":").Len(jen.Id("z")).Op("/").Id("latentSize")}
		faults := []jen.Code{rows(jen.Id("maxBatch"))}
		if e.conditional() {
			values = append(values, jen.Id("Labels").Op(":").Id("labels"))
			faults = append(faults, e.checkLabels(jen.Id("labels"), jen.Id("b").Dot("Batch")))
		}
		g.Id("b").Op(":=").Qual(mp, "Batch").Values(values...)
		add(g, e.enter("Likelihood", e.first(faults[0], faults[1:]...), "slice"))
		g.Copy(e.output(build.SampleTarget, "m"), jen.Id("z"))
		g.Id("m").Dot("decode").Call(jen.Op("&").Id("b"))
		g.Id("x").Op(":=").Add(upTo(last, jen.Id("b").Dot("Batch").Op("*").Id("vectorSize")))
		if e.spec.Likelihood.Kind == "bernoulli" {
			g.Qual(e.kernel(), "Sigmoid").Call(jen.Id("x"), jen.Id("x"), jen.Len(jen.Id("x")))
		}
		g.Return(jen.Id("x"), jen.Nil())
	})
	f.Line()
}

// begin emits the method by which a decoder begins sentences.
func (e *emitter) begin(f *jen.File) {
	fn := e.encoding.function()
	fn.scope.Reserve("z", "labels")
	for i, group := range groups(e.Model.Encode.Nodes, graph.Forward) {
		if i > 0 {
			fn.add(jen.Line())
		}
		if o := group[0].Origin; o != "" {
			fn.comment(o)
		}
		fn.nodes(group)
	}
	faults := []jen.Code{jen.Qual(e.modelPkg(), "CheckWhole").Call(jen.Lit("latent vector"), jen.Id("z"),
		jen.Id("d").Dot("batch"), jen.Id("latentSize"))}
	if e.conditional() {
		faults = append(faults, e.checkLabels(jen.Id("labels"), jen.Id("d").Dot("batch")))
	}
	comment(f, "Begin begins the sentences that are written from latent vectors z [batch, latentSize]%s.",
		e.withLabels(" and labels [batch]"))
	f.Func().Params(jen.Id("d").Op("*").Id("Decoder")).Id("Begin").Params(jen.Id("z").Index().Float32(),
		e.runtimeLabels()).Params(jen.Err().Error()).BlockFunc(func(g *jen.Group) {
		add(g, e.enterReading("Begin", e.first(faults[0], faults[1:]...)))
		g.Id("d").Dot("Reset").Call()
		g.Line()
		add(g, fn.block())
		g.Return(jen.Nil())
	})
	f.Line()
}

// lastOutput is the memory of what the last layer gives.
func (e *emitter) lastOutput() *jen.Statement {
	for _, n := range e.Model.Train.Nodes {
		if n.Phase != graph.Loss {
			continue
		}
		v := n.Args[0] // of the likelihood, which comes first
		return e.training.member(jen.Id("m").Dot("acts"), v)
	}
	panic("emit: the graph has no loss")
}
