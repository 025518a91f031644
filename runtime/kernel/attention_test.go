package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/internal/hook"
)

// attentionCase is one call: sizes, options and operands.
type attentionCase struct {
	queries, keys, batch int
	h                    Heads
	q, k, v, dy          []float32
	present              []int32
	masks                []float32
}

func (c *attentionCase) String() string {
	h := c.h
	h.Slopes, h.Bias = nil, nil
	return fmt.Sprintf("%d queries %d keys batch %d present %v alibi %v bias %v %+v", c.queries, c.keys, c.batch,
		c.present != nil, c.h.Slopes != nil, c.h.Bias != nil, h)
}

func (c *attentionCase) sees(i, j, b int) bool {
	if c.present != nil && c.present[j*c.batch+b] < 0 {
		return false
	}
	p := i + c.keys - c.queries
	h := &c.h
	return !h.Causal || j < h.Prefix || j <= p && (h.Window <= 0 || j > p-h.Window)
}

// mask is what dropout multiplies the probability of key j for query i by.
func (c *attentionCase) mask(b, head, i, j int) float64 {
	h := &c.h
	if h.Rate == 0 {
		return 1
	}
	stride := (c.keys + 63) / 64 * 64
	if c.masks == nil {
		c.masks = make([]float32, c.batch*h.Count*c.queries*stride)
		for i := range c.masks {
			c.masks[i] = 1
		}
		Dropout(c.masks, c.masks, h.Rate, h.Key, len(c.masks))
	}
	return float64(c.masks[((b*h.Count+head)*c.queries+i)*stride+j])
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// row is the row of position t of sequence b in a matrix with rows ld apart.
func (c *attentionCase) row(x []float64, t, b, ld, head int) []float64 {
	at := (t*c.batch+b)*ld + head*c.h.Size
	return x[at : at+c.h.Size]
}

func dot64(x, y []float64) float64 {
	s := 0.0
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}

// probabilities are those of query i, nil if it sees no key, and the logarithm of the sum.
func (c *attentionCase) probabilities(q, k []float64, i, b, head int) ([]float64, float64) {
	h := &c.h
	s := make([]float64, c.keys)
	m := math.Inf(-1)
	for j := range s {
		s[j] = math.Inf(-1)
		if !c.sees(i, j, b) {
			continue
		}
		s[j] = float64(h.Scale) * dot64(c.row(q, i, b, h.LDQ, head), c.row(k, j, b, h.LDK, head/(h.Count/h.KV)))
		if h.Cap > 0 {
			s[j] = float64(h.Cap) * math.Tanh(s[j]/float64(h.Cap))
		}
		if h.Bias != nil {
			s[j] += float64(h.Bias[c.biasAt(head, i, j)])
		}
		if h.Slopes != nil {
			s[j] -= float64(h.Slopes[head]) * math.Abs(float64(i+c.keys-c.queries-j))
		}
		m = math.Max(m, s[j])
	}
	if math.IsInf(m, -1) {
		return nil, m
	}
	sum := 0.0
	for j := range s {
		sum += math.Exp(s[j] - m)
	}
	for j := range s {
		s[j] = math.Exp(s[j]-m) / sum
	}
	return s, m + math.Log(sum)
}

// biasAt is the place of what a head adds to the score of query i and key j.
func (c *attentionCase) biasAt(head, i, j int) int {
	span := len(c.h.Bias) / c.h.Count
	return head*span + (span-1)/2 + j - (i + c.keys - c.queries)
}

// biased gives the heads a bias of some more distances than there are.
func (c *attentionCase) biased(r *rand.Rand) {
	c.h.Bias = floats(r, c.h.Count*(2*(max(c.queries, c.keys)+r.IntN(3))-1))
}

// forward is the attention in float64.
func (c *attentionCase) forward(q, k, v []float64) (y, lse []float64) {
	h := &c.h
	y = make([]float64, c.queries*c.batch*h.Count*h.Size)
	lse = make([]float64, c.batch*h.Count*c.queries)
	for b := range c.batch {
		for head := range h.Count {
			for i := range c.queries {
				p, l := c.probabilities(q, k, i, b, head)
				lse[(b*h.Count+head)*c.queries+i] = l
				yr := c.row(y, i, b, h.Count*h.Size, head)
				for j, pj := range p {
					if c.sees(i, j, b) {
						for f, x := range c.row(v, j, b, h.LDK, head/(h.Count/h.KV)) {
							yr[f] += pj * c.mask(b, head, i, j) * x
						}
					}
				}
			}
		}
	}
	return y, lse
}

// backward is the gradient in float64, by the formula.
func (c *attentionCase) backward(q, k, v, dy []float64) (dq, dk, dv, dbias []float64) {
	h := &c.h
	dbias = make([]float64, c.batch*len(h.Bias))
	dq, dk, dv = make([]float64, len(q)), make([]float64, len(k)), make([]float64, len(v))
	for b := range c.batch {
		for head := range h.Count {
			g := head / (h.Count / h.KV)
			for i := range c.queries {
				p, _ := c.probabilities(q, k, i, b, head)
				d := c.row(dy, i, b, h.Count*h.Size, head)
				dp, dot := make([]float64, c.keys), 0.0
				for j := range p {
					if c.sees(i, j, b) {
						dp[j] = c.mask(b, head, i, j) * dot64(d, c.row(v, j, b, h.LDK, g))
						dot += p[j] * dp[j]
					}
				}
				qi, dqi := c.row(q, i, b, h.LDQ, head), c.row(dq, i, b, h.LDQ, head)
				for j := range p {
					if !c.sees(i, j, b) {
						continue
					}
					ds := p[j] * (dp[j] - dot)
					if h.Bias != nil {
						dbias[b*len(h.Bias)+c.biasAt(head, i, j)] += ds
					}
					ds *= float64(h.Scale)
					if h.Cap > 0 {
						t := math.Tanh(float64(h.Scale) * dot64(qi, c.row(k, j, b, h.LDK, g)) / float64(h.Cap))
						ds *= 1 - t*t
					}
					kj, dkj, dvj := c.row(k, j, b, h.LDK, g), c.row(dk, j, b, h.LDK, g), c.row(dv, j, b, h.LDK, g)
					for f := range h.Size {
						dqi[f] += ds * kj[f]
						dkj[f] += ds * qi[f]
						dvj[f] += p[j] * c.mask(b, head, i, j) * d[f]
					}
				}
			}
		}
	}
	return dq, dk, dv, dbias
}

// fill makes operands, with rows a little apart.
func (c *attentionCase) fill(r *rand.Rand) {
	h := &c.h
	h.LDQ, h.LDK = h.Count*h.Size+r.IntN(4), h.KV*h.Size+r.IntN(4)
	h.Scale = float32(1 / math.Sqrt(float64(h.Size)))
	c.q = floats(r, c.queries*c.batch*h.LDQ)
	c.k, c.v = floats(r, c.keys*c.batch*h.LDK), floats(r, c.keys*c.batch*h.LDK)
	c.dy = floats(r, c.queries*c.batch*h.Count*h.Size)
}

// holes marks keys as absent: sequence 0 is padded at the end, others at random, and one has nothing at all.
func (c *attentionCase) holes(r *rand.Rand) {
	c.present = make([]int32, c.keys*c.batch)
	for j := range c.keys {
		for b := range c.batch {
			if b == 0 && j > c.keys/2 || b > 0 && r.IntN(4) == 0 || b == 3 {
				c.present[j*c.batch+b] = -1
			}
		}
	}
}

func someAttentions(r *rand.Rand, most int) []*attentionCase {
	var list []*attentionCase
	sizes := []int{1, 2, 5, 8, 16, 31, 32, 40, 64, 72}
	for n := range 120 {
		c := &attentionCase{queries: 1 + r.IntN(most), batch: 1 + r.IntN(4)}
		c.keys = c.queries
		switch r.IntN(4) {
		case 0:
			c.keys = 1 + r.IntN(most)
		case 1:
			c.queries = 1
		}
		h := &c.h
		h.KV = 1 + r.IntN(3)
		h.Count = h.KV * (1 + r.IntN(3))
		h.Size = sizes[r.IntN(len(sizes))]
		if h.Causal = n%4 != 0; h.Causal {
			if n%8 == 1 || n%8 == 3 {
				h.Window = 1 + r.IntN(c.keys)
			}
			if n%8 == 2 || n%8 == 3 {
				h.Prefix = 1 + r.IntN(c.keys)
			}
		}
		if r.IntN(3) == 0 {
			for range h.Count {
				h.Slopes = append(h.Slopes, r.Float32())
			}
		}
		if r.IntN(3) == 0 {
			h.Rate, h.Key = 0.3, r.Uint64()
		}
		if r.IntN(4) == 0 {
			h.Cap = 0.2 + r.Float32()
		}
		if r.IntN(4) == 0 {
			c.biased(r)
		}
		c.fill(r)
		if r.IntN(2) == 0 {
			c.holes(r)
		}
		list = append(list, c)
	}
	return list
}

// attend runs both kernels on guarded memory.
func (c *attentionCase) attend(t *testing.T) (y, lse, dq, dk, dv, dbias []float32) {
	t.Helper()
	gy, gl := guard(len(c.dy), 1), guard(c.batch*c.h.Count*c.queries, 2)
	in := []*guarded{guardOf(c.q, 3), guardOf(c.k, 4), guardOf(c.v, 5), guardOf(c.dy, 6)}
	out := []*guarded{gy, gl, guard(len(c.q), 7), guard(len(c.k), 8), guard(len(c.v), 9),
		guard(c.batch*len(c.h.Bias), 10)}
	Attention(gy.x, gl.x, in[0].x, in[1].x, in[2].x, c.present, c.queries, c.keys, c.batch, c.h)
	if c.h.Bias != nil {
		AttentionBiasGrad(out[5].x, out[2].x, out[3].x, out[4].x, in[3].x, in[0].x, in[1].x, in[2].x, gy.x, gl.x,
			c.present, c.queries, c.keys, c.batch, c.h)
	} else {
		AttentionGrad(out[2].x, out[3].x, out[4].x, in[3].x, in[0].x, in[1].x, in[2].x, gy.x, gl.x, c.present,
			c.queries, c.keys, c.batch, c.h)
	}
	for i, g := range in {
		diff(t, "input "+fmt.Sprint(i), g.x, [][]float32{c.q, c.k, c.v, c.dy}[i])
	}
	for i, g := range out {
		g.check(t, fmt.Sprintf("output %d of %v", i, c))
	}
	// The columns between the rows are not written: they are cleared here, so that the rest compares.
	for i, x := range [][]float32{out[2].x, out[3].x, out[4].x} {
		ld, w := c.h.LDQ, c.h.Count*c.h.Size
		if i > 0 {
			ld, w = c.h.LDK, c.h.KV*c.h.Size
		}
		for r := range x {
			if r%ld >= w {
				if math.Float32bits(x[r]) != canary {
					t.Fatalf("%v: gradient %d written between the rows", c, i)
				}
				x[r] = 0
			}
		}
	}
	return gy.x, gl.x, out[2].x, out[3].x, out[4].x, out[5].x
}

func shrink(n int) int {
	if len(levels()) == 1 || level == generic {
		return n / 3
	}
	return n
}

// Both directions agree with float64 over random shapes and options, at every level and with any number of threads, and
// to the same bits.
func TestAttention(t *testing.T) {
	r := rng(20)
	cases := someAttentions(r, shrink(100))
	// More keys than a block, and more queries.
	for n, o := range []Heads{{Causal: true}, {}, {Causal: true, Window: 200},
		{Causal: true, Prefix: 30, Window: 40, Slopes: []float32{0.01, 0.02}}} {
		c := &attentionCase{queries: 80, keys: 600 + 500*(n%2), batch: 1, h: o}
		c.h.Count, c.h.KV, c.h.Size = 2, 1+n%2, 8
		c.fill(r)
		if n%2 == 1 {
			c.holes(r)
		}
		cases = append(cases, c)
	}
	// A window that only some queries of a block have within a block of keys.
	for _, o := range []Heads{{Window: 5}, {Window: 70, Prefix: 3}, {Window: 5, Rate: 0.2}} {
		c := &attentionCase{queries: 560, keys: 560, batch: 1, h: o}
		c.h.Causal, c.h.Count, c.h.KV, c.h.Size = true, 2, 1, 4
		c.fill(r)
		cases = append(cases, c)
	}
	// So many queries that their gradients are added in parts.
	for n, o := range []Heads{{Causal: true}, {Cap: 0.5}, {Causal: true, Window: 100, Prefix: 9, Rate: 0.1}} {
		c := &attentionCase{queries: 270 + 60*n, keys: 280 + 60*n, batch: 1 + n%2, h: o}
		c.h.Count, c.h.KV, c.h.Size = 2+2*n, 2, 4
		if n < 2 {
			c.biased(r)
		}
		c.fill(r)
		if n > 0 {
			c.holes(r)
		}
		cases = append(cases, c)
	}
	for _, c := range cases {
		var want [6][]float32
		for _, threads := range []int{1, 3} {
			withThreads(t, threads)
			for _, l := range levels() {
				setLevel(t, l)
				var got [6][]float32
				got[0], got[1], got[2], got[3], got[4], got[5] = c.attend(t)
				for i := range got {
					if want[i] == nil {
						want[i] = got[i]
					}
					diff(t, fmt.Sprintf("%v: output %d at %s on %d threads", c, i, levelNames[l], threads), got[i],
						want[i])
				}
			}
		}
		q, k, v := widen(c.q), widen(c.k), widen(c.v)
		wy, wl := c.forward(q, k, v)
		wq, wk, wv, wb := c.backward(q, k, v, widen(c.dy))
		lse := want[1]
		for i, l := range wl {
			if math.IsInf(l, -1) {
				if lse[i] != negInf {
					t.Fatalf("%v: log of no sum is %v", c, lse[i])
				}
				lse[i], wl[i] = 0, 0
			}
		}
		what := c.String()
		near(t, what+": y", want[0], wy, 3e-6, 3e-6)
		near(t, what+": lse", lse, wl, 3e-6, 1e-6)
		near(t, what+": dq", want[2], wq, 1e-5, 1e-5)
		near(t, what+": dk", want[3], wk, 3e-5, 1e-5)
		near(t, what+": dv", want[4], wv, 2e-5, 1e-5)
		near(t, what+": dbias", want[5], wb, 3e-5, 1e-5)
	}
}

// The formula of the gradient is the derivative of the forward pass, in float64.
func TestAttentionGradFormula(t *testing.T) {
	r := rng(21)
	for range 20 {
		c := &attentionCase{queries: 1 + r.IntN(4), keys: 1 + r.IntN(5), batch: 2}
		c.h = Heads{KV: 2, Count: 4, Size: 1 + r.IntN(3), Causal: r.IntN(2) == 0, Window: r.IntN(3), Prefix: r.IntN(3),
			Rate: 0.25, Key: r.Uint64()}
		c.h.Slopes = []float32{0.1, 0.2, 0.3, 0.4}
		c.h.Cap = 0.7
		c.biased(r)
		c.fill(r)
		c.holes(r)
		x := [3][]float64{widen(c.q), widen(c.k), widen(c.v)}
		dy := widen(c.dy)
		loss := func() float64 {
			y, _ := c.forward(x[0], x[1], x[2])
			return dot64(y, dy)
		}
		dq, dk, dv, _ := c.backward(x[0], x[1], x[2], dy)
		for n, d := range [][]float64{dq, dk, dv} {
			for i := range d {
				const eps = 1e-5
				was := x[n][i]
				x[n][i] = was + eps
				up := loss()
				x[n][i] = was - eps
				down := loss()
				x[n][i] = was
				if f := (up - down) / (2 * eps); math.Abs(f-d[i]) > 1e-7*(1+math.Abs(f)) {
					t.Fatalf("%v: gradient %d element %d is %v, differences give %v", c, n, i, d[i], f)
				}
			}
		}
	}
}

// What stands where no query looks changes nothing, NaN included: not the outputs, and not the gradients.
func TestAttentionHidden(t *testing.T) {
	nan := float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		r := rng(23)
		for _, c := range someAttentions(r, shrink(90)) {
			y, lse, dq, dk, dv, _ := c.attend(t)
			h := &c.h
			hidden := 0
			for b := range c.batch {
				for j := range c.keys {
					seen := false
					for i := range c.queries {
						seen = seen || c.sees(i, j, b)
					}
					if seen {
						continue
					}
					hidden++
					at := (j*c.batch + b) * h.LDK
					for f := range h.KV * h.Size {
						c.k[at+f], c.v[at+f] = nan, nan
						if dk[at+f] != 0 || dv[at+f] != 0 {
							t.Fatalf("%v: gradient of key %d of sequence %d, which is hidden, is not zero", c, j, b)
						}
					}
				}
				for i := range c.queries {
					blind := true
					for j := range c.keys {
						blind = blind && !c.sees(i, j, b)
					}
					if !blind {
						continue
					}
					hidden++
					for f := range h.Count * h.Size {
						at, to := (i*c.batch+b)*h.LDQ+f, (i*c.batch+b)*h.Count*h.Size+f
						if y[to] != 0 || dq[at] != 0 {
							t.Fatalf("%v: query %d of sequence %d sees nothing and is not zero", c, i, b)
						}
						c.q[at], c.dy[to] = nan, nan
					}
				}
			}
			if hidden == 0 {
				continue
			}
			y2, lse2, dq2, dk2, dv2, _ := c.attend(t)
			diff(t, "y", y2, y)
			diff(t, "lse", lse2, lse)
			diff(t, "dq", dq2, dq)
			diff(t, "dk", dk2, dk)
			diff(t, "dv", dv2, dv)
		}
	})
}

