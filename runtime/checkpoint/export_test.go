package checkpoint

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// nearest is the bfloat16 number nearest to x by comparison with its neighbours in float64, of two as near the even
// one.
func nearest(x float32) float32 {
	low := math.Float32frombits(math.Float32bits(x) &^ 0xffff)
	high := math.Float32frombits(math.Float32bits(x)&^0xffff + 1<<16)
	a, b := math.Abs(float64(x)-float64(low)), math.Abs(float64(high)-float64(x))
	if math.IsInf(float64(high), 0) {
		// infinity begins where the next number would be
		b = math.Abs(math.Copysign(math.Ldexp(1, 128), float64(x)) - float64(x))
	}
	if a < b || a == b && math.Float32bits(low)>>16&1 == 0 {
		return low
	}
	return high
}

// What is written as BF16 is rounded to nearest even, and read back as float32; F32 keeps every bit.
func TestTypes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 1 + 1.0/256, 1 + 3.0/256, math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.Float32frombits(0x7f800001),
		math.Float32frombits(0xffffffff)}
	for range 100_000 {
		x = append(x, math.Float32frombits(r.Uint32()))
	}
	for _, as := range []Type{F32, BF16} {
		f := File{Type: as, Tensors: []Tensor{{"x", []int{len(x)}, x}, {"y", []int{1}, x[2:3]}}}
		var b bytes.Buffer
		if err := f.Write(&b); err != nil {
			t.Fatal(err)
		}
		if least := len(x) * widths[as.String()]; b.Len() < least || b.Len() > least+1000 {
			t.Errorf("%s takes %d bytes", as, b.Len())
		}
		back, err := Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range back.Tensors[0].Value {
			want := x[i]
			if as == BF16 && !math.IsNaN(float64(want)) && !math.IsInf(float64(want), 0) {
				want = nearest(want)
			}
			if math.Float32bits(got) != math.Float32bits(want) &&
				!(math.IsNaN(float64(got)) && math.IsNaN(float64(want))) {
				t.Fatalf("%s: %x is read as %x, want %x", as, math.Float32bits(x[i]), math.Float32bits(got),
					math.Float32bits(want))
			}
		}
	}
	if got, err := ParseType("bf16"); got != BF16 || err != nil {
		t.Errorf("bf16 is %v, %v", got, err)
	}
	if _, err := ParseType("f16"); err == nil {
		t.Error("f16 is a type")
	}
}
