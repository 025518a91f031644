package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func transpose(x []float32, rows, cols int) []float32 {
	y := make([]float32, len(x))
	for r := range rows {
		for c := range cols {
			y[c*rows+r] = x[r*cols+c]
		}
	}
	return y
}

// ints is n whole numbers from -8 to 8: sums of up to 2¹⁷ of their products are exact in float32.
func ints(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.IntN(17) - 8)
	}
	return x
}

// products are the four forms of a matrix product; b is [k, n] and a [m, k] in each.
var products = []struct {
	name string
	run  func(c, a, b []float32, m, n, k int, ep ...Epilogue)
}{
	{"NN", GemmNN},
	{"NT", func(c, a, b []float32, m, n, k int, ep ...Epilogue) {
		bt := guardOf(transpose(b, k, n), n)
		GemmNT(c, a, bt.x, m, n, k, ep...)
	}},
	{"TN", func(c, a, b []float32, m, n, k int, ep ...Epilogue) {
		at := guardOf(transpose(a, m, k), m)
		GemmTN(c, at.x, b, m, n, k, ep...)
	}},
	{"packed", func(c, a, b []float32, m, n, k int, ep ...Epilogue) {
		p := guard(PackedLen(k, n), k)
		Pack(p.x, b, k, n)
		GemmPacked(c, a, p.x, m, n, k, ep...)
	}},
	{"packedT", func(c, a, b []float32, m, n, k int, ep ...Epilogue) {
		p := guard(PackedLen(k, n), k)
		PackT(p.x, transpose(b, k, n), k, n)
		GemmPacked(c, a, p.x, m, n, k, ep...)
	}},
}

// checkExact runs every form on whole numbers, where the result is exact.
func checkExact(t *testing.T, r *rand.Rand, m, n, k int) {
	t.Helper()
	a, b := guardOf(ints(r, m*k), m), guardOf(ints(r, k*n), n)
	want := make([]float32, m*n)
	for i := range m {
		for l := range k {
			for j := range n {
				want[i*n+j] += a.x[i*k+l] * b.x[l*n+j]
			}
		}
	}
	for _, p := range products {
		c := guard(m*n, k) // full of NaN
		p.run(c.x, a.x, b.x, m, n, k)
		what := fmt.Sprintf("%s %d×%d×%d", p.name, m, n, k)
		diff(t, what, c.x, want)
		c.check(t, what)
		a.check(t, what)
		b.check(t, what)
	}
}

func TestGemmExact(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rng(1)
		edge := []int{0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 95, 97, 129}
		if strings.HasSuffix(t.Name(), levelNames[generic]) {
			edge = []int{0, 1, 7, 32, 33, 65} // it has no tiles, and is slow
		}
		for m := range 30 {
			for _, n := range edge {
				for _, k := range []int{0, 1, 2, 3, 4, 5, 8, 17} {
					checkExact(t, r, m, n, k)
				}
			}
		}
		for n := range 140 {
			for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 8, 13} {
				checkExact(t, r, m, n, 9)
			}
		}
		for _, s := range [][3]int{{70, 70, 300}, {33, 200, 513}, {129, 65, 1025}, {1, 1000, 700}, {300, 40, 40}} {
			checkExact(t, r, s[0], s[1], s[2])
		}
	})
}

// reference is the product in float64, and the product of the absolute values.
func reference(a, b []float32, m, n, k int) (c, abs []float64) {
	c, abs = make([]float64, m*n), make([]float64, m*n)
	for i := range m {
		for l := range k {
			for j := range n {
				p := float64(a[i*k+l]) * float64(b[l*n+j])
				c[i*n+j] += p
				abs[i*n+j] += math.Abs(p)
			}
		}
	}
	return c, abs
}

