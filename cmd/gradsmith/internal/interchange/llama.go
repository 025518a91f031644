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
