package spec

func init() {
	registerRule(rule{
		word: word{name: "sgd", doc: "p −= rate·g.",
			typ: object("", rate(0.1), decay(0, coupled)).shortFor("rate")},
		new: "SGD", numbers: arrays(0), symbols: []string{"", "", `\lambda`},
		update:    []string{`p \leftarrow p - r \cdot (g + \lambda \cdot p)`},
		arguments: func(set *value) []any { return []any{0.0, false, set.key("weight_decay").number} },
	})
	for _, nesterov := range []bool{false, true} {
		w := word{name: "momentum", doc: "v = momentum·v + g; p −= rate·v."}
		last := `p \leftarrow p - r \cdot v`
		if nesterov {
			w = word{name: "nesterov", doc: "v = momentum·v + g; p −= rate·(g + momentum·v)."}
			last = `p \leftarrow p - r \cdot (d + \mu \cdot v)`
		}
		w.typ = object("", rate(0.1), momentumKey(0.9), decay(0, coupled)).shortFor("rate")
		registerRule(rule{word: w, new: "SGD", numbers: arrays(1), symbols: []string{`\mu`, "", `\lambda`},
			update: []string{`d = g + \lambda \cdot p`, `v \leftarrow \mu \cdot v + d`, last},
			arguments: func(set *value) []any {
				return []any{set.key("momentum").number, nesterov, set.key("weight_decay").number}
			}})
	}
}
