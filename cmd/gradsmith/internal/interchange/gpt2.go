package interchange

// gpt2 is the architecture of GPT-2 (Radford et al. 2019). Its matrices are stored with the inputs first.
var gpt2 = &architecture{
	types:  []string{"gpt2"},
	heads:  []string{"LMHeadModel"},
	models: "GPT-2 and others of model_type gpt2",
	prefix: "transformer.",
	aside:  []string{"*h.*.attn.bias", "*h.*.attn.masked_bias", "lm_head.weight"},
	idle: []string{"n_ctx", "reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
		"summary_proj_to_labels",
		"summary_type", "summary_use_proj"},
	read: func(f *folder, c *config) *blueprint {
		width, heads := c.size("n_embd"), c.size("n_head")
		hidden, epsilon := c.size("n_inner", 4*width), c.number("layer_norm_epsilon", 1e-5)
		steps := c.size(c.either("n_positions", "n_ctx"))
		activation := plainActivation(c, "activation_function", "gelu_new")
		c.only("scale_attn_weights", true, "scores are divided by the root of the size of a head here")
		c.only("scale_attn_by_inverse_layer_idx", false, "scores of all layers are scaled alike here")
		c.only("add_cross_attention", false, "an encoder in front of it is not read")
		c.only("tie_word_embeddings", true, "the last layer reads the table of the tokens here")
		vocab := f.vocabulary(c.size("vocab_size"))
		lies := conv
		if f.gguf {
			lies = linear
		}
		blocks := make([]block, min(c.size("n_layer"), maxLayers))
		for i := range blocks {
			in := func(name string) string { return of(i, "transformer.h.{i}."+name) }
			attention := product("qkv", true, lies, columns(in("attn.c_attn"), 3*width))
			feedforward := product("up", true, lies, columns(in("mlp.c_fc"), hidden))
			blocks[i] = block{"block", []*layer{
				residual(layernorm("attention_norm", epsilon, width, in("ln_1")),
					&layer{word: "attention", name: "attention", sets: []set{{"heads", heads}},
						params: append(attention, product("o", true, lies, columns(in("attn.c_proj"), width))...)}),
				residual(layernorm("feedforward_norm", epsilon, width, in("ln_2")),
					&layer{word: "feedforward", name: "feedforward",
						sets:   []set{{"hidden", hidden}, {"activation", activation}},
						params: append(feedforward, product("down", true, lies, columns(in("mlp.c_proj"), width))...)}),
			}}
		}
		return &blueprint{
			about: "A decoder of GPT-2's shape", description: "a language model: a decoder of GPT-2's shape.",
			vocab: vocab,
			steps: steps, whole: true,
			decoder: []*layer{
				{word: "embedding", name: "tokens", sets: []set{{"size", width}},
					params: []param{{field: "table", parts: []part{{tensor: "transformer.wte.weight", form: table,
						width: width}}}}},
				{word: "positions", name: "places",
					params: []param{{field: "table", parts: []part{{tensor: "transformer.wpe.weight", form: table,
						width: width}}}}},
				stacked("layers", blocks),
				layernorm("norm", epsilon, width, "transformer.ln_f"),
				{word: "dense", name: "out", sets: []set{{"tie", "tokens"}, {"bias", false}}},
			},
		}
	},
}
