package explain

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// Evidence is how much a unit goes with a property of a text: Pearson's correlation, or of a property that is so or not
// the area under the curve of a threshold's hits over its false alarms (AUC), the probability that the unit is larger
// at a position where it is so than at one where it is not.
type Evidence struct {
	Unit
	Search float64 // on the text that the unit was searched with
	Held   float64 // on the other text
}

// Found is the units that go with a property, those that do most first.
type Found struct {
	Property *Property
	Best     []Evidence
	Units    int // that were searched
	// positions of the texts
	Searched, Held int
	// Chance is the best that any of the units has with the property turned by a number of positions, and ChanceHeld
	// the best that the first of Best has on the other text: the mean and the largest of so many rotations each. A
	// turned property has nothing to do with the text any longer, but changes as slowly as it did, which one whose
	// numbers are shuffled does not.
	Chance, ChanceHeld [2]float64
	Rotations          int
	// Sample is the values of Best[0] and the property on the other text.
	Sample []Observed
}

// Observed is a unit's value and the property at a position of a text.
type Observed struct {
	At           int // the number of the token
	Unit, Really float64
}

// rotations are how often the property is turned.
const rotations = 20

// Search is what units are searched with.
type Search struct {
	Tokens   []int32
	Property []float64 // behind each token
	// Runs are the ranges of tokens that are read, and Held those that what is found is held to: they have nothing in
	// common. In each, positions behind the first Warm count, before which the model has seen next to nothing.
	Runs, Held [][2]int
	Warm       int
	Keep       int // how many units are given; 0 for 10
}

// Find searches all units of a model for those that go with a property of a text: those of the states of its recurrent
// layers, or of a model without them of the streams and parts of its blocks.
func (e *Explainer) Find(ctx context.Context, p *Property, s Search) (*Found, error) {
	if len(s.Property) != len(s.Tokens) {
		return nil, fmt.Errorf("the property has %d numbers for %d tokens", len(s.Property), len(s.Tokens))
	}
	search, err := e.observe(ctx, p, s, s.Runs)
	if err != nil {
		return nil, err
	}
	held, err := e.observe(ctx, p, s, s.Held)
	if err != nil {
		return nil, err
	}
	f := &Found{Property: p, Units: len(search.units), Searched: len(search.really), Held: len(held.really),
		Rotations: rotations}
	scores := search.scores(search.really)
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(p.strength(scores[b]), p.strength(scores[a]))
	})
	on := held.scores(held.really)
	keep := s.Keep
	if keep <= 0 {
		keep = 10
	}
	for _, i := range order[:min(keep, len(order))] {
		f.Best = append(f.Best, Evidence{search.units[i], scores[i], on[i]})
	}
	best := order[0]
	one := &observations{p: p, units: held.units[best : best+1], values: held.values[best : best+1]}
	one.rank()
	for k := range rotations {
		most := p.neutral()
		for _, x := range search.scores(turned(search.really, k)) {
			if p.strength(x) > p.strength(most) {
				most = x
			}
		}
		other := one.scores(turned(held.really, k))[0]
		for _, x := range []struct {
			to    *[2]float64
			value float64
		}{{&f.Chance, p.folded(most)}, {&f.ChanceHeld, p.folded(other)}} {
			x.to[0] += x.value / rotations
			x.to[1] = max(x.to[1], x.value)
		}
	}
	for i, at := range held.at {
		f.Sample = append(f.Sample, Observed{at, float64(held.values[best][i]), held.really[i]})
	}
	return f, nil
}

// neutral is the score of a unit that has nothing to do with the property.
func (p *Property) neutral() float64 {
	if p.Yes {
		return 0.5
	}
	return 0
}

// strength is how far a score is from that, in either direction, from 0 to 1.
func (p *Property) strength(score float64) float64 {
	return math.Abs(p.Signed(score))
}

// folded is a score, or that of the unit with the other sign where that is larger.
func (p *Property) folded(score float64) float64 {
	if p.Yes {
		return max(score, 1-score)
	}
	return math.Abs(score)
}

// Signed is a score as a number from −1 to 1, of which 0 says nothing.
func (p *Property) Signed(score float64) float64 {
	if p.Yes {
		return 2*score - 1
	}
	return score
}

// Text is a score with three digits, a correlation with its sign.
func (p *Property) Text(score float64) string {
	if p.Yes {
		return fmt.Sprintf("%.3f", score)
	}
	return fmt.Sprintf("%+.3f", score)
}

// Measure is what scores of the property are called.
func (p *Property) Measure() string {
	if p.Yes {
		return "AUC"
	}
	return "r"
}

// turned is x turned by a part of its length that grows with k, and is never near to nothing.
func turned(x []float64, k int) []float64 {
	n := len(x)
	// between a tenth and nine tenths, in no step that lines or sentences could have
	by := n/10 + int(model.Key(uint64(k), uint64(n))%uint64(max(1, n-n/5)))
	return append(slices.Clone(x[by%n:]), x[:by%n]...)
}

