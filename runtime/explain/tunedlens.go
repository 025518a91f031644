package explain

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
)

// TunedLens says what each layer would have the model predict, in the language of the last one: a map for each layer
// takes what that gives to what the last layer would give, h + h·A + b, and is trained to make the prediction from
// there
// that of the model (Belrose et al. 2023). The plain lens reads layers as if they spoke that language already.
type TunedLens struct {
	layers []*translator
}

// translator is the map of a layer.
type translator struct {
	at     Value
	params []float32 // A [width, width], then b [width]
}

// TuneOptions say how a tuned lens is trained. The zero value of a field means what its comment says.
type TuneOptions struct {
	Steps int     // updates of each map, each on one text; 0 for 300
	Rate  float64 // of Adam, falling to 0; 0 for 0.001
	Held  float64 // share of the texts that are kept to judge by; 0 for 0.2
	Seed  uint64  // of the order of the texts
	// Report is told of each update, of so many in all; nil tells nobody.
	Report func(done, all int)
}

// Divergence is how far what a layer would predict is from what the model predicts, in nats a token: the mean of
// KL(model ‖ layer) over the tokens of texts that the maps were not trained on.
type Divergence struct {
	Layer        Value
	Plain, Tuned float64
}

// lensed are the values of a pass that lenses read, in the order of their computation, and the value that they take the
// place of. It is errStream where there is none.
func lensed(taps []model.Tap) (all []Value, last *model.Tap, err error) {
	if last = final(taps); last == nil {
		return nil, nil, errStream
	}
	size := len(last.Value)
	for i := range taps {
		t := &taps[i]
		if t.Name == last.Name {
			break
		}
		n := len(t.Axes)
		if t.Kind == model.TapStream && t.Name != lastStream(taps, t.Layer) {
			continue // in the middle of a block
		}
		plain := t.Kind == model.TapStream || t.Kind == model.TapLayer || t.Kind == model.TapEmbedding
		if !plain || n < 2 || t.Axes[n-2] != "step" || len(t.Value) == 0 || len(t.Value)%size != 0 ||
			t.Shape[n-1] != last.Shape[1] || n > 2 && t.Axes[0] != "layer" || n > 3 {
			continue
		}
		for layer := range len(t.Value) / size {
			if n == 2 {
				layer = -1
			}
			all = append(all, Value{t.Name, layer})
		}
	}
	return all, last, nil
}

// of is all of the value, [steps, width].
func (v Value) of(p *Pass) []float32 {
	t := p.Tap(v.Tap)
	if v.Layer < 0 {
		return t.Value
	}
	size := len(t.Value) / t.Shape[0]
	return t.Value[v.Layer*size:][:size]
}

// from runs the pass with value in the place of the last layer's, calls do with what it gives, and gives the
// gradient of
// Σ seed∘y with respect to value, seed being what do gives; no gradient where that is nil.
func (e *Explainer) from(b *model.Batch, last *model.Tap, value []float32, do func(y *model.Tap) []float32) ([]float32,
	error) {
	var grad []float32
	err := e.moved(b, func(tap *model.Tap) {
		if tap.Name != last.Name {
			return
		}
		for j, x := range value {
			tap.Add[j] = x - last.Value[j]
		}
	}, func() error {
		all, err := e.blind(b)
		if err != nil {
			return err
		}
		seed := do(&all[len(all)-1])
		if seed == nil {
			return nil
		}
		if err := e.pass.Pull(b, seed); err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(t model.Tap) bool { return t.Name == last.Name })
		grad = all[i].Gradient
		return nil
	})
	return grad, err
}

// apply is what the map makes of h [steps, width].
func (t *translator) apply(h []float32, width int) []float32 {
	steps := len(h) / width
	y := make([]float32, len(h))
	kernel.GemmNN(y, h, t.params[:width*width], steps, width, width, kernel.Bias(t.params[width*width:]))
	for i, x := range h {
		y[i] += x
	}
	return y
}

// divergence is the mean over rows of KL(softmax(want) ‖ softmax(y)) in nats, and its gradient with respect to y.
func divergence(want, y []float32, width int) (nats float64, grad []float32) {
	n := len(y) / width
	grad = make([]float32, len(y))
	for i := range n {
		p, logP := Softmax(want[i*width:][:width])
		q, logQ := Softmax(y[i*width:][:width])
		for k := range p {
			if p[k] > 0 {
				nats += p[k] * (logP[k] - logQ[k]) / float64(n)
			}
			grad[i*width+k] = float32((q[k] - p[k]) / float64(n))
		}
	}
	return nats, grad
}

