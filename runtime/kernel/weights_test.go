package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/weights"
)

func newWeights(t testing.TB, kind weights.Kind, b []float32, k, n int) *weights.Matrix {
	t.Helper()
	m, err := weights.New(kind, b, k, n)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// naiveWeights is c = a·b as GemmWeights says, number by number. c holds what the sums start from.
func naiveWeights(c, a []float32, b *weights.Matrix, m int) {
	k, n := b.Dims()
	if kind := b.Kind(); kind == weights.F32 || kind == weights.BF16 {
		w := make([]float32, k*n)
		b.Dequantize(w)
		for r := range m {
			for j := range n {
				for i := range k {
					c[r*n+j] = fma(a[r*k+i], w[i*n+j], c[r*n+j])
				}
			}
		}
		return
	}
	var q [weights.BlockSteps][weights.PanelCols]int8
	var scales [weights.PanelCols]float32
	for block := 0; block*32 < k; block++ {
		for panel := 0; panel*32 < n; panel++ {
			b.Block(panel, block, &q, &scales)
			for r := range m {
				qa, scale := naiveQuantize(a[r*k+block*32 : r*k+min(k, block*32+32)])
				for j := panel * 32; j < min(n, panel*32+32); j++ {
					dot := 0
					for i, v := range qa {
						dot += v * int(q[i][j%32])
					}
					c[r*n+j] = fma(float32(dot), scale*scales[j%32], c[r*n+j])
				}
			}
		}
	}
}

func naiveQuantize(x []float32) (q []int, scale float32) {
	q = make([]int, len(x))
	most := 0.0
	for _, v := range x {
		most = math.Max(most, math.Abs(float64(v)))
		if v-v != 0 {
			return q, float32(math.NaN())
		}
	}
	if most < 0x1p-100 {
		return q, 0
	}
	for i, v := range x {
		q[i] = int(math.RoundToEven(float64(v * (127 / float32(most)))))
	}
	return q, float32(most) / 127
}

// activations are rows whose blocks differ in size, some being zero or nearly.
func activations(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	scale := float32(1)
	for i := range x {
		if i%32 == 0 {
			scale = []float32{1, 1e-3, 30, 0, 1e-31, 1e20, 0x1p-100}[r.IntN(14)*r.IntN(2)%7]
		}
		x[i] = float32(r.NormFloat64()) * scale
		if r.IntN(16) == 0 {
			x[i] = 127 * scale // ties
		}
	}
	return x
}

// checkWeights compares a product with the definition.
func checkWeights(t *testing.T, r *rand.Rand, kind weights.Kind, m, n, k int) {
	t.Helper()
	b := newWeights(t, kind, floats(r, k*n), k, n)
	a := guardOf(activations(r, m*k), k)
	want := make([]float32, m*n)
	naiveWeights(want, a.x, b, m)
	data := string(b.Data())
	c := guard(m*n, n) // full of NaN
	GemmWeights(c.x, a.x, b, m)
	what := fmt.Sprintf("%v %d×%d×%d", kind, m, n, k)
	diff(t, what, c.x, want)
	c.check(t, what)
	a.check(t, what)
	if string(b.Data()) != data {
		t.Fatalf("%s: the weights have changed", what)
	}
}

// Every kind of weights gives the bits of the definition at every level: for all remainders of rows, columns and
// steps.
func TestGemmWeights(t *testing.T) {
	for _, l := range weightLevels() {
		t.Run(weightLevelName(l), func(t *testing.T) {
			setWeightLevel(t, l)
			r := rng(40)
			for _, kind := range weights.Kinds() {
				for m := range 30 {
					sizes := [][2]int{{0, 5}, {1, 1}, {7, 0}, {31, 33}, {33, 31}, {64, 64}, {65, 66}, {97, 5}}
					for _, s := range sizes {
						if l > generic || m < 4 {
							checkWeights(t, r, kind, m, s[0], s[1])
						}
					}
				}
				for n := range 70 {
					checkWeights(t, r, kind, 1, n, 40)
					if l > generic {
						checkWeights(t, r, kind, 2+n%5, n, 40)
					}
				}
				for k := range 70 {
					checkWeights(t, r, kind, 1, 40, k)
					if l > generic {
						checkWeights(t, r, kind, 2+k%5, 40, k)
					}
				}
				if l > generic {
					checkWeights(t, r, kind, 1, 130, 700)
					checkWeights(t, r, kind, 50, 100, 90)
					checkWeights(t, r, kind, 130, 33, 64)
				}
			}
		})
	}
}

// weightEpilogues are all combinations of epilogues.
func weightEpilogues(bias, residual []float32) (all [][]Epilogue) {
	activations := [][]Epilogue{
		nil, {ThenTanh()}, {ThenSigmoid()}, {ThenGate()}, {ThenReLU()}, {ThenGELU()}, {ThenGELUErf()}, {ThenSiLU()},
	}
	for set := range 8 {
		var ep []Epilogue
		for i, e := range []Epilogue{Accumulate(), Bias(bias), Residual(residual)} {
			if set>>i&1 == 1 {
				ep = append(ep, e)
			}
		}
		for _, a := range activations {
			all = append(all, append(a[:len(a):len(a)], ep...))
		}
	}
	return all
}

// All epilogues, at every level and for any number of threads.
func TestGemmWeightsEpilogues(t *testing.T) {
	r := rng(41)
	old := weightLeast
	t.Cleanup(func() { weightLeast = old })
	weightLeast = 1 // so that small products are split
	for _, s := range [][3]int{{1, 100, 70}, {2, 65, 33}, {5, 130, 40}, {14, 33, 64}, {70, 64, 40}} {
		m, n, k := s[0], s[1], s[2]
		a, bias, residual, c0 := activations(r, m*k), floats(r, n), floats(r, m*n), floats(r, m*n)
		for _, kind := range weights.Kinds() {
			b := newWeights(t, kind, floats(r, k*n), k, n)
			for e, ep := range weightEpilogues(bias, residual) {
				want := make([]float32, m*n)
				for i := range want {
					var terms []float32
					for _, x := range ep {
						switch x.kind {
						case epAccumulate:
							terms = append(terms, c0[i])
						case epBias:
							terms = append(terms, bias[i%n])
						case epResidual:
							terms = append(terms, residual[i])
						}
					}
					for j, v := range terms {
						if j == 0 {
							want[i] = v
						} else {
							want[i] += v
						}
					}
				}
				naiveWeights(want, a, b, m)
				if len(ep) > 0 && ep[0].kind >= epActivation {
					elementwiseOf(op(ep[0].kind-epActivation))(want, want, len(want))
				}
				for _, l := range weightLevels() {
					if l == generic && e%7 != 0 {
						continue
					}
					setWeightLevel(t, l)
					for _, threads := range []int{1, 2, 5} {
						withThreads(t, threads)
						c := guardOf(c0, e)
						GemmWeights(c.x, a, b, m, ep...)
						what := fmt.Sprintf("%s %v %v epilogue %d threads %d", weightLevelName(l), kind, s, e, threads)
						diff(t, what, c.x, want)
						c.check(t, what)
					}
				}
			}
		}
	}
}

func elementwiseOf(o op) func(dst, x []float32, n int) {
	switch o {
	case opTanh:
		return Tanh
	case opSigmoid:
		return Sigmoid
	case opGate:
		return Gate
	case opReLU:
		return ReLU
	case opGELU:
		return GELU
	case opGELUErf:
		return GELUErf
	}
	return SiLU
}

// F32 is GemmNN, to the bit, and BF16 is GemmNN with rounded weights; the result of Q8 and Q4 is near that of the
// float32 product with the weights as they are quantised, as activations have eight bits.
func TestGemmWeightsAgainstGemm(t *testing.T) {
	r := rng(42)
	for _, s := range [][3]int{{1, 300, 260}, {3, 96, 1000}, {8, 200, 130}, {17, 64, 520}, {400, 70, 90}} {
		m, n, k := s[0], s[1], s[2]
		a, bias := floats(r, m*k), floats(r, n)
		w := floats(r, k*n)
		for _, kind := range weights.Kinds() {
			b := newWeights(t, kind, w, k, n)
			x, got, want := make([]float32, k*n), make([]float32, m*n), make([]float32, m*n)
			b.Dequantize(x)
			GemmWeights(got, a, b, m, Bias(bias))
			GemmNN(want, a, x, m, n, k, Bias(bias))
			if kind == weights.F32 || kind == weights.BF16 {
				diff(t, fmt.Sprint(kind, s), got, want)
				continue
			}
			for i := range got {
				// An activation is off by at most half a step of its block; 4/127/2 are numbers of 4 standard
				// deviations.
				var limit float64
				for l := range k {
					limit += math.Abs(float64(x[l*n+i%n])) * 6 / 254
				}
				if d := math.Abs(float64(got[i] - want[i])); d > limit/math.Sqrt(float64(k))*4 {
					t.Fatalf("%v %v: element %d is %v, and with float32 activations %v", kind, s, i, got[i], want[i])
				}
			}
		}
	}
}

// What is not finite in a row makes that row NaN, where it has a part in the sum, and no other.
func TestGemmWeightsNotFinite(t *testing.T) {
	r := rng(43)
	const m, n, k = 7, 40, 70
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, kind := range weights.Kinds() {
		b := newWeights(t, kind, floats(r, k*n), k, n)
		for _, v := range []float32{nan, inf, -inf} {
			for _, at := range []int{0, 31, 40, 69} {
				a := floats(r, m*k)
				want := make([]float32, m*n)
				GemmWeights(want, a, b, m)
				a[3*k+at] = v
				for _, l := range weightLevels() {
					setWeightLevel(t, l)
					got := make([]float32, m*n)
					GemmWeights(got, a, b, m)
					for i, x := range got {
						if bad := x-x != 0; bad != (i/n == 3) {
							t.Fatalf("%s %v: with %v in row 3, row %d has %v", weightLevelName(l), kind, v, i/n, x)
						} else if !bad && x != want[i] {
							t.Fatalf("%s %v: row %d has changed", weightLevelName(l), kind, i/n)
						}
					}
				}
			}
		}
	}
}

// Whatever bytes a matrix is made of, all levels agree, and nothing overflows: also where values are at the ends of
// their range, as they are in no matrix that was quantised.
func TestGemmWeightsAnyBytes(t *testing.T) {
	r := rng(44)
	for _, kind := range []weights.Kind{weights.Q8, weights.Q4} {
		for round := range 40 {
			m, n, k := 1+r.IntN(9), 1+r.IntN(70), 1+r.IntN(100)
			size, err := weights.DataLen(kind, k, n)
			if err != nil {
				t.Fatal(err)
			}
			data := make([]byte, size)
			for i := range data {
				data[i] = byte(r.Uint32())
				if round%2 == 0 {
					data[i] = []byte{0, 255}[r.IntN(2)]
				}
			}
			block := size / ((n + 31) / 32) / ((k + 31) / 32)
			for i := 0; i < size; i += block {
				for c := range 32 {
					data[i+2*c], data[i+2*c+1] = byte(r.Uint32()), byte(0x3c+r.IntN(8)) // finite
				}
			}
			b, err := weights.FromData(kind, k, n, data)
			if err != nil {
				t.Fatal(err)
			}
			a := activations(r, m*k)
			if round%2 == 0 {
				for i := range a {
					a[i] = float32(1 - 2*r.IntN(2))
				}
			}
			want := make([]float32, m*n)
			naiveWeights(want, a, b, m)
			for _, l := range weightLevels() {
				setWeightLevel(t, l)
				got := make([]float32, m*n)
				GemmWeights(got, a, b, m)
				diff(t, fmt.Sprintf("%s %v %d×%d×%d", weightLevelName(l), kind, m, n, k), got, want)
			}
		}
	}
}

func TestGemmWeightsChecks(t *testing.T) {
	b := newWeights(t, weights.Q8, make([]float32, 40*50), 40, 50)
	c, a := make([]float32, 100), make([]float32, 80)
	for _, test := range []struct {
		want string
		f    func()
	}{
		{"kernel.GemmWeights: m is -1, need at least 0", func() { GemmWeights(c, a, b, -1) }},
		{"kernel.GemmWeights: c has length 99, need 100", func() { GemmWeights(c[:99], a, b, 2) }},
		{"kernel.GemmWeights: a has length 79, need 80", func() { GemmWeights(c, a[:79], b, 2) }},
		{"kernel.GemmWeights: bias has length 49, need 50", func() { GemmWeights(c, a, b, 2, Bias(c[:49])) }},
		{"kernel.GemmWeights: residual has length 99, need 100", func() { GemmWeights(c, a, b, 2, Residual(c[:99])) }},
	} {
		func() {
			defer func() {
				if got := recover(); got != test.want {
					t.Errorf("panic %v, want %v", got, test.want)
				}
			}()
			test.f()
		}()
	}
}

func TestGemmWeightsAllocations(t *testing.T) {
	r := rng(46)
	const n, k = 300, 200
	for _, threads := range []int{1, 2} {
		withThreads(t, threads)
		for _, kind := range weights.Kinds() {
			b := newWeights(t, kind, floats(r, k*n), k, n)
			for _, m := range []int{1, 3, 20} {
				a, c, bias := floats(r, m*k), make([]float32, m*n), floats(r, n)
				f := func() { GemmWeights(c, a, b, m, Bias(bias), ThenGELU()) }
				f()
				if n := testing.AllocsPerRun(10, f); n != 0 {
					t.Errorf("%v, %d rows, %d threads: %v allocations", kind, m, threads, n)
				}
			}
		}
	}
}

// Products of several matrices run at the same time.
func TestGemmWeightsConcurrent(t *testing.T) {
	r := rng(47)
	withThreads(t, 3)
	const n, k = 100, 90
	type result struct{ got, want []float32 }
	results := make(chan result)
	const callers = 6
	for i := range callers {
		m := 1 + i
		b := newWeights(t, weights.Kinds()[i%4], floats(r, k*n), k, n)
		a := floats(r, m*k)
		want := make([]float32, m*n)
		naiveWeights(want, a, b, m)
		go func() {
			got := make([]float32, m*n)
			for range 50 {
				GemmWeights(got, a, b, m)
			}
			results <- result{got, want}
		}()
	}
	for range callers {
		x := <-results
		diff(t, "at the same time", x.got, x.want)
	}
}

// FuzzGemmWeights holds all levels to the definition for sizes and numbers that nobody thought of.
func FuzzGemmWeights(f *testing.F) {
	f.Add(uint64(1), uint8(0), uint8(1), uint8(33), uint8(65))
	f.Add(uint64(2), uint8(1), uint8(7), uint8(64), uint8(31))
	f.Add(uint64(3), uint8(2), uint8(13), uint8(1), uint8(200))
	f.Add(uint64(4), uint8(3), uint8(2), uint8(97), uint8(64))
	f.Fuzz(func(t *testing.T, seed uint64, kind, m, n, k uint8) {
		r := rng(seed)
		b := newWeights(t, weights.Kinds()[kind%4], floats(r, int(k)*int(n)), int(k), int(n))
		rows := int(m % 20)
		a := activations(r, rows*int(k))
		for range len(a) / 50 {
			a[r.IntN(len(a))] = math.Float32frombits(r.Uint32())
		}
		want := make([]float32, rows*int(n))
		naiveWeights(want, a, b, rows)
		for _, l := range weightLevels() {
			setWeightLevel(t, l)
			got := make([]float32, rows*int(n))
			GemmWeights(got, a, b, rows)
			diff(t, fmt.Sprintf("%s %v %d×%d×%d", weightLevelName(l), b.Kind(), rows, n, k), got, want)
		}
	})
}

// Rows of a table are the columns of its transpose, for every kind and for what is read as it is; a negative token has
// none.
func TestGatherWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, dim := range []int{1, 31, 32, 100} {
		const n = 45
		table := make([]float32, n*dim)
		for i := range table {
			table[i] = float32(r.NormFloat64())
		}
		ids := []int32{3, -1, 44, 0, 31, 32, 3}
		for _, kind := range append(weights.Kinds(), weights.Live) {
			m, err := weights.NewT(kind, table, dim, n)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float32, n*dim)
			for j := range n {
				if m.Column(want[j*dim:], j); kind == weights.Live || kind == weights.F32 {
					diff(t, "a column", want[j*dim:(j+1)*dim], table[j*dim:(j+1)*dim])
				}
			}
			dst := make([]float32, len(ids)*dim)
			for i := range dst {
				dst[i] = float32(math.NaN())
			}
			GatherWeights(dst, m, ids)
			rows := make([]float32, len(dst))
			Gather(rows, want, ids, dim)
			diff(t, kind.String(), dst, rows)
			func() {
				defer func() {
					if s := fmt.Sprint(recover()); !strings.Contains(s, "kernel.GatherWeights: ids holds 45") {
						t.Errorf("%v: an index beyond the table: %s", kind, s)
					}
				}()
				GatherWeights(dst, m, []int32{n})
			}()
		}
	}
}
