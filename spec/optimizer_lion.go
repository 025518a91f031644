package spec

func init() {
	registerRule(rule{
		word: word{name: "lion", doc: "A step of one length in the direction of the sign of an average of gradients " +
			"(Chen et al. 2023). It wants a third to a tenth of Adam's rate, and as many times its decay.",
			typ: object("", rate(0.0001),
				with("betas", list(share(), 2, 2), []float64{0.9, 0.99}, "How much of the average goes into the step, "+
					"and into the next average.").called("beta1", "beta2", "beta", "beta_1", "beta_2"),
				decay(0.1, decoupled)).shortFor("rate")},
		new: "Lion", arguments: numbersOf("betas", "weight_decay"), numbers: arrays(1),
		symbols: []string{`\beta_1`, `\beta_2`, `\lambda`},
		update: []string{`u = \beta_1 \cdot m + (1 - \beta_1) \cdot g`,
			`p \leftarrow (1 - r \cdot \lambda) \cdot p - r \cdot \operatorname{sign}(u)`,
			`m \leftarrow \beta_2 \cdot m + (1 - \beta_2) \cdot g`},
	})
}
