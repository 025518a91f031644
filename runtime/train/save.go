package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/files"
)

// saver writes checkpoints and best parameters beside the training. What is to be written is copied at the end of a
// step, into memory that is made with the first copy and used again; a goroutine writes it. It does one job at a time:
// whoever has another one, or wants to know what came of the last one, waits for it (runner.settle).
//
// A checkpoint says how good the best parameters are, and up to which step there is a log, so these are written before
// it. Where they cannot be written, the checkpoint is put off, once: a disk that fills for a while then changes nothing
// in what a training leaves, and one that fails for good costs the work between two checkpoints.
//
// Of a group of processes process 0 writes (runner.together). The others have no more of this than what they know of
// the
// checkpoint at Options.Path (runner.agree).
type saver struct {
	last checkpoint.File // a copy of all that a checkpoint has
	best checkpoint.File // a copy of the parameters with the lowest loss

	unsaved  bool // best is to be written
	bestPath string
	bestStep int
	tried    bool // and has been, in vain: the next attempt is made with the next checkpoint

	done chan outcome // of the job that is being done; nil for none

	// The checkpoint at Options.Path:
	saved int  // its step, where it is of this run or the one that it went on from
	due   bool // and whether it was due by the number of its step
	again bool // it is to be written once more at the same step

	late bool // it was put off
}

// job is what is to be written.
type job struct {
	best, last     bool
	bestPath       string
	bestStep, step int
	due            bool // the checkpoint is due by the number of its step
	regardless     bool // write the checkpoint even where the best parameters cannot be written

	older older // what becomes of the checkpoints before

	wasGood int // the guard's good step before the job
}

// outcome is what came of a job.
type outcome struct {
	job
	err  error // what could not be written
	warn error // what else went wrong
	left job   // what is still to be written
}

// do is what the goroutine does.
func (s *saver) do(j job, path string) outcome {
	out := outcome{job: j}
	if j.best {
		out.err = s.best.WriteFile(j.bestPath)
		out.left.best = out.err != nil
	}
	if !j.last {
		return out
	}
	if out.err != nil && !j.regardless {
		out.left.last = true
		return out
	}
	out.warn = j.older.keep(path)
	if err := s.last.WriteFile(path); err != nil {
		out.err, out.left.last = errors.Join(out.err, err), true
		return out
	}
	out.warn = errors.Join(out.warn, j.older.prune(path, j.step))
	return out
}

// begin begins to write, where there is something to be written; the best parameters always are part of it.
func (r *runner) begin(j job) {
	r.settle()
	s := &r.saver
	if j.best, j.bestPath, j.bestStep = s.unsaved, s.bestPath, s.bestStep; !j.best && !j.last {
		return
	}
	s.tried = true
	done := make(chan outcome, 1)
	s.done = done
	path := r.o.Path
	go func() { done <- s.do(j, path) }()
}

// settle waits for what is being written, and tells what came of it.
func (r *runner) settle() {
	if r.saver.done != nil {
		r.written(<-r.saver.done)
	}
}

// poll is settle where there is nothing to wait for.
func (r *runner) poll() {
	select {
	case out := <-r.saver.done: // which blocks where there is none
		r.written(out)
	default:
	}
}

// written takes note of what came of a job. Errors are warned of, or kept for finish.
func (r *runner) written(out outcome) {
	s := &r.saver
	s.done = nil
	if out.best && !out.left.best {
		s.unsaved, s.tried = false, false
		r.o.Reporter.Saved(out.bestPath, out.bestStep)
	}
	if s.late = out.left.last; out.last && !out.left.last {
		s.saved, s.due, s.again = out.step, out.due, false
		r.o.Reporter.Saved(r.o.Path, out.step)
		if out.due {
			r.guard.saved(r.o.Path, out.step, out.wasGood)
		}
	}
	if out.left.last && out.due && r.guard != nil {
		r.guard.good = out.wasGood
	}
	if out.warn != nil {
		r.o.Reporter.Warn(oneLine(out.warn).Error())
	}
	r.fault = r.putOff(out.err)
}

// putOff warns of an error of writing, or returns it at the end of a training.
func (r *runner) putOff(err error) error {
	err = oneLine(err)
	if err == nil || r.finishing {
		return err
	}
	r.o.Reporter.Warn(err.Error() + "; the training goes on, and tries again at the next checkpoint")
	return nil
}

// keepBest copies the parameters, which are better than all before.
func (r *runner) keepBest() {
	r.settle() // before the memory is used again
	r.saver.best.CopyWeights(r.m)
	r.saver.unsaved, r.saver.bestPath, r.saver.bestStep, r.saver.tried = true, r.o.Best, r.step, false
}

