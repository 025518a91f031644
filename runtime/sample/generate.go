package sample

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// Generate goes on with the prompt and yields the text in parts, as it is written: after most tokens one part, none
// while a character or a stop string may still be incomplete. It begins at the state that the decoder has, which is for
// one sequence. An empty prompt stands for the token that the tokenizer has in front of
// every text, else for a newline, or for token 0 where the vocabulary has none.
//
// What ends it early comes as the last element, with an empty string: a wrong option, a character of the prompt that
// the model does not know, logits that are not finite, or the context's error. Within the loop nothing is allocated
// but characters that are put together from several tokens.
func Generate(ctx context.Context, dec model.Decoder, tok text.Tokenizer, prompt string,
	opts ...Option) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := generate(ctx, dec, tok, prompt, opts, func(t *Token) bool { return t.Text == "" || yield(t.Text, nil) })
		if err != nil {
			yield("", err)
		}
	}
}

func generate(ctx context.Context, dec model.Decoder, tok text.Tokenizer, prompt string, opts []Option,
	yield func(*Token) bool) error {
	c, err := newConfig(opts)
	if err != nil {
		return err
	}
	c.tokenized(tok)
	s, err := c.sampler(tok.Vocab())
	if err != nil {
		return err
	}
	tokens, err := Prompt(tok, prompt)
	if err != nil {
		return err
	}
	if dec.Batch() != 1 {
		return fmt.Errorf("sample: Generate writes one text, the decoder is for %d", dec.Batch())
	}
	d, err := c.draft(ctx, s, tok, tokens, Window(dec))
	if err != nil {
		return err
	}
	logits, err := feed(ctx, dec, d.Prompt())
	if err != nil {
		return err
	}
	r, err := c.reader(ctx, dec, s, tokens, tok.Vocab())
	if err != nil {
		return err
	}
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		written, err := d.Next(ctx, logits)
		if err != nil {
			return err
		}
		for i := range written {
			if !yield(&written[i]) {
				return nil
			}
		}
		if d.End() != "" {
			return nil
		}
		if err := r.wrote(ctx, written); err != nil {
			return err
		}
		next, restart := d.Read(r.room())
		left := -1
		if c.maxTokens >= 0 {
			left = c.maxTokens - d.written
		}
		if logits, err = r.read(ctx, next, restart, left); err != nil {
			return err
		}
	}
}

// readOn reads what a plan says.
func readOn(ctx context.Context, dec model.Decoder, tokens []int32, restart bool) ([]float32, error) {
	if restart {
		dec.Reset()
	}
	if len(tokens) == 1 {
		return dec.Step(tokens)
	}
	return feed(ctx, dec, tokens)
}

// voice is a decoder that reads one text, with its logits of what follows.
type voice struct {
	dec     model.Decoder
	past    history
	reading []int32
	logits  []float32
}

// newVoice reads a prompt.
func newVoice(ctx context.Context, dec model.Decoder, tokens []int32) (*voice, error) {
	v := &voice{dec: dec, past: newHistory(Window(dec))}
	v.past.add(tokens...)
	var err error
	v.logits, err = feed(ctx, dec, v.past.fitting(tokens))
	return v, err
}

// read reads on.
func (v *voice) read(ctx context.Context, tokens []int32) (err error) {
	var restart bool
	v.reading, restart = v.past.plan(v.reading[:0], model.Room(v.dec), tokens)
	v.logits, err = readOn(ctx, v.dec, v.reading, restart)
	return err
}

// mostForced is how many tokens that must follow are written at a time.
const mostForced = 32

// feed runs tokens through every sequence of the decoder and gives the logits of what follows.
func feed(ctx context.Context, dec model.Decoder, tokens []int32) ([]float32, error) {
	chunk, batch := model.Chunk(dec), dec.Batch()
	in := make([]int32, 0, min(chunk, len(tokens))*batch)
	var logits []float32
	for len(tokens) > 0 {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		n := min(chunk, len(tokens))
		if room := model.Room(dec); room < n {
			return nil, fmt.Errorf("sample: the model has room for %d more tokens, not for %d", room, len(tokens))
		}
		in = in[:0]
		for _, t := range tokens[:n] {
			for range batch {
				in = append(in, t)
			}
		}
		var err error
		if logits, err = model.Feed(dec, in); err != nil {
			return nil, err
		}
		tokens = tokens[n:]
	}
	return logits, nil
}

// history is the newest tokens of a text, as many as a model with a bounded window sees. A model without bounds needs
// none.
type history struct {
	tokens []int32
	window int // 0: no bounds
}

// Window is the number of tokens that a decoder which begins a text sees at the most, or 0 where nothing bounds it.
func Window(dec model.Decoder) int {
	if b, bounded := dec.(model.Bounded); bounded {
		return b.Room()
	}
	return 0
}

func newHistory(window int) history {
	return history{window: window, tokens: make([]int32, 0, 2*window)}
}

