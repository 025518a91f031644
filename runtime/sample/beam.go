package sample

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// Hypothesis is a text that beam search has found.
type Hypothesis struct {
	Text    string // without the prompt and the stop string
	Tokens  []int32
	LogProb float64 // natural logarithm of its probability after the prompt
	Score   float64 // what it is ranked by: LogProb, divided by the length penalty
}

// beam is a hypothesis that is being written; hypothesis i is sequence i of the decoder.
type beam struct {
	tokens  []int32
	logProb float64
	next    []float32 // log-probabilities of what follows
	group   int

	state constrain.State // under a constraint
	ends  float64         // log-probability that it ends here, under a constraint
}

// Beam searches for the likeliest continuations of the prompt, keeping the width best at each step, and returns at
// most width of them, the best first. The decoder is for width sequences, and the search begins at their state. It
// ends after MaxTokens, when the decoder has no room left, or when width texts have ended, with a stop string, before
// the end token or under a constraint, which none that goes on can outrank any more. Of the options it uses MaxTokens,
// Stop, EndToken, LogitBias, Banned, Constrain, DiverseBeams, DynamicBeams and LengthPenalty; the others are for
// drawing and are errors.
func Beam(ctx context.Context, dec model.Decoder, tok text.Tokenizer, prompt string, width int,
	opts ...Option) ([]Hypothesis, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	c.tokenized(tok)
	vocab := tok.Vocab()
	switch {
	case c.end >= int32(vocab):
		return nil, fmt.Errorf("sample: end token %d: tokens are 0 to %d", c.end, vocab-1)
	case width < 1:
		return nil, fmt.Errorf("sample: a beam of width %d: it must be 1 or more", width)
	case dec.Batch() != width:
		return nil, fmt.Errorf("sample: a beam of width %d needs a decoder for as many sequences, this one is for %d",
			width, dec.Batch())
	case width%c.groups != 0:
		return nil, fmt.Errorf("sample: a beam of width %d can't be split into %d equal groups", width, c.groups)
	case c.maxTokens < 0:
		return nil, errors.New("sample: beam search needs MaxTokens")
	case c.banks && c.constraint == nil:
		return nil, errors.New("sample: DynamicBeams is for a constraint, and there is none")
	case c.temperature != 1 || c.topK != 0 || c.topP != 1 || c.minP != 0 || c.typical != 1 || c.repetition != 1 ||
		c.frequency != 0 || c.presence != 0 || len(c.custom) > 0 || c.draws():
		return nil, errors.New("sample: beam search takes MaxTokens, Stop, EndToken, LogitBias, Banned, Constrain, " +
			"DiverseBeams, DynamicBeams and LengthPenalty; other options are for drawing")
	}
	s, err := c.sampler(vocab)
	if err != nil {
		return nil, err
	}
	tokens, err := Prompt(tok, prompt)
	if err != nil {
		return nil, err
	}

	// read makes log-probabilities of a row of logits.
	read := func(b *beam, logits []float32) error {
		if !s.candidates.fill(logits) {
			return ErrNotFinite
		}
		for _, p := range s.chain {
			p.Apply(&s.candidates, nil)
		}
		if b.next == nil {
			b.next = make([]float32, vocab)
		}
		for i, y := range s.candidates.List {
			b.next[i] = y.Logit
		}
		kernel.LogSoftmax(b.next, b.next, 1, vocab)
		if c.constraint == nil {
			return nil
		}
		var err error
		b.ends, err = narrow(b.next, b.state, c.maxTokens-len(b.tokens), c.end)
		if c.end >= 0 && b.ends < 0 { // the token says how likely that is
			b.ends = math.Inf(-1)
		}
		return err
	}
	logits, err := feed(ctx, dec, tokens)
	if err != nil {
		return nil, err
	}
	first := beam{}
	if c.constraint != nil {
		first.state = c.constraint.Start()
		if least := first.state.TokensLeft(); least > c.maxTokens {
			return nil, fmt.Errorf("sample: %d tokens are too few for a text of the constraint", c.maxTokens)
		}
	}
	if err := read(&first, logits[:vocab]); err != nil {
		return nil, err
	}

	type candidate struct {
		parent  int
		token   int32 // or -1 where it ends
		logProb float64
		rank    float64
		state   constrain.State
		left    int
	}
	live := []beam{first}
	for g := 1; g < c.groups; g++ {
		other := first
		other.group = g
		live = append(live, other)
	}
	var done []Hypothesis
	size := width / c.groups
	best := make([]int32, min(size, vocab))
	from, next := make([]int, width), make([]int32, width)
	chosen := make([]int, vocab) // by the groups before, at this step
	for range c.maxTokens {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		var grown []beam
		any := false
		clear(from)
		clear(next)
		clear(chosen)
		for g := range c.groups {
			var cs []candidate
			add := func(i int, token int32) error {
				b := &live[i]
				p := b.logProb + float64(b.next[token])
				if math.IsInf(p, -1) {
					return nil
				}
				if token == c.end && c.end >= 0 {
					if c.constraint == nil || b.ends < 0 { // else it must end, and is a candidate for that already
						cs = append(cs, candidate{parent: i, token: -1, logProb: p, rank: p})
					}
					return nil
				}
				x := candidate{parent: i, token: token, logProb: p, rank: p - c.diversity*float64(chosen[token])}
				if c.constraint != nil {
					var err error
					if x.state, err = b.state.Next(token); err != nil {
						return err
					}
					if c.banks {
						x.left = x.state.TokensLeft()
					}
				}
				cs = append(cs, x)
				return nil
			}
			for i, b := range live {
				if b.group != g {
					continue
				}
				if c.diversity > 0 && g > 0 {
					// The best after what the other groups took.
					row := slices.Clone(b.next)
					for t, n := range chosen {
						row[t] -= float32(c.diversity * float64(n))
					}
					kernel.TopK(best, row)
				} else {
					kernel.TopK(best, b.next)
				}
				for _, t := range best {
					if err := add(i, t); err != nil {
						return nil, err
					}
				}
				if c.constraint != nil && !math.IsInf(b.ends, -1) {
					cs = append(cs, candidate{parent: i, token: -1, logProb: b.logProb + b.ends,
						rank: b.logProb + b.ends})
				}
				if c.banks && !b.state.CanEnd() {
					// The likeliest of those that come nearer to the end.
					mask, err := b.state.Allowed(b.state.TokensLeft())
					if err != nil {
						return nil, err
					}
					toward := int32(-1)
					for t := range b.next {
						if mask.Has(int32(t)) && (toward < 0 || b.next[t] > b.next[toward]) {
							toward = int32(t)
						}
					}
					if toward >= 0 && !slices.Contains(best, toward) {
						if err := add(i, toward); err != nil {
							return nil, err
						}
					}
				}
			}
			any = any || len(cs) > 0
			slices.SortFunc(cs, func(a, b candidate) int {
				return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.parent, b.parent),
					cmp.Compare(a.token, b.token))
			})
			if c.banks {
				// In turns, the best of each distance.
				turn := make([]int, len(cs))
				seen := map[int]int{}
				order := make([]int, len(cs))
				for i, x := range cs {
					turn[i], order[i] = seen[x.left], i
					seen[x.left]++
				}
				slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(turn[a], turn[b]) })
				spread := make([]candidate, len(cs))
				for i, k := range order {
					spread[i] = cs[k]
				}
				cs = spread
			}
			for _, x := range cs[:min(size, len(cs))] {
				if x.token < 0 {
					b := live[x.parent]
					b.logProb = x.logProb
					done = append(done, c.hypothesis(tok.Decode(b.tokens), b))
					continue
				}
				chosen[x.token]++
				b := beam{tokens: append(slices.Clip(live[x.parent].tokens), x.token), logProb: x.logProb, group: g,
					state: x.state}
				if h, ended := c.ended(tok, b); ended {
					done = append(done, h)
					continue
				}
				from[len(grown)], next[len(grown)] = x.parent, x.token
				grown = append(grown, b)
			}
		}
		if !any {
			return nil, ErrNoCandidate
		}
		live = grown
		if len(live) == 0 || len(live[0].tokens) == c.maxTokens || model.Room(dec) == 0 {
			break
		}
		// No live text can catch up with the width best that have ended: probabilities only fall, and of the lengths
		// that a text can come to the best is one of the two ends.
		if len(done) >= width {
			sortHypotheses(done)
			most := math.Inf(-1)
			for _, b := range live {
				most = max(most, c.score(b.logProb, len(b.tokens)), c.score(b.logProb, c.maxTokens))
			}
			if most < done[width-1].Score {
				break
			}
		}
		if err := dec.Reorder(from); err != nil {
			return nil, err
		}
		logits, err := dec.Step(next)
		if err != nil {
			return nil, err
		}
		for i := range live {
			if err := read(&live[i], logits[i*vocab:(i+1)*vocab]); err != nil {
				return nil, err
			}
		}
	}
	for _, b := range live {
		if c.constraint == nil || b.state.CanEnd() {
			done = append(done, c.hypothesis(tok.Decode(b.tokens), b))
		}
	}
	if len(done) == 0 {
		return nil, errors.New("sample: the decoder has no room for a text of the constraint")
	}
	sortHypotheses(done)
	return done[:min(width, len(done))], nil
}

