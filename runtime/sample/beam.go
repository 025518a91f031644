package sample

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

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
}

// Beam searches for the likeliest continuations of the prompt, keeping the width best at each step, and returns at most
// width of them, the best first. The decoder is for width sequences, and the search begins at their state. It ends after
// MaxTokens, when the decoder has no room left, or when the width best have ended with a stop string. Of the options it
// uses MaxTokens, Stop, LogitBias, Banned and LengthPenalty; the others are for drawing and are errors.
func Beam(ctx context.Context, dec model.Decoder, tok text.Tokenizer, prompt string, width int, opts ...Option) ([]Hypothesis, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	vocab := tok.Vocab()
	switch {
	case width < 1:
		return nil, fmt.Errorf("sample: a beam of width %d: it must be 1 or more", width)
	case dec.Batch() != width:
		return nil, fmt.Errorf("sample: a beam of width %d needs a decoder for as many sequences, this one is for %d", width, dec.Batch())
	case c.maxTokens < 0:
		return nil, errors.New("sample: beam search needs MaxTokens")
	case c.temperature != 1 || c.topK != 0 || c.topP != 1 || c.minP != 0 || c.typical != 1 || c.repetition != 1 || c.frequency != 0 || c.presence != 0 || len(c.custom) > 0:
		return nil, errors.New("sample: beam search takes MaxTokens, Stop, LogitBias, Banned and LengthPenalty; other options are for drawing")
	}
	s, err := c.sampler(vocab)
	if err != nil {
		return nil, err
	}
	tokens, err := promptTokens(tok, prompt)
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
		return nil
	}
	logits, err := feed(ctx, dec, tokens)
	if err != nil {
		return nil, err
	}
	first := beam{}
	if err := read(&first, logits[:vocab]); err != nil {
		return nil, err
	}

	type candidate struct {
		parent  int
		token   int32
		logProb float64
	}
	live := []beam{first}
	var done []Hypothesis
	best := make([]int32, min(width, vocab))
	from, next := make([]int, width), make([]int32, width)
	for range c.maxTokens {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		var cs []candidate
		for i, b := range live {
			kernel.TopK(best, b.next)
			for _, t := range best {
				if p := float64(b.next[t]); !math.IsInf(p, -1) {
					cs = append(cs, candidate{i, t, b.logProb + p})
				}
			}
		}
		if len(cs) == 0 {
			return nil, ErrNoCandidate
		}
		slices.SortFunc(cs, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.logProb, a.logProb), cmp.Compare(a.parent, b.parent), cmp.Compare(a.token, b.token))
		})
		var grown []beam
		clear(from)
		clear(next)
		for _, x := range cs[:min(width, len(cs))] {
			b := beam{tokens: append(slices.Clip(live[x.parent].tokens), x.token), logProb: x.logProb}
			if h, ended := c.ended(tok, b); ended {
				done = append(done, h)
				continue
			}
			from[len(grown)], next[len(grown)] = x.parent, x.token
			grown = append(grown, b)
		}
		live = grown
		if len(live) == 0 || len(done) >= width || len(live[0].tokens) == c.maxTokens || model.Room(dec) == 0 {
			break
		}
		dec.Reorder(from)
		logits := dec.Step(next)
		for i := range live {
			if err := read(&live[i], logits[i*vocab:(i+1)*vocab]); err != nil {
				return nil, err
			}
		}
	}
	for _, b := range live {
		done = append(done, c.hypothesis(tok.Decode(b.tokens), b))
	}
	slices.SortStableFunc(done, func(a, b Hypothesis) int { return cmp.Compare(b.Score, a.Score) })
	return done[:min(width, len(done))], nil
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
		Score: b.logProb / math.Pow((5+float64(len(b.tokens)))/6, c.length),
	}
}
