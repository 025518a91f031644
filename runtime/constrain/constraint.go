package constrain

import (
	"fmt"
	"math"
	"math/bits"
	"sync"
	"unicode/utf8"
)

const defaultMemory = 64 << 20

// A Constraint is a language for the tokens of a vocabulary. Any number of texts may be written under it, by several
// goroutines at once, which wait for each other while masks are looked up.
type Constraint struct {
	mu         sync.Mutex
	engine     *engine
	vocabulary *Vocabulary
	// free tells that all bytes of the language are tokens, so that what can be finished in bytes can be in tokens.
	free bool
	path []*state // working space of walks
	seen *trie    // of the vocabulary, as the language sees it; nil before it is asked for
}

// Compile makes the constraint of a language. It tells what is wrong: a rule that begins with itself, a language that
// is too large, or one of which the vocabulary can write no text.
func (l *Language) Compile(v *Vocabulary) (*Constraint, error) {
	if v.before != "" || v.behind != "" {
		var err error
		if l, err = framed(l, v.before, v.behind); err != nil {
			return nil, err
		}
	}
	e, err := engineOf(l, v)
	if err != nil {
		return nil, err
	}
	c := &Constraint{vocabulary: v, engine: e, free: e.automata != nil}
	if e.automata != nil {
		for i := range e.automata.nodes {
			for _, x := range e.automata.nodes[i].edges {
				for b := int(x.lo); b <= int(x.hi); b++ {
					c.free = c.free && v.single[b]
				}
			}
		}
	}
	c.path = make([]*state, max(v.all.depth, v.other.depth)+2)
	if !c.free {
		if c.tokensToEnd(c.engine.first) >= far {
			return nil, fmt.Errorf("constrain: no text of the language was found that can be written with the tokens " +
				"of this vocabulary")
		}
	}
	return c, nil
}

// SetMemory says how many bytes of states and masks the constraint remembers, about. When there are more it forgets all
// of them but those that texts are in. The default is 64 MiB. One walk over the vocabulary may need more.
func (c *Constraint) SetMemory(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.engine.most = max(bytes, 1<<16)
}

// Vocabulary is what the constraint was made for.
func (c *Constraint) Vocabulary() *Vocabulary { return c.vocabulary }

// Start is the state of a text that has not begun.
func (c *Constraint) Start() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return State{c, c.engine.first}
}

// A State is how far a text has come. The zero value is not usable: see [Constraint.Start].
type State struct {
	c *Constraint
	s *state
}

// A Mask is a set of tokens. It must not be changed.
type Mask struct {
	Bits []uint64 // token t is allowed if bit t%64 of element t/64 is set
	Len  int      // number of tokens that are allowed

	only     int32
	farthest int32    // the largest distance to the end behind an allowed token
	barred   []uint64 // tokens that may neither come next nor end the text; nil for none
}

// Has reports whether a token is allowed.
func (m *Mask) Has(token int32) bool {
	return token >= 0 && int(token)/64 < len(m.Bits) && m.Bits[token/64]>>(token%64)&1 != 0
}

// Barred reports whether a token is not allowed for what the text must not contain, and not because the language has
// its end in front of it: see [Containing]. Where a text ends before a token that leaves the language, it does not end
// before this one.
func (m *Mask) Barred(token int32) bool {
	return token >= 0 && int(token)/64 < len(m.barred) && m.barred[token/64]>>(token%64)&1 != 0
}

// Only gives the token that is allowed where there is just one.
func (m *Mask) Only() (token int32, ok bool) { return m.only, m.Len == 1 }

// seal counts the tokens.
func (m *Mask) seal() *Mask {
	m.Len, m.only = 0, -1
	for i, x := range m.Bits {
		if x != 0 {
			m.Len += bits.OnesCount64(x)
			m.only = int32(64*i + bits.TrailingZeros64(x))
		}
	}
	return m
}

// CanEnd reports whether the text may end here.
func (s State) CanEnd() bool { return s.s.end }

// Left is the most bytes that it takes to end the text from here, the shortest way, or −1 where that is not known, as
// for the language of a function.
func (s State) Left() int {
	if s.s.distance >= far {
		return -1
	}
	return int(s.s.distance)
}

