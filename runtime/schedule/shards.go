package schedule

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/cluster"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// A batch can be cut into shards, whose gradients are computed one after the other: the activations of a step then take
// the memory of a shard. What the shards give is added up in a fixed binary tree, a node of which has the halves of its
// shards below it, the first half the larger one. So the sum does not depend on which shards one process computes, as
// long as it adds them in that order.
//
// A loss is a mean, over targets or over rows. A shard counts as much as it has of them, so that the sum is the mean
// over the batch. What is a mean over the batch and no sum over its rows, as the divergence that free bits are compared
// with, is one over the shard. A shard has a seed of its own, by which it draws noise and dropout masks; the first one
// has that of the model. Rows of a carried state stay with their shard.

// shards is what adding up takes.
type shards struct {
	n       int       // how many; 0 or 1 for none
	at      int       // the one that is computed, from 0
	weights []float64 // share of each in the means
	batch   model.Batch

	sums   [][]float32 // gradients of the first half of a node, for each depth of the tree
	means  [][]float64 // loss and measures of it
	mean   []float64   // of the last node
	states []float32   // carried, of each shard, one behind the other
	fixed  []float32   // what the first shard found in Training.Fixed

	group     *cluster.Group // that computes them; nil for this process alone
	adder     *cluster.Adder
	divisions map[*Step]cluster.Division // of what each step moves
	own       []interval                 // memory of Training.own
	divided   bool                       // each process updates a part of the parameters
	whole     bool                       // and has the whole gradient nevertheless
	squares   []float64                  // sums of squares of a gradient, for its norm
	rest      rest
}

// rest is what is left to do with the gradient of the last shard of this process while it is computed: its numbers are
// multiplied by the weight of the shard, then the sums over the shards in front of it are added, and then other
// processes can have them. Each number goes through the same as it would at the end.
type rest struct {
	shard  int  // the last one of this process; -1 for none
	open   bool // its gradient is being computed
	weight float32
	sums   [][]float32 // over the shards in front of it, the nearest ones last
	grads  []float32   // of what the step moves
	from   int         // the numbers of grads from here on are done
}

// Divide cuts the batches of all later steps into n shards, of which each has as many rows as the others, or one more.
// It is called before the training begins, and before its state is read. The bits of a training depend on n.
func (t *Training) Divide(n int) error {
	if n < 1 {
		return fmt.Errorf("a batch can't be cut into %d shards: give 1 or more", n)
	}
	t.shards = shards{n: n, rest: rest{shard: -1}}
	if n == 1 {
		return nil
	}
	t.shards.weights = make([]float64, n)
	t.shards.states = make([]float32, n*len(t.State))
	size := 0
	for _, x := range t.Fixed {
		size += len(x)
	}
	t.shards.fixed = make([]float32, size)
	width := 0
	for _, s := range t.Steps {
		grads, measures := t.moved(s), 1+len(s.Measures)
		width = max(width, measures)
		for depth := 0; 1<<depth < n; depth++ {
			if depth == len(t.shards.sums) {
				t.shards.sums, t.shards.means = append(t.shards.sums, nil), append(t.shards.means, nil)
			}
			if len(grads) > len(t.shards.sums[depth]) {
				t.shards.sums[depth] = model.Floats(len(grads))
			}
			t.shards.means[depth] = model.Sized(t.shards.means[depth], width)
		}
	}
	t.shards.mean = make([]float64, width)
	return nil
}

