package sample

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Speculation counts what guessing has brought.
type Speculation struct {
	Passes   int // readings of the model, those of the prompt left out
	Guessed  int // tokens that were guessed and read with those that were known
	Accepted int // of these, what the model wrote as well
}

// Speculate lets a smaller model guess up to ahead tokens that follow, which the model then reads together, in one pass
// over its weights, and of which it keeps those that it would have written (Leviathan et al. 2023; Chen et al. 2023).
// The text is the same to the byte as without, for every seed and all options: each token is drawn from what the model
// says behind those before it, with the number that would have been drawn anyway, and the guess is what that number
// makes of the smaller model's logits. So the two agree as often as their distributions do.
//
// The decoder is for one sequence and at the start of a text, of a model whose tokens are the same texts, or it is an
// error that names the first token which is not; it may be one of the model itself, of matrices in fewer bits (see
// [model.Packer]). The model that writes has to read several tokens at a time (see [model.Lookahead]).
func Speculate(dec model.Decoder, ahead int) Option {
	return func(c *config) {
		switch {
		case dec == nil || dec.Batch() != 1:
			c.fail("guesses come from a decoder of one sequence")
		case ahead < 1:
			c.fail("%d tokens are guessed ahead: give 1 or more", ahead)
		}
		c.guess, c.ahead = func(ctx context.Context, s *Sampler, tokens []int32) (guesser, error) {
			return newAssistant(ctx, c, dec, s, tokens)
		}, ahead
	}
}

// Lookup is [Speculate] with guesses from the text itself: what followed the last tokens where they stood before. It
// pays for texts that repeat themselves or their prompt, such as code that is changed, and costs next to nothing.
func Lookup(ahead int) Option {
	return func(c *config) {
		if ahead < 1 {
			c.fail("%d tokens are guessed ahead: give 1 or more", ahead)
		}
		c.guess, c.ahead = func(ctx context.Context, _ *Sampler, tokens []int32) (guesser, error) {
			l := &lookup{long: map[[longGram]int32]int{}, short: map[[shortGram]int32]int{}}
			return l, l.read(ctx, tokens)
		}, ahead
	}
}

// Counted makes [Generate] and [Tokens] count in s what guessing brings, from zero on.
func Counted(s *Speculation) Option { return func(c *config) { c.counted = s } }

// speculation is the part of a configuration that says how tokens are guessed.
type speculation struct {
	guess   func(ctx context.Context, s *Sampler, prompt []int32) (guesser, error) // nil for none
	ahead   int
	counted *Speculation
}

// guesser guesses how a text goes on.
type guesser interface {
	// guess appends up to n tokens that may follow the text.
	guess(ctx context.Context, dst []int32, n int) ([]int32, error)
	// read tells of tokens that the text has.
	read(ctx context.Context, tokens []int32) error
}

// reader is what reads for a draft: a decoder, and what it has read ahead of the text.
type reader struct {
	dec     model.Decoder
	look    model.Lookahead
	guesser guesser // nil for none
	ahead   int
	count   *Speculation

	guessed []int32 // read, and not written yet
	rows    []float32
	chunk   []int32
	vocab   int
}

// reader makes what reads for a text behind a prompt, whose tokens s has seen.
func (c *config) reader(ctx context.Context, dec model.Decoder, s *Sampler, prompt []int32, vocab int) (*reader,
	error) {
	r := &reader{dec: dec, ahead: c.ahead, count: &Speculation{}, vocab: vocab}
	if c.counted != nil {
		*c.counted = Speculation{}
		r.count = c.counted
	}
	if c.guess == nil {
		return r, nil
	}
	var ok bool
	if r.look, ok = dec.(model.Lookahead); !ok {
		return nil, errors.New("sample: this model reads token by token, so that guesses gain nothing: leave " +
			"speculation out")
	}
	var err error
	r.guesser, err = c.guess(ctx, s, prompt)
	return r, err
}

// room is how many more tokens of the text the decoder takes.
func (r *reader) room() int { return model.Room(r.dec) + len(r.guessed) }

// read reads tokens and gives the logits behind them; left is how many may be written at the most, below 0 for any
// number.
func (r *reader) read(ctx context.Context, tokens []int32, restart bool, left int) (logits []float32, err error) {
	if restart {
		r.guessed = r.guessed[:0]
	}
	for len(tokens) > 0 && len(r.guessed) > 0 && tokens[0] == r.guessed[0] {
		logits, r.rows = r.rows[:r.vocab], r.rows[r.vocab:]
		tokens, r.guessed = tokens[1:], r.guessed[1:]
		r.count.Accepted++
	}
	if len(tokens) == 0 {
		return logits, nil
	}
	if len(r.guessed) > 0 {
		if err := r.look.Rewind(0, len(r.guessed)); err != nil {
			return nil, err
		}
		r.guessed = r.guessed[:0]
	}
	r.count.Passes++
	if r.guesser == nil || restart {
		return readOn(ctx, r.dec, tokens, restart)
	}
	n := min(r.ahead, r.look.Ahead()-len(tokens), model.Room(r.dec)-len(tokens))
	if left >= 0 {
		n = min(n, left-1) // nothing is asked behind the last one
	}
	if r.chunk = append(r.chunk[:0], tokens...); n > 0 {
		if r.chunk, err = r.guesser.guess(ctx, r.chunk, n); err != nil {
			return nil, err
		}
	}
	if len(r.chunk) == len(tokens) {
		return readOn(ctx, r.dec, tokens, false)
	}
	if logits, err = r.look.FeedEach(r.chunk); err != nil {
		return nil, err
	}
	behind := len(tokens) * r.vocab
	r.guessed, r.rows = r.chunk[len(tokens):], logits[behind:]
	r.count.Guessed += len(r.guessed)
	return logits[behind-r.vocab : behind], nil
}

