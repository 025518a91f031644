package kernel

import "math"

// Random numbers are Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// 2011): a function from a 64-bit key and a 128-bit counter to four 32-bit words, without state. Element i of a stream
// takes word (i/16) mod 4 of counter 16·(i/64) + i mod 16, so that a vector of any width up to 16 computes whole
// groups of 64 elements without a shuffle, and every element can be had on its own.

const (
	philoxM0 = 0xD2511F53
	philoxM1 = 0xCD9E8D57
	philoxW0 = 0x9E3779B9
	philoxW1 = 0xBB67AE85
)

// philox is Philox4x32-10.
func philox(counter [4]uint32, key [2]uint32) [4]uint32 {
	c, k := counter, key
	for r := range 10 {
		if r > 0 {
			k[0] += philoxW0
			k[1] += philoxW1
		}
		p0, p1 := uint64(philoxM0)*uint64(c[0]), uint64(philoxM1)*uint64(c[2])
		c = [4]uint32{uint32(p1>>32) ^ c[1] ^ k[0], uint32(p1), uint32(p0>>32) ^ c[3] ^ k[1], uint32(p0)}
	}
	return c
}

// philoxBlock fills w with the words of elements 64·group to 64·group+63 of a stream.
func philoxBlock(w *[64]uint32, key, group uint64) {
	k := [2]uint32{uint32(key), uint32(key >> 32)}
	for l := range 16 {
		n := group*16 + uint64(l)
		r := philox([4]uint32{uint32(n), uint32(n >> 32)}, k)
		w[l], w[16+l], w[32+l], w[48+l] = r[0], r[1], r[2], r[3]
	}
}

// unit is a float32 in [0, 1) from the top 24 bits of w, exactly.
func unit(w uint32) float32 { return float32(w>>8) * (1.0 / (1 << 24)) }

// drawGeneric sets d to elements first, first+1, ... of the stream of key that o is.
func drawGeneric(o op, d []float32, key, first uint64) {
	var w [64]uint32
	for i := 0; i < len(d); {
		e := first + uint64(i)
		philoxBlock(&w, key, e/64)
		for l := int(e % 64); l < 64 && i < len(d); l++ {
			switch o {
			case opUniform:
				d[i] = unit(w[l])
			case opGumbel:
				d[i] = -log32(-log32(openUnit(w[l])))
			case opNormal:
				j := l &^ 16
				r := sqrt32(-2 * log32(1-unit(w[j])))
				s, c := sincosTurns(unit(w[j+16]))
				if l != j {
					c = s
				}
				d[i] = r * c
			}
			i++
		}
	}
}

func dropoutGeneric(d, x []float32, scale float32, limit uint32, key, first uint64) {
	var w [64]uint32
	for i := 0; i < len(d); {
		e := first + uint64(i)
		philoxBlock(&w, key, e/64)
		for l := int(e % 64); l < 64 && i < len(d); l++ {
			if w[l]>>8 >= limit {
				d[i] = x[i] * scale
			} else {
				d[i] = 0
			}
			i++
		}
	}
}

// drawRange sets d to elements first, first+1, ... of the stream of key that o is.
func drawRange(o op, d []float32, key, first uint64) {
	d, first = drawHead(o, d, key, first)
	if len(d) == 0 {
		return
	}
	var v vec
	v.p[0], v.key, v.offset = ptr(d), key, first
	vecRange(o, &v, 0, len(d))
}

// drawHead does the elements of d up to the next multiple of 64, where assembly begins: the group that they belong to
// is drawn as a whole. It gives the others.
func drawHead(o op, d []float32, key, first uint64) ([]float32, uint64) {
	skip := int(first % 64)
	if skip == 0 || len(d) == 0 {
		return d, first
	}
	var group [64]float32
	var v vec
	v.p[0], v.key, v.offset = ptr(group[:]), key, first-uint64(skip)
	vecRange(o, &v, 0, min(64, skip+len(d)))
	n := copy(d, group[skip:])
	return d[n:], first + uint64(n)
}

