package spec

import (
	"fmt"
	"math"
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
	path string // key of the list
	role role
	in   int // features before the first layer, where that does not read tokens; 0 when they are unknown
	// width of the last layer, where that is not for the spec to choose: of logits the vocabulary; 0 when it is unknown
	vocab  int
	shape  Shape
	init   *value                // the model-wide key
	tied   map[string]bool       // names of the embeddings that serve as the last layer's matrix
	tables map[string]*Embedding // of this stack
	shared map[string]*Embedding // role targetSide: the encoder's
	memory int                   // role targetSide: width of the encoder's output; 0 when it is unknown
	params int64
	times  int             // how often the layers that are being checked stand in the stack
	home   *value          // the repeat that is being checked
	byName map[string]made // the layers before, whose parameters others can have

	latent       int  // of kind vae: numbers of the latent vector and its label, which a decoder reads; 0 otherwise
	heads        int  // what is checked gives the distribution of a latent vector of so many numbers; 0 otherwise
	reads        bool // a transformer that reads the latent vector came before
	causal       bool // role reading: each token has a verdict, on the line up to there
	transformers bool // there is a transformer among the layers
	sinusoidal   bool // there are sinusoidal positions among the layers
	attends      Pos  // of the layer that has attention over the encoder, if there is one; transformers apart

	relatives map[string]*Attention // tables of relative positions: the first layer with each
	parts     int                   // attention and feed-forward layers of the stack, with repetitions

	pooled  bool // a layer has left no time steps
	unknown bool // a layer is bad, so what is missing may be that one
	tooMany bool // the number of parameters was reported
}

// tiedTables finds the names of the embeddings that a dense layer ties, itself or by way of a decoder's embedding.
func tiedTables(lists ...*value) map[string]bool {
	tied := map[string]bool{}
	for _, word := range []string{"dense", "embedding"} {
		for _, v := range leaves(lists...) {
			if tie := v.set.key("tie"); v.word == word && tie.given && !tie.bad && (word == "dense" || tied[v.layer]) {
				tied[tie.text] = true
			}
		}
	}
	return tied
}

// all checks the layers of the only stack of a model.
func (c *layers) all(list *value) []Layer {
	c.names(list)
	c.tied = tiedTables(list)
	return c.check(list)
}

// check makes the layers of a list, which have their names.
func (c *layers) check(list *value) []Layer {
	if list.bad {
		c.unknown = true
		return nil
	}
	c.tables = map[string]*Embedding{}
	c.times, c.parts = 1, c.partsOf(list)
	c.fits(list)
	return c.sequence(list, c.in, true)
}

// partsOf counts the attention and feed-forward layers of a list, each as often as it is repeated.
func (c *layers) partsOf(list *value) int {
	n := 0
	for _, v := range list.list {
		if v.bad {
			continue
		}
		n += records[v.word].parts
		times := 1
		if v.word == "repeat" && v.copies == nil {
			times = int(v.set.key("times").integer)
		}
		for _, l := range listsIn(v) {
			n += times * c.partsOf(l)
		}
	}
	return n
}

// shrunk is how matrices start whose products are added to what a layer reads: each adds to the same sum, whose
// variance would grow with their number (Radford et al. 2019).
func (c *layers) shrunk(i Init) Init {
	if i.Scheme == "normal" && c.parts > 0 {
		i.Scale /= math.Sqrt(float64(c.parts))
	}
	return i
}

