package optim

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/param"
)

// Muon is the rule of Jordan et al. 2024 (Muon: an optimizer for hidden layers in neural networks) for matrices, in
// Nesterov's form and with the scale of Liu et al. 2025 (Muon is scalable for LLM training, section 2.2), by which the
// rate and the decay of AdamW fit it. For a matrix G of gradients of size [r, c]:
//
//	M = momentum·M + (1−momentum)·G
//	O = orthogonal(momentum·M + (1−momentum)·G)
//	P = P·(1 − rate·decay) − rate·0.2·√max(r, c)·O
//
// orthogonal(X) makes all singular values about one: X = X/‖X‖, and five times X = a·X + (b·XXᵀ + c·(XXᵀ)²)·X with
// a = 3.4445, b = −4.7750 and c = 2.0315. Vectors and the tensors apart take the step of AdamW.
type Muon struct {
	tensors        []param.Extent
	first, second  []float32 // averages of gradients, of all, and of their squares, of what is no matrix
	x, y           []float32 // scratch, of the largest matrix
	gram, poly     []float32 // scratch, of the square of its smaller side
	momentum       float64
	beta1, beta2   float64
	epsilon, decay float64
}

// NewMuon makes the rule for parameters in a flat array of n numbers, which holds tensors at these places.
func NewMuon(n int, tensors []param.Extent, momentum, beta1, beta2, epsilon, decay float64) *Muon {
	m := &Muon{tensors: tensors, first: model.Floats(n), momentum: momentum, beta1: beta1, beta2: beta2,
		epsilon: epsilon, decay: decay}
	matrix, side, others := 0, 0, 0
	for _, t := range tensors {
		within(t, n)
		if orthogonal(t) {
			matrix, side = max(matrix, t.Len()), max(side, min(t.Rows, t.Columns))
		} else {
			others += t.Len()
		}
	}
	m.second = model.Floats(others)
	m.x, m.y, m.gram, m.poly = model.Floats(matrix), model.Floats(matrix), model.Floats(side*side),
		model.Floats(side*side)
	return m
}

// orthogonal reports whether Muon's own step is for a tensor.
func orthogonal(t param.Extent) bool { return t.Matrix() && !t.Apart }

// Step makes one update.
func (m *Muon) Step(params, grads []float32, rate float64, gscale float32, step int) {
	bias1, bias2 := biases(m.beta1, m.beta2, step)
	second := m.second
	for _, t := range m.tensors {
		n := t.Len()
		p, g, first := params[t.From:][:n], grads[t.From:][:n], m.first[t.From:][:n]
		if !orthogonal(t) {
			kernel.Adam(p, g, first, second, float32(rate), float32(m.beta1), float32(m.beta2), float32(m.epsilon),
				float32(m.decay), bias1, bias2, gscale, n)
			second = second[n:]
			continue
		}
		rest := float32(1-m.momentum) * gscale
		kernel.Scale(first, first, float32(m.momentum), n)
		kernel.AddScaled(first, first, g, rest, n)
		kernel.Scale(m.x, first, float32(m.momentum), n)
		kernel.AddScaled(m.x, m.x, g, rest, n)
		m.orthogonalize(t.Rows, t.Columns)
		kernel.Scale(p, p, float32(1-rate*m.decay), n)
		kernel.AddScaled(p, p, m.x, float32(-rate*0.2*math.Sqrt(float64(max(t.Rows, t.Columns)))), n)
	}
}

// orthogonalize makes the singular values of x [rows, columns] about one.
func (m *Muon) orthogonalize(rows, columns int) {
	const a, b, c, iterations = 3.4445, -4.7750, 2.0315, 5
	n, side := rows*columns, min(rows, columns)
	norm := math.Sqrt(kernel.SquaredNorm(m.x, n))
	kernel.Scale(m.x, m.x, float32(1/max(norm, 1e-7)), n)
	for range iterations {
		// the product with its transpose that has the smaller side
		if rows <= columns {
			kernel.GemmNT(m.gram, m.x, m.x, side, side, columns)
		} else {
			kernel.GemmTN(m.gram, m.x, m.x, side, side, rows)
		}
		kernel.GemmNN(m.poly, m.gram, m.gram, side, side, side)
		kernel.Scale(m.poly, m.poly, c, side*side)
		kernel.AddScaled(m.poly, m.poly, m.gram, b, side*side)
		if rows <= columns {
			kernel.GemmNN(m.y, m.poly, m.x, rows, columns, side)
		} else {
			kernel.GemmNN(m.y, m.x, m.poly, rows, columns, side)
		}
		kernel.AddScaled(m.x, m.y, m.x, a, n)
	}
}

// Slots lists the optimizer's arrays.
func (m *Muon) Slots() []model.Slot {
	return []model.Slot{{Name: "muon.first", Value: m.first}, {Name: "muon.second", Value: m.second}}
}
