package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"sort"
	"strings"

	"github.com/gradsmith/gradsmith/runtime/files"
)

// The format is small and the one Go library for it has no release, so it is read and written here. It is safetensors:
// eight bytes with the length of the header, little-endian; the header, a JSON object that gives dtype, shape and the
// range of bytes of each tensor, and strings under "__metadata__"; then the tensors' bytes without gaps or overlaps.

// maxHeader is the largest header that readers of the format accept.
const maxHeader = 100_000_000

// Tensor is a named array of float32 numbers, row-major.
type Tensor struct {
	Name  string
	Shape []int
	Value []float32
}

// File is the content of a safetensors file, its tensors as float32.
type File struct {
	Metadata map[string]string
	Tensors  []Tensor // in the order of their bytes
	Type     Type     // of the numbers that Write writes
}

// Type is how numbers are written.
type Type int

// The types. F32 keeps every bit; BF16 takes half of the bytes, each number rounded to the nearest with 8 bits of
// precision, of two as near the one whose last bit is 0. A number that is not finite stays so.
const (
	F32 Type = iota
	BF16
)

// String is the type's name in the format.
func (t Type) String() string { return [...]string{F32: "F32", BF16: "BF16"}[t] }

// ParseType reads f32 or bf16.
func ParseType(s string) (Type, error) {
	for _, t := range []Type{F32, BF16} {
		if strings.EqualFold(s, t.String()) {
			return t, nil
		}
	}
	return F32, fmt.Errorf("type %q: give f32 or bf16", s)
}

type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// source is a safetensors file whose header has been read and checked.
type source struct {
	metadata map[string]string // digests included
	entries  []namedEntry      // in the order of their bytes, without gaps
	body     *io.SectionReader
	start    int64                          // of the body in the file
	whole    func() (*files.Mapping, error) // all of the file, in memory
	buffer   []byte
}

// open reads the header of a safetensors file of the given size, and checks it against the size. Errors say which byte
// or tensor is wrong; no input makes it panic or allocate more than a small multiple of its length.
func open(r io.ReaderAt, size int64) (*source, error) {
	if size < 8 {
		return nil, fmt.Errorf("has %d bytes, a safetensors file begins with 8 for the length of its header", size)
	}
	var length [8]byte
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return nil, fmt.Errorf("is not a safetensors file: its first 8 bytes give a header of %d bytes, at most %d "+
			"are allowed", n, maxHeader)
	}
	if n > uint64(size-8) {
		return nil, fmt.Errorf("is truncated or not a safetensors file: its header should have %d bytes, %d follow", n,
			size-8)
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(r, 8, int64(n)), header); err != nil {
		return nil, err
	}
	entries, metadata, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	rest := int(size - 8 - int64(n))
	at := 0
	for _, e := range entries {
		if e.Offsets[0] != at {
			return nil, fmt.Errorf("tensor %q begins at byte %d of the data, the one before it ends at %d", e.name,
				e.Offsets[0], at)
		}
		if e.Offsets[1] < at || e.Offsets[1] > rest {
			return nil, fmt.Errorf("is truncated: tensor %q ends at byte %d of the data, which has %d", e.name,
				e.Offsets[1], rest)
		}
		at = e.Offsets[1]
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", e.name, err)
		}
	}
	if at != rest {
		return nil, fmt.Errorf("has %d bytes after the last tensor", rest-at)
	}
	s := &source{metadata: metadata, entries: entries, start: 8 + int64(n),
		body: io.NewSectionReader(r, 8+int64(n), int64(rest))}
	if err := s.checkHeader(); err != nil {
		return nil, err
	}
	return s, nil
}

// entry gives the tensor of that name, or nil.
func (s *source) entry(name string) *namedEntry {
	for i := range s.entries {
		if s.entries[i].name == name {
			return &s.entries[i]
		}
	}
	return nil
}

// chunk is how many bytes of a tensor are held in memory at a time.
const chunk = 1 << 16

// read reads the numbers of a tensor into dst, which has its length.
func (s *source) read(e *namedEntry, dst []float32) error { return s.readFrom(e, 0, dst) }

// readFrom reads as many numbers of a tensor as dst has, from number from on.
func (s *source) readFrom(e *namedEntry, from int, dst []float32) error {
	width := widths[e.DType]
	if width == 0 {
		return fmt.Errorf("tensor %q has dtype %s, which is not read as numbers: use F32, F64, F16 or BF16", e.name,
			e.DType)
	}
	if s.buffer == nil {
		s.buffer = make([]byte, chunk)
	}
	begin := e.Offsets[0] + from*width
	r := io.NewSectionReader(s.body, int64(begin), int64(e.Offsets[1]-begin))
	for len(dst) > 0 {
		n := min(len(dst), chunk/width)
		part := s.buffer[:n*width]
		if _, err := io.ReadFull(r, part); err != nil {
			return fmt.Errorf("tensor %q can't be read: %w", e.name, err)
		}
		convert(dst[:n], e.DType, part)
		dst = dst[n:]
	}
	return nil
}

