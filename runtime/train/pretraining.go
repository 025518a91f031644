package train

import (
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
)

// pretrained reports whether pretraining ends here, before its last step or with it, behind parameters that were
// better. A validation that is still to be made is waited for.
func (r *runner) pretrained() bool {
	return !r.validations.pending && r.validations.pretraining.over(r.step)
}

// endPretraining has the generator go back to where its loss was lowest, with its optimizer and averages, and the
// discriminator begin: the training stands behind the last step of pretraining then, as if all had been made.
func (r *runner) endPretraining() error {
	if err := r.together(r.finishPretrained); err != nil {
		return err
	}
	t, _, err := checkpoint.Load(r.o.Pretrained, r.m)
	if err != nil {
		return fmt.Errorf("can't go back to the best parameters of pretraining: %w", err)
	}
	r.swap() // a checkpoint has what is evaluated in place of the parameters
	if t.Seed != r.o.Seed || t.Loop["data"] != r.d.Digest {
		return fmt.Errorf("can't go back to the best parameters of pretraining: the checkpoint %s was written by "+
			"another training meanwhile", r.o.Pretrained)
	}
	v := r.validations
	p := &v.pretraining
	notice(r.o.Reporter, Notice{Step: r.step, What: "pretrained", Text: fmt.Sprintf("pretraining ends: the validation "+
		"loss has not become lower for %d validations, and the generator goes on from step %d, where it was %.4f; "+
		"step %d is next", p.stale, t.Step, p.lowest, min(p.steps, r.total)+1)})
	if p.stale = 0; v.tolerance > 0 {
		v.lowest = p.lowest
	}
	r.result.Early = r.step < r.total && p.steps >= r.total
	r.step = min(p.steps, r.total)
	r.result.Steps = r.step
	r.m.SetStep(r.step)
	r.began = true
	return r.o.Group.Barrier() // process 0 may write another one there as soon as all have read it
}

// finishPretrained waits until the best parameters of pretraining are written.
func (r *runner) finishPretrained() error {
	if r.settle(); r.saver.unsaved {
		r.begin(job{})
		r.settle()
	}
	if r.saver.unsaved {
		return fmt.Errorf("the generator can't go back to its best parameters of pretraining, those of step %d, which "+
			"could not be written to %s: make room there; %s", r.saver.bestStep, r.saver.bestPath, r.kept())
	}
	return nil
}
