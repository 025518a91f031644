package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// small is a file with a value of every type that is written, and a tensor of every such type.
func small(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	x := []float32{1, -2.5, 3, 0.5, 65504, 6e-8}
	make := func() ([]float32, error) { return x, nil }
	err := Write(&b, []KV{{"general.architecture", "llama"}, {"a", uint32(7)}, {"b", int32(-7)}, {"c", float32(0.5)},
		{"d", true}, {"e", []string{"x", ""}}, {"f", []int32{1, -1}}, {"g", []float32{0.25}}},
		[]Tensor{{Name: "one", Shape: []int{2, 3}, Type: F32, Make: make},
			{Name: "two", Shape: []int{6}, Type: F16, Make: make}, {Name: "three", Shape: []int{3, 2}, Type: BF16,
				Make: make}})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRoundTrip holds that what is written is read again.
func TestRoundTrip(t *testing.T) {
	data := small(t)
	f, err := New(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"general.architecture": "llama", "a": "7", "b": "-7", "c": "0.5",
		"d": "true",
		"e": "[x ]", "f": "[1 -1]", "g": "[0.25]"} {
		if got := fmt.Sprint(f.Keys[key]); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	for i, want := range [][]float32{{1, -2.5, 3, 0.5, 65504, 6e-8}, {1, -2.5, 3, 0.5, 65504, 5.9604645e-08},
		{1, -2.5, 3, 0.5, 65536, 6.00703e-08}} {
		got := make([]float32, 6)
		if err := f.Read(&f.Tensors[i], 0, got); err != nil {
			t.Fatal(err)
		}
		for j := range got {
			if math.Abs(float64(got[j]-want[j])) > 1e-6*math.Abs(float64(want[j])) {
				t.Errorf("tensor %d: %v, want %v", i, got, want)
			}
		}
	}
	if fmt.Sprint(f.Tensors[0].Shape, f.Tensors[2].Shape) != "[2 3] [3 2]" {
		t.Errorf("shapes %v, %v", f.Tensors[0].Shape, f.Tensors[2].Shape)
	}
	part := make([]float32, 2)
	if err := f.Read(&f.Tensors[0], 3, part); err != nil || !slices.Equal(part, []float32{0.5, 65504}) {
		t.Errorf("%v, %v", part, err)
	}
	if err := f.Read(&f.Tensors[0], 5, part); err == nil {
		t.Error("numbers that are not there are no error")
	}
}

// TestHalf holds that every number of 16 bits comes back, and that what lies between two is rounded to the nearer.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		b := binary.LittleEndian.AppendUint16(nil, uint16(h))
		x := half(b)
		if got := toHalf(x); got != uint16(h) && x == x {
			t.Fatalf("%#x is %v, which becomes %#x", h, x, got)
		}
		if next := half(binary.LittleEndian.AppendUint16(nil, uint16(h+1))); h&0x7fff < 0x7bff {
			middle := float32((float64(x) + float64(next)) / 2)
			if got := toHalf(middle); got != uint16(h+h&1) {
				t.Fatalf("%v, in the middle of %#x and the next, becomes %#x", middle, h, got)
			}
		}
	}
	if toHalf(1e9) != 0x7c00 || toHalf(float32(math.NaN())) != 0x7e00 {
		t.Error("what is too large is not infinite, or what is not a number is one")
	}
}

