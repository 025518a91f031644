package interchange

import "math"

// marian is the architecture of Marian's models for translation (Junczys-Dowmunt et al. 2018; Tiedemann and Thottingal
// 2020), that of Vaswani et al. 2017: norms behind each sum, one table of tokens for all, sinusoids for places, sines
// in front of cosines. Those are a table here, which an import fills.
var marian = &architecture{
	types:  []string{"marian"},
	heads:  []string{"MTModel"},
	models: "Marian (OPUS-MT), for translation",
	aside: []string{"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight",
		"model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"},
	idle: []string{"activation_dropout", "add_bias_logits", "classif_dropout", "decoder_layerdrop", "encoder_layerdrop",
		"init_std", "num_hidden_layers", "max_length", "num_beams", "extra_pos_embeddings", "_num_labels"},
	read: func(f *folder, c *config) *blueprint {
		width := c.size("d_model")
		activation := plainActivation(c, "activation_function", "gelu")
		places := c.size("max_position_embeddings", 1024)
		c.only("normalize_before", false, "norms stand behind the parts here")
		c.only("normalize_embedding", false, "no norm stands behind the rows of tokens here")
		c.only("add_final_layer_norm", false, "no norm stands behind the blocks here")
		c.only("static_position_embeddings", true, "places are sinusoids here")
		c.only("share_encoder_decoder_embeddings", true, "one table of tokens is read here")
		c.only("tie_word_embeddings", true, "the last layer reads the table of the tokens here")
		if c.has("decoder_vocab_size") && c.size("decoder_vocab_size") != c.size("vocab_size") {
			c.errorf("decoder_vocab_size is not vocab_size: one table of tokens is read here")
		}
		vocab := f.vocabulary(c.size("vocab_size"))
		begin := c.token("decoder_start_token_id")
		if begin < 0 {
			begin = c.token("pad_token_id")
		}
		if width%2 != 0 {
			c.errorf("d_model is %d: sines and cosines are half of the features each", width)
		}
		side := func(name, form string) []block {
			s := marianSide{name, form, width, c.size(name + "_attention_heads"), c.size(name + "_ffn_dim"), activation}
			return s.blocks(min(c.size(name+"_layers"), maxLayers))
		}
		scaled := func(sets ...set) []set {
			if c.flag("scale_embedding", false) {
				sets = append(sets, set{"scale", math.Sqrt(float64(width))})
			}
			return sets
		}
		sinusoids := func(name, side string) *layer {
			rows := part{form: table, width: width, how: "sinusoids, the sines in front", made: sinusoid(width)}
			if at := "model." + side + ".embed_positions.weight"; f.tensors[at] != nil {
				rows = part{tensor: at, form: table, width: width}
			}
			return &layer{word: "positions", name: name, params: []param{{field: "table", parts: []part{rows}}}}
		}
		return &blueprint{
			about:       "An encoder and a decoder of Marian's shape",
			description: "a model that answers a text with another, of Marian's shape.",
			vocab:       vocab, steps: places, begin: begin, whole: true,
			encoder: []*layer{
				{word: "embedding", name: "tokens", sets: scaled(set{"size", width}),
					params: []param{{field: "table", parts: []part{{tensor: "model.shared.weight", form: table,
						width: width}}}}},
				sinusoids("places", "encoder"),
				stacked("reading", side("encoder", "reader")),
			},
			decoder: []*layer{
				{word: "embedding", name: "written", sets: scaled(set{"size", width}, set{"tie", "tokens"})},
				sinusoids("written_places", "decoder"),
				stacked("writing", side("decoder", "writer")),
				{word: "dense", name: "out", sets: []set{{"tie", "written"}},
					params: []param{{field: "b", parts: []part{{tensor: "final_logits_bias", form: vector, width: vocab,
						row1: true, more: true}}}}},
			},
		}
	},
}

// sinusoid is the table of places: half of its features are sines, half cosines.
func sinusoid(width int) func(row, column int) float32 {
	half := max(1, width/2)
	return func(row, column int) float32 {
		angle := float64(row) / math.Pow(10000, 2*float64(column%half)/float64(width))
		if column < half {
			return float32(math.Sin(angle))
		}
		return float32(math.Cos(angle))
	}
}

// marianSide is what the blocks of a side have in common.
type marianSide struct {
	side, form           string
	width, heads, hidden int
	activation           string
}

func (s *marianSide) blocks(layers int) []block {
	blocks := make([]block, layers)
	for i := range blocks {
		in := func(name string) string { return of(i, "model."+s.side+".layers.{i}."+name) }
		norm := func(name, tensor string) *layer { return layernorm(name+"_norm", 1e-5, s.width, in(tensor)) }
		b := block{s.form, []*layer{residual(s.attention("attention", in("self_attn."), false)),
			norm("attention", "self_attn_layer_norm")}}
		if s.side == "decoder" {
			b.layers = append(b.layers, residual(s.attention("source", in("encoder_attn."), true)),
				norm("source", "encoder_attn_layer_norm"))
		}
		b.layers = append(b.layers, residual(&layer{word: "feedforward", name: "feedforward",
			sets: []set{{"hidden", s.hidden}, {"activation", s.activation}},
			params: append(product("up", true, linear, columns(in("fc1"), s.hidden)),
				product("down", true, linear, columns(in("fc2"), s.width))...)}),
			norm("feedforward", "final_layer_norm"))
		blocks[i] = b
	}
	return blocks
}

// attention is one whose parts are products with biases.
func (s *marianSide) attention(name, at string, cross bool) *layer {
	sets := []set{{"heads", s.heads}}
	q, k, v := columns(at+"q_proj", s.width), columns(at+"k_proj", s.width), columns(at+"v_proj", s.width)
	params := product("qkv", true, linear, q, k, v)
	if cross {
		sets = append(sets, set{"cross", true})
		params = append(product("q", true, linear, q), product("kv", true, linear, k, v)...)
	}
	return &layer{word: "attention", name: name, sets: sets,
		params: append(params, product("o", true, linear, columns(at+"out_proj", s.width))...)}
}
