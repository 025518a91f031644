package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
)

// Notice is something that a training did by itself, because of what it saw.
type Notice struct {
	Step int    // steps done
	What string // "rate", "stop", "skip", "back", "pretrained", "watch"
	Text string // in words

	Number int // of "back": how often the training has gone back, this time included
	// of "watch": what was found, the layer that it was found in, and the place of that in the spec
	Found, Layer, Place string
}

// Noticer is a [Reporter] that is told of notices too.
type Noticer interface{ Notice(Notice) }

// notice tells the reporter, where it listens.
func notice(r Reporter, n Notice) {
	if x, ok := r.(Noticer); ok {
		x.Notice(n)
	}
}

// validations follow the losses of a training's validations, for the plateau schedule and for early stopping. Those
// count that are due by the number of the step or at the end of a pass: one at the end of a run that is interrupted
// would not be made in a training that runs through.
type validations struct {
	schedule optim.Schedule
	plateau  optim.Plateau
	patience int     // 0 for none
	lowest   float64 // that count; with a tolerance also that of the generator which the others began with
	stale    int     // that count since the last one that was good
	pending  bool    // one was due and has been interrupted
	from     int     // steps before it: those in which networks of text do not learn from each other yet
	blind    bool    // the loss is that of a discriminator, which does not say how good the model is

	// How far above the lowest that of good parameters may be. Networks of text that learn from each other give up
	// likelihood for better lines, so that the newest ones within are the best.
	tolerance float64

	pretraining pretraining
}

// pretraining is the steps at the beginning in which the generator of text learns from the text alone. They end where
// its loss has not become lower for long enough, and it goes back to where that was lowest.
type pretraining struct {
	steps    int // at the most
	patience int // 0 for none
	lowest   float64
	stale    int
}

// lower reports whether a loss that was due after a step of pretraining is the lowest so far.
func (p *pretraining) lower(loss float64, step int) bool {
	return p.patience > 0 && step <= p.steps && loss < p.lowest
}

// over reports whether the generator has to go back after a step, as it has become worse for long enough, or at the
// end.
func (p *pretraining) over(step int) bool {
	return p.patience > 0 && step <= p.steps && p.stale > 0 && (p.stale >= p.patience || step == p.steps)
}

// newValidations is for a training with these options; an error says that nothing would be validated.
func newValidations(m model.LanguageModel, d Data, o *Options) (*validations, error) {
	v := &validations{schedule: o.Schedule, plateau: optim.NewPlateau(), patience: o.Patience, lowest: math.Inf(1),
		tolerance: o.Tolerance, pretraining: pretraining{patience: o.Pretraining, lowest: math.Inf(1)}}
	a := m.Info().Adversary
	v.blind = a != nil && a.Text == nil
	ofText := a != nil && a.Text != nil
	if ofText {
		v.from, v.pretraining.steps = a.Text.Pretraining+a.Text.HeadStart, a.Text.Pretraining
	}
	what := ""
	switch {
	case o.Patience < 0:
		return nil, fmt.Errorf("the patience is %d validations; it must not be negative", o.Patience)
	case o.Pretraining < 0:
		return nil, fmt.Errorf("the patience of pretraining is %d validations; it must not be negative", o.Pretraining)
	case !(o.Tolerance >= 0) || math.IsInf(o.Tolerance, 1):
		return nil, fmt.Errorf("the validation loss is tolerated %v above the lowest: give 0 or more", o.Tolerance)
	case !ofText && (o.Pretraining > 0 || o.Tolerance > 0):
		return nil, errors.New("a patience of pretraining and a tolerance are for adversarial networks of text: do " +
			"without")
	case o.Pretraining > 0 && o.Pretrained == "":
		return nil, errors.New("pretraining that ends early goes back to its best parameters, and has no file for " +
			"them: give one, or do without")
	case o.Pretraining > 0:
		what = "pretraining that ends early (patience)"
	case o.Tolerance > 0:
		what = "the tolerance of early stopping"
	case o.Patience > 0:
		what = "early stopping (patience)"
	case o.Schedule.Kind == "plateau":
		what = "the schedule plateau"
	}
	switch {
	case what == "":
	case d.Validation == nil || d.Validation.Windows() == 0:
		return nil, fmt.Errorf("%s goes by the validation loss, and there is nothing to validate on: keep a share for it, "+
			"or do without", what)
	case v.blind:
		return nil, fmt.Errorf("%s goes by the validation loss, which of networks of vectors is the discriminator's and "+
			"does not say how good the generator is: do without", what)
	}
	return v, nil
}

// rate is that of a step.
func (v *validations) rate(step, total int) float64 { return v.plateau.At(v.schedule, step, total) }

// better reports whether the parameters after a step are better than all that are kept, of which the loss is best.
func (v *validations) better(loss float64, step int, best float64) bool {
	switch {
	case v.blind || step <= v.from:
		return false
	case v.tolerance > 0:
		return loss <= min(v.lowest, loss)+v.tolerance
	}
	return loss < best
}

// done reports whether training has been without a lower loss for long enough.
func (v *validations) done() bool { return v.patience > 0 && v.stale >= v.patience }

