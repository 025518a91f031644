//go:build !(arm64 || loong64 || ppc64 || ppc64le || riscv64 || s390x)

package kernel

import "math"

// fma returns x·y + z rounded once.
//
// The product of two float32 is exact in float64, and so the sum in float64 is wrong only when rounding it to 53 bits
// and then to 24 differs from rounding once: when it lies half-way between two float32, or when the result is
// subnormal and has fewer bits.
func fma(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	b := math.Float64bits(s)
	if b&(1<<29-1) == 1<<28 || b>>52&(1<<11-1) <= 1023-126 {
		return fmaSlow(p, c, s)
	}
	return float32(s)
}

// fmaSlow rounds p + c, of which s is the float64 sum, once: it makes s odd when it is inexact (Boldo and Melquiond,
// "Emulation of a FMA and correctly rounded sums", 2008), so that the second rounding sees which side it came from.
func fmaSlow(p, c, s float64) float32 {
	if s == 0 || math.IsNaN(s) || math.IsInf(s, 0) {
		return float32(s)
	}
	bb := s - p
	err := (p - (s - bb)) + (c - bb)
	if err != 0 {
		b := math.Float64bits(s)
		if b&1 == 0 {
			// Step to the odd neighbour on the side of the exact sum.
			if (err > 0) == (s > 0) {
				b++
			} else {
				b--
			}
			s = math.Float64frombits(b)
		}
	}
	return float32(s)
}

// lane is what a tile of a product holds its numbers in: float64, of which every float32 is one.
type lane float64

// tileCols is the width of a tile: eight sums, two of b and four temporaries fit the 15 registers of amd64, and eight
// sums are nearly as many as the latency of one step needs.
const tileCols = 2

// mulTile adds a·b to c, step by step, each step rounded to float32, and reports whether it could. When false, c is as
// it was: a float64 sum fell half-way between two float32, where rounding it again may go the wrong way.
//
// Both conversions of a step take longer than everything else. That no sum is half-way is told for two at a time: what
// both have in common must end in 28 zeros before either can.
//
// Results below the normal numbers are rounded elsewhere: [panelLow.exact] keeps them out.
func mulTile(c *[tileRows][tileCols]lane, a [][tileRows]lane, b [][tileCols]lane) bool {
	c00, c01 := c[0][0], c[0][1]
	c10, c11 := c[1][0], c[1][1]
	c20, c21 := c[2][0], c[2][1]
	c30, c31 := c[3][0], c[3][1]
	b = b[:len(a)]
	for i := range a {
		x, y := &a[i], &b[i]
		y0, y1 := y[0], y[1]

		s0, s1 := x[0]*y0+c00, x[0]*y1+c01
		if mayTie(s0, s1) && (tie(s0) || tie(s1)) {
			return false
		}
		c00, c01 = lane(float32(s0)), lane(float32(s1))

		s0, s1 = x[1]*y0+c10, x[1]*y1+c11
		if mayTie(s0, s1) && (tie(s0) || tie(s1)) {
			return false
		}
		c10, c11 = lane(float32(s0)), lane(float32(s1))

		s0, s1 = x[2]*y0+c20, x[2]*y1+c21
		if mayTie(s0, s1) && (tie(s0) || tie(s1)) {
			return false
		}
		c20, c21 = lane(float32(s0)), lane(float32(s1))

		s0, s1 = x[3]*y0+c30, x[3]*y1+c31
		if mayTie(s0, s1) && (tie(s0) || tie(s1)) {
			return false
		}
		c30, c31 = lane(float32(s0)), lane(float32(s1))
	}
	c[0] = [...]lane{c00, c01}
	c[1] = [...]lane{c10, c11}
	c[2] = [...]lane{c20, c21}
	c[3] = [...]lane{c30, c31}
	return true
}

// tie reports whether s is half-way between two float32, if these are normal numbers.
func tie(s lane) bool { return math.Float64bits(float64(s))&(1<<29-1) == 1<<28 }

func mayTie(s, t lane) bool {
	return math.Float64bits(float64(s))&math.Float64bits(float64(t))&(1<<28-1) == 0
}

// panelLow is the smallest magnitude but zero in a panel, as the bits of a float32, less 1.
type panelLow uint32

func (l *panelLow) add(v float32) { *l = min(*l, panelLow(math.Float32bits(v)&^(1<<31)-1)) }

// exact reports whether a sum of products of numbers from the panels of l and m is exact when it is below the normal
// numbers: then every product, as every float32, is a multiple of 2**-149, and so are the sums.
//
// A number with the biased exponent e is a multiple of 2**(e-150), a subnormal one of 2**-149.
func (l panelLow) exact(m panelLow) bool {
	return max(uint32(l+1)>>23, 1)+max(uint32(m+1)>>23, 1) >= 151
}

const noLow = ^panelLow(0)
