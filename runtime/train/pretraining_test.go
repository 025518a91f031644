package train

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// imitator is a model with an average that is trained as networks of text are, in steps of all stages.
type imitator struct {
	*gradual
	evaluated func() // after a loss without a gradient
}

// Steps of pretraining, and of the discriminator's head start, in which nothing moves here. Validations are seven steps
// apart.
const (
	pretrainingSteps = 31
	headStart        = 5
)

// newImitator makes one whose text teaches what its validation text is not, and which is taught one token alone when
// its networks learn from each other.
func newImitator() *imitator {
	m := &imitator{gradual: newGradual(nil)}
	likelihood := m.t.Steps[0]
	duel := *likelihood
	likelihood.Name, likelihood.Until = "likelihood", pretrainingSteps
	duel.Name, duel.From, duel.Rate = "duel", pretrainingSteps+headStart, 0.05
	duel.Gradients = func(b *model.Batch) (float64, error) {
		made := *b
		made.Targets = []int32{3, 3}
		return m.forward(&made, true), nil
	}
	m.t.Steps = append(m.t.Steps, &duel)
	return m
}

func (m *imitator) Info() *model.Info {
	x := m.gradual.Info()
	x.Adversary = &model.Adversary{Text: &model.Imitation{Pretraining: pretrainingSteps, HeadStart: headStart}}
	return x
}

func (m *imitator) Loss(b *model.Batch) (float64, error) {
	if m.evaluated != nil {
		m.evaluated()
	}
	return m.gradual.Loss(b)
}

// duelling are options of a training whose pretraining ends early, and which stops for its tolerance.
func duelling(path string) Options {
	o := guarded(path)
	o.Schedule.Rate, o.Passes, o.Steps = 0.3, 0, 200
	o.Pretraining, o.Pretrained, o.Tolerance, o.Patience = 2, path+".pretrained", 0.05, 3
	return o
}

// Pretraining ends where the loss has not become lower for long enough; the training goes on from where it was lowest
// and stops where the loss is beyond the tolerance, with the newest parameters within as the best. Stopped after any
// step, or inside of any validation, and resumed, it comes to the same files.
func TestPretraining(t *testing.T) {
	for name, c := range map[string]struct {
		average   float64
		saveEvery int
		last      int
		patience  int // of pretraining
	}{"plain": {0, 0, 0, 2}, "average": {0.8, 0, 3, 2}, "apart": {0.8, 5, 2, 2}, "end": {0, 0, 0, 100}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run := func(ctx context.Context, m *imitator, file string, resume bool) (Result, *notices) {
				o := duelling(filepath.Join(dir, file, "c"))
				os.Mkdir(filepath.Dir(o.Path), 0o777)
				o.Average, o.SaveEvery, o.Last = c.average, c.saveEvery, c.last
				o.Pretraining, o.Resume = c.patience, resume
				seen := &notices{}
				log := NewLogFile(filepath.Join(dir, file+".log"), nil)
				o.Reporter = Reporters(seen, log)
				r, err := Run(ctx, m, overfits(), o)
				if err != nil || log.Close() != nil {
					t.Fatal(err)
				}
				return r, seen
			}
			whole := newImitator()
			var steps []int
			whole.stepped = func(step int) { steps = append(steps, step) }
			want, seen := run(context.Background(), whole, "whole", false)
			if len(seen.all) != 2 || seen.all[0].What != "pretrained" || seen.all[1].What != "stop" || !want.Early {
				t.Fatalf("the notices are %+v: %+v", seen.all, want)
			}
			ended := seen.all[0].Step
			if c.patience < 100 && ended >= pretrainingSteps || c.patience == 100 && ended != pretrainingSteps {
				t.Fatalf("pretraining ends after step %d", ended)
			}
			for i, step := range steps {
				if i < ended && step != i+1 || i >= ended && step != pretrainingSteps+i-ended+1 {
					t.Fatalf("step %d is number %d", i+1, step)
				}
			}
			load := func(name string) (float64, *imitator) {
				m := newImitator()
				if err := checkpoint.LoadWeights(filepath.Join(dir, "whole", name), m); err != nil {
					t.Fatal(err)
				}
				loss, _, err := Evaluate(context.Background(), m, overfits().Validation)
				if err != nil {
					t.Fatal(err)
				}
				return loss, m
			}
			lowest, _ := load("c.pretrained")
			text := fmt.Sprintf("where it was %.4f; step %d is next", lowest, pretrainingSteps+1)
			if !strings.Contains(seen.all[0].Text, text) {
				t.Errorf("the notice is %q, without %q", seen.all[0].Text, text)
			}
			best, _ := load("c.best")
			last, _ := load("c")
			if best != want.Best || best > lowest+0.05 || best <= lowest || last <= lowest+0.05 {
				t.Errorf("the loss was %v at the lowest, is %v of the best, %v at the end: %+v", lowest, best, last,
					want)
			}

			files := contents(t, filepath.Join(dir, "whole"))
			for stop := 1; stop < want.Steps; stop++ {
				for _, inside := range []bool{false, true} {
					if stop > ended && stop <= pretrainingSteps ||
						stop%7 != 0 && (inside || stop%5 != 0 && stop != ended) {
						continue
					}
					file := fmt.Sprint(stop, inside)
					ctx, cancel := context.WithCancel(context.Background())
					m := newImitator()
					m.stepped = func(step int) {
						if step == stop && !inside {
							cancel()
						}
					}
					m.evaluated = func() {
						if m.Step() == stop && inside {
							cancel()
						}
					}
					if r, _ := run(ctx, m, file, false); !r.Interrupted {
						t.Fatalf("stopped at %d: %+v", stop, r)
					}
					n := newImitator()
					got, _ := run(context.Background(), n, file, true)
					if got.Best != want.Best || got.Early != want.Early || got.Steps != want.Steps {
						t.Fatalf("stopped at step %d (%v) and resumed, the training ends elsewhere: %+v, want %+v",
							stop, inside, got, want)
					}
					if contents(t, filepath.Join(dir, file)) != files {
						t.Fatalf("stopped at step %d (%v) and resumed, the files are others: %v", stop, inside,
							names(t, filepath.Join(dir, file)))
					}
					if a, b := unclocked(t, dir, file), unclocked(t, dir, "whole"); a != b {
						t.Fatalf("stopped at step %d (%v) and resumed, the log is\n%s\nwant\n%s", stop, inside, a,
							b)
					}
				}
			}
		})
	}
}

