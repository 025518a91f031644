//go:build amd64 && !purego

package kernel

import (
	"fmt"
	"os"
	"testing"
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

// The sizes of blocks follow the caches, stay within bounds whatever a machine says, and do not show in a product.
func TestBlocks(t *testing.T) {
	old := blocking
	t.Cleanup(func() { blocking = old })
	r := rng(30)
	const m, n, k = 37, 70, 1100
	a, b, bias := floats(r, m*k), floats(r, k*n), floats(r, n)
	setLevel(t, generic)
	want := make([]float32, m*n)
	GemmNN(want, a, b, m, n, k, Bias(bias))
	for _, c := range []struct {
		l1, l2 int
		want   blocks // of AVX-512
	}{
		{48 << 10, 1 << 20, blocks{256, 512, 448 * 256, 1 << 19}},
		{32 << 10, 1 << 20, blocks{160, 320, 448 * 256, 1 << 19}},
		{-1, -1, blocks{160, 320, 224 * 256, 1 << 18}},
		{1, 1, blocks{64, 128, 56 * 256, 1 << 16}},
		{1 << 30, 1 << 30, blocks{256, 512, 448 * 256, 1 << 21}},
	} {
		for _, l := range levels()[1:] {
			setLevel(t, l)
			blocking[avx512], blocking[avx2] = blocksFor(c.l1, c.l2, 4*PanelCols), blocksFor(c.l1, c.l2, 2*PanelCols)
			if got := blocking[avx512]; got != c.want {
				t.Errorf("caches of %d and %d bytes: %v, want %v", c.l1, c.l2, got, c.want)
			}
			for _, p := range products {
				got := make([]float32, m*n)
				p.run(got, a, b, m, n, k, Bias(bias))
				diff(t, fmt.Sprintf("%s %s with caches of %d and %d bytes", levelNames[l], p.name, c.l1, c.l2), got, want)
			}
		}
	}
}
