package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

var sizes = []int{0, 1, 2, 5, 31, 32, 33, 64, 65, 97}

func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func transpose(b []float32, k, n int) []float32 {
	t := make([]float32, k*n)
	for i := range k {
		for j := range n {
			t[j*k+i] = b[i*n+j]
		}
	}
	return t
}

func mustNew(t testing.TB, kind Kind, b []float32, k, n int) *Matrix {
	t.Helper()
	m, err := New(kind, b, k, n)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What a matrix computes with is what its definition says: float32 as it was, the nearest bf16, or a value within
// half a step of 8 bits; and every way to it gives the same.
func TestMatrix(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range sizes {
		for _, n := range sizes {
			b := normal(r, k*n)
			for i := range b {
				b[i] *= float32(math.Exp(4 * r.NormFloat64()))
				if r.IntN(8) == 0 {
					b[i] = 0
				}
			}
			for _, kind := range Kinds() {
				what := fmt.Sprintf("%v [%d, %d]", kind, k, n)
				m := mustNew(t, kind, b, k, n)
				if mk, mn := m.Dims(); mk != k || mn != n || m.Kind() != kind || m.Bytes() != len(m.Data()) {
					t.Fatalf("%s is %v [%d, %d] of %d bytes", what, m.Kind(), mk, mn, m.Bytes())
				}
				mt, err := NewT(kind, transpose(b, k, n), k, n)
				if err != nil {
					t.Fatal(err)
				}
				if string(mt.Data()) != string(m.Data()) {
					t.Fatalf("%s: NewT and New differ", what)
				}
				from, err := FromData(kind, k, n, m.Data())
				if err != nil {
					t.Fatal(err)
				}
				got := make([]float32, k*n)
				from.Dequantize(got)
				col := make([]float32, k)
				for j := range n {
					m.Column(col, j)
					for i, v := range col {
						if v != got[i*n+j] {
							t.Fatalf("%s: row %d, column %d: %v by Column, %v by Dequantize", what, i, j, v, got[i*n+j])
						}
					}
				}
				for j := range n {
					for i := range k {
						checkWeight(t, what, kind, b, got, i, j, k, n)
					}
				}
			}
		}
	}
}

func checkWeight(t *testing.T, what string, kind Kind, b, got []float32, i, j, k, n int) {
	t.Helper()
	x, y := b[i*n+j], got[i*n+j]
	most := float64(0)
	for r := i / BlockSteps * BlockSteps; r < min(k, (i/BlockSteps+1)*BlockSteps); r++ {
		most = max(most, math.Abs(float64(b[r*n+j])))
	}
	off := math.Abs(float64(x) - float64(y))
	var limit float64
	switch kind {
	case BF16:
		limit = math.Abs(float64(x)) / 256
	case Q8:
		limit = most / 127 / 2 * (1 + 1.0/256)
	case Q4:
		limit = most / 4
	}
	if off > limit {
		t.Fatalf("%s: row %d, column %d is %v, was %v, the largest of its block being %v", what, i, j, y, x, most)
	}
}

// The layout is a promise: files hold it. These are the numbers of a small matrix where the package comment puts
// them.
func TestLayout(t *testing.T) {
	const k, n = 40, 70
	b := make([]float32, k*n)
	for i := range k {
		for j := range n {
			b[i*n+j] = float32((i*7+j*3)%255 - 127)
			if i%BlockSteps == 0 {
				b[i*n+j] = 127 // so that scales are 1
			}
		}
	}
	half := func(d []byte, at int) float32 { return widen(binary.LittleEndian.Uint16(d[at:])) }
	for _, kind := range Kinds() {
		m := mustNew(t, kind, b, k, n)
		d := m.Data()
		if len(d)%Align != 0 {
			t.Errorf("%v: %d bytes", kind, len(d))
		}
		if uintptr(unsafe.Pointer(&d[0]))%Align != 0 {
			t.Errorf("%v: the data is not aligned", kind)
		}
		for j := range 96 {
			for i := range k {
				want := float32(0)
				if j < n {
					want = b[i*n+j]
				}
				p, c := j/32, j%32
				var got float32
				switch kind {
				case F32:
					got = math.Float32frombits(binary.LittleEndian.Uint32(d[p*k*128+i*128+4*c:]))
				case BF16:
					got = half(d, p*k*64+i*64+c%16*4+c/16*2)
				case Q8:
					at := (p*2 + i/32) * 1088
					s := i % 32
					got = (float32(d[at+64+128*(s/4)+4*c+s%4]) - 128) * half(d, at+2*c)
				case Q4:
					at := (p*2 + i/32) * 576
					s := i % 32
					v := d[at+64+128*(s/8)+4*c+s%4]
					if s%8 >= 4 {
						v >>= 4
					}
					got = float32(Codes[v&15]) * half(d, at+2*c)
					if math.Abs(float64(got-want)) < 24 {
						want = got
					}
				}
				if got != want {
					t.Fatalf("%v: row %d, column %d is %v, want %v", kind, i, j, got, want)
				}
			}
		}
	}
}

// The search for a scale of four bits leaves no more error than the codes are known to.
func TestQ4Error(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const k, n = 64, 320
	student := make([]float32, k*n)
	for i := range student {
		s := 0.0
		for range 5 {
			v := r.NormFloat64()
			s += v * v
		}
		student[i] = float32(r.NormFloat64() / math.Sqrt(s/5))
	}
	for _, c := range []struct {
		name  string
		b     []float32
		limit float64
	}{{"normal", normal(r, k*n), 0.0060}, {"Student's t, 5", student, 0.0072}} {
		m := mustNew(t, Q4, c.b, k, n)
		got := make([]float32, k*n)
		m.Dequantize(got)
		var e, s float64
		for i, v := range c.b {
			d := float64(got[i] - v)
			e += d * d
			s += float64(v) * float64(v)
		}
		t.Logf("%s: squared error %.5f of the squares", c.name, e/s)
		if e/s > c.limit {
			t.Errorf("%s: squared error %.5f of the squares, want at most %.5f", c.name, e/s, c.limit)
		}
	}
}

// Every kind takes numbers of any size that is finite, to finite numbers.
func TestExtremes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const k, n = 33, 40
	b := make([]float32, k*n)
	for round := range 300 {
		exponent := float64(round - 150)
		for i := range b {
			b[i] = float32(math.Ldexp(r.Float64()*2-1, int(exponent)+r.IntN(1+round%40)-round%40))
			if v := b[i]; v > 3e38 || v < -3e38 {
				b[i] = 3e38
			}
			if r.IntN(20) == 0 {
				b[i] = []float32{0, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32}[r.IntN(3)]
			}
		}
		for _, kind := range Kinds() {
			m := mustNew(t, kind, b, k, n)
			if _, err := FromData(kind, k, n, m.Data()); err != nil {
				t.Fatalf("%v, 2^%v: %v", kind, exponent, err)
			}
			got := make([]float32, k*n)
			m.Dequantize(got)
			for i, v := range got {
				most := float64(0)
				for s := i / n / 32 * 32; s < min(k, (i/n/32+1)*32); s++ {
					most = max(most, math.Abs(float64(b[s*n+i%n])))
				}
				if d := math.Abs(float64(v) - float64(b[i])); !(d <= most/3) && d > 127*smallestScale {
					t.Fatalf("%v, 2^%v: %v became %v, the largest of its block being %v", kind, exponent, b[i], v, most)
				}
			}
		}
	}
}

