package checkpoint

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"runtime/debug"
	"slices"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/files"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// A file of matrices has what decoders read, in the form in which they read it, and no more: see docs/decoding.md.
// Its tensors begin at multiples of weights.Align from the beginning of the file, so that it is mapped and not copied.
// Beside the SHA-256 of each tensor, which takes too long to be compared at every start, there is a CRC-32C, which is.

// Keys of the metadata.
const (
	keyWeights     = "gradsmith.weights"        // the kind of most matrices
	keyLayout      = "gradsmith.weights_layout" // the version of how matrices lie
	checksumPrefix = "gradsmith.crc32c/"        // and then the name of a tensor
)

const matrixLayout = "1"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SaveMatrices writes what decoders of m read, with matrices of a kind, to path, atomically. [LoadWeights] loads it
// into a model, for writing alone. Decoders of m that are made after it have the matrices too.
func SaveMatrices(path string, m model.Packer, kind weights.Kind) error {
	shapes := map[string][]int{}
	for _, t := range m.Tensors() {
		shapes[t.Name] = t.Shape
	}
	var matrices, kept []part
	var bad error
	err := m.Lay(&weights.Layout{
		Kind: kind,
		Made: func(name string, form weights.Form, x *weights.Matrix) {
			matrices = append(matrices, matrixPart(name, form, x))
		},
		Kept: func(name string, x []float32) {
			if err := finite(x); err != nil && bad == nil {
				bad = fmt.Errorf("%s: %w", name, err)
			}
			kept = append(kept, numbersPart(name, shapes[name], x))
		},
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return err
	}
	metadata := describing(m)
	metadata[keyWeights], metadata[keyLayout] = kind.String(), matrixLayout
	parts := append(matrices, kept...) // those first whose lengths are multiples of weights.Align
	for _, p := range parts {
		h := crc32.New(castagnoli)
		p.write(h) // a hash has no errors
		metadata[checksumPrefix+p.name] = fmt.Sprintf("%08x", h.Sum32())
	}
	return writeFile(path, func(w io.Writer) error { return writeTensors(w, metadata, parts, weights.Align) })
}

// numbersPart is numbers as a tensor of float32.
func numbersPart(name string, shape []int, x []float32) part {
	return Part{name, shape, func() ([]float32, error) { return x, nil }}.part(F32)
}

// matrixPart is a matrix as a tensor.
func matrixPart(name string, form weights.Form, x *weights.Matrix) part {
	k, n := x.Dims()
	name += "/" + form.String()
	if x.Kind() == weights.Live { // a table as it is
		b, _ := x.Live()
		return numbersPart(name, []int{n, k}, b)
	}
	dtype, shape := matrixShape(x.Kind(), k, n)
	return part{name, dtype, shape, len(x.Data()), func(w io.Writer) error {
		_, err := w.Write(x.Data())
		return err
	}}
}

// matrixShape is the type and the shape of the tensor of a matrix [k, n]: panels, steps or blocks of steps, and what
// one of them has.
func matrixShape(kind weights.Kind, k, n int) (dtype string, shape []int) {
	panels := (n + weights.PanelCols - 1) / weights.PanelCols
	switch kind {
	case weights.F32:
		return "F32", []int{panels, k, weights.PanelCols}
	case weights.BF16:
		return "BF16", []int{panels, k, weights.PanelCols}
	}
	blocks := (k + weights.BlockSteps - 1) / weights.BlockSteps
	size, _ := weights.DataLen(kind, k, n)
	return "U8", []int{panels, blocks, size / max(1, panels*blocks)}
}

// kind is the kind of the matrices of a file of matrices; false for one of parameters.
func (s *source) kind() (kind weights.Kind, ok bool, err error) {
	name, ok := s.metadata[keyWeights]
	if !ok {
		return 0, false, nil
	}
	if kind, err = weights.ParseKind(name); err != nil {
		return 0, true, fmt.Errorf("%w: use the version of gradsmith that wrote it", err)
	}
	if v := s.metadata[keyLayout]; v != matrixLayout {
		return 0, true, fmt.Errorf("has matrices of layout %q, this program reads layout %s: quantize the checkpoint "+
			"again", v, matrixLayout)
	}
	return kind, true, nil
}

// parameters reports why a file has no parameters.
func (s *source) parameters() error {
	if kind, ok := s.metadata[keyWeights]; ok {
		return fmt.Errorf("has %s weights for writing alone, made by quantize: take the checkpoint that it was made of",
			kind)
	}
	return nil
}

// mounted are the tensors of a file that is in memory.
type mounted struct {
	*source
	mapping *files.Mapping
	body    []byte
	used    map[string]bool
	finite  map[string]bool // the numbers of F32 and BF16 that have been found to be so
}

// mount makes the decoders of m read the matrices of the file.
func (s *source) mount(m model.LanguageModel, kind weights.Kind) (err error) {
	p, ok := m.(model.Packer)
	info := m.Info()
	switch {
	case !ok:
		return fmt.Errorf("has %s weights for writing, but the model %s does not write token by token", kind, info.Name)
	case s.metadata[keyFormat] != format:
		return s.fits(m)
	case s.metadata[keyArchitecture] != info.Architecture:
		return fmt.Errorf("is of another spec (model %s): quantize a checkpoint of %s", s.metadata[keyName], info.Spec)
	}
	x := &mounted{source: s, used: map[string]bool{}, finite: map[string]bool{}}
	if x.mapping, err = s.whole(); err != nil {
		return err
	}
	x.body = x.mapping.Data[s.start:]
	// What becomes of the file while it is read is an error.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if value := recover(); value != nil {
			if err = files.Lost(value); err == nil {
				panic(value)
			}
		}
	}()
	if err := x.compare(); err != nil {
		return err
	}
	return p.Mount(&weights.Layout{Kind: kind, Source: x})
}

