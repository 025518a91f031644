package text

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/data"
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
	drop     float64   // share of the pairs whose label training leaves out
	groups   []int32   // of each pair its group, where they are balanced; nil where not
	balance  float64   // the temperature at which groups are drawn
	sorted   bool      // the sources are in alphabetical order
	shuffled bool      // by Shuffle
}

// PairOptions say what a model takes.
type PairOptions struct {
	Source model.Source // of the model's info
	Steps  int          // tokens of an answer, at the most, the one that begins or ends it included
	Labels []int32      // of each pair, of a conditional model; nil for others
	Drop   float64      // share of the pairs that training reads without their label, others in each pass

	// Where Balance is above 1, training draws pairs of each group as often as [data.Shares] says for this temperature,
	// and Groups has the number of each pair's group, from 0.
	Balance float64
	Groups  []int32
}

// PairInput names the files that pairs are read from.
type PairInput struct {
	Sources Input
	Answers Input // where it names no file, a line of Sources has both, with a tab in between
	// of lines that have both: which columns, or which fields of JSON objects, are the source and the answer, such as
	// "1,2"
	Columns string
}

// Name is what errors and reports call the pairs.
func (in PairInput) Name() string {
	if len(in.Answers.Paths) == 0 {
		return in.Sources.Name()
	}
	return in.Sources.Name() + " and " + in.Answers.Name()
}

// ReadPairs reads pairs of lines, which must be as many in both files, and at least one. Pairs that are longer than the
// model takes are left out and counted.
func ReadPairs(in PairInput, from, to Tokenizer, o PairOptions) (*Pairs, error) {
	a, b, err := in.Lines()
	if err != nil {
		return nil, err
	}
	if o.Balance > 1 {
		if _, o.Groups, err = in.Groups(); err != nil {
			return nil, err
		}
	}
	return NewPairs(in.Name(), a, b, from, to, o)
}

// Lines reads the lines that [ReadPairs] makes pairs of.
func (in PairInput) Lines() (sources, answers []string, err error) {
	if in.Columns != "" {
		return in.columns()
	}
	sources, places, err := in.Sources.lines()
	if err != nil {
		return nil, nil, err
	}
	if len(in.Answers.Paths) > 0 {
		if answers, err = in.Answers.Lines(); err != nil {
			return nil, nil, err
		}
		if len(sources) != len(answers) {
			return nil, nil, fmt.Errorf("%s has %s and %s has %s: line n of one must answer line n of the other",
				in.Sources.Name(), count(len(sources), "line"), in.Answers.Name(), count(len(answers), "line"))
		}
		return sources, answers, nil
	}
	answers = make([]string, len(sources))
	for i, line := range sources {
		left, right, ok := strings.Cut(line, "\t")
		if !ok {
			return nil, nil, fmt.Errorf("%v: there is no tab between a source and its answer", places[i])
		}
		if more := strings.Count(right, "\t"); more > 0 {
			return nil, nil, fmt.Errorf("%v: the line has %d columns with tabs in between: say which two are the "+
				"source and its answer, such as 1,2 (--columns)", places[i], more+2)
		}
		sources[i], answers[i] = left, right
	}
	return sources, answers, nil
}

// Groups is the groups of the sources, as [Input.Groups] has them.
func (in PairInput) Groups() (names []string, of []int32, err error) {
	if names, of, err = in.Parts(); err == nil && names == nil {
		err = in.Sources.oneGroup()
	}
	return names, of, err
}

// Parts is Groups without the error: of one group alone it gives none.
func (in PairInput) Parts() (names []string, of []int32, err error) {
	if in.Columns == "" {
		return in.Sources.parts(Input.count)
	}
	return in.Sources.parts(func(group Input) (int, error) {
		lines, _, err := PairInput{Sources: group, Columns: in.Columns}.columns()
		return len(lines), err
	})
}

// columns reads two columns.
func (in PairInput) columns() (sources, answers []string, err error) {
	if len(in.Answers.Paths) > 0 {
		return nil, nil, fmt.Errorf("columns %s of %s are both sides of pairs: there can be no answers in %s as well",
			in.Columns, in.Sources.Name(), in.Answers.Name())
	}
	source, answer, err := Columns(in.Columns)
	if err != nil {
		return nil, nil, err
	}
	rows, _, err := in.Sources.Fields(source, answer)
	for _, r := range rows {
		sources, answers = append(sources, r[0]), append(answers, r[1])
	}
	return sources, answers, err
}

