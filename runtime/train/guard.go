package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/optim"
	"github.com/gradsmith/gradsmith/runtime/schedule"
)

// guard decides what becomes of steps that would do harm (model.Guarding): it skips them, lowers the rate, and goes
// back to the last checkpoint. All that it goes by is kept in checkpoints.
//
// It goes back to checkpoints that are due by the number of the step alone. One that is written because a run is
// interrupted would not be there in a training that runs through; the one before it is then kept beside it.
type guard struct {
	rules model.Guarding
	norms map[string]*norms // of each kind of step
	state []float32         // the model's, as carried to the step

	row     int     // bad steps, one after the other
	calm    int     // good steps, one after the other
	lowered int     // times that the rate was lowered without calm in between
	scale   float64 // of the rate
	good    int     // step of the checkpoint to go back to; 0 for none
	target  int     // step of the checkpoint that it has gone back to
	returns int     // to that

	skipped, lowerings, backs int // in the whole training
}

// The values of fields of model.Guarding that are 0.
const (
	usualWindow    = 100
	usualSkips     = 3
	usualFactor    = 0.5
	usualLowerings = 2
	usualReturns   = 3

	leastNorms = 20 // of which there is a median
)

// newGuard is nil where a bad step ends the training.
func newGuard(m model.LanguageModel, rules model.Guarding) (*guard, error) {
	if rules.Off {
		return nil, nil
	}
	count := func(n *int, usual int) {
		switch {
		case *n == 0:
			*n = usual
		case *n < 0:
			*n = 0
		}
	}
	count(&rules.Window, usualWindow)
	count(&rules.Skips, usualSkips)
	count(&rules.Lowerings, usualLowerings)
	count(&rules.Returns, usualReturns)
	if rules.Factor == 0 {
		rules.Factor = usualFactor
	}
	if !(rules.Factor > 0 && rules.Factor <= 1) || rules.Skips < 1 || !(rules.Times == 0 || rules.Times > 1) ||
		rules.Times > 0 && rules.Window < leastNorms {
		return nil, fmt.Errorf("a guard of %v times the median of %d norms, of %d skips and a factor of %v: give above 1 "+
			"times, %d norms, 1 skip or more, and a factor above 0 and up to 1", rules.Times, rules.Window, rules.Skips,
			rules.Factor, leastNorms)
	}
	g := &guard{rules: rules, norms: map[string]*norms{}, scale: 1}
	if rules.Times == 0 {
		return g, nil
	}
	s, ok := m.(scheduled)
	if !ok {
		return nil, errors.New("the guard is to bound the norms of gradients, which the model does not show before it " +
			"moves: generate its code anew")
	}
	t := s.Training()
	t.Check = func(s *schedule.Step, loss, norm float64) error { return g.check(t, s, norm) }
	return g, nil
}

// scheduled is a model that shows its steps, as all generated ones do.
type scheduled interface{ Training() *schedule.Training }

// norms are those of the last steps of a kind.
type norms struct {
	last   []float64 // up to the window
	next   int       // place of the oldest, where the window is full
	sorted []float64 // scratch
}

func (n *norms) add(x float64, window int) {
	if len(n.last) < window {
		n.last = append(n.last, x)
		return
	}
	n.last[n.next] = x
	n.next = (n.next + 1) % window
}

// median is that of the last norms, of an even number the lower of the two in the middle; +Inf where there are few.
func (n *norms) median() float64 {
	if len(n.last) < leastNorms {
		return math.Inf(1)
	}
	n.sorted = append(n.sorted[:0], n.last...)
	slices.Sort(n.sorted)
	return n.sorted[(len(n.sorted)-1)/2]
}

// check looks at a step before it moves anything. A norm that is too large is one of those that are usual from then
// on, so that a loss that has come to be steeper for good does not end the training.
func (g *guard) check(t *schedule.Training, s *schedule.Step, norm float64) error {
	n := g.norms[s.Name]
	if n == nil {
		n = &norms{last: make([]float64, 0, g.rules.Window), sorted: make([]float64, 0, g.rules.Window)}
		g.norms[s.Name] = n
	}
	usual := n.median()
	n.add(norm, g.rules.Window)
	if !(norm > g.rules.Times*usual) {
		return nil
	}
	e := &model.TooLarge{Norm: norm, Usual: usual}
	if name, part := t.Largest(s); name != "" {
		e.Where = fmt.Sprintf("the gradient of %s (%.4g)", name, part)
	}
	return e
}

