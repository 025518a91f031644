package spec

func init() {
	word := word{name: "dropout", doc: "Sets features to 0 with a probability in training and scales the others by " +
		"1/(1−rate) (Srivastava et al. 2014).", typ: object("",
		layerName(),
		need("rate", share(), "The probability.").called("p", "probability", "dropout", "prob")).shortFor("rate")}
	register(record{name: "dropout", group: rows, word: word.in(everywhere...),
		check: func(_ *layers, v *value, base LayerBase, in int, _ bool) Layer {
			d := &Dropout{LayerBase: base, Rate: v.set.key("rate").number}
			d.Width = in
			return d
		}})
}

// Dropout sets features to zero with probability Rate in training and scales the others by 1/(1-Rate).
type Dropout struct {
	LayerBase
	Rate float64
}

func (l *Dropout) architecture() string { return "" } // leaves parameters as they are
