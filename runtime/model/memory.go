package model

import (
	"fmt"
	"math"
	"unsafe"
)

// Floats makes n zeros that start at a cache line (64 bytes), so that no vector of a kernel lies across two.
func Floats(n int) []float32 {
	const line = 64
	x := make([]float32, n+line/4)
	skip := int((line - uintptr(unsafe.Pointer(unsafe.SliceData(x)))%line) % line / 4)
	return x[skip : skip+n : skip+n]
}

// Key mixes numbers into the key of a stream of random numbers: streams of different numbers are independent for all that dropout can tell. The
// mixing is SplitMix64 (Steele, Lea & Flood 2014).
func Key(parts ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range parts {
		h += p + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// Shuffle puts x in an order that the key decides (Fisher and Yates).
func Shuffle(x []int32, key ...uint64) {
	base := Key(key...)
	for i := len(x) - 1; i > 0; i-- {
		j := int(Key(base, uint64(i)) % uint64(i+1))
		x[i], x[j] = x[j], x[i]
	}
}

// Check panics when the batch does not fit a model of the given capacities: sizes are mistakes of the program, and so are tokens that are not in
// the vocabulary.
func (b *Batch) Check(maxSteps, maxBatch, vocab int) { b.check(maxSteps, maxBatch, vocab, 0) }

// CheckPadded is Check for a model that takes sequences with missing tokens, which are negative.
func (b *Batch) CheckPadded(maxSteps, maxBatch, vocab int) {
	b.check(maxSteps, maxBatch, vocab, math.MinInt32)
}

func (b *Batch) check(maxSteps, maxBatch, vocab int, least int32) {
	switch n := b.Steps * b.Batch; {
	case b.Steps < 1 || b.Steps > maxSteps:
		panic(fmt.Sprintf("model: a batch of %d steps, the model takes 1 to %d", b.Steps, maxSteps))
	case b.Batch < 1 || b.Batch > maxBatch:
		panic(fmt.Sprintf("model: a batch of %d sequences, the model takes 1 to %d", b.Batch, maxBatch))
	case len(b.Tokens) < n || len(b.Targets) < n || len(b.Reset) < n:
		panic(fmt.Sprintf("model: a batch of %d × %d has %d tokens, %d targets and %d resets", b.Steps, b.Batch, len(b.Tokens), len(b.Targets), len(b.Reset)))
	default:
		for i, t := range b.Tokens[:n] {
			if t < least || int(t) >= vocab {
				panic(fmt.Sprintf("model: token %d at step %d of sequence %d is not one of 0 to %d", t, i/b.Batch, i%b.Batch, vocab-1))
			}
			if int(b.Targets[i]) >= vocab {
				panic(fmt.Sprintf("model: target %d at step %d of sequence %d is not one of 0 to %d", b.Targets[i], i/b.Batch, i%b.Batch, vocab-1))
			}
		}
	}
}

// CheckLines panics when the targets of the batch are not lines that a model of the given capacities judges.
func (b *Batch) CheckLines(maxSteps, maxBatch, vocab int) {
	n := b.Steps * b.Batch
	if b.Steps < 1 || b.Steps > maxSteps || b.Batch < 1 || b.Batch > maxBatch || len(b.Targets) < n {
		panic(fmt.Sprintf("model: %d lines of %d tokens with %d in all, the model takes 1 to %d of 1 to %d", b.Batch, b.Steps, len(b.Targets), maxBatch, maxSteps))
	}
	for i, t := range b.Targets[:n] {
		if t < 0 || int(t) >= vocab {
			panic(fmt.Sprintf("model: token %d at step %d of line %d is not one of 0 to %d", t, i/b.Batch, i%b.Batch, vocab-1))
		}
	}
}

// CheckSource panics when the source of the batch does not fit an encoder of the given capacities.
func (b *Batch) CheckSource(maxSteps, vocab int) {
	n := b.SourceSteps * b.Batch
	switch {
	case b.SourceSteps < 1 || b.SourceSteps > maxSteps:
		panic(fmt.Sprintf("model: a source of %d steps, the model takes 1 to %d", b.SourceSteps, maxSteps))
	case len(b.Source) < n:
		panic(fmt.Sprintf("model: sources of %d × %d have %d tokens", b.SourceSteps, b.Batch, len(b.Source)))
	}
	for i, t := range b.Source[:n] {
		if int(t) >= vocab {
			panic(fmt.Sprintf("model: token %d at step %d of source %d is not one of 0 to %d", t, i/b.Batch, i%b.Batch, vocab-1))
		}
	}
}

// CheckVectors panics when the batch does not fit a model of vectors of the given width.
func (b *Batch) CheckVectors(maxBatch, width int) {
	switch {
	case b.Batch < 1 || b.Batch > maxBatch:
		panic(fmt.Sprintf("model: a batch of %d vectors, the model takes 1 to %d", b.Batch, maxBatch))
	case len(b.Vectors) < b.Batch*width:
		panic(fmt.Sprintf("model: %d vectors of %d have %d numbers", b.Batch, width, len(b.Vectors)))
	}
}

// CheckLabels panics when labels are not as many as rows, or one of them is not from 0 to count−1.
func CheckLabels(labels []int32, rows, count int) {
	if len(labels) != rows {
		panic(fmt.Sprintf("model: %d rows have %d labels", rows, len(labels)))
	}
	for i, l := range labels {
		if l < 0 || int(l) >= count {
			panic(fmt.Sprintf("model: label %d of row %d is not one of 0 to %d", l, i, count-1))
		}
	}
}

// LatentRows is the number of latent vectors of the given width in z. It panics when they are not 1 to maxBatch, or not
// whole.
func LatentRows(z []float32, maxBatch, width int) int {
	n := len(z) / width
	if n < 1 || n > maxBatch || n*width != len(z) {
		panic(fmt.Sprintf("model: %d numbers are not 1 to %d latent vectors of %d", len(z), maxBatch, width))
	}
	return n
}