// Every form gives the same bits at every level and with any number of threads: those of the definition.
func TestGemmBits(t *testing.T) {
	r := rng(2)
	for _, s := range [][3]int{{1, 64, 40}, {2, 100, 300}, {5, 33, 65}, {12, 32, 256}, {32, 256, 64}, {37, 130, 270},
		{64, 64, 64}, {100, 96, 530}, {8, 515, 530}} {
		m, n, k := s[0], s[1], s[2]
		a, b := floats(r, m*k), floats(r, k*n)
		bias, res, c0 := floats(r, n), floats(r, m*n), floats(r, m*n)
		for e, ep := range [][]Epilogue{
			nil, {Accumulate()}, {Bias(bias)}, {Bias(bias), ThenTanh()}, {Residual(res)}, {Bias(bias), Residual(res)},
			{Accumulate(), Bias(bias), Residual(res), ThenGELU()}, {ThenReLU()},
		} {
			want := append([]float32(nil), c0...)
			g := product{c: want, a: a, b: b, m: m, n: n, k: k, ldc: n, lda: k, ldb: n, ldr: n}
			for _, x := range ep {
				switch x.kind {
				case epAccumulate:
					g.accumulate = true
				case epBias:
					g.bias = x.x
				case epResidual:
					g.residual = x.x
				default:
					g.activate, g.activation = true, op(x.kind-epActivation)
				}
			}
			setLevel(t, generic)
			g.blockGeneric(0, m, 0, n)
			if e == 0 {
				ref, abs := reference(a, b, m, n, k)
				for i := range ref {
					if d := math.Abs(float64(want[i]) - ref[i]); d > float64(k)*abs[i]/(1<<24) {
						t.Fatalf("%d×%d×%d: element %d is %v, want %v", m, n, k, i, want[i], ref[i])
					}
				}
			}
			for _, threads := range []int{1, 2, 3} {
				withThreads(t, threads)
				for _, l := range levels() {
					setLevel(t, l)
					for _, p := range products {
						c := guardOf(c0, 3)
						p.run(c.x, a, b, m, n, k, ep...)
						diff(t, fmt.Sprintf("%s %s %d×%d×%d epilogue %d threads %d", levelNames[l], p.name, m, n, k, e,
							threads), c.x, want)
						c.check(t, p.name)
					}
				}
			}
		}
	}
}

// Few rows, and few columns beside a panel, in every remainder of rows, columns and steps, and with rows that share the
// sets of a cache: the bits of the definition.
func TestGemmFew(t *testing.T) {
	r := rng(46)
	sizes := [][3]int{{1, 33, 512}, {1, 70, 1024}, {2, 40, 1030}, {3, 17, 1024}, {4, 50, 1027}, {4, 24, 1536}}
	for m := 1; m <= 9; m++ {
		for n := 1; n <= 41; n++ {
			sizes = append(sizes, [3]int{m, n, 1 + (7*m+n)%39})
		}
	}
	for _, m := range []int{15, 30, 64, 70} {
		for _, n := range []int{1, 2, 3, 5, 9, 33, 34, 37, 65, 66, 71, 97} {
			sizes = append(sizes, [3]int{m, n, 20 + n%7})
		}
	}
	sizes = append(sizes, [3]int{50, 33, 1024}, [3]int{20, 65, 530}, [3]int{400, 33, 300}, [3]int{9, 1030, 20})
	for _, s := range sizes {
		m, n, k := s[0], s[1], s[2]
		a, b := floats(r, m*k), floats(r, k*n)
		bias, res, c0 := floats(r, n), floats(r, m*n), floats(r, m*n)
		for e, ep := range [][]Epilogue{nil, {Accumulate(), Bias(bias), Residual(res), ThenGELU()}} {
			want := append([]float32(nil), c0...)
			g := product{c: want, a: a, b: b, m: m, n: n, k: k, ldc: n, lda: k, ldb: n}
			g.epilogue("TestGemmFew", ep)
			setLevel(t, generic)
			g.blockGeneric(0, m, 0, n)
			for _, l := range levels() {
				setLevel(t, l)
				for _, p := range products {
					c := guardOf(c0, 5)
					p.run(c.x, a, b, m, n, k, ep...)
					diff(t, fmt.Sprintf("%s %s %d×%d×%d epilogue %d", levelNames[l], p.name, m, n, k, e), c.x, want)
					c.check(t, p.name)
				}
			}
		}
	}
}

