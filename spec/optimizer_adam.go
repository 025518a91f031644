package spec

func init() {
	registerRule(rule{
		word: word{name: "adam", doc: "Averages of the gradient and of its square, both corrected for their start " +
			"(Kingma and Ba 2015).",
			typ: object("", rate(0.001), betas(), epsilon(1e-8), decay(0, coupled)).shortFor("rate")},
		new: "Adam", arguments: numbersOf("betas", "epsilon", "weight_decay"), numbers: arrays(2),
	})
	registerRule(rule{
		word: word{name: "adamw", doc: "Adam with the decay taken out of the gradient (Loshchilov and Hutter 2019).",
			typ: object("", rate(0.001), betas(), epsilon(1e-8), decay(0.01, decoupled)).shortFor("rate")},
		new: "AdamW", arguments: numbersOf("betas", "epsilon", "weight_decay"), numbers: arrays(2),
	})
}