// The same bytes for any number of threads.
func TestThreads(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const k, n = 300, 330
	b := normal(r, k*n)
	old := parallel.Threads()
	t.Cleanup(func() { parallel.SetThreads(old) })
	for _, kind := range Kinds() {
		parallel.SetThreads(1)
		want := mustNew(t, kind, b, k, n)
		for _, threads := range []int{2, 3, 5} {
			parallel.SetThreads(threads)
			if got := mustNew(t, kind, b, k, n); string(got.Data()) != string(want.Data()) {
				t.Errorf("%v: %d threads give other bytes", kind, threads)
			}
		}
	}
}

func TestBadNumbers(t *testing.T) {
	const k, n = 50, 45
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, kind := range Kinds() {
		for _, c := range []struct {
			v    float32
			kind string // that alone refuses it; empty for all
			want string
		}{
			{nan, "", "is NaN: weights must be finite"},
			{-inf, "", "is -Inf: weights must be finite"},
			{inf, "", "is +Inf: weights must be finite"},
			{math.MaxFloat32, "bf16", "is 3.4028235e+38: too large for bf16"},
		} {
			b := make([]float32, k*n)
			b[33*n+40], b[49*n+1] = c.v, nan
			if c.kind != "" {
				b[49*n+1] = 0
			}
			_, err := New(kind, b, k, n)
			_, errT := NewT(kind, b, n, k) // b is [n of the matrix, k]
			if c.kind != "" && c.kind != kind.String() {
				if err != nil || errT != nil {
					t.Errorf("%v with %v: %v, %v", kind, c.v, err, errT)
				}
				continue
			}
			for _, err := range []error{err, errT} {
				if err == nil || !strings.HasPrefix(err.Error(), "row 33, column 40 "+c.want) {
					t.Errorf("%v with %v: %v", kind, c.v, err)
				}
			}
		}
		_, err := New(kind, make([]float32, 11), 3, 4)
		if err == nil || err.Error() != "a matrix [3, 4] needs 12 numbers, not 11" {
			t.Errorf("%v: %v", kind, err)
		}
		if _, err := New(kind, nil, -1, 4); err == nil {
			t.Errorf("%v: no error for a negative size", kind)
		}
	}
	if _, err := New(9, nil, 0, 0); err == nil {
		t.Error("no error for a kind that there is not")
	}
}

