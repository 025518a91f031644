package kernel

// ScaleColumns computes dst = x with every row of it [rows, cols] multiplied by s [cols], element by element. dst
// may be x.
func ScaleColumns(dst, x, s []float32, rows, cols int) {
	if !matrix("ScaleColumns", rows, cols) {
		return
	}
	need("ScaleColumns", "dst", len(dst), rows*cols)
	need("ScaleColumns", "x", len(x), rows*cols)
	need("ScaleColumns", "s", len(s), cols)
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2] = dst, x, s
	j.f = scaleColumnsRows
	j.run(rows, cols, 4*rowWork)
}

func scaleColumnsRows(j *rowJob, lo, hi int) {
	var v vec
	v.p[2] = ptr(j.x[2])
	for r := lo; r < hi; r++ {
		v.p[0], v.p[1] = ptr(j.x[0][r*j.cols:]), ptr(j.x[1][r*j.cols:])
		vecRange(opMul, &v, 0, j.cols)
	}
}
