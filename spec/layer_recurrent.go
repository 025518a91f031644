package spec

import (
	"fmt"
	"math"
)

func init() {
	for _, name := range []string{"rnn", "lstm", "gru"} {
		register(record{name: name, group: recurrences, shares: true, written: func(*value) bool { return true },
			overTime: true, recurrent: true, check: (*layers).recurrent, word: func(in place) *word {
				var more []*key
				switch in {
				case inAttention:
					more = []*key{
						with("bidirectional", boolean(), false,
							"In an encoder in front of a decoder: whether the text is read from both ends, which "+
								"doubles the width of the output (Schuster and Paliwal 1997).").called("bidir", "both",
							"directions"),
						may("attention", scoreType,
							"no attention; the encoder's last state is all that the decoder knows (Sutskever et al. "+
								"2014)",
							"In a decoder behind an encoder: how the layer, the top one of a stack, looks at the "+
								"encoder's output at every step.").called("score", "attend"),
					}
				case inDiscriminator:
					more = []*key{with("bidirectional", boolean(), false,
						"Whether as many layers read the line from its end; each step's output is both states side "+
							"by side.").called("bidi", "birnn")}
				}
				return recurrentWord(name, more...)
			}})
	}
}

// Recurrent is a stack of equal recurrent layers: kinds "rnn", "lstm" and "gru". Width is the number of units, twice
// that when the layers read in both directions.
type Recurrent struct {
	LayerBase
	Units      int     // features of the state of one direction
	Layers     int     // how many, one on the other
	Dropout    float64 // between the layers of the stack, in training
	Activation string  // kind rnn: "tanh" or "relu"
	Reset      string  // kind gru: "before" (Cho et al. 2014) or "after" (the form of cuDNN and PyTorch)
	Bias       bool
	ForgetBias float64 // kind lstm: added to the initial bias of the forget gate (Gers et al. 2000)
	Init       Init    // of the matrices applied to the layer's input
	InitState  Init    // of the matrices applied to the layer's state
	BiasInit   Init    // of the biases, before ForgetBias is added

	Formula *Formula // what a step computes, of a layer that is defined by one; nil for the others

	// Bidirectional layers of an encoder read the text from both ends (Schuster and Paliwal 1997); the states of both
	// directions stand side by side, forward first.
	Bidirectional bool
	// of the top layer of the stack, in the decoder of an encoder-decoder model; or nil
	Attention *RecurrentAttention
}

// RecurrentAttention lets a recurrent layer of a decoder look at the encoder's output at every step.
type RecurrentAttention struct {
	Pos
	// "additive" (Bahdanau et al. 2015), "dot", "general", "concat" (Luong et al. 2015) or "scaled_dot"
	Score        string
	Units        int  // additive, concat: width of the hidden layer that scores a pair; 0 for other scores
	InputFeeding bool // the attentional output is an input of the next step (Luong et al. 2015, section 3.3)
}

