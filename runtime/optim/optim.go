// Package optim holds the update rules, clipping and schedules of training, over the flat arrays that generated models
// keep their parameters in.
//
// Formulas and names are PyTorch's. The package must know nothing of models, layers or data.
package optim

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// All Step methods update params from grads, which have the length that the optimizer was made for. gscale multiplies
// the gradient first: the factor of ClipNorm. step is the number of the update, from 1. They allocate nothing.

// Average moves an average of parameters on by a step: average = decay·average + (1−decay)·params, in the first
// len(average) of them.
func Average(average, params []float32, decay float64) {
	kernel.Scale(average, average, float32(decay), len(average))
	kernel.AddScaled(average, average, params, float32(1-decay), len(average))
}

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

// Slots lists the optimizer's arrays.
func (s *SGD) Slots() []model.Slot {
	if s.velocity == nil {
		return nil
	}
	return []model.Slot{{Name: "sgd.velocity", Value: s.velocity}}
}

// RMSprop is Hinton's rule (Coursera, lecture 6e, 2012): a = alpha·a + (1−alpha)·d², p = p − rate·d/(√a + eps), with d
// = g + decay·p; with momentum, b = momentum·b + d/(√a + eps) and p = p − rate·b.
type RMSprop struct {
	average, velocity           []float32
	alpha, momentum, eps, decay float32
}

// NewRMSprop makes the rule for n parameters.
func NewRMSprop(n int, alpha, momentum, eps, decay float64) *RMSprop {
	r := &RMSprop{average: model.Floats(n), alpha: float32(alpha), momentum: float32(momentum), eps: float32(eps),
		decay: float32(decay)}
	if momentum != 0 {
		r.velocity = model.Floats(n)
	}
	return r
}

// Step makes one update.
func (r *RMSprop) Step(params, grads []float32, rate float64, gscale float32, step int) {
	if r.velocity == nil {
		kernel.RMSprop(params, grads, r.average, float32(rate), r.alpha, r.eps, r.decay, gscale, len(params))
		return
	}
	// Conversions keep the compiler from joining products and sums, so that the bits are the same everywhere.
	for i, p := range params {
		d := float32(grads[i]*gscale) + float32(r.decay*p)
		r.average[i] = float32(r.alpha*r.average[i]) + float32((1-r.alpha)*float32(d*d))
		r.velocity[i] = float32(r.momentum*r.velocity[i]) + d/(float32(math.Sqrt(float64(r.average[i])))+r.eps)
		params[i] = p - float32(float32(rate)*r.velocity[i])
	}
}

// Slots lists the optimizer's arrays.
func (r *RMSprop) Slots() []model.Slot {
	s := []model.Slot{{Name: "rmsprop.average", Value: r.average}}
	if r.velocity != nil {
		s = append(s, model.Slot{Name: "rmsprop.velocity", Value: r.velocity})
	}
	return s
}

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

// Slots lists the optimizer's arrays.
func (a *Adagrad) Slots() []model.Slot { return []model.Slot{{Name: "adagrad.sum", Value: a.sum}} }

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

// bias gives the corrections 1 − βᵗ of the moments, which start at zero.
func (m *moments) bias(step int) (b1, b2 float32) {
	t := float64(step)
	return float32(1 - math.Pow(m.beta1, t)), float32(1 - math.Pow(m.beta2, t))
}

// Step makes one update.
func (a *Adam) Step(params, grads []float32, rate float64, gscale float32, step int) {
	b1, b2 := a.bias(step)
	kernel.AdamL2(params, grads, a.first, a.second, float32(rate), float32(a.beta1), float32(a.beta2), float32(a.eps),
		float32(a.decay), b1, b2, gscale, len(params))
}

// Slots lists the optimizer's arrays.
func (a *Adam) Slots() []model.Slot {
	return []model.Slot{{Name: "adam.first", Value: a.first}, {Name: "adam.second", Value: a.second}}
}

// Step makes one update.
func (a *AdamW) Step(params, grads []float32, rate float64, gscale float32, step int) {
	b1, b2 := a.bias(step)
	kernel.Adam(params, grads, a.first, a.second, float32(rate), float32(a.beta1), float32(a.beta2), float32(a.eps),
		float32(a.decay), b1, b2, gscale, len(params))
}

// Slots lists the optimizer's arrays.
func (a *AdamW) Slots() []model.Slot {
	return []model.Slot{{Name: "adamw.first", Value: a.first}, {Name: "adamw.second", Value: a.second}}
}
