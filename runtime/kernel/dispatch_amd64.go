//go:build amd64 && !purego

package kernel

func rowMax(x []float32) float32 {
	switch {
	case len(x) == 0:
		return negInf
	case level == avx512:
		return rowMaxAVX512(&x[0], len(x))
	case level == avx2:
		return rowMaxAVX2(&x[0], len(x))
	}
	return rowMaxGeneric(x)
}

func rowSum(x []float32) float32 {
	switch {
	case len(x) == 0:
		return 0
	case level == avx512:
		return rowSumAVX512(&x[0], len(x))
	case level == avx2:
		return rowSumAVX2(&x[0], len(x))
	}
	return rowSumGeneric(x)
}

func rowSquares(x []float32, mean float32) float32 {
	switch {
	case len(x) == 0:
		return 0
	case level == avx512:
		return rowSquaresAVX512(&x[0], len(x), mean)
	case level == avx2:
		return rowSquaresAVX2(&x[0], len(x), mean)
	}
	return rowSquaresGeneric(x, mean)
}

func rowDot(x, y []float32) float32 {
	switch {
	case len(x) == 0:
		return 0
	case level == avx512:
		return rowDotAVX512(&x[0], &y[0], len(x))
	case level == avx2:
		return rowDotAVX2(&x[0], &y[0], len(x))
	}
	return rowDotGeneric(x, y)
}

func rowExp(dst, x []float32, m float32) float32 {
	switch {
	case len(x) == 0:
		return 0
	case level == avx512:
		return rowExpAVX512(&dst[0], &x[0], len(x), m)
	case level == avx2:
		return rowExpAVX2(&dst[0], &x[0], len(x), m)
	}
	return rowExpGeneric(dst, x, m)
}

func rowExpSum(x []float32, m float32) float32 {
	switch {
	case len(x) == 0:
		return 0
	case level == avx512:
		return rowExpSumAVX512(&x[0], len(x), m)
	case level == avx2:
		return rowExpSumAVX2(&x[0], len(x), m)
	}
	return rowExpSumGeneric(x, m)
}

func rowNormSums(dy, x, gain []float32, mean, rstd float32) (float32, float32) {
	switch {
	case len(dy) == 0:
		return 0, 0
	case level == avx512:
		return rowNormSumsAVX512(&dy[0], &x[0], &gain[0], len(dy), mean, rstd)
	case level == avx2:
		return rowNormSum1AVX2(&dy[0], &gain[0], len(dy)), rowNormSum2AVX2(&dy[0], &x[0], &gain[0], len(dy), mean, rstd)
	}
	return rowNormSumsGeneric(dy, x, gain, mean, rstd)
}

// Many wide rows are read from end to end, eight at a time, as memory is fetched best; of others, which the first cache
// holds, the sums of 64 columns stay in registers.
func colSum(dst, x []float32, rows, cols, lo, hi int) {
	if level == generic || rows == 0 {
		colSumGeneric(dst, x, rows, cols, lo, hi)
		return
	}
	if hi-lo >= 128 && rows*(hi-lo) >= 1<<14 {
		clear(dst[lo:hi])
		for r := 0; r < rows; {
			n := 1
			if r+8 <= rows {
				n = 8
			}
			sumRowsInto(n, dst[lo:hi], &x[r*cols+lo], 4*cols)
			r += n
		}
		return
	}
	for ; lo < hi; lo += 64 {
		w := min(64, hi-lo)
		if level == avx512 {
			colSumAVX512(&dst[lo], &x[lo], 4*cols, rows, w)
		} else {
			colSumAVX2(&dst[lo], &x[lo], 4*cols, rows, w)
		}
	}
}

// colSumFar is colSum of rows that come from memory: they are read as they lie, one after the other, which machines
// fetch ahead best.
func colSumFar(dst, x []float32, rows, cols, lo, hi int) {
	if level == generic || hi-lo < 128 {
		colSum(dst, x, rows, cols, lo, hi)
		return
	}
	clear(dst[lo:hi])
	for r := range rows {
		sumRowsInto(1, dst[lo:hi], &x[r*cols+lo], 4*cols)
	}
}

// sumRowsInto adds n rows of x, 8 or 1 of them and ld bytes apart, to dst.
func sumRowsInto(n int, dst []float32, x *float32, ld int) {
	switch {
	case level == avx512 && n == 8:
		sumRows8AVX512(&dst[0], x, ld, len(dst))
	case level == avx512:
		sumRows1AVX512(&dst[0], x, ld, len(dst))
	case n == 8:
		sumRows8AVX2(&dst[0], x, ld, len(dst))
	default:
		sumRows1AVX2(&dst[0], x, ld, len(dst))
	}
}

