package spec

import "fmt"

func init() {
	register(record{name: "repeat", group: composites, check: (*layers).repeat,
		written: func(*value) bool { return true },
		inner: func(v *value) []*value {
			if v.copies != nil {
				return v.copies
			}
			return []*value{v.set.key("layers")}
		},
		word: func(in place) *word {
			return &word{name: "repeat",
				doc:  "Layers again and again, each time with parameters of their own, or always with the same ones.",
				also: []string{"loop", "times", "stack", "for", "repeated"}, typ: object("",
					layerName(),
					need("times", integer(1, maxStack), "How often.").called("n", "count", "layers_count", "depth",
						"num_layers"),
					need("layers", list(layerTypes[in], 1, maxStack),
						"The layers. They give as many features as they read.").called("layer", "body", "of", "block"),
					with("shared", boolean(), false,
						"Whether all repetitions have the same parameters (Dehghani et al. 2019; Lan et al. 2020).").
						called("share", "tied", "tie"),
					recomputeKey())}
		}})
}

// Repeat is layers again and again. Where they can be a loop of generated code they stand in Layers once; otherwise in
// Copies for each repetition.
type Repeat struct {
	LayerBase
	Times     int
	Shared    bool
	Recompute bool // the gradient computes what it needs of a repetition again, from what that reads
	Layers    []Layer
	Copies    [][]Layer
}

// recomputeKey is that of layers that become a loop.
func recomputeKey() *key {
	return with("recompute", boolean(), false, "Whether a training computes again in its backward pass what that needs of "+
		"a repetition, from what the repetition read (Chen et al. 2016): memory for all else is then that of one "+
		"repetition, and a step computes the forward pass twice. The bits are the same.").called("checkpoint",
		"gradient_checkpointing", "rematerialize")
}

// Lists implements Composite.
func (l *Repeat) Lists() [][]Layer {
	if l.Copies != nil {
		return l.Copies
	}
	return [][]Layer{l.Layers}
}

func (c *layers) repeat(v *value, base LayerBase, in int, _ bool) Layer {
	l := &Repeat{LayerBase: base, Times: int(v.set.key("times").integer), Shared: v.set.key("shared").flag,
		Recompute: v.set.key("recompute").flag}
	l.Width = in
	if l.Recompute && v.copies != nil {
		c.errorf(v.set.key("recompute").Pos, "repeat.recompute: its repetitions are no loop, as there is one in them or "+
			"around them, so that nothing is computed again; remove the key")
	}
	fits := func(layers []Layer) bool {
		out := width(layers, in)
		if out > 0 && in > 0 && out != in {
			c.errorf(v.Pos, "repeat: its layers read %d features and give %d, so they cannot read what they gave; "+
				"end them with `- dense: {units: %d}`", in, out, in)
			return false
		}
		return true
	}
	for _, list := range v.copies {
		copied := c.sequence(list, in, false)
		l.Copies = append(l.Copies, copied)
		if !fits(copied) {
			return l
		}
	}
	if v.copies != nil {
		return l
	}
	times := c.times
	if !l.Shared {
		c.times *= max(1, l.Times)
	}
	c.home = v
	l.Layers = c.sequence(v.set.key("layers"), in, false)
	c.times, c.home = times, nil
	fits(l.Layers)
	return l
}

func (l *Repeat) architecture() string {
	if l.Copies != nil {
		s := ""
		for _, c := range l.Copies {
			s += composed("repetition", "", c) + "\n"
		}
		return s + "end"
	}
	return composed("repeat", fmt.Sprintf("%d shared=%t", l.Times, l.Shared), l.Layers)
}
