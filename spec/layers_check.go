package spec

import (
	"fmt"
	"math"
	"strings"
)

// role is what a stack of layers is for, which decides what its layers can be.
type role uint8

const (
	predictor role = iota // of kind rnn: predicts the next token
	decoderOnly
	encoderOnly
	sourceSide   // an encoder in front of a decoder
	targetSide   // a decoder behind an encoder
	vectorReader // of kind vae: the encoder of vectors
	vectorWriter // of kind vae: the decoder of vectors
	generating   // the generator of a pair of adversarial networks
	judging      // its discriminator
	writing      // the generator of adversarial networks of text
	reading      // their discriminator
)

// layers checks a list of layers: their order, their widths, their size in memory.
type layers struct {
	*checker
	path   string // key of the list
	role   role
	in     int // features before the first layer, where that does not read tokens; 0 when they are unknown
	vocab  int // width of the last layer, where that is not for the spec to choose: of logits the vocabulary; 0 when it is unknown
	shape  Shape
	init   *value                // the model-wide key
	tied   map[string]bool       // names of the embeddings that serve as the last layer's matrix
	tables map[string]*Embedding // of this stack
	shared map[string]*Embedding // role targetSide: the encoder's
	memory int                   // role targetSide: width of the encoder's output; 0 when it is unknown
	params int64

	latent       int  // of kind vae: numbers of the latent vector and its label, which a decoder reads; 0 otherwise
	reads        bool // a transformer that reads the latent vector came before
	causal       bool // role reading: each token has a verdict, on the line up to there
	transformers bool // there is a transformer among the layers
	sinusoidal   bool // there are sinusoidal positions among the layers
	attends      Pos  // of the layer that has attention over the encoder, if there is one; transformers apart

	pooled  bool // a layer has left no time steps
	unknown bool // a layer is bad, so what is missing may be that one
	tooMany bool // the number of parameters was reported
}

// overTime tells the layers that look at several time steps.
func overTime(word string) bool {
	return isRecurrent(word) || word == "conv1d" || word == "max_pool" || word == "positions" || word == "transformer"
}

func isRecurrent(word string) bool { return word == "rnn" || word == "lstm" || word == "gru" }

// tiedTables finds the names of the embeddings that a dense layer ties, itself or by way of a decoder's embedding.
func tiedTables(layers []*value, names []string) map[string]bool {
	tied := map[string]bool{}
	for _, word := range []string{"dense", "embedding"} {
		for i, v := range layers {
			if tie := v.set.key("tie"); v.word == word && tie.given && !tie.bad && (word == "dense" || tied[names[i]]) {
				tied[tie.text] = true
			}
		}
	}
	return tied
}

// all checks the layers of the only stack of a model.
func (c *layers) all(list *value) []Layer {
	names := c.names(list.list)
	c.tied = tiedTables(list.list, names)
	return c.check(list, names)
}

// check makes the layers of a list, which have these names.
func (c *layers) check(list *value, names []string) []Layer {
	if list.bad {
		c.unknown = true
		return nil
	}
	c.tables = map[string]*Embedding{}
	c.fits(list)
	var all []Layer
	width := c.in // features before the layer; 0 when they are unknown
	for i, v := range list.list {
		if v.bad {
			width = 0
			continue
		}
		first, last := i == 0, i == len(list.list)-1
		table := v.word == "embedding" || v.word == "one_hot"
		switch {
		case c.ofVectors():
			switch {
			case c.role == judging && v.word != "dense" && v.word != "dropout":
				c.errorf(v.Pos, "%s: %s is a layer of discriminators of text; those of vectors are made of dense and dropout", c.path, v.word)
			case table || overTime(v.word):
				c.errorf(v.Pos, "%s: %s is a layer of models of text; those of vectors are made of dense, dropout, layernorm and rmsnorm", c.path, v.word)
			}
		case first && !table:
			c.errorf(v.Pos, "%s: the first layer turns tokens into features, so it is an embedding or one_hot, not %s", c.path, v.word)
		case !first && table:
			c.errorf(v.Pos, "%s: %s reads tokens, so it can only be the first layer", c.path, v.word)
			width = 0
		}
		if c.pooled && overTime(v.word) {
			c.errorf(v.Pos, "%s: %s reads time steps, but max_pool has left none; put it before max_pool", c.path, v.word)
		}
		c.pooled = c.pooled || v.word == "max_pool"
		logits := last && c.role != sourceSide && c.role != vectorReader
		if logits && v.word != "dense" {
			c.errorf(v.Pos, "%s: the last layer gives %s, so it is a dense, not %s; add `- dense`", c.path, c.gives(), v.word)
		}
		l := c.layer(v, LayerBase{Pos: v.Pos, Kind: v.word, Name: names[i]}, width, logits)
		all = append(all, l)
		width = l.OutputWidth()
		if c.params > maxParams && !c.tooMany {
			c.tooMany = true
			c.errorf(v.Pos, "%s: with it the model has %s parameters, more than the %s that are allowed; make the layers smaller", v.word, count(c.params), count(maxParams))
		}
	}
	return all
}

