package spec

import "fmt"

func init() {
	register(record{name: "attention", group: attentions, shares: true, overTime: true, attends: true, parts: 1,
		check: (*layers).attention,
		places: func(set *value) bool {
			return set.key("rotary").given || set.key("rotary").bad || set.key("alibi").flag ||
				set.key("relative").given || set.key("relative").bad
		},
		word: func(in place) *word {
			if in == inRNN || in == inGenerator {
				return nil
			}
			more := []*key{}
			if in == inAttention {
				more = append(more, with("cross", boolean(), false, "In a decoder behind an encoder: whether the "+
					"keys and values come from the encoder's output, in place of the tokens that the decoder has "+
					"written.").called("encoder", "source", "over_encoder", "cross_attention"))
			}
			return &word{name: "attention",
				doc: "Attention of a token to others, with nothing added or normalised around it: " +
					"softmax(q·kᵀ·scale)·v of each head, through a matrix (Vaswani et al. 2017). A `residual` and a " +
					"norm make it a part of a Transformer.",
				also: []string{"self_attention", "multihead", "multi_head_attention", "mha"},
				typ:  attentionLayerType(more)}
		}})
}

func attentionLayerType(more []*key) *typ {
	keys := []*key{
		layerName(),
		need("heads", integer(1, maxWidth), "Heads of the attention.").called("num_heads", "n_head", "nhead"),
		may("kv_heads", integer(1, maxWidth), "`heads`",
			"Heads of keys and values, each shared by several heads of queries (Ainslie et al. 2023); 1 is "+
				"multi-query attention (Shazeer 2019).").called("n_kv_head", "num_kv_heads", "groups",
			"key_value_heads", "kv"),
		may("head_size", integer(1, maxWidth), "the width of the layer before, divided by `heads`",
			"Features of a head.").called("head_dim", "size", "d_head", "d_kv", "key_size"),
	}
	keys = append(keys, more...)
	return object("", append(keys,
		transformerType.key("window"), transformerType.key("prefix"), transformerType.key("rotary"),
		transformerType.key("alibi"),
		may("relative", object("",
			with("buckets", integer(2, 1<<16), 32,
				"Numbers of a head: half of them for the nearest distances, one each, the others for ranges that grow.").
				called("num_buckets", "relative_attention_num_buckets"),
			with("distance", integer(2, maxShape), 128,
				"The distance from which on all are alike.").called("max_distance", "relative_attention_max_distance"),
			may("table", nameType, "a table of its own",
				"Name of the table: layers that give the same one share it, as all of T5 do.").called("name", "share",
				"bias"),
			may("init", initType, "the model's `init`; else normal 0.02",
				"How the table starts.").called("initializer")),
			"none",
			"Adds to the scores a learnt number of the head and of the distance (Raffel et al. 2020).").called(
			"relative_bias", "relative_positions", "t5", "position_bias"),
		with("query_norm", choice("query_norm", "Whether queries and keys are normalised.",
			word{name: "none", doc: "Queries and keys are as they are.", also: []string{"off"}},
			word{name: "rmsnorm", doc: "Each head's features are divided by their root mean square and multiplied " +
				"with a learnt gain, one of queries and one of keys (Henry et al. 2020), before they are turned by " +
				"`rotary`.", also: []string{"rms", "true", "on"}, typ: object("",
				with("epsilon", above(0, 1), 1e-6, "Added to the mean square under the root.").called("eps"))},
		), "none", "Whether queries and keys are normalised.").called("qk_norm", "q_norm", "qk_layernorm", "norm_qk"),
		may("scale", above(0, 1e6), "1/√`head_size`", "What scores are multiplied with.").called("softmax_scale",
			"scaling"),
		may("soft_cap", above(0, 1e6), "none",
			"A bound c of the scores: c·tanh(score/c) (Gemma Team 2024).").called("softcap", "logit_cap",
			"attn_logit_softcapping", "cap"),
		with("bias", boolean(), true, "Whether the products add a bias.").called("use_bias", "biases"),
		may("bias_out", boolean(), "`bias`",
			"Whether the last product adds a bias, which in Qwen 2 it alone does not."),
		with("dropout", share(), 0.0,
			"Probability with which a weight of the attention is dropped in training.").called("attention_dropout",
			"attn_dropout", "rate"),
		may("init", initType, "the model's `init`; else normal 0.02", "How the matrices start.").called("initializer",
			"kernel_init"),
		may("init_out", initType, "the layer's `init`; where that is normal, its scale is divided by the root of the "+
			"number of `attention` and `feedforward` layers in the stack",
			"How the last matrix starts.").called("init_residual", "residual_init"),
		may("init_bias", initType, "zeros", "How the biases start.").called("bias_init"))...)
}

