package asm

import (
	"fmt"
	"io"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets into the Go struct tile.
const (
	tileA = 8 * iota
	tileB
	tileC
	tileInit
	tileInit2
	tileLda
	tileLdb
	tileLdc
	tileLdInit
	tileLdInit2
	tileK
	tileCols
	tileFetch
	tileLdFetch
	tilePanel
	tileTiles
	tileStepA
	tileColumns
	tileNextA
	tileNextB
	tileNextC
	tileNextInit
	tileNextInit2
	tileKeep
	// Where a call is.
	tileAtA
	tileAtB
	tileAtC
	tileAtInit
	tileAtInit2
	tileLeft
)

// maxRows is the tallest tile at each width: with two vectors across, 28 of 32 registers hold sums at AVX-512, 12 of
// 16 at AVX2.
const (
	maxRowsAVX512 = 14
	maxRowsAVX2   = 6
	// So few rows fetch every step of the next panel of b: no other tile will.
	fetchAllRows = 4
	// So few rows have four vectors across, or the latency of a sum would show.
	maxRowsWideAVX512 = 3
	maxRowsWideAVX2   = 2
	// The rows of c and of b that products of few rows add up at a time: as many streams as the machine fetches ahead.
	maxRowsAdd = 4
	stepsAdd   = 8
)

// minRowsKeep is the number of rows of the lowest tile that keeps the panel of b that it reads, where the tallest has
// most rows: the first of four tiles or more at AVX-512, of two or more at AVX2.
func minRowsKeep(most int) int {
	if most == maxRowsAVX512 {
		return 11
	}
	return most
}

func emitGemm(ctx *file) {
	maskTable(ctx)
	for _, wide := range []bool{true, false} {
		a := &asm{Context: ctx.Context, file: ctx, wide: wide}
		a.packPanel()
		a.packTiles()
		for m := 1; m <= maxRowsAdd; m++ {
			a.addRows(m, stepsAdd)
			a.addRows(m, 1)
		}
		rows, rowsWide := maxRowsAVX2, maxRowsWideAVX2
		if wide {
			rows, rowsWide = maxRowsAVX512, maxRowsWideAVX512
		}
		for _, leftT := range []bool{false, true} {
			for r := 1; r <= rows; r++ {
				a.tile(r, 1, leftT, false)
				a.tile(r, 2, leftT, false)
			}
			for r := 1; r <= rowsWide; r++ {
				a.tile(r, 4, leftT, false)
			}
			for r := minRowsKeep(rows); r <= rows; r++ {
				a.tile(r, 2, leftT, true)
			}
		}
	}
}

// maskTable is 8 words of ones and 8 of zeros: 8 words from word 8-n on are a mask of n lanes for VMASKMOVPS.
func maskTable(ctx *file) {
	ctx.laneMasks = ctx.Context.StaticGlobal("laneMasks")
	ctx.Context.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		v := uint32(0)
		if i < 8 {
			v = 0xffffffff
		}
		ctx.Context.AppendDatum(operand.U32(v))
	}
}

