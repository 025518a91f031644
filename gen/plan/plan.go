// Package plan decides where each value of a graph lives: which values share memory because one is computed in place
// of the other, and where in one arena the rest lies.
//
// Time is counted in half steps over all nodes, bodies of loops included: node p reads at 2p and writes from 2p on, so
// that a result never overlaps an argument unless its operation allows it. A loop is the interval from its start to
// its end; what its body reads of the outside lives to its end, since every iteration reads it.
//
// The package must know nothing of specs or Go code.
package plan

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// Kind says what sort of place a value has.
type Kind uint8

// Kinds of places.
const (
	Buffer  Kind = iota // a range of the arena
	Element             // element of a stacked value, at the index of a loop
	Outside             // memory of a parameter, a gradient, the data or the state
	// a carried value: first the initial value's place, then the place of what the last iteration gave
	Rebound
	Number  // a Go variable
	Nowhere // never in memory: zeros that loops start from
)

// Place is where values live. Values that share memory share a Place, after Find.
type Place struct {
	Kind   Kind
	Of     *Place        // Element: the place of the stacked value
	Loop   *graph.Node   // Element, Rebound: the loop
	At     At            // Element: which
	Stack  *graph.Value  // Element: what the loop keeps its carry in, where it is of that
	Shape  graph.Shape   // of the largest value in it; all are of the same number of elements
	Target *graph.Target // Outside: where what is computed goes; nil for inputs
	Offset int           // Buffer: first element in the arena
	Size   int           // Buffer: elements at capacity, rounded up to Align

	spans  []span
	merged *Place
	values []*graph.Value
}

// At says which element of a stacked value a place is.
type At uint8

// Elements of stacked values.
const (
	Index At = iota // that of the iteration
	Next            // that of the next one, of a stack that is longer by one than its loop
	First           // of such a stack, what the loop starts from
	Last            // and what it ends with
)

type span struct {
	v          *graph.Value
	start, end int
}

// Align is the number of elements that a buffer's size is rounded up to: a cache line.
const Align = 16

// Find is the place that p has become part of.
func (p *Place) Find() *Place {
	for p.merged != nil {
		p = p.merged
	}
	return p
}

// Values lists the values that live in the place, in the order of their definition.
func (p *Place) Values() []*graph.Value { return p.Find().values }

// Hull is the time from the first definition to the last use.
func (p *Place) Hull() (start, end int) {
	start, end = math.MaxInt, 0
	for _, s := range p.spans {
		start, end = min(start, s.start), max(end, s.end)
	}
	return start, end
}

// Plan is the memory plan of a graph.
type Plan struct {
	Places  map[*graph.Value]*Place
	Buffers []*Place // by offset
	Arena   int      // elements of the arena, at capacity
	Naive   int      // elements that the values would take without sharing

	// Assign lists, for each node, the outputs of the graph that are complete after it and are copied to their target
	// then.
	Assign map[*graph.Node][]int

	outside map[*graph.Value]bool // outputs, which what calls the graph finds in places of their own
	sizes   map[string]int
	may     map[[2]*graph.Value]bool // results that may be written over arguments, at the node where they meet
	time    map[*graph.Node][2]int   // start and end
	now     int
}

// Make plans g for run-time sizes of at most sizes.
func Make(g *graph.Graph, sizes map[string]int) (*Plan, error) {
	p := &Plan{Places: map[*graph.Value]*Place{}, Assign: map[*graph.Node][]int{}, sizes: sizes,
		time: map[*graph.Node][2]int{}, may: map[[2]*graph.Value]bool{}, outside: map[*graph.Value]bool{}}
	for _, o := range g.Outputs {
		p.outside[unshaped(o)] = true
	}
	p.clock(g)
	last := map[*graph.Value]int{}
	p.lastUses(g, last)
	if err := p.outputs(g, last); err != nil {
		return nil, err
	}
	for _, in := range g.Inputs {
		p.Places[in] = &Place{Kind: Outside, Shape: in.Shape}
	}
	p.place(g, last, targets(g))
	p.overwrites(g, last)
	p.share(g, last)
	p.reuse()
	p.allocate()
	return p, nil
}

// Of is the place of v.
func (p *Plan) Of(v *graph.Value) *Place { return p.Places[v].Find() }

