package kernel

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/cache"
)

var somePresent, somePositions, someTokens = []int32{0, -1, 0, 0, 1, 2}, []int32{3, 4, 5, 6, 7, 8}, make([]int32, 3)

var someKeys = cache.New(cache.F32, 1, 2, 9, 8)

// calls are one call of kernels of every kind, for tests of what all have in common. x has 4096 elements and more than
// enough for each.
func calls(x func(i int) []float32, ids []int32) map[string]func() {
	const n = 96
	h := Heads{Count: 4, KV: 2, Size: 8, LDQ: 32, LDK: 16, Scale: 0.3, Causal: true, Slopes: []float32{1, 2, 3, 4},
		Rate: 0.2}
	return map[string]func(){
		"Tanh":                 func() { Tanh(x(0), x(1), n) },
		"Sigmoid":              func() { Sigmoid(x(0), x(1), n) },
		"GELU":                 func() { GELU(x(0), x(1), n) },
		"Add":                  func() { Add(x(0), x(1), x(2), n) },
		"AddScaled":            func() { AddScaled(x(0), x(1), x(2), 2, n) },
		"Gate":                 func() { Gate(x(0), x(1), n) },
		"MulAdd":               func() { MulAdd(x(0), x(1), x(2), x(3), n) },
		"MulSub":               func() { MulSub(x(0), x(1), x(2), x(3), n) },
		"SubMul":               func() { SubMul(x(0), x(1), x(2), x(3), n) },
		"MulTanhGrad":          func() { MulTanhGrad(x(0), x(1), x(2), x(3), n) },
		"MulSigmoidGrad":       func() { MulSigmoidGrad(x(0), x(1), x(2), x(3), n) },
		"AddTanhGrad":          func() { AddTanhGrad(x(0), x(1), x(2), x(3), n) },
		"AddSigmoidGrad":       func() { AddSigmoidGrad(x(0), x(1), x(2), x(3), n) },
		"TanhGrad":             func() { TanhGrad(x(0), x(1), x(2), n) },
		"Scale":                func() { Scale(x(0), x(1), 2, n) },
		"LeakyReLU":            func() { LeakyReLU(x(0), x(1), 0.1, n) },
		"LeakyReLUGrad":        func() { LeakyReLUGrad(x(0), x(1), x(2), 0.1, n) },
		"ClampValues":          func() { ClampValues(x(0), 1, n) },
		"Clear":                func() { Clear(x(0), n) },
		"Fill":                 func() { Fill(x(0), 1, n) },
		"Copy":                 func() { Copy(x(0), x(1), n) },
		"AddBias":              func() { AddBias(x(0), x(1), x(2), 3, 32) },
		"SumRows":              func() { SumRows(x(0), x(1), 3, 32) },
		"AddRows":              func() { AddRows(x(0), x(1), 3, 32) },
		"SumCols":              func() { SumCols(x(0), x(1), 3, 32) },
		"ResetRows":            func() { ResetRows(x(0), x(1), ids, 3, 32) },
		"Dropout":              func() { Dropout(x(0), x(1), 0.5, 1, n) },
		"Uniform":              func() { Uniform(x(0), 1, 5, n) },
		"Normal":               func() { Normal(x(0), 1, 5, n) },
		"Gumbel":               func() { Gumbel(x(0), 1, 5, n) },
		"GumbelSoftmax":        func() { GumbelSoftmax(x(0), x(1), 2, 1, 3, 32) },
		"SampleRows":           func() { SampleRows(someTokens, x(0), 0.8, 1, 5, 3, 32) },
		"OneHotMax":            func() { OneHotMax(x(0), x(1), 3, 32) },
		"LayerNorm":            func() { LayerNorm(x(0), x(1), x(2), x(3), x(4), x(5), 3, 32, 1e-5) },
		"LayerNormGrad":        func() { LayerNormGrad(x(0), x(1), x(2), x(3), x(4), x(5), x(6), x(7), 3, 32) },
		"RMSNorm":              func() { RMSNorm(x(0), x(1), x(2), x(3), 3, 32, 1e-5) },
		"RMSNormGrad":          func() { RMSNormGrad(x(0), x(1), x(2), x(3), x(4), x(5), 3, 32) },
		"Softmax":              func() { Softmax(x(0), x(1), 3, 32) },
		"LogSoftmax":           func() { LogSoftmax(x(0), x(1), 3, 32) },
		"SoftmaxGrad":          func() { SoftmaxGrad(x(0), x(1), x(2), 3, 32) },
		"CrossEntropy":         func() { CrossEntropy(x(0), x(1), x(2), ids, 3, 32, 0.1) },
		"GaussianSample":       func() { GaussianSample(x(0), x(1), x(2), 1, n) },
		"GaussianKL":           func() { GaussianKL(x(0), x(1), x(2), 3, 32, 0.1, 1) },
		"GaussianKLGrad":       func() { GaussianKLGrad(x(0), x(1), x(2), x(3), x(4), 1, 3, 32, 0.1, 1) },
		"BernoulliLoss":        func() { BernoulliLoss(x(0), x(1), x(2), x(3), 3, 32) },
		"BagOfWords":           func() { BagOfWords(x(0), x(1), x(2), ids, 1, 3, 32, 0.5) },
		"GaussianLoss":         func() { GaussianLoss(x(0), x(1), x(2), x(3), 3, 32, 0.5) },
		"DropRows":             func() { DropRows(x(0), x(1), 0.5, 1, 3, 32) },
		"SequenceCrossEntropy": func() { SequenceCrossEntropy(x(0), x(1), x(2), ids, 3, 32, 0.1, 2) },
		"WeightedCrossEntropy": func() { WeightedCrossEntropy(x(0), x(1), x(2), ids, x(3), 3, 32) },
		"SGD":                  func() { SGD(x(0), x(1), 1, 0, 1, n) },
		"SGDMomentum":          func() { SGDMomentum(x(0), x(1), x(2), 1, 0.9, 0, 0, true, 1, n) },
		"RMSprop":              func() { RMSprop(x(0), x(1), x(2), 1, 0.9, 1e-8, 0, 1, n) },
		"Adagrad":              func() { Adagrad(x(0), x(1), x(2), 1, 1e-8, 0, 1, n) },
		"Adam":                 func() { Adam(x(0), x(1), x(2), x(3), 1, 0.9, 0.99, 1e-8, 0, 0.1, 0.01, 1, n) },
		"Lion":                 func() { Lion(x(0), x(1), x(2), 1, 0.9, 0.99, 0, 1, n) },
		"AdamL2":               func() { AdamL2(x(0), x(1), x(2), x(3), 1, 0.9, 0.99, 1e-8, 0, 0.1, 0.01, 1, n) },
		"SquaredNorm":          func() { SquaredNorm(x(0), n) },
		"Gather":               func() { Gather(x(0), x(1), ids, 32) },
		"ScatterAdd":           func() { ScatterAdd(x(0), x(1), ids, 32) },
		"OneHot":               func() { OneHot(x(0), ids, 32) },
		"Pack":                 func() { Pack(x(0), x(1), 8, 33) },
		"PackT":                func() { PackT(x(0), x(1), 8, 33) },
		"GemmNN":               func() { GemmNN(x(0), x(1), x(2), 5, 33, 7, Bias(x(3)), Residual(x(4)), ThenGELU()) },
		"GemmNT":               func() { GemmNT(x(0), x(1), x(2), 5, 33, 7, Accumulate()) },
		"GemmTN":               func() { GemmTN(x(0), x(1), x(2), 5, 33, 7) },
		"GemmPacked":           func() { GemmPacked(x(0), x(1), x(2), 5, 33, 7) },
		"SwiGLU":               func() { SwiGLU(x(0), x(1), 3, 32) },
		"SwiGLUGrad":           func() { SwiGLUGrad(x(0), x(1), x(2), 3, 32) },
		"AttentionWeights":     func() { AttentionWeights(x(0), x(1), x(2), somePresent, 2, 3, 2, h) },
		"Attention":            func() { Attention(x(0), x(1), x(2), x(3), x(4), somePresent, 2, 3, 2, h) },
		"Unfold":               func() { Unfold(x(0), x(1), 4, 3, 5, 2) },
		"Fold":                 func() { Fold(x(0), x(1), 4, 3, 5, 2) },
		"MaxSteps":             func() { MaxSteps(x(0), x(1), 4, 3, 5) },
		"MaxStepsGrad":         func() { MaxStepsGrad(x(0), x(1), x(2), x(3), 4, 3, 5) },
		"MaxStepsPick":         func() { MaxStepsPick(x(0), x(1), x(2), x(3), 4, 3, 5) },
		"MeanSteps":            func() { MeanSteps(x(0), x(1), somePresent, 3, 2, 16) },
		"MeanStepsGrad":        func() { MeanStepsGrad(x(0), x(1), somePresent, 3, 2, 16) },
		"Affine":               func() { Affine(x(0), x(1), 2, 1, n) },
		"ScaleRows":            func() { ScaleRows(x(0), x(1), x(2), 3, 32) },
		"DotRows":              func() { DotRows(x(0), x(1), x(2), 3, 32) },
		"Normalize":            func() { Normalize(x(0), x(1), n) },
		"Mean":                 func() { Mean(x(0), n) },
		"AttentionGrad": func() {
			AttentionGrad(x(0), x(1), x(2), x(3), x(4), x(5), x(6), x(7), x(8), somePresent, 2, 3, 2, h)
		},
		"CacheStore": func() { CacheStore(someKeys, x(0), ids, 3, 1, h) },
		"AttentionCached": func() {
			AttentionCached(x(0), x(1), someKeys, someKeys, ids, 3, 1, h)
			AttentionCached(x(0), x(1), someKeys, someKeys, somePositions, 6, 1, h)
		},
		"Rope":             func() { Rope(x(0), x(1), x(2), ids, 3, 1, 4, 8, 32, false) },
		"Sinusoids":        func() { Sinusoids(x(0), 3, 32) },
		"RopeTable":        func() { RopeTable(x(0), 3, 32, 10000) },
		"RopeTableOf":      func() { RopeTableOf(x(0), 3, 32, Rotation{Base: 10000, Features: 16}) },
		"AddPositions":     func() { AddPositions(x(0), x(1), x(2), 3, 2, 32) },
		"AddPositionsGrad": func() { AddPositionsGrad(x(0), x(1), 3, 2, 32, 4) },
	}
}

