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
	zeroFrom, zeroTo int
	lanes            unsafe.Pointer // 16 float32 a row, to work with
}

// row is row r, with the columns that are worked on, and those that are cleared.
func (t *scoreRows) row(x unsafe.Pointer, r int) (part, before, after []float32) {
	y := unsafe.Slice((*float32)(unsafe.Add(x, uintptr(r)*t.ld)), ldS)
	from, to := int(unsafe.Slice((*int32)(t.from), t.rows)[r]), int(unsafe.Slice((*int32)(t.to), t.rows)[r])
	if t.zeroFrom < from {
		before = y[t.zeroFrom:from]
	}
	if to < t.zeroTo {
		after = y[to:t.zeroTo]
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
