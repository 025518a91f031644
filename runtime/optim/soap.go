package optim

import (
	"cmp"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/param"
)

// SOAP is the rule of Vyas et al. 2024 (SOAP: Improving and Stabilizing Shampoo using Adam, algorithm 3): Adam in the
// eigenbases of the two averages that Shampoo has of a matrix. For a matrix G of gradients of size [r, c] in step t:
//
//	G′ = Qₗ·G·Qᵣᵀ
//	M = beta1·M + (1−beta1)·G′            V = beta2·V + (1−beta2)·G′²
//	P = P·(1 − rate·decay) − rate·Qₗᵀ·(M/(1−beta1ᵗ⁻¹)/(√(V/(1−beta2ᵗ⁻¹)) + epsilon))·Qᵣ
//	L = beta2·L + (1−beta2)·G·Gᵀ          R = beta2·R + (1−beta2)·Gᵀ·G
//
// The rows of Qₗ and Qᵣ are about the eigenvectors of L and R, from the largest eigenvalue to the smallest. Every so
// many steps they are put into that order anew, by Q·L·Qᵀ, and V with them; then Q is made of Q·L by Gram and Schmidt's
// process, which is a step of power iteration, and M is turned from the old bases to the new ones. The first step makes
// L, R and the bases, and does not move the matrix, so that no gradient is looked at in a basis that is made of it.
//
// A side of more than limit numbers has no basis: Q is the identity there. Vectors, and matrices of which both sides
// are larger, take the step of AdamW.
//
// The authors' program makes the first bases by a decomposition; here they are made by some steps of power iteration
// from the identity. And the moments are corrected as PyTorch's AdamW does it, in front of epsilon.
type SOAP struct {
	tensors       []param.Extent
	first, second []float32 // averages of gradients and of their squares, those of matrices in their bases
	averages      []float32 // L and R of each matrix, one behind the other
	bases         []float32 // Qₗ and Qᵣ of each matrix

	x, y, u []float32 // scratch, of the largest matrix
	turned  []float32 // scratch, of the largest side: Q·L
	sorted  []float32 // the same in order
	values  []float32 // of each row, what Q·L·Qᵀ has on its diagonal
	order   []int
	qr      reflections

	beta1, beta2, epsilon, decay float64
	every, limit                 int
}

// side is a side of a matrix that has a basis.
type side struct {
	n              int
	average, basis []float32 // [n, n]
}

// NewSOAP makes the rule for parameters in a flat array of n numbers, which holds tensors at these places. The bases
// are made anew every so many steps, for sides of up to limit.
func NewSOAP(n int, tensors []param.Extent, beta1, beta2, epsilon, decay float64, every, limit int) *SOAP {
	s := &SOAP{tensors: tensors, first: model.Floats(n), second: model.Floats(n), beta1: beta1, beta2: beta2,
		epsilon: epsilon, decay: decay, every: every, limit: limit}
	matrix, largest, squares := 0, 0, 0
	for _, t := range tensors {
		within(t, n)
		if !s.turns(t) {
			continue
		}
		matrix = max(matrix, t.Len())
		for _, n := range []int{t.Rows, t.Columns} {
			if n <= limit {
				squares, largest = squares+n*n, max(largest, n)
			}
		}
	}
	s.averages, s.bases = model.Floats(squares), model.Floats(squares)
	s.x, s.y, s.u = model.Floats(matrix), model.Floats(matrix), model.Floats(matrix)
	s.turned, s.sorted = model.Floats(largest*largest), model.Floats(largest*largest)
	s.values, s.order = model.Floats(largest), make([]int, largest)
	s.qr = newReflections(largest)
	return s
}

// turns reports whether a tensor has a basis for one of its sides.
func (s *SOAP) turns(t param.Extent) bool { return t.Matrix() && min(t.Rows, t.Columns) <= s.limit }

// beginning is how many steps of power iteration the first bases are made by.
const beginning = 8