// ofVectors tells whether the stack belongs to a model of vectors.
func (c *layers) ofVectors() bool {
	return c.role == vectorReader || c.role == vectorWriter || c.role == generating || c.role == judging
}

// gives says what the last layer gives, and wide what its width is.
func (c *layers) gives() string {
	switch {
	case c.role == judging || c.role == reading:
		return "the verdict"
	case c.ofVectors():
		return "the vectors"
	}
	return "the logits"
}

func (c *layers) wide() string {
	if c.ofVectors() {
		return "the vectors"
	}
	return "the vocabulary"
}

// fits checks that the layers together are what the stack is for.
func (c *layers) fits(list *value) {
	var recurrent, positions *value
	places := false // the stack can tell the order of tokens
	windows := false
	for _, v := range list.list {
		c.unknown = c.unknown || v.bad
		switch {
		case v.bad:
		case isRecurrent(v.word):
			if recurrent == nil {
				recurrent = v
			}
		case v.word == "transformer":
			c.transformers = true
			places = places || v.set.key("rotary").given || v.set.key("rotary").bad || v.set.key("alibi").flag
		case v.word == "conv1d":
			windows = true
		case v.word == "positions":
			positions = v
			places = true
			c.sinusoidal = c.sinusoidal || v.set.key("scheme").word == "sinusoidal"
		}
	}
	switch {
	case c.ofVectors():
		return
	case c.role == reading:
		switch {
		case c.unknown:
		case positions != nil && !c.transformers:
			c.errorf(positions.Pos, "positions: the discriminator has no transformer; other layers see the order of tokens without them, or do not look at it, so leave them out")
		case c.transformers && recurrent == nil && !windows && !places && !c.causal:
			c.errorf(list.Pos, "discriminator: nothing tells its transformer the order of the tokens; add `- positions` behind the first layer, or `rotary: true` or `alibi: true` to the transformer")
		}
		return
	case c.role == writing:
		if recurrent == nil && !c.unknown {
			c.errorf(list.Pos, "generator: a generator of text needs a recurrent layer: rnn, lstm or gru")
		}
		return
	case c.role == predictor:
		if recurrent == nil && !c.unknown {
			c.errorf(list.Pos, "layers: a model of kind rnn needs a recurrent layer: rnn, lstm or gru")
		}
		return
	case recurrent != nil && c.role == decoderOnly:
		c.errorf(recurrent.Pos, "%s: a decoder of recurrent layers without an encoder is a model of kind rnn; write `kind: rnn` and `layers` in place of `decoder`, or use a transformer", recurrent.word)
	case recurrent != nil && c.role == encoderOnly:
		c.errorf(recurrent.Pos, "%s: an encoder without a decoder is made of transformers; recurrent layers need a decoder behind them, or kind rnn", recurrent.word)
	case recurrent != nil && c.role == targetSide && c.transformers:
		c.errorf(recurrent.Pos, "%s: a decoder has either recurrent layers or transformers, not both; the encoder may have the others", recurrent.word)
	case recurrent == nil && !c.transformers && !c.unknown && (c.role == decoderOnly || c.role == encoderOnly):
		c.errorf(list.Pos, "%s: a model of kind attention needs a layer with attention: add `- transformer: {heads: 4}`", c.path)
	case recurrent == nil && !c.transformers && !c.unknown:
		c.errorf(list.Pos, "%s: an encoder and a decoder each need a transformer or a recurrent layer: rnn, lstm or gru", c.path)
	}
	switch {
	case c.unknown:
	case positions != nil && !c.transformers && recurrent != nil:
		c.errorf(positions.Pos, "positions: this stack has no transformer; recurrent layers see the order of tokens without them, so leave them out")
	case c.transformers && recurrent == nil && !places && (c.role == encoderOnly || c.role == sourceSide):
		c.errorf(list.Pos, "%s: nothing tells its transformer the order of the tokens; add `- positions` behind the first layer, or `rotary: true` or `alibi: true` to the transformer", c.path)
	}
}

