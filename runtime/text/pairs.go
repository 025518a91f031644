package text

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Pairs are sources and their answers, as tokens: what a model with an encoder is trained on.
type Pairs struct {
	Name    string
	Skipped int    // pairs that were longer than the model takes
	Digest  string // hex SHA-256 of the texts and of how they become tokens

	format   model.Source
	maxSteps int
	sources  [][]int32 // with the token that ends a source
	answers  [][]int32 // without the tokens that begin and end an answer
	labels   []int32   // of a conditional model; nil for others
}

// PairOptions say what a model takes.
type PairOptions struct {
	Source model.Source // of the model's info
	Steps  int          // tokens of an answer, at the most, the one that begins or ends it included
	Labels []int32      // of each pair, of a conditional model; nil for others
}

// ReadPairs reads pairs of lines: line n of one file and line n of the other, or, where answers is empty, the two halves of
// each line of one file, with a tab in between. Files whose numbers of lines differ are an error; so is an empty file.
// Pairs that are longer than the model takes are left out and counted.
func ReadPairs(sources, answers string, from, to Tokenizer, o PairOptions) (*Pairs, error) {
	a, b, err := ReadLines(sources, answers)
	if err != nil {
		return nil, err
	}
	name := sources
	if answers != "" {
		name += " and " + answers
	}
	return NewPairs(name, a, b, from, to, o)
}

// ReadLines reads the lines that [ReadPairs] makes pairs of.
func ReadLines(sources, answers string) (a, b []string, err error) {
	if a, err = readLines(sources); err != nil {
		return nil, nil, err
	}
	if answers != "" {
		if b, err = readLines(answers); err != nil {
			return nil, nil, err
		}
		if len(a) != len(b) {
			return nil, nil, fmt.Errorf("%s has %s and %s has %s: line n of one must answer line n of the other", sources, count(len(a), "line"), answers, count(len(b), "line"))
		}
		return a, b, nil
	}
	b = make([]string, len(a))
	for i, line := range a {
		left, right, ok := strings.Cut(line, "\t")
		if !ok {
			return nil, nil, fmt.Errorf("%s:%d: there is no tab between a source and its answer", sources, i+1)
		}
		a[i], b[i] = left, right
	}
	return a, b, nil
}

// NewPairs makes pairs of lines in memory.
func NewPairs(name string, sources, answers []string, from, to Tokenizer, o PairOptions) (*Pairs, error) {
	if len(sources) != len(answers) {
		return nil, fmt.Errorf("%s: %s and %s", name, count(len(sources), "source"), count(len(answers), "answer"))
	}
	if o.Labels != nil && len(o.Labels) != len(sources) {
		return nil, fmt.Errorf("%s: %s and %s", name, count(len(sources), "source"), count(len(o.Labels), "label"))
	}
	p := &Pairs{Name: name, format: o.Source, maxSteps: o.Steps}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s\n%d %d\n", from.Digest(), to.Digest(), o.Source.Steps, o.Steps)
	for i, s := range sources {
		fmt.Fprintf(hash, "%q %q\n", s, answers[i])
		x, err := from.Encode(s)
		if err != nil {
			return nil, fmt.Errorf("%s: source %d: %w", name, i+1, err)
		}
		y, err := to.Encode(answers[i])
		if err != nil {
			return nil, fmt.Errorf("%s: answer %d: %w", name, i+1, err)
		}
		if len(x)+1 > o.Source.Steps || len(y)+1 > o.Steps {
			p.Skipped++
			continue
		}
		p.sources = append(p.sources, append(x, o.Source.End))
		p.answers = append(p.answers, y)
		if o.Labels != nil {
			p.labels = append(p.labels, o.Labels[i])
			fmt.Fprintf(hash, "%d\n", o.Labels[i])
		}
	}
	if len(p.sources) == 0 {
		return nil, fmt.Errorf("%s: there is no pair that the model takes: %d are longer than %d tokens of a source or %d of an answer", name, p.Skipped, o.Source.Steps-1, o.Steps-1)
	}
	p.Digest = hex.EncodeToString(hash.Sum(nil))
	return p, nil
}

// readLines reads the lines of a text file.
func readLines(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("can't read the pairs: %w", err)
	}
	defer f.Close()
	lines, err := Lines(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", path)
	}
	return lines, nil
}

