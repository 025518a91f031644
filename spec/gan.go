package spec

// ganType is the language of kind gan.
var ganType = object("",
	&key{name: "kind", typ: enum(word{name: "gan"}), required: true, doc: "The kind of model."},
	nameKey, descriptionKey,
	need("vectors", object("",
		need("size", integer(1, maxWidth), "Numbers of a vector: what the generator gives and the discriminator reads.").called("width", "dim", "features", "units", "pixels")).shortFor("size"),
		"The vectors that the model learns to imitate.").called("data", "vector", "input", "output"),
	labelsKey,
	may("shape", object("",
		with("batch", integer(1, maxShape), 64, "Vectors side by side.").called("batch_size", "vectors")),
		"the defaults of its keys", "The most that a training step takes at once; memory is planned for it.").called("shapes", "size", "dimensions"),
	may("noise", object("",
		with("size", integer(1, maxWidth), 64, "Numbers that the generator makes a vector of.").called("width", "dim", "latent", "units"),
		with("distribution", enum(
			word{name: "normal", doc: "Of mean 0 and variance 1.", also: []string{"gaussian", "randn"}},
			word{name: "uniform", doc: "In [−1, 1).", also: []string{"rand"}},
		), "normal", "How each number is distributed.").called("kind", "type")).shortFor("size"),
		"the defaults of its keys", "What the generator begins with.").called("latent", "z", "prior"),
	need("generator", list(generatorType, 1, maxStack), "The layers from noise to a vector. The last is a `dense` as wide as `vectors`.").called("gen", "g", "layers", "decoder"),
	need("discriminator", list(discriminatorType, 1, maxStack), "The layers from a vector to the verdict, a number that is high for data and low for what the generator makes. The last is a `dense` of one unit.").called("disc", "d", "critic", "dis"),
	with("loss", adversarialType, "non_saturating", "What the two networks train for.").called("objective", "criterion", "gan_loss", "adversarial_loss"),
	may("gradient_penalty", penaltyType, "none", "A term of the discriminator's loss that bounds its gradient with respect to what it reads.").called("penalty", "gp", "regularization"),
	may("feature_matching", above(0, 1e6), "none", "Weight of a term of the generator's loss, ‖mean of f(data) − mean of f(made)‖², f being what the discriminator's last layer reads (Salimans et al. 2016, equation 2).").called("features", "match_features", "fm"),
	(&key{name: "optimizer", typ: optimizerType, def: "adam", defDoc: "`adam`, at a rate of 0.0002", doc: "The rule of the generator's update."}).called("optim", "optimiser", "solver", "generator_optimizer", "g_optimizer"),
	may("discriminator_optimizer", optimizerType, "the `optimizer`", "The rule of the discriminator's update. The schedule scales both rates alike.").called("critic_optimizer", "d_optimizer", "optimizer_d"),
	with("critic_steps", integer(1, 1000), 1, "Steps of the discriminator for each of the generator.").called("n_critic", "d_steps", "discriminator_steps", "k"),
	may("ema", share(), "none", "Decay of an average of the generator's parameters over the steps of training; samples are made with the average (Yazıcı et al. 2019).").called("average", "ema_decay", "moving_average", "polyak"),
	scheduleKey, clipKey, initKey, seedKey,
	may("train", object("",
		may("passes", integer(1, maxCount), "10, when `steps` is left out as well", "Passes over the training vectors.").called("epochs", "epoch"),
		may("steps", integer(1, maxCount), "as many as the passes have", "Steps of the generator, in place of `passes`.").called("iterations", "iters", "max_steps"),
		with("validation", share(), 0.1, "Share of the vectors, at their end, that is kept for validation.").called("val", "validation_split", "holdout", "test"),
		may("eval_every", integer(1, maxCount), "after each pass", "Steps between two validations.").called("validate_every", "eval_interval"),
		may("save_every", integer(1, maxCount), "after each validation", "Steps between two checkpoints.").called("checkpoint_every", "save_interval")),
		"the defaults of its keys", "Defaults of the command `train`, which has a flag for each.").called("training", "fit"),
)

