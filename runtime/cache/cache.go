package cache

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unsafe"
)

// Cache holds keys, or values, of the tokens that batch sequences have: a row of size features for each of capacity
// slots of each head. Row s of head h of sequence b is row (b·heads + h)·capacity + s of its memory:
//
//	F32   size float32
//	BF16  size bf16
//	Q8    size numbers from -127 to 127, filled up with zeros to whole blocks of 32; and a float32 for each block, by
//	      which its numbers are multiplied, beside the others' in memory of their own
//
// It serves one goroutine at a time.
type Cache struct {
	kind                         Kind
	batch, heads, capacity, size int

	floats []float32 // F32, or the scales of Q8
	halves []uint16  // BF16
	bytes  []int8    // Q8
}

// Of is a cache of F32 in memory that there is, of batch·heads·capacity·size numbers.
func Of(floats []float32, batch, heads, capacity, size int) *Cache {
	if n := batch * heads * capacity * size; n < 1 || len(floats) != n {
		panic(fmt.Sprintf("cache.Of: %d numbers for %d sequences of %d heads, %d slots and %d features", len(floats),
			batch, heads, capacity, size))
	}
	return &Cache{kind: F32, batch: batch, heads: heads, capacity: capacity, size: size, floats: floats}
}

// New makes a cache of zeros. All sizes are 1 or more.
func New(kind Kind, batch, heads, capacity, size int) *Cache {
	if err := kind.Check(); err != nil {
		panic("cache.New: " + err.Error())
	}
	if batch < 1 || heads < 1 || capacity < 1 || size < 1 {
		panic(fmt.Sprintf("cache.New: %d sequences of %d heads, %d slots and %d features: there must be one or more "+
			"of each", batch, heads, capacity, size))
	}
	c := &Cache{kind: kind, batch: batch, heads: heads, capacity: capacity, size: size}
	rows := batch * heads * capacity
	switch kind {
	case F32:
		c.floats = aligned[float32](rows * size)
	case BF16:
		c.halves = aligned[uint16](rows * size)
	case Q8:
		c.bytes, c.floats = aligned[int8](rows*c.Width()), aligned[float32](rows*c.Width()/Block)
	}
	return c
}

// aligned is n zeros that begin at a cache line of the processor.
func aligned[T any](n int) []T {
	const line = 64
	size := int(unsafe.Sizeof(*new(T)))
	x := make([]T, n+line/size)
	skip := int((line-uintptr(unsafe.Pointer(unsafe.SliceData(x)))%line)%line) / size
	return x[skip : skip+n : skip+n]
}

// Kind is how the numbers are stored.
func (c *Cache) Kind() Kind { return c.kind }

// Dims are the numbers of sequences, of heads, of slots and of features.
func (c *Cache) Dims() (batch, heads, capacity, size int) {
	return c.batch, c.heads, c.capacity, c.size
}

// Width is the number of elements of a row in memory: the features, or those of whole blocks.
func (c *Cache) Width() int {
	if c.kind == Q8 {
		return width(c.size)
	}
	return c.size
}

func width(size int) int { return (size + Block - 1) / Block * Block }

// Floats is the memory of a cache of F32, from row on. It is to be written by what reads tokens alone.
func (c *Cache) Floats(row int) []float32 { return c.floats[row*c.size:] }

// Halves is the memory of a cache of BF16, from row on.
func (c *Cache) Halves(row int) []uint16 { return c.halves[row*c.size:] }

// Blocks is the memory of a cache of Q8, from row on: the numbers, and the scales of their blocks.
func (c *Cache) Blocks(row int) (numbers []int8, scales []float32) {
	w := c.Width()
	return c.bytes[row*w:], c.floats[row*w/Block:]
}

// Adopt makes sequence i what sequence j of another cache is, which is of the same kind, heads, slots and features.
func (c *Cache) Adopt(i int, from *Cache, j int) {
	if c.kind != from.kind || c.heads != from.heads || c.capacity != from.capacity || c.size != from.size {
		panic("cache.Adopt: the caches are of other kinds or sizes")
	}
	adopt(c.floats, c.batch, i, from.floats, from.batch, j)
	adopt(c.halves, c.batch, i, from.halves, from.batch, j)
	adopt(c.bytes, c.batch, i, from.bytes, from.batch, j)
}

func adopt[T any](to []T, batch, i int, from []T, ofBatch, j int) {
	n, m := len(to)/batch, len(from)/ofBatch
	copy(to[i*n:(i+1)*n], from[j*m:(j+1)*m])
}

// Reorder makes each sequence i what sequence from[i] was.
func (c *Cache) Reorder(from []int) {
	reorder(c.floats, from)
	reorder(c.halves, from)
	reorder(c.bytes, from)
}

func reorder[T any](x []T, from []int) {
	n := len(x) / max(1, len(from))
	var old []T
	for i, f := range from {
		if f == i || n == 0 {
			continue
		}
		if old == nil {
			old = slices.Clone(x)
		}
		copy(x[i*n:(i+1)*n], old[f*n:(f+1)*n])
	}
}

// Bytes is the memory of a cache, without making it; math.MaxInt32·2²⁴ where that is more than can be.
func Bytes(kind Kind, batch, heads, capacity, size int) int64 {
	const most = math.MaxInt32 << 24
	row := uint64(4 * size)
	switch kind {
	case BF16:
		row = uint64(2 * size)
	case Q8:
		row = uint64(width(size) / Block * (Block + 4))
	}
	for _, n := range []int{batch, heads, capacity} {
		hi, lo := bits.Mul64(row, uint64(max(0, n)))
		if hi > 0 || lo > most {
			return most
		}
		row = lo
	}
	return int64(row)
}

// Same is the error of a decoder that is to go on from where one with caches of another kind is.
func Same(a, b Kind) error {
	if a != b {
		return fmt.Errorf("the caches of the other decoder are %v, and those of this one %v: make both after SetCache",
			b, a)
	}
	return nil
}
