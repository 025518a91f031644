package spec

func init() {
	registerRule(rule{
		word: word{name: "muon", doc: "The step of a matrix is its momentum with all singular values made about one, by " +
			"five Newton-Schulz iterations (Jordan et al. 2024), and scaled so that AdamW's rate and decay fit it (Liu " +
			"et al. 2025). Vectors, tables of tokens and positions and the output layer take AdamW's step.",
			typ: object("", rate(0.001),
				with("momentum", share(), 0.95, "Share of the average of a matrix's gradients that is kept.").
					called("mu", "beta"),
				with("betas", list(share(), 2, 2), []float64{0.9, 0.95}, "AdamW's: decay of the average of gradients "+
					"and of their squares.").called("beta1", "beta2", "beta_1", "beta_2"),
				epsilon(1e-8), decay(0.01, decoupled)).shortFor("rate")},
		symbols: []string{`\mu`, `\beta_1`, `\beta_2`, `\epsilon`, `\lambda`},
		update: []string{`m \leftarrow \mu \cdot m + (1 - \mu) \cdot g \quad \text{of a matrix of } a \times b ` +
			`\text{ numbers}`,
			`o = \operatorname{orthogonal}(\mu \cdot m + (1 - \mu) \cdot g)`,
			`p \leftarrow (1 - r \cdot \lambda) \cdot p - 0.2 \cdot r \cdot \sqrt{\max(a, b)} \cdot o`,
			`\operatorname{orthogonal}(X_0): X_1 = \frac{X_0}{\lVert X_0 \rVert} \quad ` +
				`X_{i+1} = 3.4445 \cdot X_i + (2.0315 \cdot (X_i \cdot X_i^\top)^2 - 4.775 \cdot X_i \cdot X_i^\top) ` +
				`\cdot X_i \quad \text{five times}`,
			`p \leftarrow (1 - r \cdot \lambda) \cdot p - r \cdot \frac{\hat{m}}{\sqrt{\hat{v}} + \epsilon} \quad ` +
				`\text{of vectors and tables, with averages of } g \text{ and } g^2 \text{ as in AdamW}`},
		new: "Muon", shapes: true, arguments: numbersOf("momentum", "betas", "epsilon", "weight_decay"),
		numbers: func(_ *Optimizer, n int, tensors []TensorSize) (kept, scratch int) {
			kept = n
			matrix, square := 0, 0
			for _, t := range tensors {
				if t.Rows > 1 && t.Columns > 1 && !t.Apart {
					matrix, square = max(matrix, t.Rows*t.Columns), max(square, min(t.Rows, t.Columns))
				} else {
					kept += t.Rows * t.Columns
				}
			}
			return kept, 2*matrix + 2*square*square
		},
	})
}
