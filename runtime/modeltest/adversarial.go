package modeltest

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// Adversaries is a pair of adversarial networks that also shows its gradients.
type Adversaries interface {
	model.Adversaries
	// DiscriminatorGradients and GeneratorGradients compute the loss of a network on b, noise included, and its
	// gradient.
	DiscriminatorGradients(b *model.Batch) (float64, error)
	GeneratorGradients(b *model.Batch) (float64, error)
}

// vectors makes a batch of pseudo-random vectors and noise, and of labels where the pair is conditional.
func vectors(info *model.Info, batch int, seed uint64) *model.Batch {
	b := &model.Batch{Batch: batch, Vectors: make([]float32, batch*info.Vector.Width),
		Noise: make([]float32, batch*info.Adversary.Noise), Mix: make([]float32, batch)}
	kernel.Uniform(b.Vectors, model.Key(seed, 1), 0, len(b.Vectors))
	kernel.Normal(b.Noise, model.Key(seed, 2), 0, len(b.Noise))
	kernel.Uniform(b.Mix, model.Key(seed, 3), 0, len(b.Mix))
	b.Labels = labels(info, batch, seed)
	return b
}

// largest is the largest batch, or a small one where a full one would take long.
func largest(info *model.Info) int {
	if kernel.Level() == "generic" {
		return min(info.Batch, 3)
	}
	return info.Batch
}

// AdversarialGradients compares the gradient of every tensor that a network's step trains with a central difference of
// the network's loss, as Gradients does. With a gradient penalty that of the discriminator is a gradient of a
// gradient.
func AdversarialGradients(t *testing.T, make func(seed uint64) Adversaries) {
	m := shake(make(3))
	large(t, m.Info())
	b := vectors(m.Info(), min(m.Info().Batch, 8), 11)
	settle(m, b)
	for _, loss := range []func(*model.Batch) (float64, error){m.DiscriminatorGradients, m.GeneratorGradients} {
		networkGradients(t, m, func() float64 { return lossOf(loss(b)) })
	}
	// Both networks learn: every tensor with a gradient has moved, and so has the average of every one.
	before := map[string][]float32{}
	for _, ts := range m.Tensors() {
		before[ts.Name] = append([]float32{}, ts.Value...)
	}
	m.TrainStep(b, 0.01)
	for _, ts := range m.Tensors() {
		moved := false
		for i, x := range ts.Value {
			moved = moved || x != before[ts.Name][i]
		}
		if !moved && (ts.Grad == nil || kernel.SquaredNorm(ts.Grad, len(ts.Grad)) != 0) {
			t.Errorf("%s: a training step has not changed it", ts.Name)
		}
	}
}

// networkGradients compares the gradients that loss computes with what it does along them; tensors whose gradient is 0
// are those of the other network.
func networkGradients(t *testing.T, m model.LanguageModel, loss func() float64) {
	t.Helper()
	kept := map[string][]float32{}
	for _, ts := range m.Tensors() {
		clear(ts.Grad)
		kept[ts.Name] = append([]float32{}, ts.Value...)
	}
	derivatives(t, m, loss, func() {
		for _, ts := range m.Tensors() {
			copy(ts.Value, kept[ts.Name]) // a training step moves what no gradient does
		}
	}, func(string) bool { return true })
}

// settle runs the power iteration of spectral norms, by steps that change nothing else, until it stands: the gradient
// takes its vectors for constants, which is right where they are singular vectors.
func settle(m Adversaries, b *model.Batch) {
	last := map[string][]float32{}
	for range 1000 {
		m.TrainStep(b, 0)
		moved := 0.0
		for _, ts := range m.Tensors() {
			if !strings.HasSuffix(ts.Name, ".u") {
				continue
			}
			for i, x := range last[ts.Name] {
				moved = max(moved, math.Abs(float64(ts.Value[i]-x)))
			}
			if last[ts.Name] == nil {
				moved = 1
			}
			last[ts.Name] = append(last[ts.Name][:0], ts.Value...)
		}
		if moved < 1e-5 {
			return
		}
	}
}

