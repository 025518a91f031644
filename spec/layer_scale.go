package spec

import "fmt"

func init() {
	word := word{name: "scale", doc: "Multiplies each feature with a learnt number. At the end of a residual's part, " +
		"with a `start` far below 1, it lets deep stacks begin as the identity (LayerScale; Touvron et al. 2021).",
		also: []string{"layer_scale", "layerscale", "gain"}, typ: object("",
			layerName(),
			with("start", above(0, 100), 0.1, "What the numbers start at.").called("init", "init_value", "epsilon",
				"value")).shortFor("start")}
	register(record{name: "scale", group: rows, shares: true, word: word.in(inRNN, inAttention, inVAE),
		check: (*layers).scale})
}

// Scale multiplies each feature with a learnt number (Touvron et al. 2021, "Going deeper with Image Transformers").
type Scale struct {
	LayerBase
	Start float64
}

func (c *layers) scale(v *value, base LayerBase, in int, _ bool) Layer {
	s := &Scale{LayerBase: base, Start: v.set.key("start").number}
	s.Width = in
	c.count(v, int64(in), in)
	return s
}

func (l *Scale) architecture() string { return fmt.Sprintf("scale %s size=%d", l.Name, l.Width) }
