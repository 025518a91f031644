package kernel

import "math"

// GumbelSoftmax draws from the distribution softmax(logits) of each row in its relaxed form (Jang, Gu and Poole 2017, equation 2): y = softmax(β·(logits + g)),
// β being inverse, one over the temperature, and g elements 0 to rows·cols-1 of the Gumbel stream of key, as [Gumbel] gives them. The larger β, the nearer y is to
// the one-hot row of a category, and that category has the probability that softmax(logits) gives it, whatever β. Nothing of g is kept: with the same key the sample
// is the same. y and logits are [rows, cols]; y may be logits.
//
// As in [Softmax], -Inf marks a category that takes no part: it gets 0, and a row of nothing else becomes zeros. A row with a NaN or +Inf becomes NaN. With β = 0
// all categories that take part get the same. A β that is negative or not finite panics.
func GumbelSoftmax(y, logits []float32, inverse float64, key uint64, rows, cols int) {
	const name = "GumbelSoftmax"
	if !(inverse >= 0 && inverse <= math.MaxFloat32) {
		panic("kernel.GumbelSoftmax: inverse is negative or not finite")
	}
	if !matrix(name, rows, cols) {
		return
	}
	need(name, "y", len(y), rows*cols)
	need(name, "logits", len(logits), rows*cols)
	j := rowJobs.get()
	j.x[0], j.x[1], j.s[0], j.key = y, logits, float32(inverse), key
	j.f = gumbelSoftmaxRows
	j.run(rows, cols, rowWork)
}

func gumbelSoftmaxRows(j *rowJob, lo, hi int) {
	var v vec
	var g [chunk]float32
	for r := lo; r < hi; r++ {
		y, x := j.x[0][r*j.cols:(r+1)*j.cols], j.x[1][r*j.cols:(r+1)*j.cols]
		for at := 0; at < j.cols; at += chunk {
			k := min(chunk, j.cols-at)
			gumbelRange(g[:k], j.key, uint64(r*j.cols+at))
			v.p[0], v.p[1], v.p[2] = ptr(y[at:]), ptr(x[at:]), ptr(g[:])
			vecRange(opAdd, &v, 0, k)
		}
		if j.s[0] == 0 { // and 0·-Inf is not -Inf
			for i, s := range y {
				if s != negInf {
					y[i] = s * 0
				}
			}
		} else {
			v.p[0], v.p[1], v.s[0] = ptr(y), ptr(y), j.s[0]
			vecRange(opScale, &v, 0, j.cols)
		}
		softmaxRow(y, y)
	}
}

// OneHotMax sets dst to 1 at the largest element of each row of the probabilities p [rows, cols], the first of equal ones, and to 0 elsewhere: what a relaxed sample
// comes to. A row in which nothing is above 0 becomes zeros, one with a NaN becomes NaN. dst may be p.
func OneHotMax(dst, p []float32, rows, cols int) {
	rowKernel("OneHotMax", oneHotMaxRows, dst, p, nil, rows, cols, "dst", "p", "")
}

func oneHotMaxRows(j *rowJob, lo, hi int) {
	for r := lo; r < hi; r++ {
		dst, p := j.x[0][r*j.cols:(r+1)*j.cols], j.x[1][r*j.cols:(r+1)*j.cols]
		i := Argmax(p)
		switch m := p[i]; {
		case m != m:
			for k := range dst {
				dst[k] = m
			}
		case m > 0:
			clear(dst)
			dst[i] = 1
		default:
			clear(dst)
		}
	}
}
