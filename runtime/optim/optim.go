// Package optim holds the update rules, clipping and schedules of training, over the flat arrays that generated models
// keep their parameters in.
//
// Formulas and names are PyTorch's. The package must know nothing of models, layers or data.
package optim

import (
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/param"
)

// All Step methods update params from grads, which have the length that the optimizer was made for. gscale multiplies
// the gradient first: the factor of ClipNorm. step is the number of the update, from 1. They allocate nothing.

// Rule is a rule of update.
type Rule interface {
	Step(params, grads []float32, rate float64, gscale float32, step int)
	Slots() []model.Slot
}

// Elementwise is a rule that moves each parameter by itself. Part is the rule of parameters from up to to alone, whose
// arrays are a part of the whole one's, so that several can make an update together.
type Elementwise interface {
	Rule
	Part(from, to int) Rule
}

// Average moves an average of parameters on by a step: average = decay·average + (1−decay)·params, in the first
// len(average) of them.
func Average(average, params []float32, decay float64) {
	kernel.Scale(average, average, float32(decay), len(average))
	kernel.AddScaled(average, average, params, float32(1-decay), len(average))
}

// within panics where a tensor does not lie in a flat array of n numbers.
func within(t param.Extent, n int) {
	if t.From < 0 || t.Rows < 0 || t.Columns < 0 || t.From+t.Len() > n {
		panic(fmt.Sprintf("optim: a tensor of %d by %d numbers at %d does not lie in %d numbers", t.Rows, t.Columns,
			t.From, n))
	}
}
