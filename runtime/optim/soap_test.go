package optim

import (
	"math"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/param"
)

// times is the product of a [n, k] and b [k, m] in float64.
func times(a, b []float64, n, m, k int) []float64 {
	y := make([]float64, n*m)
	for i := range n {
		for j := range m {
			for l := range k {
				y[i*m+j] += a[i*k+l] * b[l*m+j]
			}
		}
	}
	return y
}

func transposed(x []float64, r, c int) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i%c*r+i/c] = x[i]
	}
	return y
}

func unit(n int) []float64 {
	x := make([]float64, n*n)
	for i := range n {
		x[i*n+i] = 1
	}
	return x
}

// soaped is one tensor under SOAP in float64, written from the paper: the columns of its bases are the eigenvectors.
type soaped struct {
	r, c           int
	limit, every   int
	p, m, v        []float64
	average, basis [2][]float64 // left and right; nil where there is none
}

const soapBeta1, soapBeta2, soapEpsilon, soapDecay = 0.8, 0.9, 1e-6, 0.1

func (s *soaped) side(i int) int { return []int{s.r, s.c}[i] }

// turn is QₗᵀXQᵣ, or QₗXQᵣᵀ for the way back.
func (s *soaped) turn(x []float64, back bool) []float64 {
	x = slices.Clone(x)
	if q := s.basis[0]; q != nil {
		if !back {
			q = transposed(q, s.r, s.r)
		}
		x = times(q, x, s.r, s.c, s.r)
	}
	if q := s.basis[1]; q != nil {
		if back {
			q = transposed(q, s.c, s.c)
		}
		x = times(x, q, s.r, s.c, s.c)
	}
	return x
}

// gramSchmidt makes the columns of a [n, n] orthonormal, from the first to the last.
func gramSchmidt(a []float64, n int) {
	for j := range n {
		for range 2 { // twice is enough
			for k := range j {
				dot := 0.0
				for i := range n {
					dot += a[i*n+k] * a[i*n+j]
				}
				for i := range n {
					a[i*n+j] -= dot * a[i*n+k]
				}
			}
		}
		norm := 0.0
		for i := range n {
			norm += a[i*n+j] * a[i*n+j]
		}
		for i := range n {
			a[i*n+j] /= math.Sqrt(norm)
		}
	}
}

// refresh makes basis i anew, and gives the order of the old one's columns.
func (s *soaped) refresh(i int) []int {
	n, q := s.side(i), s.basis[i]
	product := times(s.average[i], q, n, n, n)
	diagonal := times(transposed(q, n, n), product, n, n, n)
	order := make([]int, n)
	for j := range order {
		order[j] = j
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if diagonal[a*n+a] > diagonal[b*n+b] {
			return -1
		}
		return 1
	})
	next := make([]float64, n*n)
	for j, from := range order {
		for k := range n {
			next[k*n+j] = product[k*n+from]
		}
	}
	gramSchmidt(next, n)
	s.basis[i] = next
	return order
}

func (s *soaped) step(g []float64, rate float64, t int) {
	matrix := s.r > 1 && s.c > 1 && min(s.r, s.c) <= s.limit
	if !matrix || t > 1 {
		turned, k := s.turn(g, false), t-1
		if !matrix {
			k = t
		}
		u := make([]float64, len(g))
		for i, x := range turned {
			s.m[i] = soapBeta1*s.m[i] + (1-soapBeta1)*x
			s.v[i] = soapBeta2*s.v[i] + (1-soapBeta2)*x*x
			u[i] = s.m[i] / (1 - math.Pow(soapBeta1, float64(k))) /
				(math.Sqrt(s.v[i]/(1-math.Pow(soapBeta2, float64(k)))) + soapEpsilon)
		}
		for i, x := range s.turn(u, true) {
			s.p[i] = s.p[i]*(1-rate*soapDecay) - rate*x
		}
	}
	if !matrix {
		return
	}
	gt := transposed(g, s.r, s.c)
	grams := [2][]float64{times(g, gt, s.r, s.r, s.c), times(gt, g, s.c, s.c, s.r)}
	for i := range 2 {
		n := s.side(i)
		if n > s.limit {
			continue
		}
		if t == 1 {
			s.average[i], s.basis[i] = make([]float64, n*n), unit(n)
		}
		for k, x := range grams[i] {
			s.average[i][k] = soapBeta2*s.average[i][k] + (1-soapBeta2)*x
		}
		if t == 1 {
			for range beginning {
				s.refresh(i)
			}
		}
	}
	if t == 1 || (t-1)%s.every != 0 {
		return
	}
	m := s.turn(s.m, true)
	for i := range 2 {
		if s.basis[i] == nil {
			continue
		}
		order, v := s.refresh(i), slices.Clone(s.v)
		for k := range s.v {
			row, column := k/s.c, k%s.c
			if i == 0 {
				row = order[row]
			} else {
				column = order[column]
			}
			s.v[k] = v[row*s.c+column]
		}
	}
	s.m = s.turn(m, false)
}

