package optim

import (
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Lion is the rule of Chen et al. 2023, algorithm 2, with weight decay decoupled: u = beta1·m + (1−beta1)·g,
// p = p·(1 − rate·decay) − rate·sign(u), m = beta2·m + (1−beta2)·g.
type Lion struct {
	average             []float32
	beta1, beta2, decay float32
}

// NewLion makes the rule for n parameters.
func NewLion(n int, beta1, beta2, decay float64) *Lion {
	return &Lion{model.Floats(n), float32(beta1), float32(beta2), float32(decay)}
}

// Step makes one update.
func (l *Lion) Step(params, grads []float32, rate float64, gscale float32, step int) {
	kernel.Lion(params, grads, l.average, float32(rate), l.beta1, l.beta2, l.decay, gscale, len(params))
}

// Part is the rule of parameters from up to to alone.
func (l *Lion) Part(from, to int) Rule {
	part := *l
	part.average = l.average[from:to]
	return &part
}

// Slots lists the optimizer's arrays.
func (l *Lion) Slots() []model.Slot { return []model.Slot{{Name: "lion.average", Value: l.average}} }
