package explain

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Read reads a text that may be longer than the model's window, and calls visit with each pass over a part of it. The
// pass begins with token first of the text, and its positions from fresh on are new: every position of the text is new
// in one pass, in order.
//
// A model that remembers the text in states of recurrent layers alone goes on with the states that it had, as it does
// where it writes. Of others every pass begins with the second half of the one before, so that each position behind the
// first half of a window sees at least half a window.
//
// window is how many tokens a pass has, at least 4; 0 is as many as the model takes.
func (e *Explainer) Read(ctx context.Context, tokens []int32, window int,
	visit func(p *Pass, first, fresh int) error) error {
	most := e.m.Info().Steps
	if window <= 0 {
		window = most
	}
	if window > most || window < min(4, most) {
		return fmt.Errorf("a window of %d tokens: the model takes %d to %d", window, min(4, most), most)
	}
	if len(tokens) == 0 {
		return fmt.Errorf("a text without tokens")
	}
	if len(tokens) <= window {
		p, err := e.Run(Text(tokens))
		if err != nil {
			return err
		}
		return visit(p, 0, 0)
	}
	carries, err := e.carries(tokens[:window])
	if err != nil {
		return err
	}
	// The token before is read again: its states are what the pass goes on with.
	overlap := window / 2
	if carries {
		overlap = min(1, window-1)
	}
	var last *Pass
	for first := 0; ; first += window - overlap {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := min(first+window, len(tokens))
		fresh := 0
		if first > 0 {
			fresh = overlap
		}
		var p *Pass
		if carries && first > 0 {
			p, err = e.goOn(last, last.Batch.Steps-1, tokens[first:end])
		} else {
			p, err = e.Run(Text(tokens[first:end]))
		}
		if err == nil && p == nil {
			err = fmt.Errorf("the states behind token %d are no numbers that the model can go on with", first+1)
		}
		if err != nil {
			return err
		}
		if err := visit(p, first, fresh); err != nil {
			return err
		}
		if last = p; end == len(tokens) {
			return nil
		}
	}
}

// carries reports whether a model remembers a text in its states alone: where it goes on from them in the middle of a
// text, it comes to the same states as where it reads all of it.
func (e *Explainer) carries(tokens []int32) (bool, error) {
	tokens = tokens[:min(len(tokens), 24)]
	middle := len(tokens) / 2
	if middle < 1 {
		return false, nil
	}
	whole, err := e.Run(Text(tokens))
	if err != nil {
		return false, err
	}
	states := whole.Of(model.TapState)
	if len(states) == 0 {
		return false, nil
	}
	for _, t := range states {
		if width, _ := stateOf(t, 0); width == 0 || t.Add == nil {
			return false, nil
		}
	}
	rest, err := e.goOn(whole, middle, tokens[middle:])
	if err != nil || rest == nil {
		return false, err
	}
	for _, t := range states {
		for step := middle; step < len(tokens); step++ {
			width, at := stateOf(t, step)
			_, other := stateOf(rest.Tap(t.Name), step-middle)
			for layer := range at {
				for i := range width {
					x, y := t.Value[at[layer]+i], rest.Tap(t.Name).Value[other[layer]+i]
					if !(math.Abs(float64(x-y)) <= 1e-3*(1+math.Abs(float64(x)))) {
						return false, nil
					}
				}
			}
		}
	}
	return true, nil
}

// stateOf is where a state's numbers are behind a step, for each layer of a loop, and how many they are; 0 where the
// value is not of steps.
func stateOf(t *model.Tap, step int) (width int, at []int) {
	axis := slices.Index(t.Axes, "step")
	if axis < 0 || axis > 1 || axis == 1 && t.Axes[0] != "layer" {
		return 0, nil
	}
	width = 1
	for _, d := range t.Shape[axis+1:] {
		width *= d
	}
	layers := 1
	if axis == 1 {
		layers = t.Shape[0]
	}
	for l := range layers {
		at = append(at, (l*t.Shape[axis]+step)*width)
	}
	return width, at
}

// goOn runs the pass over tokens, the first of which is token step of the pass before, with the states that this had
// behind it; nil where the states cannot be put there. What a layer's states are moved to moves those of the layers
// behind it, so that it takes as many rounds as there are states, over one token.
func (e *Explainer) goOn(before *Pass, step int, tokens []int32) (*Pass, error) {
	states := before.Of(model.TapState)
	added := map[string][]float32{}
	layers := 0
	for _, t := range states {
		width, at := stateOf(t, step)
		added[t.Name] = make([]float32, width*len(at))
		layers += len(at)
	}
	put := func(tap *model.Tap) {
		x, ok := added[tap.Name]
		if !ok {
			return
		}
		width, at := stateOf(tap, 0)
		for l, to := range at {
			copy(tap.Add[to:to+width], x[l*width:])
		}
	}
	one := Text(tokens[:1])
	settled := false
	for range layers + 2 {
		off := 0.0
		err := e.moved(one, put, func() error {
			all, err := e.blind(one)
			if err != nil {
				return err
			}
			for i := range all {
				x, ok := added[all[i].Name]
				if !ok {
					continue
				}
				width, from := stateOf(before.Tap(all[i].Name), step)
				_, at := stateOf(&all[i], 0)
				for l := range at {
					for j := range width {
						d := before.Tap(all[i].Name).Value[from[l]+j] - all[i].Value[at[l]+j]
						x[l*width+j] += d
						off = max(off, math.Abs(float64(d))/(1+math.Abs(float64(all[i].Value[at[l]+j]))))
					}
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if settled = off <= 1e-6; settled {
			break
		}
	}
	if !settled {
		return nil, nil
	}
	var p *Pass
	b := Text(tokens)
	err := e.moved(b, put, func() (err error) { p, err = e.Run(b); return err })
	return p, err
}

// Runs are ranges [from, to) of a text of total tokens that together have at most n: ten of the same length, spread
// evenly, or all of the text where it is no longer.
func Runs(total, n int) [][2]int {
	if n >= total {
		return [][2]int{{0, total}}
	}
	pieces := max(1, min(10, n/100))
	length := n / pieces
	var all [][2]int
	for i := range pieces {
		from := (total - length) * i / max(1, pieces-1)
		all = append(all, [2]int{from, from + length})
	}
	return all
}