// Step makes one update.
func (s *SOAP) Step(params, grads []float32, rate float64, gscale float32, step int) {
	bias1, bias2 := biases(s.beta1, s.beta2, step)
	turned1, turned2 := biases(s.beta1, s.beta2, max(1, step-1))
	at := 0 // of the matrix in averages and bases
	take := func(n int) side {
		if n > s.limit {
			return side{}
		}
		x := side{n, s.averages[at : at+n*n], s.bases[at : at+n*n]}
		at += n * n
		return x
	}
	for _, t := range s.tensors {
		n := t.Len()
		p, g, first, second := params[t.From:][:n], grads[t.From:][:n], s.first[t.From:][:n], s.second[t.From:][:n]
		if !s.turns(t) {
			kernel.Adam(p, g, first, second, float32(rate), float32(s.beta1), float32(s.beta2), float32(s.epsilon),
				float32(s.decay), bias1, bias2, gscale, n)
			continue
		}
		left, right := take(t.Rows), take(t.Columns)
		x, u := s.x[:n], s.u[:n]
		kernel.Scale(x, g, gscale, n)
		if step > 1 {
			s.into(u, x, left, right, t)
			kernel.Copy(s.y, u, n)
			kernel.Clear(u, n) // from which Adam moves by minus what is wanted
			kernel.Adam(u, s.y, first, second, -1, float32(s.beta1), float32(s.beta2), float32(s.epsilon), 0, turned1,
				turned2, 1, n)
			s.out(u, u, left, right, t)
			kernel.Scale(p, p, float32(1-rate*s.decay), n)
			kernel.AddScaled(p, p, u, float32(-rate), n)
		}
		if left.n > 0 {
			kernel.GemmNT(s.turned, x, x, t.Rows, t.Rows, t.Columns)
			average(left.average, s.turned, s.beta2, t.Rows*t.Rows)
		}
		if right.n > 0 {
			kernel.GemmTN(s.turned, x, x, t.Columns, t.Columns, t.Rows)
			average(right.average, s.turned, s.beta2, t.Columns*t.Columns)
		}
		switch {
		case step == 1:
			for _, x := range [...]side{left, right} {
				identity(x.basis, x.n)
				for range beginning {
					s.refresh(x)
				}
			}
		case (step-1)%s.every == 0:
			s.out(u, first, left, right, t)
			for i, x := range [...]side{left, right} {
				if x.n > 0 {
					s.refresh(x)
					s.reorder(second, t, i == 1)
				}
			}
			s.into(first, u, left, right, t)
		}
	}
}

// into sets dst to x [r, c] in the bases of its sides. They may be the same.
func (s *SOAP) into(dst, x []float32, left, right side, t param.Extent) {
	r, c := t.Rows, t.Columns
	if left.n > 0 {
		kernel.GemmNN(s.y, left.basis, x, r, c, r)
	} else {
		kernel.Copy(s.y, x, r*c)
	}
	if right.n > 0 {
		kernel.GemmNT(dst, s.y, right.basis, r, c, c)
	} else {
		kernel.Copy(dst, s.y, r*c)
	}
}

// out is the way back.
func (s *SOAP) out(dst, x []float32, left, right side, t param.Extent) {
	r, c := t.Rows, t.Columns
	if left.n > 0 {
		kernel.GemmTN(s.y, left.basis, x, r, c, r)
	} else {
		kernel.Copy(s.y, x, r*c)
	}
	if right.n > 0 {
		kernel.GemmNN(dst, s.y, right.basis, r, c, c)
	} else {
		kernel.Copy(dst, s.y, r*c)
	}
}

// refresh makes a basis anew, and leaves in order which row of the old one each row was made of.
func (s *SOAP) refresh(x side) {
	n := x.n
	if n == 0 {
		return
	}
	kernel.GemmNN(s.turned, x.basis, x.average, n, n, n)
	kernel.Mul(s.sorted, s.turned, x.basis, n*n)
	kernel.SumCols(s.values, s.sorted, n, n)
	order := s.order[:n]
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.values[b], s.values[a]) })
	for i, from := range order {
		copy(s.sorted[i*n:][:n], s.turned[from*n:][:n])
	}
	s.qr.orthonormal(x.basis, s.sorted, n)
}

// reorder puts the rows of x, or its columns, into the order that refresh has left.
func (s *SOAP) reorder(x []float32, t param.Extent, columns bool) {
	r, c := t.Rows, t.Columns
	copy(s.y, x[:r*c])
	for i := range r {
		if row := x[i*c:][:c]; columns {
			for j, from := range s.order[:c] {
				row[j] = s.y[i*c+from]
			}
		} else {
			copy(row, s.y[s.order[i]*c:][:c])
		}
	}
}

// identity sets x [n, n] to the identity.
func identity(x []float32, n int) {
	clear(x[:n*n])
	for i := range n {
		x[i*n+i] = 1
	}
}

// Slots lists the optimizer's arrays.
func (s *SOAP) Slots() []model.Slot {
	return []model.Slot{{Name: "soap.first", Value: s.first}, {Name: "soap.second", Value: s.second},
		{Name: "soap.averages", Value: s.averages}, {Name: "soap.bases", Value: s.bases}}
}
