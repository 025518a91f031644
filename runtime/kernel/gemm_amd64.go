//go:build amd64 && !purego

package kernel

import (
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// tile is one call of a matrix kernel: rows of a times up to one, two or four vectors of columns of b; how many rows
// and vectors is in the kernel's name. Distances are in bytes. Assembly reads it at these offsets.
type tile struct {
	a, b, c unsafe.Pointer
	// The sums start from init + init2; a nil init stands for zero, a nil init2 for nothing more.
	init, init2     unsafe.Pointer
	lda             uintptr // between rows of a [m, k] or of a [k, m]
	ldb             uintptr // from one k of b to the next
	ldc             uintptr
	ldInit, ldInit2 uintptr // 0 repeats one row
	k               int
	cols            int // columns of c to read and write: at least 1; b is read whole
	// A stream to fetch into the second cache on the way, two lines every four steps of k, or every step.
	fetch   uintptr
	ldFetch uintptr
	panel   uintptr // from a panel of b to the next, for tiles four vectors across at AVX-512

	// One call computes tiles below each other, whose a is stepA apart, and as many in each of columns columns of them.
	tiles   int
	stepA   uintptr
	columns int
	// From the end of a column to the start of the next.
	nextA, nextB, nextC, nextInit, nextInit2 uintptr
	keep                                     unsafe.Pointer // the panel that b is copied to by a tile that does
	// Where the assembly is, which counts columns down as well. Pointers may not lie outside of what they point into.
	_ [6]uintptr
}

// blocks are the sizes that products are cut into, by the second cache of the machine. They do not show in the result:
// blocks along k continue the sums through c, in order.
//
// The first cache does not matter: a tile uses a line of b for as long as the second cache takes to deliver several.
type blocks struct {
	left  int // the most elements of a that one task multiplies with a panel: a quarter of the second cache
	right int // a b with fewer elements than this is in the second cache, or nearly
}

// Steps along k of a block. A matrix that comes packed, or that a tile packs for many others, streams well from the
// second cache, and twice the steps halve the traffic to c; twice as many again, where rows are so many that they are
// cut anyway.
const (
	stepsK          = 256
	stepsPacked     = 512
	stepsPackedRows = 1024
)

// blocking holds the blocks of the machine.
var blocking blocks

// blocksFor is the blocks for a second cache of l2 bytes, less than 1 if unknown.
func blocksFor(l2 int) blocks {
	if l2 < 1 {
		l2 = 512 << 10
	}
	// A smaller cache is a hypervisor's invention, a larger one has room to spare: longer blocks measure no faster.
	l2 = max(128<<10, min(l2, 4<<20))
	return blocks{left: min(l2, 1<<20) / 16, right: l2 / 2}
}

var (
	// A matrix whose rows are farLd elements apart or more has every row on another page, and powers of two fall on
	// the same sets of the cache. See packsLeft and keepsPanel.
	farLd = 1024

	// From packAllRows rows on, a b that is transposed or has more than packAllSteps steps is packed as a whole before
	// the product, in parts of packAllMost elements.
	packAllRows  = 384
	packAllSteps = stepsPacked
	packAllMost  = 1 << 21
)

// scratch is where a task copies parts of its operands that lie badly in memory.
type scratch struct {
	b []float32 // two panels of stepsK steps, or one of stepsPacked
	a []float32 // a block of a, its rows padded so that they do not fall on the same cache sets
	// The columns of c and of b that are computed as rows.
	narrow []float32
}

var scratches jobs[scratch]

func (p *product) run() {
	switch {
	case level == generic:
		p.runGeneric()
	case p.m >= packAllRows && (p.right == rightT || p.right == rightN && p.k > packAllSteps) &&
		p.n >= PanelCols && 0 < p.k && p.k <= packAllMost/PanelCols:
		p.runPacked()
	default:
		p.runTiles()
	}
}

// panels is memory for a packed matrix.
type panels struct{ x []float32 }

var packs jobs[panels]

// runPacked packs b, and multiplies with the panels: what packing costs, many rows pay back. A b that is too large for
// the memory that this may take goes in parts of its columns.
func (p *product) runPacked() {
	s := packs.get()
	most := packAllMost / p.k / PanelCols * PanelCols
	for c := 0; c < p.n; c += most {
		n := min(most, p.n-c)
		if need := PackedLen(p.k, n); len(s.x) < need {
			s.x = make([]float32, need)
		}
		from := c
		if p.right == rightT {
			from *= p.ldb
		}
		packInto(s.x, p.b[from:], p.ldb, p.k, n, p.right)
		q := productJobs.get()
		*q = *p
		q.n, q.b, q.right, q.c = n, s.x, rightPacked, p.c[c:]
		if p.bias != nil {
			q.bias = p.bias[c:]
		}
		if p.residual != nil {
			q.residual = p.residual[c:]
		}
		q.runTiles()
		*q = product{}
		productJobs.put(q)
	}
	packs.put(s)
}

// runTiles runs the product in tasks.
func (p *product) runTiles() {
	p.cut(parallel.Threads())
	parallel.Run((p.m+p.rowBlock-1)/p.rowBlock*p.colBlocks, p)
}

// cut cuts the product into tasks.
func (p *product) cut(threads int) {
	panels := (p.n + PanelCols - 1) / PanelCols
	maxRows := max(1, blocking.left/min(p.k+1, p.blockK()))
	p.rowBlock, p.colBlock = even(p.m, maxRows), panels*PanelCols
	if threads > 1 && p.m*p.n*p.k >= 1<<17 {
		p.split(threads, panels, maxRows)
	}
	p.colBlocks = (p.n + p.colBlock - 1) / p.colBlock
}

// blockK is the largest number of steps along k that are added at a time.
func (p *product) blockK() int {
	switch {
	case p.right == rightN && p.m >= packAllRows:
		return stepsPacked
	case p.right != rightPacked:
		return stepsK
	case p.m > blocking.left/stepsPacked:
		return stepsPackedRows
	}
	return stepsPacked
}

// even is the size of the blocks when n is cut into as few as blocks of at most limit allow, as evenly as tiles do.
func even(n, limit int) int {
	blocks := (n + limit - 1) / limit
	tile := maxTileRows()
	return min(n, ((n+blocks-1)/blocks+tile-1)/tile*tile)
}

// split chooses the blocks of c that are handed to threads: some more than threads, so that one that loses its
// processor for a while does not hold up the others. Few rows are split over columns, so that each thread reads its
// own part of b once; many rows over rows; and what does not come out even, over both.
func (p *product) split(threads, panels, maxRows int) {
	// Tiles have any number of rows, so blocks need not be multiples of the tallest.
	least := 4 * maxTileRows()
	if p.m >= 2*least*threads || panels < threads && p.m >= least*threads {
		blocks := (p.m + maxRows - 1) / maxRows
		blocks = (max(blocks, 2*threads) + threads - 1) / threads * threads
		if p.m < least*blocks {
			blocks = p.m / least / threads * threads
		}
		p.rowBlock = (p.m + blocks - 1) / blocks
		return
	}
	// A task of fewer multiply-adds than this is not worth handing over.
	const worth = 1 << 19
	each := max((panels+4*threads-1)/(4*threads), worth/(p.m*PanelCols*(p.k+1)), 1)
	p.colBlock = min(each, (panels+threads-1)/threads) * PanelCols
	whole, left := p.n/p.colBlock, p.n%p.colBlock
	// Blocks of rows read b once more each: there are as few as leave the busiest thread nearly the least to do. What
	// is left of the columns goes to the threads that have none of the last whole blocks, and then to all.
	busiest := func(blocks int) int {
		columns, parts := (whole*blocks+threads-1)/threads*p.colBlock, blocks
		if last := whole * blocks % threads; last > 0 && left > 0 {
			parts = max(0, parts-(threads-last)*(p.colBlock/left))
		}
		return (p.m + blocks - 1) / blocks * (columns + (parts+threads-1)/threads*left)
	}
	blocks := (p.m + maxRows - 1) / maxRows
	most := min(4*threads, p.m/maxTileRows(), p.m*p.colBlock*(p.k+1)/(worth/2))
	for b := blocks + 1; b <= most; b++ {
		if 10*busiest(b) < 9*busiest(blocks) {
			blocks = b
			p.rowBlock = (p.m + b - 1) / b
		}
	}
}

func maxTileRows() int {
	if level == avx512 {
		return 14
	}
	return 6
}

func (p *product) block(r0, r1, c0, c1 int) {
	if level == generic {
		p.blockGeneric(r0, r1, c0, c1)
		return
	}
	if p.k == 0 {
		for r := r0; r < r1; r++ {
			p.start(p.c[r*p.ldc+c0:r*p.ldc+c1], r, c0, c1)
		}
		p.finish(r0, r1, c0, c1)
		return
	}
	rows := r1 - r0
	if p.fewRows(rows, c1-c0) {
		p.few(r0, r1, c0, c1)
		return
	}
	if whole := (c1 - c0) / 8 * 8; p.right == rightT && rows <= rightRows && whole > 0 {
		p.rightT(r0, r1, c0, c0+whole)
		if c0 += whole; c0 == c1 {
			return
		}
	}
	if left := (c1 - c0) % PanelCols; 0 < left && left <= narrowCols && rows >= narrowRows && p.k >= narrowRows {
		p.narrow(r0, r1, c1-left, c1)
		if c1 -= left; c0 == c1 {
			return
		}
	}
	heights := tilesOf(rows)
	tiles := heights.tiles
	keeps := p.keepsPanel(tiles)
	packA := p.packsLeft(rows, c1-c0)
	s := scratches.get()
	var t tile
	t.ldc = uintptr(4 * p.ldc)
	steps := p.blockK()
	blocks := (p.k + steps - 1) / steps
	for kb, k0 := 0, 0; kb < blocks; kb++ {
		kc := p.k*(kb+1)/blocks - k0
		t.k = kc
		// from is a from row r0 and step k0 on; row is the distance from one row to the next.
		at, row := r0*p.lda+k0, p.lda
		if p.leftT {
			at, row = k0*p.lda+r0, 1
		}
		from := p.a[at:]
		t.lda = uintptr(4 * p.lda)
		if packA {
			from, row = s.packLeft(from, p.lda, rows, heights, kc, p.leftT)
			t.lda = uintptr(4 * row)
			if p.leftT {
				t.lda = uintptr(4 * leftLanes())
			}
		}
		t.panel = 4 * PanelCols
		for c, span := c0, 0; c < c1; c += span {
			// Few rows take two panels at a time.
			span = PanelCols
			if rows <= wideRows() && level == avx512 &&
				(c+2*PanelCols <= c1 || p.right == rightPacked && c+PanelCols < c1) {
				span = 2 * PanelCols
			}
			w := min(span, c1-c)
			var b unsafe.Pointer
			switch {
			case p.right == rightPacked:
				b, t.ldb = unsafe.Pointer(&p.b[c*p.k+k0*PanelCols]), 4*PanelCols
				t.panel = uintptr(4 * p.k * PanelCols)
			case p.right == rightT:
				s.packRight(p.b[c*p.ldb+k0:], p.ldb, kc, w, packPanelTNext, p.ldb)
				b, t.ldb, t.panel = unsafe.Pointer(&s.b[0]), 4*PanelCols, 4*stepsK*PanelCols
			case w < PanelCols:
				s.packRight(p.b[k0*p.ldb+c:], p.ldb, kc, w, packPanel, 1)
				b, t.ldb, t.panel = unsafe.Pointer(&s.b[0]), 4*PanelCols, 4*stepsK*PanelCols
			default:
				b, t.ldb = unsafe.Pointer(&p.b[k0*p.ldb+c]), uintptr(4*p.ldb)
			}
			keeps := keeps && w == PanelCols // for the first tile
			if keeps {
				s.room()
			}
			left := p.fetch(&t, c+span, c1, k0, kc)
			for i, r := 0, 0; i < tiles; {
				n, height := heights.next(i)
				if keeps {
					n = 1
				}
				if left > 0 {
					// A call of their own for the tiles that fetch the next panel.
					rounds := w / leftLanes() / across(w, height) * (kc / 4)
					if height <= fetchAllRows {
						rounds *= 4
					}
					n = min(n, max(1, left/max(1, rounds)))
					left -= n * rounds
				} else {
					t.ldFetch = 0
				}
				at := r * row
				t.stepA = uintptr(4 * height * row)
				if packA && p.leftT {
					at = i * packedTile(kc)
					t.stepA = uintptr(4 * packedTile(kc))
				}
				t.tiles = n
				for h := 0; h < w; {
					across := across(w-h, height)
					t.cols = min(across*leftLanes(), w-h)
					columns := (w - h) / t.cols
					t.columns = columns
					t.a, t.b = unsafe.Pointer(&from[at]), unsafe.Add(b, 4*h)
					if keeps {
						t.keep = unsafe.Pointer(&s.b[h])
						across = keep
					}
					p.call(&t, r0+r, c+h, k0, height, across)
					h += columns * t.cols
				}
				if keeps {
					b, t.ldb, keeps = unsafe.Pointer(&s.b[0]), 4*PanelCols, false
				}
				i, r = i+n, r+n*height
			}
		}
		k0 += kc
	}
	scratches.put(s)
	p.finish(r0, r1, c0, c1)
}

// fewRows reports whether rows of b [k, n] are better read from end to end than by tiles: where rows of a are so few
// that reading is what takes the time, or where rows of b lie so that the lines of a tile share the sets of the caches.
func (p *product) fewRows(rows, columns int) bool {
	switch {
	case p.right != rightN:
		return false
	case rows == 1:
		return true
	case columns < 256:
		return false
	case level == avx512:
		return rows <= 4 && p.ldb >= farLd || rows <= wideRows() && p.k*p.n >= blocking.right
	}
	return rows <= 8 || rows <= 16 && p.ldb >= farLd
}

// few computes columns c0 to c1 of few rows, from b [k, n]: eight rows of b at a time, each a stream from end to end.
func (p *product) few(r0, r1, c0, c1 int) {
	const most, steps = 4, 8 // of rows and of steps at a time
	rows := r1 - r0
	columns := 2048
	var s *scratch
	if rows > 1 {
		s = scratches.get()
		s.room()
		columns = min(1024, (len(s.b)-1024)/rows-16) / PanelCols * PanelCols
	}
	var x [most * steps]float32
	for lo := c0; lo < c1; lo += columns {
		hi := min(lo+columns, c1)
		for r := r0; r < r1; r++ {
			p.start(p.c[r*p.ldc+lo:r*p.ldc+hi], r, lo, hi)
		}
		sums, ld := p.c[r0*p.ldc+lo:], p.ldc
		if rows > 1 {
			// Rows of c and of b that are a page apart, and begin at the same place of a page, would share the sets of
			// the first cache: the sums are kept elsewhere, half a page away from their columns of b.
			at := (uintptr(unsafe.Pointer(&p.b[lo])) - uintptr(unsafe.Pointer(&s.b[0])) + 2048) % 4096 / 4
			sums, ld = s.b[at:], hi-lo+16
			for r := range rows {
				copy(sums[r*ld:], p.c[(r0+r)*p.ldc+lo:(r0+r)*p.ldc+hi])
			}
		}
		for k, n := 0, 0; k < p.k; k += n {
			n = 1
			if k+steps <= p.k {
				n = steps
			}
			for r, m := 0, 0; r < rows; r += m {
				// As even as can be.
				left := (rows - r + most - 1) / most
				m = (rows - r + left - 1) / left
				a, lda := x[:], steps
				switch {
				case p.leftT && p.lda == 1:
					a = p.a[k:]
				case p.leftT:
					for l := range n {
						for i, v := range p.a[(k+l)*p.lda+r0+r:][:m] {
							x[i*steps+l] = v
						}
					}
				default:
					a, lda = p.a[(r0+r)*p.lda+k:], p.lda
				}
				addRows(m, n, sums[r*ld:], a, p.b[k*p.ldb+lo:], ld, lda, p.ldb, hi-lo)
			}
		}
		for r := 0; rows > 1 && r < rows; r++ {
			copy(p.c[(r0+r)*p.ldc+lo:(r0+r)*p.ldc+hi], sums[r*ld:])
		}
	}
	if s != nil {
		scratches.put(s)
	}
	p.finish(r0, r1, c0, c1)
}

// rightRows is the most rows that are multiplied with a transposed b as it lies.
const rightRows = 4

// rightT computes columns c0 to c1, a multiple of eight of them, of up to rightRows rows with a transposed b.
func (p *product) rightT(r0, r1, c0, c1 int) {
	rows := r1 - r0
	for r := r0; r < r1; r++ {
		p.start(p.c[r*p.ldc+c0:r*p.ldc+c1], r, c0, c1)
	}
	t := tile{lda: uintptr(4 * p.lda), ldb: uintptr(4 * p.ldb), ldc: uintptr(4 * p.ldc)}
	// The rows of b that a tile reads beside each other.
	beside := 16
	if rows == 1 {
		beside = 32
	}
	// In one call, as the scheduler waits for it, a mebibyte; of rows that get into each other's way, a copy.
	span, steps := max(1, 1<<18/p.k/beside)*beside, p.k
	var s *scratch
	if sameSets(p.ldb, beside) {
		s = scratches.get()
		s.room()
		span, steps = beside, stepsK
	}
	const ld = stepsK + 16
	for c := c0; c < c1; c += span {
		w := min(span, c1-c)
		for k := 0; k < p.k; k += steps {
			t.k, t.cols = min(steps, p.k-k), w
			t.a, t.b = unsafe.Pointer(&p.a[r0*p.lda+k]), unsafe.Pointer(&p.b[c*p.ldb+k])
			t.c = unsafe.Pointer(&p.c[r0*p.ldc+c])
			if s != nil {
				for i := range w {
					copy(s.b[i*ld:i*ld+t.k], p.b[(c+i)*p.ldb+k:])
				}
				t.b, t.ldb = unsafe.Pointer(&s.b[0]), 4*ld
			}
			t.runRight(rows)
		}
	}
	if s != nil {
		scratches.put(s)
	}
	p.finish(r0, r1, c0, c1)
}

// sameSets reports whether rows that are ld elements apart fall on so few sets of the first cache, of 4 KiB a way, that
// a line of each of n rows finds no room.
func sameSets(ld, n int) bool {
	ways := 8
	for places := 1024; places > 16 && ld%places != 0; places /= 2 {
		ways *= 2
	}
	return n > ways
}

// Columns that are left beside whole panels fill a small part of a vector. From so many rows on, up to narrowCols of
// them are computed the other way round: as the product of their columns of b, which become rows, with a.
const (
	narrowCols = 4
	narrowRows = 32
)

// narrow computes a few columns, c0 to c1, of many rows.
func (p *product) narrow(r0, r1, c0, c1 int) {
	cols, rows := c1-c0, r1-r0
	s := scratches.get()
	if n := cols * (rows + p.k); len(s.narrow) < n {
		s.narrow = make([]float32, n)
	}
	// Both operands trade places, and c is turned over before and after.
	q := product{
		c: s.narrow[:cols*rows], a: s.narrow[cols*rows : cols*(rows+p.k)], m: cols, n: rows, k: p.k,
		ldc: rows, lda: p.k, ldb: p.lda, accumulate: true,
	}
	if p.leftT {
		q.b = p.a[r0:]
	} else {
		q.b, q.right = p.a[r0*p.lda:], rightT
	}
	// Column c0 + i and step l of b is at from + i·col + l·step.
	from, col, step := c0, 1, p.ldb
	switch p.right {
	case rightT:
		from, col, step = c0*p.ldb, p.ldb, 1
	case rightPacked:
		from, step = c0/PanelCols*PanelCols*p.k+c0%PanelCols, PanelCols
	}
	for i := range cols {
		x := p.b[from+i*col:]
		row := q.a[i*p.k : (i+1)*p.k]
		for l := range row {
			row[l] = x[l*step]
		}
	}
	for r := range rows {
		c := p.c[(r0+r)*p.ldc+c0 : (r0+r)*p.ldc+c1]
		p.start(c, r0+r, c0, c1)
		for i, v := range c {
			q.c[i*rows+r] = v
		}
	}
	q.block(0, cols, 0, rows)
	for r := range rows {
		c := p.c[(r0+r)*p.ldc+c0 : (r0+r)*p.ldc+c1]
		for i := range c {
			c[i] = q.c[i*rows+r]
		}
	}
	scratches.put(s)
	p.finish(r0, r1, c0, c1)
}

// addRows adds the product of m rows of x, of steps elements, and as many rows of b to m rows of c.
func addRows(m, steps int, c, x, b []float32, ldc, ldx, ldb, n int) {
	if level == avx512 {
		addRowsAVX512(m, steps, &c[0], &x[0], &b[0], 4*ldc, 4*ldx, 4*ldb, n)
	} else {
		addRowsAVX2(m, steps, &c[0], &x[0], &b[0], 4*ldc, 4*ldx, 4*ldb, n)
	}
}

// A heights is how rows are cut into tiles: the first tall ones of height high, the others of height low.
type heights struct{ tiles, tall, high, low int }

// tilesOf cuts rows into tiles: as evenly as they can be at AVX-512; at AVX2, where only the tallest have enough sums
// for their latency not to show, and those of one and two rows, which are wider, into the tallest and what is left.
func tilesOf(rows int) heights {
	most := maxTileRows()
	n := (rows + most - 1) / most
	if level == avx2 {
		return heights{tiles: n, tall: rows / most, high: most, low: rows % most}
	}
	return heights{tiles: n, tall: rows % n, high: rows/n + 1, low: rows / n}
}

// packsLeft reports whether so many rows of a are copied first, for so many columns of c: where rows of a lie so that
// they share sets of the cache. At AVX2 that is sooner so for an a [k, m], of whose lines six rows use a third.
func (p *product) packsLeft(rows, cols int) bool {
	switch {
	case rows < 48:
		return false
	case p.leftT && level == avx2:
		return p.lda >= 128 && cols >= 128 || p.lda >= 256 && cols >= 64
	}
	return p.lda >= farLd && cols >= 128
}

// keepsPanel reports whether the first of tiles tiles copies the panel of b [k, n] that it reads, for the others to
// read it there: where they are many enough for that to pay, and b lies so that its rows share sets of the cache. The
// first tile is then one that can, see minRowsKeep in package asm.
func (p *product) keepsPanel(tiles int) bool {
	switch {
	case p.right != rightN:
		return false
	case level == avx512:
		return tiles >= 4 && (p.ldb >= farLd || p.m >= packAllRows)
	}
	return tiles >= 2 && (p.ldb >= 128 || p.m >= packAllRows)
}

// next is the height of tile i and how many of this height there are from there on.
func (h heights) next(i int) (n, height int) {
	if i < h.tall {
		return h.tall - i, h.high
	}
	return h.tiles - i, h.low
}

// leftLanes is the width of the rows that a [k, m] is packed into.
func leftLanes() int {
	if level == avx512 {
		return 16
	}
	return 8
}

// wideRows is the largest number of rows whose tiles may be four vectors across.
func wideRows() int {
	if level == avx512 {
		return 3
	}
	return 2
}

// So few rows fetch all of the next panel of b in one tile, others a quarter of it.
const fetchAllRows = 4

// across is the number of vectors across of the next tile, for cols columns that are left and a number of rows.
func across(cols, rows int) int {
	switch w := leftLanes(); {
	case cols <= w:
		return 1
	case rows <= wideRows() && cols > 2*w:
		return 4
	}
	return 2
}

// room makes room for parts of b.
func (s *scratch) room() {
	if s.b == nil {
		s.b = make([]float32, 2*stepsK*PanelCols)
	}
}

// packRight packs kc steps of cols columns of b, one panel or two, whose columns are step elements apart.
func (s *scratch) packRight(b []float32, ldb, kc, cols int, pack func(dst, b []float32, ldb, k, w int), step int) {
	s.room()
	pack(s.b, b, ldb, kc, min(cols, PanelCols))
	if cols > PanelCols {
		pack(s.b[stepsK*PanelCols:], b[PanelCols*step:], ldb, kc, cols-PanelCols)
	}
}

// packedTile is how far apart the tiles of an a [k, m] lie that was copied: not so that they share sets of the cache.
func packedTile(kc int) int { return kc*leftLanes() + 16 }

// packLeft copies a block of a, kc steps of rows rows, to where tiles follow each other. It returns the copy and the
// distance between its rows.
func (s *scratch) packLeft(left []float32, lda, rows int, h heights, kc int, leftT bool) ([]float32, int) {
	if n := max(rows*(kc+16), h.tiles*packedTile(kc)); len(s.a) < n {
		s.a = make([]float32, n)
	}
	if !leftT {
		ld := kc + 16
		for r := range rows {
			copy(s.a[r*ld:r*ld+kc], left[r*lda:])
		}
		return s.a, ld
	}
	for i, r := 0, 0; i < h.tiles; {
		n, height := h.next(i)
		to, from := &s.a[i*packedTile(kc)], &left[r]
		if level == avx512 {
			packTilesAVX512(to, from, 4*lda, kc, n, height, 4*packedTile(kc))
		} else {
			packTilesAVX2(to, from, 4*lda, kc, n, height, 4*packedTile(kc))
		}
		i, r = i+n, r+n*height
	}
	return s.a, 0
}

// fetch begins to fetch the panel of b at column c, if that is before c1, from step k0 on.
func (p *product) fetch(t *tile, c, c1, k0, kc int) int {
	t.fetch, t.ldFetch = uintptr(unsafe.Pointer(&p.c[0])), 0
	switch {
	case c >= c1 || p.right == rightT:
		return 0
	case p.right == rightPacked:
		t.fetch, t.ldFetch = uintptr(unsafe.Pointer(&p.b[c*p.k+k0*PanelCols])), 4*PanelCols
	default:
		t.fetch, t.ldFetch = uintptr(unsafe.Pointer(&p.b[k0*p.ldb+c])), uintptr(4*p.ldb)
	}
	return kc
}

// call computes t.tiles tiles of height rows from row r on, and across vectors from column c on.
func (p *product) call(t *tile, r, c, k0, height, across int) {
	rows := t.tiles * height
	t.c = unsafe.Pointer(&p.c[r*p.ldc+c])
	p.tileStart(t, r, c, k0, rows, t.cols*t.columns)
	// On to the next columns, from below the last tile.
	width := uintptr(4 * t.cols) // of whole vectors, if there are more than one of columns
	t.nextA, t.nextB = -uintptr(t.tiles)*t.stepA, width
	t.nextC = width - uintptr(rows)*t.ldc
	t.nextInit, t.nextInit2 = width-uintptr(rows)*t.ldInit, width-uintptr(rows)*t.ldInit2
	if t.init == nil {
		t.nextInit = 0
	}
	if t.init2 == nil {
		t.nextInit2 = 0
	}
	t.run(height, across, p.leftT)
}

// tileStart sets what the sums of a tile at row r and column c start from.
func (p *product) tileStart(t *tile, r, c, k0, rows, cols int) {
	t.init, t.init2, t.ldInit, t.ldInit2 = nil, nil, 0, 0
	if k0 > 0 {
		t.init, t.ldInit = t.c, t.ldc
		return
	}
	add := func(x unsafe.Pointer, ld uintptr) {
		switch {
		case t.init == nil:
			t.init, t.ldInit = x, ld
		default:
			t.init2, t.ldInit2 = x, ld
		}
	}
	if p.accumulate {
		add(t.c, t.ldc)
	}
	if p.bias != nil {
		add(unsafe.Pointer(&p.bias[c]), 0)
	}
	if p.residual != nil {
		if t.init2 != nil {
			// Three: the first two are added into c.
			for i := range rows {
				row := p.c[(r+i)*p.ldc+c:][:cols]
				for j := range row {
					row[j] += p.bias[c+j]
				}
			}
			t.init2 = nil
			t.ldInit2 = 0
		}
		add(unsafe.Pointer(&p.residual[r*p.ldr+c]), uintptr(4*p.ldr))
	}
}
