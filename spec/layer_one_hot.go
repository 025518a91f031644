package spec

import "fmt"

func init() {
	word := word{name: "one_hot", doc: "Turns a token into a row as wide as the vocabulary, 1 at the token and 0 " +
		"elsewhere.", also: []string{"onehot"}, typ: object("",
		layerName())}
	register(record{name: "one_hot", group: tables, table: true, word: word.in(inRNN, inAttention, inVAE),
		check: func(c *layers, v *value, base LayerBase, _ int, _ bool) Layer {
			o := &OneHot{base}
			o.Width = c.vocab
			c.count(v, 0, o.Width)
			return o
		}})
}

// OneHot turns a token into a row with a single 1; Width is the vocabulary.
type OneHot struct {
	LayerBase
}

func (l *OneHot) architecture() string {
	return fmt.Sprintf("one_hot %s size=%d", l.Name, l.Width)
}
