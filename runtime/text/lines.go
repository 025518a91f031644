package text

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// LineSet is lines of text as tokens, each of the same number of them: what adversarial networks of text learn to
// imitate. A line that is shorter is filled with the token that ends it. It is immutable.
type LineSet struct {
	Name    string
	Skipped int    // lines that were longer than the model takes
	Digest  string // hex SHA-256 of the lines and of how they become tokens

	format model.Imitation
	steps  int
	tokens []int32 // [lines, steps]
	sorted bool    // in alphabetical order
}

// NewLineSet makes tokens of lines; steps is the number of tokens of a line. Where lines have an end, one must leave
// room for its token: longer ones are left out and counted. Where they have none, a line of another length is an error,
// which names it.
func NewLineSet(name string, lines []string, t Tokenizer, format model.Imitation, steps int) (*LineSet, error) {
	s := &LineSet{Name: name, format: format, steps: steps, sorted: sortedLines(lines)}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%d\n", t.Digest(), steps)
	for i, line := range lines {
		fmt.Fprintf(hash, "%q\n", line)
		x, err := EncodeLine(line, t, format, steps)
		var long *LongLineError
		if errors.As(err, &long) {
			s.Skipped++
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		s.tokens = append(s.tokens, x...)
	}
	if len(s.tokens) == 0 {
		return nil, fmt.Errorf("%s: there is no line that the model takes: %d are longer than %d tokens", name,
			s.Skipped, steps-1)
	}
	s.Digest = hex.EncodeToString(hash.Sum(nil))
	return s, nil
}

// A LongLineError tells of a line that is longer than a model takes.
type LongLineError struct {
	Tokens int // of the line
	Most   int // that the model takes
}

// Error gives both numbers.
func (e *LongLineError) Error() string {
	return fmt.Sprintf("the line has %s, the model takes %d: shorten it", count(e.Tokens, "token"), e.Most)
}

// EncodeLine is the tokens of a line, filled to steps of them with the one that ends it. A line that leaves no room for
// its end is a [*LongLineError]; where lines have no end, one of another length is an error.
func EncodeLine(line string, t Tokenizer, format model.Imitation, steps int) ([]int32, error) {
	most := steps
	if format.End >= 0 {
		most--
	}
	return encodeLine(line, t, format, steps, most)
}

// EncodeJudged is [EncodeLine] of a line that is to be judged, not learnt: there need not be room for its end, as a
// generator also writes lines that it does not end.
func EncodeJudged(line string, t Tokenizer, format model.Imitation, steps int) ([]int32, error) {
	return encodeLine(line, t, format, steps, steps)
}

// encodeLine takes lines of most tokens, of which it makes steps.
func encodeLine(line string, t Tokenizer, format model.Imitation, steps, most int) ([]int32, error) {
	x, err := t.Encode(line)
	switch {
	case err != nil:
		return nil, err
	case format.End < 0 && len(x) != steps:
		return nil, fmt.Errorf("the line has %s, and lines of this model are all of %d", count(len(x), "token"), steps)
	case len(x) > most:
		return nil, &LongLineError{len(x), most}
	}
	for len(x) < steps {
		x = append(x, format.End)
	}
	return x, nil
}

// Len is the number of lines.
func (s *LineSet) Len() int { return len(s.tokens) / s.steps }

// Line is the tokens of a line, those that fill it included. It must not be changed.
func (s *LineSet) Line(i int) []int32 { return s.tokens[i*s.steps : (i+1)*s.steps] }

// Split takes a share of the lines off their end, for validation. It is an error when either part would be empty.
func (s *LineSet) Split(share float64) (train, validation *LineSet, err error) {
	cut := int(float64(s.Len()) * (1 - share))
	if cut < 1 || cut >= s.Len() {
		return nil, nil, fmt.Errorf("%s: a share of %v of its %s leaves nothing for training or for validation", s.Name,
			share, count(s.Len(), "line"))
	}
	a, b := *s, *s
	a.tokens, b.tokens = s.tokens[:cut*s.steps], s.tokens[cut*s.steps:]
	return &a, &b, nil
}

// Tail says why the last share of the lines may not be like the others, or is empty: they are sorted.
func (s *LineSet) Tail(share float64) string {
	return tail(s.Name, "line", s.sorted, nil, s.Len(), share)
}

// Shuffle puts the lines in an order that is drawn, the same one each time.
func (s *LineSet) Shuffle() {
	tokens := make([]int32, 0, len(s.tokens))
	for _, i := range drawn(s.Len()) {
		tokens = append(tokens, s.Line(int(i))...)
	}
	s.tokens, s.sorted = tokens, false
	s.Digest += " shuffled"
}

// LineBatches gives lines in batches.
type LineBatches struct {
	s        *LineSet
	rows     int
	shuffled bool
	seed     uint64
	pass     int
	order    []int32
	windows  int
	next     int
}

// Shuffled cuts the lines for training: each pass has an order of its own, which the seed and the number of the pass
// decide. Every batch is full; what is left over at the end of a pass is not read in it. It is an error when the lines
// do not fill a batch.
func (s *LineSet) Shuffled(batch int, seed uint64) (*LineBatches, error) {
	if batch < 1 || batch > s.Len() {
		return nil, fmt.Errorf("%s: %s do not fill a batch of %d: give more lines, or a smaller batch", s.Name,
			count(s.Len(), "line"), batch)
	}
	b := &LineBatches{s: s, rows: batch, shuffled: true, seed: seed, windows: s.Len() / batch}
	b.arrange()
	return b, nil
}

// Whole cuts the lines for evaluation: each once, in their order. What fills a line behind its end is not predicted:
// its targets are -1.
func (s *LineSet) Whole(batch int) (*LineBatches, error) {
	if batch < 1 {
		return nil, fmt.Errorf("batches of %d lines: give 1 or more", batch)
	}
	b := &LineBatches{s: s, rows: batch, windows: (s.Len() + batch - 1) / batch}
	b.arrange()
	return b, nil
}

func (b *LineBatches) arrange() {
	if b.order == nil {
		b.order = make([]int32, b.s.Len())
	}
	for i := range b.order {
		b.order[i] = int32(i)
	}
	if b.shuffled {
		model.Shuffle(b.order, b.seed, uint64(b.pass))
	}
}

// Windows is the number of batches of a pass, Tokens the number of tokens in them.
func (b *LineBatches) Windows() int { return b.windows }

// Tokens is the number of tokens that a pass has, those that fill lines included.
func (b *LineBatches) Tokens() int { return min(b.windows*b.rows, b.s.Len()) * b.s.steps }

// Rewind goes back to the first batch of the first pass.
func (b *LineBatches) Rewind() { b.SetPosition(0, 0) }

// NextPass goes to the first batch of the next pass.
func (b *LineBatches) NextPass() { b.SetPosition(b.pass+1, 0) }

// Position is the number of batches that Next has given since the start of the pass.
func (b *LineBatches) Position() int64 { return int64(b.next) }

// SetPosition makes Next go on after that number of batches of a pass. A position outside of the pass is a mistake of
// the program and panics.
func (b *LineBatches) SetPosition(pass int, position int64) {
	if pass < 0 || position < 0 || position > int64(b.windows) {
		panic(fmt.Sprintf("text: position %d of pass %d in lines of %d batches", position, pass, b.windows))
	}
	b.next = int(position)
	if pass != b.pass {
		b.pass = pass
		b.arrange()
	}
}

// Next fills w with the next batch, or reports false at the end of the pass. It allocates only where w is too small.
func (b *LineBatches) Next(w *model.Batch) bool {
	if b.next >= b.windows {
		return false
	}
	from := b.next * b.rows
	b.next++
	lines := b.order[from:min(from+b.rows, len(b.order))]
	w.Batch, w.Steps = len(lines), b.s.steps
	n := w.Steps * w.Batch
	w.Tokens, w.Targets, w.Reset = resize(w.Tokens, n), resize(w.Targets, n), resize(w.Reset, n)
	clear(w.Reset)
	for row, i := range lines {
		w.Reset[row] = 1
		last := b.s.format.Begin
		for t, token := range b.s.Line(int(i)) {
			at := t*w.Batch + row
			w.Tokens[at], w.Targets[at] = last, token
			if !b.shuffled && token == b.s.format.End && last == token && t > 0 {
				w.Targets[at] = -1
			}
			last = token
		}
	}
	return true
}
