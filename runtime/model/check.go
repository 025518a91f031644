package model

import (
	"errors"
	"fmt"
	"math"
)

// ErrFull is in the error of a decoder whose window has no room for what it is fed: Reset it, and feed it the end of
// the text.
var ErrFull = errors.New("the decoder's window is full")

// What generated code is called with is checked by the functions of this file and by no others, before anything is
// computed or changed.

// Check reports what of the batch does not fit a model of the given capacities: its sizes, or a token that is not in
// the vocabulary.
func (b *Batch) Check(maxSteps, maxBatch, vocab int) error {
	return b.check(maxSteps, maxBatch, vocab, 0)
}

// CheckPadded is Check for a model that takes sequences with missing tokens, which are negative.
func (b *Batch) CheckPadded(maxSteps, maxBatch, vocab int) error {
	return b.check(maxSteps, maxBatch, vocab, math.MinInt32)
}

func (b *Batch) check(maxSteps, maxBatch, vocab int, least int32) error {
	if err := b.size(maxSteps, maxBatch); err != nil {
		return err
	}
	n := b.Steps * b.Batch
	switch {
	case len(b.Tokens) != n || len(b.Targets) != n || len(b.Reset) != n:
		return fmt.Errorf("a batch of %d × %d has %d tokens, %d targets and %d resets", b.Steps, b.Batch, len(b.Tokens),
			len(b.Targets), len(b.Reset))
	case len(b.Weights) > 0 && len(b.Weights) != n:
		return fmt.Errorf("a batch of %d × %d has %d weights", b.Steps, b.Batch, len(b.Weights))
	}
	if err := inVocabulary("token", b.Tokens[:n], b.Batch, vocab, least); err != nil {
		return err
	}
	return inVocabulary("target", b.Targets[:n], b.Batch, vocab, math.MinInt32)
}

func (b *Batch) size(maxSteps, maxBatch int) error {
	switch {
	case b == nil:
		return errors.New("there is no batch")
	case b.Steps < 1 || b.Steps > maxSteps:
		return fmt.Errorf("a batch of %d steps, the model takes 1 to %d", b.Steps, maxSteps)
	case b.Batch < 1 || b.Batch > maxBatch:
		return fmt.Errorf("a batch of %d sequences, the model takes 1 to %d", b.Batch, maxBatch)
	}
	return nil
}

// inVocabulary reports the first of tokens [steps, batch] that is below least or not in the vocabulary.
func inVocabulary(what string, tokens []int32, batch, vocab int, least int32) error {
	for i, t := range tokens {
		if t < least || int(t) >= vocab {
			return fmt.Errorf("%s %d at step %d of sequence %d is not one of 0 to %d", what, t, i/batch, i%batch,
				vocab-1)
		}
	}
	return nil
}

// CheckLines reports why the targets of the batch are not lines that a model of the given capacities judges.
func (b *Batch) CheckLines(maxSteps, maxBatch, vocab int) error {
	return b.lines(false, maxSteps, maxBatch, vocab)
}

// CheckMade is CheckLines for the lines of Targets and those of Made.
func (b *Batch) CheckMade(maxSteps, maxBatch, vocab int) error {
	if err := b.lines(false, maxSteps, maxBatch, vocab); err != nil {
		return err
	}
	return b.lines(true, maxSteps, maxBatch, vocab)
}

func (b *Batch) lines(made bool, maxSteps, maxBatch, vocab int) error {
	if err := b.size(maxSteps, maxBatch); err != nil {
		return err
	}
	tokens, what := b.Targets, "target"
	if made {
		tokens, what = b.Made, "made token"
	}
	n := b.Steps * b.Batch
	if len(tokens) != n {
		return fmt.Errorf("%d lines of %d tokens have %d %ss", b.Batch, b.Steps, len(tokens), what)
	}
	return inVocabulary(what, tokens[:n], b.Batch, vocab, 0)
}

