package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/train"
	"github.com/gradsmith/gradsmith/runtime/vector"
)

// material is what a training reads.
type material struct {
	train.Data
	text                  string  // a line about it
	density, validDensity float64 // tokens a character; 0 where losses a character say nothing
}

// material reads what the flags of a training name.
func (a *program) material(cmd *cobra.Command, f *trainFlags) (*material, error) {
	switch {
	case a.Info.Vector != nil:
		return a.vectorMaterial(cmd, f)
	case a.ofLines():
		return a.lineMaterial(cmd, f)
	case a.Info.Latent != nil:
		return a.sentenceMaterial(cmd, f)
	case a.Info.Source != nil:
		return a.pairMaterial(cmd, f)
	}
	in, err := f.data.text(cmd.Context(), a)
	if err != nil {
		return nil, err
	}
	corpus, err := a.corpus(in,
		text.Options{Validation: f.validation, Separator: f.data.separator, Condition: f.data.condition,
			Drop: f.data.drop})
	if err != nil {
		return nil, err
	}
	if corpus.Sorted != "" && f.validation > 0 {
		a.warn(cmd, fmt.Sprintf("%s: its lines are in alphabetical order, so that the end of the text, which is kept "+
			"for validation, is not like the rest: put them in another order first", corpus.Sorted))
	}
	m := &material{text: fmt.Sprintf("%s: %s tokens to learn", in.Name(), thousands(corpus.Train.Tokens()))}
	m.Digest = fmt.Sprintf("%s %d×%d", corpus.Digest, f.batch, f.window)
	if m.Train, err = a.learning(corpus.Train, f.batch, f.window, f.seed); err != nil {
		return nil, err
	}
	if corpus.Validation != nil {
		m.text += fmt.Sprintf(", %s to validate", thousands(corpus.Validation.Tokens()))
		if m.Validation, err = a.evaluating(corpus.Validation, f.shard(), f.window); err != nil {
			return nil, err
		}
	}
	if a.Info.Masking == nil {
		m.density = density(corpus.Train)
		if corpus.Validation != nil {
			m.validDensity = density(corpus.Validation)
		}
	}
	return m, nil
}

// shard is how many rows a shard of a batch has.
func (f *trainFlags) shard() int { return f.batch / f.accumulate }

// encoderFirst reports whether the encoder is updated alone before a step, for which it reads the training data in an
// order of its own, that of the seed and encoderOrder.
func (a *program) encoderFirst() bool {
	return a.Info.Latent != nil && a.Info.Latent.EncoderFirst != nil
}

const encoderOrder = 0xe4c0

// vectorMaterial reads vectors.
func (a *program) vectorMaterial(cmd *cobra.Command, f *trainFlags) (*material, error) {
	set, err := a.examples(cmd, &f.data, f.labels)
	if err != nil {
		return nil, err
	}
	m := &material{}
	m.Digest = fmt.Sprintf("%s %d", set.Digest, f.batch)
	if f.validation > 0 {
		m.Digest += fmt.Sprintf(" %v", f.validation)
		a.warnOfTail(cmd, set, f.validation)
		var valid *vector.Set
		if set, valid, err = set.Split(f.validation); err != nil {
			return nil, err
		}
		m.text = fmt.Sprintf(", %s to validate", thousands(valid.Len()))
		if m.Validation, err = valid.Whole(f.shard()); err != nil {
			return nil, err
		}
	}
	m.text = fmt.Sprintf("%s: %s vectors to learn%s", set.Name, thousands(set.Len()), m.text)
	rows := f.batch
	if d := a.Info.Adversary; d != nil {
		rows *= d.Steps // each step of the discriminator reads its own
	}
	if m.Train, err = set.Shuffled(rows, f.seed); err == nil && a.encoderFirst() {
		m.Encoder, err = set.Shuffled(rows, model.Key(f.seed, encoderOrder))
	}
	return m, err
}

// pairMaterial reads sources and their answers.
func (a *program) pairMaterial(cmd *cobra.Command, f *trainFlags) (*material, error) {
	if err := f.data.checkBalance(); err != nil {
		return nil, err
	}
	pairs, err := a.pairs(&f.pairs, f.data.balance)
	if err != nil {
		return nil, err
	}
	if f.data.shuffle {
		pairs.Shuffle()
	}
	var valid *text.Pairs
	if len(f.validPairs.source.paths) > 0 {
		if valid, err = a.pairs(&f.validPairs, 1); err != nil {
			return nil, err
		}
	}
	return a.pairMaterialOf(cmd, f, pairs, valid, "pairs")
}

// pairMaterialOf is what a training on pairs reads: all of them where there are others to validate on.
func (a *program) pairMaterialOf(cmd *cobra.Command, f *trainFlags, pairs, valid *text.Pairs, what string) (m *material,
	err error) {
	m = &material{}
	m.Digest = fmt.Sprintf("%s %d", pairs.Digest, f.batch)
	skipped := pairs.Skipped
	switch {
	case valid != nil:
		m.Digest += " " + valid.Digest
	case f.validation > 0:
		a.warnOfTail(cmd, pairs, f.validation)
		if pairs, valid, err = pairs.Split(f.validation); err != nil {
			return nil, err
		}
		m.Digest += fmt.Sprintf(" %v", f.validation)
	}
	if m.Train, err = pairs.Shuffled(f.batch, f.seed); err != nil {
		return nil, err
	}
	if a.encoderFirst() {
		if m.Encoder, err = pairs.Shuffled(f.batch, model.Key(f.seed, encoderOrder)); err != nil {
			return nil, err
		}
	}
	m.text = fmt.Sprintf("%s: %s %s to learn", pairs.Name, thousands(pairs.Len()), what)
	if valid != nil {
		m.text += fmt.Sprintf(", %s to validate", thousands(valid.Len()))
		if m.Validation, err = valid.Whole(f.shard()); err != nil {
			return nil, err
		}
	}
	if skipped > 0 {
		m.text += fmt.Sprintf("; %s longer than the model takes are left out", thousands(skipped))
	}
	return m, nil
}

// learning cuts a text as the kind of the model is trained: a recurrent one reads it in order and carries its state
// along, others see windows in random order, and some of their tokens hidden where the model fills them in.
func (a *program) learning(p *text.Part, batch, steps int, seed uint64) (train.Windows, error) {
	if a.Info.Kind == "rnn" {
		return p.Windows(batch, steps)
	}
	w, err := p.Shuffled(batch, steps, seed)
	if err != nil || a.Info.Masking == nil {
		return w, err
	}
	return text.NewMasked(w, *a.Info.Masking, seed), nil
}

// evaluating cuts a text so that every token is seen once, in order. Which tokens are hidden is the same each time.
func (a *program) evaluating(p *text.Part, batch, steps int) (train.Windows, error) {
	w, err := p.Whole(batch, steps)
	if err != nil || a.Info.Masking == nil {
		return w, err
	}
	return text.NewMasked(w, *a.Info.Masking, 0), nil
}
