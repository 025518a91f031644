// Package vector reads vectors of numbers from files and gives them in batches: what models of vectors are trained on.
//
// It must not know what a model makes of them.
package vector

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Set is vectors of one width.
type Set struct {
	Name   string
	Width  int
	Data   []float32 // [Len, Width]
	Digest string    // hex SHA-256 of the numbers and their shape, and of the labels
	Labels []int32   // [Len] of a conditional model; nil for others

	Warnings []string // what of the files may not be meant as it was read

	places []int  // of vectors from a text: the line of each, from 1; nil where the vector's number says it
	parts  []part // files that the vectors come from
}

// part is a file and the number of its first vector.
type part struct {
	name  string
	first int
}

// New makes a set of vectors in memory, which is not copied. It is an error when data is not whole vectors, is empty,
// or holds a number that format does not take.
func New(name string, data []float32, format model.Vector) (*Set, error) {
	s := &Set{Name: name, Width: format.Width, Data: data}
	if err := s.check(format); err != nil {
		return nil, err
	}
	return s, nil
}

// check looks at every number, and makes the digest.
func (s *Set) check(format model.Vector) error {
	switch {
	case s.Width != format.Width:
		return fmt.Errorf("%s: its vectors have %s, the model takes %d", s.Name, count(s.Width, "number"), format.Width)
	case s.Width < 1 || len(s.Data)%s.Width != 0:
		return fmt.Errorf("%s: %s are not whole vectors of %d", s.Name, count(len(s.Data), "number"), s.Width)
	case len(s.Data) == 0:
		return fmt.Errorf("%s: there are no vectors", s.Name)
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%d\n", s.Width)
	var line []byte
	for i, x := range s.Data {
		v := float64(x)
		if bad := math.IsNaN(v) || math.IsInf(v, 0); bad || format.Bounded && !(v >= format.Low && v <= format.High) {
			what := fmt.Sprintf("is outside of [%v, %v], which the model's vectors lie in: divide the data (--scale, "+
				"such as 255 for bytes)", format.Low, format.High)
			if bad {
				what = "is not a finite number"
			}
			if math.IsNaN(v) {
				what += ": if it stands for one that is missing, say what is to stand in for it (--missing zero or " +
					"--missing mean)"
			}
			file, at := s.at(i)
			return fmt.Errorf("%s: %v in %s %s", file, x, at, what)
		}
		if line = binary.LittleEndian.AppendUint32(line, math.Float32bits(x)); len(line) == 1<<12 ||
			i == len(s.Data)-1 {
			hash.Write(line)
			line = line[:0]
		}
	}
	s.Digest = hex.EncodeToString(hash.Sum(nil))
	return nil
}

// at says where number i stands.
func (s *Set) at(i int) (file, place string) {
	row, col := i/s.Width, i%s.Width+1
	first := 0
	file = s.Name
	for _, p := range s.parts {
		if p.first <= row {
			file, first = p.name, p.first
		}
	}
	if len(s.places) == s.Len() {
		return file, fmt.Sprintf("line %d, column %d", s.places[row], col)
	}
	return file, fmt.Sprintf("row %d, column %d", row-first+1, col)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Label gives the vectors their labels. It is an error when these are not as many.
func (s *Set) Label(l *Labels) error {
	if err := l.Of(s.Name, s.Len(), "vector"); err != nil {
		return err
	}
	s.Labels = l.Values
	s.Digest += " " + l.Digest
	return nil
}

// Len is the number of vectors.
func (s *Set) Len() int { return len(s.Data) / s.Width }

// Row is vector i, a view.
func (s *Set) Row(i int) []float32 { return s.Data[i*s.Width : (i+1)*s.Width] }

// Split takes a share of the vectors off their end, for validation. It is an error when either part would be empty.
func (s *Set) Split(share float64) (train, validation *Set, err error) {
	n := s.Len()
	cut := int(float64(n) * (1 - share))
	if cut < 1 || cut >= n {
		return nil, nil, fmt.Errorf("%s: a share of %v of its %s leaves nothing for training or for validation", s.Name,
			share, count(n, "vector"))
	}
	a, b := *s, *s
	a.Data, b.Data = s.Data[:cut*s.Width], s.Data[cut*s.Width:]
	a.places, b.places, a.parts, b.parts = nil, nil, nil, nil // all numbers have been checked
	if s.Labels != nil {
		a.Labels, b.Labels = s.Labels[:cut], s.Labels[cut:]
	}
	return &a, &b, nil
}

// Tail says why the last share of the vectors may not be like the others, or is empty: they are sorted by their
// labels, or by one of their numbers.
func (s *Set) Tail(share float64) string {
	n := s.Len()
	if class, ok := data.OneClass(s.Labels, int(float64(n)*(1-share))); ok {
		return fmt.Sprintf("%s: all of the last vectors, which are kept for validation, have the label %d, others "+
			"have other labels", s.Name, class)
	}
	if s.Labels != nil && data.Sorted(n, func(i int) int32 { return s.Labels[i] }, 1) {
		return fmt.Sprintf("%s: the vectors are sorted by their labels, so that the last of them, which are kept for "+
			"validation, are not like the others", s.Name)
	}
	for k := range s.Width {
		if data.Sorted(n, func(i int) float32 { return s.Data[i*s.Width+k] }, s.Width) {
			return fmt.Sprintf("%s: the vectors are sorted by number %d of each, so that the last of them, which are "+
				"kept for validation, are not like the others", s.Name, k+1)
		}
	}
	return ""
}

// Shuffle puts the vectors in an order that is drawn, the same one each time, so that what is kept for validation in
// training can be kept in an evaluation.
func (s *Set) Shuffle() {
	order := make([]int32, s.Len())
	for i := range order {
		order[i] = int32(i)
	}
	model.Shuffle(order, 0x5eed, 0)
	x := make([]float32, 0, len(s.Data))
	var labels []int32
	for _, i := range order {
		x = append(x, s.Row(int(i))...)
		if s.Labels != nil {
			labels = append(labels, s.Labels[i])
		}
	}
	s.Data, s.Labels, s.places, s.parts = x, labels, nil, nil
	s.Digest += " shuffled"
}

// Batches gives vectors in batches, for training in an order of its own for each pass. The last batch of a pass may
// have fewer vectors than the others.
type Batches struct {
	s        *Set
	rows     int
	shuffled bool
	seed     uint64
	pass     int
	order    []int32
	next     int // batches given in this pass
}

// Shuffled cuts the vectors for training: each pass draws an order, which the seed and the number of the pass decide.
func (s *Set) Shuffled(batch int, seed uint64) (*Batches, error) { return s.batches(batch, true, seed) }

// Whole cuts the vectors for evaluation: each once, in their order.
func (s *Set) Whole(batch int) (*Batches, error) { return s.batches(batch, false, 0) }

func (s *Set) batches(batch int, shuffled bool, seed uint64) (*Batches, error) {
	if batch < 1 {
		return nil, fmt.Errorf("batches of %d vectors: give 1 or more", batch)
	}
	b := &Batches{s: s, rows: batch, shuffled: shuffled, seed: seed, order: make([]int32, s.Len())}
	b.arrange()
	return b, nil
}

func (b *Batches) arrange() {
	for i := range b.order {
		b.order[i] = int32(i)
	}
	if b.shuffled {
		model.Shuffle(b.order, b.seed, uint64(b.pass))
	}
}

// Windows is the number of batches of a pass.
func (b *Batches) Windows() int { return (len(b.order) + b.rows - 1) / b.rows }

// Tokens is the number of vectors of a pass.
func (b *Batches) Tokens() int { return len(b.order) }

// Rewind goes back to the first batch of the first pass.
func (b *Batches) Rewind() { b.SetPosition(0, 0) }

// NextPass goes to the first batch of the next pass.
func (b *Batches) NextPass() { b.SetPosition(b.pass+1, 0) }

// Position is the number of batches that Next has given since the start of the pass.
func (b *Batches) Position() int64 { return int64(b.next) }

// SetPosition makes Next go on after that number of batches of a pass, the first of which is 0. A position outside of
// the pass is a mistake of the program and panics.
func (b *Batches) SetPosition(pass int, position int64) {
	if pass < 0 || position < 0 || position > int64(b.Windows()) {
		panic(fmt.Sprintf("vector: position %d of pass %d in %d batches", position, pass, b.Windows()))
	}
	b.next = int(position)
	if pass != b.pass {
		b.pass = pass
		b.arrange()
	}
}

// Next fills w with the next batch, or reports false at the end of the pass. It allocates only where w is too small.
func (b *Batches) Next(w *model.Batch) bool {
	from := b.next * b.rows
	if from >= len(b.order) {
		return false
	}
	b.next++
	rows := b.order[from:min(from+b.rows, len(b.order))]
	w.Batch, w.Steps = len(rows), 1
	n := len(rows) * b.s.Width
	if cap(w.Vectors) < n {
		w.Vectors = make([]float32, b.rows*b.s.Width)
	}
	w.Vectors = w.Vectors[:n]
	for i, r := range rows {
		copy(w.Vectors[i*b.s.Width:], b.s.Row(int(r)))
	}
	if b.s.Labels != nil {
		if cap(w.Labels) < len(rows) {
			w.Labels = make([]int32, b.rows)
		}
		w.Labels = w.Labels[:len(rows)]
		for i, r := range rows {
			w.Labels[i] = b.s.Labels[r]
		}
	}
	return true
}
