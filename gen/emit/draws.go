package emit

import (
	"github.com/dave/jennifer/jen"
	"github.com/gradsmith/gradsmith/gen/build"
)

// What steps read beside their batch: noise, lines that a generator writes, rewards.

// streams are the streams of random numbers of training, with what is drawn from each.
func (e *emitter) streams() [][2]string {
	var all [][2]string
	switch {
	case e.sources(build.Noise):
		all = [][2]string{{"discriminatorNoise", "what the generator makes vectors of in a step of the discriminator"},
			{"generatorNoise", "and in one of its own"}}
		if e.mixes() {
			all = append(all, [2]string{"mixing",
				"where between vectors of the data and of the generator the penalty is taken"})
		}
	case e.sources(build.Rewards):
		all = [][2]string{{"discriminatorLines", "lines that the discriminator learns from"},
			{"policyLines", "lines that the generator learns from"}}
		if e.spec.GAN.Text.Rewards != "tokens" {
			all = append(all, [2]string{"rollouts", "and those that finish them"})
		}
	}
	return all
}

// draws emits what draws them.
func (e *emitter) draws(f *jen.File) {
	mp, pp := e.modelPkg(), e.path("policy")
	m := func() *jen.Statement { return jen.Id("m") }
	if streams := e.streams(); len(streams) > 0 {
		comment(f, "The streams of random numbers of training.")
		f.Const().DefsFunc(func(g *jen.Group) {
			for i, s := range streams {
				if i == 0 {
					g.Id(s[0]).Op("=").Iota().Op("+").Lit(1).Comment(s[1])
				} else {
					g.Id(s[0]).Comment(s[1])
				}
			}
		})
		f.Line()
	}
	switch {
	case e.sources(build.Noise):
		e.noiseDraws(f)
	case e.sources(build.Rewards):
		comment(f, "draw lets the generator write as many lines as b has: what it reads, and, as targets, what it "+
			"writes. The seed, the stream and the step decide them.")
		f.Add(e.self()).Id("draw").Params(e.batch(), jen.Id("stream").Uint64()).Params(jen.Op("*").Qual(mp, "Batch"),
			jen.Error()).Block(
			jen.If(m().Dot("lines").Op("==").Nil().Op("||").Add(m()).Dot("lines").Dot("Batch").Call().Op("!=").Id("b").
				Dot("Batch")).Block(
				m().Dot("lines").Op("=").Qual(pp, "NewLines").Call(m().Dot("newDecoder").Call(jen.Id("b").Dot("Batch")),
					jen.Id("beginToken"), jen.Id("vocab"), jen.Lit(1)),
			),
			jen.Return(m().Dot("lines").Dot("Write").Call(jen.Id("b").Dot("Steps"), e.drawKey("stream"))),
		)
		f.Line()
	case e.sources(build.Relaxed):
		text := e.spec.GAN.Text
		comment(f, "cool sets the temperature of the step: it falls from %v to %v in %d steps of the generator that "+
			"follow those on text alone.", text.Hot, text.Cold, text.Cooling)
		f.Add(e.self()).Id("cool").Params().Block(
			m().Dot("inverseTemperature").Op("=").Lit(1).Op("/").Qual(pp, "Temperature").Call(jen.Lit(text.Hot),
				jen.Lit(text.Cold), jen.Lit(text.Cooling), m().Dot("train").Dot("MadeOf").Call(jen.Lit("relaxed"))),
		)
		f.Line()
	}
}

// drawKey is the key of a stream in this training step.
func (e *emitter) drawKey(stream string) jen.Code {
	return jen.Qual(e.modelPkg(), "Key").Call(jen.Id("m").Dot("seed"), jen.Id(stream),
		jen.Uint64().Call(jen.Id("m").Dot("train").Dot("Count")))
}

// drawn emits the lines d that the generator draws for a step, or the step's end.
func (e *emitter) drawn(g *jen.Group, stream string) {
	g.List(jen.Id("d"), jen.Err()).Op(":=").Id("m").Dot("draw").Call(jen.Id("b"), jen.Id(stream))
	g.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err()))
}

