package kernel

import (
	"math"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/kernel/internal/hook"
)

// attentionWork is what a thread needs to compute the heads that share keys: everything is linear in the number of
// keys.
type attentionWork struct {
	Heads
	// The keys that take part, in order. The mask follows from their positions: without holes that of key c is base +
	// c, with holes it is at[c], and count[p] keys stand before p.
	n, base   int
	holes     bool
	at, count []int32
	prefix    int // keys before Prefix
	careful   bool

	kT, vT, kN, vN []float32 // scale·k transposed, v transposed, scale·k and v, all packed
	gather, wide   []float32
	dK, dV         []float32

	// Of the block of queries: the first position, the keys that each sees from prefix on, and with the keys of a block
	// as columns, the first and the last of all that each sees.
	position   int
	from, to   []int32
	lo, hi     []int32
	mask       mask
	maskBlock  int // the block of keys of lo and hi; -1 for none
	s, ds      []float32
	row        []float32 // scores of one query against a cache, a row for each head
	q, dy      []float32 // rows of the block, ld apart
	out        []float32 // what becomes rows of y or of dq
	ld         int
	qN, dyN    []float32
	m, sum     []float32
	was, part  []float32
	lanes      [16 * 16]float32 // for as many rows as attentionRows
	distances  []float32        // |d| for d from -far to far
	far        int
	ones, drop []float32
	slope      []float32 // derivative of the cap at each score
	dbias      []float32 // of the sequence, [Count, span]
	pad        []float32
}

// mask is what the keys follow from that the queries of a block see, if there are no holes.
type mask struct {
	p, rows, n, base, window, prefix int
	causal                           bool
}

var attentionWorks jobs[attentionWork]

func init() {
	hook.AttentionMemory = func() int {
		n := 0
		attentionWorks.mu.Lock()
		for _, w := range attentionWorks.free {
			for _, x := range [][]float32{
				w.kT, w.vT, w.kN, w.vN, w.gather, w.wide, w.dK, w.dV, w.s, w.ds, w.row, w.q, w.dy, w.out, w.qN, w.dyN,
				w.distances, w.drop, w.pad,
			} {
				n += 4 * cap(x)
			}
			n += 4 * (cap(w.at) + cap(w.count))
		}
		attentionWorks.free = nil
		attentionWorks.mu.Unlock()
		return n
	}
}

// ldS is the distance between rows of scores: not a power of two.
const ldS = blockKeys + 16

// lowest is where the largest score starts from: unlike -Inf it may be subtracted from itself.
const lowest = -math.MaxFloat32

// grow is x with at least n elements, whose contents are lost if it had fewer.
func grow[T any](x []T, n int) []T {
	if cap(x) < n {
		return make([]T, n, n+n/8)
	}
	return x[:n]
}

// begin sets w up for blocks of queries, whose positions are at most far from those of any key.
func (w *attentionWork) begin(h *Heads, far int) {
	w.Heads = *h
	if h.Slopes != nil && w.far < far {
		w.far = far
		w.distances = make([]float32, 2*far+1)
		for i := range w.distances {
			w.distances[i] = float32(max(i-far, far-i))
		}
	}
	if w.s == nil {
		w.s = make([]float32, blockQueries*ldS+64)
		for _, x := range []*[]float32{&w.m, &w.sum, &w.was, &w.part, &w.ones} {
			*x = make([]float32, blockQueries)
		}
		for _, x := range []*[]int32{&w.from, &w.to, &w.lo, &w.hi} {
			*x = make([]int32, blockQueries)
		}
		for i := range w.ones {
			w.ones[i] = 1
		}
	}
	w.ld = h.Size + 16
	w.q, w.dy, w.out = grow(w.q, blockQueries*w.ld), grow(w.dy, blockQueries*w.ld), grow(w.out, blockQueries*w.ld)
	w.careful = false
}

// take finds the keys of sequence b before limit that take part.
func (w *attentionWork) take(j *attentionJob, b, limit int) {
	w.base, w.n, w.holes = 0, limit, false
	if j.present != nil {
		w.n = 0
		last := -1
		for p := range limit {
			if j.present[p*j.batch+b] >= 0 {
				w.n++
				last = p
			}
		}
		if w.holes = last >= w.n; w.holes {
			w.at, w.count = grow(w.at, w.n), grow(w.count, limit+1)
			n := int32(0)
			for p := range limit {
				w.count[p] = n
				if j.present[p*j.batch+b] >= 0 {
					w.at[n] = int32(p)
					n++
				}
			}
			w.count[limit] = n
		}
	}
	w.prefix = 0
	if w.Causal && w.Prefix > 0 {
		w.prefix = w.before(w.Prefix)
	}
}

