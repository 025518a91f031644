package constrain

import (
	"errors"
	"fmt"
)

// And is the language of the texts that are in both languages. Whether a text can be finished is then looked for among
// a bounded number of ways; where none is found the token is not allowed.
func And(a, b *Language) *Language { return &Language{both: &[2]*Language{a, b}} }

// pair is the machine of two languages at once. Its payloads are pairs of states.
type pair struct{ a, b *engine }

type places struct{ a, b *state }

func (p pair) start() any { return places{p.a.first, p.b.first} }

func (p pair) step(payload any, b byte) (any, bool) {
	at := payload.(places)
	p.a.work, p.b.work = 0, 0
	next := places{p.a.step(at.a, b), p.b.step(at.b, b)}
	return next, next.a != p.a.dead && next.b != p.b.dead
}

func (p pair) end(payload any) bool {
	at := payload.(places)
	return at.a.end && at.b.end
}

// distance is at least that to the end of each.
func (p pair) distance(payload any) int32 {
	at := payload.(places)
	return max(at.a.distance, at.b.distance)
}

// bars reports whether those of the two that do not allow b bar it.
func (p pair) bars(payload any, b byte) bool {
	at := payload.(places)
	return (p.a.step(at.a, b) != p.a.dead || p.a.barred(at.a, b)) &&
		(p.b.step(at.b, b) != p.b.dead || p.b.barred(at.b, b))
}

// trouble gives what was too much in one of the two.
func (p pair) trouble() error {
	err := errors.Join(p.a.err, p.b.err)
	p.a.err, p.b.err = nil, nil
	return err
}

// engineOf makes the engine of a language for the tokens of v.
func engineOf(l *Language, v *Vocabulary) (*engine, error) {
	var e *engine
	switch {
	case l.both != nil:
		var p pair
		var err error
		if p.a, err = engineOf(l.both[0], v); err != nil {
			return nil, err
		}
		if p.b, err = engineOf(l.both[1], v); err != nil {
			return nil, err
		}
		e = newEngine(nil, p)
		e.bars = p.a.bars || p.b.bars
	case l.machine != nil:
		e = newEngine(nil, l.machine)
		_, e.bars = l.machine.(barring)
	default:
		a, err := build(l, &v.has)
		if err != nil {
			return nil, err
		}
		e = newEngine(a, nil)
	}
	return e, e.err
}

// Phrases says what a text must and must not contain, wherever the borders of its tokens are.
type Phrases struct {
	Required []string // each must be there, at any place; at most 16
	Banned   []string // none may be there
}

// Containing is the language of the texts that contain all required phrases and no banned one. Phrases are compared
// byte by byte. An empty phrase is an error, as is a required one that contains a banned one. A text does not end
// where it would go on with a banned phrase: see [Mask.Barred].
func Containing(p Phrases) (*Language, error) {
	if len(p.Required) > 16 {
		return nil, fmt.Errorf("constrain: %d phrases are required: give 16 at the most", len(p.Required))
	}
	m := &phraseMachine{all: 1<<len(p.Required) - 1}
	m.nodes = []phraseNode{{}}
	for i, s := range append(append([]string{}, p.Required...), p.Banned...) {
		if s == "" {
			return nil, errors.New("constrain: a phrase is empty")
		}
		if len(m.nodes)+len(s) > MostNodes {
			return nil, fmt.Errorf("constrain: the phrases are longer than %d bytes", MostNodes)
		}
		at := int32(0)
		for k := range len(s) {
			next := m.nodes[at].next[s[k]]
			if next == 0 {
				next = int32(len(m.nodes))
				m.nodes = append(m.nodes, phraseNode{})
				m.nodes[at].next[s[k]] = next
			}
			at = next
		}
		if i < len(p.Required) {
			m.nodes[at].found |= 1 << i
		} else {
			m.nodes[at].banned = true
		}
	}
	// Where another byte comes, go on at the longest end that begins a phrase (Aho and Corasick 1975).
	fall := make([]int32, len(m.nodes))
	var queue []int32
	for _, n := range m.nodes[0].next {
		if n != 0 {
			queue = append(queue, n)
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		n := &m.nodes[at]
		f := &m.nodes[fall[at]]
		n.found |= f.found
		n.banned = n.banned || f.banned
		for b, to := range n.next {
			if to == 0 {
				n.next[b] = f.next[b]
				continue
			}
			fall[to] = f.next[b]
			queue = append(queue, to)
		}
	}
	for _, s := range p.Required {
		at := phrasePlace{}
		for k := range len(s) {
			next, ok := m.step(at, s[k])
			if !ok {
				return nil, fmt.Errorf("constrain: %q is required, and contains a phrase that is banned", s)
			}
			at = next.(phrasePlace)
		}
	}
	return &Language{machine: m}, nil
}

// phraseMachine is an automaton of Aho and Corasick with what was found so far.
type phraseMachine struct {
	nodes []phraseNode
	all   uint32
}

type phraseNode struct {
	next   [256]int32
	found  uint32 // required phrases that end here
	banned bool
}

type phrasePlace struct {
	node  int32
	found uint32
}

func (m *phraseMachine) start() any { return phrasePlace{} }

func (m *phraseMachine) step(payload any, b byte) (any, bool) {
	at := payload.(phrasePlace)
	n := m.nodes[at.node].next[b]
	return phrasePlace{n, at.found | m.nodes[n].found}, !m.nodes[n].banned
}

// bars reports that no byte is not allowed but for a banned phrase.
func (m *phraseMachine) bars(any, byte) bool { return true }

func (m *phraseMachine) end(payload any) bool { return payload.(phrasePlace).found == m.all }