// Dead lists the buffers whose life ends with node n: nothing reads or writes them from then on, until another value
// begins a life in their memory.
func (p *Plan) Dead(n *graph.Node) []*Place {
	var dead []*Place
	at := p.time[n][1]
	for _, b := range p.Buffers {
		for _, l := range b.lives() {
			if l.end == at || l.end == at+1 {
				dead = append(dead, b)
				break
			}
		}
	}
	return dead
}

// lives are the times in which something is in the place, from the first to the last: what is written over what was
// there goes on with its life.
func (p *Place) lives() []span {
	all := append([]span{}, p.spans...)
	sort.Slice(all, func(i, j int) bool { return all[i].start < all[j].start })
	var out []span
	for _, s := range all {
		if k := len(out) - 1; k >= 0 && s.start <= out[k].end+1 {
			out[k].end = max(out[k].end, s.end)
			continue
		}
		out = append(out, span{start: s.start, end: s.end})
	}
	return out
}

// Life is the time from the definition of v to its last use.
func (p *Plan) Life(v *graph.Value) (start, end int) {
	start, end = math.MaxInt, -1
	for _, s := range p.Of(v).spans {
		if s.v == v {
			start, end = min(start, s.start), max(end, s.end)
		}
	}
	return start, end
}

// Survives reports whether v, which is in a buffer, is still there when all nodes up to those of a phase have run:
// nothing that they give lies where it does.
func (p *Plan) Survives(v *graph.Value, phase graph.Phase) bool {
	pl := p.Of(v)
	over := pl.spans // what else is written to the place
	if pl.At == First || pl.At == Last {
		pl = pl.Of.Find() // of which every element is written once in a forward pass
	}
	if pl.Kind != Buffer {
		return false
	}
	end, start := 0, -1
	for n, t := range p.time {
		if n.Phase <= phase {
			end = max(end, t[1])
		}
	}
	for _, s := range over {
		if s.v == v {
			start = max(start, s.start)
		}
	}
	for _, o := range p.Buffers {
		if o != pl && o.Offset < pl.Offset+pl.Size && pl.Offset < o.Offset+o.Size {
			over = append(over[:len(over):len(over)], o.spans...)
		}
	}
	for _, s := range over {
		if unshaped(s.v) != unshaped(v) && s.start > start && s.start <= end {
			return false
		}
	}
	return true
}

// unshaped is the value that v is under another shape, or v itself.
func unshaped(v *graph.Value) *graph.Value {
	for v.Def != nil && v.Def.Op.Alias {
		v = v.Def.Args[0]
	}
	return v
}

// Alone lays out the buffers that nodes, which follow each other, use when nothing but them runs, and of which outputs
// are read behind them: where each begins, and how many elements they take. It keeps which values share a place.
func (p *Plan) Alone(nodes []*graph.Node, outputs ...*graph.Value) (offsets map[*Place]int, size int) {
	q := &Plan{Places: map[*graph.Value]*Place{}, sizes: p.sizes}
	own := map[*Place]*Place{}
	touch := func(v *graph.Value, at int) {
		pl := p.Of(v)
		if pl.Stack != nil {
			pl = pl.Of.Find()
		}
		if pl.Kind != Buffer {
			return
		}
		if own[pl] == nil {
			own[pl] = &Place{Kind: Buffer, Shape: pl.Shape, values: pl.values, spans: []span{{v, at, at}}}
			q.Places[pl.values[0]] = own[pl]
		}
		s := &own[pl].spans[0]
		s.start, s.end = min(s.start, at), max(s.end, at)
	}
	for i, n := range nodes {
		all := append(append([]*graph.Value{}, n.Args...), n.Outs...)
		if n.Loop != nil {
			n.Loop.Body.Walk(func(g *graph.Graph) {
				all = append(all, g.Inputs...)
				for _, b := range g.Nodes {
					all = append(all, b.Outs...)
				}
			})
		}
		for _, v := range all {
			touch(v, 2*i)
		}
	}
	for _, v := range outputs {
		touch(v, 2*len(nodes))
	}
	q.allocate()
	offsets = map[*Place]int{}
	for pl, o := range own {
		offsets[pl] = o.Offset
	}
	return offsets, q.Arena
}

// Same reports whether two values live in the same memory.
func (p *Plan) Same(a, b *graph.Value) bool { return p.Of(a) == p.Of(b) }

func (p *Plan) clock(g *graph.Graph) {
	for _, n := range g.Nodes {
		start := p.now
		p.now++
		if n.Loop != nil {
			p.clock(n.Loop.Body)
			p.now++
		}
		p.time[n] = [2]int{2 * start, 2 * (p.now - 1)}
	}
}

