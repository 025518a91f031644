package interchange

// smollm3 is the architecture of SmolLM 3 (Bakouch et al. 2025): Llama's, with blocks that do not turn.
var smollm3 = &architecture{
	types:  []string{"smollm3"},
	heads:  []string{"ForCausalLM"},
	models: "SmolLM 3 (with blocks without rotation)",
	prefix: "model.",
	aside:  llama.aside,
	read: func(f *folder, c *config) *blueprint {
		p := llamaPlan(f, c)
		p.about = "A decoder of SmolLM 3's shape"
		p.bias, p.outBias = c.flag("attention_bias", false), c.flag("attention_bias", false)
		p.hiddenBias = c.flag("mlp_bias", false)
		c.only("use_sliding_window", false, "windows of this architecture are not read")
		c.value("sliding_window") // which it then has not
		c.value("layer_types")
		every := c.size("no_rope_layer_interval", 4)
		turns := func(i int) bool { return (i+1)%every != 0 }
		if list := c.list("no_rope_layers"); list != nil {
			if len(list) != p.layers {
				c.errorf("no_rope_layers lists %d layers, num_hidden_layers is %d", len(list), p.layers)
			} else {
				turns = func(i int) bool { return c.whole("no_rope_layers", list[i], 0) != 0 }
			}
		}
		turn := p.rotary(0)
		p.rotary = func(i int) []set {
			if turns(i) {
				return turn
			}
			return nil
		}
		p.form = func(i int) string { return map[bool]string{true: "turned", false: "plain"}[turns(i)] }
		return p.blueprint()
	},
}