// CheckSource reports why the source of the batch does not fit an encoder of the given capacities. The batch has been
// checked before.
func (b *Batch) CheckSource(maxSteps, vocab int) error {
	n := b.SourceSteps * b.Batch
	switch {
	case b.SourceSteps < 1 || b.SourceSteps > maxSteps:
		return fmt.Errorf("a source of %d steps, the model takes 1 to %d", b.SourceSteps, maxSteps)
	case len(b.Source) != n:
		return fmt.Errorf("sources of %d × %d have %d tokens", b.SourceSteps, b.Batch, len(b.Source))
	}
	return inVocabulary("source token", b.Source[:n], b.Batch, vocab, math.MinInt32)
}

// CheckVectors reports why the batch does not fit a model of vectors of the given width, 0 where they are not read.
func (b *Batch) CheckVectors(maxBatch, width int) error {
	switch {
	case b == nil:
		return errors.New("there is no batch")
	case b.Batch < 1 || b.Batch > maxBatch:
		return fmt.Errorf("a batch of %d vectors, the model takes 1 to %d", b.Batch, maxBatch)
	case len(b.Vectors) < b.Batch*width:
		return fmt.Errorf("%d vectors of %d have %d numbers", b.Batch, width, len(b.Vectors))
	}
	return nil
}

// CheckNoise reports why the batch has not what a generator makes its vectors of: noise of the given width for each,
// and, where a penalty asks for it, Mix.
func (b *Batch) CheckNoise(width int, mixes bool) error {
	switch {
	case len(b.Noise) < b.Batch*width:
		return fmt.Errorf("noise for %d vectors, %d numbers each, has %d numbers", b.Batch, width, len(b.Noise))
	case mixes && len(b.Mix) < b.Batch:
		return fmt.Errorf("a batch of %d vectors has %d numbers of Mix", b.Batch, len(b.Mix))
	}
	return nil
}

// NoLabel stands in place of a label of a row whose model is not told one: see [Info.CheckLabels].
const NoLabel = -1

// CheckLabels reports when labels are not as many as rows, or one of them is not from 0 to count−1.
func CheckLabels(labels []int32, rows, count int) error { return checkLabels(labels, rows, count, 0) }

// CheckLabelsOrNone is CheckLabels for models that learn without labels too, where [NoLabel] may stand in place of one.
func CheckLabelsOrNone(labels []int32, rows, count int) error {
	return checkLabels(labels, rows, count, NoLabel)
}

func checkLabels(labels []int32, rows, count int, least int32) error {
	if len(labels) != rows {
		return fmt.Errorf("%d rows have %d labels", rows, len(labels))
	}
	for i, l := range labels {
		if l < least || int(l) >= count {
			return fmt.Errorf("label %d of row %d is not one of %d to %d", l, i, least, count-1)
		}
	}
	return nil
}

// LearnsUnlabelled reports whether training leaves the labels of some examples out, so that [NoLabel] may stand in
// place of a label.
func (i *Info) LearnsUnlabelled() bool { return i.Labels > 0 && i.Training.Drop > 0 }

// CheckLabels reports when labels are not as many as rows, or one of them is none of the model's.
func (i *Info) CheckLabels(labels []int32, rows int) error {
	if i.LearnsUnlabelled() {
		return CheckLabelsOrNone(labels, rows, i.Labels)
	}
	return CheckLabels(labels, rows, i.Labels)
}

// CheckRows reports when x is not 1 to most whole rows of the given width; what is the word for a row.
func CheckRows(what string, x []float32, most, width int) error {
	if n := len(x) / width; n < 1 || n > most || n*width != len(x) {
		return fmt.Errorf("%d numbers are not 1 to %d %ss of %d", len(x), most, what, width)
	}
	return nil
}

// CheckWhole reports when x is not as many rows of the given width; what is the word for a row.
func CheckWhole(what string, x []float32, rows, width int) error {
	if len(x) != rows*width {
		return fmt.Errorf("%d numbers are not %d %ss of %d", len(x), rows, what, width)
	}
	return nil
}