// lastUses finds when each value is read for the last time. What a loop reads lives to its end, but for the initial
// values of carries, which are taken at its start (or, where they are not copied, are kept by share).
func (p *Plan) lastUses(g *graph.Graph, last map[*graph.Value]int) {
	for _, n := range g.Nodes {
		t := p.time[n]
		for i, a := range n.Args {
			at := t[1]
			if n.Loop != nil && i < n.Loop.Carries && !rebound(n, i) {
				at = t[0]
			}
			last[a] = max(last[a], at)
		}
		for _, o := range n.Outs {
			last[o] = max(last[o], t[0])
		}
		if n.Loop != nil {
			p.lastUses(n.Loop.Body, last)
			for _, o := range n.Loop.Body.Outputs {
				last[o] = t[1]
			}
		}
	}
}

// rebound reports whether carry i of loop n need not be copied from one iteration to the next, because the loop gives
// it as well.
func rebound(n *graph.Node, i int) bool { return given(n, i) >= 0 }

func given(n *graph.Node, i int) int {
	for j := n.Loop.Carries; j < len(n.Outs); j++ {
		if n.Loop.Body.Outputs[j] == n.Loop.Body.Outputs[i] {
			return j
		}
	}
	return -1
}

// outputs decides after which node each output of the graph goes to its target, and keeps it until then. The next
// state is stored as soon as the last one has been read.
func (p *Plan) outputs(g *graph.Graph, last map[*graph.Value]int) error {
	inputs := map[graph.Target]*graph.Value{}
	for _, in := range g.Inputs {
		switch in.Role {
		case graph.State:
			inputs[graph.Target{Ends: graph.Next, ID: in.ID}] = in
		case graph.Param:
			inputs[graph.Target{Ends: graph.Keep, ID: in.ID}] = in
		}
	}
	for i, o := range g.Outputs {
		name := g.Targets[i].ID
		if e := g.Targets[i].Ends; e != graph.Next && e != graph.Keep {
			last[o] = 2 * p.now
			continue
		}
		before := inputs[g.Targets[i]]
		if o.Def == nil {
			return fmt.Errorf("plan: the next state %s is not computed", name)
		}
		at := o.Def
		for _, n := range g.Nodes {
			for _, a := range n.Args {
				if a == before && p.time[n][0] > p.time[at][0] {
					at = n
				}
			}
		}
		if at.Phase != graph.Forward {
			return fmt.Errorf("plan: the state %s is still read after the forward pass", name)
		}
		p.Assign[at] = append(p.Assign[at], i)
		last[o] = max(last[o], p.time[at][1]+1)
	}
	return nil
}

// targets gives the outputs that are computed right where they go.
func targets(g *graph.Graph) map[*graph.Value]*graph.Target {
	t := map[*graph.Value]*graph.Target{}
	for i, o := range g.Outputs {
		if e := g.Targets[i].Ends; (e == graph.Grad || e == graph.Kept) && o.Def != nil && t[o] == nil {
			t[o] = &g.Targets[i]
		}
	}
	return t
}

