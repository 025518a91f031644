package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/schedule"
)

// bowl is a model whose loss is ½·Σx², plus a shift, of n parameters that begin at 1, whose gradients have noise. With
// plain gradient descent it learns at rates below 2 and goes astray above.
type bowl struct {
	*gradual
	x, noise []float32

	deviation, shift float64
	batches          int
}

func newBowl(n int, deviation, shift float64) *bowl {
	m := &bowl{gradual: newGradual(nil), x: make([]float32, n), noise: make([]float32, n), deviation: deviation,
		shift: shift}
	for i := range m.x {
		m.x[i] = 1
	}
	g := make([]float32, n)
	m.t = schedule.Training{Params: m.x, Grads: g, Steps: []*schedule.Step{{
		Moves: []*schedule.Part{{To: n, Rule: optim.NewSGD(n, 0, false, 0)}},
		Gradients: func(b *model.Batch) (float64, error) {
			m.batches++
			loss := m.shift
			for i, x := range m.x {
				loss += float64(x) * float64(x) / 2 / float64(n)
				g[i] = x + float32(m.deviation*normal(uint64(m.batches), uint64(i)))
			}
			return loss, nil
		}}}}
	return m
}

// normal is a draw of mean 0 and variance 1.
func normal(batch, i uint64) float64 {
	u := func(what uint64) float64 { return (float64(model.Key(batch, i, what)>>11) + 0.5) / (1 << 53) }
	return math.Sqrt(-2*math.Log(u(1))) * math.Cos(2*math.Pi*u(2))
}

// The test of a quadratic bowl finds a rate at which it falls, below the one at which it goes astray, and ends there.
func TestFindRate(t *testing.T) {
	for _, shift := range []float64{0, 5, -5} {
		m := newBowl(64, 0.1, shift)
		steps := 0
		r, err := FindRate(context.Background(), m, data().Train, 1e-4, 100, 120,
			func(step int, loss float64) { steps = step })
		if err != nil {
			t.Fatal(err)
		}
		if !(r.Steepest > 0.01 && r.Steepest < 2) || !(r.Lowest >= r.Steepest && r.Lowest < 4) ||
			!strings.Contains(r.Ended, "far above") || steps != len(r.Rates) || steps == 120 ||
			r.Rates[0] != 1e-4 || math.Abs(r.Rates[1]/r.Rates[0]-math.Pow(1e6, 1/119.)) > 1e-9 {
			t.Errorf("shift %v: steepest at %v, lowest at %v, %d steps, %q", shift, r.Steepest, r.Lowest, steps,
				r.Ended)
		}
	}
	failing := &faulty{newBigram(4), func(step int, rate float64) error {
		if rate > 0.1 {
			return overflow()
		}
		return nil
	}}
	r, err := FindRate(context.Background(), failing, data().Train, 1e-4, 10, 100, nil)
	if err != nil || !strings.Contains(r.Ended, "the loss became NaN") || !(r.Rates[len(r.Rates)-1] <= 0.1) {
		t.Errorf("%+v, %v", r, err)
	}
	for want, run := range map[string]func() error{
		"a test of rates from 1 to 1": func() error {
			_, err := FindRate(context.Background(), failing, data().Train, 1, 1, 100, nil)
			return err
		},
		"two networks": func() error {
			pair := of{newBigram(4), model.Info{Vocab: 4, Adversary: &model.Adversary{}}}
			_, err := FindRate(context.Background(), pair, data().Train, 1e-4, 1, 100, nil)
			return err
		},
		"no window": func() error {
			_, err := FindRate(context.Background(), newBigram(4), &windows{}, 1e-4, 1, 100, nil)
			return err
		},
		"the loss became NaN": func() error {
			m := newBigram(4)
			m.poison = 3
			_, err := FindRate(context.Background(), m, data().Train, 1e-4, 1, 100, nil)
			return err
		},
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
}

// The noise scale of gradients 1 + N(0, σ²) in each of n numbers, of batches of 2 tokens, is 2·σ²; nothing moves.
func TestNoiseScale(t *testing.T) {
	for _, deviation := range []float64{0.5, 2, 6} {
		m := newBowl(4000, deviation, 0)
		n, err := NoiseScale(context.Background(), m, data().Train, 40)
		if err != nil {
			t.Fatal(err)
		}
		want := 2 * deviation * deviation
		if n.Units != 2 || n.Batches != 40 || math.Abs(n.Scale/want-1) > 0.05 {
			t.Errorf("noise of %v: %+v, want a scale of %v", deviation, n, want)
		}
		if slices.ContainsFunc(m.x, func(x float32) bool { return x != 1 }) || m.t.Check != nil || m.t.Count != 0 {
			t.Error("measuring moves something")
		}
	}
	m := newBowl(10, 1, 0)
	clear(m.x)
	if n, err := NoiseScale(context.Background(), m, data().Train, 2); err != nil || !(n.Scale > 3) {
		t.Errorf("without a gradient the scale is %v, %v", fmt.Sprint(n), err)
	}
	for want, err := range map[string]error{
		"generate its code anew": second(NoiseScale(context.Background(), newBigram(4), data().Train, 9)),
		"2 batches or more":      second(NoiseScale(context.Background(), m, data().Train, 1)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
}

func second[A any](_ A, err error) error { return err }
