package kernel

// Softmax computes dst = e**x / Σ e**x over each row of x [rows, cols]. dst may be x. The largest element of the row is
// subtracted first, so nothing overflows. -Inf marks a position that takes no part: it gets 0, and a row of nothing
// else becomes zeros. A row with a NaN or +Inf becomes NaN.
func Softmax(dst, x []float32, rows, cols int) {
	rowKernel("Softmax", softmaxRows, dst, x, nil, rows, cols, "dst", "x", "")
}

func rowKernel(kernel string, f func(*rowJob, int, int), dst, x, y []float32, rows, cols int, argDst, argX,
	argY string) {
	if !matrix(kernel, rows, cols) {
		return
	}
	need(kernel, argDst, len(dst), rows*cols)
	need(kernel, argX, len(x), rows*cols)
	if argY != "" {
		need(kernel, argY, len(y), rows*cols)
	}
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2] = dst, x, y
	j.f = f
	j.run(rows, cols, rowWork)
}

func softmaxRows(j *rowJob, lo, hi int) {
	for r := lo; r < hi; r++ {
		softmaxRow(j.x[0][r*j.cols:(r+1)*j.cols], j.x[1][r*j.cols:(r+1)*j.cols])
	}
}

func softmaxRow(dst, x []float32) {
	m := rowMax(x)
	if m == negInf {
		m = 0
	}
	sum := rowExp(dst, x, m)
	inv := 1 / sum
	if sum == 0 {
		inv = 0
	}
	var v vec
	v.p[0], v.p[1], v.s[0] = ptr(dst), ptr(dst), inv
	vecRange(opScale, &v, 0, len(x))
}

// SoftmaxPrefix is the softmax of attention: over each row r of scale·x [rows, cols] it computes [Softmax] of the
// first valid[r mod len(valid)] columns and sets the others to 0, which no later step must read as a score. A causal
// mask over steps is valid = 1, 2, ..., steps; padding at the end of a sequence makes entries smaller. A row with
// nothing valid becomes zeros. A nil valid takes whole rows. dst may be x.
func SoftmaxPrefix(dst, x []float32, scale float32, valid []int32, rows, cols int) {
	if !matrix("SoftmaxPrefix", rows, cols) {
		return
	}
	need("SoftmaxPrefix", "dst", len(dst), rows*cols)
	need("SoftmaxPrefix", "x", len(x), rows*cols)
	for _, v := range valid {
		if v < 0 || int(v) > cols {
			panicID("SoftmaxPrefix", "valid", int(v), cols+1)
		}
	}
	j := rowJobs.get()
	j.x[0], j.x[1], j.ids, j.s[0] = dst, x, valid, scale
	j.f = softmaxPrefixRows
	j.run(rows, cols, rowWork)
}

func softmaxPrefixRows(j *rowJob, lo, hi int) {
	var v vec
	v.s[0] = j.s[0]
	for r := lo; r < hi; r++ {
		dst, x := j.x[0][r*j.cols:(r+1)*j.cols], j.x[1][r*j.cols:(r+1)*j.cols]
		n := j.cols
		if len(j.ids) > 0 {
			n = int(j.ids[r%len(j.ids)])
		}
		if n > 0 {
			v.p[0], v.p[1] = ptr(dst), ptr(x)
			vecRange(opScale, &v, 0, n)
			softmaxRow(dst[:n], dst[:n])
		}
		clear(dst[n:])
	}
}

// SoftmaxPrefixGrad is the gradient of [SoftmaxPrefix] from its output y: dx = scale·y∘(dy - Σ y∘dy), 0 in the columns
// that are not valid, whatever dy holds there. dx may be y or dy.
func SoftmaxPrefixGrad(dx, y, dy []float32, scale float32, valid []int32, rows, cols int) {
	if !matrix("SoftmaxPrefixGrad", rows, cols) {
		return
	}
	need("SoftmaxPrefixGrad", "dx", len(dx), rows*cols)
	need("SoftmaxPrefixGrad", "y", len(y), rows*cols)
	need("SoftmaxPrefixGrad", "dy", len(dy), rows*cols)
	for _, v := range valid {
		if v < 0 || int(v) > cols {
			panicID("SoftmaxPrefixGrad", "valid", int(v), cols+1)
		}
	}
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2], j.ids, j.s[0] = dx, y, dy, valid, scale
	j.f = softmaxPrefixGradRows
	j.run(rows, cols, rowWork)
}