// NewPairs makes pairs of lines in memory.
func NewPairs(name string, sources, answers []string, from, to Tokenizer, o PairOptions) (*Pairs, error) {
	if len(sources) != len(answers) {
		return nil, fmt.Errorf("%s: %s and %s", name, count(len(sources), "source"), count(len(answers), "answer"))
	}
	if o.Labels != nil && len(o.Labels) != len(sources) {
		return nil, fmt.Errorf("%s: %s and %s", name, count(len(sources), "source"), count(len(o.Labels), "label"))
	}
	if !(o.Drop >= 0 && o.Drop < 1) {
		return nil, fmt.Errorf("%s: a share of %v without labels: it must be from 0 to below 1", name, o.Drop)
	}
	if o.Balance > 1 {
		if err := data.CheckTemperature(o.Balance); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(o.Groups) != len(sources) {
			return nil, fmt.Errorf("%s: %s and the groups of %d", name, count(len(sources), "source"), len(o.Groups))
		}
	}
	p := &Pairs{Name: name, format: o.Source, maxSteps: o.Steps, sorted: sortedLines(sources)}
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
		if o.Balance > 1 {
			p.groups = append(p.groups, o.Groups[i])
			fmt.Fprintf(hash, "group %d\n", o.Groups[i])
		}
	}
	if len(p.sources) == 0 {
		return nil, fmt.Errorf("%s: there is no pair that the model takes: %d are longer than %d tokens of a source "+
			"or %d of an answer", name, p.Skipped, o.Source.Steps-1, o.Steps-1)
	}
	if o.Balance > 1 {
		p.balance = o.Balance
		fmt.Fprintf(hash, "balance %v\n", o.Balance)
	}
	if o.Labels != nil && o.Drop > 0 {
		p.drop = o.Drop
		fmt.Fprintf(hash, "drop %v\n", o.Drop)
	}
	p.Digest = hex.EncodeToString(hash.Sum(nil))
	return p, nil
}

// Len is the number of pairs.
func (p *Pairs) Len() int { return len(p.sources) }

// Split takes a share of the pairs off their end, for validation. It is an error when either part would be empty.
func (p *Pairs) Split(share float64) (train, validation *Pairs, err error) {
	cut := int(float64(p.Len()) * (1 - share))
	if cut < 1 || cut >= p.Len() {
		return nil, nil, fmt.Errorf("%s: a share of %v of its %s leaves nothing for training or for validation", p.Name,
			share, count(p.Len(), "pair"))
	}
	a, b := *p, *p
	a.sources, a.answers = p.sources[:cut], p.answers[:cut]
	b.sources, b.answers = p.sources[cut:], p.answers[cut:]
	if p.labels != nil {
		a.labels, b.labels = p.labels[:cut], p.labels[cut:]
	}
	if p.groups != nil {
		a.groups, b.groups = p.groups[:cut], p.groups[cut:]
	}
	return &a, &b, nil
}

// Tail says why the last share of the pairs may not be like the others, or is empty: they are sorted.
func (p *Pairs) Tail(share float64) string {
	if missing := missingGroups(p.groups, int(float64(p.Len())*(1-share))); missing > 0 && !p.shuffled {
		return fmt.Sprintf("%s: %s of the data have no part in the last of the pairs, which are kept for validation",
			p.Name, count(missing, "group"))
	}
	return tail(p.Name, "sentence", p.sorted, p.labels, p.Len(), share)
}

// Shuffle puts the pairs in an order that is drawn, the same one each time.
func (p *Pairs) Shuffle() {
	order := drawn(p.Len())
	p.sources, p.answers = arranged(p.sources, order), arranged(p.answers, order)
	if p.labels != nil {
		p.labels = arranged(p.labels, order)
	}
	if p.groups != nil {
		p.groups = arranged(p.groups, order)
	}
	p.sorted, p.shuffled = false, true
	p.Digest += " shuffled"
}

// Batches gives pairs in batches, for training in an order of its own for each pass. Pairs of similar length come
// together, so that little of a batch is padding.
type Batches struct {
	p        *Pairs
	rows     int
	shuffled bool
	seed     uint64
	pass     int
	order    []int32 // pairs
	drawer   *drawer // of balanced pairs; nil for others
	batches  []int32 // where each batch of this pass begins, in order
	next     int
}

