package train

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/schedule"
)

// faulty is a bigram whose steps fail: those in whose number, from 1, and rate fault finds one. A step that fails
// spoils the state that is carried on, as a forward pass does.
type faulty struct {
	*bigram
	fault func(step int, rate float64) error
}

func (m *faulty) TrainStep(b *model.Batch, rate float64) (loss, norm float64, err error) {
	if err := m.fault(m.step+1, rate); err != nil {
		m.state[0] = float32(math.NaN())
		if m.stepped != nil {
			m.stepped(m.step + 1)
		}
		return math.NaN(), 0, err
	}
	return m.bigram.TrainStep(b, rate)
}

// overflow is the fault of a step.
func overflow() error {
	return &model.NotFinite{What: "loss", Value: math.NaN(), Where: "the output of layer 3 of stack (+Inf)"}
}

// above is a model whose steps of these numbers fail at rates above some.
func above(rates map[[2]int]float64) *faulty {
	return &faulty{newBigram(4), func(step int, rate float64) error {
		for steps, most := range rates {
			if step >= steps[0] && step <= steps[1] && rate > most {
				return overflow()
			}
		}
		return nil
	}}
}

func guarded(path string) Options {
	return Options{Schedule: optim.Schedule{Kind: "constant", Rate: 0.05}, Passes: 3, Path: path, Best: path + ".best",
		EvalEvery: 7}
}

// faults are those of a training, and what the guard makes of them.
var faults = map[string]struct {
	rates                   map[[2]int]float64
	skipped, lowered, backs int
	scale                   float64
	failed                  int // step in which the training fails; 0 for none
	kept                    string
	saveEvery, window       int
	notices                 []string
}{
	"one": {map[[2]int]float64{{9, 9}: 0}, 1, 0, 0, 1, 0, "", 0, 0, []string{
		"9 skip skipped at rate 0.05, as the loss became NaN, which began in the output of layer 3 of stack (+Inf)"}},
	"first": {map[[2]int]float64{{1, 2}: 0}, 2, 0, 0, 1, 0, "", 0, 0, nil},
	"last":  {map[[2]int]float64{{59, 60}: 0}, 2, 0, 0, 1, 0, "", 0, 0, nil},
	"row": {map[[2]int]float64{{11, 16}: 0.03}, 3, 1, 0, 0.5, 0, "", 0, 0, []string{
		"13 rate the rate is multiplied by 0.5 from here on: 3 bad steps in a row"}},
	"back": {map[[2]int]float64{{31, 60}: 0.011}, 12, 3, 1, 0.125, 0, "", 0, 0, []string{
		"28 back the training has come back to this step from step 39, and goes on at 0.25 of the rate: at rate " +
			"0.0125, the loss became NaN, which began in the output of layer 3 of stack (+Inf)"}},
	"twice": {map[[2]int]float64{{31, 60}: 0.004}, 15, 4, 1, 0.0625, 0, "", 0, 0, nil},
	"again": {map[[2]int]float64{{31, 60}: 0.0025}, 21, 5, 2, 0.03125, 0, "", 0, 0, nil},
	"apart": {map[[2]int]float64{{17, 26}: 0.02, {38, 50}: 0.0065}, 9, 3, 0, 0.125, 0, "", 5, 12, nil},
	// the same without as much calm in between
	"together": {map[[2]int]float64{{17, 26}: 0.02, {38, 50}: 0.0065}, 12, 3, 1, 0.125, 0, "", 5, 30, nil},
	"hopeless": {map[[2]int]float64{{31, 60}: 0}, 0, 0, 0, 0, 39,
		"after the training has gone back to the checkpoint of step 28 3 times", 0, 0, nil},
	"early": {map[[2]int]float64{{3, 60}: 0}, 0, 0, 0, 0, 16,
		"after the training has gone back to the checkpoint of step 7 3 times", 0, 0, nil},
	"none": {map[[2]int]float64{{3, 60}: 0}, 0, 0, 0, 0, 11, "there is no checkpoint to go back to", 50, 0, nil},
}