// keepPretrained copies all that the training needs to go on from here, where pretraining's loss is the lowest so far.
func (r *runner) keepPretrained() error {
	r.settle()
	s, t := &r.saver, r.training(false)
	delete(t.Loop, guardGood) // of the checkpoints beside this one, which a run that is interrupted here has more of
	if err := s.best.Copy(r.m, t); err != nil {
		return fmt.Errorf("checkpoint %s: %w", r.o.Pretrained, err)
	}
	s.unsaved, s.bestPath, s.bestStep, s.tried = true, r.o.Pretrained, r.step, false
	return nil
}

// training is what a checkpoint has of the training beside what the model has.
func (r *runner) training(due bool) checkpoint.Training {
	loop := r.at.strings(r.d.Digest, r.o.Keep)
	if !due {
		loop[earlyKey] = "true"
	}
	if r.first != nil {
		r.first.keep(loop)
	}
	r.validations.keep(loop)
	r.guard.keep(loop, r.step)
	if r.duel != nil {
		r.duel.keep(loop)
	}
	return checkpoint.Training{Step: r.step, Seed: r.o.Seed, Loop: loop}
}

// save begins to write a checkpoint, or reports false where there is nothing new. due says that it is due by the number
// of the step, wasGood what the guard is to go back to where it cannot be written.
func (r *runner) save(due bool, wasGood int) (begun bool, err error) {
	r.settle()
	s := &r.saver
	there := r.o.Path != "" && fileExists(r.o.Path)
	switch {
	case r.o.Path == "",
		there && !s.again && (!r.began || s.saved == r.step),                // a run of no step leaves it
		r.duel != nil && r.duel.losing() && s.saved > 0 && r.step < r.total: // the last good one is worth more
		r.begin(job{})
		return false, nil
	}
	if err := saving(r.o.Reporter); err != nil && !s.late && !r.lastAttempt {
		s.late = true
		return false, r.putOff(err)
	}
	defer r.swap()()
	if err := s.last.Copy(r.m, r.training(due)); err != nil {
		return false, fmt.Errorf("checkpoint %s: %w", r.o.Path, err)
	}
	j := job{last: true, step: r.step, due: due, wasGood: wasGood, regardless: r.lastAttempt || s.late,
		older: older{most: r.o.Last - 1, anew: s.saved == 0}}
	if there && s.due && s.saved < r.step {
		j.older.step = s.saved
	}
	r.begin(j)
	return true, nil
}

// earlyKey marks a checkpoint that is not due by the number of its step: a training that runs through does not have it.
const earlyKey = "early"

// saveDue begins to write a checkpoint that is due by the number of the step.
func (r *runner) saveDue() error {
	r.settle()
	g := r.guard
	if g == nil {
		_, err := r.save(true, 0)
		return err
	}
	if g.lowered > 0 && g.good > 0 && r.step < r.total {
		r.begin(job{}) // in the middle of trouble: the last good one is worth more
		return nil
	}
	was := g.good
	g.good = r.step // so that it is in the checkpoint; written takes it back where that fails
	begun, err := r.save(true, was)
	if !begun && r.saver.saved != r.step {
		g.good = was
	}
	return err
}

// saveLast begins to write the checkpoint of a run that is interrupted, and keeps the one to go back to beside it.
func (r *runner) saveLast() error {
	r.settle()
	g := r.guard
	if g != nil && g.good > 0 && g.good == r.saver.saved && r.saver.saved != r.step && fileExists(r.o.Path) {
		if err := files.Keep(r.o.Path, beside(r.o.Path)); err != nil {
			return fmt.Errorf("can't keep the checkpoint of step %d beside the last one: %w", g.good, err)
		}
	}
	_, err := r.save(false, 0)
	return err
}

// finish saves what a training came to. When that fails it tries again for half a minute, as the work of hours is worth
// that; an interrupt ends the waiting.
func (r *runner) finish(ctx context.Context) error {
	r.settle()
	r.finishing = true
	defer func() { r.finishing = false }()
	for wait := time.Second; ; wait *= 2 {
		again := false
		err := r.together(func() error {
			save := r.saveDue
			if r.result.Interrupted || r.result.OutOfTime {
				save = r.saveLast
			}
			r.lastAttempt = wait > 16*time.Second || ctx.Err() != nil
			r.fault = nil
			err := save()
			r.settle()
			err = errors.Join(err, r.fault)
			again = err != nil && !r.lastAttempt && r.pause(ctx, wait, err)
			return oneLine(err)
		})
		if err == nil || r.o.Group.Err() != nil {
			return err
		}
		again, lost := cluster.Tell(r.o.Group, again, 0)
		if lost != nil || !again {
			return cmp.Or(lost, err)
		}
	}
}