// A slice that is too short panics in Go, with the kernel, the argument, its length and the need.
func TestShortSlices(t *testing.T) {
	long := make([]float32, 1<<12)
	ids := []int32{0, 1, 2}
	for name := range calls(nil, nil) {
		for short := range 9 {
			used := false
			x := func(i int) []float32 {
				if i == short {
					used = true
					return long[:2]
				}
				return long
			}
			text := ""
			func() {
				defer func() {
					if r := recover(); r != nil {
						text = fmt.Sprint(r)
					}
				}()
				calls(x, ids)[name]()
			}()
			switch {
			case !used:
			// a table without rows
			case name == "Gather" && short == 1 || name == "ScatterAdd" && short == 0 || name == "Rope" && short == 2:
				if !strings.Contains(text, "kernel."+name+": ") ||
					!strings.Contains(text, " holds 0, need less than 0") {
					t.Errorf("%s with an empty table: %q", name, text)
				}
			case !strings.HasPrefix(text, "kernel."+name+": ") || !strings.Contains(text, " has length 2, need "):
				t.Errorf("%s with a short argument %d: %q", name, short, text)
			}
		}
	}
	for name, f := range map[string]func(){
		"Gather":       func() { Gather(long, long, []int32{200}, 32) },
		"ScatterAdd":   func() { ScatterAdd(long, long, []int32{200}, 32) },
		"CrossEntropy": func() { CrossEntropy(long, nil, long, []int32{32}, 1, 32, 0) },
	} {
		func() {
			defer func() {
				if r := fmt.Sprint(recover()); !strings.Contains(r, "kernel."+name) ||
					!strings.Contains(r, "need less than") {
					t.Errorf("%s with an index beyond the table: %q", name, r)
				}
			}()
			f()
		}()
	}
}

