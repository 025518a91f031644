package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// leader is a bigram that plays an autoencoder: its encoder's updates have the losses that a script tells, and its
// latent vectors say as much as another tells.
type leader struct {
	*bigram
	rule    model.EncoderFirst
	losses  func(update int) float64
	spread  func(step int) float64 // of the means of latent vectors: the wider, the more they say
	updates int
	read    []int32 // first tokens of the batches of updates
}

func (l *leader) Info() *model.Info {
	i := l.bigram.Info()
	i.Latent = &model.Latent{Width: 1, EncoderFirst: &l.rule}
	return i
}

func (l *leader) EncoderStep(b *model.Batch, rate float64) (loss, norm float64, err error) {
	loss = l.losses(l.updates)
	l.updates++
	l.read = append(l.read, b.Tokens[0])
	return loss, 1, nil
}
func (l *leader) EncoderSteps() int     { return l.updates }
func (l *leader) SetEncoderSteps(n int) { l.updates = n }

func (l *leader) Posterior(b *model.Batch) (mean, logvar []float32, err error) {
	for i := range b.Batch {
		mean = append(mean, float32(l.spread(l.step))*float32(b.Tokens[i]-1))
		logvar = append(logvar, -2)
	}
	return mean, logvar, nil
}

func (l *leader) Reconstruction(b *model.Batch, z []float32) ([]float32, error) {
	return make([]float32, b.Batch), nil
}

// counting notes how many updates each step had before it.
type counting struct {
	silent
	updates []int
}

func (c *counting) Step(p Progress) { c.updates = append(c.updates, p.Encoder) }

func run(t *testing.T, l *leader, d Data, o Options) ([]int, Result, error) {
	t.Helper()
	var c counting
	o.Reporter = &c
	r, err := Run(context.Background(), l, d, o)
	return c.updates, r, err
}

// Updates end at their number, or after a round whose mean loss has not fallen.
func TestEncoderFirstRounds(t *testing.T) {
	falls := func(int) float64 { return 1 }
	for _, c := range []struct {
		losses []float64 // of the updates before the first step; later ones fall on and on
		want   int
	}{
		{[]float64{9, 8, 7, 6, 5, 4, 3}, 7},
		{[]float64{9, 8, 9, 8}, 4},                      // the second round is as good as the first
		{[]float64{9, 8, 8, 8, 9, 9, 0, 0}, 6},          // the third is worse
		{[]float64{1, 2, 3, 4}, 4},                      // it takes two rounds to compare
		{[]float64{9, 9, 10, 7, 10, 6, 1e-3, 1e-4}, 7},  // it is the mean that counts, and the last round is not whole
		{[]float64{9, 8, 7, 6, 5, 4, math.Inf(-1)}, -1}, // not finite
		{[]float64{math.NaN()}, -1},
	} {
		l := &leader{bigram: newBigram(4), rule: model.EncoderFirst{Steps: 7, Check: 2}, spread: falls,
			losses: func(i int) float64 {
				if i < len(c.losses) {
					return c.losses[i]
				}
				return -float64(i)
			}}
		d := data()
		d.Encoder = text(21)
		updates, r, err := run(t, l, d, Options{Schedule: options("").Schedule, Steps: 2,
			Guard: model.Guarding{Off: true}})
		if c.want < 0 {
			if err == nil || !strings.Contains(err.Error(), "in step 1") {
				t.Errorf("%v: %v", c.losses, err)
			}
			continue
		}
		if err != nil || !slices.Equal(updates, []int{c.want, 7}) || r.Encoder != c.want+7 {
			t.Errorf("%v: %v updates, %d in all, want %d and 7 (%v)", c.losses, updates, r.Encoder, c.want, err)
		}
		// They read all of their data, in turn.
		for i, token := range l.read {
			if want := d.Encoder.(*windows).tokens[i%10*2]; token != want {
				t.Errorf("update %d reads token %d, want %d", i, token, want)
			}
		}
	}
}

// Updates of the encoder end for good after the first pass in which the mutual information has not risen, on
// validation data or without.
func TestEncoderFirstEnds(t *testing.T) {
	for _, valid := range []bool{true, false} {
		l := &leader{bigram: newBigram(4), rule: model.EncoderFirst{Steps: 3, Check: 1},
			losses: func(i int) float64 { return -float64(i) }}
		// after each of the passes of 20 steps
		l.spread = func(step int) float64 { return []float64{0, 0.5, 2, 1, 5, 6}[step/20] }
		d := data()
		d.Encoder = text(41)
		if !valid {
			d.Validation = nil
		}
		updates, r, err := run(t, l, d, Options{Schedule: options("").Schedule, Passes: 5})
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range updates {
			if want := map[bool]int{true: 3, false: 0}[i < 60]; n != want {
				t.Errorf("validation %t: step %d had %d updates before it, want %d", valid, i+1, n, want)
			}
		}
		if r.Encoder != 180 {
			t.Errorf("validation %t: %d updates", valid, r.Encoder)
		}
	}
}

// A training that stops anywhere makes the same updates when it goes on.
func TestEncoderFirstResume(t *testing.T) {
	make := func() (*leader, Data) {
		l := &leader{bigram: newBigram(4), rule: model.EncoderFirst{Steps: 5, Check: 2},
			losses: func(i int) float64 { return float64(i * i % 7) }}
		l.spread = func(step int) float64 { return []float64{0, 0.5, 2, 1}[step/20] }
		d := data()
		d.Validation = nil
		d.Encoder = text(33)
		return l, d
	}
	o := Options{Schedule: options("").Schedule, Passes: 3}
	whole, d := make()
	want, _, err := run(t, whole, d, o)
	if err != nil {
		t.Fatal(err)
	}
	for stop := 1; stop < len(want); stop++ {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		o.Path = path
		l, d := make()
		ctx, cancel := context.WithCancel(context.Background())
		l.stepped = func(step int) {
			if step == stop {
				cancel()
			}
		}
		var c counting
		o.Resume, o.Reporter = false, &c
		if _, err := Run(ctx, l, d, o); err != nil {
			t.Fatal(err)
		}
		first := l.read
		l, d = make()
		o.Resume = true
		if _, err := Run(context.Background(), l, d, o); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(c.updates, want) || !slices.Equal(append(first, l.read...), whole.read) {
			t.Errorf("stopped after step %d the updates are %v, want %v", stop, c.updates, want)
		}
	}
	// A checkpoint that does not say where the encoder was, or says what cannot be.
	l, d := make()
	e, err := newEncoderFirst(l, d)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]string{}
	e.keep(kept)
	if err := e.resume(kept); err != nil {
		t.Error(err)
	}
	for key, value := range map[string]string{encoderSteps: "-1", encoderPass: "x", encoderWindow: "17", encoderOn: "",
		encoderInformation: "much"} {
		old := kept[key]
		kept[key] = value
		if err := e.resume(kept); err == nil {
			t.Errorf("%s %q is taken", key, value)
		}
		kept[key] = old
	}
	d.Encoder = nil
	if _, err := Run(context.Background(), l, d, o); err == nil ||
		!strings.Contains(err.Error(), "there is no data for it") {
		t.Errorf("without data for the encoder: %v", err)
	}
}