// sortHypotheses puts the best first.
func sortHypotheses(h []Hypothesis) {
	slices.SortStableFunc(h, func(a, b Hypothesis) int { return cmp.Compare(b.Score, a.Score) })
}

// draws reports whether options are set that only count where tokens are drawn.
func (c *config) draws() bool { return c.shapes() || c.minTokens != 0 }

// shapes is draws but for [MinTokens].
func (c *config) shapes() bool {
	return c.dry != 0 || c.noRepeat != 0 || c.epsilon != 0 || c.eta != 0 || c.xtcChance != 0 || c.dynamic != 0 ||
		c.tau != 0 || len(c.voices)+len(c.judges) > 0
}

// ended reports whether a stop string ends b.
func (c *config) ended(tok text.Tokenizer, b beam) (Hypothesis, bool) {
	if len(c.stop) == 0 {
		return Hypothesis{}, false
	}
	s := tok.Decode(b.tokens)
	for _, stop := range c.stop {
		if i := strings.Index(s, stop); i >= 0 {
			return c.hypothesis(s[:i], b), true
		}
	}
	return Hypothesis{}, false
}

func (c *config) hypothesis(s string, b beam) Hypothesis {
	return Hypothesis{
		Text: s, Tokens: b.tokens, LogProb: b.logProb,
		Score: c.score(b.logProb, len(b.tokens)),
	}
}

// score is what a text of a log-probability and a number of tokens is ranked by.
func (c *config) score(logProb float64, tokens int) float64 {
	return logProb / math.Pow((5+float64(tokens))/6, c.length)
}
