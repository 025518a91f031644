package sample

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// control is what the options of this file add up to.
type control struct {
	constraint *constrain.Constraint
	end        int32 // token that ends a text, or -1
	minTokens  int

	dry         float64
	dryBase     float64
	dryAllowed  int
	dryBreakers []string
	noRepeat    int
	epsilon     float64
	eta         float64
	xtcChance   float64
	xtcLimit    float64
	dynamic     float64
	exponent    float64
	tau, rate   float64 // of mirostat
	banks       bool
	groups      int
	diversity   float64

	voices []other // that are heard beside the model
	judges []judging

	pieces   func(token int32) string // of the tokenizer, where there is one
	tok      text.Tokenizer           // that one
	logProbs bool
	best     int // likeliest tokens that are told of each

	watch func(logits []float32, token int32) // told the model's own logits and what was picked
}

func newControl() control {
	return control{end: -1, dryBase: DefaultDRYBase, dryAllowed: DefaultDRYAllowed,
		dryBreakers: []string{"\n", ":", "\"", "*"}, exponent: 1, rate: DefaultMirostatRate, groups: 1}
}

// Defaults of options that take several numbers.
const (
	DefaultDRYBase      = 1.75
	DefaultDRYAllowed   = 2
	DefaultMirostatRate = 0.1
	DefaultXTCThreshold = 0.1
)

// mostKept is how many of the last tokens dry and no-repeat look at.
const mostKept = 4096

// Constrain keeps what is written to the language of a constraint, which was made for the same vocabulary. The
// constraint does not see the prompt.
//
// Of a model whose texts end with a token that token may come where the language may end, and nowhere else. Of others,
// such as language models, the text ends where nothing can follow, and before a token that leaves the language where
// that may end: so the end is as likely as the model takes it to be that something else comes. With [MaxTokens] only
// tokens are allowed from which the rest fits; a limit that is too small for any text is an error.
//
// Where a single token is allowed, it is written without asking the model.
//
// Each token is drawn from the model's distribution over the tokens that are allowed. That is not the model's
// distribution over the texts of the language: one that the model thinks likely may begin with an unlikely token.
func Constrain(c *constrain.Constraint) Option {
	return func(o *config) { o.constraint = c }
}

// MinTokens keeps a text from ending before it has n tokens: no token that ends it is drawn, and stop strings are
// text. A constraint's end counts where something else can follow.
func MinTokens(n int) Option {
	return func(c *config) {
		if n < 0 {
			c.fail("at least %d tokens: it must be 0 or more", n)
		}
		c.minTokens = n
	}
}

// DRY ("don't repeat yourself") takes multiplier·base^(n − allowed) off the logit of a token that would lengthen a
// repetition of n tokens, n being allowed or more (p-e-w, text-generation-webui pull request 5677). A multiplier of 0,
// the default, turns it off; base is 1.75 and allowed 2 unless told. It looks at the last 4,096 tokens, back to a
// breaker: see [DRYBreakers].
func DRY(multiplier, base float64, allowed int) Option {
	return func(c *config) {
		if !finite(multiplier, 0, 1e6) || !finite(base, 1, 1e6) || allowed < 1 {
			c.fail("dry of %v, %v and %d: the multiplier must be 0 or above, the base 1 or above, and the length "+
				"that is allowed 1 or more", multiplier, base, allowed)
		}
		c.dry, c.dryBase, c.dryAllowed = multiplier, base, allowed
	}
}

// DRYBreakers are texts across which [DRY] sees no repetition; a token that contains one breaks it. The default is a
// newline, colon, double quote and asterisk. It takes a tokenizer, so not [NewSampler].
func DRYBreakers(texts ...string) Option {
	return func(c *config) { c.dryBreakers = texts }
}

// NoRepeat lets no n tokens in a row come twice within the last 4,096 (Paulus, Xiong and Socher 2018). 0, the default,
// turns it off.
func NoRepeat(n int) Option {
	return func(c *config) {
		if n < 0 || n == 1 {
			c.fail("no repetition of %d tokens: it must be 2 or more, or 0 for any", n)
		}
		c.noRepeat = n
	}
}

// EpsilonCutoff keeps the tokens of a probability of e or more, and always the likeliest (Hewitt, Manning and Liang
// 2022, section 3.2). Default 0, which keeps all.
func EpsilonCutoff(e float64) Option {
	return func(c *config) {
		if !finite(e, 0, 1) {
			c.fail("epsilon %v: it must be from 0 to 1", e)
		}
		c.epsilon = e
	}
}