// place gives every value of g and its bodies a place of its own, or that of what it is a view of.
func (p *Plan) place(g *graph.Graph, last map[*graph.Value]int, target map[*graph.Value]*graph.Target) {
	for _, n := range g.Nodes {
		t := p.time[n]
		if n.Loop == nil {
			for _, o := range n.Outs {
				switch {
				case p.Places[o] != nil: // an element of what its loop gives, placed with the loop
					pl := p.Places[o]
					pl.spans = append(pl.spans, span{o, t[0], last[o]})
				case n.Op.Alias:
					pl := p.Places[n.Args[0]]
					p.Places[o] = pl
					pl.spans = append(pl.spans, span{o, t[0], last[o]})
				case n.Op == op.Index || len(o.Shape) == 0:
					p.Places[o] = &Place{Kind: Number}
				case n.Op == op.Zeros && onlyStarts(g, o):
					p.Places[o] = &Place{Kind: Nowhere, Shape: o.Shape}
				default:
					p.Places[o] = p.fresh(o, target[o], t[0], last[o])
				}
			}
			continue
		}
		l := n.Loop
		for j := l.Carries; j < len(n.Outs); j++ {
			o := n.Outs[j]
			pl := p.Places[o]
			if in := l.Body.Outputs[j]; pl == nil && in.Def == nil {
				p.keep(n, j, last)
				continue
			}
			if pl == nil {
				pl = p.fresh(o, target[o], t[0], last[o])
				p.Places[o] = pl
			} else {
				pl.spans = append(pl.spans, span{o, t[0], last[o]})
			}
			p.Places[l.Body.Outputs[j]] = &Place{Kind: Element, Of: pl, Loop: n, Shape: l.Body.Outputs[j].Shape,
				values: []*graph.Value{l.Body.Outputs[j]}}
		}
		for i, in := range l.Body.Inputs {
			arg := p.Places[n.Args[i]]
			switch {
			case i < l.Carries && n.Kept(in) >= 0: // has its place
			case i < l.Carries && rebound(n, i):
				p.Places[in] = &Place{Kind: Rebound, Loop: n, Shape: in.Shape}
				all := p.Places[n.Outs[given(n, i)]]
				p.Places[n.Outs[i]] = &Place{Kind: Element, Of: all, Loop: n, Shape: in.Shape}
				all.spans = append(all.spans, span{n.Outs[i], t[1] + 1, last[n.Outs[i]]})
			case i < l.Carries:
				final := n.Outs[i]
				if pl := p.Places[final]; pl != nil && pl.Kind == Element { // the outer loop gives it
					p.Places[in] = p.fresh(in, nil, t[0], last[in])
					pl.spans = append(pl.spans, span{final, t[1] + 1, last[final]})
					continue
				}
				pl := p.fresh(final, target[final], t[0], last[in])
				pl.spans[0].v = in
				// The next value is copied here at the end of an iteration, when the other carries' next values are
				// still needed.
				pl.spans = append(pl.spans, span{final, t[1], max(t[1], last[final])})
				p.Places[in], p.Places[final] = pl, pl
			case i < l.Carries+l.Seqs:
				pl := &Place{Kind: Element, Of: arg, Loop: n, Shape: in.Shape, values: []*graph.Value{in}}
				pl.spans = []span{{in, t[0], last[in]}}
				p.Places[in] = pl
			default:
				p.Places[in] = arg
			}
		}
		p.place(l.Body, last, nil)
	}
}

// keep gives the stack that is result j of loop n, which is what it carries, one element more, and the carry its
// elements: what an iteration begins with, what it computes, and what the loop ends with. What the loop starts from
// moves there in share.
func (p *Plan) keep(n *graph.Node, j int, last map[*graph.Value]int) {
	t, stack, in := p.time[n], n.Outs[j], n.Loop.Body.Outputs[j]
	i := slices.Index(n.Loop.Body.Inputs, in)
	next, final := n.Loop.Body.Outputs[i], n.Outs[i]
	trip := n.Loop.Trip
	if trip.Name == "" || strings.Contains(trip.Name, "*") {
		trip = graph.Const(trip.N+1, "")
	} else {
		trip = graph.Const(trip.N+1, trip.Name+"+1")
	}
	all := p.fresh(stack, nil, t[0], max(last[stack], t[1]))
	p.Naive += p.size(in.Shape.Stack(trip)) - p.size(stack.Shape)
	all.Shape = in.Shape.Stack(trip)
	all.spans = append(all.spans, span{final, t[1] + 1, max(last[final], t[1]+1)})
	p.Places[stack] = all
	element := func(v *graph.Value, at At, start, end int) {
		p.Places[v] = &Place{Kind: Element, Of: all, Loop: n, At: at, Stack: stack, Shape: v.Shape,
			values: []*graph.Value{v}, spans: []span{{v, start, end}}}
	}
	element(in, Index, t[0], t[1])
	element(next, Next, t[0], t[1]) // with the time of its node, which place adds
	element(final, Last, t[1]+1, max(last[final], t[1]+1))
}

// startIn makes what loop n starts carry i from the first element of the stack that it keeps that in, where nothing
// else needs it to lie elsewhere.
func (p *Plan) startIn(n *graph.Node, i int) {
	start, in := p.Of(n.Args[i]), p.Of(n.Loop.Body.Inputs[i])
	if start.Kind != Buffer || !start.Shape.Elems().Same(in.Shape.Elems()) {
		return
	}
	for _, s := range start.spans {
		if s.start >= p.time[n][0] || p.outside[unshaped(s.v)] {
			return
		}
	}
	start.Kind, start.Of, start.Loop, start.At, start.Stack = Element, in.Of, n, First, in.Stack
	in.Of.Find().spans = append(in.Of.Find().spans, start.spans...)
}