// draw is drawRange on all threads.
func draw(kernel string, o op, dst []float32, key, offset uint64, n int) {
	size(kernel, "n", n)
	need(kernel, "dst", len(dst), n)
	rest, first := drawHead(o, dst[:n], key, offset)
	var v vec
	v.p[0], v.key, v.offset = ptr(rest), key, first
	elementwise(o, &v, len(rest))
}

// Uniform fills the first n elements of dst with elements offset, offset+1, ... of the stream of key: independent
// uniform numbers in [0, 1), multiples of 2**-24.
func Uniform(dst []float32, key, offset uint64, n int) {
	draw("Uniform", opUniform, dst, key, offset, n)
}

// Normal fills the first n elements of dst with elements offset, offset+1, ... of the normal stream of key: mean 0,
// variance 1, by the method of Box and Muller (1958). With the words w of the elements of a group of 64, elements l and
// l+16 (for l mod 32 below 16) are the cosine and the sine branch of u1 = 1 - w[l]·2**-32 and u2 = w[l+16]·2**-32, the
// words cut to their top 24 bits. The largest value that can appear is 5.77.
func Normal(dst []float32, key, offset uint64, n int) { draw("Normal", opNormal, dst, key, offset, n) }

// Gumbel fills the first n elements of dst with elements offset, offset+1, ... of the Gumbel stream of key: g =
// -log(-log u), of the standard Gumbel distribution (Gumbel 1954). With the word w of an element, u = (k + ½)·2**-23,
// k being the top 23 bits of w, so that g lies between -2.82 and 16.64. The largest of numbers x + g, each with a g of
// its own, is each with the probability that softmax(x) gives it.
func Gumbel(dst []float32, key, offset uint64, n int) { draw("Gumbel", opGumbel, dst, key, offset, n) }

// openUnit is a float32 in (0, 1) from the top 23 bits of w, exactly: an odd multiple of 2**-24.
func openUnit(w uint32) float32 { return (float32(w>>9) + 0.5) * (1.0 / (1 << 23)) }

// sincosTurns is sin(2πu) and cos(2πu) for u from 0 to 1: exact reduction to an eighth of a turn, then the polynomials
// of Cephes.
func sincosTurns(u float32) (sin, cos float32) {
	q := float32(math.RoundToEven(float64(4 * u)))
	x := float32(u-0.25*q) * (2 * math.Pi) // |x| ≤ π/4; the difference is exact
	z := x * x
	s := fma(-1.9515295891e-4, z, 8.3321608736e-3)
	s = fma(s, z, -1.6666654611e-1)
	s = fma(float32(s*z), x, x)
	c := fma(2.443315711809948e-5, z, -1.388731625493765e-3)
	c = fma(c, z, 4.166664568298827e-2)
	c = fma(c, z, -0.5)
	c = fma(c, z, 1)
	switch int(q) & 3 {
	case 0:
		return s, c
	case 1:
		return c, -s
	case 2:
		return -s, -c
	}
	return -c, s
}

// Dropout sets each of the first n elements of x to 0 with probability rate and multiplies the others by 1/(1-rate)
// (Srivastava et al. 2014, in the "inverted" form), into dst, which may be x. Whether element i stays is decided by
// element i of the random stream of key alone, so the mask is never stored: called on the gradient with the same key,
// Dropout is its own backward pass. Rate 0 is a copy, rate 1 a clear.
func Dropout(dst, x []float32, rate float32, key uint64, n int) {
	size("Dropout", "n", n)
	need("Dropout", "dst", len(dst), n)
	need("Dropout", "x", len(x), n)
	var v vec
	v.p[0], v.p[1] = ptr(dst), ptr(x)
	switch {
	case !(rate >= 0 && rate <= 1):
		panic("kernel.Dropout: rate is not between 0 and 1")
	case rate == 0:
		elementwise(opCopy, &v, n)
		return
	case rate == 1:
		elementwise(opClear, &v, n)
		return
	}
	v.s[0], v.key, v.limit = 1/(1-rate), key, uint32(math.Round(float64(rate)*(1<<24)))
	elementwise(opDropout, &v, n)
}