// count prints a number with its digits in groups of three.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// layer checks one layer that reads in features; logits tells whether it gives the logits.
func (c *layers) layer(v *value, base LayerBase, in int, logits bool) Layer {
	set := v.set
	switch v.word {
	case "embedding":
		return c.embedding(v, base)
	case "one_hot":
		o := &OneHot{base}
		o.Width = c.vocab
		c.count(v, 0, o.Width)
		return o
	case "dropout":
		d := &Dropout{LayerBase: base, Rate: set.key("rate").number}
		d.Width = in
		return d
	case "positions":
		p := &Positions{LayerBase: base, Scheme: set.key("scheme").word, Steps: c.shape.Steps}
		p.Width = in
		own := set.key("init")
		switch {
		case p.Scheme == "learned":
			p.Init = c.initial(own, c.initial(c.init, small(v)))
			c.count(v, int64(p.Steps)*int64(in), in)
		case own.given:
			c.errorf(own.Pos, "positions.init: sinusoidal positions are not learnt")
		}
		return p
	case "transformer":
		return c.transformer(v, base, in)
	case "rmsnorm":
		n := &RMSNorm{LayerBase: base, Epsilon: set.key("epsilon").number}
		n.Width = in
		if in == 1 {
			c.errorf(v.Pos, "rmsnorm: the layer before it has 1 feature, of which only the sign would be left")
		}
		c.count(v, int64(in), in)
		return n
	case "layernorm":
		n := &LayerNorm{LayerBase: base, Epsilon: set.key("epsilon").number}
		n.Width = in
		if in == 1 {
			c.errorf(v.Pos, "layernorm: the layer before it has 1 feature, which normalised is always 0")
		}
		c.count(v, 2*int64(in), in)
		return n
	case "dense":
		return c.dense(v, base, in, logits)
	case "conv1d":
		return c.conv(v, base, in)
	case "max_pool":
		p := &MaxPool{base}
		p.Width = in
		return p
	case "highway":
		return c.highway(v, base, in)
	}
	return c.recurrent(v, base, in)
}

// small is how GPT-2 begins its tables and matrices.
func small(v *value) Init { return Init{Pos: v.Pos, Scheme: "normal", Scale: 0.02} }

func (c *layers) embedding(v *value, base LayerBase) Layer {
	own, tie := v.set.key("init"), v.set.key("tie")
	e := &Embedding{LayerBase: base, Tie: tie.text}
	e.Width = int(v.set.key("size").integer)
	standard := Init{Pos: v.Pos, Scheme: "normal", Scale: 1}
	switch {
	case c.transformers && !c.sinusoidal:
		standard = small(v)
	case c.tied[e.Name] && e.Width > 0:
		// As the matrix of the last layer a table of standard deviation 1 would start with logits around √size.
		standard.Scale = 1 / math.Sqrt(float64(e.Width))
	}
	e.Init = c.initial(own, c.initial(c.init, standard))
	c.tables[e.Name] = e
	params := int64(c.vocab) * int64(e.Width)
	if tie.given && !tie.bad {
		params = 0
		table := c.shared[e.Tie]
		switch {
		case c.role != targetSide:
			c.errorf(tie.Pos, "embedding.tie: only the embedding of a decoder behind an encoder can share a table, that of the encoder; the last layer shares one by a `tie` of its own")
		case table == nil && c.unknown:
		case table == nil:
			c.errorf(tie.Pos, "embedding.tie: the encoder has no embedding named %s%s", quote(e.Tie), didYouMean(anyTable(c.shared)))
		case table.Width > 0 && e.Width > 0 && table.Width != e.Width:
			c.errorf(tie.Pos, "embedding.tie: the table of %s has %d features a token, not %d; give both the same size", quote(e.Tie), table.Width, e.Width)
		case own.given:
			c.errorf(own.Pos, "embedding.init: the table is that of %s; say there how it starts", quote(e.Tie))
		}
	}
	c.count(v, params, e.Width)
	return e
}

