// Package schedule makes the training steps of a model from data: which kinds of steps there are, when each has its
// turn, and which parameters it moves. A model of one loss has one kind; networks that are trained against each other
// have one for each of them, and perhaps one for the time before.
//
// It must know nothing of what a step computes: the model gives it a function for that.
package schedule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/param"
)

// Rule is an optimizer of package optim.
type Rule = optim.Rule

// Part is the parameters that one optimizer moves: elements From to To of the flat arrays of a model.
type Part struct {
	Name     string // in front of the names of the optimizer's arrays; empty where a model has one part
	From, To int
	NewRule  func(from, to int) Rule // makes the optimizer of elements from to to of the flat arrays
	Rule     Rule                    // of the part; nil before it is needed, so that what never moves has none
	Factor   float64                 // on the rate of a step; 0 for 1
	own      []Rule                  // of what this process of a group updates in each stretch; nil before it is needed

	Average []float32 // average of the parameters over the updates, which samples are made with; nil for none
	Decay   float64   // of the average
	beside  bool      // the average is kept beside the parameters, as [Training.Averaged] says
}

// rule is the optimizer, which is made when it is needed.
func (p *Part) rule() Rule {
	if p.Rule == nil {
		p.Rule = p.NewRule(p.From, p.To)
	}
	return p.Rule
}

// Step is a kind of step.
type Step struct {
	Name  string
	Moves []*Part // which lie one behind the other in the flat arrays

	// Reads gives what Gradients is computed of, for the batch of a training step: the batch, with what is drawn for
	// it. nil for the batch alone.
	Reads func(b *model.Batch) (*model.Batch, error)
	// Gradients computes the mean loss of a batch and the gradient of the parts that the step moves.
	Gradients func(b *model.Batch) (loss float64, err error)
	ByRow     bool       // the loss is a mean over the rows of the batch, and not over its targets
	Measures  []*float64 // where Gradients leaves other means over the same

	// In which training steps it has its turn: from number From on, which is counted from 0, up to number Until, which
	// is no more, or for good where that is 0; of these every Every-th, or each where that is 0.
	From, Until, Every int

	Times int     // how often in one training step, each time on its share of the batch; 0 for once, on all of it
	Asked bool    // it never has its turn: it is made when it is asked for
	Rate  float64 // factor on the rate of the training; 0 for 1

	Last *float64 // where its loss goes; nil for nowhere
	Made int      // how often it has been made
}

// turn reports whether the step belongs to training step n.
func (s *Step) turn(n int) bool {
	return !s.Asked && n >= s.From && (s.Until == 0 || n < s.Until) && (n-s.From)%max(1, s.Every) == 0
}

// before is how often the step is made in the training steps before number n.
func (s *Step) before(n int) int {
	if s.Until > 0 {
		n = min(n, s.Until)
	}
	every := max(1, s.Every)
	return max(0, n-s.From+every-1) / every * max(1, s.Times)
}

// Training makes the steps of a model.
type Training struct {
	Params, Grads []float32 // the flat arrays

	// Norm bounds the Euclidean norm of the gradient of a step, Value then each number of it; 0 is no bound.
	Norm, Value float64

	Steps []*Step // in the order in which a training step makes them
	Count int     // training steps done
	Width int     // of the vectors that are cut into shares and shards
	Noise int     // width of the rows of noise that are cut into shards

	// Judge gives a discriminator's verdicts on lines, one for each row of a batch or for each row at each of its
	// steps.
	Judge func(b *model.Batch) []float32

	State []float32   // carried from one batch to the next; empty for none
	Fixed [][]float32 // parameters that are not learnt, but written by Gradients: the same for each shard

	// Tensors lists the parameters and their gradients in the order of the flat arrays, for the error of a gradient
	// that is not finite.
	Tensors func() []model.Tensor

	// Check, where it is not nil, sees each step before it moves anything: its kind, its mean loss and the norm of its
	// gradient before clipping, which are finite. Its error ends the training step, and nothing moves.
	Check func(s *Step, loss, norm float64) error

	// Whole asks for the whole gradient after each step, in every process of a group; otherwise one that updates a part
	// of the parameters may have no more than the gradient of that part.
	Whole bool

	// AtEnd has the processes of a group add up gradients when all of them have been computed, to compare with: no bit
	// depends on it. Watch, where it is not nil, is told by Ready of each element of the flat arrays from which on
	// gradients are complete.
	AtEnd bool
	Watch func(from int)

	whole, part model.Batch // what is cut into shares, and a share
	shards      shards
}

// TrainStep makes the steps of a training step, at a rate that each multiplies with its own factor. It returns the
// loss and the norm of the gradient of the last one, before its update and before clipping. An error ends the training
// step: what the step that failed would have moved is as it was.
func (t *Training) TrainStep(b *model.Batch, rate float64) (loss, norm float64, err error) {
	for _, s := range t.Steps {
		if !s.turn(t.Count) {
			continue
		}
		for k := range max(1, s.Times) {
			if s.Times > 1 {
				if k == 0 {
					t.whole = *b
				}
				t.part = t.whole.Share(k, s.Times, t.Width)
				b = &t.part // the last share is also what the steps behind this one read
			}
			if loss, norm, err = t.make(s, b, rate); err != nil {
				return loss, norm, err
			}
		}
	}
	t.Count++
	return loss, norm, nil
}

