package batch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

// Errors of [Batch.Start].
var (
	ErrBusy   = errors.New("batch: too many texts are waiting already; try again later")
	ErrClosed = errors.New("batch: no more texts are written: it was closed")
)

// Options says how a batch shares its model. The zero value is a good choice for a processor with a few cores.
type Options struct {
	Places   int // texts that are written at the same time; default 8
	Waiting  int // texts that may wait for a place; default 64, and none below 0
	Prefixes int // beginnings of prompts whose caches are kept for texts to come; default 4, and none below 0
	Ahead    int // tokens that a text is ahead of its reader before it waits for it; default 1024
}

// Defaults of [Options].
const (
	DefaultPlaces   = 8
	DefaultWaiting  = 64
	DefaultPrefixes = 4
	DefaultAhead    = 1024
)

func (o Options) complete() Options {
	set := func(x *int, value int) {
		if *x == 0 {
			*x = value
		}
		*x = min(max(0, *x), 1<<20)
	}
	set(&o.Places, DefaultPlaces)
	set(&o.Waiting, DefaultWaiting)
	set(&o.Prefixes, DefaultPrefixes)
	set(&o.Ahead, DefaultAhead)
	o.Places, o.Ahead = max(1, o.Places), max(1, o.Ahead)
	return o
}

// Stats is what a batch is doing, and what it has done.
type Stats struct {
	Places  int // of Options
	Writing int // texts that are written
	Reading int // texts whose prompt is read
	Waiting int // texts that wait for a place
	Parked  int // texts that wait for their reader

	Steps        int64 // of the decoder, for all texts that are written
	Written      int64 // tokens
	PromptTokens int64 // of the prompts that were begun
	SharedTokens int64 // of those, read before for another text
	Texts        int64 // that ended, for whatever reason
	Cancelled    int64 // of those, by their context
}

// Batch writes texts with one model. Its methods may be called from many goroutines. While it is open, the model must
// not be trained.
type Batch struct {
	options Options
	m       model.Writer
	tok     model.Tokenizer
	vocab   int
	window  int   // tokens that a text sees; 0 for any number
	none    int32 // token of a sequence that reads nothing

	mu       sync.Mutex
	arrivals []*Text // that the loop has not seen
	admitted int     // texts that were begun and have not left
	closed   bool
	ended    bool // so is the loop
	stats    Stats
	left     chan struct{} // closed when the last text has left, of a closed batch
	wake     chan struct{}
	done     chan struct{} // closed when the loop has ended
	abort    chan struct{} // closed when the loop has to end at once
	aborting sync.Once

	loop
}

// New makes a batch for a model. Close ends it.
func New(m model.Writer, tok model.Tokenizer, options Options) (*Batch, error) {
	info := m.Info()
	if info.Source != nil || info.Latent != nil {
		return nil, fmt.Errorf("batch: %s writes answers or from latent vectors, and not from prompts", info.Name)
	}
	options = options.complete()
	if c, ok := m.(model.Cacher); ok {
		kind, n := c.CacheKind(), options.Places+options.Prefixes+1
		if err := cache.Fits(kind, n, c.CacheBytes(kind, n)); err != nil {
			return nil, fmt.Errorf("batch: %s: %w", info.Name, err)
		}
	}
	first, ok := m.MakeDecoder(1).(joinable)
	if !ok {
		return nil, fmt.Errorf(
			"batch: the decoders of %s let no text begin while others go on: generate its code again", info.Name)
	}
	b := &Batch{
		options: options,
		m:       m,
		tok:     tok,
		vocab:   tok.Vocab(),
		window:  sample.Window(first),
		wake:    make(chan struct{}, 1),
		left:    make(chan struct{}),
		done:    make(chan struct{}),
		abort:   make(chan struct{}),
	}
	if _, ok := first.(model.Chunked); ok {
		b.none = -1
	}
	b.stats.Places = b.options.Places
	b.loop = newLoop(b, first)
	go b.run()
	return b, nil
}

// decoder makes a decoder for n sequences.
func (b *Batch) decoder(n int) joinable { return b.m.MakeDecoder(n).(joinable) }

// Window is how many tokens a text and its prompt can have before its beginning is forgotten; 0 for any number.
func (b *Batch) Window() int { return b.window }

// Stats tells what the batch is doing.
func (b *Batch) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// Start begins a text behind the tokens of a prompt, of which there must be one; see [sample.Prompt] for an empty one.
// The text is that of [sample.Tokens] with the same prompt, options and seed. The error is ErrBusy, ErrClosed, or what
// is wrong with the options. The text keeps its place until it has ended, the context is done or Close is called,
// whichever is first.
func (b *Batch) Start(ctx context.Context, prompt []int32, opts ...sample.Option) (*Text, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := b.admit(); err != nil {
		return nil, err
	}
	draft, err := sample.NewDraft(ctx, b.tok, prompt, b.window, opts...)
	if err != nil {
		b.leave(nil)
		return nil, err
	}
	t := newText(ctx, b, draft)
	b.mu.Lock()
	ended := b.ended
	if !ended {
		b.arrivals = append(b.arrivals, t)
	}
	b.mu.Unlock()
	if ended {
		t.Close()
		b.leave(nil)
		return nil, ErrClosed
	}
	b.rouse()
	return t, nil
}

// Generate is [sample.Generate] with the batch's model.
func (b *Batch) Generate(ctx context.Context, prompt string, opts ...sample.Option) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for t, err := range b.Tokens(ctx, prompt, opts...) {
			if (err != nil || t.Text != "") && !yield(t.Text, err) {
				return
			}
		}
	}
}

// Tokens is [sample.Tokens] with the batch's model.
func (b *Batch) Tokens(ctx context.Context, prompt string, opts ...sample.Option) iter.Seq2[sample.Token, error] {
	return func(yield func(sample.Token, error) bool) {
		tokens, err := sample.Prompt(b.tok, prompt)
		if err != nil {
			yield(sample.Token{ID: -1}, err)
			return
		}
		t, err := b.Start(ctx, tokens, opts...)
		if err != nil {
			yield(sample.Token{ID: -1}, err)
			return
		}
		t.All()(yield)
	}
}

// Close ends the batch: no text begins any more, those that have begun are written to their end. When the context is
// done before that, the rest ends with ErrClosed. Close returns when nothing runs any more.
func (b *Batch) Close(ctx context.Context) error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		if b.admitted == 0 {
			close(b.left)
		}
	}
	b.mu.Unlock()
	var err error
	select {
	case <-b.left:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	b.aborting.Do(func() { close(b.abort) })
	<-b.done
	return err
}

// admit counts a text in, unless there are too many.
func (b *Batch) admit() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return ErrClosed
	case b.admitted >= b.options.Places+b.options.Waiting:
		return ErrBusy
	}
	b.admitted++
	return nil
}

// leave counts a text out. t is nil for one that never began.
func (b *Batch) leave(t *Text) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.admitted--
	if t != nil {
		b.stats.Texts++
		if t.ctx.Err() != nil && t.draft.End() == "" {
			b.stats.Cancelled++
		}
	}
	if b.closed && b.admitted == 0 {
		close(b.left)
	}
}

// rouse makes the loop look for what has changed.
func (b *Batch) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
