// Package gguf reads and writes files in the format GGUF, version 3, of llama.cpp: keys with values, and tensors.
//
// The format is public (ggml-org/ggml, docs/gguf.md). It is read and written here, as no Go library for it both checks
// what it reads and writes: a file comes from the internet, so that every count and offset is held against the size
// of the file before memory is taken for it.
//
// The package must not know what keys and tensors mean.
package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

const (
	magic     = "GGUF"
	version   = 3
	alignment = 32 // of the tensors, unless a file says otherwise

	maxName   = 64      // bytes of a tensor's name
	maxKey    = 65535   // bytes of a key
	maxDims   = 4       // of a tensor
	maxText   = 1 << 26 // bytes of all keys and values
	maxCount  = 1 << 20 // tensors, and keys
	maxValues = 1 << 22 // values of an array
)

// The types of values.
const (
	typeUint8 = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// KV is a key with its value: a number, a bool, a string, or a slice of one of them.
type KV struct {
	Key   string
	Value any
}

// Tensor is a tensor of a file.
type Tensor struct {
	Name  string
	Shape []int // the outermost dimension first, as in other formats; files have the innermost first
	Type  Type
	// Make gives the numbers, when the file is written.
	Make func() ([]float32, error)

	offset int64 // within the data
}

// numbers is how many numbers a tensor has.
func (t *Tensor) numbers() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Write writes a file. Numbers are F32, F16 or BF16. Tensors are made one by one.
func Write(w io.Writer, keys []KV, tensors []Tensor) error {
	head := []byte(magic)
	head = binary.LittleEndian.AppendUint32(head, version)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(tensors)))
	head = binary.LittleEndian.AppendUint64(head, uint64(len(keys)))
	for _, kv := range keys {
		var err error
		head = appendString(head, kv.Key)
		if head, err = appendValue(head, kv.Value, true); err != nil {
			return fmt.Errorf("gguf: key %s: %w", kv.Key, err)
		}
	}
	offset := 0
	for i := range tensors {
		t := &tensors[i]
		if len(t.Name) >= maxName || len(t.Shape) > maxDims {
			return fmt.Errorf("gguf: the tensor %s %v: a name has less than %d bytes, a shape at most %d dimensions",
				t.Name,
				t.Shape, maxName, maxDims)
		}
		head = appendString(head, t.Name)
		head = binary.LittleEndian.AppendUint32(head, uint32(len(t.Shape)))
		for _, d := range slices.Backward(t.Shape) {
			head = binary.LittleEndian.AppendUint64(head, uint64(d))
		}
		head = binary.LittleEndian.AppendUint32(head, uint32(t.Type))
		head = binary.LittleEndian.AppendUint64(head, uint64(offset))
		offset += align(t.Type.size(t.numbers()), alignment)
	}
	head = append(head, make([]byte, align(len(head), alignment)-len(head))...)
	if _, err := w.Write(head); err != nil {
		return err
	}
	for i := range tensors {
		t := &tensors[i]
		x, err := t.Make()
		if err != nil {
			return err
		}
		if len(x) != t.numbers() {
			return fmt.Errorf("gguf: the tensor %s %v has %d numbers", t.Name, t.Shape, len(x))
		}
		if err := t.Type.write(w, x); err != nil {
			return fmt.Errorf("gguf: tensor %s: %w", t.Name, err)
		}
		n := t.Type.size(len(x))
		if _, err := w.Write(make([]byte, align(n, alignment)-n)); err != nil {
			return err
		}
	}
	return nil
}

func align(n, to int) int { return (n + to - 1) / to * to }

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue appends a value, behind its type where that is asked for.
func appendValue(b []byte, v any, typed bool) ([]byte, error) {
	of := func(t uint32) {
		if typed {
			b = binary.LittleEndian.AppendUint32(b, t)
		}
	}
	array := func(t uint32, n int) {
		of(typeArray)
		b = binary.LittleEndian.AppendUint32(b, t)
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	switch v := v.(type) {
	case uint32:
		of(typeUint32)
		b = binary.LittleEndian.AppendUint32(b, v)
	case int32:
		of(typeInt32)
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	case float32:
		of(typeFloat32)
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	case bool:
		of(typeBool)
		b = append(b, map[bool]byte{true: 1}[v])
	case string:
		of(typeString)
		b = appendString(b, v)
	case []string:
		array(typeString, len(v))
		for _, s := range v {
			b = appendString(b, s)
		}
	case []byte:
		array(typeUint8, len(v))
		b = append(b, v...)
	case []int32:
		array(typeInt32, len(v))
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, uint32(x))
		}
	case []float32:
		array(typeFloat32, len(v))
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	default:
		return nil, fmt.Errorf("values of type %T are not written", v)
	}
	return b, nil
}

