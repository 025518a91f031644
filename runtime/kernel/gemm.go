package kernel

import "github.com/gradsmith/gradsmith/runtime/parallel"

// An Epilogue is something that a matrix product does besides the product, while the result is at hand. Several may be
// given, in any order, each kind at most once; with p the product they give
//
//	c = activation(c·[Accumulate] + bias + residual + p)
//
// where the sum starts with the first three and adds the products in the order of k.
type Epilogue struct {
	kind epilogueKind
	x    []float32
}

type epilogueKind uint8

const (
	epAccumulate epilogueKind = iota
	epBias
	epResidual
	epActivation // and the op added to it
)

// Accumulate adds the product to what c holds.
func Accumulate() Epilogue { return Epilogue{kind: epAccumulate} }

// Bias adds b [n] to every row.
func Bias(b []float32) Epilogue { return Epilogue{kind: epBias, x: b} }

// Residual adds r [m, n]. It may be c, which is Accumulate.
func Residual(r []float32) Epilogue { return Epilogue{kind: epResidual, x: r} }

// applied is the epilogue that applies o to the finished sum.
func applied(o op) Epilogue { return Epilogue{kind: epActivation + epilogueKind(o)} }

// ThenTanh applies [Tanh] to the result.
func ThenTanh() Epilogue { return applied(opTanh) }

// ThenSigmoid applies [Sigmoid] to the result.
func ThenSigmoid() Epilogue { return applied(opSigmoid) }

// ThenGate applies [Gate] to the result.
func ThenGate() Epilogue { return applied(opGate) }

// ThenReLU applies [ReLU] to the result.
func ThenReLU() Epilogue { return applied(opReLU) }

// ThenGELU applies [GELU] to the result.
func ThenGELU() Epilogue { return applied(opGELU) }

// ThenGELUErf applies [GELUErf] to the result.
func ThenGELUErf() Epilogue { return applied(opGELUErf) }

// ThenSiLU applies [SiLU] to the result.
func ThenSiLU() Epilogue { return applied(opSiLU) }

// PanelCols is the number of columns in a panel of a packed matrix.
const PanelCols = 32

// operand says how the right matrix of a product lies in memory.
type operand uint8

const (
	rightN      operand = iota // [k, n]
	rightT                     // [n, k]
	rightPacked                // panels of 32 columns
)

// product is a matrix product: c = a·b and its epilogue.
type product struct {
	c, a, b        []float32
	m, n, k        int
	ldc, lda, ldb  int
	leftT          bool // a is [k, m]
	right          operand
	accumulate     bool
	activate       bool
	activation     op
	bias, residual []float32
	ldr            int

	rowBlock, colBlock int // the block of c that one task computes
	colBlocks          int
}

// GemmNN computes c = a·b: c [m, n], a [m, k], b [k, n], all row-major. c may not overlap a or b. With k = 0 the
// product is 0, and the epilogue still applies.
func GemmNN(c, a, b []float32, m, n, k int, ep ...Epilogue) {
	gemm("GemmNN", c, a, b, m, n, k, false, rightN, ep)
}

// GemmNT computes c = a·bᵀ: c [m, n], a [m, k], b [n, k]; otherwise as [GemmNN].
func GemmNT(c, a, b []float32, m, n, k int, ep ...Epilogue) {
	gemm("GemmNT", c, a, b, m, n, k, false, rightT, ep)
}

// GemmTN computes c = aᵀ·b: c [m, n], a [k, m], b [k, n]; otherwise as [GemmNN].
func GemmTN(c, a, b []float32, m, n, k int, ep ...Epilogue) {
	gemm("GemmTN", c, a, b, m, n, k, true, rightN, ep)
}

// GemmPacked computes c = a·b with b [k, n] packed by [Pack] or [PackT]; otherwise as [GemmNN], to the same bits.
func GemmPacked(c, a, packed []float32, m, n, k int, ep ...Epilogue) {
	gemm("GemmPacked", c, a, packed, m, n, k, false, rightPacked, ep)
}

// PackedLen is the length of a packed [k, n] matrix.
func PackedLen(k, n int) int {
	return (n + PanelCols - 1) / PanelCols * PanelCols * k
}

// Pack packs b [k, n] for [GemmPacked]: panels of 32 columns, each row-major, the last one filled up with zeros. dst
// has PackedLen(k, n) elements. The layout is the same at every level.
func Pack(dst, b []float32, k, n int) { pack("Pack", dst, b, k, n, rightN) }

// PackT packs the transpose of b [n, k]: GemmPacked then computes a·bᵀ.
func PackT(dst, b []float32, k, n int) { pack("PackT", dst, b, k, n, rightT) }

