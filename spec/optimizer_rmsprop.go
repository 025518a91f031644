package spec

func init() {
	registerRule(rule{
		word: word{name: "rmsprop", doc: "s = alpha·s + (1−alpha)·g²; p −= rate·g/(√s + epsilon), with momentum if it " +
			"is above 0 (Hinton 2012).", typ: object("", rate(0.01),
			with("alpha", share(), 0.99, "Decay of the squared average.").called("rho", "beta"), momentumKey(0),
			epsilon(1e-8), decay(0, coupled)).shortFor("rate")},
		symbols: []string{`\alpha`, `\mu`, `\epsilon`, `\lambda`},
		update: []string{`d = g + \lambda \cdot p`, `s \leftarrow \alpha \cdot s + (1 - \alpha) \cdot d^2`,
			`b \leftarrow \mu \cdot b + \frac{d}{\sqrt{s} + \epsilon}`, `p \leftarrow p - r \cdot b`},
		new: "RMSprop", arguments: numbersOf("alpha", "momentum", "epsilon", "weight_decay"),
		numbers: func(o *Optimizer, n int, _ []TensorSize) (kept, scratch int) {
			if momentum := o.Arguments[1].(float64); momentum != 0 {
				return 2 * n, 0
			}
			return n, 0
		},
	})
}