// noise is number i of stream k, from −1 to 1.
func noise(k, i int) float32 { return float32(model.Key(uint64(k), uint64(i))>>40)/(1<<23) - 1 }

// TestSOAP holds the rule to its formula in float64 over several makings of the bases. The sides that are within the
// limit are the smaller ones, whose bases the first gradient decides: in those of the larger ones what it is zero in
// would be decided by rounding.
func TestSOAP(t *testing.T) {
	const limit, every, rate = 4, 2, 0.05
	o := NewSOAP(flat, shapes, soapBeta1, soapBeta2, soapEpsilon, soapDecay, every, limit)
	p, g := make([]float32, flat), make([]float32, flat)
	var all []*soaped
	for i := range p {
		p[i] = float32(math.Sin(float64(i)))
	}
	for _, e := range shapes {
		s := &soaped{r: e.Rows, c: e.Columns, limit: limit, every: every, m: make([]float64, e.Len()),
			v: make([]float64, e.Len())}
		for _, x := range p[e.From:][:e.Len()] {
			s.p = append(s.p, float64(x))
		}
		all = append(all, s)
	}
	for step := 1; step <= 12; step++ {
		for i := range g {
			g[i] = noise(step, i)
		}
		for i, e := range shapes {
			half := make([]float64, e.Len())
			for k := range half {
				half[k] = float64(g[e.From+k]) * 0.5
			}
			all[i].step(half, rate, step)
		}
		o.Step(p, g, rate, 0.5, step)
		for i, e := range shapes {
			for k, want := range all[i].p {
				if got := float64(p[e.From+k]); !(math.Abs(got-want) <= 1e-4*(1+math.Abs(want))) {
					t.Fatalf("step %d, tensor %d of %d by %d: parameter %d is %v, want %v", step, i, e.Rows, e.Columns, k, got,
						want)
				}
			}
		}
	}
	for i, e := range shapes {
		for k := e.From + e.Len(); k < flat && (i+1 == len(shapes) || k < shapes[i+1].From); k++ {
			if p[k] != float32(math.Sin(float64(k))) {
				t.Errorf("parameter %d, which lies in no tensor, has changed", k)
			}
		}
	}
	if a := testing.AllocsPerRun(5, func() { o.Step(p, g, 0.01, 1, 1+every) }); a != 0 {
		t.Errorf("a step allocates %v times", a)
	}
}

