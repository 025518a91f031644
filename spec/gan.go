package spec

// ganType is the language of kind gan.
var ganType = object("",
	&key{name: "kind", typ: enum(word{name: "gan"}), required: true, doc: "The kind of model."},
	nameKey, descriptionKey, blocksKey, defineKey,
	may("vectors", object("",
		may("size", integer(1, maxWidth), "it must be given",
			"Numbers of a vector: what the generator gives and the discriminator reads.").called("width", "dim",
			"features", "units", "pixels")).shortFor("size"),
		"the networks are of text, and `tokenizer` is given",
		"Of networks of vectors: what the model learns to imitate.").called("data", "vector", "input", "output"),
	may("tokenizer", tokenizerType, "the networks are of vectors",
		"Of networks of text: how text becomes tokens. They learn to imitate lines of `shape.steps` tokens; one that "+
			"is shorter is filled with the token that ends it.").called("vocab", "vocabulary", "encoding"),
	labelsKey,
	may("shape", object("",
		with("batch", integer(1, maxShape), 64, "Vectors, or lines of text, side by side.").called("batch_size",
			"vectors", "sequences"),
		with("steps", integer(2, maxShape), 20, "Of text: tokens of a line.").called("length", "seq_len", "time",
			"sequence_length", "max_len")),
		"the defaults of its keys",
		"The most that a training step takes at once; memory is planned for it.").called("shapes", "size",
		"dimensions"),
	may("noise", object("",
		with("size", integer(1, maxWidth), 64, "Numbers that the generator makes a vector of.").called("width", "dim",
			"latent", "units"),
		with("distribution", enum(
			word{name: "normal", doc: "Of mean 0 and variance 1.", also: []string{"gaussian", "randn"}},
			word{name: "uniform", doc: "In [−1, 1).", also: []string{"rand"}},
		), "normal", "How each number is distributed.").called("kind", "type")).shortFor("size"),
		"the defaults of its keys", "What the generator begins with.").called("latent", "z", "prior"),
	need("generator", list(generatorType, 1, maxStack),
		"Of vectors: the layers from noise to a vector, the last a `dense` as wide as `vectors`. Of text: the layers "+
			"of a language model, from an `embedding` through recurrent layers to a `dense` as wide as the vocabulary.").
		called("gen", "g", "layers", "decoder"),
	need("discriminator", list(discriminatorType, 1, maxStack),
		"The layers from what is judged to the verdict, a number that is high for data and low for what the "+
			"generator makes. The last is a `dense` of one unit. Of text they begin with an `embedding`, and a "+
			"`max_pool` makes one verdict of a line; without it each token has one, on the line up to there. So the "+
			"tokens of a `transformer` see all of the line where there is a `max_pool`, and elsewhere those up to "+
			"their own.").called("disc", "d", "critic", "dis"),
	may("estimator", estimatorType, "`policy_gradient`",
		"Of text: how verdicts reach the generator, whose tokens are drawn and so have no gradient.").called("gradient",
		"method", "training_mode", "relaxation"),
	may("pretraining", object("",
		with("steps", integer(0, maxCount), 1000,
			"Training steps in which the generator learns from the text alone, by maximum likelihood.").called(
			"generator", "mle_steps", "generator_steps", "mle"),
		patience("all of the steps are made", "Validations in a row, without a lower loss, after which these steps "+
			"end. The generator goes back to where the loss was lowest, which is kept beside the checkpoint, and the "+
			"discriminator begins."),
		with("discriminator", integer(0, maxCount), 100,
			"Training steps after these in which the discriminator alone learns.").called("discriminator_steps",
			"d_steps"),
		may("rate", above(0, 1e3), "that of the `optimizer`",
			"Rate of the generator's optimizer while it learns from the text alone.").called("learning_rate", "lr")),
		"the defaults of its keys", "Of text: what comes before the networks learn from each other.").called("pretrain",
		"mle", "warmup"),
	with("loss", adversarialType, "non_saturating", "What the two networks train for.").called("objective", "criterion",
		"gan_loss", "adversarial_loss"),
	may("gradient_penalty", penaltyType, "none",
		"A term of the discriminator's loss that bounds its gradient with respect to what it reads.").called("penalty",
		"gp", "regularization"),
	may("feature_matching", above(0, 1e6), "none",
		"Weight of a term of the generator's loss, ‖mean of f(data) − mean of f(made)‖², f being what the "+
			"discriminator's last layer reads (Salimans et al. 2016, equation 2).").called("features", "match_features",
		"fm"),
	(&key{name: "optimizer", typ: optimizerType, def: "adam", defDoc: "`adam`, at a rate of 0.0002",
		doc: "The rule of the generator's update."}).called("optim", "optimiser", "solver", "generator_optimizer",
		"g_optimizer"),
	may("discriminator_optimizer", optimizerType, "the `optimizer`",
		"The rule of the discriminator's update. The schedule scales both rates alike.").called("critic_optimizer",
		"d_optimizer", "optimizer_d"),
	with("critic_steps", integer(1, 1000), 1,
		"Steps of the discriminator for each of the generator. Of text a training step is one of the discriminator, "+
			"and each of this number is one of the generator as well.").called("n_critic", "d_steps",
		"discriminator_steps", "k"),
	may("ema", share(), "none", "Decay of an average of the generator's parameters over the steps of training; "+
		"samples are made with the average (Yazıcı et al. 2019). Of text it is what is validated and saved, too, and its "+
		"decay is after update n no more than (1+n)/(10+n).").called("average", "ema_decay", "moving_average",
		"polyak"),
	scheduleKey, clipKey, initKey, seedKey,
	tapsKey,
	may("train", object("",
		may("passes", integer(1, maxCount), "10, when `steps` is left out as well",
			"Passes over the training vectors.").called("epochs", "epoch"),
		may("steps", integer(1, maxCount), "as many as the passes have",
			"Steps of the generator, in place of `passes`.").called("iterations", "iters", "max_steps"),
		with("validation", share(), 0.1,
			"Share of the vectors, at their end, that is kept for validation.").called("val", "validation_split",
			"holdout", "test"),
		may("eval_every", integer(1, maxCount), "after each pass",
			"Steps between two validations.").called("validate_every", "eval_interval"),
		may("save_every", integer(1, maxCount), "after each validation",
			"Steps between two checkpoints.").called("checkpoint_every", "save_interval"),
		accumulateKey, patience("training goes on to its end",
			"Of text: validations in a row, without a lower loss, after which training stops, counted from where the "+
				"networks learn from each other. The parameters with the lowest since then are kept beside the "+
				"checkpoint (`train --best`)."),
		may("tolerance", above(0, 1e3), "none",
			"Of text: how far the validation loss, in nats a token, may be above the lowest since pretraining. "+
				"Networks that learn from each other write better lines at the price of variety, which that loss "+
				"tells of: the newest parameters within the tolerance are the best ones, and those beyond count for "+
				"`patience`.").called("slack", "max_rise", "budget"),
		guardKey()),
		"the defaults of its keys", "Defaults of the command `train`, which has a flag for each.").called("training",
		"fit"),
)

