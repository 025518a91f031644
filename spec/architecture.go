package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Architecture returns, as a SHA-256 in hex, what decides the names, the shapes and the meaning of a model's
// parameters: a checkpoint fits every spec of the same architecture, whatever its training.
func (m *Model) Architecture() string {
	sum := sha256.Sum256([]byte(m.architecture()))
	return hex.EncodeToString(sum[:])
}

// architecture is the text that is hashed. Its form must not change: checkpoints would no longer fit.
func (m *Model) architecture() string {
	var b strings.Builder
	fmt.Fprintf(&b, "gradsmith architecture 1\nkind %s\n", m.Kind)
	if m.Vectors != nil {
		fmt.Fprintf(&b, "vectors %d\n", m.Vectors.Size)
		if l := m.Likelihood; l != nil {
			fmt.Fprintf(&b, "likelihood %s %v\n", l.Kind, l.Deviation)
		}
	} else {
		m.Tokenizer.architecture(&b)
	}
	if l := m.Labels; l != nil {
		fmt.Fprintf(&b, "labels %d size=%d\n", l.Count, l.Size)
	}
	architecture(&b, m.Layers)
	if g := m.GAN; g != nil {
		if g.Text == nil {
			fmt.Fprintf(&b, "noise %d %s\naverage %t\n", g.Noise.Size, g.Noise.Distribution, g.EMA > 0)
		}
		b.WriteString("discriminator\n")
		architecture(&b, g.Discriminator)
	}
	if m.Latent != nil {
		fmt.Fprintf(&b, "latent size=%d\n", m.Latent.Size)
		if m.Latent.BagOfWords > 0 {
			b.WriteString("bag of words\n")
		}
		architecture(&b, m.Encoder)
	}
	if m.EncoderDecoder() {
		b.WriteString("source ")
		m.Source.Tokenizer.architecture(&b)
		architecture(&b, m.Encoder)
	}
	return b.String()
}

func (t *Tokenizer) architecture(b *strings.Builder) {
	fmt.Fprintf(b, "tokenizer %s", t.Kind)
	switch t.Kind {
	case "chars":
		fmt.Fprintf(b, " %q", string(t.Chars))
	case "words":
		fmt.Fprintf(b, " %q", t.Words)
	case "bpe":
		fmt.Fprintf(b, " %q", t.Merges)
	case "numbers":
		fmt.Fprintf(b, " %d", t.Vocab)
	}
	if t.Kind == "file" {
		fmt.Fprintf(b, " %x %s", sha256.Sum256(t.Data), t.Split)
	}
	if t.Normal != "" {
		fmt.Fprintf(b, " in %s", t.Normal)
	}
	if t.OrBytes {
		b.WriteString(" or bytes")
	}
	for _, s := range []string{BeginToken, EndToken} {
		if own, ok := t.Own[s]; ok {
			fmt.Fprintf(b, " %s=%d", s, own.Number)
		}
	}
	for _, s := range t.Specials {
		fmt.Fprintf(b, " %s", s)
	}
	b.WriteByte('\n')
}

func architecture(b *strings.Builder, layers []Layer) {
	for _, l := range layers {
		if s := l.architecture(); s != "" {
			b.WriteString(s + "\n")
		}
	}
}
