package interchange

import "math"

// gemma is the architecture of Gemma (Gemma Team 2024): Llama's with a GELU, scaled rows of tokens, and gains of
// norms that are stored as differences from 1.
var gemma = &architecture{
	types:  []string{"gemma"},
	heads:  []string{"ForCausalLM"},
	models: "Gemma 1",
	prefix: "model.",
	aside:  llama.aside,
	read: func(f *folder, c *config) *blueprint {
		p := gemmaPlan(f, c)
		p.about = "A decoder of Gemma's shape"
		return p.blueprint()
	},
}

// gemma2 has norms on both sides of each part, bounds of scores and logits, and a window in every other block.
var gemma2 = &architecture{
	types:  []string{"gemma2"},
	heads:  []string{"ForCausalLM"},
	models: "Gemma 2",
	prefix: "model.",
	aside:  llama.aside,
	read: func(f *folder, c *config) *blueprint {
		p := gemmaPlan(f, c)
		p.about, p.sandwich = "A decoder of Gemma 2's shape", true
		p.scores = 1 / math.Sqrt(c.number("query_pre_attn_scalar", 256))
		p.cap, p.lastCap = c.number("attn_logit_softcapping", 0), c.number("final_logit_softcapping", 0)
		near := func(i int) bool { return i%2 == 0 }
		if list := kinds(c, p.layers); list != nil {
			near = func(i int) bool { return list[i] == "sliding_attention" }
		}
		p.slides(c.size("sliding_window", 4096), near)
		return p.blueprint()
	},
}

// gemma3 normalises queries and keys in place of bounding scores, and turns blocks with a window and others differently
// (Gemma Team 2025).
var gemma3 = &architecture{
	types:  []string{"gemma3_text"},
	heads:  []string{"ForCausalLM"},
	models: "Gemma 3 (text)",
	prefix: "model.",
	aside:  llama.aside,
	read: func(f *folder, c *config) *blueprint {
		p := gemmaPlan(f, c)
		p.about, p.sandwich, p.queryNorm = "A decoder of Gemma 3's shape", true, true
		p.scores = 1 / math.Sqrt(c.number("query_pre_attn_scalar", 256))
		p.cap, p.lastCap = c.number("attn_logit_softcapping", 0), c.number("final_logit_softcapping", 0)
		every := c.size(c.either("sliding_window_pattern", "_sliding_window_pattern"), 6)
		near := func(i int) bool { return (i+1)%every != 0 }
		if list := kinds(c, p.layers); list != nil {
			near = func(i int) bool { return list[i] == "sliding_attention" }
		}
		p.slides(c.size("sliding_window", 4096), near)
		local := []set{{"base", c.number("rope_local_base_freq", 10000)}}
		far := []set{{"base", c.number("rope_theta", 1e6)}}
		if both := c.object("rope_parameters"); both != nil { // of each kind of layer
			if s := both.object("sliding_attention"); s != nil {
				local = append([]set{{"base", s.number("rope_theta", 10000)}}, scaling(s, p.steps)...)
			}
			if s := both.object("full_attention"); s != nil {
				far = append([]set{{"base", s.number("rope_theta", 1e6)}}, scaling(s, p.steps)...)
			}
		} else if s := c.object("rope_scaling"); s != nil {
			far = append(far, scaling(s, p.steps)...)
		}
		p.rotary = func(i int) []set {
			if near(i) {
				return local
			}
			return far
		}
		c.only("use_bidirectional_attention", false, "a decoder sees what stands before a token alone")
		return p.blueprint()
	},
}

// gemmaPlan reads what all of them say.
func gemmaPlan(f *folder, c *config) *plan {
	p := llamaPlanOf(f, c, c.value("model_type") != "gemma3_text")
	p.size = c.size("head_dim", 256)
	p.tied = c.flag("tie_word_embeddings", true)
	if !f.gguf { // where they are stored whole
		p.gain = 1
	}
	p.scale = math.Sqrt(float64(p.width))
	key := c.either("hidden_activation", "hidden_act")
	p.activation = gated(c, key, "gelu_pytorch_tanh")
	if key == "hidden_act" && p.activation == "geglu" {
		p.activation = "geglu_tanh" // the first files say gelu of what has always been its approximation
	}
	p.bias, p.outBias = c.flag("attention_bias", false), c.flag("attention_bias", false)
	return p
}
