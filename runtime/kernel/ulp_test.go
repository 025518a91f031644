package kernel

import (
	"flag"
	"math"
	"testing"
)

var exhaustive = flag.Bool("exhaustive", false, "TestUlp visits all 2³² values, TestDrawAccuracy all random words")

// ulpStride is between the bit patterns that TestUlp visits: 255 leaves 2²⁴ of them, on every binade; generic Go, which
// gives the same bits, visits a quarter.
func ulpStride() uint64 {
	switch {
	case *exhaustive:
		return 1
	case Level() == levelNames[generic]:
		return 1021
	}
	return 255
}

// ulpOf is the distance between float32 numbers near x.
func ulpOf(x float64) float64 {
	x = math.Abs(x)
	if x < 0x1p-126 {
		return 0x1p-149
	}
	return math.Ldexp(1, math.Ilogb(x)-23)
}

func sigmoid64(x float64) float64 {
	if x < 0 {
		return math.Exp(x) / (1 + math.Exp(x))
	}
	return 1 / (1 + math.Exp(-x))
}

func geluU64(x float64) float64 { return 0.7978845608028654 * (x + 0.044715*x*x*x) }

var ulpCases = []struct {
	name  string
	f     func(dst, x []float32, n int)
	ref   func(x float64) float64
	ulp   float64                 // the largest error in ulp of the result, or
	scale func(x float64) float64 // of this
}{
	{"exp", Exp, math.Exp, 1.01, nil},
	{"log", Log, math.Log, 1, nil},
	{"tanh", Tanh, math.Tanh, 1.5, nil},
	{"sigmoid", Sigmoid, sigmoid64, 2, nil},
	{"gate", Gate, sigmoid64, 2.6, nil},
	{"erf", Erf, math.Erf, 1.1, nil},
	{"softplus", Softplus, func(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }, 3,
		nil},
	{"silu", SiLU, func(x float64) float64 { return x * sigmoid64(x) }, 3.5, nil},
	{"gelu", GELU, func(x float64) float64 { return x * sigmoid64(2*geluU64(x)) }, 3.5, func(x float64) float64 {
		// In the left tail the rounding of 2u, whose exponential is taken, counts |2u|-fold.
		y := math.Abs(x * sigmoid64(2*geluU64(x)))
		return y * math.Max(1, 2*math.Abs(geluU64(x))*sigmoid64(-2*geluU64(x)))
	}},
	{"gelu erf", GELUErf, func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }, 3,
		func(x float64) float64 { return x }},
	{"sqrt", Sqrt, math.Sqrt, 0.5, nil},
}

// The error of the elementwise functions, over evenly spread bit patterns or all of them, and their values for NaN and
// infinities.
func TestUlp(t *testing.T) {
	stride := ulpStride()
	const block = 1 << 16
	x, y := make([]float32, block), make([]float32, block)
	for _, c := range ulpCases {
		worst, at := 0.0, float32(0)
		for next := uint64(0); next < 1<<32; {
			n := 0
			for ; n < block && next < 1<<32; n++ {
				x[n] = math.Float32frombits(uint32(next))
				next += stride
			}
			c.f(y, x, n)
			for i, v := range x[:n] {
				ref := c.ref(float64(v))
				got := float64(y[i])
				switch {
				case math.IsNaN(ref):
					if !math.IsNaN(got) {
						t.Fatalf("%s(%v) = %v, want NaN", c.name, v, got)
					}
					continue
				case math.Abs(ref) > math.MaxFloat32 || math.IsInf(got, 0):
					if math.Abs(ref) < math.MaxFloat32*(1-0x1p-23) ||
						float32(ref) != y[i] && math.Abs(got) < math.MaxFloat32 {
						t.Fatalf("%s(%v) = %v, want %v", c.name, v, got, ref)
					}
					continue
				}
				// What comes from an exponential ends where the normal numbers do, and x times it at 88 times that.
				least := 0x1p-126
				if c.name == "silu" || c.name == "gelu" {
					least = 0x1p-119
				}
				if math.Abs(ref) < least && c.name != "sqrt" {
					if math.Abs(got) > least {
						t.Fatalf("%s(%v) = %v, want %v", c.name, v, got, ref)
					}
					continue
				}
				scale := ref
				if c.scale != nil {
					scale = c.scale(float64(v))
				}
				if e := math.Abs(got-ref) / ulpOf(scale); !(e <= worst) {
					worst, at = e, v
				}
			}
		}
		t.Logf("%-9s %.3f ulp at %v (%#x)", c.name, worst, at, math.Float32bits(at))
		if !(worst <= c.ulp) {
			t.Errorf("%s: %.3f ulp at %v, want at most %v", c.name, worst, at, c.ulp)
		}
	}
}
