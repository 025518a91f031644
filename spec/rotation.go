package spec

import "fmt"

// Rotation says how queries and keys are turned by the places of their tokens (Su et al. 2021).
type Rotation struct {
	Base     float64 // of the wavelengths; 0: nothing is turned
	Features int     // of a head that are turned; 0: all
	Scaling  string  // how a longer text is fitted in: "", "linear", "llama3" or "yarn"
	Factor   float64 // how much longer it is
	Original int     // llama3 and yarn: tokens of a text before
	Low      float64 // llama3: wavelengths longer than Original/Low are stretched by Factor; yarn: turns, slow ones
	High     float64 // llama3: those shorter than Original/High stay; yarn: turns, fast ones
	Gain     float64 // yarn: what cosines and sines are multiplied with
}

// On tells whether anything is turned.
func (r Rotation) On() bool { return r.Base > 0 }

// String is the base alone where nothing else is said, as digests have it.
func (r Rotation) String() string {
	s := fmt.Sprint(r.Base)
	if r.Features > 0 {
		s += fmt.Sprintf("/features=%d", r.Features)
	}
	if r.Scaling != "" {
		s += fmt.Sprintf("/%s=%v,%d,%v,%v,%v", r.Scaling, r.Factor, r.Original, r.Low, r.High, r.Gain)
	}
	return s
}

var rotaryType = &typ{form: objectForm, switched: true,
	cell: "`true`, or a map with the keys `base`, `features` and `scaling`",
	keys: []*key{
		with("base", from(1, 1e9), 10000.0,
			"Base of the wavelengths, which rise from 2π to almost base·2π.").called("theta", "rope_theta"),
		may("features", integer(2, maxWidth), "all of a head",
			"Features of a head that are turned, an even number, in pairs of i and i + half of the head.").called("dim",
			"rotary_dim", "dims"),
		may("scaling", choice("scaling", "How positions beyond those that a model was trained with are fitted in.",
			word{name: "linear", doc: "Places are divided by the factor (Chen et al. 2023).", typ: object("",
				need("factor", above(0, 1e6), "The factor.")).shortFor("factor")},
			word{name: "llama3",
				doc: "Long wavelengths are multiplied with the factor, short ones stay, and those in " +
					"between are mixed, as in Llama 3.1 (Grattafiori et al. 2024).", typ: object("",
					need("factor", above(0, 1e6), "The factor."),
					need("original", integer(1, 1<<30), "Tokens of a text before.").called(
						"original_max_position_embeddings"),
					with("low", above(0, 1e6), 1.0, "Wavelengths above `original`/`low` are long.").called(
						"low_freq_factor"),
					with("high", above(0, 1e6), 4.0, "Wavelengths below `original`/`high` are short.").called(
						"high_freq_factor"))},
			word{name: "yarn",
				doc: "The same by turns: features that turn more than `fast` times in a text stay, those " +
					"that turn less than `slow` times are stretched, and scores become sharper (Peng et al. 2024).",
				typ: object("",
					need("factor", above(0, 1e6), "The factor."),
					need("original", integer(1, 1<<30), "Tokens of a text before.").called(
						"original_max_position_embeddings"),
					with("slow", above(0, 1e6), 1.0, "Turns.").called("beta_slow"),
					with("fast", above(0, 1e6), 32.0, "Turns.").called("beta_fast"),
					may("gain", above(0, 1e6), "0.1·ln(factor) + 1",
						"What cosines and sines are multiplied with.").called("attention_factor", "mscale"))},
		), "none", "How positions beyond those that the model was trained with are fitted in.").called("rope_scaling"),
	}}

// rotation reads a value of rotaryType, for heads of a size.
func (c *layers) rotation(v *value, word string, size int) Rotation {
	if !v.given || v.bad {
		return Rotation{}
	}
	r := Rotation{Base: v.key("base").number, Features: int(v.key("features").integer)}
	if f := v.key("features"); f.given && !f.bad {
		switch {
		case r.Features%2 != 0:
			c.errorf(f.Pos, "%s.rotary.features: it turns pairs of features, and %d is an odd number", word, r.Features)
		case size > 0 && r.Features > size:
			c.errorf(f.Pos, "%s.rotary.features: a head has %d features, fewer than %d", word, size, r.Features)
		case r.Features == size:
			r.Features = 0
		}
	}
	s := v.key("scaling")
	if !s.given || s.bad {
		return r
	}
	r.Scaling, r.Factor = s.word, s.set.key("factor").number
	switch r.Scaling {
	case "llama3":
		r.Original = int(s.set.key("original").integer)
		r.Low, r.High = s.set.key("low").number, s.set.key("high").number
	case "yarn":
		r.Original = int(s.set.key("original").integer)
		r.Low, r.High = s.set.key("slow").number, s.set.key("fast").number
		r.Gain = s.set.key("gain").number
	}
	if high := s.set.key("high"); r.Scaling == "llama3" && r.Low >= r.High {
		c.errorf(high.Pos, "%s.rotary.scaling: high must be above low, which is %v", word, r.Low)
	}
	if fast := s.set.key("fast"); r.Scaling == "yarn" && r.Low >= r.High {
		c.errorf(fast.Pos, "%s.rotary.scaling: fast must be above slow, which is %v", word, r.Low)
	}
	return r
}
