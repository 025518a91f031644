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
		whole, part := make([]float32, 5000), make([]float32, 5000)
		for _, f := range []func([]float32, uint64, uint64, int){Uniform, Normal, Gumbel} {
			f(whole, 3, 0, 5000)
			for _, off := range []int{0, 1, 15, 63, 64, 65, 128, 1000} {
				for _, n := range []int{1, 3, 64, 100, 777} {
					f(part, 3, uint64(off), n)
					diff(t, "part", part[:n], whole[off:off+n])
				}
			}
		}
	})
}
