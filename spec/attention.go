package spec

// attentionType is the language of kind attention.
var attentionType = object("",
	&key{name: "kind", typ: enum(word{name: "attention"}), required: true, doc: "The kind of model."},
	nameKey, descriptionKey, tokenizerKey, shapeKey,
	may("source", object("",
		may("tokenizer", tokenizerType, "the model's `tokenizer`", "How the text that the encoder reads becomes tokens.").called("vocab", "vocabulary", "encoding"),
		may("steps", integer(1, maxShape), "`shape.steps`", "Tokens of a text that the encoder reads, at the most, the one that ends it included.").called("length", "seq_len", "max_len", "sequence_length")),
		"the defaults of its keys", "What the encoder reads, where there is a decoder as well.").called("src", "input", "from"),
	may("masking", object("",
		with("share", &typ{form: numberForm, rng: bounds{low: 0, high: 1, openLow: true, openHigh: true}}, 0.15, "Share of the tokens that is to be restored.").called("rate", "probability", "p", "ratio"),
		with("mask", from(0, 1), 0.8, "Share of these that the token `[MASK]` replaces.").called("masked", "replace"),
		with("random", from(0, 1), 0.1, "Share of these that a random token replaces; the rest stays as it is.").called("replaced", "swap")).shortFor("share"),
		"the defaults of its keys", "How tokens are hidden in training from an encoder that has no decoder behind it (Devlin et al. 2019).").called("mlm", "mask", "masked"),
	may("encoder", list(stackType, 1, maxStack), "a model of a decoder alone", "The layers that read a text, each token seeing all others. Alone they restore masked tokens, as in BERT.").called("encode", "enc", "reader"),
	may("decoder", list(stackType, 1, maxStack), "a model of an encoder alone", "The layers that write a text, each token seeing those before it. Alone they continue a text, as in GPT; behind an encoder they answer its text.").called("layers", "layer", "decode", "dec", "writer"),
	lossKey, optimizerKey, scheduleKey, clipKey, initKey, seedKey, trainKey,
)

// stackType holds the layers of kind attention.
var stackType = &typ{
	form: choiceForm, name: "stack", one: "layer",
	doc: "The first is an `embedding` or `one_hot`. The last is a `dense` whose width is the vocabulary, but for an encoder in front of a decoder, which gives no logits.",
	words: joined(
		[]word{
			embeddingWord("the model's `init`; else normal 0.02 in a stack with a `transformer` and without sinusoidal positions, and in others normal 1, or normal 1/√size when a `dense` layer ties the table",
				may("tie", nameType, "a table of its own", "In a decoder behind an encoder: name of the encoder's embedding whose table this is. Both have the same tokenizer and `size`.").called("tied", "share", "tie_to")),
			oneHotWord,
			positionsWord,
			transformerWord,
		},
		recurrentWords(
			with("bidirectional", boolean(), false, "In an encoder in front of a decoder: whether the text is read from both ends, which doubles the width of the output (Schuster and Paliwal 1997).").called("bidir", "both", "directions"),
			may("attention", scoreType, "no attention; the encoder's last state is all that the decoder knows (Sutskever et al. 2014)", "In a decoder behind an encoder: how the layer, the top one of a stack, looks at the encoder's output at every step.").called("score", "attend")),
		[]word{
			dropoutWord,
			layerNormWord,
			rmsNormWord,
			denseWord("the model's `init`; else normal 0.02 in a stack with a `transformer`, uniform ±1/√inputs in others", "uniform ±1/√inputs; zeros in a stack with a `transformer`, and when the layer or the model has an `init`", "logits", "the vocabulary"),
		},
	),
}

// The words for layers of Transformers.
var (
	positionsWord = word{name: "positions", doc: "Adds a row that depends on the token's place alone.", also: []string{"position", "positional", "position_embedding", "positional_encoding", "pos"}, typ: object("",
		layerName(),
		with("scheme", enum(
			word{name: "learned", doc: "A learnt table, a row for each place.", also: []string{"learnt", "embedding", "absolute", "trained"}},
			word{name: "sinusoidal", doc: "Sines and cosines of wavelengths from 2π to 10000·2π (Vaswani et al. 2017).", also: []string{"sinus", "sine", "fixed", "waves"}},
		), "learned", "What the rows are.").called("kind", "type"),
		may("init", initType, "the model's `init`; else normal 0.02", "How a learnt table starts.").called("initializer")).shortFor("scheme")}
	transformerWord = word{name: "transformer", doc: "Equal blocks of attention and a feed-forward part, each added to what it reads (Vaswani et al. 2017). In a decoder of kind `attention` behind an encoder, attention over the encoder's output stands in between.", also: []string{"attention", "self_attention", "blocks", "block", "transformer_block", "multihead"}, typ: transformerType}
)

