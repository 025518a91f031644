package spec

// checkGAN makes the Model of a spec of kind gan.
func checkGAN(c *checker, root *value) *Model {
	if root.bad {
		return nil
	}
	m := c.model(root)
	m.GAN = &GAN{FeatureMatching: root.key("feature_matching").number,
		CriticSteps: int(root.key("critic_steps").integer), EMA: root.key("ema").number}
	vectors, tokenizer := root.key("vectors"), root.key("tokenizer")
	switch {
	case vectors.given && tokenizer.given:
		c.errorf(tokenizer.Pos, "tokenizer: the networks are of vectors already; leave `vectors` or `tokenizer` out")
	case !vectors.given && !tokenizer.given:
		c.errorf(root.Pos, "a gan imitates vectors or text: add `vectors: {size: N}`, or a `tokenizer`")
		return nil
	}
	if vectors.given {
		if size := vectors.key("size"); !size.given && !vectors.bad {
			c.errorf(vectors.Pos, "vectors: the key \"size\" is missing; it takes a whole number from 1 to %d",
				maxWidth)
		}
		c.adversariesOfVectors(root, m)
	} else {
		c.adversariesOfText(root, m)
	}
	return m
}

func (c *checker) adversariesOfVectors(root *value, m *Model) {
	g := m.GAN
	m.Shape.Steps = 1 // a vector is one step
	vectors, noise := root.key("vectors"), root.key("noise")
	m.Vectors = &Vectors{Pos: vectors.Pos, Size: int(vectors.key("size").integer)}
	g.Noise = Noise{Pos: noise.Pos, Size: int(noise.key("size").integer), Distribution: noise.key("distribution").word}
	m.Labels = c.labels(root.key("labels"), root.key("init"))
	c.noDrop(m.Labels, root.key("labels"))
	c.notFor("networks of vectors have none", root.key("shape").key("steps"), "shape.steps", root.key("estimator"),
		"estimator", root.key("pretraining"), "pretraining", root.key("train").key("tolerance"), "train.tolerance")

	judged := c.stacks(root, m,
		layers{role: generating, vocab: m.Vectors.Size, in: g.Noise.Size + m.Labels.width(), params: m.Labels.params()},
		layers{role: judging, vocab: 1, in: m.Vectors.Size + m.Labels.width()})
	c.rates(root, m, 0.0002)
	if p := root.key("gradient_penalty"); p.given {
		g.Penalty = Penalty{Pos: p.Pos, Kind: p.word, Weight: p.set.key("weight").number}
	}

	spectral := true // every layer with a matrix has spectral norm
	hidden := 0
	for l := range Leaves(g.Discriminator) {
		if d, ok := l.(*Dense); ok {
			spectral = spectral && d.Spectral
			hidden++
		}
	}
	if m.Loss.Kind == "wasserstein" && g.Penalty.Kind == "" && !root.key("gradient_penalty").bad && !spectral &&
		!judged.unknown {
		c.errorf(m.Loss.Pos, "loss.wasserstein: nothing bounds the discriminator's gradient, so its loss would fall "+
			"for ever; add `gradient_penalty: wgan_gp`, or `spectral_norm: true` to every dense layer of the "+
			"discriminator")
	}
	if f := root.key("feature_matching"); f.given && !f.bad && hidden < 2 && !judged.unknown {
		c.errorf(f.Pos, "feature_matching: the discriminator has one layer, so there are no features before its "+
			"verdict; add a dense layer")
	}
}

// stacks checks the layers of both networks, and returns what was found of the discriminator's.
func (c *checker) stacks(root *value, m *Model, made, judged layers) layers {
	generator, discriminator := root.key("generator"), root.key("discriminator")
	c.unrolls = true // passes over the networks have names of their own, which a loop would hide
	c.names(generator, discriminator)
	c.reserved(leaves(generator, discriminator),
		map[string]string{"generator_labels": "the labels'", "discriminator_labels": "the labels'"}, m)
	made.checker, made.path, made.shape, made.init = c, "generator", m.Shape, root.key("init")
	made.tied = tiedTables(generator)
	m.Layers = made.check(generator)
	judged.checker, judged.path, judged.shape, judged.init = c, "discriminator", m.Shape, root.key("init")
	judged.params, judged.tooMany = made.params, made.tooMany
	m.GAN.Discriminator = judged.check(discriminator)
	return judged
}

// rates fills in how both networks are trained, the generator at rate where the spec does not say.
func (c *checker) rates(root *value, m *Model, rate float64) {
	c.training(root, m)
	if o := root.key("optimizer"); !o.given {
		m.Optimizer.Rate = rate
	}
	m.GAN.Optimizer = m.Optimizer
	if o := root.key("discriminator_optimizer"); o.given {
		m.GAN.Optimizer = c.optimizer(o)
	}
}

// pools reports whether a discriminator of text makes one verdict of a line.
func pools(discriminator *value) bool {
	for _, l := range leaves(discriminator) {
		if records[l.word].pools {
			return true
		}
	}
	return false
}

