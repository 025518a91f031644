package spec

func init() {
	word := word{name: "max_pool", doc: "Keeps the largest value of each feature over time.",
		also: []string{"maxpool", "max_over_time", "pool", "pooling"}, typ: object("", layerName())}
	register(record{name: "max_pool", group: neighbours, overTime: true, pools: true, word: word.in(inDiscriminator),
		check: func(_ *layers, _ *value, base LayerBase, in int, _ bool) Layer {
			p := &MaxPool{base}
			p.Width = in
			return p
		}})
}

// MaxPool keeps the largest value of each feature over time.
type MaxPool struct {
	LayerBase
}

func (l *MaxPool) architecture() string { return "" } // leaves parameters as they are
