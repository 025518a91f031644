package kernel

import (
	"math"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/internal/hook"
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

	kT, vT       []float32 // scale·k and v transposed, packed
	kN, vN       []float32 // scale·k and v, rows without gaps
	gather, wide []float32
	dK, dV       []float32 // rows of whole vectors, ldD apart
	ldD, fresh   int       // rows of dK and dV from fresh on hold nothing yet
	packed       packedKeys

	// Of the block of queries: the first position, the keys that each sees from prefix on, and with the keys of a block
	// as columns, the first and the last of all that each sees.
	position  int
	from, to  []int32
	lo, hi    []int32
	mask      mask
	maskBlock int // the block of keys of what follows from the mask; -1 for none
	// Of the block of keys: the pieces that each tile of queries sees, those that any sees, and the columns that each
	// row of scores is to have zeros in where it sees nothing.
	height           int // of the tiles
	all              [2][2]int
	zeroFrom, zeroTo []int32
	tiles            rowTiles
	scoreTiles       tileList    // of scores
	sumTiles         tileList    // of add
	keyTiles         [2]tileList // of addT, for the pieces of all
	keysFresh        int         // the value of fresh that keyTiles are for; -1 for none
	s, ds            []float32
	row              []float32 // scores of one query against a cache, a row for each head
	q, dy            []float32 // rows of the block, ld apart
	out              []float32 // what becomes rows of y or of dq
	ld               int
	m, sum           []float32
	was, part        []float32
	lanes            [16 * blockQueries]float32
	distances        []float32 // |d| for d from -far to far
	far              int
	ones, drop       []float32
	scales           []float32 // Scale, many times
	slope            []float32 // derivative of the cap at each score
	dbias            []float32 // of the sequence, [Count, span]
	partBias         []float32 // the same of a part of the queries
	pad              []float32
}

// mask is what the keys follow from that the queries of a block see, if there are no holes.
type mask struct {
	p, rows, n, base, window, prefix, height, size int
	causal, grad                                   bool
}

var attentionWorks jobs[attentionWork]

