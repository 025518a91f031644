package train

import "github.com/gradsmith/gradsmith/runtime/model"

// WinningSteps is how many steps in a row the discriminator must be right about everything to have won.
const WinningSteps = 1000

// A discriminator that is right about everything leaves its generator without a direction (Arjovsky and Bottou 2017). It happens for some steps in many good
// trainings, mostly at their beginning: only a long row of such steps is an end.
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