func TestGemmAllocations(t *testing.T) {
	withThreads(t, 2)
	r := rng(3)
	const m, n, k = 32, 256, 64
	a, b, c, bias := floats(r, m*k), floats(r, k*n), make([]float32, m*n), floats(r, n)
	p := make([]float32, PackedLen(k, n))
	f := func() {
		Pack(p, b, k, n)
		GemmPacked(c, a, p, m, n, k, Accumulate(), Bias(bias), ThenTanh())
		GemmNN(c, a, b, m, n, k, Bias(bias))
		GemmNT(c, a, b, m, n, k)
		GemmTN(c, a, b, m, n, k)
	}
	f()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Heads of attention: every product of a batch that lies between others gives the bits of that product alone.
func TestGemmBatch(t *testing.T) {
	r := rng(12)
	for _, s := range [][3]int{{1, 1, 1}, {5, 7, 3}, {20, 20, 16}, {64, 64, 32}, {1, 33, 8}, {14, 40, 300}} {
		m, n, k := s[0], s[1], s[2]
		const outer, inner = 3, 4
		for form, ref := range []func(c, a, b []float32, m, n, k int, ep ...Epilogue){GemmNN, GemmNT, GemmTN} {
			dims := [3][2]int{{m, n}, {m, k}, {k, n}}
			if Form(form) == NT {
				dims[2] = [2]int{n, k}
			} else if Form(form) == TN {
				dims[1] = [2]int{k, m}
			}
			// Rows of all inner matrices beside each other, as heads are.
			var l [3]Layout
			var x [3]*guarded
			for i, d := range dims {
				l[i] = Layout{Ld: inner * d[1], Outer: inner * d[0] * d[1], Inner: d[1]}
				x[i] = guardOf(floats(r, outer*inner*d[0]*d[1]), i+n)
			}
			one := func(i, o, in int) []float32 {
				d := dims[i]
				y := make([]float32, 0, d[0]*d[1])
				for row := range d[0] {
					at := o*l[i].Outer + in*l[i].Inner + row*l[i].Ld
					y = append(y, x[i].x[at:at+d[1]]...)
				}
				return y
			}
			for _, ep := range [][]Epilogue{nil, {Accumulate(), ThenReLU()}} {
				var want [outer][inner][]float32
				for o := range outer {
					for i := range inner {
						want[o][i] = one(0, o, i)
						ref(want[o][i], one(1, o, i), one(2, o, i), m, n, k, ep...)
					}
				}
				c0 := append([]float32(nil), x[0].x...)
				for _, threads := range []int{1, 3} {
					withThreads(t, threads)
					for _, lv := range levels() {
						setLevel(t, lv)
						copy(x[0].x, c0)
						GemmBatch(Form(form), x[0].x, l[0], x[1].x, l[1], x[2].x, l[2], outer, inner, m, n, k, ep...)
						x[0].check(t, "batch")
						for o := range outer {
							for i := range inner {
								diff(t, fmt.Sprintf("form %d %d×%d×%d", form, m, n, k), one(0, o, i), want[o][i])
							}
						}
					}
				}
				copy(x[0].x, c0)
			}
		}
	}
}

// Residual may be c, with a bias too: for all products.
func TestResidualIsC(t *testing.T) {
	r := rng(45)
	for _, s := range [][3]int{{1, 40, 33}, {3, 40, 33}, {20, 70, 300}} {
		m, n, k := s[0], s[1], s[2]
		a, b, bias, c0 := floats(r, m*k), floats(r, k*n), floats(r, n), floats(r, m*n)
		for _, l := range levels() {
			setLevel(t, l)
			want := append([]float32(nil), c0...)
			GemmNN(want, a, b, m, n, k, Accumulate(), Bias(bias))
			for _, p := range products {
				got := append([]float32(nil), c0...)
				p.run(got, a, b, m, n, k, Residual(got), Bias(bias))
				diff(t, fmt.Sprintf("%s %s %d×%d×%d", levelNames[l], p.name, m, n, k), got, want)
			}
		}
	}
}
