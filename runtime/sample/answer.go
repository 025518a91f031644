package sample

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Answer is what a model with an encoder writes for a source.
type Answer struct {
	Tokens  []int32 // without those that begin and end it
	LogProb float64 // natural logarithm of its probability, its end included
	Score   float64 // what a beam ranks it by: LogProb over the length penalty, plus the coverage penalty
	Ended   bool    // false where the model's room ended it

	looked []float64       // with a coverage penalty: how much the answer looked at each token of the source
	state  constrain.State // under a constraint
}

// A Ranking says how a beam ranks answers Y to a source X (Wu et al. 2016, equation 14):
//
//	log P(Y|X) / ((5 + |Y|)/6)^Length + Coverage·Σᵢ log min(Σⱼ pᵢⱼ, 1)
//
// where pᵢⱼ is the weight by which token j of the answer looked at token i of the source.
type Ranking struct {
	Length float64 // from -100 to 100; 0 ranks by probability, which favours short answers
	// 0 or more, up to 1e6; above 0 favours answers that leave nothing of the source out, as a summary should; it
	// takes a decoder that shows where it looks
	Coverage float64
}

// check finds what cannot rank answers.
func (r Ranking) check() error {
	if !finite(r.Length, -100, 100) {
		return fmt.Errorf("sample: length penalty %v: it must be from -100 to 100", r.Length)
	}
	if !finite(r.Coverage, 0, mostPenalty) {
		return fmt.Errorf("sample: coverage penalty %v: it must be from 0 to %v", r.Coverage, mostPenalty)
	}
	return nil
}

// score ranks an answer of a log-probability and a length, its end included.
func (r Ranking) score(a Answer, length int) float64 {
	s := a.LogProb / math.Pow((5+float64(length))/6, r.Length)
	for _, x := range a.looked {
		s += float64(r.Coverage * math.Log(min(max(x, leastLooked), 1)))
	}
	return s
}

// leastLooked keeps the penalty of a token that was not looked at finite.
const leastLooked = 1e-10

// GreedyAnswers answers the sources, [steps, dec.Batch()] with -1 behind their ends, with the likeliest token at each
// step. Answers are written side by side until all have ended, have most tokens, or the model has no room. Options,
// such as [Constrain], change what is likeliest; with a [Temperature] tokens are drawn, for each answer with a seed of
// its own.
func GreedyAnswers(ctx context.Context, dec model.Encoder, source []int32, f model.Source, most int,
	opts ...Option) ([]Answer, error) {
	if err := dec.Encode(source); err != nil {
		return nil, err
	}
	if len(opts) > 0 {
		opts = append([]Option{Greedy()}, opts...)
	}
	return sampled(ctx, dec, f, most, 0, opts)
}

// LatentAnswers writes a text from each of the latent vectors z [dec.Batch(), width], of a conditional model with
// labels [dec.Batch()], as [GreedyAnswers] does; with options tokens are drawn as these say, each text with a seed of
// its own: the options' seed and first plus its number.
func LatentAnswers(ctx context.Context, dec model.Decoder, z []float32, labels []int32, f model.Source, most, first int,
	opts ...Option) ([]Answer, error) {
	begins, ok := dec.(model.LatentDecoder)
	if !ok {
		return nil, errors.New("the decoder does not write from latent vectors")
	}
	if err := begins.Begin(z, labels); err != nil {
		return nil, err
	}
	return sampled(ctx, dec, f, most, first, opts)
}

// Lines draws lines from a generator of text that was trained by an adversary, as many as the decoder has sequences,
// each with a seed of its own as in [LatentAnswers]. most is the number of tokens of the longest.
func Lines(ctx context.Context, dec model.Decoder, f model.Imitation, most, first int, opts ...Option) ([]Answer,
	error) {
	dec.Reset()
	return sampled(ctx, dec, model.Source{AnswerBegin: f.Begin, AnswerEnd: f.End}, most, first,
		append([]Option{Temperature(1)}, opts...))
}