// What is asked of a training that has no pretraining, or no file to go back to, is refused before its first step.
func TestPretrainingRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c")
	run := func(m model.LanguageModel, d Data, change func(o *Options)) error {
		o := duelling(path)
		change(&o)
		_, err := Run(context.Background(), m, d, o)
		return err
	}
	without := overfits()
	without.Validation = nil
	for want, err := range map[string]error{
		"must not be negative":    run(newImitator(), overfits(), func(o *Options) { o.Pretraining = -1 }),
		"tolerated -1 above":      run(newImitator(), overfits(), func(o *Options) { o.Tolerance = -1 }),
		"tolerated NaN above":     run(newImitator(), overfits(), func(o *Options) { o.Tolerance = math.NaN() }),
		"has no file for them":    run(newImitator(), overfits(), func(o *Options) { o.Pretrained = "" }),
		"are for adversarial":     run(newGradual(nil), overfits(), func(*Options) {}),
		"ends early (patience) g": run(newImitator(), without, func(o *Options) { o.Patience = 0 }),
		"the tolerance of early":  run(newImitator(), without, func(o *Options) { o.Patience, o.Pretraining = 0, 0 }),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
	if files := names(t, filepath.Dir(path)); len(files) > 0 {
		t.Errorf("there is %v", files)
	}
}

// A generator that is to go back, and cannot, ends the training, which says why and leaves its checkpoint.
func TestPretrainingLost(t *testing.T) {
	for want, spoil := range map[string]func(path string) error{
		"no such file": os.Remove,
		"written by another training meanwhile": func(path string) error {
			m := newImitator()
			m.t.Averaged(0.8)
			return checkpoint.Save(path, m, checkpoint.Training{Seed: 7})
		},
	} {
		o := duelling(filepath.Join(t.TempDir(), "c"))
		o.Average = 0.8
		m := newImitator()
		m.stepped = func(step int) {
			if fileExists(o.Pretrained) && step%7 == 6 && step > 14 {
				if err := spoil(o.Pretrained); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, err := Run(context.Background(), m, overfits(), o)
		if err == nil || !strings.Contains(err.Error(), "can't go back to the best parameters of pretraining") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
		if _, _, err := checkpoint.Load(o.Path, m); err != nil {
			t.Error(err)
		}
	}
}
