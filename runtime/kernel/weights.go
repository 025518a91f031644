package kernel

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// GemmWeights computes c = a·b: c [m, n], a [m, k], row-major, with b [k, n] packed or quantised; the epilogues are
// those of [GemmNN]. c may not overlap a. With k = 0 the product is 0, and the epilogue still applies. It allocates
// nothing once it is warm.
//
// A b of F32 gives the bits of [GemmNN], and one of BF16 those of GemmNN with the rounded weights.
//
// With a b of Q8 or Q4, rows of a are quantised too, in blocks of 32 along k, the last one filled up with zeros. With
// s the largest absolute value of a block, its scale is s/127 and its values are a·(127/s), rounded to whole numbers,
// ties to even; a block whose largest value is below 2⁻¹⁰⁰ is all zeros, and one that holds a NaN or an infinity
// makes its row of c NaN. Then, with c starting from what the epilogues say, block by block in the order of k,
//
//	c = fma(float32(Σ qa·qb), scale_a·scale_b, c)
//
// where the sum over the 32 steps of a block is one of whole numbers, and exact. So the order in which a processor
// adds does not show: the result has the same bits at every level and for any number of threads.
func GemmWeights(c, a []float32, b *weights.Matrix, m int, ep ...Epilogue) {
	const name = "GemmWeights"
	k, n := b.Dims()
	size(name, "m", m)
	if m == 0 || n == 0 {
		return
	}
	need(name, "c", len(c), m*n)
	need(name, "a", len(a), m*k)
	if b.Kind() == weights.Live {
		x, transposed := b.Live()
		right := rightN
		if transposed {
			right = rightT
		}
		gemm(name, c, a, x, m, n, k, false, right, ep)
		return
	}
	p := weightJobs.get()
	p.c, p.a, p.m, p.n, p.k = c, a, m, n, k
	p.ldc, p.lda = n, k
	p.epilogue(name, ep)
	p.w, p.kind = b, b.Kind()
	p.runWeights()
	p.product, p.w = product{}, nil
	weightJobs.put(p)
}

var weightJobs jobs[weightProduct]

// weightProduct is a product with a matrix of weights.
type weightProduct struct {
	product
	w    *weights.Matrix
	kind weights.Kind

	// rows are those of a, quantised, each of blocks blocks.
	rows   []actBlock
	blocks int
	phase  weightPhase

	perTask int // rows that a task quantises
}

type weightPhase uint8

const (
	quantizing weightPhase = iota
	multiplying
)

// actBlock is a block of a row of activations. Assembly reads it as it is.
type actBlock struct {
	q     [weights.BlockSteps]int8
	scale float32
	// start is what a sum begins with when a kernel multiplies with values that are a constant too large: minus the
	// constant times the sum of q.
	start int32
}

// quantized reports whether the rows of a are.
func (p *weightProduct) quantized() bool { return p.kind == weights.Q8 || p.kind == weights.Q4 }

func (p *weightProduct) runWeights() {
	if p.runPackedWeights() {
		return
	}
	if p.quantized() {
		p.blocks = (p.k + weights.BlockSteps - 1) / weights.BlockSteps
		if need := p.m * p.blocks; len(p.rows) < need {
			p.rows = make([]actBlock, need)
		}
		p.phase = quantizing
		p.perTask = max(1, rowWork/max(1, p.k))
		parallel.Run((p.m+p.perTask-1)/p.perTask, p)
	}
	p.phase = multiplying
	p.cut((p.n+PanelCols-1)/PanelCols, parallel.Threads())
	cols, rows := (p.n+p.colBlock-1)/p.colBlock, (p.m+p.rowBlock-1)/p.rowBlock
	p.colBlocks = cols
	parallel.Run(rows*cols, p)
}

// weightLeast is how much a task does at the least: bytes of b that it reads, or the time in which it would read so
// many. Tests set it.
var weightLeast = 256 << 10

