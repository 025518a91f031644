package model

import "fmt"

// Tapped is a model whose package was generated with taps: values on the way of its forward pass can be read and moved.
// Package explain says what for.
type Tapped interface {
	Info() *Info
	// Tensors lists the parameters with the names that they have in checkpoints.
	Tensors() []Tensor
	// Taps gives the passes: one, or of adversarial networks those of the generator and of the discriminator.
	Taps() []*Taps
}

// Taps is a pass of a trained model over one sequence, from zero states and without dropout, whose values on the way
// can be read and moved, and the gradient of what it gives. Generated code fills it in. Its methods serve one goroutine
// at a time.
type Taps struct {
	Part string // "generator" or "discriminator" of adversarial networks; empty elsewhere

	Begin             func(b *Batch) error // takes the model, where b fits it
	End               func()               // gives it back
	Forward, Backward func(b *Batch)
	List              func(b *Batch) []Tap
	Seed              []float32 // of the gradient; at the capacity of what the model gives
	// Blind, where it is set to true, makes passes leave out probabilities of attention that nothing but the list
	// reads; what the list has is then that of an earlier pass. It is nil where a pass has none.
	Blind *bool
}

// Kinds of taps.
const (
	TapEmbedding = "embedding" // vectors of tokens [step, feature], what reads them being all that knows of tokens
	TapInput     = "input"     // numbers that the model reads [feature]: a vector, or a generator's noise
	TapLayer     = "layer"     // what a layer of the spec gives
	TapStream    = "stream"    // the sum behind a part of a Transformer's block
	TapPart      = "part"      // what such a part adds to it
	TapHeads     = "heads"     // what heads of attention give, side by side, before the product with Weights
	TapAttention = "attention" // where they look: probabilities, whose last axis is the keys
	TapState     = "state"     // of a recurrent layer, after each step
	TapGates     = "gates"     // of a recurrent layer, side by side
	TapLatent    = "latent"    // the latent vector: the mean of its distribution
	TapVariance  = "variance"  // the logarithm of its variance
	TapOutput    = "output"    // what the model gives: logits [step, token], a vector, or verdicts
)

// Tap is a value of a pass. Its slices are the pass's own, and the next pass overwrites Value and Gradient.
type Tap struct {
	Name  string // "blocks.attention"
	Kind  string // one of the kinds above
	Layer string // of the spec; empty for what belongs to none
	Word  string // the kind of that layer: "transformer"
	Place string // of it in the spec: "model.yaml:7 blocks"

	Axes  []string // what the axes of Shape count: "layer", "step", "source", "head", "key", "feature"
	Shape []int    // row-major
	Value []float32
	// Add is what passes add to the value, zeros unless a caller has set it; nil where a value can only be read. Who
	// sets it clears it.
	Add      []float32
	Gradient []float32 // of what Pull was called with, with respect to the value; nil where there is none

	Gates   []string // of TapGates: what stands side by side, "input", "forget", …
	Heads   int      // of TapHeads and TapAttention
	Weights []string // of TapHeads: the tensors [features, width] that it is multiplied with, one for each layer
}

// Run runs the pass over b, which has one sequence, and lists its values, in the order of their computation. The last
// is what the model gives.
func (t *Taps) Run(b *Batch) ([]Tap, error) {
	if err := t.Begin(b); err != nil {
		return nil, err
	}
	defer t.End()
	t.Forward(b)
	return t.List(b), nil
}

// Pull computes the gradient of Σ seed∘y with respect to the values that can be moved, into the Gradient of each. y is
// what Run gave for the same b last, and seed is of its length.
func (t *Taps) Pull(b *Batch, seed []float32) error {
	if err := t.Begin(b); err != nil {
		return err
	}
	defer t.End()
	all := t.List(b)
	if n := len(all[len(all)-1].Value); len(seed) != n {
		return fmt.Errorf("a seed of %d numbers for the gradient of %d", len(seed), n)
	}
	copy(t.Seed, seed)
	t.Backward(b)
	return nil
}
