package modeltest

import (
	"math"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// often is how many steps are tried before a test says that dropout is not why nothing happens.
const often = 100

// EncoderFirst checks that an update of the encoder alone moves the parameters that the distributions of latent
// vectors depend on, and no others; that it allocates nothing; and that a training step moves all.
func EncoderFirst(t *testing.T, make func(seed uint64) Model) {
	learner := shake(make(6))
	m := learner.(model.LeadingEncoder)
	info := m.Info()
	large(t, info)
	steps, rows := size(info)
	b := batch(info, steps, rows, 41)
	mean, logvar, err := m.Posterior(b)
	if err != nil {
		t.Fatal(err)
	}
	codes := append(slices.Clone(mean), logvar...)
	encodes := map[string]bool{}
	before := map[string][]float32{}
	for _, ts := range m.Tensors() {
		kept := slices.Clone(ts.Value)
		before[ts.Name] = kept
		for i := range ts.Value {
			ts.Value[i] += 0.5 + float32(i%7)/8
		}
		mean, logvar, err := m.Posterior(b)
		if err != nil {
			t.Fatal(err)
		}
		encodes[ts.Name] = !slices.Equal(append(slices.Clone(mean), logvar...), codes)
		copy(ts.Value, kept)
	}
	loss, norm, err := m.EncoderStep(b, 0.01)
	updates := 1
	// Dropout may shut off all that the encoder learns from, and the first update of some rules, such as SOAP, only
	// looks at the gradient of matrices.
	for ; err == nil && (norm == 0 || updates < 2) && updates < often; updates++ {
		loss, norm, err = m.EncoderStep(b, 0.01)
	}
	if err != nil {
		t.Fatal(err)
	}
	if math.IsNaN(loss) || !(norm > 0) || m.Step() != 0 || m.EncoderSteps() != updates {
		t.Errorf("an update of the encoder has a loss of %v, a gradient of norm %v, and makes %d steps and %d of the "+
			"encoder", loss, norm, m.Step(), m.EncoderSteps())
	}
	both := 0
	for _, ts := range m.Tensors() {
		moved := !slices.Equal(ts.Value, before[ts.Name])
		if moved && !encodes[ts.Name] || !moved && encodes[ts.Name] && learns(ts, m.Tensors()) {
			t.Errorf("%s: an update of the encoder moves it: %t; latent vectors depend on it: %t", ts.Name, moved,
				encodes[ts.Name])
		}
		if !moved {
			both++
		}
		before[ts.Name] = slices.Clone(ts.Value)
	}
	if both == 0 || both == len(before) {
		t.Errorf("of %d tensors an update of the encoder leaves %d", len(before), both)
	}
	// Dropout may shut off all that noise reaches, or that a step would change: one of many does not.
	again, _, _ := m.EncoderStep(b, 0)
	differs := false
	for try := 0; try < often && !differs; try++ {
		other, _, _ := m.EncoderStep(b, 0)
		differs = other != again
	}
	if !differs {
		t.Error("all updates of the encoder draw the same noise")
	}
	moved := map[string]bool{}
	for try := 0; try < often && len(moved) <= len(before)-both; try++ {
		if _, err := learner.Gradients(b); err != nil {
			t.Fatal(err)
		}
		learn := map[string]bool{}
		for _, ts := range m.Tensors() {
			learn[ts.Name] = learns(ts, m.Tensors())
			before[ts.Name] = slices.Clone(ts.Value)
		}
		m.TrainStep(b, 0.01)
		if try == 0 { // which may only have looked at the gradient
			continue
		}
		for _, ts := range m.Tensors() {
			if !slices.Equal(ts.Value, before[ts.Name]) {
				moved[ts.Name] = true
			} else if learn[ts.Name] {
				t.Fatalf("%s: a training step has not changed it", ts.Name)
			}
		}
	}
	if len(moved) <= len(before)-both {
		t.Errorf("%d training steps have changed %d tensors of %d", often, len(moved), len(before))
	}
	allocatesNothing(t, "an update of the encoder", 2, func() error { return third(m.EncoderStep(b, still)) })
}

// learns reports whether the gradient of a tensor is such that an update of all shows in it: a gate between two equal
// values has none, and a gain of 1 does not change by a millionth of what others do.
func learns(ts model.Tensor, all []model.Tensor) bool {
	largest := float32(0)
	for _, other := range all {
		for _, g := range other.Grad {
			largest = max(largest, g, -g)
		}
	}
	for i, g := range ts.Grad {
		if v := ts.Value[i]; max(g, -g) > max(largest, v, -v, 0.01)/1000 {
			return true
		}
	}
	return false
}
