package optim

import (
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Adagrad is the rule of Duchi, Hazan & Singer 2011: s = s + d², p = p − rate·d/(√s + eps), with d = g + decay·p.
type Adagrad struct {
	sum        []float32
	eps, decay float32
}

// NewAdagrad makes the rule for n parameters.
func NewAdagrad(n int, eps, decay float64) *Adagrad {
	return &Adagrad{sum: model.Floats(n), eps: float32(eps), decay: float32(decay)}
}

// Step makes one update.
func (a *Adagrad) Step(params, grads []float32, rate float64, gscale float32, step int) {
	kernel.Adagrad(params, grads, a.sum, float32(rate), a.eps, a.decay, gscale, len(params))
}

// Part is the rule of parameters from up to to alone.
func (a *Adagrad) Part(from, to int) Rule {
	part := *a
	part.sum = a.sum[from:to]
	return &part
}

// Slots lists the optimizer's arrays.
func (a *Adagrad) Slots() []model.Slot { return []model.Slot{{Name: "adagrad.sum", Value: a.sum}} }
