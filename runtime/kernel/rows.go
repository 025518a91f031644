package kernel

import (
	"math"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

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

// SumRows sets dst [cols] to the sums down the columns of x [rows, cols]: each adds blocks of 128 rows from the first
// row to the last, and then their sums from the first block to the last. It is the gradient of a bias. With no rows dst
// is 0.
func SumRows(dst, x []float32, rows, cols int) {
	size("SumRows", "rows", rows)
	size("SumRows", "cols", cols)
	need("SumRows", "dst", len(dst), cols)
	need("SumRows", "x", len(x), rows*cols)
	if cols == 0 {
		return
	}
	j := colJobs.get()
	j.x, j.rows, j.cols = x, rows, cols
	j.run(dst, nil)
	j.x = nil
	colJobs.put(j)
}

// AddRows is [SumRows] on top of dst: dst [cols] grows by the sums, which are rounded before they are added.
func AddRows(dst, x []float32, rows, cols int) {
	if !matrix("AddRows", rows, cols) {
		return
	}
	need("AddRows", "dst", len(dst), cols)
	need("AddRows", "x", len(x), rows*cols)
	j := colJobs.get()
	j.x, j.rows, j.cols, j.onto = x, rows, cols, true
	j.run(dst, nil)
	j.x, j.onto = nil, false
	colJobs.put(j)
}

// sumRows is the number of rows in a block of a sum down columns. Blocks are what threads share, and a block is read
// row by row, as memory is fetched ahead best.
const sumRows = 128

// farElements is the size of a matrix that comes from memory: more than a last cache has for one of many.
const farElements = 1 << 22

// colJob sums down the columns of a matrix, in blocks of sumRows rows and width columns.
type colJob struct {
	x          []float32
	rows, cols int
	onto       bool
	norm       *normGradJob // the rows of its gradient, which give two sums a column, instead of x

	sums   []float32 // of each block, [blocks, cols] or [blocks, 2·cols]
	own    []float32 // memory for sums
	blocks int
	group  int // blocks of a task
	width  int
	chunks int // of width columns in a row
}

var colJobs jobs[colJob]

// run sets dst [cols], and dst2 unless it is nil, to the sums.
func (j *colJob) run(dst, dst2 []float32) {
	j.blocks = max(1, (j.rows+sumRows-1)/sumRows)
	n := j.cols
	if j.norm != nil {
		n = 2 * j.cols
	}
	j.sums = dst[:j.cols]
	if j.blocks > 1 || j.onto || j.norm != nil {
		if len(j.own) < j.blocks*n {
			j.own = make([]float32, j.blocks*n)
		}
		j.sums = j.own[:j.blocks*n]
	}
	j.width, j.group = j.cols, max(1, rowWork/(sumRows*j.cols))
	if j.norm == nil {
		// Rows as they lie, but in parts where a few blocks are all there is.
		for j.blocks*((j.cols+j.width-1)/j.width) < 4*parallel.Threads() && sumRows*j.width > 4*rowWork {
			j.width = (j.width/2 + 63) / 64 * 64
		}
	}
	j.chunks = (j.cols + j.width - 1) / j.width
	parallel.Run((j.blocks+j.group-1)/j.group*j.chunks, j)
	switch {
	case j.norm != nil:
		addBlocks(dst[:j.cols], j.sums, n, j.blocks)
		if dst2 != nil {
			addBlocks(dst2[:j.cols], j.sums[j.cols:], n, j.blocks)
		}
	case j.onto:
		for b := 1; b < j.blocks; b++ {
			combine(opAdd, j.sums, j.sums, j.sums[b*n:], 0, n)
		}
		combine(opAdd, dst, dst, j.sums, 0, n)
	case j.blocks > 1:
		addBlocks(dst[:n], j.sums, n, j.blocks)
	}
	j.sums = nil
}

// addBlocks adds the sums of blocks, which are ld elements apart.
func addBlocks(dst, sums []float32, ld, blocks int) {
	colSum(dst, sums, blocks, ld, 0, len(dst))
}

func (j *colJob) Do(task int) {
	lo := task % j.chunks * j.width
	hi := min(lo+j.width, j.cols)
	first := task / j.chunks * j.group
	for b := first; b < min(first+j.group, j.blocks); b++ {
		r0, r1 := b*sumRows, min((b+1)*sumRows, j.rows)
		if j.norm != nil {
			d := j.sums[2*b*j.cols:]
			j.norm.block(d[:j.cols], d[j.cols:2*j.cols], r0, r1)
			continue
		}
		sum := colSum
		if j.rows*j.cols >= farElements {
			sum = colSumFar
		}
		sum(j.sums[b*j.cols:], j.x[min(r0*j.cols, len(j.x)):], r1-r0, j.cols, lo, hi)
	}
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
	j := rowJobs.get()
	j.x[0], j.x[1], j.ids = dst, x, reset
	j.f = resetRowsRows
	j.run(rows, cols, 4*rowWork)
}

func resetRowsRows(j *rowJob, lo, hi int) {
	same := unsafe.SliceData(j.x[0]) == unsafe.SliceData(j.x[1])
	for r := lo; r < hi; r++ {
		d := j.x[0][r*j.cols : (r+1)*j.cols]
		if j.ids[r] != 0 {
			clear(d)
		} else if !same {
			copy(d, j.x[1][r*j.cols:(r+1)*j.cols])
		}
	}
}

// ScaleRows computes dst = x with each row of x [rows, cols] multiplied by its element of s [rows]. dst may be x.
func ScaleRows(dst, x, s []float32, rows, cols int) {
	if !matrix("ScaleRows", rows, cols) {
		return
	}
	need("ScaleRows", "dst", len(dst), rows*cols)
	need("ScaleRows", "x", len(x), rows*cols)
	need("ScaleRows", "s", len(s), rows)
	if rows == 1 {
		Scale(dst, x, s[0], cols) // which may be as long as a matrix
		return
	}
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2] = dst, x, s
	j.f = scaleRowsRows
	j.run(rows, cols, 4*rowWork)
}

