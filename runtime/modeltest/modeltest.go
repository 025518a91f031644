// Package modeltest holds the checks that every generated package runs on itself: gradients against finite
// differences, the same bits from the same seed on any number of threads, no allocations, and a decoder that agrees
// with the forward pass.
//
// It is for tests only, and knows of models no more than the interfaces of package model.
package modeltest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// Model is a model that also shows its gradients.
type Model interface {
	model.LanguageModel
	// Gradients computes the loss and its gradient, and carries the state on.
	Gradients(b *model.Batch) (float64, error)
}

// batch makes a window of pseudo-random tokens, with a text that begins in the middle and a target that is padding, or
// of vectors of numbers from 0 to 1.
func batch(info *model.Info, steps, batch int, seed uint64) *model.Batch {
	n := steps * batch
	if v := info.Vector; v != nil {
		b := &model.Batch{Steps: 1, Batch: batch, Vectors: make([]float32, batch*v.Width),
			Labels: labels(info, batch, seed)}
		for i := range b.Vectors {
			b.Vectors[i] = float32(model.Key(seed, uint64(i))>>40) / (1 << 24)
		}
		return b
	}
	b := &model.Batch{Steps: steps, Batch: batch, Tokens: make([]int32, n), Targets: make([]int32, n),
		Reset: make([]int32, n), Labels: labels(info, batch, seed)}
	for i := range n {
		b.Tokens[i] = int32(model.Key(seed, uint64(i)) % uint64(info.Vocab))
		b.Targets[i] = int32(model.Key(seed, uint64(i), 1) % uint64(info.Vocab))
	}
	b.Targets[n-1] = -1
	b.Reset[n/2] = 1
	if s := info.Source; s != nil {
		b.SourceSteps = min(s.Steps, steps+2)
		b.Source = make([]int32, b.SourceSteps*batch)
		for i := range b.Source {
			b.Source[i] = int32(model.Key(seed, uint64(i), 2) % uint64(s.Vocab))
			if i/batch > i%batch+1 {
				b.Source[i] = -1 // sources of different lengths
			}
		}
	}
	return b
}

// labels makes pseudo-random labels where the model is conditional.
func labels(info *model.Info, n int, seed uint64) []int32 {
	if info.Labels == 0 {
		return nil
	}
	l := make([]int32, n)
	for i := range l {
		l[i] = int32(model.Key(seed, uint64(i), 3) % uint64(info.Labels))
	}
	return l
}

// size is a window that is large enough to reach every part of the code and small enough for a test.
func size(info *model.Info) (steps, batch int) { return min(info.Steps, 7), min(info.Batch, 3) }

// whole is the largest window, or a small one where a full one would take long: without assembly, and for large models.
func whole(info *model.Info) (steps, batch int) {
	switch {
	case kernel.Level() == "generic":
		return size(info)
	case float64(info.Params)*float64(info.Steps)*float64(info.Batch) > 5e9:
		return min(info.Steps, 40), min(info.Batch, 3)
	}
	return info.Steps, info.Batch
}

// large skips a check of a large model where the kernels have no assembly: it would take many minutes, and says
// nothing that the smaller models' do not.
func large(t *testing.T, info *model.Info) {
	if kernel.Level() == "generic" && info.Params > 300_000 {
		t.Skipf("%d parameters without assembly", info.Params)
	}
}

// Gradients compares the gradient of every tensor with what the loss does along it. The loss is computed in float32,
// so steps are wide and the bound loose; that each single number is right is checked in float64 where the compiler is
// tested. Dropout masks are the same in all calls, as no step is made between them.
func Gradients(t *testing.T, make func(seed uint64) Model) {
	m := shake(make(3))
	large(t, m.Info())
	steps, n := size(m.Info())
	b := batch(m.Info(), steps, n, 11)
	knows(t, m, b)
	derivatives(t, m, func() float64 {
		clear(m.State())
		return lossOf(m.Gradients(b))
	}, nil, func(string) bool { return false })
}

// Poison fills x with NaN. Code that the tests of the compiler generate calls it on memory that nothing may read any
// more.
func Poison(x []float32) {
	nan := float32(math.NaN())
	for i := range x {
		x[i] = nan
	}
}