func (x *mounted) bytes(e *namedEntry) []byte { return x.body[e.Offsets[0]:e.Offsets[1]:e.Offsets[1]] }

// compare compares all tensors with their checksums, and finds those whose numbers are finite, in parts that stay in a
// cache.
func (x *mounted) compare() error {
	const part = 128 << 10
	wrong, finite := make([]bool, len(x.entries)), make([]bool, len(x.entries)) // each its own, so that no thread waits
	parallel.Run(len(x.entries), tasks(func(i int) {
		e := &x.entries[i]
		kind, numbers := map[string]weights.Kind{"F32": weights.F32, "BF16": weights.BF16}[e.DType]
		sum := uint32(0)
		for data := x.bytes(e); len(data) > 0; data = data[min(part, len(data)):] {
			p := data[:min(part, len(data))]
			sum = crc32.Update(sum, castagnoli, p)
			numbers = numbers && weights.Finite(kind, p)
		}
		wrong[i] = fmt.Sprintf("%08x", sum) != x.metadata[checksumPrefix+e.name]
		finite[i] = numbers
	}))
	for i, is := range finite {
		x.finite[x.entries[i].name] = is
	}
	if i := slices.Index(wrong, true); i >= 0 {
		return fmt.Errorf("is damaged: tensor %q does not have the checksum that the file gives; take another copy of "+
			"the file, or quantize the checkpoint again", x.entries[i].name)
	}
	return nil
}

type tasks func(i int)

func (f tasks) Do(i int) { f(i) }

// Matrix implements weights.Source.
func (x *mounted) Matrix(kind weights.Kind, name string, form weights.Form, k, n int) (*weights.Matrix, error) {
	name += "/" + form.String()
	dtype, shape := "F32", []int{n, k}
	if kind != weights.Live {
		dtype, shape = matrixShape(kind, k, n)
	}
	e, err := x.find(name, dtype, shape)
	if err != nil {
		return nil, err
	}
	if kind == weights.Live {
		numbers, err := x.numbers(e)
		if err != nil {
			return nil, err
		}
		return weights.LiveT(numbers, k, n).Hold(x.mapping), nil
	}
	from := weights.FromData
	if x.finite[name] {
		from = weights.FromFinite
	}
	m, err := from(kind, k, n, x.bytes(e))
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	return m.Hold(x.mapping), nil
}

// Numbers implements weights.Source. It copies: slices of parameters may outlive the mapping.
func (x *mounted) Numbers(name string) ([]float32, error) {
	e := x.entry(name)
	if e == nil {
		return nil, fmt.Errorf("has no tensor %s", name)
	}
	if _, err := x.find(name, "F32", e.Shape); err != nil {
		return nil, err
	}
	numbers, err := x.numbers(e)
	if err != nil {
		return nil, err
	}
	return copied(numbers), nil
}

func (x *mounted) find(name, dtype string, shape []int) (*namedEntry, error) {
	e := x.entry(name)
	if e == nil {
		return nil, fmt.Errorf("has no tensor %s of type %s and shape %v", name, dtype, shape)
	}
	if e.DType != dtype || !slices.Equal(e.Shape, shape) {
		return nil, fmt.Errorf("tensor %s is of type %s and shape %v, not of %s and %v", name, e.DType, e.Shape, dtype,
			shape)
	}
	x.used[name] = true
	return e, nil
}

// numbers are those of a tensor of float32, where they stand.
func (x *mounted) numbers(e *namedEntry) ([]float32, error) {
	data := x.bytes(e)
	n := len(data) / 4
	var numbers []float32
	if at := unsafe.Pointer(unsafe.SliceData(data)); littleEndian && uintptr(at)%4 == 0 {
		numbers = unsafe.Slice((*float32)(at), n)
	} else {
		numbers = make([]float32, n)
		convert(numbers, "F32", data)
	}
	if x.finite[e.name] {
		return numbers, nil
	}
	if err := finite(numbers); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", e.name, err)
	}
	return numbers, nil
}

// finite reports the first number that is not finite.
func finite(x []float32) error {
	for i, v := range x {
		if math.Float32bits(v)<<1 >= 0xff<<24 {
			return fmt.Errorf("number %d is %v: weights must be finite", i, v)
		}
	}
	return nil
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Done implements weights.Source: it reports a tensor that the model does not read.
func (x *mounted) Done() error {
	for _, e := range x.entries {
		if !x.used[e.name] {
			return fmt.Errorf("has a tensor %s, which the model does not read", e.name)
		}
	}
	return nil
}
