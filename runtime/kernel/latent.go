package kernel

import "math"

// Kernels of variational autoencoders (Kingma and Welling 2014): a diagonal Gaussian of which a network gives the mean
// and the logarithm of the variance, and likelihoods of vectors, each with its gradient.

// chunk is the number of elements that these kernels hold on the stack at a time.
const chunk = 256

// GaussianSample draws z = mean + e**(logvar/2)∘ε into the first n elements of z, ε being elements 0 to n-1 of the
// normal stream of key, as [Normal] gives them (Kingma and Welling 2014, section 2.4). Nothing of ε is kept: with the
// same key the sample is the same. z may be mean or logvar.
func GaussianSample(z, mean, logvar []float32, key uint64, n int) {
	const name = "GaussianSample"
	size(name, "n", n)
	need(name, "z", len(z), n)
	need(name, "mean", len(mean), n)
	need(name, "logvar", len(logvar), n)
	var deviation, noise [chunk]float32
	for lo := 0; lo < n; lo += chunk {
		k := min(chunk, n-lo)
		d, e := deviation[:k], noise[:k]
		drawRange(opNormal, e, key, uint64(lo))
		var v vec
		v.p[0], v.p[1], v.s[0] = ptr(d), ptr(logvar[lo:]), 0.5
		vecRange(opScale, &v, 0, k)
		v.p[1] = v.p[0]
		vecRange(opExp, &v, 0, k)
		v.p[2] = ptr(e)
		vecRange(opMul, &v, 0, k)
		v.p[0], v.p[2] = ptr(z[lo:]), ptr(mean[lo:])
		vecRange(opAdd, &v, 0, k)
	}
}

// GaussianKL returns KL(N(mean, e**logvar) ‖ N(0, 1)) in nats, summed over the dimensions and averaged over the rows of
// mean and logvar [rows, cols], after free bits:
//
//	dims[d] = mean over the rows of ½(mean² + e**logvar − 1 − logvar)      (Kingma and Welling 2014, appendix B)
//	KL      = max(freeTotal, Σ_d max(free, dims[d]))                       (Kingma et al. 2016, equation 15)
//
// dims [cols] receives the divergence of each dimension without free bits. With no rows all is 0.
func GaussianKL(dims, mean, logvar []float32, rows, cols int, free, freeTotal float64) float64 {
	const name = "GaussianKL"
	size(name, "rows", rows)
	size(name, "cols", cols)
	need(name, "dims", len(dims), cols)
	need(name, "mean", len(mean), rows*cols)
	need(name, "logvar", len(logvar), rows*cols)
	clear(dims[:cols])
	if rows == 0 {
		return 0
	}
	var exp [64]float32
	var sum [64]float64
	total := 0.0
	for lo := 0; lo < cols; lo += len(exp) {
		k := min(len(exp), cols-lo)
		clear(sum[:])
		for r := range rows {
			at := r*cols + lo
			var v vec
			v.p[0], v.p[1] = ptr(exp[:]), ptr(logvar[at:])
			vecRange(opExp, &v, 0, k)
			for i := range k {
				m := float64(mean[at+i])
				sum[i] += float64(m*m) + (float64(exp[i]) - 1 - float64(logvar[at+i]))
			}
		}
		for i := range k {
			d := sum[i] / float64(2*rows)
			dims[lo+i] = float32(d)
			total += max(free, float64(dims[lo+i])) // what GaussianKLGrad compares with
		}
	}
	return max(freeTotal, total)
}

// GaussianKLGrad is the gradient of [GaussianKL], times dkl, into dmean and dlogvar [rows, cols], which may be mean and
// logvar: dkl·mean/rows and dkl·(e**logvar − 1)/(2·rows), 0 in the dimensions whose divergence is not above free, and
// everywhere when their sum is not above freeTotal. dims [cols] is what GaussianKL has left there.
func GaussianKLGrad(dmean, dlogvar, mean, logvar, dims []float32, dkl float64, rows, cols int, free,
	freeTotal float64) {
	const name = "GaussianKLGrad"
	size(name, "rows", rows)
	size(name, "cols", cols)
	need(name, "dmean", len(dmean), rows*cols)
	need(name, "dlogvar", len(dlogvar), rows*cols)
	need(name, "mean", len(mean), rows*cols)
	need(name, "logvar", len(logvar), rows*cols)
	need(name, "dims", len(dims), cols)
	total := 0.0
	for _, d := range dims[:cols] {
		total += max(free, float64(d))
	}
	if rows == 0 || cols == 0 {
		return
	}
	if !(total > freeTotal) && !math.IsNaN(total) {
		dkl = 0
	}
	scale := float32(dkl / float64(rows))
	var exp, gate [64]float32
	for lo := 0; lo < cols; lo += len(exp) {
		k := min(len(exp), cols-lo)
		for i, d := range dims[lo : lo+k] {
			if gate[i] = scale; !(float64(d) > free) && d == d {
				gate[i] = 0
			}
		}
		for r := range rows {
			at := r*cols + lo
			var v vec
			v.p[0], v.p[1] = ptr(exp[:]), ptr(logvar[at:])
			vecRange(opExp, &v, 0, k)
			for i := range k {
				dmean[at+i] = gate[i] * mean[at+i]
				dlogvar[at+i] = gate[i] * (0.5 * (exp[i] - 1))
			}
		}
	}
}

