package kernel

import "math"

// GumbelSoftmax draws from the distribution softmax(logits) of each row in its relaxed form (Jang, Gu and Poole 2017,
// equation 2): y = softmax(β·(logits + g)), β being inverse, one over the temperature, and g elements 0 to rows·cols-1
// of the Gumbel stream of key, as [Gumbel] gives them. The larger β, the nearer y is to the one-hot row of a category,
// and that category has the probability that softmax(logits) gives it, whatever β. Nothing of g is kept: with the same
// key the sample is the same. y and logits are [rows, cols]; y may be logits.
//
// As in [Softmax], -Inf marks a category that takes no part: it gets 0, and a row of nothing else becomes zeros. A row
// with a NaN or +Inf becomes NaN. With β = 0 all categories that take part get the same. A β that is negative or not
// finite panics.
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
		for at, k := 0, 0; at < j.cols; at += k {
			k = gumbelChunk(&g, j.key, uint64(r*j.cols+at), j.cols-at)
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

// gumbelChunk fills g with up to n elements of the Gumbel stream from first on, and gives their number. What comes
// behind them is a multiple of 64, where drawing costs less.
func gumbelChunk(g *[chunk]float32, key, first uint64, n int) int {
	n = min(n, chunk-int(first%64))
	drawRange(opGumbel, g[:n], key, first)
	return n
}

// SampleRows draws a category for each row of logits [rows, cols] into tokens [rows], with the probabilities
// softmax(logits/temperature): the largest of logits/temperature + g, g being elements offset to offset+rows·cols-1 of
// the Gumbel stream of key, as [Gumbel] gives them (the Gumbel-max trick: Maddison, Tarlow and Minka 2014, section 2).
// A temperature of 0, as any below 1e-30, takes the largest logit, the first of equal ones, and draws nothing; one
// that is negative or not finite panics. -Inf marks a category that takes no part, and a row of nothing else gives -1.
// In a row with NaN or +Inf it is the first of these, NaN before +Inf, that is taken, as [Argmax] would.
func SampleRows(tokens []int32, logits []float32, temperature float64, key, offset uint64, rows, cols int) {
	const name = "SampleRows"
	if !(temperature >= 0 && temperature <= math.MaxFloat64) {
		panic("kernel.SampleRows: temperature is negative or not finite")
	}
	if !matrix(name, rows, cols) {
		if rows > 0 {
			need(name, "tokens", len(tokens), rows)
			for i := range tokens[:rows] {
				tokens[i] = -1
			}
		}
		return
	}
	need(name, "tokens", len(tokens), rows)
	need(name, "logits", len(logits), rows*cols)
	j := rowJobs.get()
	j.ids, j.x[0], j.key, j.offset = tokens, logits, key, offset
	if temperature >= 1e-30 {
		j.s[0] = float32(max(1/temperature, 0x1p-126)) // 0·-Inf would not be -Inf
	}
	j.f = sampleRows
	j.run(rows, cols, rowWork)
}

func sampleRows(j *rowJob, lo, hi int) {
	var v vec
	var g, below [chunk]float32
	for r := lo; r < hi; r++ {
		x := j.x[0][r*j.cols : (r+1)*j.cols]
		// Most rows are finite or -Inf: then no sum of them is NaN.
		if s := rowSum(x); j.s[0] == 0 || s != s || s > math.MaxFloat32 {
			i := Argmax(x)
			if x[i] == negInf {
				i = -1
			}
			if j.s[0] == 0 || i >= 0 && (x[i] != x[i] || x[i] > math.MaxFloat32) {
				j.ids[r] = int32(i)
				continue
			}
		}
		top, best, at := rowMax(x), negInf, -1
		if top == negInf {
			j.ids[r] = -1
			continue
		}
		for from, k := 0, 0; from < j.cols; from += k {
			k = gumbelChunk(&g, j.key, j.offset+uint64(r*j.cols+from), j.cols-from)
			// Below the largest logit, so that nothing overflows at a low temperature.
			v.p[0], v.p[1], v.s[0], v.s[1] = ptr(below[:]), ptr(x[from:]), top, 0
			vecRange(opLogSoftmax, &v, 0, k)
			v.p[0], v.p[1], v.p[2], v.s[0] = ptr(g[:]), ptr(g[:]), ptr(below[:]), j.s[0]
			vecRange(opAddScaled, &v, 0, k)
			if m := rowMax(g[:k]); m > best {
				best = m
				for i, s := range g[:k] {
					if s == m {
						at = from + i
						break
					}
				}
			}
		}
		j.ids[r] = int32(at)
	}
}

// OneHotMax sets dst to 1 at the largest element of each row of the probabilities p [rows, cols], the first of equal
// ones, and to 0 elsewhere: what a relaxed sample comes to. A row in which nothing is above 0 becomes zeros, one with
// a NaN becomes NaN. dst may be p.
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