func (h *history) add(tokens ...int32) {
	for _, t := range tokens {
		if h.window == 0 {
			return
		}
		if len(h.tokens) == cap(h.tokens) {
			h.tokens = h.tokens[:copy(h.tokens, h.tokens[h.window:])]
		}
		h.tokens = append(h.tokens, t)
	}
}

// half is the newer half of a window.
func (h *history) half() []int32 {
	return h.tokens[len(h.tokens)-max(1, min(h.window/2, len(h.tokens))):]
}

// fitting is as much of the end of tokens as the window has room for, one token for an answer left free.
func (h *history) fitting(tokens []int32) []int32 {
	if h.window == 0 {
		return tokens
	}
	return tokens[max(0, len(tokens)-max(1, h.window-1)):]
}

// plan adds to dst what a decoder with some room reads so that it has read tokens. Where they do not fit it restarts,
// and reads the newer half of what it saw up to the token that did not. Token by token or all at once, it comes to the
// same.
func (h *history) plan(dst []int32, room int, tokens []int32) (reading []int32, restart bool) {
	for _, t := range tokens {
		h.add(t)
		if room == 0 {
			dst, restart = append(dst[:0], h.half()...), true
			room = h.window - len(dst)
			continue
		}
		dst = append(dst, t)
		room--
	}
	return dst, restart
}

// Prompt gives the tokens that stand for a prompt, as in [Generate]: never none. Where the tokenizer has a token in
// front of every text, it is the first, and the only one of an empty prompt.
func Prompt(tok text.Tokenizer, prompt string) ([]int32, error) {
	begin, begins := text.Begin(tok)
	switch {
	case prompt == "" && begins:
		return []int32{begin}, nil
	case prompt == "":
		if tokens, err := tok.Encode("\n"); err == nil && len(tokens) > 0 {
			return tokens, nil
		}
		return []int32{0}, nil
	}
	tokens, err := tok.Encode(prompt)
	if err != nil {
		return nil, fmt.Errorf("prompt: %w", err)
	}
	if begins {
		tokens = append([]int32{begin}, tokens...)
	}
	return tokens, nil
}

// streamBehind is the stream of what is written behind a prompt.
func streamBehind(tok text.Tokenizer, prompt []int32) *text.Stream {
	if begin, ok := text.Begin(tok); ok && len(prompt) == 1 && prompt[0] == begin {
		return text.NewText(tok)
	}
	return text.NewStream(tok)
}

// holder keeps back text that may be the beginning of a stop string.
type holder struct {
	stops []string
	after int // tokens in front of which no stop string counts
	rest  string
}

// next takes the next piece and gives what can be shown of it; end is whether a stop string ends the text there.
func (h *holder) next(piece string) (part string, end bool) {
	if h.after > 0 {
		h.after--
		return piece, false
	}
	if len(h.stops) == 0 {
		return piece, false
	}
	s := piece
	if h.rest != "" {
		s = h.rest + piece
	}
	cut := -1
	for _, stop := range h.stops {
		if i := strings.Index(s, stop); i >= 0 && (cut < 0 || i < cut) {
			cut = i
		}
	}
	if cut >= 0 {
		h.rest = ""
		return s[:cut], true
	}
	keep := 0
	for _, stop := range h.stops {
		for n := min(len(stop)-1, len(s)); n > keep; n-- {
			if strings.HasSuffix(s, stop[:n]) {
				keep = n
				break
			}
		}
	}
	h.rest = s[len(s)-keep:]
	return s[:len(s)-keep], false
}

// Scored is a token of a text with its log-probability.
type Scored struct {
	Token   int32
	Piece   string  // its text, which may be a part of a character
	LogProb float64 // natural logarithm of its probability after everything before it
}

// Score gives the log-probability of each token of s after the prompt, at the state that the decoder has. An empty
// prompt stands for a newline, as in [Generate]. The perplexity of s is exp(-mean LogProb).
func Score(ctx context.Context, dec model.Decoder, tok text.Tokenizer, prompt, s string) ([]Scored, error) {
	before, err := Prompt(tok, prompt)
	if err != nil {
		return nil, err
	}
	tokens, err := tok.Encode(s)
	if err != nil {
		return nil, err
	}
	out := make([]Scored, 0, len(tokens))
	one, row := make([]int32, 1), make([]float32, tok.Vocab())
	logits, err := feed(ctx, dec, before)
	if err != nil {
		return nil, err
	}
	for i, t := range tokens {
		if err := context.Cause(ctx); err != nil {
			return out, err
		}
		if i > 0 {
			if one[0] = tokens[i-1]; model.Room(dec) == 0 {
				return out, fmt.Errorf("sample: the text is longer than the model's window: %d of %d tokens are scored",
					i, len(tokens))
			}
			if logits, err = dec.Step(one); err != nil {
				return out, err
			}
		}
		kernel.LogSoftmax(row, logits, 1, len(row))
		p := float64(row[t])
		if p != p {
			return out, ErrNotFinite
		}
		out = append(out, Scored{Token: t, Piece: tok.Piece(t), LogProb: p})
	}
	return out, nil
}
