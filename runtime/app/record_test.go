package app

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// again is the same window each time.
type again struct{ b model.Batch }

func (w *again) Next(b *model.Batch) bool {
	*b = w.b
	return true
}
func (w *again) Rewind()                {}
func (w *again) NextPass()              {}
func (w *again) Position() int64        { return 0 }
func (w *again) SetPosition(int, int64) {}
func (w *again) Windows() int           { return 1 << 30 }
func (w *again) Tokens() int            { return 1 << 30 * w.b.Steps * w.b.Batch }

// timed is a reporter that measures how long another takes.
type timed struct {
	train.Reporter
	spent time.Duration
}

func (t *timed) Step(p train.Progress) {
	start := time.Now()
	t.Reporter.Step(p)
	t.spent += time.Since(start)
}

// BenchmarkRecord trains gptnano with a log and event files and says how much of a step they take: %record is what is
// written, measured around it, with the norms of layers every 100 steps as lines. How long the norms themselves take is
// the difference to a training without them, of as many steps.
func BenchmarkRecord(b *testing.B) {
	for _, c := range []struct {
		name  string
		every int
	}{{"layers=0", 0}, {"layers=100", 100}, {"layers=1", 1}} {
		b.Run(c.name, func(b *testing.B) {
			m := gptnano.Program().New(1)
			i := m.Info()
			w := &again{model.Batch{Steps: i.Steps, Batch: i.Batch}}
			for k := range i.Steps * i.Batch {
				w.b.Tokens = append(w.b.Tokens, int32(k%i.Vocab))
				w.b.Targets = append(w.b.Targets, int32((k+1)%i.Vocab))
				w.b.Reset = append(w.b.Reset, 0)
			}
			dir := b.TempDir()
			log, board := train.NewLogFile(filepath.Join(dir, "log"), nil), newBoard(filepath.Join(dir, "board"), nil)
			r := &timed{Reporter: train.Reporters(log, board)}
			o := train.Options{Steps: b.N, LayersEvery: c.every, Reporter: r}
			o.Schedule.Rate = 1e-4
			o.Schedule.Kind = "constant"
			b.ResetTimer()
			if _, err := train.Run(b.Context(), m, train.Data{Train: w}, o); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := (logs{log, board}).close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(100*r.spent.Seconds()/b.Elapsed().Seconds(), "%record")
		})
	}
}
