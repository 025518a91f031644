package optim

import (
	"math"
	"testing"
)

func TestAnnealing(t *testing.T) {
	for _, x := range []struct {
		a    Annealing
		want map[int]float64
	}{
		{Annealing{Kind: "none"}, map[int]float64{0: 1, 100: 1}},
		{Annealing{Kind: "linear", Steps: 10}, map[int]float64{0: 0, 5: 0.5, 10: 1, 11: 1, 1000: 1}},
		{Annealing{Kind: "linear", Steps: 10, Start: 0.2}, map[int]float64{0: 0.2, 5: 0.6, 10: 1}},
		{Annealing{Kind: "cyclical", Steps: 20, Cycles: 2, Ramp: 0.5},
			map[int]float64{0: 0, 5: 0.5, 10: 1, 19: 1, 20: 0, 25: 0.5, 39: 1, 40: 1, 41: 1}},
		{Annealing{Kind: "cyclical", Steps: 20, Cycles: 1, Ramp: 1, Start: 0.5},
			map[int]float64{0: 0.5, 10: 0.75, 20: 1}},
		{Annealing{Kind: "sigmoid", Middle: 100, Slope: 0.1},
			map[int]float64{100: 0.5, 0: 1 / (1 + math.Exp(10)), 110: 1 / (1 + math.Exp(-1))}},
	} {
		for step, want := range x.want {
			if got := x.a.At(step); math.Abs(got-want) > 1e-12 {
				t.Errorf("%+v at %d is %v, want %v", x.a, step, got, want)
			}
		}
	}
}
