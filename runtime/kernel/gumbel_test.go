package kernel

import (
	"fmt"
	"math"
	"testing"
)

// The noise has the moments of the standard Gumbel distribution, its distribution function, and stays within its
// bounds.
func TestGumbelNoise(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const n = 1 << 18
		x := make([]float32, n)
		Gumbel(x, 11, 0, n)
		mean, variance := 0.0, 0.0
		var below [5]int
		at := [5]float64{-1, 0, 1, 2.5, 5}
		for _, v := range x {
			if !(v > -2.82 && v < 16.64) {
				t.Fatalf("a number of %v", v)
			}
			mean += float64(v) / n
			for i, a := range at {
				if float64(v) <= a {
					below[i]++
				}
			}
		}
		for _, v := range x {
			variance += (float64(v) - mean) * (float64(v) - mean) / n
		}
		nearly(t, "the mean", mean, 0.5772156649, 0.01)
		nearly(t, "the variance", variance, math.Pi*math.Pi/6, 0.01)
		for i, a := range at {
			p := math.Exp(-math.Exp(-a))
			if got := float64(below[i]) / n; !(math.Abs(got-p) <= 5*math.Sqrt(p*(1-p)/n)) {
				t.Errorf("a share of %v is below %v, want %v", got, a, p)
			}
		}
	})
	for _, w := range []uint32{0, 511, 512, 1 << 31, math.MaxUint32 - 512, math.MaxUint32} {
		u := openUnit(w)
		if want := (float64(w>>9) + 0.5) / (1 << 23); float64(u) != want || !(u > 0 && u < 1) {
			t.Errorf("word %#x gives %v, want %v", w, u, want)
		}
	}
}

// chiSquare99999 bounds the statistic of a chi-square test at a level of 1e-5, by the approximation of Wilson and
// Hilferty (1931).
func chiSquare99999(freedom float64) float64 {
	const z = 4.2649 // of the normal distribution
	c := 1 - 2/(9*freedom) + z*math.Sqrt(2/(9*freedom))
	return freedom * c * c * c
}

// The largest entry of a relaxed sample is of each category as often as its probability says, whatever the temperature.
func TestGumbelSoftmaxDistribution(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const rows = 6000
		for _, cols := range []int{3, 65} {
			one, p := floats(rng(uint64(cols)), cols), make([]float32, cols)
			Softmax(p, one, 1, cols)
			x, y := make([]float32, rows*cols), make([]float32, rows*cols)
			for r := range rows {
				copy(x[r*cols:], one)
			}
			var first []float32
			for _, inverse := range []float64{0.5, 20} {
				GumbelSoftmax(y, x, inverse, 5, rows, cols)
				count := make([]float64, cols)
				hot := make([]float32, rows*cols)
				OneHotMax(hot, y, rows, cols)
				for i, v := range hot {
					count[i%cols] += float64(v)
				}
				chi := 0.0
				for i, c := range count {
					e := float64(p[i]) * rows
					chi += (c - e) * (c - e) / e
				}
				if bound := chiSquare99999(float64(cols - 1)); !(chi <= bound) {
					t.Errorf("%d categories, β %v: the statistic is %v, above %v", cols, inverse, chi, bound)
				}
				if first == nil {
					first = hot
				}
				diff(t, "the category at another temperature", hot, first)
			}
		}
	})
}

func TestGumbelSoftmax(t *testing.T) {
	r := rng(31)
	eachLevel(t, func(t *testing.T) {
		for _, shape := range [][2]int{{1, 1}, {3, 2}, {4, 65}, {2, 255}, {3, 257}, {2, 5003}} {
			rows, cols := shape[0], shape[1]
			x, g := floats(r, rows*cols), make([]float32, rows*cols)
			Gumbel(g, 77, 0, rows*cols)
			for _, inverse := range []float64{0, 0.3, 1, 7.5, 1000} {
				want := make([]float64, rows*cols)
				for r := range rows {
					sum, top := 0.0, math.Inf(-1)
					for i := r * cols; i < (r+1)*cols; i++ {
						// The sum is rounded, which a large β shows.
						want[i] = inverse * float64(x[i]+g[i])
						top = max(top, want[i])
					}
					for i := r * cols; i < (r+1)*cols; i++ {
						want[i] = math.Exp(want[i] - top)
						sum += want[i]
					}
					for i := r * cols; i < (r+1)*cols; i++ {
						want[i] /= sum
					}
				}
				y := guard(rows*cols, rows)
				GumbelSoftmax(y.x, x, inverse, 77, rows, cols)
				y.check(t, "GumbelSoftmax")
				near(t, fmt.Sprintf("β %v, %d×%d", inverse, rows, cols), y.x, want, 1e-9, 1e-6*(2+3*inverse))
				if inverse == 0 {
					for _, v := range y.x {
						nearly(t, "at β 0 a probability", float64(v), 1/float64(cols), 1e-7)
					}
				}
				same := append([]float32{}, x...)
				GumbelSoftmax(same, same, inverse, 77, rows, cols)
				diff(t, "in place", same, y.x)
			}
			y := make([]float32, rows*cols)
			GumbelSoftmax(y, x, 1e6, 77, rows, cols) // apart by less than 1e-5 are two numbers of these rows never
			hot := make([]float32, rows*cols)
			OneHotMax(hot, y, rows, cols)
			near(t, "at a large β", y, float64s(hot), 1e-4, 0)
		}
		for _, inverse := range []float64{-1, math.Inf(1), math.NaN()} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("β = %v does not panic", inverse)
					}
				}()
				GumbelSoftmax(nil, nil, inverse, 1, 0, 0)
			}()
		}
	})
}

