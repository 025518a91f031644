package train

import (
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Sampling is scheduled sampling (Bengio et al. 2015): a share of the tokens that a model reads in training are its
// own in place of the text's, so that it learns to go on from what it wrote, mistakes included.
//
// The model's tokens come from a pass over the text's, without dropout, which gives the distribution of every place at
// once (Mihaylova and Martins 2019); a step then takes about a third longer. It is for models that carry no state from
// window to window, as that pass would carry it on.
type Sampling struct {
	Share float64 // of the tokens that are the model's own, in [0, 1]; 0 reads the text alone
	Rise  int     // steps in which the share rises from 0 in a straight line
}

// At is the share in a step, from 0.
func (s Sampling) At(step int) float64 {
	if step < s.Rise {
		return s.Share * float64(step) / float64(s.Rise)
	}
	return s.Share
}

// check tells what is wrong with s for a model, if anything is.
func (s Sampling) check(m model.LanguageModel) error {
	switch {
	case !(s.Share >= 0 && s.Share <= 1):
		return fmt.Errorf("scheduled sampling of a share of %v: give a number from 0 to 1", s.Share)
	case s.Rise < 0:
		return fmt.Errorf("the share of scheduled sampling rises in %d steps: give 0 or more", s.Rise)
	case s.Share > 0 && !samples(m):
		return fmt.Errorf("scheduled sampling is for models of kind attention that write text, not for %s",
			m.Info().Name)
	}
	return nil
}

// samples reports whether a model writes text and carries no state.
func samples(m model.LanguageModel) bool {
	_, ok := m.(model.Predictor)
	return ok && len(m.State()) == 0 && m.Info().Masking == nil
}

// sample mixes the model's tokens into the batch, shard by shard.
func (r *runner) sample(share float64, key uint64) error {
	p, source := r.m.(model.Predictor), r.info.Source
	t := divided(r.m)
	if t == nil {
		logits, err := p.Logits(&r.batch)
		if err == nil {
			mix(&r.batch, logits, r.row, source, share, key)
		}
		return err
	}
	from, to := t.Own()
	at := from * r.batch.Batch / t.Shards() // number of the shard's first row in the batch
	for k := from; k < to; k++ {
		if t.Shard(&r.shard, &r.batch, k); r.shard.Batch == 0 {
			continue
		}
		logits, err := p.Logits(&r.shard)
		if err != nil {
			return err
		}
		mix(&r.shard, logits, r.row, source, share, model.Key(key, uint64(k)))
		for step := range r.shard.Steps {
			copy(r.batch.Tokens[step*r.batch.Batch+at:], r.shard.Tokens[step*r.shard.Batch:(step+1)*r.shard.Batch])
		}
		at += r.shard.Batch
	}
	return nil
}

// mix replaces a share of the tokens of b by tokens drawn from logits [Steps, Batch, vocab], which follow from b as it
// is. Only a token that is also the target of the one before it is replaced: neither the first of a text nor padding;
// and what the model would have ended with, or begun with, leaves the text's token. Each draw comes from a counter
// under key. row has vocab elements to work in.
func mix(b *model.Batch, logits, row []float32, source *model.Source, share float64, key uint64) {
	draw := func(i int, what uint64) float64 { return float64(model.Key(key, uint64(i), what)>>11) / (1 << 53) }
	vocab := len(row)
	// From the last step to the first, so that what is compared is the text's.
	for i := b.Steps*b.Batch - 1; i >= b.Batch; i-- {
		before := i - b.Batch
		if b.Tokens[i] < 0 || b.Tokens[before] < 0 || b.Targets[before] != b.Tokens[i] || draw(i, 0) >= share {
			continue
		}
		kernel.Softmax(row, logits[before*vocab:(before+1)*vocab], 1, vocab)
		t := pick(row, draw(i, 1))
		if source != nil && (t == source.AnswerBegin || t == source.AnswerEnd) {
			continue
		}
		b.Tokens[i] = t
	}
}

// pick is the token at share u of the distribution p, which adds up to about 1.
func pick(p []float32, u float64) int32 {
	sum := 0.0
	for _, x := range p {
		sum += float64(x)
	}
	left := float64(u * sum)
	for t, x := range p {
		if left -= float64(x); left < 0 {
			return int32(t)
		}
	}
	return int32(kernel.Argmax(p)) // u is so close to 1 that rounding took the rest
}
