package kernel

import "github.com/gradsmith/gradsmith/runtime/parallel"

// A Form says which operands of a product are stored transposed.
type Form uint8

const (
	NN Form = iota // a [m, k], b [k, n]
	NT             // a [m, k], b [n, k]
	TN             // a [k, m], b [k, n]
)

// A Layout says where the matrices of a batch lie in a slice, in elements. Matrix (o, i) begins at o·Outer + i·Inner,
// and its rows are Ld apart. The heads of attention are such a batch without any copy: in x [sequences, steps,
// heads·size], head i of sequence o is the matrix [steps, size] of Layout{Ld: heads·size, Outer: steps·heads·size,
// Inner: size}.
type Layout struct{ Ld, Outer, Inner int }

// GemmBatch computes outer·inner products c = a·b of the same size, which of a and b are transposed being said by
// form; the matrices lie as lc, la and lb say. Matrices of c must not overlap each other, a or b. The epilogues
// [Accumulate] and [Bias], one bias for all, and the activations may be given. Each product gives the bits of the same
// product alone.
func GemmBatch(form Form, c []float32, lc Layout, a []float32, la Layout, b []float32, lb Layout, outer, inner, m, n,
	k int, ep ...Epilogue) {
	const name = "GemmBatch"
	size(name, "outer", outer)
	size(name, "inner", inner)
	size(name, "m", m)
	size(name, "n", n)
	size(name, "k", k)
	if outer == 0 || inner == 0 || m == 0 || n == 0 {
		return
	}
	ar, ac, br, bc := m, k, k, n
	if form == TN {
		ar, ac = k, m
	} else if form == NT {
		br, bc = n, k
	}
	need(name, "c", len(c), lc.need(outer, inner, m, n))
	need(name, "a", len(a), la.need(outer, inner, ar, ac))
	need(name, "b", len(b), lb.need(outer, inner, br, bc))
	j := batchJobs.get()
	j.p = product{m: m, n: n, k: k, ldc: lc.Ld, lda: la.Ld, ldb: lb.Ld, leftT: form == TN, rowBlock: m, colBlock: n,
		colBlocks: 1}
	if form == NT {
		j.p.right = rightT
	}
	j.p.epilogue(name, ep)
	if j.p.residual != nil {
		panic("kernel.GemmBatch: Residual is not supported")
	}
	j.c, j.a, j.b, j.lc, j.la, j.lb = c, a, b, lc, la, lb
	j.inner, j.batch = inner, outer*inner
	// A task is as many products as make it worth handing over.
	j.perTask = max(1, min(j.batch, 1<<16/(m*n*max(1, k))))
	parallel.Run((j.batch+j.perTask-1)/j.perTask, j)
	*j = batchJob{}
	batchJobs.put(j)
}

// need is the length of a slice that holds the batch.
func (l Layout) need(outer, inner, rows, cols int) int {
	if rows == 0 || cols == 0 {
		return 0
	}
	return (outer-1)*l.Outer + (inner-1)*l.Inner + (rows-1)*l.Ld + cols
}

func (l Layout) at(i, inner int) int { return i/inner*l.Outer + i%inner*l.Inner }

type batchJob struct {
	p                     product
	c, a, b               []float32
	lc, la, lb            Layout
	inner, batch, perTask int
}

var batchJobs jobs[batchJob]

func (j *batchJob) Do(task int) {
	p := j.p
	for i := task * j.perTask; i < min((task+1)*j.perTask, j.batch); i++ {
		p.c = j.c[j.lc.at(i, j.inner):]
		if p.k > 0 {
			p.a, p.b = j.a[j.la.at(i, j.inner):], j.b[j.lb.at(i, j.inner):]
		}
		p.block(0, p.m, 0, p.n)
	}
}
