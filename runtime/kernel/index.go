package kernel

import (
	"fmt"
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

func panicID(kernel, arg string, id, rows int) {
	panic(fmt.Sprintf("kernel.%s: %s holds %d, need less than %d", kernel, arg, id, rows))
}

func checkIDs(kernel string, ids []int32, rows int) {
	for _, id := range ids {
		if int(id) >= rows {
			panicID(kernel, "ids", int(id), rows)
		}
	}
}

// Gather sets row i of dst to row ids[i] of table, which has rows of dim elements; dst has len(ids) rows. A negative id
// gives a row of zeros; an id beyond the table panics.
func Gather(dst, table []float32, ids []int32, dim int) {
	size("Gather", "dim", dim)
	need("Gather", "dst", len(dst), len(ids)*dim)
	if dim == 0 || len(ids) == 0 {
		return
	}
	checkIDs("Gather", ids, len(table)/dim)
	j := rowJobs.get()
	j.x[0], j.x[1], j.ids = dst, table, ids
	j.f = gatherRows
	j.run(len(ids), dim, 4*rowWork)
}

func gatherRows(j *rowJob, lo, hi int) {
	for r := lo; r < hi; r++ {
		d := j.x[0][r*j.cols : (r+1)*j.cols]
		if id := int(j.ids[r]); id < 0 {
			clear(d)
		} else {
			copy(d, j.x[1][id*j.cols:(id+1)*j.cols])
		}
	}
}

// GatherWeights sets row i of dst to column ids[i] of a matrix [dim, n], as [weights.Matrix.Column] writes it: to row
// ids[i] of the table [n, dim] that the matrix is the transpose of. dst has len(ids) rows of dim elements. A negative
// id gives a row of zeros; an id beyond the table panics.
func GatherWeights(dst []float32, table *weights.Matrix, ids []int32) {
	dim, n := table.Dims()
	need("GatherWeights", "dst", len(dst), len(ids)*dim)
	if dim == 0 || len(ids) == 0 {
		return
	}
	checkIDs("GatherWeights", ids, n)
	j := rowJobs.get()
	j.x[0], j.w, j.ids = dst, table, ids
	j.f = gatherColumns
	j.run(len(ids), dim, rowWork)
}

func gatherColumns(j *rowJob, lo, hi int) {
	for r := lo; r < hi; r++ {
		d := j.x[0][r*j.cols : (r+1)*j.cols]
		if id := int(j.ids[r]); id < 0 {
			clear(d)
		} else {
			j.w.Column(d, id)
		}
	}
}

// ScatterAdd adds row i of dy to row ids[i] of dtable, in the order of i: the gradient of [Gather]. A negative id is
// left out; an id beyond the table panics before anything is added. Work is split over columns, so every element of
// the table gets its sum in the same order for any number of threads.
func ScatterAdd(dtable, dy []float32, ids []int32, dim int) {
	size("ScatterAdd", "dim", dim)
	need("ScatterAdd", "dy", len(dy), len(ids)*dim)
	if dim == 0 || len(ids) == 0 {
		return
	}
	checkIDs("ScatterAdd", ids, len(dtable)/dim)
	j := scatterJobs.get()
	j.dtable, j.dy, j.ids, j.dim, j.width = dtable, dy, ids, dim, dim
	if len(ids)*dim >= 4*rowWork {
		j.width = max(64, (dim/parallel.Threads()+63)&^63)
	}
	parallel.Run((dim+j.width-1)/j.width, j)
	*j = scatterJob{}
	scatterJobs.put(j)
}

type scatterJob struct {
	dtable, dy []float32
	ids        []int32
	dim, width int
}

var scatterJobs jobs[scatterJob]

func (j *scatterJob) Do(task int) {
	lo := task * j.width
	hi := min(lo+j.width, j.dim)
	var v vec
	for i, id := range j.ids {
		if id < 0 {
			continue
		}
		t := ptr(j.dtable[int(id)*j.dim+lo:])
		v.p[0], v.p[1], v.p[2] = t, t, unsafe.Pointer(&j.dy[i*j.dim+lo])
		vecRange(opAdd, &v, 0, hi-lo)
	}
}

// OneHot sets row i of dst [len(ids), vocab] to 1 at ids[i] and 0 elsewhere; a negative id gives a row of zeros, an id
// of vocab or more panics.
func OneHot(dst []float32, ids []int32, vocab int) {
	size("OneHot", "vocab", vocab)
	need("OneHot", "dst", len(dst), len(ids)*vocab)
	checkIDs("OneHot", ids, vocab)
	Clear(dst, len(ids)*vocab)
	for i, id := range ids {
		if id >= 0 {
			dst[i*vocab+int(id)] = 1
		}
	}
}

// Argmax returns the index of the largest element of x, the first of equal ones, and -1 for none. A NaN counts as
// larger than any number, as in PyTorch and NumPy, so that it is not overlooked.
func Argmax(x []float32) int {
	if len(x) == 0 {
		return -1
	}
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		} else if v != v {
			return i
		}
	}
	return best
}

// TopK fills idx with the indices of the len(idx) largest elements of x, the largest first and the first of equal ones
// first; NaN counts as larger than any number. If x has fewer elements, the rest of idx is -1. It is meant for a k much
// smaller than x: it keeps a heap of k.
func TopK(idx []int32, x []float32) {
	k := min(len(idx), len(x))
	for i := k; i < len(idx); i++ {
		idx[i] = -1
	}
	h := idx[:k]
	if k == 0 {
		return
	}
	// h is a heap whose root is the last of the k best so far.
	for i := range h {
		h[i] = int32(i)
	}
	for i := k/2 - 1; i >= 0; i-- {
		sink(h, x, i)
	}
	for i := k; i < len(x); i++ {
		if before(x, int32(i), h[0]) {
			h[0] = int32(i)
			sink(h, x, 0)
		}
	}
	for n := k - 1; n > 0; n-- {
		h[0], h[n] = h[n], h[0]
		sink(h[:n], x, 0)
	}
}

// before reports whether element a of x comes before element b in the order of TopK.
func before(x []float32, a, b int32) bool {
	va, vb := x[a], x[b]
	switch an, bn := va != va, vb != vb; {
	case an || bn:
		if an != bn {
			return an
		}
	case va != vb:
		return va > vb
	}
	return a < b
}

func sink(h []int32, x []float32, i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && before(x, h[c], h[c+1]) {
			c++
		}
		if !before(x, h[i], h[c]) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
