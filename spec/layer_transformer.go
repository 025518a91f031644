package spec

import (
	"fmt"
	"math"
)

func init() {
	word := word{name: "transformer", doc: "Equal blocks of attention and a feed-forward part, each added to what it " +
		"reads (Vaswani et al. 2017). In a decoder of kind `attention` behind an encoder, attention over the " +
		"encoder's output stands in between.", also: []string{"blocks", "block", "transformer_block"},
		typ: transformerType}
	register(record{name: "transformer", group: attentions, shares: true,
		written: func(set *value) bool { return set.key("layers").integer > 1 }, overTime: true, attends: true,
		places: func(set *value) bool {
			return set.key("rotary").given || set.key("rotary").bad || set.key("alibi").flag
		},
		word: word.in(inAttention, inVAE, inDiscriminator), check: (*layers).transformer})
}

// Transformer is a stack of equal blocks, each of attention and a feed-forward part (Vaswani et al. 2017), with
// attention over the encoder's output in between when Cross is set.
type Transformer struct {
	LayerBase
	Layers int
	Heads  int
	// heads of keys and values, each shared by Heads/KVHeads heads of queries (Ainslie et al. 2023)
	KVHeads int
	Hidden  int // width of the feed-forward part
	// of the feed-forward part
	Activation string
	Norm       string  // "layernorm" or "rmsnorm"
	NormFirst  bool    // norms before each part, on the branch; otherwise after each part, on the sum
	Epsilon    float64 // of the norms
	Causal     bool    // a token sees itself and those before it: in decoders
	Window     int     // a token sees no more than this many tokens, itself included; 0: all. Only with Causal
	// decoder-only: this many tokens at the start are seen by all of them (Raffel et al. 2020); 0: none
	Prefix           int
	Rotary           Rotation
	ALiBi            bool    // scores fall with the distance (Press et al. 2022)
	Cross            bool    // attends over the encoder's output as well: in the decoder of an encoder-decoder model
	Bias             bool    // of all products
	Dropout          float64 // on the branches, before they are added
	AttentionDropout float64 // on the attention's probabilities
	Recompute        bool    // the gradient computes what it needs of a layer again, from what that reads

	Init         Init // of the matrices, but for those of InitResidual
	InitResidual Init // of the matrices whose products are added to the residual stream
	BiasInit     Init
}

var transformerType = object("",
	layerName(),
	with("layers", integer(1, maxStack), 1, "Number of equal blocks, one on the other.").called("num_layers", "depth",
		"stack", "n_layer", "blocks"),
	need("heads", integer(1, maxWidth), "Heads of the attention. They divide the width of the layer before this one "+
		"between them.").called("num_heads", "n_head", "nhead"),
	may("kv_heads", integer(1, maxWidth), "`heads`",
		"Heads of keys and values, each shared by several heads of queries (Ainslie et al. 2023); 1 is multi-query "+
			"attention (Shazeer 2019).").called("n_kv_head", "num_kv_heads", "groups", "key_value_heads", "kv"),
	may("hidden", integer(1, maxWidth), "4·width; for swiglu 8/3·width, rounded up to a multiple of 32",
		"Width of the feed-forward part.").called("ffn", "ff", "d_ff", "mlp", "hidden_size", "feed_forward",
		"dim_feedforward", "intermediate_size", "size", "units"),
	with("activation", blockActivations, "gelu", "The function between the two products of the feed-forward part.").
		called("act", "nonlinearity",
			"activation_function"),
	with("norm", enum(
		word{name: "layernorm", doc: "Mean 0 and variance 1 (Ba et al. 2016).", also: []string{"layer_norm", "ln"}},
		word{name: "rmsnorm", doc: "Mean square 1 (Zhang and Sennrich 2019).", also: []string{"rms", "rms_norm"}},
	), "layernorm", "How the norms within the blocks normalise.").called("normalization", "normalisation"),
	with("norm_at", enum(
		word{name: "pre", doc: "In front of each part, on what it reads; a norm behind the blocks is a layer of its " +
			"own.", also: []string{"before", "first", "front"}},
		word{name: "post", doc: "Behind each part, on the sum, as in Vaswani et al. 2017 and BERT.",
			also: []string{"after", "last", "behind"}},
	), "pre", "Where the norms stand (Xiong et al. 2020).").called("norm_first", "pre_norm", "post_norm",
		"norm_position"),
	normEpsilon("variance or mean square"),
	may("window", integer(1, maxShape), "all tokens before it",
		"In a decoder, and in a discriminator with a verdict on each token: how many tokens a token sees, itself "+
			"included (Beltagy et al. 2020).").called("sliding_window", "local", "attention_window", "span"),
	may("prefix", integer(1, maxShape), "none",
		"In a decoder without an encoder: how many tokens at the start are seen by every token, those before them "+
			"included (Raffel et al. 2020).").called("prefix_length", "prefix_lm"),
	may("rotary", rotaryType, "no rotation",
		"Turns queries and keys by angles that grow with the token's place, so that "+
			"scores depend on distances (Su et al. 2021). `base`, 10000 unless it is given, sets the longest wavelength; "+
			"`features` turns a part of a head; `scaling` is for texts that are longer than those of the training: "+
			"see [language.md](language.md#rotary-positions).").called("rope", "rotary_embedding", "rotation"),
	with("alibi", boolean(), false, "Takes a distance, times a constant of the head, off the scores (Press et al. "+
		"2022).").called("linear_bias"),
	with("bias", boolean(), true, "Whether the products add a bias.").called("use_bias", "biases"),
	with("dropout", share(), 0.0, "Probability with which a feature of a part's output is dropped in training, "+
		"before it is added.").called("rate", "residual_dropout", "resid_dropout", "hidden_dropout"),
	with("attention_dropout", share(), 0.0,
		"Probability with which a weight of the attention is dropped in training.").called("attn_dropout",
		"attention_rate", "attn_pdrop"),
	recomputeKey(),
	may("init", initType, "the model's `init`; else normal 0.02", "How the matrices start.").called("initializer",
		"kernel_init"),
	may("init_residual", initType, "the layer's `init`; where that is normal and the norms are in front, its scale "+
		"is divided by the root of the number of parts that are added, as in GPT-2",
		"How the matrices start whose products are added to what a part reads: the last of the attention and of the "+
			"feed-forward part.").called("residual_init", "init_out"),
	may("init_bias", initType, "zeros", "How the biases start.").called("bias_init"),
)

