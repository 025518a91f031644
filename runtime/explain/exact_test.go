package explain

import (
	"math"
	"math/bits"
	"slices"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/model"
)

// polynomial is a model small enough to enumerate: of tokens with one number each it gives two logits,
// Σ wᵢxᵢ + Σ cᵢⱼxᵢxⱼ + sin(k·Σx) and 0.
type polynomial struct {
	w, c []float64 // c is [n, n], of which it reads what stands above the diagonal
	wave float64
	read []float64 // embedding of each token of the vocabulary
	add  []float32
	x    []float32
	y    []float32
	grad []float32
}

func (m *polynomial) Info() *model.Info       { return &model.Info{Name: "polynomial"} }
func (m *polynomial) Tensors() []model.Tensor { return nil }

func (m *polynomial) value(x []float64) float64 {
	y, sum := 0.0, 0.0
	for i, v := range x {
		y += m.w[i] * v
		sum += v
		for j := i + 1; j < len(x); j++ {
			y += m.c[i*len(x)+j] * v * x[j]
		}
	}
	return y + math.Sin(m.wave*sum)
}

func (m *polynomial) Taps() []*model.Taps {
	n := len(m.w)
	seed := make([]float32, 2*n)
	return []*model.Taps{{
		Begin: func(*model.Batch) error { return nil }, End: func() {}, Seed: seed,
		Forward: func(b *model.Batch) {
			x := make([]float64, n)
			for i, t := range b.Tokens {
				m.x[i] = float32(m.read[t]) + m.add[i]
				x[i] = float64(m.x[i])
			}
			m.y[2*(n-1)] = float32(m.value(x))
		},
		Backward: func(*model.Batch) {
			sum := 0.0
			for _, v := range m.x {
				sum += float64(v)
			}
			for i := range m.x {
				d := m.w[i] + m.wave*math.Cos(m.wave*sum)
				for j, v := range m.x {
					if i != j {
						d += m.c[min(i, j)*n+max(i, j)] * float64(v)
					}
				}
				m.grad[i] = float32(d) * seed[2*(n-1)]
			}
		},
		List: func(*model.Batch) []model.Tap {
			return []model.Tap{
				{Name: "tok.x", Kind: model.TapEmbedding, Axes: []string{"step", "feature"}, Shape: []int{n, 1},
					Value: m.x,
					Add:   m.add, Gradient: m.grad},
				{Name: "output", Kind: model.TapOutput, Axes: []string{"step", "feature"}, Shape: []int{n, 2},
					Value: m.y},
			}
		},
	}}
}

func newPolynomial(n int, pairs, wave float64) *polynomial {
	m := &polynomial{wave: wave, c: make([]float64, n*n), add: make([]float32, n), x: make([]float32, n),
		y: make([]float32, 2*n), grad: make([]float32, n)}
	for i := range n {
		m.w = append(m.w, math.Sin(float64(3*i+1)))
		m.read = append(m.read, 0.5+math.Cos(float64(i)))
		for j := i + 1; j < n; j++ {
			m.c[i*n+j] = pairs * math.Sin(float64(i+5*j))
		}
	}
	return m
}

// shapley is the exact value of each token by all 2ⁿ coalitions: its mean contribution over all orders in which tokens
// can be put in (Shapley 1953). It is what attributions are estimates of.
func (m *polynomial) shapley() []float64 {
	n := len(m.w)
	of := func(set uint) float64 {
		x := make([]float64, n)
		for i := range n {
			if set>>i&1 == 1 {
				x[i] = m.read[i]
			}
		}
		return m.value(x)
	}
	factorial := func(k int) float64 { return math.Gamma(float64(k + 1)) }
	values := make([]float64, n)
	for set := range uint(1) << n {
		size := bits.OnesCount(set)
		for i := range n {
			if set>>i&1 == 0 {
				weight := factorial(size) * factorial(n-1-size) / factorial(n)
				values[i] += weight * (of(set|1<<i) - of(set))
			}
		}
	}
	return values
}

