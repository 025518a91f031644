package kernel

import (
	"fmt"
	"math"
	"testing"
)

var rowSizes = []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 80, 96, 100, 127, 128, 129, 191, 200,
	256, 300, 1000}

// run is one kernel over rows with outputs that can be compared: every output slice is filled with canaries first.
type rowCase struct {
	name string
	outs func(rows, cols int) []int // lengths of the outputs
	ins  func(rows, cols int) []int
	run  func(out, in [][]float32, rows, cols int)
}

func lens(f ...func(r, c int) int) func(r, c int) []int {
	return func(r, c int) []int {
		n := make([]int, len(f))
		for i := range f {
			n[i] = f[i](r, c)
		}
		return n
	}
}

func rc(r, c int) int { return r * c }
func rr(r, _ int) int { return r }
func cc(_, c int) int { return c }

var someTargets = func(rows, cols int) []int32 {
	t := make([]int32, rows)
	for i := range t {
		t[i] = int32(i*7%(cols+1)) - 1
	}
	return t
}

var rowCases = []rowCase{
	{"Softmax", lens(rc), lens(rc), func(o, x [][]float32, r, c int) { Softmax(o[0], x[0], r, c) }},
	{"SoftmaxPrefix", lens(rc), lens(rc), func(o, x [][]float32, r, c int) {
		SoftmaxPrefix(o[0], x[0], 0.3, []int32{int32(c), int32(c / 2), 0}, r, c)
	}},
	{"SoftmaxPrefixGrad", lens(rc), lens(rc, rc), func(o, x [][]float32, r, c int) {
		SoftmaxPrefixGrad(o[0], x[0], x[1], 0.3, []int32{int32(c), int32(c / 2), 0}, r, c)
	}},
	{"GumbelSoftmax", lens(rc, rc), lens(rc), func(o, x [][]float32, r, c int) {
		GumbelSoftmax(o[0], x[0], 1.5, 9, r, c)
		OneHotMax(o[1], o[0], r, c)
	}},
	{"SampleRows", lens(rr), lens(rc), func(o, x [][]float32, r, c int) {
		tokens := make([]int32, r)
		SampleRows(tokens, x[0], 0.8, 9, 21, r, c)
		for i, token := range tokens {
			o[0][i] = float32(token)
		}
	}},
	{"LogSoftmax", lens(rc), lens(rc), func(o, x [][]float32, r, c int) { LogSoftmax(o[0], x[0], r, c) }},
	{"SoftmaxGrad", lens(rc), lens(rc, rc), func(o, x [][]float32, r, c int) { SoftmaxGrad(o[0], x[0], x[1], r, c) }},
	{"LogSoftmaxGrad", lens(rc), lens(rc, rc),
		func(o, x [][]float32, r, c int) { LogSoftmaxGrad(o[0], x[0], x[1], r, c) }},
	{"LayerNorm", lens(rc, rr, rr), lens(rc, cc, cc), func(o, x [][]float32, r, c int) {
		LayerNorm(o[0], o[1], o[2], x[0], x[1], x[2], r, c, 1e-5)
	}},
	{"RMSNorm", lens(rc, rr), lens(rc, cc),
		func(o, x [][]float32, r, c int) { RMSNorm(o[0], o[1], x[0], x[1], r, c, 1e-6) }},
	{"LayerNormGrad", lens(rc, cc, cc), lens(rc, rc, cc, rr, rr), func(o, x [][]float32, r, c int) {
		LayerNormGrad(o[0], o[1], o[2], x[0], x[1], x[2], x[3], x[4], r, c)
	}},
	{"RMSNormGrad", lens(rc, cc), lens(rc, rc, cc, rr), func(o, x [][]float32, r, c int) {
		RMSNormGrad(o[0], o[1], x[0], x[1], x[2], x[3], r, c)
	}},
	{"AddBias", lens(rc), lens(rc, cc), func(o, x [][]float32, r, c int) { AddBias(o[0], x[0], x[1], r, c) }},
	{"SumRows", lens(cc), lens(rc), func(o, x [][]float32, r, c int) { SumRows(o[0], x[0], r, c) }},
	{"SumCols", lens(rr), lens(rc), func(o, x [][]float32, r, c int) { SumCols(o[0], x[0], r, c) }},
	{"ScaleRows", lens(rc), lens(rc, rr), func(o, x [][]float32, r, c int) { ScaleRows(o[0], x[0], x[1], r, c) }},
	{"DotRows", lens(rr), lens(rc, rc), func(o, x [][]float32, r, c int) { DotRows(o[0], x[0], x[1], r, c) }},
	{"Normalize", lens(rc), lens(rc), func(o, x [][]float32, r, c int) { Normalize(o[0], x[0], r*c) }},
	{"Mean", lens(func(int, int) int { return 1 }), lens(rc), func(o, x [][]float32, r, c int) {
		o[0][0] = float32(Mean(x[0], r*c))
	}},
	{"CrossEntropy", lens(rr, rc), lens(rc), func(o, x [][]float32, r, c int) {
		CrossEntropy(o[0], o[1], x[0], someTargets(r, c), r, c, 0)
	}},
	{"CrossEntropy smoothed", lens(rr, rc), lens(rc), func(o, x [][]float32, r, c int) {
		CrossEntropy(o[0], o[1], x[0], someTargets(r, c), r, c, 0.1)
	}},
	{"CrossEntropy without gradient", lens(rr), lens(rc), func(o, x [][]float32, r, c int) {
		CrossEntropy(o[0], nil, x[0], someTargets(r, c), r, c, 0)
	}},
	{"WeightedCrossEntropy", lens(rr, rc), lens(rc, rr), func(o, x [][]float32, r, c int) {
		WeightedCrossEntropy(o[0], o[1], x[0], someTargets(r, c), x[1], r, c)
	}},
	{"SquaredNorm", lens(func(int, int) int { return 1 }), lens(rc), func(o, x [][]float32, r, c int) {
		o[0][0] = float32(SquaredNorm(x[0], r*c))
	}},
	{"Gather", lens(rc), lens(rc), func(o, x [][]float32, r, c int) {
		ids := make([]int32, r)
		for i := range ids {
			ids[i] = int32(i*5%(r+1)) - 1
		}
		Gather(o[0], x[0], ids, c)
	}},
	{"ScatterAdd", lens(rc), lens(rc, rc), func(o, x [][]float32, r, c int) {
		ids := make([]int32, r)
		for i := range ids {
			ids[i] = int32(i*i%(r+1)) - 1
		}
		copy(o[0], x[1])
		ScatterAdd(o[0], x[0], ids, c)
	}},
}