// estimatorType holds the ways from verdicts on tokens to the generator's parameters.
var estimatorType = choice("estimator", "",
	word{name: "policy_gradient", doc: "Tokens are drawn, and −Σ reward·log p(token) is the generator's loss, the " +
		"reward being what verdicts say, less a baseline (Williams 1992; Yu et al. 2017, equation 8). The loss of " +
		"the discriminator is that of `minimax` or `non_saturating`.",
		also: []string{"seqgan", "reinforce", "rl", "policy"}, typ: object("",
			with("rewards", enum(
				word{name: "rollouts", doc: "The reward of a token is the mean value of the verdicts on lines that " +
					"the generator finishes behind it (Yu et al. 2017, equation 4); the discriminator has a `max_pool`.",
					also: []string{"monte_carlo", "search", "rollout"}},
				word{name: "tokens", doc: "The discriminator reads from left to right and has a verdict for each " +
					"token; the reward is Σ discount^k·(what a token adds to the verdict's value) of the token and " +
					"those behind it. One pass in place of many rollouts.",
					also: []string{"token", "dense", "per_token"}},
			), "rollouts", "What a token is worth.").called("reward"),
			with("value", enum(
				word{name: "odds", doc: "The verdict, the logarithm of the odds that what was judged is of the data. " +
					"It does not fade where the discriminator is sure of itself.", also: []string{"logit", "log_odds"}},
				word{name: "probability", doc: "σ(verdict), as in SeqGAN.", also: []string{"sigmoid", "prob"}},
			), "odds", "What a verdict is worth.").called("reward_of", "worth"),
			with("rollouts", integer(1, 1000), 16, "Lines finished behind each token.").called("rollout", "n",
				"samples"),
			with("discount", from(0, 1), 1.0, "What a verdict one token later is multiplied with.").called("gamma"),
			with("baseline", enum(
				word{name: "mean", doc: "The mean of the rewards over the batch, at each step of a line.",
					also: []string{"batch", "average"}},
				word{name: "prefix", doc: "With rollouts: the reward of the token before, which is what the line was " +
					"worth up to there; of the first token the mean over the batch.",
					also: []string{"value", "advantage", "before"}},
				word{name: "none", doc: "Nothing, as in SeqGAN: a probability is above 0, so that what is drawn " +
					"becomes likelier, and good lines more so.", also: []string{"off", "zero"}},
			), "mean", "What is taken off the rewards.").called("subtract")).shortFor("rewards")},
	word{name: "gumbel_softmax", doc: "The generator writes softmax((logits + g)/temperature), g being Gumbel noise, " +
		"in place of tokens, and gradients pass through it (Jang et al. 2017; Kusner and Hernández-Lobato 2016).",
		also: []string{"gumbel", "relaxed", "relgan", "concrete"}, typ: object("",
			with("straight_through", boolean(), false,
				"Whether the discriminator reads the likeliest token, while the gradient is that of the relaxed one.").
				called("hard", "st"),
			with("start", from(1e-6, 1e3), 1.0, "The temperature at first.").called("temperature", "hot", "from"),
			with("end", from(1e-6, 1e3), 0.01,
				"The temperature after `steps` steps, to which it falls by the same factor in each.").called("cold",
				"to", "final"),
			with("steps", integer(1, maxCount), 2000, "Steps of the generator in which it falls.").called("cooling",
				"over", "annealing"))},
)

