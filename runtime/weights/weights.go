// Package weights holds the matrices of a model in the form in which decoders read them: packed in panels, as
// float32, rounded to bf16, or quantised to 8 or 4 bits. A [Matrix] is made once, when a model is loaded, or taken as
// it is from bytes that were stored before, and read by any number of goroutines after.
//
// The package knows nothing of models, files or processors. It says what the numbers are and how they lie; package
// kernel multiplies with them.
//
// # Layout
//
// A matrix [k, n] lies in panels of 32 columns, the first with columns 0 to 31, and so on; what the last one has
// beyond n are zeros. Every panel is one stretch of memory, read from end to end by a product. Numbers are little
// endian, and the layout is the same on every machine. Within a panel:
//
//	F32   for each k, 32 float32: 128 bytes.
//	BF16  for each k, 16 words of 32 bits: 64 bytes. Word j has column j in its low half and column j+16 in its
//	      high half.
//	Q8    for each block of 32 k, the last one filled up with zeros, 1088 bytes: 32 scales, one a column, as bf16;
//	      then 1024 bytes, of which number 128·g + 4·j + i is 128 plus the value of step 4·g+i and column j.
//	Q4    for each such block 576 bytes: 32 scales, one a column, as bf16; then 512 bytes, of which number
//	      128·p + 4·j + i has the code of step 8·p+i and column j in its low half and that of step 8·p+4+i in its
//	      high half.
//
// A weight of Q8 is value·scale, value from -127 to 127. A weight of Q4 is [Codes][code]·scale.
package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// Kind says how the numbers of a matrix are stored.
type Kind uint8

const (
	F32  Kind = iota // float32, exact
	BF16             // rounded to the nearest bf16, ties to even: 8 bits of precision
	Q8               // 8 bits, and a scale for each 32 steps of a column
	Q4               // 4 bits, and a scale for each 32 steps of a column
)

// Live is the kind of matrices that are not stored: products read the numbers of which the matrix was made, which may
// change between two products.
const Live Kind = 255

var kindNames = [...]string{F32: "f32", BF16: "bf16", Q8: "q8", Q4: "q4"}

// Kinds returns all kinds, the largest first.
func Kinds() []Kind { return []Kind{F32, BF16, Q8, Q4} }

