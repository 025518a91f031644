package spec

import "math"

// transformer checks a stack of Transformer blocks that reads in features.
func (c *layers) transformer(v *value, base LayerBase, in int) Layer {
	set := v.set
	t := &Transformer{
		LayerBase:        base,
		Layers:           int(set.key("layers").integer),
		Heads:            int(set.key("heads").integer),
		KVHeads:          int(set.key("kv_heads").integer),
		Hidden:           int(set.key("hidden").integer),
		Activation:       set.key("activation").word,
		Norm:             set.key("norm").word,
		NormFirst:        set.key("norm_at").word == "pre",
		Epsilon:          set.key("epsilon").number,
		Causal:           c.role == decoderOnly || c.role == targetSide || c.role == reading && c.causal,
		Window:           int(set.key("window").integer),
		Prefix:           int(set.key("prefix").integer),
		ALiBi:            set.key("alibi").flag,
		Cross:            c.role == targetSide && c.latent == 0,
		Bias:             set.key("bias").flag,
		Dropout:          set.key("dropout").number,
		AttentionDropout: set.key("attention_dropout").number,
	}
	t.Width = in
	if !set.key("kv_heads").given {
		t.KVHeads = t.Heads
	}
	if rotary := set.key("rotary"); rotary.given {
		t.Rotary = rotary.key("base").number
	}
	if !set.key("hidden").given {
		t.Hidden = 4 * in
		if t.Activation == "swiglu" {
			t.Hidden = (8*in + 95) / 96 * 32 // 8/3·in, rounded up to a multiple of 32
		}
	}
	if in == 1 {
		c.errorf(v.Pos, "transformer: the layer before it has 1 feature, which leaves nothing to a norm; make it wider")
	}
	c.heads(t, set)
	c.sight(t, set)

	own, residual, bias := set.key("init"), set.key("init_residual"), set.key("init_bias")
	t.Init = c.initial(own, c.initial(c.init, small(v)))
	parts := 2
	if t.Cross {
		parts = 3
	}
	standard := t.Init
	if standard.Scheme == "normal" && t.NormFirst && t.Layers > 0 {
		// Each part adds to the same sum, whose variance would grow with their number (Radford et al. 2019).
		standard.Scale /= math.Sqrt(float64(parts * t.Layers))
	}
	t.InitResidual = c.initial(residual, standard)
	t.BiasInit = c.initial(bias, Init{Pos: v.Pos, Scheme: "zeros"})
	if bias.given && !bias.bad && !t.Bias && !set.key("bias").bad {
		c.errorf(bias.Pos, "transformer.init_bias: the layer has no biases")
	}

	w, hidden := int64(in), int64(t.Hidden)
	keys := int64(0)
	if t.Heads > 0 {
		keys = w / int64(t.Heads) * int64(t.KVHeads)
	}
	up := hidden
	if t.Activation == "swiglu" {
		up = 2 * hidden
	}
	params := (w+1)*(w+2*keys) + (w+1)*w + (w+1)*up + (hidden+1)*w + int64(parts)*2*w
	if t.Cross {
		params += (w+1)*w + (int64(c.memory)+1)*2*keys + (w+1)*w
	}
	read := int64(0)
	if c.latent > 0 && !c.reads { // the first one of an autoencoder's decoder reads the latent vector
		c.reads, read = true, int64(c.latent)*w
	}
	c.count(v, read+int64(t.Layers)*params, int(max(w+2*keys, up)))
	return t
}

// heads checks how the heads of t divide its width.
func (c *layers) heads(t *Transformer, set *value) {
	heads, kv := set.key("heads"), set.key("kv_heads")
	if heads.bad || t.Heads < 1 {
		return
	}
	if t.Width > 0 && t.Width%t.Heads != 0 {
		c.errorf(heads.Pos, "transformer.heads: %d heads do not divide the width of %d, which the layer before gives, into equal parts; %s", t.Heads, t.Width, divisors(t.Width, t.Heads))
	}
	if kv.given && !kv.bad && t.Heads%t.KVHeads != 0 {
		c.errorf(kv.Pos, "transformer.kv_heads: %d heads of keys and values cannot be shared evenly by %d heads of queries; %s", t.KVHeads, t.Heads, divisors(t.Heads, t.KVHeads))
	}
	rotary, alibi := set.key("rotary"), set.key("alibi")
	if t.Rotary > 0 && t.Width > 0 && t.Width%t.Heads == 0 && t.Width/t.Heads%2 != 0 {
		c.errorf(rotary.Pos, "transformer.rotary: it turns pairs of features, but a head has %d, an odd number; change heads or the width of %d", t.Width/t.Heads, t.Width)
	}
	if rotary.given && t.ALiBi && !alibi.bad {
		c.errorf(alibi.Pos, "transformer.alibi: the layer has rotary positions already; leave one of them out")
	}
}

// divisors names the divisors of n that are next to x.
func divisors(n, x int) string {
	below, above := 0, 0
	for d := 1; d <= n; d++ {
		switch {
		case n%d != 0:
		case d <= x:
			below = d
		case above == 0:
			above = d
		}
	}
	if above == 0 {
		return "take " + count(int64(below))
	}
	return "take " + count(int64(below)) + " or " + count(int64(above))
}

// sight checks which tokens a token sees.
func (c *layers) sight(t *Transformer, set *value) {
	window, prefix := set.key("window"), set.key("prefix")
	steps := c.shape.Steps
	if window.given && !window.bad {
		switch {
		case !t.Causal && c.role == reading:
			c.errorf(window.Pos, "transformer.window: with `max_pool` behind it a token sees all of the line; a window belongs to verdicts on each token")
		case !t.Causal:
			c.errorf(window.Pos, "transformer.window: in an encoder a token sees all others; a window belongs to a decoder")
		case steps > 0 && t.Window > steps:
			c.errorf(window.Pos, "transformer.window: %d tokens are more than a text has, which is %d by shape.steps; leave the window out", t.Window, steps)
		}
	}
	if prefix.given && !prefix.bad {
		switch {
		case c.role == reading:
			c.errorf(prefix.Pos, "transformer.prefix: it belongs to a decoder; in a discriminator a token sees all of the line, or, for verdicts on each token, those up to it")
		case c.role != decoderOnly:
			c.errorf(prefix.Pos, "transformer.prefix: it belongs to a decoder without an encoder; an encoder sees all of its text as it is")
		case window.given:
			c.errorf(prefix.Pos, "transformer.prefix: a prefix that every token sees and a window outside of which none is seen exclude each other; leave one of them out")
		case steps > 0 && t.Prefix >= steps:
			c.errorf(prefix.Pos, "transformer.prefix: of the %d tokens of a window, by shape.steps, a prefix of %d leaves none to predict; make it shorter", steps, t.Prefix)
		}
	}
}