// knows checks that Loss is what the model knows, the mean of −log p(target), whatever the objective of its training
// adds.
func knows(t *testing.T, m model.LanguageModel, b *model.Batch) {
	t.Helper()
	p, ok := m.(model.Predictor)
	if !ok || m.Info().Latent != nil {
		return
	}
	clear(m.State())
	got := must(m.Loss(b))
	clear(m.State())
	logits, vocab := must(p.Logits(b)), m.Info().Vocab
	row := make([]float32, vocab)
	sum, count := 0.0, 0.0
	for i, target := range b.Targets {
		if target >= 0 {
			kernel.LogSoftmax(row, logits[i*vocab:(i+1)*vocab], 1, vocab)
			sum -= float64(row[target])
			count++
		}
	}
	if want := sum / count; !(math.Abs(got-want) <= 1e-5*(1+want)) {
		t.Errorf("the loss is %v, and the mean of −log p(target) %v", got, want)
	}
}

// Determinism trains two models from one seed, the second on two threads, and compares every bit. A training that
// diverges behind its first step does so on two threads as on one.
func Determinism(t *testing.T, make func(seed uint64) Model) {
	defer parallel.SetThreads(parallel.Threads())
	var first Model
	var losses []float64
	diverges := "" // what is said of the first step that cannot be made
	for _, threads := range []int{1, 2} {
		parallel.SetThreads(threads)
		m := make(5)
		large(t, m.Info())
		if threads == 1 {
			Early(m, func(text string) { t.Error(text) })
		}
		info := m.Info()
		steps, n := whole(info)
		said := ""
		for step := range 3 {
			loss, _, err := m.TrainStep(batch(info, steps, n, uint64(step)), 0.01)
			if infinite := new(model.NotFinite); step > 0 && errors.As(err, &infinite) {
				said = fmt.Sprintf("step %d: %v", step, err)
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if threads == 1 {
				losses = append(losses, loss)
			} else if math.Float64bits(losses[step]) != math.Float64bits(loss) {
				t.Errorf("step %d: the loss is %v on one thread and %v on two", step, losses[step], loss)
			}
		}
		if threads == 1 {
			first, diverges = m, said
			continue
		}
		if said != diverges {
			t.Errorf("on two threads %q is wrong with a step; on one %q", said, diverges)
		}
		sameBits(t, first, m)
	}
}

// sameBits compares every bit of the parameters of two models, of which the second was trained on two threads.
func sameBits(t *testing.T, first, second model.LanguageModel) {
	t.Helper()
	a, b := first.Tensors(), second.Tensors()
	for i := range a {
		for j, x := range a[i].Value {
			if math.Float32bits(x) != math.Float32bits(b[i].Value[j]) {
				t.Errorf("%s[%d] is %v on one thread and %v on two", a[i].Name, j, x, b[i].Value[j])
				break
			}
		}
	}
}

// Allocations counts what a training step and a decoding step allocate.
func Allocations(t *testing.T, make func(seed uint64) Model) {
	m := make(1)
	large(t, m.Info())
	info := m.Info()
	steps, rows := whole(info)
	b := batch(info, steps, rows, 1)
	allocatesNothing(t, "a training step", 2, func() error { return third(m.TrainStep(b, still)) })
	allocatesNothing(t, "an evaluation", 2, func() error { return second(m.Loss(b)) })
	w, ok := m.(model.Writer)
	if !ok {
		return
	}
	d := w.MakeDecoder(1)
	token := []int32{0}
	if e, ok := d.(model.Encoder); ok {
		if err := e.Encode([]int32{0, 1}[:min(2, info.Source.Steps)]); err != nil {
			t.Fatal(err)
		}
	}
	if info.Latent != nil {
		z, kinds := model.Floats(info.Latent.Width), labels(info, 1, 1)
		if n := allocations(10, func() { d.(model.LatentDecoder).Begin(z, kinds) }); n != 0 {
			t.Errorf("Begin allocates %v times", n)
		}
	}
	step := func() {
		if model.Room(d) == 0 {
			d.Reset()
		}
		d.Step(token)
	}
	if n := allocations(10, step); n != 0 {
		t.Errorf("a decoding step allocates %v times", n)
	}
}

// still is a rate at which training changes nearly nothing, so that none diverges while it is measured.
const still = 1e-9

// allocatesNothing counts how often f allocates, which a valid call must not. An error is allocated: calls that fail
// (dropout can shut off what a loss divides by) do not count, unless all do.
func allocatesNothing(t *testing.T, what string, runs int, f func() error) {
	t.Helper()
	var err error
	for range often {
		err = nil
		n := allocations(runs, func() {
			if e := f(); e != nil {
				err = e
			}
		})
		if err == nil {
			if n != 0 {
				t.Errorf("%s allocates %v times", what, n)
			}
			return
		}
	}
	t.Errorf("%s fails: %v", what, err)
}

func second[T any](_ T, err error) error { return err }

func third[T, U any](_ T, _ U, err error) error { return err }

// allocations is how often f allocates. What else the process does counts as well, such as a worker that is woken for
// the first time: f is measured again where it seems to allocate, and the least counts.
func allocations(runs int, f func()) float64 {
	least := math.Inf(1)
	for try := 0; try < 5 && least > 0; try++ {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}

// Decoding feeds a window to a decoder and compares the logits with those of the forward pass: token by token, with
// sequences that change their places half-way, and, where the decoder takes them, in chunks, one of which begins with
// padding.
func Decoding(t *testing.T, make func(seed uint64) Model) {
	m := make(2)
	large(t, m.Info())
	info := m.Info()
	steps, n := size(info)
	b := batch(info, steps, n, 21)
	clear(b.Reset)
	clear(m.State())
	logits := func() []float32 {
		clear(m.State())
		return slices.Clone(must(m.(model.Predictor).Logits(b)))
	}
	want := logits()
	rounding := 16 * sensitivity(m, weights.F32, want, logits)
	clear(m.State())
	compare := func(how string, s int, got []float32) {
		t.Helper()
		for i, x := range got {
			w := want[s*n*info.Vocab+i]
			if diff := math.Abs(float64(x - w)); !(diff <= 1e-4*(1+math.Abs(float64(w)))+rounding) {
				t.Fatalf("%s: step %d, sequence %d, token %d: the decoder's logit is %v, the forward pass gives %v",
					how, s, i/info.Vocab, i%info.Vocab, x, w)
			}
		}
	}
	d := m.(model.Writer).MakeDecoder(n)
	if a, ok := m.(model.Autoencoder); ok {
		mean, _, err := a.Posterior(b)
		if err == nil {
			err = d.(model.LatentDecoder).Begin(append([]float32{}, mean...), b.Labels)
		}
		if err != nil {
			t.Fatal(err)
		}
		for s := range steps {
			compare("from a latent vector", s, must(d.Step(b.Tokens[s*n:(s+1)*n])))
		}
		return
	}
	if e, ok := d.(model.Encoder); ok {
		if err := e.Encode(b.Source); err != nil {
			t.Fatal(err)
		}
		for s := range steps {
			compare("token by token", s, must(d.Step(b.Tokens[s*n:(s+1)*n])))
		}
		return
	}
	// Tokens of a prefix see each other: a decoder must read them together.
	prefix := max(1, info.Prefix)
	if c, ok := d.(model.Chunked); ok && info.Prefix > 0 {
		for s := prefix; s <= steps; s++ {
			if s == prefix {
				compare("the prefix", s-1, must(c.Feed(b.Tokens[:s*n])))
			} else {
				compare("token by token", s-1, must(d.Step(b.Tokens[(s-1)*n:s*n])))
			}
		}
		return
	}
	for s := range steps {
		compare("token by token", s, must(d.Step(b.Tokens[s*n:(s+1)*n])))
	}

	d.Reset()
	mirrored, from := append([]int32{}, b.Tokens[:steps*n]...), []int{}
	for i := range n {
		from = append(from, n-1-i)
		for s := range steps / 2 {
			mirrored[s*n+i] = b.Tokens[s*n+n-1-i]
		}
	}
	for s := range steps {
		if s == steps/2 {
			if err := d.Reorder(from); err != nil {
				t.Fatal(err)
			}
		}
		if logits := must(d.Step(mirrored[s*n : (s+1)*n])); s >= steps/2 {
			compare("after Reorder", s, logits)
		}
	}

	c, ok := d.(model.Chunked)
	if !ok || c.Chunk() < 2 {
		return
	}
	for size := 2; size <= min(steps, c.Chunk()); size++ {
		d.Reset()
		for s := 0; s < steps; s += size {
			end := min(steps, s+size)
			compare("in chunks", end-1, must(c.Feed(b.Tokens[s*n:end*n])))
		}
	}
	d.Reset()
	padded := append([]int32{}, b.Tokens[:2*n]...)
	for i := range n {
		padded[i] = -1
	}
	got := must(c.Feed(padded)) // the second token alone
	alone := must(m.(model.Writer).MakeDecoder(n).Step(b.Tokens[n : 2*n]))
	for i, x := range got {
		if diff := math.Abs(float64(x - alone[i])); !(diff <= 1e-4*(1+math.Abs(float64(x)))) {
			t.Fatalf("logit %d is %v behind padding and %v without", i, x, alone[i])
		}
	}
}

// must is x; an error of a call that is right ends the test.
func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}