// Next is the state after a token. A token that is not allowed is an error.
func (s State) Next(token int32) (State, error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim()
	if token < 0 || int(token) >= c.vocabulary.size || len(c.vocabulary.bytes[token]) == 0 {
		return s, fmt.Errorf("constrain: token %d is no text", token)
	}
	at := s.s
	for _, b := range c.vocabulary.bytes[token] {
		at = c.engine.step(at, b)
		if err := c.failed(); err != nil {
			return s, err
		}
		if at == c.engine.dead {
			return s, fmt.Errorf("constrain: token %d, %q, leaves the language", token, c.vocabulary.bytes[token])
		}
	}
	return State{c, at}, nil
}

// Allowed gives the tokens that may come next. left is how many tokens may still be written, this one included: only
// tokens are allowed after which the rest of a text fits. Below 0 there is no limit. An empty mask means that the text
// is at its end, or, where [State.CanEnd] does not hold, that left is too few.
func (s State) Allowed(left int) (*Mask, error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim()
	m, err := c.mask(s.s)
	if err != nil || left < 0 || int(m.farthest) < left {
		return m, err
	}
	return c.near(s.s, left)
}

// TokensLeft is the most tokens that it takes to end the text from here, the shortest way that was found, or −1 where
// none was. As long as Allowed is told that many or more, it allows tokens.
func (s State) TokensLeft() int {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim()
	n := c.tokensToEnd(s.s)
	if c.failed() != nil || n >= far {
		return -1
	}
	return int(n)
}

// trim forgets when too much is remembered, and begins to count the work anew.
func (c *Constraint) trim() {
	c.engine.work = 0
	if e := c.engine; e.used > e.most {
		e.forget()
	}
}

// failed gives the error of a step that was too much, once.
func (c *Constraint) failed() error {
	err := c.engine.err
	c.engine.err = nil
	return err
}

// mask finds the tokens that may follow s.
func (c *Constraint) mask(s *state) (*Mask, error) {
	if s.mask != nil {
		return s.mask, nil
	}
	v := c.vocabulary
	m := &Mask{Bits: make([]uint64, (v.size+63)/64)}
	visit := func(to *state, t *trie, i int32) {
		if !c.free && c.tokensToEnd(to) >= far {
			return
		}
		m.farthest = max(m.farthest, c.bound(to))
		m.add(t, i)
	}
	n := 0 // plain characters that may follow in any order
	if c.free && len(v.plain) > 0 && s.items != nil {
		n = c.plain(s)
	}
	k := 0
	for k < len(v.plain) && v.plain[k].chars <= n {
		k++
	}
	if k > 0 {
		copy(m.Bits, v.plain[k-1].upTo)
		m.farthest = s.peak
		c.walk(v.other, s, visit)
		for ; k < len(v.plain) && !s.closed; k++ {
			c.walk(v.plain[k].more, s, visit)
		}
	} else {
		c.walk(c.trie(), s, visit)
	}
	if c.engine.bars {
		m.barred = c.barred(s)
	}
	if err := c.failed(); err != nil {
		return nil, err
	}
	s.mask = m.seal()
	c.engine.used += 8*len(m.Bits) + 64
	return s.mask, nil
}

// barred finds the tokens that are not allowed behind s for what the text must not contain.
func (c *Constraint) barred(s *state) []uint64 {
	e, t := c.engine, c.vocabulary.all
	var out Mask
	c.path[0] = s
	for i := 0; i < len(t.nodes); {
		n := &t.nodes[i]
		from := c.path[n.depth]
		to := e.step(from, n.b)
		if to != e.dead {
			c.path[n.depth+1] = to
			i++
			continue
		}
		if e.barred(from, n.b) {
			if out.Bits == nil {
				out.Bits = make([]uint64, (c.vocabulary.size+63)/64)
				e.used += 8 * len(out.Bits)
			}
			for k := i; k < int(n.skip); k++ {
				if t.nodes[k].token >= 0 {
					out.add(t, int32(k))
				}
			}
		}
		i = int(n.skip)
	}
	return out.Bits
}

// trie is that of the vocabulary as the language sees it.
func (c *Constraint) trie() *trie {
	if c.seen == nil {
		if c.seen = c.vocabulary.all; c.engine.machine == nil {
			c.seen = c.vocabulary.classes(&c.engine.classOf, c.engine.classes)
		}
	}
	return c.seen
}

func (m *Mask) set(token int32) { m.Bits[token/64] |= 1 << (token % 64) }

