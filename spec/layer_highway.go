package spec

import "fmt"

func init() {
	word := word{name: "highway", doc: "g⊙relu(x·W + b) + (1−g)⊙x with the gate g = σ(x·Wg + bg) (Srivastava et al. " +
		"2015).", typ: object("",
		layerName(),
		with("gate_bias", from(-10, 10), -1.0,
			"How the bias of the gate starts: below 0 the layer passes on most of its input at first."),
		may("init", initType, uniformMatrix, "How the matrices start.").called("kernel_init", "initializer"),
		may("init_bias", initType, uniformBias, "How the bias of what is new starts.").called("bias_init"))}
	register(record{name: "highway", group: rows, shares: true, word: word.in(inDiscriminator),
		check: (*layers).highway})
}

// Highway is a layer whose gate says how much of its input it passes on unchanged (Srivastava et al. 2015).
type Highway struct {
	LayerBase
	GateBias float64
	Init     Init // of both matrices
	BiasInit Init // of the bias of what is new
}

func (c *layers) highway(v *value, base LayerBase, in int, _ bool) Layer {
	l := &Highway{LayerBase: base, GateBias: v.set.key("gate_bias").number}
	l.Width = in
	l.Init, l.BiasInit = c.standard(v, in)
	c.count(v, 2*int64(in)*int64(in+1), 4*in)
	return l
}

func (l *Highway) architecture() string {
	return fmt.Sprintf("highway %s size=%d", l.Name, l.Width)
}
