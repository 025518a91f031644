package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// additive64 is the definition.
func additive64(q, keys, memory, v []float64, present []int32, steps, batch, hidden, width int) (c, w []float64) {
	c, w = make([]float64, batch*width), make([]float64, batch*steps)
	for b := range batch {
		sum := 0.0
		for s := range steps {
			if present[s*batch+b] < 0 {
				continue
			}
			e := 0.0
			for h := range hidden {
				e += v[h] * math.Tanh(q[b*hidden+h]+keys[(s*batch+b)*hidden+h])
			}
			w[b*steps+s] = math.Exp(e)
			sum += w[b*steps+s]
		}
		for s := range steps {
			if sum > 0 {
				w[b*steps+s] /= sum
			}
			if present[s*batch+b] < 0 {
				continue
			}
			for i := range width {
				c[b*width+i] += w[b*steps+s] * memory[(s*batch+b)*width+i]
			}
		}
	}
	return c, w
}

// TestAdditiveAttention compares context, weights and gradients with the definition in float64 and its differences, at
// every level and number of threads, with steps that hold NaN and take no part.
func TestAdditiveAttention(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range [][4]int{{1, 1, 1, 1}, {3, 2, 5, 7}, {7, 5, 33, 18}, {12, 9, 64, 130}} {
		steps, batch, hidden, width := n[0], n[1], n[2], n[3]
		draw := func(n int) ([]float32, []float64) {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			return x, widen(x)
		}
		q, q64 := draw(batch * hidden)
		keys, keys64 := draw(steps * batch * hidden)
		memory, memory64 := draw(steps * batch * width)
		v, v64 := draw(hidden)
		dc, dc64 := draw(batch * width)
		present := make([]int32, steps*batch)
		for i := range present {
			if r.IntN(4) == 0 || batch > 1 && i%batch == batch-1 { // the last sequence is empty
				present[i] = -1
				for h := range hidden {
					keys[i*hidden+h] = float32(math.NaN())
				}
				for k := range width {
					memory[i*width+k] = float32(math.NaN())
				}
			}
		}
		c64, w64 := additive64(q64, keys64, memory64, v64, present, steps, batch, hidden, width)
		loss := func() float64 {
			c, _ := additive64(q64, keys64, memory64, v64, present, steps, batch, hidden, width)
			sum := 0.0
			for i, x := range c {
				sum += x * dc64[i]
			}
			return sum
		}
		slope := func(x []float64) []float64 {
			d := make([]float64, len(x))
			for i, keep := range x {
				const eps = 1e-5
				x[i] = keep + eps
				up := loss()
				x[i] = keep - eps
				d[i] = (up - loss()) / (2 * eps)
				x[i] = keep
			}
			return d
		}
		want := map[string][]float64{"c": c64, "w": w64, "dq": slope(q64), "dv": slope(v64)}
		if steps < 10 {
			want["dkeys"], want["dmemory"] = slope(keys64), slope(memory64)
		}
		var first map[string][]float32
		eachLevel(t, func(t *testing.T) {
			for _, threads := range []int{1, 2} {
				parallel.SetThreads(threads)
				got := map[string][]float32{
					"c": make([]float32, batch*width), "w": make([]float32, batch*steps),
					"dq":    make([]float32, batch*hidden),
					"dkeys": make([]float32, len(keys)), "dmemory": make([]float32, len(memory)),
					"rows": make([]float32, batch*hidden), "dv": make([]float32, hidden),
				}
				AdditiveAttention(got["c"], got["w"], q, keys, memory, v, present, steps, batch, hidden, width)
				AdditiveAttentionGrad(got["dq"], got["dkeys"], got["dmemory"], got["rows"], dc, q, keys, memory, v,
					got["w"], present, steps, batch, hidden, width)
				SumRows(got["dv"], got["rows"], batch, hidden)
				for name, w := range want {
					for i, x := range got[name] {
						if !(math.Abs(float64(x)-w[i]) <= 2e-5*(1+math.Abs(w[i]))*math.Sqrt(float64(hidden+width))) {
							t.Fatalf("%v: %s[%d] is %v, want %v", n, name, i, x, w[i])
						}
					}
				}
				if first == nil {
					first = got
				}
				for name, x := range got {
					for i := range x {
						if math.Float32bits(x[i]) != math.Float32bits(first[name][i]) {
							t.Fatalf("%v: %s[%d] is %v, and was %v", n, name, i, x[i], first[name][i])
						}
					}
				}
			}
		})
	}
	parallel.SetThreads(2)
}

func TestColumns(t *testing.T) {
	a, b := []float32{1, 2, 3, 4}, []float32{5, 6}
	x := make([]float32, 6)
	JoinColumns(x, a, b, 2, 2, 1)
	if fmt.Sprint(x) != "[1 2 5 3 4 6]" {
		t.Errorf("joined: %v", x)
	}
	c, d := make([]float32, 4), make([]float32, 2)
	SplitColumns(c, d, x, 2, 2, 1)
	if fmt.Sprint(c, d) != fmt.Sprint(a, b) {
		t.Errorf("split: %v, %v", c, d)
	}
	MaskRows(x, x, []int32{-1, 0}, 2, 3)
	if fmt.Sprint(x) != "[0 0 0 3 4 6]" {
		t.Errorf("masked: %v", x)
	}
}
