package train

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// duelist is a model whose discriminator is right about everything, but for one step.
type duelist struct {
	*bigram
	wrong int
}

func (d duelist) Duel() *model.Duel {
	if d.step == d.wrong {
		return &model.Duel{Accuracy: 0.9}
	}
	return &model.Duel{Accuracy: 1, Discriminator: 0.01}
}

// TestDuelResumed holds that a training which is interrupted and resumed ends at the step at which one that runs
// through does, where the discriminator has won.
func TestDuelResumed(t *testing.T) {
	won := func(o Options) string {
		_, err := Run(context.Background(), duelist{newBigram(4), 50}, data(), o)
		if err == nil {
			return ""
		}
		return err.Error()
	}
	end := func(path string, steps int, resume bool) Options {
		o := options(path)
		o.Steps, o.Resume = steps, resume
		return o
	}
	dir := t.TempDir()
	whole, parts := filepath.Join(dir, "whole"), filepath.Join(dir, "parts")
	const at = "to step 1050,"
	if err := won(end(whole, 1200, false)); !strings.Contains(err, "discriminator has won") ||
		!strings.Contains(err, at) {
		t.Fatalf("a training of which the discriminator is right from step 51 on ends with %q", err)
	}
	for i, steps := range []int{30, 60, 700, 1040} {
		if err := won(end(parts, steps, i > 0)); err != "" {
			t.Fatalf("to step %d: %s", steps, err)
		}
	}
	if err := won(end(parts, 1200, true)); !strings.Contains(err, at) {
		t.Errorf("in parts it ends with %q", err)
	}
}
