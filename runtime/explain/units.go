package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Unit is one number of the state of a recurrent layer, or of a gate.
type Unit struct {
	Tap   string // the name of the value
	Layer int    // among the layers of a loop, or 0
	Index int    // of the number
}

// String is "lstm.h[17]", or "lstm.h[2][17]" of layer 2 of a stack, as the flag --unit of programs takes it.
func (u Unit) String() string {
	if u.Layer > 0 {
		return fmt.Sprintf("%s[%d][%d]", u.Tap, u.Layer+1, u.Index)
	}
	return fmt.Sprintf("%s[%d]", u.Tap, u.Index)
}

// Over is the unit's values over the positions of a pass.
func (u Unit) Over(p *Pass) ([]float64, error) {
	t := p.Tap(u.Tap)
	if t == nil {
		var names []string
		for _, t := range p.Taps {
			if len(Units(&t)) > 0 {
				names = append(names, t.Name)
			}
		}
		return nil, fmt.Errorf("the model has no value %q: those with units are %s", u.Tap, strings.Join(names, ", "))
	}
	n := len(t.Axes)
	if n < 2 || n > 3 || t.Axes[n-1] != "feature" || t.Axes[n-2] == "layer" {
		return nil, fmt.Errorf("the value %s has the axes %q, and no units over a text", u.Tap, t.Axes)
	}
	layers, steps, width := 1, t.Shape[n-2], t.Shape[n-1]
	if n == 3 {
		layers = t.Shape[0]
	}
	if u.Layer < 0 || u.Layer >= layers || u.Index < 0 || u.Index >= width {
		if layers == 1 {
			return nil, fmt.Errorf("there is no unit %s: the value has %d units, from %s[0] to %s[%d]", u, width, u.Tap,
				u.Tap, width-1)
		}
		return nil, fmt.Errorf("there is no unit %s: the value has %d layers, from 1, of %d units, from 0", u, layers,
			width)
	}
	x := make([]float64, steps)
	for i := range x {
		x[i] = float64(t.Value[(u.Layer*steps+i)*width+u.Index])
	}
	return x, nil
}

// Units lists the units of a value.
func Units(t *model.Tap) []Unit {
	n := len(t.Axes)
	if n < 2 || n > 3 || t.Axes[n-1] != "feature" || t.Axes[n-2] == "layer" {
		return nil
	}
	layers := 1
	if n == 3 {
		layers = t.Shape[0]
	}
	var all []Unit
	for l := range layers {
		for i := range t.Shape[n-1] {
			all = append(all, Unit{t.Name, l, i})
		}
	}
	return all
}

// Place is a position of a text, and what a unit is there.
type Place struct {
	At    int // the number of the token
	Value float64
}

// Liked is where a unit is large or small in a text.
type Liked struct {
	Unit
	All         []Place // all positions that were read, in order
	Most, Least []Place // of them where it is largest, and smallest, the extreme first
}

// Likes reads ranges of a text, and gives for each of units the k places where it is largest and those where it is
// smallest; no two of them are closer than apart tokens. In each range, the positions behind the first warm count,
// before which the model has seen next to nothing.
func (e *Explainer) Likes(ctx context.Context, tokens []int32, ranges [][2]int, warm int, units []Unit, k,
	apart int) ([]Liked, error) {
	all := make([]Liked, len(units))
	for i, u := range units {
		all[i].Unit = u
	}
	for _, r := range ranges {
		if r[0] < 0 || r[1] > len(tokens) || r[0] >= r[1] {
			return nil, fmt.Errorf("tokens %d to %d of %d", r[0], r[1], len(tokens))
		}
		err := e.Read(ctx, tokens[r[0]:r[1]], 0, func(p *Pass, first, fresh int) error {
			for i := range all {
				x, err := all[i].Over(p)
				if err != nil {
					return err
				}
				if len(x) != p.Batch.Steps {
					return fmt.Errorf("the unit %s has %d values for %d tokens", all[i].Unit, len(x), p.Batch.Steps)
				}
				for step := max(fresh, warm-first); step < len(x); step++ {
					all[i].All = append(all[i].All, Place{r[0] + first + step, x[step]})
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for i := range all {
		sorted := slices.Clone(all[i].All)
		slices.SortStableFunc(sorted, func(a, b Place) int { return cmp.Compare(b.Value, a.Value) })
		all[i].Most = spread(sorted, k, apart)
		slices.Reverse(sorted)
		all[i].Least = spread(sorted, k, apart)
	}
	return all, nil
}

// spread is the first k of places that are not closer than apart tokens.
func spread(places []Place, k, apart int) []Place {
	var found []Place
	for _, p := range places {
		if len(found) == k {
			break
		}
		near := func(q Place) bool { return max(q.At-p.At, p.At-q.At) < apart }
		if !slices.ContainsFunc(found, near) {
			found = append(found, p)
		}
	}
	return found
}

// Traverse gives what the model makes when number i of its latent vector, or of a generator's noise, is each of values
// in turn, the others being what they are for b: [values][…].
func (e *Explainer) Traverse(b *model.Batch, i int, values []float64) ([]*Pass, error) {
	first, err := e.Run(b)
	if err != nil {
		return nil, err
	}
	var name string
	var from float64
	for _, t := range first.Taps {
		if t.Kind == model.TapLatent || t.Kind == model.TapInput && name == "" && e.pass.Part == "generator" {
			if i < 0 || i >= len(t.Value) {
				return nil, fmt.Errorf("there is no number %d of %d", i, len(t.Value))
			}
			name, from = t.Name, float64(t.Value[i])
		}
	}
	if name == "" {
		return nil, fmt.Errorf("the model has no latent vector")
	}
	var all []*Pass
	for _, v := range values {
		err := e.moved(b, func(tap *model.Tap) {
			if tap.Name == name {
				tap.Add[i] = float32(v - from)
			}
		}, func() error {
			p, err := e.Run(b)
			all = append(all, p)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