// A query is untouched by what stands after it, be it NaN, and by which queries are computed with it.
func TestAttentionCausal(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rng(24)
		for _, steps := range []int{5, 40, shrink(200)} {
			c := &attentionCase{queries: steps, keys: steps, batch: 2,
				h: Heads{Count: 2, KV: 1, Size: 32, Causal: true}}
			c.fill(r)
			y, lse, _, _, _, _ := c.attend(t)
			cut := steps / 2
			for i := cut * c.batch * c.h.LDK; i < len(c.k); i++ {
				c.k[i], c.v[i] = float32(math.NaN()), float32(math.Inf(1))
			}
			w := c.h.Count * c.h.Size * c.batch
			y2, lse2, _, _, _, _ := c.attend(t)
			diff(t, "y before a NaN", y2[:cut*w], y[:cut*w])
			for b := range c.batch * c.h.Count {
				diff(t, "lse before a NaN", lse2[b*steps:b*steps+cut], lse[b*steps:b*steps+cut])
			}
			if y2[cut*w] == y2[cut*w] {
				t.Error("a NaN among the keys of a query does not show")
			}
			c.queries, c.keys = cut, cut
			c.q, c.k, c.v, c.dy = c.q[:cut*c.batch*c.h.LDQ], c.k[:cut*c.batch*c.h.LDK], c.v[:cut*c.batch*c.h.LDK],
				c.dy[:cut*w]
			y3, _, _, _, _, _ := c.attend(t)
			diff(t, "y of a part", y3, y[:cut*w])
		}
	})
}

