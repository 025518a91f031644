package constrain

import (
	"cmp"
	"errors"
	"slices"
)

// MostStacks is the number of places of a grammar that a text may be at all at once, and mostWork that of the places
// that may be looked at for a mask: a second's work, where ordinary grammars take a few thousand.
const (
	MostStacks = 20_000
	mostWork   = 2_000_000
)

// ErrTooAmbiguous is what a grammar gives that could be at more than [MostStacks] places of its rules at once, or at
// so many that a mask would take too long to find.
var ErrTooAmbiguous = errors.New("constrain: the grammar is too ambiguous: the text could be at too many places of " +
	"it at once; let fewer of its alternatives begin alike")

// state is what may follow a text: a set of stacks of nodes. Stacks that end alike share that part, and equal sets are
// the same state. In a state that a text can be in all nodes at the top read bytes; below are those that calls return
// to.
type state struct {
	items   []item // sorted by node, each once
	payload any    // of a function's language, in place of items
	end     bool   // the text may end here: a stack of the set is empty
	id      uint32
	// distance is the length in bytes of the shortest text that may follow, or -1 where it is not yet known.
	distance int32
	text     []byte // that text, where it was needed

	next   []*state // by class of bytes; nil where it is not yet known
	mask   *Mask
	near   map[int]*Mask // with few tokens left, by their number
	tokens int32         // most that the shortest way to the end takes, 0 where it is not yet known
	plain  int16         // plain characters that may follow in any order, counted to most; -1 where it is not yet known
	closed bool          // behind so many of them none may follow
	peak   int32         // the largest distance of the states that plain characters lead to
	chars  []*state      // the states after a plain character, in any order
	link   *state        // the next one of the same hash
}

// item is the node at the top of stacks and the set of what is below.
type item struct {
	node int32
	rest *state
}

// machine is a language that is a function of the caller's.
type machine interface {
	start() any
	step(payload any, b byte) (any, bool)
	end(payload any) bool
}

// A measured machine knows how far the end is at the least, in bytes.
type measured interface {
	distance(payload any) int32
}

// A troubled machine may fail in a step, and tells why afterwards.
type troubled interface {
	trouble() error
}

// A barring machine has bytes that it does not allow for what a text must not contain.
type barring interface {
	// bars reports whether a byte that is not allowed is one of these.
	bars(payload any, b byte) bool
}

// engine finds states and remembers them.
type engine struct {
	automata *automata
	machine  machine
	bars     bool       // the machine may bar bytes
	classOf  [256]uint8 // bytes that no edge tells apart are of one class
	classes  int

	known  map[uint64]*state
	loads  map[any]*state
	unions map[[2]*state]*state
	first  *state
	dead   *state
	ids    uint32
	err    error // of the last step that was too much
	work   int   // since the last mask

	used, most int // bytes that are remembered, about

	// working space
	round   uint32 // number of the call of close
	marks   []mark // by node
	visited map[item]bool
	visit   []item
	found   []item

	// memory for what is to be remembered, taken many at a time
	states []state
	nexts  []*state
	items  []item
}

// mark tells that close has come to a node, and with what below it the first time. It has come to most nodes with one
// set alone; others are in engine.visited.
type mark struct {
	rest  *state
	round uint32
}

func newEngine(a *automata, m machine) *engine {
	e := &engine{automata: a, machine: m, dead: &state{}, visited: map[item]bool{}, most: defaultMemory}
	if m != nil {
		e.classes = 256
		for b := range e.classOf {
			e.classOf[b] = uint8(b)
		}
	} else {
		var cut [257]bool
		for i := range a.nodes {
			for _, x := range a.nodes[i].edges {
				cut[x.lo], cut[int(x.hi)+1] = true, true
			}
		}
		for b := 1; b < 256; b++ {
			e.classOf[b] = e.classOf[b-1]
			if cut[b] {
				e.classOf[b]++
			}
		}
		e.classes = int(e.classOf[255]) + 1
	}
	e.forget()
	return e
}

