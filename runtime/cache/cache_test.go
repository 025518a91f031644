package cache

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// fill gives each element of a cache another value.
func fill(c *Cache) {
	for i := range c.floats {
		c.floats[i] = float32(i)
	}
	for i := range c.halves {
		c.halves[i] = uint16(i)
	}
	for i := range c.bytes {
		c.bytes[i] = int8(i%255 - 127)
	}
}

// rows are the parts of a cache that belong to a sequence.
func rows(c *Cache, i int) (f []float32, h []uint16, b []int8) {
	part := func(n int) (int, int) { return n / c.batch * i, n / c.batch * (i + 1) }
	from, to := part(len(c.floats))
	f = c.floats[from:to]
	from, to = part(len(c.halves))
	h = c.halves[from:to]
	from, to = part(len(c.bytes))
	return slices.Clone(f), slices.Clone(h), slices.Clone(c.bytes[from:to])
}

func equal(t *testing.T, what string, c *Cache, i int, f []float32, h []uint16, b []int8) {
	t.Helper()
	f2, h2, b2 := rows(c, i)
	if !slices.Equal(f, f2) || !slices.Equal(h, h2) || !slices.Equal(b, b2) {
		t.Errorf("%s: sequence %d of %v has other numbers", what, i, c.kind)
	}
}

// TestMoves: sequences move with all that they have, and nothing else changes.
func TestMoves(t *testing.T) {
	for _, kind := range Kinds() {
		c, o := New(kind, 3, 2, 5, 40), New(kind, 2, 2, 5, 40)
		fill(c)
		f0, h0, b0 := rows(c, 0)
		f2, h2, b2 := rows(c, 2)
		o.Adopt(1, c, 2)
		equal(t, "Adopt", o, 1, f2, h2, b2)
		equal(t, "Adopt", o, 0, make([]float32, len(f0)), make([]uint16, len(h0)), make([]int8, len(b0)))
		c.Reorder([]int{2, 0, 0})
		equal(t, "Reorder", c, 0, f2, h2, b2)
		equal(t, "Reorder", c, 1, f0, h0, b0)
		equal(t, "Reorder", c, 2, f0, h0, b0)
	}
	if Same(Q8, Q8) != nil || Same(Q8, BF16) == nil {
		t.Error("kinds are not told apart")
	}
}

// TestBytes: what is foretold is what is made, and what cannot be made is foretold as well.
func TestBytes(t *testing.T) {
	for _, kind := range Kinds() {
		for _, size := range []int{1, 31, 32, 64, 100} {
			c := New(kind, 3, 2, 7, size)
			made := int64(4*len(c.floats) + 2*len(c.halves) + len(c.bytes))
			if got := Bytes(kind, 3, 2, 7, size); got != made {
				t.Errorf("%v, %d features: %d bytes are foretold, and %d made", kind, size, got, made)
			}
			for _, p := range []unsafe.Pointer{unsafe.Pointer(unsafe.SliceData(c.floats)),
				unsafe.Pointer(unsafe.SliceData(c.halves)), unsafe.Pointer(unsafe.SliceData(c.bytes))} {
				if uintptr(p)%64 != 0 {
					t.Errorf("%v: memory begins within a cache line", kind)
				}
			}
		}
		huge := Bytes(kind, math.MaxInt32, math.MaxInt32, math.MaxInt32, 128)
		if huge <= 0 || Fits(kind, 7, huge) == nil {
			t.Errorf("%v: %d bytes fit", kind, huge)
		}
		if err := Fits(kind, 1, Bytes(kind, 1, 1, 1, 1)); err != nil {
			t.Error(err)
		}
	}
	err := Fits(F32, 2, 1<<52)
	if err == nil || !strings.Contains(err.Error(), "keys and values of 2 sequences as f32 take 4 PiB, and ") {
		t.Errorf("4 PiB fit: %v", err)
	}
}

// TestKinds: names come back as the kinds that they are of.
func TestKinds(t *testing.T) {
	for _, kind := range Kinds() {
		text, err := kind.MarshalText()
		var back Kind
		if err != nil || back.UnmarshalText(text) != nil || back != kind || string(text) != kind.String() {
			t.Errorf("%v: %q, %v, back %v", kind, text, err, back)
		}
	}
	var k Kind
	if k.UnmarshalText([]byte("q4")) == nil || Kind(9).Check() == nil || Kind(9).String() != "Kind(9)" {
		t.Error("a kind that is none is not refused")
	}
	if _, err := Kind(9).MarshalText(); err == nil {
		t.Error("a kind that is none has a name")
	}
}
