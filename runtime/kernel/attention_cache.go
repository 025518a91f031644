package kernel

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/cache"
)

// Positions numbers the tokens of a chunk, as it follows on sequences that are length [batch] long. tokens and
// positions are [steps, batch]:
//
//	positions[t, b] = length[b] + the number of tokens s < t of sequence b that are not negative
//
// and -1 where the token is negative. length then counts the tokens of the chunk too.
func Positions(positions, length, tokens []int32, steps, batch int) {
	const name = "Positions"
	size(name, "steps", steps)
	size(name, "batch", batch)
	need(name, "positions", len(positions), steps*batch)
	need(name, "tokens", len(tokens), steps*batch)
	if steps == 0 {
		return
	}
	need(name, "length", len(length), batch)
	for t := range steps {
		for b, token := range tokens[t*batch : (t+1)*batch] {
			if token < 0 {
				positions[t*batch+b] = -1
				continue
			}
			positions[t*batch+b] = length[b]
			length[b]++
		}
	}
}

// checkCache panics unless the arguments of a kernel with a cache fit, and reports whether there is anything to do.
func (h *Heads) checkCache(name, what string, c *cache.Cache, positions []int32, steps, batch int) bool {
	size(name, "steps", steps)
	size(name, "batch", batch)
	h.checkSizes(name)
	need(name, "positions", len(positions), steps*batch)
	if steps*batch*h.Count*h.Size == 0 {
		return false
	}
	sequences, heads, _, features := c.Dims()
	if sequences < batch || heads != h.KV || features != h.Size {
		panic(fmt.Sprintf("kernel.%s: %s are for %d sequences of %d heads of %d features, need %d of %d of %d", name,
			what, sequences, heads, features, batch, h.KV, h.Size))
	}
	return true
}

// CacheStore writes rows of keys, or of values, to a cache: row t·batch + b of x, of which there are steps·batch, LDK
// apart, goes to slot positions[t, b] mod capacity of each head of sequence b. Rows whose position is negative are left
// out. Of rows for the same slot the last one stays.
//
// A cache of F32 keeps the numbers. One of BF16 keeps the nearest bf16, the even one of two, an infinity beyond the
// largest, and NaN. In one of Q8 each 32 features have a scale s/127, s being their largest absolute value, and are
// multiplied by 127/s and rounded to whole numbers, ties to even; a block whose largest value is below 2⁻¹⁰⁰ is all
// zeros, and one that holds a NaN or an infinity is all NaN.
func CacheStore(c *cache.Cache, x []float32, positions []int32, steps, batch int, h Heads) {
	const name = "CacheStore"
	if !h.checkCache(name, "the caches", c, positions, steps, batch) {
		return
	}
	need(name, "x", len(x), span(steps*batch, h.LDK, h.KV*h.Size))
	_, _, capacity, _ := c.Dims()
	for t := range steps {
		for b, p := range positions[t*batch : (t+1)*batch] {
			if p < 0 {
				continue
			}
			row := x[(t*batch+b)*h.LDK:]
			for g := range h.KV {
				storeRow(c, (b*h.KV+g)*capacity+int(p)%capacity, row[g*h.Size:(g+1)*h.Size])
			}
		}
	}
}

// storeRow writes a row of a cache.
func storeRow(c *cache.Cache, row int, x []float32) {
	switch c.Kind() {
	case cache.F32:
		copy(c.Floats(row), x)
	case cache.BF16:
		narrow(c.Halves(row)[:len(x)], x)
	case cache.Q8:
		numbers, scales := c.Blocks(row)
		var blocks [8]actBlock
		for len(x) > 0 {
			n := min(len(x), len(blocks)*cache.Block)
			some := blocks[:(n+cache.Block-1)/cache.Block]
			quantizeBlocks(some, x[:n], 0)
			for i := range some {
				copy(numbers[i*cache.Block:], some[i].q[:])
				scales[i] = some[i].scale
			}
			x, numbers, scales = x[n:], numbers[len(some)*cache.Block:], scales[len(some):]
		}
	}
}

// widenRows writes rows of a cache of BF16 or Q8, from row on, as float32 to dst, [rows, Width].
func widenRows(dst []float32, c *cache.Cache, row, rows int) {
	n := rows * c.Width()
	if n == 0 {
		return
	}
	if c.Kind() == cache.BF16 {
		widenHalves(dst[:n], c.Halves(row)[:n])
		return
	}
	numbers, scales := c.Blocks(row)
	widenBlocks(dst[:n], numbers[:n], scales[:n/cache.Block])
}

// narrowGeneric rounds numbers to bf16.
func narrowGeneric(dst []uint16, x []float32) {
	for i, v := range x {
		u := math.Float32bits(v)
		if v != v {
			dst[i] = uint16(u>>16) | 0x40 // quiet, and no infinity
			continue
		}
		dst[i] = uint16((u + 0x7fff + u>>16&1) >> 16)
	}
}