// Decoding with a cache, in chunks of any size, gives what the whole gives.
func TestAttentionCached(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rng(25)
		for n := range 40 {
			const batch = 3
			length := 2 + r.IntN(shrink(90))
			c := &attentionCase{queries: length, keys: length, batch: batch,
				h: Heads{KV: 1 + r.IntN(2), Size: []int{5, 16, 32, 48, 64}[r.IntN(5)], Causal: true}}
			h := &c.h
			h.Count = h.KV * (1 + r.IntN(3))
			capacity := length + r.IntN(5)
			longest := length
			if n%3 == 0 {
				h.Window = 1 + r.IntN(length)
				longest = 1 + r.IntN(10)
				capacity = h.Window + longest - 1
			}
			if n%4 == 1 {
				h.Slopes = make([]float32, h.Count)
				for i := range h.Slopes {
					h.Slopes[i] = r.Float32()
				}
			}
			if n%5 == 2 {
				c.biased(r)
			}
			if n%5 == 3 {
				h.Cap = 0.5
			}
			c.fill(r)
			// Sequence b begins with a few absent tokens: the whole does not know them.
			pad := []int{0, 2, 1}
			wy, _ := c.forward(widen(c.q), widen(c.k), widen(c.v))
			ck := cache.New(cache.F32, batch, h.KV, capacity, h.Size)
			cv := cache.New(cache.F32, batch, h.KV, capacity, h.Size)
			lengths := make([]int32, batch)
			for t0 := 0; t0 < length+2; {
				steps := min(1+r.IntN(longest), length+2-t0)
				tokens := make([]int32, steps*batch)
				rows := func(x []float32, ld int) []float32 {
					out := make([]float32, steps*batch*ld)
					for s := range steps {
						for b := range batch {
							if at := t0 + s - pad[b]; at >= 0 && at < length {
								copy(out[(s*batch+b)*ld:(s*batch+b+1)*ld], x[(at*batch+b)*ld:])
							} else {
								tokens[s*batch+b] = -1
								for i := range ld {
									out[(s*batch+b)*ld+i] = float32(math.NaN())
								}
							}
						}
					}
					return out
				}
				q, k, v := rows(c.q, h.LDQ), rows(c.k, h.LDK), rows(c.v, h.LDK)
				positions := make([]int32, steps*batch)
				Positions(positions, lengths, tokens, steps, batch)
				CacheStore(ck, k, positions, steps, batch, *h)
				CacheStore(cv, v, positions, steps, batch, *h)
				y := guard(steps*batch*h.Count*h.Size, 3)
				AttentionCached(y.x, q, ck, cv, positions, steps, batch, *h)
				y.check(t, "cache")
				w := h.Count * h.Size
				for s := range steps {
					for b := range batch {
						row := y.x[(s*batch+b)*w : (s*batch+b+1)*w]
						want := make([]float64, w)
						if at := t0 + s - pad[b]; at >= 0 && at < length {
							copy(want, wy[(at*batch+b)*w:])
						}
						near(t, fmt.Sprintf("step %d of %d, capacity %d, %v", t0+s, steps, capacity, c), row, want,
							3e-6, 3e-6)
					}
				}
				t0 += steps
			}
			for b, l := range lengths {
				if int(l) != length && pad[b]+length <= length+2 {
					t.Errorf("length %d, want %d", l, length)
				}
			}
		}
	})
}