// Share has the processes of a group compute an interval of the shards each, from here on. It is called after Divide,
// by all of them, whose trainings are the same: then all steps are. The number of shards must be a multiple of that of
// the processes.
func (t *Training) Share(g *cluster.Group) error {
	if g.Size() == 1 {
		t.shards.group, t.shards.adder, t.shards.divided, t.shards.rest.shard = nil, nil, false, -1
		return nil
	}
	if t.Shards()%g.Size() != 0 {
		return fmt.Errorf("%d processes can't share %d shards of a batch evenly: cut it into %d, or a multiple of that",
			g.Size(), t.Shards(), g.Size())
	}
	t.shards.group, t.shards.adder, t.shards.divided = g, g.NewAdder(t.Shards()), t.divisible()
	t.shards.divisions = map[*Step]cluster.Division{}
	_, to := t.Own()
	t.shards.rest.shard = to - 1
	for _, p := range t.parts() {
		p.own = nil
	}
	least := t.shards.n
	for _, x := range t.shards.adder.Nodes() {
		least = min(least, x.Depth)
	}
	for depth := range min(least, len(t.shards.sums)) {
		t.shards.sums[depth] = nil // others add up what is above
	}
	return nil
}

// Own are the shards that this process computes, from up to to.
func (t *Training) Own() (from, to int) {
	return cluster.Interval(t.Shards(), t.shards.group.Rank(), t.shards.group.Size())
}

// Collect gives each process of a group the states that the others carry, as a checkpoint has them all, and process 0,
// or with everywhere each, what others have of the optimizers' arrays. Each then stands where one would that has
// computed all shards. All processes call it.
func (t *Training) Collect(everywhere bool) error {
	g := t.shards.group
	if g.Size() == 1 {
		return nil
	}
	if err := t.collectSlots(everywhere); err != nil || len(t.State) == 0 {
		return err
	}
	bounds := make([]int, g.Size()+1)
	for rank := range g.Size() {
		_, to := cluster.Interval(t.shards.n, rank, g.Size())
		bounds[rank+1] = to * len(t.State)
	}
	if err := g.Spread(t.shards.states, cluster.Division{bounds}); err != nil {
		return err
	}
	copy(t.State, t.shards.states[(t.shards.n-1)*len(t.State):])
	return nil
}

// Shards is into how many shards batches are cut.
func (t *Training) Shards() int { return max(1, t.shards.n) }

// Rows is how many rows a batch has at the most where a shard has up to n.
func (t *Training) Rows(n int) int { return n * t.Shards() }

// Seed is that of the shard which is computed, where the model's is seed.
func (t *Training) Seed(seed uint64) uint64 {
	if t.shards.at == 0 {
		return seed
	}
	return model.Key(seed, shardStream, uint64(t.shards.at))
}

// shardStream keeps the seeds of shards apart from others that are made of the model's.
const shardStream = 0x5a4d

// Carried is the state that is carried from one batch to the next: that of each shard, one behind the other.
func (t *Training) Carried() []float32 {
	if t.Shards() == 1 {
		return t.State
	}
	return t.shards.states
}

// Shard sets part to shard k of b.
func (t *Training) Shard(part, b *model.Batch, k int) {
	n := t.Shards()
	b.Rows(part, k*b.Batch/n, (k+1)*b.Batch/n, t.Width, t.Noise)
}

// Verdicts fills verdicts with those on the lines of a batch, as Judge gives them, shard by shard.
func (t *Training) Verdicts(verdicts []float32, b *model.Batch) {
	if t.Shards() == 1 {
		copy(verdicts, t.Judge(b))
		return
	}
	part := &t.shards.batch
	for k := range t.Shards() {
		if t.Shard(part, b, k); part.Batch == 0 {
			continue
		}
		from, given := k*b.Batch/t.Shards(), t.Judge(part)
		for at := 0; at < len(given)/part.Batch; at++ {
			copy(verdicts[at*b.Batch+from:], given[at*part.Batch:(at+1)*part.Batch])
		}
	}
}

// moved is the gradients of what a step moves.
func (t *Training) moved(s *Step) []float32 {
	return t.Grads[s.Moves[0].From:s.Moves[len(s.Moves)-1].To]
}

