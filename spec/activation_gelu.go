package spec

func init() {
	registerActivation(activationRecord{layers: true, hidden: true, block: true, formulas: []string{"gelu", "GELU"},
		word: word{name: "gelu", doc: "x·Φ(x), where Φ is the normal distribution function (Hendrycks and Gimpel 2016)."}})
	registerActivation(activationRecord{hidden: true, block: true, word: word{
		name: "gelu_tanh", doc: "GELU with Φ approximated by tanh, as in GPT-2.",
		also: []string{"gelu_new", "gelu_approx", "quick_gelu"}}})
	registerActivation(activationRecord{hidden: true, gated: true, word: word{
		name: "geglu", doc: "gelu(x·W)⊙(x·V) (Shazeer 2020).", also: []string{"gated_gelu"}}})
	registerActivation(activationRecord{hidden: true, gated: true, word: word{
		name: "geglu_tanh", doc: "gelu_tanh(x·W)⊙(x·V), as in Gemma and T5 1.1.",
		also: []string{"gated_gelu_tanh", "gated_gelu_new"}}})
}