// recurrentWord is that of rnn, lstm or gru; more keys follow those that they share.
func recurrentWord(name string, more ...*key) *word {
	settings := func(own *key) *typ {
		keys := []*key{
			layerName(),
			need("units", integer(1, maxWidth), "Features of the state and of the output.").called("size", "hidden",
				"hidden_size", "width", "dim", "num_units"),
			with("layers", integer(1, maxStack), 1,
				"Number of equal layers, one on the other; each reads the states of the one below.").called(
				"num_layers", "depth", "stack"),
			with("dropout", share(), 0.0,
				"Probability with which a feature between two layers of the stack is dropped in training.").called(
				"rate"),
			own,
			with("bias", boolean(), true, "Whether a bias is added.").called("use_bias"),
		}
		keys = append(keys, more...)
		return object("", append(keys,
			may("init", initType, "the model's `init`; else uniform ±1/√units",
				"How the matrices applied to the input start.").called("kernel_init", "initializer"),
			may("init_state", initType, "the layer's `init`",
				"How the matrices applied to the state start.").called("recurrent_init", "init_recurrent",
				"init_hidden"),
			may("init_bias", initType, "uniform ±1/√units; zeros when the layer or the model has an `init`",
				"How the biases start.").called("bias_init"))...).shortFor("units")
	}
	switch name {
	case "rnn":
		return &word{name: "rnn", doc: "Simple recurrent layers: hₜ = f(xₜ·Wx + hₜ₋₁·Wh + b) (Elman 1990).",
			also: []string{"simple_rnn", "elman", "recurrent"}, typ: settings(
				with("activation", enum(
					word{name: "tanh", doc: "The hyperbolic tangent."},
					word{name: "relu", doc: "max(x, 0)."},
				), "tanh", "The function f.").called("nonlinearity"))}
	case "lstm":
		return &word{name: "lstm", doc: "Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate " +
			"(Gers et al. 2000): c′ = f⊙c + i⊙g, h′ = o⊙tanh(c′).", typ: settings(
			with("forget_bias", from(-10, 10), 0.0,
				"Added to the initial bias of the forget gate; 1 keeps more of the state at first."))}
	}
	return &word{name: "gru", doc: "Gated recurrent unit (Cho et al. 2014): h′ = (1−z)⊙n + z⊙h.", typ: settings(
		with("reset", enum(
			word{name: "before", doc: "n = tanh(x·Wn + (r⊙h)·Un + b), the form of Cho et al. 2014."},
			word{name: "after", doc: "n = tanh(x·Wn + b + r⊙(h·Un + b′)), the form of cuDNN and PyTorch; it needs " +
				"one product a step and is the faster one."},
		), "after", "Whether the reset gate acts before or after the state's product.").called("reset_after"))}
}

var scoreType = choice("score", "How well a place of the encoder's output, s, fits the state of the decoder, h, is a "+
	"score; the softmax of the scores weighs the places, and their weighted sum is the context c. With `additive` "+
	"the state before the step finds the context, which the layer then reads beside its input; with the others the "+
	"state after the step finds it. The output of the layer is tanh(W·[c; h]) (Luong et al. 2015).",
	word{name: "additive", doc: "vᵀ·tanh(W·h + U·s) (Bahdanau et al. 2015).", also: []string{"bahdanau", "mlp", "tanh"},
		typ: object("",
			scoreUnits()).shortFor("units")},
	word{name: "dot", doc: "hᵀ·s, which are of the same width (Luong et al. 2015).",
		also: []string{"luong", "dot_product", "product"}, typ: object("", inputFeeding())},
	word{name: "general", doc: "hᵀ·W·s (Luong et al. 2015).",
		also: []string{"bilinear", "multiplicative", "luong_general"}, typ: object("", inputFeeding())},
	word{name: "concat", doc: "vᵀ·tanh(W·[h; s]) (Luong et al. 2015).", also: []string{"concatenation", "luong_concat"},
		typ: object("",
			scoreUnits(), inputFeeding())},
	word{name: "scaled_dot", doc: "hᵀ·s/√units, as in Vaswani et al. 2017.",
		also: []string{"scaled", "scaled_dot_product"}, typ: object("", inputFeeding())},
)

func scoreUnits() *key {
	return may("units", integer(1, maxWidth), "the layer's `units`",
		"Width of the hidden layer whose tanh it is.").called("size", "hidden", "width", "dim")
}

func inputFeeding() *key {
	return with("input_feeding", boolean(), true,
		"Whether the output is an input of the next step, so that the layer knows where it has looked (Luong et al. "+
			"2015, section 3.3). Without it training is faster.").called("feed", "feeding", "input_feed")
}