// gradients computes the loss and the gradients of a step on a batch, shard by shard.
func (t *Training) gradients(s *Step, b *model.Batch) (loss float64, err error) {
	if s.Reads != nil {
		if b, err = s.Reads(b); err != nil {
			return 0, err
		}
	}
	if t.Shards() == 1 {
		return s.Gradients(b)
	}
	total := 0
	for k := range t.shards.n {
		n := s.items(b, k*b.Batch/t.shards.n, (k+1)*b.Batch/t.shards.n)
		t.shards.weights[k] = float64(n)
		total += n
	}
	for k := range t.shards.weights {
		t.shards.weights[k] /= float64(max(1, total))
	}
	t.keep(t.shards.fixed, false)
	if t.shards.group == nil {
		err = t.sum(s, b, 0, t.shards.n, 0)
	} else {
		err = t.together(s, b)
	}
	t.shards.at = 0
	if err != nil {
		return t.shards.mean[0], err
	}
	for i, x := range s.Measures {
		*x = t.shards.mean[1+i]
	}
	return t.shards.mean[0], nil
}

// sum adds up the gradients of shards from up to to, each times its weight, and their loss and measures.
func (t *Training) sum(s *Step, b *model.Batch, from, to, depth int) error {
	if to-from == 1 {
		return t.shard(s, b, from)
	}
	middle := cluster.Half(from, to)
	if err := t.sum(s, b, from, middle, depth+1); err != nil {
		return err
	}
	grads := t.moved(s)
	first, mean := t.shards.sums[depth][:len(grads)], t.shards.means[depth]
	kernel.Copy(first, grads, len(grads))
	copy(mean, t.shards.mean)
	last := to-1 == t.shards.rest.shard
	if last {
		t.shards.rest.sums = append(t.shards.rest.sums, first)
	}
	if err := t.sum(s, b, middle, to, depth+1); err != nil {
		return err
	}
	if !last { // otherwise it is done
		kernel.Add(grads, first, grads, len(grads))
	}
	for i, x := range mean[:1+len(s.Measures)] {
		t.shards.mean[i] += x
	}
	return nil
}

// together is sum over all shards, with the other processes of the group.
func (t *Training) together(s *Step, b *model.Batch) error {
	g, adder, grads, mean := t.shards.group, t.shards.adder, t.moved(s), t.shards.mean[:1+len(s.Measures)]
	failed, fault := -1, error(nil)
	t.shards.rest.sums = t.shards.rest.sums[:0]
	begun := false
	begin := func() {
		if !begun {
			t.shards.rest.grads, t.shards.rest.from, begun = grads, len(grads), true
			adder.Begin(grads, t.stretches(s))
		}
	}
	for k, x := range adder.Nodes() {
		if k == len(adder.Nodes())-1 {
			begin()
		}
		if fault = t.sum(s, b, x.From, x.To, x.Depth); fault != nil {
			failed = t.shards.at
			break
		}
		adder.Keep(k, grads)
		adder.KeepMeans(k, mean)
	}
	begin()
	adder.Ready(0) // after a failure too: the others may have begun, and learn of it next
	if err := adder.End(); err != nil {
		return err
	}
	first, err := adder.AddMeans(mean, failed)
	if err != nil {
		return err
	}
	if first >= 0 {
		return t.failed(fault, adder.Owner(first))
	}
	if t.shards.whole = !t.shards.divided || t.Whole; t.shards.whole {
		if err := g.Spread(grads, t.stretches(s)); err != nil {
			return err
		}
	}
	if b.Batch >= g.Size() {
		return nil
	}
	// A process whose shards have no row has not written what is fixed. The last one has some.
	t.keep(t.shards.fixed, false)
	if err := g.Broadcast(cluster.Bytes(t.shards.fixed), g.Size()-1); err != nil {
		return err
	}
	t.keep(t.shards.fixed, true)
	return nil
}

// told is the error of a shard, as processes tell each other. Numbers may be no numbers, and so are told by their bits.
type told struct {
	Loss              uint64
	What, Where, Text string
	Value             uint64
}

