package explain

import (
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Method is a way to attribute a prediction to what the model read.
type Method string

// Methods.
const (
	// GradientInput is Σ x∘∂F/∂x over the features of an embedding x: exact where F is linear (Shrikumar et al. 2016).
	GradientInput Method = "gradient × input"
	// Integrated is Σ (x − x′)∘∫₀¹ ∂F/∂x(x′ + α(x − x′)) dα from the baseline x′ (Sundararajan et al. 2017).
	Integrated Method = "integrated gradients"
	// Occlusion is F(x) − F(x with the token's embedding set to the baseline) (Zeiler and Fergus 2014).
	Occlusion Method = "occlusion"
)

// Methods are all methods.
var Methods = []Method{GradientInput, Integrated, Occlusion}

// Attribution is how much each position of what the model read has to do with a target, by one method. The baseline is
// an embedding of zeros in the place of each token's, or what the options say, positions being what they are.
type Attribution struct {
	Method Method
	Inputs []Input
	Score  float64 // of the target
	Base   float64 // of it where everything that is read is the baseline
	// |Σ of all values − (Score − Base)| / |Score − Base|: what the values leave unexplained; 0 where that is 0
	Error  float64
	Points int // of the integral; 0 for other methods
}

// Input is the values of one thing that is read.
type Input struct {
	Name   string // of the tap: "tok.x"
	Axis   string // "step", "source", "feature" of a vector, or "label", of which there is one
	Values []float64
}

// Options say how attributions are computed. The zero value is the usual.
type Options struct {
	// Points of the integral, by the rule of Gauss and Legendre; 0 begins with the two halves of the way and Boole's
	// rule
	// for each, and halves the part where the error is largest until all errors are at most Tolerance, or MostPoints
	// are
	// reached.
	Points    int
	Tolerance float64 // 0 for 0.5 %
	// Of are the names of the inputs that are explained, the others staying what they are; nil for all.
	Of []string
	// Baselines are what stands for an input that says nothing, by its name: a row [features] for all positions, or one
	// for each [positions, features]; zeros where there is none. The mean of the embeddings of tokens that could stand
	// at a position says less of other things than zeros do.
	Baselines map[string][]float32
	// Spans are the ranges [from, to) of positions that occlusion takes away together, for each axis; nil for one
	// position each.
	Spans map[string][][2]int
}

// MostPoints is how many points an integral has at the most where none are asked for.
const MostPoints = 512

// Attribute attributes the target of b by a method.
func (e *Explainer) Attribute(b *model.Batch, t Target, by Method, o Options) (*Attribution, error) {
	all, err := e.Attributions(b, t, []Method{by}, o)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// Attributions attributes the target of b by each of methods.
func (e *Explainer) Attributions(b *model.Batch, t Target, methods []Method, o Options) ([]*Attribution, error) {
	for _, by := range methods {
		if !slices.Contains(Methods, by) {
			return nil, fmt.Errorf("there is no method %q: the methods are %q", by, Methods)
		}
	}
	// What is the same for all methods: the target of what is read and of the baseline, and a gradient.
	var shared Attribution
	score, all, err := e.pull(b, t)
	if err != nil {
		return nil, err
	}
	shared.Score = score
	var at []int
	for i := range all {
		if k := all[i].Kind; k != model.TapEmbedding && k != model.TapInput {
			continue
		}
		if o.Of == nil || slices.Contains(o.Of, all[i].Name) {
			at = append(at, i)
			shared.Inputs = append(shared.Inputs, Input{Name: all[i].Name, Axis: axis(&all[i]),
				Values: make([]float64, positions(&all[i]))})
		}
	}
	if len(at) == 0 {
		return nil, fmt.Errorf("the pass has no input of %q: it reads %q", o.Of, inputs(all))
	}
	// what is read, before anything is added to it, less its baseline
	read := make([][]float32, len(at))
	grads := make([][]float32, len(at))
	for k, i := range at {
		read[k], grads[k] = slices.Clone(all[i].Value), slices.Clone(all[i].Gradient)
		base, ok := o.Baselines[all[i].Name]
		width := len(read[k]) / max(1, len(shared.Inputs[k].Values))
		if ok && len(base) != width && len(base) != len(read[k]) {
			return nil, fmt.Errorf("the baseline of %s has %d numbers, want %d, or %d", all[i].Name, len(base), width,
				len(read[k]))
		}
		for j := range read[k] {
			if ok {
				read[k][j] -= base[j%len(base)]
			}
		}
	}
	// scaled adds (α − 1)·(x − x′) to every input.
	scaled := func(alpha float64, do func() error) error {
		return e.moved(b, func(tap *model.Tap) {
			for k := range shared.Inputs {
				if tap.Name == shared.Inputs[k].Name {
					for i, x := range read[k] {
						tap.Add[i] = float32((alpha - 1) * float64(x))
					}
				}
			}
		}, do)
	}
	if err := scaled(0, func() (err error) { shared.Base, err = e.score(b, t); return err }); err != nil {
		return nil, err
	}
	var found []*Attribution
	for _, by := range methods {
		a := &Attribution{Method: by, Score: shared.Score, Base: shared.Base}
		for _, in := range shared.Inputs {
			in.Values = slices.Clone(in.Values)
			a.Inputs = append(a.Inputs, in)
		}
		switch by {
		case GradientInput:
			for k := range at {
				a.Inputs[k].add(read[k], grads[k], 1)
			}
		case Integrated:
			err = e.integrate(b, t, a, at, read, grads, scaled, o)
		case Occlusion:
			err = e.occlude(b, t, a, read, o)
		}
		if err != nil {
			return nil, err
		}
		a.measure()
		found = append(found, a)
	}
	return found, nil
}

// inputs are the names of what a pass reads.
func inputs(all []model.Tap) []string {
	var names []string
	for _, t := range all {
		if t.Kind == model.TapEmbedding || t.Kind == model.TapInput {
			names = append(names, t.Name)
		}
	}
	return names
}

// axis is what the positions of an input are.
func axis(t *model.Tap) string {
	if ofLabel(t) {
		return "label"
	}
	return t.Axes[0]
}

// positions is how many an input has: tokens of a text, numbers of a vector, or the one label.
func positions(t *model.Tap) int {
	if ofLabel(t) {
		return 1
	}
	return t.Shape[0]
}

// ofLabel reports whether an input is the features of a conditional model's label.
func ofLabel(t *model.Tap) bool { return t.Kind == model.TapEmbedding && len(t.Axes) == 1 }

// add adds weight·Σ x∘g over the features of each position.
func (in *Input) add(x, g []float32, weight float64) {
	if g == nil { // nothing depends on it
		return
	}
	width := len(x) / max(1, len(in.Values))
	for i := range in.Values {
		sum := 0.0
		for f := range width {
			sum += float64(x[i*width+f]) * float64(g[i*width+f])
		}
		in.Values[i] += weight * sum
	}
}

// measure computes the completeness error.
func (a *Attribution) measure() {
	sum := 0.0
	for _, in := range a.Inputs {
		for _, x := range in.Values {
			sum += x
		}
	}
	a.Error = 0
	if whole := a.Score - a.Base; whole != 0 {
		a.Error = math.Abs(sum-whole) / math.Abs(whole)
	}
}

// way is what is known of the way from the baseline to what is read: at α, of each place where it was asked, the target
// and the values of each input and position, x∘∂F/∂x summed over features.
type way struct {
	target map[float64]float64
	values map[float64][][]float64 // by input
	pulls  int
	pull   func(alpha float64) (target float64, values [][]float64, err error)
}

// at asks for a place, once.
func (w *way) at(alpha float64) (target float64, values [][]float64, err error) {
	if values, ok := w.values[alpha]; ok {
		return w.target[alpha], values, nil
	}
	if target, values, err = w.pull(alpha); err == nil {
		w.target[alpha], w.values[alpha] = target, values
		w.pulls++
	}
	return target, values, err
}

// interval is a part of the way, and its part of the integral.
type interval struct {
	from, to float64
	values   [][]float64 // by input and position
	off      float64     // what they add up to, less the difference of the target at the ends
}

// boole is the closed rule of Newton and Cotes with five points, exact for polynomials of degree 5. Its points are
// evenly spread, so that an interval that is halved has three of those of each half already.
var boole = [5]float64{7. / 90, 32. / 90, 12. / 90, 32. / 90, 7. / 90}

// over integrates over a part of the way.
func (w *way) over(from, to float64) (interval, error) {
	part := interval{from: from, to: to}
	var start, end float64
	for i, weight := range boole {
		target, values, err := w.at(from + (to-from)*float64(i)/4)
		if err != nil {
			return part, err
		}
		if i == 0 {
			start = target
		}
		end = target
		if part.values == nil {
			for _, x := range values {
				part.values = append(part.values, make([]float64, len(x)))
			}
		}
		for k, x := range values {
			for j, v := range x {
				part.values[k][j] += weight * (to - from) * v
			}
		}
	}
	part.off = start - end
	for _, x := range part.values {
		for _, v := range x {
			part.off += v
		}
	}
	return part, nil
}

// integrate fills in integrated gradients. What the values of an interval have to add up to is the difference of the
// target at its ends, so that its error is known: the interval with the largest is halved until all errors together are
// small enough. A model that is sure changes its mind in a small part of the way.
func (e *Explainer) integrate(b *model.Batch, t Target, a *Attribution, at []int, read, grads [][]float32,
	scaled func(float64, func() error) error, o Options) error {
	along := func(k int, gradient []float32) []float64 {
		in := Input{Values: make([]float64, len(a.Inputs[k].Values))}
		in.add(read[k], gradient, 1)
		return in.Values
	}
	w := &way{target: map[float64]float64{1: a.Score}, values: map[float64][][]float64{}, pulls: 1}
	for k, g := range grads {
		w.values[1] = append(w.values[1], along(k, g))
	}
	w.pull = func(alpha float64) (target float64, values [][]float64, err error) {
		err = scaled(alpha, func() error {
			score, all, err := e.pull(b, t)
			if err != nil {
				return err
			}
			target = score
			for k, i := range at {
				values = append(values, along(k, all[i].Gradient))
			}
			return nil
		})
		return target, values, err
	}
	if o.Points > 0 {
		nodes, weights := gaussLegendre(o.Points)
		for p, node := range nodes {
			_, values, err := w.at(node)
			if err != nil {
				return err
			}
			for k, x := range values {
				for i, v := range x {
					a.Inputs[k].Values[i] += weights[p] * v
				}
			}
		}
		a.Points = o.Points
		return nil
	}
	tolerance := o.Tolerance
	if tolerance <= 0 {
		tolerance = 0.005
	}
	var all []interval
	for i := range begin {
		part, err := w.over(float64(i)/begin, float64(i+1)/begin)
		if err != nil {
			return err
		}
		all = append(all, part)
	}
	for w.pulls+4 <= MostPoints {
		worst, sum := 0, 0.0
		for i := range all {
			if sum += math.Abs(all[i].off); math.Abs(all[i].off) > math.Abs(all[worst].off) {
				worst = i
			}
		}
		if sum <= tolerance*math.Abs(a.Score-a.Base) {
			break
		}
		x := all[worst]
		middle := (x.from + x.to) / 2
		first, err := w.over(x.from, middle)
		if err != nil {
			return err
		}
		rest, err := w.over(middle, x.to)
		if err != nil {
			return err
		}
		all[worst] = first
		all = append(all, rest)
	}
	for _, x := range all {
		for k := range a.Inputs {
			for i, v := range x.values[k] {
				a.Inputs[k].Values[i] += v
			}
		}
	}
	a.Points = w.pulls
	return nil
}

// begin is into how many intervals the way is cut at first.
const begin = 2

// gaussLegendre is the nodes and weights of the rule with n points on [0, 1], exact for polynomials of degree 2n − 1.
// Newton's method finds the roots of the Legendre polynomial from their asymptotic places (Abramowitz and Stegun 1964,
// 22.16.6 and 25.4.30).
func gaussLegendre(n int) (nodes, weights []float64) {
	nodes, weights = make([]float64, n), make([]float64, n)
	for i := range n {
		x := math.Cos(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		slope := 0.0
		for range 100 {
			p, last := 1.0, 0.0
			for k := 1; k <= n; k++ {
				p, last = ((2*float64(k)-1)*x*p-(float64(k)-1)*last)/float64(k), p
			}
			slope = float64(n) * (x*p - last) / (x*x - 1)
			step := p / slope
			x -= step
			if math.Abs(step) < 1e-15 {
				break
			}
		}
		nodes[n-1-i], weights[n-1-i] = (1+x)/2, 1/((1-x*x)*slope*slope)
	}
	return nodes, weights
}

// occlude fills in the differences that single positions make.
func (e *Explainer) occlude(b *model.Batch, t Target, a *Attribution, read [][]float32, o Options) error {
	for k := range a.Inputs {
		in := &a.Inputs[k]
		spans := o.Spans[in.Axis]
		if spans == nil {
			for i := range in.Values {
				spans = append(spans, [2]int{i, i + 1})
			}
		}
		width := len(read[k]) / max(1, len(in.Values))
		for _, span := range spans {
			from, to := max(0, span[0]), min(len(in.Values), span[1])
			if from >= to {
				continue
			}
			err := e.moved(b, func(tap *model.Tap) {
				if tap.Name != in.Name {
					return
				}
				for i := from * width; i < to*width; i++ {
					tap.Add[i] = -read[k][i]
				}
			}, func() error {
				without, err := e.score(b, t)
				if err != nil {
					return err
				}
				for i := from; i < to; i++ {
					in.Values[i] = (a.Score - without) / float64(to-from)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