// Every kernel over rows gives the same bits at every level and with any number of threads, and writes nothing else.
func TestRowBits(t *testing.T) {
	r := rng(5)
	for _, k := range rowCases {
		for _, cols := range rowSizes {
			for _, rows := range []int{1, 3, 70} {
				var in [][]float32
				for _, n := range k.ins(rows, cols) {
					in = append(in, floats(r, n))
				}
				if cols > 3 {
					in[0][1] = negInf // one masked position
				}
				var want []*guarded
				for _, threads := range []int{1, 2, 3} {
					withThreads(t, threads)
					for _, l := range levels() {
						setLevel(t, l)
						var got []*guarded
						var out, x [][]float32
						for i, n := range k.outs(rows, cols) {
							got = append(got, guard(n, i+cols))
							out = append(out, got[i].x)
						}
						for i := range in {
							x = append(x, guardOf(in[i], i+rows).x)
						}
						k.run(out, x, rows, cols)
						if want == nil {
							want = got
						}
						for i := range got {
							what := fmt.Sprintf("%s %d×%d %s threads %d output %d", k.name, rows, cols, levelNames[l],
								threads, i)
							diff(t, what, got[i].x, want[i].x)
							got[i].check(t, what)
						}
						for i := range in {
							diff(t, k.name+" changed an input", x[i], in[i])
						}
					}
				}
			}
		}
	}
}

