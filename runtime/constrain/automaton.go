package constrain

import (
	"container/heap"
	"errors"
	"fmt"
	"math"
	"slices"
)

// MostNodes is the number of nodes that the automata of a language may have. A character of a literal is one; what is
// repeated up to n times counts n times.
const MostNodes = 200_000

// node is a place within a rule. It may be left along each of its edges, moves and calls.
type node struct {
	edges  []edge  // reading a byte
	moves  []int32 // reading nothing
	calls  []call
	accept bool // the rule may end here
	// plain is the node that every plain character leads to, noPlain where none may be read here, and somePlain where
	// it depends.
	plain int32
}

const (
	noPlain   = -1
	somePlain = -2
)

// isPlain reports whether a byte is of a plain character: see [plain].
func isPlain(b byte) bool { return b >= ' ' && b != '"' && b != '\\' && b != 0x7F }

// edge reads a byte from lo to hi.
type edge struct {
	lo, hi byte
	to     int32
}

// call reads what a rule describes.
type call struct{ rule, to int32 }

// automata are the rules of a language.
type automata struct {
	nodes  []node
	starts []int32 // of the rules
	names  []string
	root   int32

	// The shortest way from each node to the end of its rule, in bytes, and its first step. far means that there is
	// none.
	distance []int32
	step     []step
}

const far = math.MaxInt32 / 2

// step is the first step of a shortest way: along edge, move or call number i, or none.
type step struct {
	kind byte // 'e', 'm', 'c', or 0 at the end
	i    int32
}

// builder makes nodes. A node is made after the one that it leads to, but for loops.
type builder struct {
	a        *automata
	edges    int
	language *Language
	has      *[256]bool // the bytes that tokens have
	err      error
}

// build makes the automata of l, without the bytes that no token has.
func build(l *Language, has *[256]bool) (*automata, error) {
	a := &automata{}
	b := &builder{a: a, language: l, has: has}
	a.starts = make([]int32, len(l.rules))
	for i, r := range l.rules {
		a.names = append(a.names, r.name)
		a.starts[i] = b.expr(r.body, b.node(node{accept: true}))
	}
	if b.err != nil {
		return nil, b.err
	}
	a.root = a.starts[0]
	a.findDistances()
	if err := a.refuseLeftRecursion(); err != nil {
		return nil, err
	}
	if a.distance[a.root] >= far {
		return nil, errors.New("constrain: no text of the language can be written with the tokens of this vocabulary")
	}
	a.prune()
	return a, nil
}

func (b *builder) node(n node) int32 {
	if !all(b.has) {
		n.edges = clip(n.edges, b.has)
	}
	b.edges += len(n.edges) + len(n.moves)
	if len(b.a.nodes) >= MostNodes || b.edges > 5*MostNodes {
		if b.err == nil {
			b.err = fmt.Errorf("constrain: the language is too large: it takes more than %d nodes; shorten it, or "+
				"its repetitions", MostNodes)
		}
		return 0
	}
	n.plain = noPlain
	for _, e := range n.edges {
		for x := int(e.lo); x <= int(e.hi) && n.plain == noPlain; x++ {
			if isPlain(byte(x)) {
				n.plain = somePlain
			}
		}
	}
	b.a.nodes = append(b.a.nodes, n)
	return int32(len(b.a.nodes) - 1)
}

func all(has *[256]bool) bool {
	for _, x := range has {
		if !x {
			return false
		}
	}
	return true
}

// clip leaves out the bytes that are not in has.
func clip(edges []edge, has *[256]bool) []edge {
	var out []edge
	for _, e := range edges {
		for lo := int(e.lo); lo <= int(e.hi); lo++ {
			if !has[lo] {
				continue
			}
			hi := lo
			for hi < int(e.hi) && has[hi+1] {
				hi++
			}
			out = append(out, edge{byte(lo), byte(hi), e.to})
			lo = hi
		}
	}
	return out
}

// expr makes the node from which e leads to next.
func (b *builder) expr(e expr, next int32) int32 {
	if b.err != nil {
		return 0
	}
	switch e := e.(type) {
	case literal:
		for i := len(e) - 1; i >= 0; i-- {
			next = b.node(node{edges: []edge{{e[i], e[i], next}}})
		}
		return next
	case class:
		return b.chars(e, next)
	case sequence:
		for i := len(e) - 1; i >= 0; i-- {
			next = b.expr(e[i], next)
		}
		return next
	case choice:
		return b.choice(e, next)
	case ref:
		return b.node(node{calls: []call{{int32(e), next}}})
	case repeat:
		return b.repeat(e, next)
	}
	panic(fmt.Sprintf("constrain: an expression of type %T", e))
}

