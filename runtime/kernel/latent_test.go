package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

func normals(r *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * scale)
	}
	return x
}

func nearly(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*(1+math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// latentShapes have columns around the lengths of chunks and of vectors.
var latentShapes = [][2]int{{1, 1}, {3, 2}, {2, 15}, {5, 16}, {4, 63}, {3, 64}, {2, 65}, {7, 100}, {3, 255}, {2, 256},
	{2, 257}, {64, 784}}

func TestGaussianSample(t *testing.T) { eachLevel(t, testGaussianSample) }

func testGaussianSample(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 15, 16, 64, 255, 256, 257, 1000} {
		mean, logvar, z, noise := guardOf(normals(r, n, 1), 1), guardOf(normals(r, n, 1), 1), guard(n,
			1), make([]float32, n)
		GaussianSample(z.x, mean.x, logvar.x, 99, n)
		z.check(t, "GaussianSample")
		Normal(noise, 99, 0, n)
		for i, x := range z.x {
			nearly(t, "a sample", float64(x), float64(mean.x[i])+math.Exp(float64(logvar.x[i])/2)*float64(noise[i]),
				1e-6)
		}
		same := append([]float32{}, mean.x...)
		GaussianSample(same, same, logvar.x, 99, n)
		for i, x := range z.x {
			if same[i] != x {
				t.Fatalf("in place, element %d of %d is %v, not %v", i, n, same[i], x)
			}
		}
	}
}

func TestGaussianKL(t *testing.T) { eachLevel(t, testGaussianKL) }

func testGaussianKL(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for _, s := range latentShapes {
		rows, cols := s[0], s[1]
		mean, logvar := guardOf(normals(r, rows*cols, 1), rows), guardOf(normals(r, rows*cols, 1), rows)
		want := make([]float64, cols)
		for i := range mean.x {
			m, l := float64(mean.x[i]), float64(logvar.x[i])
			want[i%cols] += (m*m + math.Exp(l) - 1 - l) / 2 / float64(rows)
		}
		sum := 0.0
		for _, w := range want {
			sum += w
		}
		for _, free := range [][2]float64{{0, 0}, {0.7, 0}, {0, sum * 0.9}, {0, sum * 1.1}, {1e9, 0}} {
			dims := guard(cols, 1)
			kl := GaussianKL(dims.x, mean.x, logvar.x, rows, cols, free[0], free[1])
			total := 0.0
			for d, w := range want {
				nearly(t, "a dimension's divergence", float64(dims.x[d]), w, 1e-6)
				total += max(w, free[0])
			}
			nearly(t, "the divergence", kl, max(total, free[1]), 1e-6)
			dmean, dlogvar := guard(rows*cols, rows), guard(rows*cols, rows)
			GaussianKLGrad(dmean.x, dlogvar.x, mean.x, logvar.x, dims.x, 0.3, rows, cols, free[0], free[1])
			dims.check(t, "GaussianKL")
			dmean.check(t, "GaussianKLGrad")
			dlogvar.check(t, "GaussianKLGrad")
			for i := range dmean.x {
				w := 0.3 / float64(rows)
				if want[i%cols] < free[0] || total < free[1] {
					w = 0
				}
				nearly(t, "dmean", float64(dmean.x[i]), w*float64(mean.x[i]), 1e-6)
				nearly(t, "dlogvar", float64(dlogvar.x[i]), w/2*(math.Exp(float64(logvar.x[i]))-1), 1e-6)
			}
		}
	}
	if kl := GaussianKL(nil, nil, nil, 0, 0, 1, 2); kl != 0 {
		t.Errorf("without rows the divergence is %v", kl)
	}
	bad := []float32{float32(math.NaN())}
	dims := make([]float32, 1)
	if kl := GaussianKL(dims, bad, bad, 1, 1, 0.5, 0.5); !math.IsNaN(kl) {
		t.Errorf("of NaN the divergence is %v", kl)
	}
}

func TestLikelihoods(t *testing.T) { eachLevel(t, testLikelihoods) }

func testLikelihoods(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	const deviation = 0.7
	for name, f := range map[string]struct {
		run   func(rowLoss, dy, y, x []float32, rows, cols int) float64
		loss  func(y, x float64) float64
		slope func(y, x float64) float64
	}{
		"Bernoulli": {BernoulliLoss,
			func(y, x float64) float64 { return math.Max(y, 0) + math.Log1p(math.Exp(-math.Abs(y))) - x*y },
			func(y, x float64) float64 { return 1/(1+math.Exp(-y)) - x }},
		"Gaussian": {func(rowLoss, dy, y, x []float32, rows, cols int) float64 {
			return GaussianLoss(rowLoss, dy, y, x, rows, cols, deviation)
		}, func(y, x float64) float64 {
			return (x-y)*(x-y)/(2*deviation*deviation) + math.Log(deviation) + math.Log(2*math.Pi)/2
		}, func(y, x float64) float64 { return (y - x) / (deviation * deviation) }},
	} {
		for _, s := range latentShapes {
			rows, cols := s[0], s[1]
			y, x := guardOf(normals(r, rows*cols, 3), rows), guard(rows*cols, rows)
			Uniform(x.x, 5, 0, rows*cols)
			rowLoss, dy := guard(rows, 1), guard(rows*cols, rows)
			mean := f.run(rowLoss.x, dy.x, y.x, x.x, rows, cols)
			rowLoss.check(t, name)
			dy.check(t, name)
			total := 0.0
			for i := range rows {
				want := 0.0
				for k := i * cols; k < (i+1)*cols; k++ {
					want += f.loss(float64(y.x[k]), float64(x.x[k]))
					nearly(t, name+"'s gradient", float64(dy.x[k]),
						f.slope(float64(y.x[k]), float64(x.x[k]))/float64(rows), 1e-6)
				}
				nearly(t, name+"'s loss of a row", float64(rowLoss.x[i]), want, 1e-5)
				total += want
			}
			nearly(t, name+"'s loss", mean, total/float64(rows), 1e-5)
			if alone := f.run(rowLoss.x, nil, y.x, x.x, rows, cols); alone != mean {
				t.Errorf("%s: without a gradient the loss is %v, with it %v", name, alone, mean)
			}
			for _, threads := range []int{1, 3} {
				before := parallel.Threads()
				parallel.SetThreads(threads)
				in := append([]float32{}, y.x...)
				if again := f.run(rowLoss.x, in, in, x.x, rows, cols); again != mean {
					t.Errorf("%s: in place, on %d threads, the loss is %v, not %v", name, threads, again, mean)
				}
				parallel.SetThreads(before)
				for i, w := range dy.x {
					if in[i] != w {
						t.Fatalf("%s: in place the gradient is %v, not %v", name, in[i], w)
					}
				}
			}
		}
	}
}

func TestDropRows(t *testing.T) { eachLevel(t, testDropRows) }

func testDropRows(t *testing.T) {
	const rows, cols = 3000, 3
	x := guardOf(normals(rand.New(rand.NewPCG(4, 1)), rows*cols, 1), rows)
	dst := guard(rows*cols, rows)
	for _, rate := range []float32{0, 0.3, 1} {
		DropRows(dst.x, x.x, rate, 7, rows, cols)
		dst.check(t, "DropRows")
		dropped := 0
		for r := range rows {
			zeros := 0
			for c := range cols {
				switch v := dst.x[r*cols+c]; v {
				case 0:
					zeros++
				case x.x[r*cols+c]:
				default:
					t.Fatalf("row %d has %v", r, v)
				}
			}
			if zeros == cols {
				dropped++
			} else if zeros > 0 {
				t.Fatalf("row %d is dropped in part", r)
			}
		}
		nearly(t, "the share of dropped rows", float64(dropped)/rows, float64(rate), 0.03)
	}
}

func TestBagOfWords(t *testing.T) { eachLevel(t, testBagOfWords) }

func testBagOfWords(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	const weight = 0.4
	for _, s := range [][3]int{{1, 1, 2}, {4, 3, 65}, {7, 5, 257}, {3, 2, 5003}} {
		steps, rows, vocab := s[0], s[1], s[2]
		x := guardOf(normals(r, rows*vocab, 2), rows)
		targets := make([]int32, steps*rows)
		for i := range targets {
			targets[i] = int32(r.IntN(vocab))
		}
		targets[len(targets)-1] = -1
		want, grad := 0.0, make([]float64, rows*vocab)
		for b := range rows {
			z := 0.0
			for _, v := range x.x[b*vocab : (b+1)*vocab] {
				z += math.Exp(float64(v))
			}
			for k := range steps {
				target := targets[k*rows+b]
				if target < 0 {
					continue
				}
				want += weight / float64(rows) * (math.Log(z) - float64(x.x[b*vocab+int(target)]))
				for i := range vocab {
					grad[b*vocab+i] += weight / float64(rows) * math.Exp(float64(x.x[b*vocab+i])) / z
				}
				grad[b*vocab+int(target)] -= weight / float64(rows)
			}
		}
		rowLoss, dx := guard(rows, 1), guard(rows*vocab, rows)
		got := BagOfWords(rowLoss.x, dx.x, x.x, targets, steps, rows, vocab, weight)
		rowLoss.check(t, "BagOfWords")
		dx.check(t, "BagOfWords")
		nearly(t, "the loss", got, want, 1e-5)
		for i, w := range grad {
			nearly(t, "the gradient", float64(dx.x[i]), w, 1e-6)
		}
		if alone := BagOfWords(rowLoss.x, nil, x.x, targets, steps, rows, vocab, weight); math.Abs(alone-got) > 1e-12 {
			t.Errorf("without a gradient the loss is %v, with it %v", alone, got)
		}
		if again := BagOfWords(rowLoss.x, x.x, x.x, targets, steps, rows, vocab, weight); again != got {
			t.Errorf("in place the loss is %v, not %v", again, got)
		}
	}
}
