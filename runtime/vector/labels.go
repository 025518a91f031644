package vector

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/data"
)

// Labels are the labels of examples, in their order: what a conditional model is told of each.
type Labels struct {
	Name   string
	Values []int32
	Digest string // hex SHA-256 of the labels

	places []int // of labels from a text: the line of each, from 1; nil where the label's number says it
}

// ReadLabels reads the labels of a file, of which the content tells the format: IDX of one dimension of bytes, as the
// MNIST database has it, or otherwise text with a whole number a line. Empty lines are left out. It may be compressed
// with gzip or zstd, and text be in UTF-16 or UTF-32 with a byte order mark.
//
// Errors name the file and the line, or the number of the label: of what is not a whole number, and of labels that are
// not from 0 to count−1.
func ReadLabels(path string, count int) (*Labels, error) {
	r, err := data.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	l := &Labels{Name: path}
	if err := l.read(r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := l.check(count); err != nil {
		return nil, err
	}
	return l, nil
}

// NewLabels are labels in memory, which are not copied. It is an error when there are none, or one is not from 0 to
// count−1.
func NewLabels(name string, values []int32, count int) (*Labels, error) {
	l := &Labels{Name: name, Values: values}
	if err := l.check(count); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Labels) read(r *data.Reader) error {
	if r.Starts(idxMagic) && !r.Starts("\x00\x00\xfe\xff") { // which marks UTF-32
		return l.idx(r)
	}
	text, err := r.AllText()
	if err != nil {
		return err
	}
	line := 0
	for row := range bytes.Lines(text) {
		line++
		s := strings.TrimSpace(string(row))
		if s == "" {
			continue
		}
		x, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return fmt.Errorf("line %d: %s is not a label: write one whole number a line", line, quote(s))
		}
		l.Values = append(l.Values, int32(x))
		l.places = append(l.places, line)
	}
	return nil
}

func (l *Labels) idx(r *data.Reader) error {
	e, shape, err := idxHeader(r)
	switch {
	case err != nil:
		return err
	case e.size != 1:
		return fmt.Errorf("is IDX of %s: labels are bytes (0x08)", e.name)
	case len(shape) != 1:
		return fmt.Errorf("is IDX of shape %v: labels have one dimension, the examples", shape)
	case shape[0] > math.MaxInt32:
		return fmt.Errorf("says that it has %d labels: it can have at most %d", shape[0], math.MaxInt32)
	}
	b := make([]byte, 1)
	for i := range shape[0] {
		if _, err := io.ReadFull(r, b); err != nil {
			return fmt.Errorf("ends in label %d of the %d that its header tells of: %w", i+1, shape[0], err)
		}
		l.Values = append(l.Values, int32(b[0]))
	}
	return r.End()
}

// check looks at every label, and makes the digest.
func (l *Labels) check(most int) error {
	if len(l.Values) == 0 {
		return fmt.Errorf("%s: there are no labels", l.Name)
	}
	hash := sha256.New()
	for i, x := range l.Values {
		if x < 0 || int(x) >= most {
			at := fmt.Sprintf("label %d", i+1)
			if l.places != nil {
				at = fmt.Sprintf("line %d", l.places[i])
			}
			return fmt.Errorf("%s: %s: %d is not one of the model's labels, which are 0 to %d: number the labels "+
				"from 0 on, or give the spec a larger labels.count", l.Name, at, x, most-1)
		}
		hash.Write(binary.LittleEndian.AppendUint32(nil, uint32(x)))
	}
	l.Digest = hex.EncodeToString(hash.Sum(nil))
	return nil
}

// Of says that the labels are those of n examples of a file: it is an error when they are not as many.
func (l *Labels) Of(name string, n int, what string) error {
	if len(l.Values) != n {
		return fmt.Errorf("%s has %s and %s has %s: one label must stand for each, in their order", l.Name,
			count(len(l.Values), "label"), name, count(n, what))
	}
	return nil
}