// TestSOAPBits: a rule that begins with the arrays of another goes on with its bits, on any number of threads, for
// matrices of more than a panel of the decomposition.
func TestSOAPBits(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	tensors := []param.Extent{{Rows: 70, Columns: 130}, {From: 9104, Rows: 1, Columns: 20}, {From: 9136, Rows: 96,
		Columns: 40}}
	const n, steps = 9136 + 96*40, 7
	fresh := func() *SOAP { return NewSOAP(n, tensors, 0.95, 0.95, 1e-8, 0.01, 3, 100) }
	run := func(o *SOAP, p []float32, from int) {
		g := make([]float32, n)
		for step := from; step <= steps; step++ {
			for i := range g {
				g[i] = noise(step, i) / 1000
			}
			o.Step(p, g, 0.01, 0.5, step)
		}
	}
	want := make([]float32, n)
	parallel.SetThreads(1)
	run(fresh(), want, 1)
	parallel.SetThreads(3)
	for cut := 1; cut <= steps; cut++ {
		p, first, second := make([]float32, n), fresh(), fresh()
		g := make([]float32, n)
		for step := 1; step < cut; step++ {
			for i := range g {
				g[i] = noise(step, i) / 1000
			}
			first.Step(p, g, 0.01, 0.5, step)
		}
		for i, slot := range first.Slots() {
			copy(second.Slots()[i].Value, slot.Value)
		}
		if run(second, p, cut); !slices.Equal(p, want) {
			t.Errorf("a training that goes on at step %d has other bits", cut)
		}
	}
}

// TestOrthonormal holds the decomposition to what it is: rows that are orthonormal, of which the first k span the first
// k rows of what it was made of; for matrices of any rank, and of any size of their numbers.
func TestOrthonormal(t *testing.T) {
	for _, x := range []struct {
		n, rank int
		size    float64
	}{{1, 1, 1}, {1, 0, 1}, {2, 2, 1}, {31, 31, 1}, {32, 32, 1e-12}, {33, 33, 1e12}, {97, 97, 1}, {64, 5, 1},
		{40, 0, 1}, {50, 33, 1e-6}} {
		n := x.n
		a, q := make([]float32, n*n), make([]float32, n*n)
		for i := range n {
			for j := range n {
				sum := 0.0
				for k := range x.rank { // a product of [n, rank] and [rank, n]
					sum += float64(noise(1, i*n+k)) * float64(noise(2, k*n+j))
				}
				a[i*n+j] = float32(sum * x.size)
			}
		}
		qr := newReflections(n)
		work := slices.Clone(a)
		qr.orthonormal(q, work, n)
		for i := range n {
			for j := range n {
				dot, within, length := 0.0, 0.0, 0.0
				for k := range n {
					dot += float64(q[i*n+k]) * float64(q[j*n+k])
					within += float64(q[i*n+k]) * float64(a[j*n+k])
					length += float64(a[j*n+k]) * float64(a[j*n+k])
				}
				want := 0.0
				if i == j {
					want = 1
				}
				if math.Abs(dot-want) > 3e-6 {
					t.Fatalf("%+v: rows %d and %d have the product %v", x, i, j, dot)
				}
				if j < i && math.Abs(within) > 1e-5*math.Sqrt(length) {
					t.Fatalf("%+v: row %d of the basis has the product %v with row %d of the matrix, of length %v", x, i,
						within, j, math.Sqrt(length))
				}
			}
		}
	}
}

// TestEigenbasis: the bases come to be those of the eigenvectors where gradients are of one distribution.
func TestEigenbasis(t *testing.T) {
	const n = 12
	o := NewSOAP(n*n, []param.Extent{{Rows: n, Columns: n}}, 0.95, 0.95, 1e-8, 0, 1, n)
	p, g := make([]float32, n*n), make([]float32, n*n)
	for step := 1; step <= 200; step++ {
		for i := range g { // row i is 2^i times as large as the last one
			g[i] = noise(step, i) * float32(math.Exp2(float64(n-1-i/n)))
		}
		o.Step(p, g, 0.01, 1, step)
	}
	turned, square := make([]float32, n*n), make([]float32, n*n)
	kernel.GemmNN(turned, o.bases, o.averages, n, n, n)
	kernel.GemmNT(square, turned, o.bases, n, n, n)
	for i := range n {
		for j := range n {
			if off := float64(square[i*n+j]) / math.Sqrt(float64(square[i*n+i])*float64(square[j*n+j])); i != j &&
				math.Abs(off) > 0.1 {
				t.Errorf("in their basis, averages %d and %d are correlated by %v", i, j, off)
			}
			if i < j && square[i*n+i] < square[j*n+j] {
				t.Errorf("eigenvalue %d is %v, and %d is %v", i, square[i*n+i], j, square[j*n+j])
			}
		}
	}
}