// widenHalvesGeneric is numbers in bf16 as float32.
func widenHalvesGeneric(dst []float32, x []uint16) {
	for i, v := range x {
		dst[i] = math.Float32frombits(uint32(v) << 16)
	}
}

// widenBlocksGeneric is blocks of numbers times their scales.
func widenBlocksGeneric(dst []float32, x []int8, scales []float32) {
	for i, v := range x {
		dst[i] = float32(v) * scales[i/cache.Block]
	}
}

// AttentionCached is [Attention] of a chunk of steps tokens, one or many, against caches of keys and values that
// [CacheStore] has written, those of the chunk included. q has steps·batch rows, LDQ apart; y is dense, [steps·batch,
// Count·Size]. positions [steps, batch] are what [Positions] gave: within a sequence they go up by one, and a negative
// one gives a row of zeros.
//
// Attention is causal, whatever h says: a query at position p sees the keys at positions p-capacity+1 to p, of which
// Window leaves the last, and those before Prefix. A chunk overwrites the oldest keys in the cache, and what is
// overwritten is seen by no query of the chunk; so for the same result as token by token, either all positions are
// below capacity, or capacity is at least Window + steps - 1, or the caller cuts the chunk. A prefix that is to be
// seen by its own tokens comes in one chunk. Dropout does not apply.
//
// Caches of BF16 and Q8 give the bits of caches of F32 that hold the numbers which they were rounded to: of Q8 the
// products of a whole number and its scale, rounded to float32. Up to 8 steps give the bits of one step after the
// other.
func AttentionCached(y, q []float32, keys, values *cache.Cache, positions []int32, steps, batch int, h Heads) {
	const name = "AttentionCached"
	if !h.checkCache(name, "the keys", keys, positions, steps, batch) ||
		!h.checkCache(name, "the values", values, positions, steps, batch) {
		return
	}
	_, _, capacity, _ := keys.Dims()
	if _, _, n, _ := values.Dims(); n != capacity {
		panic(fmt.Sprintf("kernel.%s: the keys have %d slots and the values %d", name, capacity, n))
	}
	need(name, "y", len(y), steps*batch*h.Count*h.Size)
	need(name, "q", len(q), span(steps*batch, h.LDQ, h.Count*h.Size))
	h.Causal, h.Rate = true, 0
	if h.Window <= 0 || h.Window > capacity {
		h.Window = capacity
	}
	j := attentionJobs.get()
	j.y, j.q, j.cachedKeys, j.cachedValues, j.positions = y, q, keys, values, positions
	j.queries, j.keys, j.batch, j.capacity, j.Heads = steps, capacity, batch, capacity, h
	longest := 0
	for _, p := range positions[:steps*batch] {
		longest = max(longest, int(p)+1)
	}
	j.parts = 1
	j.split(batch*h.KV, steps*min(longest, capacity, h.Window)*h.Size*(h.Count/h.KV))
	j.end()
}

// few is the number of queries up to which the cache is read in place, once for each, and not packed: the bits are
// those of one query after the other.
const few = 8

// cachedUnit computes the queries of sequence b that read head g of the caches.
func (w *attentionWork) cachedUnit(j *attentionJob, b, g int) {
	w.begin(&j.Heads, j.capacity+j.queries)
	group := j.Count / j.KV
	ldq, ldy := j.batch*j.LDQ, j.batch*j.Count*j.Size
	first, last := -1, -1
	for t := range j.queries {
		p := int(j.positions[t*j.batch+b])
		if p < 0 {
			at := t*ldy + b*j.Count*j.Size + g*group*j.Size
			clear(j.y[at : at+group*j.Size])
			continue
		}
		if first < 0 {
			first = p
		}
		last = p
	}
	if last < 0 {
		return
	}
	// The keys at positions base to last are in the cache, and base is the first that any query sees.
	w.base = max(0, last-j.capacity+1)
	if j.Prefix <= 0 {
		w.base = max(w.base, first-j.Window+1)
	}
	w.n, w.holes = last+1-w.base, false
	w.prefix = w.before(max(0, j.Prefix))
	keys, values := ring{j.cachedKeys, (b*j.KV + g) * j.capacity}, ring{j.cachedValues, (b*j.KV + g) * j.capacity}
	packed := last-first+1 > few
	if packed {
		x, ld := w.unroll(keys, j.capacity)
		w.kT = w.packT(w.kT, x, ld, w.n, j.Scale)
		x, ld = w.unroll(values, j.capacity)
		w.vN = w.packN(w.vN, x, ld, w.n, w.ones)
		w.careful = !finite(w.vN[:w.n*w.Size])
	}
	for t := 0; t < j.queries; {
		p := int(j.positions[t*j.batch+b])
		if p < 0 {
			t++
			continue
		}
		// A run of queries at positions that follow each other.
		rows, most := 1, 1
		if packed && !w.careful {
			most = blockQueries
		}
		for rows < most && t+rows < j.queries && int(j.positions[(t+rows)*j.batch+b]) == p+rows {
			rows++
		}
		y, q := j.y[t*ldy+b*j.Count*j.Size:], j.q[t*ldq+b*j.LDQ:]
		if packed {
			w.block(p, rows, false)
			for h := g * group; h < (g+1)*group; h++ {
				w.forward(y[h*j.Size:], q[h*j.Size:], ldy, ldq, rows, h, 0, 0)
			}
		} else {
			w.decode(y[g*group*j.Size:], q[g*group*j.Size:], keys, values, p, g*group, group, j.capacity)
		}
		t += rows
	}
}

