package interchange

// llama is the architecture of Llama 2 and 3 (Touvron et al. 2023; Grattafiori et al. 2024), which SmolLM and others
// share.
var llama = &architecture{
	types:  []string{"llama"},
	heads:  []string{"ForCausalLM"},
	models: "Llama 2 and 3, SmolLM 1 and 2, TinyLlama and others of model_type llama",
	prefix: "model.",
	aside:  []string{"*.rotary_emb.inv_freq", "lm_head.weight"},
	read: func(f *folder, c *config) *blueprint {
		p := llamaPlan(f, c)
		p.bias, p.outBias = c.flag("attention_bias", false), c.flag("attention_bias", false)
		p.hiddenBias = c.flag("mlp_bias", false)
		return p.blueprint()
	},
}

// plan is a decoder of Llama's shape, of which other architectures change something.
type plan struct {
	about                        string
	width, hidden, layers, vocab int
	heads, kvHeads, size         int
	steps                        int
	epsilon                      float64
	activation                   string
	tied                         bool
	bias, outBias, hiddenBias    bool
	rotary                       func(i int) []set // of block i; nil where it does not turn
}

// llamaPlan reads what all such decoders say in the same keys.
func llamaPlan(f *folder, c *config) *plan {
	p := &plan{
		about:   "A decoder of Llama's shape",
		width:   c.size("hidden_size"),
		hidden:  c.size("intermediate_size"),
		layers:  c.size("num_hidden_layers"),
		vocab:   f.vocabulary(c.size("vocab_size")),
		heads:   c.size("num_attention_heads"),
		steps:   c.size("max_position_embeddings"),
		epsilon: c.number("rms_norm_eps", 1e-6),
		tied:    c.flag("tie_word_embeddings", false),
	}
	p.kvHeads = c.size("num_key_value_heads", p.heads)
	p.size = c.size("head_dim", max(1, p.width/p.heads))
	p.activation = map[string]string{"silu": "swiglu", "swish": "swiglu", "gelu_pytorch_tanh": "geglu_tanh",
		"gelu_new": "geglu_tanh", "gelu": "geglu"}[c.word("hidden_act", "silu")]
	if p.activation == "" {
		c.errorf("hidden_act: the activation %q is not known; known are silu, gelu and gelu_pytorch_tanh",
			c.word("hidden_act", ""))
	}
	turn := rotary(c, p)
	p.rotary = func(int) []set { return turn }
	return p
}

// rotary is how queries and keys are turned.
func rotary(c *config, p *plan) []set {
	base := c.number("rope_theta", 10000)
	if s := c.object("rope_scaling"); s != nil {
		s.errorf("scaled rotations are not read")
	}
	return []set{{"base", base}}
}

// blueprint is the decoder in the language of specs.
func (p *plan) blueprint() *blueprint {
	const at = "model.layers.{i}."
	blocks := make([]block, min(p.layers, maxLayers))
	for i := range blocks {
		in := func(name string) string { return of(i, at+name) }
		attention := []set{{"heads", p.heads}}
		if p.kvHeads != p.heads {
			attention = append(attention, set{"kv_heads", p.kvHeads})
		}
		if p.size*p.heads != p.width {
			attention = append(attention, set{"head_size", p.size})
		}
		if r := p.rotary(i); r != nil {
			attention = append(attention, set{"rotary", r})
		}
		attention = append(attention, set{"bias", p.bias})
		q, kv := p.heads*p.size, p.kvHeads*p.size
		params := product("qkv", p.bias, linear, columns(in("self_attn.q_proj"), q), columns(in("self_attn.k_proj"),
			kv),
			columns(in("self_attn.v_proj"), kv))
		params = append(params, product("o", p.outBias, linear, columns(in("self_attn.o_proj"), p.width))...)
		feedforward := product("up", p.hiddenBias, linear, columns(in("mlp.gate_proj"), p.hidden),
			columns(in("mlp.up_proj"), p.hidden))
		feedforward = append(feedforward, product("down", p.hiddenBias, linear, columns(in("mlp.down_proj"),
			p.width))...)
		blocks[i] = block{"block", []*layer{
			residual(
				rmsnorm("attention_norm", p.epsilon, p.width, in("input_layernorm"), 0),
				&layer{word: "attention", name: "attention", sets: attention, params: params}),
			residual(
				rmsnorm("feedforward_norm", p.epsilon, p.width, in("post_attention_layernorm"), 0),
				&layer{word: "feedforward", name: "feedforward",
					sets:   []set{{"hidden", p.hidden}, {"activation", p.activation}, {"bias", p.hiddenBias}},
					params: feedforward}),
		}}
	}
	head := &layer{word: "dense", name: "out", sets: []set{{"bias", false}}}
	if p.tied {
		head.sets = append([]set{{"tie", "tokens"}}, head.sets...)
	} else {
		head.params = product("", false, linear, part{tensor: "lm_head", width: p.vocab, more: true})
	}
	return &blueprint{
		about: p.about, description: "a language model of Llama's shape.", vocab: p.vocab, steps: p.steps,
		decoder: []*layer{
			{word: "embedding", name: "tokens", sets: []set{{"size", p.width}},
				params: []param{{"table", []part{{tensor: "model.embed_tokens.weight", form: table, width: p.width}}}}},
			stacked("layers", blocks),
			rmsnorm("norm", p.epsilon, p.width, "model.norm", 0),
			head,
		},
	}
}

// maxLayers is the most blocks that a stack may have.
const maxLayers = 1000
