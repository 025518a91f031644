package schedule

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// The processes of a group can divide the update, as stage 1 of ZeRO does (Rajbhandari et al. 2020): each updates the
// part of the parameters whose gradient it has added up, and sends them to the others in place of the gradient. Of an
// optimizer's arrays it writes its part alone; what is never written takes no memory where the system gives pages when
// they are first used. No bit changes, as such a rule moves each parameter by itself, and the norm of the gradient is
// made of the same sums of squares, added in the same order.
//
// Where a rule looks at whole tensors or keeps other parameters to show, or a step moves a part of what another moves,
// every process makes the whole update.

// divisible reports whether the processes can divide the updates of all steps.
func (t *Training) divisible() bool {
	for _, p := range t.parts() {
		if _, ok := p.rule().(optim.Elementwise); !ok {
			return false
		}
	}
	for _, s := range t.Steps {
		from, to := s.span()
		for _, other := range t.Steps {
			a, b := other.span()
			if (a != from || b != to) && a < to && from < b {
				return false
			}
		}
	}
	return true
}

// span is the elements of the flat arrays from the first that a step moves to behind the last.
func (s *Step) span() (from, to int) { return s.Moves[0].From, s.Moves[len(s.Moves)-1].To }

// bounds are those of the parts of what a step moves, counted in the flat arrays.
func (t *Training) bounds(s *Step) []int {
	from, to := s.span()
	bounds := t.shards.group.Parts(to - from)
	for i := range bounds {
		bounds[i] += from
	}
	return bounds
}

// own is the elements of the flat arrays that a step moves in this process.
func (t *Training) own(s *Step) (from, to int) {
	if !t.shards.divided {
		return s.span()
	}
	bounds, rank := t.bounds(s), t.shards.group.Rank()
	return bounds[rank], bounds[rank+1]
}

// update moves what this process has of a part.
func (t *Training) update(s *Step, p *Part, rate float64, scale float32) {
	n := t.Updates(p)
	if !t.shards.divided {
		p.rule().Step(t.Params[p.From:p.To], t.Grads[p.From:p.To], rate, scale, n)
		return
	}
	from, to := t.own(s)
	if from, to = max(from, p.From), min(to, p.To); from >= to {
		return
	}
	if p.own == nil {
		p.own = p.rule().(optim.Elementwise).Part(from-p.From, to-p.From)
	}
	p.own.Step(t.Params[from:to], t.Grads[from:to], rate, scale, n)
}

// spread gives all processes the parameters that each has moved.
func (t *Training) spread(s *Step) error {
	if !t.shards.divided {
		return nil
	}
	return t.shards.group.Spread(t.Params, t.bounds(s))
}

// complete gives all processes the whole gradient of a step.
func (t *Training) complete(s *Step) error {
	if !t.shards.divided || t.shards.whole {
		return nil
	}
	t.shards.whole = true
	return t.shards.group.Spread(t.Grads, t.bounds(s))
}

// collectSlots gives process 0, or each, the optimizers' arrays of which others have written a part.
func (t *Training) collectSlots(everywhere bool) error {
	if !t.shards.divided {
		return nil
	}
	done := map[*Part]bool{}
	for _, s := range t.Steps {
		bounds := t.bounds(s)
		for _, p := range s.Moves {
			if done[p] {
				continue
			}
			done[p] = true
			within := make([]int, len(bounds))
			for i, x := range bounds {
				within[i] = min(max(x, p.From), p.To) - p.From
			}
			for _, slot := range p.rule().Slots() {
				give := t.shards.group.Assemble
				if everywhere {
					give = t.shards.group.Spread
				}
				if err := give(slot.Value, within); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// squared computes sums of squares of numbers, each of as many as kernel.SquaredNorm adds up at a time.
type squared struct {
	x   []float32
	sum []float64
}

// Do computes a sum.
func (j *squared) Do(task int) {
	x := j.x[task*cluster.Grain : min((task+1)*cluster.Grain, len(j.x))]
	j.sum[task] = kernel.SquaredNorm(x, len(x))
}

// norm is that of the gradient of a step, of which each process may have a part.
func (t *Training) norm(s *Step) (float64, error) {
	if !t.shards.divided || t.shards.whole {
		return optim.Norm(t.moved(s)), nil
	}
	g, bounds := t.shards.group, t.bounds(s)
	count := func(rank int) int { return (bounds[rank+1] - bounds[rank] + cluster.Grain - 1) / cluster.Grain }
	most := 0
	for rank := range g.Size() {
		most = max(most, count(rank))
	}
	t.shards.squares = model.Sized(t.shards.squares, most)
	clear(t.shards.squares)
	from, to := t.own(s)
	parallel.Run(count(g.Rank()), &squared{t.Grads[from:to], t.shards.squares})
	all, err := g.Gather(cluster.Bytes(t.shards.squares))
	if err != nil {
		return 0, err
	}
	total, sums := 0.0, make([]float64, most)
	for rank, data := range all {
		copy(cluster.Bytes(sums), data)
		for _, x := range sums[:count(rank)] {
			total += x
		}
	}
	return math.Sqrt(total), nil
}
