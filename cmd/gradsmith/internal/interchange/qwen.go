package interchange

// qwen2 is the architecture of Qwen 2 and 2.5 (Yang et al. 2024): Llama's, with biases of queries, keys and values.
var qwen2 = &architecture{
	types:  []string{"qwen2"},
	heads:  []string{"ForCausalLM"},
	models: "Qwen 2 and 2.5",
	prefix: "model.",
	aside:  llama.aside,
	read: func(f *folder, c *config) *blueprint {
		p := llamaPlan(f, c)
		p.about, p.bias = "A decoder of Qwen 2's shape", true
		qwenWindows(c, p)
		return p.blueprint()
	},
}

// qwen3 is the architecture of Qwen 3 (Yang et al. 2025), which normalises queries and keys.
var qwen3 = &architecture{
	types:  []string{"qwen3"},
	heads:  []string{"ForCausalLM"},
	models: "Qwen 3 (dense ones)",
	prefix: "model.",
	aside:  llama.aside,
	read: func(f *folder, c *config) *blueprint {
		p := llamaPlan(f, c)
		p.about, p.queryNorm = "A decoder of Qwen 3's shape", true
		p.size = c.size("head_dim", 128)
		p.bias, p.outBias = c.flag("attention_bias", false), c.flag("attention_bias", false)
		qwenWindows(c, p)
		return p.blueprint()
	},
}

// qwenWindows gives windows to the blocks from max_window_layers on, where they are used at all.
func qwenWindows(c *config, p *plan) {
	used, from := c.flag("use_sliding_window", false), c.whole("max_window_layers", orElse(c.value("max_window_layers"),
		28), 0)
	list := kinds(c, p.layers)
	if window := c.has("sliding_window"); !used || !window {
		return
	}
	near := func(i int) bool { return i >= from }
	if list != nil {
		near = func(i int) bool { return list[i] == "sliding_attention" }
	}
	p.slides(c.size("sliding_window"), near)
}