// CheckRoom reports when x has no room for rows of the given width; what is its name.
func CheckRoom(what string, x []float32, rows, width int) error {
	if len(x) < rows*width {
		return fmt.Errorf("%s has %d numbers, %d rows of %d are to be written to it", what, len(x), rows, width)
	}
	return nil
}

// CheckCount reports when n is not a number of things to make.
func CheckCount(n int) error {
	if n < 0 {
		return fmt.Errorf("%d are to be made: give 0 or more", n)
	}
	return nil
}

// CheckStep reports why tokens cannot be fed to a decoder of batch sequences, one to each.
func CheckStep(tokens []int32, batch, vocab int) error {
	if len(tokens) != batch {
		return fmt.Errorf("the decoder is for %d sequences and got %d tokens", batch, len(tokens))
	}
	return inVocabulary("token", tokens, batch, vocab, 0)
}

// CheckFeed reports why tokens [steps, batch] cannot be fed to a decoder that takes up to chunk for each sequence and
// has room for some more. A negative token is none.
func CheckFeed(tokens []int32, batch, chunk, room, vocab int) error {
	switch n := len(tokens) / batch; {
	case n == 0 || n > chunk || n*batch != len(tokens):
		return fmt.Errorf("the decoder takes 1 to %d tokens for each of %d sequences and got %d in all", chunk, batch,
			len(tokens))
	case n > room:
		return fmt.Errorf("%w: it has room for %d more tokens and got %d: Reset it, and feed it the end of the text",
			ErrFull, room, n)
	}
	return inVocabulary("token", tokens, batch, vocab, math.MinInt32)
}

// CheckRewind reports why sequence i of a decoder of batch sequences cannot forget n of its tokens, of which there are
// length. A decoder takes back at most as many as it can be asked about at once.
func CheckRewind(i, batch, n, most int, length []int32) error {
	if err := CheckSequence(i, batch); err != nil {
		return err
	}
	if n < 0 || n > most || n > int(length[i]) {
		return fmt.Errorf("sequence %d has %d tokens, of which the last %d can be taken back, and not %d", i, length[i],
			min(most, int(length[i])), n)
	}
	return nil
}

// CheckSources reports why source [steps, batch] cannot be read by a decoder of batch sequences. A negative token is
// none.
func CheckSources(source []int32, batch, maxSteps, vocab int) error {
	if n := len(source) / batch; n == 0 || n > maxSteps || n*batch != len(source) {
		return fmt.Errorf("the decoder reads 1 to %d tokens of each of %d sources and got %d in all", maxSteps, batch,
			len(source))
	}
	return inVocabulary("source token", source, batch, vocab, math.MinInt32)
}

// CheckOrder reports why a decoder of batch sequences cannot go on from the sequences from.
func CheckOrder(from []int, batch int) error {
	if len(from) != batch {
		return fmt.Errorf("the decoder is for %d sequences and is to go on from %d", batch, len(from))
	}
	for i, f := range from {
		if f < 0 || f >= batch {
			return fmt.Errorf("sequence %d is to go on from sequence %d, which is not one of 0 to %d", i, f, batch-1)
		}
	}
	return nil
}

// CheckSequence says what is wrong with the number of a sequence of a decoder.
func CheckSequence(i, batch int) error {
	if i < 0 || i >= batch {
		return fmt.Errorf("sequence %d is not one of 0 to %d", i, batch-1)
	}
	return nil
}

// CheckAdoption says why sequence i of a decoder of batch sequences cannot go on from sequence j of another one: same
// tells whether that is a decoder of the same model.
func CheckAdoption(i, batch int, from Decoder, same bool, j int) error {
	if !same {
		return errors.New("the other decoder is not one of the same model")
	}
	return First(CheckSequence(i, batch), func() error { return CheckSequence(j, from.Batch()) })
}

// First is the first error of several checks, so that they can be written one behind the other. Checks that read what
// an earlier one looks at take a function.
func First(fault error, more ...func() error) error {
	for _, f := range more {
		if fault != nil {
			return fault
		}
		fault = f()
	}
	return fault
}
