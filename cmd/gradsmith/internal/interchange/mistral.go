package interchange

// mistral is the architecture of Mistral 7B (Jiang et al. 2023): Llama's, with a window.
var mistral = &architecture{
	types:  []string{"mistral"},
	heads:  []string{"ForCausalLM"},
	models: "Mistral (with its window of attention)",
	prefix: "model.",
	aside:  llama.aside,
	read: func(f *folder, c *config) *blueprint {
		p := llamaPlan(f, c)
		p.about = "A decoder of Mistral's shape"
		if c.has("sliding_window") {
			p.slides(c.size("sliding_window"), func(int) bool { return true })
		}
		return p.blueprint()
	},
}
