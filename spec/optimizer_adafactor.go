package spec

func init() {
	registerRule(rule{
		word: word{name: "adafactor", doc: "The average of squares is kept as sums over rows and columns of each " +
			"matrix, so that it takes hardly any memory; a step is as large as the parameter is, times the rate, and " +
			"bounded (Shazeer and Stern 2018).",
			typ: object("", rate(0.01),
				with("exponent", above(0, 1), 0.8, "The average of squares decays with 1 − t^−exponent in step t.").
					called("decay_rate", "beta2_decay"),
				with("threshold", above(0, 1e3), 1.0, "Bound of the root of the mean square of a step before the "+
					"rate.").called("clip_threshold", "clipping_threshold", "d"),
				with("floor", above(0, 1), 0.001, "A parameter that is smaller moves as if it were so large.").
					called("eps2", "epsilon2"),
				decay(0, decoupled)).shortFor("rate")},
		symbols: []string{"c", `\tau`, "f", `\lambda`},
		update: []string{`\beta = 1 - t^{-c}`,
			`R \leftarrow \beta \cdot R + (1 - \beta) \cdot \text{row sums}(g^2 + 10^{-30})`,
			`C \leftarrow \beta \cdot C + (1 - \beta) \cdot \text{column sums}(g^2 + 10^{-30})`,
			`u = \frac{g}{\sqrt{R \cdot C / \sum R}} \quad \operatorname{rms}(a) = \sqrt{\text{mean}(a^2)}`,
			`p \leftarrow (1 - r \cdot \lambda) \cdot p - \min(r, \frac{1}{\sqrt{t}}) \cdot \max(f, ` +
				`\operatorname{rms}(p)) ` +
				`\cdot \frac{u}{\max(1, \operatorname{rms}(u) / \tau)}`},
		new: "Adafactor", shapes: true, arguments: numbersOf("exponent", "threshold", "floor", "weight_decay"),
		numbers: func(_ *Optimizer, _ int, tensors []TensorSize) (kept, scratch int) {
			largest, rows, columns := 0, 0, 0
			for _, t := range tensors {
				largest = max(largest, t.Rows*t.Columns)
				if t.Rows > 1 && t.Columns > 1 {
					kept += t.Rows + t.Columns
					rows, columns = max(rows, t.Rows), max(columns, t.Columns)
				} else {
					kept += t.Rows * t.Columns
				}
			}
			return kept, 2*largest + rows + columns
		},
	})
}