// A training whose steps fail skips them, lowers its rate and goes back, as its guard says; stopped after any step,
// in the middle of all that too, and resumed, it ends with the same bits, log and best parameters.
func TestGuard(t *testing.T) {
	for name, c := range faults {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run := func(m *faulty, ctx context.Context, file string, resume bool) (Result, *notices, error) {
				o := guarded(filepath.Join(dir, file))
				o.Resume, o.SaveEvery, o.Guard.Window = resume, c.saveEvery, c.window
				seen := &notices{}
				log := NewLogFile(filepath.Join(dir, file+".log"), nil)
				o.Reporter = Reporters(seen, log)
				r, err := Run(ctx, m, data(), o)
				if err := log.Close(); err != nil {
					t.Fatal(err)
				}
				return r, seen, err
			}
			whole := above(c.rates)
			want, seen, err := run(whole, context.Background(), "whole", false)
			var all []string
			for _, n := range seen.all {
				all = append(all, fmt.Sprint(n.Step, " ", n.What, " ", n.Text))
			}
			for _, n := range c.notices {
				if !slices.Contains(all, n) {
					t.Errorf("the notices are\n%s\nwithout %s", strings.Join(all, "\n"), n)
				}
			}
			if c.failed > 0 {
				if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("in step %d, ", c.failed)) ||
					!strings.Contains(err.Error(), c.kept) || !strings.Contains(err.Error(), "layer 3 of stack") {
					t.Fatalf("the error is %v", err)
				}
				return
			}
			if err != nil || want.Steps != 60 || want.Returned != c.backs || want.Lowered != c.lowered ||
				want.Skipped != c.skipped {
				t.Fatalf("%+v, %v\n%s", want, err, strings.Join(all, "\n"))
			}
			if got := scaleOf(t, filepath.Join(dir, "whole")); got != c.scale {
				t.Errorf("the rate is multiplied by %v in the end, want %v", got, c.scale)
			}
			stride := 3 // which meets every place within a pass and between validations
			if name == "back" {
				stride = 1
			}
			for stop := 1; stop < 60; stop += stride {
				for nth := 1; nth <= 1+min(c.backs, 1); nth++ { // the first or the second time that the step comes
					file := fmt.Sprint(stop, nth)
					ctx, cancel := context.WithCancel(context.Background())
					m, times := above(c.rates), 0
					m.stepped = func(step int) {
						if step == stop {
							if times++; times == nth {
								cancel()
							}
						}
					}
					r, _, err := run(m, ctx, file, false)
					if err != nil {
						t.Fatal(err)
					}
					n := m
					if r.Interrupted {
						n = above(c.rates)
						if r, _, err = run(n, context.Background(), file, true); err != nil {
							t.Fatalf("stopped at step %d and resumed: %v", stop, err)
						}
					}
					if fmt.Sprint(n.w, n.momentum, n.state, n.step) != fmt.Sprint(whole.w, whole.momentum, whole.state,
						whole.step) || r.Best != want.Best || r.Skipped != want.Skipped || r.Returned != want.Returned {
						t.Fatalf("stopped at step %d and resumed, the training ends elsewhere: %+v, want %+v", stop, r, want)
					}
					if a, b := unclocked(t, dir, file), unclocked(t, dir, "whole"); a != b {
						t.Fatalf("stopped at step %d and resumed, the log is\n%s\nwant\n%s", stop, a, b)
					}
					if a, b := read(t, filepath.Join(dir, file)), read(t, filepath.Join(dir, "whole")); a != b {
						t.Fatalf("stopped at step %d and resumed, the checkpoint is another", stop)
					}
					if a, b := read(t, filepath.Join(dir, file+".best")), read(t, filepath.Join(dir,
						"whole.best")); a != b {
						t.Fatalf("stopped at step %d and resumed, the best parameters are others", stop)
					}
					if _, err := os.Stat(filepath.Join(dir, file+".good")); err == nil {
						t.Errorf("stopped at step %d and resumed, the checkpoint that was kept beside is left", stop)
					}
				}
			}
		})
	}
}

