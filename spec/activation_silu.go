package spec

func init() {
	registerActivation(activationRecord{hidden: true, block: true, formulas: []string{"silu", "SiLU", "swish"},
		word: word{name: "silu", doc: "x/(1+e⁻ˣ).", also: []string{"swish"}}})
	registerActivation(activationRecord{hidden: true, block: true, gated: true, word: word{
		name: "swiglu", doc: "silu(x·W)⊙(x·V), with two matrices in place of one (Shazeer 2020).",
		also: []string{"glu", "gated_silu"}}})
}
