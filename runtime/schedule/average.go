package schedule

import (
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
)

// A training may move other parameters than those that are good to have: an average of them over the updates, or what
// a rule of update makes of them. The model has those that are moved, and its training keeps the others beside them;
// Swap exchanges the two, around an evaluation or the writing of a checkpoint.

// shown is a rule that keeps the parameters that are good to have beside those that it moves.
type shown interface{ Shown() []float32 }

// judges is the name of the part that is there for the training alone.
const judges = "discriminator"

// Averaged makes the training keep an average of the parameters over their updates, from where they stand:
// decay·average + (1−decay)·parameters after each, with a decay of no more than (1+n)/(10+n) after update n, so that
// the beginning is soon forgotten. Parts that have an average of their own, discriminators and parts whose rule keeps
// something of the kind are left alone. A decay of 0 ends it.
func (t *Training) Averaged(decay float64) {
	for _, p := range t.parts() {
		switch {
		case p.beside && decay == 0:
			p.Average, p.Decay, p.beside = nil, 0, false
		case p.Average == nil && p.Name != judges && decay > 0 && !p.shows():
			p.Average, p.Decay, p.beside = model.Floats(p.To-p.From), decay, true
			copy(p.Average, t.Params[p.From:p.To])
		}
	}
}

// other is what Swap exchanges the parameters of a part with; nil for nothing.
func (p *Part) other() []float32 {
	if p.beside {
		return p.Average
	}
	if s, ok := p.rule().(shown); ok {
		return s.Shown()
	}
	return nil
}

// Swap exchanges the parameters that are moved with those that are good to have. Called again it takes that back.
func (t *Training) Swap() {
	for _, p := range t.parts() {
		for i, x := range p.other() {
			p.other()[i], t.Params[p.From+i] = t.Params[p.From+i], x
		}
	}
}

// Swaps reports whether Swap exchanges anything.
func (t *Training) Swaps() bool {
	return slices.ContainsFunc(t.parts(), func(p *Part) bool { return p.beside || p.shows() })
}

// shows reports whether the rule of the part keeps parameters that are good to have.
func (p *Part) shows() bool {
	_, ok := p.rule().(shown)
	return ok
}

// average moves the average of a part on by its update n.
func (p *Part) average(params []float32, n int) {
	decay := p.Decay
	if p.beside {
		decay = min(decay, float64(1+n)/float64(10+n))
	}
	optim.Average(p.Average, params, decay)
}

// parts are those that any step moves, in the order of the flat arrays.
func (t *Training) parts() []*Part {
	var parts []*Part
	for _, s := range t.Steps {
		for _, p := range s.Moves {
			if !slices.Contains(parts, p) {
				parts = append(parts, p)
			}
		}
	}
	slices.SortFunc(parts, func(a, b *Part) int { return a.From - b.From })
	return parts
}