// sampled writes texts that the decoder has begun: the likeliest, or with options what these say.
func sampled(ctx context.Context, dec model.Decoder, f model.Source, most, first int, opts []Option) ([]Answer, error) {
	if len(opts) == 0 {
		return answers(ctx, dec, f, most, likeliest)
	}
	if room := model.Room(dec); room != math.MaxInt {
		most = min(most, room-1) // one for the end
	}
	samplers, judges := make([]*Sampler, dec.Batch()), make([]*chorus, dec.Batch())
	unread, wrote := make([]int32, 0, 1), make([]int32, dec.Batch())
	return answers(ctx, dec, f, most, func(i int, row []float32) (int32, error) {
		unread = unread[:0]
		if samplers[i] == nil {
			c, err := newConfig(opts)
			if err != nil {
				return 0, err
			}
			if len(c.voices) > 0 {
				return 0, errors.New("sample: answers, lines and sentences are written without another decoder " +
					"beside the model; those options are for Generate")
			}
			c.seed = model.Key(c.seed, uint64(first+i))
			c.end, c.maxTokens = f.AnswerEnd, most
			if samplers[i], err = c.sampler(len(row)); err != nil {
				return 0, err
			}
			judges[i] = c.judgesOf(len(row), f.AnswerBegin)
		} else {
			unread = append(unread, wrote[i])
		}
		if judges[i] != nil {
			var err error
			if row, err = judges[i].sing(ctx, row, unread); err != nil {
				return 0, err
			}
		}
		token, err := samplers[i].Next(row)
		if err == nil {
			samplers[i].Accept(token)
			wrote[i] = token
		}
		return token, err
	})
}

func likeliest(_ int, row []float32) (int32, error) { return int32(kernel.Argmax(row)), nil }

// answers writes texts that the decoder has begun, pick being told the logarithms of the probabilities for text i.
func answers(ctx context.Context, dec model.Decoder, f model.Source, most int,
	pick func(i int, row []float32) (int32, error)) ([]Answer, error) {
	n := dec.Batch()
	answers := make([]Answer, n)
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = f.AnswerBegin
	}
	var row []float32
	for range most + 1 {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if model.Room(dec) == 0 {
			break
		}
		logits, err := dec.Step(tokens)
		if err != nil {
			return nil, err
		}
		vocab := len(logits) / n
		if row == nil {
			row = make([]float32, vocab)
		}
		live := false
		for i := range answers {
			a := &answers[i]
			if a.Ended {
				continue
			}
			kernel.LogSoftmax(row, logits[i*vocab:(i+1)*vocab], 1, vocab)
			if row[0] != row[0] {
				return nil, ErrNotFinite
			}
			t, err := pick(i, row)
			if errors.Is(err, ErrEnd) {
				a.Ended = true // by a constraint, in a model without a token for the end
				continue
			}
			if err != nil {
				return nil, err
			}
			a.LogProb += float64(row[t])
			if a.Ended = t == f.AnswerEnd; !a.Ended && len(a.Tokens) < most {
				a.Tokens = append(a.Tokens, t)
				live = true
			}
			tokens[i] = t
		}
		if !live {
			break
		}
	}
	for i := range answers {
		answers[i].Score = answers[i].LogProb
	}
	return answers, nil
}