func float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// What is masked, infinite or not a number has a stated result.
func TestGumbelSoftmaxSpecial(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		y, hot := make([]float32, 3), make([]float32, 3)
		for _, inverse := range []float64{0, 0.5, 1, 3} {
			GumbelSoftmax(y, []float32{-inf, -inf, -inf}, inverse, 1, 1, 3)
			diff(t, "nothing but -Inf", y, []float32{0, 0, 0})
			OneHotMax(hot, y, 1, 3)
			diff(t, "the largest of zeros", hot, []float32{0, 0, 0})
			GumbelSoftmax(y, []float32{-inf, 2, -inf}, inverse, 1, 1, 3)
			diff(t, "one category", y, []float32{0, 1, 0})
			for _, bad := range []float32{inf, nan} {
				GumbelSoftmax(y, []float32{1, bad, 0}, inverse, 1, 1, 3)
				OneHotMax(hot, y, 1, 3)
				if y[1] == y[1] || hot[0] == hot[0] || hot[1] == hot[1] || hot[2] == hot[2] {
					t.Errorf("with %v at β %v a row is %v and %v, want NaN", bad, inverse, y, hot)
				}
			}
		}
		OneHotMax(hot, []float32{0.4, 0.2, 0.4}, 1, 3)
		diff(t, "the first of equal ones", hot, []float32{1, 0, 0})
	})
}

// Tokens are drawn as often as their probability says, and are the largest of the sums that the comment names.
func TestSampleRows(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const rows = 6000
		for _, cols := range []int{3, 65} {
			for _, temperature := range []float64{0.5, 1, 3} {
				one, p := floats(rng(uint64(cols)), cols), make([]float32, cols)
				Scale(p, one, float32(1/temperature), cols)
				Softmax(p, p, 1, cols)
				x, tokens, count := make([]float32, rows*cols), make([]int32, rows), make([]float64, cols)
				for r := range rows {
					copy(x[r*cols:], one)
				}
				SampleRows(tokens, x, temperature, 5, 77, rows, cols)
				for _, token := range tokens {
					count[token]++
				}
				chi := 0.0
				for i, c := range count {
					e := float64(p[i]) * rows
					chi += (c - e) * (c - e) / e
				}
				if bound := chiSquare99999(float64(cols - 1)); !(chi <= bound) {
					t.Errorf("%d categories at temperature %v: the statistic is %v, above %v", cols, temperature, chi,
						bound)
				}
			}
		}
		r := rng(33)
		for _, shape := range [][2]int{{1, 1}, {5, 2}, {4, 63}, {7, 65}, {3, 255}, {3, 257}, {2, 5003}} {
			rows, cols := shape[0], shape[1]
			x, g := floats(r, rows*cols), make([]float32, rows*cols)
			x[0] = negInf
			Gumbel(g, 8, 1000, rows*cols)
			tokens := make([]int32, rows+1)
			for _, temperature := range []float64{0, 1e-25, 0.01, 0.7, 1e40} {
				tokens[rows] = -7
				SampleRows(tokens, x, temperature, 8, 1000, rows, cols)
				if tokens[rows] != -7 {
					t.Fatal("SampleRows wrote behind the tokens")
				}
				for row, token := range tokens[:rows] {
					sum := func(c int) float64 {
						if temperature == 0 {
							return float64(x[row*cols+c])
						}
						return float64(x[row*cols+c])/temperature + float64(g[row*cols+c])
					}
					if cols == 1 {
						if token != -1 {
							t.Errorf("a row of -Inf gives %d", token)
						}
						continue
					}
					for c := range cols {
						if s := sum(c); s > sum(int(token))+1e-5*math.Abs(s) {
							t.Errorf("%d×%d at temperature %v: row %d gives %d, but %d has %v, not %v", rows, cols,
								temperature, row, token, c, s, sum(int(token)))
						}
					}
				}
			}
		}
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		tokens := make([]int32, 8)
		for _, temperature := range []float64{0, 1, 1e-28} {
			SampleRows(tokens, []float32{
				-inf, -inf, -inf,
				1, nan, inf,
				1, inf, inf,
				-inf, inf, nan,
				-inf, 3, -inf,
				-inf, -math.MaxFloat32, -inf,
				-1e10, -1e10, -2e10,
				3e38, -3e38, 2e38,
			}, temperature, 1, 0, 8, 3)
			for i, want := range []int32{-1, 1, 1, 2, 1, 1, 0, 0} {
				if tokens[i] != want && !(i == 6 && tokens[i] == 1 && temperature != 0) {
					t.Errorf("at temperature %v row %d gives %d, want %d", temperature, i, tokens[i], want)
				}
			}
		}
		SampleRows(tokens, nil, 1, 1, 0, 2, 0)
		if tokens[0] != -1 || tokens[1] != -1 {
			t.Errorf("rows without categories give %v", tokens[:2])
		}
		for _, temperature := range []float64{-1, math.Inf(1), math.NaN()} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("a temperature of %v does not panic", temperature)
					}
				}()
				SampleRows(nil, nil, temperature, 1, 0, 0, 0)
			}()
		}
	})
}