// String returns f32, bf16, q8 or q4.
func (k Kind) String() string {
	if k.valid() {
		return kindNames[k]
	}
	if k == Live {
		return "live"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

func (k Kind) valid() bool { return int(k) < len(kindNames) }

// ParseKind is the kind that has the name s: f32, bf16, q8 or q4.
func ParseKind(s string) (Kind, error) {
	for k, name := range kindNames {
		if name == s {
			return Kind(k), nil
		}
	}
	return 0, fmt.Errorf("no kind of weights %q: want f32, bf16, q8 or q4", s)
}

// MarshalText returns what [Kind.String] does.
func (k Kind) MarshalText() ([]byte, error) {
	if !k.valid() {
		return nil, fmt.Errorf("no kind of weights has the number %d", uint8(k))
	}
	return []byte(kindNames[k]), nil
}

// UnmarshalText is [ParseKind].
func (k *Kind) UnmarshalText(text []byte) error {
	v, err := ParseKind(string(text))
	if err == nil {
		*k = v
	}
	return err
}

// BitsPerWeight is the number of bits that a weight takes, its share of the scale included: 32, 16, 8.5 or 4.5.
func (k Kind) BitsPerWeight() float64 {
	return float64(8*k.blockBytes()) / float64(k.steps()*PanelCols)
}

const (
	// PanelCols is the number of columns of a panel.
	PanelCols = 32
	// BlockSteps is the number of steps along k that share a scale in Q8 and Q4.
	BlockSteps = 32
	// Align is what the address of a matrix' data should be a multiple of. Lengths of data are multiples of it too,
	// so that matrices one after the other in a file stay aligned.
	Align = 64

	scaleBytes = 2 * PanelCols
)

// Codes are the values of the 16 codes of Q4, to be multiplied by the scale. They lie closer around zero, as weights
// do: for blocks of 32 normal numbers the squared error is 13 % less than that of 16 equal steps, and for numbers
// with longer tails (Student's t with 5 degrees of freedom) 36 %. They are the means, rounded, of what Lloyd's
// algorithm gives for the two.
var Codes = [16]int8{-64, -49, -38, -30, -22, -16, -10, -4, 1, 6, 12, 18, 24, 32, 43, 60}

// steps is the number of steps along k of a block: of what a panel is a sequence of.
func (k Kind) steps() int {
	if k == Q8 || k == Q4 {
		return BlockSteps
	}
	return 1
}

// blockBytes is the size of a block of a panel.
func (k Kind) blockBytes() int {
	switch k {
	case F32:
		return 4 * PanelCols
	case BF16:
		return 2 * PanelCols
	case Q8:
		return scaleBytes + BlockSteps*PanelCols
	default:
		return scaleBytes + BlockSteps*PanelCols/2
	}
}

// Matrix is a matrix [k, n] that stands on the right in products. It does not change, and any number of goroutines
// may read it.
type Matrix struct {
	kind Kind
	k, n int
	data []byte

	live       []float32 // of Live: the numbers, [k, n] or, transposed, [n, k]
	transposed bool
	owner      any // of the data, where that is not the garbage collector's
}

// LiveT is the transpose of b [n, k] as a matrix of the kind [Live].
func LiveT(b []float32, k, n int) *Matrix {
	return &Matrix{kind: Live, k: k, n: n, live: b, transposed: true}
}

// Hold keeps what owns the data of m reachable as long as m is: the mapping of a file, for example. It returns m.
func (m *Matrix) Hold(owner any) *Matrix {
	m.owner = owner
	return m
}

// Live is the numbers of a matrix of the kind [Live], [k, n] or, transposed, [n, k].
func (m *Matrix) Live() (b []float32, transposed bool) { return m.live, m.transposed }

// Kind is how the numbers are stored.
func (m *Matrix) Kind() Kind { return m.kind }

// Dims is the number of rows k, which products add over, and of columns n.
func (m *Matrix) Dims() (k, n int) { return m.k, m.n }

// Bytes is the number of bytes that a product with one row reads of the matrix: the length of its data.
func (m *Matrix) Bytes() int { return len(m.data) + 4*len(m.live) }

// Data is the matrix as bytes; the package comment has the layout. It must not be changed.
func (m *Matrix) Data() []byte { return m.data }

// blocks is the number of blocks of a panel.
func (m *Matrix) blocks() int { return (m.k + m.kind.steps() - 1) / m.kind.steps() }

func (m *Matrix) panels() int { return panels(m.n) }

func panels(n int) int { return n/PanelCols + (n%PanelCols+PanelCols-1)/PanelCols }

// block is block b of panel p.
func (m *Matrix) block(p, b int) []byte {
	size := m.kind.blockBytes()
	at := (p*m.blocks() + b) * size
	return m.data[at : at+size : at+size]
}

// DataLen is the length of the data of a matrix [k, n]: a multiple of [Align].
func DataLen(kind Kind, k, n int) (int, error) {
	if !kind.valid() {
		return 0, fmt.Errorf("no kind of weights has the number %d", uint8(kind))
	}
	if k < 0 || n < 0 {
		return 0, fmt.Errorf("a matrix cannot be [%d, %d]", k, n)
	}
	if k == 0 || n == 0 {
		return 0, nil
	}
	blocks := (k-1)/kind.steps() + 1
	if blocks > math.MaxInt/kind.blockBytes()/panels(n) {
		return 0, fmt.Errorf("a matrix [%d, %d] of %v is larger than memory can be", k, n, kind)
	}
	return panels(n) * blocks * kind.blockBytes(), nil
}

// FromData is the matrix [k, n] whose [Matrix.Data] was data. It keeps data, which must not change after, and may be
// a file that is mapped into memory; only data that does not begin at a multiple of [Align] is copied. It is an error
// when the length is not that of such a matrix, or when a number or scale is not finite.
func FromData(kind Kind, k, n int, data []byte) (*Matrix, error) {
	size, err := DataLen(kind, k, n)
	if err != nil {
		return nil, err
	}
	if len(data) != size {
		return nil, fmt.Errorf("a matrix [%d, %d] of %v takes %d bytes, not %d", k, n, kind, size, len(data))
	}
	m := stored(kind, k, n, data)
	return m, m.check()
}

// FromFinite is [FromData] of data of F32 or BF16 that has been found to be [Finite], and is not read again.
func FromFinite(kind Kind, k, n int, data []byte) (*Matrix, error) {
	if size, err := DataLen(kind, k, n); err != nil || kind.steps() > 1 || len(data) != size {
		return FromData(kind, k, n, data) // which says what is wrong
	}
	return stored(kind, k, n, data), nil
}

func stored(kind Kind, k, n int, data []byte) *Matrix {
	m := &Matrix{kind: kind, k: k, n: n, data: data}
	if len(data) > 0 && uintptr(unsafe.Pointer(&data[0]))%Align != 0 {
		m.data = newData(len(data))
		copy(m.data, data)
	}
	return m
}

// Finite tells whether all numbers of data are finite, a part of that of a matrix of F32 or BF16 whose length is a
// multiple of 8. Of other kinds it is false: their scales are not side by side.
func Finite(kind Kind, data []byte) bool {
	if kind.steps() > 1 || len(data)%8 != 0 {
		return false
	}
	return finiteBytes(kind, data)
}

// finiteBytes tells whether the numbers of F32, or of bf16 otherwise, in data are finite. The exponent of one that is
// not is all ones: adding one to it carries into the place of the sign.
func finiteBytes(kind Kind, data []byte) bool {
	exponent, one, carry := uint64(0x7f807f807f807f80), uint64(0x0080008000800080), uint64(0x8000800080008000)
	if kind == F32 {
		exponent, one, carry = 0x7f8000007f800000, 0x0080000000800000, 0x8000000080000000
	}
	top := uint64(0)
	for ; len(data) >= 8; data = data[8:] {
		top |= binary.LittleEndian.Uint64(data)&exponent + one
	}
	return top&carry == 0
}

// newData is n bytes that begin at a multiple of Align. Matrices that are not small ask for huge pages, where the
// system has them: products that read from memory are a seventh faster. Those that are smaller than many huge pages
// share them.
func newData(n int) []byte {
	switch {
	case n < least:
		return aligned(n, Align)
	case n >= chunkBytes/4:
		x := aligned(n, hugePage)
		askHuge(x[:n/hugePage*hugePage])
		return x
	}
	chunk.Lock()
	defer chunk.Unlock()
	if n > len(chunk.free) {
		chunk.free = aligned(chunkBytes, hugePage)
		askHuge(chunk.free)
	}
	x := chunk.free[:n:n]
	chunk.free = chunk.free[(n+Align-1)/Align*Align:]
	return x
}

const (
	least      = 128 << 10 // bytes of a matrix from which on it is not small
	chunkBytes = 16 << 20
)

// chunk is where the next matrices of a model go, side by side.
var chunk struct {
	sync.Mutex
	free []byte
}

// aligned is n bytes that begin at a multiple of align.
func aligned(n, align int) []byte {
	x := make([]byte, n+align-1)
	at := int(-uintptr(unsafe.Pointer(unsafe.SliceData(x))) % uintptr(align))
	return x[at : at+n : at+n]
}

// hugePage is the size of a huge page of amd64 and, mostly, arm64.
const hugePage = 2 << 20

// New is b [k, n], row-major, as a matrix of a kind. It is an error when a value is not finite, or beyond what the
// kind can hold; the error names the first such value by its row and column in b.
func New(kind Kind, b []float32, k, n int) (*Matrix, error) {
	return build(kind, b, k, n, false)
}

// NewT is the transpose of b [n, k] as a matrix [k, n], for example a table of embeddings [words, size] that is also
// the output layer; otherwise as [New].
func NewT(kind Kind, b []float32, k, n int) (*Matrix, error) {
	return build(kind, b, k, n, true)
}

func build(kind Kind, b []float32, k, n int, transposed bool) (*Matrix, error) {
	if kind == Live {
		return &Matrix{kind: Live, k: k, n: n, live: b, transposed: transposed}, nil
	}
	size, err := DataLen(kind, k, n)
	if err != nil {
		return nil, err
	}
	if n > 0 && len(b)/n < k {
		return nil, fmt.Errorf("a matrix [%d, %d] needs %d numbers, not %d", k, n, k*n, len(b))
	}
	m := &Matrix{kind: kind, k: k, n: n, data: newData(size)}
	bad := make([]bool, m.panels()) // each its own, so that no thread waits
	forEach(m.panels(), k*PanelCols, func(p int) {
		bad[p] = !m.fill(b, p, transposed)
	})
	for _, is := range bad {
		if is {
			return nil, misfit(kind, b[:k*n], k, n, transposed)
		}
	}
	return m, nil
}

// misfit says which number of b a kind cannot hold.
func misfit(kind Kind, b []float32, k, n int, transposed bool) error {
	cols := n
	if transposed {
		cols = k
	}
	for i, v := range b {
		switch {
		case !finite(v):
			return fmt.Errorf("row %d, column %d is %v: weights must be finite", i/cols, i%cols, v)
		case kind == BF16 && !finite(widen(roundBF16(v))):
			return fmt.Errorf("row %d, column %d is %v: too large for bf16", i/cols, i%cols, v)
		}
	}
	return errors.New("the numbers changed while they were packed")
}

// tile is 32 steps of the 32 columns of a panel, column by column.
type tile [PanelCols][BlockSteps]float32

// read fills t with the steps from k0 and the columns from c0 of b, and zeros beyond.
func (t *tile) read(b []float32, k, n, c0, k0 int, transposed bool) {
	steps, cols := min(BlockSteps, k-k0), min(PanelCols, n-c0)
	if steps < BlockSteps || cols < PanelCols {
		*t = tile{}
	}
	if transposed {
		for c := range cols {
			copy(t[c][:steps], b[(c0+c)*k+k0:])
		}
		return
	}
	for r := range steps {
		for c, v := range b[(k0+r)*n+c0 : (k0+r)*n+c0+cols] {
			t[c][r] = v
		}
	}
}

func (t *tile) finite() bool {
	top := uint32(0)
	for c := range t {
		for _, v := range &t[c] {
			top = max(top, math.Float32bits(v)<<1)
		}
	}
	return top < 0xff<<24
}

func finite(v float32) bool { return math.Float32bits(v)<<1 < 0xff<<24 }

// fill makes panel p of b. It reports whether the kind can hold all numbers.
func (m *Matrix) fill(b []float32, p int, transposed bool) bool {
	var row [PanelCols]float32
	if m.kind.steps() == 1 && !transposed {
		c0 := p * PanelCols
		for k := range m.k {
			copy(row[:], b[k*m.n+c0:k*m.n+min(c0+PanelCols, m.n)])
			if !m.putRow(m.block(p, k), &row) {
				return false
			}
		}
		return true
	}
	var t tile
	for k := 0; k < m.k; k += BlockSteps {
		t.read(b, m.k, m.n, p*PanelCols, k, transposed)
		if m.kind == Q8 || m.kind == Q4 {
			if !t.finite() {
				return false
			}
			if m.kind == Q8 {
				t.putQ8(m.block(p, k/BlockSteps))
			} else {
				t.putQ4(m.block(p, k/BlockSteps))
			}
			continue
		}
		for r := range min(BlockSteps, m.k-k) {
			for c := range row {
				row[c] = t[c][r]
			}
			if !m.putRow(m.block(p, k+r), &row) {
				return false
			}
		}
	}
	return true
}

// putRow stores a row of a panel of F32 or BF16. It reports whether the kind can hold all numbers.
func (m *Matrix) putRow(d []byte, row *[PanelCols]float32) bool {
	top := uint32(0)
	if m.kind == F32 {
		for c, v := range row {
			u := math.Float32bits(v)
			top = max(top, u<<1)
			binary.LittleEndian.PutUint32(d[4*c:], u)
		}
		return top < 0xff<<24
	}
	for c, v := range row[:PanelCols/2] {
		lo, hi := roundBF16(v), roundBF16(row[c+PanelCols/2])
		// Rounding does not bring a NaN or an infinity back, but may carry a NaN into the sign.
		top = max(top, math.Float32bits(v)<<1, math.Float32bits(row[c+PanelCols/2])<<1, uint32(lo)<<17, uint32(hi)<<17)
		binary.LittleEndian.PutUint32(d[4*c:], uint32(lo)|uint32(hi)<<16)
	}
	return top < 0xff<<24
}

// roundBF16 is the bf16 that is nearest to a finite v, the even one of two.
func roundBF16(v float32) uint16 {
	u := math.Float32bits(v)
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

func widen(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// smallestScale is the smallest normal bf16. Below it scales would lose precision, so that blocks without larger
// values than a scale of that size reaches are zeros.
const smallestScale = 0x1p-126

// putQ8 quantises t. The scale is the largest absolute value over 127, as a bf16: that is at most 1/256 off, so that
// the largest value is still less than 127.5 times the scale, and every error at most half the scale.
func (t *tile) putQ8(d []byte) {
	for c := range t {
		most := float32(0)
		for _, v := range &t[c] {
			most = max(most, v, -v)
		}
		h := roundBF16(most / 127)
		scale := widen(h)
		if scale < smallestScale {
			h, scale = 0, 1
			t[c] = [BlockSteps]float32{}
		}
		binary.LittleEndian.PutUint16(d[2*c:], h)
		for r, v := range &t[c] {
			q := int(math.RoundToEven(float64(v / scale)))
			d[scaleBytes+r/4*128+4*c+r%4] = byte(max(-127, min(q, 127)) + 128)
		}
	}
}

// check is the error that names the first number or scale that is not finite.
func (m *Matrix) check() error {
	bad := make([]bool, m.panels())
	scanned := m.kind.blockBytes()
	if m.kind.steps() > 1 {
		scanned = scaleBytes
	}
	ok := func(p, b int) bool { return finiteBytes(m.kind, m.block(p, b)[:scanned]) }
	forEach(m.panels(), m.blocks()*scanned, func(p int) {
		for b := range m.blocks() {
			if !ok(p, b) {
				bad[p] = true
				return
			}
		}
	})
	for p, is := range bad {
		for b := 0; is && b < m.blocks(); b++ {
			if !ok(p, b) {
				what := fmt.Sprintf("row %d", b)
				if m.kind.steps() > 1 {
					what = fmt.Sprintf("a scale of rows %d to %d", b*BlockSteps, (b+1)*BlockSteps-1)
				}
				at := (p*m.blocks() + b) * m.kind.blockBytes()
				return fmt.Errorf("%s, columns %d to %d, from byte %d on, is not finite",
					what, p*PanelCols, (p+1)*PanelCols-1, at)
			}
		}
	}
	return nil
}

// Block is a block of Q8 or Q4 as products compute with it: the values of steps BlockSteps·block on of the columns of
// a panel, q[step][column], each to be multiplied by the scale of its column.
func (m *Matrix) Block(panel, block int, q *[BlockSteps][PanelCols]int8, scale *[PanelCols]float32) {
	d := m.block(panel, block)
	for c := range scale {
		scale[c] = widen(binary.LittleEndian.Uint16(d[2*c:]))
	}
	d = d[scaleBytes:]
	if m.kind == Q8 {
		for g := range BlockSteps / 4 {
			for c := range PanelCols {
				for i, v := range d[128*g+4*c : 128*g+4*c+4] {
					q[4*g+i][c] = int8(v - 128)
				}
			}
		}
		return
	}
	for p := range BlockSteps / 8 {
		for c := range PanelCols {
			for i, v := range d[128*p+4*c : 128*p+4*c+4] {
				q[8*p+i][c], q[8*p+4+i][c] = Codes[v&15], Codes[v>>4]
			}
		}
	}
}

// Row is row k of a panel of F32 or BF16.
func (m *Matrix) Row(panel, k int, row *[PanelCols]float32) {
	d := m.block(panel, k)
	if m.kind == F32 {
		for c := range row {
			row[c] = math.Float32frombits(binary.LittleEndian.Uint32(d[4*c:]))
		}
		return
	}
	for c := range PanelCols / 2 {
		v := binary.LittleEndian.Uint32(d[4*c:])
		row[c], row[c+PanelCols/2] = math.Float32frombits(v<<16), math.Float32frombits(v&0xffff0000)
	}
}

// Dequantize writes the numbers that products compute with, row-major, to dst [k, n].
func (m *Matrix) Dequantize(dst []float32) {
	m.need("Dequantize", len(dst), m.k*m.n)
	forEach(m.panels(), m.k*PanelCols, func(p int) {
		cols := min(PanelCols, m.n-p*PanelCols)
		m.rows(p, func(k int, row *[PanelCols]float32) {
			copy(dst[k*m.n+p*PanelCols:], row[:cols])
		})
	})
}

// rows calls f for each row of a panel.
func (m *Matrix) rows(p int, f func(k int, row *[PanelCols]float32)) {
	var row [PanelCols]float32
	if m.kind.steps() == 1 {
		for k := range m.k {
			m.Row(p, k, &row)
			f(k, &row)
		}
		return
	}
	var q [BlockSteps][PanelCols]int8
	var scale [PanelCols]float32
	for b := range m.blocks() {
		m.Block(p, b, &q, &scale)
		for r := range min(BlockSteps, m.k-b*BlockSteps) {
			for c, v := range &q[r] {
				row[c] = float32(v) * scale[c]
			}
			f(b*BlockSteps+r, &row)
		}
	}
}

// Column writes the numbers of column j, as [Matrix.Dequantize] does, to dst [k]: of a matrix that [NewT] made of a
// table of embeddings, those of word j. It allocates nothing.
func (m *Matrix) Column(dst []float32, j int) {
	m.need("Column", len(dst), m.k)
	if j < 0 || j >= m.n {
		panic(fmt.Sprintf("weights.Column: column %d of a matrix of %d", j, m.n))
	}
	dst = dst[:m.k]
	p, c := j/PanelCols, j%PanelCols
	switch m.kind {
	case Live:
		if m.transposed {
			copy(dst, m.live[j*m.k:])
			return
		}
		for k := range dst {
			dst[k] = m.live[k*m.n+j]
		}
	case F32:
		for k := range dst {
			dst[k] = math.Float32frombits(binary.LittleEndian.Uint32(m.block(p, k)[4*c:]))
		}
	case BF16:
		for k := range dst {
			dst[k] = widen(binary.LittleEndian.Uint16(m.block(p, k)[c%16*4+c/16*2:]))
		}
	default:
		for b := range m.blocks() {
			m.columnBlock(dst[b*BlockSteps:min((b+1)*BlockSteps, m.k)], m.block(p, b), c)
		}
	}
}

// columnBlock writes the numbers of column c of a block of Q8 or Q4.
func (m *Matrix) columnBlock(dst []float32, d []byte, c int) {
	scale := widen(binary.LittleEndian.Uint16(d[2*c:]))
	d = d[scaleBytes+4*c:]
	if m.kind == Q8 {
		for r := range dst {
			dst[r] = float32(int8(d[r/4*128+r%4]-128)) * scale
		}
		return
	}
	for r := range dst {
		dst[r] = float32(Codes[d[r/8*128+r%4]>>(r/4%2*4)&15]) * scale
	}
}

func (m *Matrix) need(method string, have, n int) {
	if have < n {
		panic(fmt.Sprintf("weights.%s: dst has length %d, need %d", method, have, n))
	}
}

// forEach calls f for each panel, on all threads when there is enough work: cost is that of one panel, in numbers.
func forEach(panels, cost int, f func(p int)) {
	const least = 1 << 14 // numbers that are worth a task
	each := max(1, least/max(1, cost))
	parallel.Run((panels+each-1)/each, body(func(task int) {
		for p := task * each; p < min((task+1)*each, panels); p++ {
			f(p)
		}
	}))
}

type body func(task int)

func (f body) Do(task int) { f(task) }