func init() {
	hook.AttentionMemory = func() int {
		n := 0
		attentionWorks.drain(func(w *attentionWork) {
			for _, x := range [][]float32{
				w.kT, w.vT, w.kN, w.vN, w.gather, w.wide, w.dK, w.dV, w.s, w.ds, w.row, w.q, w.dy, w.out,
				w.distances, w.drop, w.pad, w.partBias,
			} {
				n += 4 * cap(x)
			}
			n += 4 * (cap(w.at) + cap(w.count))
		})
		gradParts.drain(func(p *gradPart) { n += 4 * (cap(p.dK) + cap(p.dV) + cap(p.dbias)) })
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
		for _, x := range []*[]float32{&w.m, &w.sum, &w.was, &w.part, &w.ones, &w.scales} {
			*x = make([]float32, blockQueries)
		}
		for _, x := range []*[]int32{&w.from, &w.to, &w.lo, &w.hi, &w.zeroFrom, &w.zeroTo} {
			*x = make([]int32, blockQueries)
		}
		for i := range w.ones {
			w.ones[i] = 1
		}
	}
	for i := 0; i < len(w.scales) && w.scales[i] != h.Scale; i++ {
		w.scales[i] = h.Scale
	}
	w.ld = h.Size + 16
	w.q, w.dy, w.out = grow(w.q, blockQueries*w.ld), grow(w.dy, blockQueries*w.ld), grow(w.out, blockQueries*w.ld)
	w.careful, w.packed = false, packedKeys{}
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

// packN copies n rows of Size elements, ld apart, times an element of f, to rows without gaps.
func (w *attentionWork) packN(dst, x []float32, ld, n int, f []float32) []float32 {
	dst = grow(dst, n*w.Size+16)
	for r := 0; r < n; r += len(f) {
		scaleRows(dst[r*w.Size:], x[r*ld:], f, w.Size, ld, min(len(f), n-r), w.Size)
	}
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
	d := rowSquares(x, 0)
	return d-d == 0
}

// seen gives the keys of a block, [k0, k1), that some of the queries r0 to r1-1 see: two ranges, either may be empty.
func (w *attentionWork) seen(r0, r1, k0, k1 int) [2][2]int {
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
	p := w.seen(r, r+1, k0, k1)
	switch {
	case p[0][0] == p[0][1]:
		return p[1][0], p[1][1], gap
	case p[1][0] == p[1][1]:
		return p[0][0], p[0][1], gap
	}
	return p[0][0], p[1][1], [2]int{p[0][1], p[1][0]}
}

// scores computes q·kᵀ for the queries of the block and what they see of the block of keys, whose first is column 0 of
// dst.
func (w *attentionWork) scores(dst, q, kT []float32) {
	t := &w.tiles
	t.a, t.b, t.c, t.f = q, kT, dst, nil
	t.lda, t.ldb, t.panel, t.ldc = w.ld, PanelCols, PanelCols*w.Size, ldS
	t.run(&w.scoreTiles, false)
}

// add computes s·x, plus what out holds after the first block of keys, for the queries of the block and what they see
// of the block of keys. It goes to rows of c, ldc apart, each times an element of f if there is one.
func (w *attentionWork) add(c []float32, ldc int, f, s, x []float32) {
	t := &w.tiles
	t.a, t.b, t.c, t.mid, t.f = s, x, c, w.out, f
	t.lda, t.ldb, t.panel, t.ldc, t.ldm, t.ldf = ldS, w.Size, PanelCols, ldc, w.ld, 1
	t.run(&w.sumTiles, false)
}

// queryTiles lists the tiles of scores and of add.
func (w *attentionWork) queryTiles(i, rows, k0 int, pieces [2][2]int) {
	r0 := i * w.height
	if i == 0 {
		w.scoreTiles.reset(w.height)
		w.sumTiles.reset(w.height)
	}
	sum := rowTile{a: r0 * ldS, row: r0, cols: w.Size}
	if k0 > 0 {
		sum.flags = tileMore
	}
	for n, p := range pieces {
		if p[0] == p[1] {
			continue
		}
		from := p[0] &^ (PanelCols - 1)
		w.scoreTiles.add(rows, rowTile{
			a: r0 * w.ld, b: from * w.Size, row: r0, col: from - k0, k: w.Size, cols: p[1] - from,
		})
		sum.a, sum.b, sum.k = r0*ldS+p[0]-k0, p[0]*w.Size, p[1]-p[0]
		if n == 0 && pieces[1][0] < pieces[1][1] {
			sum.flags |= tileMid
			w.sumTiles.add(rows, sum)
			sum.flags = tileMore
			sum.k = 0
		}
	}
	if sum.k >= rows-1 && w.slopes(w.to, r0, rows, int(w.to[r0])) && int(w.to[r0+rows-1]) == pieces[1][1] &&
		int(w.to[r0]) >= w.prefix {
		sum.k -= rows - 1
		sum.flags |= tileTriangle
	}
	w.sumTiles.add(rows, sum)
}

// slopes reports whether n elements of x from r on are first, first + 1, ....
func (w *attentionWork) slopes(x []int32, r, n, first int) bool {
	for i, v := range x[r : r+n] {
		if int(v) != first+i {
			return false
		}
	}
	return true
}

// block sets w up for rows queries at positions p, p+1, ....
func (w *attentionWork) block(p, rows int, grad bool) {
	w.position = p
	w.height = evenly(rows, attendHeight())
	m := mask{p, rows, w.n, w.base, w.Window, w.prefix, attendHeight(), w.Size, w.Causal, grad}
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

// columns sets what follows from the mask for the keys k0 to k1-1.
func (w *attentionWork) columns(rows, k0, k1 int, grad bool) {
	if w.maskBlock == k0 {
		return
	}
	w.maskBlock, w.keysFresh = k0, -1
	from, to, lo, hi := w.from[:rows], w.to[:rows], w.lo[:rows], w.hi[:rows]
	w.all = w.seen(0, rows, k0, k1)
	for r0 := 0; r0 < rows; r0 += w.height {
		r1 := min(r0+w.height, rows)
		p := w.seen(r0, r1, k0, k1)
		w.queryTiles(r0/w.height, r1-r0, k0, p)
		zeroFrom, zeroTo := ends(p, k0)
		if grad {
			zeroFrom, zeroTo = w.zeros(int(from[r0])-k0, int(to[r1-1])-k0, k0)
		}
		for r := r0; r < r1; r++ {
			w.zeroFrom[r], w.zeroTo[r] = int32(zeroFrom), int32(zeroTo)
		}
	}
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

// zeros is the part of the scores of queries that see columns from to to-1 that addT reads: whole tiles of keys.
func (w *attentionWork) zeros(from, to, k0 int) (int, int) {
	first, last := ends(w.all, k0)
	if w.prefix > k0 {
		return first, last
	}
	height := evenly(last-first, attendHeight())
	from, to = max(first, min(from, last)), max(first, min(to, last))
	return first + (from-first)/height*height, min(last, first+(to-first+height-1)/height*height)
}

// hide sets the scores between two pieces to what takes no part.
func (w *attentionWork) hide(x []float32, value float32, rows, k0, k1 int) {
	if w.prefix <= k0 {
		return
	}
	for r := range rows {
		_, _, gap := w.hull(r, k0, k1)
		for i := gap[0]; i < gap[1]; i++ {
			x[r*ldS+i-k0] = value
		}
	}
}

// ends are the first and the last column of the pieces; both 0 when they are empty.
func ends(p [2][2]int, k0 int) (from, to int) {
	switch {
	case p[0][0] == p[0][1] && p[1][0] == p[1][1]:
		return 0, 0
	case p[0][0] == p[0][1]:
		return p[1][0] - k0, p[1][1] - k0
	case p[1][0] == p[1][1]:
		return p[0][0] - k0, p[0][1] - k0
	}
	return p[0][0] - k0, p[1][1] - k0
}

// scoreRows are the rows of the block.
func (w *attentionWork) scoreRows(rows int) scoreRows {
	return scoreRows{
		s: unsafe.Pointer(&w.s[0]), ld: 4 * ldS, rows: rows,
		from: unsafe.Pointer(&w.lo[0]), to: unsafe.Pointer(&w.hi[0]),
		zeroFrom: unsafe.Pointer(&w.zeroFrom[0]), zeroTo: unsafe.Pointer(&w.zeroTo[0]),
		lanes: unsafe.Pointer(&w.lanes[0]),
	}
}

// copyRows copies rows of Size elements. The rows of a head often lie a multiple of 4096 bytes apart, and then fall on
// the same few places of the first cache: what is used more than once is copied to where it does not.
func (w *attentionWork) copyRows(dst, x []float32, ldd, ldx, rows int) {
	for r := 0; r < rows; r += len(w.ones) {
		scaleRows(dst[r*ldd:], x[r*ldx:], w.ones, ldd, ldx, min(len(w.ones), rows-r), w.Size)
	}
}

// adjust caps the scores of the block and adds the bias of the head; with keep it keeps the derivative of the cap.
func (w *attentionWork) adjust(head, rows, k0 int, keep bool) {
	if w.Cap == 0 && w.Bias == nil {
		return
	}
	for r := range rows {
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

// adjustGrad takes the gradients of the scores of the block back through the bias and the cap.
func (w *attentionWork) adjustGrad(head, rows, k0 int) {
	if w.Cap == 0 && w.dbias == nil {
		return
	}
	for r := range rows {
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
func (w *attentionWork) biasOf(x []float32, head int) []float32 { return w.ofHeads(x, head, 1) }

func (w *attentionWork) ofHeads(x []float32, head, heads int) []float32 {
	span := len(x) / w.Count
	return x[head*span : (head+heads)*span]
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

// alibi subtracts slope times the distance from the scores of the block.
func (w *attentionWork) alibi(slope float32, rows, k0 int) {
	for r := range rows {
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

// dropout drops probabilities, or what is like them, in the rows of x. Row 0 of the block is number row of all, and
// element 0 of a row is key k0, a multiple of 64.
func (w *attentionWork) dropout(x []float32, rows int, row uint64, keys, k0 int) {
	var v vec
	v.s[0], v.key, v.limit = 1/(1-w.Rate), w.Key, uint32(math.Round(float64(w.Rate)*(1<<24)))
	if w.Rate == 1 {
		v.s[0] = 0 // everything is dropped
	}
	stride := (keys + 63) &^ 63
	for r := range rows {
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
