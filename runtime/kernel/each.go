package kernel

import (
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// A Row is what a function of [EachRow] or [EachBlock] works on: one row of each of some matrices, and memory for what
// lies between. Its elements stay in the first cache while the function goes over them again and again.
type Row struct {
	N int // elements of a row

	x       [][]float32
	row     int
	start   int // N·row, or where a block starts
	scratch []float32
}

// Of is the row of matrix k, of N elements.
func (r *Row) Of(k int) []float32 { return r.x[k][r.start:][:r.N:r.N] }

// Part is part i of the row of matrix k, whose rows are of parts·N elements.
func (r *Row) Part(k, i, parts int) []float32 {
	return r.x[k][parts*r.start+i*r.N:][:r.N:r.N]
}

// Vector is part i of matrix k, which is one row for all.
func (r *Row) Vector(k, i int) []float32 { return r.x[k][i*r.N:][:r.N:r.N] }

// Factor is the row of matrix k, whose rows are single numbers.
func (r *Row) Factor(k int) float32 { return r.x[k][r.row] }

// Scratch is memory for N elements, another for each i. It holds anything at first, and nothing is kept for other
// rows.
func (r *Row) Scratch(i int) []float32 {
	lo, hi := i*r.N, (i+1)*r.N
	if hi > len(r.scratch) {
		r.grow(hi)
	}
	return r.scratch[lo:hi:hi]
}

// grow makes room for n elements of scratch, from a cache line's beginning. What slices of the old one hold stays
// with them.
func (r *Row) grow(n int) {
	const line = 16
	all := make([]float32, 2*n+line)
	at := int(-uintptr(unsafe.Pointer(&all[0]))/4) % line
	r.scratch = all[at:]
}

// eachWork is the number of elements in a task of EachRow, and of a block of EachBlock: some operations on as many
// take a few microseconds.
const eachWork = 2048

// blockSize is the number of elements of a block of EachBlock: a dozen of them fit into the first cache.
const blockSize = 1024

// EachRow calls f for each of rows rows of n elements of the matrices x: it computes what is made of elements one
// by one, in one pass over the matrices. f sees them by their place in x, and may do with its row what kernels for
// elements do; rows run in any order, on several threads at a time.
//
// Matrices have rows of n elements or a multiple of that ([Row.Part]), single numbers for rows ([Row.Factor]), or one
// row for all ([Row.Vector]).
func EachRow(f func(*Row), rows, n int, x ...[]float32) {
	if !matrix("EachRow", rows, n) {
		return
	}
	each(f, rows, n, rows*n, max(1, eachWork/n), x)
}

// EachBlock is [EachRow] for slices of n elements, whose rows are then blocks of some of them.
func EachBlock(f func(*Row), n int, x ...[]float32) {
	size("EachBlock", "n", n)
	if n == 0 {
		return
	}
	each(f, (n+blockSize-1)/blockSize, blockSize, n, eachWork/blockSize, x)
}

func each(f func(*Row), rows, width, n, perTask int, x [][]float32) {
	j := eachJobs.get()
	j.f, j.rows, j.width, j.n, j.perTask = f, rows, width, n, perTask
	j.x = append(j.x[:0], x...)
	parallel.Run((rows+perTask-1)/perTask, j)
	clear(j.x)
	j.f = nil
	eachJobs.put(j)
}

// eachJob runs f over rows of width elements, of which the last may be shorter.
type eachJob struct {
	f       func(*Row)
	x       [][]float32
	rows    int
	width   int
	n       int // elements of all rows
	perTask int
}

var (
	eachJobs jobs[eachJob]
	someRows jobs[Row] // with their scratch, one for each task that runs
)

func (j *eachJob) Do(task int) {
	r := someRows.get()
	r.x = j.x
	for row := task * j.perTask; row < min((task+1)*j.perTask, j.rows); row++ {
		r.row, r.start = row, row*j.width
		r.N = min(j.width, j.n-r.start)
		j.f(r)
	}
	r.x = nil
	someRows.put(r)
}
