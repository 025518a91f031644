package spec

import (
	"fmt"
	"strings"
)

// Summary says in a line what the model is made of: the layers of each of its networks, and what they read and write.
func (m *Model) Summary() string {
	var parts []string
	add := func(what string, layers []Layer) {
		if len(layers) == 0 {
			return
		}
		names := make([]string, len(layers))
		for i, l := range layers {
			if names[i] = l.LayerName(); l.LayerKind() != l.LayerName() {
				names[i] += " (" + l.LayerKind() + ")"
			}
		}
		parts = append(parts, what+" "+strings.Join(names, ", "))
	}
	switch {
	case m.GAN != nil:
		add("generator", m.Layers)
		add("discriminator", m.GAN.Discriminator)
	case m.EncoderOnly():
		add("encoder", m.Layers)
	case len(m.Encoder) > 0:
		add("encoder", m.Encoder)
		if m.Latent != nil {
			parts = append(parts, fmt.Sprintf("latent vector of %d numbers", m.Latent.Size))
		}
		add("decoder", m.Layers)
	default:
		add("layers", m.Layers)
	}
	switch {
	case m.Vectors != nil:
		parts = append(parts, fmt.Sprintf("vectors of %d numbers", m.Vectors.Size))
	case m.EncoderDecoder() && m.Source.Tokenizer.Vocab != m.Vocab():
		parts = append(parts, fmt.Sprintf("%d tokens of sources, %d of answers", m.Source.Tokenizer.Vocab, m.Vocab()))
	default:
		parts = append(parts, fmt.Sprintf("%d tokens", m.Vocab()))
	}
	if m.Labels != nil {
		parts = append(parts, fmt.Sprintf("%d labels", m.Labels.Count))
	}
	return fmt.Sprintf("a model of kind %s: %s", m.Kind, strings.Join(parts, "; "))
}