// A prefix is seen whole by its own tokens and by all that follow.
func TestAttentionCachedPrefix(t *testing.T) {
	r := rng(26)
	for _, window := range []int{0, 7} {
		c := &attentionCase{queries: 40, keys: 40, batch: 1,
			h: Heads{Count: 4, KV: 2, Size: 16, Causal: true, Prefix: 9, Window: window}}
		c.fill(r)
		h := c.h
		want, _ := c.forward(widen(c.q), widen(c.k), widen(c.v))
		ck, cv := cache.New(cache.F32, 1, h.KV, 40, h.Size), cache.New(cache.F32, 1, h.KV, 40, h.Size)
		length := make([]int32, 1)
		for t0, steps := 0, 0; t0 < 40; t0 += steps {
			steps = []int{12, 1, 1, 20, 6}[min(4, t0/7)]
			steps = min(steps, 40-t0)
			positions := make([]int32, steps)
			Positions(positions, length, make([]int32, steps), steps, 1)
			CacheStore(ck, c.k[t0*h.LDK:], positions, steps, 1, h)
			CacheStore(cv, c.v[t0*h.LDK:], positions, steps, 1, h)
			w := h.Count * h.Size
			y := make([]float32, steps*w)
			AttentionCached(y, c.q[t0*h.LDQ:], ck, cv, positions, steps, 1, h)
			near(t, fmt.Sprintf("step %d window %d", t0, window), y, want[t0*w:(t0+steps)*w], 3e-6, 3e-6)
		}
	}
}

