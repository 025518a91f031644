//go:build amd64 && !purego

package kernelbench

// limits are the loops that measure the machine, for the levels that have one. Without a level of its own, memory is
// measured with the widest.
func limits(level string) (fma func(rounds int), flops float64) {
	switch level {
	case "avx512":
		return peakFMAAVX512, 4 * 24 * 16 * 2
	case "avx2":
		return peakFMAAVX2, 4 * 12 * 8 * 2
	}
	return nil, 0
}

func read(level string, b []byte) {
	if level == "avx512" {
		readAVX512(&b[0], len(b)&^1023)
	} else {
		readAVX2(&b[0], len(b)&^1023)
	}
}

func move(level string, dst, src []byte) {
	if level == "avx512" {
		copyAVX512(&dst[0], &src[0], len(src)&^1023)
	} else {
		copyAVX2(&dst[0], &src[0], len(src)&^1023)
	}
}
