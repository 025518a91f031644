package kernel

import "unsafe"

// scoreRows are rows of scores ld bytes apart, of which columns from to to-1 are worked on and the others from
// zeroFrom to zeroTo-1, at least one, are cleared. Assembly reads it at these offsets; it works on whole vectors, from
// the multiple of 64 at or before zeroFrom on.
type scoreRows struct {
	s, ds            unsafe.Pointer
	ld               uintptr
	from, to         unsafe.Pointer // int32, one a row
	m, sum           unsafe.Pointer // float32, one a row
	rows             int
	zeroFrom, zeroTo unsafe.Pointer // int32, one a row
	lanes            unsafe.Pointer // 16 float32 a row, to work with
}

// row is row r, with the columns that are worked on, and those that are cleared.
func (t *scoreRows) row(x unsafe.Pointer, r int) (part, before, after []float32) {
	y := unsafe.Slice((*float32)(unsafe.Add(x, uintptr(r)*t.ld)), ldS)
	at := func(p unsafe.Pointer) int { return int(unsafe.Slice((*int32)(p), t.rows)[r]) }
	from, to := at(t.from), at(t.to)
	if zero := at(t.zeroFrom); zero < from {
		before = y[zero:from]
	}
	if zero := at(t.zeroTo); to < zero {
		after = y[to:zero]
	}
	return y[from:to], before, after
}

// attendRowsGeneric raises m to the largest of each row, and sets the row to e**(s - m) and sum to its sum, column c
// going to lane c mod 64.
func attendRowsGeneric(t *scoreRows) {
	m, sum := unsafe.Slice((*float32)(t.m), t.rows), unsafe.Slice((*float32)(t.sum), t.rows)
	for r := range t.rows {
		x, before, after := t.row(t.s, r)
		clear(before)
		clear(after)
		m[r] = max32(rowMaxGeneric(x), m[r])
		var l lanes
		first := int(unsafe.Slice((*int32)(t.from), t.rows)[r])
		for i, v := range x {
			x[i] = exp32(v - m[r])
			l[(first+i)%64] += x[i]
		}
		sum[r] = l.sum()
	}
}

// attendGradRowsGeneric sets each row of s to the probabilities p = e**(s - m) and of ds to p∘(ds - sum).
func attendGradRowsGeneric(t *scoreRows) {
	m, sum := unsafe.Slice((*float32)(t.m), t.rows), unsafe.Slice((*float32)(t.sum), t.rows)
	for r := range t.rows {
		x, before, after := t.row(t.s, r)
		clear(before)
		clear(after)
		d, before, after := t.row(t.ds, r)
		clear(before)
		clear(after)
		for i, v := range x {
			x[i] = exp32(v - m[r])
			d[i] = x[i] * float32(d[i]-sum[r])
		}
	}
}

// scaleRowsGeneric sets rows of dst, of cols elements, to those of x times the elements of f.
func scaleRowsGeneric(dst, x, f []float32, ldd, ldx, rows, cols int) {
	for r := range rows {
		d := dst[r*ldd : r*ldd+cols]
		for i, v := range x[r*ldx : r*ldx+cols] {
			d[i] = v * f[r]
		}
	}
}

// dotRowsGeneric is rowDot of rows of x and of y, n long.
func dotRowsGeneric(dst, x, y []float32, ldx, ldy, rows, n int) {
	for r := range rows {
		dst[r] = rowDotGeneric(x[r*ldx:r*ldx+n], y[r*ldy:r*ldy+n])
	}
}

// mulPanelsGeneric is c = a·b, or c += a·b: c [m, n] with rows ldc apart, a [m, k] or, if leftT, [k, m] with rows lda
// apart, b packed in panels that are panel elements apart.
func mulPanelsGeneric(c []float32, ldc int, a []float32, lda int, leftT bool, b []float32, panel, m, n, k int,
	accumulate bool) {
	row, step := lda, 1
	if leftT {
		row, step = 1, lda
	}
	if !accumulate {
		for r := range m {
			clear(c[r*ldc:][:n])
		}
	}
	g := genericProduct{c: c, a: a, b: b, ldc: ldc, row: row, step: step, right: rightPacked, panel: panel, m: m, k: k}
	g.add(0, n)
}

// rowTiles are products of rows of a [m, k], lda apart, or of columns of a [k, m], with b, which is packed in panels
// that are panel elements apart, into rows of c, ldc apart. Each tile has as many rows as the others. Columns are
// computed in whole vectors, so that c has room behind them. Assembly reads it at these offsets.
type rowTiles struct {
	a, b, c         []float32
	list            []rowTile
	lda, ldc, panel int
	left            int // tiles that remain to be computed
}

// rowTile is one of rowTiles: places in the slices, the steps along k and the columns, at least one.
type rowTile struct {
	a, b, c, k, cols int
	more             int // 1: what c holds is where the sums start, and not 0
}

// run computes the tiles, of rows rows each, and empties the list.
func (t *rowTiles) run(rows int, leftT bool) {
	if t.left = len(t.list); t.left == 0 {
		return
	}
	t.call(rows, leftT)
	t.list = t.list[:0]
}

func (t *rowTiles) runGeneric(rows int, leftT bool) {
	for _, x := range t.list {
		mulPanelsGeneric(t.c[x.c:], t.ldc, t.a[x.a:], t.lda, leftT, t.b[x.b:], t.panel, rows, x.cols, x.k, x.more != 0)
	}
}
