package spec

import (
	"math"
	"strings"
)

// checkVAE makes the Model of a spec of kind vae.
func checkVAE(c *checker, root *value) *Model {
	if root.bad {
		return nil
	}
	m := c.model(root)
	vectors := root.key("vectors")
	ofText := !vectors.given
	m.Likelihood = c.likelihood(root.key("likelihood"), ofText)
	m.Labels = c.labels(root.key("labels"), root.key("init"))
	encoder, decoder, latent := root.key("encoder"), root.key("decoder"), root.key("latent")
	size := int(latent.key("size").integer)
	e := layers{checker: c, path: "encoder", init: root.key("init")}
	d := layers{checker: c, path: "decoder", init: root.key("init")}
	if ofText {
		m.Tokenizer = c.tokenizer(root.key("tokenizer"), "tokenizer", BeginToken, EndToken)
		m.Source = &Source{Pos: m.Shape.Pos, Tokenizer: m.Tokenizer, Steps: m.Shape.Steps}
		e.role, e.vocab = sourceSide, m.Tokenizer.Vocab
		d.role, d.vocab, d.latent = targetSide, m.Tokenizer.Vocab, size+m.Labels.width()
	} else {
		c.noDrop(m.Labels, root.key("labels"))
		m.Shape.Steps = 1
		m.Vectors = &Vectors{Pos: vectors.Pos, Size: int(vectors.integer)}
		e.role, e.in = vectorReader, m.Vectors.Size+m.Labels.width()
		d.role, d.in, d.vocab = vectorWriter, size+m.Labels.width(), m.Vectors.Size
		c.noText(root)
	}
	e.shape, d.shape = m.Shape, m.Shape
	e.params = m.Labels.params()
	heads := latent.key("heads")
	if heads.given && !heads.bad {
		c.names(encoder, heads, decoder)
	} else {
		c.names(encoder, decoder)
	}
	c.reserved(leaves(encoder, decoder),
		map[string]string{"latent": "the latent vector's", "encoder_labels": "the labels'",
			"decoder_labels": "the labels'"}, m)
	e.tied = tiedTables(encoder, decoder)
	d.tied = e.tied
	m.Encoder = e.check(encoder)
	width := 0
	if n := len(m.Encoder); n > 0 && !e.unknown {
		width = m.Encoder[n-1].OutputWidth()
		if ofText {
			width += m.Labels.width()
		}
	}
	m.Latent = c.latent(latent, size, width, root.key("init"))
	if heads.given && !heads.bad && len(heads.list) == 1 {
		m.Latent.Heads = e.headsByFormula(heads.list[0], width, size)
	} else {
		e.count(latent, 2*int64(size)*int64(width+1), 2*size)
	}
	m.Latent.WordDropout = root.key("word_dropout").number
	if m.Latent.BagOfWords = root.key("bag_of_words").number; m.Latent.BagOfWords > 0 {
		e.count(root.key("bag_of_words"), int64(size+m.Labels.width()+1)*int64(m.Tokenizer.Vocab), m.Tokenizer.Vocab)
	}
	c.encoderFirst(latent.key("encoder_first"), m, decoder)
	d.shared, d.params, d.tooMany = e.tables, e.params, e.tooMany
	d.unknown = ofText && e.unknown
	m.Layers = d.check(decoder)
	for _, v := range leaves(decoder) {
		// what makes its states from the latent vector, and reads it
		if units := v.set.key("units"); records[v.word].recurrent && !units.bad {
			d.count(v, 6*units.integer*int64(size+m.Labels.width()+1), 4*int(units.integer))
		}
	}
	c.training(root, m)
	c.annealing(latent.key("annealing"), m)
	return m
}

// headsByFormula checks the formula that gives the distribution of a latent vector of the size from width features.
func (c *layers) headsByFormula(v *value, width, size int) *Defined {
	if v.bad {
		return nil
	}
	if v.define == nil || v.word != "define" {
		c.errorf(v.Pos, "latent.heads: %s is no layer of one equation after the other for each example alone; define "+
			"one whose last equation is q(z|x) = N(mean, variance)", v.kind())
		return nil
	}
	heads := *c
	heads.heads = size
	l, _ := heads.defined(v, LayerBase{Pos: v.Pos, Kind: v.kind(), Name: v.layer, In: width, Blocks: v.blocks}, width,
		false).(*Defined)
	c.params, c.tooMany = heads.params, heads.tooMany
	if s := v.set.key("share"); s.given && !s.bad {
		c.errorf(s.Pos, "%s.share: the heads of a latent vector have parameters of their own", v.kind())
	}
	return l
}

