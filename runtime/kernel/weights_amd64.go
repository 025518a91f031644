//go:build amd64 && !purego

package kernel

import (
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/weights"
	"github.com/klauspost/cpuid/v2"
)

// panelTile is one call of a kernel of weights: so many rows of a, times a panel, two, or the half of one. Distances
// are in bytes. Assembly reads it at these offsets.
type panelTile struct {
	a      unsafe.Pointer // float32, or actBlock
	b      unsafe.Pointer // where the values begin
	c      unsafe.Pointer // all columns of the tile are read and written
	scales unsafe.Pointer // of Q8 and Q4 at AVX2
	lda    uintptr        // between rows of a
	ldc    uintptr
	n      int     // steps of k, or blocks of them: at least 1
	next   uintptr // from a panel to the next, for tiles of two
}

// vnni is whether the machine has VPDPBUSD at AVX-512. Without it the kernels of AVX2 serve quantised weights at
// AVX-512 too. Only tests change it.
var vnni = cpuid.CPU.Supports(cpuid.AVX512VNNI)

// vbmi is whether the machine has VPERMB at AVX-512, as all have since Ice Lake and Zen 4. Only tests change it.
var vbmi = cpuid.CPU.Supports(cpuid.AVX512VBMI)

// wideWeights is whether the kernels of p are those for AVX-512.
func (p *weightProduct) wideWeights() bool { return level == avx512 && (vnni || !p.quantized()) }

// The largest numbers of rows that read a panel together: see panelShapes of the generator. Of float32 more rows than
// that go through the tiles of products.
const (
	weightRowsAVX512    = 12
	quantizedRowsAVX512 = 6
	weightRowsAVX2      = 5
	quantizedRowsAVX2   = 4
)

func (p *weightProduct) maxWeightRows() int {
	switch {
	case p.quantized() && p.wideWeights():
		return quantizedRowsAVX512
	case p.quantized():
		return quantizedRowsAVX2
	case level == avx512:
		return weightRowsAVX512
	}
	return weightRowsAVX2
}

// runPackedWeights runs products of many rows with float32, whose panels are those of GemmPacked, if this is one.
func (p *weightProduct) runPackedWeights() bool {
	if p.kind != weights.F32 || level == generic || p.m <= p.maxWeightRows() || p.k == 0 {
		return false
	}
	data := p.w.Data()
	p.b = unsafe.Slice((*float32)(unsafe.Pointer(&data[0])), len(data)/4)
	p.right = rightPacked
	p.product.run()
	return true
}

// offset is the constant that the kernels' values of weights are too large by.
func (p *weightProduct) offset() int32 {
	switch {
	case p.kind == weights.Q4:
		return 64
	case p.wideWeights():
		return 128
	}
	return 0
}

// weightCache is how many bytes of a a task multiplies with a panel: half of the second cache.
func weightCache() int { return 8 * blocking.left }

// mulPanels adds the product of rows r0 to r1 with panels from to to-1 to c.
func (p *weightProduct) mulPanels(from, to, r0, r1 int) {
	if level == generic {
		p.mulPanelsGeneric(from, to, r0, r1)
		return
	}
	rowBytes := 4 * p.k
	if p.quantized() {
		rowBytes = p.blocks * int(unsafe.Sizeof(actBlock{}))
	}
	block := max(4*p.maxWeightRows(), weightCache()/rowBytes)
	blocks := (r1 - r0 + block - 1) / block
	for i, r := 0, r0; i < blocks; i++ {
		next := r0 + (r1-r0)*(i+1)/blocks
		p.mulRows(from, to, r, next)
		r = next
	}
}

// mulRows is mulPanels for rows whose part of a the second cache holds.
func (p *weightProduct) mulRows(from, to, r0, r1 int) {
	rows := r1 - r0
	tiles := (rows + p.maxWeightRows() - 1) / p.maxWeightRows()
	for panel, span := from, 0; panel < to; panel += span {
		span = 1
		if panel+1 < to && !p.quantized() && (rows == 1 || level == avx512 && rows <= 3) {
			span = 2
		}
		for i, r := 0, r0; i < tiles; i++ {
			next := r0 + rows*(i+1)/tiles
			p.mulTile(panel, span, r, next-r)
			r = next
		}
	}
}

