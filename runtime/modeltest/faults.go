package modeltest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Faults calls every method of a model with what does not fit it, of every kind there is, and holds that each call
// returns an error, leaves the parameters as they were, and does not keep the next call from succeeding; and that a
// loss that is not finite is an error that says where it began, and moves nothing. It does the same with a decoder.
// Then it uses one model from several goroutines at once: each call either does its work or returns [model.ErrInUse].
func Faults[M model.LanguageModel](t *testing.T, make func(seed uint64) M) {
	m := make(9)
	info := m.Info()
	large(t, info)
	right := func() *model.Batch { return sound(info) }
	before := copies(m)
	for name, b := range unsound(info) {
		for call, f := range calls(m) {
			// whether it reads any the loss says
			if err := f(b); err == nil && (call != "GeneratorGradients" || name != fewNumbers) {
				t.Errorf("%s takes %s", call, name)
			}
		}
	}
	if !same(before, m) || m.Step() != 0 {
		t.Error("a call that is refused has changed the model")
	}
	for call, f := range calls(m) {
		if err := f(right()); err != nil {
			t.Errorf("%s after calls that were refused: %v", call, err)
		}
	}
	if z, ok := any(m).(model.VectorAutoencoder); ok {
		for _, n := range []int{0, 1, info.Latent.Width*info.Batch + info.Latent.Width} {
			if _, err := z.Likelihood(model.Floats(n), labels(info, 1, 1)); err == nil && n != info.Latent.Width {
				t.Errorf("Likelihood takes %d numbers for latent vectors of %d", n, info.Latent.Width)
			}
		}
	}
	i := m.Info()
	i.Layers[0].Name, i.Params = "another", 0
	if j := m.Info(); j.Layers[0].Name == "another" || j.Params == 0 {
		t.Error("what Info gives can be changed")
	}
	if w, ok := any(m).(model.Writer); ok {
		decoderFaults(t, w)
	}
	notFinite(t, m)
	atOnce(t, m)
}

// sound is a batch that fits, with all that any method reads.
func sound(info *model.Info) *model.Batch {
	steps, rows := size(info)
	switch {
	case info.Adversary != nil && info.Vector != nil:
		return vectors(info, rows, 1)
	case info.Adversary != nil:
		return lines(info, steps, rows, 1)
	}
	return batch(info, steps, rows, 1)
}

// fewNumbers is what is wrong with a batch of vectors that are not whole.
const fewNumbers = "too few numbers"

// unsound are batches that do not fit, by what is wrong with them.
func unsound(info *model.Info) map[string]*model.Batch {
	all := map[string]*model.Batch{"no batch": nil}
	add := func(name string, change func(b *model.Batch)) {
		b := sound(info)
		change(b)
		all[name] = b
	}
	most := info.Batch
	if info.Adversary != nil {
		most *= info.Adversary.Steps
	}
	add("no row", func(b *model.Batch) { b.Batch = 0 })
	add("a negative number of rows", func(b *model.Batch) { b.Batch = -1 })
	add("too many rows", func(b *model.Batch) { b.Batch = most + 1 })
	add("more rows than an int holds elements of", func(b *model.Batch) { b.Batch = math.MaxInt })
	if info.Vector != nil {
		add(fewNumbers, func(b *model.Batch) { b.Vectors = b.Vectors[1:] })
	} else {
		add("no step", func(b *model.Batch) { b.Steps = 0 })
		add("too many steps", func(b *model.Batch) { b.Steps = info.Steps + 1 })
		add("too few targets", func(b *model.Batch) { b.Targets = b.Targets[1:] })
		add("a target outside of the vocabulary", func(b *model.Batch) { b.Targets[1] = int32(info.Vocab) })
	}
	if info.Vector == nil && info.Adversary == nil {
		add("too few tokens", func(b *model.Batch) { b.Tokens = b.Tokens[1:] })
		add("too few resets", func(b *model.Batch) { b.Reset = nil })
		add("a token outside of the vocabulary", func(b *model.Batch) { b.Tokens[1] = int32(info.Vocab) })
		add("the largest token there is", func(b *model.Batch) { b.Tokens[0] = math.MaxInt32 })
	}
	if s := info.Source; s != nil {
		add("no source", func(b *model.Batch) { b.SourceSteps = 0 })
		add("too long a source", func(b *model.Batch) { b.SourceSteps = s.Steps + 1 })
		add("too short a source", func(b *model.Batch) { b.Source = b.Source[1:] })
		add("a source outside of the vocabulary", func(b *model.Batch) { b.Source[0] = int32(s.Vocab) })
	}
	if info.Labels > 0 {
		add("too few labels", func(b *model.Batch) { b.Labels = b.Labels[1:] })
		add("a label that there is not", func(b *model.Batch) { b.Labels[0] = int32(info.Labels) })
		add("a negative label", func(b *model.Batch) { b.Labels[0] = -2 })
		if !info.LearnsUnlabelled() {
			add("no label", func(b *model.Batch) { b.Labels[0] = model.NoLabel })
		}
	}
	return all
}

