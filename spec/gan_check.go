package spec

// checkGAN makes the Model of a spec of kind gan.
func checkGAN(c *checker, root *value) *Model {
	if root.bad {
		return nil
	}
	m := c.model(root)
	m.Shape.Steps = 1 // a vector is one step
	vectors, noise := root.key("vectors"), root.key("noise")
	m.Vectors = &Vectors{Pos: vectors.Pos, Size: int(vectors.key("size").integer)}
	g := &GAN{
		Noise:           Noise{Pos: noise.Pos, Size: int(noise.key("size").integer), Distribution: noise.key("distribution").word},
		FeatureMatching: root.key("feature_matching").number,
		CriticSteps:     int(root.key("critic_steps").integer),
		EMA:             root.key("ema").number,
	}
	m.GAN = g
	m.Labels = c.labels(root.key("labels"), root.key("init"))

	generator, discriminator := root.key("generator"), root.key("discriminator")
	both := append(append([]*value{}, generator.list...), discriminator.list...)
	names := c.names(both)
	c.reserved(both, names, map[string]string{"generator_labels": "the labels'", "discriminator_labels": "the labels'"}, m)
	made := layers{checker: c, path: "generator", role: generating, vocab: m.Vectors.Size, in: g.Noise.Size + m.Labels.width(), shape: m.Shape, init: root.key("init"), params: m.Labels.params()}
	m.Layers = made.check(generator, names[:len(generator.list)])
	judged := layers{checker: c, path: "discriminator", role: judging, vocab: 1, in: m.Vectors.Size + m.Labels.width(), shape: m.Shape, init: root.key("init"), params: made.params, tooMany: made.tooMany}
	g.Discriminator = judged.check(discriminator, names[len(generator.list):])

	c.training(root, m)
	if o := root.key("optimizer"); !o.given {
		m.Optimizer.Rate = 0.0002
	}
	g.Optimizer = m.Optimizer
	if o := root.key("discriminator_optimizer"); o.given {
		g.Optimizer = c.optimizer(o)
	}
	if p := root.key("gradient_penalty"); p.given {
		g.Penalty = Penalty{Pos: p.Pos, Kind: p.word, Weight: p.set.key("weight").number}
	}

	spectral := true // every layer with a matrix has spectral norm
	hidden := 0
	for _, l := range g.Discriminator {
		if d, ok := l.(*Dense); ok {
			spectral = spectral && d.Spectral
			hidden++
		}
	}
	if m.Loss.Kind == "wasserstein" && g.Penalty.Kind == "" && !root.key("gradient_penalty").bad && !spectral && !judged.unknown {
		c.errorf(m.Loss.Pos, "loss.wasserstein: nothing bounds the discriminator's gradient, so its loss would fall for ever; add `gradient_penalty: wgan_gp`, or `spectral_norm: true` to every dense layer of the discriminator")
	}
	if f := root.key("feature_matching"); f.given && !f.bad && hidden < 2 && !judged.unknown {
		c.errorf(f.Pos, "feature_matching: the discriminator has one layer, so there are no features before its verdict; add a dense layer")
	}
	return m
}
