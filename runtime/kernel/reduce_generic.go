package kernel

import "math"

// lanes is the accumulator of a sum over a row: element i is added to lane i mod 64.
type lanes [64]float32

// sum adds the lanes in the one order that every level uses: the four groups of 16 as (0+1) + (2+3), then halves.
func (l *lanes) sum() float32 {
	for i := range 16 {
		l[i] = (l[i] + l[16+i]) + (l[32+i] + l[48+i])
	}
	for w := 8; w > 0; w /= 2 {
		for i := range w {
			l[i] += l[i+w]
		}
	}
	return l[0]
}

var negInf = float32(math.Inf(-1))

// rowMaxGeneric is the largest element of x, -Inf for none. With a NaN in x it is anything.
func rowMaxGeneric(x []float32) float32 {
	m := negInf
	for _, v := range x {
		m = max32(m, v)
	}
	return m
}

func rowSumGeneric(x []float32) float32 {
	var l lanes
	for i, v := range x {
		l[i%64] += v
	}
	return l.sum()
}

// rowSquaresGeneric is the sum of (x - mean)².
func rowSquaresGeneric(x []float32, mean float32) float32 {
	var l lanes
	for i, v := range x {
		d := v - mean
		l[i%64] = fma(d, d, l[i%64])
	}
	return l.sum()
}

// rowDotGeneric is the sum of x·y.
func rowDotGeneric(x, y []float32) float32 {
	var l lanes
	y = y[:len(x)]
	for i, v := range x {
		l[i%64] = fma(v, y[i], l[i%64])
	}
	return l.sum()
}

// rowExpGeneric sets dst to e**(x - m) and returns its sum.
func rowExpGeneric(dst, x []float32, m float32) float32 {
	var l lanes
	dst = dst[:len(x)]
	for i, v := range x {
		e := exp32(v - m)
		dst[i] = e
		l[i%64] += e
	}
	return l.sum()
}

// rowExpSumGeneric is rowExpGeneric without a destination.
func rowExpSumGeneric(x []float32, m float32) float32 {
	var l lanes
	for i, v := range x {
		l[i%64] += exp32(v - m)
	}
	return l.sum()
}

// rowNormSumsGeneric is Σ dy·gain and Σ dy·gain·x̂ with x̂ = (x - mean)·rstd.
func rowNormSumsGeneric(dy, x, gain []float32, mean, rstd float32) (float32, float32) {
	var a, b lanes
	x, gain = x[:len(dy)], gain[:len(dy)]
	for i, d := range dy {
		g := float32(d * gain[i])
		h := float32((x[i] - mean) * rstd)
		a[i%64] += g
		b[i%64] = fma(g, h, b[i%64])
	}
	return a.sum(), b.sum()
}

// The kernels below go down columns lo to hi of matrices with cols columns, from the first row to the last.

func colSumGeneric(dst, x []float32, rows, cols, lo, hi int) {
	clear(dst[lo:hi])
	for r := range rows {
		row := x[r*cols+lo : r*cols+hi]
		for i, v := range row {
			dst[lo+i] += v
		}
	}
}

// normGradGeneric is what is left of a norm's gradient when the sums over rows are known: dx, and what rows add to
// dgain and dbias, which may be nil. of has for each row its mean, rstd, and the means of dy∘gain and of dy∘gain∘x̂.
func normGradGeneric(dx, dgain, dbias, dy, x, gain []float32, of [][4]float32) {
	cols := len(gain)
	for r, of := range of {
		for c := range cols {
			i := r*cols + c
			d := dy[i]
			h := float32((x[i] - of[0]) * of[1])
			dgain[c] = fma(d, h, dgain[c])
			if dbias != nil {
				dbias[c] += d
			}
			dx[i] = fma(-h, of[3], float32(d*gain[c])-of[2]) * of[1]
		}
	}
}