// Parse reads a safetensors file from memory, with all its tensors. They may be F32, or F64, F16 and BF16, which are
// converted.
func Parse(data []byte) (*File, error) {
	s, err := open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if err := s.parameters(); err != nil {
		return nil, err
	}
	if err := s.verifyAll(); err != nil {
		return nil, err
	}
	f := &File{Metadata: withoutDigests(s.metadata)}
	for i := range s.entries {
		e := &s.entries[i]
		t := Tensor{Name: e.name, Shape: e.Shape, Value: make([]float32, e.numbers())}
		if err := s.read(e, t.Value); err != nil {
			return nil, err
		}
		f.Tensors = append(f.Tensors, t)
	}
	return f, nil
}

type namedEntry struct {
	entry
	name string
}

// parseHeader reads the header's tensors, ordered by offset.
func parseHeader(header []byte) ([]namedEntry, map[string]string, error) {
	bad := func(err error) error {
		return fmt.Errorf("is not a safetensors file: its header is not valid: %w", err)
	}
	d := json.NewDecoder(strings.NewReader(string(header)))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, bad(errors.New("it is not a JSON object"))
	}
	var entries []namedEntry
	var metadata map[string]string
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, nil, bad(err)
		}
		name, _ := t.(string)
		if seen[name] {
			return nil, nil, bad(fmt.Errorf("%q stands in it twice", name))
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := d.Decode(&metadata); err != nil {
				return nil, nil, bad(fmt.Errorf("metadata: %w", err))
			}
			continue
		}
		var e entry
		if err := d.Decode(&e); err != nil {
			return nil, nil, bad(fmt.Errorf("tensor %q: %w", name, err))
		}
		entries = append(entries, namedEntry{e, name})
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, bad(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, bad(errors.New("something follows the JSON object"))
	}
	sort.SliceStable(entries, func(i, j int) bool {
		a, b := entries[i].Offsets, entries[j].Offsets
		return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
	})
	return entries, metadata, nil
}

// widths are the bytes a number of each dtype that can be read.
var widths = map[string]int{"F32": 4, "F64": 8, "F16": 2, "BF16": 2}

// sizes are the bytes an element of each dtype that a file may have: besides numbers that are read, those of tensors
// that models do not need, such as positions and masks.
var sizes = map[string]int{"F32": 4, "F64": 8, "F16": 2, "BF16": 2, "I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2,
	"U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}

// check finds a dtype that can't be read, and a shape that does not fit the bytes.
func (e entry) check() error {
	width, size := sizes[e.DType], e.Offsets[1]-e.Offsets[0]
	if width == 0 {
		return fmt.Errorf("dtype %q is not supported: use F32, F64, F16 or BF16", e.DType)
	}
	n := 1
	for _, d := range e.Shape {
		if d < 0 || d > 0 && n > size/d {
			return fmt.Errorf("shape %v does not fit its %d bytes", e.Shape, size)
		}
		n *= d
	}
	if n*width != size {
		return fmt.Errorf("shape %v of %s takes %d bytes, it has %d", e.Shape, e.DType, n*width, size)
	}
	return nil
}

// numbers is how many numbers a tensor has.
func (e entry) numbers() int { return (e.Offsets[1] - e.Offsets[0]) / sizes[e.DType] }

// convert fills x from the bytes of numbers of a dtype.
func convert(x []float32, dtype string, data []byte) {
	switch dtype {
	case "F32":
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	case "F64":
		for i := range x {
			x[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:])))
		}
	case "BF16":
		for i := range x {
			x[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16)
		}
	case "F16":
		for i := range x {
			x[i] = half(binary.LittleEndian.Uint16(data[2*i:]))
		}
	}
}