// transformer checks a stack of Transformer blocks that reads in features.
func (c *layers) transformer(v *value, base LayerBase, in int, _ bool) Layer {
	set := v.set
	t := &Transformer{
		LayerBase:        base,
		Layers:           int(set.key("layers").integer),
		Heads:            int(set.key("heads").integer),
		KVHeads:          int(set.key("kv_heads").integer),
		Hidden:           int(set.key("hidden").integer),
		Activation:       set.key("activation").word,
		Norm:             set.key("norm").word,
		NormFirst:        set.key("norm_at").word == "pre",
		Epsilon:          set.key("epsilon").number,
		Causal:           c.causally(),
		Window:           int(set.key("window").integer),
		Prefix:           int(set.key("prefix").integer),
		ALiBi:            set.key("alibi").flag,
		Cross:            c.role == targetSide && c.latent == 0,
		Bias:             set.key("bias").flag,
		Dropout:          set.key("dropout").number,
		AttentionDropout: set.key("attention_dropout").number,
		Recompute:        set.key("recompute").flag,
	}
	t.Width = in
	if !set.key("kv_heads").given {
		t.KVHeads = t.Heads
	}
	if !set.key("hidden").given {
		t.Hidden = 4 * in
		if Gated(t.Activation) {
			t.Hidden = (8*in + 95) / 96 * 32 // 8/3·in, rounded up to a multiple of 32
		}
	}
	if in == 1 {
		c.errorf(v.Pos, "transformer: the layer before it has 1 feature, which leaves nothing to a norm; make it wider")
	}
	size := 0 // of a head, where the heads divide the width
	if heads := set.key("heads"); !heads.bad && t.Heads > 0 && t.Width > 0 {
		if t.Width%t.Heads != 0 {
			c.errorf(heads.Pos, "transformer.heads: %d heads do not divide the width of %d, which the layer before "+
				"gives, into equal parts; %s", t.Heads, t.Width, divisors(t.Width, t.Heads))
		} else {
			size = t.Width / t.Heads
		}
	}
	t.Rotary = c.rotation(set.key("rotary"), "transformer", size)
	c.looks("transformer", &look{t.Width, t.Heads, t.KVHeads, size, t.Causal, t.Window, t.Prefix, t.Rotary, t.ALiBi},
		set)

	own, residual, bias := set.key("init"), set.key("init_residual"), set.key("init_bias")
	t.Init = c.initial(own, c.initial(c.init, small(v)))
	parts := 2
	if t.Cross {
		parts = 3
	}
	standard := t.Init
	if standard.Scheme == "normal" && t.NormFirst && t.Layers > 0 {
		// Each part adds to the same sum, whose variance would grow with their number (Radford et al. 2019).
		standard.Scale /= math.Sqrt(float64(parts * t.Layers))
	}
	t.InitResidual = c.initial(residual, standard)
	t.BiasInit = c.initial(bias, Init{Pos: v.Pos, Scheme: "zeros"})
	if bias.given && !bias.bad && !t.Bias && !set.key("bias").bad {
		c.errorf(bias.Pos, "transformer.init_bias: the layer has no biases")
	}

	w, hidden := int64(in), int64(t.Hidden)
	keys := int64(0)
	if t.Heads > 0 {
		keys = w / int64(t.Heads) * int64(t.KVHeads)
	}
	up := hidden
	if Gated(t.Activation) {
		up = 2 * hidden
	}
	params := (w+1)*(w+2*keys) + (w+1)*w + (w+1)*up + (hidden+1)*w + int64(parts)*2*w
	if t.Cross {
		params += (w+1)*w + (int64(c.memory)+1)*2*keys + (w+1)*w
	}
	read := int64(0)
	if c.latent > 0 && !c.reads { // the first one of an autoencoder's decoder reads the latent vector
		c.reads, read = true, int64(c.latent)*w
	}
	c.count(v, read+int64(t.Layers)*params, int(max(w+2*keys, up)))
	return t
}