// StepOf makes one step of a kind, whatever its turn is, at a rate that is its own.
func (t *Training) StepOf(name string, b *model.Batch, rate float64) (loss, norm float64, err error) {
	s := t.step(name)
	if s == nil {
		var names []string
		for _, s := range t.Steps {
			names = append(names, s.Name)
		}
		return 0, 0, fmt.Errorf("there is no kind of step %q: the model has %s", name, strings.Join(names, ", "))
	}
	return t.makeAt(s, b, rate)
}

func (t *Training) step(name string) *Step {
	for _, s := range t.Steps {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// make makes a step in its turn.
func (t *Training) make(s *Step, b *model.Batch, rate float64) (loss, norm float64, err error) {
	if s.Rate != 0 {
		rate *= s.Rate
	}
	return t.makeAt(s, b, rate)
}

func (t *Training) makeAt(s *Step, b *model.Batch, rate float64) (loss, norm float64, err error) {
	if loss, err = t.gradients(s, b); err != nil {
		return loss, 0, err
	}
	for i, p := range s.Moves[1:] { // what lies between does not move, and so counts for nothing in the norm
		clear(t.Grads[s.Moves[i].To:p.From])
	}
	norm, err = t.norm(s)
	if err != nil {
		return loss, norm, err
	}
	scale := float32(1)
	if t.Norm > 0 {
		scale = optim.Shrink(norm, t.Norm)
	}
	if !optim.Finite(loss, norm) {
		if err := t.complete(s); err != nil {
			return loss, norm, err
		}
		return loss, norm, model.NotFiniteGradient(norm, t.Tensors)
	}
	if t.Check != nil {
		if err := t.Check(s, loss, norm); err != nil {
			return loss, norm, err
		}
	}
	if t.Value > 0 {
		for _, own := range t.own(s, t.shards.whole) {
			optim.ClipValue(t.Grads[own.from:own.to], scale, t.Value)
		}
		scale = 1
	}
	if s.Last != nil {
		*s.Last = loss
	}
	s.Made++
	for _, p := range s.Moves {
		rate := rate
		if p.Factor != 0 {
			rate *= p.Factor
		}
		t.update(s, p, rate, scale)
	}
	if err := t.spread(s); err != nil {
		return loss, norm, err
	}
	for _, p := range s.Moves {
		if p.Average != nil {
			p.average(t.Params[p.From:p.To], t.Updates(p))
		}
	}
	return loss, norm, nil
}

// Updates is how often a part has been moved.
func (t *Training) Updates(p *Part) int {
	n := 0
	for _, s := range t.Steps {
		if slices.Contains(s.Moves, p) {
			n += s.Made
		}
	}
	return n
}

// Made is how many steps have been made, of whatever kind.
func (t *Training) Made() int {
	n := 0
	for _, s := range t.Steps {
		n += s.Made
	}
	return n
}

// SetCount goes on from training step n, as if all before it had been made. Steps that are asked for stay what they
// are.
func (t *Training) SetCount(n int) {
	t.Count = n
	for _, s := range t.Steps {
		if !s.Asked {
			s.Made = s.before(n)
		}
	}
}

// MadeOf is how often steps of a kind have been made.
func (t *Training) MadeOf(name string) int {
	if s := t.step(name); s != nil {
		return s.Made
	}
	return 0
}

// SetMadeOf is for a training that goes on from a checkpoint.
func (t *Training) SetMadeOf(name string, n int) { t.step(name).Made = n }

// Largest is the parameter with the largest gradient of those that a step has just computed, and the norm of that.
func (t *Training) Largest(s *Step) (name string, norm float64) {
	if t.Tensors == nil || t.complete(s) != nil {
		return "", 0
	}
	at, from, to := 0, s.Moves[0].From, s.Moves[len(s.Moves)-1].To
	for _, x := range t.Tensors() {
		if n := optim.Norm(x.Grad); n > norm && at >= from && at < to { // of this step
			name, norm = x.Name, n
		}
		at += param.Stride(len(x.Grad))
	}
	return name, norm
}

// Slots lists the arrays of the optimizers in the order of the parts, whose names stand in front of theirs, and the
// averages that are kept beside the parameters.
func (t *Training) Slots() []model.Slot {
	var all []model.Slot
	for _, p := range t.parts() {
		slots := p.rule().Slots()
		if p.beside {
			slots = append(slots, model.Slot{Name: "average", Value: p.Average})
		}
		if p.Name != "" {
			slots = model.Named(p.Name, slots)
		}
		all = append(all, slots...)
	}
	return all
}
