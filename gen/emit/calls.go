package emit

import (
	"fmt"

	"github.com/dave/jennifer/jen"
)

// What a trained model is used for are plain calls: text or numbers in, text or numbers out. Their bodies are those of
// runtime/inference and its neighbours; here they get the model's tokenizer, its names and its labels.

// Goroutines: whether a call may be made from many.
const (
	fromMany = "It may be called from many goroutines, as long as no training or evaluation runs."
	fromOne  = "It uses the memory of the model, so that one goroutine at a time may call it: the second gets " +
		"model.ErrInUse."
)

// plainCall emits one of them, a return of a function of the runtime.
func (e *emitter) plainCall(f *jen.File, name, goroutines, doc string, params, results []jen.Code, pkg, fn string,
	args ...jen.Code) {
	comment(f, "%s %s", doc, goroutines)
	f.Add(e.self()).Id(name).Params(params...).Params(results...).Block(jen.Return(jen.Qual(e.path(pkg),
		fn).Call(args...)))
	f.Line()
}

// calls emits the plain calls of the family of the model, but for Generate.
func (e *emitter) calls(f *jen.File) {
	ctx := jen.Id("ctx").Qual("context", "Context")
	opts := jen.Id("opts").Op("...").Qual(e.path("sample"), "Option")
	texts := []jen.Code{jen.Index().String(), jen.Error()}
	numbers := []jen.Code{jen.Index().Float32(), jen.Error()}
	spread := jen.Id("opts").Op("...")
	m, tok := jen.Id("m"), jen.Id("Tokenizer")
	strings := func(name string) jen.Code { return jen.Id(name).Index().String() }
	floats := func(name string) jen.Code { return jen.Id(name).Index().Float32() }
	// Of a conditional model each call has labels as well.
	with := func(params ...jen.Code) []jen.Code { return append(params, e.labelParam()...) }
	labels, label, of, one := jen.Code(jen.Nil()), jen.Code(jen.Lit(0)), "", ""
	oneParam := []jen.Code{}
	if e.conditional() {
		labels, label, of, one = jen.Id("labels"), jen.Id("label"), " with its label, one of labels",
			" and to what is written"
		oneParam = []jen.Code{jen.Id("label").Int32()}
	}
	count, samples := jen.Code(jen.Id("n").Int()), "n %s"
	if e.conditional() {
		count, samples = jen.Null(), "%s, one for each of labels"
	}
	howMany := func() jen.Code {
		if e.conditional() {
			return jen.Len(jen.Id("labels"))
		}
		return jen.Id("n")
	}
	given := func(params ...jen.Code) []jen.Code { // without the count of a conditional model
		var out []jen.Code
		for _, p := range params {
			if p != count || !e.conditional() {
				out = append(out, p)
			}
		}
		return out
	}
	// Of autoencoders.
	bound := func(what string) string {
		return "Score gives the evidence lower bound of each " + what + of +
			", in nats: E[log p(x|z)] − KL(q(z|x) ‖ p(z)), which is at most log p(x). The expectation is a mean over " +
			"so many samples of z, which the seed decides."
	}
	drawing := []jen.Code{jen.Id("samples").Int(), jen.Id("seed").Uint64()}
	bounds := []jen.Code{jen.Index().Float64(), jen.Error()}
	scored := []jen.Code{jen.Index().Qual(e.path("sample"), "Scored"), jen.Error()}
	drawn := "With options, such as sample.Temperature, tokens are drawn; without any the likeliest is taken each time."

	switch {
	case e.ofText():
		e.plainCall(f, "Score", fromOne,
			"Score gives the discriminator's verdict on each line: the higher, the more the line is like those that "+
				"the model was trained on.",
			[]jen.Code{strings("lines")}, numbers, "inference", "JudgeLines", m, tok, jen.Id("lines"))
	case e.spec.GAN != nil:
		comment(f, "Score gives the discriminator's verdict on each row of vectors [n, vectorSize]%s: the higher, "+
			"the more it is like those that the model was trained on. %s", of, fromOne)
		f.Add(e.self()).Id("Score").Params(with(floats("vectors"))...).Params(numbers...).Block(
			jen.Id("verdicts").Op(":=").Make(jen.Index().Float32(),
				jen.Len(jen.Id("vectors")).Op("/").Id("vectorSize")),
			jen.If(jen.Err().Op(":=").Id("m").Dot("Judge").Call(jen.Id("verdicts"), jen.Id("vectors"), labels),
				jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
			jen.Return(jen.Id("verdicts"), jen.Nil()),
		)
		f.Line()
	case e.spec.Latent != nil && e.spec.Vectors == nil:
		e.plainCall(f, "Encode", fromOne,
			"Encode gives the mean of the latent vector of each sentence"+of+", [len(sentences), latentSize].",
			with(strings("sentences")), numbers, "inference", "EncodeSentences", m, tok, jen.Id("sentences"), labels)
		e.plainCall(f, "Decode", fromMany,
			"Decode writes a sentence from each latent vector of z [n, latentSize]"+of+". "+drawn,
			append(append([]jen.Code{ctx}, with(floats("z"))...), opts), texts, "inference", "DecodeSentences",
			jen.Id("ctx"), m, tok, jen.Id("z"), labels, spread)
		e.plainCall(f, "Sample", fromMany,
			"Sample writes "+fmt.Sprintf(samples,
				"sentences")+", from latent vectors of the prior, which the seed decides. "+drawn,
			append(given(append(append([]jen.Code{ctx, count}, e.labelParam()...), jen.Id("seed").Uint64())...), opts),
			texts, "inference", "SampleSentences", jen.Id("ctx"), m, tok, howMany(), labels, jen.Id("seed"), spread)
		e.plainCall(f, "Reconstruct", fromOne,
			"Reconstruct writes each sentence"+of+" again, from the mean of its latent vector. "+drawn,
			append(append([]jen.Code{ctx}, with(strings("sentences"))...), opts), texts, "inference",
			"ReconstructSentences", jen.Id("ctx"), m, tok, jen.Id("sentences"), labels, spread)
		doc := "Interpolate writes sentences from points, 2 or more, on the straight line between the means of two " +
			"sentences, both included."
		if one != "" {
			doc += " The label belongs to both sentences" + one + "."
		}
		e.plainCall(f, "Interpolate", fromOne, doc+" "+drawn,
			append(append([]jen.Code{ctx, jen.List(jen.Id("a"), jen.Id("b")).String(), jen.Id("points").Int()},
				oneParam...), opts), texts, "inference", "InterpolateSentences", jen.Id("ctx"), m, tok, jen.Id("a"),
			jen.Id("b"), jen.Id("points"), label, spread)
		e.plainCall(f, "Score", fromOne, bound("sentence"),
			append(append([]jen.Code{ctx}, with(strings("sentences"))...), drawing...), bounds, "inference",
			"ScoreSentences", jen.Id("ctx"), m, tok, jen.Id("sentences"), labels, jen.Id("samples"), jen.Id("seed"))
	case e.spec.Latent != nil:
		made := "the probabilities that numbers are 1"
		if e.spec.Likelihood.Kind == "gaussian" {
			made = "the means of the numbers"
		}
		e.plainCall(f, "Encode", fromOne,
			"Encode gives the mean of the latent vector of each row of x [n, vectorSize]"+of+", [n, latentSize].",
			with(floats("x")), numbers, "inference", "EncodeVectors", m, jen.Id("x"), labels)
		e.plainCall(f, "Decode", fromOne,
			"Decode gives what the decoder makes of each latent vector of z [n, latentSize]"+of+": "+made+
				", [n, vectorSize].",
			with(floats("z")), numbers, "inference", "DecodeVectors", m, jen.Id("z"), labels)
		e.plainCall(f, "Sample", fromOne,
			"Sample decodes latent vectors of the prior, which the seed decides: "+fmt.Sprintf(samples,
				"vectors")+", [n, vectorSize].",
			given(append(append([]jen.Code{count}, e.labelParam()...), jen.Id("seed").Uint64())...), numbers,
			"inference", "SampleVectors", m, howMany(), labels, jen.Id("seed"))
		e.plainCall(f, "Reconstruct", fromOne,
			"Reconstruct decodes the mean of the latent vector of each row of x [n, vectorSize]"+of+".",
			with(floats("x")), numbers, "inference", "ReconstructVectors", m, jen.Id("x"), labels)
		doc := "Interpolate decodes points, 2 or more, on the straight line between the means of two vectors, both " +
			"included: [points, vectorSize]."
		if one != "" {
			doc += " The label belongs to both vectors" + one + "."
		}
		e.plainCall(f, "Interpolate", fromOne, doc,
			append([]jen.Code{jen.List(jen.Id("a"), jen.Id("b")).Index().Float32(), jen.Id("points").Int()},
				oneParam...), numbers, "inference", "InterpolateVectors", m, jen.Id("a"), jen.Id("b"), jen.Id("points"),
			label)
		e.plainCall(f, "Score", fromOne, bound("row of x [n, vectorSize]"),
			append(append([]jen.Code{ctx}, with(floats("x"))...), drawing...), bounds, "inference", "ScoreVectors",
			jen.Id("ctx"), m, jen.Id("x"), labels, jen.Id("samples"), jen.Id("seed"))
	case e.answers():
		e.plainCall(f, "Translate", fromMany,
			"Translate answers a text. It keeps the beam likeliest beginnings of an answer, which it ranks with a "+
				"length penalty of 1; a beam of 1 takes the likeliest token each time.",
			[]jen.Code{ctx, jen.Id("source").String(), jen.Id("beam").Int()}, []jen.Code{jen.String(), jen.Error()},
			"inference", "Translate", jen.Id("ctx"), m, e.sourceTokenizer(), tok, jen.Id("source"), jen.Id("beam"))
		e.plainCall(f, "Score", fromMany,
			"Score gives the natural logarithm of the probability of an answer to a source, its end included.",
			[]jen.Code{ctx, jen.List(jen.Id("source"), jen.Id("answer")).String()},
			[]jen.Code{jen.Float64(), jen.Error()}, "inference", "ScoreAnswer", jen.Id("ctx"), m, e.sourceTokenizer(),
			tok, jen.Id("source"), jen.Id("answer"))
	case e.Model.Masked():
		comment(f, "Fill fills in a text, in which the mask stands where something is missing, with the likeliest "+
			"token for each. %s", fromOne)
		f.Add(e.self()).Id("Fill").Params(jen.Id("s").String()).Params(jen.String(), jen.Error()).Block(
			jen.List(jen.Id("filled"), jen.Id("_"), jen.Err()).Op(":=").Qual(e.path("inference"), "Fill").Call(m, tok,
				jen.Id("s"), jen.Lit(1)),
			jen.Return(jen.Id("filled"), jen.Err()),
		)
		f.Line()
		e.plainCall(f, "Score", fromOne,
			"Score gives, for each token of s, the natural logarithm of its probability where it alone is masked. "+
				"Their sum, the pseudo-log-likelihood of s (Salazar et al. 2020), ranks texts; it is not the "+
				"logarithm of a probability of s.",
			[]jen.Code{ctx, jen.Id("s").String()}, scored, "inference", "ScoreMasked", jen.Id("ctx"), m, tok,
			jen.Id("s"))
	case e.decoding != nil:
		e.plainCall(f, "Score", fromMany,
			"Score gives the natural logarithm of the probability of each token of s behind the prompt; an empty "+
				"prompt stands for a newline. The perplexity of s is exp(−mean).",
			[]jen.Code{ctx, jen.List(jen.Id("prompt"), jen.Id("s")).String()}, scored, "sample", "Score", jen.Id("ctx"),
			jen.Id("m").Dot("NewDecoder").Call(jen.Lit(1)), tok, jen.Id("prompt"), jen.Id("s"))
	}
}

// sourceTokenizer is what sources are read with.
func (e *emitter) sourceTokenizer() jen.Code {
	if e.spec.EncoderDecoder() {
		return jen.Id("SourceTokenizer")
	}
	return jen.Id("Tokenizer")
}