// Zero sizes do nothing, whatever the slices.
func TestZeroSizes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		Tanh(nil, nil, 0)
		Add(nil, nil, nil, 0)
		Clear(nil, 0)
		AddBias(nil, nil, nil, 0, 5)
		AddBias(nil, nil, nil, 5, 0)
		SumRows(nil, nil, 3, 0)
		SumCols(nil, nil, 0, 3)
		ResetRows(nil, nil, nil, 0, 0)
		Dropout(nil, nil, 0.5, 1, 0)
		Uniform(nil, 1, 3, 0)
		Normal(nil, 1, 3, 0)
		Gumbel(nil, 1, 3, 0)
		GumbelSoftmax(nil, nil, 1, 3, 0, 7)
		GumbelSoftmax(nil, nil, 1, 3, 7, 0)
		OneHotMax(nil, nil, 0, 7)
		SampleRows(nil, nil, 1, 1, 0, 0, 7)
		LayerNorm(nil, nil, nil, nil, nil, nil, 0, 0, 1e-5)
		LayerNormGrad(nil, nil, nil, nil, nil, nil, nil, nil, 0, 0)
		RMSNorm(nil, nil, nil, nil, 0, 0, 1e-5)
		Softmax(nil, nil, 0, 7)
		Softmax(nil, nil, 7, 0)
		LogSoftmax(nil, nil, 0, 0)
		SoftmaxGrad(nil, nil, nil, 0, 0)
		if CrossEntropy(nil, nil, nil, nil, 0, 0, 0) != 0 {
			t.Error("cross-entropy of nothing is not 0")
		}
		if WeightedCrossEntropy(nil, nil, nil, nil, nil, 0, 3) != 0 {
			t.Error("weighted cross-entropy of nothing is not 0")
		}
		Gather(nil, nil, nil, 8)
		ScatterAdd(nil, nil, nil, 8)
		OneHot(nil, nil, 8)
		SGD(nil, nil, 1, 0, 1, 0)
		SwiGLU(nil, nil, 0, 3)
		Attention(nil, nil, nil, nil, nil, nil, 0, 0, 0, Heads{})
		Attention(nil, nil, nil, nil, nil, nil, 3, 0, 1, Heads{KV: 1})
		AttentionGrad(nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, 0, 0, 2,
			Heads{Count: 1, KV: 1, Size: 4, LDQ: 4, LDK: 4})
		AttentionCached(nil, nil, nil, nil, nil, 0, 2, Heads{Count: 1, KV: 1, Size: 4, LDQ: 4, LDK: 4})
		CacheStore(nil, nil, nil, 0, 0, Heads{})
		Positions(nil, nil, nil, 0, 3)
		Rope(nil, nil, nil, nil, 0, 1, 2, 2, 4, false)
		AddPositions(nil, nil, nil, 0, 3, 3)
		if SquaredNorm(nil, 0) != 0 {
			t.Error("norm of nothing is not 0")
		}
		if Argmax(nil) != -1 {
			t.Error("argmax of nothing is not -1")
		}
		TopK(nil, nil)
		GemmNN(nil, nil, nil, 0, 3, 3)
		GemmPacked(nil, nil, nil, 3, 0, 3)
		Pack(nil, nil, 0, 9)
		// No rows: the gradients of the parameters are sums of nothing. No steps: the product is zero.
		g, b := []float32{1, 2}, []float32{3, 4}
		LayerNormGrad(nil, g, b, nil, nil, []float32{1, 1}, nil, nil, 0, 2)
		diff(t, "gain", g, []float32{0, 0})
		diff(t, "bias", b, []float32{0, 0})
		c := []float32{5, 6}
		GemmNN(c, nil, nil, 1, 2, 0, Bias([]float32{7, 8}))
		diff(t, "product without steps", c, []float32{7, 8})
		GemmTN(c, nil, nil, 1, 2, 0)
		diff(t, "product without steps", c, []float32{0, 0})
		// No keys: no query sees one. No queries: no gradient.
		a := Heads{Count: 1, KV: 1, Size: 2, LDQ: 2, LDK: 2, Scale: 1}
		c, g, b = []float32{5, 6}, []float32{7}, []float32{8, 9}
		Attention(c, g, b, nil, nil, nil, 1, 0, 1, a)
		diff(t, "attention without keys", c, []float32{0, 0})
		diff(t, "attention without keys", g, []float32{negInf})
		AttentionGrad(nil, b, c, nil, nil, b, c, nil, nil, nil, 0, 1, 1, a)
		diff(t, "attention without queries", b, []float32{0, 0})
	})
}

