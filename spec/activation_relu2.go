package spec

func init() {
	registerActivation(activationRecord{layers: true, hidden: true, block: true, formulas: []string{"relu2"},
		word: word{name: "relu2", doc: "The square of max(x, 0), as in Primer (So et al. 2021).",
			also: []string{"squared_relu", "relu_squared", "sqrelu"}}})
}