// BernoulliLoss returns the mean over the rows of −log p(x) in nats, each element of x [rows, cols] being 1 with the
// probability sigmoid(logit) of the same element of logits: per row Σ softplus(logit) − x·logit. Elements of x between
// 0 and 1 give the cross-entropy. rowLoss [rows] receives the sum of each row, which the mean adds in order. Unless
// nil, dlogits [rows, cols] receives the gradient of the mean, (sigmoid(logit) − x)/rows; it may be logits.
func BernoulliLoss(rowLoss, dlogits, logits, x []float32, rows, cols int) float64 {
	return likelihood("BernoulliLoss", bernoulliRows, rowLoss, dlogits, logits, x, "dlogits", "logits", rows, cols, 0)
}

// GaussianLoss is [BernoulliLoss] for a Gaussian of the given standard deviation around mean [rows, cols]: per row
// Σ ½((x − mean)/deviation)² + log deviation + ½·log 2π, and the gradient (mean − x)/(deviation²·rows).
func GaussianLoss(rowLoss, dmean, mean, x []float32, rows, cols int, deviation float64) float64 {
	if !(deviation > 0) {
		panic("kernel.GaussianLoss: deviation is not above 0")
	}
	return likelihood("GaussianLoss", gaussianRows, rowLoss, dmean, mean, x, "dmean", "mean", rows, cols,
		float32(deviation))
}

func likelihood(name string, f func(*rowJob, int, int), rowLoss, dy, y, x []float32, argDY, argY string, rows, cols int,
	s float32) float64 {
	if !matrix(name, rows, cols) {
		return 0
	}
	need(name, "rowLoss", len(rowLoss), rows)
	if dy != nil {
		need(name, argDY, len(dy), rows*cols)
	}
	need(name, argY, len(y), rows*cols)
	need(name, "x", len(x), rows*cols)
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2], j.x[3] = rowLoss, dy, y, x
	j.s[0], j.s[1] = 1/float32(rows), s
	j.f = f
	j.run(rows, cols, rowWork)
	total := 0.0
	for _, l := range rowLoss[:rows] {
		total += float64(l)
	}
	return total / float64(rows)
}

func bernoulliRows(j *rowJob, lo, hi int) {
	var soft [chunk]float32
	for r := lo; r < hi; r++ {
		loss := 0.0
		for from := 0; from < j.cols; from += chunk {
			k := min(chunk, j.cols-from)
			at := r*j.cols + from
			y, x := j.x[2][at:at+k], j.x[3][at:at+k]
			var v vec
			v.p[0], v.p[1] = ptr(soft[:]), ptr(y)
			vecRange(opSoftplus, &v, 0, k)
			loss += float64(rowSum(soft[:k])) - float64(rowDot(x, y))
			if j.x[1] != nil {
				v.p[0] = ptr(j.x[1][at : at+k])
				vecRange(opSigmoid, &v, 0, k)
				subScaled(&v, x, j.s[0], k)
			}
		}
		j.x[0][r] = float32(loss)
	}
}

func gaussianRows(j *rowJob, lo, hi int) {
	variance := float64(j.s[1]) * float64(j.s[1])
	var diff [chunk]float32
	each := float64(log32(j.s[1])) + 0.91893853320467274178 // ½·log 2π
	for r := lo; r < hi; r++ {
		squares := 0.0
		for from := 0; from < j.cols; from += chunk {
			k := min(chunk, j.cols-from)
			at := r*j.cols + from
			y, x := j.x[2][at:at+k], j.x[3][at:at+k]
			var v vec
			v.p[0], v.p[1], v.p[2] = ptr(diff[:]), ptr(y), ptr(x)
			vecRange(opSub, &v, 0, k)
			squares += float64(rowDot(diff[:k], diff[:k]))
			if j.x[1] != nil {
				v.p[0], v.p[1], v.s[0] = ptr(j.x[1][at:at+k]), ptr(diff[:]), float32(float64(j.s[0])/variance)
				vecRange(opScale, &v, 0, k)
			}
		}
		j.x[0][r] = float32(squares/(2*variance) + float64(each*float64(j.cols)))
	}
}