func (p *Plan) fresh(v *graph.Value, target *graph.Target, start, end int) *Place {
	pl := &Place{Kind: Buffer, Shape: v.Shape, spans: []span{{v, start, end}}, values: []*graph.Value{v}}
	if target != nil {
		pl.Kind, pl.Target = Outside, target
		pl.spans[0].end = 2*p.now + 2
	}
	p.Naive += p.size(v.Shape)
	return pl
}

func (p *Plan) size(s graph.Shape) int {
	n := s.Elems().At(p.sizes)
	return (n + Align - 1) / Align * Align
}

// onlyStarts reports whether v is read only as the first value of carries that are copied, so that a loop can clear
// their memory instead.
func onlyStarts(g *graph.Graph, v *graph.Value) bool {
	if g.IsOutput(v) > 0 {
		return false
	}
	for _, n := range g.Nodes {
		for i, a := range n.Args {
			if a == v && (n.Loop == nil || i >= n.Loop.Carries || rebound(n, i)) {
				return false
			}
		}
	}
	return true
}

// overwrites collects the pairs of values of which one may be written over the other: results over arguments that are
// read for the last time, where the operation allows it; what a loop carries over what it started from; and what it
// carries last over what it carried before.
func (p *Plan) overwrites(g *graph.Graph, last map[*graph.Value]int) {
	for _, n := range g.Nodes {
		if n.Loop == nil {
			for _, pair := range n.InPlace() {
				if pair[1] < len(n.Args) && pair[0] < len(n.Outs) && !readElsewhere(n, pair) &&
					last[n.Args[pair[1]]] <= p.time[n][0] {
					p.may[[2]*graph.Value{n.Outs[pair[0]], n.Args[pair[1]]}] = true
				}
			}
			continue
		}
		l := n.Loop
		for i := range l.Carries {
			if !rebound(n, i) && n.Kept(l.Body.Inputs[i]) < 0 {
				p.may[[2]*graph.Value{l.Body.Inputs[i], n.Args[i]}] = last[n.Args[i]] <= p.time[n][0]
				p.may[[2]*graph.Value{n.Outs[i], l.Body.Outputs[i]}] = true
			}
		}
		p.overwrites(l.Body, last)
	}
}

// readElsewhere reports whether the pair's argument is also an argument that must not be overwritten.
func readElsewhere(n *graph.Node, pair [2]int) bool {
	for k, a := range n.Args {
		if k == pair[1] || a != n.Args[pair[1]] {
			continue
		}
		ok := false
		for _, q := range n.InPlace() {
			ok = ok || q[0] == pair[0] && q[1] == k
		}
		if !ok {
			return true
		}
	}
	return false
}

// share lets results take the place of arguments, where operations allow it, and loops carry values in one place.
func (p *Plan) share(g *graph.Graph, last map[*graph.Value]int) {
	for _, n := range g.Nodes {
		if n.Loop == nil {
			for _, pair := range n.InPlace() {
				if pair[1] < len(n.Args) && pair[0] < len(n.Outs) {
					if out, arg := n.Outs[pair[0]], n.Args[pair[1]]; p.may[[2]*graph.Value{out, arg}] &&
						out.Type == arg.Type {
						p.merge(out, arg, last)
					}
				}
			}
			continue
		}
		l := n.Loop
		for i, in := range l.Body.Inputs[:l.Carries] {
			switch {
			case n.Kept(in) >= 0:
				p.startIn(n, i)
			case !rebound(n, i):
				p.merge(in, n.Args[i], last)
			}
		}
		carries := func() {
			for i, in := range l.Body.Inputs[:l.Carries] {
				if !rebound(n, i) && n.Kept(in) < 0 {
					p.merge(in, l.Body.Outputs[i], last)
				}
			}
		}
		carries() // before other results take the place of what was carried, so that nothing need be copied
		p.share(l.Body, last)
		carries()
	}
}

