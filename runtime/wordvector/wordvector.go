// Package wordvector reads word vectors that others have learnt, from the files of word2vec (text and binary), GloVe
// (text) and fastText (text, and models with their parts of words).
//
// It must not know what is done with vectors, nor what a model is: it is asked for words and gives their vectors. A
// file is read from its beginning to its end, and nothing of it is kept but what was asked for, so that it may be
// larger than memory.
package wordvector

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

// Form is a form of files.
type Form string

// The forms.
const (
	Word2VecText   Form = "word2vec, text" // that of fastText's .vec files as well
	Word2VecBinary Form = "word2vec, binary"
	GloVe          Form = "GloVe, text"
	FastText       Form = "fastText, model"
)

// Vectors are what was found.
type Vectors struct {
	Form  Form
	Words int // that the file has
	Found map[string][]float32
	// of fastText models: words that the file has no vector of their own for, made of their parts
	Derived map[string]bool
}

const (
	mostWord  = 1 << 16 // bytes of a word
	mostWidth = 1 << 16 // numbers of a vector
)

// Read reads vectors of width numbers for the words that want holds for, which is asked in the order of the file; of
// a word that stands there twice the first one counts. parts lists the words that are to be made of their parts where
// a fastText model does not have them. An error says in which line or at which word it is; it does not name the file.
func Read(r io.Reader, width int, want func(word string) bool, parts []string) (*Vectors, error) {
	in := bufio.NewReaderSize(r, 1<<18)
	v := &Vectors{Found: map[string][]float32{}, Derived: map[string]bool{}}
	head, _ := in.Peek(4)
	if len(head) == 4 && binary.LittleEndian.Uint32(head) == fastTextMagic {
		v.Form = FastText
		return v, readFastText(in, width, want, parts, v)
	}
	first, err := readLine(in)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return nil, err
	}
	words, wide, ok := header(first)
	if !ok {
		v.Form = GloVe
		return v, readText(in, first, -1, width, want, v)
	}
	if wide != width {
		return nil, wrongWidth(wide, width)
	}
	if isText(in) {
		v.Form = Word2VecText
		return v, readText(in, nil, words, width, want, v)
	}
	v.Form = Word2VecBinary
	return v, readBinary(in, words, width, want, v)
}

func wrongWidth(has, width int) error {
	return fmt.Errorf("its vectors have %d numbers, and %d are needed: take another file, or give the embedding a "+
		"size of %d", has, width, has)
}

// header is the first line of word2vec's files: the numbers of words, and of the numbers of each.
func header(line []byte) (words, width int, ok bool) {
	f := bytes.Fields(line)
	if len(f) != 2 {
		return 0, 0, false
	}
	words, err1 := strconv.Atoi(string(f[0]))
	width, err2 := strconv.Atoi(string(f[1]))
	return words, width, err1 == nil && err2 == nil && words >= 0 && width > 0
}

// isText tells whether what follows the first line is a line of text: a word and numbers.
func isText(in *bufio.Reader) bool {
	head, _ := in.Peek(1 << 17)
	line, _, whole := bytes.Cut(head, []byte("\n"))
	f := bytes.Fields(line)
	if !whole && len(head) == 1<<17 || len(f) == 0 {
		return len(head) == 0
	}
	_, err := strconv.ParseFloat(string(f[len(f)-1]), 32)
	return err == nil && utf8.Valid(line) && len(f) > 1
}

// readLine reads a line without what ends it. A line that is longer than any of a vector can be is an error.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if line = append(line, part...); len(line) > mostWord+32*mostWidth {
			return nil, errors.New("a line is too long to be a word and its vector: the file is none of word vectors")
		}
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		default:
			return nil, err
		}
	}
}

