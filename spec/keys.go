package spec

// Limits that keep a spec within what a machine can hold and what int32 indices of kernels reach. They are far above
// anything that trains in reasonable time; a spec that meets one has a slip of the pen in it.
const (
	maxWidth  = 1 << 16 // features of a layer
	maxVocab  = 1 << 19 // characters of a vocabulary
	maxStack  = 1000    // layers of a stack, and entries of the list of layers
	maxShape  = 1 << 16 // sequences of a batch, time steps of a window
	maxCount  = 1e9     // training steps and passes
	maxParams = 1 << 30 // learnt numbers: 4 GiB of float32
	maxActs   = 1 << 31 // numbers of one layer's activations
	maxName   = 64      // characters of a name
	maxLayers = 100000  // layers, those of a block once for each use
)

// initType is shared by the model-wide key and those of layers.
var initType = choice("init", "`in` and `out` are the inputs and outputs of a matrix; for the stacked matrices of a "+
	"recurrent layer they are those of one gate.",
	word{name: "uniform", doc: "Uniform in ±scale.", typ: object("",
		need("scale", above(0, 100), "Half the width of the interval.").called("bound", "range", "limit",
			"gain")).shortFor("scale")},
	word{name: "normal", doc: "Normal with mean 0.", typ: object("",
		need("scale", above(0, 100), "The standard deviation.").called("std", "stddev", "sigma", "deviation",
			"gain")).shortFor("scale")},
	word{name: "xavier_uniform", doc: "Uniform in ±gain·√(6/(in+out)) (Glorot and Bengio 2010).", typ: gain(),
		also: []string{"glorot", "glorot_uniform", "xavier"}},
	word{name: "xavier_normal", doc: "Normal with standard deviation gain·√(2/(in+out)) (Glorot and Bengio 2010).",
		typ: gain(), also: []string{"glorot_normal"}},
	word{name: "he_uniform", doc: "Uniform in ±gain·√(6/in) (He et al. 2015).", typ: gain(),
		also: []string{"kaiming", "kaiming_uniform", "he"}},
	word{name: "he_normal", doc: "Normal with standard deviation gain·√(2/in) (He et al. 2015).", typ: gain(),
		also: []string{"kaiming_normal"}},
	word{name: "orthogonal", doc: "Orthonormal rows or columns, times gain (Saxe et al. 2014).", typ: gain()},
	word{name: "zeros", doc: "All 0.", also: []string{"zero", "none", "constant"}},
)

func gain() *typ {
	return object("", with("gain", above(0, 100), 1.0,
		"What the values are multiplied with.").called("scale")).shortFor("gain")
}

var nameType = matching(`[a-z][a-z0-9_]*`, "a name",
	"a name of lower-case letters, digits and underscores, a letter first, at most 64 in all")

var characterType = text(1, 1)

var tokenizerType = choice("tokenizer", "How text becomes tokens. The number of tokens is a constant of the "+
	"generated code.",
	word{name: "bytes", doc: "A token is a byte; 256 tokens. Any text works, whatever its encoding.",
		also: []string{"byte", "raw"}, typ: object("", normalizeKey())},
	word{name: "ascii", doc: "A token is a newline or one of the 95 printable ASCII characters; 96 tokens, newline " +
		"first.", also: []string{"char", "characters", "text"},
		typ: object("", unknownKey(), fallbackKey(), normalizeKey())},
	word{name: "chars", doc: "A token is a character of a vocabulary file, which `gradsmith vocab TEXT` makes.",
		also: []string{"vocabulary", "vocab", "unicode", "utf8"}, typ: object("",
			vocabularyFile(),
			unknownKey(), fallbackKey(), normalizeKey()).shortFor("file")},
	word{name: "words", doc: "A token is a word with the blank before it, or a run of digits, of other characters or " +
		"of white space, of a vocabulary file, which `gradsmith vocab TEXT --words N` makes. One token more stands " +
		"for all that the file has not.", also: []string{"word", "wordlevel", "tokens"}, typ: object("",
		vocabularyFile(), fallbackKey(), normalizeKey()).shortFor("file")},
	word{name: "bpe", doc: "A token is a byte, or two tokens that a vocabulary file merges, which `gradsmith vocab " +
		"TEXT --bpe N` makes (Sennrich et al. 2016; over bytes as in GPT-2, whose merges.txt works too). Any text " +
		"works; frequent words are one token.", also: []string{"subword", "subwords", "gpt2"}, typ: object("",
		vocabularyFile(), normalizeKey()).shortFor("file")},
	word{name: "file", doc: "The tokenizer of a published model: a tokenizer.json, a SentencePiece model or a " +
		"tiktoken file, as `gradsmith tokenizer train` makes them too. What a text spells never becomes one of its " +
		"special tokens; those that the model needs come behind its own, unless `begin` and `end` say which of its own they are.",
		also: []string{"tokenizer.json", "huggingface", "wordpiece", "unigram", "sentencepiece", "spm", "tiktoken"},
		typ: object("",
			need("file", text(1, 1000), "The tokenizer's file, relative to the spec.").called("path", "model",
				"vocabulary"),
			may("encoding", text(1, 100), "published files are recognised",
				"Of a tiktoken file: the encoding that says how it splits, such as cl100k_base.").called("pattern",
				"name"),
			may("begin", text(1, 100), "there is none", "The token of the file that stands in front of every text: in "+
				"front of prompts, and alone in place of an empty one; of an encoder and a decoder, in front of answers.").
				called("bos", "bos_token", "start", "decoder_start_token"),
			may("end", text(1, 100), "there is none", "The token of the file that ends a text. A model that has one "+
				"stops there.").called("eos", "eos_token", "stop", "sep_token")).shortFor("file")},
	word{name: "numbers", doc: "A token is a whole number from 0 to `size` − 1, written in digits with blanks in " +
		"between: of sequences that are not text.", also: []string{"ids", "integers", "tokens"}, typ: object("",
		need("size", integer(2, maxVocab), "How many numbers there are.").called("vocab", "count",
			"vocabulary")).shortFor("size")},
)