// choice makes a trie of the literals, so that many of them are few nodes.
func (b *builder) choice(c choice, next int32) int32 {
	var words []string
	var moves []int32
	for _, e := range c {
		if s, ok := e.(literal); ok {
			words = append(words, string(s))
		} else {
			moves = append(moves, b.expr(e, next))
		}
	}
	if len(words) > 0 {
		slices.Sort(words)
		words = slices.Compact(words)
		n := b.words(words, next)
		if len(moves) == 0 {
			return n
		}
		moves = append(moves, n)
	}
	if len(moves) == 1 {
		return moves[0]
	}
	return b.node(node{moves: moves})
}

// words makes a trie of sorted words.
func (b *builder) words(words []string, next int32) int32 {
	if b.err != nil {
		return 0
	}
	if len(words) == 1 {
		return b.expr(literal(words[0]), next)
	}
	var n node
	if words[0] == "" {
		n.moves = []int32{next}
		words = words[1:]
	}
	for len(words) > 0 {
		first, k := words[0][0], 0
		var rest []string
		for ; k < len(words) && words[k][0] == first; k++ {
			rest = append(rest, words[k][1:])
		}
		words = words[k:]
		n.edges = append(n.edges, edge{first, first, b.words(rest, next)})
	}
	return b.node(n)
}

func (b *builder) repeat(r repeat, next int32) int32 {
	body := func(next int32) int32 { return b.expr(r.of, next) }
	if r.min > 1 || r.max > 1 {
		// What is larger than a call becomes a rule, which all copies call.
		switch r.of.(type) {
		case ref, literal:
		default:
			start := b.expr(r.of, b.node(node{accept: true}))
			if b.err != nil {
				return 0
			}
			b.a.starts = append(b.a.starts, start)
			b.a.names = append(b.a.names, "")
			rule := int32(len(b.a.starts) - 1)
			body = func(next int32) int32 { return b.node(node{calls: []call{{rule, next}}}) }
		}
	}
	at := next
	if r.max < 0 {
		at = b.node(node{moves: []int32{next}})
		first := body(at)
		if b.err != nil {
			return 0
		}
		b.a.nodes[at].moves = append(b.a.nodes[at].moves, first)
	}
	for i := r.min; i < r.max && b.err == nil; i++ {
		at = b.node(node{moves: []int32{next, body(at)}})
	}
	for i := 0; i < r.min && b.err == nil; i++ {
		at = body(at)
	}
	return at
}

// refuseLeftRecursion makes an error of a rule that can come to itself without reading a byte.
func (a *automata) refuseLeftRecursion() error {
	// For each rule, those that it may call first.
	firsts := make([][]int32, len(a.starts))
	for r, start := range a.starts {
		seen := map[int32]bool{}
		var visit []int32
		push := func(n int32) {
			if !seen[n] {
				seen[n] = true
				visit = append(visit, n)
			}
		}
		push(start)
		for len(visit) > 0 {
			n := &a.nodes[visit[len(visit)-1]]
			visit = visit[:len(visit)-1]
			for _, m := range n.moves {
				push(m)
			}
			for _, c := range n.calls {
				firsts[r] = append(firsts[r], c.rule)
				if a.distance[a.starts[c.rule]] == 0 { // it may be empty
					push(c.to)
				}
			}
		}
	}
	const open, closed = 1, 2
	mark := make([]byte, len(a.starts))
	var path []int32
	var visit func(r int32) error
	visit = func(r int32) error {
		mark[r] = open
		path = append(path, r)
		for _, f := range firsts[r] {
			if mark[f] == open {
				name := a.names[f]
				for i := len(path) - 1; name == "" && i >= 0; i-- {
					name = a.names[path[i]]
				}
				return fmt.Errorf("constrain: rule %q is left-recursive: it can begin with itself; write it as a "+
					"repetition, such as a (b a)* for a | itself b a", name)
			}
			if mark[f] == 0 {
				if err := visit(f); err != nil {
					return err
				}
			}
		}
		path = path[:len(path)-1]
		mark[r] = closed
		return nil
	}
	for r := range a.starts {
		if mark[r] == 0 {
			if err := visit(int32(r)); err != nil {
				return err
			}
		}
	}
	return nil
}