// Lines reads all lines of r, without what ends them.
func Lines(r io.Reader) ([]string, error) {
	var lines []string
	in := bufio.NewReader(r)
	for {
		s, err := in.ReadString('\n')
		if s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r"); s != "" || err == nil {
			lines = append(lines, s)
		}
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Len is the number of pairs.
func (p *Pairs) Len() int { return len(p.sources) }

// Split takes a share of the pairs off their end, for validation. It is an error when either part would be empty.
func (p *Pairs) Split(share float64) (train, validation *Pairs, err error) {
	cut := int(float64(p.Len()) * (1 - share))
	if cut < 1 || cut >= p.Len() {
		return nil, nil, fmt.Errorf("%s: a share of %v of its %s leaves nothing for training or for validation", p.Name, share, count(p.Len(), "pair"))
	}
	a, b := *p, *p
	a.sources, a.answers = p.sources[:cut], p.answers[:cut]
	b.sources, b.answers = p.sources[cut:], p.answers[cut:]
	if p.labels != nil {
		a.labels, b.labels = p.labels[:cut], p.labels[cut:]
	}
	return &a, &b, nil
}

// Batches gives pairs in batches, for training in an order of its own for each pass. Pairs of similar length come together,
// so that little of a batch is padding.
type Batches struct {
	p        *Pairs
	rows     int
	shuffled bool
	seed     uint64
	pass     int
	order    []int32 // pairs
	batches  []int32 // where each batch of this pass begins, in order
	next     int
}

// Shuffled cuts the pairs for training: each pass draws an order, sorts stretches of 64 batches by length, and gives their
// batches in an order that it draws as well. The seed and the number of the pass decide both.
func (p *Pairs) Shuffled(batch int, seed uint64) (*Batches, error) {
	return p.batches(batch, true, seed)
}

// Whole cuts the pairs for evaluation: each once, in the order of their lengths.
func (p *Pairs) Whole(batch int) (*Batches, error) { return p.batches(batch, false, 0) }

func (p *Pairs) batches(batch int, shuffled bool, seed uint64) (*Batches, error) {
	if batch < 1 {
		return nil, fmt.Errorf("batches of %d pairs: give 1 or more", batch)
	}
	b := &Batches{p: p, rows: batch, shuffled: shuffled, seed: seed}
	b.order = make([]int32, p.Len())
	b.batches = make([]int32, (p.Len()+batch-1)/batch)
	b.arrange()
	return b, nil
}

const stretch = 64 // batches whose pairs are sorted together

func (b *Batches) arrange() {
	for i := range b.order {
		b.order[i] = int32(i)
	}
	for i := range b.batches {
		b.batches[i] = int32(i * b.rows)
	}
	size := len(b.order)
	if b.shuffled {
		model.Shuffle(b.order, b.seed, uint64(b.pass), 0)
		size = stretch * b.rows
	}
	for at := 0; at < len(b.order); at += size {
		slices.SortStableFunc(b.order[at:min(at+size, len(b.order))], func(i, j int32) int {
			return cmp.Or(cmp.Compare(len(b.p.sources[i]), len(b.p.sources[j])), cmp.Compare(len(b.p.answers[i]), len(b.p.answers[j])))
		})
	}
	if b.shuffled {
		model.Shuffle(b.batches, b.seed, uint64(b.pass), 1)
	}
}

// Windows is the number of batches of a pass.
func (b *Batches) Windows() int { return len(b.batches) }

// Tokens is the number of tokens that a pass predicts.
func (b *Batches) Tokens() int {
	n := 0
	for _, y := range b.p.answers {
		n += len(y) + 1
	}
	return n
}

// Rewind goes back to the first batch of the first pass.
func (b *Batches) Rewind() { b.SetPosition(0, 0) }

// NextPass goes to the first batch of the next pass.
func (b *Batches) NextPass() { b.SetPosition(b.pass+1, 0) }

// Position is the number of batches that Next has given since the start of the pass.
func (b *Batches) Position() int64 { return int64(b.next) }

// SetPosition makes Next go on after that number of batches of a pass. A position outside of the pass is a mistake of the
// program and panics.
func (b *Batches) SetPosition(pass int, position int64) {
	if pass < 0 || position < 0 || position > int64(len(b.batches)) {
		panic(fmt.Sprintf("text: position %d of pass %d in pairs of %d batches", position, pass, len(b.batches)))
	}
	b.next = int(position)
	if pass != b.pass {
		b.pass = pass
		b.arrange()
	}
}

// Next fills w with the next batch, or reports false at the end of the pass. It allocates only where w is too small.
func (b *Batches) Next(w *model.Batch) bool {
	if b.next >= len(b.batches) {
		return false
	}
	from := int(b.batches[b.next])
	b.next++
	pairs := b.order[from:min(from+b.rows, len(b.order))]
	w.Batch, w.Steps, w.SourceSteps = len(pairs), 1, 1
	for _, i := range pairs {
		w.SourceSteps = max(w.SourceSteps, len(b.p.sources[i]))
		w.Steps = max(w.Steps, len(b.p.answers[i])+1)
	}
	n := w.Steps * w.Batch
	w.Tokens, w.Targets, w.Reset, w.Source = resize(w.Tokens, n), resize(w.Targets, n), resize(w.Reset, n), resize(w.Source, w.SourceSteps*w.Batch)
	clear(w.Reset)
	if b.p.labels != nil {
		w.Labels = resize(w.Labels, w.Batch)
		for row, i := range pairs {
			w.Labels[row] = b.p.labels[i]
		}
	}
	for row, i := range pairs {
		x, y := b.p.sources[i], b.p.answers[i]
		for t := range w.SourceSteps {
			token := int32(-1)
			if t < len(x) {
				token = x[t]
			}
			w.Source[t*w.Batch+row] = token
		}
		for t := range w.Steps {
			in, out := int32(-1), int32(-1)
			switch {
			case t < len(y):
				out = y[t]
			case t == len(y):
				out = b.p.format.AnswerEnd
			}
			switch {
			case t == 0:
				in = b.p.format.AnswerBegin
			case t <= len(y):
				in = y[t-1]
			}
			w.Tokens[t*w.Batch+row], w.Targets[t*w.Batch+row] = in, out
		}
	}
	return true
}

// Fill makes the source of a batch of texts for an encoder, [steps, len(texts)], each with the token behind its end. The
// error of a text that is too long names its number, from 1.
func Fill(texts []string, from Tokenizer, f model.Source) ([]int32, error) {
	rows := make([][]int32, len(texts))
	steps := 1
	for i, s := range texts {
		x, err := from.Encode(s)
		if err != nil {
			return nil, fmt.Errorf("source %d: %w", i+1, err)
		}
		if len(x)+1 > f.Steps {
			return nil, fmt.Errorf("source %d has %s, the model takes %d: shorten it", i+1, count(len(x), "token"), f.Steps-1)
		}
		rows[i] = append(x, f.End)
		steps = max(steps, len(rows[i]))
	}
	out := make([]int32, steps*len(texts))
	for i := range out {
		out[i] = -1
		if t, row := i/len(texts), rows[i%len(texts)]; t < len(row) {
			out[i] = row[t]
		}
	}
	return out, nil
}
