package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/latent"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// encoderFirst makes updates of an autoencoder's encoder alone before each step, for as long as that makes the latent
// vector say more (He et al. 2019, algorithm 1).
type encoderFirst struct {
	m           model.LeadingEncoder
	rule        model.EncoderFirst
	data        Windows // the training data once more, in an order of its own
	pass        int     // of data
	on          bool
	information float64 // mutual information after the last pass
	last        int     // updates before the last step
	batch       model.Batch
}

// newEncoderFirst gives what m asks for; nil for models that ask for nothing.
func newEncoderFirst(m model.LanguageModel, d Data) (*encoderFirst, error) {
	l := m.Info().Latent
	if l == nil || l.EncoderFirst == nil {
		return nil, nil
	}
	leading, ok := m.(model.LeadingEncoder)
	if !ok {
		return nil, errors.New("the model's encoder cannot be updated alone, as its info asks for: generate its code " +
			"anew")
	}
	if d.Encoder == nil || d.Encoder.Windows() == 0 {
		return nil, errors.New("the encoder is to be updated alone, but there is no data for it")
	}
	return &encoderFirst{m: leading, rule: *l.EncoderFirst, data: d.Encoder, on: true, information: math.Inf(-1)}, nil
}

// before makes the updates before a step: up to rule.Steps of them, until the mean loss of the last rule.Check is not
// below that of as many before. A loss or norm that is not finite ends them.
func (e *encoderFirst) before(rate float64) error {
	sum, rows, last := 0.0, 0, math.Inf(1)
	for e.last = 0; e.on && e.last < e.rule.Steps; {
		if !e.data.Next(&e.batch) {
			e.data.NextPass()
			e.pass++
			e.data.Next(&e.batch)
		}
		loss, norm, err := e.m.EncoderStep(&e.batch, rate)
		if err = finite(loss, norm, err); err != nil {
			return err
		}
		sum += float64(loss * float64(e.batch.Batch)) // the conversion keeps product and sum apart on every machine
		rows += e.batch.Batch
		if e.last++; e.last%e.rule.Check == 0 {
			mean := sum / float64(rows)
			if !(mean < last) {
				break
			}
			sum, rows, last = 0, 0, mean
		}
	}
	return nil
}

// after takes note of the end of a pass: where the mutual information of data and latent vectors has not risen, the
// encoder has caught up, and there are no more updates of it alone. Without validation data it is that of training
// data. Of a group process 0 measures it.
func (e *encoderFirst) after(ctx context.Context, validation Windows, g *cluster.Group) error {
	if !e.on {
		return nil
	}
	found := 0.0
	if g.Leads() {
		data := validation
		if data == nil {
			data = e.data
			defer data.SetPosition(e.pass, data.Position())
		}
		// An interrupt waits for it: what it finds decides how the training goes on.
		var err error
		if found, err = latent.Information(context.WithoutCancel(ctx), e.m, data, informationSeed); err != nil {
			return fmt.Errorf("the mutual information of data and latent vectors: %w", err)
		}
	}
	bits, err := cluster.Tell(g, math.Float64bits(found), 0)
	if err != nil {
		return err
	}
	found = math.Float64frombits(bits)
	e.on = found > e.information
	e.information = found
	return nil
}

// informationSeed draws the same samples each time.
const informationSeed = 0x1f0e

// The keys of what a checkpoint keeps.
const (
	encoderSteps       = "encoder_steps"
	encoderPass        = "encoder_pass"
	encoderWindow      = "encoder_window"
	encoderOn          = "encoder_first"
	encoderInformation = "encoder_information"
)

// keep adds to what a checkpoint keeps.
func (e *encoderFirst) keep(m map[string]string) {
	m[encoderSteps] = strconv.Itoa(e.m.EncoderSteps())
	m[encoderPass] = strconv.Itoa(e.pass)
	m[encoderWindow] = strconv.FormatInt(e.data.Position(), 10)
	m[encoderOn] = strconv.FormatBool(e.on)
	m[encoderInformation] = strconv.FormatFloat(e.information, 'g', -1, 64)
}

// resume takes over what a checkpoint kept.
func (e *encoderFirst) resume(m map[string]string) error {
	steps, e1 := strconv.Atoi(m[encoderSteps])
	pass, e2 := strconv.Atoi(m[encoderPass])
	window, e3 := strconv.ParseInt(m[encoderWindow], 10, 64)
	on, e4 := strconv.ParseBool(m[encoderOn])
	information, e5 := strconv.ParseFloat(m[encoderInformation], 64)
	if err := errors.Join(e1, e2, e3, e4, e5); err != nil {
		return fmt.Errorf("does not say how far its encoder was trained alone: %w", err)
	}
	if steps < 0 || pass < 0 || window < 0 || window > int64(e.data.Windows()) {
		return fmt.Errorf("stands after %d updates of the encoder, at batch %d of pass %d of %d batches", steps, window,
			pass, e.data.Windows())
	}
	e.m.SetEncoderSteps(steps)
	e.data.SetPosition(pass, window)
	e.pass, e.on, e.information = pass, on, information
	return nil
}