// before is the number of keys that stand before position p.
func (w *attentionWork) before(p int) int {
	if w.holes {
		return int(w.count[max(0, min(p, len(w.count)-1))])
	}
	return max(0, min(p-w.base, w.n))
}

// rows returns the rows of the keys, or of values, of sequence b and head g, and their distance.
func (w *attentionWork) rows(x []float32, j *attentionJob, b, g int) ([]float32, int) {
	x, ld := x[min(len(x), b*j.LDK+g*j.Size):], j.batch*j.LDK
	if !w.holes {
		return x, ld
	}
	w.gather = grow(w.gather, w.n*j.Size)
	for c := range w.n {
		copy(w.gather[c*j.Size:(c+1)*j.Size], x[int(w.at[c])*ld:])
	}
	return w.gather, j.Size
}

// packN packs n rows of Size elements, ld apart, times scale.
func (w *attentionWork) packN(dst, x []float32, ld, n int, scale float32) []float32 {
	dst = grow(dst, PackedLen(n, w.Size))
	for c := 0; c < w.Size && n > 0; c += PanelCols {
		packPanel(dst[c*n:], x[c:], ld, n, min(PanelCols, w.Size-c))
	}
	scaleAll(dst, scale)
	return dst
}

// packT packs the transpose of n rows of Size elements, ld apart, times scale.
func (w *attentionWork) packT(dst, x []float32, ld, n int, scale float32) []float32 {
	dst = grow(dst, PackedLen(w.Size, n))
	for c := 0; c < n; c += PanelCols {
		panel, cols := dst[c*w.Size:(c+PanelCols)*w.Size], min(PanelCols, n-c)
		if cols%16 == 0 {
			packPanelT(panel, x[c*ld:], ld, w.Size, cols)
			continue
		}
		// Rows of zeros make it a panel that is transposed by whole vectors.
		w.pad = grow(w.pad, PanelCols*w.Size)
		clear(w.pad[cols*w.Size:])
		for r := range cols {
			copy(w.pad[r*w.Size:(r+1)*w.Size], x[(c+r)*ld:])
		}
		packPanelT(panel, w.pad, w.Size, w.Size, PanelCols)
	}
	scaleAll(dst, scale)
	return dst
}

func scaleAll(x []float32, scale float32) {
	if scale == 1 || len(x) == 0 {
		return
	}
	var v vec
	v.p[0], v.p[1], v.s[0] = ptr(x), ptr(x), scale
	vecRange(opScale, &v, 0, len(x))
}

// finite reports whether nothing in x is NaN or infinite. It may say no of very large numbers.
func finite(x []float32) bool {
	d := rowDot(x, x)
	return d-d == 0
}

// pieces gives the keys of a block, [k0, k1), that some of the queries r0 to r1-1 see: two ranges, either may be empty.
func (w *attentionWork) pieces(r0, r1, k0, k1 int) [2][2]int {
	from, to := max(int(w.from[r0]), k0), min(int(w.to[r1-1]), k1)
	if w.prefix <= k0 {
		return [2][2]int{{}, {from, max(from, to)}}
	}
	end := min(w.prefix, k1)
	if from <= end && end < to {
		return [2][2]int{{}, {k0, to}}
	}
	return [2][2]int{{k0, end}, {from, max(from, to)}}
}

// hull is the range of keys around the pieces of one query, of which gap are seen by no one.
func (w *attentionWork) hull(r, k0, k1 int) (from, to int, gap [2]int) {
	p := w.pieces(r, r+1, k0, k1)
	switch {
	case p[0][0] == p[0][1]:
		return p[1][0], p[1][1], gap
	case p[1][0] == p[1][1]:
		return p[0][0], p[0][1], gap
	}
	return p[0][0], p[1][1], [2]int{p[0][1], p[1][0]}
}

// height is the number of queries of a block that are worked on at a time, such that their masks differ little.
func (w *attentionWork) height() int {
	if w.careful {
		return 1
	}
	return attentionRows()
}

// scores computes q·kᵀ for rows r0 to r1-1 of the block and keys from to to-1, into columns of dst that begin with key
// k0.
func (w *attentionWork) scores(dst, q, kT []float32, r0, r1, k0, from, to int) {
	if from >= to {
		return
	}
	from &^= PanelCols - 1
	mulPanels(dst[r0*ldS+from-k0:], ldS, q[r0*w.ld:], w.ld, false, kT[from*w.Size:], PanelCols*w.Size, r1-r0, to-from,
		w.Size, false)
}

