package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Type is how numbers are written.
type Type uint32

// The types that are read. The first three and BF16 are written as well.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q8_0 Type = 8
	Q4_K Type = 12
	Q6_K Type = 14
	BF16 Type = 30
)

// kind is what is known of a type: block numbers take bytes bytes, which decode turns into numbers.
type kind struct {
	name         string
	block, bytes int
	decode       func(dst []float32, b []byte) // one block
}

// kinds are the types, their blocks as ggml has them.
var kinds = map[Type]kind{
	F32: {"F32", 1, 4, func(dst []float32, b []byte) {
		dst[0] = math.Float32frombits(binary.LittleEndian.Uint32(b))
	}},
	F16: {"F16", 1, 2, func(dst []float32, b []byte) { dst[0] = half(b) }},
	BF16: {"BF16", 1, 2, func(dst []float32, b []byte) {
		dst[0] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
	}},
	Q4_0: {"Q4_0", 32, 18, q40},
	Q8_0: {"Q8_0", 32, 34, q80},
	Q4_K: {"Q4_K", 256, 144, q4k},
	Q6_K: {"Q6_K", 256, 210, q6k},
}

// String is the type's name.
func (t Type) String() string {
	if k, ok := kinds[t]; ok {
		return k.name
	}
	return fmt.Sprintf("number %d", uint32(t))
}

// Known tells whether the type is one that is read.
func (t Type) Known() bool { return kinds[t].block > 0 }

func (t Type) block() int { return max(1, kinds[t].block) }

// size is the bytes of n numbers, a multiple of the block.
func (t Type) size(n int) int { return n / t.block() * kinds[t].bytes }

func knownTypes() string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// ParseType reads f32, f16 or bf16: the types that are written.
func ParseType(s string) (Type, error) {
	for _, t := range []Type{F32, F16, BF16} {
		if strings.EqualFold(s, t.String()) {
			return t, nil
		}
	}
	return F32, fmt.Errorf("type %q: give f32, f16 or bf16", s)
}

// decode turns the bytes of whole blocks into numbers.
func (t Type) decode(dst []float32, b []byte) {
	k := kinds[t]
	for i := 0; i < len(dst); i += k.block {
		k.decode(dst[i:i+k.block], b[i/k.block*k.bytes:][:k.bytes])
	}
}

// write writes numbers.
func (t Type) write(w io.Writer, x []float32) error {
	if t != F32 && t != F16 && t != BF16 {
		return fmt.Errorf("type %s is not written", t)
	}
	var buffer [1 << 14]byte
	width := kinds[t].bytes
	for len(x) > 0 {
		n := min(len(x), len(buffer)/width)
		for i, v := range x[:n] {
			switch t {
			case F32:
				binary.LittleEndian.PutUint32(buffer[4*i:], math.Float32bits(v))
			case F16:
				binary.LittleEndian.PutUint16(buffer[2*i:], toHalf(v))
			default:
				u := math.Float32bits(v)
				if v != v {
					u |= 1 << 22
				} else {
					u += 0x7fff + u>>16&1
				}
				binary.LittleEndian.PutUint16(buffer[2*i:], uint16(u>>16))
			}
		}
		if _, err := w.Write(buffer[:n*width]); err != nil {
			return err
		}
		x = x[n:]
	}
	return nil
}

// half is an IEEE 754 binary16 number.
func half(b []byte) float32 {
	h := binary.LittleEndian.Uint16(b)
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(frac)/(1<<24)))
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// toHalf rounds to the nearest binary16 number, of two as near the even one.
func toHalf(x float32) uint16 {
	u := math.Float32bits(x)
	sign := uint16(u >> 16 & 0x8000)
	switch abs := u & 0x7fffffff; {
	case abs > 0x7f800000:
		return sign | 0x7e00 // not a number
	case abs >= 0x477ff000:
		return sign | 0x7c00 // too large
	case abs < 0x38800000: // subnormal: multiples of 2⁻²⁴
		n := math.RoundToEven(float64(math.Float32frombits(abs)) * (1 << 24))
		return sign | uint16(n)
	default:
		abs += 0xfff + abs>>13&1
		return sign | uint16((abs-112<<23)>>13)
	}
}

// q40 is a scale and 32 numbers of 4 bits, d·(q − 8): number i in the low half of byte i, number i + 16 in the high
// half.
func q40(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:18] {
		dst[i], dst[i+16] = d*float32(int(q&15)-8), d*float32(int(q>>4)-8)
	}
}

// q80 is a scale and 32 numbers of 8 bits.
func q80(dst []float32, b []byte) {
	d := half(b)
	for i, q := range b[2:34] {
		dst[i] = d * float32(int8(q))
	}
}

// q4k is 8 times 32 numbers of 4 bits, d·s·q − m·t, whose scales s and minima t of 6 bits are packed in 12 bytes.
func q4k(dst []float32, b []byte) {
	d, m, scales, q := half(b), half(b[2:]), b[4:16], b[16:]
	for j := range 8 {
		var s, t byte
		if j < 4 {
			s, t = scales[j]&63, scales[j+4]&63
		} else {
			s = scales[j+4]&15 | scales[j-4]>>6<<4
			t = scales[j+4]>>4 | scales[j]>>6<<4
		}
		scale, least := d*float32(s), m*float32(t)
		for i := range 32 {
			x := q[j/2*32+i]
			if j%2 == 1 {
				x >>= 4
			}
			dst[32*j+i] = scale*float32(x&15) - least
		}
	}
}

// q6k is 16 times 16 numbers of 6 bits, d·s·(q − 32): the low 4 bits in 128 bytes, the high 2 in 64, scales of 8 bits
// in 16.
func q6k(dst []float32, b []byte) {
	low, high, scales, d := b[:128], b[128:192], b[192:208], half(b[208:])
	for n := range 2 {
		for i := range 32 {
			l, k, h, s := low[64*n+i], low[64*n+32+i], high[32*n+i], scales[8*n+i/16:]
			for part, q := range []byte{l&15 | h&3<<4, k&15 | h>>2&3<<4, l>>4 | h>>4&3<<4, k>>4 | h>>6<<4} {
				dst[128*n+32*part+i] = d * float32(int8(s[2*part])) * float32(int(q)-32)
			}
		}
	}
}