func pack(name string, dst, b []float32, k, n int, right operand) {
	size(name, "k", k)
	size(name, "n", n)
	need(name, "dst", len(dst), PackedLen(k, n))
	need(name, "b", len(b), k*n)
	ld := n
	if right == rightT {
		ld = k
	}
	packInto(dst, b, ld, k, n, right)
}

// packInto packs b, [k, n] or, with rightT, [n, k], whose rows are ld apart.
func packInto(dst, b []float32, ld, k, n int, right operand) {
	if k == 0 || n == 0 {
		return
	}
	j := packJobs.get()
	*j = packJob{dst: dst, b: b, ld: ld, k: k, n: n, right: right}
	j.panels = 1
	if k*PanelCols < rowWork {
		j.panels = rowWork / (k * PanelCols)
	}
	parallel.Run((PackedLen(k, n)/(PanelCols*k)+j.panels-1)/j.panels, j)
	*j = packJob{}
	packJobs.put(j)
}

type packJob struct {
	dst, b []float32
	ld     int
	k, n   int
	panels int
	right  operand
}

var packJobs jobs[packJob]

func (j *packJob) Do(task int) {
	for p := task * j.panels; p < (task+1)*j.panels && p*PanelCols < j.n; p++ {
		c := p * PanelCols
		w := min(PanelCols, j.n-c)
		dst := j.dst[c*j.k : (c+PanelCols)*j.k]
		if j.right == rightN {
			packPanel(dst, j.b[c:], j.ld, j.k, w)
		} else {
			packPanelT(dst, j.b[c*j.ld:], j.ld, j.k, w)
		}
	}
}

// packPanelGeneric copies w columns of k rows of b, ldb apart, into a panel.
func packPanelGeneric(dst, b []float32, ldb, k, w int) {
	for r := range k {
		d := dst[r*PanelCols : (r+1)*PanelCols]
		copy(d, b[r*ldb:r*ldb+w])
		clear(d[w:])
	}
}

// packPanelTGeneric copies rows from to w-1 of b, ldb apart and k long, into the same columns of a panel, and clears
// the columns from w on.
func packPanelTGeneric(dst, b []float32, ldb, k, from, w int) {
	for r := range k {
		clear(dst[r*PanelCols+w : (r+1)*PanelCols])
	}
	for c := from; c < w; c++ {
		for r, v := range b[c*ldb : c*ldb+k] {
			dst[r*PanelCols+c] = v
		}
	}
}

var productJobs jobs[product]

// gemm checks a product and runs it.
func gemm(name string, c, a, b []float32, m, n, k int, leftT bool, right operand, ep []Epilogue) {
	size(name, "m", m)
	size(name, "n", n)
	size(name, "k", k)
	if m == 0 || n == 0 {
		return
	}
	need(name, "c", len(c), m*n)
	need(name, "a", len(a), m*k)
	if right == rightPacked {
		need(name, "packed", len(b), PackedLen(k, n))
	} else {
		need(name, "b", len(b), k*n)
	}
	p := productJobs.get()
	p.c, p.a, p.b, p.m, p.n, p.k = c, a, b, m, n, k
	p.leftT, p.right = leftT, right
	p.ldc, p.lda, p.ldb = n, k, n
	if leftT {
		p.lda = m
	}
	if right == rightT {
		p.ldb = k
	}
	p.epilogue(name, ep)
	p.run()
	*p = product{}
	productJobs.put(p)
}

// epilogue sets p up for ep, whose slices belong to rows as long as those of c.
func (p *product) epilogue(name string, ep []Epilogue) {
	for _, e := range ep {
		switch e.kind {
		case epAccumulate:
			p.accumulate = true
		case epBias:
			need(name, "bias", len(e.x), p.n)
			p.bias = e.x
		case epResidual:
			need(name, "residual", len(e.x), p.m*p.n)
			p.residual, p.ldr = e.x, p.n
		default:
			p.activate, p.activation = true, op(e.kind-epActivation)
		}
	}
}

func (p *product) Do(task int) {
	r, c := task/p.colBlocks*p.rowBlock, task%p.colBlocks*p.colBlock
	p.block(r, min(r+p.rowBlock, p.m), c, min(c+p.colBlock, p.n))
}

// finish applies the activation to a block of c that is complete.
func (p *product) finish(r0, r1, c0, c1 int) {
	if !p.activate {
		return
	}
	var v vec
	for r := r0; r < r1; r++ {
		v.p[0] = ptr(p.c[r*p.ldc+c0:])
		v.p[1] = v.p[0]
		vecRange(p.activation, &v, 0, c1-c0)
	}
}