// subScaled sets the k elements d that v.p[0] points at to (d - x)·s.
func subScaled(v *vec, x []float32, s float32, k int) {
	v.p[1], v.p[2], v.s[0] = v.p[0], ptr(x), s
	vecRange(opSub, v, 0, k)
	vecRange(opScale, v, 0, k)
}

// DropRows copies x [rows, cols] to dst, with zeros in every row that is dropped: row i is when element i of the
// random stream of key, as [Uniform] gives it, is below rate. Other rows stay as they are. Called on the gradient with
// the same key it is its own backward pass. dst may be x. (Word dropout, Bowman et al. 2016: the decoder does not see
// the word.)
func DropRows(dst, x []float32, rate float32, key uint64, rows, cols int) {
	if !matrix("DropRows", rows, cols) {
		return
	}
	need("DropRows", "dst", len(dst), rows*cols)
	need("DropRows", "x", len(x), rows*cols)
	if !(rate >= 0 && rate <= 1) {
		panic("kernel.DropRows: rate is not between 0 and 1")
	}
	var u [chunk]float32
	for lo := 0; lo < rows; lo += chunk {
		k := min(chunk, rows-lo)
		drawRange(opUniform, u[:k], key, uint64(lo))
		for i := range k {
			at := (lo + i) * cols
			if u[i] < rate {
				clear(dst[at : at+cols])
			} else {
				copy(dst[at:at+cols], x[at:at+cols])
			}
		}
	}
}

// BagOfWords returns weight times the mean over the sequences of Σ −log softmax(logits)[target] in nats, over the
// targets [steps, sequences] of each, negative ones being padding: how well one row of logits [sequences, vocab] tells
// which tokens a sequence has, in whatever order (Zhao et al. 2017, section 3.3). rowLoss [sequences] receives the sum
// of each sequence, without the weight. Unless nil, dlogits receives the gradient; it may be logits. A target of vocab
// or more panics.
func BagOfWords(rowLoss, dlogits, logits []float32, targets []int32, steps, sequences, vocab int,
	weight float64) float64 {
	const name = "BagOfWords"
	size(name, "steps", steps)
	if !matrix(name, sequences, vocab) {
		return 0
	}
	need(name, "rowLoss", len(rowLoss), sequences)
	if dlogits != nil {
		need(name, "dlogits", len(dlogits), sequences*vocab)
	}
	need(name, "logits", len(logits), sequences*vocab)
	need(name, "targets", len(targets), steps*sequences)
	for _, t := range targets[:steps*sequences] {
		if int(t) >= vocab {
			panicID(name, "targets", int(t), vocab)
		}
	}
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2], j.ids = rowLoss, dlogits, logits, targets
	j.s[0] = float32(weight / float64(sequences))
	j.n[0], j.n[1] = steps, sequences
	j.f = bagRows
	j.run(sequences, vocab, rowWork)
	total := 0.0
	for _, l := range rowLoss[:sequences] {
		total += float64(l)
	}
	return weight * total / float64(sequences)
}

func bagRows(j *rowJob, lo, hi int) {
	steps, sequences, scale := j.n[0], j.n[1], j.s[0]
	for r := lo; r < hi; r++ {
		x := j.x[2][r*j.cols : (r+1)*j.cols]
		count, chosen := 0, 0.0
		for s := range steps {
			if t := j.ids[s*sequences+r]; t >= 0 {
				count++
				chosen += float64(x[t])
			}
		}
		m := rowMax(x)
		if m == negInf {
			m = 0
		}
		var sum float32
		if j.x[1] == nil {
			sum = rowExpSum(x, m)
		} else {
			dx := j.x[1][r*j.cols : (r+1)*j.cols]
			sum = rowExp(dx, x, m)
			var v vec
			v.p[0], v.p[1], v.s[0] = ptr(dx), ptr(dx), scale*float32(count)/sum
			vecRange(opScale, &v, 0, j.cols)
			for s := range steps {
				if t := j.ids[s*sequences+r]; t >= 0 {
					dx[t] -= scale
				}
			}
		}
		j.x[0][r] = float32(float64(float64(count)*(float64(m)+float64(log32(sum)))) - chosen)
	}
}
