// Package explain says why a model gives what it gives: which tokens a prediction comes from, where attention looks,
// what layers would predict, what heads and hidden units do.
//
// It works on models whose packages were generated with taps (`taps: true` in the spec, model.Tapped): values on the
// way of their forward pass can be read and moved, and what moves is differentiated. Everything here is built on that
// and on nothing else, so that what is explained is the generated code that computes the predictions. It must not know
// how a model computes, or how explanations are shown.
package explain

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Explainer explains one pass of a model: all of it, or one of a pair of networks. Its methods serve one goroutine at
// a time.
type Explainer struct {
	m    model.Tapped
	pass *model.Taps
}

// New makes an explainer of a model's pass: part is "generator" or "discriminator" of adversarial networks, and empty
// elsewhere. A model whose package has no taps is an error that says what to do.
func New(m any, part string) (*Explainer, error) {
	tapped, ok := m.(model.Tapped)
	if !ok {
		return nil, errors.New("the model's package has no taps: write `taps: true` into its spec and generate it again")
	}
	var parts []string
	for _, pass := range tapped.Taps() {
		if pass.Part == part {
			return &Explainer{tapped, pass}, nil
		}
		parts = append(parts, pass.Part)
	}
	return nil, fmt.Errorf("the model has no pass %q: its passes are %q", part, parts)
}

// Text is a batch of one text.
func Text(tokens []int32) *model.Batch {
	return &model.Batch{Steps: len(tokens), Batch: 1, Tokens: tokens, Targets: tokens,
		Reset: make([]int32, len(tokens))}
}

// Pair is a batch of a source and the tokens that a decoder reads.
func Pair(source, tokens []int32) *model.Batch {
	b := Text(tokens)
	b.SourceSteps, b.Source = len(source), source
	return b
}

// Pass is what a pass over a batch has computed. Its values are copies.
type Pass struct {
	Batch *model.Batch
	Taps  []model.Tap
}

// Run runs the pass over b with what has been added to its values, and copies what it gives.
func (e *Explainer) Run(b *model.Batch) (*Pass, error) {
	all, err := e.pass.Run(b)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Value = slices.Clone(all[i].Value)
	}
	return &Pass{b, all}, nil
}

// Output is what the model gave: logits [steps, tokens], a vector [1, width], or verdicts.
func (p *Pass) Output() *model.Tap { return &p.Taps[len(p.Taps)-1] }

// Tap is the value of that name, or nil.
func (p *Pass) Tap(name string) *model.Tap {
	for i := range p.Taps {
		if p.Taps[i].Name == name {
			return &p.Taps[i]
		}
	}
	return nil
}

// Of lists the values of a kind.
func (p *Pass) Of(kind string) []*model.Tap {
	var all []*model.Tap
	for i := range p.Taps {
		if p.Taps[i].Kind == kind {
			all = append(all, &p.Taps[i])
		}
	}
	return all
}

// Row is row i of a value whose last axis is the row: of logits those behind token i.
func Row(t *model.Tap, i int) []float32 {
	width := t.Shape[len(t.Shape)-1]
	return t.Value[i*width:][:width]
}

// rows is how many rows a value has.
func rows(t *model.Tap) int {
	if len(t.Value) == 0 {
		return 0
	}
	return len(t.Value) / t.Shape[len(t.Shape)-1]
}

// moved adds to taps of the pass what change writes, calls do and takes it away again.
func (e *Explainer) moved(b *model.Batch, change func(tap *model.Tap), do func() error) error {
	if err := e.pass.Begin(b); err != nil { // before List, which takes slices of the batch's sizes
		return err
	}
	all := e.pass.List(b)
	e.pass.End()
	for i := range all {
		if all[i].Add != nil {
			change(&all[i])
		}
	}
	defer func() {
		for i := range all {
			clear(all[i].Add)
		}
	}()
	return do()
}

// Target is a number that a pass gives and that is explained. Of a text it is the logarithm of the probability, in
// nats, that Token follows token Step, or with Against ≥ 0 by how much it is above that of another one; that is the
// difference of their logits. Of a vector or a verdict, which have no probabilities, it is number Token of it.
type Target struct {
	Step    int
	Token   int
	Against int  // a token; below 0 for none
	Logit   bool // the plain number that the model gives, in place of a logarithm of a probability
}

// of gives the target and its gradient with respect to what the pass gave, y [rows, width].
func (t Target) of(y *model.Tap) (score float64, seed []float32, err error) {
	if t.Step < 0 || t.Step >= rows(y) {
		return 0, nil, fmt.Errorf("there is no prediction behind token %d of %d", t.Step, rows(y))
	}
	row := Row(y, t.Step)
	for _, token := range []int{t.Token, max(t.Against, 0)} {
		if token < 0 || token >= len(row) {
			return 0, nil, fmt.Errorf("the model gives %d numbers, and no number %d", len(row), token)
		}
	}
	seed = make([]float32, len(y.Value))
	at := seed[t.Step*len(row):][:len(row)]
	at[t.Token] = 1
	switch {
	case t.Against >= 0:
		at[t.Against]--
		return float64(row[t.Token]) - float64(row[t.Against]), seed, nil
	case t.Logit:
		return float64(row[t.Token]), seed, nil
	}
	p, log := Softmax(row)
	for i, x := range p {
		at[i] -= float32(x)
	}
	return log[t.Token], seed, nil
}

// Score is the target for what a pass has given.
func (t Target) Score(p *Pass) (float64, error) {
	score, _, err := t.of(p.Output())
	return score, err
}

// Softmax is the probabilities of logits and their logarithms, in nats.
func Softmax(logits []float32) (p, log []float64) {
	top := math.Inf(-1)
	for _, x := range logits {
		top = max(top, float64(x))
	}
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	p, log = make([]float64, len(logits)), make([]float64, len(logits))
	for i, x := range logits {
		log[i] = float64(x) - top - math.Log(sum)
		p[i] = math.Exp(log[i])
	}
	return p, log
}

// Gradients runs the pass over b and gives the gradient of Σ seed∘y, y being what the pass gives, with respect to every
// value that it depends on, by the name of the tap. seed is of y's length.
func (e *Explainer) Gradients(b *model.Batch, seed []float32) (*Pass, map[string][]float32, error) {
	p, err := e.Run(b)
	if err != nil {
		return nil, nil, err
	}
	if err := e.pass.Pull(b, seed); err != nil {
		return nil, nil, err
	}
	all := map[string][]float32{}
	for _, t := range p.Taps {
		if t.Gradient != nil {
			all[t.Name] = slices.Clone(t.Gradient)
		}
	}
	return p, all, nil
}

// blind runs the pass for its values alone: where heads look is not computed, which takes as long as all else does.
func (e *Explainer) blind(b *model.Batch) ([]model.Tap, error) {
	if e.pass.Blind != nil {
		*e.pass.Blind = true
		defer func() { *e.pass.Blind = false }()
	}
	return e.pass.Run(b)
}

// score runs the pass and gives the target.
func (e *Explainer) score(b *model.Batch, t Target) (float64, error) {
	all, err := e.blind(b)
	if err != nil {
		return 0, err
	}
	score, _, err := t.of(&all[len(all)-1])
	return score, err
}

// pull runs the pass, gives the target, and leaves its gradient with respect to the values in the taps that it lists.
func (e *Explainer) pull(b *model.Batch, t Target) (float64, []model.Tap, error) {
	all, err := e.blind(b)
	if err != nil {
		return 0, nil, err
	}
	score, seed, err := t.of(&all[len(all)-1])
	if err != nil {
		return 0, nil, err
	}
	return score, all, e.pass.Pull(b, seed)
}