func labelSmoothing() *typ {
	return object("", with("label_smoothing", share(), 0.0, "What the label of data is below 1; that of what the "+
		"generator makes stays 0 (one-sided smoothing, Salimans et al. 2016).").called("smoothing",
		"one_sided_label_smoothing")).shortFor("label_smoothing")
}

// adversarialType holds the losses: real and fake are verdicts on data and on what the generator makes, σ is the
// sigmoid.
var adversarialType = choice("adversarial_loss",
	"With `real` and `fake` the verdicts on data and on what the generator makes, D's loss is the discriminator's "+
		"and G's the generator's; each is a mean over the batch.",
	word{name: "minimax", doc: "D: −log σ(real) − log(1−σ(fake)); G: log(1−σ(fake)) (Goodfellow et al. 2014, " +
		"equation 1).", also: []string{"original", "standard", "saturating", "gan"}, typ: labelSmoothing()},
	word{name: "non_saturating", doc: "D as in minimax; G: −log σ(fake), whose gradient does not fade while the " +
		"discriminator is ahead (Goodfellow et al. 2014, section 3).",
		also: []string{"bce", "nonsaturating", "ns", "vanilla", "logistic"}, typ: labelSmoothing()},
	word{name: "least_squares", doc: "D: ½(real−1)² + ½fake²; G: ½(fake−1)² (Mao et al. 2017, equation 9).",
		also: []string{"lsgan", "mse", "squares", "ls"}, typ: labelSmoothing()},
	word{name: "hinge", doc: "D: max(0, 1−real) + max(0, 1+fake); G: −fake (Lim and Ye 2017; Miyato et al. 2018).",
		also: []string{"hinge_loss", "geometric"}},
	word{name: "wasserstein", doc: "D: fake − real; G: −fake (Arjovsky et al. 2017). It needs `gradient_penalty` or " +
		"`spectral_norm`, without which the discriminator's loss has no bound.",
		also: []string{"wgan", "w", "earth_mover"}},
	word{name: "relativistic", doc: "D: −log σ(real − fake); G: −log σ(fake − real), in pairs (Jolicoeur-Martineau " +
		"2019).", also: []string{"rsgan", "rgan", "ragan"}},
)

var penaltyType = choice("penalty", "∇ is the gradient of the verdict with respect to the vector that is read.",
	word{name: "wgan_gp", doc: "weight·(‖∇‖ − 1)² at a point drawn at random on the line between a vector of the " +
		"data and one of the generator (Gulrajani et al. 2017, equation 3).",
		also: []string{"gp", "wgangp", "gradient_penalty", "lipschitz"}, typ: penaltyWeight()},
	word{name: "r1", doc: "weight/2·‖∇‖² at the vectors of the data (Mescheder et al. 2018, equation 9).",
		also: []string{"R1", "zero_centered", "zero_centred"}, typ: penaltyWeight()},
)

func penaltyWeight() *typ {
	return object("", with("weight", above(0, 1e6), 10.0, "What the term is multiplied with.").called("lambda", "gamma",
		"scale")).shortFor("weight")
}
