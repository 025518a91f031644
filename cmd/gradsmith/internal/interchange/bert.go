package interchange

// bert is the architecture of BERT (Devlin et al. 2019): an encoder with norms behind each sum, of which the part that
// restores masked tokens is read. A text is read as the first of two segments.
var bert = &architecture{
	types:  []string{"bert"},
	heads:  []string{"ForMaskedLM", "ForPreTraining"},
	models: "BERT, the part that restores masked tokens",
	prefix: "bert.",
	norm:   "LayerNorm",
	aside: []string{"*embeddings.position_ids", "*embeddings.token_type_ids", "bert.pooler.*", "pooler.*",
		"cls.seq_relationship.*", "cls.predictions.decoder.*"},
	idle: []string{"directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
		"pooler_size_per_head", "pooler_type"},
	read: func(f *folder, c *config) *blueprint {
		return masked(f, c, maskedNames{about: "BERT", prefix: "bert.", transform: "cls.predictions.transform.dense",
			norm: "cls.predictions.transform.LayerNorm", bias: "cls.predictions.bias"})
	},
}

// roberta is the architecture of RoBERTa (Liu et al. 2019): that of BERT, whose first places are behind the number of
// the token that fills texts up.
var roberta = &architecture{
	types:  []string{"roberta"},
	heads:  []string{"ForMaskedLM"},
	models: "RoBERTa, the part that restores masked tokens",
	prefix: "roberta.",
	norm:   "LayerNorm",
	aside: []string{"*embeddings.position_ids", "*embeddings.token_type_ids", "roberta.pooler.*", "pooler.*",
		"lm_head.decoder.*"},
	read: func(f *folder, c *config) *blueprint {
		pad := c.token("pad_token_id")
		if pad < 0 {
			pad = 1
		}
		return masked(f, c, maskedNames{about: "RoBERTa", prefix: "roberta.", transform: "lm_head.dense",
			norm: "lm_head.layer_norm", bias: "lm_head.bias", skip: pad + 1})
	},
}

// maskedNames is what architectures of BERT's shape have different.
type maskedNames struct {
	about, prefix, transform, norm, bias string
	skip                                 int // rows of the table of places that no text reads
}

// masked is the blueprint of an encoder that restores masked tokens.
func masked(f *folder, c *config, n maskedNames) *blueprint {
	width, heads, hidden := c.size("hidden_size"), c.size("num_attention_heads"), c.size("intermediate_size")
	epsilon, places := c.number("layer_norm_eps", 1e-12), c.size("max_position_embeddings")
	activation := plainActivation(c, "hidden_act", "gelu")
	if activation != "gelu" && activation != "relu" {
		c.errorf("hidden_act: the activation %s is not one of a layer of one product; gelu and relu are", activation)
		activation = "gelu"
	}
	c.size("type_vocab_size", 2)
	c.only("position_embedding_type", "absolute", "places have a table here")
	c.only("is_decoder", false, "a text is restored here, not written from left to right")
	c.only("add_cross_attention", false, "an encoder in front of it is not read")
	c.only("tie_word_embeddings", true, "the last layer reads the table of the tokens here")
	if places <= n.skip {
		c.errorf("max_position_embeddings is %d, of which %d are not of texts", places, n.skip)
		places = n.skip + 1
	}
	vocab, mask := f.vocabulary(c.size("vocab_size")), f.mask()
	blocks := make([]block, min(c.size("num_hidden_layers"), maxLayers))
	for i := range blocks {
		in := func(name string) string { return of(i, n.prefix+"encoder.layer.{i}."+name) }
		attention := product("qkv", true, linear, columns(in("attention.self.query"), width),
			columns(in("attention.self.key"), width), columns(in("attention.self.value"), width))
		attention = append(attention, product("o", true, linear, columns(in("attention.output.dense"), width))...)
		feedforward := append(product("up", true, linear, columns(in("intermediate.dense"), hidden)),
			product("down", true, linear, columns(in("output.dense"), width))...)
		blocks[i] = block{"block", []*layer{
			residual(&layer{word: "attention", name: "attention", sets: []set{{"heads", heads}}, params: attention}),
			layernorm("attention_norm", epsilon, width, in("attention.output.LayerNorm")),
			residual(&layer{word: "feedforward", name: "feedforward",
				sets: []set{{"hidden", hidden}, {"activation", activation}}, params: feedforward}),
			layernorm("feedforward_norm", epsilon, width, in("output.LayerNorm")),
		}}
	}
	at := n.prefix + "embeddings."
	head := &layer{word: "dense", name: "out", sets: []set{{"tie", "tokens"}},
		params: []param{{field: "b", parts: []part{{tensor: n.bias, form: vector, width: vocab, more: true},
			{tensor: n.bias, form: vector, width: 1, skip: mask, more: true}}}}}
	return &blueprint{
		about:       "An encoder of " + n.about + "'s shape",
		description: "a model that restores masked tokens: an encoder of " + n.about + "'s shape.",
		vocab:       vocab, steps: places - n.skip, whole: true,
		encoder: []*layer{
			{word: "embedding", name: "tokens", sets: []set{{"size", width}},
				params: []param{{field: "table", parts: []part{{tensor: at + "word_embeddings.weight", form: table,
					width: width, again: []int{mask}}}}}},
			{word: "positions", name: "places",
				params: []param{{field: "table", parts: []part{{tensor: at + "position_embeddings.weight", form: table,
					width: width, skip: n.skip, row: at + "token_type_embeddings.weight"}}}}},
			layernorm("embeddings_norm", epsilon, width, at+"LayerNorm"),
			stacked("layers", blocks),
			{word: "dense", name: "transform", sets: []set{{"units", width}, {"activation", activation}},
				params: product("", true, linear, columns(n.transform, width))},
			layernorm("norm", epsilon, width, n.norm),
			head,
		},
	}
}