// readText reads a word and its numbers a line, the first of which may have been read already; words is how many
// lines there are, or -1 where the file does not say. The word may have blanks in it, as a few of GloVe have: the
// numbers are the last ones.
func readText(in *bufio.Reader, line []byte, words, width int, want func(string) bool, v *Vectors) error {
	number := 1 // of the line
	if line == nil {
		number = 2
	}
	for ; ; number, line = number+1, nil {
		if line == nil {
			var err error
			if line, err = readLine(in); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
		fields := bytes.Fields(line)
		switch n := len(fields) - 1; {
		case number == 1 && n < 1:
			return errors.New("its first line is neither two numbers, as word2vec writes, nor a word and its vector")
		case number == 1 && (n < width || n > width && numeric(fields[1:])):
			return wrongWidth(n, width)
		case n < width:
			return fmt.Errorf("line %d has %d numbers behind its word, not %d: the line, or the file, is cut off",
				number, max(0, n), width)
		}
		// All numbers are looked at, so that a file that is damaged is found whatever is asked of it.
		numbers := make([]float32, width)
		for i, f := range fields[len(fields)-width:] {
			x, err := strconv.ParseFloat(string(f), 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				return fmt.Errorf("line %d: %.20q is not a number", number, f)
			}
			if err := finite(x); err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
			numbers[i] = float32(x)
		}
		v.Words++
		v.add(string(bytes.Join(fields[:len(fields)-width], []byte(" "))), numbers, want)
	}
	if words >= 0 && v.Words != words {
		return fmt.Errorf("it says that it has %d words, and has %d: it is cut off, or put together of others", words,
			v.Words)
	}
	return nil
}

// numeric tells whether all are numbers.
func numeric(fields [][]byte) bool {
	for _, f := range fields {
		if _, err := strconv.ParseFloat(string(f), 64); err != nil {
			return false
		}
	}
	return true
}

func finite(x float64) error {
	if math.IsNaN(x) || math.IsInf(x, 0) || math.Abs(x) > math.MaxFloat32 {
		return fmt.Errorf("%v is not a number that a parameter can have", x)
	}
	return nil
}

func (v *Vectors) add(word string, numbers []float32, want func(string) bool) {
	if _, ok := v.Found[word]; !ok && want(word) {
		v.Found[word] = numbers
	}
}

// readBinary reads words, each with a blank and its numbers behind it, and perhaps a line break.
func readBinary(in *bufio.Reader, words, width int, want func(string) bool, v *Vectors) error {
	row := make([]byte, 4*width)
	for i := range words {
		word, err := readWord(in, ' ')
		if err != nil {
			return fmt.Errorf("word %d of %d: %w", i+1, words, err)
		}
		word = bytes.TrimLeft(word, "\n")
		numbers, err := readRow(in, row)
		if err != nil {
			return fmt.Errorf("word %d of %d, %.40q: %w", i+1, words, word, err)
		}
		v.Words++
		v.add(string(word), numbers, want)
	}
	return atEnd(in)
}

// atEnd is an error where more follows than a line break.
func atEnd(in *bufio.Reader) error {
	rest, _ := in.Peek(2)
	if len(rest) > 1 || len(rest) == 1 && rest[0] != '\n' {
		return errors.New("it goes on behind its last word: it is damaged, or put together of others")
	}
	return nil
}

// readWord reads bytes up to the one that ends a word.
func readWord(in *bufio.Reader, end byte) ([]byte, error) {
	var word []byte
	for {
		b, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return nil, errCut
		case err != nil:
			return nil, err
		case b == end:
			return word, nil
		case len(word) == mostWord:
			return nil, errors.New("the word does not end: the file is damaged")
		}
		word = append(word, b)
	}
}

var errCut = errors.New("the file ends here: it is cut off")

// readRow reads the numbers of a row.
func readRow(in io.Reader, row []byte) ([]float32, error) {
	if _, err := io.ReadFull(in, row); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errCut
		}
		return nil, err
	}
	numbers := make([]float32, len(row)/4)
	for i := range numbers {
		numbers[i] = math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:]))
		if err := finite(float64(numbers[i])); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}