// rewards emits the weights of lines d, which are what verdicts say of them.
func (e *emitter) rewards(g *jen.Group) {
	mp, pp := e.modelPkg(), e.path("policy")
	text := e.spec.GAN.Text
	m := func() *jen.Statement { return jen.Id("m") }
	weights := func() *jen.Statement { return jen.Id("d").Dot("Weights") }
	value := jen.Qual(pp, map[string]string{"odds": "Odds", "probability": "Probability"}[text.Value])
	judge := func(into, lines jen.Code) jen.Code {
		return m().Dot("train").Dot("Verdicts").Call(into, lines)
	}
	if text.Rewards == "tokens" {
		g.Add(m()).Dot("said").Op("=").Qual(mp, "Sized").Call(m().Dot("said"), jen.Len(weights()))
		g.Add(judge(m().Dot("said"), jen.Id("d")))
		g.Qual(pp, "Returns").Call(weights(), m().Dot("said"), jen.Lit(text.Discount), value,
			jen.Id("b").Dot("Batch"))
	} else {
		judge := jen.Func().Params(jen.Id("verdicts").Index().Float32(), jen.Id("lines").Index().Int32()).Block(
			m().Dot("judged").Op("=").Qual(mp, "Batch").Values(jen.Id("Steps").Op(":").Id("d").Dot("Steps"),
				jen.Id("Batch").Op(":").Id("d").Dot("Batch"), jen.Id("Targets").Op(":").Id("lines")),
			judge(jen.Id("verdicts"), jen.Op("&").Add(m()).Dot("judged")))
		err := jen.Err().Op("=").Add(m()).Dot("lines").Dot("Rollouts").Call(weights(), jen.Id("d").Dot("Targets"),
			jen.Lit(text.Rollouts), e.drawKey("rollouts"), value, judge)
		g.If(err, jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err()))
	}
	if base := map[string]string{"prefix": "PrefixBaseline", "mean": "Baseline"}[text.Baseline]; base != "" {
		g.Qual(pp, base).Call(weights(), jen.Id("b").Dot("Batch"))
	}
}

// noiseDraws emits what draws the noise of networks of vectors.
func (e *emitter) noiseDraws(f *jen.File) {
	mp, s := e.modelPkg(), e.spec
	m := func() *jen.Statement { return jen.Id("m") }
	d := func(field string) *jen.Statement { return jen.Id("d").Dot(field) }
	key := func(stream string) jen.Code {
		return jen.Qual(mp, "Key").Call(m().Dot("seed"), jen.Id(stream), jen.Uint64().Call(jen.Id("step")))
	}
	comment(f, "draw gives what step number step reads: the vectors of b%s, and noise that the seed, the stream and "+
		"the step decide.", e.withLabels(" and their labels"))
	f.Add(e.self()).Id("draw").Params(e.batch(), jen.Id("stream").Uint64(), jen.Id("step").Int()).Op("*").Qual(mp,
		"Batch").BlockFunc(func(g *jen.Group) {
		g.Id("d").Op(":=").Op("&").Add(m()).Dot("drawn")
		g.List(d("Batch"), d("Vectors")).Op("=").List(jen.Id("b").Dot("Batch"), jen.Id("b").Dot("Vectors"))
		if e.conditional() {
			g.Add(d("Labels")).Op("=").Id("b").Dot("Labels")
		}
		g.Add(d("Noise")).Op("=").Qual(mp, "Sized").Call(d("Noise"), d("Batch").Op("*").Id("noiseSize"))
		g.Id("noise").Call(d("Noise"), key("stream"), jen.Lit(0), d("Batch"))
		if e.mixes() {
			g.Add(d("Mix")).Op("=").Qual(mp, "Sized").Call(d("Mix"), d("Batch"))
			g.Qual(e.kernel(), "Uniform").Call(d("Mix"), key("mixing"), jen.Lit(0), d("Batch"))
		}
		g.Return(jen.Id("d"))
	})
	f.Line()
	how := "independent normal numbers of mean 0 and variance 1"
	if s.GAN.Noise.Distribution == "uniform" {
		how = "independent uniform numbers in [-1, 1)"
	}
	comment(f, "noise fills dst with what rows vectors are made of, from row first of a key's on: %s   [rows, %d].",
		how, s.GAN.Noise.Size)
	f.Func().Id("noise").Params(jen.Id("dst").Index().Float32(), jen.List(jen.Id("key"), jen.Id("first")).Uint64(),
		jen.Id("rows").Int()).BlockFunc(func(g *jen.Group) {
		count := jen.Id("rows").Op("*").Id("noiseSize")
		if s.GAN.Noise.Distribution == "uniform" {
			g.Qual(e.kernel(), "Uniform").Call(jen.Id("dst"), jen.Id("key"), jen.Id("first").Op("*").Id("noiseSize"),
				count.Clone())
			g.Qual(e.kernel(), "Affine").Call(jen.Id("dst"), jen.Id("dst"), jen.Lit(2), jen.Lit(-1), count.Clone())
			return
		}
		g.Qual(e.kernel(), "Normal").Call(jen.Id("dst"), jen.Id("key"), jen.Id("first").Op("*").Id("noiseSize"),
			count.Clone())
	})
	f.Line()
}