// walk calls visit for every token that the language allows behind s, with the state after it.
func (c *Constraint) walk(t *trie, s *state, visit func(to *state, t *trie, i int32)) {
	e := c.engine
	path := c.path
	path[0] = s
	for i := 0; i < len(t.nodes); {
		n := &t.nodes[i]
		from := path[n.depth]
		var to *state
		if from.next != nil {
			to = from.next[e.classOf[n.b]]
		}
		if to == nil {
			to = e.step(from, n.b)
		}
		if to == e.dead {
			i = int(n.skip)
			continue
		}
		path[n.depth+1] = to
		if n.token >= 0 {
			visit(to, t, int32(i))
		}
		i++
	}
}

// bound is the most tokens that it takes to end behind s, as far as that costs nothing to know.
func (c *Constraint) bound(s *state) int32 {
	if !c.free {
		return c.tokensToEnd(s)
	}
	if s.tokens > 0 {
		return s.tokens
	}
	return s.distance
}

// near finds the tokens that may follow s when left tokens may be written.
func (c *Constraint) near(s *state, left int) (*Mask, error) {
	if m := s.near[left]; m != nil {
		return m, nil
	}
	m := &Mask{Bits: make([]uint64, (c.vocabulary.size+63)/64), farthest: int32(max(0, left-1)), barred: s.mask.barred}
	if left > 0 {
		c.walk(c.trie(), s, func(to *state, t *trie, i int32) {
			if int(c.bound(to)) >= left && int(c.tokensToEnd(to)) >= left {
				return
			}
			m.add(t, i)
		})
		if err := c.failed(); err != nil {
			return nil, err
		}
	}
	if s.near == nil {
		s.near = map[int]*Mask{}
	}
	s.near[left] = m.seal()
	c.engine.used += 8*len(m.Bits) + 96
	return m, nil
}

// plain counts how many plain characters, in any order, may follow s, up to most of a token. It sets s.peak to the
// largest distance of the states that they lead to, and s.closed where behind so many of them no other may follow.
func (c *Constraint) plain(s *state) int {
	if s.plain >= 0 {
		return int(s.plain)
	}
	most := c.vocabulary.plain[len(c.vocabulary.plain)-1].chars
	seen := map[*state]int{s: 0} // behind how many characters
	level := []*state{s}
	n, returns := 0, false
	for n < most && len(level) > 0 && len(seen) <= 64 {
		var next []*state
		fine, none := true, !returns
		for _, at := range level {
			to, ok := c.afterChar(at)
			if none = none && !c.anyPlain(at); !ok {
				fine = false
				continue
			}
			for _, x := range to {
				if at, ok := seen[x]; !ok {
					seen[x] = n + 1
					next = append(next, x)
				} else if at <= n {
					returns = true
				}
			}
		}
		if !fine {
			s.closed = none
			break
		}
		n++
		// Characters that lead back to states that are known go on as those do.
		if level = next; len(level) == 0 {
			n = most
		}
	}
	for x := range seen {
		s.peak = max(s.peak, x.distance)
	}
	if c.engine.err == nil {
		s.plain = int16(min(n, math.MaxInt16))
	}
	return n
}

// anyPlain reports whether any plain character may begin behind s.
func (c *Constraint) anyPlain(s *state) bool {
	for _, x := range s.items {
		if c.engine.automata.nodes[x.node].plain != noPlain {
			return true
		}
	}
	return false
}

// following are the ranges of the bytes of characters beyond ASCII.
var following = func() (out [][]span) {
	return encodings(nil, utf8.RuneSelf, utf8.MaxRune)
}()

// afterChar gives the states after each plain character, and reports whether all of them may follow.
func (c *Constraint) afterChar(s *state) ([]*state, bool) {
	if s.chars != nil {
		return s.chars, len(s.chars) > 0
	}
	e := c.engine
	if to, ok := e.plainStep(s); ok {
		s.chars = []*state{}
		if to != nil {
			s.chars = append(s.chars, to)
		}
		return s.chars, to != nil
	}
	seen := map[*state]bool{}
	out := []*state{}
	var read func(at *state, spans []span) bool
	read = func(at *state, spans []span) bool {
		if len(spans) == 0 {
			if !seen[at] {
				seen[at] = true
				out = append(out, at)
			}
			return true
		}
		last := -1
		for b := int(spans[0].lo); b <= int(spans[0].hi); b++ {
			if !c.vocabulary.has[b] || int(e.classOf[b]) == last {
				continue
			}
			last = int(e.classOf[b])
			to := e.step(at, byte(b))
			if to == e.dead || !read(to, spans[1:]) {
				return false
			}
		}
		return true
	}
	ok := read(s, []span{{' ', '!'}}) && read(s, []span{{'#', '['}}) && read(s, []span{{']', '~'}})
	for _, spans := range following {
		ok = ok && read(s, spans)
	}
	if !ok {
		out = []*state{}
	}
	if e.err == nil {
		s.chars = out
		e.used += 8 * len(out)
	}
	return out, ok
}

