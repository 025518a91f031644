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
	"github.com/gradsmith/gradsmith/runtime/optim"
)

// notices is a reporter that keeps them.
type notices struct {
	silent
	all []Notice
}

func (n *notices) Notice(x Notice) { n.all = append(n.all, x) }

// overfits has a training text whose half teaches what the validation text is not, so that the validation loss rises
// before long.
func overfits() Data {
	train, valid := text(41), text(15)
	for i := range train.tokens {
		if i%3 == 0 {
			train.tokens[i] = 3
		}
	}
	return Data{Train: train, Validation: valid, Digest: "d"}
}

// plateau are options under which the rate falls several times.
func plateau(path string) Options {
	return Options{Schedule: optim.Schedule{Kind: "plateau", Rate: 0.5, Warmup: 3, Factor: 0.5, Patience: 2},
		Passes: 6, Path: path, Best: path + ".best", EvalEvery: 7}
}

// Falls of the rate and early stopping go by validations, come to the same bits in a training that is stopped after
// any step, or inside of any validation, and stand in the log.
func TestValidationsResume(t *testing.T) {
	for name, patience := range map[string]int{"plateau": 0, "early": 4} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run := func(m *bigram, ctx context.Context, file string, resume bool) (Result, *notices) {
				o := plateau(filepath.Join(dir, file))
				o.Patience, o.Resume = patience, resume
				seen := &notices{}
				log := NewLogFile(filepath.Join(dir, file+".log"), nil)
				o.Reporter = Reporters(seen, log)
				r, err := Run(ctx, m, overfits(), o)
				if err != nil || log.Close() != nil {
					t.Fatal(err)
				}
				return r, seen
			}
			whole := newBigram(4)
			want, seen := run(whole, context.Background(), "whole", false)
			falls, stops := 0, 0
			for _, n := range seen.all {
				falls, stops = falls+count(n.What == "rate"), stops+count(n.What == "stop")
			}
			if falls < 2 || stops != min(patience, 1) || want.Early != (patience > 0) ||
				want.Early && want.Steps == want.Total || !want.Early && want.Steps != want.Total {
				t.Fatalf("%d falls, %d stops: %+v", falls, stops, want)
			}
			for stop := 1; stop < want.Steps; stop++ {
				for _, inside := range []bool{false, true} {
					if inside && stop%7 != 0 || !inside && stop%3 != 0 && stop%7 != 0 {
						continue
					}
					file := fmt.Sprint(stop, inside)
					ctx, cancel := context.WithCancel(context.Background())
					m := newBigram(4)
					m.stepped = func(step int) {
						if step == stop && !inside {
							cancel()
						}
					}
					m.evaluated = func() {
						if m.step == stop && inside {
							cancel()
						}
					}
					if r, _ := run(m, ctx, file, false); !r.Interrupted || r.Steps != stop {
						t.Fatalf("stopped at %d: %+v", stop, r)
					}
					n := newBigram(4)
					got, _ := run(n, context.Background(), file, true)
					if fmt.Sprint(n.w, n.momentum, n.state, n.step) != fmt.Sprint(whole.w, whole.momentum, whole.state,
						whole.step) || got.Best != want.Best || got.Early != want.Early {
						t.Fatalf("stopped at step %d (%v) and resumed, the training ends elsewhere: %+v, want %+v", stop,
							inside, got, want)
					}
					if a, b := unclocked(t, dir, file), unclocked(t, dir, "whole"); a != b {
						t.Fatalf("stopped at step %d (%v) and resumed, the log is\n%s\nwant\n%s", stop, inside, a, b)
					}
					if string(read(t, filepath.Join(dir, file+".best"))) != string(read(t,
						filepath.Join(dir, "whole.best"))) {
						t.Fatalf("stopped at step %d (%v) and resumed, the best parameters are others", stop, inside)
					}
				}
			}
		})
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unclocked is a log without its seconds.
func unclocked(t *testing.T, dir, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, file+".log"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		before, after, _ := strings.Cut(line, `"seconds":`)
		_, after, _ = strings.Cut(after, ",")
		b.WriteString(before + after)
	}
	return b.String()
}

// Best parameters are those of the lowest validation, also where training went on behind it.
func TestEarlyKeepsBest(t *testing.T) {
	o := plateau(filepath.Join(t.TempDir(), "c"))
	o.Patience = 3
	r, err := Run(context.Background(), newBigram(4), overfits(), o)
	if err != nil || !r.Early || !(r.Best < r.Loss) {
		t.Fatalf("%+v, %v", r, err)
	}
	m := newBigram(4)
	if err := checkpoint.LoadWeights(o.Best, m); err != nil {
		t.Fatal(err)
	}
	loss, _, err := Evaluate(context.Background(), m, overfits().Validation)
	if err != nil || loss != r.Best {
		t.Errorf("the parameters that were kept have a loss of %v, the best was %v: %v", loss, r.Best, err)
	}
}

// of is a model with other info.
type of struct {
	*bigram
	info model.Info
}

func (o of) Info() *model.Info { return &o.info }

func TestValidationsRefused(t *testing.T) {
	without := data()
	without.Validation = nil
	path := filepath.Join(t.TempDir(), "c")
	vectors := of{newBigram(4), model.Info{Vocab: 4, Adversary: &model.Adversary{}}}
	for want, run := range map[string]func() error{
		"the schedule plateau goes by the validation loss": func() error {
			_, err := Run(context.Background(), newBigram(4), without, plateau(path))
			return err
		},
		"early stopping (patience) goes by": func() error {
			o := options(path)
			o.Patience = 2
			_, err := Run(context.Background(), newBigram(4), without, o)
			return err
		},
		"the discriminator's and does not say": func() error {
			_, err := Run(context.Background(), vectors, data(), plateau(path))
			return err
		},
		"must not be negative": func() error {
			o := options(path)
			o.Patience = -1
			_, err := Run(context.Background(), newBigram(4), data(), o)
			return err
		},
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
	v := &validations{schedule: optim.Schedule{Kind: "plateau"}}
	for _, m := range []map[string]string{{validationStale: "x"}, {validationStale: "-1"}, {plateauScale: "0"},
		{plateauScale: "NaN"}, {validationLowest: ""}} {
		if err := v.resume(m); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v is taken: %v", m, err)
		}
	}
	v.patience, v.lowest, v.stale, v.plateau = 9, 1.25, 3, optim.Plateau{Lowest: math.Pi, Stale: 2, Scale: 0.125}
	m := map[string]string{}
	v.keep(m)
	again := &validations{schedule: v.schedule, patience: 9}
	if err := again.resume(m); err != nil || *again != *v {
		t.Errorf("%+v comes back as %+v: %v", v, again, err)
	}
}