// calls are the methods of m that take a batch, by name.
func calls(m model.LanguageModel) map[string]func(*model.Batch) error {
	all := map[string]func(*model.Batch) error{
		"TrainStep": func(b *model.Batch) error { _, _, err := m.TrainStep(b, 0); return err },
		"Loss":      func(b *model.Batch) error { _, err := m.Loss(b); return err },
	}
	if p, ok := m.(model.Predictor); ok {
		all["Logits"] = func(b *model.Batch) error { _, err := p.Logits(b); return err }
	}
	if p, ok := m.(model.Contextual); ok {
		all["Hidden"] = func(b *model.Batch) error { _, err := p.Hidden(b); return err }
	}
	if p, ok := m.(Model); ok {
		all["Gradients"] = func(b *model.Batch) error { _, err := p.Gradients(b); return err }
	}
	if p, ok := m.(Adversaries); ok {
		all["DiscriminatorGradients"] = func(b *model.Batch) error { _, err := p.DiscriminatorGradients(b); return err }
		all["GeneratorGradients"] = func(b *model.Batch) error { _, err := p.GeneratorGradients(b); return err }
	}
	if p, ok := m.(Imitation); ok {
		all["DiscriminatorGradients"] = func(b *model.Batch) error { _, err := p.DiscriminatorGradients(b); return err }
		all["Judge"] = func(b *model.Batch) error { return p.Judge(model.Floats(m.Info().Batch), b) }
	}
	if p, ok := m.(model.Autoencoder); ok {
		all["Posterior"] = func(b *model.Batch) error { _, _, err := p.Posterior(b); return err }
		all["Reconstruction"] = func(b *model.Batch) error {
			n := m.Info().Latent.Width
			if b != nil {
				n *= max(0, min(b.Batch, m.Info().Batch))
			}
			_, err := p.Reconstruction(b, model.Floats(n))
			return err
		}
	}
	if p, ok := m.(model.LeadingEncoder); ok {
		all["EncoderStep"] = func(b *model.Batch) error { _, _, err := p.EncoderStep(b, 0); return err }
	}
	return all
}

// notFinite makes a training step with a parameter that is no number: it says so, and where that began, and moves
// nothing.
func notFinite(t *testing.T, m model.LanguageModel) {
	t.Helper()
	judges := ofDiscriminator(m)
	kept := copies(m)
	first := learning(m)
	Poison(first.Value)
	before := map[string][]float32{}
	var err error
	step := 0
	for try := 0; try < often && err == nil; try++ { // dropout may shut off all that the tensor reaches
		for _, ts := range m.Tensors() {
			before[ts.Name] = slices.Clone(ts.Value)
		}
		step = m.Step()
		_, _, err = m.TrainStep(sound(m.Info()), 0.01)
	}
	var what *model.NotFinite
	switch {
	case !errors.As(err, &what):
		t.Fatalf("training steps with %s not finite give the error %v", first.Name, err)
	case what.Where == "":
		t.Errorf("%v: it does not say where it began", err)
	case m.Step() != step:
		t.Errorf("a training step that failed is counted")
	}
	for _, ts := range m.Tensors() {
		// A forward pass moves the vectors of spectral norms. And dropout in a discriminator may shut off what is not
		// finite, so that it moves before the generator fails.
		moves := strings.HasSuffix(ts.Name, ".u") || judges[ts.Name]
		for i, x := range ts.Value {
			if math.Float32bits(x) != math.Float32bits(before[ts.Name][i]) && !moves {
				t.Fatalf("%s: a training step that failed has moved it", ts.Name)
			}
		}
	}
	for i, ts := range m.Tensors() {
		copy(ts.Value, kept[i])
	}
	clear(m.State())
}

// learning is the first tensor to which the loss has a gradient: nothing reads one whose layer is in front of another
// that does not read its input.
func learning(m model.LanguageModel) model.Tensor {
	for range often { // dropout may shut off all that a tensor reaches
		for _, ts := range m.Tensors() {
			clear(ts.Grad) // of networks that this step does not train
		}
		m.TrainStep(sound(m.Info()), still)
		for _, ts := range m.Tensors() {
			if slices.ContainsFunc(ts.Grad, func(g float32) bool { return g != 0 }) {
				return ts
			}
		}
	}
	return m.Tensors()[0]
}

