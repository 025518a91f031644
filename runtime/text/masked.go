package text

import "github.com/gradsmith/gradsmith/runtime/model"

// Masked hides tokens of windows for a model that fills them in (Devlin et al. 2019, section 3.1): of all tokens it
// picks a share, at random and independently; of those it replaces most by the mask and some by any token, and leaves
// the rest. The picked tokens are the targets, every other target is -1. Which tokens are picked follows from the seed,
// the pass and the window, so that a training that is resumed hides the same ones.
type Masked struct {
	*windows
	m    model.Masking
	seed uint64
	pass int
}

// windows is Windows as a part of Masked, which has a method of that name.
type windows = Windows

// NewMasked hides tokens of w, which it takes over.
func NewMasked(w *Windows, m model.Masking, seed uint64) *Masked {
	w.padding = -1
	return &Masked{windows: w, m: m, seed: seed}
}

// Rewind goes back to the first window of the first pass.
func (w *Masked) Rewind() { w.SetPosition(0, 0) }

// NextPass goes to the first window of the next pass.
func (w *Masked) NextPass() {
	w.pass++
	w.windows.NextPass()
}

// SetPosition makes Next go on after that number of windows of a pass.
func (w *Masked) SetPosition(pass int, position int64) {
	w.pass = pass
	w.windows.SetPosition(pass, position)
}

// Next fills b with the next window, or reports false at the end of the text. A window in which no token was picked has
// no targets.
func (w *Masked) Next(b *model.Batch) bool {
	at := uint64(w.Position())
	if !w.windows.Next(b) {
		return false
	}
	w.m.Hide(b, model.Key(w.seed, uint64(w.pass), at))
	return true
}