func attributed(t *testing.T, m *polynomial, by Method, o Options) *Attribution {
	t.Helper()
	e, err := New(m, "")
	if err != nil {
		t.Fatal(err)
	}
	tokens := make([]int32, len(m.w))
	for i := range tokens {
		tokens[i] = int32(i)
	}
	a, err := e.Attribute(Text(tokens), Target{Step: len(tokens) - 1, Against: -1, Logit: true}, by, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range m.add {
		if x != 0 {
			t.Fatal("something stays added to the embeddings")
		}
	}
	return a
}

func near(t *testing.T, what string, got, want []float64, within float64) {
	t.Helper()
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= within) {
			t.Errorf("%s: token %d has %v, want %v", what, i, got[i], w)
		}
	}
}

// TestExact compares attributions with what enumeration gives. Without pairs all methods give the Shapley value; with
// pairs, but nothing of higher order, integrated gradients do, and occlusion gives each token all that it is part of.
func TestExact(t *testing.T) {
	line := newPolynomial(5, 0, 0)
	exact := line.shapley()
	for _, by := range Methods {
		a := attributed(t, line, by, Options{})
		near(t, string(by)+" of a line", a.Inputs[0].Values, exact, 1e-5)
		if a.Error > 1e-5 {
			t.Errorf("%s of a line has the error %v", by, a.Error)
		}
	}
	pairs := newPolynomial(6, 0.7, 0)
	near(t, "integrated gradients of pairs", attributed(t, pairs, Integrated, Options{}).Inputs[0].Values,
		pairs.shapley(), 1e-5)
	n := len(pairs.w)
	without := make([]float64, n)
	for i := range without {
		without[i] = pairs.w[i] * pairs.read[i]
		for j := range n {
			if i != j {
				without[i] += pairs.c[min(i, j)*n+max(i, j)] * pairs.read[i] * pairs.read[j]
			}
		}
	}
	near(t, "occlusion of pairs", attributed(t, pairs, Occlusion, Options{}).Inputs[0].Values, without, 1e-5)
	if a := attributed(t, pairs, GradientInput, Options{}); a.Error < 0.01 {
		t.Errorf("gradient × input of pairs has the error %v, and leaves out what pairs do", a.Error)
	}
}

