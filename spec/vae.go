package spec

// vaeType is the language of kind vae.
var vaeType = object("",
	&key{name: "kind", typ: enum(word{name: "vae"}), required: true, doc: "The kind of model."},
	nameKey, descriptionKey, blocksKey, defineKey,
	may("vectors", integer(1, maxVocab), "it reads and writes text, a sentence at a time",
		"Of a model of vectors: the numbers of a vector.").called("input", "inputs", "data", "vector", "features",
		"width", "size", "input_size"),
	labelsKey, tokenizerKey, shapeKey,
	need("encoder", list(coderType, 1, maxStack),
		"The layers that read a vector, or a sentence from its end. From what the last one gives, of a sentence at "+
			"its first token or, where a `transformer` stands behind the recurrent layers or in their place, the "+
			"mean over its tokens, two heads compute the mean and the logarithm of the variance of the latent vector.").
		called("encode", "enc", "reader", "recognition", "inference"),
	need("latent", latentType, "The latent vector z, and how it is kept close to its prior, the standard normal "+
		"distribution.").called("z", "code", "bottleneck", "latents"),
	need("decoder", list(coderType, 1, maxStack),
		"The layers that write from a latent vector. Recurrent layers begin with states that are made from it, "+
			"tanh(W·z + b), and the first of them reads it at every step as well. The first `transformer` reads it "+
			"added to what every token is: x + z·W (Li et al. 2020).").called("dec", "writer", "generator",
		"layers", "layer"),
	may("likelihood", likelihoodType, "`bernoulli` for vectors, `categorical` for text",
		"How what is written is distributed, given what the decoder gives.").called("loss", "reconstruction",
		"distribution", "objective"),
	with("word_dropout", share(), 0.0, "Of text: share of the tokens that the decoder does not see in training, so "+
		"that it has to ask the latent vector (Bowman et al. 2016).").called("token_dropout", "word_drop", "unk_rate"),
	with("bag_of_words", from(0, 100), 0.0,
		"Of text: weight, in training, of a loss that asks the latent vector alone which tokens the sentence has: Σ "+
			"−log softmax(W·z + b)[token] (Zhao et al. 2017).").called("bow", "bow_loss", "bag"),
	optimizerKey, emaKey, scheduleKey, clipKey, initKey, seedKey, decodeKey, tapsKey, trainKey,
)

var latentType = object("",
	need("size", integer(1, maxWidth), "Numbers of the latent vector.").called("dim", "units", "width", "latent_dim",
		"latent_size", "z_dim", "dimensions"),
	with("beta", from(0, 1e6), 1.0, "Weight of the divergence in the loss; above 1 it disentangles at the cost of "+
		"the reconstruction (Higgins et al. 2017), 0 leaves an autoencoder with noise.").called("kl_weight", "kl",
		"weight", "kld_weight"),
	with("annealing", annealingType, "none",
		"How the weight of the divergence rises to `beta` over the steps of a training, so that the decoder learns "+
			"to use the latent vector before keeping to the prior pays (Bowman et al. 2016).").called("anneal",
		"kl_annealing", "warmup", "schedule", "warm_up"),
	may("free_bits", object("",
		with("total", from(0, 1e6), 0.0,
			"Nats of the whole divergence that cost nothing: the loss has max(total, KL)."),
		with("dimension", from(0, 1e6), 0.0,
			"Nats of each dimension that cost nothing: the loss has Σ max(dimension, KL of the dimension), the mean "+
				"over the batch being compared (Kingma et al. 2016, equation 15).").called("per_dimension", "dim",
			"lambda", "each")).shortFor("total"),
		"none", "Divergence, in nats, that costs nothing in training, so that it does not fall to 0. Evaluation "+
			"counts all of it.").called("freebits", "free_nats", "target_kl", "min_kl"),
	may("encoder_first", object("",
		with("steps", integer(1, 10000), 100,
			"Updates of the encoder alone before a step, at the most.").called("updates", "inner_steps", "most", "max"),
		may("check", integer(1, 10000), "15, or `steps` where those are fewer",
			"Updates after which their mean loss is compared with that of as many before: where it has not fallen, "+
				"they end.").called("every", "window", "patience")).shortFor("steps"),
		"both networks learn in every step alone",
		"Updates of the encoder's parameters alone, those of the heads among them, on other batches of the training "+
			"data, before each step of training: an encoder that lags behind its decoder is why the latent vector "+
			"comes to say nothing (He et al. 2019, algorithm 1). They end for good after the first pass in which the "+
			"mutual information of data and latent vector, on the validation data where there is some, has not "+
			"risen. Encoder and decoder have an optimizer each.").called("aggressive", "aggressive_training", "lagging",
		"inner", "encoder_steps", "inference_first"),
	may("heads", list(coderType, 1, 1), "two products with a bias, of the mean and of the logarithm of the variance",
		"A layer by formula that gives the distribution of the latent vector from what the encoder gives: its last "+
			"equation is q(z|x) = N(mean, variance).").called("head", "posterior", "q"),
	may("init", initType, "the model's `init`; else uniform ±1/√inputs",
		"How the matrices of the heads, and of what reads the latent vector, start.").called("kernel_init",
		"initializer"),
).shortFor("size")

