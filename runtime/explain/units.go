package explain

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Unit is one number of the state of a recurrent layer, or of a gate.
type Unit struct {
	Tap   string // the name of the value
	Layer int    // among the layers of a loop, or 0
	Index int    // of the number
}

// String is "lstm.h[17]", or "lstm.h, layer 2 [17]".
func (u Unit) String() string {
	if u.Layer > 0 {
		return fmt.Sprintf("%s, layer %d [%d]", u.Tap, u.Layer+1, u.Index)
	}
	return fmt.Sprintf("%s[%d]", u.Tap, u.Index)
}

// Over is the unit's values over the positions of a pass.
func (u Unit) Over(p *Pass) ([]float64, error) {
	t := p.Tap(u.Tap)
	if t == nil {
		return nil, fmt.Errorf("the model has no value %q", u.Tap)
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
		return nil, fmt.Errorf("there is no unit %s: the value has %d layers of %d units", u, layers, width)
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
	if n < 2 || n > 3 || t.Axes[n-1] != "feature" {
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

// Match is a unit and how much its values go with a measure of the text.
type Match struct {
	Unit
	R float64 // Pearson's correlation
}

// Follow ranks the units of the states of a model by how much they go with a measure of a text, such as how long a line
// already is, or whether a quotation is open: by Pearson's correlation over all positions of all texts, those that go
// with it most first, whatever its sign. measure gives a number for each position of a text.
func (e *Explainer) Follow(texts []*model.Batch, measure func(b *model.Batch) []float64) ([]Match, error) {
	var all []Match
	type sums struct{ x, xx, xm float64 }
	var by []sums
	var m, mm, n float64
	for _, b := range texts {
		p, err := e.Run(b)
		if err != nil {
			return nil, err
		}
		want := measure(b)
		if len(want) != b.Steps {
			return nil, fmt.Errorf("the measure gives %d numbers for %d tokens", len(want), b.Steps)
		}
		for _, v := range want {
			m, mm, n = m+v, mm+v*v, n+1
		}
		at := 0
		for _, t := range p.Of(model.TapState) {
			for _, u := range Units(t) {
				x, err := u.Over(p)
				if err != nil {
					return nil, err
				}
				if len(x) != len(want) { // of the source
					continue
				}
				if at == len(by) {
					by, all = append(by, sums{}), append(all, Match{Unit: u})
				}
				s := &by[at]
				for i, v := range x {
					s.x, s.xx, s.xm = s.x+v, s.xx+v*v, s.xm+v*want[i]
				}
				at++
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the model has no recurrent layers")
	}
	for i, s := range by {
		spread := math.Sqrt((n*s.xx - s.x*s.x) * (n*mm - m*m))
		if spread > 0 {
			all[i].R = (n*s.xm - s.x*m) / spread
		}
	}
	slices.SortStableFunc(all, func(a, b Match) int { return cmp.Compare(math.Abs(b.R), math.Abs(a.R)) })
	return all, nil
}

// Place is a position of one of several texts, and what a unit is there.
type Place struct {
	Text, Step int
	Value      float64
}

// Likes are the k places of texts where a unit is largest, the largest first; no two of them are closer than apart
// positions of one text.
func (e *Explainer) Likes(texts []*model.Batch, u Unit, k, apart int) ([]Place, error) {
	var all []Place
	for i, b := range texts {
		p, err := e.Run(b)
		if err != nil {
			return nil, err
		}
		x, err := u.Over(p)
		if err != nil {
			return nil, err
		}
		for step, v := range x {
			all = append(all, Place{i, step, v})
		}
	}
	slices.SortStableFunc(all, func(a, b Place) int { return cmp.Compare(b.Value, a.Value) })
	var found []Place
	for _, p := range all {
		if len(found) == k {
			break
		}
		near := func(q Place) bool { return q.Text == p.Text && max(q.Step-p.Step, p.Step-q.Step) < apart }
		if !slices.ContainsFunc(found, near) {
			found = append(found, p)
		}
	}
	return found, nil
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
