package spec

import "fmt"

func init() {
	word := word{name: "rmsnorm", doc: "Divides each row by its root mean square, then applies a learnt gain (Zhang " +
		"and Sennrich 2019).", also: []string{"rms_norm", "rms"}, typ: object("",
		layerName(),
		normEpsilon("mean square"))}
	register(record{name: "rmsnorm", group: rows, shares: true, word: word.in(inAttention, inVAE),
		check: (*layers).rmsnorm})
}

// RMSNorm divides each row by its root mean square and applies a learnt gain (Zhang and Sennrich 2019).
type RMSNorm struct {
	LayerBase
	Epsilon float64
}

func (c *layers) rmsnorm(v *value, base LayerBase, in int, _ bool) Layer {
	set := v.set
	n := &RMSNorm{LayerBase: base, Epsilon: set.key("epsilon").number}
	n.Width = in
	if in == 1 {
		c.errorf(v.Pos, "rmsnorm: the layer before it has 1 feature, of which only the sign would be left")
	}
	c.count(v, int64(in), in)
	return n
}

func (l *RMSNorm) architecture() string {
	return fmt.Sprintf("rmsnorm %s size=%d epsilon=%v", l.Name, l.Width, l.Epsilon)
}