// sequence makes the layers of a list that reads width features, 0 when they are unknown; all says that the list is
// the whole stack.
func (c *layers) sequence(list *value, width int, all bool) []Layer {
	var made []Layer
	for i, v := range list.list {
		if v.bad {
			width = 0
			continue
		}
		first, last := all && i == 0, all && i == len(list.list)-1
		r := records[v.word]
		switch {
		case c.ofVectors():
			switch {
			case c.role == judging && v.word != "dense" && v.word != "dropout" && v.word != "define" && r.inner == nil:
				c.errorf(v.Pos, "%s: %s is a layer of discriminators of text; those of vectors are made of dense and "+
					"dropout", c.path, v.word)
			case r.table || r.overTime:
				c.errorf(v.Pos, "%s: %s is a layer of models of text; those of vectors are made of dense, dropout, "+
					"layernorm and rmsnorm", c.path, v.word)
			}
		case first && !r.table:
			c.errorf(v.Pos, "%s: the first layer turns tokens into features, so it is an embedding or one_hot, not %s",
				c.path, v.word)
		case !first && r.table:
			c.errorf(v.Pos, "%s: %s reads tokens, so it can only be the first layer", c.path, v.word)
			width = 0
		}
		if c.pooled && r.overTime {
			c.errorf(v.Pos, "%s: %s reads time steps, but max_pool has left none; put it before max_pool", c.path,
				v.word)
		}
		if r.pools && !all {
			c.errorf(v.Pos, "%s: %s leaves no time steps, and what is around it has them; it can only be a layer of "+
				"the stack itself", c.path, v.word)
		}
		c.pooled = c.pooled || r.pools
		logits := last && c.role != sourceSide && c.role != vectorReader
		if logits && !r.ends {
			c.errorf(v.Pos, "%s: the last layer gives %s, so it is a dense, not %s; add `- dense`", c.path, c.gives(),
				v.word)
		}
		before := c.params
		l := r.check(c, v, LayerBase{Pos: v.Pos, Kind: v.kind(), Name: v.layer}, width, logits)
		base := l.base()
		base.In, base.Blocks = width, v.blocks
		if r.shares {
			c.sharing(v, l, width)
			if base.Share != "" {
				c.params = before
			}
		}
		made = append(made, l)
		width = l.OutputWidth()
		if c.params > maxParams && !c.tooMany {
			c.tooMany = true
			c.errorf(v.Pos, "%s: with it the model has %s parameters, more than the %s that are allowed; make the "+
				"layers smaller", v.word, count(c.params), count(maxParams))
		}
	}
	return made
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
	}
	for _, v := range leaves(list) {
		r := records[v.word]
		if r.recurrent && recurrent == nil {
			recurrent = v
		}
		c.transformers = c.transformers || r.attends
		windows = windows || r.windows
		places = places || r.places != nil && r.places(v.set)
		if v.word == "positions" {
			positions = v
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
			c.errorf(positions.Pos, "positions: the discriminator has no transformer; other layers see the order of "+
				"tokens without them, or do not look at it, so leave them out")
		case c.transformers && recurrent == nil && !windows && !places && !c.causal:
			c.errorf(list.Pos, "discriminator: nothing tells its transformer the order of the tokens; add `- "+
				"positions` behind the first layer, or `rotary: true` or `alibi: true` to the transformer")
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
	case recurrent != nil && c.role == decoderOnly && !c.transformers && !c.unknown:
		c.errorf(recurrent.Pos, "%s: a decoder of recurrent layers without an encoder is a model of kind rnn; write "+
			"`kind: rnn` and `layers` in place of `decoder`, or use a transformer", recurrent.word)
	case recurrent != nil && c.role == encoderOnly:
		c.errorf(recurrent.Pos, "%s: an encoder without a decoder is made of transformers; recurrent layers need a "+
			"decoder behind them, or kind rnn", recurrent.word)
	case recurrent != nil && c.role == targetSide && c.transformers:
		c.errorf(recurrent.Pos, "%s: a decoder has either recurrent layers or transformers, not both; the encoder "+
			"may have the others", recurrent.word)
	case recurrent == nil && !c.transformers && !c.unknown && (c.role == decoderOnly || c.role == encoderOnly):
		c.errorf(list.Pos, "%s: a model of kind attention needs a layer with attention: add `- transformer: {heads: 4}`", c.path)
	case recurrent == nil && !c.transformers && !c.unknown:
		c.errorf(list.Pos, "%s: an encoder and a decoder each need a transformer or a recurrent layer: rnn, lstm or gru", c.path)
	}
	if stacked := c.uncrossed(list); stacked != nil {
		c.errorf(stacked.Pos, "%s: nothing in the decoder looks at the encoder's output; add `- residual: "+
			"[attention: {heads: %d, cross: true}]`", c.path, max(1, stacked.set.key("heads").integer))
	}
	switch {
	case c.unknown:
	case positions != nil && !c.transformers && recurrent != nil:
		c.errorf(positions.Pos, "positions: this stack has no transformer; recurrent layers see the order of tokens "+
			"without them, so leave them out")
	case c.transformers && recurrent == nil && !places && (c.role == encoderOnly || c.role == sourceSide):
		c.errorf(list.Pos, "%s: nothing tells its transformer the order of the tokens; add `- positions` behind the "+
			"first layer, or `rotary: true` or `alibi: true` to the transformer", c.path)
	}
}

// uncrossed is an attention of a decoder behind an encoder in which no layer looks at the encoder; nil where one does,
// or where there is no encoder to look at.
func (c *layers) uncrossed(list *value) *value {
	if c.role != targetSide || c.latent > 0 || c.unknown {
		return nil
	}
	var first *value
	for _, v := range leaves(list) {
		switch {
		case v.word == "transformer" || v.word == "define_source" || v.set.key("cross").flag ||
			records[v.word].recurrent:
			return nil
		case records[v.word].attends && first == nil:
			first = v
		}
	}
	return first
}

// count prints a number with its digits in groups of three.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
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
	c.params += params * int64(max(1, c.times))
	acts := int64(c.shape.Batch) * int64(c.shape.Steps) * int64(widest)
	if acts > maxActs {
		c.errorf(v.Pos, "%s: its activations are %d steps × %d sequences × %d = %s numbers, more than the %s that "+
			"are allowed; make shape or the layer smaller",
			v.word, c.shape.Steps, c.shape.Batch, widest, count(acts), count(maxActs))
	}
}
