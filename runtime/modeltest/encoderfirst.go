package modeltest

import (
	"math"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// EncoderFirst checks that an update of the encoder alone moves the parameters that the distributions of latent
// vectors depend on, and no others; that it allocates nothing; and that a training step moves all.
func EncoderFirst(t *testing.T, make func(seed uint64) Model) {
	m := shake(make(6)).(model.LeadingEncoder)
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
	for ; err == nil && norm == 0 && updates < 100; updates++ { // dropout may shut off all that the encoder learns from
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
		if moved != encodes[ts.Name] {
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
	again, _, _ := m.EncoderStep(b, 0)
	if other, _, _ := m.EncoderStep(b, 0); other == again {
		t.Error("two updates of the encoder draw the same noise")
	}
	m.TrainStep(b, 0.01)
	for _, ts := range m.Tensors() {
		if slices.Equal(ts.Value, before[ts.Name]) {
			t.Errorf("%s: a training step has not changed it", ts.Name)
		}
	}
	if n := allocations(2, func() { m.EncoderStep(b, 0.001) }); n != 0 {
		t.Errorf("an update of the encoder allocates %v times", n)
	}
}