// normGradHeight is how many rows normGradRows takes at a time, if not one.
func normGradHeight() int {
	switch level {
	case avx512:
		return 4
	case avx2:
		return 2
	}
	return 1
}

func normGradRows(dx, dgain, dbias, dy, x, gain []float32, of [][4]float32) {
	if level == generic {
		normGradGeneric(dx, dgain, dbias, dy, x, gain, of)
		return
	}
	n := len(gain)
	var db *float32
	if dbias != nil {
		db = &dbias[0]
	}
	switch {
	case level == avx512 && len(of) == 4:
		normGrad4AVX512(&dx[0], &dgain[0], db, &dy[0], &x[0], &gain[0], &of[0][0], 4*n, n)
	case level == avx512:
		normGrad1AVX512(&dx[0], &dgain[0], db, &dy[0], &x[0], &gain[0], &of[0][0], 4*n, n)
	case len(of) == 2:
		normGrad2AVX2(&dx[0], &dgain[0], db, &dy[0], &x[0], &gain[0], &of[0][0], 4*n, n)
	default:
		normGrad1AVX2(&dx[0], &dgain[0], db, &dy[0], &x[0], &gain[0], &of[0][0], 4*n, n)
	}
}

func sumSquares(x []float32) float64 {
	switch {
	case len(x) == 0:
		return 0
	case level == avx512:
		return sumSquaresAVX512(&x[0], len(x))
	case level == avx2:
		return sumSquaresAVX2(&x[0], len(x))
	}
	return sumSquaresGeneric(x)
}

func packPanel(dst, b []float32, ldb, k, w int) {
	switch level {
	case avx512:
		packPanelAVX512(&dst[0], &b[0], 4*ldb, k, w)
	case avx2:
		packPanelAVX2(&dst[0], &b[0], 4*ldb, k, w)
	default:
		packPanelGeneric(dst, b, ldb, k, w)
	}
}

func packPanelT(dst, b []float32, ldb, k, w int) { packPanelTAhead(dst, b, ldb, k, w, 0) }

// packPanelTNext is packPanelT, and fetches the next panel.
func packPanelTNext(dst, b []float32, ldb, k, w int) {
	packPanelTAhead(dst, b, ldb, k, w, PanelCols*ldb)
}

func packPanelTAhead(dst, b []float32, ldb, k, w, ahead int) {
	c := 0
	if level != generic && w >= 8 {
		packTransposeAVX2(&dst[0], &b[0], 4*ldb, k, w/8, 4*ahead)
		c = w / 8 * 8
	}
	if c < PanelCols {
		packPanelTGeneric(dst, b, ldb, k, c, w)
	}
}

func attendRows(t *scoreRows) {
	switch level {
	case avx512:
		attendRowsAVX512(t)
	case avx2:
		attendRowsAVX2(t)
	default:
		attendRowsGeneric(t)
	}
}

func attendGradRows(t *scoreRows) {
	switch level {
	case avx512:
		attendGradRowsAVX512(t)
	case avx2:
		attendGradRowsAVX2(t)
	default:
		attendGradRowsGeneric(t)
	}
}

func (t *rowTiles) call(rows int, leftT bool) {
	switch {
	case level == avx512 && leftT:
		t.runTAVX512(rows)
	case level == avx512:
		t.runNAVX512(rows)
	case level == avx2 && leftT:
		t.runTAVX2(rows)
	case level == avx2:
		t.runNAVX2(rows)
	default:
		t.runGeneric(rows, leftT)
	}
}

// attendHeight is the number of rows of the tallest of rowTiles.
func attendHeight() int {
	if level == avx2 {
		return 6
	}
	return 8
}

func scaleRows(dst, x, f []float32, ldd, ldx, rows, cols int) {
	switch level {
	case avx512:
		scaleRowsAVX512(&dst[0], &x[0], &f[0], 4*ldd, 4*ldx, rows, cols)
	case avx2:
		scaleRowsAVX2(&dst[0], &x[0], &f[0], 4*ldd, 4*ldx, rows, cols)
	default:
		scaleRowsGeneric(dst, x, f, ldd, ldx, rows, cols)
	}
}

func dotRows(dst, x, y []float32, ldx, ldy, rows, n int) {
	switch {
	case rows == 0:
	case level == avx512:
		dotRowsAVX512(&dst[0], &x[0], &y[0], 4*ldx, 4*ldy, rows, n)
	case level == avx2:
		dotRowsAVX2(&dst[0], &x[0], &y[0], 4*ldx, 4*ldy, rows, n)
	default:
		dotRowsGeneric(dst, x, y, ldx, ldy, rows, n)
	}
}
