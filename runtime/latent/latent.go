// Package latent evaluates variational autoencoders: how well they reconstruct, how much their latent vectors say, and
// whether they are used at all.
//
// It must not know what a model reads or how it computes.
package latent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Batches is data, batch by batch, in an order that is the same each time.
type Batches interface {
	Rewind()
	Next(b *model.Batch) bool
}

// Options say how to evaluate.
type Options struct {
	// latent vectors drawn for each row, 1 or more; the estimate of the likelihood gets tighter with them
	Samples  int
	Seed     uint64         // of the samples
	Progress func(rows int) // told how many rows are done; may be nil
}

// Report is what is found, in nats a row.
type Report struct {
	Rows           int       `json:"rows"`
	Reconstruction float64   `json:"reconstruction"` // mean of −log p(x|z) over z from q(z|x)
	KL             float64   `json:"divergence"`     // mean of KL(q(z|x) ‖ p(z))
	Dims           []float64 `json:"divergence_by_dimension"`
	Bound          float64   `json:"bound"` // Reconstruction + KL: the negative evidence lower bound
	// estimate of −log p(x) from Samples by importance weighting (Burda et al. 2016, equation 8)
	NLL     float64 `json:"nll"`
	Samples int     `json:"samples"`
	// dimensions whose mean has a variance above 0.01 over the rows (Burda et al. 2016, section 5.2)
	Active int `json:"active_units"`
	// mutual information of x and z, from at most MostPairs rows (Hoffman and Johnson 2016)
	Information float64 `json:"information"`
}

// MostPairs is the number of rows that the mutual information is estimated from: its cost grows with the square. An
// estimate from n rows is at most log n.
const MostPairs = 2000

const activeVariance = 0.01

// Collapsed tells whether the model does not use its latent vector: it then is a model of the data without one.
func (r *Report) Collapsed() bool { return r.Active == 0 || r.KL < 0.1 }

// Evaluate runs m over all of the data.
func Evaluate(ctx context.Context, m model.Autoencoder, data Batches, o Options) (*Report, error) {
	if o.Samples < 1 {
		return nil, fmt.Errorf("%d samples a row: give 1 or more", o.Samples)
	}
	width := m.Info().Latent.Width
	r := &Report{Dims: make([]float64, width), Samples: o.Samples}
	var means, logvars []float32 // of all rows
	var b model.Batch
	var z []float32
	data.Rewind()
	for batch := uint64(0); data.Next(&b); batch++ {
		mean, logvar, err := m.Posterior(&b)
		if err != nil {
			return nil, err
		}
		means, logvars = append(means, mean...), append(logvars, logvar...)
		mean, logvar = means[len(means)-len(mean):], logvars[len(logvars)-len(logvar):]
		for i, u := range mean {
			r.Dims[i%width] += divergence(u, logvar[i])
		}
		if z = z[:0]; cap(z) < len(mean) {
			z = make([]float32, 0, len(mean))
		}
		z = z[:len(mean)]
		weights := make([]logSum, b.Batch)
		if err := draw(ctx, m, &b, batch, o, z, mean, logvar, func(row int, loss float64) {
			r.Reconstruction += loss / float64(o.Samples)
			weights[row].add(-loss + ratio(z, mean, logvar, row, width))
		}); err != nil {
			return nil, err
		}
		for _, w := range weights {
			r.NLL -= w.value() - math.Log(float64(o.Samples))
		}
		r.Rows += b.Batch
		if o.Progress != nil {
			o.Progress(r.Rows)
		}
	}
	if r.Rows == 0 {
		return nil, errors.New("there is nothing to evaluate on")
	}
	n := float64(r.Rows)
	r.Reconstruction /= n
	r.NLL /= n
	for d := range r.Dims {
		r.Dims[d] /= n
		r.KL += r.Dims[d]
		var sum, squares float64
		for i := d; i < len(means); i += width {
			sum += float64(means[i])
		}
		for i := d; i < len(means); i += width {
			x := float64(means[i]) - sum/n
			squares += float64(x * x)
		}
		if squares/n > activeVariance {
			r.Active++
		}
	}
	r.Bound = r.Reconstruction + r.KL
	most := min(r.Rows, MostPairs) * width
	var err error
	r.Information, err = information(ctx, means[:most], logvars[:most], width, o.Seed)
	return r, err
}

// Bounds gives the evidence lower bound of each row of b in nats, which is at most log p(x):
//
//	E[log p(x|z)] − KL(q(z|x) ‖ p(z)),  z from q(z|x)
//
// (Kingma and Welling 2014, equation 3). The expectation is a mean over o.Samples draws, which the seed and the number
// of the batch decide; the divergence is exact.
func Bounds(ctx context.Context, m model.Autoencoder, b *model.Batch, number uint64, o Options) ([]float64, error) {
	if o.Samples < 1 {
		return nil, fmt.Errorf("%d samples a row: give 1 or more", o.Samples)
	}
	mean, logvar, err := m.Posterior(b)
	if err != nil {
		return nil, err
	}
	mean, logvar = slices.Clone(mean), slices.Clone(logvar) // which the calls below overwrite
	bounds := make([]float64, b.Batch)
	if err := draw(ctx, m, b, number, o, make([]float32, len(mean)), mean, logvar, func(row int, loss float64) {
		bounds[row] -= loss / float64(o.Samples)
	}); err != nil {
		return nil, err
	}
	width := m.Info().Latent.Width
	for i, u := range mean {
		bounds[i/width] -= divergence(u, logvar[i])
	}
	return bounds, nil
}