// No kernel allocates once it is warm, on one thread or on several.
func TestAllocations(t *testing.T) {
	buffers := make([][]float32, 9)
	for i := range buffers {
		buffers[i] = make([]float32, 1<<12)
	}
	ids := []int32{0, 1, 2}
	for _, threads := range []int{1, 2} {
		withThreads(t, threads)
		for name, f := range calls(func(i int) []float32 { return buffers[i] }, ids) {
			f()
			if n := testing.AllocsPerRun(50, f); n != 0 {
				t.Errorf("%s on %d threads: %v allocations", name, threads, n)
			}
		}
	}
	big, side := 1<<18, 512
	if Level() == levelNames[generic] {
		big, side = 1<<16, 64 // a split over tasks still, in less time
	}
	x, y := make([]float32, big), make([]float32, big)
	targets := make([]int32, 64)
	for name, f := range map[string]func(){
		"Tanh":         func() { Tanh(y, x, big) },
		"Softmax":      func() { Softmax(y, x, 64, big/64) },
		"CrossEntropy": func() { CrossEntropy(x[:64], y, x, targets, 64, big/64, 0) },
		"SumRows":      func() { SumRows(y, x, 64, big/64) },
		"AddRows":      func() { AddRows(y, x, 64, big/64) },
		"Gemm":         func() { GemmNT(y, x, x, side, side, side) },
	} {
		f()
		if n := testing.AllocsPerRun(20, f); n != 0 {
			t.Errorf("%s on large slices: %v allocations", name, n)
		}
	}
}