func (c *layers) recurrent(v *value, base LayerBase, in int, _ bool) Layer {
	set := v.set
	r := &Recurrent{
		LayerBase:  base,
		Layers:     int(set.key("layers").integer),
		Dropout:    set.key("dropout").number,
		Activation: set.key("activation").word,
		Reset:      set.key("reset").word,
		Bias:       set.key("bias").flag,
		ForgetBias: set.key("forget_bias").number,
	}
	r.Units = int(set.key("units").integer)
	r.Width = r.Units
	if both := set.key("bidirectional"); both.flag {
		r.Bidirectional = true
		r.Width = 2 * r.Units
		if c.role == targetSide || c.role == decoderOnly {
			c.errorf(both.Pos, "%s.bidirectional: a decoder writes its text from left to right and cannot read it "+
				"from its end; only encoders can", v.word)
		}
	}
	uniform := Init{Pos: v.Pos, Scheme: "uniform"}
	if r.Units > 0 {
		uniform.Scale = 1 / math.Sqrt(float64(r.Units))
	}
	zeros := Init{Pos: v.Pos, Scheme: "zeros"}
	own, state, bias := set.key("init"), set.key("init_state"), set.key("init_bias")
	r.Init = c.initial(own, c.initial(c.init, uniform))
	r.InitState = c.initial(state, r.Init)
	if own.given || c.init.given {
		uniform = zeros
	}
	r.BiasInit = c.initial(bias, uniform)

	if d := set.key("dropout"); r.Dropout > 0 && r.Layers == 1 && !set.key("layers").bad {
		c.errorf(d.Pos, "%s.dropout: it acts between the layers of a stack, and this stack has 1 layer; add a "+
			"dropout layer before or after it instead", v.word)
	}
	if fb := set.key("forget_bias"); fb.given && r.ForgetBias != 0 && !r.Bias {
		c.errorf(fb.Pos, "%s.forget_bias: the layer has no bias", v.word)
	}
	if bias.given && !bias.bad && !r.Bias && !set.key("bias").bad {
		c.errorf(bias.Pos, "%s.init_bias: the layer has no bias", v.word)
	}
	gates := int64(1)
	switch v.word {
	case "lstm":
		gates = 4
	case "gru":
		gates = 3
	}
	h, w := int64(r.Units), int64(r.Width)
	params := gates*h*(int64(in)+h+1) + int64(max(r.Layers-1, 0))*gates*h*(w+h+1)
	if r.Bidirectional {
		params *= 2
	}
	if a := set.key("attention"); a.given {
		r.Attention = c.score(a, v, r)
		// The score, the context and the output as inputs of the cell, and the layer of the output.
		m := int64(c.memory)
		params += (h+m)*int64(r.Attention.Units) + gates*h*(m+h) + (m+h)*h
	}
	c.count(v, params, int(gates)*r.Width)
	return r
}

// score checks the attention of the recurrent layer r.
func (c *layers) score(v, layer *value, r *Recurrent) *RecurrentAttention {
	set := v.set
	a := &RecurrentAttention{Pos: v.Pos, Score: v.word, InputFeeding: set.key("input_feeding").flag}
	path := layer.word + ".attention"
	if v.word == "additive" || v.word == "concat" {
		a.Units = r.Units
		if u := set.key("units"); u.given {
			a.Units = int(u.integer)
		}
	}
	switch {
	case v.bad:
	case c.role == sourceSide:
		c.errorf(v.Pos, "%s: an encoder has nothing to look at; give the attention to a recurrent layer of the decoder",
			path)
	case c.role == decoderOnly:
		c.errorf(v.Pos, "%s: there is no encoder to look at; a layer `attention` of its own looks at the tokens before",
			path)
	case c.role != targetSide: // the layer itself does not belong there
	case c.attends != Pos{}:
		c.errorf(v.Pos, "%s: the layer in line %d looks at the encoder already; one layer of a decoder does", path,
			c.attends.Line)
	case c.memory > 0 && r.Units > 0 && c.memory != r.Units && (v.word == "dot" || v.word == "scaled_dot"):
		c.errorf(v.Pos, "%s.%s: the state has %d features and the encoder's output %d, but the product needs as many "+
			"of both; change units, or use general, which has a matrix in between", path, v.word, r.Units, c.memory)
	}
	if c.attends == (Pos{}) {
		c.attends = layer.Pos
	}
	return a
}

func (l *Recurrent) architecture() string {
	if l.Formula != nil {
		return l.Formula.architecture(&l.LayerBase)
	}
	s := fmt.Sprintf("%s %s units=%d layers=%d bias=%t", l.Kind, l.Name, l.Units, l.Layers, l.Bias)
	if l.Activation != "" {
		s += " activation=" + l.Activation
	}
	if l.Reset != "" {
		s += " reset=" + l.Reset
	}
	if l.Bidirectional {
		s += " bidirectional"
	}
	if a := l.Attention; a != nil {
		s += fmt.Sprintf(" attention=%s units=%d feeding=%t", a.Score, a.Units, a.InputFeeding)
	}
	return s
}