// observations are the values of units and of a property at positions of a text.
type observations struct {
	p      *Property
	units  []Unit
	values [][]float32 // of each unit
	ranked [][]float32 // their ranks, of a property that is so or not
	really []float64
	at     []int // the tokens
}

// mostValues is how many numbers observations have at the most: 2 GiB of them.
const mostValues = 1 << 29

// observe reads ranges of a text.
func (e *Explainer) observe(ctx context.Context, p *Property, s Search, ranges [][2]int) (*observations, error) {
	o := &observations{p: p}
	for _, r := range ranges {
		if r[0] < 0 || r[1] > len(s.Tokens) || r[0] >= r[1] {
			return nil, fmt.Errorf("tokens %d to %d of %d", r[0], r[1], len(s.Tokens))
		}
		err := e.Read(ctx, s.Tokens[r[0]:r[1]], 0, func(pass *Pass, first, fresh int) error {
			from := max(fresh, s.Warm-first)
			if from >= pass.Batch.Steps {
				return nil
			}
			if o.units == nil {
				if o.units = units(pass); len(o.units) == 0 {
					return fmt.Errorf("the model has no units over a text")
				}
				positions := 0
				for _, r := range ranges {
					positions += r[1] - r[0]
				}
				if most := mostValues / len(o.units); positions > most {
					return fmt.Errorf("%d units at %d positions take more than 2 GiB: read %d positions", len(o.units),
						positions, most)
				}
				o.values = make([][]float32, len(o.units))
				for i := range o.values {
					o.values[i] = make([]float32, 0, positions)
				}
			}
			for i, u := range o.units {
				x, err := u.Over(pass)
				if err != nil {
					return err
				}
				for _, v := range x[from:] {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						return fmt.Errorf("the unit %s is %v: the model computes no numbers", u, v)
					}
					o.values[i] = append(o.values[i], float32(v))
				}
			}
			for step := from; step < pass.Batch.Steps; step++ {
				o.at = append(o.at, r[0]+first+step)
				o.really = append(o.really, s.Property[r[0]+first+step])
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(o.really) < 3 {
		return nil, fmt.Errorf("%d positions of the text count: give a longer text", len(o.really))
	}
	if slices.Min(o.really) == slices.Max(o.really) {
		return nil, fmt.Errorf("%s is %v at all of %d positions: nothing can go with it", p.Name, o.really[0],
			len(o.really))
	}
	o.rank()
	return o, nil
}

// rank ranks the values of each unit where scores are of ranks.
func (o *observations) rank() {
	if o.p.Yes {
		o.ranked = make([][]float32, len(o.values))
		parallel.Run(len(o.values), (*ranking)(o))
	}
}

type ranking observations

// Do ranks the values of unit i, from 1; equal ones have the mean of their ranks.
func (o *ranking) Do(i int) {
	x := o.values[i]
	order := make([]int32, len(x))
	for k := range order {
		order[k] = int32(k)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(x[a], x[b]) })
	all := make([]float32, len(x))
	for from := 0; from < len(order); {
		end := from + 1
		for end < len(order) && x[order[end]] == x[order[from]] {
			end++
		}
		for _, k := range order[from:end] {
			all[k] = float32(from+1+end) / 2
		}
		from = end
	}
	o.ranked[i] = all
}

// units are those that are searched.
func units(p *Pass) []Unit {
	var all []Unit
	for _, kinds := range [][]string{{model.TapState}, {model.TapStream, model.TapPart}, {model.TapLayer}} {
		for _, kind := range kinds {
			for _, t := range p.Of(kind) {
				if slices.Contains(t.Axes, "step") {
					all = append(all, Units(t)...)
				}
			}
		}
		if len(all) > 0 {
			break
		}
	}
	return all
}

// scores are how much each unit goes with numbers y.
func (o *observations) scores(y []float64) []float64 {
	j := &scoring{o: o, y: y, scores: make([]float64, len(o.units))}
	for _, v := range y {
		j.sum, j.squares = j.sum+v, j.squares+v*v
	}
	parallel.Run(len(o.units), j)
	return j.scores
}

type scoring struct {
	o            *observations
	y            []float64
	sum, squares float64
	scores       []float64
}

// Do computes the score of unit i.
func (j *scoring) Do(i int) {
	x := j.o.values[i]
	n := float64(len(x))
	if j.o.p.Yes {
		hits := 0.0 // Σ of the ranks where it is so
		for k, r := range j.o.ranked[i] {
			hits += float64(r) * j.y[k]
		}
		j.scores[i] = (hits/j.sum - (j.sum+1)/2) / (n - j.sum)
		return
	}
	var sx, sxx, sxy float64
	for k, v := range x {
		v := float64(v)
		sx, sxx, sxy = sx+v, sxx+v*v, sxy+v*j.y[k]
	}
	spread := math.Sqrt(max(0, n*sxx-sx*sx) * max(0, n*j.squares-j.sum*j.sum))
	if spread > 0 {
		j.scores[i] = (n*sxy - sx*j.sum) / spread
	}
}
