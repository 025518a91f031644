package vector

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Options say how files are read.
type Options struct {
	Match string // of the files of a folder, those whose names match this pattern, such as "*.png"; empty takes all
	// what all numbers are divided by; 0 divides bytes by 255, 16-bit pixels by 65535, and leaves others as they are
	Scale  float64
	Header bool // the first line of CSV names the columns, whatever it says
	// of CSV: the column that is not part of a vector but its label, by its name in the first line or its number from 1
	Column  string
	Classes int     // how many labels the model knows; 0 where it knows none, and the labels are left out
	Missing Missing // what stands in for a number that is missing; empty is [MissingError]
}

// Read reads the vectors of files, and of all files in folders. The content of a file tells its format:
//
//   - NPY, as numpy.save writes it: an array of float32, float64 or bytes, in C order;
//   - IDX, as the MNIST database has it: bytes or float32;
//   - PNG: an image is a vector, its pixels row by row, shades of grey or, where the vectors have three numbers a
//     pixel, the red, green and blue of each;
//   - otherwise CSV: a vector a line, numbers with commas between them; a first line without any number names the
//     columns and is left out.
//
// A number is missing where a field of CSV is empty or says so (NA, N/A, NaN, null, ?), and where one of an array is
// not a number.
//
// The first dimension of an array numbers the vectors, all others together are a vector. Bytes are divided by 255, so
// that images go from 0 to 1; see [Options]. Any file may be compressed with gzip or zstd, and CSV be in UTF-16 or
// UTF-32 with a byte order mark.
//
// The set has labels where the options name a column of them, or where all files are images in folders that are named
// by numbers, as in digits/7/0123.png.
//
// Errors name the file and the line, or the row, and the column: of numbers that are not finite or that format does not
// take, of vectors of another width, of files that end too early or too late.
func Read(paths []string, format model.Vector, o Options) (*Set, error) {
	files, err := data.Files(o.Match, paths...)
	if err != nil {
		return nil, err
	}
	if !(o.Scale >= 0) || math.IsInf(o.Scale, 0) {
		return nil, fmt.Errorf("a scale of %v: give a number above 0", o.Scale)
	}
	s := &Set{Name: strings.Join(paths, ", "), Width: format.Width}
	if len(paths) > 3 {
		s.Name = fmt.Sprintf("%s and %d more", strings.Join(paths[:3], ", "), len(paths)-3)
	}
	if err := o.Missing.check(); err != nil {
		return nil, err
	}
	in := reading{Set: s, Options: o}
	for _, name := range files {
		if err := in.file(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := in.fill(); err != nil {
		return nil, err
	}
	if err := s.check(format); err != nil {
		return nil, err
	}
	return s, in.label()
}

// reading is a set that is being read.
type reading struct {
	*Set
	Options
	labels  []int32
	folders int // images that have a label by their folder
}

// file reads a file. Its error does not name it.
func (s *reading) file(name string) error {
	r, err := data.Open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	s.parts = append(s.parts, part{name, s.Len()})
	switch {
	case r.Starts(npyMagic):
		return s.npy(r)
	case r.Starts(idxMagic) && !r.Starts("\x00\x00\xfe\xff"): // which marks UTF-32
		return s.idx(r)
	case r.Starts(pngMagic):
		if class, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil && s.Classes > 0 && class >= 0 &&
			class < s.Classes {
			s.labels = append(s.labels, int32(class))
			s.folders++
		}
		return s.png(r)
	}
	return s.csv(r)
}

// label gives the set the labels that were read with it.
func (s *reading) label() error {
	if s.Classes == 0 || len(s.labels) == 0 || s.Column == "" && s.folders < s.Len() {
		return nil
	}
	if len(s.labels) != s.Len() {
		return fmt.Errorf("%s: of %s %d have a label in a column %s", s.Name, count(s.Len(), "vector"), len(s.labels),
			s.Column)
	}
	l, err := NewLabels(s.Name, s.labels, s.Classes)
	if err != nil {
		return err
	}
	return s.Label(l)
}

// Magic numbers at the start of files.
const (
	npyMagic = "\x93NUMPY"
	idxMagic = "\x00\x00"
	pngMagic = "\x89PNG\r\n\x1a\n"
)

// maxWidth bounds the numbers of one vector: what is said of a file's shape is not to be trusted.
const maxWidth = 1 << 24

// element says how a number is stored.
type element struct {
	name string
	size int
	get  func(b []byte) float32
	unit float32 // what the numbers are divided by where no scale is given, or 0
}

var (
	bytesElement = element{"bytes", 1, func(b []byte) float32 { return float32(b[0]) }, 255}
	littleFloat  = element{"float32", 4,
		func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }, 0}
	bigFloat = element{"float32", 4,
		func(b []byte) float32 { return math.Float32frombits(binary.BigEndian.Uint32(b)) }, 0}
	littleDouble = element{"float64", 8,
		func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }, 0}
)

// scaled is a number divided by the scale or, where none is given, by unit; 0 leaves it as it is.
func (s *reading) scaled(x, unit float32) float32 {
	if s.Scale > 0 {
		return x / float32(s.Scale)
	}
	if unit > 0 {
		return x / unit
	}
	return x
}

// array reads the numbers of an array of the shape, and that nothing is behind them.
func (s *reading) array(r *data.Reader, e element, shape []int) error {
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
			s.Data = append(s.Data, s.scaled(e.get(row[k*e.size:]), e.unit))
		}
	}
	return r.End()
}

// npyHeader is the header of an NPY file (numpy.lib.format): a dictionary of Python.
var npyHeader = regexp.MustCompile(
	`^\{\s*'descr':\s*'([^']*)',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([0-9, ]*)\),?\s*\}\s*$`)

func (s *reading) npy(r *data.Reader) error {
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
		return fmt.Errorf("its numbers are of type %q: save it as float32 ('<f4'), float64 ('<f8') or bytes ('|u1')",
			m[1])
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
func (s *reading) idx(r *data.Reader) error {
	e, shape, err := idxHeader(r)
	if err != nil {
		return err
	}
	return s.array(r, e, shape)
}

// idxHeader reads what stands in front of the numbers of that format: two zeros, the type, the number of dimensions,
// and these, big-endian.
func idxHeader(r io.Reader) (element, []int, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return element{}, nil, fmt.Errorf("ends in the header of IDX: %w", err)
	}
	e, ok := map[byte]element{0x08: bytesElement, 0x0d: bigFloat}[head[2]]
	if !ok {
		return element{}, nil, fmt.Errorf("is IDX with numbers of type %#02x: bytes (0x08) and float32 (0x0d) can be "+
			"read", head[2])
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

func quote(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return strconv.Quote(s)
}