// AdversarialDeterminism trains two pairs from one seed, the second on two threads, and compares every bit.
func AdversarialDeterminism(t *testing.T, make func(seed uint64) Adversaries) {
	defer parallel.SetThreads(parallel.Threads())
	var first Adversaries
	for _, threads := range []int{1, 2} {
		parallel.SetThreads(threads)
		m := make(5)
		large(t, m.Info())
		for step := range 3 {
			m.TrainStep(vectors(m.Info(), m.Info().Adversary.Steps*largest(m.Info()), uint64(step)), 0.01)
		}
		if threads == 1 {
			first = m
			continue
		}
		if *first.Duel() != *m.Duel() {
			t.Errorf("the last step went %+v on one thread and %+v on two", *first.Duel(), *m.Duel())
		}
		sameBits(t, first, m)
	}
}

// AdversarialAllocations counts what a training step allocates.
func AdversarialAllocations(t *testing.T, make func(seed uint64) Adversaries) {
	m := make(1)
	large(t, m.Info())
	b := vectors(m.Info(), m.Info().Adversary.Steps*largest(m.Info()), 1)
	allocatesNothing(t, "a training step", 2, func() error { return third(m.TrainStep(b, still)) })
	b.Batch = min(b.Batch, m.Info().Batch)
	b.Labels = labels(m.Info(), b.Batch, 1)
	allocatesNothing(t, "an evaluation", 2, func() error { return second(m.Loss(b)) })
}

// AdversarialSamples compares samples and verdicts of one number with those of another, more than fit a batch, and,
// where the pair is conditional, those of one label with those of another.
func AdversarialSamples(t *testing.T, make func(seed uint64) Adversaries) {
	m := shake(make(2))
	info := m.Info()
	large(t, info)
	n, size := info.Batch+3, info.Vector.Width
	kinds := labels(info, n, 3)
	many := must(m.Generate(n, kinds, 7))
	few := must(m.Generate(2, labels(info, 2, 3), 7))
	same := func(what string, a, b []float32) {
		t.Helper()
		for i, x := range a {
			if math.Float32bits(x) != math.Float32bits(b[i]) {
				t.Fatalf("%s: number %d is %v among few and %v among many", what, i, x, b[i])
			}
		}
	}
	same("samples", few, many)
	// Where no sample differs from another one of its label, the networks of the spec let no noise through, and where
	// none does at all, nothing.
	through, alive := false, false
	for i := range n {
		for j := range i {
			differ := !slices.Equal(many[i*size:(i+1)*size], many[j*size:(j+1)*size])
			through = through || differ && (info.Labels == 0 || kinds[i] == kinds[j])
			alive = alive || differ
		}
	}
	if through && slices.Equal(must(m.Generate(n, kinds, 8)), many) {
		t.Error("two seeds give the same samples")
	}
	verdicts := append([]float32{}, many[:n]...)
	judge(t, m, verdicts, many, kinds)
	one := []float32{0}
	last := kinds
	if info.Labels > 0 {
		last = kinds[n-1:]
	}
	judge(t, m, one, many[(n-1)*size:], last)
	same("verdicts", one, verdicts[n-1:])

	if info.Labels == 0 {
		return
	}
	others := labels(info, n, 3)
	for i := range others {
		others[i] = (others[i] + 1) % int32(info.Labels)
	}
	if alive && slices.Equal(must(m.Generate(n, others, 7)), many) {
		t.Error("two labels give the same samples")
	}
	again := append([]float32{}, verdicts...)
	judge(t, m, again, many, others)
	if slices.Equal(again, verdicts) {
		t.Error("two labels give the same verdicts")
	}
}

// judge lets m judge vectors.
func judge(t *testing.T, m Adversaries, verdicts, vectors []float32, labels []int32) {
	t.Helper()
	if err := m.Judge(verdicts, vectors, labels); err != nil {
		t.Fatal(err)
	}
}
