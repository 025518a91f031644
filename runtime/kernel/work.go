package kernel

// What kernels hand to package parallel tells a benchmark what memory it goes over, and how many floating-point
// operations its products take: Touch calls f with each array, or what it has of one, and gives the operations, 0 for
// those that are not counted. written is whether tasks write the array; whole is whether each task reads all of it and
// not a part of its own, or, as of the result of a product that is cut by columns, writes a part of each row.

// Touch gives the two operands of a product and its result.
func (p *product) Touch(f func(x []float32, whole, written bool)) float64 {
	part := func(x []float32, rows, ld, cols int, whole, written bool) {
		if rows > 0 && cols > 0 && len(x) > 0 {
			f(x[:min(len(x), (rows-1)*ld+cols)], whole, written)
		}
	}
	byRows, byCols := p.rowBlock < p.m, p.colBlock < p.n
	if p.leftT {
		part(p.a, p.k, p.lda, p.m, byCols, false)
	} else {
		part(p.a, p.m, p.lda, p.k, byCols, false)
	}
	switch p.right {
	case rightPacked:
		part(p.b, 1, 0, PackedLen(p.k, p.n), byRows, false)
	case rightT:
		part(p.b, p.n, p.ldb, p.k, byRows, false)
	default:
		part(p.b, p.k, p.ldb, p.n, byRows, false)
	}
	part(p.residual, p.m, p.ldr, p.n, false, false)
	part(p.c, p.m, p.ldc, p.n, byCols, true)
	return 2 * float64(p.m) * float64(p.n) * float64(p.k)
}

// Touch gives all three, of as many products as there are.
func (j *batchJob) Touch(f func(x []float32, whole, written bool)) float64 {
	f(j.a, false, false)
	f(j.b, false, false)
	f(j.c, false, true)
	return 2 * float64(j.batch) * float64(j.p.m) * float64(j.p.n) * float64(j.p.k)
}

// Touch gives the matrix and its panels.
func (j *packJob) Touch(f func(x []float32, whole, written bool)) float64 {
	f(j.b[:min(len(j.b), j.k*j.n)], false, false)
	f(j.dst[:min(len(j.dst), PackedLen(j.k, j.n))], false, true)
	return 0
}

// Touch gives the operands of an elementwise kernel, of n elements each.
func (j *vecJob) Touch(f func(x []float32, whole, written bool)) float64 {
	state := 0 // arrays that an optimizer writes beside the parameters
	switch j.op {
	case opMomentum, opNesterov, opRMSprop, opAdagrad, opLion:
		state = 1
	case opAdam, opAdamL2:
		state = 2
	}
	for i, p := range j.v.p {
		if p != nil {
			f(j.v.at(i, 0, j.n), false, i <= state)
		}
	}
	return 0
}

// Touch gives what rows are of. The first matrix is the result.
func (j *rowJob) Touch(f func(x []float32, whole, written bool)) float64 {
	for i, x := range j.x {
		f(x[:min(len(x), j.rows*j.cols)], false, i == 0)
	}
	return 0
}

// Touch gives the matrices, any of which a function may write.
func (j *eachJob) Touch(f func(x []float32, whole, written bool)) float64 {
	for _, x := range j.x {
		f(x, false, true)
	}
	return 0
}

// Touch gives what is summed, or what a norm's gradient reads and writes.
func (j *colJob) Touch(f func(x []float32, whole, written bool)) float64 {
	n := j.rows * j.cols
	if j.norm != nil {
		f(j.norm.dy[:n], false, false)
		f(j.norm.x[:n], false, false)
		f(j.norm.dx[:n], false, true)
		return 0
	}
	f(j.x[:n], false, false)
	return 0
}

// Touch gives the gradients of rows; those of the table are fewer.
func (j *scatterJob) Touch(f func(x []float32, whole, written bool)) float64 {
	f(j.dy[:len(j.ids)*j.dim], false, false)
	return 0
}

// Touch gives what is squared.
func (j *normJob) Touch(f func(x []float32, whole, written bool)) float64 {
	f(j.x, false, false)
	return 0
}

// Touch gives queries, keys, values and what comes of them.
func (j *attentionJob) Touch(f func(x []float32, whole, written bool)) float64 {
	for _, x := range [][]float32{j.q, j.k, j.v} {
		f(x, false, false)
	}
	if j.grad {
		f(j.dy, false, false)
	}
	for _, x := range [][]float32{j.y, j.dq, j.dk, j.dv} {
		f(x, false, true)
	}
	return 0
}
