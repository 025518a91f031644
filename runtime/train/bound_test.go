package train

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// coder is a bigram that says it is an autoencoder, whose divergence falls.
type coder struct {
	*bigram
	info *model.Info
	at   func(step int) float64
}

func (c *coder) Info() *model.Info { return c.info }
func (c *coder) Posterior(b *model.Batch) (mean, logvar []float32, err error) {
	return nil, nil, nil
}
func (c *coder) Reconstruction(b *model.Batch, z []float32) ([]float32, error) { return nil, nil }
func (c *coder) Bound(b *model.Batch) (reconstruction, divergence float64) {
	return 3, c.at(c.Step())
}

var _ model.Parted = (*coder)(nil)

// told keeps the parts of losses that it is told of.
type told struct {
	record
	steps, evals []Bound
}

func (r *told) Step(p Progress)        { r.steps = append(r.steps, *p.Bound) }
func (r *told) Evaluated(e Evaluation) { r.evals = append(r.evals, *e.Bound) }

// TestBounds holds that a training of an autoencoder tells both parts of its loss, and warns once, while it runs, of a
// latent vector that says nothing: not before the weight of the divergence has risen, and not of one that says
// something.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name     string
		at       func(step int) float64
		annealed int
		beta     float64
		warned   bool
	}{
		{"collapsed", func(int) float64 { return 0.01 }, 0, 1, true},
		{"used", func(int) float64 { return 4 }, 0, 1, false},
		{"not yet annealed", func(int) float64 { return 0.01 }, 1000, 1, false},
		{"without a prior", func(int) float64 { return 0.01 }, 0, 0, false},
	} {
		b := newBigram(4)
		info := *b.Info()
		info.Latent = &model.Latent{Width: 2, Beta: c.beta, Annealed: c.annealed}
		o := options(filepath.Join(t.TempDir(), "c"))
		o.Steps, o.EvalEvery = 120, 20
		rec := &told{}
		o.Reporter = rec
		if _, err := Run(context.Background(), &coder{b, &info, c.at}, data(), o); err != nil {
			t.Fatal(err)
		}
		collapses := 0
		for _, w := range rec.warned {
			if strings.Contains(w, "posterior collapse") {
				collapses++
			}
		}
		if want := map[bool]int{true: 1}[c.warned]; collapses != want {
			t.Errorf("%s: %d warnings, want %d: %q", c.name, collapses, want, rec.warned)
		}
		if len(rec.steps) != 120 || rec.steps[7] != (Bound{3, c.at(8)}) || len(rec.evals) != 6 ||
			rec.evals[0].Reconstruction != 3 {
			t.Errorf("%s: told of %d steps, %d validations", c.name, len(rec.steps), len(rec.evals))
		}
	}
}