// Reader is an open file.
type Reader struct {
	Keys    map[string]any // numbers as int64, uint64 or float64; arrays as []any
	Tensors []Tensor

	data   *io.SectionReader
	buffer []byte
}

// errShort is the error of a file that ends too early.
var errShort = errors.New("it ends in the middle of its header")

// decoder reads a header, of which some bytes are left.
type decoder struct {
	r    io.Reader
	left int64 // bytes of the file that have not been read
	text int64 // bytes of keys and values that may still come
	at   int64
	err  error
}

func (d *decoder) bytes(n uint64) []byte {
	if d.err != nil {
		return nil
	}
	if n > uint64(d.left) {
		d.err = errShort
		return nil
	}
	if d.text -= int64(n); d.text < 0 {
		d.err = fmt.Errorf("its keys and values take more than %d bytes", maxText)
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(d.r, b); err != nil {
		d.err = err
		return nil
	}
	d.left -= int64(n)
	d.at += int64(n)
	return b
}

func (d *decoder) u32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) string() string { return string(d.bytes(d.u64())) }

// widths are the bytes of values of each type; 0 for those that say themselves.
var widths = [...]uint64{typeUint8: 1, typeInt8: 1, typeUint16: 2, typeInt16: 2, typeUint32: 4, typeInt32: 4,
	typeFloat32: 4, typeBool: 1, typeString: 0, typeArray: 0, typeUint64: 8, typeInt64: 8, typeFloat64: 8}