// block sets w up for rows queries at positions p, p+1, ....
func (w *attentionWork) block(p, rows int) {
	w.position = p
	m := mask{p, rows, w.n, w.base, w.Window, w.prefix, w.Causal}
	if m == w.mask && !w.holes {
		return
	}
	w.mask, w.maskBlock = m, -1
	if w.holes {
		w.mask = mask{}
	}
	for r := range rows {
		from, to := w.prefix, w.n
		if w.Causal {
			to = w.before(p + r + 1)
			if w.Window > 0 {
				from = max(from, w.before(p+r+1-w.Window))
			}
		}
		w.from[r], w.to[r] = int32(from), int32(max(from, to))
	}
}

// columns sets lo and hi for the keys k0 to k1-1.
func (w *attentionWork) columns(rows, k0, k1 int) {
	if w.maskBlock == k0 {
		return
	}
	w.maskBlock = k0
	from, to, lo, hi := w.from[:rows], w.to[:rows], w.lo[:rows], w.hi[:rows]
	if w.prefix > k0 {
		for r := range lo {
			a, b, _ := w.hull(r, k0, k1)
			lo[r], hi[r] = int32(a-k0), int32(b-k0)
		}
		return
	}
	first, width := int32(k0), int32(k1-k0)
	for r := range lo {
		hi[r] = max(0, min(to[r]-first, width))
		lo[r] = max(0, min(from[r]-first, hi[r]))
	}
}

// hide sets the scores between two pieces to what takes no part.
func (w *attentionWork) hide(x []float32, value float32, r0, r1, k0, k1 int) {
	if w.prefix <= k0 {
		return
	}
	for r := r0; r < r1; r++ {
		_, _, gap := w.hull(r, k0, k1)
		for i := gap[0]; i < gap[1]; i++ {
			x[r*ldS+i-k0] = value
		}
	}
}

// ends are the first and the last column of the pieces.
func ends(p [2][2]int, k0 int) (from, to int) {
	switch {
	case p[0][0] == p[0][1]:
		return p[1][0] - k0, p[1][1] - k0
	case p[1][0] == p[1][1]:
		return p[0][0] - k0, p[0][1] - k0
	}
	return p[0][0] - k0, p[1][1] - k0
}

// rowsOf is rows r0 to r1-1 of the block.
func (w *attentionWork) rowsOf(t *scoreRows, r0, r1 int, all [2][2]int, k0 int) {
	t.s, t.ld, t.rows = unsafe.Pointer(&w.s[r0*ldS]), 4*ldS, r1-r0
	t.from, t.to = unsafe.Pointer(&w.lo[r0]), unsafe.Pointer(&w.hi[r0])
	t.zeroFrom, t.zeroTo = ends(all, k0)
	t.lanes = unsafe.Pointer(&w.lanes[0])
}

// copyRows copies rows of Size elements. The rows of a head often lie a multiple of 4096 bytes apart, and then fall on
// the same few places of the first cache: what is used more than once is copied to where it does not.
func (w *attentionWork) copyRows(dst, x []float32, ldd, ldx, rows int) {
	for r := 0; r < rows; r += len(w.ones) {
		scaleRows(dst[r*ldd:], x[r*ldx:], w.ones, ldd, ldx, min(len(w.ones), rows-r), w.Size)
	}
}

// adjust caps the scores of rows r0 to r1-1 of the block and adds the bias of the head; with keep it keeps the
// derivative of the cap.
func (w *attentionWork) adjust(head, r0, r1, k0 int, keep bool) {
	if w.Cap == 0 && w.Bias == nil {
		return
	}
	for r := r0; r < r1; r++ {
		lo, hi := int(w.lo[r]), int(w.hi[r])
		if lo >= hi {
			continue
		}
		s := w.s[r*ldS+lo : r*ldS+hi]
		w.capRow(s)
		if w.Cap > 0 && keep {
			w.slope = grow(w.slope, len(w.s))
			for i, x := range s {
				t := x / w.Cap
				w.slope[r*ldS+lo+i] = 1 - float32(t*t)
			}
		}
		if w.Bias != nil {
			w.biasRow(s, w.biasOf(w.Bias, head), w.position+r, k0+lo)
		}
	}
}