// Kernels may be called from several goroutines at once.
func TestManyCallers(t *testing.T) {
	withThreads(t, 3)
	r := rng(9)
	const m, n, k = 40, 70, 50
	a, b := floats(r, m*k), floats(r, k*n)
	want, soft := make([]float32, m*n), make([]float32, m*n)
	GemmNT(want, a, b, m, n, k)
	Softmax(soft, want, m, n)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			c, s := make([]float32, m*n), make([]float32, m*n)
			for range 30 {
				GemmNT(c, a, b, m, n, k)
				Softmax(s, c, m, n)
				for i := range c {
					if c[i] != want[i] || s[i] != soft[i] {
						t.Errorf("element %d differs when several goroutines run", i)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestIndexing(t *testing.T) {
	nan := negInf - negInf
	x := []float32{3, 1, 7, 7, -2, 5}
	if got := Argmax(x); got != 2 {
		t.Errorf("argmax = %d, want 2", got)
	}
	if got := Argmax([]float32{1, nan, 9}); got != 1 {
		t.Errorf("argmax with NaN = %d, want 1", got)
	}
	idx := make([]int32, 8)
	TopK(idx, x)
	if want := []int32{2, 3, 5, 0, 1, 4, -1, -1}; fmt.Sprint(idx) != fmt.Sprint(want) {
		t.Errorf("top 8 of 6: %v, want %v", idx, want)
	}
	TopK(idx[:3], []float32{1, nan, 4, 2, 4})
	if want := []int32{1, 2, 4}; fmt.Sprint(idx[:3]) != fmt.Sprint(want) {
		t.Errorf("top 3 with NaN: %v, want %v", idx[:3], want)
	}
	dst := make([]float32, 6)
	OneHot(dst, []int32{2, -1}, 3)
	diff(t, "one-hot", dst, []float32{0, 0, 1, 0, 0, 0})
	ResetRows(dst, []float32{1, 2, 3, 4, 5, 6}, []int32{1, 0}, 2, 3)
	diff(t, "reset rows", dst, []float32{0, 0, 0, 4, 5, 6})
}

// GRADSMITH_CPU forces a level; one that the machine lacks ends the program with one line and status 1.
func TestLevelFromEnvironment(t *testing.T) {
	if os.Getenv("KERNEL_TEST_LEVEL") != "" {
		fmt.Println("level:", Level())
		return
	}
	if _, err := os.Executable(); err != nil {
		t.Skip("no programs can be started here")
	}
	for _, c := range []struct{ env, want string }{
		{"generic", "level: generic"},
		{"sse9", "want generic, avx2 or avx512"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run", "TestLevelFromEnvironment", "-test.v")
		cmd.Env = append(os.Environ(), "KERNEL_TEST_LEVEL=1", "GRADSMITH_CPU="+c.env)
		out, err := cmd.CombinedOutput()
		if err != nil && strings.Contains(err.Error(), "not implemented") {
			t.Skip("no programs can be started here:", err)
		}
		if !strings.Contains(string(out), c.want) || (err != nil) != (c.env == "sse9") {
			t.Errorf("GRADSMITH_CPU=%s: %v\n%s", c.env, err, out)
		}
	}
}
