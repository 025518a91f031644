package optim

import (
	"math"
	"slices"
	"testing"
)

// The average weighs each step with the square of its rate, over many steps, in stretches, and going on from what the
// slots keep; a rate of 0 moves nothing.
func TestScheduleFree(t *testing.T) {
	const n = stretch + 5
	make1 := func() *ScheduleFree { return NewScheduleFree(n, 0.8, 0.99, 1e-6, 0.05) }
	s := make1()
	if s.Shown() != nil {
		t.Error("there is something to show before the first step")
	}
	p, g := make([]float32, n), make([]float32, n)
	check := []int{0, 1, stretch - 1, stretch, n - 1}
	x, y, z, v, sum := map[int]float64{}, map[int]float64{}, map[int]float64{}, map[int]float64{}, 0.0
	for i := range p {
		p[i] = float32(math.Sin(float64(i)))
	}
	for _, i := range check {
		x[i], y[i], z[i] = float64(p[i]), float64(p[i]), float64(p[i])
	}
	for step := 1; step <= 60; step++ {
		rate := 0.01 * min(1, float64(step-1)/20) // from 0
		sum += rate * rate
		for i := range g {
			g[i] = float32(math.Cos(float64(i*step + 1)))
		}
		for _, i := range check {
			d := float64(g[i])
			v[i] = 0.99*v[i] + 0.01*d*d
			z[i] -= rate*0.05*y[i] + rate*d/(math.Sqrt(v[i]/(1-math.Pow(0.99, float64(step))))+1e-6)
			if sum > 0 {
				x[i] += rate * rate / sum * (z[i] - x[i])
			}
			y[i] = 0.2*z[i] + 0.8*x[i]
		}
		s.Step(p, g, rate, 1, step)
		if step%7 == 0 { // as from a checkpoint
			other := make1()
			for k, slot := range other.Slots() {
				copy(slot.Value, s.Slots()[k].Value)
			}
			s = other
		}
	}
	for _, i := range check {
		if math.Abs(float64(p[i])-y[i]) > 1e-5 || math.Abs(float64(s.Shown()[i])-x[i]) > 1e-5 {
			t.Errorf("parameter %d is %v and shown as %v, want %v and %v", i, p[i], s.Shown()[i], y[i], x[i])
		}
	}
	if math.Abs(s.sum()-sum) > 1e-15 {
		t.Errorf("the sum of the squared rates is %v, want %v", s.sum(), sum)
	}
	before := slices.Clone(p)
	s.Step(p, g, 0, 1, 61)
	for _, i := range check {
		if math.Abs(float64(p[i]-before[i])) > 1e-6 {
			t.Errorf("at a rate of 0 parameter %d moves from %v to %v", i, before[i], p[i])
		}
	}
}
