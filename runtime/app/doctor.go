package app

import (
	"github.com/gradsmith/gradsmith/runtime/diagnose"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// doctor looks for what goes wrong in a training, and says so where the training is shown and in its logs.
func (a *program) doctor(m model.LanguageModel, d train.Data, f *trainFlags, show *progress,
	logs logs) *diagnose.Watcher {
	w := diagnose.New(m, example(d, m.Info()), f.tuning.train != "" || f.tuning.freeze != "" || a.Info.Adapter != nil,
		func(x diagnose.Finding) {
			n := train.Notice{Step: x.Step, What: "watch", Text: "watch: " + x.String(), Found: x.What, Layer: x.Layer,
				Place: x.Place}
			show.Notice(n)
			for _, l := range logs {
				if l, ok := l.(train.Noticer); ok {
					l.Notice(n)
				}
			}
		})
	if what := w.Unseen(); what != "" {
		show.print("watch: %s", what)
	}
	return w
}

// example is the first example of a training's validation data, or of its training data where there is none of that;
// nil where it cannot be read, which the training will say. The windows are at their beginning afterwards.
func example(d train.Data, info *model.Info) *model.Batch {
	from := d.Validation
	if from == nil {
		from = d.Train
	}
	from.Rewind()
	defer from.Rewind()
	var b model.Batch
	if !from.Next(&b) {
		return nil
	}
	return diagnose.One(&b, info)
}