// TestBlocks holds blocks to their definition, number by number.
func TestBlocks(t *testing.T) {
	bits := make([]byte, 256)
	for i := range bits {
		bits[i] = byte(i*89 + 41)
	}
	scale := func(b []byte, at int, x float32) { binary.LittleEndian.PutUint16(b[at:], toHalf(x)) }
	for typ, k := range kinds {
		if k.block == 1 {
			continue
		}
		b := slices.Clone(bits[:k.bytes])
		var want func(i int) float64
		switch typ {
		case Q4_0:
			scale(b, 0, 0.5)
			want = func(i int) float64 { return 0.5 * (float64(b[2+i%16]>>(i/16*4)&15) - 8) }
		case Q8_0:
			scale(b, 0, 0.25)
			want = func(i int) float64 { return 0.25 * float64(int8(b[2+i])) }
		case Q4_K:
			scale(b, 0, 0.5)
			scale(b, 2, 0.125)
			want = func(i int) float64 {
				group := i / 32
				six := func(j int) int { // value j of 8 scales and 8 minima
					if j%8 < 4 {
						return int(b[4+j%8+j/8*4] & 63)
					}
					low, high := int(b[4+j%8+4]), int(b[4+j%8-4+j/8*4]>>6)
					return low>>(j/8*4)&15 | high<<4
				}
				q := int(b[16+group/2*32+i%32]) >> (group % 2 * 4) & 15
				return 0.5*float64(six(group)*q) - 0.125*float64(six(8+group))
			}
		case Q6_K:
			scale(b, 208, 0.5)
			want = func(i int) float64 {
				half, part, at := i/128, i%128/32, i%32
				low := int(b[64*half+part%2*32+at]) >> (part / 2 * 4) & 15
				high := int(b[128+32*half+at]) >> (2 * part) & 3
				return 0.5 * float64(int8(b[192+8*half+2*part+at/16])) * float64((low|high<<4)-32)
			}
		}
		got := make([]float32, k.block)
		typ.decode(got, b)
		for i, x := range got {
			if math.Abs(float64(x)-want(i)) > 1e-4 {
				t.Errorf("%s: number %d is %v, want %v", typ, i, x, want(i))
			}
		}
	}
}

// TestHostile holds that what a header says is held against the file before memory is taken for it.
func TestHostile(t *testing.T) {
	data := small(t)
	at := func(offset int, n uint64) []byte {
		b := slices.Clone(data)
		binary.LittleEndian.PutUint64(b[offset:], n)
		return b
	}
	// then the number of dimensions, two of them, the type and the offset
	tensor := bytes.Index(data, []byte("one")) + 3
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":            {nil, "not a GGUF file"},
		"text":             {[]byte("Call me Ishmael."), "not a GGUF file"},
		"version":          {append([]byte("GGUF\x01\x00\x00\x00"), data[8:]...), "version 1"},
		"many tensors":     {at(8, 1<<40), "tensors and"},
		"more tensors":     {at(8, 1<<10), ""},
		"many keys":        {at(16, 1<<40), "keys"},
		"long key":         {at(24, 1<<60), "ends in the middle"},
		"long value":       {at(24+8+len("general.architecture")+4, 1<<62), "ends in the middle"},
		"large dimension":  {at(tensor+4, 1<<62), "too small"},
		"zero dimension":   {at(tensor+4, 0), "too small"},
		"dimensions":       {at(tensor, 9), "dimensions"},
		"offset":           {at(tensor+4+16+4, 1<<60), "too small"},
		"crooked offset":   {at(tensor+4+16+4, 4), "no multiple of 32"},
		"beyond the end":   {data[:len(data)-24], "takes 12 bytes from byte 64 of the data on"},
		"middle of header": {data[:100], "ends in the middle"},
	} {
		f, err := New(bytes.NewReader(c.data), int64(len(c.data)))
		if err == nil || f != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// FuzzRead holds that no file makes the reader panic, or read what is not there.
func FuzzRead(f *testing.F) {
	data := small(f)
	f.Add(data)
	f.Add(data[:120])
	for i := 0; i < len(data)-8; i += 13 {
		b := slices.Clone(data)
		b[i] ^= 0xff
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := New(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for i := range r.Tensors {
			x := &r.Tensors[i]
			if x.Type.Known() {
				if err := r.Read(x, 0, make([]float32, x.numbers())); err != nil {
					t.Errorf("%s: %v", x.Name, err)
				}
			}
		}
	})
}