var annealingType = choice("annealing", "t is the number of steps done.",
	word{name: "none", doc: "The weight is `beta` from the start.", also: []string{"constant", "off", "fixed"}},
	word{name: "linear", doc: "beta·(start + (1−start)·t/steps), and beta after that.",
		also: []string{"ramp", "warmup"}, typ: object("",
			need("steps", integer(1, maxCount), "Steps of the rise.").called("length", "duration", "over"),
			annealingStart()).shortFor("steps")},
	word{name: "cyclical", doc: "The rise again and again: of each cycle of `steps` steps the share `ramp` is a " +
		"straight line, the rest beta; after the last cycle it stays beta (Fu et al. 2019).",
		also: []string{"cyclic", "cycle", "cycles"}, typ: object("",
			need("steps", integer(1, maxCount), "Steps of one cycle.").called("length", "period", "every"),
			with("cycles", integer(1, 1000), 4, "Number of cycles.").called("count", "number", "m"),
			with("ramp", above(0, 1), 0.5, "Share of a cycle in which the weight rises.").called("ratio", "r", "rise"),
			annealingStart())},
	word{name: "sigmoid", doc: "beta/(1 + e^(−slope·(t−middle))) (Bowman et al. 2016).",
		also: []string{"logistic", "tanh"}, typ: object("",
			need("middle", integer(0, maxCount), "The step at which the weight is half of beta.").called("x0", "center",
				"centre", "steps", "midpoint"),
			with("slope", above(0, 100), 0.0025, "How steep the rise is.").called("k", "rate", "steepness"))},
)

func annealingStart() *key {
	return with("start", share(), 0.0, "Share of beta at which the rise begins.").called("from", "begin", "initial")
}

var likelihoodType = choice("likelihood",
	"The reconstruction term of the loss is −log p(x|z) in nats, summed over the numbers of a vector or the tokens "+
		"of a sentence, its end included.",
	word{name: "bernoulli", doc: "Each number is 1 with a probability whose logit the decoder gives. Numbers between " +
		"0 and 1 count as shares; others are an error of the data.",
		also: []string{"binary", "bce", "binary_cross_entropy"}},
	word{name: "gaussian", doc: "Each number is normal around what the decoder gives.",
		also: []string{"normal", "mse", "l2"}, typ: object("",
			with("deviation", from(1e-6, 1e6), 1.0, "The standard deviation.").called("sigma", "std", "scale",
				"stddev")).shortFor("deviation")},
	word{name: "categorical", doc: "Of text: each token is one of the vocabulary, whose logits the decoder gives.",
		also: []string{"cross_entropy", "softmax", "nll"}},
)