const (
	uniformMatrix = "the model's `init`; else uniform ±1/√inputs"
	uniformBias   = "uniform ±1/√inputs; zeros when the layer or the model has an `init`"
)

var generatorType = choice("generator_layer", "",
	denseWith(uniformMatrix, uniformBias,
		may("units", integer(1, maxWidth), "the size of `vectors`, for the last layer", "Features of the output.").called("size", "width", "dim", "out"),
		with("activation", activations, "none", "The function f. In the last layer it gives the vectors their range: tanh where the data is in [−1, 1], sigmoid where it is in [0, 1].").called("act", "nonlinearity")),
	layerNormWord,
	dropoutWord,
)

var discriminatorType = choice("discriminator_layer", "",
	denseWith(uniformMatrix, uniformBias,
		may("units", integer(1, maxWidth), "1, for the last layer", "Features of the output.").called("size", "width", "dim", "out"),
		with("activation", activations, "none", "The function f. The last layer has none.").called("act", "nonlinearity"),
		with("spectral_norm", boolean(), false, "Whether W is divided by its largest singular value, so that the layer stretches no difference; that value comes from one step of power iteration a training step (Miyato et al. 2018).").called("spectral", "sn", "spectral_normalization", "spectral_normalisation")),
	dropoutWord,
)

func labelSmoothing() *typ {
	return object("", with("label_smoothing", share(), 0.0, "What the label of data is below 1; that of what the generator makes stays 0 (one-sided smoothing, Salimans et al. 2016).").called("smoothing", "one_sided_label_smoothing")).shortFor("label_smoothing")
}

// adversarialType holds the losses: real and fake are verdicts on data and on what the generator makes, σ is the sigmoid.
var adversarialType = choice("adversarial_loss", "With `real` and `fake` the verdicts on data and on what the generator makes, D's loss is the discriminator's and G's the generator's; each is a mean over the batch.",
	word{name: "minimax", doc: "D: −log σ(real) − log(1−σ(fake)); G: log(1−σ(fake)) (Goodfellow et al. 2014, equation 1).", also: []string{"original", "standard", "saturating", "gan"}, typ: labelSmoothing()},
	word{name: "non_saturating", doc: "D as in minimax; G: −log σ(fake), whose gradient does not fade while the discriminator is ahead (Goodfellow et al. 2014, section 3).", also: []string{"bce", "nonsaturating", "ns", "vanilla", "logistic"}, typ: labelSmoothing()},
	word{name: "least_squares", doc: "D: ½(real−1)² + ½fake²; G: ½(fake−1)² (Mao et al. 2017, equation 9).", also: []string{"lsgan", "mse", "squares", "ls"}, typ: labelSmoothing()},
	word{name: "hinge", doc: "D: max(0, 1−real) + max(0, 1+fake); G: −fake (Lim and Ye 2017; Miyato et al. 2018).", also: []string{"hinge_loss", "geometric"}},
	word{name: "wasserstein", doc: "D: fake − real; G: −fake (Arjovsky et al. 2017). It needs `gradient_penalty` or `spectral_norm`, without which the discriminator's loss has no bound.", also: []string{"wgan", "w", "earth_mover"}},
	word{name: "relativistic", doc: "D: −log σ(real − fake); G: −log σ(fake − real), in pairs (Jolicoeur-Martineau 2019).", also: []string{"rsgan", "rgan", "ragan"}},
)

var penaltyType = choice("penalty", "∇ is the gradient of the verdict with respect to the vector that is read.",
	word{name: "wgan_gp", doc: "weight·(‖∇‖ − 1)² at a point drawn at random on the line between a vector of the data and one of the generator (Gulrajani et al. 2017, equation 3).", also: []string{"gp", "wgangp", "gradient_penalty", "lipschitz"}, typ: penaltyWeight()},
	word{name: "r1", doc: "weight/2·‖∇‖² at the vectors of the data (Mescheder et al. 2018, equation 9).", also: []string{"R1", "zero_centered", "zero_centred"}, typ: penaltyWeight()},
)

func penaltyWeight() *typ {
	return object("", with("weight", above(0, 1e6), 10.0, "What the term is multiplied with.").called("lambda", "gamma", "scale")).shortFor("weight")
}
