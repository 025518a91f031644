package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/optim"
)

// The average is what is validated, saved and given back; the parameters that are trained are those of a training
// without one, and a training that is stopped after any step goes on with both.
func TestAverage(t *testing.T) {
	const decay = 0.9
	dir := t.TempDir()
	run := func(ctx context.Context, m *gradual, file string, decay float64, resume bool) Result {
		o := guarded(filepath.Join(dir, file))
		o.Average, o.Resume = decay, resume
		r, err := Run(ctx, m, data(), o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	plain := newGradual(nil)
	average := make([]float64, len(plain.w))
	plain.stepped = func(step int) {
		d := min(decay, float64(1+step)/float64(10+step))
		for i, x := range plain.w {
			average[i] = d*average[i] + (1-d)*float64(x)
		}
	}
	run(context.Background(), plain, "plain", 0, false)
	whole := newGradual(nil)
	want := run(context.Background(), whole, "whole", decay, false)
	for i, x := range average {
		if math.Abs(float64(whole.w[i])-x) > 1e-6 {
			t.Fatalf("parameter %d of the average is %v, want %v", i, whole.w[i], x)
		}
	}
	read1 := func(file string) *gradual {
		m := newGradual(nil)
		if err := checkpoint.LoadWeights(filepath.Join(dir, file), m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	if saved := read1("whole"); fmt.Sprint(saved.w) != fmt.Sprint(whole.w) {
		t.Error("the checkpoint has other parameters than the average")
	}
	best := read1("whole.best")
	if loss, _, err := Evaluate(context.Background(), best, data().Validation); err != nil || loss != want.Best {
		t.Errorf("the best parameters have a loss of %v, the best was %v: %v", loss, want.Best, err)
	}
	live := newGradual(nil)
	live.t.Averaged(decay)
	if _, _, err := checkpoint.Load(filepath.Join(dir, "whole"), live); err != nil {
		t.Fatal(err)
	}
	if live.t.Swap(); fmt.Sprint(live.w) != fmt.Sprint(plain.w) {
		t.Error("the parameters that are trained are not those of a training without an average")
	}
	for stop := 1; stop < 60; stop += 2 {
		file := fmt.Sprint(stop)
		ctx, cancel := context.WithCancel(context.Background())
		m := newGradual(nil)
		m.stepped = func(step int) {
			if step == stop {
				cancel()
			}
		}
		run(ctx, m, file, decay, false)
		n := newGradual(nil)
		if r := run(context.Background(), n, file, decay, true); fmt.Sprint(n.w) != fmt.Sprint(whole.w) ||
			r.Best != want.Best || read(t, filepath.Join(dir, file)) != read(t, filepath.Join(dir, "whole")) {
			t.Fatalf("stopped at step %d and resumed, the training ends elsewhere: %+v, want %+v", stop, r, want)
		}
	}
	o := guarded(filepath.Join(dir, "plain"))
	o.Average, o.Resume = decay, true
	if _, err := Run(context.Background(), newGradual(nil), data(), o); err == nil ||
		!strings.Contains(err.Error(), "has no tensor optimizer/average") {
		t.Errorf("a training without an average goes on with one: %v", err)
	}
	for _, bad := range []float64{-1, 1, math.NaN()} {
		o.Average = bad
		if _, err := Run(context.Background(), newGradual(nil), data(), o); err == nil ||
			!strings.Contains(err.Error(), "give 0 for none") {
			t.Errorf("a decay of %v: %v", bad, err)
		}
	}
	o.Average = decay
	if _, err := Run(context.Background(), newBigram(4), data(), o); err == nil ||
		!strings.Contains(err.Error(), "generate its code anew") {
		t.Errorf("the error is %v", err)
	}
}

// A rule that keeps an average itself shows it as an average beside the parameters is shown, from the first step on.
func TestScheduleFree(t *testing.T) {
	dir := t.TempDir()
	free := func() *gradual {
		m := newGradual(nil)
		m.t.Steps[0].Moves[0].Rule = optim.NewScheduleFree(len(m.w), 0.9, 0.99, 1e-8, 0)
		return m
	}
	run := func(ctx context.Context, m *gradual, file string, resume bool) Result {
		o := guarded(filepath.Join(dir, file))
		o.Resume = resume
		r, err := Run(ctx, m, data(), o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	whole := free()
	want := run(context.Background(), whole, "whole", false)
	best := newGradual(nil)
	if err := checkpoint.LoadWeights(filepath.Join(dir, "whole.best"), best); err != nil {
		t.Fatal(err)
	}
	if loss, _, err := Evaluate(context.Background(), best, data().Validation); err != nil || loss != want.Best ||
		!(loss < 1) {
		t.Errorf("the best parameters have a loss of %v, the best was %v: %v", loss, want.Best, err)
	}
	for stop := 1; stop < 60; stop += 2 {
		file := fmt.Sprint(stop)
		ctx, cancel := context.WithCancel(context.Background())
		m := free()
		m.stepped = func(step int) {
			if step == stop {
				cancel()
			}
		}
		run(ctx, m, file, false)
		n := free()
		if r := run(context.Background(), n, file, true); fmt.Sprint(n.w) != fmt.Sprint(whole.w) ||
			r.Best != want.Best || read(t, filepath.Join(dir, file)) != read(t, filepath.Join(dir, "whole")) {
			t.Fatalf("stopped at step %d and resumed, the training ends elsewhere: %+v, want %+v", stop, r, want)
		}
	}
	o := guarded(filepath.Join(dir, "c"))
	o.Average = 0.9
	if _, err := Run(context.Background(), free(), data(), o); err == nil ||
		!strings.Contains(err.Error(), "keeps an average of the parameters itself") {
		t.Errorf("the error is %v", err)
	}
}