// failed gives all processes the error of one of them, and its loss.
func (t *Training) failed(fault error, rank int) error {
	x := told{Loss: math.Float64bits(t.shards.mean[0])}
	if e := (*model.NotFinite)(nil); errors.As(fault, &e) {
		x.What, x.Where, x.Value = e.What, e.Where, math.Float64bits(e.Value)
	} else if fault != nil {
		x.Text = fault.Error()
	}
	x, err := cluster.Tell(t.shards.group, x, rank)
	if err != nil {
		return err
	}
	t.shards.mean[0] = math.Float64frombits(x.Loss)
	if x.What != "" {
		return &model.NotFinite{What: x.What, Where: x.Where, Value: math.Float64frombits(x.Value)}
	}
	return errors.New(x.Text)
}

// shard computes the gradients of shard k, its loss and measures, all times its weight.
func (t *Training) shard(s *Step, b *model.Batch, k int) error {
	grads, mean, part := t.moved(s), t.shards.mean[:1+len(s.Measures)], &t.shards.batch
	t.shards.at = k
	clear(mean)
	weight := t.shards.weights[k]
	if t.Shard(part, b, k); part.Batch == 0 {
		weight = 0
	} else {
		t.keep(t.shards.fixed, true)
		state := t.shards.states[k*len(t.State):][:len(t.State)]
		copy(t.State, state)
		x := &t.shards.rest
		x.open, x.weight = k == x.shard && weight != 0, float32(weight)
		loss, err := s.Gradients(part)
		x.open = false
		copy(state, t.State)
		if err != nil {
			mean[0] = loss
			return err
		}
		mean[0] = loss * weight
		for i, x := range s.Measures {
			mean[1+i] = *x * weight
		}
	}
	if weight == 0 {
		clear(mean)
		kernel.Clear(grads, len(grads))
		weight = 1
	}
	if k == t.shards.rest.shard {
		t.shards.rest.weight = float32(weight)
		t.shards.rest.reach(t.shards.adder, 0)
	} else if weight != 1 {
		kernel.Scale(grads, grads, float32(weight), len(grads))
	}
	return nil
}

// Ready says, while a step computes gradients, that all of them from g on, to the end of the flat array, have been
// computed, and nothing will be written to them; g is that of a tensor. Processes that train together then add them up
// while the others are computed. Elsewhere it does nothing.
func (t *Training) Ready(g []float32) {
	x := &t.shards.rest
	early := x.open && !t.AtEnd
	if !early && t.Watch == nil || len(g) == 0 {
		return
	}
	if t.Watch != nil {
		t.Watch(behind(t.Grads, g))
	}
	if early {
		x.reach(t.shards.adder, max(0, behind(x.grads, g)))
	}
}

// behind is how many numbers lie between the beginning of x and that of y, both of which are parts of one array.
func behind(x, y []float32) int {
	return (int(uintptr(unsafe.Pointer(&y[0]))) - int(uintptr(unsafe.Pointer(&x[0])))) / int(unsafe.Sizeof(x[0]))
}

// reach does what is left to do with the numbers from from on.
func (x *rest) reach(a *cluster.Adder, from int) {
	n := x.from - from
	if n <= 0 {
		return
	}
	grads := x.grads[from:x.from]
	if x.weight != 1 {
		kernel.Scale(grads, grads, x.weight, n)
	}
	for i := len(x.sums) - 1; i >= 0; i-- {
		kernel.Add(grads, x.sums[i][from:x.from], grads, n)
	}
	x.from = from
	a.Ready(from)
}

// keep copies Fixed to x, or back.
func (t *Training) keep(x []float32, back bool) {
	for _, y := range t.Fixed {
		if back {
			copy(y, x[:len(y)])
		} else {
			copy(x, y)
		}
		x = x[len(y):]
	}
}

// items is how much rows from up to to of a batch count in the mean that the loss is.
func (s *Step) items(b *model.Batch, from, to int) int {
	if s.ByRow {
		return to - from
	}
	n := 0
	for t := range b.Steps {
		for _, x := range b.Targets[t*b.Batch+from : t*b.Batch+to] {
			if x >= 0 {
				n++
			}
		}
	}
	return n
}
