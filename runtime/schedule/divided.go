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

// division is that of what a step moves, counted in the flat arrays.
func (t *Training) division(s *Step) cluster.Division {
	from, _ := s.span()
	return t.stretches(s).Plus(from)
}

// stretches is that division, counted from the first element that the step moves.
func (t *Training) stretches(s *Step) cluster.Division {
	n, size := len(t.moved(s)), t.shards.group.Size()
	d := t.shards.divisions[s]
	if len(d) == 0 || d[len(d)-1][size] != n {
		d = cluster.Divide(n, size)
		t.shards.divisions[s] = d
	}
	return d
}

// interval is elements of the flat arrays, up to to.
type interval struct{ from, to int }

// own is the elements that a step moves in this process, or with all of them in all. The slice is overwritten by the
// next call.
func (t *Training) own(s *Step, all bool) []interval {
	from, to := s.span()
	own := t.shards.own[:0]
	if all || !t.shards.divided {
		own = append(own, interval{from, to})
	} else {
		rank := t.shards.group.Rank()
		for _, bounds := range t.stretches(s) {
			own = append(own, interval{from + bounds[rank], from + bounds[rank+1]})
		}
	}
	t.shards.own = own
	return own
}

// update moves what this process has of a part.
func (t *Training) update(s *Step, p *Part, rate float64, scale float32) {
	n := t.Updates(p)
	if !t.shards.divided {
		p.rule().Step(t.Params[p.From:p.To], t.Grads[p.From:p.To], rate, scale, n)
		return
	}
	for k, own := range t.own(s, false) {
		from, to := max(own.from, p.From), min(own.to, p.To)
		if k == len(p.own) {
			p.own = append(p.own, nil)
		}
		if from >= to {
			continue
		}
		if p.own[k] == nil {
			p.own[k] = p.rule().(optim.Elementwise).Part(from-p.From, to-p.From)
		}
		p.own[k].Step(t.Params[from:to], t.Grads[from:to], rate, scale, n)
	}
}

// spread gives all processes the parameters that each has moved.
func (t *Training) spread(s *Step) error {
	if !t.shards.divided {
		return nil
	}
	return t.shards.group.Spread(t.Params, t.division(s))
}

// complete gives all processes the whole gradient of a step.
func (t *Training) complete(s *Step) error {
	if !t.shards.divided || t.shards.whole {
		return nil
	}
	t.shards.whole = true
	return t.shards.group.Spread(t.Grads, t.division(s))
}

// collectSlots gives process 0, or each, the optimizers' arrays of which others have written a part.
func (t *Training) collectSlots(everywhere bool) error {
	if !t.shards.divided {
		return nil
	}
	done := map[*Part]bool{}
	for _, s := range t.Steps {
		division := t.division(s)
		for _, p := range s.Moves {
			if done[p] {
				continue
			}
			done[p] = true
			within := division.Plus(-p.From)
			for _, bounds := range within {
				for i, x := range bounds {
					bounds[i] = min(max(x, 0), p.To-p.From)
				}
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
	g, division := t.shards.group, t.stretches(s)
	count := func(bounds []int, rank int) int {
		return (bounds[rank+1] - bounds[rank] + cluster.Grain - 1) / cluster.Grain
	}
	most := 0
	for rank := range g.Size() {
		n := 0
		for _, bounds := range division {
			n += count(bounds, rank)
		}
		most = max(most, n)
	}
	t.shards.squares = model.Sized(t.shards.squares, most)
	clear(t.shards.squares)
	rest := t.shards.squares
	for k, own := range t.own(s, false) {
		n := count(division[k], g.Rank())
		parallel.Run(n, &squared{t.Grads[own.from:own.to], rest})
		rest = rest[n:]
	}
	all, err := g.Gather(cluster.Bytes(t.shards.squares))
	if err != nil {
		return 0, err
	}
	sums := make([][]float64, len(all))
	for rank, data := range all {
		sums[rank] = make([]float64, most)
		copy(cluster.Bytes(sums[rank]), data)
	}
	total := 0.0 // in the order of the numbers
	for _, bounds := range division {
		for rank := range sums {
			n := count(bounds, rank)
			for _, x := range sums[rank][:n] {
				total += x
			}
			sums[rank] = sums[rank][n:]
		}
	}
	return math.Sqrt(total), nil
}
