package spec

func init() {
	registerRule(rule{
		word: word{name: "sgd", doc: "p −= rate·g.",
			typ: object("", rate(0.1), decay(0, coupled)).shortFor("rate")},
		new: "SGD", numbers: arrays(0),
		arguments: func(set *value) []any { return []any{0.0, false, set.key("weight_decay").number} },
	})
	for _, nesterov := range []bool{false, true} {
		w := word{name: "momentum", doc: "v = momentum·v + g; p −= rate·v."}
		if nesterov {
			w = word{name: "nesterov", doc: "v = momentum·v + g; p −= rate·(g + momentum·v)."}
		}
		w.typ = object("", rate(0.1), momentumKey(0.9), decay(0, coupled)).shortFor("rate")
		registerRule(rule{word: w, new: "SGD", numbers: arrays(1), arguments: func(set *value) []any {
			return []any{set.key("momentum").number, nesterov, set.key("weight_decay").number}
		}})
	}
}