// validateDue makes a validation that counts. Where it is interrupted the training that goes on makes it first.
func (r *runner) validateDue(ctx context.Context) error {
	if r.validations.pending = r.d.Validation != nil; !r.validations.pending {
		return nil
	}
	if err := r.validate(ctx); err != nil || r.result.Interrupted {
		return err
	}
	r.validations.pending = false
	r.validations.add(r.result.Loss, r.step, r.o.Reporter)
	return nil
}

// validateFirst makes the validation in which the run before was interrupted. The checkpoint that was due behind it was
// written without it then.
func (r *runner) validateFirst(ctx context.Context) error {
	if err := r.validateDue(ctx); err != nil || r.result.Interrupted {
		return err
	}
	switch {
	case r.pretrained():
		if err := r.endPretraining(); err != nil {
			return err
		}
		r.saver.due = false // a training that runs through has no checkpoint of the step before
	case !r.saver.due:
		return nil
	}
	r.began, r.saver.again = true, true
	return r.together(r.saveDue)
}

// add takes note of the loss of a validation that was due after a step.
func (v *validations) add(loss float64, step int, r Reporter) {
	switch {
	case step > v.from:
		if v.stale++; v.better(loss, step, v.lowest) {
			v.stale = 0
		}
		if loss < v.lowest {
			v.lowest = loss
		}
	case v.tolerance > 0:
		v.lowest = loss
	}
	if p := &v.pretraining; p.patience > 0 && step <= p.steps {
		if p.stale++; p.lower(loss, step) {
			p.lowest, p.stale = loss, 0
		}
	}
	if v.plateau.Validated(loss, v.schedule) {
		notice(r, Notice{Step: step, What: "rate", Text: fmt.Sprintf("the rate is multiplied by %.3g from here on: "+
			"the validation loss has not become lower for %d validations", v.plateau.Scale, v.schedule.Patience)})
	}
	if step > v.from && v.done() {
		text := fmt.Sprintf("has not become lower for %d validations", v.stale)
		if v.tolerance > 0 {
			text = fmt.Sprintf("has been more than %.3g above the lowest, %.4g, for %d validations", v.tolerance,
				v.lowest, v.stale)
		}
		notice(r, Notice{Step: step, What: "stop", Text: "the training stops: the validation loss " + text})
	}
}

// The keys of what a checkpoint keeps.
const (
	validationLowest = "validation_lowest"
	validationStale  = "validation_stale"
	validationDue    = "validation_due"
	pretrainedLowest = "pretrained_lowest"
	pretrainedStale  = "pretrained_stale"
	plateauLowest    = "plateau_lowest"
	plateauStale     = "plateau_stale"
	plateauScale     = "plateau_scale"
)

// keep adds to what a checkpoint keeps.
func (v *validations) keep(m map[string]string) {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	if v.pending {
		m[validationDue] = "true"
	}
	if v.patience > 0 || v.tolerance > 0 {
		m[validationLowest], m[validationStale] = number(v.lowest), strconv.Itoa(v.stale)
	}
	if p := v.pretraining; p.patience > 0 {
		m[pretrainedLowest], m[pretrainedStale] = number(p.lowest), strconv.Itoa(p.stale)
	}
	if v.schedule.Kind == "plateau" {
		m[plateauLowest], m[plateauStale] = number(v.plateau.Lowest), strconv.Itoa(v.plateau.Stale)
		m[plateauScale] = number(v.plateau.Scale)
	}
}

// resume takes over what a checkpoint kept. One that was written before its first validation has nothing, and one of
// another schedule nothing of its plateau: that begins then.
func (v *validations) resume(m map[string]string) error {
	v.lowest, v.stale, v.plateau, v.pending = math.Inf(1), 0, optim.NewPlateau(), m[validationDue] == "true"
	v.pretraining.lowest, v.pretraining.stale = math.Inf(1), 0
	var errs []error
	number := func(key string, x *float64) {
		if s, ok := m[key]; ok {
			y, err := strconv.ParseFloat(s, 64)
			*x, errs = y, append(errs, err)
		}
	}
	count := func(key string, n *int) {
		if s, ok := m[key]; ok {
			y, err := strconv.Atoi(s)
			if err == nil && y < 0 {
				err = fmt.Errorf("%s is %d", key, y)
			}
			*n, errs = y, append(errs, err)
		}
	}
	number(validationLowest, &v.lowest)
	count(validationStale, &v.stale)
	number(pretrainedLowest, &v.pretraining.lowest)
	count(pretrainedStale, &v.pretraining.stale)
	if v.schedule.Kind == "plateau" {
		number(plateauLowest, &v.plateau.Lowest)
		count(plateauStale, &v.plateau.Stale)
		number(plateauScale, &v.plateau.Scale)
		if !(v.plateau.Scale > 0 && v.plateau.Scale <= 1) {
			errs = append(errs, fmt.Errorf("%s is %v", plateauScale, v.plateau.Scale))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("does not say what its validations came to: %w", oneLine(err))
	}
	return nil
}