func TestBadData(t *testing.T) {
	const k, n = 70, 45
	for _, kind := range Kinds() {
		m := mustNew(t, kind, normal(rand.New(rand.NewPCG(9, 1)), k*n), k, n)
		for _, size := range []int{0, 1, m.Bytes() - 1, m.Bytes() + 1, m.Bytes() / 2} {
			_, err := FromData(kind, k, n, make([]byte, size))
			want := fmt.Sprintf("takes %d bytes, not %d", m.Bytes(), size)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v of %d bytes: %v", kind, size, err)
			}
		}
		const most = math.MaxInt
		for _, s := range [][2]int{{-1, 1}, {1, -1}, {most, most}, {most, 1}, {1, most}, {most / 64, 100}} {
			if _, err := FromData(kind, s[0], s[1], nil); err == nil {
				t.Errorf("%v [%d, %d] without data is no error", kind, s[0], s[1])
			}
		}
		// A number or scale that is not finite, in each place of the first, a middle and the last block.
		for _, block := range []int{0, m.blocks() + 1, 2*m.blocks() - 1} {
			scales, width := PanelCols, 2
			if kind == F32 {
				width = 4
			}
			for c := range scales {
				data := append([]byte(nil), m.Data()...)
				at := block*kind.blockBytes() + width*c
				if kind == F32 {
					binary.LittleEndian.PutUint32(data[at:], math.Float32bits(float32(math.Inf(-1))))
				} else {
					binary.LittleEndian.PutUint16(data[at:], 0x7fc0)
				}
				_, err := FromData(kind, k, n, data)
				want := fmt.Sprintf("byte %d on, is not finite", block*kind.blockBytes())
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Fatalf("%v, block %d, column %d: %v", kind, block, c, err)
				}
			}
		}
	}
}

