package batch

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/gradsmith/gradsmith/runtime/sample"
)

// Text is a text that a batch writes. It is read by one goroutine.
type Text struct {
	ctx    context.Context
	cancel context.CancelFunc
	stop   func() bool // of the call that rouses the loop when the context is done
	b      *Batch
	draft  *sample.Draft

	mu      sync.Mutex
	ready   []sample.Token // written and not read
	over    bool           // nothing comes behind ready
	err     error          // what ended it, if that was no end
	changed chan struct{}
	reading []sample.Token

	// What follows belongs to the loop.
	phase phase
	place int
	own   joinable // its decoder while it has no sequence of the common one
	todo  []int32  // what its decoder reads next; from number at on it has not
	at    int
	used  int   // tokens of the window that are taken
	first bool  // todo is the prompt
	cuts  []int // where others can go on with it, who share its beginning
}

// phase is what becomes of a text next.
type phase int

const (
	waiting phase = iota // for a place
	reading              // todo, by its own decoder
	writing              // in the sequence of its place
	parked               // until its reader has caught up
)

func newText(ctx context.Context, b *Batch, draft *sample.Draft) *Text {
	t := &Text{b: b, draft: draft, changed: make(chan struct{}, 1), place: -1, todo: draft.Prompt(), first: true}
	t.ctx, t.cancel = context.WithCancel(ctx)
	t.stop = context.AfterFunc(t.ctx, b.rouse)
	return t
}

// All gives the tokens as they are written. The last element has no token and says why the text ended; or an error
// comes in its place, which is the context's when that is done. When the loop over it is left, the text is closed.
func (t *Text) All() iter.Seq2[sample.Token, error] {
	return func(yield func(sample.Token, error) bool) {
		defer t.Close()
		for {
			tokens, err := t.Next()
			for _, x := range tokens {
				if !yield(x, nil) {
					return
				}
			}
			if err != nil {
				yield(sample.Token{ID: -1}, err)
				return
			}
			if len(tokens) == 0 {
				return
			}
		}
	}
}

// Next waits for tokens that were written and gives all there are; none when the text is over. The slice is
// overwritten by the next call. A text whose context is done ends with its error at once, whatever has been written.
func (t *Text) Next() ([]sample.Token, error) {
	for {
		if err := context.Cause(t.ctx); err != nil {
			return nil, err
		}
		t.mu.Lock()
		full := len(t.ready) >= t.b.options.Ahead
		t.reading, t.ready = t.ready, t.reading[:0]
		over, err := t.over, t.err
		t.mu.Unlock()
		if full {
			t.b.rouse()
		}
		switch {
		case len(t.reading) > 0:
			return t.reading, nil
		case over:
			return nil, err
		}
		select {
		case <-t.changed:
		case <-t.ctx.Done():
		}
	}
}

// Close gives up a text that is not read any more, and with it the place. It may be called twice.
func (t *Text) Close() { t.cancel() }

// put adds what was written, and tells whether the reader is too far behind.
func (t *Text) put(tokens []sample.Token) (behind bool) {
	t.mu.Lock()
	t.ready = append(t.ready, tokens...)
	behind = len(t.ready) >= t.b.options.Ahead
	t.mu.Unlock()
	t.tell()
	return behind
}

// finish says that nothing comes any more.
func (t *Text) finish(err error) {
	t.mu.Lock()
	t.over, t.err = true, err
	t.mu.Unlock()
	t.stop()
	t.tell()
}

func (t *Text) tell() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// beginning is whether its prompt is being read.
func (t *Text) beginning() bool { return t.phase == reading && t.first && t.own != nil }

// share makes the text keep what it has read when that is n tokens; 0 is none.
func (t *Text) share(n int) {
	if n > t.at && !slices.Contains(t.cuts, n) {
		t.cuts = append(t.cuts, n)
	}
}

// caughtUp is whether its reader has read everything.
func (t *Text) caughtUp() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ready) == 0
}
