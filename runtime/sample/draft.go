package sample

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// Reason is why a text ended. The empty one is that of a text which has not.
type Reason string

// Reasons.
const (
	AtLimit Reason = "limit" // it has as many tokens as [MaxTokens] says
	AtStop  Reason = "stop"  // a string of [Stop] came
	AtEnd   Reason = "end"   // the token of [EndToken] came, or a constraint was fulfilled
)

// Token is a token of a text that was written, with the text that it makes certain. The last one of a text is none: its
// ID is -1, its Text what had been kept back, and its End why the text ended.
type Token struct {
	ID      int32
	Piece   string        // the token's own text, which may be a part of a character
	Text    string        // what can be shown now: whole characters that cannot begin a stop string
	LogProb float64       // natural logarithm of its probability under the model alone, where [LogProbs] asks for it
	Best    []Alternative // the likeliest tokens in its place, where [LogProbs] asks for them, the best first
	End     Reason
}

// Alternative is a token that could have been written.
type Alternative struct {
	ID      int32
	Piece   string
	LogProb float64 // natural logarithm of its probability under the model alone
}

// LogProbs asks for the log-probability of each token, and for those of the best likeliest in its place. They are
// those of the model, before any option shapes them. It changes nothing of a text, but that tokens to which a
// constraint leaves no choice are read one by one, so that what follows them may be rounded otherwise. It is for
// [Tokens] and [Draft].
func LogProbs(best int) Option {
	return func(c *config) {
		if best < 0 {
			c.fail("the %d likeliest of each token: give 0 or more", best)
		}
		c.logProbs, c.best = true, best
	}
}

// EndToken ends the text before a token, such as the one that stands between the texts which a model learnt from.
// Under a constraint it may come where the language may end, and nowhere else. The default is the token that ends a
// text of the tokenizer, where it has one.
func EndToken(token int32) Option {
	return func(c *config) {
		if token < 0 {
			c.fail("end token %d: it must be 0 or more", token)
		}
		c.end = token
	}
}

// Tokens is [Generate] with all that is known of each token. The last element has no token and says why the text ended.
// An error comes as the last element in its place. The alternatives of an element are the caller's.
func Tokens(ctx context.Context, dec model.Decoder, tok text.Tokenizer, prompt string,
	opts ...Option) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if err := generate(ctx, dec, tok, prompt, opts, func(t *Token) bool { return yield(*t, nil) }); err != nil {
			yield(Token{ID: -1}, err)
		}
	}
}

// Draft is a text that is being written by a caller who runs the model: it says which tokens the model reads, and
// makes of the logits behind them what is written next. [Generate] runs one draft on one decoder; a scheduler many
// drafts on the sequences of one.
//
//	tokens := d.Prompt()
//	for {
//		logits := … // the decoder reads tokens
//		written, err := d.Next(ctx, logits)
//		… // show them
//		if err != nil || d.End() != "" {
//			break
//		}
//		tokens, restart = d.Read(room) // where restart is true, the decoder begins anew before it reads them
//	}
//
// Tokens are read together, in chunks of as many as the decoder takes at a time: reading them otherwise gives other
// roundings. A draft is not safe for concurrent use.
type Draft struct {
	config  *config
	tok     text.Tokenizer
	sampler *Sampler
	chorus  *chorus
	stream  *text.Stream
	held    holder
	past    history
	prompt  []int32

	written int
	pending []int32 // what is decided; from number next on it is not written yet
	next    int
	unread  []int32 // written, and not read by the model
	unsung  []int32 // written, and not read by the chorus
	reading []int32
	out     []Token
	row     []float32
	best    []int32
	end     Reason
}

// NewDraft begins a text behind a prompt, which must have a token: see [Generate] for an empty one. window is how many
// tokens the model sees at the most, 0 for a model without bounds. Of a longer prompt the model reads the end. The
// context is for the decoders of options such as [Guidance], which read the prompt.
func NewDraft(ctx context.Context, tok text.Tokenizer, prompt []int32, window int, opts ...Option) (*Draft, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	c.tokenized(tok)
	s, err := c.sampler(tok.Vocab())
	if err != nil {
		return nil, err
	}
	if len(prompt) == 0 {
		return nil, errors.New("sample: a draft goes on from a token or more")
	}
	return c.draft(ctx, s, tok, prompt, window)
}

