package train

import (
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/schedule"
)

// Divide makes m cut the batches of its training into n shards, whose gradients are computed one after the other and
// added up: see [schedule.Training.Divide]. It is called before the training begins. With n = 1 the training is what it
// is without the call.
func Divide(m model.LanguageModel, n int) error {
	s, ok := m.(scheduled)
	switch {
	case ok:
		return s.Training().Divide(n)
	case n == 1:
		return nil
	}
	return fmt.Errorf("%s does not cut its batches into shards: generate its code anew", m.Info().Name)
}

// divided is the schedule of a model whose batches are cut into several shards; nil for others.
func divided(m model.LanguageModel) *schedule.Training {
	if s, ok := m.(scheduled); ok && s.Training().Shards() > 1 {
		return s.Training()
	}
	return nil
}
