package optim

import (
	"math"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/param"
)

// shapes are tensors of every kind that rules tell apart: high and wide matrices, a square, matrices of one row and of
// one column, a vector, and a table that is apart. Between them are gaps, as at the ends of cache lines.
var shapes = []param.Extent{
	{From: 0, Rows: 5, Columns: 3}, {From: 16, Rows: 3, Columns: 7}, {From: 48, Rows: 4, Columns: 4},
	{From: 64, Rows: 1, Columns: 9}, {From: 80, Rows: 6, Columns: 1}, {From: 96, Rows: 3, Columns: 4, Apart: true},
}

const flat = 108

// reference is a rule in float64, written from the paper, on one tensor: state has three arrays of its length.
type reference func(e param.Extent, p, g []float64, rate float64, t int, state [3][]float64)

func adafactor(e param.Extent, p, g []float64, rate float64, t int, s [3][]float64) {
	const exponent, threshold, floor, decay = 0.8, 0.5, 0.2, 0.1
	beta := 1 - math.Pow(float64(t), -exponent)
	u := make([]float64, len(p))
	if e.Rows > 1 && e.Columns > 1 {
		total := 0.0
		for i := range e.Rows {
			sum := 0.0
			for j := range e.Columns {
				sum += g[i*e.Columns+j]*g[i*e.Columns+j] + 1e-30
			}
			s[0][i] = beta*s[0][i] + (1-beta)*sum
			total += s[0][i]
		}
		for j := range e.Columns {
			sum := 0.0
			for i := range e.Rows {
				sum += g[i*e.Columns+j]*g[i*e.Columns+j] + 1e-30
			}
			s[1][j] = beta*s[1][j] + (1-beta)*sum
		}
		for i := range u {
			u[i] = g[i] / math.Sqrt(s[0][i/e.Columns]*s[1][i%e.Columns]/total)
		}
	} else {
		for i := range u {
			s[2][i] = beta*s[2][i] + (1-beta)*(g[i]*g[i]+1e-30)
			u[i] = g[i] / math.Sqrt(s[2][i])
		}
	}
	mean := func(x []float64) float64 {
		sum := 0.0
		for _, v := range x {
			sum += v * v
		}
		return math.Sqrt(sum / float64(len(x)))
	}
	step := min(rate, 1/math.Sqrt(float64(t))) * max(floor, mean(p)) / max(1, mean(u)/threshold)
	for i := range p {
		p[i] = p[i]*(1-rate*decay) - step*u[i]
	}
}