// forget drops all that is remembered. States that are in use stay usable.
func (e *engine) forget() {
	e.known, e.unions, e.loads, e.used = map[uint64]*state{}, map[[2]*state]*state{}, map[any]*state{}, 0
	e.visited, e.marks = map[item]bool{}, nil // a map does not shrink
	if e.machine != nil {
		e.first = e.load(e.machine.start())
		return
	}
	done := e.intern(nil, true)
	e.visit = append(e.visit[:0], item{e.automata.root, done})
	e.first = e.close()
}

// load gives the state of a function's payload.
func (e *engine) load(p any) *state {
	if s := e.loads[p]; s != nil {
		return s
	}
	e.ids++
	s := &state{payload: p, end: e.machine.end(p), id: e.ids, distance: -1, plain: -1}
	if s.end {
		s.distance = 0
	}
	e.loads[p] = s
	e.used += 200
	return s
}

// intern gives the one state of these items. It keeps the slice where there was none.
func (e *engine) intern(items []item, end bool) *state {
	h := uint64(14695981039346656037)
	if end {
		h++
	}
	for _, x := range items {
		h = (h ^ uint64(x.node)) * 1099511628211
		h = (h ^ uint64(x.rest.id)) * 1099511628211
		h ^= h >> 29
	}
	for s := e.known[h]; s != nil; s = s.link {
		if s.end == end && slices.Equal(s.items, items) {
			return s
		}
	}
	e.ids++
	s := &take(&e.states, 1, 64)[0]
	*s = state{items: take(&e.items, len(items), 256), end: end, id: e.ids, plain: -1, link: e.known[h]}
	copy(s.items, items)
	s.distance = far
	if end {
		s.distance = 0
	}
	for _, x := range items {
		s.distance = min(s.distance, e.automata.distance[x.node]+x.rest.distance)
	}
	e.known[h] = s
	e.used += 200 + 16*len(items)
	return s
}

// take cuts n elements off a supply, which is filled with at least some when it is used up.
func take[T any](supply *[]T, n, some int) []T {
	if len(*supply) < n {
		*supply = make([]T, max(n, some))
	}
	out := (*supply)[:n:n]
	*supply = (*supply)[n:]
	return out
}

// union is the set of the stacks of both.
func (e *engine) union(a, b *state) *state {
	if a == b {
		return a
	}
	if a.id > b.id {
		a, b = b, a
	}
	key := [2]*state{a, b}
	if s := e.unions[key]; s != nil {
		return s
	}
	e.work += len(a.items) + len(b.items)
	items := make([]item, 0, len(a.items)+len(b.items))
	i, j := 0, 0
	for i < len(a.items) && j < len(b.items) {
		x, y := a.items[i], b.items[j]
		switch {
		case x.node < y.node:
			items = append(items, x)
			i++
		case x.node > y.node:
			items = append(items, y)
			j++
		default:
			items = append(items, item{x.node, e.union(x.rest, y.rest)})
			i++
			j++
		}
	}
	items = append(append(items, a.items[i:]...), b.items[j:]...)
	s := e.intern(items, a.end || b.end)
	e.unions[key] = s
	e.used += 64
	return s
}

// unmark forgets where close has come to.
func (e *engine) unmark() {
	if len(e.visited) > 0 {
		clear(e.visited)
	}
	if e.round++; e.round == 0 || len(e.marks) < len(e.automata.nodes) {
		e.marks, e.round = make([]mark, len(e.automata.nodes)), 1
	}
}

// mark notes that close has come to x, and reports whether that is new.
func (e *engine) mark(x item) bool {
	m := &e.marks[x.node]
	if m.round != e.round {
		*m = mark{x.rest, e.round}
		return true
	}
	if m.rest == x.rest || e.visited[x] {
		return false
	}
	e.visited[x] = true
	return true
}

