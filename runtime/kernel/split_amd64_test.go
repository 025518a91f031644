//go:build !purego

package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// However many threads there are, the busiest has not much more to do than its share of a product that is large enough
// to be shared.
func TestSplit(t *testing.T) {
	if level == generic {
		t.Skip("products of the generic level are cut in another way")
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		threads := 2 + r.IntN(63)
		p := product{m: 1 + r.IntN(4096>>r.IntN(8)), n: 1 + r.IntN(4096>>r.IntN(8)), k: 1 + r.IntN(2048>>r.IntN(6))}
		// One row of tiles, and one panel, can't be cut.
		if p.m*p.n*p.k < threads<<20 || p.m < 4*maxTileRows() || p.n < 2*PanelCols {
			continue
		}
		p.cut(threads)
		work := make([]int, threads) // of each thread, where the one that has done its own first takes the next task
		for row := 0; row < p.m; row += p.rowBlock {
			for col := 0; col < p.n; col += p.colBlock {
				least := slices.Index(work, slices.Min(work))
				work[least] += min(p.rowBlock, p.m-row) * min(p.colBlock, p.n-col)
			}
		}
		if busiest := slices.Max(work); float64(busiest*threads) > 1.7*float64(p.m*p.n) {
			t.Errorf("%d×%d×%d on %d threads, in blocks of %d×%d: the busiest has %.2f times its share", p.m, p.n, p.k, threads,
				p.rowBlock, p.colBlock, float64(busiest*threads)/float64(p.m*p.n))
		}
	}
}
