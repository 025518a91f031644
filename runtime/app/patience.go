package app

import (
	"fmt"
	"io"

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
// more than one checkpoint is kept.
func (f *trainFlags) keepBest(a *program) {
	told := a.Info.Adversary == nil || a.ofLines() // of vectors the loss does not tell how good the generator is
	if (f.patience > 0 || f.keep > 1) && f.best == "" && told {
		f.best = train.Beside(f.out, "best")
	}
}

// reportBest says where the best parameters are. After early stopping m becomes the model with them: it is what samples
// are to show.
func (f *trainFlags) reportBest(out io.Writer, m model.LanguageModel, r train.Result) error {
	if f.best == "" {
		return nil
	}
	if _, err := files.Stat(f.best); err != nil {
		return nil // there was no validation yet
	}
	fmt.Fprintf(out, "best        %s, with a validation loss of %.4f\n", f.best, r.Best)
	if !r.Early {
		return nil
	}
	return checkpoint.LoadWeights(f.best, m)
}
