package kernel

// LayerNorm normalises each row of x [rows, cols] (Ba, Kiros and Hinton 2016):
//
//	mean = Σ x/cols;  rstd = 1/√(Σ (x-mean)²/cols + eps);  y = (x-mean)·rstd∘gain + bias
//
// gain and bias are [cols]. mean and rstd [rows] are kept for [LayerNormGrad]. y may be x, though then the gradient has
// lost its input.
func LayerNorm(y, mean, rstd, x, gain, bias []float32, rows, cols int, eps float32) {
	if !matrix("LayerNorm", rows, cols) {
		return
	}
	need("LayerNorm", "mean", len(mean), rows)
	need("LayerNorm", "bias", len(bias), cols)
	norm("LayerNorm", y, mean, rstd, x, gain, bias, rows, cols, eps)
}

// RMSNorm is [LayerNorm] without mean and bias (Zhang and Sennrich 2019): rstd = 1/√(Σ x²/cols + eps), y = x·rstd∘gain.
func RMSNorm(y, rstd, x, gain []float32, rows, cols int, eps float32) {
	if !matrix("RMSNorm", rows, cols) {
		return
	}
	norm("RMSNorm", y, nil, rstd, x, gain, nil, rows, cols, eps)
}

func norm(kernel string, y, mean, rstd, x, gain, bias []float32, rows, cols int, eps float32) {
	need(kernel, "y", len(y), rows*cols)
	need(kernel, "rstd", len(rstd), rows)
	need(kernel, "x", len(x), rows*cols)
	need(kernel, "gain", len(gain), cols)
	j := rowJobs.get()
	j.x = [8][]float32{y, mean, rstd, x, gain, bias}
	j.s[0] = eps
	j.f = normRows
	j.run(rows, cols, rowWork)
}

func normRows(j *rowJob, lo, hi int) {
	y, mean, rstd, x, gain, bias := j.x[0], j.x[1], j.x[2], j.x[3], j.x[4], j.x[5]
	n := float32(j.cols)
	var v vec
	v.p[2] = ptr(gain)
	o := opNormGain
	if bias != nil {
		o = opNorm
		v.p[3] = ptr(bias)
	}
	for r := lo; r < hi; r++ {
		a, b := r*j.cols, (r+1)*j.cols
		var m float32
		if mean != nil {
			m = rowSum(x[a:b]) / n
			mean[r] = m
		}
		s := 1 / sqrt32(float32(rowSquares(x[a:b], m)/n)+j.s[0])
		rstd[r] = s
		v.p[0], v.p[1], v.s[0], v.s[1] = ptr(y[a:b]), ptr(x[a:b]), m, s
		vecRange(o, &v, 0, j.cols)
	}
}

// LayerNormGrad is the gradient of [LayerNorm], from its input x and the mean and rstd that it kept. With
// x̂ = (x-mean)·rstd and g = dy∘gain:
//
//	dgain = Σ_rows dy∘x̂;  dbias = Σ_rows dy, the sums over rows as those of [SumRows]
//	dx = rstd·(g - mean(g) - x̂·mean(g∘x̂)), the means over the row
//
// dgain and dbias [cols] are overwritten. dx may be dy or x.
func LayerNormGrad(dx, dgain, dbias, dy, x, gain, mean, rstd []float32, rows, cols int) {
	size("LayerNormGrad", "rows", rows)
	size("LayerNormGrad", "cols", cols)
	need("LayerNormGrad", "dbias", len(dbias), cols)
	need("LayerNormGrad", "mean", len(mean), rows)
	normGrad("LayerNormGrad", dx, dgain, dbias, dy, x, gain, mean, rstd, rows, cols)
}

// RMSNormGrad is the gradient of [RMSNorm]: as [LayerNormGrad] with no mean and no bias.
func RMSNormGrad(dx, dgain, dy, x, gain, rstd []float32, rows, cols int) {
	size("RMSNormGrad", "rows", rows)
	size("RMSNormGrad", "cols", cols)
	normGrad("RMSNormGrad", dx, dgain, nil, dy, x, gain, nil, rstd, rows, cols)
}

func normGrad(kernel string, dx, dgain, dbias, dy, x, gain, mean, rstd []float32, rows, cols int) {
	need(kernel, "dx", len(dx), rows*cols)
	need(kernel, "dgain", len(dgain), cols)
	need(kernel, "dy", len(dy), rows*cols)
	need(kernel, "x", len(x), rows*cols)
	need(kernel, "gain", len(gain), cols)
	need(kernel, "rstd", len(rstd), rows)
	if cols == 0 {
		return
	}
	j := normGradJobs.get()
	*j = normGradJob{dx: dx, dy: dy, x: x, gain: gain, mean: mean, rstd: rstd, cols: cols}
	c := colJobs.get()
	c.rows, c.cols, c.norm = rows, cols, j
	c.run(dgain, dbias)
	c.norm = nil
	colJobs.put(c)
	*j = normGradJob{}
	normGradJobs.put(j)
}

// normGradJob is the gradient of a norm; mean is nil where it has none.
type normGradJob struct {
	dx, dy, x, gain, mean, rstd []float32
	cols                        int
}

var normGradJobs jobs[normGradJob]

// normGradPart is the number of elements of dy, and of x, that stay in the cache between the three things that are made
// of them.
const normGradPart = 1 << 13

// block computes rows r0 to r1 of dx, and the sums down them for the gain and the bias.
func (j *normGradJob) block(dgain, dbias []float32, r0, r1 int) {
	clear(dgain)
	clear(dbias)
	var v vec
	v.p[3] = ptr(j.gain)
	var s1, s2 [sumRows]float32
	n := float32(j.cols)
	part := max(8, normGradPart/j.cols)
	for lo := r0; lo < r1; lo += part {
		hi := min(lo+part, r1)
		var mean []float32
		for r := lo; r < hi; r++ {
			a, b := r*j.cols, (r+1)*j.cols
			var m float32
			if j.mean != nil {
				m = j.mean[r]
			}
			s1[r-r0], s2[r-r0] = rowNormSums(j.dy[a:b], j.x[a:b], j.gain, m, j.rstd[r])
		}
		if j.mean != nil {
			mean = j.mean[lo:hi]
		}
		// The columns before dx, which may be dy or x.
		colNorm(dgain, dbias, j.dy[lo*j.cols:], j.x[lo*j.cols:], mean, j.rstd[lo:hi], hi-lo, j.cols, 0, j.cols)
		for r := lo; r < hi; r++ {
			a, b := r*j.cols, (r+1)*j.cols
			var m float32
			t := float32(0)
			if j.mean != nil {
				m, t = j.mean[r], s1[r-r0]
			}
			v.p[0], v.p[1], v.p[2] = ptr(j.dx[a:b]), ptr(j.dy[a:b]), ptr(j.x[a:b])
			v.s[0], v.s[1], v.s[2], v.s[3] = m, j.rstd[r], t/n, s2[r-r0]/n
			vecRange(opNormGrad, &v, 0, j.cols)
		}
	}
}
