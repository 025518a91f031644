//go:build amd64 && !purego

package kernel

import "github.com/gradsmith/gradsmith/runtime/cache"

// cacheVector is the number of elements that the kernels of caches in bf16 take at a time.
const cacheVector = 16

// narrow rounds numbers to bf16.
func narrow(dst []uint16, x []float32) {
	n := len(x) &^ (cacheVector - 1)
	if level == generic || n == 0 {
		narrowGeneric(dst, x)
		return
	}
	narrowAVX2(&dst[0], &x[0], n)
	narrowGeneric(dst[n:], x[n:])
}

// widenHalves is numbers in bf16 as float32.
func widenHalves(dst []float32, x []uint16) {
	n := len(x) &^ (cacheVector - 1)
	switch {
	case level == generic || n == 0:
		n = 0
	case level == avx512:
		widenHalvesAVX512(&dst[0], &x[0], n)
	default:
		widenHalvesAVX2(&dst[0], &x[0], n)
	}
	widenHalvesGeneric(dst[n:], x[n:])
}

// widenBlocks is blocks of numbers times their scales.
func widenBlocks(dst []float32, x []int8, scales []float32) {
	switch {
	case level == generic || len(scales) == 0:
		widenBlocksGeneric(dst, x, scales)
	case level == avx512:
		widenBlocksAVX512(&dst[0], &x[0], &scales[0], len(x)/cache.Block)
	default:
		widenBlocksAVX2(&dst[0], &x[0], &scales[0], len(x)/cache.Block)
	}
}
