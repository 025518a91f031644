package train

import (
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Bound is the two parts of the negative evidence lower bound, in nats a row: what an autoencoder fails to write
// again, and what its latent vectors say, all of it, whatever weight the objective gives it.
type Bound struct {
	Reconstruction float64 // mean of −log p(x|z)
	Divergence     float64 // of the latent vectors from their prior
}

// bounds follows the parts of the loss of an autoencoder through a training.
type bounds struct {
	m      model.Parted
	latent *model.Latent
	last   Bound
	mean   float64 // of the divergence, over steps, forgetting
	steps  int
	warned bool
}

// newBounds is nil for models that have no such parts.
func newBounds(m model.LanguageModel) *bounds {
	p, ok := m.(model.Parted)
	if !ok || m.Info().Latent == nil {
		return nil
	}
	return &bounds{m: p, latent: m.Info().Latent}
}

// step looks at the parts of the step on b that was just made.
func (s *bounds) step(b *model.Batch) *Bound {
	if s == nil {
		return nil
	}
	s.last.Reconstruction, s.last.Divergence = s.m.Bound(b)
	s.steps++
	s.mean += (s.last.Divergence - s.mean) * max(0.02, 1/float64(s.steps))
	return &s.last
}

// least is the divergence below which a latent vector says nothing, in nats; package latent calls a model with less
// collapsed.
const least = 0.1

// collapsed is a warning, once, when after some steps the latent vector says next to nothing though the weight of its
// divergence has risen: it then will not come to say more by itself.
func (s *bounds) collapsed(step int) string {
	if s == nil || s.warned || s.latent.Beta == 0 || step < s.latent.Annealed || s.steps < 50 || s.mean >= least {
		return ""
	}
	s.warned = true
	return fmt.Sprintf("the latent vector says next to nothing, a divergence of %.3f nats: the decoder learns the "+
		"data without it (posterior collapse); let the divergence's weight rise slowly (latent.annealing), give it "+
		"free bits (latent.free_bits), update the encoder first (latent.encoder_first), or take a weaker decoder",
		s.mean)
}

// boundOf adds up the parts over batches.
type boundOf struct {
	bounds *bounds
	sum    Bound
}

func (s *boundOf) add(b *model.Batch, rows int) {
	if s.bounds == nil {
		return
	}
	r, d := s.bounds.m.Bound(b)
	s.sum.Reconstruction += float64(r * float64(rows))
	s.sum.Divergence += float64(d * float64(rows))
}

// mean is nil where there are no parts.
func (s *boundOf) mean(rows int) *Bound {
	if s.bounds == nil || rows == 0 {
		return nil
	}
	return &Bound{s.sum.Reconstruction / float64(rows), s.sum.Divergence / float64(rows)}
}
