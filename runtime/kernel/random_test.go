package kernel

import (
	"math"
	"testing"
)

// The known answers of Random123 1.14, tests/kat_vectors, for philox4x32 with 10 rounds.
func TestPhiloxKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := philox(c.counter, c.key); got != c.want {
			t.Errorf("philox(%x, %x) = %x, want %x", c.counter, c.key, got, c.want)
		}
	}
}

func TestRandomMoments(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const n = 1 << 20
		x := make([]float32, n)
		moments := func() (mean, variance float64) {
			for _, v := range x {
				mean += float64(v) / n
			}
			for _, v := range x {
				variance += (float64(v) - mean) * (float64(v) - mean) / n
			}
			return
		}
		Uniform(x, 7, 0, n)
		if m, v := moments(); math.Abs(m-0.5) > 2e-3 || math.Abs(v-1.0/12) > 1e-3 {
			t.Errorf("uniform: mean %v, variance %v", m, v)
		}
		for _, v := range x {
			if v < 0 || v >= 1 {
				t.Fatalf("uniform: %v", v)
			}
		}
		Normal(x, 7, 0, n)
		if m, v := moments(); math.Abs(m) > 5e-3 || math.Abs(v-1) > 5e-3 {
			t.Errorf("normal: mean %v, variance %v", m, v)
		}
		Fill(x, 1, n)
		Dropout(x, x, 0.3, 9, n)
		zeros := 0
		for _, v := range x {
			switch v {
			case 0:
				zeros++
			case 1 / (1 - float32(0.3)):
			default:
				t.Fatalf("dropout: %v", v)
			}
		}
		if f := float64(zeros) / n; math.Abs(f-0.3) > 3e-3 {
			t.Errorf("dropout: share of zeros %v, want 0.3", f)
		}
	})
}

// Any part of a stream can be had on its own.
func TestRandomOffsets(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		whole := make([]float32, 5000)
		for _, f := range []func([]float32, uint64, uint64, int){Uniform, Normal, Gumbel} {
			f(whole, 3, 0, 5000)
			for _, off := range []int{0, 1, 15, 63, 64, 65, 128, 1000} {
				for _, n := range []int{1, 3, 64, 100, 777} {
					part := guard(n, off)
					f(part.x, 3, uint64(off), n)
					diff(t, "part", part.x, whole[off:off+n])
					part.check(t, "part")
				}
			}
		}
	})
}

// Normal numbers have the distribution function, and those of a pair or next to each other are not correlated.
func TestNormalDistribution(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const n = 1 << 18
		x := make([]float32, n)
		Normal(x, 21, 0, n)
		for _, at := range []float64{-3, -1, -0.1, 0, 0.5, 2, 3.5} {
			p, below := 0.5*math.Erfc(-at/math.Sqrt2), 0
			for _, v := range x {
				if float64(v) <= at {
					below++
				}
			}
			if got := float64(below) / n; !(math.Abs(got-p) <= 5*math.Sqrt(p*(1-p)/n)) {
				t.Errorf("a share of %v is below %v, want %v", got, at, p)
			}
		}
		for _, lag := range []int{1, 15, 16, 17, 32, 48, 64} {
			c, squares := 0.0, 0.0
			for i := range n - lag {
				c += float64(x[i]) * float64(x[i+lag])
				// of squares that are independent the mean is 1
				squares += float64(x[i]) * float64(x[i]) * float64(x[i+lag]) * float64(x[i+lag])
			}
			if !(math.Abs(c) <= 5*math.Sqrt(n)) || !(math.Abs(squares/n-1) <= 5*math.Sqrt(8.0/n)) {
				t.Errorf("at distance %d the correlation is %v, that of squares %v", lag, c/n, squares/n-1)
			}
		}
	})
}

// TestDrawAccuracy compares what becomes of a random word with float64: the errors are those that docs/kernels.md
// states.
func TestDrawAccuracy(t *testing.T) {
	worst := map[string]float64{}
	note := func(what string, got float32, want, unit float64) {
		worst[what] = max(worst[what], math.Abs(float64(got)-want)/unit)
	}
	step := uint32(61)
	if *exhaustive {
		step = 1
	}
	for k := uint32(0); k < 1<<23; k += step {
		u := openUnit(k << 9)
		g := -log32(-log32(u))
		want := -math.Log(-math.Log(float64(u)))
		note("gumbel", g, want, max(math.Abs(want), 0.5))
	}
	for k := uint32(0); k < 1<<24; k += step {
		u := unit(k << 8)
		r := sqrt32(-2 * log32(1-u))
		want := math.Sqrt(-2 * math.Log(1-float64(u)))
		note("radius", r, want, max(want, 1e-30))
		s, c := sincosTurns(u)
		ws, wc := math.Sincos(2 * math.Pi * float64(u))
		note("sine", s, ws, 1)
		note("cosine", c, wc, 1)
	}
	t.Log(worst)
	for what, bound := range map[string]float64{"gumbel": 2e-7, "radius": 1e-7, "sine": 1e-7, "cosine": 1e-7} {
		if !(worst[what] <= bound) {
			t.Errorf("%s: an error of %v, above %v", what, worst[what], bound)
		}
	}
}