// tile emits a product of rows rows of a and across vectors of columns of b. The sums stay in registers from start to
// end. The third and fourth vector at AVX-512 lie in the next panel of b. With keep, b is copied to a panel on the way.
func (a *asm) tile(rows, across int, leftT, keep bool) {
	form := "N"
	if leftT {
		form = "T"
	}
	w := a.lanes()
	name, what := fmt.Sprintf("gemm%s%dx%d", form, rows, across), "computes tiles"
	if keep {
		name, what = name+"Keep", "copies b to a panel, and computes a tile"
	}
	a.function(name, "func(t *tile)",
		fmt.Sprintf("%s%s %s of %d rows and up to %d columns, see tile.", name, a.suffix(), what, rows, across*w))
	t := a.GP64()
	a.Load(a.Param("t"), t)
	load := func(off int) reg.GPVirtual {
		r := a.GP64()
		a.MOVQ(mem(t, off), r)
		return r
	}
	// The masks of the two vectors of columns.
	m := make([]reg.Register, across)
	full := ""
	if a.wide {
		n, ones := load(tileCols), a.GP64()
		a.MOVQ(operand.I32(-1), ones)
		bits := a.GP64()
		a.BZHIQ(n, ones, bits) // the n low bits, all of them for n ≥ 64
		for i := range m {
			k := a.K()
			a.KMOVW(bits.As32(), k)
			m[i] = k
			if i+1 < across {
				a.SHRQ(operand.U8(16), bits)
			}
		}
	} else {
		full = a.label("full")
	}
	acc := make([][]reg.VecVirtual, rows)
	for r := range acc {
		acc[r] = a.vecs(across)
	}
	begin := func(to, from int) {
		x := load(from)
		a.MOVQ(x, mem(t, to))
	}
	for i := range 5 {
		begin(tileAtA+8*i, tileA+8*i)
	}
	begin(tileLeft, tileTiles)
	next, walk := a.label("tile"), a.label("walk")
	a.Label(next)
	// There are too few registers to keep t in one.
	t = a.GP64()
	a.Load(a.Param("t"), t)

	avxMasks := func() {
		n := load(tileCols)
		for i := range m {
			m[i] = a.mask(n, i*w)
		}
	}

	// Start from zero, from init, or from init + init2.
	start, sums := a.label("start"), a.label("sums")
	init := load(tileAtInit)
	a.TESTQ(init, init)
	a.JNZ(operand.LabelRef(start))
	for r := range acc {
		for _, v := range acc[r] {
			a.zero(v)
		}
	}
	a.JMP(operand.LabelRef(sums))
	a.Label(start)
	if !a.wide {
		avxMasks()
	}
	ld := load(tileLdInit)
	for r := range acc {
		for i, v := range acc[r] {
			a.maskedLoad(mem(init, 4*w*i), m[i], v)
		}
		a.ADDQ(ld, init)
	}
	a.MOVQ(init, mem(t, tileAtInit))
	init2 := load(tileAtInit2)
	a.TESTQ(init2, init2)
	a.JZ(operand.LabelRef(sums))
	ld2 := load(tileLdInit2)
	tmp := a.vec()
	for r := range acc {
		for i, v := range acc[r] {
			a.maskedLoad(mem(init2, 4*w*i), m[i], tmp)
			a.VADDPS(tmp, v, v)
		}
		a.ADDQ(ld2, init2)
	}
	a.MOVQ(init2, mem(t, tileAtInit2))
	a.Label(sums)

	// The addresses of a: for a [m, k], rows in threes from one pointer each; for a [k, m], one pointer.
	pa, lda := load(tileAtA), load(tileLda)
	var base []reg.Register
	if !leftT {
		for r := 0; r < rows; r += 3 {
			if r == 0 {
				base = append(base, pa)
				continue
			}
			p := a.GP64()
			a.LEAQ(memx(base[len(base)-1], lda, 2, 0), p)
			a.ADDQ(lda, p)
			base = append(base, p)
		}
	}
	// after is p + step·ld, for the four steps of a round: pointers move once a round, because every scalar addition
	// may take a multiplication's place on its port.
	after := func(p, ld, ld3 reg.Register, step, disp int) operand.Mem {
		switch step {
		case 0:
			return mem(p, disp)
		case 3:
			return memx(p, ld3, 1, disp)
		}
		return memx(p, ld, uint8(step), disp)
	}
	triple := func(ld reg.Register) reg.Register {
		r := a.GP64()
		a.LEAQ(memx(ld, ld, 2, 0), r)
		return r
	}
	var lda3 reg.Register
	if leftT {
		lda3 = triple(lda)
	}
	addr := func(r, step int) operand.Mem {
		if leftT {
			return after(pa, lda, lda3, step, 4*r)
		}
		switch r % 3 {
		case 1:
			return memx(base[r/3], lda, 1, 4*step)
		case 2:
			return memx(base[r/3], lda, 2, 4*step)
		}
		return mem(base[r/3], 4*step)
	}
	pb, ldb := load(tileAtB), load(tileLdb)
	ldb3 := triple(ldb)
	pb2 := pb
	if a.wide && across == 4 {
		pb2 = load(tilePanel)
		a.ADDQ(pb, pb2)
	}
	var kept reg.GPVirtual
	if keep {
		kept = load(tileKeep)
	}
	b := a.vecs(across)
	s := [2]reg.VecVirtual{a.vec(), a.vec()}
	step := func(i int) {
		for n, v := range b {
			if a.wide && n >= 2 {
				a.VMOVUPS(after(pb2, ldb, ldb3, i, 4*w*(n-2)), v)
			} else {
				a.VMOVUPS(after(pb, ldb, ldb3, i, 4*w*n), v)
			}
			if keep {
				a.VMOVUPS(v, mem(kept, 128*i+4*w*n))
			}
		}
		for r := range acc {
			x := s[r%2]
			a.VBROADCASTSS(addr(r, i), x)
			for i, v := range b {
				a.VFMADD231PS(v, x, acc[r][i])
			}
		}
	}
	// What the next tiles will want is fetched on the way, two lines of each stream a round: c of the tile below, whose
	// rows lie far apart, and the next panel of b.
	var below, ldBelow, left reg.GPVirtual
	if !keep { // which has too few registers
		below, ldBelow, left = load(tileAtC), load(tileLdc), a.GP64()
		x := a.GP64()
		a.IMUL3Q(operand.Imm(uint64(rows)), ldBelow, x)
		a.ADDQ(x, below)
		a.MOVQ(operand.U32(uint32(rows-1)), left)
	}
	fetch, ldFetch := load(tileFetch), load(tileLdFetch)
	prefetch := func(p, ld reg.Register) {
		a.PREFETCHT1(mem(p, 0))
		a.PREFETCHT1(mem(p, 64))
		a.ADDQ(ld, p)
	}
	advance := func(n int) {
		if keep {
			a.ADDQ(operand.U32(uint32(128*n)), kept)
		}
		forward := func(p, ld reg.Register) {
			if n == 1 {
				a.ADDQ(ld, p)
			} else {
				a.LEAQ(memx(p, ld, uint8(n), 0), p)
			}
		}
		forward(pb, ldb)
		if pb2 != pb {
			forward(pb2, ldb)
		}
		if leftT {
			forward(pa, lda)
			return
		}
		for _, p := range base {
			a.ADDQ(operand.Imm(uint64(4*n)), p)
		}
	}
	const unroll = 4
	k := load(tileK)
	loop, tail, tailLoop, done := a.label("loop"), a.label("tail"), a.label("tailloop"), a.label("done")
	a.SUBQ(operand.Imm(unroll), k)
	a.JL(operand.LabelRef(tail))
	a.align(64)
	a.Label(loop)
	for i := range unroll {
		step(i)
		if i == 0 && !keep {
			prefetch(below, ldBelow)
			a.SUBQ(operand.Imm(1), left)
			a.CMOVQCS(a.laneMasks.Offset(32), ldBelow)
		}
		if i == 1 || rows <= fetchAllRows {
			prefetch(fetch, ldFetch)
		}
	}
	advance(unroll)
	a.SUBQ(operand.Imm(unroll), k)
	a.JGE(operand.LabelRef(loop))
	a.Label(tail)
	a.ADDQ(operand.Imm(unroll), k)
	a.JZ(operand.LabelRef(done))
	a.Label(tailLoop)
	step(0)
	advance(1)
	a.DECQ(k)
	a.JNZ(operand.LabelRef(tailLoop))
	a.Label(done)

	// The registers above are all that there are: t is read again.
	t = a.GP64()
	a.Load(a.Param("t"), t)
	a.MOVQ(fetch, mem(t, tileFetch))
	pc, ldc := load(tileAtC), load(tileLdc)
	store := func(f func(v reg.VecVirtual, i int)) {
		for r := range acc {
			for i, v := range acc[r] {
				f(v, i)
			}
			a.ADDQ(ldc, pc)
		}
	}
	if a.wide {
		store(func(v reg.VecVirtual, i int) { a.VMOVUPS(v, m[i], mem(pc, 4*w*i)) })
	} else {
		a.CMPQ(mem(t, tileCols), operand.Imm(uint64(across*w)))
		a.JGE(operand.LabelRef(full))
		avxMasks()
		store(func(v reg.VecVirtual, i int) { a.VMASKMOVPS(v, m[i], mem(pc, 4*w*i)) })
		a.JMP(operand.LabelRef(walk))
		a.Label(full)
		store(func(v reg.VecVirtual, i int) { a.VMOVUPS(v, mem(pc, 4*w*i)) })
	}

	// Down the rows, and then on to the next columns.
	a.Label(walk)
	a.MOVQ(pc, mem(t, tileAtC))
	move := func(to, by int) {
		x := load(by)
		a.ADDQ(x, mem(t, to))
	}
	move(tileAtA, tileStepA)
	a.DECQ(mem(t, tileLeft))
	a.JNZ(operand.LabelRef(next))
	begin(tileLeft, tileTiles)
	move(tileAtA, tileNextA)
	move(tileAtB, tileNextB)
	move(tileAtC, tileNextC)
	move(tileAtInit, tileNextInit)
	move(tileAtInit2, tileNextInit2)
	if keep {
		a.ADDQ(operand.U32(uint32(4*across*w)), mem(t, tileKeep))
	}
	a.DECQ(mem(t, tileColumns))
	a.JNZ(operand.LabelRef(next))
	a.ret()
}

