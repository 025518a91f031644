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

// maxNormGradHeight is the most that normGradHeight gives.
const maxNormGradHeight = 4

// block computes rows r0 to r1 of dx, and the sums down them for the gain and the bias.
func (j *normGradJob) block(dgain, dbias []float32, r0, r1 int) {
	clear(dgain)
	clear(dbias)
	var room [maxNormGradHeight][4]float32
	n := float32(j.cols)
	for height := normGradHeight(); r0 < r1; {
		if r0+height > r1 {
			height = 1
		}
		of := room[:height]
		for i := range of {
			r := r0 + i
			a, b := r*j.cols, (r+1)*j.cols
			var mean float32
			if j.mean != nil {
				mean = j.mean[r]
			}
			s1, s2 := rowNormSums(j.dy[a:b], j.x[a:b], j.gain, mean, j.rstd[r])
			if j.mean == nil {
				s1 = 0
			}
			of[i] = [4]float32{mean, j.rstd[r], s1 / n, s2 / n}
		}
		a, b := r0*j.cols, (r0+height)*j.cols
		normGradRows(j.dx[a:b], dgain, dbias, j.dy[a:b], j.x[a:b], j.gain[:j.cols], of)
		r0 += height
	}
}
