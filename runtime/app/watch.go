package app

import (
	"io"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// batches are what an evaluation reads.
type batches = train.Windows

// watched is windows that show how many of them have been read.
type watched struct {
	batches
	bar  *cli.Counter
	done int
}

// watch shows on errOut how far the reading of w is, until end is called.
func watch(errOut io.Writer, w train.Windows) (windows train.Windows, end func()) {
	x := &watched{batches: w, bar: cli.NewCounter(errOut, w.Windows(), "batches")}
	return x, x.bar.End
}

func (w *watched) Next(b *model.Batch) bool {
	w.bar.Set(w.done)
	w.done++
	return w.batches.Next(b)
}

func (w *watched) Rewind() {
	w.done = 0
	w.batches.Rewind()
}

// Err is why Next has reported false before the end.
func (w *watched) Err() error { return train.Err(w.batches) }