// merge makes one place of those of out and arg, if all that lives in one is dead while the other's is alive, or may
// be written over it.
func (p *Plan) merge(out, arg *graph.Value, last map[*graph.Value]int) bool {
	a, b := p.Of(out), p.Of(arg)
	if a == b {
		return true
	}
	if !p.mergeable(a, b) || !p.apart(a, b) {
		return false
	}
	if a.Kind == Element && b.Kind == Element {
		// Both are elements of stacked values, of the same loop: those must become one, where the one that is read is
		// not needed after the loop.
		if a.Loop != b.Loop || a.Loop == nil || !p.mergeStacks(a, b, last) {
			return false
		}
	} else if a.Kind == Element && !p.ownElement(a, last) || b.Kind == Element && !p.ownElement(b, last) {
		return false
	}
	p.join(a, b)
	return true
}

func (p *Plan) mergeable(a, b *Place) bool {
	ok := func(x *Place) bool {
		return x.Kind == Buffer || x.Kind == Element || x.Kind == Outside && x.Target != nil
	}
	if !ok(a) || !ok(b) || a.Kind == Outside && b.Kind == Outside {
		return false
	}
	// An element's place exists within one iteration of its loop; a buffer that joins it must not be read outside of
	// that.
	for _, pair := range [][2]*Place{{a, b}, {b, a}} {
		if e, o := pair[0], pair[1]; e.Kind == Element && o.Kind != Element {
			if o.Kind == Outside || e.Loop == nil {
				return false
			}
			t := p.time[e.Loop]
			for _, s := range o.spans {
				if s.start <= t[0] || s.end > t[1] {
					return false
				}
			}
		}
	}
	return a.Shape.Elems().Same(b.Shape.Elems())
}

// apart reports whether nothing in a is alive together with anything in b. Two values may meet at a node where one may
// be written over the other.
func (p *Plan) apart(a, b *Place) bool {
	for _, x := range a.spans {
		for _, y := range b.spans {
			if x.start > y.end || y.start > x.end {
				continue
			}
			over := p.may[[2]*graph.Value{x.v, y.v}] && x.start == y.end ||
				p.may[[2]*graph.Value{y.v, x.v}] && y.start == x.end
			if !over {
				return false
			}
		}
	}
	return true
}

// ownElement reports whether the element may be written to: it is given by its loop, or read from a value that nothing
// needs after the loop.
func (p *Plan) ownElement(e *Place, last map[*graph.Value]int) bool {
	for i, o := range e.Loop.Loop.Body.Outputs {
		if i >= e.Loop.Loop.Carries && p.Of(o) == e {
			return true
		}
	}
	return p.seqDies(e, last)
}

// seqDies reports whether e is an element of an argument of its loop that is dead after the loop and read as that
// argument alone.
func (p *Plan) seqDies(e *Place, last map[*graph.Value]int) bool {
	n := e.Loop
	stack := e.Of.Find()
	if stack.Kind != Buffer && stack.Kind != Element {
		return false
	}
	count := 0
	for _, a := range n.Args {
		if pl := p.Of(a); pl == stack || pl.Kind == Element && pl.Of.Find() == stack {
			count++
		}
	}
	if count != 1 || stack.Kind == Element && !p.ownElement(stack, last) {
		return false
	}
	for _, s := range stack.spans {
		if s.end > p.time[n][1] || s.start >= p.time[n][0] {
			return false
		}
	}
	return true
}

// mergeStacks makes one place of the stacked values that a and b are elements of; one of them is given by the loop,
// the other read.
func (p *Plan) mergeStacks(a, b *Place, last map[*graph.Value]int) bool {
	x, y := a.Of.Find(), b.Of.Find()
	if x == y {
		return false // two elements of one value: at other indices, for all that is known here
	}
	givenA, givenB := p.gives(a), p.gives(b)
	if givenA == givenB {
		return false
	}
	give, read := x, y
	readElement := b
	if givenB {
		give, read, readElement = y, x, a
	}
	if !p.seqDies(readElement, last) || !p.mergeable(give, read) {
		return false
	}
	start := p.time[a.Loop][0]
	for _, s := range give.spans {
		for _, r := range read.spans {
			end := min(r.end, start-1) // element by element the read value is dead when the given one is written
			if s.start <= end && r.start <= s.end {
				return false
			}
		}
	}
	if give.Kind == Element && read.Kind == Element {
		return false
	}
	if e := give; e.Kind == Element && !p.ownElement(e, last) {
		return false
	}
	if e := read; e.Kind == Element && !p.ownElement(e, last) {
		return false
	}
	p.join(give, read)
	return true
}

func (p *Plan) gives(e *Place) bool {
	l := e.Loop.Loop
	for i := l.Carries; i < len(l.Body.Outputs); i++ {
		if p.Of(l.Body.Outputs[i]) == e {
			return true
		}
	}
	return false
}