func softmaxPrefixGradRows(j *rowJob, lo, hi int) {
	var v vec
	for r := lo; r < hi; r++ {
		n := j.cols
		if len(j.ids) > 0 {
			n = int(j.ids[r%len(j.ids)])
		}
		dx, y, dy := j.x[0][r*j.cols:(r+1)*j.cols], j.x[1][r*j.cols:][:n], j.x[2][r*j.cols:][:n]
		if n > 0 {
			v.p[0], v.p[1], v.p[2] = ptr(dx), ptr(y), ptr(dy)
			v.s[0] = rowDot(y, dy)
			vecRange(opSoftmaxGrad, &v, 0, n)
			v.p[1], v.s[0] = v.p[0], j.s[0]
			vecRange(opScale, &v, 0, n)
		}
		clear(dx[n:])
	}
}

// LogSoftmax computes dst = x - log Σ e**x over each row of x [rows, cols]. dst may be x. A row of nothing but -Inf
// stays -Inf.
func LogSoftmax(dst, x []float32, rows, cols int) {
	rowKernel("LogSoftmax", logSoftmaxRows, dst, x, nil, rows, cols, "dst", "x", "")
}

func logSoftmaxRows(j *rowJob, lo, hi int) {
	var v vec
	for r := lo; r < hi; r++ {
		dst, x := j.x[0][r*j.cols:(r+1)*j.cols], j.x[1][r*j.cols:(r+1)*j.cols]
		m := rowMax(x)
		if m == negInf {
			m = 0
		}
		l := log32(rowExpSum(x, m))
		if l == negInf {
			l = 0
		}
		v.p[0], v.p[1], v.s[0], v.s[1] = ptr(dst), ptr(x), m, l
		vecRange(opLogSoftmax, &v, 0, j.cols)
	}
}

// SoftmaxGrad computes dx = y∘(dy - Σ y∘dy) over each row, the gradient of [Softmax] from its output y. All are
// [rows, cols]; dx may be y or dy.
func SoftmaxGrad(dx, y, dy []float32, rows, cols int) {
	rowKernel("SoftmaxGrad", softmaxGradRows, dx, y, dy, rows, cols, "dx", "y", "dy")
}

func softmaxGradRows(j *rowJob, lo, hi int) {
	var v vec
	for r := lo; r < hi; r++ {
		a, b := r*j.cols, (r+1)*j.cols
		v.p[0], v.p[1], v.p[2] = ptr(j.x[0][a:b]), ptr(j.x[1][a:b]), ptr(j.x[2][a:b])
		v.s[0] = rowDot(j.x[1][a:b], j.x[2][a:b])
		vecRange(opSoftmaxGrad, &v, 0, j.cols)
	}
}

// LogSoftmaxGrad computes dx = dy - e**y·Σ dy over each row, the gradient of [LogSoftmax] from its output y. All are
// [rows, cols]; dx may be y or dy.
func LogSoftmaxGrad(dx, y, dy []float32, rows, cols int) {
	rowKernel("LogSoftmaxGrad", logSoftmaxGradRows, dx, y, dy, rows, cols, "dx", "y", "dy")
}

func logSoftmaxGradRows(j *rowJob, lo, hi int) {
	var v vec
	for r := lo; r < hi; r++ {
		a, b := r*j.cols, (r+1)*j.cols
		v.p[0], v.p[1], v.p[2] = ptr(j.x[0][a:b]), ptr(j.x[1][a:b]), ptr(j.x[2][a:b])
		v.s[0] = rowSum(j.x[2][a:b])
		vecRange(opLogSoftmaxGrad, &v, 0, j.cols)
	}
}

// CrossEntropy returns the mean loss, in nats, of logits [rows, vocab] against targets [rows], over the rows whose
// target is not negative; a negative target is padding. With no such row it is 0. A target of vocab or more panics.
//
//	loss = (1-smoothing)·(lse - x[target]) + smoothing·(lse - mean x),  lse = log Σ e**x
//
// which is label smoothing as in Szegedy et al. 2016: the target gets 1-smoothing, and smoothing is spread evenly over
// the vocabulary. Unless nil, dlogits [rows, vocab] receives the gradient of the mean with respect to the logits,
// softmax and loss in one pass; it may be logits. Rows of padding get zeros. rowLoss [rows] receives the loss of each
// row, 0 for padding; the mean adds them in order in float64. A NaN among the logits of a row gives a NaN.
func CrossEntropy(rowLoss, dlogits, logits []float32, targets []int32, rows, vocab int, smoothing float32) float64 {
	return crossEntropyOf("CrossEntropy", rowLoss, dlogits, logits, targets, nil, rows, vocab, smoothing, 0)
}

