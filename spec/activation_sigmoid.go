package spec

func init() {
	registerActivation(activationRecord{layers: true, formulas: []string{"σ", "sigmoid", "sigm"}, high: 1,
		word: word{name: "sigmoid", doc: "1/(1+e⁻ˣ).", also: []string{"logistic"}}})
}
