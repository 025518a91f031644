package train

import (
	"errors"
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/schedule"
)

// averaging makes a training keep an average of its parameters, and gives the steps of a model whose parameters are
// exchanged around evaluations and checkpoints, for an average or because its rule of update wants it; nil for others.
func averaging(m model.LanguageModel, decay float64) (*schedule.Training, error) {
	if !(decay >= 0 && decay < 1) {
		return nil, fmt.Errorf("the average of the parameters decays with %v: give 0 for none, or a number below 1", decay)
	}
	s, ok := m.(scheduled)
	if !ok && decay > 0 {
		return nil, errors.New("the model does not show the steps over whose updates its parameters are to be averaged: " +
			"generate its code anew")
	}
	if !ok {
		return nil, nil
	}
	t := s.Training()
	if decay > 0 && t.Swaps() {
		return nil, errors.New("the rule of update keeps an average of the parameters itself: leave ema out")
	}
	t.Averaged(decay)
	if !t.Swaps() {
		return nil, nil
	}
	return t, nil
}

// swap exchanges the parameters that are trained with those that are evaluated and saved, and gives what takes that
// back. In a checkpoint the former are an array beside those of the optimizer.
func (r *runner) swap() (back func()) {
	if r.averaged == nil {
		return func() {}
	}
	r.averaged.Swap()
	return r.averaged.Swap
}
