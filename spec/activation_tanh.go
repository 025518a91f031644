package spec

func init() {
	registerActivation(activationRecord{layers: true, hidden: true, formulas: []string{"tanh"}, low: -1, high: 1,
		word: word{name: "tanh", doc: "The hyperbolic tangent."}})
}
