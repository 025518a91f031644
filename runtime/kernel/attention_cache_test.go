package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gradsmith/gradsmith/runtime/cache"
)

// roundedTo is x as a cache of a kind has it, by the definition.
func roundedTo(kind cache.Kind, x []float32) []float32 {
	y := make([]float32, len(x))
	switch kind {
	case cache.F32:
		copy(y, x)
	case cache.BF16:
		for i, v := range x {
			y[i] = nearestBF16(v)
		}
	case cache.Q8:
		for from := 0; from < len(x); from += cache.Block {
			part := x[from:min(from+cache.Block, len(x))]
			most, whole := 0.0, true
			for _, v := range part {
				most = max(most, math.Abs(float64(v)))
				whole = whole && !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
			}
			for i, v := range part {
				switch s := float32(most); {
				case !whole:
					y[from+i] = float32(math.NaN())
				case s >= 0x1p-100:
					q := math.RoundToEven(float64(v * (127 / s)))
					y[from+i] = float32(int(q)) * (s / 127) // whole numbers have no -0
				}
			}
		}
	}
	return y
}

// nearestBF16 is the bf16 that is nearest to v, found among the two around it.
func nearestBF16(v float32) float32 {
	if v != v || math.IsInf(float64(v), 0) {
		return v
	}
	u := math.Float32bits(v) &^ 0xffff
	below, above := math.Float32frombits(u), math.Float32frombits(u+0x10000) // in size
	d, e := math.Abs(float64(v)-float64(below)), math.Abs(float64(above)-float64(v))
	if math.IsInf(float64(above), 0) {
		e = 0x1p128 - math.Abs(float64(v)) // as if there were larger ones
	}
	if d < e || d == e && u>>16&1 == 0 {
		return below
	}
	return above
}

// TestCacheKinds holds caches in fewer bits to caches of float32 with the numbers that they are rounded to, and those
// to their definition: the same bits, at every level and for any number of threads, in chunks of any size, in rings
// that have wrapped, and with numbers that are not finite.
func TestCacheKinds(t *testing.T) {
	for _, threads := range []int{1, 3} {
		withThreads(t, threads)
		eachLevel(t, func(t *testing.T) {
			r := rng(31)
			for n := range 60 {
				cacheKinds(t, r, n)
			}
		})
	}
}

func cacheKinds(t *testing.T, r *rand.Rand, n int) {
	const batch = 2
	h := Heads{KV: 1 + r.IntN(2), Size: []int{5, 16, 32, 40, 64, 96, 129, 300}[r.IntN(8)], Causal: true, Scale: 0.2}
	h.Count = h.KV * (1 + r.IntN(3))
	length := 2 + r.IntN(shrink(120))
	longest, capacity := length, length
	if n%3 == 0 {
		h.Window = 1 + r.IntN(length)
		longest = 1 + r.IntN(12)
		capacity = h.Window + longest - 1
	}
	if n%5 == 1 {
		h.Prefix = 1 + r.IntN(length)
		longest, capacity, h.Window = length, length, 0
	}
	h.LDQ, h.LDK = h.Count*h.Size, h.KV*h.Size+3
	kinds := cache.Kinds()
	kept := map[cache.Kind][2]*cache.Cache{}
	want := map[cache.Kind][2]*cache.Cache{}
	for _, kind := range kinds {
		for i, all := range []map[cache.Kind][2]*cache.Cache{kept, want} {
			k := kind
			if i == 1 {
				k = cache.F32
			}
			all[kind] = [2]*cache.Cache{cache.New(k, batch, h.KV, capacity, h.Size),
				cache.New(k, batch, h.KV, capacity, h.Size)}
		}
	}
	lengths := make([]int32, batch)
	for t0 := 0; t0 < length; {
		steps := min(1+r.IntN(longest), length-t0)
		if n%5 == 1 {
			steps = length // a prefix comes in one chunk
		}
		q := floats(r, steps*batch*h.LDQ)
		rows := [2][]float32{floats(r, steps*batch*h.LDK), floats(r, steps*batch*h.LDK)}
		for i := range rows {
			for j := range rows[i] {
				switch r.IntN(400) {
				case 0:
					rows[i][j] = 0x1p-120
				case 1:
					rows[i][j] *= 1e30
				case 2:
					if n%7 == 3 {
						rows[i][j] = []float32{float32(math.NaN()), float32(math.Inf(1)), -math.MaxFloat32}[r.IntN(3)]
					}
				}
			}
		}
		positions := make([]int32, steps*batch)
		tokens := make([]int32, steps*batch)
		if steps > 1 && n%4 == 2 && t0 == 0 {
			tokens[0] = -1 // the other sequence is longer
		}
		Positions(positions, lengths, tokens, steps, batch)
		for _, kind := range kinds {
			for i, c := range kept[kind] {
				CacheStore(c, rows[i], positions, steps, batch, h)
				rounded := make([]float32, len(rows[i]))
				for row := range steps * batch {
					for g := range h.KV {
						at := row*h.LDK + g*h.Size
						copy(rounded[at:], roundedTo(kind, rows[i][at:at+h.Size]))
					}
				}
				CacheStore(want[kind][i], rounded, positions, steps, batch, h)
			}
			y, exact := guard(steps*batch*h.Count*h.Size, 1), make([]float32, steps*batch*h.Count*h.Size)
			AttentionCached(y.x, q, kept[kind][0], kept[kind][1], positions, steps, batch, h)
			AttentionCached(exact, q, want[kind][0], want[kind][1], positions, steps, batch, h)
			y.check(t, "cache")
			diff(t, fmt.Sprintf("%v: %d steps behind %d, %+v", kind, steps, t0, h), y.x, exact)
		}
		t0 += steps
	}
}