func TestRope(t *testing.T) {
	r := rng(27)
	for _, size := range []int{2, 8, 32, 64, 66} {
		const rows, heads, positions, base = 9, 3, 50, 10000
		ld := heads*size + 3
		table := make([]float32, positions*size)
		RopeTable(table, positions, size, base)
		x, at := floats(r, rows*ld), make([]int32, rows)
		want := widen(x)
		for i := range at {
			at[i] = int32(r.IntN(positions+1) - 1)
			if i == 0 {
				at[i] = -1
			}
			for h := range heads {
				v := want[i*ld+h*size : i*ld+(h+1)*size]
				for f := range size / 2 {
					if at[i] >= 0 {
						s, c := math.Sincos(float64(at[i]) * math.Pow(base, -2*float64(f)/float64(size)))
						v[f], v[f+size/2] = v[f]*c-v[f+size/2]*s, v[f+size/2]*c+v[f]*s
					}
				}
			}
		}
		var bits []float32
		for _, threads := range []int{1, 2} {
			withThreads(t, threads)
			eachLevel(t, func(t *testing.T) {
				y := guardOf(x, size)
				Rope(y.x, y.x, table, at, rows, 1, heads, size, ld, false)
				y.check(t, "rope")
				near(t, "rope", y.x, want, 1e-6, 1e-6)
				if bits == nil {
					bits = y.x
				}
				diff(t, "rope", y.x, bits)
				z := guardOf(x, 1)
				Rope(z.x, y.x, table, at, rows, 1, heads, size, ld, true)
				near(t, "inverse", z.x, widen(x), 1e-6, 1e-6)
			})
		}
	}
}

