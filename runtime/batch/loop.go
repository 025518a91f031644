package batch

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// joinable is a decoder whose sequences come and go one by one.
type joinable interface {
	model.Restarter
	model.Adopter
}

// loop is what one goroutine has to itself: who is where, and all decoders.
type loop struct {
	dec    joinable
	places []*Text // of the decoder's sequences; nil for a free one
	queue  []*Text // that wait for a place, in their order
	parked []*Text
	turn   int // place whose prompt is read next
	slack  int // steps in a row for which half of the decoder would have done
	chunk  int
	burst  int // tokens of a prompt that are read between two steps
	in     []int32
	spares []joinable // decoders for one sequence that nobody uses
	shared prefixes
}

// Bounds of what is not worth an option.
const (
	leastBurst = 16 // tokens; a decoder that reads one at a time reads as many between two steps
	mostSpares = 2
	mostSlack  = 64
)

func newLoop(b *Batch, dec joinable) loop {
	chunk := model.Chunk(dec)
	return loop{
		dec:    dec,
		places: make([]*Text, 1),
		chunk:  chunk,
		burst:  max(leastBurst, chunk),
		shared: prefixes{most: b.options.Prefixes, chunk: chunk},
	}
}

// run is the loop: one chunk of a prompt, one step of all texts that are written, and so on.
func (b *Batch) run() {
	defer close(b.done)
	for {
		select {
		case <-b.abort:
			b.dismiss()
			return
		default:
		}
		b.gather()
		b.seat()
		read := b.read()
		wrote := b.write()
		b.report()
		if read || wrote {
			continue
		}
		select {
		case <-b.wake:
		case <-b.abort:
		}
	}
}

// gather takes in who has come, and lets go who has left.
func (b *Batch) gather() {
	b.mu.Lock()
	for _, t := range b.arrivals {
		for _, other := range b.places {
			if other != nil && other.beginning() {
				other.share(b.shared.common(t.todo, other.todo))
			}
		}
	}
	b.queue = append(b.queue, b.arrivals...)
	clear(b.arrivals)
	b.arrivals = b.arrivals[:0]
	b.mu.Unlock()
	for _, t := range b.places {
		if t != nil && t.ctx.Err() != nil {
			b.end(t, context.Cause(t.ctx))
		}
	}
	b.queue = slices.DeleteFunc(b.queue, b.gone)
	b.parked = slices.DeleteFunc(b.parked, func(t *Text) bool {
		if b.gone(t) {
			return true
		}
		if !t.caughtUp() {
			return false
		}
		t.phase = waiting
		b.queue = slices.Insert(b.queue, 0, t) // it had a place before all others that wait
		return true
	})
}

// gone ends a text without a place whose context is done.
func (b *Batch) gone(t *Text) bool {
	if t.ctx.Err() == nil {
		return false
	}
	b.end(t, context.Cause(t.ctx))
	return true
}

// end lets a text go, with its place.
func (b *Batch) end(t *Text, err error) {
	if t.place >= 0 {
		b.vacate(t)
	}
	b.keep(t.own)
	t.own = nil
	b.leave(t)
	t.finish(err)
}

// vacate frees the place of a text.
func (b *Batch) vacate(t *Text) {
	b.places[t.place] = nil
	b.restart(t.place)
	t.place = -1
}

// restart empties a sequence of the common decoder. It must not fail: the sequence exists.
func (b *Batch) restart(i int) {
	if err := b.dec.Restart(i); err != nil {
		panic(fmt.Sprintf("batch: %v", err))
	}
}

// dismiss ends all texts.
func (b *Batch) dismiss() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.gather()
	for _, t := range slices.Concat(b.places, b.queue, b.parked) {
		if t != nil {
			b.end(t, ErrClosed)
		}
	}
	b.queue, b.parked = nil, nil
}