// before remembers the state that a step begins with.
func (g *guard) before(state []float32) {
	if g == nil || len(state) == 0 {
		return
	}
	if g.state == nil {
		g.state = make([]float32, len(state))
	}
	copy(g.state, state)
}

// made takes note of a good step.
func (g *guard) made() {
	if g == nil {
		return
	}
	g.row = 0
	if g.calm++; g.calm >= g.rules.Window {
		g.lowered = 0
	}
}

// lowers is what the rate is multiplied with.
func (g *guard) lowers() float64 {
	if g == nil {
		return 1
	}
	return g.scale
}

// bad decides what becomes of a step that has failed, with what moved nothing. Where back is true the training stands
// at an earlier step; otherwise the step is skipped, or there is an error.
func (r *runner) bad(fault error, rate float64) (back bool, err error) {
	g := r.guard
	var notFinite *model.NotFinite
	var large *model.TooLarge
	if g == nil || !errors.As(fault, &notFinite) && !errors.As(fault, &large) {
		return false, r.diverged(fault, rate)
	}
	copy(r.m.State(), g.state) // what a bad step carries on is not to be read by the next one
	g.row++
	g.calm = 0
	if name := spoilt(r.m); name != "" {
		return true, r.goBack(fmt.Errorf("%w, and %s is not finite either", fault, name), rate)
	}
	if g.row >= g.rules.Skips && g.lowered >= g.rules.Lowerings {
		return true, r.goBack(fault, rate)
	}
	g.skipped++
	r.m.SetStep(r.step + 1)
	notice(r.o.Reporter, Notice{Step: r.step + 1, What: "skip", Text: fmt.Sprintf("skipped at rate %.3g, as %v", rate,
		fault)})
	if g.row >= g.rules.Skips {
		g.row = 0
		g.lowered++
		g.lowerings++
		g.scale *= g.rules.Factor
		notice(r.o.Reporter, Notice{Step: r.step + 1, What: "rate", Text: fmt.Sprintf("the rate is multiplied by %.3g "+
			"from here on: %d bad steps in a row", g.scale, g.rules.Skips)})
	}
	return false, nil
}

// spoilt is a parameter that is not finite, as one that a forward pass moves may be after a bad step; empty for none.
func spoilt(m model.LanguageModel) string {
	for _, t := range m.Tensors() {
		if !optim.Finite(optim.Norm(t.Value)) {
			return t.Name
		}
	}
	return ""
}

// goBack goes on from the last checkpoint that was due, at the rate that there is now.
func (r *runner) goBack(fault error, rate float64) error {
	r.settle()
	if err := r.agree(nil); err != nil {
		return err
	}
	was := *r.guard
	path := r.o.Path
	if was.good != r.saver.saved {
		path = beside(path)
	}
	switch {
	case was.good == 0 || r.o.Path == "":
		return r.diverged(fmt.Errorf("%w, and there is no checkpoint to go back to", fault), rate)
	case was.good == was.target && was.returns >= was.rules.Returns:
		return r.diverged(fmt.Errorf("%w, after the training has gone back to the checkpoint of step %d %d times", fault,
			was.good, was.returns), rate)
	}
	failed, best, saved, due := r.step+1, r.at.best, r.saver.saved, r.saver.due
	pretrained := r.validations.pretraining.lowest
	if err := r.restore(path); err != nil {
		return fmt.Errorf("in step %d, %w, and the training can't go back: %w", failed, fault, err)
	}
	g := r.guard
	if g.row, g.calm, g.lowered = 0, 0, 0; was.target == was.good {
		g.returns = was.returns
	} else {
		g.returns = 0
	}
	g.target, g.good, g.scale = was.good, was.good, was.scale
	g.returns++
	g.skipped, g.lowerings, g.backs = was.skipped+1, was.lowerings, was.backs+1
	// What is in the files of the best parameters stays there until there are better ones.
	r.at.best = best
	r.validations.pretraining.lowest = min(r.validations.pretraining.lowest, pretrained)
	notice(r.o.Reporter, Notice{Step: r.step, What: "back", Number: g.backs, Text: fmt.Sprintf(
		"the training has come back to this step from step %d, and goes on at %.3g of the rate: at rate %.3g, %v", failed,
		g.scale, rate, fault)})
	// What is on the disk is what was there, and is written once more: a training that is resumed must not meet the
	// same steps again.
	r.saver.saved, r.saver.due, r.saver.again = saved, due, true
	return r.together(r.saveDue)
}