// TestBaseline holds that a baseline of another kind is what the values are explained against.
func TestBaseline(t *testing.T) {
	m := newPolynomial(5, 0.7, 0)
	for _, by := range Methods {
		a := attributed(t, m, by, Options{Baselines: map[string][]float32{"tok.x": {0.25}}})
		base := make([]float64, len(m.w))
		for i := range base {
			base[i] = 0.25
		}
		if math.Abs(a.Base-m.value(base)) > 1e-5 {
			t.Errorf("%s: the baseline gives %v, want %v", by, a.Base, m.value(base))
		}
		if by == Integrated && a.Error > 1e-5 {
			t.Errorf("integrated gradients leave %v", a.Error)
		}
		if by == Occlusion {
			for i, v := range a.Inputs[0].Values {
				x := slices.Clone(m.read)
				x[i] = 0.25
				if want := m.value(m.read) - m.value(x); math.Abs(v-want) > 1e-5 {
					t.Errorf("occlusion: token %d has %v, want %v", i, v, want)
				}
			}
		}
	}
	e, err := New(m, "")
	if err != nil {
		t.Fatal(err)
	}
	target := Target{Step: 4, Against: -1}
	for _, o := range []Options{{Of: []string{"none"}}, {Baselines: map[string][]float32{"tok.x": {1, 2}}}} {
		if _, err := e.Attribute(Text([]int32{0, 1, 2, 3, 4}), target, Occlusion, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// TestPoints holds that an integral is refined until it is good enough, and that its error is what is left.
func TestPoints(t *testing.T) {
	m := newPolynomial(5, 0.7, 6)
	rough := attributed(t, m, Integrated, Options{Points: 2})
	fine := attributed(t, m, Integrated, Options{})
	if rough.Points != 2 || fine.Points < 8 || fine.Error > 0.005 || rough.Error < 10*fine.Error {
		t.Errorf("2 points leave %v, %d points %v", rough.Error, fine.Points, fine.Error)
	}
	left := fine.Score - fine.Base
	for _, x := range fine.Inputs[0].Values {
		left -= x
	}
	if e := math.Abs(left / (fine.Score - fine.Base)); math.Abs(e-fine.Error) > 1e-9 {
		t.Errorf("the error is %v, and %v is left", fine.Error, e)
	}
}

// TestGaussLegendre holds the rule to the integrals of powers, which it gives exactly up to x^(2n−1).
func TestGaussLegendre(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8, 16, 64, 256} {
		x, w := gaussLegendre(n)
		for power := 0; power < min(2*n, 40); power++ {
			sum := 0.0
			for i := range x {
				sum += w[i] * math.Pow(x[i], float64(power))
			}
			if want := 1 / float64(power+1); math.Abs(sum-want) > 1e-13 {
				t.Errorf("%d points give %v for ∫x^%d, want %v", n, sum, power, want)
			}
		}
	}
}

// TestSpans holds that positions that are taken away together share what they make.
func TestSpans(t *testing.T) {
	m := newPolynomial(5, 0, 0)
	a := attributed(t, m, Occlusion, Options{Spans: map[string][][2]int{"step": {{0, 2}, {2, 5}}}}).Inputs[0].Values
	both := (m.w[0]*m.read[0] + m.w[1]*m.read[1]) / 2
	near(t, "a span", a[:2], []float64{both, both}, 1e-5)
}

// TestRollout compares with the product of matrices by hand.
func TestRollout(t *testing.T) {
	look := &Look{Name: "a", Layers: 2, Heads: 2, Queries: 2, Keys: 2, P: []float32{
		1, 0, 0.5, 0.5, // layer 1, head 1
		1, 0, 0.25, 0.75,
		1, 0, 1, 0, // layer 2
		1, 0, 0, 1,
	}}
	got, err := Rollout(look)
	if err != nil {
		t.Fatal(err)
	}
	// means: [[1 0] [.375 .625]], [[1 0] [.5 .5]]; with the residual [[1 0] [.1875 .8125]], [[1 0] [.25 .75]]
	want := []float64{1, 0, 0.25 + 0.75*0.1875, 0.75 * 0.8125}
	near(t, "rollout", got, want, 1e-12)
	if _, err := Rollout(&Look{Name: "b", Layers: 1, Heads: 1, Queries: 2, Keys: 3, P: make([]float32,
		6)}); err == nil {
		t.Error("attention to something else is rolled out")
	}
}

// TestInduction finds a head that looks behind earlier occurrences of its token, and tells it from one that looks at
// all alike.
func TestInduction(t *testing.T) {
	tokens := []int32{4, 7, 9, 4, 7, 9}
	n := len(tokens)
	l := &Look{Layers: 1, Heads: 2, Queries: n, Keys: n, P: make([]float32, 2*n*n)}
	for i := range n {
		for j := range i + 1 {
			l.P[n*n+i*n+j] = 1 / float32(i+1)
		}
		l.P[i*n+max(0, i-2)] = 1 // behind the same token of the first time
	}
	scores, chance, err := Induction(l, tokens)
	if err != nil {
		t.Fatal(err)
	}
	if scores[0][0] != 1 || math.Abs(scores[0][1]-chance) > 1e-6 || chance > 0.3 {
		t.Errorf("scores %v, by chance %v", scores, chance)
	}
	if _, _, err := Induction(l, []int32{0, 1, 2, 3, 4, 5}); err == nil {
		t.Error("a text without repetition has scores")
	}
}

// TestNoTaps holds that a model without taps is told what to do.
func TestNoTaps(t *testing.T) {
	if _, err := New(struct{}{}, ""); err == nil {
		t.Error("a model without taps is taken")
	}
	if _, err := New(newPolynomial(2, 0, 0), "generator"); err == nil {
		t.Error("a pass that the model does not have is taken")
	}
	e, err := New(newPolynomial(2, 0, 0), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []Target{{Step: 2, Against: -1}, {Step: -1, Against: -1}, {Step: 1, Token: 2, Against: -1},
		{Step: 1, Token: 0, Against: 5}} {
		if _, err := e.Attribute(Text([]int32{0, 1}), target, Integrated, Options{}); err == nil {
			t.Errorf("the target %+v is taken", target)
		}
	}
	if _, err := e.Attribute(Text([]int32{0, 1}), Target{Step: 1, Against: -1}, "magic", Options{}); err == nil {
		t.Error("an unknown method is taken")
	}
}