// cut chooses the block of c of a task. Columns are cut before rows, so that each part of b is read by one thread,
// from end to end. There are some more tasks than threads, for one that loses its processor. What is too little work
// for two threads stays whole.
func (p *weightProduct) cut(panels, threads int) {
	p.rowBlock, p.colBlock = p.m, panels*PanelCols
	// Multiplications of a row with a panel take about as long as reading half a byte for each, or a fifth.
	perStep := PanelCols / 2
	if p.quantized() {
		perStep = PanelCols / 5
	}
	work := p.w.Bytes()/panels + p.m*p.k*perStep
	most := min(4*threads, work*panels/weightLeast)
	if threads == 1 || most < 2 {
		return
	}
	tasks := min(panels, most)
	p.colBlock = (panels + tasks - 1) / tasks * PanelCols
	if cols := (panels*PanelCols + p.colBlock - 1) / p.colBlock; cols < 2*threads {
		// Few columns: cut the rows as well, if there are many.
		rows := max(1, min(most/cols, p.m/weightRowsLeast))
		p.rowBlock = (p.m + rows - 1) / rows
	}
}

// weightRowsLeast is the number of rows from which on a part of b may be read by two threads.
const weightRowsLeast = 32

func (p *weightProduct) Do(task int) {
	if p.phase == quantizing {
		for r := task * p.perTask; r < min((task+1)*p.perTask, p.m); r++ {
			p.quantizeRow(r)
		}
		return
	}
	c0, r0 := task%p.colBlocks*p.colBlock, task/p.colBlocks*p.rowBlock
	c1, r1 := min(c0+p.colBlock, p.n), min(r0+p.rowBlock, p.m)
	for r := r0; r < r1; r++ {
		p.start(p.c[r*p.ldc+c0:r*p.ldc+c1], r, c0, c1)
	}
	if p.k > 0 {
		p.mulPanels(c0/PanelCols, (c1+PanelCols-1)/PanelCols, r0, r1)
	}
	p.finish(r0, r1, c0, c1)
}

// quantizeRow quantises row r of a.
func (p *weightProduct) quantizeRow(r int) {
	if p.k > 0 {
		quantizeBlocks(p.rows[r*p.blocks:(r+1)*p.blocks], p.a[r*p.lda:r*p.lda+p.k], p.offset())
	}
}

// leastActivation is the exponent, as in the bits of a float32, below which a block of activations counts as zeros.
const leastActivation = (127 - 100) << 23

func quantizeBlocksGeneric(dst []actBlock, x []float32, offset int32) {
	for i := range dst {
		d, x := &dst[i], x[i*weights.BlockSteps:min((i+1)*weights.BlockSteps, len(x))]
		most := uint32(0)
		for _, v := range x {
			most = max(most, math.Float32bits(v)&^(1<<31))
		}
		*d = actBlock{}
		switch s := math.Float32frombits(most); {
		case most >= 0xff<<23:
			d.scale = float32(math.NaN())
		case most >= leastActivation:
			d.scale = s / 127
			inv := 127 / s
			sum := int32(0)
			for j, v := range x {
				q := int8(math.RoundToEven(float64(float32(v * inv))))
				d.q[j] = q
				sum += int32(q)
			}
			d.start = -offset * sum
		}
	}
}

// mulPanelsGeneric is the definition of a product of rows r0 to r1 with panels from to to-1, added to c.
func (p *weightProduct) mulPanelsGeneric(from, to, r0, r1 int) {
	var row, scale [PanelCols]float32
	var q [weights.BlockSteps][PanelCols]int8
	for panel := from; panel < to; panel++ {
		c0 := panel * PanelCols
		c1 := min(c0+PanelCols, p.n)
		if !p.quantized() {
			for k := range p.k {
				p.w.Row(panel, k, &row)
				for r := r0; r < r1; r++ {
					axpy(p.c[r*p.ldc+c0:r*p.ldc+c1], p.a[r*p.lda+k], row[:])
				}
			}
			continue
		}
		for b := range p.blocks {
			p.w.Block(panel, b, &q, &scale)
			for r := r0; r < r1; r++ {
				a := &p.rows[r*p.blocks+b]
				var dot [PanelCols]int32
				for i, x := range a.q {
					for j, y := range &q[i] {
						dot[j] += int32(x) * int32(y)
					}
				}
				c := p.c[r*p.ldc+c0 : r*p.ldc+c1]
				for j := range c {
					c[j] = fma(float32(dot[j]), float32(a.scale*scale[j]), c[j])
				}
			}
		}
	}
}