// saved takes note of a checkpoint that was due and has been written: the one that was kept beside it is of no use any
// more.
func (g *guard) saved(path string, step, was int) {
	if side := beside(path); g != nil && was != step && fileExists(side) {
		files.Remove(side) // a file more is no reason to stop
	}
}

// beside is where the checkpoint to go back to stands while that of an interrupted run has its place.
func beside(path string) string { return Beside(path, "good") }

// The keys of what a checkpoint keeps.
const (
	guardCounts = "guard"        // row, calm, lowered, target, returns, skipped, lowerings, backs
	guardScale  = "guard_scale"  // of the rate
	guardGood   = "guard_good"   // step of the checkpoint to go back to, where it is not this one
	guardNorms  = "guard_norms." // and the kind of step: the last ones, oldest first
)

func (g *guard) counts() []*int {
	return []*int{&g.row, &g.calm, &g.lowered, &g.target, &g.returns, &g.skipped, &g.lowerings, &g.backs}
}

// keep adds to what a checkpoint of a step keeps.
func (g *guard) keep(m map[string]string, step int) {
	if g == nil {
		return
	}
	if g.good != step {
		m[guardGood] = strconv.Itoa(g.good)
	}
	if g.skipped > 0 {
		var counts []string
		for _, n := range g.counts() {
			counts = append(counts, strconv.Itoa(*n))
		}
		m[guardCounts] = strings.Join(counts, " ")
		m[guardScale] = strconv.FormatFloat(g.scale, 'g', -1, 64)
	}
	for kind, n := range g.norms {
		var all []string
		for i := range n.last {
			all = append(all, strconv.FormatFloat(n.last[(n.next+i)%len(n.last)], 'g', -1, 64))
		}
		m[guardNorms+kind] = strings.Join(all, " ")
	}
}

// resume takes over what a checkpoint of a step kept. One of a training without a guard has nothing.
func (g *guard) resume(m map[string]string, step int) error {
	if g == nil {
		return nil
	}
	for _, n := range g.counts() {
		*n = 0
	}
	g.scale, g.good = 1, step
	clear(g.norms)
	var errs []error
	if s, ok := m[guardGood]; ok {
		n, err := strconv.Atoi(s)
		g.good, errs = n, append(errs, err)
	}
	if s, ok := m[guardCounts]; ok {
		fields := strings.Fields(s)
		for i, n := range g.counts() {
			if i >= len(fields) {
				errs = append(errs, fmt.Errorf("%q has not %d numbers", s, i+1))
				break
			}
			x, err := strconv.Atoi(fields[i])
			*n, errs = x, append(errs, err)
		}
	}
	if s, ok := m[guardScale]; ok {
		x, err := strconv.ParseFloat(s, 64)
		if err == nil && !(x > 0 && x <= 1) {
			err = fmt.Errorf("a factor of %v", x)
		}
		g.scale, errs = x, append(errs, err)
	}
	for key, s := range m {
		kind, ok := strings.CutPrefix(key, guardNorms)
		if !ok || g.rules.Times == 0 {
			continue
		}
		n := &norms{last: make([]float64, 0, g.rules.Window), sorted: make([]float64, 0, g.rules.Window)}
		for _, field := range strings.Fields(s) {
			x, err := strconv.ParseFloat(field, 64)
			n.add(x, g.rules.Window)
			errs = append(errs, err)
		}
		g.norms[kind] = n
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("does not say what its guard came to: %w", oneLine(err))
	}
	return nil
}