// Attention is attention alone, without norms or sums around it.
type Attention struct {
	LayerBase
	Heads     int
	KVHeads   int
	HeadSize  int
	Cross     bool // keys and values are of the encoder's output
	Causal    bool // a token sees itself and those before it
	Window    int  // a token sees no more than this many tokens, itself included; 0: all
	Prefix    int  // this many tokens at the start are seen by all of them; 0: none
	Rotary    Rotation
	ALiBi     bool
	Relative  *Relative // or nil
	QueryNorm float64   // epsilon of the norms of queries and keys; 0: they are not normalised
	Scale     float64   // 0: 1/√HeadSize
	SoftCap   float64   // 0: none
	Bias      bool      // of all products but the last
	BiasOut   bool      // of the last
	Dropout   float64   // on the probabilities
	Init      Init
	InitOut   Init
	BiasInit  Init
}

// Relative is a learnt number of each head for ranges of distances, which is added to scores (Raffel et al. 2020).
type Relative struct {
	Pos
	Buckets  int
	Distance int
	Both     bool   // distances to both sides are told apart, as where a token sees what follows it
	Table    string // name of the table that layers share; empty for one of the layer's own
	Owner    string // of a table that is shared: the first layer that has it
	Init     Init
}

func (c *layers) attention(v *value, base LayerBase, in int, _ bool) Layer {
	set := v.set
	l := &Attention{
		LayerBase: base,
		Heads:     int(set.key("heads").integer),
		KVHeads:   int(set.key("kv_heads").integer),
		HeadSize:  int(set.key("head_size").integer),
		Cross:     set.key("cross").flag,
		Window:    int(set.key("window").integer),
		Prefix:    int(set.key("prefix").integer),
		ALiBi:     set.key("alibi").flag,
		Scale:     set.key("scale").number,
		SoftCap:   set.key("soft_cap").number,
		Bias:      set.key("bias").flag,
		Dropout:   set.key("dropout").number,
	}
	l.Width = in
	l.Causal = !l.Cross && c.causally()
	if !set.key("kv_heads").given {
		l.KVHeads = l.Heads
	}
	if n := set.key("query_norm"); n.word == "rmsnorm" {
		l.QueryNorm = n.set.key("epsilon").number
	}
	if l.BiasOut = l.Bias; set.key("bias_out").given {
		l.BiasOut = set.key("bias_out").flag
	}
	if !set.key("head_size").given && l.Heads > 0 {
		if in%l.Heads != 0 {
			c.errorf(set.key("heads").Pos,
				"attention.heads: %d heads do not divide the width of %d, which the layer before gives, into equal "+
					"parts; %s, or say head_size", l.Heads, in, divisors(in, l.Heads))
		}
		l.HeadSize = in / l.Heads
	}
	l.Rotary = c.rotation(set.key("rotary"), "attention", l.HeadSize)
	c.looks("attention",
		&look{l.Width, l.Heads, l.KVHeads, l.HeadSize, l.Causal, l.Window, l.Prefix, l.Rotary, l.ALiBi}, set)
	if l.Cross {
		cross := set.key("cross")
		if c.role != targetSide || c.latent > 0 {
			c.errorf(cross.Pos, "attention.cross: only a decoder behind an encoder has an encoder's output to look at")
		}
		for _, name := range []string{"rotary", "window", "prefix", "relative"} {
			if k := set.key(name); k.given && !k.bad {
				c.errorf(k.Pos, "attention.%s: with `cross` queries and keys are of different texts, whose places "+
					"have nothing to do with each other; leave it out", name)
			}
		}
		if k := set.key("alibi"); l.ALiBi {
			c.errorf(k.Pos, "attention.alibi: with `cross` queries and keys are of different texts; leave it out")
		}
		if k := set.key("query_norm"); l.QueryNorm > 0 {
			c.errorf(k.Pos, "attention.query_norm: it is for attention within a text; leave it out of `cross`")
		}
	}
	if r := set.key("relative"); r.given && !r.bad {
		l.Relative = c.relative(r, l)
	}
	own := set.key("init")
	l.Init = c.initial(own, c.initial(c.init, small(v)))
	l.InitOut = c.initial(set.key("init_out"), c.shrunk(l.Init))
	bias := set.key("init_bias")
	l.BiasInit = c.initial(bias, Init{Pos: v.Pos, Scheme: "zeros"})
	if bias.given && !bias.bad && !l.Bias && !l.BiasOut && !set.key("bias").bad {
		c.errorf(bias.Pos, "attention.init_bias: the layer has no biases")
	}
	w, q, kv := int64(in), int64(l.Heads)*int64(l.HeadSize), int64(l.KVHeads)*int64(l.HeadSize)
	from := w
	if l.Cross {
		from = int64(c.memory)
	}
	c.count(v, (w+1)*q+2*(from+1)*kv+(q+1)*w, int(q+2*kv))
	return l
}

