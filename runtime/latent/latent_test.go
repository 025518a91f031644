package latent

import (
	"context"
	"math"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// linear is an autoencoder of which all is known: x [1] is z·slope plus noise of variance 1, z from N(0, 1), and q(z|x)
// the true posterior or something else.
type linear struct {
	model.LanguageModel
	info                 model.Info
	slope                float64
	collapsed            bool
	mean, logvar, losses []float32
}

func (m *linear) Info() *model.Info { return &m.info }

func (m *linear) Posterior(b *model.Batch) (mean, logvar []float32, err error) {
	m.mean, m.logvar = m.mean[:0], m.logvar[:0]
	for i := range b.Batch {
		u, v := 0.0, 1.0
		if !m.collapsed {
			v = 1 / (1 + m.slope*m.slope)
			u = m.slope * float64(b.Vectors[i]) * v
		}
		// the second dimension is not used
		m.mean, m.logvar = append(m.mean, float32(u), 0), append(m.logvar, float32(math.Log(v)), 0)
	}
	return m.mean, m.logvar, nil
}

func (m *linear) Reconstruction(b *model.Batch, z []float32) ([]float32, error) {
	m.losses = m.losses[:0]
	for i := range b.Batch {
		d := float64(b.Vectors[i]) - m.slope*float64(z[2*i])
		m.losses = append(m.losses, float32(d*d/2+math.Log(2*math.Pi)/2))
	}
	return m.losses, nil
}

type rows struct {
	x  []float32
	at int
}

func (r *rows) Rewind() { r.at = 0 }
func (r *rows) Next(b *model.Batch) bool {
	if r.at == len(r.x) {
		return false
	}
	n := min(7, len(r.x)-r.at)
	b.Batch, b.Vectors = n, r.x[r.at:r.at+n]
	r.at += n
	return true
}

// draws are rows from the model itself.
func draws(slope float64, n int) *rows {
	z, noise := make([]float32, n), make([]float32, n)
	Prior(z, 5)
	Prior(noise, 6)
	r := &rows{x: make([]float32, n)}
	for i := range r.x {
		r.x[i] = float32(slope*float64(z[i])) + noise[i]
	}
	return r
}

// With the true posterior the bound is the likelihood, every importance weight is p(x), and the mutual information is
// that of two normal variables.
func TestExact(t *testing.T) {
	const slope = 2.0
	m := &linear{info: model.Info{Latent: &model.Latent{Width: 2}}, slope: slope}
	data := draws(slope, 2000)
	done := 0
	r, err := Evaluate(context.Background(), m, data, Options{Samples: 20, Seed: 1, Progress: func(n int) { done = n }})
	if err != nil {
		t.Fatal(err)
	}
	variance, want := 1+slope*slope, 0.0
	for _, x := range data.x {
		want += (float64(x)*float64(x)/variance + math.Log(2*math.Pi*variance)) / 2 / float64(len(data.x))
	}
	for what, v := range map[string][3]float64{
		"the likelihood":     {r.NLL, want, 1e-5},
		"the bound":          {r.Bound, want, 0.01},
		"the information":    {r.Information, math.Log(variance) / 2, 0.05},
		"the divergence":     {r.KL, r.Dims[0] + r.Dims[1], 1e-12},
		"the idle dimension": {r.Dims[1], 0, 1e-12},
	} {
		if !(math.Abs(v[0]-v[1]) <= v[2]) {
			t.Errorf("%s is %v, want %v", what, v[0], v[1])
		}
	}
	// Row by row, the bounds come to the same.
	sum, number := 0.0, uint64(0)
	var b model.Batch
	for data.Rewind(); data.Next(&b); number++ {
		bounds, err := Bounds(context.Background(), m, &b, number, Options{Samples: 20, Seed: 1})
		if err != nil || len(bounds) != b.Batch {
			t.Fatal(bounds, err)
		}
		for _, x := range bounds {
			sum -= x / float64(len(data.x))
		}
	}
	if math.Abs(sum-r.Bound) > 1e-9 {
		t.Errorf("the bounds of the rows have a mean of %v, want %v", sum, r.Bound)
	}
	if r.Rows != 2000 || done != 2000 || r.Active != 1 || r.Collapsed() {
		t.Errorf("%d rows, %d reported, %d active dimensions, collapsed %v", r.Rows, done, r.Active, r.Collapsed())
	}
}

// With q(z|x) = p(z) importance weighting still finds the likelihood, from many samples, and the collapse is seen.
func TestCollapsed(t *testing.T) {
	const slope = 0.7
	m := &linear{info: model.Info{Latent: &model.Latent{Width: 2}}, slope: slope, collapsed: true}
	data := draws(slope, 300)
	r, err := Evaluate(context.Background(), m, data, Options{Samples: 1000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	variance, want := 1+slope*slope, 0.0
	for _, x := range data.x {
		want += (float64(x)*float64(x)/variance + math.Log(2*math.Pi*variance)) / 2 / float64(len(data.x))
	}
	if math.Abs(r.NLL-want) > 0.01 || r.Bound < want+0.05 {
		t.Errorf("the likelihood is %v and the bound %v, want %v and more", r.NLL, r.Bound, want)
	}
	if !r.Collapsed() || r.KL != 0 || r.Active != 0 || math.Abs(r.Information) > 1e-9 {
		t.Errorf("collapsed %v: %+v", r.Collapsed(), r)
	}
}

func TestErrors(t *testing.T) {
	m := &linear{info: model.Info{Latent: &model.Latent{Width: 2}}}
	if _, err := Evaluate(context.Background(), m, &rows{}, Options{Samples: 1}); err == nil {
		t.Error("no rows are no error")
	}
	if _, err := Evaluate(context.Background(), m, draws(1, 3), Options{}); err == nil {
		t.Error("no samples are no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Evaluate(ctx, m, draws(1, 3), Options{Samples: 1}); err == nil {
		t.Error("a cancelled evaluation is no error")
	}
}

func TestBetween(t *testing.T) {
	z := make([]float32, 6)
	Between(z, []float32{0, 4}, []float32{1, 0}, 3)
	for i, w := range []float32{0, 4, 0.5, 2, 1, 0} {
		if z[i] != w {
			t.Fatalf("%v", z)
		}
	}
}
