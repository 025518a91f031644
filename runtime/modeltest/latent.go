package modeltest

import (
	"math"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Latent checks the parts of a variational autoencoder against each other: the loss of each row is that of what the
// decoder writes from the same latent vector, and the bound is the mean of those plus the divergence. It also counts
// what the parts allocate. Where the model is conditional, encoder and decoder ask the label.
func Latent(t *testing.T, make func(seed uint64) Model) {
	m := shake(make(4)).(model.Autoencoder)
	info := m.Info()
	large(t, info)
	steps, rows := size(info)
	b := batch(info, steps, rows, 31)
	n := rows * info.Latent.Width
	mean, logvar, err := m.Posterior(b)
	if err != nil {
		t.Fatal(err)
	}
	z := append([]float32{}, mean...)
	kl := 0.0
	for i, x := range logvar {
		v, u := float64(x), float64(z[i])
		kl += (u*u + math.Exp(v) - 1 - v) / 2 / float64(rows)
	}
	if len(mean) != n || len(logvar) != n || !(kl >= 0) || math.IsInf(kl, 0) {
		t.Fatalf("%d means and %d variances of %d latent vectors, with a divergence of %v", len(mean), len(logvar),
			rows, kl)
	}
	losses := append([]float32{}, must(m.Reconstruction(b, z))...)
	if len(losses) != rows {
		t.Fatalf("%d losses of %d rows", len(losses), rows)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-4*(1+math.Abs(want))) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	if info.Vector != nil {
		y := must(m.(model.VectorAutoencoder).Likelihood(z, b.Labels))
		for r := range rows {
			want := 0.0
			for i := r * info.Vector.Width; i < (r+1)*info.Vector.Width; i++ {
				x, p := float64(b.Vectors[i]), float64(y[i])
				if s := info.Vector.Deviation; s > 0 {
					want += (x-p)*(x-p)/(2*s*s) + math.Log(s) + math.Log(2*math.Pi)/2
				} else {
					want -= x*math.Log(p) + (1-x)*math.Log(1-p)
				}
			}
			near("the loss of a row", float64(losses[r]), want)
		}
		if n := allocations(3, func() { m.(model.VectorAutoencoder).Likelihood(z, b.Labels) }); n != 0 {
			t.Errorf("Likelihood allocates %v times", n)
		}
	}
	if n := allocations(3, func() { m.Posterior(b); m.Reconstruction(b, z) }); n != 0 {
		t.Errorf("Posterior and Reconstruction allocate %v times", n)
	}

	// Where another latent vector changes no loss either, what the decoder says does not depend on what it reads: it is
	// at a bound, as with a small soft_cap.
	moved := slices.Clone(z)
	for i := range moved {
		moved[i]++
	}
	elsewhere := slices.Clone(must(m.Reconstruction(b, moved)))
	for i := range b.Labels {
		kept := b.Labels[i]
		b.Labels[i] = (kept + 1) % int32(info.Labels)
		other, _, _ := m.Posterior(b)
		if slices.Equal(other[i*info.Latent.Width:(i+1)*info.Latent.Width],
			z[i*info.Latent.Width:(i+1)*info.Latent.Width]) {
			t.Errorf("two labels of row %d give the same latent vector", i)
		}
		if must(m.Reconstruction(b, z))[i] == losses[i] && elsewhere[i] != losses[i] {
			t.Errorf("two labels of row %d give the same loss", i)
		}
		b.Labels[i] = kept
	}

	// Where nothing is random the loss of evaluation is the bound. Of heads by formula no parameter is known that
	// makes it so; their divergence is that of what they give.
	still := false
	for _, ts := range m.Tensors() {
		switch ts.Name {
		case "latent.w_logvar":
			clear(ts.Value)
		case "latent.b_logvar":
			for i := range ts.Value {
				ts.Value[i] = -40
			}
			still = true
		}
	}
	if !still {
		loss := must(m.Loss(b))
		if p, ok := m.(model.Parted); ok {
			reconstruction, divergence := p.Bound(b)
			near("the divergence", divergence, kl)
			near("the sum of its parts", reconstruction+divergence, loss)
		}
		return
	}
	bound := 0.0
	for _, x := range z {
		v := float64(x)
		bound += (v*v + math.Exp(-40) - 1 + 40) / 2 / float64(rows)
	}
	for _, l := range must(m.Reconstruction(b, z)) {
		bound += float64(l) / float64(rows)
	}
	near("the loss", must(m.Loss(b)), bound)
	if p, ok := m.(model.Parted); ok {
		loss := must(m.Loss(b))
		reconstruction, divergence := p.Bound(b)
		near("the sum of its parts", reconstruction+divergence, loss)
	}
}
