package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// EvaluateDecoder is [Evaluate] with the logits of a decoder in place of the model's forward pass: the loss of exactly
// what decoding computes, whatever form its matrices have. It takes a step a token, and is slower. Models whose first
// tokens see each other are an error: a decoder reads those together.
func EvaluateDecoder(ctx context.Context, m model.Writer, s Windows) (loss float64, tokens int, err error) {
	if info := m.Info(); info.Prefix > 0 {
		return 0, 0, fmt.Errorf("%s: the first %d tokens of a text see each other, so that the text cannot be "+
			"evaluated token by token", info.Name, info.Prefix)
	}
	s.Rewind()
	var b model.Batch
	var d model.Decoder
	var in []int32
	var logP []float32
	sum := 0.0
	for s.Next(&b) {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		if d == nil || d.Batch() != b.Batch {
			if d, err = model.NewDecoder(m, b.Batch); err != nil {
				return 0, 0, err
			}
		}
		switch d := d.(type) {
		case model.Encoder:
			if err := d.Encode(b.Source); err != nil {
				return 0, 0, err
			}
		case model.Bounded: // which sees its window alone
			d.Reset()
		}
		for t := range b.Steps {
			row := t * b.Batch
			if err := restart(d, b.Reset[row:row+b.Batch]); err != nil {
				return 0, 0, err
			}
			in = append(in[:0], b.Tokens[row:row+b.Batch]...)
			for i, token := range in {
				in[i] = max(0, token) // behind the end of a text, where no target is
			}
			logits, err := d.Step(in)
			if err != nil {
				return 0, 0, err
			}
			vocab := len(logits) / b.Batch
			logP = slices.Grow(logP[:0], len(logits))[:len(logits)]
			kernel.LogSoftmax(logP, logits, b.Batch, vocab)
			for i, target := range b.Targets[row : row+b.Batch] {
				if target >= 0 {
					sum -= float64(logP[i*vocab+int(target)])
					tokens++
				}
			}
		}
	}
	switch err := Err(s); {
	case err != nil:
		return 0, 0, err
	case tokens == 0:
		return 0, 0, errNothing
	}
	return sum / float64(tokens), tokens, nil
}

// errNothing says that there is nothing to evaluate on.
var errNothing = errors.New("the text to evaluate on has no token to predict: it needs at least two")

// restart begins texts in the sequences of a decoder with a state for which reset is not 0.
func restart(d model.Decoder, reset []int32) error {
	r, ok := d.(model.Restarter)
	if _, bounded := d.(model.Bounded); !ok || bounded {
		return nil
	}
	for i, x := range reset {
		if x != 0 {
			if err := r.Restart(i); err != nil {
				return err
			}
		}
	}
	return nil
}