func (c *layers) recurrent(v *value, base LayerBase, in int) Layer {
	set := v.set
	r := &Recurrent{
		LayerBase:  base,
		Layers:     int(set.key("layers").integer),
		Dropout:    set.key("dropout").number,
		Activation: set.key("activation").word,
		Reset:      set.key("reset").word,
		Bias:       set.key("bias").flag,
		ForgetBias: set.key("forget_bias").number,
	}
	r.Units = int(set.key("units").integer)
	r.Width = r.Units
	if both := set.key("bidirectional"); both.flag {
		r.Bidirectional = true
		r.Width = 2 * r.Units
		if c.role == targetSide {
			c.errorf(both.Pos, "%s.bidirectional: a decoder writes its text from left to right and cannot read it from its end; only encoders can", v.word)
		}
	}
	uniform := Init{Pos: v.Pos, Scheme: "uniform"}
	if r.Units > 0 {
		uniform.Scale = 1 / math.Sqrt(float64(r.Units))
	}
	zeros := Init{Pos: v.Pos, Scheme: "zeros"}
	own, state, bias := set.key("init"), set.key("init_state"), set.key("init_bias")
	r.Init = c.initial(own, c.initial(c.init, uniform))
	r.InitState = c.initial(state, r.Init)
	if own.given || c.init.given {
		uniform = zeros
	}
	r.BiasInit = c.initial(bias, uniform)

	if d := set.key("dropout"); r.Dropout > 0 && r.Layers == 1 && !set.key("layers").bad {
		c.errorf(d.Pos, "%s.dropout: it acts between the layers of a stack, and this stack has 1 layer; add a dropout layer before or after it instead", v.word)
	}
	if fb := set.key("forget_bias"); fb.given && r.ForgetBias != 0 && !r.Bias {
		c.errorf(fb.Pos, "%s.forget_bias: the layer has no bias", v.word)
	}
	if bias.given && !bias.bad && !r.Bias && !set.key("bias").bad {
		c.errorf(bias.Pos, "%s.init_bias: the layer has no bias", v.word)
	}
	gates := int64(1)
	switch v.word {
	case "lstm":
		gates = 4
	case "gru":
		gates = 3
	}
	h, w := int64(r.Units), int64(r.Width)
	params := gates*h*(int64(in)+h+1) + int64(max(r.Layers-1, 0))*gates*h*(w+h+1)
	if r.Bidirectional {
		params *= 2
	}
	if a := set.key("attention"); a.given {
		r.Attention = c.score(a, v, r)
		// The score, the context and the output as inputs of the cell, and the layer of the output.
		m := int64(c.memory)
		params += (h+m)*int64(r.Attention.Units) + gates*h*(m+h) + (m+h)*h
	}
	c.count(v, params, int(gates)*r.Width)
	return r
}

// score checks the attention of the recurrent layer r.
func (c *layers) score(v, layer *value, r *Recurrent) *RecurrentAttention {
	set := v.set
	a := &RecurrentAttention{Pos: v.Pos, Score: v.word, InputFeeding: set.key("input_feeding").flag}
	path := layer.word + ".attention"
	if v.word == "additive" || v.word == "concat" {
		a.Units = r.Units
		if u := set.key("units"); u.given {
			a.Units = int(u.integer)
		}
	}
	switch {
	case v.bad:
	case c.role == sourceSide:
		c.errorf(v.Pos, "%s: an encoder has nothing to look at; give the attention to a recurrent layer of the decoder", path)
	case c.role != targetSide: // the layer itself does not belong there
	case c.attends != Pos{}:
		c.errorf(v.Pos, "%s: the layer in line %d looks at the encoder already; one layer of a decoder does", path, c.attends.Line)
	case c.memory > 0 && r.Units > 0 && c.memory != r.Units && (v.word == "dot" || v.word == "scaled_dot"):
		c.errorf(v.Pos, "%s.%s: the state has %d features and the encoder's output %d, but the product needs as many of both; change units, or use general, which has a matrix in between", path, v.word, r.Units, c.memory)
	}
	if c.attends == (Pos{}) {
		c.attends = layer.Pos
	}
	return a
}

