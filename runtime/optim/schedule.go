package optim

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Schedule gives the rate of each step of a training.
type Schedule struct {
	Kind   string  // "constant", "step" or "cosine"
	Rate   float64 // after the warm-up
	Warmup int     // steps of linear rise
	Every  int     // step: steps between two decays
	Factor float64 // step: what the rate is multiplied with
	Floor  float64 // cosine: rate at the end
}

// At is the rate of step, from 0, of a training of total steps.
//
// The warm-up goes from Rate/(Warmup+1) to Rate. After it, "step" multiplies by Factor after every Every steps, and
// "cosine" falls to Floor at the last step along Floor + (Rate − Floor)·(1 + cos πx)/2 with x from 0 to 1 (Loshchilov
// & Hutter 2017, equation 5, without restarts).
func (s Schedule) At(step, total int) float64 {
	if step < s.Warmup {
		return s.Rate * float64(step+1) / float64(s.Warmup+1)
	}
	switch s.Kind {
	case "step":
		if s.Every > 0 {
			return s.Rate * math.Pow(s.Factor, float64((step-s.Warmup)/s.Every))
		}
	case "cosine":
		x := 1.0
		if last := total - 1 - s.Warmup; last > 0 {
			x = min(1, float64(step-s.Warmup)/float64(last))
		}
		return s.Floor + (s.Rate-s.Floor)*(1+math.Cos(math.Pi*x))/2
	}
	return s.Rate
}

// NewSchedule makes the schedule that a spec asks for.
func NewSchedule(t model.Training) Schedule {
	return Schedule{Kind: t.Schedule, Rate: t.Rate, Warmup: t.Warmup, Every: t.Every, Factor: t.Factor, Floor: t.Floor}
}

// Check tells what is wrong with a schedule, if anything is.
func (s Schedule) Check() error {
	switch {
	case !(s.Rate > 0) || math.IsInf(s.Rate, 0):
		return fmt.Errorf("the learning rate is %v; it must be above 0", s.Rate)
	case s.Warmup < 0:
		return fmt.Errorf("the warm-up has %d steps; it must not be negative", s.Warmup)
	}
	switch s.Kind {
	case "", "constant":
	case "step":
		if s.Every < 1 || !(s.Factor > 0) {
			return fmt.Errorf("the schedule multiplies the rate by %v every %d steps; both must be above 0", s.Factor,
				s.Every)
		}
	case "cosine":
		if !(s.Floor >= 0) || s.Floor > s.Rate {
			return fmt.Errorf("the rate falls from %v to %v; the floor must be from 0 to the rate", s.Rate, s.Floor)
		}
	default:
		return fmt.Errorf("the schedule %q is not known; use constant, step or cosine", s.Kind)
	}
	return nil
}
