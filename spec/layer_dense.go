package spec

import (
	"fmt"
	"math"
	"strings"
)

func init() {
	register(record{name: "dense", group: outputs, shares: true, ends: true,
		written: func(set *value) bool { return set.key("spectral_norm").flag }, check: (*layers).dense,
		word: func(in place) *word {
			const small, zeros = "the model's `init`; else normal 0.02 in a stack with a `transformer`, uniform " +
				"±1/√inputs in others",
				"uniform ±1/√inputs; zeros in a stack with a `transformer`, and when the layer or the model has an " +
					"`init`"
			switch in {
			case inRNN:
				return denseWord("the model's `init`; else uniform ±1/√inputs",
					"uniform ±1/√inputs; zeros when the layer or the model has an `init`", "logits", "the vocabulary")
			case inAttention:
				return denseWord(small, zeros, "logits", "the vocabulary")
			case inVAE:
				return denseWord(small, zeros, "output", "the vocabulary, or as many as vectors have")
			case inGenerator:
				return denseWith(uniformMatrix, uniformBias,
					may("units", integer(1, maxWidth), "the size of `vectors`, for the last layer",
						"Features of the output.").called("size", "width", "dim", "out"),
					with("activation", activations, "none",
						"The function f. In the last layer it gives the vectors their range: tanh where the data is "+
							"in [−1, 1], sigmoid where it is in [0, 1].").called("act", "nonlinearity"))
			}
			return denseWith("the model's `init`; else normal 0.02 in a stack with a `transformer`, uniform "+
				"±1/√inputs in others", "uniform ±1/√inputs; zeros in a stack with a `transformer`, and when the "+
				"layer or the model has an `init`",
				may("units", integer(1, maxWidth), "1, for the last layer", "Features of the output.").called("size",
					"width", "dim", "out"),
				with("activation", activations, "none", "The function f. The last layer has none.").called("act",
					"nonlinearity"),
				with("spectral_norm", boolean(), false,
					"Whether W is divided by its largest singular value, so that the layer stretches no difference; "+
						"that value comes from one step of power iteration a training step (Miyato et al. 2018).").
					called("spectral", "sn", "spectral_normalization", "spectral_normalisation"))
		}})
}

const (
	uniformMatrix = "the model's `init`; else uniform ±1/√inputs"
	uniformBias   = "uniform ±1/√inputs; zeros when the layer or the model has an `init`"
)

// Dense is x·W + b with an optional activation. As the last layer its Width is the vocabulary.
type Dense struct {
	LayerBase
	Activation string  // "none", "tanh", "relu", "leaky_relu", "sigmoid"
	Slope      float64 // leaky_relu: what negative values are multiplied with
	Scale      float64 // what x is multiplied with; 0: nothing
	SoftCap    float64 // c of c·tanh(y/c), which the layer gives; 0: none
	Spectral   bool    // W is divided by its largest singular value (Miyato et al. 2018): in discriminators
	Bias       bool
	Tie        string // name of the embedding whose table, transposed, serves as W; empty for a matrix of its own
	Init       Init   // of W; not used when Tie is set
	BiasInit   Init
}

func denseWord(initDefault, biasDefault, what, last string) *word {
	return denseWith(initDefault, biasDefault,
		may("units", integer(1, maxVocab), last+", for the layer that gives the "+what,
			"Features of the output. Those of the layer that gives the "+what+" are "+last+
				"; others must say theirs.").called("size", "width", "dim", "out"),
		with("activation", activations, "none",
			"The function f. The layer that gives the logits has none.").called("act", "nonlinearity"),
		may("scale", above(0, 1e6), "1",
			"What x is multiplied with; T5 has 1/√width where the table of its tokens is W.").called("multiplier"),
		may("soft_cap", above(0, 1e6), "none",
			"A bound c of the output: c·tanh(y/c), as Gemma 2 has for its logits (Gemma Team 2024).").called("softcap",
			"logit_cap", "final_logit_softcapping", "cap"),
		may("tie", nameType, "a matrix of its own",
			"Name of the embedding whose table, transposed, is W. Its `size` must be the width before this layer "+
				"(Press and Wolf 2017).").called("tied", "tie_weights", "weight_tying", "tie_to"))
}

// denseWith is a dense layer whose units and activation a kind describes in its own words; more keys follow them.
func denseWith(initDefault, biasDefault string, units, activation *key, more ...*key) *word {
	keys := append([]*key{layerName(), units, activation,
		with("bias", boolean(), true, "Whether a bias is added.").called("use_bias")}, more...)
	return &word{name: "dense", doc: "f(x·W + b).",
		also: []string{"linear", "fully_connected", "output", "fc", "projection"}, typ: object("", append(keys,
			may("init", initType, initDefault, "How W starts.").called("kernel_init", "initializer"),
			may("init_bias", initType, biasDefault, "How the bias starts.").called("bias_init"))...).shortFor("units")}
}