// BeamAnswers answers one source, which every sequence of the decoder has read: it keeps the dec.Batch() likeliest
// beginnings and gives the ended ones, the best first, and behind them, where there are fewer, beginnings of most
// tokens that have not ended. Of the options it takes [Constrain]; probabilities are the model's, not shared anew
// among what is allowed.
func BeamAnswers(ctx context.Context, dec model.Encoder, source []int32, f model.Source, most int, rank Ranking,
	opts ...Option) ([]Answer, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	width := dec.Batch()
	if width < 1 {
		return nil, errors.New("sample: a beam needs a width of 1 or more")
	}
	if len(source)%width != 0 {
		return nil, fmt.Errorf("sample: %d tokens of sources for a beam of %d", len(source), width)
	}
	if err := rank.check(); err != nil {
		return nil, err
	}
	live := []Answer{{}}
	if c.constraint != nil {
		live[0].state = c.constraint.Start()
	}
	aligner, ok := dec.(model.Aligner)
	if rank.Coverage != 0 {
		if !ok {
			return nil, errors.New("sample: a coverage penalty takes a decoder that shows where it looks: a " +
				"recurrent one with additive or concat attention")
		}
		for i := 0; i < len(source) && source[i] >= 0; i += width {
			live[0].looked = append(live[0].looked, 0)
		}
	}
	// look is what an answer has looked at after a step of sequence i.
	look := func(i int, before []float64) []float64 {
		if before == nil {
			return nil
		}
		weights := aligner.Alignment()
		row := weights[i*(len(weights)/width):]
		after := make([]float64, len(before))
		for k := range after {
			after[k] = before[k] + float64(row[k])
		}
		return after
	}
	if err := dec.Encode(source); err != nil {
		return nil, err
	}
	type candidate struct {
		parent int
		token  int32
		p      float64
	}
	var done []Answer
	from, tokens := make([]int, width), make([]int32, width)
	for i := range tokens {
		tokens[i] = f.AnswerBegin
	}
	var row []float32
	best := make([]int32, width+1)
	for length := 0; length <= most && model.Room(dec) > 0; length++ {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		logits, err := dec.Step(tokens)
		if err != nil {
			return nil, err
		}
		vocab := len(logits) / width
		if row == nil {
			row = make([]float32, vocab)
			best = best[:min(len(best), vocab)]
		}
		var cs []candidate
		for i, a := range live {
			kernel.LogSoftmax(row, logits[i*vocab:(i+1)*vocab], 1, vocab)
			if row[0] != row[0] {
				return nil, ErrNotFinite
			}
			if c.constraint != nil {
				left := most - length
				if room := model.Room(dec); room < left {
					left = room
				}
				if _, err := narrow(row, a.state, left, f.AnswerEnd); err != nil {
					return nil, err
				}
			}
			kernel.TopK(best, row)
			for _, t := range best {
				if p := a.LogProb + float64(row[t]); !math.IsInf(p, -1) {
					cs = append(cs, candidate{i, t, p})
				}
			}
		}
		slices.SortFunc(cs, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.p, a.p), cmp.Compare(a.parent, b.parent), cmp.Compare(a.token, b.token))
		})
		var grown []Answer
		ended := make([]bool, len(live))
		clear(from)
		for _, x := range cs {
			if x.token == f.AnswerEnd {
				// What ended below the width is kept as well as what ended within.
				a := Answer{Tokens: live[x.parent].Tokens, LogProb: x.p, Ended: true,
					looked: look(x.parent, live[x.parent].looked)}
				a.Score = rank.score(a, length+1)
				done = append(done, a)
				ended[x.parent] = true
				continue
			}
			if len(grown) == width {
				break
			}
			from[len(grown)], tokens[len(grown)] = x.parent, x.token
			next := Answer{Tokens: append(slices.Clip(live[x.parent].Tokens), x.token), LogProb: x.p,
				looked: look(x.parent, live[x.parent].looked)}
			if c.constraint != nil {
				if next.state, err = live[x.parent].state.Next(x.token); err != nil {
					return nil, err
				}
			}
			grown = append(grown, next)
		}
		if length == most { // but for the end nothing more may follow
			grown = grown[:0]
			for i, a := range live {
				if !ended[i] {
					grown = append(grown, a)
				}
			}
			live = grown
			break
		}
		live = grown
		// The best live beginning can't catch up with the width best that have ended: probabilities only fall, no
		// coverage is better than whole, and of the lengths that an answer can come to the best is one of the two ends.
		if len(done) >= width && len(live) > 0 {
			slices.SortStableFunc(done, func(a, b Answer) int { return cmp.Compare(b.Score, a.Score) })
			best := Answer{LogProb: live[0].LogProb}
			if max(rank.score(best, len(live[0].Tokens)+1), rank.score(best, most+1)) < done[width-1].Score {
				break
			}
		}
		if err := dec.Reorder(from); err != nil {
			return nil, err
		}
	}
	for _, a := range live {
		a.Score = rank.score(a, len(a.Tokens))
		if len(done) == 0 || !a.Ended && len(done) < width {
			done = append(done, a)
		}
	}
	slices.SortStableFunc(done, func(a, b Answer) int {
		if a.Ended != b.Ended {
			return map[bool]int{true: -1, false: 1}[a.Ended]
		}
		return cmp.Compare(b.Score, a.Score)
	})
	return done[:min(width, len(done))], nil
}