// look is how tokens look at each other: what the checks of a transformer and of an attention have in common.
type look struct {
	width, heads, kv, size int
	causal                 bool
	window, prefix         int
	rotary                 Rotation
	alibi                  bool
}

// looks checks how the heads share the width, and which tokens a token sees.
func (c *layers) looks(word string, l *look, set *value) {
	heads, kv := set.key("heads"), set.key("kv_heads")
	if !heads.bad && l.heads > 0 {
		if kv.given && !kv.bad && l.kv > 0 && l.heads%l.kv != 0 {
			c.errorf(kv.Pos, "%s.kv_heads: %d heads of keys and values cannot be shared evenly by %d heads of "+
				"queries; %s", word, l.kv, l.heads, divisors(l.heads, l.kv))
		}
		rotary, alibi := set.key("rotary"), set.key("alibi")
		if l.rotary.On() && l.size%2 != 0 {
			c.errorf(rotary.Pos, "%s.rotary: it turns pairs of features, but a head has %d, an odd number; change "+
				"heads or the width of %d", word, l.size, l.width)
		}
		if rotary.given && l.alibi && !alibi.bad {
			c.errorf(alibi.Pos, "%s.alibi: the layer has rotary positions already; leave one of them out", word)
		}
	}
	c.sight(word, l, set)
}

// divisors names the divisors of n that are next to x.
func divisors(n, x int) string {
	below, above := 0, 0
	for d := 1; d <= n; d++ {
		switch {
		case n%d != 0:
		case d <= x:
			below = d
		case above == 0:
			above = d
		}
	}
	if above == 0 {
		return "take " + count(int64(below))
	}
	return "take " + count(int64(below)) + " or " + count(int64(above))
}

// sight checks which tokens a token sees.
func (c *layers) sight(word string, t *look, set *value) {
	window, prefix := set.key("window"), set.key("prefix")
	steps := c.shape.Steps
	if window.given && !window.bad {
		switch {
		case !t.causal && c.role == reading:
			c.errorf(window.Pos, "%s.window: with `max_pool` behind it a token sees all of the line; a window "+
				"belongs to verdicts on each token", word)
		case !t.causal:
			c.errorf(window.Pos, "%s.window: in an encoder a token sees all others; a window belongs to a decoder",
				word)
		case steps > 0 && t.window > steps:
			c.errorf(window.Pos, "%s.window: %d tokens are more than a text has, which is %d by shape.steps; leave "+
				"the window out", word, t.window, steps)
		}
	}
	if prefix.given && !prefix.bad {
		switch {
		case c.role == reading:
			c.errorf(prefix.Pos, "%s.prefix: it belongs to a decoder; in a discriminator a token sees all of the "+
				"line, or, for verdicts on each token, those up to it", word)
		case c.role != decoderOnly:
			c.errorf(prefix.Pos, "%s.prefix: it belongs to a decoder without an encoder; an encoder sees all of its "+
				"text as it is", word)
		case window.given:
			c.errorf(prefix.Pos, "%s.prefix: a prefix that every token sees and a window outside of which none is "+
				"seen exclude each other; leave one of them out", word)
		case steps > 0 && t.prefix >= steps:
			c.errorf(prefix.Pos, "%s.prefix: of the %d tokens of a window, by shape.steps, a prefix of %d leaves "+
				"none to predict; make it shorter", word, steps, t.prefix)
		}
	}
}

func (l *Transformer) architecture() string {
	return fmt.Sprintf("transformer %s size=%d layers=%d heads=%d kv_heads=%d hidden=%d activation=%s norm=%s "+
		"first=%t epsilon=%v bias=%t causal=%t cross=%t window=%d prefix=%d rotary=%v alibi=%t",
		l.Name, l.Width, l.Layers, l.Heads, l.KVHeads, l.Hidden, l.Activation, l.Norm, l.NormFirst, l.Epsilon, l.Bias,
		l.Causal, l.Cross, l.Window, l.Prefix, l.Rotary, l.ALiBi)
}