// near is a node on the heap of findDistances.
type near struct {
	distance, node int32
	step           step
}

type nears []near

func (h nears) Len() int           { return len(h) }
func (h nears) Less(i, j int) bool { return h[i].distance < h[j].distance }
func (h nears) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *nears) Push(x any)        { *h = append(*h, x.(near)) }
func (h *nears) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

// findDistances finds the shortest way from every node to the end of its rule, by Knuth's generalization of Dijkstra's
// algorithm to grammars (1977).
func (a *automata) findDistances() {
	type before struct {
		node int32
		step step
	}
	back := make([][]before, len(a.nodes))
	callers := make([][]before, len(a.starts))
	ruleOf := map[int32][]int32{} // the rules that start at a node
	for r, s := range a.starts {
		ruleOf[s] = append(ruleOf[s], int32(r))
	}
	a.distance = make([]int32, len(a.nodes))
	a.step = make([]step, len(a.nodes))
	var h nears
	for i := range a.nodes {
		n := &a.nodes[i]
		a.distance[i] = far
		if n.accept {
			h = append(h, near{0, int32(i), step{}})
		}
		for k, e := range n.edges {
			back[e.to] = append(back[e.to], before{int32(i), step{'e', int32(k)}})
		}
		for k, m := range n.moves {
			back[m] = append(back[m], before{int32(i), step{'m', int32(k)}})
		}
		for k, c := range n.calls {
			b := before{int32(i), step{'c', int32(k)}}
			back[c.to] = append(back[c.to], b)
			callers[c.rule] = append(callers[c.rule], b)
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		x := heap.Pop(&h).(near)
		if a.distance[x.node] < far {
			continue
		}
		a.distance[x.node], a.step[x.node] = min(x.distance, far-1), x.step
		relax := func(b before) {
			if a.distance[b.node] < far {
				return
			}
			d := x.distance
			switch b.step.kind {
			case 'e':
				d++
			case 'c':
				c := a.nodes[b.node].calls[b.step.i]
				start, rest := a.distance[a.starts[c.rule]], a.distance[c.to]
				if start >= far || rest >= far {
					return
				}
				d = min(start+rest, far-1)
			}
			heap.Push(&h, near{min(d, far-1), b.node, b.step})
		}
		for _, b := range back[x.node] {
			relax(b)
		}
		for _, r := range ruleOf[x.node] {
			for _, b := range callers[r] {
				relax(b)
			}
		}
	}
}

// prune takes away what leads nowhere. The first steps of shortest ways keep their numbers, as those stay.
func (a *automata) prune() {
	for i := range a.nodes {
		n := &a.nodes[i]
		if a.distance[i] >= far {
			*n = node{plain: noPlain}
			continue
		}
		at := a.step[i]
		var edges []edge
		for k, e := range n.edges {
			if a.distance[e.to] < far {
				if at == (step{'e', int32(k)}) {
					a.step[i].i = int32(len(edges))
				}
				edges = append(edges, e)
			}
		}
		var moves []int32
		for k, m := range n.moves {
			if a.distance[m] < far {
				if at == (step{'m', int32(k)}) {
					a.step[i].i = int32(len(moves))
				}
				moves = append(moves, m)
			}
		}
		var calls []call
		for k, c := range n.calls {
			if a.distance[a.starts[c.rule]] < far && a.distance[c.to] < far {
				if at == (step{'c', int32(k)}) {
					a.step[i].i = int32(len(calls))
				}
				calls = append(calls, c)
			}
		}
		n.edges, n.moves, n.calls = edges, moves, calls
	}
}

// shortest appends the shortest text from a node to the end of its rule.
func (a *automata) shortest(dst []byte, n int32) []byte {
	for {
		switch s := a.step[n]; s.kind {
		case 'e':
			e := a.nodes[n].edges[s.i]
			dst = append(dst, e.lo)
			n = e.to
		case 'm':
			n = a.nodes[n].moves[s.i]
		case 'c':
			c := a.nodes[n].calls[s.i]
			dst = a.shortest(dst, a.starts[c.rule])
			n = c.to
		default:
			return dst
		}
	}
}
