package train

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// WinningSteps is how many steps in a row the discriminator must be right about everything to have won.
const WinningSteps = 1000

// A discriminator that is right about everything leaves its generator without a direction (Arjovsky and Bottou 2017).
// It happens for some steps in many good trainings, mostly at their beginning: only a long row of such steps is an
// end.
const (
	losingSteps = 100  // after which a checkpoint is no longer a good one
	winningLoss = 0.02 // mean loss of the discriminator in these steps, below which it is sure of itself
)

// duel watches a pair of adversarial networks.
type duel struct {
	of   func() *model.Duel
	row  int     // steps in which every verdict was right, one after the other
	loss float64 // the discriminator's mean loss in them
}

// won takes note of a step, and reports whether the discriminator has won for good.
func (d *duel) won() bool {
	last := d.of()
	if last.Accuracy < 1 {
		d.row = 0
		return false
	}
	if d.row++; d.row == 1 {
		d.loss = 0
	}
	d.loss += (last.Discriminator - d.loss) / float64(min(d.row, WinningSteps))
	return d.row >= WinningSteps && d.loss < winningLoss && d.loss > -winningLoss
}

// losing reports whether the generator is on its way to lose.
func (d *duel) losing() bool {
	return d.row >= losingSteps && d.loss < winningLoss && d.loss > -winningLoss
}

// The keys of what a checkpoint keeps while every verdict is right.
const (
	duelSteps = "winning_steps"
	duelLoss  = "winning_loss"
)

// keep adds to what a checkpoint keeps.
func (d *duel) keep(m map[string]string) {
	if d.row > 0 {
		m[duelSteps] = strconv.Itoa(d.row)
		m[duelLoss] = strconv.FormatFloat(d.loss, 'g', -1, 64)
	}
}

// resume takes over what a checkpoint kept.
func (d *duel) resume(m map[string]string) error {
	if m[duelSteps] == "" {
		d.row, d.loss = 0, 0
		return nil
	}
	row, e1 := strconv.Atoi(m[duelSteps])
	loss, e2 := strconv.ParseFloat(m[duelLoss], 64)
	if err := errors.Join(e1, e2); err != nil || row < 0 {
		return fmt.Errorf("does not say for how many steps its discriminator has been right about everything: %q and %q", m[duelSteps], m[duelLoss])
	}
	d.row, d.loss = row, loss
	return nil
}