// ofDiscriminator names the tensors to which the loss of a discriminator has gradients.
func ofDiscriminator(m model.LanguageModel) map[string]bool {
	a, ok := m.(interface {
		DiscriminatorGradients(b *model.Batch) (loss float64, err error)
	})
	if !ok {
		return nil
	}
	const nothing = 1234
	for _, ts := range m.Tensors() {
		for i := range ts.Grad {
			ts.Grad[i] = nothing
		}
	}
	must(a.DiscriminatorGradients(sound(m.Info())))
	judges := map[string]bool{}
	for _, ts := range m.Tensors() {
		judges[ts.Name] = !slices.Contains(ts.Grad, nothing)
	}
	return judges
}

// decoderFaults feeds a decoder what does not fit between what does, and compares it with one that is fed the latter
// alone.
func decoderFaults(t *testing.T, m model.Writer) {
	info := m.Info()
	const n = 2
	d, plain := m.MakeDecoder(n), m.MakeDecoder(n)
	refused := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("a decoder takes %s", what)
		}
	}
	vocab := int32(info.Vocab)
	wrong := func() {
		t.Helper()
		for what, tokens := range map[string][]int32{
			"no tokens": nil, "fewer tokens than sequences": {0}, "more tokens than sequences": {0, 0, 0},
			"a token outside of the vocabulary": {0, vocab}, "the largest token there is": {math.MaxInt32, 0},
		} {
			_, err := d.Step(tokens)
			refused("a step of "+what, err)
		}
		if c, ok := d.(model.Chunked); ok {
			for what, tokens := range map[string][]int32{
				"no tokens": nil, "tokens that are not whole steps": {0, 0, 0},
				"too many tokens":                   slices.Repeat([]int32{0}, n*c.Chunk()+n),
				"a token outside of the vocabulary": {0, vocab},
			} {
				_, err := c.Feed(tokens)
				refused("a chunk of "+what, err)
			}
		}
		for _, from := range [][]int{nil, {0}, {0, 1, 0}, {0, n}, {-1, 0}} {
			refused(fmt.Sprintf("the order %v", from), d.Reorder(from))
		}
	}
	begin := func(d model.Decoder) error {
		if e, ok := d.(model.Encoder); ok {
			return e.Encode([]int32{0, 0, 1, -1}[:n*min(2, info.Source.Steps)])
		}
		if e, ok := d.(model.LatentDecoder); ok {
			return e.Begin(model.Floats(n*info.Latent.Width), labels(info, n, 1))
		}
		return nil
	}
	if err := errors.Join(begin(d), begin(plain)); err != nil {
		t.Fatal(err)
	}
	wrong()
	if e, ok := d.(model.Encoder); ok {
		for _, source := range [][]int32{nil, {0}, {0, 0, 0}, {0, int32(info.Source.Vocab)},
			slices.Repeat([]int32{0}, n*info.Source.Steps+n)} {
			refused("a source that does not fit", e.Encode(source))
		}
	}
	if e, ok := d.(model.LatentDecoder); ok {
		refused("a latent vector too few", e.Begin(model.Floats((n-1)*info.Latent.Width), labels(info, n, 1)))
		if info.Labels > 0 {
			refused("no labels", e.Begin(model.Floats(n*info.Latent.Width), nil))
			refused("a label that there is not",
				e.Begin(model.Floats(n*info.Latent.Width), []int32{0, int32(info.Labels)}))
		}
	}
	for step := range 3 {
		tokens := []int32{int32(step % info.Vocab), 0}
		a, errA := d.Step(tokens)
		a = slices.Clone(a)
		b, errB := plain.Step(tokens)
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }) {
			t.Fatalf("step %d: a decoder that refused something gives other logits", step)
		}
		wrong()
	}
	if bounded, ok := d.(model.Bounded); ok {
		for bounded.Room() > 0 {
			if _, err := d.Step([]int32{0, 0}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d.Step([]int32{0, 0}); !errors.Is(err, model.ErrFull) {
			t.Errorf("a step of a decoder whose window is full: %v", err)
		}
	}
	if d := m.MakeDecoder(-3); d.Batch() != 1 {
		t.Errorf("a decoder of -3 sequences is for %d", d.Batch())
	}
}

// atOnce uses a model and a decoder of it from several goroutines.
func atOnce(t *testing.T, m model.LanguageModel) {
	info := m.Info()
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			for range 4 {
				var err error
				if w, ok := m.(model.Writer); ok && i%2 == 0 && info.Source == nil && info.Latent == nil {
					_, err = w.MakeDecoder(1).Step([]int32{0})
				} else {
					_, err = m.Loss(sound(info))
				}
				if err != nil && !errors.Is(err, model.ErrInUse) {
					errs[i] = err
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if _, err := m.Loss(sound(info)); err != nil {
		t.Errorf("after calls from several goroutines: %v", err)
	}
}
