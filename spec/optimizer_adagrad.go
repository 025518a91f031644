package spec

func init() {
	registerRule(rule{
		word: word{name: "adagrad", doc: "s += g²; p −= rate·g/(√s + epsilon) (Duchi et al. 2011).",
			typ: object("", rate(0.01), epsilon(1e-10), decay(0, coupled)).shortFor("rate")},
		new: "Adagrad", arguments: numbersOf("epsilon", "weight_decay"), numbers: arrays(1),
		symbols: []string{`\epsilon`, `\lambda`},
		update: []string{`d = g + \lambda \cdot p`, `s \leftarrow s + d^2`,
			`p \leftarrow p - r \cdot \frac{d}{\sqrt{s} + \epsilon}`},
	})
}