func (d *decoder) value(kind uint32, depth int) any {
	if d.err != nil {
		return nil
	}
	if kind >= uint32(len(widths)) {
		d.err = fmt.Errorf("byte %d: there is no type %d of values", d.at, kind)
		return nil
	}
	switch kind {
	case typeString:
		return d.string()
	case typeArray:
		inner, n := d.u32(), d.u64()
		if depth > 0 {
			d.err = fmt.Errorf("byte %d: an array within an array", d.at)
		}
		if n > maxValues || n > uint64(d.left) { // an element takes a byte or more
			d.err = fmt.Errorf("byte %d: an array of %d values, more than the file has or than %d", d.at, n, maxValues)
		}
		var list []any
		for range n {
			if d.err != nil {
				return nil
			}
			list = append(list, d.value(inner, depth+1))
		}
		return list
	}
	b := d.bytes(widths[kind])
	if b == nil {
		return nil
	}
	switch kind {
	case typeUint8:
		return uint64(b[0])
	case typeInt8:
		return int64(int8(b[0]))
	case typeUint16:
		return uint64(binary.LittleEndian.Uint16(b))
	case typeInt16:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case typeUint32:
		return uint64(binary.LittleEndian.Uint32(b))
	case typeInt32:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	case typeFloat32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case typeBool:
		return b[0] != 0
	case typeUint64:
		return binary.LittleEndian.Uint64(b)
	case typeInt64:
		return int64(binary.LittleEndian.Uint64(b))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// New reads the header of a file of a size, and checks it against the size. No input makes it panic or take memory
// that is not in proportion to the file.
func New(r io.ReaderAt, size int64) (*Reader, error) {
	d := &decoder{r: io.NewSectionReader(r, 0, size), left: size, text: maxText}
	if string(d.bytes(4)) != magic {
		return nil, errors.New("it is not a GGUF file, which begins with the letters GGUF")
	}
	if v := d.u32(); d.err == nil && v != 2 && v != version {
		return nil, fmt.Errorf("it has version %d of the format; read are 2 and %d", v, version)
	}
	tensors, keys := d.u64(), d.u64()
	if d.err == nil && (tensors > maxCount || keys > maxCount) {
		return nil, fmt.Errorf("its header speaks of %d tensors and %d keys; at most %d are allowed", tensors, keys,
			maxCount)
	}
	f := &Reader{Keys: map[string]any{}}
	for range keys {
		key := d.string()
		v := d.value(d.u32(), 0)
		if d.err != nil {
			return nil, d.err
		}
		if _, twice := f.Keys[key]; twice || len(key) > maxKey {
			return nil, fmt.Errorf("byte %d: the key %.60q stands in it twice, or is too long", d.at, key)
		}
		f.Keys[key] = v
	}
	step := int64(alignment)
	if v, ok := f.Keys["general.alignment"].(uint64); ok {
		if v == 0 || v > 1<<20 || v%8 != 0 {
			return nil, fmt.Errorf("general.alignment is %d", v)
		}
		step = int64(v)
	}
	seen := map[string]bool{}
	for range tensors {
		t, err := d.tensor()
		if err != nil {
			return nil, err
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("the tensor %s stands in it twice", t.Name)
		}
		if t.offset%step != 0 {
			return nil, fmt.Errorf("the tensor %s begins at byte %d of the data, which is no multiple of %d", t.Name,
				t.offset,
				step)
		}
		seen[t.Name] = true
		f.Tensors = append(f.Tensors, t)
	}
	if d.err != nil {
		return nil, d.err
	}
	begin := (d.at + step - 1) / step * step
	if begin > size {
		begin = size
	}
	rest := size - begin
	for i := range f.Tensors {
		t := &f.Tensors[i]
		n := t.Type.size(t.numbers())
		if t.Type.Known() && (t.offset > rest || int64(n) > rest-t.offset) {
			return nil,
				fmt.Errorf("the tensor %s %v of type %s takes %d bytes from byte %d of the data on, which has %d",
					t.Name,
					t.Shape, t.Type, n, t.offset, rest)
		}
	}
	f.data = io.NewSectionReader(r, begin, rest)
	return f, nil
}

// tensor reads what the header says of one.
func (d *decoder) tensor() (t Tensor, err error) {
	t.Name = d.string()
	n := d.u32()
	if d.err == nil && (n > maxDims || len(t.Name) > maxName) {
		return t, fmt.Errorf(
			"byte %d: the tensor %.60q has %d dimensions; at most %d are allowed, and %d bytes of a name", d.at,
			t.Name, n, maxDims, maxName)
	}
	total := uint64(1)
	for range n {
		dim := d.u64()
		// A number takes half a byte or more, so that what the file has not room for is refused here.
		if d.err == nil && (dim == 0 || dim > uint64(d.left)*4 || total > uint64(d.left)*4/dim) {
			return t, fmt.Errorf("byte %d: the tensor %.60q has a dimension of %d, for which the file is too small",
				d.at, t.Name,
				dim)
		}
		total *= dim
		t.Shape = append(t.Shape, int(dim))
	}
	slices.Reverse(t.Shape)
	t.Type = Type(d.u32())
	offset := d.u64()
	if d.err != nil {
		return t, d.err
	}
	if offset > uint64(d.left) {
		return t, fmt.Errorf("byte %d: the tensor %.60q begins at byte %d of the data, for which the file is too small",
			d.at,
			t.Name, offset)
	}
	t.offset = int64(offset)
	if block := t.Type.block(); t.Type.Known() && (len(t.Shape) == 0 || t.Shape[len(t.Shape)-1]%block != 0) {
		return t, fmt.Errorf(
			"byte %d: the tensor %.60q has rows that are no multiple of %d numbers, the block of type %s", d.at,
			t.Name, block, t.Type)
	}
	return t, nil
}

// Read reads as many numbers of a tensor as dst has, from number from on, both multiples of the type's block.
func (f *Reader) Read(t *Tensor, from int, dst []float32) error {
	if !t.Type.Known() {
		return fmt.Errorf("the tensor %s has the type %s, which is not read; read are %s", t.Name, t.Type, knownTypes())
	}
	block := t.Type.block()
	if from < 0 || from%block != 0 || len(dst)%block != 0 || from+len(dst) > t.numbers() {
		return fmt.Errorf("of the tensor %s with %d numbers %d from number %d on were asked for", t.Name, t.numbers(),
			len(dst),
			from)
	}
	at := t.offset + int64(t.Type.size(from))
	for len(dst) > 0 {
		n := min(len(dst), 1<<14/block*block)
		bytes := t.Type.size(n)
		f.buffer = slices.Grow(f.buffer[:0], bytes)[:bytes]
		if _, err := f.data.ReadAt(f.buffer, at); err != nil {
			return fmt.Errorf("the tensor %s can't be read: %w", t.Name, err)
		}
		t.Type.decode(dst[:n], f.buffer)
		at += int64(bytes)
		dst = dst[n:]
	}
	return nil
}
