package vector

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// Read reads the vectors of a file, of which the content tells the format:
//
//   - NPY, as numpy.save writes it: an array of float32, float64 or bytes, in C order;
//   - IDX, as the MNIST database has it: bytes or float32;
//   - otherwise CSV: a vector a line, numbers with commas between them; a first line without any number names the columns
//     and is left out.
//
// The first dimension of an array numbers the vectors, all others together are a vector. Bytes are divided by 255, so that
// images go from 0 to 1. Any of them may be compressed with gzip.
//
// Errors name the file and the line, or the row, and the column: of numbers that are not finite or that format does not
// take, of vectors of another width, of files that end too early or too late.
func Read(path string, format model.Vector) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("can't read the vectors: %w", err)
	}
	defer f.Close()
	s := &Set{Name: path, Width: format.Width}
	if err := s.read(bufio.NewReaderSize(f, 1<<16)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := s.check(format); err != nil {
		return nil, err
	}
	return s, nil
}

// Magic numbers at the start of files.
const (
	gzipMagic = "\x1f\x8b"
	npyMagic  = "\x93NUMPY"
	idxMagic  = "\x00\x00"
)

// maxWidth bounds the numbers of one vector: what is said of a file's shape is not to be trusted.
const maxWidth = 1 << 24

func (s *Set) read(r *bufio.Reader) error {
	r, err := plain(r)
	if err != nil {
		return err
	}
	switch {
	case starts(r, npyMagic):
		return s.npy(r)
	case starts(r, idxMagic):
		return s.idx(r)
	}
	return s.csv(r)
}

// starts reports whether r goes on with the magic.
func starts(r *bufio.Reader, magic string) bool {
	got, _ := r.Peek(len(magic))
	return string(got) == magic
}

// plain is r, or what it is when it is uncompressed.
func plain(r *bufio.Reader) (*bufio.Reader, error) {
	if !starts(r, gzipMagic) {
		return r, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("is compressed with gzip, but damaged: %w", err)
	}
	r = bufio.NewReaderSize(z, 1<<16)
	if starts(r, gzipMagic) {
		return nil, errors.New("is compressed twice: uncompress it once")
	}
	return r, nil
}

// element says how a number is stored.
type element struct {
	name string
	size int
	get  func(b []byte) float32
}

var (
	bytesElement = element{"bytes", 1, func(b []byte) float32 { return float32(b[0]) / 255 }}
	littleFloat  = element{"float32", 4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }}
	bigFloat     = element{"float32", 4, func(b []byte) float32 { return math.Float32frombits(binary.BigEndian.Uint32(b)) }}
	littleDouble = element{"float64", 8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }}
)

// array reads the numbers of an array of the shape, and that nothing is behind them.
func (s *Set) array(r io.Reader, e element, shape []int) error {
	if len(shape) == 0 {
		return errors.New("holds a single number, not an array of vectors")
	}
	width := 1
	for _, d := range shape[1:] {
		if d < 0 || d > maxWidth || width*d > maxWidth {
			return fmt.Errorf("says that its shape is %v: a vector has at most %d numbers", shape, maxWidth)
		}
		width *= d
	}
	if shape[0] < 0 || shape[0] > math.MaxInt32 {
		return fmt.Errorf("says that its shape is %v: it can have at most %d vectors", shape, math.MaxInt32)
	}
	if width != s.Width {
		return fmt.Errorf("its vectors have %s (shape %v), the model takes %d", count(width, "number"), shape, s.Width)
	}
	row := make([]byte, width*e.size)
	for i := range shape[0] {
		if _, err := io.ReadFull(r, row); err != nil {
			return fmt.Errorf("ends in vector %d of the %d that its header tells of: %w", i+1, shape[0], err)
		}
		for k := range width {
			s.Data = append(s.Data, e.get(row[k*e.size:]))
		}
	}
	if n, _ := io.ReadFull(r, row[:1]); n > 0 {
		return fmt.Errorf("goes on behind its %s of %s", count(shape[0], "vector"), e.name)
	}
	return nil
}

// npyHeader is the header of an NPY file (numpy.lib.format): a dictionary of Python.
var npyHeader = regexp.MustCompile(`^\{\s*'descr':\s*'([^']*)',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([0-9, ]*)\),?\s*\}\s*$`)