func muon(e param.Extent, p, g []float64, rate float64, t int, s [3][]float64) {
	const momentum, beta1, beta2, epsilon, decay = 0.9, 0.8, 0.95, 1e-6, 0.1
	if e.Rows == 1 || e.Columns == 1 || e.Apart {
		for i := range p {
			s[0][i] = beta1*s[0][i] + (1-beta1)*g[i]
			s[1][i] = beta2*s[1][i] + (1-beta2)*g[i]*g[i]
			m, v := s[0][i]/(1-math.Pow(beta1, float64(t))), s[1][i]/(1-math.Pow(beta2, float64(t)))
			p[i] = p[i]*(1-rate*decay) - rate*m/(math.Sqrt(v)+epsilon)
		}
		return
	}
	r, c := e.Rows, e.Columns
	x := make([]float64, len(p))
	norm := 0.0
	for i := range x {
		s[0][i] = momentum*s[0][i] + (1-momentum)*g[i]
		x[i] = momentum*s[0][i] + (1-momentum)*g[i]
		norm += x[i] * x[i]
	}
	for i := range x {
		x[i] /= math.Sqrt(norm)
	}
	product := func(a, b []float64, n, m, k int) []float64 { // [n, k] times [k, m]
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
	for range 5 {
		xt := make([]float64, len(x))
		for i := range x {
			xt[i%c*r+i/c] = x[i]
		}
		gram := product(x, xt, r, r, c)
		twice := product(gram, gram, r, r, r)
		for i := range gram {
			gram[i] = -4.7750*gram[i] + 2.0315*twice[i]
		}
		y := product(gram, x, r, c, r)
		for i := range x {
			x[i] = 3.4445*x[i] + y[i]
		}
	}
	for i := range p {
		p[i] = p[i]*(1-rate*decay) - rate*0.2*math.Sqrt(float64(max(r, c)))*x[i]
	}
}

// TestMatrixRules holds rules that work on matrices to their formulas, over several steps, with gradients of all
// elements and with those of a layer of which a unit is off: a row and a column of zeros.
func TestMatrixRules(t *testing.T) {
	for _, c := range []struct {
		name string
		o    optimizer
		want reference
		off  bool
	}{
		{"adafactor", NewAdafactor(flat, shapes, 0.8, 0.5, 0.2, 0.1), adafactor, false},
		{"muon", NewMuon(flat, shapes, 0.9, 0.8, 0.95, 1e-6, 0.1), muon, false},
		{"adafactor with a unit off", NewAdafactor(flat, shapes, 0.8, 0.5, 0.2, 0.1), adafactor, true},
		{"muon with a unit off", NewMuon(flat, shapes, 0.9, 0.8, 0.95, 1e-6, 0.1), muon, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, g := make([]float32, flat), make([]float32, flat)
			want, gradient := make([]float64, flat), make([]float64, flat)
			state := make([][3][]float64, len(shapes))
			for i := range p {
				p[i] = float32(math.Sin(float64(i)))
				want[i] = float64(p[i])
			}
			for i, e := range shapes {
				state[i] = [3][]float64{make([]float64, e.Len()), make([]float64, e.Len()), make([]float64, e.Len())}
			}
			for step := 1; step <= 6; step++ {
				for i := range g {
					g[i] = float32(math.Cos(float64(i*step + 1)))
				}
				for _, e := range shapes {
					for i := range e.Len() {
						if c.off && e.Matrix() && (i/e.Columns == 1 || i%e.Columns == 2) {
							g[e.From+i] = 0
						}
					}
				}
				for i := range g {
					gradient[i] = float64(g[i]) * 0.5
				}
				for i, e := range shapes {
					c.want(e, want[e.From:][:e.Len()], gradient[e.From:][:e.Len()], 0.05, step, state[i])
				}
				c.o.Step(p, g, 0.05, 0.5, step)
			}
			for _, e := range shapes {
				for i := e.From; i < e.From+e.Len(); i++ {
					if w := want[i]; !(math.Abs(float64(p[i])-w) <= 2e-5*(1+math.Abs(w))) {
						t.Fatalf("parameter %d is %v, want %v", i, p[i], w)
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
			if a := testing.AllocsPerRun(5, func() { c.o.Step(p, g, 0.01, 1, 7) }); a != 0 {
				t.Errorf("a step allocates %v times", a)
			}
		})
	}
}

// TestZeroGradients: a gradient of zeros moves nothing, and leaves numbers that are finite.
func TestZeroGradients(t *testing.T) {
	for _, o := range []optimizer{NewAdafactor(flat, shapes, 0.8, 1, 0.001, 0),
		NewMuon(flat, shapes, 0.95, 0.9, 0.95, 1e-8, 0), NewLion(flat, 0.9, 0.99, 0),
		NewSOAP(flat, shapes, 0.95, 0.95, 1e-8, 0, 1, 5)} {
		p, g := make([]float32, flat), make([]float32, flat)
		for i := range p {
			p[i] = float32(i)
		}
		for step := 1; step <= 3; step++ {
			o.Step(p, g, 0.1, 1, step)
		}
		for i, x := range p {
			if x != float32(i) {
				t.Fatalf("%T: parameter %d is %v, want %v", o, i, x, float32(i))
			}
		}
	}
}

// TestWithin: a tensor that does not lie in the array is a fault of the caller's.
func TestWithin(t *testing.T) {
	for _, f := range []func(){
		func() { NewMuon(10, []param.Extent{{From: 8, Rows: 1, Columns: 3}}, 0, 0, 0, 1, 0) },
		func() { NewAdafactor(10, []param.Extent{{From: -1, Rows: 1, Columns: 3}}, 1, 1, 1, 0) },
		func() { NewSOAP(10, []param.Extent{{From: 8, Rows: 1, Columns: 3}}, 0, 0, 1, 0, 1, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a tensor outside of the array was taken")
				}
			}()
			f()
		}()
	}
}
