package explain

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Likely is a token and how likely it is.
type Likely struct {
	Token int
	P     float64
}

// Top is the k likeliest tokens of logits, the likeliest first; of equals the smaller number is first.
func Top(logits []float32, k int) []Likely {
	p, _ := Softmax(logits)
	all := make([]Likely, len(p))
	for i, x := range p {
		all[i] = Likely{i, x}
	}
	slices.SortFunc(all, func(a, b Likely) int { return cmp.Or(cmp.Compare(b.P, a.P), a.Token-b.Token) })
	return all[:min(k, len(all))]
}

// Surprise is −log p of each token of next in nats, behind the tokens that a pass over a text read; NaN where next is
// negative. Rank is how many tokens were likelier.
func Surprise(p *Pass, next []int32) (nats []float64, rank []int, err error) {
	y := p.Output()
	if rows(y) != len(next) {
		return nil, nil, fmt.Errorf("%d tokens follow %d", len(next), rows(y))
	}
	nats, rank = make([]float64, len(next)), make([]int, len(next))
	for i, t := range next {
		row := Row(y, i)
		if nats[i] = math.NaN(); t < 0 {
			continue
		}
		if int(t) >= len(row) {
			return nil, nil, fmt.Errorf("the model knows %d tokens, and token %d is %d", len(row), i, t)
		}
		_, log := Softmax(row)
		nats[i] = -log[t]
		for _, x := range row {
			if x > row[t] {
				rank[i]++
			}
		}
	}
	return nats, rank, nil
}

// blocks are the words of layers whose output is a stream that the layers before them write to.
var blocks = []string{"transformer", "repeat", "residual", "rnn", "lstm", "gru"}

// final is the last value that a stack of blocks gives, which what makes the logits reads; nil for none.
func final(taps []model.Tap) *model.Tap {
	for i := range slices.Backward(taps) {
		t := &taps[i]
		if t.Kind == model.TapLayer && t.Add != nil && slices.Equal(t.Axes, []string{"step", "feature"}) &&
			slices.Contains(blocks, t.Word) {
			return t
		}
	}
	return nil
}

// errStream is the error of models that have no stack of blocks.
var errStream = errors.New("the model has no stack of layers of one width in front of what makes its logits")

// Layer is what a layer would have the model predict: the prediction where its output takes the place of the last
// layer's.
type Layer struct {
	Name   string // of the tap
	Index  int    // among the layers of a loop; −1 outside of one
	Logits []float32
}

// String is "blocks.xNext, layer 2".
func (l *Layer) String() string {
	if l.Index < 0 {
		return l.Name
	}
	return fmt.Sprintf("%s, layer %d", l.Name, l.Index+1)
}