// TuneLens trains a lens on texts, and gives how far each layer is from the model's predictions with it and without, on
// the texts that it keeps for that. The maps begin as the plain lens; their gradients come through the pass with taps,
// whose parameters stay. It takes a model with a stack of layers of one width, and two texts or more.
func (e *Explainer) TuneLens(ctx context.Context, texts []*model.Batch, o TuneOptions) (*TunedLens, []Divergence,
	error) {
	if o.Steps == 0 {
		o.Steps = 300
	}
	if o.Rate == 0 {
		o.Rate = 1e-3
	}
	if o.Held == 0 {
		o.Held = 0.2
	}
	held := int(math.Ceil(o.Held * float64(len(texts))))
	if held < 1 || held >= len(texts) || !(o.Held > 0) {
		return nil, nil, fmt.Errorf("a share of %v of %d texts to judge by leaves none to train on: give more text",
			o.Held,
			len(texts))
	}
	r := rand.New(rand.NewPCG(o.Seed, 0x51ed2701))
	texts = slices.Clone(texts)
	r.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
	out, in := texts[:held], texts[held:]

	p, err := e.Run(in[0])
	if err != nil {
		return nil, nil, err
	}
	values, last, err := lensed(p.Taps)
	if err != nil {
		return nil, nil, err
	}
	if len(values) == 0 {
		return nil, nil, errors.New("the model has one layer, which predicts what the model does")
	}
	width := last.Shape[1]
	l := &TunedLens{}
	var rules []optim.Rule
	for _, v := range values {
		n := width*width + width
		l.layers = append(l.layers, &translator{v, make([]float32, n)})
		rules = append(rules, optim.NewAdam(n, 0.9, 0.999, 1e-8, 0))
	}
	grads := make([]float32, width*width+width)
	for step := range o.Steps {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		b := in[r.IntN(len(in))]
		pass, err := e.Run(b)
		if err != nil {
			return nil, nil, err
		}
		last, rate := pass.Tap(last.Name), o.Rate*(1-float64(step)/float64(o.Steps))
		for i, t := range l.layers {
			h := t.at.of(pass)
			g, err := e.from(b, last, t.apply(h, width), func(y *model.Tap) []float32 {
				_, seed := divergence(pass.Output().Value, y.Value, y.Shape[len(y.Shape)-1])
				return seed
			})
			if err != nil {
				return nil, nil, err
			}
			rows := len(h) / width
			kernel.GemmTN(grads[:width*width], h, g, width, width, rows)
			bias := grads[width*width:]
			clear(bias)
			for k, x := range g[:rows*width] {
				bias[k%width] += x
			}
			rules[i].Step(t.params, grads, rate, 1, step+1)
		}
		if o.Report != nil {
			o.Report(step+1, o.Steps)
		}
	}
	found, err := e.divergences(ctx, l, out)
	return l, found, err
}

// divergences judges a lens by texts.
func (e *Explainer) divergences(ctx context.Context, l *TunedLens, texts []*model.Batch) ([]Divergence, error) {
	all := make([]Divergence, len(l.layers))
	total := 0
	for _, b := range texts {
		total += b.Steps
	}
	for _, b := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := e.Run(b)
		if err != nil {
			return nil, err
		}
		last := final(p.Taps)
		share := float64(b.Steps) / float64(total)
		for i, t := range l.layers {
			all[i].Layer = t.at
			h := t.at.of(p)
			for value, to := range map[*float64][]float32{&all[i].Plain: h, &all[i].Tuned: t.apply(h, last.Shape[1])} {
				_, err := e.from(b, last, to, func(y *model.Tap) []float32 {
					nats, _ := divergence(p.Output().Value, y.Value, y.Shape[len(y.Shape)-1])
					*value += share * nats
					return nil
				})
				if err != nil {
					return nil, err
				}
			}
		}
	}
	return all, nil
}

// Tuned is what each layer would have the model predict by a tuned lens, [steps, tokens] each; the last is what it does
// predict.
func (e *Explainer) Tuned(b *model.Batch, l *TunedLens) ([]Layer, error) {
	p, err := e.Run(b)
	if err != nil {
		return nil, err
	}
	last := final(p.Taps)
	var all []Layer
	for _, t := range l.layers {
		x := Layer{Name: t.at.Tap, Index: t.at.Layer}
		_, err := e.from(b, last, t.apply(t.at.of(p), last.Shape[1]), func(y *model.Tap) []float32 {
			x.Logits = slices.Clone(y.Value)
			return nil
		})
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return append(all, Layer{Name: last.Name, Index: -1, Logits: p.Output().Value}), nil
}