func (c *layers) dense(v *value, base LayerBase, in int, logits bool) Layer {
	set := v.set
	units, tie := set.key("units"), set.key("tie")
	own, bias := set.key("init"), set.key("init_bias")
	d := &Dense{
		LayerBase:  base,
		Activation: set.key("activation").word,
		Slope:      set.key("activation").set.key("slope").number,
		Spectral:   set.key("spectral_norm").flag,
		Bias:       set.key("bias").flag,
		Tie:        tie.text,
	}
	d.Width = int(units.integer)
	switch {
	case logits && c.role == reading:
		d.Width = 1
		if units.given && !units.bad && units.integer != 1 {
			c.errorf(units.Pos, "dense.units: the discriminator gives one number, its verdict, not %d; leave units out", units.integer)
		}
	case logits && !units.given:
		d.Width = c.vocab
	case logits && !units.bad && c.vocab > 0 && d.Width != c.vocab && c.role == generating:
		c.errorf(units.Pos, "dense.units: the generator gives %d numbers, but the discriminator reads vectors of %d, the size of vectors; leave units out", d.Width, c.vocab)
	case logits && !units.bad && c.vocab > 0 && d.Width != c.vocab && c.role == judging:
		c.errorf(units.Pos, "dense.units: the discriminator gives one number, its verdict, not %d; leave units out", d.Width)
	case logits && !units.bad && c.vocab > 0 && d.Width != c.vocab:
		c.errorf(units.Pos, "dense.units: the last layer is as wide as %s, which is %d, not %d; leave units out", c.wide(), c.vocab, d.Width)
	case !units.given && c.role == sourceSide:
		c.errorf(v.Pos, "dense: the key \"units\" is missing; it is the vocabulary only where logits are given, which is at the end of the decoder, not of the encoder")
	case !units.given && (c.role == generating || c.role == judging || c.role == writing || c.role == reading):
		c.errorf(v.Pos, "dense: the key \"units\" is missing; only the last layer of the %s has a default", c.path)
	case !units.given && c.ofVectors():
		c.errorf(v.Pos, "dense: the key \"units\" is missing; only the last layer of the decoder has a default, the width of the vectors")
	case !units.given:
		c.errorf(v.Pos, "dense: the key \"units\" is missing; only the last layer has a default, the vocabulary")
	}
	if a := set.key("activation"); logits && c.role != generating && a.given && !a.bad && a.word != "none" {
		what := strings.TrimPrefix(c.gives(), "the ")
		if c.role == judging || c.role == reading {
			what = "the verdict, which the loss squashes as it needs"
		}
		c.errorf(a.Pos, "dense.activation: the last layer gives %s, so it has none, not %s", what, a.word)
	}
	uniform := Init{Pos: v.Pos, Scheme: "uniform"}
	if in > 0 {
		uniform.Scale = 1 / math.Sqrt(float64(in))
	}
	matrix := uniform
	if c.transformers {
		matrix = small(v)
	}
	d.Init = c.initial(own, c.initial(c.init, matrix))
	if own.given || c.init.given || c.transformers {
		uniform = Init{Pos: v.Pos, Scheme: "zeros"}
	}
	d.BiasInit = c.initial(bias, uniform)
	if bias.given && !bias.bad && !d.Bias && !set.key("bias").bad {
		c.errorf(bias.Pos, "dense.init_bias: the layer has no bias")
	}
	params := int64(in) * int64(d.Width)
	if tie.given && !tie.bad {
		params = 0
		table := c.tables[d.Tie]
		switch {
		case c.ofVectors():
			c.errorf(tie.Pos, "dense.tie: a model of vectors has no embedding whose table could be shared")
		case !logits && c.role == sourceSide:
			c.errorf(tie.Pos, "dense.tie: only the layer that gives the logits, the decoder's last, can share an embedding's table")
		case !logits:
			c.errorf(tie.Pos, "dense.tie: only the last layer can share an embedding's table, whose other side is the vocabulary")
		case table == nil && c.unknown:
		case table == nil:
			c.errorf(tie.Pos, "dense.tie: there is no embedding named %s%s%s", quote(d.Tie), c.here(), didYouMean(anyTable(c.tables)))
		case in > 0 && table.Width > 0 && table.Width != in:
			c.errorf(tie.Pos, "dense.tie: the table of %s has %d features a token, but the layer before this one gives %d; they must be equal, so change the embedding's size, or put a dense layer of %d units in between", quote(d.Tie), table.Width, in, table.Width)
		case own.given:
			c.errorf(own.Pos, "dense.init: the matrix is the table of %s; say there how it starts", quote(d.Tie))
		}
	}
	c.count(v, params+int64(d.Width), d.Width)
	return d
}