// Products, lengths and means of rows agree with float64, and what is empty or zero has a value.
func TestRowSums(t *testing.T) {
	r := rng(12)
	const rows = 5
	for _, cols := range rowSizes {
		a, b, s := floats(r, rows*cols), floats(r, rows*cols), floats(r, rows)
		dot, scaled, unit := make([]float64, rows), make([]float64, rows*cols), make([]float64, rows*cols)
		mean, square := 0.0, 0.0
		for i := range a {
			dot[i/cols] += float64(a[i]) * float64(b[i])
			scaled[i] = float64(a[i]) * float64(s[i/cols])
			mean += float64(a[i]) / float64(len(a))
			square += float64(a[i]) * float64(a[i])
		}
		for i := range a {
			unit[i] = float64(a[i]) / math.Sqrt(square)
		}
		y := make([]float32, rows*cols)
		DotRows(y, a, b, rows, cols)
		near(t, "dot", y[:rows], dot, 1e-3, 1e-5)
		ScaleRows(y, a, s, rows, cols)
		near(t, "scaled", y, scaled, 0, 1e-7)
		if got := Mean(a, len(a)); math.Abs(got-mean) > 1e-12*(1+math.Abs(mean)) {
			t.Errorf("mean %v, want %v", got, mean)
		}
		Normalize(a, a, len(a))
		near(t, "normalized", a, unit, 0, 3e-7)
	}
	zeros := make([]float32, 3)
	if Normalize(zeros, zeros, 3); zeros[0] != 0 || Mean(zeros, 0) != 0 {
		t.Error("nothing has a length or a mean")
	}
}

func TestSoftmaxAgainstFloat64(t *testing.T) {
	r := rng(6)
	for _, cols := range rowSizes {
		x := floats(r, cols)
		sum, m := 0.0, math.Inf(-1)
		for _, v := range x {
			m = max(m, float64(v))
		}
		for _, v := range x {
			sum += math.Exp(float64(v) - m)
		}
		p, lp := make([]float64, cols), make([]float64, cols)
		for i, v := range x {
			p[i] = math.Exp(float64(v)-m) / sum
			lp[i] = float64(v) - m - math.Log(sum)
		}
		y := make([]float32, cols)
		Softmax(y, x, 1, cols)
		near(t, "softmax", y, p, 1e-9, 1e-6)
		LogSoftmax(y, x, 1, cols)
		near(t, "log softmax", y, lp, 2e-6, 1e-6)

		dy, dx := floats(r, cols), make([]float32, cols)
		dot, all := 0.0, 0.0
		for i, d := range dy {
			dot += p[i] * float64(d)
			all += float64(d)
		}
		want, wantLog := make([]float64, cols), make([]float64, cols)
		for i, d := range dy {
			want[i] = p[i] * (float64(d) - dot)
			wantLog[i] = float64(d) - p[i]*all
		}
		LogSoftmaxGrad(dx, y, dy, 1, cols)
		near(t, "log softmax gradient", dx, wantLog, 2e-5, 1e-5)
		Softmax(y, x, 1, cols)
		SoftmaxGrad(dx, y, dy, 1, cols)
		near(t, "softmax gradient", dx, want, 1e-6, 1e-5)
	}
}

func TestSoftmaxMasked(t *testing.T) {
	inf := float32(math.Inf(1))
	eachLevel(t, func(t *testing.T) {
		y := make([]float32, 3)
		Softmax(y, []float32{-inf, -inf, -inf}, 1, 3)
		diff(t, "nothing but -Inf", y, []float32{0, 0, 0})
		Softmax(y, []float32{-inf, 2, -inf}, 1, 3)
		diff(t, "one position", y, []float32{0, 1, 0})
		for _, bad := range []float32{inf, float32(math.NaN())} {
			Softmax(y, []float32{1, bad, 0}, 1, 3)
			if y[0] == y[0] && y[1] == y[1] {
				t.Errorf("softmax with %v is %v, want NaN", bad, y)
			}
		}
	})
}

