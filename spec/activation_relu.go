package spec

func init() {
	registerActivation(activationRecord{layers: true, hidden: true, block: true, formulas: []string{"relu", "ReLU"},
		word: word{name: "relu", doc: "max(x, 0)."}})
	registerActivation(activationRecord{layers: true, word: word{
		name: "leaky_relu", doc: "x where it is above 0, slope·x elsewhere (Maas et al. 2013).",
		also: []string{"leaky", "lrelu", "leakyrelu"}, typ: object("",
			with("slope", share(), 0.2,
				"What negative values are multiplied with; 0.2 is that of Radford et al. 2016.").called("alpha",
				"negative_slope", "leak")).shortFor("slope")}})
}