// noText refuses keys of models of text in one of vectors.
func (c *checker) noText(root *value) {
	for _, x := range []struct {
		v          *value
		name, what string
	}{
		{root.key("shape").key("steps"), "shape.steps", "vectors have no time steps"},
		{root.key("tokenizer"), "tokenizer", "vectors are not text"},
		{root.key("word_dropout"), "word_dropout", "vectors have no words"},
		{root.key("bag_of_words"), "bag_of_words", "vectors have no words"},
		{root.key("train").key("separator"), "train.separator", "vectors are not text"},
	} {
		if x.v.given {
			c.errorf(x.v.Pos, "%s: %s; leave it out", x.name, x.what)
		}
	}
}

// reserved refuses layers whose name is that of parameters of another kind.
func (c *checker) reserved(layers []*value, whose map[string]string, m *Model) {
	for _, v := range layers {
		owner, taken := whose[v.layer]
		if taken && (m.Labels != nil || !strings.HasSuffix(v.layer, "_labels")) {
			c.errorf(v.set.key("name").Pos, "%s.name: %q is the name of %s own parameters; choose another", v.word,
				v.layer, owner)
		}
	}
}

func (c *checker) likelihood(v *value, ofText bool) *Likelihood {
	l := &Likelihood{Pos: v.Pos, Kind: v.word, Deviation: v.set.key("deviation").number}
	switch {
	case !v.given && ofText:
		l.Kind = "categorical"
	case !v.given:
		l.Kind = "bernoulli"
	case v.bad:
	case ofText && v.word != "categorical":
		c.errorf(v.Pos, "likelihood: %s is for vectors, and this is a model of text, which is categorical; leave it "+
			"out, or say how long the vectors are with `vectors`", v.word)
	case !ofText && v.word == "categorical":
		c.errorf(v.Pos, "likelihood: categorical is for text; vectors are bernoulli or gaussian")
	}
	return l
}

// latent checks the latent vector, whose heads read width features.
func (c *checker) latent(v *value, size, width int, init *value) *Latent {
	free, own := v.key("free_bits"), v.key("init")
	l := &Latent{
		Pos: v.Pos, Size: size, Beta: v.key("beta").number,
		FreeTotal: free.key("total").number, FreeDimension: free.key("dimension").number,
	}
	uniform := func(in int) Init {
		return Init{Pos: v.Pos, Scheme: "uniform", Scale: 1 / math.Sqrt(float64(max(in, 1)))}
	}
	l.Init = c.initial(own, c.initial(init, uniform(width)))
	l.BiasInit = uniform(width)
	if own.given || init.given {
		l.BiasInit = Init{Pos: v.Pos, Scheme: "zeros"}
	}
	a := v.key("annealing")
	l.Annealing = Annealing{
		Pos: a.Pos, Kind: a.word, Steps: int(a.set.key("steps").integer), Cycles: int(a.set.key("cycles").integer),
		Ramp: a.set.key("ramp").number, Start: a.set.key("start").number,
		Middle: int(a.set.key("middle").integer), Slope: a.set.key("slope").number,
	}
	return l
}

// encoderFirst checks the updates of the encoder alone.
func (c *checker) encoderFirst(v *value, m *Model, decoder *value) {
	if !v.given || v.bad {
		return
	}
	steps, check := v.key("steps"), v.key("check")
	m.Latent.EncoderFirst = EncoderFirst{Pos: v.Pos, Steps: int(steps.integer), Check: int(check.integer)}
	if !check.given {
		m.Latent.EncoderFirst.Check = min(15, int(steps.integer))
	}
	if check.integer > steps.integer && !steps.bad && !check.bad {
		c.errorf(check.Pos, "latent.encoder_first: of at most %d updates none ends a round of %d, so they would "+
			"never be compared; make check smaller", steps.integer, check.integer)
	}
	for _, l := range leaves(decoder) {
		if tie := l.set.key("tie"); l.word == "embedding" && tie.given && !tie.bad {
			c.errorf(v.Pos, "latent.encoder_first: the decoder's embedding shares the encoder's table (line %d), so "+
				"that the encoder cannot be updated alone; leave one of the two out", tie.Line)
		}
	}
}

// annealing checks that the weight of the divergence has risen before the training ends.
func (c *checker) annealing(v *value, m *Model) {
	end := m.Latent.Annealing.End()
	if v.bad || m.Train.Steps == 0 || end <= m.Train.Steps {
		return
	}
	c.errorf(v.Pos, "latent.annealing.%s: the weight of the divergence has risen after %d steps, but the training "+
		"has %d; shorten the one or lengthen the other", v.word, end, m.Train.Steps)
}

// End is the number of steps after which the weight stays at beta; for a sigmoid, after which it is above 99 % of it.
func (a *Annealing) End() int {
	switch a.Kind {
	case "linear":
		return a.Steps
	case "cyclical":
		return a.Steps * max(a.Cycles, 1)
	case "sigmoid":
		if a.Slope > 0 {
			return a.Middle + int(math.Ceil(math.Log(99)/a.Slope))
		}
	}
	return 0
}
