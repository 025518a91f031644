package model

import "unsafe"

// Floats makes n zeros that start at a cache line (64 bytes), so that no vector of a kernel lies across two.
func Floats(n int) []float32 {
	const line = 64
	x := make([]float32, n+line/4)
	skip := int((line - uintptr(unsafe.Pointer(unsafe.SliceData(x)))%line) % line / 4)
	return x[skip : skip+n : skip+n]
}

// Arena makes memory for n numbers, times over, and gives what cuts parts of it: from a number on, so many of them,
// with no room behind them. Both are times as many too.
func Arena(n, times int) (part func(from, n int) []float32) {
	arena := Floats(n * times)
	return func(from, n int) []float32 {
		from, n = from*times, n*times
		return arena[from : from+n : from+n]
	}
}

// Key mixes numbers into the key of a stream of random numbers: streams of different numbers are independent for all
// that dropout can tell. The mixing is SplitMix64 (Steele, Lea & Flood 2014).
func Key(parts ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range parts {
		h += p + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// Shuffle puts x in an order that the key decides (Fisher and Yates).
func Shuffle(x []int32, key ...uint64) {
	base := Key(key...)
	for i := len(x) - 1; i > 0; i-- {
		j := int(Key(base, uint64(i)) % uint64(i+1))
		x[i], x[j] = x[j], x[i]
	}
}
