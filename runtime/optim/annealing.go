package optim

import "math"

// Annealing is how a weight rises to 1 over the steps of a training, such as that of the divergence in the loss of a
// variational autoencoder (Bowman et al. 2016).
type Annealing struct {
	Kind   string  // "linear", "cyclical" or "sigmoid"; others are 1 from the start
	Steps  int     // linear: of the rise; cyclical: of a cycle
	Cycles int     // cyclical: how many, after which the weight stays 1
	Ramp   float64 // cyclical: share of a cycle in which the weight rises
	Start  float64 // linear, cyclical: where the rise begins
	Middle int     // sigmoid: the step at which the weight is ½
	Slope  float64 // sigmoid
}

// At is the weight in the step that follows after step steps.
//
//	linear    Start + (1 − Start)·min(1, step/Steps)
//	cyclical  the same of step mod Steps and Ramp·Steps (Fu et al. 2019, equation 6)
//	sigmoid   1/(1 + e^(−Slope·(step − Middle)))
func (a Annealing) At(step int) float64 {
	t := float64(step)
	switch a.Kind {
	case "linear":
		return a.rise(t / float64(a.Steps))
	case "cyclical":
		if step < a.Steps*a.Cycles {
			return a.rise(float64(step%a.Steps) / float64(a.Steps) / a.Ramp)
		}
	case "sigmoid":
		return 1 / (1 + math.Exp(-a.Slope*(t-float64(a.Middle))))
	}
	return 1
}

func (a Annealing) rise(x float64) float64 { return a.Start + float64((1-a.Start)*min(1, x)) }