// close follows moves, calls and returns from the items of e.visit until all nodes at the top read bytes.
func (e *engine) close() *state {
	// Within words and characters there is one place, and nothing to follow.
	if len(e.visit) == 1 {
		if n := &e.automata.nodes[e.visit[0].node]; !n.accept && len(n.moves)+len(n.calls) == 0 && len(n.edges) > 0 {
			e.work++
			return e.intern(e.visit, false)
		}
	}
	e.unmark()
	e.found = e.found[:0]
	end, seen := false, len(e.visit)
	for _, x := range e.visit {
		e.mark(x)
	}
	push := func(x item) {
		if e.mark(x) {
			seen++
			e.visit = append(e.visit, x)
		}
	}
	for len(e.visit) > 0 {
		if e.work++; seen > MostStacks || e.work > mostWork {
			e.err = ErrTooAmbiguous
			e.visit = e.visit[:0]
			return e.dead
		}
		x := e.visit[len(e.visit)-1]
		e.visit = e.visit[:len(e.visit)-1]
		n := &e.automata.nodes[x.node]
		if len(n.edges) > 0 {
			e.found = append(e.found, x)
		}
		for _, m := range n.moves {
			push(item{m, x.rest})
		}
		for _, c := range n.calls {
			rest := x.rest
			// Nothing to come back for, as in lists that are written as recursion: their stacks do not grow.
			if to := &e.automata.nodes[c.to]; !(to.accept && len(to.edges)+len(to.moves)+len(to.calls) == 0) {
				rest = e.intern([]item{{c.to, x.rest}}, false)
			}
			push(item{e.automata.starts[c.rule], rest})
		}
		if n.accept {
			end = end || x.rest.end
			for _, y := range x.rest.items {
				push(y)
			}
		}
	}
	if len(e.found) > 1 {
		slices.SortFunc(e.found, func(a, b item) int {
			return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.rest.id, b.rest.id))
		})
	}
	out := e.found[:0]
	for _, x := range e.found {
		if n := len(out); n > 0 && out[n-1].node == x.node {
			out[n-1].rest = e.union(out[n-1].rest, x.rest)
			continue
		}
		out = append(out, x)
	}
	if len(out) == 0 && !end {
		return e.dead
	}
	return e.intern(out, end)
}

// plainStep gives the state after a plain character, where the automata tell that it is the same for all of them,
// without looking at the bytes of each; nil where none may follow.
func (e *engine) plainStep(s *state) (to *state, ok bool) {
	e.visit = e.visit[:0]
	for _, x := range s.items {
		switch n := &e.automata.nodes[x.node]; n.plain {
		case noPlain:
		case somePlain:
			return nil, false
		default:
			e.visit = append(e.visit, item{n.plain, x.rest})
		}
	}
	if len(e.visit) == 0 {
		return nil, true
	}
	if to = e.close(); e.err != nil {
		return nil, false
	}
	return to, true
}

// step gives the state after a byte, e.dead where there is none.
func (e *engine) step(s *state, b byte) *state {
	if s.next == nil {
		s.next = take(&e.nexts, e.classes, 32*e.classes)
		e.used += 8 * e.classes
	}
	next := &s.next[e.classOf[b]]
	if *next != nil {
		return *next
	}
	if e.machine != nil {
		to := e.dead
		if p, ok := e.machine.step(s.payload, b); ok {
			to = e.load(p)
		}
		if t, ok := e.machine.(troubled); ok {
			if err := t.trouble(); err != nil {
				e.err = err
				return e.dead
			}
		}
		*next = to
		return to
	}
	e.visit = e.visit[:0]
	for _, x := range s.items {
		for _, y := range e.automata.nodes[x.node].edges {
			if y.lo <= b && b <= y.hi {
				e.visit = append(e.visit, item{y.to, x.rest})
			}
		}
	}
	if len(e.visit) == 0 {
		*next = e.dead
		return e.dead
	}
	to := e.close()
	if e.err == nil {
		*next = to
	}
	return to
}

// barred reports whether byte b, which may not follow s, is not allowed for what a text must not contain.
func (e *engine) barred(s *state, b byte) bool {
	return e.bars && e.machine.(barring).bars(s.payload, b)
}

// shortest is the shortest text that may follow s, whose distance is known and not far.
func (e *engine) shortest(s *state) []byte {
	if s.text != nil || s.distance == 0 {
		return s.text
	}
	text := make([]byte, 0, s.distance)
	for at := s; len(text) < int(s.distance); {
		best := -1
		for i, x := range at.items {
			if best < 0 || e.automata.distance[x.node]+x.rest.distance < e.automata.distance[at.items[best].node]+
				at.items[best].rest.distance {
				best = i
			}
		}
		text = e.automata.shortest(text, at.items[best].node)
		at = at.items[best].rest
	}
	s.text = text
	e.used += len(text)
	return text
}
