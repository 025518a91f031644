package modeltest

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// shake moves every parameter a little, by up to 0.05. Where a spec lets parameters begin at zero, or all alike, most
// gradients are zero there, and say nothing.
func shake[M model.LanguageModel](m M) M {
	for i, ts := range m.Tensors() {
		moves := make([]float32, len(ts.Value))
		kernel.Uniform(moves, model.Key(77, uint64(i)), 0, len(moves))
		for j, x := range moves {
			ts.Value[j] += 0.1*x - 0.05
		}
	}
	return m
}

// derivatives compares the gradient of every tensor that loss computes with what the loss does along it. prepare puts
// parameters back that a call of loss changes by itself; it may be nil. Where the gradient of a tensor is zero, alone
// says whether it must not be.
func derivatives(t *testing.T, m model.LanguageModel, loss func() float64, prepare func(),
	zero func(name string) bool) {
	t.Helper()
	if l := loss(); !finite(l) {
		t.Fatalf("the loss is %v", l)
	}
	noise := jitter(m, loss, prepare)
	directions := map[string][]float32{}
	for _, ts := range m.Tensors() {
		directions[ts.Name] = append([]float32{}, ts.Grad...)
	}
	for k, ts := range m.Tensors() {
		if ts.Grad == nil { // it does not learn
			continue
		}
		direction := directions[ts.Name]
		norm := math.Sqrt(kernel.SquaredNorm(direction, len(direction)))
		if norm == 0 {
			if zero(ts.Name) {
				continue
			}
			// A unit that is shut off has no gradient, which is right where the loss does not change either: along any
			// direction.
			direction = make([]float32, len(ts.Value))
			kernel.Normal(direction, model.Key(78, uint64(k)), 0, len(direction))
		}
		if err := compare(ts, direction, norm, noise, loss, prepare); err != nil {
			t.Error(err)
		}
	}
}

// lossOf is a loss, or NaN where it is not finite: a step of a test can be longer than a model bears.
func lossOf(loss float64, err error) float64 {
	if what := new(model.NotFinite); errors.As(err, &what) {
		return math.NaN()
	}
	return must(loss, err)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// jitter is how far the loss moves where parameters change by their last bits alone: a loss that is a difference of
// larger numbers, as of two means of verdicts, is known no better than they are.
func jitter(m model.LanguageModel, loss func() float64, prepare func()) float64 {
	kept, most := copies(m), 0.0
	call := func() float64 {
		l := loss()
		for k, ts := range m.Tensors() {
			copy(ts.Value, kept[k])
		}
		return l
	}
	base := call()
	var draws []float32
	for round := range 4 {
		if prepare != nil {
			prepare()
		}
		for k, ts := range m.Tensors() {
			n := len(ts.Value)
			draws = append(draws[:0], ts.Value...)
			kernel.Uniform(draws, model.Key(79, uint64(round), uint64(k)), 0, n)
			for i, x := range ts.Value {
				ts.Value[i] = math.Nextafter32(x, float32(math.Inf(1-2*int(2*draws[i]))))
			}
		}
		if l := call(); finite(l) {
			most = max(most, math.Abs(l-base))
		}
	}
	return most
}

// compare holds the gradient of one tensor against the loss, along a direction. norm is that of the gradient, if the
// direction is its own; 0 elsewhere. noise is how far rounding takes the loss at the least.
//
// A central difference (L(p + εv) − L(p − εv))/2ε is ‖g‖ for v = g/‖g‖ where the loss has no kinks in between. Long
// steps lose to curvature, short ones to the rounding of the loss, which is computed in float32: one of a few must
// agree. With ReLU and maxima there may be none. Then the difference is compared with the gradient's integral from one
// end to the other, which kinks leave as it is: a wrong gradient has another one.
func compare(ts model.Tensor, direction []float32, norm, noise float64, loss func() float64, prepare func()) error {
	length := math.Sqrt(kernel.SquaredNorm(direction, len(direction)))
	kept := append([]float32{}, ts.Value...)
	at := func(s float64) float64 {
		if prepare != nil {
			prepare()
		}
		for i := range kept {
			ts.Value[i] = kept[i] + float32(s*float64(direction[i])/length)
		}
		return loss()
	}
	slope := func(s float64) float64 {
		at(s)
		sum := 0.0
		for i, g := range ts.Grad {
			sum += float64(g) * float64(direction[i])
		}
		return sum / length
	}
	defer at(0)
	bound := 0.02
	if norm > 1000 { // so steep a loss bends within steps that float32 can still tell
		bound = 0.3
	}
	best := math.Inf(1)
	if norm > 0 {
		for _, eps := range []float64{0.03, 0.1, 0.01, 0.003, 0.3, 0.001, 0.0003, 0.0001, 0.00003, 0.00001} {
			up, down := at(eps), at(-eps)
			if !finite(up) || !finite(down) {
				continue
			}
			rounding := max(2*(math.Abs(up)+math.Abs(down))*0x1p-23, 2*noise) / (2 * eps)
			if best = min(best, max(0, math.Abs((up-down)/(2*eps)-norm)-rounding)/norm); best < bound {
				return nil
			}
		}
	}
	for _, eps := range []float64{0.03, 0.003, 0.0003, 0.3} {
		up, down := at(eps), at(-eps)
		if !finite(up) || !finite(down) {
			continue
		}
		rounding := max(4*(math.Abs(up)+math.Abs(down))*0x1p-23, 2*noise)
		for _, pieces := range []int{8, 64} {
			integral, size := 0.0, 0.0
			for i := range pieces {
				d := slope(eps*(2*float64(i)+1)/float64(pieces)-eps) * 2 * eps / float64(pieces)
				integral += d
				size += math.Abs(d)
			}
			off := max(0, math.Abs(up-down-integral)-rounding)
			if off == 0 || off < bound*size {
				return nil
			}
			best = min(best, off/max(size, math.Abs(up-down)))
		}
	}
	return fmt.Errorf("%s: the gradient's norm is %g; what the loss does along it is %.1f %% away", ts.Name, norm,
		100*best)
}