// TestRopeSteps holds that rows without positions stand at their time steps.
func TestRopeSteps(t *testing.T) {
	const steps, batch, heads, size = 5, 3, 2, 6
	x, table := make([]float32, steps*batch*heads*size), make([]float32, steps*size)
	for i := range x {
		x[i] = float32(i%17) - 8
	}
	RopeTable(table, steps, size, 10000)
	at := make([]int32, steps*batch)
	for i := range at {
		at[i] = int32(i / batch)
	}
	a, b := make([]float32, len(x)), make([]float32, len(x))
	Rope(a, x, table, at, len(at), batch, heads, size, heads*size, false)
	Rope(b, x, table, nil, len(at), batch, heads, size, heads*size, false)
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			t.Fatalf("element %d is %v with positions and %v without", i, a[i], b[i])
		}
	}
}

// TestALiBiSlopes holds the slopes that the paper gives.
func TestALiBiSlopes(t *testing.T) {
	for count, want := range map[int][]float32{1: {1. / 256}, 2: {1. / 16, 1. / 256}, 3: {1. / 16, 1. / 256, 1. / 4},
		8: {1. / 2, 1. / 4, 1. / 8, 1. / 16, 1. / 32, 1. / 64, 1. / 128, 1. / 256}} {
		for h, x := range ALiBiSlopes(count) {
			if x != want[h] {
				t.Errorf("slope %d of %d is %v, want %v", h, count, x, want[h])
			}
		}
	}
}