// notFor refuses keys, given as pairs of value and path, for a reason.
func (c *checker) notFor(reason string, pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		if v := pairs[i].(*value); v.given {
			c.errorf(v.Pos, "%s: %s; leave it out", pairs[i+1], reason)
		}
	}
}

func (c *checker) adversariesOfText(root *value, m *Model) {
	g := m.GAN
	tokenizer, estimator, before := root.key("tokenizer"), root.key("estimator"), root.key("pretraining")
	specials := []string{BeginToken, EndToken}
	if tokenizer.word == "numbers" { // sequences of one length, which begin with number 0
		specials = nil
	}
	m.Tokenizer = c.tokenizer(tokenizer, "tokenizer", specials...)
	c.notFor("it is for networks of vectors", root.key("noise"), "noise", root.key("labels"), "labels",
		root.key("gradient_penalty"), "gradient_penalty", root.key("feature_matching"), "feature_matching")
	g.EMA = 0 // the training keeps the average, as for any other kind
	set := estimator.set
	t := &Imitation{
		Pos: estimator.Pos, Estimator: "policy_gradient", Rewards: "rollouts", Rollouts: 16, Discount: 1,
		Baseline: "mean", Value: "odds",
		Pretraining: int(before.key("steps").integer), Discriminator: int(before.key("discriminator").integer),
		Patience: int(before.key("patience").integer), Tolerance: root.key("train").key("tolerance").number,
	}
	if estimator.given {
		t.Estimator, t.Rewards, t.Rollouts, t.Discount = estimator.word, set.key("rewards").word,
			int(set.key("rollouts").integer), set.key("discount").number
		t.Baseline, t.Value = set.key("baseline").word, set.key("value").word
		t.Hard, t.Hot, t.Cold, t.Cooling = set.key("straight_through").flag, set.key("start").number,
			set.key("end").number, int(set.key("steps").integer)
	}
	g.Text = t
	judged := c.stacks(root, m, layers{role: writing, vocab: m.Tokenizer.Vocab},
		layers{role: reading, vocab: m.Tokenizer.Vocab, causal: !pools(root.key("discriminator"))})
	c.rates(root, m, 0.001)
	if t.Rate = before.key("rate").number; t.Rate == 0 {
		t.Rate = m.Optimizer.Rate
	}

	pooled, back := pools(root.key("discriminator")), Pos{}
	for l := range Leaves(g.Discriminator) {
		switch l := l.(type) {
		case *Recurrent:
			if l.Bidirectional {
				back = l.Pos
			}
		case *Conv1D:
			back = l.Pos
		}
	}
	list := root.key("discriminator")
	switch {
	case estimator.bad || list.bad || judged.unknown || t.Estimator != "policy_gradient":
	case t.Rewards == "rollouts" && !pooled:
		c.errorf(list.Pos, "discriminator: rewards by rollouts need a verdict on a whole line; add `- max_pool` "+
			"before the last layer, or say `estimator: {policy_gradient: tokens}`")
	case t.Rewards == "tokens" && pooled:
		c.errorf(list.Pos, "discriminator: rewards by tokens need a verdict on each token; leave `max_pool` out, or "+
			"say `estimator: {policy_gradient: rollouts}`")
	case t.Rewards == "tokens" && back != Pos{}:
		c.errorf(back, "discriminator: rewards by tokens need verdicts on what has been written so far, but this "+
			"layer looks at what comes later; use a recurrent layer that reads from left to right")
	}
	if r := set.key("rollouts"); r.given && t.Rewards == "tokens" {
		c.errorf(r.Pos, "estimator.policy_gradient.rollouts: rewards by tokens need no rollouts; leave it out")
	}
	if r := set.key("discount"); r.given && t.Rewards == "rollouts" {
		c.errorf(r.Pos, "estimator.policy_gradient.discount: a rollout has one verdict, on all of the line; leave it "+
			"out, or say `rewards: tokens`")
	}
	if r := set.key("baseline"); t.Baseline == "prefix" && t.Rewards == "tokens" && !r.bad {
		c.errorf(r.Pos, "estimator.policy_gradient.baseline: rewards by tokens are differences to the token before "+
			"already; say mean or none")
	}
	if t.Cold > t.Hot && !set.key("end").bad && !set.key("start").bad {
		c.errorf(set.key("end").Pos, "estimator.gumbel_softmax.end: the temperature falls, but %v is above its start "+
			"of %v", t.Cold, t.Hot)
	}
	if k := m.Loss.Kind; t.Estimator == "policy_gradient" && k != "minimax" && k != "non_saturating" &&
		!root.key("loss").bad {
		c.errorf(m.Loss.Pos, "loss.%s: rewards are probabilities, σ(verdict), so the loss of the discriminator is "+
			"that of minimax or non_saturating", k)
	}
	if n := m.Train.Steps; n > 0 && !before.bad && t.Pretraining+t.Discriminator >= n {
		c.errorf(before.Pos, "pretraining: it takes %d steps, but the training has %d, so the networks would not "+
			"learn from each other; shorten the one or lengthen the other", t.Pretraining+t.Discriminator, n)
	}
}