func scaleRowsRows(j *rowJob, lo, hi int) {
	var v vec
	for r := lo; r < hi; r++ {
		v.p[0], v.p[1], v.s[0] = ptr(j.x[0][r*j.cols:]), ptr(j.x[1][r*j.cols:]), j.x[2][r]
		vecRange(opScale, &v, 0, j.cols)
	}
}

// DotRows sets dst [rows] to the product of each row of a with that row of b, Σ a·b; a and b are [rows, cols] and may
// be the same. With no columns dst is 0.
func DotRows(dst, a, b []float32, rows, cols int) {
	size("DotRows", "rows", rows)
	size("DotRows", "cols", cols)
	need("DotRows", "dst", len(dst), rows)
	need("DotRows", "a", len(a), rows*cols)
	need("DotRows", "b", len(b), rows*cols)
	if rows == 0 {
		return
	}
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2] = dst, a, b
	j.f = dotRowsRows
	j.run(rows, cols, 4*rowWork)
}

func dotRowsRows(j *rowJob, lo, hi int) {
	for r := lo; r < hi; r++ {
		j.x[0][r] = rowDot(j.x[1][r*j.cols:(r+1)*j.cols], j.x[2][r*j.cols:(r+1)*j.cols])
	}
}

// Normalize computes dst = x/‖x‖ of the first n elements of x, of Euclidean length 1. Zeros stay zeros. dst may be x.
func Normalize(dst, x []float32, n int) {
	size("Normalize", "n", n)
	need("Normalize", "dst", len(dst), n)
	need("Normalize", "x", len(x), n)
	norm := math.Sqrt(SquaredNorm(x, n))
	if norm == 0 {
		Clear(dst, n)
		return
	}
	Scale(dst, x, float32(1/norm), n)
}

// Mean is the mean of the first n elements of x, added in float64 from the first to the last. With no elements it is 0.
func Mean(x []float32, n int) float64 {
	size("Mean", "n", n)
	need("Mean", "x", len(x), n)
	sum := 0.0
	for _, v := range x[:n] {
		sum += float64(v)
	}
	return sum / float64(max(n, 1))
}
