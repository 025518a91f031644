package optim

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Schedule gives the rate of each step of a training.
type Schedule struct {
	Kind   string  // "constant", "step", "cosine", "wsd" or "plateau"
	Rate   float64 // after the warm-up
	Warmup int     // steps of linear rise
	Every  int     // step: steps between two decays
	Factor float64 // step, plateau: what the rate is multiplied with
	Floor  float64 // cosine, wsd: rate at the end; plateau: the lowest
	Share  float64 // wsd: of the steps, at their end, in which the rate falls
	Shape  string  // wsd: how it falls, "root" or "linear"

	// plateau: validations in a row after which the rate is multiplied when none has a loss that is Threshold below the
	// lowest
	Patience  int
	Threshold float64
}

// At is the rate of step, from 0, of a training of total steps.
//
// The warm-up goes from Rate/(Warmup+1) to Rate. After it, "step" multiplies by Factor after every Every steps, and
// "cosine" falls to Floor at the last step along Floor + (Rate − Floor)·(1 + cos πx)/2 with x from 0 to 1 (Loshchilov
// & Hutter 2017, equation 5, without restarts). "wsd", warm-up, stable, decay (Hu et al. 2024, equation 1), stays at
// Rate, and in the last ⌈Share·total⌉ steps falls to Floor at the last one along Floor + (Rate − Floor)·f, with f =
// 1 − √x (Hägele et al. 2024, section 3) or 1 − x. Of "plateau" this is the rate before any fall, see [Plateau].
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
	case "wsd":
		fall := s.Fall(total)
		x := min(1, float64(step+1-(total-fall))/float64(fall))
		if x <= 0 {
			return s.Rate
		}
		if s.Shape == "root" {
			x = math.Sqrt(x)
		}
		return s.Floor + (s.Rate-s.Floor)*(1-x)
	}
	return s.Rate
}

// Fall is the number of steps, at the end of a training of total steps, in which "wsd" falls.
func (s Schedule) Fall(total int) int { return max(1, int(math.Ceil(s.Share*float64(total)))) }

// Plateau is what validations have made of the rate of a training (the rule of PyTorch's ReduceLROnPlateau, with a
// threshold that is a difference and without a pause behind a fall).
type Plateau struct {
	Lowest float64 // loss that the next ones are held to; +Inf at the start
	Stale  int     // validations since
	Scale  float64 // what the rate is multiplied with; 1 at the start
}

// NewPlateau is the start of a training.
func NewPlateau() Plateau { return Plateau{Lowest: math.Inf(1), Scale: 1} }

// Validated takes note of a validation loss, and reports whether the rate falls by it. A loss that is not a number
// counts as one that is not lower.
func (p *Plateau) Validated(loss float64, s Schedule) bool {
	if loss < p.Lowest-s.Threshold {
		p.Lowest, p.Stale = loss, 0
		return false
	}
	if p.Stale++; s.Kind != "plateau" || p.Stale < s.Patience || s.Rate*p.Scale <= s.Floor {
		return false
	}
	p.Stale = 0
	p.Scale *= s.Factor
	return true
}

// At is the rate of step, as [Schedule.At] gives it, of a training whose validations are p.
func (p *Plateau) At(s Schedule, step, total int) float64 {
	rate := s.At(step, total)
	if p.Scale == 1 {
		return rate
	}
	return max(min(rate, s.Floor), rate*p.Scale)
}

// NewSchedule makes the schedule that a spec asks for.
func NewSchedule(t model.Training) Schedule {
	return Schedule{Kind: t.Schedule, Rate: t.Rate, Warmup: t.Warmup, Every: t.Every, Factor: t.Factor, Floor: t.Floor,
		Share: t.Fall, Shape: t.Shape, Patience: t.Wait, Threshold: t.Threshold}
}

// Check tells what is wrong with a schedule, if anything is.
func (s Schedule) Check() error {
	switch {
	case !(s.Rate > 0) || math.IsInf(s.Rate, 0):
		return fmt.Errorf("the learning rate is %v; it must be above 0", s.Rate)
	case s.Warmup < 0:
		return fmt.Errorf("the warm-up has %d steps; it must not be negative", s.Warmup)
	}
	if (s.Kind == "cosine" || s.Kind == "wsd" || s.Kind == "plateau") && (!(s.Floor >= 0) || s.Floor > s.Rate) {
		return fmt.Errorf("the rate falls from %v to %v; the floor must be from 0 to the rate", s.Rate, s.Floor)
	}
	switch s.Kind {
	case "", "constant", "cosine":
	case "step":
		if s.Every < 1 || !(s.Factor > 0) {
			return fmt.Errorf("the schedule multiplies the rate by %v every %d steps; both must be above 0", s.Factor,
				s.Every)
		}
	case "wsd":
		if !(s.Share > 0 && s.Share <= 1) || s.Shape != "root" && s.Shape != "linear" {
			return fmt.Errorf("the rate falls over %v of the steps as %q; give a share above 0 and up to 1, and root or "+
				"linear", s.Share, s.Shape)
		}
	case "plateau":
		if !(s.Factor > 0 && s.Factor <= 1) || s.Patience < 1 || !(s.Threshold >= 0) {
			return fmt.Errorf("the schedule multiplies the rate by %v after %d validations, with a threshold of %v; the "+
				"first must be above 0 and up to 1, the second 1 or more, the third 0 or more", s.Factor, s.Patience,
				s.Threshold)
		}
	default:
		return fmt.Errorf("the schedule %q is not known; use constant, step, cosine, wsd or plateau", s.Kind)
	}
	return nil
}