// standard is how a layer's matrix and bias start that reads in features, where neither layer nor model says otherwise.
func (c *layers) standard(v *value, in int) (matrix, bias Init) {
	uniform := Init{Pos: v.Pos, Scheme: "uniform", Scale: 1}
	if in > 0 {
		uniform.Scale = 1 / math.Sqrt(float64(in))
	}
	own := v.set.key("init")
	matrix, bias = c.initial(own, c.initial(c.init, uniform)), uniform
	if own.given || c.init.given {
		bias = Init{Pos: v.Pos, Scheme: "zeros"}
	}
	return matrix, c.initial(v.set.key("init_bias"), bias)
}

func (c *layers) conv(v *value, base LayerBase, in int) Layer {
	widths := v.set.key("widths")
	l := &Conv1D{LayerBase: base, Filters: int(v.set.key("filters").integer), Activation: v.set.key("activation").word, Slope: v.set.key("activation").set.key("slope").number}
	total := 0
	for i, w := range widths.list {
		if w.bad {
			continue
		}
		n := int(w.integer)
		switch {
		case i > 0 && len(l.Widths) > 0 && n <= l.Widths[len(l.Widths)-1]:
			c.errorf(w.Pos, "conv1d.widths: %d does not follow on %d; give each width once, in rising order", n, l.Widths[len(l.Widths)-1])
			continue
		case n > c.shape.Steps:
			c.errorf(w.Pos, "conv1d.widths: a window of %d steps is longer than a line, which has %d; lower it", n, c.shape.Steps)
		}
		l.Widths = append(l.Widths, n)
		total += n
	}
	l.Width = len(l.Widths) * l.Filters
	widest := 1
	if len(l.Widths) > 0 {
		widest = l.Widths[len(l.Widths)-1]
	}
	l.Init, l.BiasInit = c.standard(v, in*widest)
	c.count(v, int64(total)*int64(in)*int64(l.Filters)+int64(l.Width), max(l.Width, total*in))
	return l
}

func (c *layers) highway(v *value, base LayerBase, in int) Layer {
	l := &Highway{LayerBase: base, GateBias: v.set.key("gate_bias").number}
	l.Width = in
	l.Init, l.BiasInit = c.standard(v, in)
	c.count(v, 2*int64(in)*int64(in+1), 4*in)
	return l
}

// here says in which of several stacks something is not.
func (c *layers) here() string {
	if c.role == targetSide {
		return " in the decoder"
	}
	return ""
}

// anyTable names the embedding of a stack, if it has one.
func anyTable(tables map[string]*Embedding) string {
	for name := range tables {
		return name
	}
	return ""
}

// count adds up the parameters and checks that the activations of a layer, widest features a step, can be addressed.
func (c *layers) count(v *value, params int64, widest int) {
	c.params += params
	acts := int64(c.shape.Batch) * int64(c.shape.Steps) * int64(widest)
	if acts > maxActs {
		c.errorf(v.Pos, "%s: its activations are %d steps × %d sequences × %d = %s numbers, more than the %s that are allowed; make shape or the layer smaller",
			v.word, c.shape.Steps, c.shape.Batch, widest, count(acts), count(maxActs))
	}
}
