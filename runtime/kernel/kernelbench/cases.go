package kernelbench

import (
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/internal/hook"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// benchmarks are the kernels at sizes that models use. Building the list allocates what they work on lazily, so that
// a filter costs nothing.
func benchmarks() []*benchmark {
	var list []*benchmark
	for _, s := range [][3]int{
		{64, 64, 64}, {128, 128, 128}, {256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024},
		{32, 1024, 256}, {2048, 1024, 128}, {768, 512, 128}, {2048, 1536, 384}, {128, 1024, 2048},
		{768, 65, 128}, {8, 1024, 256}, {4, 1024, 256}, {1, 1024, 256},
	} {
		list = append(list, products(s[0], s[1], s[2])...)
	}
	list = append(list, matrixVector(4096, 4096), matrixVectorT(4096, 4096))
	list = append(list, weightProducts()...)
	for _, rows := range []int{32, 2048, 65536} {
		list = append(list, rowKernels(rows, 256)...)
		list = append(list, elementwise(rows*256)...)
	}
	list = append(list, crossEntropy(2048, 96), crossEntropy(512, 8192))
	list = append(list, draws(2048, 96)...)
	list = append(list, draws(512, 8192)...)
	list = append(list, attention(12, 4, 32, 64)...)
	list = append(list, attention(8, 6, 64, 256)...)
	list = append(list, attention(4, 12, 64, 1024)...)
	list = append(list, attention(1, 4, 64, 4096)...)
	list = append(list, plainAttention(8, 6, 64, 256), plainAttention(1, 4, 64, 4096))
	for _, kind := range cache.Kinds() {
		list = append(list, decoding(kind, 1, 6, 64, 256), decoding(kind, 1, 12, 64, 1024),
			decoding(kind, 8, 12, 64, 4096))
	}
	list = append(list, optimizers(1<<18)...)
	list = append(list, optimizers(1<<24)...)
	return list
}

// lazy makes f's data when it is first called.
func lazy(prepare func() func()) func() {
	var f func()
	return func() {
		if f == nil {
			f = prepare()
		}
		f()
	}
}

func products(m, n, k int) []*benchmark {
	size := fmt.Sprintf("%dx%dx%d", m, n, k)
	b := func(name string, run func(c, a, b, packed []float32) func()) *benchmark {
		return &benchmark{
			kernel: name, size: size, flops: 2 * float64(m) * float64(n) * float64(k),
			read: 4 * float64(m*k+k*n), write: 4 * float64(m*n), fresh: 4 * float64(m*n),
			run: lazy(func() func() {
				x, y := numbers(m*k), numbers(k*n)
				p := make([]float32, kernel.PackedLen(k, n))
				kernel.Pack(p, y, k, n)
				return run(make([]float32, m*n), x, y, p)
			}),
		}
	}
	nn := b("GemmNN", func(c, x, y, _ []float32) func() { return func() { kernel.GemmNN(c, x, y, m, n, k) } })
	nn.naive = lazy(func() func() {
		c, x, y := make([]float32, m*n), numbers(m*k), numbers(k*n)
		return func() { naiveProduct(c, x, y, m, n, k) }
	})
	return []*benchmark{
		nn,
		b("GemmNT", func(c, x, y, _ []float32) func() { return func() { kernel.GemmNT(c, x, y, m, n, k) } }),
		b("GemmTN", func(c, x, y, _ []float32) func() { return func() { kernel.GemmTN(c, x, y, m, n, k) } }),
		b("GemmPacked", func(c, x, _, p []float32) func() { return func() { kernel.GemmPacked(c, x, p, m, n, k) } }),
	}
}

// naiveProduct is the product as a textbook has it.
func naiveProduct(c, a, b []float32, m, n, k int) {
	for i := range m {
		for j := range n {
			s := float32(0)
			for l := range k {
				s += a[i*k+l] * b[l*n+j]
			}
			c[i*n+j] = s
		}
	}
}

func matrixVector(n, k int) *benchmark {
	return &benchmark{
		kernel: "GemmNN", size: fmt.Sprintf("1x%dx%d", n, k), flops: 2 * float64(n) * float64(k),
		read: 4 * float64(n) * float64(k),
		run: lazy(func() func() {
			c, x, y := make([]float32, n), numbers(k), numbers(n*k)
			return func() { kernel.GemmNN(c, x, y, 1, n, k) }
		}),
	}
}

func matrixVectorT(n, k int) *benchmark {
	return &benchmark{
		kernel: "GemmPacked", size: fmt.Sprintf("1x%dx%d", n, k), flops: 2 * float64(n) * float64(k),
		read: 4 * float64(n) * float64(k),
		run: lazy(func() func() {
			c, x, p := make([]float32, n), numbers(k), make([]float32, kernel.PackedLen(k, n))
			kernel.Pack(p, numbers(n*k), k, n)
			return func() { kernel.GemmPacked(c, x, p, 1, n, k) }
		}),
	}
}

// weightProducts are products with weights of every kind at the shapes of GPT-2: one row, as in decoding, eight and
// sixteen, as in a batch, and 256, as in a prompt.
func weightProducts() []*benchmark {
	var list []*benchmark
	for _, s := range []struct {
		k, n       int
		transposed bool
		rows       []int
	}{
		{768, 2304, false, []int{1, 8, 16, 256}},
		{768, 768, false, []int{1, 8}},
		{768, 3072, false, []int{1, 8}},
		{3072, 768, false, []int{1, 8, 16, 256}},
		{768, 50257, true, []int{1}},
	} {
		for _, kind := range weights.Kinds() {
			matrix := sync.OnceValue(func() *weights.Matrix {
				b, err := weights.NewT(kind, numbers(s.k*s.n), s.k, s.n)
				if err != nil {
					panic(err)
				}
				return b
			})
			for _, m := range s.rows {
				list = append(list, weightProduct(kind, matrix, m, s.n, s.k))
			}
		}
	}
	return list
}

// weightProduct is a product of m rows with a matrix. That of one row is bound by memory, and its unit is bytes.
// Those of quantised weights count the operations of the float32 product, and stand beside the peak of float32: they
// may be above it.
func weightProduct(kind weights.Kind, matrix func() *weights.Matrix, m, n, k int) *benchmark {
	size, err := weights.DataLen(kind, k, n)
	if err != nil {
		panic(err)
	}
	b := &benchmark{
		kernel: "Gemm" + strings.ToUpper(kind.String()), size: fmt.Sprintf("%dx%dx%d", m, n, k), read: float64(size),
		run: lazy(func() func() {
			b, a, c := matrix(), numbers(m*k), make([]float32, m*n)
			return func() { kernel.GemmWeights(c, a, b, m) }
		}),
	}
	if m > 1 {
		b.flops = 2 * float64(m) * float64(n) * float64(k)
	}
	return b
}

// stream is a kernel over n elements that reads and writes whole slices.
func stream(name, size string, n, reads, writes int, prepare func() func()) *benchmark {
	return &benchmark{
		kernel: name, size: size, elements: float64(n), read: 4 * float64(n*reads), write: 4 * float64(n*writes),
		fresh: 4 * float64(n*writes), run: lazy(prepare),
	}
}

// inPlace is a stream that writes only to what it reads.
func inPlace(name, size string, n, reads, writes int, prepare func() func()) *benchmark {
	b := stream(name, size, n, reads, writes, prepare)
	b.fresh = 0
	return b
}

func elementwise(n int) []*benchmark {
	size := fmt.Sprint(n)
	var list []*benchmark
	for _, u := range []struct {
		name  string
		f     func(dst, x []float32, n int)
		naive func(float64) float64
	}{
		{"Exp", kernel.Exp, math.Exp}, {"Tanh", kernel.Tanh, math.Tanh}, {"Sigmoid", kernel.Sigmoid, nil},
		{"Gate", kernel.Gate, nil}, {"Log", kernel.Log, nil},
		{"Erf", kernel.Erf, math.Erf}, {"GELU", kernel.GELU, nil}, {"GELUErf", kernel.GELUErf, nil},
		{"SiLU", kernel.SiLU, nil},
		{"ReLU", kernel.ReLU, nil}, {"Softplus", kernel.Softplus, nil},
	} {
		b := stream(u.name, size, n, 1, 1, func() func() {
			x, y := numbers(n), make([]float32, n)
			return func() { u.f(y, x, n) }
		})
		if u.naive != nil {
			b.naive = lazy(func() func() {
				x, y := numbers(n), make([]float32, n)
				return func() {
					for i, v := range x {
						y[i] = float32(u.naive(float64(v)))
					}
				}
			})
		}
		list = append(list, b)
	}
	for _, u := range []struct {
		name string
		f    func(dst, a, b []float32, n int)
	}{{"Add", kernel.Add}, {"Mul", kernel.Mul}, {"TanhGrad", kernel.TanhGrad}, {"GELUGrad", kernel.GELUGrad}} {
		list = append(list, stream(u.name, size, n, 2, 1, func() func() {
			x, y, z := numbers(n), numbers(n), make([]float32, n)
			return func() { u.f(z, x, y, n) }
		}))
	}
	list = append(list, stream("MulAdd", size, n, 3, 1, func() func() {
		a, b, c, d := numbers(n), numbers(n), numbers(n), make([]float32, n)
		return func() { kernel.MulAdd(d, a, b, c, n) }
	}))
	for _, u := range []struct {
		name string
		f    func(dst []float32, key, offset uint64, n int)
	}{{"Uniform", kernel.Uniform}, {"Normal", kernel.Normal}, {"Gumbel", kernel.Gumbel}} {
		list = append(list, stream(u.name, size, n, 0, 1, func() func() {
			y := make([]float32, n)
			return func() { u.f(y, 7, 0, n) }
		}))
	}
	return append(list, stream("Dropout", size, n, 1, 1, func() func() {
		x, y := numbers(n), make([]float32, n)
		return func() { kernel.Dropout(y, x, 0.1, 7, n) }
	}))
}

func rowKernels(rows, cols int) []*benchmark {
	size, n := fmt.Sprintf("%dx%d", rows, cols), rows*cols
	return []*benchmark{
		stream("Softmax", size, n, 1, 1, func() func() {
			x, y := numbers(n), make([]float32, n)
			return func() { kernel.Softmax(y, x, rows, cols) }
		}),
		stream("SoftmaxGrad", size, n, 2, 1, func() func() {
			y, dy, dx := numbers(n), numbers(n), make([]float32, n)
			return func() { kernel.SoftmaxGrad(dx, y, dy, rows, cols) }
		}),
		stream("LayerNorm", size, n, 1, 1, func() func() {
			x, y, g, b := numbers(n), make([]float32, n), numbers(cols), numbers(cols)
			mean, rstd := make([]float32, rows), make([]float32, rows)
			return func() { kernel.LayerNorm(y, mean, rstd, x, g, b, rows, cols, 1e-5) }
		}),
		stream("LayerNormGrad", size, n, 2, 1, func() func() {
			x, dy, dx, g := numbers(n), numbers(n), make([]float32, n), numbers(cols)
			mean, rstd, dg, db := numbers(rows), numbers(rows), make([]float32, cols), make([]float32, cols)
			return func() { kernel.LayerNormGrad(dx, dg, db, dy, x, g, mean, rstd, rows, cols) }
		}),
		stream("SumRows", size, n, 1, 0, func() func() {
			x, y := numbers(n), make([]float32, cols)
			return func() { kernel.SumRows(y, x, rows, cols) }
		}),
	}
}

func crossEntropy(rows, vocab int) *benchmark {
	return stream("CrossEntropy", fmt.Sprintf("%dx%d", rows, vocab), rows*vocab, 1, 1, func() func() {
		x, dx, loss, targets := numbers(rows*vocab), make([]float32, rows*vocab), make([]float32, rows), make([]int32,
			rows)
		for i := range targets {
			targets[i] = int32(i % vocab)
		}
		return func() { kernel.CrossEntropy(loss, dx, x, targets, rows, vocab, 0) }
	})
}

// draws are relaxed samples and tokens from rows of logits.
func draws(rows, vocab int) []*benchmark {
	size, n := fmt.Sprintf("%dx%d", rows, vocab), rows*vocab
	return []*benchmark{
		stream("GumbelSoftmax", size, n, 1, 1, func() func() {
			x, y := numbers(n), make([]float32, n)
			return func() { kernel.GumbelSoftmax(y, x, 2, 7, rows, vocab) }
		}),
		stream("SampleRows", size, n, 1, 0, func() func() {
			x, tokens := numbers(n), make([]int32, rows)
			return func() { kernel.SampleRows(tokens, x, 0.8, 7, 0, rows, vocab) }
		}),
	}
}

// attention is causal self-attention and its gradient. Operations are those of the pairs that are seen: two products
// forward, five backward.
func attention(batch, heads, size, steps int) []*benchmark {
	name := fmt.Sprintf("%dx%dx%dx%d", batch, heads, size, steps)
	cols := heads * size
	n := steps * batch * cols
	pairs := float64(batch) * float64(heads) * float64(steps) * float64(steps+1) / 2
	h := kernel.Heads{Count: heads, KV: heads, Size: size, LDQ: 3 * cols, LDK: 3 * cols,
		Scale: float32(1 / math.Sqrt(float64(size))), Causal: true}
	var y, lse, x []float32
	prepare := func() {
		if x == nil {
			x, y, lse = numbers(3*n), make([]float32, n), make([]float32, batch*heads*steps)
		}
	}
	list := []*benchmark{
		{
			kernel: "Attention", size: name, flops: 4 * float64(size) * pairs, read: 12 * float64(n),
			write: 4 * float64(n), fresh: 4 * float64(n),
			run: lazy(func() func() {
				prepare()
				return func() { kernel.Attention(y, lse, x, x[cols:], x[2*cols:], nil, steps, steps, batch, h) }
			}),
		},
		{
			kernel: "AttentionGrad", size: name, flops: 10 * float64(size) * pairs, read: 20 * float64(n),
			write: 12 * float64(n), fresh: 12 * float64(n),
			run: lazy(func() func() {
				prepare()
				kernel.Attention(y, lse, x, x[cols:], x[2*cols:], nil, steps, steps, batch, h)
				dx, dy := make([]float32, 3*n), numbers(n)
				return func() {
					kernel.AttentionGrad(dx, dx[cols:], dx[2*cols:], dy, x, x[cols:], x[2*cols:], y, lse, nil, steps,
						steps, batch, h)
				}
			}),
		},
	}
	for _, b := range list {
		b.memory = func() int {
			hook.AttentionMemory()
			b.run()
			return hook.AttentionMemory()
		}
	}
	return list
}

// plainAttention is the same forward pass with all scores in memory: a product, a softmax, a product.
func plainAttention(batch, heads, size, steps int) *benchmark {
	cols := heads * size
	n := steps * batch * cols
	pairs := float64(batch) * float64(heads) * float64(steps) * float64(steps+1) / 2
	return &benchmark{
		kernel: "AttentionPlain", size: fmt.Sprintf("%dx%dx%dx%d", batch, heads, size, steps),
		flops: 4 * float64(size) * pairs,
		read:  12 * float64(n), write: 4 * float64(n), fresh: 4 * float64(n),
		memory: func() int { return 4 * batch * heads * steps * steps },
		run: lazy(func() func() {
			x, y, scores := numbers(3*n), make([]float32, n), make([]float32, batch*heads*steps*steps)
			valid := make([]int32, steps)
			for i := range valid {
				valid[i] = int32(i + 1)
			}
			in := kernel.Layout{Ld: batch * 3 * cols, Outer: 3 * cols, Inner: size}
			out := kernel.Layout{Ld: batch * cols, Outer: cols, Inner: size}
			sq := kernel.Layout{Ld: steps, Outer: heads * steps * steps, Inner: steps * steps}
			scale := float32(1 / math.Sqrt(float64(size)))
			return func() {
				kernel.GemmBatch(kernel.NT, scores, sq, x, in, x[cols:], in, batch, heads, steps, steps, size)
				kernel.SoftmaxPrefix(scores, scores, scale, valid, batch*heads*steps, steps)
				kernel.GemmBatch(kernel.NN, y, out, scores, sq, x[2*cols:], in, batch, heads, steps, size, steps)
			}
		}),
	}
}

// decoding is one token of each sequence against caches of a kind that are full.
func decoding(kind cache.Kind, batch, heads, size, capacity int) *benchmark {
	n := batch * heads * size * capacity
	name := "AttentionCached"
	if kind != cache.F32 {
		name += "/" + kind.String()
	}
	return &benchmark{
		kernel: name, size: fmt.Sprintf("%dx%dx%dx%d", batch, heads, size, capacity),
		flops: 4 * float64(n), read: 2 * float64(cache.Bytes(kind, batch, heads, capacity, size)),
		run: lazy(func() func() {
			q, y := numbers(batch*heads*size), make([]float32, batch*heads*size)
			h := kernel.Heads{Count: heads, KV: heads, Size: size, LDQ: heads * size, LDK: heads * size, Scale: 0.125}
			k, v := cache.New(kind, batch, heads, capacity, size), cache.New(kind, batch, heads, capacity, size)
			positions, rows := make([]int32, batch), numbers(batch*heads*size)
			for p := range capacity {
				for i := range positions {
					positions[i] = int32(p)
				}
				kernel.CacheStore(k, rows, positions, 1, batch, h)
				kernel.CacheStore(v, rows, positions, 1, batch, h)
			}
			return func() { kernel.AttentionCached(y, q, k, v, positions, 1, batch, h) }
		}),
	}
}

func optimizers(n int) []*benchmark {
	size := fmt.Sprint(n)
	return []*benchmark{
		inPlace("Adam", size, n, 4, 3, func() func() {
			p, g, m, v := numbers(n), numbers(n), make([]float32, n), make([]float32, n)
			return func() { kernel.Adam(p, g, m, v, 1e-3, 0.9, 0.999, 1e-8, 0.01, 0.5, 0.5, 1, n) }
		}),
		inPlace("SGD", size, n, 2, 1, func() func() {
			p, g := numbers(n), numbers(n)
			return func() { kernel.SGD(p, g, 1e-3, 0, 1, n) }
		}),
		stream("SquaredNorm", size, n, 1, 0, func() func() {
			x := numbers(n)
			return func() { kernel.SquaredNorm(x, n) }
		}),
	}
}
