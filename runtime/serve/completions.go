package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gradsmith/gradsmith/runtime/batch"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// completionRequest is the body of /v1/completions.
type completionRequest struct {
	drawing
	Prompt    json.RawMessage `json:"prompt"`
	MaxTokens *int            `json:"max_tokens"`
	Echo      bool            `json:"echo"`
	BestOf    *int            `json:"best_of"`
	LogProbs  *int            `json:"logprobs"`
	Suffix    *string         `json:"suffix"`
}

// usage counts tokens.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

type completion struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Created int64              `json:"created"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   *usage             `json:"usage,omitempty"`
}

type completionChoice struct {
	Text     string              `json:"text"`
	Index    int                 `json:"index"`
	LogProbs *completionLogProbs `json:"logprobs"`
	Finish   *string             `json:"finish_reason"`
}

// completionLogProbs tells of each token its text, log-probability, alternatives, and where in the text of the choice
// it begins, in characters.
type completionLogProbs struct {
	Tokens   []string             `json:"tokens"`
	LogProbs []*float64           `json:"token_logprobs"`
	Top      []map[string]float64 `json:"top_logprobs"`
	Offsets  []int                `json:"text_offset"`
}

const defaultCompletion = 16 // tokens, as in the API

func (s *Server) completions(w http.ResponseWriter, r *http.Request) error {
	var q completionRequest
	if err := decode(r, &q); err != nil {
		return err
	}
	m, err := s.pick(r, q.Model)
	if err != nil {
		return err
	}
	if err := m.completes(); err != nil {
		return err
	}
	if q.Suffix != nil && *q.Suffix != "" {
		return wrong("suffix", "the model writes on from the end of a prompt, and not up to a suffix")
	}
	tokens, texts, err := prompts(m, q.Prompt)
	if err != nil {
		return err
	}
	n, err := q.choices(s)
	if err != nil {
		return err
	}
	best := n
	if q.BestOf != nil {
		best = *q.BestOf
	}
	switch {
	case best < n || best > s.options.MaxChoices:
		return wrong("best_of", "best_of is %d: give n, which is %d, to %d", best, n, s.options.MaxChoices)
	case best > n && q.Stream:
		return wrong("best_of", "the best of %d texts are known when all are written, so they cannot be streamed", best)
	case best*len(tokens) > s.options.MaxChoices:
		return wrong("prompt", "%d texts for each of %d prompts: a request may ask for %d in all", best, len(tokens),
			s.options.MaxChoices)
	}
	most, err := s.limit("max_tokens", q.MaxTokens, defaultCompletion)
	if err != nil {
		return err
	}
	asked := -1
	if q.LogProbs != nil {
		asked = *q.LogProbs
	} else if q.NProbs != nil && *q.NProbs > 0 {
		asked = *q.NProbs
	}
	told := asked
	if best > n {
		told = max(0, asked)
	}
	opts, seed, err := q.sampling(s, m, told)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.options.Timeout)
	defer cancel()
	job := &job{s: s, m: m, began: time.Now()}
	defer job.close()
	for i, p := range tokens {
		for k := range best {
			if err := job.start(ctx, i*best+k, p,
				append(slices.Clone(opts), sample.MaxTokens(most), sample.Seed(seed+uint64(k)))...); err != nil {
				return err
			}
		}
		job.usage.Prompt += len(p)
	}
	shown := make([]*shownText, len(job.texts))
	for i := range shown {
		shown[i] = &shownText{asked: asked, index: i}
		if q.Echo {
			if err := shown[i].echo(ctx, m, tokens[i/best], texts[i/best], asked); err != nil {
				return err
			}
		}
	}
	head := completion{ID: newID("cmpl"), Object: "text_completion", Created: job.began.Unix(), Model: m.info.Name}
	if q.Stream {
		out := s.stream(w, r)
		for i, x := range shown {
			if q.Echo {
				head.Choices = []completionChoice{x.take(texts[i/best], nil)}
				out.send(head)
			}
		}
		err := job.each(ctx, func(i int, t *sample.Token) error {
			x := shown[i]
			x.add(t)
			if t.Text == "" && t.End == "" && asked < 0 {
				return nil
			}
			head.Choices = []completionChoice{x.take(t.Text, finish(t.End))}
			return out.send(head)
		})
		if err == nil && q.StreamOptions != nil && q.StreamOptions.Usage {
			head.Choices, head.Usage = []completionChoice{}, job.total()
			out.send(head)
		}
		return out.end(err)
	}
	err = job.each(ctx, func(i int, t *sample.Token) error {
		x := shown[i]
		x.add(t)
		x.text.WriteString(t.Text)
		if t.ID >= 0 {
			x.sum += t.LogProb
			x.count++
		}
		x.end = t.End
		return nil
	})
	if err != nil {
		return err
	}
	for i := range tokens {
		group := shown[i*best : (i+1)*best]
		if best > n {
			slices.SortStableFunc(group, func(a, b *shownText) int {
				return cmp.Compare(b.sum/float64(max(1, b.count)), a.sum/float64(max(1, a.count)))
			})
		}
		for k, x := range group[:n] {
			x.index = i*n + k
			text := x.text.String()
			if q.Echo {
				text = texts[i] + text
			}
			head.Choices = append(head.Choices, x.take(text, finish(x.end)))
		}
	}
	head.Usage = job.total()
	answer(w, http.StatusOK, head)
	return nil
}

// shownText is what has been shown of a text.
type shownText struct {
	index int
	asked int // likeliest tokens of each, or -1
	probs *completionLogProbs
	bytes []byte // of the tokens so far, to the last whole character
	runes int

	text  strings.Builder
	sum   float64
	count int
	end   sample.Reason
}

// add notes a token.
func (x *shownText) add(t *sample.Token) {
	if x.asked >= 0 && t.ID >= 0 {
		p := t.LogProb
		x.note(t.Piece, &p, t.Best)
	}
}

func (x *shownText) note(piece string, p *float64, best []sample.Alternative) {
	if x.probs == nil {
		x.probs = &completionLogProbs{Tokens: []string{}, LogProbs: []*float64{}, Top: []map[string]float64{},
			Offsets: []int{}}
	}
	var top map[string]float64
	if p != nil {
		top = map[string]float64{}
		for _, b := range best {
			top[b.Piece] = noLess(b.LogProb)
		}
		q := noLess(*p)
		p = &q
	}
	x.probs.Tokens = append(x.probs.Tokens, piece)
	x.probs.LogProbs = append(x.probs.LogProbs, p)
	x.probs.Top = append(x.probs.Top, top)
	x.probs.Offsets = append(x.probs.Offsets, x.runes)
	x.bytes = append(x.bytes, piece...)
	for len(x.bytes) > 0 && utf8.FullRune(x.bytes) {
		_, n := utf8.DecodeRune(x.bytes)
		x.bytes = x.bytes[n:]
		x.runes++
	}
}

// noLess keeps a log-probability in the range that JSON has numbers for.
func noLess(p float64) float64 { return max(p, -9999) }

// take gives what was noted since the last call.
func (x *shownText) take(text string, finish *string) completionChoice {
	c := completionChoice{Text: text, Index: x.index, LogProbs: x.probs, Finish: finish}
	x.probs = nil
	return c
}

// echo notes the tokens of the prompt, whose log-probabilities are told where they are asked for.
func (x *shownText) echo(ctx context.Context, m *served, tokens []int32, text string, asked int) error {
	if asked < 0 {
		return nil
	}
	piece := m.Program.Tokenizer.Piece
	if text == "" {
		return nil // the prompt stands for the beginning of a text
	}
	x.note(piece(tokens[0]), nil, nil)
	done, err := m.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	dec, err := model.NewDecoder(m.Model.Model.(model.Writer), 1)
	if err != nil {
		return err
	}
	for t, err := range sample.ScoreTokens(ctx, dec, m.Program.Tokenizer, tokens, asked) {
		if err != nil {
			return err
		}
		x.note(t.Piece, &t.LogProb, t.Best)
	}
	return nil
}

// finish is the API's word for why a text ended; nil while it has not.
func finish(end sample.Reason) *string {
	word := "stop"
	switch end {
	case "":
		return nil
	case sample.AtLimit:
		word = "length"
	}
	return &word
}

// job is the texts of one request.
type job struct {
	s     *Server
	m     *served
	began time.Time
	texts []*batch.Text
	usage usage
}

func (j *job) start(ctx context.Context, _ int, prompt []int32, opts ...sample.Option) error {
	t, err := j.m.batch.Start(ctx, prompt, opts...)
	if err != nil {
		return err
	}
	j.texts = append(j.texts, t)
	return nil
}

// close gives up what is not written.
func (j *job) close() {
	for _, t := range j.texts {
		t.Close()
	}
}

func (j *job) total() *usage {
	j.usage.Total = j.usage.Prompt + j.usage.Completion
	return &j.usage
}

// each tells of the tokens of all texts as they are written. The error of one text, or of tell, ends all.
func (j *job) each(ctx context.Context, tell func(i int, t *sample.Token) error) error {
	type part struct {
		i      int
		tokens []sample.Token
		err    error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parts := make(chan part)
	more := make([]chan struct{}, len(j.texts)) // the text's tokens have been told
	for i, t := range j.texts {
		more[i] = make(chan struct{}, 1)
		go func() {
			for {
				tokens, err := t.Next()
				select {
				case parts <- part{i, tokens, err}:
				case <-ctx.Done():
					return
				}
				if err != nil || len(tokens) == 0 {
					return
				}
				select {
				case <-more[i]:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	told, _ := ctx.Value(paced{}).(*pace)
	last := make([]time.Time, len(j.texts))
	for left := len(j.texts); left > 0; {
		var p part
		select {
		case p = <-parts:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if p.err != nil {
			return p.err
		}
		if len(p.tokens) == 0 {
			left--
			continue
		}
		now := time.Now()
		for k := range p.tokens {
			t := &p.tokens[k]
			if t.ID >= 0 {
				j.usage.Completion++
				if last[p.i].IsZero() {
					j.s.metrics.first.Observe(now.Sub(j.began).Seconds())
					told.began(now.Sub(j.began))
				} else {
					j.s.metrics.between.Observe(now.Sub(last[p.i]).Seconds())
					told.went(now.Sub(last[p.i]))
				}
				last[p.i] = now
			}
			if err := tell(p.i, t); err != nil {
				return err
			}
		}
		more[p.i] <- struct{}{}
	}
	return nil
}