// Shuffled cuts the pairs for training: each pass has as many pairs as there are, balanced where they are to be. It
// draws an order, sorts stretches of 64 batches by length, and gives their batches in an order that it draws as well.
// The seed and the number of the pass decide both.
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
	if shuffled && p.groups != nil {
		b.drawer = newDrawer(p.groups, p.balance, seed)
	}
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
		if b.drawer != nil {
			b.drawer.draw(b.order, b.pass)
		}
		model.Shuffle(b.order, b.seed, uint64(b.pass), 0)
		size = stretch * b.rows
	}
	for at := 0; at < len(b.order); at += size {
		slices.SortStableFunc(b.order[at:min(at+size, len(b.order))], func(i, j int32) int {
			return cmp.Or(cmp.Compare(len(b.p.sources[i]), len(b.p.sources[j])),
				cmp.Compare(len(b.p.answers[i]), len(b.p.answers[j])))
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
	for _, i := range b.order {
		n += len(b.p.answers[i]) + 1
	}
	return n
}

// Rewind goes back to the first batch of the first pass.
func (b *Batches) Rewind() { b.SetPosition(0, 0) }

// NextPass goes to the first batch of the next pass.
func (b *Batches) NextPass() { b.SetPosition(b.pass+1, 0) }

// Position is the number of batches that Next has given since the start of the pass.
func (b *Batches) Position() int64 { return int64(b.next) }

// SetPosition makes Next go on after that number of batches of a pass. A position outside of the pass is a mistake of
// the program and panics.
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
	rows := b.order[from:min(from+b.rows, len(b.order))]
	b.p.Batch(w, rows)
	if b.shuffled && b.p.drop > 0 {
		for row, i := range rows {
			if float64(model.Key(b.seed, uint64(b.pass), uint64(from+row), uint64(i))>>11)/(1<<53) < b.p.drop {
				w.Labels[row] = model.NoLabel
			}
		}
	}
	return true
}

// Batch fills w with the pairs of these numbers, from 0, in this order. It allocates only where w is too small.
func (p *Pairs) Batch(w *model.Batch, pairs []int32) {
	w.Batch, w.Steps, w.SourceSteps = len(pairs), 1, 1
	for _, i := range pairs {
		w.SourceSteps = max(w.SourceSteps, len(p.sources[i]))
		w.Steps = max(w.Steps, len(p.answers[i])+1)
	}
	n := w.Steps * w.Batch
	w.Tokens, w.Targets, w.Reset, w.Source = resize(w.Tokens, n), resize(w.Targets, n), resize(w.Reset,
		n), resize(w.Source, w.SourceSteps*w.Batch)
	clear(w.Reset)
	if p.labels != nil {
		w.Labels = resize(w.Labels, w.Batch)
		for row, i := range pairs {
			w.Labels[row] = p.labels[i]
		}
	}
	for row, i := range pairs {
		x, y := p.sources[i], p.answers[i]
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
				out = p.format.AnswerEnd
			}
			switch {
			case t == 0:
				in = p.format.AnswerBegin
			case t <= len(y):
				in = y[t-1]
			}
			w.Tokens[t*w.Batch+row], w.Targets[t*w.Batch+row] = in, out
		}
	}
}

// EncodeSource is the tokens of a source for an encoder, with the one behind its end. A source that is longer than the
// model takes is an error.
func EncodeSource(s string, from Tokenizer, f model.Source) ([]int32, error) {
	x, err := from.Encode(s)
	if err != nil {
		return nil, err
	}
	if len(x)+1 > f.Steps {
		return nil, fmt.Errorf("the source has %s, the model takes %d: shorten it", count(len(x), "token"), f.Steps-1)
	}
	return append(x, f.End), nil
}

// Pad lays sources side by side, [steps, len(sources)], each filled behind its end with tokens of -1.
func Pad(sources [][]int32) []int32 {
	steps := 1
	for _, x := range sources {
		steps = max(steps, len(x))
	}
	out := make([]int32, steps*len(sources))
	for i := range out {
		out[i] = -1
		if t, row := i/len(sources), sources[i%len(sources)]; t < len(row) {
			out[i] = row[t]
		}
	}
	return out
}

// Fill makes the source of a batch of texts for an encoder, [steps, len(texts)], each with the token behind its end.
// The error of a text that is too long names its number, from 1.
func Fill(texts []string, from Tokenizer, f model.Source) ([]int32, error) {
	rows := make([][]int32, len(texts))
	for i, s := range texts {
		var err error
		if rows[i], err = EncodeSource(s, from, f); err != nil {
			return nil, fmt.Errorf("source %d: %w", i+1, err)
		}
	}
	return Pad(rows), nil
}
