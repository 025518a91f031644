package spec

func init() {
	register(record{name: "residual", group: composites, check: (*layers).residual,
		inner: func(v *value) []*value { return []*value{v.set.key("layers")} },
		word: func(in place) *word {
			return &word{name: "residual",
				doc:  "x + f(x), where f is layers that give as many features as they read (He et al. 2016).",
				also: []string{"skip", "shortcut", "add", "res", "residual_block", "skip_connection"}, typ: object("",
					layerName(),
					need("layers", list(layerTypes[in], 1, maxStack), "The layers f, in their order.").called("layer",
						"body", "inner", "of", "f"),
					with("scale", above(0, 1e6), 1.0, "What f(x) is multiplied with.").called("factor", "weight",
						"alpha"),
					with("dropout", share(), 0.0,
						"Probability with which a feature of f(x) is dropped in training, before it is added.").called(
						"rate")).shortFor("layers")}
		}})
}

// Residual is x + Scale·f(x), with dropout on f(x).
type Residual struct {
	LayerBase
	Layers  []Layer
	Scale   float64
	Dropout float64
}

// Lists implements Composite.
func (l *Residual) Lists() [][]Layer { return [][]Layer{l.Layers} }

func (c *layers) residual(v *value, base LayerBase, in int, _ bool) Layer {
	l := &Residual{LayerBase: base, Scale: v.set.key("scale").number, Dropout: v.set.key("dropout").number}
	l.Width = in
	l.Layers = c.sequence(v.set.key("layers"), in, false)
	if out := width(l.Layers, in); out > 0 && in > 0 && out != in {
		c.errorf(v.Pos, "residual: the sum needs as many features on both sides, but its layers read %d and give %d; "+
			"end them with `- dense: {units: %d}`", in, out, in)
	}
	return l
}

func (l *Residual) architecture() string {
	return composed("residual", number(l.Scale), l.Layers)
}