// draw calls each with −log p(x|z) of each row x of b, the batch of that number, for o.Samples latent vectors z from
// q(z|x), which has these means and logarithms of variances.
func draw(ctx context.Context, m model.Autoencoder, b *model.Batch, number uint64, o Options, z, mean, logvar []float32,
	each func(row int, loss float64)) error {
	for s := range o.Samples {
		if err := ctx.Err(); err != nil {
			return err
		}
		kernel.GaussianSample(z, mean, logvar, model.Key(o.Seed, number, uint64(s)), len(z))
		losses, err := m.Reconstruction(b, z)
		if err != nil {
			return err
		}
		for row, loss := range losses {
			each(row, float64(loss))
		}
	}
	return nil
}

// divergence is KL(q ‖ p) of a normal distribution from the standard normal one, of a mean and the logarithm of a
// variance.
func divergence(mean, logvar float32) float64 {
	u, v := float64(mean), float64(logvar)
	return (float64(u*u) + math.Exp(v) - 1 - v) / 2
}

// Information is the mutual information of data and latent vectors alone, as Evaluate finds it, from the first
// MostPairs rows at the most.
func Information(ctx context.Context, m model.Autoencoder, data Batches, seed uint64) (float64, error) {
	width := m.Info().Latent.Width
	var means, logvars []float32
	var b model.Batch
	data.Rewind()
	for len(means) < MostPairs*width && data.Next(&b) {
		mean, logvar, err := m.Posterior(&b)
		if err != nil {
			return 0, err
		}
		means, logvars = append(means, mean...), append(logvars, logvar...)
	}
	if len(means) == 0 {
		return 0, errors.New("there is nothing to evaluate on")
	}
	most := min(len(means), MostPairs*width)
	return information(ctx, means[:most], logvars[:most], width, seed)
}

// ratio is log p(z) − log q(z|x) of a row.
func ratio(z, mean, logvar []float32, row, width int) float64 {
	sum := 0.0
	for i := row * width; i < (row+1)*width; i++ {
		x, v := float64(z[i]), float64(logvar[i])
		d := x - float64(mean[i])
		sum += (float64(d*d)*math.Exp(-v) + v - float64(x*x)) / 2
	}
	return sum
}

// information is the mean of log q(z|x) − log q(z) over a sample z of each row, where q(z) is the mean of q(z|x) over
// the rows.
func information(ctx context.Context, means, logvars []float32, width int, seed uint64) (float64, error) {
	rows := len(means) / width
	z := make([]float32, len(means))
	kernel.GaussianSample(z, means, logvars, model.Key(seed, math.MaxUint64), len(z))
	precision := make([]float64, len(means)) // 1/σ²
	constant := make([]float64, rows)        // −½·Σ log σ²
	for i, v := range logvars {
		precision[i] = math.Exp(-float64(v))
		constant[i/width] -= float64(v) / 2
	}
	total := 0.0
	for i := range rows {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var all logSum
		own := 0.0
		for j := range rows {
			density := constant[j]
			for d := range width {
				x := float64(z[i*width+d]) - float64(means[j*width+d])
				density -= float64(x*x) * precision[j*width+d] / 2
			}
			if j == i {
				own = density
			}
			all.add(density)
		}
		total += own - all.value() + math.Log(float64(rows))
	}
	return total / float64(rows), nil
}

// logSum is the logarithm of a sum of exponentials.
type logSum struct {
	top, sum float64
	some     bool
}

func (l *logSum) add(x float64) {
	switch {
	case !l.some:
		l.top, l.sum, l.some = x, 1, true
	case x > l.top:
		l.sum = float64(l.sum*math.Exp(l.top-x)) + 1
		l.top = x
	default:
		l.sum += math.Exp(x - l.top)
	}
}

func (l *logSum) value() float64 { return l.top + math.Log(l.sum) }

// Prior fills z with latent vectors from the prior: standard normal numbers of the stream of seed.
func Prior(z []float32, seed uint64) { kernel.Normal(z, model.Key(seed), 0, len(z)) }

// Between fills z [steps, len(a)] with latent vectors in a straight line from a to b, both included.
func Between(z, a, b []float32, steps int) {
	for s := range steps {
		t := float32(0)
		if steps > 1 {
			t = float32(s) / float32(steps-1)
		}
		for d, x := range a {
			z[s*len(a)+d] = float32((1-t)*x) + float32(t*b[d])
		}
	}
}
