package spec

func layerName() *key {
	return may("name", nameType, "the layer's kind, then with 2, 3, … behind it", "Name of the layer: of its parameters in code and checkpoints, and of its row in every summary.")
}

// The words for layers. Those of a function differ in settings or defaults from kind to kind.
var (
	oneHotWord = word{name: "one_hot", doc: "Turns a token into a row as wide as the vocabulary, 1 at the token and 0 elsewhere.", also: []string{"onehot"}, typ: object("",
		layerName())}
	dropoutWord = word{name: "dropout", doc: "Sets features to 0 with a probability in training and scales the others by 1/(1−rate) (Srivastava et al. 2014).", typ: object("",
		layerName(),
		need("rate", share(), "The probability.").called("p", "probability", "dropout", "prob")).shortFor("rate")}
	layerNormWord = word{name: "layernorm", doc: "Normalises each row to mean 0 and variance 1, then applies a learnt gain and bias (Ba et al. 2016).", also: []string{"layer_norm", "norm", "ln"}, typ: object("",
		layerName(),
		normEpsilon("variance"))}
	rmsNormWord = word{name: "rmsnorm", doc: "Divides each row by its root mean square, then applies a learnt gain (Zhang and Sennrich 2019).", also: []string{"rms_norm", "rms"}, typ: object("",
		layerName(),
		normEpsilon("mean square"))}
)

func normEpsilon(of string) *key {
	return with("epsilon", above(0, 1), 1e-5, "Added to the "+of+" under the root.").called("eps")
}

func embeddingWord(initDefault string, more ...*key) word {
	keys := []*key{
		layerName(),
		need("size", integer(1, maxWidth), "Features of a row.").called("units", "dim", "width", "embedding_dim", "dimension"),
	}
	keys = append(keys, more...)
	return word{name: "embedding", doc: "Looks up a row of a learnt table, one row a token.", also: []string{"embed"}, typ: object("", append(keys,
		may("init", initType, initDefault, "How the table starts.").called("initializer"))...)}
}

// recurrentWords are rnn, lstm and gru; more keys follow those that they share.
func recurrentWords(more ...*key) []word {
	settings := func(own *key, more ...*key) *typ {
		keys := []*key{
			layerName(),
			need("units", integer(1, maxWidth), "Features of the state and of the output.").called("size", "hidden", "hidden_size", "width", "dim", "num_units"),
			with("layers", integer(1, maxStack), 1, "Number of equal layers, one on the other; each reads the states of the one below.").called("num_layers", "depth", "stack"),
			with("dropout", share(), 0.0, "Probability with which a feature between two layers of the stack is dropped in training.").called("rate"),
			own,
			with("bias", boolean(), true, "Whether a bias is added.").called("use_bias"),
		}
		keys = append(keys, more...)
		return object("", append(keys,
			may("init", initType, "the model's `init`; else uniform ±1/√units", "How the matrices applied to the input start.").called("kernel_init", "initializer"),
			may("init_state", initType, "the layer's `init`", "How the matrices applied to the state start.").called("recurrent_init", "init_recurrent", "init_hidden"),
			may("init_bias", initType, "uniform ±1/√units; zeros when the layer or the model has an `init`", "How the biases start.").called("bias_init"))...)
	}
	return []word{
		{name: "rnn", doc: "Simple recurrent layers: hₜ = f(xₜ·Wx + hₜ₋₁·Wh + b) (Elman 1990).", also: []string{"simple_rnn", "elman", "recurrent"}, typ: settings(
			with("activation", enum(
				word{name: "tanh", doc: "The hyperbolic tangent."},
				word{name: "relu", doc: "max(x, 0)."},
			), "tanh", "The function f.").called("nonlinearity"), more...)},
		{name: "lstm", doc: "Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000): c′ = f⊙c + i⊙g, h′ = o⊙tanh(c′).", typ: settings(
			with("forget_bias", from(-10, 10), 0.0, "Added to the initial bias of the forget gate; 1 keeps more of the state at first."), more...)},
		{name: "gru", doc: "Gated recurrent unit (Cho et al. 2014): h′ = (1−z)⊙n + z⊙h.", typ: settings(
			with("reset", enum(
				word{name: "before", doc: "n = tanh(x·Wn + (r⊙h)·Un + b), the form of Cho et al. 2014."},
				word{name: "after", doc: "n = tanh(x·Wn + b + r⊙(h·Un + b′)), the form of cuDNN and PyTorch; it needs one product a step and is the faster one."},
			), "after", "Whether the reset gate acts before or after the state's product.").called("reset_after"), more...)},
	}
}

var activations = choice("activation", "The function that a layer applies to each feature.",
	word{name: "none", doc: "The value itself.", also: []string{"linear", "identity"}},
	word{name: "tanh", doc: "The hyperbolic tangent."},
	word{name: "relu", doc: "max(x, 0)."},
	word{name: "leaky_relu", doc: "x where it is above 0, slope·x elsewhere (Maas et al. 2013).", also: []string{"leaky", "lrelu", "leakyrelu"}, typ: object("",
		with("slope", share(), 0.2, "What negative values are multiplied with; 0.2 is that of Radford et al. 2016.").called("alpha", "negative_slope", "leak")).shortFor("slope")},
	word{name: "sigmoid", doc: "1/(1+e⁻ˣ).", also: []string{"logistic"}},
)

func denseWord(initDefault, biasDefault, what, last string) word {
	return denseWith(initDefault, biasDefault,
		may("units", integer(1, maxVocab), last+", for the layer that gives the "+what, "Features of the output. Those of the layer that gives the "+what+" are "+last+"; others must say theirs.").called("size", "width", "dim", "out"),
		with("activation", activations, "none", "The function f. The layer that gives the logits has none.").called("act", "nonlinearity"),
		may("tie", nameType, "a matrix of its own", "Name of the embedding whose table, transposed, is W. Its `size` must be the width before this layer (Press and Wolf 2017).").called("tied", "tie_weights", "weight_tying", "tie_to"))
}

// denseWith is a dense layer whose units and activation a kind describes in its own words; more keys follow them.
func denseWith(initDefault, biasDefault string, units, activation *key, more ...*key) word {
	keys := append([]*key{layerName(), units, activation, with("bias", boolean(), true, "Whether a bias is added.").called("use_bias")}, more...)
	return word{name: "dense", doc: "f(x·W + b).", also: []string{"linear", "fully_connected", "output", "fc", "projection"}, typ: object("", append(keys,
		may("init", initType, initDefault, "How W starts.").called("kernel_init", "initializer"),
		may("init_bias", initType, biasDefault, "How the bias starts.").called("bias_init"))...)}
}

// layerType holds the layers of kind rnn.
var layerType = choice("layer", "The first is an `embedding` or `one_hot`, and no other is; the last is a `dense` whose width is the vocabulary.",
	joined(
		[]word{
			embeddingWord("the model's `init`; else normal 1, or normal 1/√size when a `dense` layer ties the table, so that logits start near a size of 1"),
			oneHotWord,
		},
		recurrentWords(),
		[]word{
			dropoutWord,
			layerNormWord,
			denseWord("the model's `init`; else uniform ±1/√inputs", "uniform ±1/√inputs; zeros when the layer or the model has an `init`", "logits", "the vocabulary"),
		},
	)...)

func joined(parts ...[]word) []word {
	var all []word
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
