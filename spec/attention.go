package spec

// attentionType is the language of kind attention.
var attentionType = object("",
	&key{name: "kind", typ: enum(word{name: "attention"}), required: true, doc: "The kind of model."},
	nameKey, descriptionKey, blocksKey, defineKey, tokenizerKey, shapeKey,
	may("source", object("",
		may("tokenizer", tokenizerType, "the model's `tokenizer`",
			"How the text that the encoder reads becomes tokens.").called("vocab", "vocabulary", "encoding"),
		may("steps", integer(1, maxShape), "`shape.steps`",
			"Tokens of a text that the encoder reads, at the most, the one that ends it included.").called("length",
			"seq_len", "max_len", "sequence_length")),
		"the defaults of its keys", "What the encoder reads, where there is a decoder as well.").called("src", "input",
		"from"),
	may("masking", object("",
		with("share", &typ{form: numberForm, rng: bounds{low: 0, high: 1, openLow: true, openHigh: true}}, 0.15,
			"Share of the tokens that is to be restored.").called("rate", "probability", "p", "ratio"),
		with("mask", from(0, 1), 0.8, "Share of these that the token `[MASK]` replaces.").called("masked", "replace"),
		with("random", from(0, 1), 0.1,
			"Share of these that a random token replaces; the rest stays as it is.").called("replaced",
			"swap")).shortFor("share"),
		"the defaults of its keys", "How tokens are hidden in training from an encoder that has no decoder behind it "+
			"(Devlin et al. 2019).").called("mlm", "mask", "masked"),
	may("encoder", list(stackType, 1, maxStack), "a model of a decoder alone",
		"The layers that read a text, each token seeing all others. Alone they restore masked tokens, as in BERT.").
		called("encode", "enc", "reader"),
	may("decoder", list(stackType, 1, maxStack), "a model of an encoder alone",
		"The layers that write a text, each token seeing those before it. Alone they continue a text, as in GPT; "+
			"behind an encoder they answer its text.").called("layers", "layer", "dec", "writer"),
	lossKey, optimizerKey, emaKey, scheduleKey, clipKey, adapterKey, initKey, seedKey, decodeKey, tapsKey, trainKey,
)
