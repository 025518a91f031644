package app

import (
	"fmt"
	"io"
	"math"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// addPatience adds the flags of what goes by the lowest validation loss; patience is the spec's.
func (f *trainFlags) addPatience(fs *pflag.FlagSet, patience int) {
	fs.StringVar(&f.best, "best", "",
		"`FILE` for the parameters with the lowest validation loss (with --patience or --keep they are kept beside the "+
			"checkpoint)")
	fs.IntVar(&f.patience, "patience", patience,
		"stop after as many validations in a row without a lower loss, 0 for never")
}

// keepBest gives the best parameters a file beside the checkpoint, where early stopping makes them what is wanted, or
// more than one checkpoint is kept, and those of pretraining where it may end early.
func (f *trainFlags) keepBest(a *program) {
	told := a.Info.Adversary == nil || a.ofLines() // of vectors the loss does not tell how good the generator is
	if (f.patience > 0 || f.tolerance > 0 || f.keep > 1) && f.best == "" && told {
		f.best = train.Beside(f.out, "best")
	}
	if f.pretraining > 0 {
		f.pretrained = train.Beside(f.out, "pretrained")
	}
}

// addPretraining adds the flags of adversarial networks of text.
func (f *trainFlags) addPretraining(fs *pflag.FlagSet, x *model.Imitation) {
	fs.Float64Var(&f.tolerance, "tolerance", x.Tolerance,
		"how far the validation loss, in `NATS` a token, may be above the lowest since pretraining: the newest "+
			"parameters within are the best, and those beyond count for --patience; 0 for not")
	fs.IntVar(&f.pretraining, "pretraining-patience", x.Patience,
		"end pretraining after as many validations in a row without a lower loss, and go on from the lowest, which is "+
			"kept beside the checkpoint; 0 makes all of its steps")
}

// stopped says why a training has ended early.
func (f *trainFlags) stopped(r train.Result) string {
	switch {
	case r.Steps == r.Total:
		return fmt.Sprintf("stopped: %s validations of pretraining without a lower loss", thousands(f.pretraining))
	case f.tolerance > 0:
		return fmt.Sprintf("stopped: %s validations with a loss more than %v above the lowest", thousands(f.patience),
			f.tolerance)
	}
	return fmt.Sprintf("stopped: %s validations without a lower loss", thousands(f.patience))
}

// reportBest says where the best parameters are. After early stopping m becomes the model with them: it is what samples
// are to show.
func (f *trainFlags) reportBest(out io.Writer, m model.LanguageModel, r train.Result) error {
	if f.best == "" || math.IsInf(r.Best, 1) {
		return nil // there was no validation that counts yet
	}
	if _, err := files.Stat(f.best); err != nil {
		return nil
	}
	fmt.Fprintf(out, "best        %s, with a validation loss of %.4f\n", f.best, r.Best)
	if !r.Early {
		return nil
	}
	return checkpoint.LoadWeights(f.best, m)
}
