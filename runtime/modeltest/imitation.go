package modeltest

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// Imitation is adversarial networks of text that also show their gradients.
type Imitation interface {
	model.Imitators
	// Gradients computes the generator's loss on the lines of b, weights included, and its gradient.
	Gradients(b *model.Batch) (float64, error)
	// DiscriminatorGradients computes the discriminator's loss on the lines of b, those that were made included, and
	// its gradient.
	DiscriminatorGradients(b *model.Batch) (float64, error)
}

// Relaxers are those whose generator learns from relaxed lines that it writes.
type Relaxers interface {
	Imitation
	// RelaxedGradients computes the generator's loss on relaxed lines, and its gradient.
	RelaxedGradients(b *model.Batch) (float64, error)
}

// Sampler is networks that write lines.
type Sampler interface {
	model.Imitators
	Sample(ctx context.Context, n int, temperature float64, seed uint64) ([]string, error)
}

// lines makes a batch of pseudo-random lines, and of as many that a generator might have written, with rewards above
// and below 0.
func lines(info *model.Info, steps, batch int, seed uint64) *model.Batch {
	n := steps * batch
	b := &model.Batch{Steps: steps, Batch: batch, Tokens: make([]int32, n), Targets: make([]int32, n),
		Reset: make([]int32, n), Made: make([]int32, n), Weights: make([]float32, n)}
	for i := range n {
		b.Targets[i] = int32(model.Key(seed, uint64(i)) % uint64(info.Vocab))
		b.Made[i] = int32(model.Key(seed, uint64(i), 1) % uint64(info.Vocab))
		b.Weights[i] = float32(model.Key(seed, uint64(i), 2)>>40)/(1<<23) - 0.5
		b.Tokens[i] = info.Adversary.Text.Begin
		if i < batch {
			b.Reset[i] = 1
		} else {
			b.Tokens[i] = b.Targets[i-batch]
		}
	}
	return b
}

// ImitationGradients compares the gradients of the generator's step, with weights as rewards have them, and of the
// discriminator's with central differences, as AdversarialGradients does.
func ImitationGradients(t *testing.T, make func(seed uint64) Imitation) {
	m := shake(make(3))
	large(t, m.Info())
	steps, n := size(m.Info())
	b := lines(m.Info(), steps, n, 11)
	networkGradients(t, m, func() float64 { clear(m.State()); return lossOf(m.Gradients(b)) })
	networkGradients(t, m, func() float64 { return lossOf(m.DiscriminatorGradients(b)) })
}

// RelaxedGradients is ImitationGradients for a generator that has a step on relaxed lines too; the noise of all calls
// is the same, as no step is made between them.
func RelaxedGradients(t *testing.T, make func(seed uint64) Relaxers) {
	ImitationGradients(t, func(seed uint64) Imitation { return make(seed) })
	m := shake(make(3))
	large(t, m.Info())
	steps, n := size(m.Info())
	b := lines(m.Info(), steps, n, 12)
	networkGradients(t, m, func() float64 { return lossOf(m.RelaxedGradients(b)) })
}

// few is a batch that two threads share, of lines whose rollouts do not take long.
func few(info *model.Info) (steps, batch int) { return min(info.Steps, 7), min(info.Batch, 8) }

// ImitationSamples compares the lines of one number of samples with those of another, more than fit a batch.
func ImitationSamples(t *testing.T, make func(seed uint64) Sampler) {
	m := shake(make(2))
	large(t, m.Info())
	ctx := context.Background()
	many, few := must(m.Sample(ctx, m.Info().Batch+3, 0.8, 7)), must(m.Sample(ctx, 2, 0.8, 7))
	if len(many) != m.Info().Batch+3 || many[0] != few[0] || many[1] != few[1] {
		t.Errorf("%d lines begin with %q and %q, 2 lines are %q", len(many), many[0], many[1], few)
	}
	// A model may be all but sure of the first tokens that it writes, and of the end of a line; less so where the
	// temperature is high.
	differs := false
	for seed := range uint64(often) {
		other := must(m.Sample(ctx, 2, float64(uint64(2)<<(seed/4)), 8+seed))
		if differs = other[0] != few[0] || other[1] != few[1]; differs {
			break
		}
	}
	if !differs {
		t.Errorf("%d seeds give the same lines", often)
	}
}

// stages are numbers of training steps at which other networks move: the generator by likelihood, the discriminator
// alone, and both.
func stages(info *model.Info) []int {
	x := info.Adversary.Text
	return []int{0, x.Pretraining, x.Pretraining + x.HeadStart, x.Pretraining + x.HeadStart + info.Adversary.Steps}
}

// ImitationDeterminism makes some training steps of each stage with two models from one seed, the second on two
// threads, and compares every bit.
func ImitationDeterminism(t *testing.T, make func(seed uint64) Imitation) {
	defer parallel.SetThreads(parallel.Threads())
	var first Imitation
	for _, threads := range []int{1, 2} {
		parallel.SetThreads(threads)
		m := shake(make(5))
		large(t, m.Info())
		steps, n := few(m.Info())
		for i, at := range stages(m.Info()) {
			m.SetStep(at)
			before := copies(m)
			for try := 0; try < often && same(before, m); try++ { // dropout may shut off all
				m.TrainStep(lines(m.Info(), steps, n, uint64(i)), 0.01)
			}
			if same(before, m) {
				t.Errorf("%d training steps from %d on have changed no parameter", often, at)
			}
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

func copies(m model.LanguageModel) [][]float32 {
	var all [][]float32
	for _, ts := range m.Tensors() {
		all = append(all, append([]float32{}, ts.Value...))
	}
	return all
}

func same(before [][]float32, m model.LanguageModel) bool {
	for i, ts := range m.Tensors() {
		for j, x := range ts.Value {
			if math.Float32bits(x) != math.Float32bits(before[i][j]) {
				return false
			}
		}
	}
	return true
}

// ImitationAllocations counts what training steps of each stage allocate, and verdicts.
func ImitationAllocations(t *testing.T, make func(seed uint64) Imitation) {
	m := make(1)
	large(t, m.Info())
	steps, n := few(m.Info())
	b := lines(m.Info(), steps, n, 1)
	for _, at := range stages(m.Info()) {
		allocatesNothing(t, fmt.Sprintf("training step %d", at), 1, func() error {
			m.SetStep(at)
			return third(m.TrainStep(b, still))
		})
	}
	verdicts := model.Floats(b.Batch)
	allocatesNothing(t, "a verdict", 2, func() error { return m.Judge(verdicts, b) })
	allocatesNothing(t, "an evaluation", 2, func() error { return second(m.Loss(b)) })
}
