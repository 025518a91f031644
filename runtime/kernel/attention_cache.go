package kernel

import "fmt"

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
func (h *Heads) checkCache(name string, positions []int32, steps, batch, capacity int) bool {
	size(name, "steps", steps)
	size(name, "batch", batch)
	h.checkSizes(name)
	need(name, "positions", len(positions), steps*batch)
	if steps*batch*h.Count*h.Size == 0 {
		return false
	}
	if capacity <= 0 {
		panic(fmt.Sprintf("kernel.%s: capacity is %d, need at least 1", name, capacity))
	}
	return true
}

// CacheStore writes rows of keys, or of values, to a cache [batch, KV, capacity, Size]: row t·batch + b of x, of which
// there are steps·batch, LDK apart, goes to slot positions[t, b] mod capacity of each head of sequence b. Rows whose
// position is negative are left out. Of rows for the same slot the last one stays.
func CacheStore(cache, x []float32, positions []int32, steps, batch, capacity int, h Heads) {
	const name = "CacheStore"
	if !h.checkCache(name, positions, steps, batch, capacity) {
		return
	}
	need(name, "cache", len(cache), batch*h.KV*capacity*h.Size)
	need(name, "x", len(x), span(steps*batch, h.LDK, h.KV*h.Size))
	for t := range steps {
		for b, p := range positions[t*batch : (t+1)*batch] {
			if p < 0 {
				continue
			}
			row := x[(t*batch+b)*h.LDK:]
			for g := range h.KV {
				slot := (b*h.KV+g)*capacity + int(p)%capacity
				copy(cache[slot*h.Size:(slot+1)*h.Size], row[g*h.Size:])
			}
		}
	}
}

// AttentionCached is [Attention] of a chunk of steps tokens, one or many, against caches [batch, KV, capacity, Size] of
// keys and values that [CacheStore] has written, those of the chunk included. q has steps·batch rows, LDQ apart; y is
// dense, [steps·batch, Count·Size]. positions [steps, batch] are what [Positions] gave: within a sequence they go up by
// one, and a negative one gives a row of zeros.
//
// Attention is causal, whatever h says: a query at position p sees the keys at positions p-capacity+1 to p, of which
// Window leaves the last, and those before Prefix. A chunk overwrites the oldest keys in the cache, and what is
// overwritten is seen by no query of the chunk; so for the same result as token by token, either all positions are
// below capacity, or capacity is at least Window + steps - 1, or the caller cuts the chunk. A prefix that is to be
// seen by its own tokens comes in one chunk. Dropout does not apply.
//
// Up to 8 steps give the bits of one step after the other.
func AttentionCached(y, q, keys, values []float32, positions []int32, steps, batch, capacity int, h Heads) {
	const name = "AttentionCached"
	if !h.checkCache(name, positions, steps, batch, capacity) {
		return
	}
	need(name, "y", len(y), steps*batch*h.Count*h.Size)
	need(name, "q", len(q), span(steps*batch, h.LDQ, h.Count*h.Size))
	need(name, "keys", len(keys), batch*h.KV*capacity*h.Size)
	need(name, "values", len(values), batch*h.KV*capacity*h.Size)
	h.Causal, h.Rate = true, 0
	if h.Window <= 0 || h.Window > capacity {
		h.Window = capacity
	}
	j := attentionJobs.get()
	j.y, j.q, j.k, j.v, j.positions = y, q, keys, values, positions
	j.queries, j.keys, j.batch, j.capacity, j.Heads = steps, capacity, batch, capacity, h
	longest := 0
	for _, p := range positions[:steps*batch] {
		longest = max(longest, int(p)+1)
	}
	j.parts = 1
	j.split(batch*h.KV, steps*min(longest, capacity, h.Window)*h.Size*(h.Count/h.KV))
	*j = attentionJob{}
	attentionJobs.put(j)
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
	unit := (b*j.KV + g) * j.capacity * j.Size
	keys, values := j.k[unit:unit+j.capacity*j.Size], j.v[unit:unit+j.capacity*j.Size]
	packed := last-first+1 > few
	if packed {
		x := w.unroll(keys, j.capacity)
		w.kT = w.packT(w.kT, x, j.Size, w.n, j.Scale)
		x = w.unroll(values, j.capacity)
		w.vN = w.packN(w.vN, x, j.Size, w.n, 1)
		w.careful = !finite(w.vN)
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
			w.block(p, rows)
			for h := g * group; h < (g+1)*group; h++ {
				w.forward(y[h*j.Size:], q[h*j.Size:], ldy, ldq, rows, h, 0, 0)
			}
		} else {
			w.decode(y[g*group*j.Size:], q[g*group*j.Size:], keys, values, p, g*group, group, j.capacity)
		}
		t += rows
	}
}

// unroll is the part of a cache with the keys of w, in order.
func (w *attentionWork) unroll(x []float32, capacity int) []float32 {
	slot := w.base % capacity
	if slot+w.n <= capacity {
		return x[slot*w.Size : (slot+w.n)*w.Size]
	}
	w.gather = grow(w.gather, capacity*w.Size)
	n := copy(w.gather, x[slot*w.Size:])
	copy(w.gather[n:], x[:(slot+w.n-capacity)*w.Size])
	return w.gather[:w.n*w.Size]
}

// decode computes heads first to first+group-1 of one query at position p, whose features lie beside each other in q
// and y, straight from the caches.
func (w *attentionWork) decode(y, q, keys, values []float32, p, first, group, capacity int) {
	w.block(p, 1)
	from, to, gap := w.hull(0, 0, w.n)
	n := to - from
	// A row of scores for each head, not a power of two apart.
	ld := capacity + 16
	w.row = grow(w.row, group*ld)
	clear(y[:group*w.Size])
	// The keys lie in one or two stretches of the ring.
	slot := (w.base + from) % capacity
	one := min(n, capacity-slot)
	for h := range group {
		s, qh := w.row[h*ld:h*ld+n], q[h*w.Size:(h+1)*w.Size]
		dotRows(s, qh, keys[slot*w.Size:], 0, w.Size, one, w.Size)
		dotRows(s[one:], qh, keys, 0, w.Size, n-one, w.Size)
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
			at, end := r[0], r[1]
			s := slot + at
			if at < one {
				end = min(end, one)
			} else {
				s -= capacity
			}
			g := product{
				c: y, a: w.row[at:], b: values[s*w.Size:], m: group, n: w.Size, k: end - at, ldc: w.Size, lda: ld,
				ldb: w.Size, accumulate: true,
			}
			g.block(0, group, 0, w.Size)
			r[0] = end
		}
	}
}