// mulTile multiplies rows rows with span panels.
func (p *weightProduct) mulTile(panel, span, r, rows int) {
	c0 := panel * PanelCols
	if c0+span*PanelCols <= p.n {
		p.runPanels(unsafe.Pointer(&p.c[r*p.ldc+c0]), p.ldc, panel, span, r, rows)
		return
	}
	// The last columns, fewer than a panel has, are computed elsewhere.
	var sums [weightRowsAVX512 * 2 * PanelCols]float32
	ld := span * PanelCols
	for i := range rows {
		copy(sums[i*ld:(i+1)*ld], p.c[(r+i)*p.ldc+c0:(r+i)*p.ldc+p.n])
	}
	p.runPanels(unsafe.Pointer(&sums[0]), ld, panel, span, r, rows)
	for i := range rows {
		copy(p.c[(r+i)*p.ldc+c0:(r+i)*p.ldc+p.n], sums[i*ld:(i+1)*ld])
	}
}

// runPanels calls the kernel for rows rows and span panels; rows of c are ldc elements apart.
func (p *weightProduct) runPanels(c unsafe.Pointer, ldc, panel, span, r, rows int) {
	data := p.w.Data()
	size := len(data) / ((p.n + PanelCols - 1) / PanelCols)
	t := panelTile{
		b: unsafe.Pointer(&data[panel*size]), c: c, ldc: uintptr(4 * ldc), next: uintptr(size),
	}
	if p.quantized() {
		t.a, t.lda, t.n = unsafe.Pointer(&p.rows[r*p.blocks]), unsafe.Sizeof(actBlock{})*uintptr(p.blocks), p.blocks
	} else {
		t.a, t.lda, t.n = unsafe.Pointer(&p.a[r*p.lda]), uintptr(4*p.lda), p.k
	}
	if p.wideWeights() {
		switch p.kind {
		case weights.F32:
			t.runF32AVX512(rows, 2*span)
		case weights.BF16:
			t.runBF16AVX512(rows, 2*span)
		case weights.Q8:
			t.runQ8AVX512(rows, 2)
		case weights.Q4:
			if vbmi {
				t.runQ4AVX512(rows, 2)
			} else {
				t.runQ4ShuffledAVX512(rows, 2)
			}
		}
		return
	}
	// Three rows and more take a panel in halves, for want of registers.
	across, halves := 4*span, 1
	if rows > 2 {
		across, halves = 2, 2
	}
	begin, first := t.b, t.c
	for half := range uintptr(halves) {
		switch p.kind {
		case weights.F32:
			t.b, t.c = unsafe.Add(begin, 64*half), unsafe.Add(first, 64*half)
			t.runF32AVX2(rows, across)
		case weights.BF16:
			// Columns 8 to 15 and 24 to 31 are the second half.
			t.b, t.c = unsafe.Add(begin, 32*half), unsafe.Add(first, 32*half)
			t.runBF16AVX2(rows, across)
		default:
			t.scales, t.c = unsafe.Add(begin, 32*half), unsafe.Add(first, 64*half)
			t.b = unsafe.Add(begin, scaleBytes+64*half)
			if p.kind == weights.Q8 {
				t.runQ8AVX2(rows, across)
			} else {
				t.runQ4AVX2(rows, across)
			}
		}
	}
}

// scaleBytes is the size of the scales at the beginning of a block.
const scaleBytes = 64

func quantizeBlocks(dst []actBlock, x []float32, offset int32) {
	if level == generic {
		quantizeBlocksGeneric(dst, x, offset)
		return
	}
	whole := len(x) / weights.BlockSteps
	if whole > 0 {
		quantizeBlocksAVX2(&dst[0], &x[0], whole, int(offset), leastActivation)
	}
	if whole < len(dst) {
		var rest [weights.BlockSteps]float32
		copy(rest[:], x[whole*weights.BlockSteps:])
		quantizeBlocksAVX2(&dst[whole], &rest[0], 1, int(offset), leastActivation)
	}
}