// half is an IEEE 754 binary16 number as float32.
func half(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case exp == 0: // a subnormal number: frac·2⁻²⁴
		x := float32(frac) / (1 << 24)
		return math.Float32frombits(sign | math.Float32bits(x))
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// Write writes f in the safetensors format, metadata in the order of its keys, tensors in theirs. To the metadata it
// adds the digests by which readers know a damaged file.
func (f *File) Write(w io.Writer) error {
	parts := make([]Part, len(f.Tensors))
	for i, t := range f.Tensors {
		parts[i] = Part{t.Name, t.Shape, func() ([]float32, error) { return t.Value, nil }}
	}
	return WriteParts(w, f.Metadata, f.Type, parts)
}

// Part is a tensor whose numbers are made while a file is written, so that no more than one has to be in memory.
type Part struct {
	Name  string
	Shape []int
	// Make gives the numbers. It is called twice, for the digest and for the bytes, and gives the same both times. They
	// are read before the next call of any part.
	Make func() ([]float32, error)
}

// WriteParts is [File.Write] of tensors that are made one by one.
func WriteParts(w io.Writer, metadata map[string]string, as Type, parts []Part) error {
	all := make([]part, len(parts))
	for i, p := range parts {
		all[i] = p.part(as)
	}
	return writeTensors(w, withoutDigests(metadata), all, 8)
}

// part is a tensor as its bytes.
type part struct {
	name, dtype string
	shape       []int
	size        int                   // bytes that write writes
	write       func(io.Writer) error // is called for the digest and for the file
}

func (p Part) part(as Type) part {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return part{p.Name, as.String(), p.Shape, widths[as.String()] * n, func(w io.Writer) error {
		x, err := p.Make()
		if err == nil && len(x) != n {
			err = fmt.Errorf("tensor %s has %d numbers, its shape is %v", p.Name, len(x), p.Shape)
		}
		if err != nil {
			return err
		}
		return writeNumbers(w, x, as)
	}}
}

// writeTensors writes a file whose data begins at a multiple of align.
func writeTensors(w io.Writer, metadata map[string]string, parts []part, align int) error {
	entries := make([]namedEntry, len(parts))
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	at := 0
	for i, p := range parts {
		entries[i] = namedEntry{entry{p.dtype, append([]int{}, p.shape...), [2]int{at, at + p.size}}, p.name}
		at += p.size
		h := sha256.New()
		if err := p.write(h); err != nil {
			return err
		}
		metadata[digestPrefix+p.name] = sum(h)
	}
	metadata[keyDigest] = headerDigest(metadata, entries)
	if err := writeHeader(w, metadata, entries, align); err != nil {
		return err
	}
	for _, p := range parts {
		if err := p.write(w); err != nil {
			return err
		}
	}
	return nil
}

// writeHeader writes what stands in front of the data, which begins at a multiple of align.
func writeHeader(w io.Writer, metadata map[string]string, entries []namedEntry, align int) error {
	var header bytes.Buffer
	add := func(v any) error {
		b, err := json.Marshal(v)
		header.Write(b)
		return err
	}
	header.WriteString(`{"__metadata__":`)
	if err := add(metadata); err != nil {
		return err
	}
	for _, e := range entries {
		header.WriteByte(',')
		if err := add(e.name); err != nil {
			return err
		}
		header.WriteByte(':')
		if err := add(e.entry); err != nil {
			return err
		}
	}
	header.WriteByte('}')
	for (8+header.Len())%align != 0 {
		header.WriteByte(' ')
	}
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(header.Len()))
	if _, err := w.Write(length[:]); err != nil {
		return err
	}
	_, err := header.WriteTo(w)
	return err
}

// writeNumbers writes numbers as a file has them.
func writeNumbers(w io.Writer, x []float32, as Type) error {
	var part [chunk]byte
	width := widths[as.String()]
	for len(x) > 0 {
		n := min(len(x), chunk/width)
		for i, v := range x[:n] {
			if as == BF16 {
				binary.LittleEndian.PutUint16(part[2*i:], bfloat16(v))
			} else {
				binary.LittleEndian.PutUint32(part[4*i:], math.Float32bits(v))
			}
		}
		if _, err := w.Write(part[:width*n]); err != nil {
			return err
		}
		x = x[n:]
	}
	return nil
}

// Writable reports why no file can be written at one of the paths, before hours of training are lost to it. It writes
// nothing that stays. Empty paths are left out.
func Writable(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		if info, err := files.Stat(path); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("can't write the checkpoint %s: it is not a file", path)
		}
		if err := files.Writable(path); err != nil {
			return fmt.Errorf("can't write the checkpoint %s: %w", path, files.Cause(err))
		}
	}
	return nil
}

// WriteFile writes f to path with [files.Write]: whatever happens, path is either what it was or complete.
func (f *File) WriteFile(path string) error { return writeFile(path, f.Write) }

func writeFile(path string, write func(io.Writer) error) error {
	if err := files.Write(path, write); err != nil {
		return fmt.Errorf("can't write the checkpoint %s: %w", path, files.Cause(err))
	}
	return nil
}

// bfloat16 is the upper half of a number, rounded to nearest even.
func bfloat16(x float32) uint16 {
	u := math.Float32bits(x)
	if x != x {
		return uint16(u>>16) | 0x40 // a quiet NaN, which rounding could make infinite
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}
