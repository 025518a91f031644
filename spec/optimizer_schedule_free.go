package spec

func init() {
	registerRule(rule{
		word: word{name: "schedule_free", doc: "AdamW without a schedule (Defazio et al. 2024): it moves one point, " +
			"computes gradients between that and its average, and the average is what is validated, saved and written " +
			"with. The rate stays, after a warm-up (`schedule: {constant: {warmup: N}}`), and the training may end at any step.",
			also: []string{"schedulefree", "schedule_free_adamw", "adamw_schedule_free"},
			typ: object("", rate(0.0025),
				with("betas", list(share(), 2, 2), []float64{0.9, 0.999}, "Share of the average in the point of the "+
					"gradient, and decay of the average of squared gradients.").called("beta1",
					"beta2", "beta", "beta_1",
					"beta_2", "momentum"),
				epsilon(1e-8), decay(0, decoupled)).shortFor("rate")},
		symbols: []string{`\beta_1`, `\beta_2`, `\epsilon`, `\lambda`},
		update: []string{`v \leftarrow \beta_2 \cdot v + (1 - \beta_2) \cdot g^2 \quad \text{the gradient } g \text{ ` +
			`being that at } y`,
			`z \leftarrow z - r \cdot \lambda \cdot y - r \cdot \frac{g}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}`,
			`x \leftarrow x + c \cdot (z - x) \quad c = \frac{r_t^2}{\sum_{i \le t} r_i^2}`,
			`y = z + \beta_1 \cdot (x - z) \quad \text{the model that is saved being } x`},
		new: "ScheduleFree", arguments: numbersOf("betas", "epsilon", "weight_decay"),
		numbers: func(_ *Optimizer, n int, _ []TensorSize) (kept, scratch int) { return 3*n + 3, min(n, 1<<16) },
	})
}

// ownAverage reports an average of parameters whose rule keeps one by itself.
func (c *checker) ownAverage(root *value, m *Model) {
	if v := root.key("ema"); v.given && !v.bad && m.Optimizer.Kind == "schedule_free" {
		c.errorf(v.Pos, "ema: the rule schedule_free keeps an average of the parameters itself; leave one of them out")
	}
}