// wrote tells the guesser of what was written.
func (r *reader) wrote(ctx context.Context, written []Token) error {
	if r.guesser == nil {
		return nil
	}
	for i := range written {
		if written[i].ID >= 0 {
			if err := r.guesser.read(ctx, []int32{written[i].ID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookup guesses what followed the last tokens before.
type lookup struct {
	text  []int32
	long  map[[longGram]int32]int // where what follows these tokens stood last
	short map[[shortGram]int32]int
}

// How many tokens are looked for: pieces of words repeat in threes, and letters only in longer runs.
const (
	longGram  = 8
	shortGram = 3
)

func (l *lookup) read(_ context.Context, tokens []int32) error {
	for _, t := range tokens {
		at := len(l.text)
		if at >= longGram {
			l.long[[longGram]int32(l.text[at-longGram:])] = at
		}
		if at >= shortGram {
			l.short[[shortGram]int32(l.text[at-shortGram:])] = at
		}
		l.text = append(l.text, t)
	}
	return nil
}

func (l *lookup) guess(_ context.Context, dst []int32, n int) ([]int32, error) {
	end := len(l.text)
	at, found := 0, false
	if end >= longGram {
		at, found = l.long[[longGram]int32(l.text[end-longGram:])]
	}
	if !found && end >= shortGram {
		at, found = l.short[[shortGram]int32(l.text[end-shortGram:])]
	}
	if !found {
		return dst, nil
	}
	return append(dst, l.text[at:min(end, at+n)]...), nil
}

// assistant guesses with a model.
type assistant struct {
	voice
	sampler *Sampler // of the text
	own     *Sampler // does with the assistant's logits what that would do
	unread  []int32
	ahead   []int32     // guesses that it has read
	states  [][]float32 // of a recurrent network, before each of them
}

// stateful is a decoder whose state can be kept and written back.
type stateful interface{ State() []float32 }

func newAssistant(ctx context.Context, c *config, dec model.Decoder, s *Sampler, prompt []int32) (*assistant, error) {
	if _, ok := dec.(model.Lookahead); !ok {
		_, recurrent := dec.(stateful)
		if _, bounded := dec.(model.Bounded); bounded || !recurrent {
			return nil, errors.New("sample: the model that guesses cannot take tokens back")
		}
	}
	if err := agree(dec, c.tok, "the model that guesses"); err != nil {
		return nil, err
	}
	vocab := len(s.candidates.store)
	a := &assistant{sampler: s}
	var err error
	if a.own, err = c.sampler(vocab); err != nil {
		return nil, err
	}
	a.own.under = nil
	v, err := newVoice(ctx, dec, prompt)
	if err != nil {
		return nil, err
	}
	if a.voice = *v; len(a.logits) != vocab {
		return nil, fmt.Errorf("sample: the model that guesses has %d tokens, and the one that writes %d: both must be "+
			"of one vocabulary", len(a.logits), vocab)
	}
	return a, nil
}

func (a *assistant) read(_ context.Context, tokens []int32) error {
	for _, t := range tokens {
		if len(a.ahead) > 0 && a.ahead[0] == t {
			a.ahead, a.states = a.ahead[1:], a.states[min(1, len(a.states)):]
			a.past.add(t)
			continue
		}
		if err := a.back(); err != nil {
			return err
		}
		a.unread = append(a.unread, t)
	}
	return nil
}

// back takes back what was read ahead.
func (a *assistant) back() (err error) {
	if len(a.ahead) > 0 {
		if look, ok := a.dec.(model.Lookahead); ok {
			err = look.Rewind(0, len(a.ahead))
		} else {
			copy(a.dec.(stateful).State(), a.states[0])
		}
	}
	a.ahead, a.states = a.ahead[:0], a.states[:0]
	return err
}

func (a *assistant) guess(ctx context.Context, dst []int32, n int) ([]int32, error) {
	// What it read ahead lies behind the text: only the logits behind the whole text say what follows that.
	if err := a.back(); err != nil {
		return dst, err
	}
	if len(a.unread) > 0 {
		if err := a.voice.read(ctx, a.unread); err != nil {
			return dst, err
		}
		a.unread = a.unread[:0]
	}
	if look, ok := a.dec.(model.Lookahead); ok {
		n = min(n, model.Room(a.dec)+1, look.Ahead()+1)
	}
	a.own.follow(a.sampler)
	for i := range n {
		token, err := a.own.Next(a.logits)
		if err != nil {
			break // such as of numbers that are not finite: it guesses nothing then
		}
		dst = append(dst, token)
		if i == n-1 {
			break
		}
		a.own.Accept(token)
		if s, ok := a.dec.(stateful); ok {
			a.states = append(a.states, slices.Clone(s.State()))
		}
		a.ahead = append(a.ahead, token)
		if a.logits, err = a.dec.Step([]int32{token}); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// follow makes s draw what o would draw next.
func (s *Sampler) follow(o *Sampler) {
	s.key, s.drawn, s.written = o.key, o.drawn, o.written
	s.recent = append(s.recent[:0], o.recent...)
	if o.mirostat != nil {
		*s.mirostat = *o.mirostat
	}
}