func (c *config) draft(ctx context.Context, s *Sampler, tok text.Tokenizer, prompt []int32, window int) (*Draft,
	error) {
	for _, t := range prompt {
		if t < 0 || int(t) >= tok.Vocab() {
			return nil, fmt.Errorf("sample: token %d of the prompt: tokens are 0 to %d", t, tok.Vocab()-1)
		}
	}
	if c.end >= int32(tok.Vocab()) {
		return nil, fmt.Errorf("sample: end token %d: tokens are 0 to %d", c.end, tok.Vocab()-1)
	}
	d := &Draft{config: c, tok: tok, sampler: s, stream: streamBehind(tok, prompt),
		held: holder{stops: c.stop, after: c.minTokens}, past: newHistory(window)}
	d.past.add(prompt...)
	d.prompt = d.past.fitting(prompt)
	var err error
	if d.chorus, err = c.chorus(ctx, tok, prompt); err != nil {
		return nil, err
	}
	for _, t := range prompt {
		s.Accept(t)
	}
	if c.logProbs {
		d.row = make([]float32, tok.Vocab())
		d.best = make([]int32, min(c.best, tok.Vocab()))
	}
	d.unread, d.unsung = make([]int32, 0, mostForced+1), make([]int32, 0, mostForced+1)
	d.out = make([]Token, 0, mostForced+2)
	return d, nil
}

// Prompt is what the model reads first. It is not to be changed.
func (d *Draft) Prompt() []int32 { return d.prompt }

// End is why the text ended, or empty.
func (d *Draft) End() Reason { return d.end }

// Written is the number of tokens that were written.
func (d *Draft) Written() int { return d.written }

// Next makes of the logits [vocabulary] what is written next: most often a token; several where a constraint leaves no
// choice; and behind the last token the element that ends the text. The slice is overwritten by the next call. After an
// error the draft is over.
func (d *Draft) Next(ctx context.Context, logits []float32) ([]Token, error) {
	c := d.config
	d.out = d.out[:0]
	if d.end != "" {
		return nil, nil
	}
	if c.maxTokens >= 0 && d.written >= c.maxTokens {
		return d.close(AtLimit), nil
	}
	alone := c.logProbs || c.watch != nil // each token is asked for the model's logits
	if d.next < len(d.pending) {
		d.write(logits, d.pending[d.next])
		return d.out, nil
	}
	row := logits
	if d.chorus != nil {
		var err error
		if row, err = d.chorus.sing(ctx, logits, d.unsung); err != nil {
			return nil, err
		}
		d.unsung = d.unsung[:0]
	}
	token, err := d.sampler.Next(row)
	if errors.Is(err, ErrEnd) || err == nil && token == c.end {
		return d.close(AtEnd), nil
	}
	if err != nil {
		return nil, err
	}
	// What must follow is decided with it, so that the model can be told all of it at once.
	d.pending = append(d.pending[:0], token)
	if d.sampler.under != nil {
		run := mostForced
		if c.maxTokens >= 0 {
			run = min(run, c.maxTokens-d.written-1)
		}
		d.pending = d.sampler.forcedRun(d.pending, run)
	}
	for d.next = 0; d.next < len(d.pending) && d.end == ""; {
		if d.write(logits, d.pending[d.next]); alone {
			break
		}
	}
	return d.out, nil
}

// write writes one token, of which the model was asked by logits if anything is to be told of that.
func (d *Draft) write(logits []float32, token int32) {
	c := d.config
	if c.watch != nil {
		c.watch(logits, token)
	}
	t := Token{ID: token}
	if c.logProbs {
		kernel.LogSoftmax(d.row, logits, 1, len(d.row))
		t = told(d.tok, token, d.row, d.best)
	} else {
		t.Piece = d.tok.Piece(token)
	}
	d.written++
	d.next++
	d.sampler.Accept(token)
	d.unread = append(d.unread, token)
	if d.chorus != nil {
		d.unsung = append(d.unsung, token)
	}
	part, end := d.held.next(d.stream.Next(token))
	t.Text = part
	d.out = append(d.out, t)
	switch {
	case end:
		d.end = AtStop
		d.out = append(d.out, Token{ID: -1, End: AtStop})
	case c.maxTokens >= 0 && d.written >= c.maxTokens:
		d.close(AtLimit)
	}
}

// close ends the text with what is left of it, in which a stop string may still come.
func (d *Draft) close(why Reason) []Token {
	part, end := d.held.next(d.stream.Flush())
	if end {
		why = AtStop
	} else {
		part += d.held.rest
	}
	d.end = why
	d.out = append(d.out, Token{ID: -1, Text: part, End: why})
	return d.out
}

// Read gives what the model reads next, where its decoder has room for as many more tokens. Where they do not fit
// restart is true: the decoder begins anew, and reads the newer half of what it saw. The slice is overwritten by the
// next call.
func (d *Draft) Read(room int) (tokens []int32, restart bool) {
	d.reading, restart = d.past.plan(d.reading[:0], room, d.unread)
	d.unread = d.unread[:0]
	return d.reading, restart
}