// EtaCutoff keeps the tokens of a probability of min(e, √e·exp(−H)) or more, H being the entropy of the distribution in
// nats, and always the likeliest (Hewitt, Manning and Liang 2022, section 3.3). Default 0, which keeps all.
func EtaCutoff(e float64) Option {
	return func(c *config) {
		if !finite(e, 0, 1) {
			c.fail("eta %v: it must be from 0 to 1", e)
		}
		c.eta = e
	}
}

// XTC ("exclude top choices") takes, with a chance of probability at each token, all tokens away whose probability is
// at least threshold, but for the least likely of them (p-e-w, text-generation-webui pull request 6335). Default 0,
// never.
func XTC(probability, threshold float64) Option {
	return func(c *config) {
		if !finite(probability, 0, 1) || !(threshold > 0 && threshold <= 1) {
			c.fail("xtc of %v and %v: the chance must be from 0 to 1, the threshold above 0 and at most 1", probability,
				threshold)
		}
		c.xtcChance, c.xtcLimit = probability, threshold
	}
}

// DynamicTemperature makes the temperature T one from max(0, T − width) to T + width, the higher the less sure the
// model is:
//
//	low + (high − low)·(H/log n)^exponent
//
// where H is the entropy of the distribution over its n candidates, as in llama.cpp. A width of 0, the default, leaves
// T as it is; the usual exponent is 1.
func DynamicTemperature(width, exponent float64) Option {
	return func(c *config) {
		if !finite(width, 0, math.MaxFloat32) || !finite(exponent, 0, 100) {
			c.fail("dynamic temperature of %v and %v: the width must be 0 or above, the exponent from 0 to 100", width,
				exponent)
		}
		c.dynamic, c.exponent = width, exponent
	}
}

// Mirostat is the second algorithm of Basu et al. 2021 (appendix): it holds the surprise of the tokens, −log₂ p, at
// tau on average, by cutting tokens whose surprise is above a bound μ, which begins at 2·tau and moves by
// rate·(surprise − tau) the other way after each token. It comes last; cuts and temperature before it change what it
// sees. A tau of 0, the default, turns it off; the usual rate is 0.1.
func Mirostat(tau, rate float64) Option {
	return func(c *config) {
		if !finite(tau, 0, 100) || !finite(rate, 0, 10) {
			c.fail("mirostat of %v and %v: tau must be from 0 to 100 bits, the rate from 0 to 10", tau, rate)
		}
		c.tau, c.rate = tau, rate
	}
}

// DiverseBeams splits a beam into groups that search side by side: each is told what those before it chose at the same
// step, and a token is worth strength less for each time that they chose it (Vijayakumar et al. 2018, with the Hamming
// distance). The width is a multiple of groups. Default 1 group.
func DiverseBeams(groups int, strength float64) Option {
	return func(c *config) {
		if groups < 1 || !finite(strength, 0, 1e6) {
			c.fail("%d groups of beams, %v apart: there must be 1 or more, and the strength 0 or above", groups,
				strength)
		}
		c.groups, c.diversity = groups, strength
	}
}

// DynamicBeams shares a beam among hypotheses at different distances from where the constraint lets them end, so that
// those that have written what it asks for are not outrun by those that put it off (after Post and Vilar 2018). It is
// for constraints with required phrases: see [constrain.Containing].
func DynamicBeams() Option { return func(c *config) { c.banks = true } }

// shape makes the processors of these options.
func (c *config) shape(s *Sampler, set map[string][]Processor, vocab int) error {
	if c.constraint != nil {
		if n := c.constraint.Vocabulary().Size(); n != vocab {
			return fmt.Errorf("sample: the constraint is for a vocabulary of %d tokens, the model has %d", n, vocab)
		}
		s.under = &under{state: c.constraint.Start(), left: c.maxTokens}
	}
	if c.dry > 0 {
		d := &dry{multiplier: c.dry, base: c.dryBase, allowed: c.dryAllowed, penalty: make([]float32, vocab),
			breaks: make([]bool, vocab)}
		if c.pieces != nil {
			for t := range vocab {
				for _, b := range c.dryBreakers {
					d.breaks[t] = d.breaks[t] || b != "" && strings.Contains(c.pieces(int32(t)), b)
				}
			}
		}
		set["dry"] = []Processor{d}
	}
	if c.noRepeat > 0 {
		set["no_repeat"] = []Processor{&noRepeat{n: c.noRepeat, banned: make([]bool, vocab)}}
	}
	if c.dry > 0 || c.noRepeat > 0 {
		s.keep = max(s.keep, mostKept)
	}
	if c.epsilon > 0 {
		set["epsilon"] = []Processor{epsilon(c.epsilon)}
	}
	if c.eta > 0 {
		set["eta"] = []Processor{eta(c.eta)}
	}
	if c.xtcChance > 0 {
		set["xtc"] = []Processor{&xtc{chance: c.xtcChance, limit: c.xtcLimit, draw: s.uniform}}
	}
	if c.dynamic > 0 && !s.greedy {
		set["temperature"] = []Processor{&dynamicTemperature{max(0, c.temperature-c.dynamic), c.temperature + c.dynamic,
			c.exponent}}
	}
	if c.tau > 0 {
		if s.greedy {
			return errors.New("sample: mirostat draws tokens, so it needs a temperature above 0")
		}
		s.mirostat = &mirostat{tau: c.tau, rate: c.rate, bound: 2 * c.tau}
	}
	return nil
}

