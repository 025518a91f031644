package spec

import "fmt"

func init() {
	word := word{name: "positions", doc: "Adds a row that depends on the token's place alone.",
		also: []string{"position", "positional", "position_embedding", "positional_encoding", "pos"}, typ: object("",
			layerName(),
			with("scheme", enum(
				word{name: "learned", doc: "A learnt table, a row for each place.",
					also: []string{"learnt", "embedding", "absolute", "trained"}},
				word{name: "sinusoidal",
					doc:  "Sines and cosines of wavelengths from 2π to 10000·2π (Vaswani et al. 2017).",
					also: []string{"sinus", "sine", "fixed", "waves"}},
			), "learned", "What the rows are.").called("kind", "type"),
			may("init", initType, "the model's `init`; else normal 0.02",
				"How a learnt table starts.").called("initializer")).shortFor("scheme")}
	register(record{name: "positions", group: tables, overTime: true, places: func(*value) bool { return true },
		word: word.in(inAttention, inVAE, inDiscriminator), check: (*layers).positions})
}

// Positions adds to the features of every token a row that depends on the token's place alone.
type Positions struct {
	LayerBase
	Scheme string // "learned" or "sinusoidal" (Vaswani et al. 2017)
	Steps  int    // number of places
	Init   Init   // learned: of the [Steps, Width] table
}

func (c *layers) positions(v *value, base LayerBase, in int, _ bool) Layer {
	set := v.set
	p := &Positions{LayerBase: base, Scheme: set.key("scheme").word, Steps: c.shape.Steps}
	p.Width = in
	own := set.key("init")
	switch {
	case p.Scheme == "learned":
		p.Init = c.initial(own, c.initial(c.init, small(v)))
		c.count(v, int64(p.Steps)*int64(in), in)
	case own.given:
		c.errorf(own.Pos, "positions.init: sinusoidal positions are not learnt")
	}
	return p
}

func (l *Positions) architecture() string {
	s := fmt.Sprintf("positions %s %s size=%d", l.Name, l.Scheme, l.Width)
	if l.Scheme == "learned" {
		s += fmt.Sprintf(" steps=%d", l.Steps) // the sinusoidal ones can grow
	}
	return s
}
