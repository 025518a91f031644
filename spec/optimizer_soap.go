package spec

func init() {
	registerRule(rule{
		word: word{name: "soap", doc: "Adam in the eigenbases of the averages that Shampoo has of a matrix's gradients " +
			"(Vyas et al. 2024), which are made anew every so many steps by power iteration and a QR decomposition. " +
			"Vectors take AdamW's step, and the first step moves vectors alone.",
			typ: object("", rate(0.003),
				with("betas", list(share(), 2, 2), []float64{0.95, 0.95}, "Decay of the average of gradients, and of "+
					"those of their squares, of both kinds.").called("beta1", "beta2", "beta", "beta_1", "beta_2",
					"momentum"),
				epsilon(1e-8), decay(0.01, decoupled),
				with("every", integer(1, 1e6), 10, "Steps from one making of the bases to the next.").
					called("precondition_frequency", "frequency", "interval"),
				with("limit", integer(1, 1e5), 1024, "A side of a matrix of more numbers has no basis. Of another "+
					"one two squares of its length are kept.").
					called("max_precond_dim", "max_dim")).shortFor("rate")},
		new: "SOAP", shapes: true,
		arguments: func(set *value) []any {
			return append(numbersOf("betas", "epsilon", "weight_decay")(set), int(set.key("every").integer),
				int(set.key("limit").integer))
		},
		numbers: func(o *Optimizer, n int, tensors []TensorSize) (kept, scratch int) {
			limit := o.Arguments[len(o.Arguments)-1].(int)
			matrix, largest := 0, 0
			kept = 2 * n
			for _, t := range tensors {
				if t.Rows < 2 || t.Columns < 2 || min(t.Rows, t.Columns) > limit {
					continue
				}
				matrix = max(matrix, t.Rows*t.Columns)
				for _, side := range []int{t.Rows, t.Columns} {
					if side <= limit {
						kept, largest = kept+2*side*side, max(largest, side)
					}
				}
			}
			if largest > 0 {
				const panel = 32 // of the decomposition
				scratch = 3*matrix + 2*largest*largest + largest + (largest+panel-1)/panel*panel*panel +
					2*largest*panel + panel*panel + panel
			}
			return kept, scratch
		},
	})
}