func TestAddPositions(t *testing.T) {
	r := rng(28)
	const steps, batch, cols, capacity = 5, 3, 70, 8
	table := make([]float32, capacity*cols)
	Sinusoids(table, capacity, cols)
	for p := range capacity {
		for c := range cols {
			want := math.Sin(float64(p) / math.Pow(10000, float64(c/2*2)/cols))
			if c%2 == 1 {
				want = math.Cos(float64(p) / math.Pow(10000, float64(c/2*2)/cols))
			}
			near(t, "sinusoid", table[p*cols+c:], []float64{want}, 1e-7, 0)
		}
	}
	x, y := floats(r, steps*batch*cols), make([]float32, steps*batch*cols)
	eachLevel(t, func(t *testing.T) {
		AddPositions(y, x, table, steps, batch, cols)
		for i := range y {
			if want := x[i] + table[i/(batch*cols)*cols+i%cols]; y[i] != want {
				t.Fatalf("element %d is %v, want %v", i, y[i], want)
			}
		}
		d := guard(capacity*cols, 1)
		AddPositionsGrad(d.x, x, steps, batch, cols, capacity)
		d.check(t, "gradient")
		for p := range capacity {
			for c := range cols {
				want := float32(0)
				for b := range batch {
					if p < steps {
						want += x[(p*batch+b)*cols+c]
					}
				}
				if d.x[p*cols+c] != want {
					t.Fatalf("gradient of row %d column %d is %v, want %v", p, c, d.x[p*cols+c], want)
				}
			}
		}
	})
}

