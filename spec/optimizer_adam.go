package spec

func init() {
	registerRule(rule{
		word: word{name: "adam", doc: "Averages of the gradient and of its square, both corrected for their start " +
			"(Kingma and Ba 2015).",
			typ: object("", rate(0.001), betas(), epsilon(1e-8), decay(0, coupled)).shortFor("rate")},
		new: "Adam", arguments: numbersOf("betas", "epsilon", "weight_decay"), numbers: arrays(2),
		symbols: []string{`\beta_1`, `\beta_2`, `\epsilon`, `\lambda`},
		update: []string{`d = g + \lambda \cdot p`, `m \leftarrow \beta_1 \cdot m + (1 - \beta_1) \cdot d`,
			`v \leftarrow \beta_2 \cdot v + (1 - \beta_2) \cdot d^2`,
			`\hat{m} = \frac{m}{1 - \beta_1^t} \quad \hat{v} = \frac{v}{1 - \beta_2^t}`,
			`p \leftarrow p - r \cdot \frac{\hat{m}}{\sqrt{\hat{v}} + \epsilon}`},
	})
	registerRule(rule{
		word: word{name: "adamw", doc: "Adam with the decay taken out of the gradient (Loshchilov and Hutter 2019).",
			typ: object("", rate(0.001), betas(), epsilon(1e-8), decay(0.01, decoupled)).shortFor("rate")},
		new: "AdamW", arguments: numbersOf("betas", "epsilon", "weight_decay"), numbers: arrays(2),
		symbols: []string{`\beta_1`, `\beta_2`, `\epsilon`, `\lambda`},
		update: []string{`m \leftarrow \beta_1 \cdot m + (1 - \beta_1) \cdot g`,
			`v \leftarrow \beta_2 \cdot v + (1 - \beta_2) \cdot g^2`,
			`\hat{m} = \frac{m}{1 - \beta_1^t} \quad \hat{v} = \frac{v}{1 - \beta_2^t}`,
			`p \leftarrow (1 - r \cdot \lambda) \cdot p - r \cdot \frac{\hat{m}}{\sqrt{\hat{v}} + \epsilon}`},
	})
}
