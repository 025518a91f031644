package optim

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

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

// Part is the rule of parameters from up to to alone.
func (r *RMSprop) Part(from, to int) Rule {
	part := *r
	part.average = r.average[from:to]
	if r.velocity != nil {
		part.velocity = r.velocity[from:to]
	}
	return &part
}

// Slots lists the optimizer's arrays.
func (r *RMSprop) Slots() []model.Slot {
	s := []model.Slot{{Name: "rmsprop.average", Value: r.average}}
	if r.velocity != nil {
		s = append(s, model.Slot{Name: "rmsprop.velocity", Value: r.velocity})
	}
	return s
}
