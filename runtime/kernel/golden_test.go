package kernel

import (
	"hash/fnv"
	"math"
	"testing"
)

// TestGolden holds the promise that the bits are the same on every machine: the sums below were computed once, and
// every architecture, level and number of threads has to reach them. A change of a kernel's definition changes them,
// and with them every model that was ever trained with a fixed seed: say so in the commit.
func TestGolden(t *testing.T) {
	const n = 3000
	x, y, z := make([]float32, n), make([]float32, n), make([]float32, n)
	sum := func(f func(out []float32)) uint64 {
		h := fnv.New64a()
		out := make([]float32, n)
		f(out)
		for _, v := range out {
			if v != v {
				v = float32(math.Inf(1))
			}
			b := math.Float32bits(v)
			h.Write([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)})
		}
		return h.Sum64()
	}
	Normal(x, 1, 0, n)
	Normal(y, 2, 0, n)
	Normal(z, 3, 0, n)
	for _, c := range []struct {
		name string
		want uint64
		f    func(o []float32)
	}{
		{"normal", 0xcb7b33d0c4a86b34, func(o []float32) { Normal(o, 4, 9, n) }},
		{"gumbel", 0xb539d71b74a83414, func(o []float32) { Gumbel(o, 4, 9, n) }},
		{"tokens", 0xd690acf16b59744a, func(o []float32) {
			tokens := make([]int32, 30)
			SampleRows(tokens, x, 0.7, 6, 9, 30, 100)
			for i, token := range tokens {
				o[i] = float32(token)
			}
		}},
		{"gumbel softmax", 0x49ef834f88760173, func(o []float32) { GumbelSoftmax(o, x, 1.5, 6, 30, 100) }},
		{"exp", 0x47101421d615617f, func(o []float32) { Exp(o, x, n) }},
		{"log", 0x91683d38dfb7d16e, func(o []float32) { Log(o, x, n) }},
		{"tanh", 0xf544bcfea1c36fd3, func(o []float32) { Tanh(o, x, n) }},
		{"sigmoid", 0x2ca7a833828bb5aa, func(o []float32) { Sigmoid(o, x, n) }},
		{"erf", 0xa95a8e0f6d38dcd0, func(o []float32) { Erf(o, x, n) }},
		{"gelu", 0xa61c9438723c9162, func(o []float32) { GELU(o, x, n) }},
		{"gelu erf", 0xd639eb0532fa7954, func(o []float32) { GELUErfGrad(o, x, y, n) }},
		{"softplus", 0x2a56dff6a8656272, func(o []float32) { Softplus(o, x, n) }},
		{"dropout", 0x498df557d0e188da, func(o []float32) { Dropout(o, x, 0.3, 5, n) }},
		{"softmax", 0xec980211797a4534, func(o []float32) { Softmax(o, x, 30, 100) }},
		{"layer norm", 0xffc010e03a1cde64, func(o []float32) {
			LayerNorm(o, make([]float32, 30), make([]float32, 30), x, y, z, 30, 100, 1e-5)
		}},
		{"cross-entropy", 0x974477c91fc5131, func(o []float32) {
			CrossEntropy(make([]float32, 30), o, x, someTargets(30, 100), 30, 100, 0.1)
		}},
		{"lstm", 0xa2a1c99bdd5d5cd0, func(o []float32) { EachRow(lstmRow, 4, 100, o, o[400:], o[800:], x, y) }},
		{"gru", 0x87d15250e64a3211, func(o []float32) { EachRow(gruRow, 4, 100, o, o[400:], x, y, z) }},
		{"adam", 0xe71ba522741abda6, func(o []float32) {
			copy(o, x)
			Adam(o, y, make([]float32, n), make([]float32, n), 0.1, 0.9, 0.99, 1e-8, 0.01, 0.1, 0.01, 0.5, n)
		}},
		{"product", 0xc787b33038d6df80, func(o []float32) { GemmNN(o, x, y, 50, 60, 50, Bias(z), ThenTanh()) }},
		{"long product", 0x4a75057261181c64, func(o []float32) { GemmTN(o, x, y, 3, 3, 1000) }},
		{"attention", 0xa63bedaa926d668c, func(o []float32) {
			h := Heads{Count: 4, KV: 2, Size: 12, LDQ: 48, LDK: 24, Scale: 0.3, Causal: true, Window: 9, Prefix: 2,
				Slopes: []float32{0.1, 0.2, 0.3, 0.4}, Rate: 0.1, Key: 7}
			Attention(o, o[15*2*48:], x, y, z, nil, 15, 20, 2, h)
		}},
		{"attention gradient", 0xf02fabb6a3be72a9, func(o []float32) {
			h := Heads{Count: 2, KV: 2, Size: 10, LDQ: 20, LDK: 20, Scale: 0.3, Causal: true}
			lse := make([]float32, 2*40)
			Attention(o, lse, x, y, z, nil, 40, 40, 1, h)
			AttentionGrad(o[800:], o[1600:], o[2400:][:600:600], x, y, z, x[800:], o, lse, nil, 40, 30, 1, h)
		}},
		{"sums down columns", 0x59f3f3439b8cee8e, func(o []float32) { SumRows(o, x, 300, 10) }},
		{"layer norm gradient", 0x407cfd1c74958cd2, func(o []float32) {
			LayerNormGrad(o[20:], o, o[10:], y[:2900], x, z, x, y, 290, 10)
		}},
		{"rotary positions", 0x9385ef1f5949e793, func(o []float32) {
			t := make([]float32, 50*30)
			RopeTable(t, 50, 30, 10000)
			Rope(o, x, t, someTargets(50, 49), 50, 1, 2, 30, 60, false)
		}},
		{"gated unit", 0xd49496d6bbeea048, func(o []float32) { SwiGLU(o, x, 30, 50) }},
	} {
		for _, threads := range []int{1, 2} {
			withThreads(t, threads)
			for _, l := range levels() {
				setLevel(t, l)
				if got := sum(c.f); got != c.want {
					t.Errorf("%s at level %s on %d threads: %#x, want %#x", c.name, levelNames[l], threads, got, c.want)
				}
			}
		}
	}
}