func (c *layers) dense(v *value, base LayerBase, in int, logits bool) Layer {
	set := v.set
	units, tie := set.key("units"), set.key("tie")
	own, bias := set.key("init"), set.key("init_bias")
	d := &Dense{
		LayerBase:  base,
		Activation: set.key("activation").word,
		Slope:      set.key("activation").set.key("slope").number,
		SoftCap:    set.key("soft_cap").number,
		Scale:      set.key("scale").number,
		Spectral:   set.key("spectral_norm").flag,
		Bias:       set.key("bias").flag,
		Tie:        tie.text,
	}
	d.Width = int(units.integer)
	switch {
	case logits && c.role == reading:
		d.Width = 1
		if units.given && !units.bad && units.integer != 1 {
			c.errorf(units.Pos, "dense.units: the discriminator gives one number, its verdict, not %d; leave units out",
				units.integer)
		}
	case logits && !units.given:
		d.Width = c.vocab
	case logits && !units.bad && c.vocab > 0 && d.Width != c.vocab && c.role == generating:
		c.errorf(units.Pos, "dense.units: the generator gives %d numbers, but the discriminator reads vectors of %d, "+
			"the size of vectors; leave units out", d.Width, c.vocab)
	case logits && !units.bad && c.vocab > 0 && d.Width != c.vocab && c.role == judging:
		c.errorf(units.Pos, "dense.units: the discriminator gives one number, its verdict, not %d; leave units out",
			d.Width)
	case logits && !units.bad && c.vocab > 0 && d.Width != c.vocab:
		c.errorf(units.Pos, "dense.units: the last layer is as wide as %s, which is %d, not %d; leave units out",
			c.wide(), c.vocab, d.Width)
	case !units.given && c.role == sourceSide:
		c.errorf(v.Pos, "dense: the key \"units\" is missing; it is the vocabulary only where logits are given, "+
			"which is at the end of the decoder, not of the encoder")
	case !units.given && (c.role == generating || c.role == judging || c.role == writing || c.role == reading):
		c.errorf(v.Pos, "dense: the key \"units\" is missing; only the last layer of the %s has a default", c.path)
	case !units.given && c.ofVectors():
		c.errorf(v.Pos, "dense: the key \"units\" is missing; only the last layer of the decoder has a default, the "+
			"width of the vectors")
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
	if sn := set.key("spectral_norm"); d.Spectral && d.Init.Scheme == "zeros" {
		c.errorf(sn.Pos, "dense.spectral_norm: the matrix starts at 0 (line %d), and nothing is divided by the "+
			"largest singular value of that; let it start otherwise, as with `init: xavier_uniform`", d.Init.Pos.Line)
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
			c.errorf(tie.Pos, "dense.tie: only the layer that gives the logits, the decoder's last, can share an "+
				"embedding's table")
		case !logits:
			c.errorf(tie.Pos, "dense.tie: only the last layer can share an embedding's table, whose other side is "+
				"the vocabulary")
		case table == nil && c.unknown:
		case table == nil:
			c.errorf(tie.Pos, "dense.tie: there is no embedding named %s%s%s", quote(d.Tie), c.here(),
				didYouMean(anyTable(c.tables)))
		case in > 0 && table.Width > 0 && table.Width != in:
			c.errorf(tie.Pos, "dense.tie: the table of %s has %d features a token, but the layer before this one "+
				"gives %d; they must be equal, so change the embedding's size, or put a dense layer of %d units in "+
				"between", quote(d.Tie), table.Width, in, table.Width)
		case own.given:
			c.errorf(own.Pos, "dense.init: the matrix is the table of %s; say there how it starts", quote(d.Tie))
		}
	}
	c.count(v, params+int64(d.Width), d.Width)
	return d
}

func (l *Dense) architecture() string {
	s := fmt.Sprintf("dense %s units=%d bias=%t activation=%s tie=%q", l.Name, l.Width, l.Bias, l.Activation, l.Tie)
	if l.Activation == "leaky_relu" {
		s += fmt.Sprintf(" slope=%v", l.Slope)
	}
	if l.Scale > 0 {
		s += fmt.Sprintf(" scale=%v", l.Scale)
	}
	if l.SoftCap > 0 {
		s += fmt.Sprintf(" soft_cap=%v", l.SoftCap)
	}
	if l.Spectral {
		s += " spectral_norm"
	}
	return s
}