// scaleOf is what the guard has made of the rate, in a checkpoint.
func scaleOf(t *testing.T, path string) float64 {
	t.Helper()
	info, err := checkpoint.Describe(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &guard{norms: map[string]*norms{}}
	if err := g.resume(info.Training.Loop, info.Training.Step); err != nil {
		t.Fatal(err)
	}
	return g.scale
}

// A step that has spoilt a parameter is of no use to skip: the training goes back at once.
func TestGuardSpoilt(t *testing.T) {
	o := guarded(filepath.Join(t.TempDir(), "c"))
	seen := &notices{}
	o.Reporter = seen
	m := &faulty{bigram: newBigram(4)}
	once := true
	m.fault = func(step int, rate float64) error {
		if step != 20 || !once {
			return nil
		}
		once = false
		m.w[3] = float32(math.Inf(1))
		return overflow()
	}
	r, err := Run(context.Background(), m, data(), o)
	if err != nil || r.Returned != 1 || len(seen.all) != 1 || seen.all[0].Step != 14 ||
		!strings.HasSuffix(seen.all[0].Text, ", and w is not finite either") {
		t.Errorf("%+v, %v, %v", r, seen.all, err)
	}
}

// Without a guard the first bad step ends the training, and an error of another kind does so with one.
func TestNoGuard(t *testing.T) {
	o := guarded(filepath.Join(t.TempDir(), "c"))
	o.Guard.Off = true
	_, err := Run(context.Background(), above(map[[2]int]float64{{31, 60}: 0}), data(), o)
	if err == nil || !strings.HasPrefix(err.Error(), "in step 31, at rate 0.05, the loss became NaN") {
		t.Errorf("the error is %v", err)
	}
	o.Guard.Off = false
	m := &faulty{newBigram(4), func(int, float64) error { return model.ErrInUse }}
	if _, err := Run(context.Background(), m, data(), o); err != model.ErrInUse {
		t.Errorf("the error is %v", err)
	}
	for _, bad := range []model.Guarding{{Factor: 2}, {Skips: -1}, {Times: 0.5}, {Times: 2, Window: 3},
		{Times: math.NaN()}} {
		o.Guard = bad
		if _, err := Run(context.Background(), newBigram(4), data(), o); err == nil ||
			!strings.Contains(err.Error(), "a guard of") {
			t.Errorf("%+v: the error is %v", bad, err)
		}
	}
	o.Guard = model.Guarding{Times: 10}
	if _, err := Run(context.Background(), newBigram(4), data(), o); err == nil ||
		!strings.Contains(err.Error(), "generate its code anew") {
		t.Errorf("the error is %v", err)
	}
}

// gradual is a model whose steps are made by a schedule, and whose gradients grow in some of them.
type gradual struct {
	*bigram
	t     schedule.Training
	grows map[int]float32
	moved []int // steps that moved something
}

func newGradual(grows map[int]float32) *gradual {
	m := &gradual{bigram: newBigram(4), grows: grows}
	n := len(m.w)
	part := &schedule.Part{To: n, Rule: optim.NewSGD(n, 0.5, false, 0)}
	m.t = schedule.Training{Params: m.w, Grads: m.g, Tensors: m.Tensors, Norm: 1, Steps: []*schedule.Step{{
		Moves: []*schedule.Part{part}, Gradients: func(b *model.Batch) (float64, error) {
			loss := m.forward(b, true)
			for i := range m.g {
				m.g[i] *= 1 + m.grows[m.t.Count+1]
			}
			return loss, nil
		}}}}
	return m
}

func (m *gradual) Training() *schedule.Training { return &m.t }
func (m *gradual) Slots() []model.Slot          { return m.t.Slots() }
func (m *gradual) Step() int                    { return m.t.Count }
func (m *gradual) SetStep(n int)                { m.t.SetCount(n) }
func (m *gradual) TrainStep(b *model.Batch, rate float64) (loss, norm float64, err error) {
	before := slices.Clone(m.w)
	loss, norm, err = m.t.TrainStep(b, rate)
	if !slices.Equal(before, m.w) {
		m.moved = append(m.moved, m.t.Count)
	}
	if m.stepped != nil {
		m.stepped(m.t.Count + count(err != nil))
	}
	return loss, norm, err
}

// A step whose gradient is far larger than the median of those before is skipped before it moves anything, as soon as
// there is a median, with the parameter that has most of it; resumed as in TestGuard.
func TestGuardNorm(t *testing.T) {
	grows := map[int]float32{5: 1000, 30: 1000, 41: 500, 42: 1000, 50: 2}
	dir := t.TempDir()
	run := func(ctx context.Context, m *gradual, file string, resume bool) (Result, *notices) {
		o := guarded(filepath.Join(dir, file))
		o.Guard, o.Resume = model.Guarding{Times: 20, Window: 25}, resume
		seen := &notices{}
		log := NewLogFile(filepath.Join(dir, file+".log"), nil)
		o.Reporter = Reporters(seen, log)
		r, err := Run(ctx, m, data(), o)
		if err != nil || log.Close() != nil {
			t.Fatal(err)
		}
		return r, seen
	}
	whole := newGradual(grows)
	want, seen := run(context.Background(), whole, "whole", false)
	if want.Skipped != 3 || len(seen.all) != 3 || len(whole.moved) != 57 || slices.Contains(whole.moved, 30) ||
		!strings.Contains(seen.all[0].Text, "is usual, most of it in the gradient of w (") {
		t.Fatalf("%+v, %v, steps %v", want, seen.all, whole.moved)
	}
	for stop := 1; stop < 60; stop += 2 {
		file := fmt.Sprint(stop)
		ctx, cancel := context.WithCancel(context.Background())
		m := newGradual(grows)
		m.stepped = func(step int) {
			if step == stop {
				cancel()
			}
		}
		run(ctx, m, file, false)
		n := newGradual(grows)
		got, _ := run(context.Background(), n, file, true)
		if got.Skipped != 3 || fmt.Sprint(n.w) != fmt.Sprint(whole.w) ||
			read(t, filepath.Join(dir, file)) != read(t, filepath.Join(dir, "whole")) ||
			unclocked(t, dir, file) != unclocked(t, dir, "whole") {
			t.Fatalf("stopped at step %d and resumed, the training ends elsewhere: %+v", stop, got)
		}
	}
}

// What a checkpoint keeps of a guard is taken over whole, or not at all.
func TestGuardKeeps(t *testing.T) {
	rules := model.Guarding{Times: 3, Window: 20}
	g := &guard{rules: rules, norms: map[string]*norms{"": {last: []float64{1, 2, 3}}}, scale: 0.25, row: 1, calm: 2,
		lowered: 3, good: 4, target: 5, returns: 6, skipped: 7, lowerings: 8, backs: 9}
	m := map[string]string{}
	g.keep(m, 11)
	h := &guard{rules: rules, norms: map[string]*norms{"old": {}}}
	if err := h.resume(m, 11); err != nil {
		t.Fatal(err)
	}
	n := map[string]string{}
	if h.keep(n, 11); fmt.Sprint(m) != fmt.Sprint(n) || h.good != 4 || len(m) != 4 {
		t.Errorf("%v comes back as %v", m, n)
	}
	for _, bad := range []map[string]string{{guardGood: "x"}, {guardCounts: "1 2"}, {guardCounts: "1 2 3 4 5 6 7 x"},
		{guardScale: "0"}, {guardScale: "2"}, {guardNorms: "1 x"}} {
		if err := h.resume(bad, 11); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v is taken: %v", bad, err)
		}
	}
}
