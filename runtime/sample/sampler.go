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
// The processors run in this order, those that are not set being left out: the constraint, bias and banned tokens,
// penalties, dry, no-repeat, top-k, typical, top-p, min-p, epsilon, eta, xtc, the caller's own, temperature, mirostat.
// So the cuts look at the model's own probabilities, and the temperature shapes what they leave. [Order] changes it.
type Sampler struct {
	chain      []Processor
	whole      []bool // of the chain: the processor looks at all that is kept and not at the penalty window
	under      *under // the constraint; nil for none
	mirostat   *mirostat
	minTokens  int
	end        int32 // token that ends a text, or -1
	written    int
	greedy     bool
	candidates Candidates
	recent     []int32 // the last tokens, at the end of the slice; moved to the front when it is full
	keep       int     // how many are kept
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
	s := &Sampler{greedy: float32(c.temperature) == 0, key: c.seed, minTokens: c.minTokens, end: c.end}
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
		set["penalties"] = []Processor{&penalties{float32(c.repetition), float32(c.frequency), float32(c.presence),
			make([]int32, vocab)}}
	}
	if penalise || len(c.custom) > 0 {
		s.window = c.window
		s.keep = c.window
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
	if err := c.shape(s, set, vocab); err != nil {
		return nil, err
	}
	s.recent = make([]int32, 0, 2*s.keep+64)
	order := c.order
	if order == nil {
		order = names
	}
	for _, name := range order {
		for _, p := range set[name] {
			s.chain = append(s.chain, p)
			s.whole = append(s.whole, name == "dry" || name == "no_repeat")
		}
	}
	s.candidates = Candidates{store: make([]Candidate, vocab), logits: make([]float32, vocab)}
	return s, nil
}

// Accept tells the sampler of a token that was written: one of the prompt, or one that Next picked.
func (s *Sampler) Accept(token int32) {
	if s.keep == 0 {
		return
	}
	if len(s.recent) == cap(s.recent) {
		n := copy(s.recent, s.recent[len(s.recent)-s.keep:])
		s.recent = s.recent[:n]
	}
	s.recent = append(s.recent, token)
}

// Errors of Next.
var (
	ErrNotFinite = errors.New("sample: the model's logits are not finite; its parameters are damaged or its " +
		"training went wrong")
	ErrNoCandidate = errors.New("sample: no token is left to choose from; ban fewer, or loosen the processors")
)

// Next picks the token that follows, from the logits of the whole vocabulary, which it does not change. Without a
// constraint it allocates nothing. Under a constraint the error is [ErrEnd] where the text is at its end.
func (s *Sampler) Next(logits []float32) (int32, error) {
	if s.greedy && len(s.chain) == 0 && s.under == nil && !(s.end >= 0 && s.written < s.minTokens) &&
		len(logits) == len(s.candidates.store) {
		token, err := largest(logits)
		if err == nil {
			s.written++
		}
		return token, err
	}
	if err := s.shape(logits); err != nil {
		return 0, err
	}
	token, err := s.pick()
	if err != nil {
		return 0, err
	}
	s.written++
	return token, s.under.take(s, token)
}

// shape makes the candidates of logits what the options make of them.
func (s *Sampler) shape(logits []float32) error {
	c := &s.candidates
	if len(logits) != len(c.store) {
		return fmt.Errorf("sample: %d logits, the sampler is for a vocabulary of %d", len(logits), len(c.store))
	}
	if !c.fill(logits) {
		return ErrNotFinite
	}
	if err := s.under.apply(s, c); err != nil {
		return err
	}
	if s.under == nil && s.end >= 0 && s.written < s.minTokens {
		c.remove(s.end)
	}
	recent := s.recent[max(0, len(s.recent)-s.window):]
	whole := s.recent[max(0, len(s.recent)-s.keep):]
	for i, p := range s.chain {
		if s.whole[i] {
			p.Apply(c, whole)
		} else {
			p.Apply(c, recent)
		}
		if len(c.List) == 0 {
			return ErrNoCandidate
		}
	}
	return nil
}

// uniform draws the next number from 0 to 1.
func (s *Sampler) uniform() float64 {
	kernel.Uniform(s.u[:], s.key, s.drawn, 1)
	s.drawn++
	return float64(s.u[0])
}

// pick draws one of the candidates.
func (s *Sampler) pick() (int32, error) {
	if s.greedy {
		return s.likeliest()
	}
	c := &s.candidates
	c.softmax()
	if s.mirostat != nil {
		s.mirostat.cut(c)
	}
	total := 0.0
	for _, y := range c.List {
		total += float64(y.prob)
	}
	if !(total > 0) {
		return 0, ErrNoCandidate
	}
	limit := s.uniform() * total
	sum := 0.0
	var last Candidate
	for _, y := range c.List {
		if y.prob == 0 {
			continue
		}
		last = y
		if sum += float64(y.prob); limit < sum {
			break
		}
	}
	if s.mirostat != nil {
		s.mirostat.learn(float64(last.prob) / total)
	}
	return last.Token, nil
}

// largest is the token of the largest logit, the first of equals.
func largest(logits []float32) (int32, error) {
	best, at := float32(math.Inf(-1)), int32(-1)
	for i, x := range logits {
		if !(x <= best) { // or NaN
			if !(x <= math.MaxFloat32) {
				return 0, ErrNotFinite
			}
			best, at = x, int32(i)
		}
	}
	if at < 0 {
		return 0, ErrNoCandidate
	}
	return at, nil
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