// searched bounds how many states are looked through for a way to the end.
const searched = 2000

// tokensToEnd is how many tokens it takes at most to end behind s; far where no way was found. The states on the way
// that was found know that they are on it, so that a text that follows masks step by step can always take it.
func (c *Constraint) tokensToEnd(s *state) int32 {
	if s.end {
		return 0
	}
	if s.tokens > 0 {
		return s.tokens
	}
	if e := c.engine; e.machine == nil && s.distance < 1<<14 {
		if way, ok := c.tokensFor(e.shortest(s)); ok {
			at := s
			for i, token := range way {
				at.lower(int32(len(way) - i))
				for _, b := range c.vocabulary.bytes[token] {
					at = e.step(at, b)
				}
				if e.err != nil {
					break
				}
			}
			return s.tokens
		}
	}
	if c.free {
		return s.distance
	}
	return c.search(s)
}

// lower tells s that n tokens are enough.
func (s *state) lower(n int32) {
	if !s.end && (s.tokens == 0 || s.tokens > n) {
		s.tokens, s.near = n, nil
	}
}

// tokensFor gives the fewest tokens that make a text, if there are any.
func (c *Constraint) tokensFor(text []byte) ([]int32, bool) {
	type choice struct {
		count, token int32
	}
	best := make([]choice, len(text)+1)
	for i := len(text) - 1; i >= 0; i-- {
		best[i].count = far
		t := c.vocabulary.all
		// Down the trie along the text.
		for at, end, d := 0, len(t.nodes), i; d < len(text) && at < end; {
			n := &t.nodes[at]
			if n.b != text[d] {
				at = int(n.skip)
				continue
			}
			d++
			if n.token >= 0 && best[d].count+1 < best[i].count {
				best[i] = choice{best[d].count + 1, n.token}
			}
			end = int(n.skip)
			at++
		}
	}
	if best[0].count >= far {
		return nil, false
	}
	var way []int32
	for i := 0; i < len(text); {
		way = append(way, best[i].token)
		i += len(c.vocabulary.bytes[best[i].token])
	}
	return way, true
}

// search looks for a way from s to the end, token by token, first where it is nearest in bytes.
func (c *Constraint) search(s *state) int32 {
	type place struct {
		s        *state
		from     int
		distance int32
	}
	places := []place{{s: s, from: -1}}
	seen := map[*state]bool{s: true}
	path := c.path
	defer func() { c.path = path }()
	c.path = make([]*state, len(path))
	open := []int{0}
	for count := 0; len(open) > 0 && count < searched && c.engine.err == nil; count++ {
		// Of equals the oldest, so that a language whose distances are not known is searched breadth first.
		k := 0
		for i := range open {
			if places[open[i]].distance < places[open[k]].distance {
				k = i
			}
		}
		at := open[k]
		open = append(open[:k], open[k+1:]...)
		found := -1
		c.walk(c.trie(), places[at].s, func(to *state, _ *trie, _ int32) {
			if found >= 0 || seen[to] {
				return
			}
			seen[to] = true
			p := place{s: to, from: at}
			if c.engine.machine == nil {
				p.distance = to.distance
			} else if m, ok := c.engine.machine.(measured); ok {
				p.distance = m.distance(to.payload)
			}
			places = append(places, p)
			open = append(open, len(places)-1)
			if to.end || to.tokens > 0 && to.tokens < far {
				found = len(places) - 1
			}
		})
		if found < 0 {
			continue
		}
		steps := places[found].s.tokens // 0 at the end
		for i := places[found].from; i >= 0; i = places[i].from {
			steps++
			places[i].s.lower(steps)
		}
		return s.tokens
	}
	if len(open) == 0 && c.engine.err == nil {
		// All that can be reached was looked at: none of it leads to the end.
		for at := range seen {
			at.tokens = far
		}
	}
	s.tokens = far
	return far
}