func vocabularyFile() *key {
	return need("file", text(1, 1000), "The vocabulary file, relative to the spec.").called("vocab", "path",
		"vocabulary", "merges")
}

var normalType = choice("normalize", "A normal form of Unicode (Standard Annex 15), to which texts are brought "+
	"before they become tokens.",
	word{name: "nfc", doc: "Characters that mean the same are composed ones."},
	word{name: "nfd", doc: "Characters that mean the same are decomposed ones."},
	word{name: "nfkc", doc: "As nfc, and what only looks different, such as ﬁ and ², is replaced."},
	word{name: "nfkd", doc: "As nfd, and what only looks different, such as ﬁ and ², is replaced.",
		also: []string{"compatibility"}})

func normalizeKey() *key {
	return may("normalize", normalType, "texts are read as they are",
		"The normal form that texts are read in.").called("normalization", "normalisation", "unicode", "normal_form")
}

var fallbackType = choice("fallback", "What becomes of a text that the vocabulary has not.",
	word{name: "bytes", doc: "Its bytes, which are 256 tokens behind the others. Any text works and comes back as it " +
		"was.", also: []string{"byte"}})

func fallbackKey() *key {
	return may("fallback", fallbackType, "there is none",
		"What becomes of a text that the vocabulary has not.").called("byte_fallback", "oov")
}

func unknownKey() *key {
	return may("unknown", characterType, "such a character is an error",
		"The character of the vocabulary that stands in for those outside of it.").called("unk", "replacement")
}

