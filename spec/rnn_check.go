package spec

// checkRNN makes the Model of a spec of kind rnn.
func checkRNN(c *checker, root *value) *Model {
	if root.bad {
		return nil
	}
	m := c.model(root)
	m.Tokenizer = c.tokenizer(root.key("tokenizer"), "tokenizer")
	l := layers{checker: c, path: "layers", role: predictor, vocab: m.Tokenizer.Vocab, shape: m.Shape,
		init: root.key("init")}
	m.Layers = l.all(root.key("layers"))
	c.training(root, m)
	return m
}