// seat gives free places to those who wait.
func (b *Batch) seat() {
	taken := 0
	for _, t := range b.places {
		if t != nil {
			taken++
		}
	}
	size := len(b.places)
	for size < b.options.Places && taken+len(b.queue) > size {
		size = min(2*size, b.options.Places)
	}
	if taken+len(b.queue) <= size/2 {
		if b.slack++; b.slack > mostSlack {
			size = (size + 1) / 2
		}
	} else {
		b.slack = 0
	}
	if size != len(b.places) {
		b.slack = 0
		if err := b.resize(size); err != nil {
			b.fail(err)
			return
		}
	}
	for i := range b.places {
		if b.places[i] != nil || len(b.queue) == 0 {
			continue
		}
		t := b.queue[0]
		b.queue = slices.Delete(b.queue, 0, 1)
		b.places[i], t.place, t.phase = t, i, reading
		if !t.first && (len(t.todo) == 1 || b.chunk == 1) { // it was parked, and does not read with its own decoder
			own := t.own
			if err := b.settle(t); err != nil {
				b.end(t, err)
				continue
			}
			b.keep(own)
		}
	}
}

// resize makes the common decoder one for size sequences, which all texts with a place fit into.
func (b *Batch) resize(size int) error {
	dec := b.decoder(size)
	places := make([]*Text, size)
	free := 0
	for i, t := range b.places {
		if t == nil {
			continue
		}
		if t.phase == writing {
			if err := dec.Adopt(free, b.dec, i); err != nil {
				return err
			}
		}
		places[free], t.place = t, free
		free++
	}
	b.dec, b.places, b.turn = dec, places, 0
	return nil
}

// fail ends all texts that are written, because the model does.
func (b *Batch) fail(err error) {
	for _, t := range b.places {
		if t != nil {
			b.end(t, err)
		}
	}
}

// spare is a decoder for one sequence, at the start of a text.
func (b *Batch) spare() joinable {
	if n := len(b.spares); n > 0 {
		d := b.spares[n-1]
		b.spares = b.spares[:n-1]
		d.Reset()
		return d
	}
	return b.decoder(1)
}

// keep keeps a decoder that nobody uses for later; nil is none.
func (b *Batch) keep(d joinable) {
	if d != nil && len(b.spares) < mostSpares {
		b.spares = append(b.spares, d)
	}
}

// read reads a part of one prompt, the places taking turns. It tells whether there was one.
func (b *Batch) read() bool {
	n := len(b.places)
	for k := range n {
		t := b.places[(b.turn+k)%n]
		if t == nil || t.phase != reading || !b.begin(t) {
			continue
		}
		b.turn = (b.turn + k + 1) % n
		if err := b.readPart(t); err != nil {
			b.end(t, err)
		}
		return true
	}
	return false
}

// begin gets a text ready to read. It tells whether the text can: it waits while another one reads a beginning that
// they share.
func (b *Batch) begin(t *Text) bool {
	if t.own != nil {
		return true
	}
	if !t.first {
		t.own = b.spare()
		return true
	}
	have, best := 0, b.shared.longest(t.todo)
	if best != nil {
		have = len(best.tokens)
	}
	for _, other := range b.places {
		if other != nil && other != t && other.beginning() {
			if l := b.shared.common(t.todo, other.todo); l > have && l > other.at {
				return false
			}
		}
	}
	t.own = b.spare()
	if best != nil {
		if err := t.own.Adopt(0, best.dec, 0); err != nil {
			b.end(t, err)
			return false
		}
		t.at, t.used = have, have
	}
	for _, prompt := range b.shared.seen {
		t.share(b.shared.common(t.todo, prompt))
	}
	for _, other := range slices.Concat(b.places, b.queue) {
		if other != nil && other != t && other.first {
			t.share(b.shared.common(t.todo, other.todo))
		}
	}
	b.shared.see(t.todo)
	b.mu.Lock()
	b.stats.PromptTokens += int64(len(t.todo))
	b.stats.SharedTokens += int64(t.at)
	b.mu.Unlock()
	return true
}

