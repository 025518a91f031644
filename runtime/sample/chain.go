package sample

import (
	"cmp"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/kernel"
)

// Candidate is a token that may come next.
type Candidate struct {
	Token int32
	Logit float32
	prob  float32
	rank  float32 // what Typical sorts by
}

// Candidates are the tokens that may come next. A processor changes logits in place, or removes candidates by
// reslicing List.
type Candidates struct {
	List   []Candidate
	Sorted bool        // the list is sorted by falling logit; a processor that changes logits must reset it
	store  []Candidate // of the whole vocabulary, which List is a part of
	logits []float32   // working space
}

// Processor shapes the distribution of the next token. recent are the last tokens, oldest first, no more than the
// penalty window has; it is empty unless the sampler was made with a penalty or a processor of the caller's.
type Processor interface {
	Apply(c *Candidates, recent []int32)
}

// fill makes all tokens candidates. It reports whether their logits are numbers, or -Inf.
func (c *Candidates) fill(logits []float32) bool {
	c.List, c.Sorted = c.store, false
	fine := true
	for i, x := range logits {
		c.List[i] = Candidate{Token: int32(i), Logit: x}
		fine = fine && x <= math.MaxFloat32 // not for NaN
	}
	return fine
}

// Sort sorts the list by falling logit, equal ones by token.
func (c *Candidates) Sort() { c.top(len(c.List), math.Inf(1)) }

// few is the share of the candidates from which on they are not looked through for the likeliest, but made a heap.
const few = 16

// best keeps the n likeliest candidates, sorted, of many: a heap of those that were found has the unlikeliest in front,
// which few of the others come before.
func (c *Candidates) best(n int) {
	h := c.List[:n]
	for i := n/2 - 1; i >= 0; i-- {
		siftLast(h, i)
	}
	for i := n; i < len(c.List); i++ {
		if y := &c.List[i]; before(y, &h[0]) {
			h[0] = *y
			siftLast(h, 0)
		}
	}
	for end := n - 1; end > 0; end-- {
		h[0], h[end] = h[end], h[0]
		siftLast(h[:end], 0)
	}
	c.List, c.Sorted = h, true
}

// siftLast is sift for a heap whose first element comes last in a sorted list.
func siftLast(h []Candidate, i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && before(&h[child], &h[child+1]) {
			child++
		}
		if !before(&h[i], &h[child]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// tail leaves out candidates that are so unlikely that all of them together are less than half of what lies beyond
// mass: they cannot be among the likeliest that add up to it.
func (c *Candidates) tail(mass float64) {
	limit := float32((1 - mass) / 2 / float64(len(c.List)))
	kept := c.List[:0]
	for _, y := range c.List {
		if y.prob >= limit {
			kept = append(kept, y)
		}
	}
	c.List = kept
}

// top keeps the likeliest candidates, sorted: n of them, or fewer when their probabilities add up to mass before that.
// It takes them off a heap, which is much faster than sorting a large vocabulary for a few of it.
func (c *Candidates) top(n int, mass float64) {
	if !c.Sorted && n > 0 && n <= len(c.List)/few && mass > 1 {
		c.best(n)
		return
	}
	if !c.Sorted && mass < 1 {
		c.tail(mass)
	}
	h, total, count := c.List, 0.0, 0
	n = min(n, len(h))
	if c.Sorted {
		for ; count < n && total < mass; count++ {
			total += float64(h[count].prob)
		}
		c.List = h[:count]
		return
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		sift(h, i)
	}
	end := len(h)
	for ; count < n && total < mass; count++ {
		end--
		h[0], h[end] = h[end], h[0]
		sift(h[:end], 0)
		total += float64(h[end].prob)
	}
	c.List, c.Sorted = h[end:], true
	slices.Reverse(c.List)
}

// before reports whether a comes first in a sorted list.
func before(a, b *Candidate) bool {
	return a.Logit > b.Logit || a.Logit == b.Logit && a.Token < b.Token
}

// sift moves element i of a heap down to its place.
func sift(h []Candidate, i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && before(&h[child+1], &h[child]) {
			child++
		}
		if !before(&h[child], &h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

func byRank(a, b Candidate) int {
	if a.rank != b.rank {
		return cmp.Compare(a.rank, b.rank)
	}
	return cmp.Compare(a.Token, b.Token)
}

// softmax sets the probabilities. Kernels compute it, so the bits are the same on every machine.
func (c *Candidates) softmax() {
	x := c.logits[:len(c.List)]
	for i, y := range c.List {
		x[i] = y.Logit
	}
	kernel.Softmax(x, x, 1, len(x))
	for i, p := range x {
		c.List[i].prob = p
	}
}

// mass cuts the list after the candidates whose probabilities add up to p, in their order, and keeps at least one.
func (c *Candidates) mass(p float64) {
	total := 0.0
	for i, y := range c.List {
		if total += float64(y.prob); total >= p {
			c.List = c.List[:i+1]
			return
		}
	}
}

type biasing struct {
	add []float32 // for each token; -Inf for a banned one
}

func (b *biasing) Apply(c *Candidates, _ []int32) {
	for i := range c.List {
		c.List[i].Logit += b.add[c.List[i].Token]
	}
	c.Sorted = false
}

type penalties struct {
	repetition, frequency, presence float32
	counts                          []int32 // for each token
}

func (p *penalties) Apply(c *Candidates, recent []int32) {
	for _, t := range recent {
		p.counts[t]++
	}
	for i := range c.List {
		y := &c.List[i]
		n := p.counts[y.Token]
		if n == 0 {
			continue
		}
		if y.Logit > 0 {
			y.Logit /= p.repetition
		} else {
			y.Logit *= p.repetition
		}
		y.Logit -= float32(float32(n)*p.frequency) + p.presence
	}
	for _, t := range recent {
		p.counts[t] = 0
	}
	c.Sorted = false
}

type topK int

func (k topK) Apply(c *Candidates, _ []int32) {
	if int(k) < len(c.List) {
		c.top(int(k), math.Inf(1))
	}
}

type topP float64

func (p topP) Apply(c *Candidates, _ []int32) {
	c.softmax()
	c.top(len(c.List), float64(p))
}

type minP float64

func (p minP) Apply(c *Candidates, _ []int32) {
	c.softmax()
	var top float32
	for _, y := range c.List {
		top = max(top, y.prob)
	}
	limit := float32(p) * top
	kept := c.List[:0]
	for _, y := range c.List {
		if y.prob >= limit {
			kept = append(kept, y)
		}
	}
	c.List = kept
}

type typical float64

func (p typical) Apply(c *Candidates, _ []int32) {
	c.softmax()
	// information = -log p, which entropy leaves in c.logits; entropy = Σ p·information
	x, entropy := c.logits[:len(c.List)], c.entropy()
	for i := range c.List {
		c.List[i].rank = float32(math.Abs(-float64(x[i]) - entropy))
	}
	slices.SortFunc(c.List, byRank)
	c.Sorted = false
	c.mass(float64(p))
}

type temperature float32

func (t temperature) Apply(c *Candidates, _ []int32) {
	if t == 1 {
		return
	}
	// Near 0 the quotients leave the range of float32. Only differences of logits matter, and those to the largest stay
	// in it or become -Inf.
	shift := float32(0)
	top := float32(math.Inf(-1))
	for _, y := range c.List {
		top = max(top, y.Logit)
	}
	if q := top / float32(t); math.IsInf(float64(q), 0) && !math.IsInf(float64(top), 0) {
		shift = top
	}
	for i := range c.List {
		c.List[i].Logit = (c.List[i].Logit - shift) / float32(t)
	}
}