// SequenceCrossEntropy is [CrossEntropy] of sequences: the sum of the losses of all rows over the number of sequences,
// in place of the mean over the rows.
func SequenceCrossEntropy(rowLoss, dlogits, logits []float32, targets []int32, rows, vocab int, smoothing float32,
	sequences int) float64 {
	if sequences < 1 {
		panic("kernel.SequenceCrossEntropy: sequences is below 1")
	}
	return crossEntropyOf("SequenceCrossEntropy", rowLoss, dlogits, logits, targets, nil, rows, vocab, smoothing,
		sequences)
}

// WeightedCrossEntropy is [CrossEntropy], without smoothing, with a weight for each row: Σ weight·(lse - x[target])
// over the number of targets that are not negative. With the rewards of drawn tokens as weights [rows] its gradient is
// that of REINFORCE (Williams 1992; Yu et al. 2017, equation 8). Weights may be negative; those of padding are not
// read. rowLoss receives the losses without their weights.
func WeightedCrossEntropy(rowLoss, dlogits, logits []float32, targets []int32, weights []float32, rows,
	vocab int) float64 {
	const name = "WeightedCrossEntropy"
	if !matrix(name, rows, vocab) {
		return 0
	}
	if len(weights) == 0 {
		return crossEntropyOf(name, rowLoss, dlogits, logits, targets, nil, rows, vocab, 0, 0)
	}
	need(name, "weights", len(weights), rows)
	return crossEntropyOf(name, rowLoss, dlogits, logits, targets, weights[:rows], rows, vocab, 0, 0)
}

// crossEntropyOf divides by the number of targets where per is 0. Without weights they are 1.
func crossEntropyOf(name string, rowLoss, dlogits, logits []float32, targets []int32, weights []float32, rows,
	vocab int, smoothing float32, per int) float64 {
	if !matrix(name, rows, vocab) {
		return 0
	}
	need(name, "rowLoss", len(rowLoss), rows)
	if dlogits != nil {
		need(name, "dlogits", len(dlogits), rows*vocab)
	}
	need(name, "logits", len(logits), rows*vocab)
	need(name, "targets", len(targets), rows)
	count := 0
	for _, t := range targets[:rows] {
		if int(t) >= vocab {
			panicID(name, "targets", int(t), vocab)
		}
		if t >= 0 {
			count++
		}
	}
	if per > 0 {
		count = per
	}
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2], j.x[3] = rowLoss, dlogits, logits, weights
	j.ids = targets
	j.s[0], j.s[1] = smoothing, 1/float32(max(count, 1))
	j.f = crossEntropyRows
	j.run(rows, vocab, rowWork)
	total := 0.0
	for i, l := range rowLoss[:rows] {
		switch {
		case weights == nil:
			total += float64(l)
		case targets[i] >= 0:
			total += float64(weights[i]) * float64(l) // exact, so that it does not matter whether the sum is fused
		}
	}
	return total / float64(max(count, 1))
}

func crossEntropyRows(j *rowJob, lo, hi int) {
	smoothing := j.s[0]
	var v vec
	// Rows go in chunks: a logarithm is cheap by the vector.
	var sum, target, mean [32]float32
	for ; lo < hi; lo += len(sum) {
		n := min(len(sum), hi-lo)
		for i := range n {
			sum[i] = 1
			t := j.ids[lo+i]
			a, b := (lo+i)*j.cols, (lo+i+1)*j.cols
			var dx []float32
			if j.x[1] != nil {
				dx = j.x[1][a:b]
			}
			if t < 0 {
				clear(dx)
				continue
			}
			// Everything that needs x comes before dx, which may be x.
			x := j.x[2][a:b]
			m := rowMax(x)
			if m == negInf {
				m = 0
			}
			target[i] = m - x[t]
			if smoothing != 0 {
				mean[i] = m - rowSum(x)/float32(j.cols)
			}
			if dx == nil {
				sum[i] = rowExpSum(x, m)
				continue
			}
			inv := j.s[1]
			if j.x[3] != nil {
				inv *= j.x[3][lo+i]
			}
			sum[i] = rowExp(dx, x, m)
			v.p[0], v.p[1] = ptr(dx), ptr(dx)
			v.s[0], v.s[1] = inv/sum[i], -float32(smoothing/float32(j.cols))*inv
			vecRange(opAxpb, &v, 0, j.cols)
			dx[t] -= float32((1 - smoothing) * inv)
		}
		v.p[0], v.p[1] = ptr(sum[:]), ptr(sum[:])
		vecRange(opLog, &v, 0, n)
		for i := range n {
			loss := sum[i] + target[i]
			if smoothing != 0 {
				loss = fma(smoothing, sum[i]+mean[i], float32((1-smoothing)*loss))
			}
			if j.ids[lo+i] < 0 {
				loss = 0
			}
			j.x[0][lo+i] = loss
		}
	}
}
