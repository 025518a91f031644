package optim

import (
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// ScheduleFree is schedule-free AdamW (Defazio et al. 2024, algorithm 1). It keeps three points: z, which is moved, x,
// the average of z, which is good to have, and y between them, where the gradient g is computed and which is what it is
// given as parameters. With γ the rate of step t, and all three equal before the first one:
//
//	v = beta2·v + (1−beta2)·g²
//	z = z − γ·decay·y − γ·g/(√(v/(1−beta2ᵗ)) + epsilon)
//	x = x + c·(z − x)                with c = γ²/Σγ², the sum being over all steps
//	y = z + beta1·(x − z)
//
// The parameters of a model that has been trained are x, which Shown gives; schedule.Training.Swap puts them in place.
type ScheduleFree struct {
	x, z, second                 []float32
	weight                       []float32 // whether there was a step, and Σγ² in two numbers, whose sum it is
	gradient                     []float32 // scratch, of one stretch
	beta1, beta2, epsilon, decay float64
}

// stretch is how many parameters are moved at once: what is worked in stays in the caches.
const stretch = 1 << 16

// NewScheduleFree makes the rule for n parameters.
func NewScheduleFree(n int, beta1, beta2, epsilon, decay float64) *ScheduleFree {
	return &ScheduleFree{x: model.Floats(n), z: model.Floats(n), second: model.Floats(n), weight: make([]float32, 3),
		gradient: model.Floats(min(n, stretch)), beta1: beta1, beta2: beta2, epsilon: epsilon, decay: decay}
}

// Step makes one update.
func (s *ScheduleFree) Step(params, grads []float32, rate float64, gscale float32, step int) {
	if s.weight[0] == 0 {
		s.weight[0] = 1
		copy(s.x, params)
		copy(s.z, params)
	}
	share := 0.0
	if sum := s.sum() + rate*rate; sum > 0 {
		share = rate * rate / sum
		s.weight[1] = float32(sum)
		s.weight[2] = float32(sum - float64(s.weight[1]))
	}
	_, bias2 := biases(0, s.beta2, step)
	for from := 0; from < len(params); from += stretch {
		n := min(stretch, len(params)-from)
		y, g, x, z, v := params[from:][:n], grads[from:][:n], s.x[from:][:n], s.z[from:][:n], s.second[from:][:n]
		if s.decay != 0 {
			kernel.AddScaled(z, z, y, float32(-rate*s.decay), n)
		}
		// Adam's step from z, whose average of gradients is the gradient itself.
		kernel.Adam(z, g, s.gradient, v, float32(rate), 0, float32(s.beta2), float32(s.epsilon), 0, 1, bias2, gscale, n)
		kernel.Scale(x, x, float32(1-share), n)
		kernel.AddScaled(x, x, z, float32(share), n)
		kernel.AddScaled(y, x, z, -1, n) // so that y is z where x is: a step at rate 0 changes nothing
		kernel.AddScaled(y, z, y, float32(s.beta1), n)
	}
}

// sum is Σγ² of the steps that were made.
func (s *ScheduleFree) sum() float64 { return float64(s.weight[1]) + float64(s.weight[2]) }

// Shown is the array of the parameters that are good to have; nil before the first step, when they are those that are
// there.
func (s *ScheduleFree) Shown() []float32 {
	if s.weight[0] == 0 {
		return nil
	}
	return s.x
}

// Slots lists the optimizer's arrays.
func (s *ScheduleFree) Slots() []model.Slot {
	return []model.Slot{{Name: "schedule_free.average", Value: s.x}, {Name: "schedule_free.moved", Value: s.z},
		{Name: "schedule_free.second", Value: s.second}, {Name: "schedule_free.weight", Value: s.weight}}
}