// lstmRow is a step of a long short-term memory as generated code has it: of h, c, the activated gates, the gates and
// the cell before.
func lstmRow(r *Row) {
	h, c, cPrev, t := r.Of(0), r.Of(1), r.Of(4), r.Scratch(0)
	i, f, g, o := r.Part(2, 0, 4), r.Part(2, 1, 4), r.Part(2, 2, 4), r.Part(2, 3, 4)
	Gate(i, r.Part(3, 0, 4), r.N)
	Gate(f, r.Part(3, 1, 4), r.N)
	Tanh(g, r.Part(3, 2, 4), r.N)
	Gate(o, r.Part(3, 3, 4), r.N)
	Mul(t, i, g, r.N)
	MulAdd(c, f, cPrev, t, r.N)
	Tanh(t, c, r.N)
	Mul(h, o, t, r.N)
}

// gruRow is a step of a gated recurrent unit: of h, the activated gates, what the input and the state give, and the
// state before.
func gruRow(r *Row) {
	h, hPrev, t := r.Of(0), r.Of(4), r.Scratch(0)
	reset, z, n := r.Part(1, 0, 3), r.Part(1, 1, 3), r.Part(1, 2, 3)
	Add(t, r.Part(2, 0, 3), r.Part(3, 0, 3), r.N)
	Gate(reset, t, r.N)
	Add(t, r.Part(2, 1, 3), r.Part(3, 1, 3), r.N)
	Gate(z, t, r.N)
	MulAdd(t, reset, r.Part(3, 2, 3), r.Part(2, 2, 3), r.N)
	Tanh(n, t, r.N)
	Sub(t, hPrev, n, r.N)
	MulAdd(h, z, t, n, r.N)
}