// Data that is aligned is used where it is, and other data copied.
func TestAlignment(t *testing.T) {
	const k, n = 64, 64
	for _, kind := range Kinds() {
		m := mustNew(t, kind, normal(rand.New(rand.NewPCG(9, 2)), k*n), k, n)
		space := newData(m.Bytes() + Align)
		for off := range Align {
			data := space[off : off+m.Bytes()]
			copy(data, m.Data())
			got, err := FromData(kind, k, n, data)
			if err != nil {
				t.Fatal(err)
			}
			if same := &got.Data()[0] == &data[0]; same != (off == 0) {
				t.Fatalf("%v at %d beyond a multiple of %d: used in place is %v", kind, off, Align, same)
			}
			if string(got.Data()) != string(m.Data()) {
				t.Fatalf("%v at %d: other data", kind, off)
			}
		}
	}
}

// Matrices of any size are aligned, and none takes the memory of another.
func TestNewData(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 4))
	var all [][]byte
	sizes := []int{0, 1, Align, least - 1, least, least + 1, chunkBytes/4 - 1, chunkBytes / 4, chunkBytes + 1}
	for range 30 {
		sizes = append(sizes, r.IntN(chunkBytes/3))
	}
	for i, n := range sizes {
		x := newData(n)
		if len(x) != n || cap(x) != n || n > 0 && uintptr(unsafe.Pointer(&x[0]))%Align != 0 {
			t.Fatalf("%d bytes: %d, %d at %p", n, len(x), cap(x), x)
		}
		for at := 0; at < n; at += 100 {
			x[at] = byte(i)
		}
		if n > 0 {
			x[n-1] = byte(i)
		}
		all = append(all, x)
	}
	for i, x := range all {
		for at := 0; at < len(x); at += 100 {
			if x[at] != byte(i) {
				t.Fatalf("byte %d of number %d has changed", at, i)
			}
		}
		if len(x) > 0 && x[len(x)-1] != byte(i) {
			t.Fatalf("the last byte of number %d has changed", i)
		}
	}
}

func TestKinds(t *testing.T) {
	for _, k := range Kinds() {
		got, err := ParseKind(k.String())
		if err != nil || got != k {
			t.Errorf("%v: %v, %v", k, got, err)
		}
		text, err := k.MarshalText()
		var back Kind
		if err != nil || back.UnmarshalText(text) != nil || back != k {
			t.Errorf("%v: %q, %v", k, text, err)
		}
	}
	var bits []float64
	for _, k := range Kinds() {
		bits = append(bits, k.BitsPerWeight())
	}
	if fmt.Sprint(bits) != "[32 16 8.5 4.5]" {
		t.Error(bits)
	}
	var k Kind = 7
	if _, err := k.MarshalText(); err == nil || k.String() != "Kind(7)" {
		t.Error(err, k)
	}
	err := k.UnmarshalText([]byte("int8"))
	if err == nil || k != 7 || err.Error() != `no kind of weights "int8": want f32, bf16, q8 or q4` {
		t.Error(err, k)
	}
}

func TestColumnAllocations(t *testing.T) {
	const k, n = 40, 40
	for _, kind := range Kinds() {
		m := mustNew(t, kind, make([]float32, k*n), k, n)
		col := make([]float32, k)
		if n := testing.AllocsPerRun(10, func() { m.Column(col, 33) }); n != 0 {
			t.Errorf("%v: %v allocations", kind, n)
		}
	}
}

// Whatever the bytes, reading them gives a matrix or an error, and a matrix gives them back and finite numbers.
func FuzzFromData(f *testing.F) {
	for _, kind := range Kinds() {
		m := mustNew(f, kind, normal(rand.New(rand.NewPCG(9, 3)), 35), 5, 7)
		f.Add(uint8(kind), 5, 7, m.Data())
	}
	f.Add(uint8(9), -1, 7, []byte{1})
	f.Fuzz(func(t *testing.T, kind uint8, k, n int, data []byte) {
		m, err := FromData(Kind(kind), k, n, data)
		if err != nil || k == 0 || n == 0 {
			return
		}
		if string(m.Data()) != string(data) {
			t.Fatal("other data")
		}
		x := make([]float32, k*n)
		m.Dequantize(x)
		for i, v := range x {
			// A value times a finite scale may be beyond float32, but is no NaN.
			if v != v {
				t.Fatalf("number %d is %v", i, v)
			}
		}
	})
}
