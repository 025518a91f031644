// Package initialize draws the initial parameters of models. Numbers come from Philox streams, one a tensor, so that
// the same seed gives the same bits on every machine and in any order.
//
// It must know nothing of layers: generated code says which tensor starts how.
package initialize

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

// Uniform fills dst with numbers from [-bound, bound).
func Uniform(dst []float32, seed, stream uint64, bound float64) {
	kernel.Uniform(dst, model.Key(seed, stream), 0, len(dst))
	for i, u := range dst {
		dst[i] = float32((2*float64(u) - 1) * bound)
	}
}

// Normal fills dst with numbers of mean 0 and standard deviation std.
func Normal(dst []float32, seed, stream uint64, std float64) {
	kernel.Normal(dst, model.Key(seed, stream), 0, len(dst))
	kernel.Scale(dst, dst, float32(std), len(dst))
}

// Constant fills dst with x.
func Constant(dst []float32, x float32) {
	for i := range dst {
		dst[i] = x
	}
}

// AddConstant adds x to every element of dst.
func AddConstant(dst []float32, x float32) {
	for i := range dst {
		dst[i] += x
	}
}

// Orthogonal fills the matrix dst [rows, cols], which is `blocks` matrices side by side (the gates of a recurrent
// layer; 1 otherwise), each with orthonormal rows, or columns where there are fewer of them, times gain (Saxe et al.
// 2014): the Q of a normal matrix's QR decomposition, by modified Gram-Schmidt in float64, run twice for full
// precision. The diagonal of R is positive, so that the matrix is uniform among all such (Mezzadri 2007). A dst of
// another length than rows·cols panics, and so do blocks that do not divide cols.
func Orthogonal(dst []float32, rows, cols, blocks int, seed, stream uint64, gain float64) {
	if len(dst) != rows*cols || blocks < 1 || cols%blocks != 0 {
		panic(fmt.Sprintf("initialize: Orthogonal of %d × %d needs %d numbers, dst has %d, and blocks that divide "+
			"its columns, not %d", rows, cols, rows*cols, len(dst), blocks))
	}
	Normal(dst, seed, stream, 1)
	width := cols / blocks
	for b := range blocks {
		orthonormalize(dst[b*width:], rows, width, cols, gain)
	}
}

// orthonormalize makes the rows, or the columns where there are fewer of them, of the matrix x [rows, cols], whose
// rows are stride apart, orthonormal, and multiplies them by gain.
func orthonormalize(x []float32, rows, cols, stride int, gain float64) {
	count, length := rows, cols
	at := func(v, i int) int { return v*stride + i }
	if cols < rows {
		count, length = cols, rows
		at = func(v, i int) int { return i*stride + v }
	}
	q := make([][]float64, count)
	for v := range q {
		q[v] = make([]float64, length)
		for i := range q[v] {
			q[v][i] = float64(x[at(v, i)])
		}
		for range 2 {
			for _, u := range q[:v] {
				dot := 0.0
				for i := range u {
					dot += float64(u[i] * q[v][i])
				}
				for i := range u {
					q[v][i] -= float64(dot * u[i])
				}
			}
		}
		norm := 0.0
		for _, y := range q[v] {
			norm += float64(y * y)
		}
		norm = math.Sqrt(norm)
		for i := range q[v] {
			q[v][i] /= norm
		}
	}
	for v := range q {
		for i, y := range q[v] {
			x[at(v, i)] = float32(gain * y)
		}
	}
}