// TestCacheRounding holds what is stored to the definition, for numbers of all sizes and for blocks that are not whole.
func TestCacheRounding(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rng(32)
		for n := range 300 {
			size := 1 + r.IntN(100)
			h := Heads{Count: 1, KV: 1, Size: size, LDQ: size, LDK: size}
			x := make([]float32, size)
			for i := range x {
				x[i] = math.Float32frombits(r.Uint32())
				if n%3 > 0 {
					x[i] = float32(r.NormFloat64() * math.Pow(2, float64(r.IntN(200)-100)))
				}
			}
			for _, kind := range cache.Kinds() {
				c := cache.New(kind, 1, 1, 2, size)
				CacheStore(c, x, []int32{1}, 1, 1, h)
				got := make([]float32, c.Width())
				if kind == cache.F32 {
					copy(got, c.Floats(1))
				} else {
					widenRows(got, c, 1, 1)
				}
				diff(t, fmt.Sprintf("%v of %d numbers", kind, size), got[:size], roundedTo(kind, x))
				for i := range got[size:] {
					if got[size+i] != 0 && got[size+i] == got[size+i] {
						t.Fatalf("%v: what fills a block is %v", kind, got[size+i])
					}
				}
			}
		}
	})
}

// TestCacheMisfit: a cache of other sizes is a panic that says which.
func TestCacheMisfit(t *testing.T) {
	h := Heads{Count: 2, KV: 2, Size: 8, LDQ: 16, LDK: 16}
	x, good := make([]float32, 64), cache.New(cache.Q8, 2, 2, 9, 8)
	for want, f := range map[string]func(){
		"for 1 sequences of 2 heads of 8": func() {
			CacheStore(cache.New(cache.Q8, 1, 2, 9, 8), x, make([]int32, 2), 1, 2, h)
		},
		"for 2 sequences of 1 heads of 8": func() {
			CacheStore(cache.New(cache.Q8, 2, 1, 9, 8), x, make([]int32, 2), 1, 2, h)
		},
		"the values are for 2 sequences of 2 heads of 7": func() {
			AttentionCached(x, x, good, cache.New(cache.Q8, 2, 2, 9, 7), make([]int32, 2), 1, 2, h)
		},
		"the keys have 9 slots and the values 8": func() {
			AttentionCached(x, x, good, cache.New(cache.Q8, 2, 2, 8, 8), make([]int32, 2), 1, 2, h)
		},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("the panic is %q, want one about %q", got, want)
				}
			}()
			f()
		}()
	}
}