func (s *Set) npy(r io.Reader) error {
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head); err != nil {
		return fmt.Errorf("ends in the header of NPY: %w", err)
	}
	length := make([]byte, 2)
	if version := head[6]; version == 2 || version == 3 {
		length = make([]byte, 4)
	} else if version != 1 {
		return fmt.Errorf("is NPY of version %d, which is not known: versions 1 to 3 are", version)
	}
	if _, err := io.ReadFull(r, length); err != nil {
		return fmt.Errorf("ends in the header of NPY: %w", err)
	}
	n := int(binary.LittleEndian.Uint32(append(length, 0, 0)[:4]))
	if n > 1<<16 {
		return fmt.Errorf("has a header of %d bytes, more than an array of numbers has", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return fmt.Errorf("ends in the header of NPY: %w", err)
	}
	m := npyHeader.FindStringSubmatch(string(text))
	if m == nil {
		return fmt.Errorf("its header %q does not describe an array of numbers", text)
	}
	e, ok := map[string]element{"|u1": bytesElement, "<f4": littleFloat, "<f8": littleDouble}[m[1]]
	if !ok {
		return fmt.Errorf("its numbers are of type %q: save it as float32 ('<f4'), float64 ('<f8') or bytes ('|u1')", m[1])
	}
	if m[2] == "True" {
		return errors.New("is in Fortran order: save it in C order, as numpy.ascontiguousarray makes it")
	}
	var shape []int
	for _, d := range strings.Split(m[3], ",") {
		if d = strings.TrimSpace(d); d == "" {
			continue
		}
		x, err := strconv.Atoi(d)
		if err != nil {
			return fmt.Errorf("its shape (%s) is not one", m[3])
		}
		shape = append(shape, x)
	}
	return s.array(r, e, shape)
}

// idx reads the format of the MNIST database.
func (s *Set) idx(r io.Reader) error {
	e, shape, err := idxHeader(r)
	if err != nil {
		return err
	}
	return s.array(r, e, shape)
}

// idxHeader reads what stands in front of the numbers of that format: two zeros, the type, the number of dimensions, and these, big-endian.
func idxHeader(r io.Reader) (element, []int, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return element{}, nil, fmt.Errorf("ends in the header of IDX: %w", err)
	}
	e, ok := map[byte]element{0x08: bytesElement, 0x0d: bigFloat}[head[2]]
	if !ok {
		return element{}, nil, fmt.Errorf("is IDX with numbers of type %#02x: bytes (0x08) and float32 (0x0d) can be read", head[2])
	}
	shape := make([]int, head[3])
	for i := range shape {
		if _, err := io.ReadFull(r, head); err != nil {
			return element{}, nil, fmt.Errorf("ends in the header of IDX: %w", err)
		}
		shape[i] = int(binary.BigEndian.Uint32(head))
	}
	return e, shape, nil
}

func (s *Set) csv(r *bufio.Reader) error {
	for line := 1; ; line++ {
		text, err := r.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if row := strings.TrimSpace(text); row != "" {
			if failed := s.csvRow(line, row); failed != nil {
				return failed
			}
		}
		if err != nil {
			return nil
		}
	}
}

func (s *Set) csvRow(line int, row string) error {
	fields := strings.Split(row, ",")
	numbers := make([]float32, len(fields))
	wrong, first := 0, 0 // fields that are no numbers, and the first of them
	for i, f := range fields {
		x, err := strconv.ParseFloat(strings.TrimSpace(f), 32)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			if wrong++; wrong == 1 {
				first = i
			}
		}
		numbers[i] = float32(x)
	}
	switch {
	case wrong == len(fields) && line == 1:
		return nil // names of columns
	case wrong > 0:
		return fmt.Errorf("line %d, column %d: %s is not a number", line, first+1, quote(fields[first]))
	case len(fields) != s.Width:
		return fmt.Errorf("line %d has %s, the model's vectors have %d", line, count(len(fields), "number"), s.Width)
	}
	s.Data = append(s.Data, numbers...)
	s.places = append(s.places, line)
	return nil
}

func quote(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return strconv.Quote(s)
}
