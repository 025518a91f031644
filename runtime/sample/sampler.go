package sample

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Sampler picks tokens from logits, one after the other. It is for one text: it remembers what it has seen. It is not
// safe for concurrent use.
//
// The processors run in this order, those that are not set being left out: bias and banned tokens, penalties, top-k,
// typical, top-p, min-p, the caller's own, temperature. So the cuts look at the model's own probabilities, and the
// temperature shapes what they leave. [Order] changes it.
type Sampler struct {
	chain      []Processor
	greedy     bool
	candidates Candidates
	recent     []int32 // the last tokens, at the end of the slice; moved to the front when it is full
	window     int
	key        uint64
	drawn      uint64
	u          [1]float32
}

// NewSampler makes a sampler for a vocabulary of the given size, or tells which option is wrong.
func NewSampler(vocab int, opts ...Option) (*Sampler, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	return c.sampler(vocab)
}

func (c *config) sampler(vocab int) (*Sampler, error) {
	if vocab < 1 {
		return nil, fmt.Errorf("sample: a vocabulary of %d tokens", vocab)
	}
	s := &Sampler{greedy: c.temperature == 0, key: c.seed}
	if !c.seeded {
		s.key = rand.Uint64()
	}
	s.key = model.Key(s.key)
	set := map[string][]Processor{"custom": c.custom}
	if len(c.bias) > 0 || len(c.banned) > 0 {
		b := &biasing{add: make([]float32, vocab)}
		for t, x := range c.bias {
			if t < 0 || int(t) >= vocab {
				return nil, fmt.Errorf("sample: logit bias of token %d: tokens are 0 to %d", t, vocab-1)
			}
			b.add[t] = float32(x)
		}
		for _, t := range c.banned {
			if t < 0 || int(t) >= vocab {
				return nil, fmt.Errorf("sample: token %d is banned: tokens are 0 to %d", t, vocab-1)
			}
			b.add[t] = float32(math.Inf(-1))
		}
		set["bias"] = []Processor{b}
	}
	penalise := c.repetition != 1 || c.frequency != 0 || c.presence != 0
	if penalise {
		set["penalties"] = []Processor{&penalties{float32(c.repetition), float32(c.frequency), float32(c.presence), make([]int32, vocab)}}
	}
	if penalise || len(c.custom) > 0 {
		s.window = c.window
		s.recent = make([]int32, 0, 2*c.window+64)
	}
	if c.topK > 0 && c.topK < vocab {
		set["top_k"] = []Processor{topK(c.topK)}
	}
	if c.typical < 1 {
		set["typical"] = []Processor{typical(c.typical)}
	}
	if c.topP < 1 {
		set["top_p"] = []Processor{topP(c.topP)}
	}
	if c.minP > 0 {
		set["min_p"] = []Processor{minP(c.minP)}
	}
	if c.temperature != 1 && !s.greedy {
		set["temperature"] = []Processor{temperature(c.temperature)}
	}
	order := c.order
	if order == nil {
		order = names
	}
	for _, name := range order {
		s.chain = append(s.chain, set[name]...)
	}
	s.candidates = Candidates{store: make([]Candidate, vocab), logits: make([]float32, vocab)}
	return s, nil
}

// Accept tells the sampler of a token that was written: one of the prompt, or one that Next picked.
func (s *Sampler) Accept(token int32) {
	if s.window == 0 {
		return
	}
	if len(s.recent) == cap(s.recent) {
		n := copy(s.recent, s.recent[len(s.recent)-s.window:])
		s.recent = s.recent[:n]
	}
	s.recent = append(s.recent, token)
}

// Errors of Next.
var (
	ErrNotFinite   = errors.New("sample: the model's logits are not finite; its parameters are damaged or its training went wrong")
	ErrNoCandidate = errors.New("sample: no token is left to choose from; ban fewer, or loosen the processors")
)

// Next picks the token that follows, from the logits of the whole vocabulary, which it does not change. It allocates
// nothing.
func (s *Sampler) Next(logits []float32) (int32, error) {
	c := &s.candidates
	if len(logits) != len(c.store) {
		return 0, fmt.Errorf("sample: %d logits, the sampler is for a vocabulary of %d", len(logits), len(c.store))
	}
	if !c.fill(logits) {
		return 0, ErrNotFinite
	}
	recent := s.recent[max(0, len(s.recent)-s.window):]
	for _, p := range s.chain {
		p.Apply(c, recent)
		if len(c.List) == 0 {
			return 0, ErrNoCandidate
		}
	}
	if s.greedy {
		return s.likeliest()
	}
	c.softmax()
	total := 0.0
	for _, y := range c.List {
		total += float64(y.prob)
	}
	if !(total > 0) {
		return 0, ErrNoCandidate
	}
	kernel.Uniform(s.u[:], s.key, s.drawn, 1)
	s.drawn++
	limit := float64(s.u[0]) * total
	sum, last := 0.0, int32(0)
	for _, y := range c.List {
		if y.prob == 0 {
			continue
		}
		last = y.Token
		if sum += float64(y.prob); limit < sum {
			break
		}
	}
	return last, nil
}

func (s *Sampler) likeliest() (int32, error) {
	best := Candidate{Token: -1, Logit: float32(math.Inf(-1))}
	for _, y := range s.candidates.List {
		if y.Logit > best.Logit || y.Logit == best.Logit && best.Token >= 0 && y.Token < best.Token {
			best = y
		}
	}
	if best.Token < 0 {
		return 0, ErrNoCandidate
	}
	return best.Token, nil
}