// Lens is what the model would predict from each layer of its stream, [steps, tokens] each: the values behind that
// layer go straight to what makes the logits, the last norm included (the logit lens, nostalgebraist 2020). The last is
// what it does predict.
func (e *Explainer) Lens(b *model.Batch) ([]Layer, error) {
	p, err := e.Run(b)
	if err != nil {
		return nil, err
	}
	values, last, err := lensed(p.Taps)
	if err != nil {
		return nil, err
	}
	var all []Layer
	for _, v := range values {
		l := Layer{Name: v.Tap, Index: v.Layer}
		_, err := e.from(b, last, v.of(p), func(y *model.Tap) []float32 {
			l.Logits = slices.Clone(y.Value)
			return nil
		})
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return append(all, Layer{Name: last.Name, Index: -1, Logits: p.Output().Value}), nil
}

// lastStream is the name of the stream behind the last part of a layer's blocks.
func lastStream(taps []model.Tap, layer string) string {
	for _, t := range slices.Backward(taps) {
		if t.Kind == model.TapStream && t.Layer == layer {
			return t.Name
		}
	}
	return ""
}

// Effect is what one writer to the stream adds to a target by itself, not through layers behind it.
type Effect struct {
	Name  string // of the tap
	Kind  string // "heads" or "part"
	Layer int    // among the layers of a loop, or 0
	Head  int    // −1 for a whole part
	Value float64
}

// DirectEffects are what each head of attention, and each part of each block, adds to the target by itself (Elhage et
// al. 2021): what it writes to the stream at the target's token, times the gradient of the target with respect to the
// end of the stream there. With Start, what was in the stream before the first block, they add up to the inner product
// of that gradient with the whole stream. It takes blocks that add to the stream and do not normalise it: others are an
// error.
func (e *Explainer) DirectEffects(b *model.Batch, t Target) (effects []Effect, start float64, err error) {
	_, all, err := e.pull(b, t)
	if err != nil {
		return nil, 0, err
	}
	last := final(all)
	if last == nil {
		return nil, 0, errStream
	}
	if last.Word != "transformer" {
		return nil, 0, fmt.Errorf("the stream ends with layer %s of kind %s; direct effects are those of blocks of a "+
			"transformer", last.Layer, last.Word)
	}
	width := last.Shape[1]
	g := last.Gradient[t.Step*width:][:width]
	tensors := map[string][]float32{}
	for _, x := range e.m.Tensors() {
		tensors[x.Name] = x.Value
	}
	dot := func(x []float32) float64 {
		sum := 0.0
		for i, v := range x {
			sum += float64(v) * float64(g[i])
		}
		return sum
	}
	written := make([]float64, width)
	for i := range all {
		tap := &all[i]
		if tap.Layer != last.Layer || tap.Kind != model.TapPart && tap.Kind != model.TapHeads {
			continue
		}
		features := tap.Shape[len(tap.Shape)-1]
		steps := tap.Shape[len(tap.Shape)-2]
		for layer := range len(tap.Value) / (steps * features) {
			row := tap.Value[(layer*steps+t.Step)*features:][:features]
			if tap.Kind == model.TapPart {
				effects = append(effects, Effect{tap.Name, tap.Kind, layer, -1, dot(row)})
				for f, x := range row {
					written[f] += float64(x)
				}
				continue
			}
			if len(tap.Weights) <= layer || tensors[tap.Weights[layer]] == nil {
				continue // its product is more than one matrix, as with an adapter
			}
			w := tensors[tap.Weights[layer]]
			size := features / tap.Heads
			for head := range tap.Heads {
				sum := 0.0
				for f := head * size; f < (head+1)*size; f++ {
					sum += float64(row[f]) * dot(w[f*width:][:width])
				}
				effects = append(effects, Effect{tap.Name, tap.Kind, layer, head, sum})
			}
		}
	}
	// What is in the stream and none of the parts wrote was there before them; where a block normalises the stream,
	// nothing that it held before is.
	off, norm := 0.0, 0.0
	first, err := streamStart(all, last)
	if err != nil {
		return nil, 0, err
	}
	for f := range width {
		end, begin := float64(last.Value[t.Step*width+f]), float64(first.Value[t.Step*width+f])
		off += (end - begin - written[f]) * (end - begin - written[f])
		norm += end * end
		start += begin * float64(g[f])
	}
	if off > 1e-6*norm {
		return nil, 0, fmt.Errorf("the blocks of layer %s normalise their stream (norm_at: post), so that what a part "+
			"adds does not reach its end as it is", last.Layer)
	}
	return effects, start, nil
}

// streamStart is what the blocks of last read first.
func streamStart(all []model.Tap, last *model.Tap) (*model.Tap, error) {
	var found *model.Tap
	for i := range all {
		t := &all[i]
		if t.Layer == last.Layer {
			break
		}
		if (t.Kind == model.TapLayer || t.Kind == model.TapEmbedding) && slices.Equal(t.Shape, last.Shape) {
			found = t
		}
	}
	if found == nil {
		return nil, errStream
	}
	return found, nil
}

// Patched is what became of a target when a value of one pass was put in the place of the same value of another.
type Patched struct {
	Name          string // of the tap
	Layers, Steps int
	Values        []float64 // [layers, steps]: the target with the value of one layer and position put in
	Clean, Other  float64   // the target of the pass whose values are put in, and of that which they are put into
}

// Restored is how much of the way from Other to Clean each value goes, [layers, steps]; all zeros where there is none.
func (p *Patched) Restored() []float64 {
	way := make([]float64, len(p.Values))
	if p.Clean == p.Other {
		return way
	}
	for i, v := range p.Values {
		way[i] = (v - p.Other) / (p.Clean - p.Other)
	}
	return way
}

// Patch puts the value of the named tap from a pass over clean into a pass over other, one layer and position at a
// time, and tells what becomes of the target (activation patching; Meng et al. 2022, Wang et al. 2023). Both have as
// many tokens, and differ in some of them.
func (e *Explainer) Patch(clean, other *model.Batch, name string, t Target) (*Patched, error) {
	if clean.Steps != other.Steps || clean.SourceSteps != other.SourceSteps {
		return nil, fmt.Errorf("the two texts have %d and %d tokens: patching takes texts of as many tokens",
			clean.Steps+clean.SourceSteps, other.Steps+other.SourceSteps)
	}
	from, err := e.Run(clean)
	if err != nil {
		return nil, err
	}
	into, err := e.Run(other)
	if err != nil {
		return nil, err
	}
	a, b := from.Tap(name), into.Tap(name)
	if a == nil || a.Add == nil {
		return nil, fmt.Errorf("the model has no value %q that can be moved: its values are %q", name, movable(from))
	}
	n := len(a.Axes)
	if n < 2 || n > 3 || a.Axes[n-2] != "step" && a.Axes[n-2] != "source" {
		return nil, fmt.Errorf("the value %s has the axes %q: patching takes one of positions, or of layers and "+
			"positions", name, a.Axes)
	}
	p := &Patched{Name: name, Layers: 1, Steps: a.Shape[n-2]}
	if n == 3 {
		p.Layers = a.Shape[0]
	}
	if p.Clean, err = t.Score(from); err != nil {
		return nil, err
	}
	if p.Other, err = t.Score(into); err != nil {
		return nil, err
	}
	width := a.Shape[n-1]
	for at := range p.Layers * p.Steps {
		err := e.moved(other, func(tap *model.Tap) {
			if tap.Name != name {
				return
			}
			for i := at * width; i < (at+1)*width; i++ {
				tap.Add[i] = a.Value[i] - b.Value[i]
			}
		}, func() error {
			score, err := e.score(other, t)
			p.Values = append(p.Values, score)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// movable are the names of the values that can be moved.
func movable(p *Pass) []string {
	var all []string
	for _, t := range p.Taps {
		if t.Add != nil {
			all = append(all, t.Name)
		}
	}
	return all
}
