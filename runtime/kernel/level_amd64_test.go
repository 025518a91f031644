//go:build amd64 && !purego

package kernel

import (
	"fmt"
	"os"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

func levels() []int {
	// The package reads the variable before go test watches what is read; without this, a run at another level would be
	// answered from the cache.
	os.Getenv("GRADSMITH_CPU")
	return []int{generic, avx2, avx512}[:best+1]
}

func setLevel(t testing.TB, l int) {
	old := level
	level = l
	t.Cleanup(func() { level = old })
}

// withoutVNNI is AVX-512 on a machine that has no VPDPBUSD, and withoutVBMI on one that has no VPERMB: levels of
// quantised weights.
const (
	withoutVNNI = avx512 + 1
	withoutVBMI = avx512 + 2
)

// weightLevels are the levels that products with weights have code of their own for.
func weightLevels() []int {
	all := levels()
	if best == avx512 && vnni {
		all = append(all, withoutVNNI)
		if vbmi {
			all = append(all, withoutVBMI)
		}
	}
	return all
}

func setWeightLevel(t testing.TB, l int) {
	oldVNNI, oldVBMI := vnni, vbmi
	t.Cleanup(func() { vnni, vbmi = oldVNNI, oldVBMI })
	vnni = l != withoutVNNI && cpuid.CPU.Supports(cpuid.AVX512VNNI)
	vbmi = l != withoutVBMI && cpuid.CPU.Supports(cpuid.AVX512VBMI)
	setLevel(t, min(l, avx512))
}

func weightLevelName(l int) string {
	switch l {
	case withoutVNNI:
		return "avx512 without VNNI"
	case withoutVBMI:
		return "avx512 without VBMI"
	}
	return levelNames[l]
}

// The sizes of blocks follow the caches, stay within bounds whatever a machine says, and do not show in a product.
func TestBlocks(t *testing.T) {
	old, most := blocking, packAllMost
	t.Cleanup(func() { blocking, packAllMost = old, most })
	r := rng(30)
	const m, n, k = 401, 70, 1100 // enough rows for b to be packed as a whole
	a, b, bias, residual := floats(r, m*k), floats(r, k*n), floats(r, n), floats(r, m*n)
	setLevel(t, generic)
	want := make([]float32, m*n)
	GemmNN(want, a, b, m, n, k, Bias(bias), Residual(residual))
	for _, c := range []struct {
		l2   int
		want blocks
		most int // of a b that is packed as a whole
	}{
		{1 << 20, blocks{1 << 16, 1 << 19}, most},
		{-1, blocks{1 << 15, 1 << 18}, 40 * k}, // parts of 32 columns
		{1, blocks{1 << 13, 1 << 16}, k},       // none is
		{1 << 30, blocks{1 << 16, 1 << 21}, most},
	} {
		if got := blocksFor(c.l2); got != c.want {
			t.Errorf("a cache of %d bytes: %v, want %v", c.l2, got, c.want)
		}
		for _, l := range levels()[1:] {
			setLevel(t, l)
			blocking, packAllMost = c.want, c.most
			for _, p := range products {
				got := make([]float32, m*n)
				p.run(got, a, b, m, n, k, Bias(bias), Residual(residual))
				diff(t, fmt.Sprintf("%s %s with a cache of %d bytes", levelNames[l], p.name, c.l2), got, want)
			}
		}
	}
}
