package initialize

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"testing"
)

func TestMoments(t *testing.T) {
	x := make([]float32, 100000)
	check := func(name string, mean, std, bound float64) {
		t.Helper()
		var s, q, top float64
		for _, v := range x {
			s += float64(v)
			q += float64(v) * float64(v)
			top = max(top, math.Abs(float64(v)))
		}
		n := float64(len(x))
		m := s / n
		d := math.Sqrt(q/n - m*m)
		if math.Abs(m-mean) > 0.01*std || math.Abs(d-std) > 0.01*std || top > bound {
			t.Errorf("%s: mean %v, deviation %v, largest %v", name, m, d, top)
		}
	}
	Uniform(x, 1, 2, 0.25)
	check("uniform", 0, 0.5/math.Sqrt(12), 0.25)
	Normal(x, 1, 3, 2)
	check("normal", 0, 2, 12)
	first := append([]float32{}, x...)
	Normal(x, 1, 4, 2)
	same := 0
	for i := range x {
		if x[i] == first[i] {
			same++
		}
	}
	if same > 100 {
		t.Errorf("%d numbers of two streams are the same", same)
	}
}

func TestOrthogonal(t *testing.T) {
	for _, c := range [][2]int{{5, 5}, {3, 8}, {8, 3}, {1, 4}} {
		rows, cols := c[0], c[1]
		x := make([]float32, rows*cols)
		Orthogonal(x, rows, cols, 1, 1, 2, 2)
		at := func(i, j int) float64 { return float64(x[i*cols+j]) }
		n, m := rows, cols
		if rows > cols {
			at = func(i, j int) float64 { return float64(x[j*cols+i]) }
			n, m = cols, rows
		}
		for a := range n {
			for b := range n {
				dot := 0.0
				for j := range m {
					dot += at(a, j) * at(b, j)
				}
				want := 0.0
				if a == b {
					want = 4
				}
				if math.Abs(dot-want) > 1e-5 {
					t.Errorf("%d×%d: the product of %d and %d is %v, want %v", rows, cols, a, b, dot, want)
				}
			}
		}
	}
}

func TestConstant(t *testing.T) {
	x := make([]float32, 3)
	Constant(x, 2)
	AddConstant(x[1:], 0.5)
	if x[0] != 2 || x[1] != 2.5 || x[2] != 2.5 {
		t.Errorf("%v", x)
	}
}

// Rotations and reflections come equally often, and an element of an n × n matrix has the variance 1/n.
func TestOrthogonalIsUniform(t *testing.T) {
	const n, draws = 2, 2000
	rotations, square := 0, 0.0
	x := make([]float32, n*n)
	for i := range draws {
		Orthogonal(x, n, n, 1, 5, uint64(i), 1)
		if x[0]*x[3]-x[1]*x[2] > 0 {
			rotations++
		}
		square += float64(x[0]) * float64(x[0])
	}
	if share := float64(rotations) / draws; math.Abs(share-0.5) > 0.05 {
		t.Errorf("the share of rotations is %v", share)
	}
	if v := square / draws; math.Abs(v-1.0/n) > 0.03 {
		t.Errorf("the variance of an element is %v", v)
	}
}

func TestOrthogonalChecksItsSize(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "2 × 3 needs 6 numbers, dst has 5") {
			t.Errorf("the panic is %v", r)
		}
	}()
	Orthogonal(make([]float32, 5), 2, 3, 1, 1, 1, 1)
}

// The bits are part of the contract: the same on every machine and for any number of threads.
func TestBits(t *testing.T) {
	x := make([]float32, 300)
	h := fnv.New64a()
	Uniform(x, 1, 1, 0.1)
	fmt.Fprintf(h, "%x", x)
	Normal(x, 1, 2, 0.1)
	fmt.Fprintf(h, "%x", x)
	Orthogonal(x, 20, 15, 1, 1, 3, 1)
	fmt.Fprintf(h, "%x", x)
	const want = "bc7d9641d67cc1f8"
	if got := fmt.Sprintf("%016x", h.Sum64()); got != want {
		t.Errorf("the digest of what is drawn is %s, want %s", got, want)
	}
}

// TestOrthogonalBlocks holds that each gate's matrix is orthonormal by itself.
func TestOrthogonalBlocks(t *testing.T) {
	const n, blocks = 6, 4
	x := make([]float32, n*n*blocks)
	Orthogonal(x, n, n*blocks, blocks, 1, 2, 1)
	for b := range blocks {
		for i := range n {
			for j := range n {
				dot := 0.0
				for k := range n {
					dot += float64(x[i*n*blocks+b*n+k]) * float64(x[j*n*blocks+b*n+k])
				}
				want := 0.0
				if i == j {
					want = 1
				}
				if math.Abs(dot-want) > 1e-5 {
					t.Fatalf("block %d: the product of rows %d and %d is %v, want %v", b, i, j, dot, want)
				}
			}
		}
	}
}