func (c *layers) relative(v *value, l *Attention) *Relative {
	r := &Relative{Pos: v.Pos, Buckets: int(v.key("buckets").integer), Distance: int(v.key("distance").integer),
		Both: !l.Causal, Table: v.key("table").text}
	r.Init = c.initial(v.key("init"), c.initial(c.init, small(v)))
	exact := r.Buckets / 2
	if r.Both {
		exact /= 2
	}
	if exact >= r.Distance || exact < 1 {
		c.errorf(v.Pos, "attention.relative: %d buckets tell %d distances apart one by one, which leaves none for "+
			"those up to %d; change buckets or distance", r.Buckets, exact, r.Distance)
	}
	if l.ALiBi {
		c.errorf(v.Pos, "attention.relative: the layer has the distances of alibi already; leave one of them out")
	}
	if r.Table == "" {
		c.count(v, int64(r.Buckets)*int64(l.Heads), l.Heads)
		return r
	}
	if c.relatives == nil {
		c.relatives = map[string]*Attention{}
	}
	first := c.relatives[r.Table]
	if first == nil {
		first = l
		c.relatives[r.Table] = l
		c.count(v, int64(r.Buckets)*int64(l.Heads), l.Heads)
	} else if o := first.Relative; first.Heads != l.Heads || o.Buckets != r.Buckets || o.Distance != r.Distance ||
		o.Both != r.Both {
		c.errorf(v.Pos, "attention.relative: the table %s is one of %d buckets up to a distance of %d for %d heads "+
			"in line %d, but here one of %d up to %d for %d; give both the same, or another name", quote(r.Table),
			o.Buckets, o.Distance, first.Heads, o.Line, r.Buckets, r.Distance, l.Heads)
	}
	r.Owner = first.Name
	return r
}

// causally tells whether the tokens of the stack see what stands up to them only.
func (c *layers) causally() bool {
	return c.role == decoderOnly || c.role == targetSide || c.role == reading && c.causal
}

func (l *Attention) architecture() string {
	s := fmt.Sprintf("attention %s size=%d heads=%d kv_heads=%d head_size=%d bias=%t causal=%t cross=%t window=%d "+
		"prefix=%d rotary=%v alibi=%t norm=%t scale=%v cap=%v",
		l.Name, l.Width, l.Heads, l.KVHeads, l.HeadSize, l.Bias, l.Causal, l.Cross, l.Window, l.Prefix, l.Rotary,
		l.ALiBi, l.QueryNorm > 0, l.Scale, l.SoftCap)
	if l.BiasOut != l.Bias {
		s += fmt.Sprintf(" bias_out=%t", l.BiasOut)
	}
	if l.QueryNorm > 0 && l.QueryNorm != 1e-6 {
		s += fmt.Sprintf(" epsilon=%v", l.QueryNorm)
	}
	if r := l.Relative; r != nil {
		s += fmt.Sprintf(" relative=%d,%d,%t,%q", r.Buckets, r.Distance, r.Both, r.Table)
	}
	return s
}
