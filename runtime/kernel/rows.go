package kernel

import "github.com/gradsmith/gradsmith/runtime/parallel"

// rowWork is the number of elements in a task of a kernel over rows.
const rowWork = 4096

func matrix(kernel string, rows, cols int) bool {
	size(kernel, "rows", rows)
	size(kernel, "cols", cols)
	return rows > 0 && cols > 0
}

// AddBias computes dst = x + bias, the bias [cols] added to every row of x [rows, cols]. dst may be x.
func AddBias(dst, x, bias []float32, rows, cols int) {
	if !matrix("AddBias", rows, cols) {
		return
	}
	need("AddBias", "dst", len(dst), rows*cols)
	need("AddBias", "x", len(x), rows*cols)
	need("AddBias", "bias", len(bias), cols)
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2] = dst, x, bias
	j.f = addBiasRows
	j.run(rows, cols, 4*rowWork)
}

func addBiasRows(j *rowJob, lo, hi int) {
	var v vec
	v.p[2] = ptr(j.x[2])
	for r := lo; r < hi; r++ {
		v.p[0], v.p[1] = ptr(j.x[0][r*j.cols:]), ptr(j.x[1][r*j.cols:])
		vecRange(opAdd, &v, 0, j.cols)
	}
}

// SumRows sets dst [cols] to the sums down the columns of x [rows, cols], each from the first row to the last. It is
// the gradient of a bias. With no rows dst is 0.
func SumRows(dst, x []float32, rows, cols int) {
	size("SumRows", "rows", rows)
	size("SumRows", "cols", cols)
	need("SumRows", "dst", len(dst), cols)
	need("SumRows", "x", len(x), rows*cols)
	if cols == 0 {
		return
	}
	j := colJobs.get()
	*j = colJob{dst: dst, x: x, rows: rows, cols: cols}
	j.run()
}

// colJob splits the columns of a matrix in blocks of 64.
type colJob struct {
	norm                        bool
	dst, dst2, dy, x, mean, inv []float32
	rows, cols, width           int
}

var colJobs jobs[colJob]

func (j *colJob) Do(task int) {
	lo := task * j.width
	hi := min(lo+j.width, j.cols)
	if j.norm {
		colNorm(j.dst, j.dst2, j.dy, j.x, j.mean, j.inv, j.rows, j.cols, lo, hi)
	} else {
		colSum(j.dst, j.x, j.rows, j.cols, lo, hi)
	}
}

func (j *colJob) run() {
	j.width = 64
	if j.rows*j.cols < 4*rowWork {
		j.width = j.cols
	}
	parallel.Run((j.cols+j.width-1)/j.width, j)
	*j = colJob{}
	colJobs.put(j)
}

// SumCols sets dst [rows] to the sum of each row of x [rows, cols]. With no columns dst is 0.
func SumCols(dst, x []float32, rows, cols int) {
	size("SumCols", "rows", rows)
	size("SumCols", "cols", cols)
	need("SumCols", "dst", len(dst), rows)
	need("SumCols", "x", len(x), rows*cols)
	if rows == 0 {
		return
	}
	j := rowJobs.get()
	j.x[0], j.x[1] = dst, x
	j.f = sumColsRows
	j.run(rows, cols, 4*rowWork)
}

func sumColsRows(j *rowJob, lo, hi int) {
	for r := lo; r < hi; r++ {
		j.x[0][r] = rowSum(j.x[1][r*j.cols : (r+1)*j.cols])
	}
}

// ResetRows copies x [rows, cols] to dst, with zeros in every row whose reset is not 0. dst may be x.
func ResetRows(dst, x []float32, reset []int32, rows, cols int) {
	if !matrix("ResetRows", rows, cols) {
		return
	}
	need("ResetRows", "dst", len(dst), rows*cols)
	need("ResetRows", "x", len(x), rows*cols)
	need("ResetRows", "reset", len(reset), rows)
	for r := range rows {
		d := dst[r*cols : (r+1)*cols]
		if reset[r] != 0 {
			clear(d)
		} else {
			copy(d, x[r*cols:(r+1)*cols])
		}
	}
}
