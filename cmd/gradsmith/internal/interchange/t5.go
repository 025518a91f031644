package interchange

import "math"

// t5 is the architecture of T5, in both versions (Raffel et al. 2020): an encoder and a decoder that tell places by
// distances, of which all blocks of a side have one table, and scores without a scale.
var t5 = &architecture{
	types:  []string{"t5", "mt5"},
	heads:  []string{"ForConditionalGeneration"},
	models: "T5, T5 1.1, mT5 and Flan-T5",
	aside:  []string{"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"},
	idle:   []string{"dense_act_fn", "is_gated_act", "n_positions", "output_past"},
	read: func(f *folder, c *config) *blueprint {
		s := t5Sizes{
			config: c, width: c.size("d_model"), size: c.size("d_kv"), heads: c.size("num_heads"),
			hidden:  c.size("d_ff"),
			buckets: c.size("relative_attention_num_buckets", 32), distance: c.size("relative_attention_max_distance",
				128),
			epsilon: c.number("layer_norm_epsilon", 1e-6),
		}
		switch word := c.word("feed_forward_proj", "relu"); word {
		case "relu":
			s.activation = "relu"
		case "gated-gelu":
			s.activation, s.gated = "geglu_tanh", true
		case "gated-silu":
			s.activation, s.gated = "swiglu", true
		default:
			c.errorf("feed_forward_proj: %q is not known; known are relu, gated-gelu and gated-silu", word)
			s.activation = "relu"
		}
		layers := min(c.size("num_layers"), maxLayers)
		tied := c.flag("tie_word_embeddings", true)
		vocab := f.vocabulary(c.size("vocab_size"))
		head := &layer{word: "dense", name: "out", sets: []set{{"bias", false}}}
		if tied {
			head.sets = []set{{"tie", "written"}, {"scale", 1 / math.Sqrt(float64(s.width))}, {"bias", false}}
		} else {
			head.params = product("", false, linear, part{tensor: "lm_head", width: vocab, more: true})
		}
		begin := c.token("decoder_start_token_id")
		if begin < 0 {
			begin = c.token("pad_token_id")
		}
		steps := 512 // which it was trained with; distances have no end
		return &blueprint{
			about:       "An encoder and a decoder of T5's shape",
			description: "a model that answers a text with another, of T5's shape.",
			vocab:       vocab, steps: steps, begin: begin,
			encoder: []*layer{
				{word: "embedding", name: "tokens", sets: []set{{"size", s.width}},
					params: []param{{field: "table", parts: []part{{tensor: "shared.weight", form: table,
						width: s.width}}}}},
				stacked("reading", s.side("encoder", "reader", layers)),
				rmsnorm("read", s.epsilon, s.width, "encoder.final_layer_norm", 0),
			},
			decoder: []*layer{
				{word: "embedding", name: "written", sets: []set{{"size", s.width}, {"tie", "tokens"}}},
				stacked("writing", s.side("decoder", "writer", min(c.size("num_decoder_layers", layers), maxLayers))),
				rmsnorm("norm", s.epsilon, s.width, "decoder.final_layer_norm", 0),
				head,
			},
		}
	},
}

// t5Sizes is what the blocks of both sides have in common.
type t5Sizes struct {
	*config
	width, size, heads, hidden int
	buckets, distance          int
	epsilon                    float64
	activation                 string
	gated                      bool
}

// side is the blocks of the encoder or of the decoder.
func (s *t5Sizes) side(side, form string, layers int) []block {
	blocks := make([]block, layers)
	for i := range blocks {
		number := 0 // of the part, among those of a block
		piece := func(name string, of *layer) *layer {
			at := s.in(side, i, number)
			number++
			return residual(rmsnorm(name+"_norm", s.epsilon, s.width, at+"layer_norm", 0), of)
		}
		own := s.attention("attention", s.in(side, i, 0)+"SelfAttention.", false)
		own.sets = append(own.sets, set{"relative", []set{{"buckets", s.buckets}, {"distance", s.distance}, {"table",
			form}}})
		if i == 0 {
			own.params = append(own.params, param{field: "table", once: true, parts: []part{{tensor: s.in(side, 0, 0) +
				"SelfAttention.relative_attention_bias.weight", form: table, width: s.heads}}})
		}
		b := block{form, []*layer{piece("attention", own)}}
		if side == "decoder" {
			b.layers = append(b.layers, piece("source", s.attention("source", s.in(side, i, 1)+"EncDecAttention.",
				true)))
		}
		at := s.in(side, i, number) + "DenseReluDense."
		up := []part{columns(at+"wi", s.hidden)}
		if s.gated {
			up = []part{columns(at+"wi_0", s.hidden), columns(at+"wi_1", s.hidden)}
		}
		b.layers = append(b.layers, piece("feedforward", &layer{word: "feedforward", name: "feedforward",
			sets: []set{{"hidden", s.hidden}, {"activation", s.activation}, {"bias", false}},
			params: append(product("up", false, linear, up...),
				product("down", false, linear, columns(at+"wo", s.width))...)}))
		blocks[i] = b
	}
	return blocks
}

// in is the beginning of the names of a part's tensors.
func (s *t5Sizes) in(side string, block, number int) string {
	return of(block, side+".block.{i}.layer.") + string(rune('0'+number)) + "."
}

// attention is one without a place of its own.
func (s *t5Sizes) attention(name, at string, cross bool) *layer {
	all := s.heads * s.size
	sets := []set{{"heads", s.heads}, {"head_size", s.size}, {"scale", 1}, {"bias", false}}
	var params []param
	q, k, v := columns(at+"q", all), columns(at+"k", all), columns(at+"v", all)
	if cross {
		sets = append(sets, set{"cross", true})
		params = append(product("q", false, linear, q), product("kv", false, linear, k, v)...)
	} else {
		params = product("qkv", false, linear, q, k, v)
	}
	return &layer{word: "attention", name: name, sets: sets,
		params: append(params, product("o", false, linear, columns(at+"o", s.width))...)}
}
