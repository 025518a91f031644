package interchange

import (
	"math"
	"strings"
)

// neox is the architecture of GPT-NeoX and Pythia (Black et al. 2022; Biderman et al. 2023): both parts of a block read
// what comes in, and a part of each head is turned.
var neox = &architecture{
	types:  []string{"gpt_neox"},
	heads:  []string{"ForCausalLM"},
	models: "GPT-NeoX and Pythia",
	prefix: "gpt_neox.",
	aside:  []string{"*.attention.bias", "*.attention.masked_bias", "*.rotary_emb.inv_freq"},
	read: func(f *folder, c *config) *blueprint {
		width, heads, hidden := c.size("hidden_size"), c.size("num_attention_heads"), c.size("intermediate_size")
		size := max(1, width/heads)
		epsilon, steps := c.number("layer_norm_eps", 1e-5), c.size("max_position_embeddings")
		activation, bias := plainActivation(c, "hidden_act", "gelu"), c.flag("attention_bias", true)
		parallel := c.flag("use_parallel_residual", true)
		vocab := f.vocabulary(c.size("vocab_size"))
		turn := rotary(c, c.number(c.either("rotary_emb_base", "rope_theta"), 10000), steps)
		share := c.number("rotary_pct", 0.25)
		if s := c.object("rope_parameters"); s != nil {
			share = s.number("partial_rotary_factor", share)
		}
		turned := int(math.Trunc(float64(size) * share))
		if turned < 2 || turned > size || turned%2 != 0 || size%2 != 0 {
			c.errorf("rotary_pct: of a head of %d features %d are turned, which are not pairs", size, turned)
			turned = size
		}
		if turned < size {
			turn = append([]set{turn[0], {"features", turned}}, turn[1:]...)
		}
		qkv := columns("", 3*width)
		qkv.to = func(r int) int { return fused(r, heads, size, turned) }
		qkv.how = "queries, keys and values of each head put apart"
		if f.gguf { // where they are
			qkv.to, qkv.how = func(r int) int { return apart(r, heads, size, turned) }, ""
		}
		if turned < size {
			qkv.how = strings.TrimPrefix(qkv.how+", pairs that are turned half of a head apart", ", ")
		}
		blocks := make([]block, min(c.size("num_hidden_layers"), maxLayers))
		for i := range blocks {
			in := func(name string) string { return of(i, "gpt_neox.layers.{i}."+name) }
			qkv.tensor = in("attention.query_key_value")
			attention := append(product("qkv", bias, linear, qkv),
				product("o", bias, linear, columns(in("attention.dense"), width))...)
			feedforward := append(product("up", true, linear, columns(in("mlp.dense_h_to_4h"), hidden)),
				product("down", true, linear, columns(in("mlp.dense_4h_to_h"), width))...)
			first := []*layer{layernorm("attention_norm", epsilon, width, in("input_layernorm")),
				{word: "attention", name: "attention", sets: []set{{"heads", heads}, {"rotary", turn}, {"bias", bias}},
					params: attention}}
			second := []*layer{layernorm("feedforward_norm", epsilon, width, in("post_attention_layernorm")),
				{word: "feedforward", name: "feedforward", sets: []set{{"hidden", hidden}, {"activation", activation}},
					params: feedforward}}
			if parallel {
				blocks[i] = block{"block", []*layer{residual(sum(first, second))}}
			} else {
				blocks[i] = block{"block", []*layer{residual(first...), residual(second...)}}
			}
		}
		head := &layer{word: "dense", name: "out", sets: []set{{"bias", false}}}
		if c.flag("tie_word_embeddings", false) {
			head.sets = append([]set{{"tie", "tokens"}}, head.sets...)
		} else {
			head.params = product("", false, linear, part{tensor: "embed_out", width: vocab, more: true})
		}
		return &blueprint{
			about: "A decoder of GPT-NeoX's shape", description: "a language model: a decoder of GPT-NeoX's shape.",
			vocab: vocab, steps: steps,
			decoder: []*layer{
				{word: "embedding", name: "tokens", sets: []set{{"size", width}},
					params: []param{{field: "table", parts: []part{{tensor: "gpt_neox.embed_in.weight", form: table,
						width: width}}}}},
				stacked("layers", blocks),
				layernorm("norm", epsilon, width, "gpt_neox.final_layer_norm"),
				head,
			},
		}
	},
}

// fused is the column that output r of a fused product becomes. There the queries, keys and values of a head stand
// together; here those of all heads do.
func fused(r, heads, size, turned int) int {
	head, which, feature := r/(3*size), r/size%3, r%size
	return apart((which*heads+head)*size+feature, heads, size, turned)
}

// apart is the column that feature r of the queries, keys and values of all heads becomes. There the pairs that are
// turned are among the first features of a head, half of their number apart; here half of the head.
func apart(r, heads, size, turned int) int {
	which, feature := r/(heads*size), r%size
	moved := feature
	if which < 2 && turned < size {
		switch half := turned / 2; {
		case feature < half:
		case feature < turned:
			moved += size/2 - half
		case feature < size/2+half: // the others fill what is left
			moved -= half
		}
	}
	return r - feature + moved
}