// ring is what a head of a sequence has in a cache, which begins with a row.
type ring struct {
	*cache.Cache
	first int
}

// unroll is the part of a ring with the keys of w, in order, and the distance of its rows.
func (w *attentionWork) unroll(r ring, capacity int) (x []float32, ld int) {
	slot, ld := w.base%capacity, r.Width()
	one := min(w.n, capacity-slot)
	if r.Kind() == cache.F32 && one == w.n {
		return r.Floats(r.first + slot), ld
	}
	w.gather = grow(w.gather, capacity*ld)
	if r.Kind() == cache.F32 {
		copy(w.gather[:one*ld], r.Floats(r.first+slot))
		copy(w.gather[one*ld:w.n*ld], r.Floats(r.first))
	} else {
		widenRows(w.gather, r.Cache, r.first+slot, one)
		widenRows(w.gather[one*ld:], r.Cache, r.first, w.n-one)
	}
	return w.gather, ld
}

// pieceFloats is how many numbers of a cache in fewer bits are widened at a time: what the first cache of a processor
// holds beside the rest.
const pieceFloats = 4096

// piece is the first of n rows of a ring from a slot on, which may be beyond its end, as many as lie side by side, and
// their distance. Those of a cache in fewer bits are overwritten by the next call.
func (w *attentionWork) piece(r ring, slot, n, capacity int) (x []float32, ld, rows int) {
	slot, ld = slot%capacity, r.Width()
	rows = min(n, capacity-slot)
	if r.Kind() == cache.F32 {
		return r.Floats(r.first + slot), ld, rows
	}
	rows = min(rows, max(1, pieceFloats/ld))
	w.wide = grow(w.wide, rows*ld)
	widenRows(w.wide, r.Cache, r.first+slot, rows)
	return w.wide, ld, rows
}

// decode computes heads first to first+group-1 of one query at position p, whose features lie beside each other in q
// and y, straight from the caches.
func (w *attentionWork) decode(y, q []float32, keys, values ring, p, first, group, capacity int) {
	w.block(p, 1, false)
	from, to, gap := w.hull(0, 0, w.n)
	n := to - from
	// A row of scores for each head, not a power of two apart.
	ld := capacity + 16
	w.row = grow(w.row, group*ld)
	clear(y[:group*w.Size])
	for at := 0; at < n; {
		x, ldx, rows := w.piece(keys, w.base+from+at, n-at, capacity)
		for h := range group {
			dotRows(w.row[h*ld+at:], q[h*w.Size:(h+1)*w.Size], x, 0, ldx, rows, w.Size)
		}
		at += rows
	}
	for h := range group {
		s := w.row[h*ld : h*ld+n]
		scaleAll(s, w.Scale)
		if n > 0 {
			w.capRow(s)
			if w.Bias != nil {
				w.biasRow(s, w.biasOf(w.Bias, first+h), p, from)
			}
		}
		if w.Slopes != nil && n > 0 {
			w.alibiRow(s, w.Slopes[first+h], p, from)
		}
		for i := gap[0]; i < gap[1]; i++ {
			s[i-from] = negInf
		}
		softmaxRow(s, s)
	}
	hidden := [2]int{gap[0] - from, gap[1] - from}
	if gap[0] == gap[1] {
		hidden = [2]int{n, n}
	}
	// What is hidden may be NaN, which 0 would not silence: it is left out of the sum.
	for _, r := range [2][2]int{{0, hidden[0]}, {hidden[1], n}} {
		for r[0] < r[1] {
			x, ldx, rows := w.piece(values, w.base+from+r[0], r[1]-r[0], capacity)
			g := product{
				c: y, a: w.row[r[0]:], b: x, m: group, n: w.Size, k: rows, ldc: w.Size, lda: ld, ldb: ldx,
				accumulate: true,
			}
			g.block(0, group, 0, w.Size)
			r[0] += rows
		}
	}
}