func TestSwiGLU(t *testing.T) {
	r := rng(29)
	for _, cols := range []int{1, 9, 64, 170} {
		const rows = 7
		x, dy := floats(r, 2*rows*cols), floats(r, rows*cols)
		wy, wx := make([]float64, rows*cols), make([]float64, 2*rows*cols)
		for i := range wy {
			at := i/cols*2*cols + i%cols
			g, u, d := float64(x[at]), float64(x[at+cols]), float64(dy[i])
			s := 1 / (1 + math.Exp(-g))
			wy[i] = g * s * u
			wx[at], wx[at+cols] = d*u*(s+g*s*(1-s)), d*g*s
		}
		eachLevel(t, func(t *testing.T) {
			y, dx := guard(rows*cols, 1), guardOf(x, 2)
			SwiGLU(y.x, x, rows, cols)
			SwiGLUGrad(dx.x, dx.x, dy, rows, cols)
			y.check(t, "y")
			dx.check(t, "dx")
			near(t, "y", y.x, wy, 1e-7, 1e-6)
			near(t, "dx", dx.x, wx, 1e-6, 1e-6)
		})
	}
}

// TestAttentionMemory takes what attention works in from wherever it is kept.
func TestAttentionMemory(t *testing.T) {
	withThreads(t, 2)
	h := Heads{Count: 4, KV: 4, Size: 16, LDQ: 64, LDK: 64, Causal: true, Scale: 0.25}
	const steps, batch = 40, 3
	x := floats(rng(5), steps*batch*64)
	y, lse := make([]float32, len(x)), make([]float32, steps*batch*4)
	hook.AttentionMemory()
	Attention(y, lse, x, x, x, nil, steps, steps, batch, h)
	if n := hook.AttentionMemory(); n < 4*steps*16 {
		t.Errorf("attention works in %d bytes", n)
	}
	if n := hook.AttentionMemory(); n != 0 {
		t.Errorf("%d bytes are kept after they were given up", n)
	}
}