// crossEntropy is the loss and its gradient in float64.
func crossEntropy(x []float32, targets []int32, rows, vocab int, s float64) (loss float64, grad []float64) {
	grad = make([]float64, rows*vocab)
	count := 0.0
	for _, t := range targets {
		if t >= 0 {
			count++
		}
	}
	for r, t := range targets {
		if t < 0 {
			continue
		}
		row := x[r*vocab : (r+1)*vocab]
		m, sum, mean := math.Inf(-1), 0.0, 0.0
		for _, v := range row {
			m = max(m, float64(v))
			mean += float64(v) / float64(vocab)
		}
		for _, v := range row {
			sum += math.Exp(float64(v) - m)
		}
		lse := m + math.Log(sum)
		loss += ((1-s)*(lse-float64(row[t])) + s*(lse-mean)) / count
		for i, v := range row {
			q := s / float64(vocab)
			if int32(i) == t {
				q += 1 - s
			}
			grad[r*vocab+i] = (math.Exp(float64(v)-lse) - q) / count
		}
	}
	return loss, grad
}

func TestCrossEntropy(t *testing.T) {
	r := rng(7)
	for _, s := range []float64{0, 0.1} {
		for _, vocab := range []int{2, 65, 96, 257, 5000} {
			const rows = 20
			x := floats(r, rows*vocab)
			targets := someTargets(rows, vocab)
			want, grad := crossEntropy(x, targets, rows, vocab, s)
			loss := make([]float32, rows)
			only := CrossEntropy(loss, nil, x, targets, rows, vocab, float32(s))
			got := CrossEntropy(loss, x, x, targets, rows, vocab, float32(s)) // in place
			if math.Abs(got-want) > 2e-6*want || got != only {
				t.Errorf("vocab %d smoothing %v: loss %v and %v, want %v", vocab, s, got, only, want)
			}
			near(t, "gradient", x, grad, 1e-8, 2e-6)

			// Of sequences it is the sum over these in place of that over the targets.
			const sequences = 4
			copies, count := floats(rng(7), rows*vocab), 0.0
			for _, target := range targets {
				if target >= 0 {
					count++
				}
			}
			want, grad = crossEntropy(copies, targets, rows, vocab, s)
			for i := range grad {
				grad[i] *= count / sequences
			}
			got = SequenceCrossEntropy(loss, copies, copies, targets, rows, vocab, float32(s), sequences)
			if want *= count / sequences; math.Abs(got-want) > 2e-6*want {
				t.Errorf("vocab %d smoothing %v: loss of sequences %v, want %v", vocab, s, got, want)
			}
			near(t, "gradient of sequences", copies, grad, 1e-7, 2e-6)
			if s > 0 {
				continue
			}

			// With weights each row counts as much as its own says, that of padding, which is no number, nothing.
			copies, weights := floats(rng(7), rows*vocab), floats(r, rows)
			weights[4] = 0
			want, grad = 0, make([]float64, rows*vocab)
			for i := range rows {
				if targets[i] < 0 {
					weights[i] = float32(math.NaN())
					continue
				}
				l, g := crossEntropy(copies[i*vocab:][:vocab], targets[i:i+1], 1, vocab, 0)
				want += float64(weights[i]) * l / count
				for k, v := range g {
					grad[i*vocab+k] = float64(weights[i]) * v / count
				}
			}
			plain := make([]float32, rows)
			CrossEntropy(plain, nil, copies, targets, rows, vocab, 0)
			only = WeightedCrossEntropy(loss, nil, copies, targets, weights, rows, vocab)
			got = WeightedCrossEntropy(loss, copies, copies, targets, weights, rows, vocab)
			if math.Abs(got-want) > 2e-6*(1+math.Abs(want)) || got != only {
				t.Errorf("vocab %d: weighted loss %v and %v, want %v", vocab, got, only, want)
			}
			diff(t, "losses of rows", loss, plain)
			near(t, "gradient with weights", copies, grad, 1e-7, 2e-6)
		}
	}
	if l := CrossEntropy(make([]float32, 2), nil, make([]float32, 6), []int32{-1, -1}, 2, 3, 0); l != 0 {
		t.Errorf("padding only: loss %v, want 0", l)
	}
	x := []float32{1, float32(math.NaN()), 2}
	if l := CrossEntropy(make([]float32, 1), nil, x, []int32{0}, 1, 3, 0); l == l {
		t.Errorf("NaN among the logits: loss %v", l)
	}
}

