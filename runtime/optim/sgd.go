package optim

import (
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// SGD is stochastic gradient descent with optional momentum, in Polyak's form or Nesterov's: d = g + decay·p, v =
// momentum·v + d (v = d in step 1), p = p − rate·v, or p = p − rate·(d + momentum·v) for Nesterov's.
type SGD struct {
	velocity        []float32
	momentum, decay float32
	nesterov        bool
}

// NewSGD makes the rule for n parameters; momentum 0 is plain gradient descent, which keeps no array.
func NewSGD(n int, momentum float64, nesterov bool, decay float64) *SGD {
	s := &SGD{momentum: float32(momentum), decay: float32(decay), nesterov: nesterov}
	if momentum != 0 {
		s.velocity = model.Floats(n)
	}
	return s
}

// Step makes one update.
func (s *SGD) Step(params, grads []float32, rate float64, gscale float32, step int) {
	if s.velocity == nil {
		kernel.SGD(params, grads, float32(rate), s.decay, gscale, len(params))
		return
	}
	kernel.SGDMomentum(params, grads, s.velocity, float32(rate), s.momentum, 0, s.decay, s.nesterov, gscale,
		len(params))
}

// Part is the rule of parameters from up to to alone.
func (s *SGD) Part(from, to int) Rule {
	part := *s
	if s.velocity != nil {
		part.velocity = s.velocity[from:to]
	}
	return &part
}

// Slots lists the optimizer's arrays.
func (s *SGD) Slots() []model.Slot {
	if s.velocity == nil {
		return nil
	}
	return []model.Slot{{Name: "sgd.velocity", Value: s.velocity}}
}
