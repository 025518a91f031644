package text

import (
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Windows reads a part of a corpus in windows for truncated backpropagation through time. The text is cut into as many
// tracks of equal length as the batch has rows; window w holds steps w·steps to (w+1)·steps of every track, so that the
// state that a row ends with is the one that it goes on from in the next window.
//
// A row is reset where a track or a document begins, and what would follow the last token of a document is not
// predicted: its target is -1.
type Windows struct {
	part    *Part
	rows    int
	steps   int
	track   int // tokens of a track that are inputs
	inputs  int // tokens of the text that are inputs
	windows int
	next    int
	padding int32 // token behind the end of a row

	shuffled bool
	seed     uint64
	pass     int
	order    []int32 // shuffled: the pieces of this pass, row by row
	mixed    mix     // shuffled, of token files: the same, which takes no memory
	pieces   int     // shuffled: how many of them there are
	offset   int     // shuffled: where its first piece begins

	err error // why no window follows; nil at the end of a pass
}

// Windows cuts the part for training: every window is full, and the tokens at the end of the text that do not fill one
// are not used. It is an error when the text does not fill any.
func (p *Part) Windows(batch, steps int) (*Windows, error) {
	if err := checkSize(batch, steps); err != nil {
		return nil, err
	}
	w := &Windows{part: p, rows: batch, steps: steps, track: (p.Tokens() - 1) / batch}
	w.windows = w.track / steps
	w.track = w.windows * steps
	w.inputs = p.Tokens() - 1
	if w.windows == 0 {
		return nil, fmt.Errorf("%s: the text has %s for training, one window of %d sequences × %d steps takes %d: "+
			"give a longer text, or train with a smaller batch or window",
			p.Name, count(p.Tokens(), "token"), batch, steps, batch*steps+1)
	}
	return w, nil
}

// Whole cuts the part for evaluation: every token but the first is predicted once, in order. The last window is
// shorter, rows are padded with targets of -1, and a text that is short has fewer rows, so that none is shorter than a
// window.
func (p *Part) Whole(batch, steps int) (*Windows, error) {
	if err := checkSize(batch, steps); err != nil {
		return nil, err
	}
	inputs := p.Tokens() - 1
	if inputs < 1 {
		return nil, fmt.Errorf("%s: the text has %s, to evaluate takes at least 2", p.Name, count(p.Tokens(), "token"))
	}
	rows := max(1, min(batch, inputs/steps))
	track := (inputs + rows - 1) / rows
	return &Windows{part: p, rows: rows, steps: steps, track: track, inputs: inputs,
		windows: (track + steps - 1) / steps}, nil
}

// Shuffled cuts the part for the training of a model that carries no state from window to window: each pass cuts the
// text into pieces of steps tokens, begins with another token than the pass before, and gives the pieces in an order of
// its own, which the seed and the number of the pass decide. Every row of every window is reset.
func (p *Part) Shuffled(batch, steps int, seed uint64) (*Windows, error) {
	w, err := p.Windows(batch, steps)
	if err != nil {
		return nil, err
	}
	pieces := (p.Tokens() - steps) / steps // whatever the offset
	w.windows = pieces / batch
	if w.windows == 0 {
		w.windows = 1
	}
	w.track, w.shuffled, w.seed = w.windows*steps, true, seed
	if w.pieces = max(pieces, batch); p.files == nil {
		w.order = make([]int32, w.pieces)
	}
	w.shuffle()
	return w, nil
}

// shuffle draws the order of a pass.
func (w *Windows) shuffle() {
	w.offset = int(model.Key(w.seed, uint64(w.pass)) % uint64(w.steps))
	if w.pieces*w.steps+w.offset > w.inputs {
		w.offset = 0 // a text of one window
	}
	if w.order == nil {
		w.mixed = newMix(w.pieces, w.seed, uint64(w.pass))
		return
	}
	for i := range w.order {
		w.order[i] = int32(i)
	}
	model.Shuffle(w.order, w.seed, uint64(w.pass))
}

// piece is the one at a place of this pass.
func (w *Windows) piece(place int) int {
	if w.order == nil {
		return w.mixed.at(place)
	}
	return int(w.order[place])
}

func checkSize(batch, steps int) error {
	if batch < 1 || steps < 1 {
		return fmt.Errorf("windows of %d sequences × %d steps: both must be 1 or more", batch, steps)
	}
	return nil
}

// Windows is the number of windows in a pass over the text.
func (w *Windows) Windows() int { return w.windows }

// Tokens is the number of tokens in the windows of a pass.
func (w *Windows) Tokens() int { return min(w.rows*w.track, w.inputs) }

// Rewind goes back to the first window of the first pass.
func (w *Windows) Rewind() { w.SetPosition(0, 0) }

// NextPass goes to the first window of the next pass.
func (w *Windows) NextPass() { w.SetPosition(w.pass+1, 0) }

// Position is the number of windows that Next has given since the start of the text.
func (w *Windows) Position() int64 { return int64(w.next) }

// SetPosition makes Next go on after that number of windows of a pass, the first of which is 0. A position outside of
// the text is a mistake of the program and panics.
func (w *Windows) SetPosition(pass int, position int64) {
	if pass < 0 || position < 0 || position > int64(w.windows) {
		panic(fmt.Sprintf("text: position %d of pass %d in a text of %d windows", position, pass, w.windows))
	}
	w.next = int(position)
	if pass != w.pass && w.shuffled {
		w.pass = pass
		w.shuffle()
	}
	w.pass = pass
}

// Next fills b with the next window, or reports false at the end of the text, or where a token file is no longer what
// it was, which Err tells. It allocates only where b is too small, or reads token files.
func (w *Windows) Next(b *model.Batch) bool {
	if w.next >= w.windows || w.err != nil {
		return false
	}
	if w.part.files == nil {
		w.fill(b)
	} else if w.err = w.part.files.during(func() { w.fill(b) }); w.err != nil {
		return false
	}
	w.next++
	return true
}

// Err is why Next has reported false before the end of the text.
func (w *Windows) Err() error { return w.err }

// fill fills b with the next window.
func (w *Windows) fill(b *model.Batch) {
	from := w.next * w.steps // in each track
	steps := min(w.steps, w.track-from)
	n := steps * w.rows
	b.Steps, b.Batch = steps, w.rows
	b.Tokens, b.Targets, b.Reset = resize(b.Tokens, n), resize(b.Targets, n), resize(b.Reset, n)
	clear(b.Reset)
	for row := range w.rows {
		at := row*w.track + from
		end := min(at+steps, w.inputs, (row+1)*w.track)
		if w.shuffled {
			at = w.offset + w.piece(w.next*w.rows+row)*steps
			end = min(at+steps, w.inputs)
		}
		i := row
		for p := at; p < end; p++ {
			b.Tokens[i], b.Targets[i] = w.part.at(p), w.part.at(p+1)
			i += w.rows
		}
		for ; i < n; i += w.rows {
			b.Tokens[i], b.Targets[i] = w.padding, -1
		}
		if from == 0 || w.shuffled {
			b.Reset[row] = 1
		}
		// Documents that begin at a token of the row, or right after its last one.
		for d := w.part.document(at); ; d++ {
			s, ok := w.part.start(d)
			if !ok || s > end || s < at {
				break
			}
			if s < end {
				b.Reset[(s-at)*w.rows+row] = 1
			}
			if s > at {
				b.Targets[(s-1-at)*w.rows+row] = -1
			}
		}
	}
}

func resize(x []int32, n int) []int32 {
	if cap(x) < n {
		return make([]int32, n)
	}
	return x[:n]
}
