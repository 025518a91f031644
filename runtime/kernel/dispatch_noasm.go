//go:build !amd64 || purego

package kernel

func vecRange(o op, v *vec, lo, hi int) { vecGeneric(o, v, lo, hi) }

func rowMax(x []float32) float32                   { return rowMaxGeneric(x) }
func rowSum(x []float32) float32                   { return rowSumGeneric(x) }
func rowSquares(x []float32, mean float32) float32 { return rowSquaresGeneric(x, mean) }
func rowDot(x, y []float32) float32                { return rowDotGeneric(x, y) }
func rowExp(dst, x []float32, m float32) float32   { return rowExpGeneric(dst, x, m) }
func rowExpSum(x []float32, m float32) float32     { return rowExpSumGeneric(x, m) }
func rowNormSums(dy, x, gain []float32, mean, rstd float32) (float32, float32) {
	return rowNormSumsGeneric(dy, x, gain, mean, rstd)
}
func colSum(dst, x []float32, rows, cols, lo, hi int) { colSumGeneric(dst, x, rows, cols, lo, hi) }

func colSumFar(dst, x []float32, rows, cols, lo, hi int) { colSumGeneric(dst, x, rows, cols, lo, hi) }
func normGradHeight() int                                { return 1 }
func normGradRows(dx, dgain, dbias, dy, x, gain []float32, of [][4]float32) {
	normGradGeneric(dx, dgain, dbias, dy, x, gain, of)
}
func sumSquares(x []float32) float64 { return sumSquaresGeneric(x) }

func packPanel(dst, b []float32, ldb, k, w int)  { packPanelGeneric(dst, b, ldb, k, w) }
func packPanelT(dst, b []float32, ldb, k, w int) { packPanelTGeneric(dst, b, ldb, k, 0, w) }

func (p *product) run()                     { p.runGeneric() }
func (p *product) block(r0, r1, c0, c1 int) { p.blockGeneric(r0, r1, c0, c1) }

func (t *rowTiles) call(rows int, leftT bool) { t.runGeneric(rows, leftT) }
func attendHeight() int                       { return 8 }

func attendRows(t *scoreRows)     { attendRowsGeneric(t) }
func attendGradRows(t *scoreRows) { attendGradRowsGeneric(t) }
func scaleRows(dst, x, f []float32, ldd, ldx, rows, cols int) {
	scaleRowsGeneric(dst, x, f, ldd, ldx, rows, cols)
}
func dotRows(dst, x, y []float32, ldx, ldy, rows, n int) {
	dotRowsGeneric(dst, x, y, ldx, ldy, rows, n)
}
