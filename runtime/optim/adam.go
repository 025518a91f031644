package optim

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Adam is the rule of Kingma & Ba 2015, algorithm 1, with weight decay added to the gradient.
type Adam struct{ moments }

// AdamW is Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).
type AdamW struct{ moments }

type moments struct {
	first, second            []float32
	beta1, beta2, eps, decay float64
}

func newMoments(n int, beta1, beta2, eps, decay float64) moments {
	return moments{model.Floats(n), model.Floats(n), beta1, beta2, eps, decay}
}

// NewAdam makes the rule for n parameters.
func NewAdam(n int, beta1, beta2, eps, decay float64) *Adam {
	return &Adam{newMoments(n, beta1, beta2, eps, decay)}
}

// NewAdamW makes the rule for n parameters.
func NewAdamW(n int, beta1, beta2, eps, decay float64) *AdamW {
	return &AdamW{newMoments(n, beta1, beta2, eps, decay)}
}

// part is elements from up to to.
func (m moments) part(from, to int) moments {
	m.first, m.second = m.first[from:to], m.second[from:to]
	return m
}

// biases gives the corrections 1 − βᵗ of averages, which start at zero.
func biases(beta1, beta2 float64, step int) (b1, b2 float32) {
	t := float64(step)
	return float32(1 - math.Pow(beta1, t)), float32(1 - math.Pow(beta2, t))
}

// Step makes one update.
func (a *Adam) Step(params, grads []float32, rate float64, gscale float32, step int) {
	b1, b2 := biases(a.beta1, a.beta2, step)
	kernel.AdamL2(params, grads, a.first, a.second, float32(rate), float32(a.beta1), float32(a.beta2), float32(a.eps),
		float32(a.decay), b1, b2, gscale, len(params))
}

// Part is the rule of parameters from up to to alone.
func (a *Adam) Part(from, to int) Rule { return &Adam{a.part(from, to)} }

// Slots lists the optimizer's arrays.
func (a *Adam) Slots() []model.Slot {
	return []model.Slot{{Name: "adam.first", Value: a.first}, {Name: "adam.second", Value: a.second}}
}

// Step makes one update.
func (a *AdamW) Step(params, grads []float32, rate float64, gscale float32, step int) {
	b1, b2 := biases(a.beta1, a.beta2, step)
	kernel.Adam(params, grads, a.first, a.second, float32(rate), float32(a.beta1), float32(a.beta2), float32(a.eps),
		float32(a.decay), b1, b2, gscale, len(params))
}

// Part is the rule of parameters from up to to alone.
func (a *AdamW) Part(from, to int) Rule { return &AdamW{a.part(from, to)} }

// Slots lists the optimizer's arrays.
func (a *AdamW) Slots() []model.Slot {
	return []model.Slot{{Name: "adamw.first", Value: a.first}, {Name: "adamw.second", Value: a.second}}
}