// maskedLoad loads the lanes of mask and zeros the others; memory outside of the mask is not touched.
func (a *asm) maskedLoad(from operand.Mem, mask reg.Register, to reg.VecVirtual) {
	if a.wide {
		a.VMOVUPS_Z(from, mask, to)
	} else {
		a.VMASKMOVPS(from, mask, to)
	}
}

// maskedStore writes the lanes of a mask.
func (a *asm) maskedStore(from reg.Register, mask reg.Register, to operand.Mem) {
	if a.wide {
		a.VMOVUPS(from, mask, to)
	} else {
		a.VMASKMOVPS(from, mask, to)
	}
}

// addRows emits the product of m rows of a, steps steps of it, with as many rows of b, added to c. Every row of b is a
// stream that the machine fetches ahead, and c is read and written once for all of them.
func (a *asm) addRows(m, steps int) {
	w := a.lanes()
	name := fmt.Sprintf("addRows%dx%d", m, steps)
	a.function(name, "func(c, x, b *float32, ldc, ldx, ldb, n int)",
		fmt.Sprintf("%s%s adds to %d rows of c, of n elements, as many rows of x, of %d elements, times rows of b, in",
			name, a.suffix(), m, steps),
		"order. Rows are ldc, ldx and ldb bytes apart.")
	c, x, b := a.param("c"), a.param("x"), a.param("b")
	rowsC, rowsX, rowsB := a.rowsAt(a.param("ldc"), m), a.rowsAt(a.param("ldx"), m), a.rowsAt(a.param("ldb"), steps)
	n := a.param("n")
	unroll, registers := 4, 16
	if m > 2 {
		unroll = 2
	}
	if a.wide {
		registers = 32
	}
	// x stays in registers if there is room for it beside the sums.
	var xs [][]reg.VecVirtual
	if m*(steps+unroll)+unroll <= registers {
		for r := range m {
			xs = append(xs, a.vecs(steps))
			for i, v := range xs[r] {
				a.VBROADCASTSS(rowsX.mem(x, r, 4*i), v)
			}
		}
	}
	// add does count vectors, by load and store; direct if b needs no mask.
	add := func(count int, direct bool, load, store func(at operand.Mem, v reg.VecVirtual)) {
		sums := make([][]reg.VecVirtual, m)
		for r := range sums {
			sums[r] = a.vecs(count)
			for j, s := range sums[r] {
				load(rowsC.mem(c, r, 4*w*j), s)
			}
		}
		v := a.vecs(count)
		for i := range steps {
			if m == 1 && direct && xs != nil {
				// Fewer instructions: more of them, and of what they load, are under way.
				for j, s := range sums[0] {
					a.VFMADD231PS(rowsB.mem(b, i, 4*w*j), xs[0][i], s)
				}
				continue
			}
			for j := range v {
				load(rowsB.mem(b, i, 4*w*j), v[j])
			}
			for r := range sums {
				var f reg.VecVirtual
				if xs != nil {
					f = xs[r][i]
				} else {
					f = a.vec()
					a.VBROADCASTSS(rowsX.mem(x, r, 4*i), f)
				}
				for j, s := range sums[r] {
					a.VFMADD231PS(v[j], f, s)
				}
			}
		}
		for r := range sums {
			for j, s := range sums[r] {
				store(rowsC.mem(c, r, 4*w*j), s)
			}
		}
	}
	for _, count := range []int{unroll, 1} {
		loop, end := a.label("loop"), a.label("end")
		a.SUBQ(operand.Imm(uint64(count*w)), n)
		a.JL(operand.LabelRef(end))
		a.align(64)
		a.Label(loop)
		add(count, true, func(at operand.Mem, v reg.VecVirtual) { a.VMOVUPS(at, v) },
			func(at operand.Mem, v reg.VecVirtual) { a.VMOVUPS(v, at) })
		a.ADDQ(operand.U32(uint32(4*w*count)), b)
		a.ADDQ(operand.U32(uint32(4*w*count)), c)
		a.SUBQ(operand.Imm(uint64(count*w)), n)
		a.JGE(operand.LabelRef(loop))
		a.Label(end)
		a.ADDQ(operand.Imm(uint64(count*w)), n)
	}
	done := a.label("done")
	a.TESTQ(n, n)
	a.JZ(operand.LabelRef(done))
	mask := a.mask(n, 0)
	add(1, false, func(at operand.Mem, v reg.VecVirtual) { a.maskedLoad(at, mask, v) },
		func(at operand.Mem, v reg.VecVirtual) { a.maskedStore(v, mask, at) })
	a.Label(done)
	a.ret()
}

// dispatchAddRows writes the choice of addRows by rows and steps.
func dispatchAddRows(b io.Writer) {
	for _, suffix := range []string{"AVX512", "AVX2"} {
		fmt.Fprintf(b, "\nfunc addRows%s(m, steps int, c, x, b *float32, ldc, ldx, ldb, n int) {\n\tswitch m<<4 | steps {\n",
			suffix)
		for m := 1; m <= maxRowsAdd; m++ {
			for _, steps := range []int{stepsAdd, 1} {
				fmt.Fprintf(b, "\tcase %d<<4 | %d:\n\t\taddRows%dx%d%s(c, x, b, ldc, ldx, ldb, n)\n", m, steps, m, steps,
					suffix)
			}
		}
		fmt.Fprint(b, "\t}\n}\n")
	}
}
