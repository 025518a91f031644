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

// rowTiles are products of rows of a [m, k], lda apart, or of columns of a [k, m], with b, whose element (k, c) is
// at k·ldb + c/32·panel + c%32, into rows of c, ldc apart. With f each row is multiplied by an element of it at the
// end, which are ldf apart. Sums may start from what mid holds, rows ldm apart, or go there. Columns are computed in
// whole vectors, or in half of one at AVX-512, so that b, c and mid have room behind them. Assembly reads it at these
// offsets.
type rowTiles struct {
	a, b, c, mid, f                []float32
	list                           []rowTile
	lda, ldb, panel, ldc, ldm, ldf int
	left                           int // tiles that remain to be computed
}

// rowTile is one of rowTiles: places in a and b, the first row and the first column in c, steps along k, columns, at
// least one, and flags.
type rowTile struct {
	a, b, row, col, k, cols, flags int
}

const (
	tileMore = 1 << iota // sums start from mid, and not from 0
	tileMid              // they go to mid, without f
	// As many steps more as there are rows, less one, in which not all rows take part. Of rows of a they come last, and
	// each is without one more of the first rows; of columns of a they come first, and each is with one more of them.
	// What is left out is zero.
	tileTriangle
)

// tileList are tiles of as many rows, and then tiles of another number of rows.
type tileList struct {
	tiles        []rowTile
	height, rest int
	whole        int // of the first height
}

func (l *tileList) reset(height int) { *l = tileList{tiles: l.tiles[:0], height: height} }

// add appends a tile; those of full height come first.
func (l *tileList) add(rows int, x rowTile) {
	l.tiles = append(l.tiles, x)
	if rows == l.height {
		l.whole = len(l.tiles)
	} else {
		l.rest = rows
	}
}

// run computes the tiles of a list.
func (t *rowTiles) run(l *tileList, leftT bool) {
	t.some(l.tiles[:l.whole], l.height, leftT)
	t.some(l.tiles[l.whole:], l.rest, leftT)
}

func (t *rowTiles) some(list []rowTile, rows int, leftT bool) {
	if len(list) > 0 {
		t.list, t.left = list, len(list)
		t.call(rows, leftT)
	}
}

func (t *rowTiles) runGeneric(rows int, leftT bool) {
	row, step := t.lda, 1
	if leftT {
		row, step = 1, t.lda
	}
	right := rightPacked
	if t.panel == PanelCols {
		right = rightN
	}
	for _, x := range t.list {
		to := func(c []float32, ld int) []float32 { return c[x.row*ld+x.col:] }
		c, ldc := to(t.c, t.ldc), t.ldc
		if x.flags&tileMid != 0 {
			c, ldc = to(t.mid, t.ldm), t.ldm
		}
		for r := range rows {
			if x.flags&tileMore != 0 {
				copy(c[r*ldc:][:x.cols], to(t.mid, t.ldm)[r*t.ldm:])
			} else {
				clear(c[r*ldc:][:x.cols])
			}
		}
		k := x.k
		if x.flags&tileTriangle != 0 {
			k += rows - 1
		}
		g := genericProduct{
			c: c, a: t.a[x.a:], b: t.b[x.b:], ldc: ldc, row: row, step: step, ldb: t.ldb, right: right, panel: t.panel,
			m: rows, k: k,
		}
		g.add(0, x.cols)
		if t.f != nil && x.flags&tileMid == 0 {
			for r := range rows {
				for i := range c[r*ldc:][:x.cols] {
					c[r*ldc+i] *= t.f[(x.row+r)*t.ldf]
				}
			}
		}
	}
}
