package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/schedule"
)

// RateTest is what a range test of the rate found (Smith 2017, section 3.3, with rates that grow by a factor).
type RateTest struct {
	Rates    []float64 // of the steps that were made
	Losses   []float64 // of the same steps, before their updates
	Smooth   []float64 // average of the losses that forgets, corrected for its start
	Steepest float64   // rate at which Smooth falls fastest, against the logarithm of the rate
	Lowest   float64   // rate at which it is lowest
	Ended    string    // why there are fewer steps than were asked for; empty where there are not
}

// smoothing is the share of the average of losses that is kept in a step.
const smoothing = 0.9

// FindRate trains m for some steps, each at a higher rate than the one before, from low to high, and ends early when
// the loss has come to be far above where it began. m is of no use after that. each, where it is not nil, is told of
// every step.
func FindRate(ctx context.Context, m model.LanguageModel, w Windows, low, high float64, steps int,
	each func(step int, loss float64)) (*RateTest, error) {
	if !(low > 0 && high > low) || math.IsInf(high, 1) || steps < 10 {
		return nil, fmt.Errorf("a test of rates from %v to %v in %d steps: give a range that rises from above 0, and 10 "+
			"steps or more", low, high, steps)
	}
	if m.Info().Adversary != nil {
		return nil, errors.New("the losses of two networks that learn from each other do not say at which rate they " +
			"learn: there is no test of rates for them")
	}
	t := &RateTest{}
	var b model.Batch
	average, lowest := 0.0, math.Inf(1)
	for i := range steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := next(w, &b); err != nil {
			return nil, err
		}
		rate := low * math.Pow(high/low, float64(i)/float64(steps-1))
		loss, norm, err := m.TrainStep(&b, rate)
		if err = finite(loss, norm, err); err != nil {
			if what := (*model.NotFinite)(nil); !errors.As(err, &what) || i < 10 {
				return nil, fmt.Errorf("at rate %.3g, %w", rate, err)
			}
			t.Ended = fmt.Sprintf("at rate %.3g %v", rate, err)
			break
		}
		average = smoothing*average + (1-smoothing)*loss
		smooth := average / (1 - math.Pow(smoothing, float64(i+1)))
		t.Rates, t.Losses, t.Smooth = append(t.Rates, rate), append(t.Losses, loss), append(t.Smooth, smooth)
		lowest = min(lowest, smooth)
		if each != nil {
			each(i+1, loss)
		}
		if first := t.Smooth[0]; smooth > first+max(first-lowest, math.Abs(first)/2) {
			t.Ended = fmt.Sprintf("at rate %.3g the loss is %.4g, far above the %.4g at which it began", rate, loss, first)
			break
		}
	}
	t.conclude()
	return t, nil
}

// next fills b with the next window, of the next pass where there is none left.
func next(w Windows, b *model.Batch) error {
	if w.Next(b) {
		return nil
	}
	w.NextPass()
	if !w.Next(b) {
		return errors.New("the training data has no window")
	}
	return nil
}

// conclude finds the two rates. The fall is measured over a twentieth of the steps to either side, up to where the loss
// is lowest.
func (t *RateTest) conclude() {
	at := 0
	for i, s := range t.Smooth {
		if s < t.Smooth[at] {
			at = i
		}
	}
	t.Lowest, t.Steepest = t.Rates[at], t.Rates[at]
	fall, reach := 0.0, max(1, len(t.Smooth)/20)
	for i := reach; i+reach < len(t.Smooth) && i <= at; i++ {
		if d := t.Smooth[i-reach] - t.Smooth[i+reach]; d > fall {
			fall, t.Steepest = d, t.Rates[i]
		}
	}
}

// Noise is the scale of the gradient's noise (McCandlish et al. 2018, section 2.2 and appendix A.1).
type Noise struct {
	// Scale is tr(Σ)/|G|², in units that losses are means over: as many of them in a batch make the gradient's noise as
	// large as the gradient. Batches that are far smaller waste steps, those that are far larger waste data. +Inf where
	// the batches had no common gradient that could be told from noise.
	Scale   float64
	Units   float64 // in a batch, in the mean
	Batches int
}

// errMeasured ends a training step that is to move nothing.
var errMeasured = errors.New("the gradient was to be measured")

// NoiseScale measures the noise of the gradients of some batches, at parameters that stay: with the mean square of
// their norms as that of small batches, and the square of the norm of their mean as that of one large batch. The
// carried state goes on; the next training step is as it would have been but for that.
func NoiseScale(ctx context.Context, m model.LanguageModel, w Windows, batches int) (*Noise, error) {
	s, ok := m.(scheduled)
	switch {
	case !ok:
		return nil, errors.New("the model does not show its gradients before it moves: generate its code anew")
	case m.Info().Adversary != nil:
		return nil, errors.New("the noise of the gradients of two networks is not measured")
	case batches < 2:
		return nil, fmt.Errorf("noise is measured over 2 batches or more, not %d", batches)
	}
	t := s.Training()
	defer func(check func(*schedule.Step, float64, float64) error) { t.Check = check }(t.Check)
	var squares, units float64
	var mean []float32
	t.Check = func(s *schedule.Step, loss, norm float64) error {
		grads := t.Grads[s.Moves[0].From:s.Moves[len(s.Moves)-1].To]
		if mean == nil {
			mean = make([]float32, len(grads))
		}
		for i, g := range grads {
			mean[i] += g / float32(batches)
		}
		squares += norm * norm / float64(batches)
		return errMeasured
	}
	info := m.Info()
	var b model.Batch
	for range batches {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := next(w, &b); err != nil {
			return nil, err
		}
		if _, _, err := m.TrainStep(&b, 0); !errors.Is(err, errMeasured) {
			if err == nil {
				err = errors.New("the step made no gradient")
			}
			return nil, err
		}
		units += float64(info.Items(&b))
	}
	units /= float64(batches)
	norm := optim.Norm(mean)
	small, large := units, units*float64(batches)
	signal := (large*norm*norm - small*squares) / (large - small)
	noise := (squares - norm*norm) / (1/small - 1/large)
	n := &Noise{Scale: math.Inf(1), Units: units, Batches: batches}
	if signal > 0 {
		n.Scale = max(0, noise) / signal
	}
	return n, nil
}
