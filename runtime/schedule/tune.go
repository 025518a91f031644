package schedule

import (
	"errors"
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/param"
)

// place is where a tensor lies in the flat arrays, to the beginning of the next.
type place struct {
	name     string
	from, to int
}

// places are where the tensors that learn lie in the flat arrays. Others, such as averages and what an adapter leaves
// as it is, are not among them.
func (t *Training) places() []place {
	var all []place
	at := 0
	for _, x := range t.Tensors() {
		if at >= len(t.Grads) || len(x.Value) == 0 || &x.Value[0] != &t.Params[at] {
			continue
		}
		end := at + param.Stride(len(x.Value))
		all = append(all, place{x.Name, at, end})
		at = end
	}
	return all
}

// Tune says which tensors the steps move from now on, and at which rates: each part becomes the runs of its tensors
// that move at one rate, each with a rule of its own. It is for a training that has not begun. After an error the
// training is as it was.
func (t *Training) Tune(by model.Tuning) error {
	for _, s := range t.Steps {
		for _, p := range s.Moves {
			if p.Rule != nil {
				return errors.New("what a training moves is said before its first step")
			}
		}
	}
	places := t.places()
	var names []string
	for _, p := range places {
		names = append(names, p.name)
	}
	if err := by.Check(names); err != nil {
		return err
	}
	runs := map[*Part][]*Part{} // a part may belong to several kinds of steps
	moves := make([][]*Part, len(t.Steps))
	for i, s := range t.Steps {
		for _, p := range s.Moves {
			if _, ok := runs[p]; !ok {
				runs[p] = p.runs(places, by)
			}
			moves[i] = append(moves[i], runs[p]...)
		}
		if len(moves[i]) == 0 {
			return fmt.Errorf("all that the %s learns is frozen: freeze less of it", s.Name)
		}
	}
	for i, s := range t.Steps {
		s.Moves = moves[i]
	}
	return nil
}

// runs are the tensors of a part that move, those that lie side by side and have one rate together.
func (p *Part) runs(places []place, by model.Tuning) []*Part {
	var all []*Part
	for _, x := range places {
		if x.from < p.From || x.from >= p.To {
			continue
		}
		factor := by.Factor(x.name)
		if factor == 0 {
			continue
		}
		if n := len(all); n > 0 && all[n-1].To == x.from && all[n-1].Factor == factor {
			all[n-1].To = x.to
			continue
		}
		all = append(all, &Part{Name: x.name, From: x.from, To: x.to, Factor: factor, NewRule: p.NewRule,
			Decay: p.Decay})
	}
	for _, r := range all {
		if r.From == p.From && r.To == p.To {
			r.Name = p.Name
		} else if p.Name != "" {
			r.Name = p.Name + "." + r.Name
		}
		if p.Average != nil {
			r.Average = p.Average[r.From-p.From : r.To-p.From]
		}
	}
	return all
}