// join makes b part of a, or a of b: elements and memory outside stay what they are.
func (p *Plan) join(a, b *Place) {
	if a.Kind == Buffer && b.Kind != Buffer {
		a, b = b, a
	}
	a.spans = append(a.spans, b.spans...)
	a.values = append(a.values, b.values...)
	b.merged = a
}

// reuse gives one place to the values of one name that a layer computes one after the other, such as the terms of a
// sum.
func (p *Plan) reuse() {
	type key struct{ base, scope, pass string }
	type one struct {
		pl   *Place
		v    *graph.Value
		from int
	}
	var all []one
	seen := map[*Place]bool{}
	for v, pl := range p.Places {
		if pl = pl.Find(); pl.Kind == Buffer && v.Def != nil && pl.values[0] == v && !seen[pl] {
			seen[pl] = true
			from, _ := pl.Hull()
			all = append(all, one{pl, v, from})
		}
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].from != all[j].from {
			return all[i].from < all[j].from
		}
		return all[i].v.Name < all[j].v.Name
	})
	first := map[key][]*Place{}
	for _, x := range all {
		k := key{x.v.Base, x.v.Def.Scope, x.v.Def.Pass}
		joined := false
		for _, o := range first[k] {
			if o.Shape.Elems().Same(x.pl.Shape.Elems()) && p.disjoint(o, x.pl) {
				o.spans = append(o.spans, x.pl.spans...)
				o.values = append(o.values, x.pl.values...)
				x.pl.merged = o
				joined = true
				break
			}
		}
		if !joined {
			first[k] = append(first[k], x.pl)
		}
	}
}

// disjoint reports whether nothing in a is alive together with anything in b.
func (p *Plan) disjoint(a, b *Place) bool {
	for _, x := range a.lives() {
		for _, y := range b.lives() {
			if x.start <= y.end && y.start <= x.end {
				return false
			}
		}
	}
	return true
}

// allocate lays the buffers out in the arena: the largest first, each at the lowest offset where nothing that is alive
// at the same time lies.
func (p *Plan) allocate() {
	seen := map[*Place]bool{}
	for _, pl := range p.Places {
		pl = pl.Find()
		if pl.Kind == Buffer && !seen[pl] {
			seen[pl] = true
			pl.Size = p.size(pl.Shape)
			p.Buffers = append(p.Buffers, pl)
		}
	}
	key := func(b *Place) string { return b.values[0].Name }
	sort.Slice(p.Buffers, func(i, j int) bool {
		a, b := p.Buffers[i], p.Buffers[j]
		sa, ea := a.Hull()
		sb, eb := b.Hull()
		switch {
		case a.Size != b.Size:
			return a.Size > b.Size
		case sa != sb:
			return sa < sb
		case ea != eb:
			return ea < eb
		}
		return key(a) < key(b)
	})
	for i, b := range p.Buffers {
		var busy []*Place
		for _, o := range p.Buffers[:i] {
			if !p.disjoint(o, b) {
				busy = append(busy, o)
			}
		}
		sort.Slice(busy, func(i, j int) bool { return busy[i].Offset < busy[j].Offset })
		for _, o := range busy {
			if b.Offset+b.Size <= o.Offset {
				break
			}
			b.Offset = max(b.Offset, o.Offset+o.Size)
		}
		p.Arena = max(p.Arena, b.Offset+b.Size)
	}
	sort.Slice(p.Buffers, func(i, j int) bool {
		a, b := p.Buffers[i], p.Buffers[j]
		if a.Offset != b.Offset {
			return a.Offset < b.Offset
		}
		sa, _ := a.Hull()
		sb, _ := b.Hull()
		if sa != sb {
			return sa < sb
		}
		return key(a) < key(b)
	})
}

// String is the plan as a table: what -dump plan prints.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "arena %d elements, %.1f %% of %d without sharing\n", p.Arena,
		100*float64(p.Arena)/float64(max(p.Naive, 1)), p.Naive)
	for _, pl := range p.Buffers {
		s, e := pl.Hull()
		var names []string
		for _, v := range pl.values {
			names = append(names, v.Name)
		}
		fmt.Fprintf(&b, "  %10d +%-9d time %4d to %-4d %s\n", pl.Offset, pl.Size, s, e, strings.Join(names, ", "))
	}
	return b.String()
}