var transformerType = object("",
	layerName(),
	with("layers", integer(1, maxStack), 1, "Number of equal blocks, one on the other.").called("num_layers", "depth", "stack", "n_layer", "blocks"),
	need("heads", integer(1, maxWidth), "Heads of the attention. They divide the width of the layer before this one between them.").called("num_heads", "n_head", "nhead"),
	may("kv_heads", integer(1, maxWidth), "`heads`", "Heads of keys and values, each shared by several heads of queries (Ainslie et al. 2023); 1 is multi-query attention (Shazeer 2019).").called("n_kv_head", "num_kv_heads", "groups", "key_value_heads", "kv"),
	may("hidden", integer(1, maxWidth), "4·width; for swiglu 8/3·width, rounded up to a multiple of 32", "Width of the feed-forward part.").called("ffn", "ff", "d_ff", "mlp", "hidden_size", "feed_forward", "dim_feedforward", "intermediate_size", "size", "units"),
	with("activation", enum(
		word{name: "gelu", doc: "x·Φ(x), where Φ is the normal distribution function (Hendrycks and Gimpel 2016)."},
		word{name: "gelu_tanh", doc: "GELU with Φ approximated by tanh, as in GPT-2.", also: []string{"gelu_new", "gelu_approx", "quick_gelu"}},
		word{name: "relu", doc: "max(x, 0)."},
		word{name: "silu", doc: "x/(1+e⁻ˣ).", also: []string{"swish"}},
		word{name: "swiglu", doc: "silu(x·W)⊙(x·V), with two matrices in place of one (Shazeer 2020).", also: []string{"glu", "gated_silu", "geglu"}},
	), "gelu", "The function between the two products of the feed-forward part.").called("act", "nonlinearity", "activation_function"),
	with("norm", enum(
		word{name: "layernorm", doc: "Mean 0 and variance 1 (Ba et al. 2016).", also: []string{"layer_norm", "ln"}},
		word{name: "rmsnorm", doc: "Mean square 1 (Zhang and Sennrich 2019).", also: []string{"rms", "rms_norm"}},
	), "layernorm", "How the norms within the blocks normalise.").called("normalization", "normalisation"),
	with("norm_at", enum(
		word{name: "pre", doc: "In front of each part, on what it reads; a norm behind the blocks is a layer of its own.", also: []string{"before", "first", "front"}},
		word{name: "post", doc: "Behind each part, on the sum, as in Vaswani et al. 2017 and BERT.", also: []string{"after", "last", "behind"}},
	), "pre", "Where the norms stand (Xiong et al. 2020).").called("norm_first", "pre_norm", "post_norm", "norm_position"),
	normEpsilon("variance or mean square"),
	may("window", integer(1, maxShape), "all tokens before it", "In a decoder, and in a discriminator with a verdict on each token: how many tokens a token sees, itself included (Beltagy et al. 2020).").called("sliding_window", "local", "attention_window", "span"),
	may("prefix", integer(1, maxShape), "none", "In a decoder without an encoder: how many tokens at the start are seen by every token, those before them included (Raffel et al. 2020).").called("prefix_length", "prefix_lm"),
	may("rotary", &typ{form: objectForm, switched: true, cell: "`true`, or a map with the key `base`, from 1 to 1e9", keys: []*key{
		with("base", from(1, 1e9), 10000.0, "Base of the wavelengths, which rise from 2π to almost base·2π.").called("theta", "rope_theta"),
	}}, "no rotation", "Turns queries and keys by angles that grow with the token's place, so that scores depend on distances (Su et al. 2021). `base`, 10000 unless it is given, sets the longest wavelength.").called("rope", "rotary_embedding", "rotation"),
	with("alibi", boolean(), false, "Takes a distance, times a constant of the head, off the scores (Press et al. 2022).").called("linear_bias"),
	with("bias", boolean(), true, "Whether the products add a bias.").called("use_bias", "biases"),
	with("dropout", share(), 0.0, "Probability with which a feature of a part's output is dropped in training, before it is added.").called("rate", "residual_dropout", "resid_dropout", "hidden_dropout"),
	with("attention_dropout", share(), 0.0, "Probability with which a weight of the attention is dropped in training.").called("attn_dropout", "attention_rate", "attn_pdrop"),
	may("init", initType, "the model's `init`; else normal 0.02", "How the matrices start.").called("initializer", "kernel_init"),
	may("init_residual", initType, "the layer's `init`; where that is normal and the norms are in front, its scale is divided by the root of the number of parts that are added, as in GPT-2", "How the matrices start whose products are added to what a part reads: the last of the attention and of the feed-forward part.").called("residual_init", "init_out"),
	may("init_bias", initType, "zeros", "How the biases start.").called("bias_init"),
)

var scoreType = choice("score", "How well a place of the encoder's output, s, fits the state of the decoder, h, is a score; the softmax of the scores weighs the places, and their weighted sum is the context c. With `additive` the state before the step finds the context, which the layer then reads beside its input; with the others the state after the step finds it. The output of the layer is tanh(W·[c; h]) (Luong et al. 2015).",
	word{name: "additive", doc: "vᵀ·tanh(W·h + U·s) (Bahdanau et al. 2015).", also: []string{"bahdanau", "mlp", "tanh"}, typ: object("",
		scoreUnits()).shortFor("units")},
	word{name: "dot", doc: "hᵀ·s, which are of the same width (Luong et al. 2015).", also: []string{"luong", "dot_product", "product"}, typ: object("", inputFeeding())},
	word{name: "general", doc: "hᵀ·W·s (Luong et al. 2015).", also: []string{"bilinear", "multiplicative", "luong_general"}, typ: object("", inputFeeding())},
	word{name: "concat", doc: "vᵀ·tanh(W·[h; s]) (Luong et al. 2015).", also: []string{"concatenation", "luong_concat"}, typ: object("",
		scoreUnits(), inputFeeding())},
	word{name: "scaled_dot", doc: "hᵀ·s/√units, as in Vaswani et al. 2017.", also: []string{"scaled", "scaled_dot_product"}, typ: object("", inputFeeding())},
)

func scoreUnits() *key {
	return may("units", integer(1, maxWidth), "the layer's `units`", "Width of the hidden layer whose tanh it is.").called("size", "hidden", "width", "dim")
}

func inputFeeding() *key {
	return with("input_feeding", boolean(), true, "Whether the output is an input of the next step, so that the layer knows where it has looked (Luong et al. 2015, section 3.3). Without it training is faster.").called("feed", "feeding", "input_feed")
}
