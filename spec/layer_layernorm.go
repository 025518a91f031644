package spec

import "fmt"

func init() {
	word := word{name: "layernorm", doc: "Normalises each row to mean 0 and variance 1, then applies a learnt gain " +
		"and bias (Ba et al. 2016).", also: []string{"layer_norm", "norm", "ln"}, typ: object("",
		layerName(),
		normEpsilon("variance"))}
	register(record{name: "layernorm", group: rows, shares: true, word: word.in(everywhere...),
		check: (*layers).layernorm})
}

// LayerNorm normalises each row to mean 0 and variance 1 and applies a learnt gain and bias (Ba et al. 2016).
type LayerNorm struct {
	LayerBase
	Epsilon float64
}

func normEpsilon(of string) *key {
	return with("epsilon", above(0, 1), 1e-5, "Added to the "+of+" under the root.").called("eps")
}

func (c *layers) layernorm(v *value, base LayerBase, in int, _ bool) Layer {
	set := v.set
	n := &LayerNorm{LayerBase: base, Epsilon: set.key("epsilon").number}
	n.Width = in
	if in == 1 {
		c.errorf(v.Pos, "layernorm: the layer before it has 1 feature, which normalised is always 0")
	}
	c.count(v, 2*int64(in), in)
	return n
}

func (l *LayerNorm) architecture() string {
	return fmt.Sprintf("layernorm %s size=%d epsilon=%v", l.Name, l.Width, l.Epsilon)
}