// readPart reads on in what a text has to read, and writes its next token behind the end of that.
func (b *Batch) readPart(t *Text) error {
	var logits []float32
	if t.first && t.at == len(t.todo) {
		logits = b.shared.longest(t.todo).logits // all of it was read for another text
	}
	for read := 0; read < b.burst && t.at < len(t.todo); {
		n := min(b.chunk, len(t.todo)-t.at)
		var err error
		if logits, err = model.Feed(t.own, t.todo[t.at:t.at+n]); err != nil {
			return err
		}
		t.at += n
		t.used += n
		read += n
		if t.at < len(t.todo) && slices.Contains(t.cuts, t.at) && b.shared.takes(t.todo[:t.at]) {
			d := b.spare()
			if err := d.Adopt(0, t.own, 0); err != nil {
				return err
			}
			b.keep(b.shared.add(t.todo[:t.at], d, logits))
		}
	}
	if t.at < len(t.todo) {
		return nil
	}
	whole := t.first && b.shared.takes(t.todo)
	t.first, t.cuts = false, nil
	own, prompt := t.own, t.todo
	if err := b.settle(t); err != nil {
		return err
	}
	if whole {
		own = b.shared.add(prompt, own, logits)
	}
	b.next(t, logits)
	b.keep(own)
	return nil
}

// settle moves a text, whose own decoder has read all but todo, into the sequence of its place.
func (b *Batch) settle(t *Text) error {
	if err := b.dec.Adopt(t.place, t.own, 0); err != nil {
		return err
	}
	t.own, t.phase = nil, writing
	return nil
}

// write makes a step of all texts that are written. It tells whether there was one.
func (b *Batch) write() bool {
	b.in = b.in[:0]
	any := false
	for _, t := range b.places {
		token := b.none
		if t != nil && t.phase == writing {
			token, any = t.todo[t.at], true
		}
		b.in = append(b.in, token)
	}
	if !any {
		return false
	}
	logits, err := model.Feed(b.dec, b.in)
	if err != nil {
		b.fail(err)
		return true
	}
	for i, t := range b.places {
		if t == nil || t.phase != writing {
			continue
		}
		t.used++
		if t.at++; t.at == len(t.todo) {
			b.next(t, logits[i*b.vocab:(i+1)*b.vocab])
		}
	}
	b.mu.Lock()
	b.stats.Steps++
	b.mu.Unlock()
	return true
}

// next writes what follows, and plans what is read behind it.
func (b *Batch) next(t *Text, logits []float32) {
	before := t.draft.Written()
	behind, err := b.compose(t, logits)
	b.mu.Lock()
	b.stats.Written += int64(t.draft.Written() - before)
	b.mu.Unlock()
	if err != nil || t.draft.End() != "" {
		b.end(t, err)
		return
	}
	room := math.MaxInt
	if b.window > 0 {
		room = b.window - t.used
	}
	restart := false
	t.todo, restart = t.draft.Read(room)
	t.at = 0
	switch {
	case restart: // it goes on with a part of what it saw, which it reads as it read its prompt
		b.restart(t.place)
		t.phase, t.used = reading, 0
	case behind:
		b.park(t)
	case len(t.todo) > 1 && b.chunk > 1: // which are read together, as for a text alone: the bits depend on it
		if err := b.withdraw(t); err != nil {
			b.end(t, err)
			return
		}
		t.phase = reading
	}
}

// compose asks the draft. A processor of the caller's that panics ends its own text alone.
func (b *Batch) compose(t *Text, logits []float32) (behind bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("batch: an option of the text panicked: %v", r)
		}
	}()
	tokens, err := t.draft.Next(t.ctx, logits)
	return t.put(tokens), err
}

// park takes the place from a text whose reader is behind.
func (b *Batch) park(t *Text) {
	if err := b.withdraw(t); err != nil {
		b.end(t, err)
		return
	}
	b.vacate(t)
	t.phase = parked
	b.parked = append(b.parked, t)
}

// withdraw gives a text that is written a decoder of its own, and empties the sequence of its place.
func (b *Batch) withdraw(t *Text) error {
	t.own = b.spare()
	if err := t.own.Adopt(0, b.dec, t.place); err != nil {
		return err
	}
	b.restart(t.place)
	return nil
}

// report counts who is where.
func (b *Batch) report() {
	var writers, readers int
	for _, t := range b.places {
		switch {
		case t == nil:
		case t.phase == writing:
			writers++
		default:
			readers++
		}
	}
	b.mu.Lock()
	b.stats.Writing, b.stats.Reading, b.stats.Waiting, b.stats.Parked = writers, readers, len(b.queue), len(b.parked)
	b.mu.Unlock()
}
