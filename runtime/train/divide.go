package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gradsmith/gradsmith/runtime/cluster"
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

// share has the processes of a group compute the shards of m together: see [schedule.Training.Share].
func share(m model.LanguageModel, g *cluster.Group) error {
	s, ok := m.(scheduled)
	switch {
	case ok:
		return s.Training().Share(g)
	case g.Size() == 1:
		return nil
	}
	return fmt.Errorf("%s does not cut its batches into shards, which processes could share: generate its code anew",
		m.Info().Name)
}

// news is what process 0 tells the others of the checkpoints that it writes.
type news struct {
	Saved int    // step of the last one that has been written,
	Due   bool   // and whether it was due by the number of the step
	Good  int    // step of the one to go back to
	Fault string // empty for none
}

// together has process 0 write a checkpoint, or begin to, and the others know what came of it.
func (r *runner) together(save func() error) error {
	g := r.o.Group
	if g.Size() == 1 {
		return save()
	}
	if s, ok := r.m.(scheduled); ok {
		if err := s.Training().Collect(false); err != nil {
			return err
		}
	}
	if g.Leads() {
		return r.agree(save())
	}
	return r.agree(nil)
}

// agree has process 0 tell the others what it has written, and fault, which is then the error of all. What is being
// written meanwhile it does not wait for: where something depends on that, it settles before.
func (r *runner) agree(fault error) error {
	g, s := r.o.Group, &r.saver
	if g.Size() == 1 {
		return fault
	}
	x := news{Saved: s.saved, Due: s.due}
	if r.guard != nil {
		x.Good = r.guard.good
	}
	if fault != nil {
		x.Fault = fault.Error()
	}
	x, err := cluster.Tell(g, x, 0)
	if err != nil || g.Leads() {
		return cmp.Or(err, fault)
	}
	if s.saved != x.Saved {
		r.o.Reporter.Saved(r.o.Path, x.Saved)
	}
	if s.saved, s.due = x.Saved, x.Due; r.guard != nil {
		r.guard.good = x.Good
	}
	if x.Fault != "" {
		return errors.New(x.Fault)
	}
	return nil
}

// anywhere gives all processes the fault that any of them has met with while it read data, or its own.
func (r *runner) anywhere(own error) (fault, err error) {
	g := r.o.Group
	if _, ok := r.d.Train.(interface{ Err() error }); !ok || g.Size() == 1 {
		return own, nil // those that do not say so do not fail
	}
	text, bit := "", byte(0)
	if own != nil {
		text, bit = own.Error(), 1
	}
	if bit, err = g.Or(bit); err != nil || bit == 0 {
		return nil, err
	}
	fault = own
	for rank := range g.Size() {
		told, err := cluster.Tell(g, text, rank)
		if err != nil {
			return nil, err
		}
		if fault == nil && told != "" {
			fault = fmt.Errorf("in process %d, %s", rank, told)
		}
	}
	return fault, nil
}

// validation is what process 0 tells the others of one.
type validation struct {
	Loss        uint64 // its bits, as it may be no number
	Interrupted bool
	Fault       string // empty for none
}

// evaluate gives the mean loss over the validation data and how many units that is over. Of a group process 0 computes
// it, and tells the others, for which the number is 0. Where that is interrupted the error is errInterrupted in all.
func (r *runner) evaluate(ctx context.Context, each func(b *model.Batch, n int)) (loss float64, units int, err error) {
	g := r.o.Group
	if g.Size() == 1 {
		return evaluate(ctx, r.m, r.info, r.d.Validation, &r.eval, each)
	}
	var x validation
	var fault error
	if g.Leads() {
		loss, units, fault = evaluate(ctx, r.m, r.info, r.d.Validation, &r.eval, each)
		x.Loss, x.Interrupted = math.Float64bits(loss), fault != nil && ctx.Err() != nil
		if fault != nil {
			x.Fault = fault.Error()
		}
	}
	x, err = cluster.Tell(g, x, 0)
	switch {
	case err != nil:
		return 0, 0, err
	case x.Interrupted:
		return 0, 0, errInterrupted
	case fault != nil:
		return 0, 0, fault
	case x.Fault != "":
		return 0, 0, errors.New(x.Fault)
	}
	return math.Float64frombits(x.Loss), units, nil
}

// errInterrupted says that process 0 was interrupted.
var errInterrupted = errors.New("the validation was interrupted")

// Reasons for a training to stop, which processes tell each other before each step.
const (
	byContext = 1 << iota
	byTime
)

// stop reports why the training stops before the next step; 0 goes on. Where any process of a group is interrupted, all
// are.
func (r *runner) stop(ctx context.Context) (byte, error) {
	var why byte
	if ctx.Err() != nil {
		why |= byContext
	}
	if r.o.MaxTime > 0 && r.o.Group.Leads() && time.Since(r.start) >= r.o.MaxTime {
		why |= byTime
	}
	return r.o.Group.Or(why)
}