// adjustGrad takes the gradients of the scores of rows r0 to r1-1 back through the bias and the cap.
func (w *attentionWork) adjustGrad(head, r0, r1, k0 int) {
	if w.Cap == 0 && w.dbias == nil {
		return
	}
	for r := r0; r < r1; r++ {
		lo, hi := int(w.lo[r]), int(w.hi[r])
		if lo >= hi {
			continue
		}
		ds := w.ds[r*ldS+lo : r*ldS+hi]
		if w.dbias != nil {
			d := w.biasOf(w.dbias, head)
			for i, x := range ds {
				d[w.biasAt(len(d), w.position+r, k0+lo+i)] += x
			}
		}
		if w.Cap > 0 {
			for i := range ds {
				ds[i] *= w.slope[r*ldS+lo+i]
			}
		}
	}
}

// capRow bounds scores.
func (w *attentionWork) capRow(s []float32) {
	if w.Cap == 0 {
		return
	}
	scaleAll(s, 1/w.Cap)
	var v vec
	v.p[0], v.p[1] = ptr(s), ptr(s)
	vecRange(opTanh, &v, 0, len(s))
	scaleAll(s, w.Cap)
}

// biasOf is the part of a bias, or of its gradient, that belongs to a head.
func (w *attentionWork) biasOf(x []float32, head int) []float32 {
	span := len(x) / w.Count
	return x[head*span : (head+1)*span]
}

// biasAt is the column of a bias of the given span for a query at position p and key c.
func (w *attentionWork) biasAt(span, p, c int) int {
	if w.holes {
		return (span-1)/2 + int(w.at[c]) - p
	}
	return (span-1)/2 + w.base + c - p
}

// biasRow adds a head's bias to the scores of a query at position p and the keys from from on.
func (w *attentionWork) biasRow(s, bias []float32, p, from int) {
	if w.holes {
		for c := range s {
			s[c] += bias[w.biasAt(len(bias), p, from+c)]
		}
		return
	}
	at := w.biasAt(len(bias), p, from)
	var v vec
	v.p[0], v.p[1], v.p[2] = ptr(s), ptr(s), ptr(bias[at:at+len(s)])
	vecRange(opAdd, &v, 0, len(s))
}

// alibi subtracts slope times the distance from the scores of rows r0 to r1-1 of the block.
func (w *attentionWork) alibi(slope float32, r0, r1, k0 int) {
	for r := r0; r < r1; r++ {
		lo, hi := int(w.lo[r]), int(w.hi[r])
		if lo < hi {
			w.alibiRow(w.s[r*ldS+lo:r*ldS+hi], slope, w.position+r, k0+lo)
		}
	}
}

// alibiRow does it for a query at position p and the keys from from on.
func (w *attentionWork) alibiRow(s []float32, slope float32, p, from int) {
	d := w.distances[w.far-p+w.base+from:]
	if w.holes {
		w.drop = grow(w.drop, len(s))
		d = w.drop
		for c := range s {
			d[c] = w.distances[w.far-p+int(w.at[from+c])]
		}
	}
	var v vec
	v.p[0], v.p[1], v.p[2], v.s[0] = ptr(s), ptr(s), ptr(d), -slope
	vecRange(opAddScaled, &v, 0, len(s))
}

// dropout drops probabilities, or what is like them, in rows r0 to r1-1 of x. Row 0 of the block is number row of all,
// and element 0 of a row is key k0, a multiple of 64.
func (w *attentionWork) dropout(x []float32, r0, r1 int, row uint64, keys, k0 int) {
	var v vec
	v.s[0], v.key, v.limit = 1/(1-w.Rate), w.Key, uint32(math.Round(float64(w.Rate)*(1<<24)))
	if w.Rate == 1 {
		v.s[0] = 0 // everything is dropped
	}
	stride := (keys + 63) &^ 63
	for r := r0; r < r1; r++ {
		lo, hi := int(w.lo[r]), int(w.hi[r])
		if lo == hi {
			continue
		}
		x, first := x[r*ldS:(r+1)*ldS], (row+uint64(r))*uint64(stride)
		if !w.holes {
			// The stream is computed by groups of 64. What it does before lo is not read, or zero.
			v.p[0], v.p[1], v.offset = ptr(x), ptr(x), first+uint64(k0)
			vecRange(opDropout, &v, lo&^63, hi)
			continue
		}
		// The probabilities that take part stand closer than the stream has them.
		w.drop = grow(w.drop, stride)
		at := w.at[k0+lo : k0+hi]
		from, to := int(at[0])&^63, int(at[len(at)-1])+1
		for i := from; i < to; i++ {
			w.drop[i] = 1
		}
		v.p[0], v.p[1], v.offset = ptr(w.drop), ptr(w.drop), first
		vecRange(opDropout, &v, from, to)
		for i, p := range at {
			x[lo+i] *= w.drop[p]
		}
	}
}