func TestNorm(t *testing.T) {
	r := rng(8)
	for _, cols := range []int{1, 5, 64, 130, 768} {
		for _, rms := range []bool{false, true} {
			const rows, eps = 9, 1e-5
			x, gain, bias, dy := floats(r, rows*cols), floats(r, cols), floats(r, cols), floats(r, rows*cols)
			y, dx := make([]float32, rows*cols), make([]float32, rows*cols)
			mean, rstd, dgain, dbias := make([]float32, rows), make([]float32, rows), make([]float32,
				cols), make([]float32, cols)
			wy, wdx := make([]float64, rows*cols), make([]float64, rows*cols)
			wgain, wbias := make([]float64, cols), make([]float64, cols)
			for i := range rows {
				m, v := 0.0, 0.0
				for _, e := range x[i*cols : (i+1)*cols] {
					m += float64(e) / float64(cols)
				}
				if rms {
					m = 0
				}
				for _, e := range x[i*cols : (i+1)*cols] {
					v += (float64(e) - m) * (float64(e) - m) / float64(cols)
				}
				s := 1 / math.Sqrt(v+eps)
				s1, s2 := 0.0, 0.0
				for c := range cols {
					h := (float64(x[i*cols+c]) - m) * s
					d := float64(dy[i*cols+c])
					wy[i*cols+c] = h * float64(gain[c])
					if !rms {
						wy[i*cols+c] += float64(bias[c])
						s1 += d * float64(gain[c]) / float64(cols)
					}
					s2 += d * float64(gain[c]) * h / float64(cols)
					wgain[c] += d * h
					wbias[c] += d
				}
				for c := range cols {
					h := (float64(x[i*cols+c]) - m) * s
					wdx[i*cols+c] = s * (float64(dy[i*cols+c])*float64(gain[c]) - s1 - h*s2)
				}
			}
			if rms {
				RMSNorm(y, rstd, x, gain, rows, cols, eps)
				copy(dx, dy)
				RMSNormGrad(dx, dgain, dx, x, gain, rstd, rows, cols)
			} else {
				LayerNorm(y, mean, rstd, x, gain, bias, rows, cols, eps)
				copy(dx, dy)
				LayerNormGrad(dx, dgain, dbias, dx, x, gain, mean, rstd, rows, cols)
				near(t, "dbias", dbias, wbias, 1e-5, 1e-5)
			}
			near(t, "y", y, wy, 1e-5, 1e-5)
			near(t, "dgain", dgain, wgain, 1e-4, 1e-5)
			if cols > 1 { // the norm of one number has a gradient of nearly 0 times a large rstd
				near(t, "dx", dx, wdx, 2e-5, 2e-5)
			}
		}
	}
}