// The keys of every kind.
var (
	nameKey = may("name", nameType, "the name of the file up to its first dot",
		"Package name of the generated code.").called("package", "model")
	descriptionKey = may("description", text(0, 300), "none",
		"What the model is, in one line. The package's comment goes on with it: \"Package NAME is …\".").called("doc",
		"comment", "desc")
	tokenizerKey = with("tokenizer", tokenizerType, "bytes", "How text becomes tokens.").called("vocab", "vocabulary",
		"encoding")
	shapeKey = may("shape", object("",
		with("batch", integer(1, maxShape), 32, "Sequences side by side.").called("batch_size", "sequences"),
		with("steps", integer(1, maxShape), 64,
			"Tokens of a window, where the model reads text: for a recurrent network how far back gradients reach, "+
				"for an attention model how far a token can look.").called("seq_len", "length", "time",
			"sequence_length", "window", "bptt", "context", "block_size", "max_len")),
		"the defaults of its keys",
		"The most that a training step takes at once; memory is planned for it.").called("shapes", "size", "dimensions")
	blocksKey = may("blocks", &typ{form: libraryForm, like: blockDefinition, cell: "a map from names to `settings` " +
		"and `layers`"}, "none",
		"Layers that are used again and again, by name: see [language.md](language.md).").called("block", "macros",
		"modules", "templates", "definitions")
	defineKey = may("define",
		&typ{form: libraryForm, like: "a map from names to definitions",
			cell: "a map from names to `formula`, `parameters`, `sizes`, `settings` and `gives`"}, "none",
		"Layers by formula: see [language.md](language.md#layers-by-formula).").called("formulas", "formula", "custom",
		"equations")
	lossKey = with("loss", choice("loss", "The training objective.",
		word{name: "cross_entropy", doc: "Mean over the tokens of −log p(token), in nats; padding is ignored.",
			also: []string{"nll", "crossentropy", "softmax"}, typ: object("",
				with("label_smoothing", share(), 0.0,
					"Share of the target's probability that is spread over all tokens (Szegedy et al. 2016).").called(
					"smoothing"))}),
		"cross_entropy", "The training objective.").called("objective", "criterion")
	optimizerKey = with("optimizer", optimizerType, "adam", "The rule of the update.").called("optim", "optimiser",
		"solver")
	emaKey = may("ema", share(), "none", "Decay of an average of the parameters over the updates, after update n no more "+
		"than (1+n)/(10+n). The average is what is validated, written with and saved; training goes on with the "+
		"parameters themselves, which are in the checkpoint as well.").called("average", "ema_decay", "moving_average",
		"polyak", "weight_average")
	scheduleKey = with("schedule", scheduleType, "constant",
		"How the rate changes over a training.").called("scheduler", "lr_schedule", "decay")
	clipKey = may("clip", object("",
		may("norm", above(0, 1e9), "no bound",
			"Bound of the Euclidean norm of all gradients together (Pascanu et al. 2013).").called("max_norm",
			"global_norm"),
		may("value", above(0, 1e9), "no bound",
			"Bound of the absolute value of each element, after `norm`.").called("max_value",
			"absolute")).shortFor("norm"),
		"no bounds", "Bounds of the gradient before the update.").called("clipping", "grad_clip", "clip_norm",
		"gradient_clip")
	initKey = may("init", initType, "each layer's own default",
		"How embedding tables and the matrices of all layers start, unless the layer says otherwise; biases then "+
			"start at 0.").called("initializer", "initialization", "initialisation")
	seedKey = with("seed", integer(0, 1<<63-1), 1,
		"Start of the random numbers for parameters and dropout.").called("random_seed", "rng")
	decodeKey = may("decode", object("",
		need("weights", enum(
			word{name: "f32", doc: "32 bits, every bit of the parameters."},
			word{name: "bf16", doc: "16 bits.", also: []string{"bfloat16"}},
			word{name: "q8", doc: "8.5 bits.", also: []string{"int8", "q8_0"}},
			word{name: "q4", doc: "4.5 bits.", also: []string{"int4", "q4_0"}}),
			"The kind of numbers that matrices are read as when the model writes: the only one that the package has "+
				"then.").called("kind", "type", "dtype", "precision")).shortFor("weights"),
		"whatever `--weights` says, `f32` unless told otherwise",
		"How the model writes: see [decoding.md](decoding.md).").called("decoding", "quantize", "quantization",
		"inference")
	accumulateKey = with("accumulate", integer(1, maxCount), 1,
		"Shards of equal size that the batch of a step is cut into. Their gradients are computed one after the other "+
			"and added up, so that activations take the memory of a shard; `mpirun` spreads shards over processes. "+
			"The bits of a training depend on their number. A row of the batch is read as without shards, but free "+
			"bits compare means over a shard, and noise and dropout masks are others.").called(
		"gradient_accumulation", "accumulation", "gradient_accumulation_steps", "shards", "micro_batches")
	tapsKey = with("taps", boolean(), false,
		"Whether the package has what explanations need: a forward pass whose values on the way can be read and moved, "+
			"and its gradient (`explain`). See [explain.md](explain.md).").called("explain", "explainable", "hooks")
	trainKey = may("train", object("",
		may("passes", integer(1, maxCount), "10, when `steps` is left out as well",
			"Passes over the training text.").called("epochs", "epoch"),
		may("steps", integer(1, maxCount), "as many as the passes have",
			"Steps of training, in place of `passes`.").called("iterations", "iters", "max_steps"),
		with("validation", share(), 0.1, "Share of the text, at its end, that is kept for validation.").called("val",
			"validation_split", "holdout", "test"),
		may("eval_every", integer(1, maxCount), "after each pass",
			"Steps between two validations.").called("validate_every", "eval_interval"),
		may("save_every", integer(1, maxCount), "after each validation",
			"Steps between two checkpoints.").called("checkpoint_every", "save_interval"),
		accumulateKey, patienceKey(), guardKey(),
		may("separator", text(1, 1000), "a file is one text",
			"Text that ends a document; the state of recurrent layers is reset after it.").called("delimiter", "end",
			"eos"),
		may("condition", object("",
			need("end", text(1, 1000), "Text behind the condition; the condition is all of a document up to its "+
				"first place.").called("until", "separator", "delimiter", "marker"),
			with("drop", share(), 0.1,
				"Share of the documents that are read without their condition.").called("dropout", "rate", "p",
				"probability")).shortFor("end"),
			"documents have none", "In language models: each document begins with a condition, such as a word that "+
				"says of what kind it is. Of some documents it is left out, all but its end, so that the model also "+
				"learns to write without one, which guidance asks for (`sample --guidance`; Ho and Salimans 2022, "+
				"Sanchez et al. 2023). Which documents those are is the same in each pass.").called("prefix",
			"conditioning", "condition_dropout"),
		may("scheduled_sampling", object("",
			with("share", above(0, 1), 0.25, "Share of the tokens that the model draws itself.").called("probability",
				"p", "rate", "ratio"),
			with("rise", integer(0, maxCount), 0,
				"Steps in which the share rises from 0 in a straight line.").called("warmup", "ramp",
				"steps")).shortFor("share"),
			"the decoder reads the text alone",
			"In a decoder of kind `attention`: how many of the tokens that it reads in training are drawn from what "+
				"it would have written there itself, in place of the text's (Bengio et al. 2015; Mihaylova and "+
				"Martins 2019).").called("teacher_forcing", "sampling", "exposure")),
		"the defaults of its keys", "Defaults of the command `train`, which has a flag for each.").called("training",
		"fit")
)
