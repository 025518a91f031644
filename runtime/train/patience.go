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
	What string // "rate", "stop", "skip", "back"
	Text string // in words

	Number int // of "back": how often the training has gone back, this time included
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
	lowest   float64 // that count
	stale    int     // that count since
	pending  bool    // one was due and has been interrupted
	from     int     // steps before it: those in which networks of text do not learn from each other yet
	blind    bool    // the loss is that of a discriminator, which does not say how good the model is
}

// newValidations is for a training with these options; an error says that nothing would be validated.
func newValidations(m model.LanguageModel, d Data, o *Options) (*validations, error) {
	v := &validations{schedule: o.Schedule, plateau: optim.NewPlateau(), patience: o.Patience, lowest: math.Inf(1)}
	a := m.Info().Adversary
	v.blind = a != nil && a.Text == nil
	if a != nil && a.Text != nil {
		v.from = a.Text.Pretraining + a.Text.HeadStart
	}
	what := ""
	switch {
	case o.Patience < 0:
		return nil, fmt.Errorf("the patience is %d validations; it must not be negative", o.Patience)
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
	if err := r.validateDue(ctx); err != nil || r.result.Interrupted || !r.saver.due {
		return err
	}
	r.began, r.saver.again = true, true
	return r.together(r.saveDue)
}

// add takes note of the loss of a validation that was due after a step.
func (v *validations) add(loss float64, step int, r Reporter) {
	if step > v.from {
		if v.stale++; loss < v.lowest {
			v.lowest, v.stale = loss, 0
		}
	}
	if v.plateau.Validated(loss, v.schedule) {
		notice(r, Notice{Step: step, What: "rate", Text: fmt.Sprintf("the rate is multiplied by %.3g from here on: "+
			"the validation loss has not become lower for %d validations", v.plateau.Scale, v.schedule.Patience)})
	}
	if step > v.from && v.done() {
		notice(r, Notice{Step: step, What: "stop", Text: fmt.Sprintf("the training stops: the validation loss has not "+
			"become lower for %d validations", v.stale)})
	}
}

// The keys of what a checkpoint keeps.
const (
	validationLowest = "validation_lowest"
	validationStale  = "validation_stale"
	validationDue    = "validation_due"
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
	if v.patience > 0 {
		m[validationLowest], m[validationStale] = number(v.lowest), strconv.Itoa(v.stale)
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
