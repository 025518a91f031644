package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Architecture returns, as a SHA-256 in hex, what decides the names, the shapes and the meaning of a model's parameters:
// a checkpoint fits every spec of the same architecture, whatever its training.
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
	for _, s := range t.Specials {
		fmt.Fprintf(b, " %s", s)
	}
	b.WriteByte('\n')
}

func architecture(b *strings.Builder, layers []Layer) {
	for _, l := range layers {
		switch l := l.(type) {
		case *Embedding:
			fmt.Fprintf(b, "embedding %s size=%d\n", l.Name, l.Width)
		case *OneHot:
			fmt.Fprintf(b, "one_hot %s size=%d\n", l.Name, l.Width)
		case *Recurrent:
			fmt.Fprintf(b, "%s %s units=%d layers=%d bias=%t", l.Kind, l.Name, l.Units, l.Layers, l.Bias)
			if l.Activation != "" {
				fmt.Fprintf(b, " activation=%s", l.Activation)
			}
			if l.Reset != "" {
				fmt.Fprintf(b, " reset=%s", l.Reset)
			}
			if l.Bidirectional {
				b.WriteString(" bidirectional")
			}
			if a := l.Attention; a != nil {
				fmt.Fprintf(b, " attention=%s units=%d feeding=%t", a.Score, a.Units, a.InputFeeding)
			}
			b.WriteByte('\n')
		case *Positions:
			fmt.Fprintf(b, "positions %s %s size=%d", l.Name, l.Scheme, l.Width)
			if l.Scheme == "learned" {
				fmt.Fprintf(b, " steps=%d", l.Steps) // the sinusoidal ones can grow
			}
			b.WriteByte('\n')
		case *Transformer:
			fmt.Fprintf(b, "transformer %s size=%d layers=%d heads=%d kv_heads=%d hidden=%d activation=%s norm=%s first=%t epsilon=%v bias=%t causal=%t cross=%t window=%d prefix=%d rotary=%v alibi=%t\n",
				l.Name, l.Width, l.Layers, l.Heads, l.KVHeads, l.Hidden, l.Activation, l.Norm, l.NormFirst, l.Epsilon, l.Bias, l.Causal, l.Cross, l.Window, l.Prefix, l.Rotary, l.ALiBi)
		case *RMSNorm:
			fmt.Fprintf(b, "rmsnorm %s size=%d epsilon=%v\n", l.Name, l.Width, l.Epsilon)
		case *Dropout, *MaxPool: // leave parameters as they are
		case *Conv1D:
			fmt.Fprintf(b, "conv1d %s widths=%v filters=%d activation=%s\n", l.Name, l.Widths, l.Filters, l.Activation)
		case *Highway:
			fmt.Fprintf(b, "highway %s size=%d\n", l.Name, l.Width)
		case *LayerNorm:
			fmt.Fprintf(b, "layernorm %s size=%d epsilon=%v\n", l.Name, l.Width, l.Epsilon)
		case *Dense:
			fmt.Fprintf(b, "dense %s units=%d bias=%t activation=%s tie=%q", l.Name, l.Width, l.Bias, l.Activation, l.Tie)
			if l.Activation == "leaky_relu" {
				fmt.Fprintf(b, " slope=%v", l.Slope)
			}
			if l.Spectral {
				b.WriteString(" spectral_norm")
			}
			b.WriteByte('\n')
		default:
			panic(fmt.Sprintf("spec: no architecture for a layer of type %T", l))
		}
	}
}
