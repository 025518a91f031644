package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// kinds of numbers whose products and sums are hard to round: what a test of rounding draws from.
var hardNumbers = []struct {
	name string
	draw func(r *rand.Rand) float32
}{
	{"normal", func(r *rand.Rand) float32 { return float32(r.NormFloat64()) }},
	// Sums of products of numbers with few bits are often half-way between two float32.
	{"few bits", func(r *rand.Rand) float32 {
		return float32(math.Ldexp(float64(r.IntN(256)-128), r.IntN(16)-8))
	}},
	{"half-way", func(r *rand.Rand) float32 {
		return []float32{1, -1, 1 + 0x1p-12, 0x1p-12, 0x1p12, 0x1p-20, 1 - 0x1p-12, 0x1p-30}[r.IntN(8)]
	}},
	{"tiny", func(r *rand.Rand) float32 {
		return float32(math.Ldexp(r.NormFloat64(), -60-r.IntN(20)))
	}},
	{"tiny and not", func(r *rand.Rand) float32 {
		return float32(math.Ldexp(r.NormFloat64(), -r.IntN(149)))
	}},
	{"huge", func(r *rand.Rand) float32 {
		return float32(math.Ldexp(r.NormFloat64(), 60+r.IntN(5)))
	}},
	{"zeros", func(r *rand.Rand) float32 {
		if r.IntN(2) == 0 {
			return float32(math.Copysign(0, r.NormFloat64()))
		}
		return float32(math.Ldexp(r.NormFloat64(), -70))
	}},
	{"any bits", func(r *rand.Rand) float32 { return math.Float32frombits(r.Uint32()) }},
	{"infinite", func(r *rand.Rand) float32 {
		if r.IntN(50) == 0 {
			return float32(math.Inf(r.IntN(2)*2 - 1))
		}
		return float32(r.NormFloat64())
	}},
}

// exactFMA is x·y + z rounded once, by arithmetic without rounding.
func exactFMA(x, y, z float32) float32 {
	finite := func(v float32) bool { return v-v == 0 }
	if !finite(x) || !finite(y) || !finite(z) || x == 0 || y == 0 {
		return float32(float64(x)*float64(y) + float64(z)) // exact, infinite or no number
	}
	b := func(v float32) *big.Float { return new(big.Float).SetPrec(600).SetFloat64(float64(v)) }
	s := b(x)
	s.Mul(s, b(y)).Add(s, b(z))
	f, _ := s.Float32()
	return f
}

// TestFMA compares fma with exact arithmetic on every pair of kinds of numbers.
func TestFMA(t *testing.T) {
	r := rng(31)
	for _, a := range hardNumbers {
		for _, b := range hardNumbers {
			for range 4000 {
				x, y, z := a.draw(r), b.draw(r), a.draw(r)
				if r.IntN(2) == 0 {
					// Near x·y, at distances from cancellation to where the sum is half-way.
					z = float32(math.Ldexp(float64(x)*float64(y), r.IntN(60)-30))
				}
				if got, want := fma(x, y, z), exactFMA(x, y, z); !same(got, want) {
					t.Fatalf("fma(%g, %g, %g) is %g, want %g", x, y, z, got, want)
				}
			}
		}
	}
}

// TestGenericProduct compares products in tiles with fma element by element, on numbers that are hard to round, for
// sizes that leave parts of tiles, panels and blocks.
func TestGenericProduct(t *testing.T) {
	setLevel(t, generic)
	r := rng(32)
	for _, size := range [][3]int{
		{4, 2, 1}, {5, 7, 300}, {1, 9, 70}, {3, 50, 33}, {130, 9, 20}, {7, 131, 40}, {9, 70, 600},
	} {
		m, n, k := size[0], size[1], size[2]
		for _, left := range hardNumbers {
			for _, right := range hardNumbers {
				a, b, start := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
				for _, x := range []struct {
					of   []float32
					draw func(*rand.Rand) float32
				}{{a, left.draw}, {b, right.draw}, {start, left.draw}} {
					for i := range x.of {
						x.of[i] = x.draw(r)
					}
				}
				want := make([]float32, m*n)
				for i := range want {
					s := start[i]
					for l := range k {
						s = fma(a[i/n*k+l], b[l*n+i%n], s)
					}
					want[i] = s
				}
				for _, p := range products {
					got := append([]float32(nil), start...)
					p.run(got, a, b, m, n, k, Accumulate())
					diff(t, p.name+" of "+left.name+" and "+right.name, got, want)
				}
			}
		}
	}
}