// A prefix is the softmax of the scaled prefix, with zeros after it, and its gradient is that of the prefix.
func TestSoftmaxPrefix(t *testing.T) {
	const rows, cols, scale = 6, 70, 0.25
	r := rng(11)
	x, dy := floats(r, rows*cols), floats(r, rows*cols)
	y, dx := make([]float32, rows*cols), make([]float32, rows*cols)
	valid := []int32{1, 40, 70}
	for i := range rows {
		for c := int(valid[i%3]); c < cols; c++ {
			dy[i*cols+c] = float32(math.NaN())
		}
	}
	SoftmaxPrefix(y, x, scale, valid, rows, cols)
	SoftmaxPrefixGrad(dx, y, dy, scale, valid, rows, cols)
	for i := range rows {
		n := int(valid[i%3])
		a, p, g := make([]float32, n), make([]float32, n), make([]float32, n)
		Scale(a, x[i*cols:], scale, n)
		Softmax(p, a, 1, n)
		SoftmaxGrad(g, p, dy[i*cols:], 1, n)
		Scale(g, g, scale, n)
		zeros := make([]float32, cols-n)
		diff(t, "prefix", y[i*cols:i*cols+n], p)
		diff(t, "beyond the prefix", y[i*cols+n:(i+1)*cols], zeros)
		diff(t, "gradient", dx[i*cols:i*cols+n], g)
		diff(t, "gradient beyond the prefix", dx[i*cols+n:(i+1)*cols], zeros)
	}
}

// TestSumBlocks compares sums down columns, and those of a norm's gradient, with their definition: blocks of 128 rows,
// and then the blocks, for any number of threads.
func TestSumBlocks(t *testing.T) {
	r := rng(41)
	for _, shape := range [][2]int{
		{1, 300}, {127, 5}, {128, 200}, {129, 64}, {300, 131}, {1000, 4}, {1025, 130}, {260, 4200},
	} {
		rows, cols := shape[0], shape[1]
		x, dy, mean, rstd := floats(r, rows*cols), floats(r, rows*cols), floats(r, rows), floats(r, rows)
		gain := floats(r, cols)
		wantSum, wantGain := make([]float32, cols), make([]float32, cols)
		for c := range cols {
			for r0 := 0; r0 < rows; r0 += 128 {
				var s, g float32
				for r := r0; r < min(r0+128, rows); r++ {
					s += dy[r*cols+c]
					g = fma(dy[r*cols+c], float32((x[r*cols+c]-mean[r])*rstd[r]), g)
				}
				wantSum[c] += s
				wantGain[c] += g
			}
		}
		for _, threads := range []int{1, 2, 3} {
			withThreads(t, threads)
			eachLevel(t, func(t *testing.T) {
				sum, dgain, dbias := make([]float32, cols), make([]float32, cols), make([]float32, cols)
				SumRows(sum, dy, rows, cols)
				diff(t, "SumRows", sum, wantSum)
				dx := append([]float32(nil), dy...)
				LayerNormGrad(dx, dgain, dbias, dx, x, gain, mean, rstd, rows, cols)
				diff(t, "dgain", dgain, wantGain)
				diff(t, "dbias", dbias, wantSum)
				RMSNormGrad(dx, dgain, dy, x, gain, rstd, rows, cols)
			})
		}
	}
}

// TestSumFar sums down the columns of matrices that are read as they lie in memory.
func TestSumFar(t *testing.T) {
	r := rng(43)
	for _, cols := range []int{64, 131, 300, 4200} {
		rows := farElements/cols + 1
		x := floats(r, rows*cols)
		want := make([]float32, cols)
		for r0 := 0; r0 < rows; r0 += 128 {
			block := make([]float32, cols)
			for r := r0; r < min(r0+128, rows); r++ {
				for c, v := range x[r*cols : (r+1)*cols] {
					block[c] += v
				}
			}
			for c, v := range block {
				want[c] += v
			}
		}
		for _, threads := range []int{1, 3} {
			withThreads(t, threads)
			eachLevel(t, func(t *testing.T) {
				sum := make([]float32, cols)
				SumRows(sum, x, rows, cols)
				diff(t, "SumRows", sum, want)
			})
		}
	}
}