// tokenized tells the options of the tokenizer.
func (c *config) tokenized(t text.Tokenizer) {
	c.pieces, c.tok = t.Piece, t
	if end, ok := text.End(t); ok && c.end < 0 {
		c.end = end
	}
}

// ErrEnd is what [Sampler.Next] gives under a constraint where the text is at its end.
var ErrEnd = errors.New("sample: the text is at its end")

// under is a text under a constraint. All methods of a nil one do nothing.
type under struct {
	state  constrain.State
	mask   *constrain.Mask
	left   int  // tokens that may still be written; below 0 any number
	leaves bool // a token that is not in the mask ends the text
}

// apply takes away the candidates that are not allowed.
func (u *under) apply(s *Sampler, c *Candidates) error {
	if u == nil {
		return nil
	}
	mask, err := u.state.Allowed(u.left)
	if err != nil {
		return err
	}
	u.mask, u.leaves = mask, false
	end := u.state.CanEnd()
	if mask.Len == 0 {
		switch {
		case !end:
			return fmt.Errorf("sample: %d more tokens are too few for a text of the constraint", u.left)
		case s.end < 0:
			return ErrEnd
		}
	}
	if end && mask.Len > 0 && s.written < s.minTokens {
		end = false
	}
	u.leaves = end && s.end < 0
	kept := c.List[:0]
	for _, y := range c.List {
		if u.leaves && !mask.Barred(y.Token) || mask.Has(y.Token) && y.Token != s.end || y.Token == s.end && end {
			kept = append(kept, y)
		}
	}
	if c.List = kept; len(kept) == 0 {
		return ErrNoCandidate
	}
	return nil
}

// take goes on to the state after a token.
func (u *under) take(s *Sampler, token int32) error {
	if u == nil || token == s.end && s.end >= 0 {
		return nil
	}
	if u.leaves && !u.mask.Has(token) {
		return ErrEnd
	}
	state, err := u.state.Next(token)
	if err != nil {
		return err
	}
	u.state = state
	if u.left > 0 {
		u.left--
	}
	return nil
}

// forced gives the token that must come next, where there is just one, and goes on to the state after it.
func (s *Sampler) forced() (int32, bool) {
	u := s.under
	if u == nil || u.state.CanEnd() {
		return 0, false
	}
	mask, err := u.state.Allowed(u.left)
	if err != nil {
		return 0, false // Next will tell
	}
	token, ok := mask.Only()
	if !ok {
		return 0, false
	}
	for _, p := range s.chain {
		if b, is := p.(*biasing); is && math.IsInf(float64(b.add[token]), -1) {
			return 0, false // it is banned, of which Next will tell
		}
	}
	u.leaves = false
	s.written++
	return token, u.take(s, token) == nil
}

// forcedRun gives the tokens that must come next, n at the most.
func (s *Sampler) forcedRun(dst []int32, n int) []int32 {
	for range n {
		token, ok := s.forced()
		if !ok {
			break
		}
		dst = append(dst, token)
	}
	return dst
}

// narrow makes the log-probabilities of a row −∞ for tokens that are not allowed, and tells the logarithm of the
// probability that the text ends here where its model has no token for that: of all that leaves the language.
func narrow(row []float32, state constrain.State, left int, end int32) (ends float64, err error) {
	mask, err := state.Allowed(left)
	if err != nil {
		return 0, err
	}
	impossible := float32(math.Inf(-1))
	stays, leaves := 0.0, false // the probability of what does not end the text, and whether anything does
	for t := range row {
		switch {
		case mask.Barred(int32(t)):
			stays += math.Exp(float64(row[t]))
			row[t] = impossible
		case mask.Has(int32(t)):
			stays += math.Exp(float64(row[t]))
		case int32(t) == end && state.CanEnd():
		default:
			row[t], leaves = impossible, true
		}
	}
	ends = math.Inf(-1)
	if state.CanEnd() {
		ends = 0
		if mask.Len > 0 {
			if ends = math.Inf(-1); leaves {
				ends = math.Log(max(0, 1-stays))
			}
		}
	}
	return ends, nil
}
