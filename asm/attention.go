package asm

import (
	"bytes"
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets into the Go struct scoreRows.
const (
	rowsS = 8 * iota
	rowsDS
	rowsLd
	rowsFrom
	rowsTo
	rowsM
	rowsSum
	rowsRows
	rowsZeroFrom
	rowsZeroTo
	rowsLanes
)

// Offsets into the Go structs rowTiles, whose first fields are slices, and rowTile, and the flags of the latter.
const (
	tilesA     = 0
	tilesB     = 24
	tilesC     = 48
	tilesMid   = 72
	tilesF     = 96
	tilesList  = 120
	tilesLda   = 144
	tilesLdb   = 152
	tilesPanel = 160
	tilesLdc   = 168
	tilesLdm   = 176
	tilesLdf   = 184
	tilesLeft  = 192

	rowTileA     = 0
	rowTileB     = 8
	rowTileRow   = 16
	rowTileCol   = 24
	rowTileK     = 32
	rowTileCols  = 40
	rowTileFlags = 48
	rowTileSize  = 56

	flagMore     = 1
	flagMid      = 2
	flagTriangle = 4
)

// maxAttendRows is the tallest tile of attention: lower than those of products, as what a causal mask hides of a tile
// is work for nothing, and still with more sums than the latency of one asks for.
const (
	maxAttendRowsAVX512 = 8
	maxAttendRowsAVX2   = 6
)

func emitAttention(ctx *file) {
	maskTable(ctx)
	ctx.columnNumbers = ctx.Context.StaticGlobal("columnNumbers")
	ctx.Context.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		ctx.Context.AppendDatum(operand.U32(uint32(i)))
	}
	for _, wide := range []bool{true, false} {
		a := &asm{Context: ctx.Context, file: ctx, wide: wide, hoisted: map[konst]vector{}}
		a.softmaxRows()
		a.softmaxGradRows()
		a.scaleRows()
		a.dotRows()
		for r := 1; r <= a.maxAttendRows(); r++ {
			a.rowTiles(r, false)
			a.rowTiles(r, true)
		}
	}
	emitKonstants(ctx, 1)
}

func (a *asm) maxAttendRows() int {
	if a.wide {
		return maxAttendRowsAVX512
	}
	return maxAttendRowsAVX2
}

// rowTiles emits many products of rows rows of a with b, in one call. Two vectors of columns are added at a time, all
// in registers; the last one may be alone, or half of one at AVX-512. Everything is read and written in whole or in
// half vectors.
func (a *asm) rowTiles(rows int, leftT bool) {
	form := "N"
	if leftT {
		form = "T"
	}
	w := a.lanes()
	name := fmt.Sprintf("rowTiles%s%d", form, rows)
	a.function(name, "func(t *rowTiles)",
		fmt.Sprintf("%s%s computes tiles of %d rows, see rowTiles.", name, a.suffix(), rows))
	t := a.GP64()
	a.Load(a.Param("t"), t)
	load := func(from reg.Register, off int) reg.GPVirtual {
		r := a.GP64()
		a.MOVQ(mem(from, off), r)
		return r
	}
	lda := load(t, tilesLda)
	a.SHLQ(operand.Imm(2), lda)
	at := load(t, tilesList) // the tile
	next := a.label("tile")
	a.Label(next)

	// The column that is worked on, in c and in b.
	col, pb := load(at, rowTileCol), load(t, tilesB)
	x := load(at, rowTileB)
	a.LEAQ(memx(pb, x, 4, 0), pb)
	cols := load(at, rowTileCols)
	half := a.GP64() // of a panel at AVX2: 64 in the second one
	if !a.wide {
		a.XORQ(half, half)
	}

	// result is the place of the tile in c or in mid, and the distance of its rows.
	result := func(place, distance int) (c, ld reg.GPVirtual) {
		c, ld = load(t, place), load(t, distance)
		row := load(at, rowTileRow)
		a.IMULQ(ld, row)
		a.ADDQ(col, row)
		a.LEAQ(memx(c, row, 4, 0), c)
		return c, ld
	}
	has := func(flag uint32) { a.TESTQ(operand.U32(flag), mem(at, rowTileFlags)) }

	// product emits the sums of some columns: vectors of so many lanes beside each other, the widest first.
	product := func(lanes ...int) {
		vec := func(lanes int) reg.VecVirtual {
			if lanes < w {
				return a.YMM()
			}
			return a.vec()
		}
		across := func() (list []reg.VecVirtual) {
			for _, n := range lanes {
				list = append(list, vec(n))
			}
			return list
		}
		acc := make([][]reg.VecVirtual, rows)
		for r := range acc {
			acc[r] = across()
		}
		start, sums := a.label("start"), a.label("sums")
		has(flagMore)
		a.JNE(operand.LabelRef(start))
		for r := range acc {
			for _, v := range acc[r] {
				a.VXORPS(v, v, v)
			}
		}
		a.JMP(operand.LabelRef(sums))
		a.Label(start)
		c, ldc := result(tilesMid, tilesLdm)
		for r := range acc {
			for i, v := range acc[r] {
				a.VMOVUPS(mem(c, 4*w*i), v)
			}
			if r < rows-1 {
				a.LEAQ(memx(c, ldc, 4, 0), c)
			}
		}
		a.Label(sums)
		pa := load(t, tilesA)
		first := load(at, rowTileA)
		a.LEAQ(memx(pa, first, 4, 0), pa)
		base := []reg.Register{pa}
		lda3 := a.GP64()
		if leftT || rows > 3 {
			a.LEAQ(memx(lda, lda, 2, 0), lda3)
		}
		for r := 3; r < rows && !leftT; r += 3 {
			p := a.GP64()
			a.LEAQ(memx(base[len(base)-1], lda3, 1, 0), p)
			base = append(base, p)
		}
		addr := func(r, step int) operand.Mem {
			if leftT {
				switch step {
				case 0:
					return mem(pa, 4*r)
				case 3:
					return memx(pa, lda3, 1, 4*r)
				}
				return memx(pa, lda, uint8(step), 4*r)
			}
			if r%3 == 0 {
				return mem(base[r/3], 4*step)
			}
			return memx(base[r/3], lda, uint8(r%3), 4*step)
		}
		right, ldb, b := a.GP64(), load(t, tilesLdb), across()
		a.MOVQ(pb, right)
		a.SHLQ(operand.Imm(2), ldb)
		ldb3 := a.GP64()
		a.LEAQ(memx(ldb, ldb, 2, 0), ldb3)
		s := [2]reg.VecVirtual{vec(lanes[0]), vec(lanes[0])}
		// like is a number of which there are as many as v has lanes.
		like := func(v, s reg.VecVirtual) reg.Register {
			if v.Size() < s.Size() {
				return s.AsY()
			}
			return s
		}
		// step is step n of the next four, for the rows from lo to hi-1.
		step := func(n, lo, hi int) {
			for i, v := range b {
				switch n {
				case 0:
					a.VMOVUPS(mem(right, 4*w*i), v)
				case 3:
					a.VMOVUPS(memx(right, ldb3, 1, 4*w*i), v)
				default:
					a.VMOVUPS(memx(right, ldb, uint8(n), 4*w*i), v)
				}
			}
			for r := lo; r < hi; r++ {
				a.VBROADCASTSS(addr(r, n), s[r%2])
				for i, v := range b {
					a.VFMADD231PS(v, like(v, s[r%2]), acc[r][i])
				}
			}
		}
		advance := func(n int) {
			if n == 1 {
				a.ADDQ(ldb, right)
			} else {
				a.LEAQ(memx(right, ldb, uint8(n), 0), right)
			}
			if leftT {
				if n == 1 {
					a.ADDQ(lda, pa)
				} else {
					a.LEAQ(memx(pa, lda, uint8(n), 0), pa)
				}
				return
			}
			for _, p := range base {
				a.ADDQ(operand.Imm(uint64(4*n)), p)
			}
		}
		const unroll = 4
		// triangle emits the steps in which one row more, or one less, takes part than in the one before.
		triangle := func() {
			if rows == 1 {
				return
			}
			whole := a.label("whole")
			has(flagTriangle)
			a.JEQ(operand.LabelRef(whole))
			for n := range rows - 1 {
				if leftT {
					step(n%unroll, 0, n+1)
				} else {
					step(n%unroll, n+1, rows)
				}
				if n%unroll == unroll-1 {
					advance(unroll)
				} else if n == rows-2 && leftT {
					for range n%unroll + 1 {
						advance(1)
					}
				}
			}
			a.Label(whole)
		}
		if leftT {
			triangle()
		}
		k := load(at, rowTileK)
		loop, tail, tailLoop, done := a.label("loop"), a.label("tail"), a.label("tailloop"), a.label("done")
		a.SUBQ(operand.Imm(unroll), k)
		a.JL(operand.LabelRef(tail))
		a.align(64)
		a.Label(loop)
		for i := range unroll {
			step(i, 0, rows)
		}
		advance(unroll)
		a.SUBQ(operand.Imm(unroll), k)
		a.JGE(operand.LabelRef(loop))
		a.Label(tail)
		a.ADDQ(operand.Imm(unroll), k)
		a.JZ(operand.LabelRef(done))
		a.Label(tailLoop)
		step(0, 0, rows)
		advance(1)
		a.DECQ(k)
		a.JNZ(operand.LabelRef(tailLoop))
		a.Label(done)
		if !leftT {
			triangle()
		}

		store := func(c, ld reg.Register) {
			for r := range acc {
				for i, v := range acc[r] {
					a.VMOVUPS(v, mem(c, 4*w*i))
				}
				if r < rows-1 {
					a.LEAQ(memx(c, ld, 4, 0), c)
				}
			}
		}
		middle, plain, stored := a.label("middle"), a.label("plain"), a.label("stored")
		has(flagMid)
		a.JNE(operand.LabelRef(middle))
		f := load(t, tilesF)
		a.TESTQ(f, f)
		a.JEQ(operand.LabelRef(plain))
		ldf, row := load(t, tilesLdf), load(at, rowTileRow)
		a.IMULQ(ldf, row)
		a.LEAQ(memx(f, row, 4, 0), f)
		for r := range acc {
			a.VBROADCASTSS(mem(f, 0), s[r%2])
			for _, v := range acc[r] {
				a.VMULPS(like(v, s[r%2]), v, v)
			}
			if r < rows-1 {
				a.LEAQ(memx(f, ldf, 4, 0), f)
			}
		}
		a.Label(plain)
		store(result(tilesC, tilesLdc))
		a.JMP(operand.LabelRef(stored))
		a.Label(middle)
		store(result(tilesMid, tilesLdm))
		a.Label(stored)
	}

	again, narrow, narrower, end := a.label("columns"), a.label("narrow"), a.label("narrower"), a.label("end")
	a.Label(again)
	a.CMPQ(cols, operand.Imm(uint64(w)))
	a.JLE(operand.LabelRef(narrow))
	if a.wide {
		both := a.label("both")
		a.CMPQ(cols, operand.Imm(uint64(w+w/2)))
		a.JG(operand.LabelRef(both))
		product(w, w/2)
		a.JMP(operand.LabelRef(end))
		a.Label(both)
	}
	product(w, w)
	a.ADDQ(operand.U32(uint32(2*w)), col)
	if a.wide {
		panel := load(t, tilesPanel)
		a.LEAQ(memx(pb, panel, 4, 0), pb)
	} else {
		second := a.label("second")
		a.ADDQ(operand.Imm(64), pb)
		a.XORQ(operand.Imm(64), half)
		a.JNZ(operand.LabelRef(second))
		panel := load(t, tilesPanel)
		a.LEAQ(memx(pb, panel, 4, -128), pb)
		a.Label(second)
	}
	a.SUBQ(operand.Imm(uint64(2*w)), cols)
	a.JG(operand.LabelRef(again))
	a.JMP(operand.LabelRef(end))
	a.Label(narrow)
	if a.wide {
		a.CMPQ(cols, operand.Imm(uint64(w/2)))
		a.JLE(operand.LabelRef(narrower))
	}
	product(w)
	if a.wide {
		a.JMP(operand.LabelRef(end))
		a.Label(narrower)
		product(w / 2)
	}
	a.Label(end)
	a.ADDQ(operand.Imm(rowTileSize), at)
	a.DECQ(mem(t, tilesLeft))
	a.JNZ(operand.LabelRef(next))
	a.ret()
}

// A scoreLoop walks over the rows of a scoreRows while it is emitted. Columns are worked on in whole vectors, from a
// multiple of 64 at or before the first one to clear: how many there are is the same for the rows of a tile, so that
// branches are foreseen, and what a row does not see is masked.
type scoreLoop struct {
	a                *asm
	t                reg.GPVirtual
	zeroFrom, zeroTo reg.GPVirtual // of the row
	first            reg.GPVirtual // column
	vectors          reg.GPVirtual // times the lanes
	ld               reg.GPVirtual
	numbers          vector // 0, 1, ...
	column, see      vector // of the lanes of the first vector less from, for the row; how many it sees
}

func (a *asm) scoreRows(name, doc string) *scoreLoop {
	a.function(name, "func(t *scoreRows)", name+a.suffix()+" is "+name+"Generic: "+doc)
	l := &scoreLoop{a: a, t: a.GP64()}
	a.Load(a.Param("t"), l.t)
	a.hoisted = map[konst]vector{}
	if a.wide {
		a.hoist(smallKonsts...)
	} else {
		a.hoist(copiedKonsts...)
	}
	l.first, l.vectors, l.ld = l.a.GP64(), l.a.GP64(), l.field(rowsLd)
	return l
}

// masks prepares for maskRow.
func (l *scoreLoop) masks() {
	l.numbers = l.a.vec()
	l.a.VMOVUPS(l.a.columnNumbers.Offset(0), l.numbers)
}

// maskRow prepares for the masks of a row: lane i of vector v is column first + v·lanes + i, and seen if, from
// subtracted, it is below to - from, unsigned.
func (l *scoreLoop) maskRow(from, to reg.Register) {
	x, f := l.a.XMM(), l.a.vec()
	l.column, l.see = l.a.vec(), l.a.vec()
	l.a.VPBROADCASTD(mem(from, 0), f)
	l.a.VMOVQ(l.first, x)
	l.a.VPBROADCASTD(x, l.column)
	l.a.VPADDD(l.numbers, l.column, l.column)
	l.a.VPSUBD(f, l.column, l.column)
	l.a.VPBROADCASTD(mem(to, 0), l.see)
	l.a.VPSUBD(f, l.see, l.see)
}

// seen is the mask of the lanes that the row sees, of the next vector.
func (l *scoreLoop) seen() reg.Register {
	if l.a.wide {
		k := l.a.K()
		l.a.VPCMPUD(operand.Imm(1), l.see, l.column, k)
		l.a.VPADDD_BCST(l.a.at(konst(16)), l.column, l.column)
		return k
	}
	before, m := l.a.vec(), l.a.vec()
	l.a.VPSRAD(operand.Imm(31), l.column, before)
	l.a.VPCMPGTD(l.column, l.see, m)
	l.a.VPANDN(m, before, m)
	l.a.VPADDD(l.a.at(konst(8)), l.column, l.column)
	return m
}

// each emits a loop over the rows: pointers move by their step from one to the next.
func (l *scoreLoop) each(body func(), move func()) {
	rows, again := l.field(rowsRows), l.a.label("row")
	l.zeroFrom, l.zeroTo = l.field(rowsZeroFrom), l.field(rowsZeroTo)
	l.a.Label(again)
	l.a.MOVLQSX(mem(l.zeroFrom, 0), l.first)
	l.a.MOVLQSX(mem(l.zeroTo, 0), l.vectors)
	l.a.ANDQ(operand.I32(-64), l.first)
	l.a.SUBQ(l.first, l.vectors)
	body()
	move()
	l.a.ADDQ(operand.Imm(4), l.zeroFrom)
	l.a.ADDQ(operand.Imm(4), l.zeroTo)
	l.a.DECQ(rows)
	l.a.JNZ(operand.LabelRef(again))
}

func (l *scoreLoop) field(off int) reg.GPVirtual {
	r := l.a.GP64()
	l.a.MOVQ(mem(l.t, off), r)
	return r
}

// softmaxRows is the forward pass over scores: largest, exponentials, their sum. Each is a loop of its own over the
// rows, because each ends in a chain of dependent instructions: this way those of many rows run at the same time.
func (a *asm) softmaxRows() {
	l := a.scoreRows("attendRows", "the largest, the exponentials and the sums of rows of scores.")
	l.masks()
	w := a.lanes()
	four := operand.Imm(4)
	p, n := a.GP64(), a.GP64()

	// The largest, m included; what is not seen becomes -Inf.
	row, from, to, m := l.field(rowsS), l.field(rowsFrom), l.field(rowsTo), l.field(rowsM)
	mx, inf, skip, moved, whole := a.vec(), a.load(f32(math.Inf(-1))), a.XMM(), a.vec(), a.GP64()
	l.each(func() {
		l.maskRow(from, to)
		a.VBROADCASTSS(mem(m, 0), mx)
		a.LEAQ(memx(row, l.first, 4, 0), p)
		a.MOVQ(l.vectors, n)
		// A row that begins with the first column sees all of its vectors but the last.
		again, part := a.label("max"), a.label("part")
		a.CMPL(mem(from, 0), l.first.As32())
		a.JNE(operand.LabelRef(again))
		a.MOVLQSX(mem(to, 0), whole)
		a.SUBQ(l.first, whole)
		a.DECQ(whole)
		a.ANDQ(operand.I32(int32(-w)), whole)
		a.JLE(operand.LabelRef(again))
		a.SUBQ(whole, n)
		a.VMOVD(whole.As32(), skip)
		a.VPBROADCASTD(skip, moved)
		a.VPADDD(moved, l.column, l.column)
		a.Label(part)
		a.VMAXPS(mem(p, 0), mx, mx)
		a.ADDQ(operand.U32(uint32(4*w)), p)
		a.SUBQ(operand.U32(uint32(w)), whole)
		a.JG(operand.LabelRef(part))
		a.Label(again)
		k, x := l.seen(), a.vec()
		if a.wide {
			a.VBLENDMPS(mem(p, 0), inf, k, x)
		} else {
			a.VMOVUPS(mem(p, 0), x)
			a.VBLENDVPS(k, x, inf, x)
		}
		a.VMOVUPS(x, mem(p, 0))
		a.VMAXPS(x, mx, mx)
		a.ADDQ(operand.U32(uint32(4*w)), p)
		a.SUBQ(operand.U32(uint32(w)), n)
		a.JG(operand.LabelRef(again))
		q := []vector{mx, mx}
		a.VMOVSS(a.combine16(q, a.VMAXPS), mem(m, 0))
	}, func() {
		a.ADDQ(l.ld, row)
		a.ADDQ(four, from)
		a.ADDQ(four, to)
		a.ADDQ(four, m)
	})

	// The exponentials and their sum, column c going to lane c mod 64; 16 lanes are left.
	row, m = l.field(rowsS), l.field(rowsM)
	lanes := l.field(rowsLanes)
	groups := 64 / w
	acc := a.vecs(groups)
	big := a.vec()
	l.each(func() {
		a.VBROADCASTSS(mem(m, 0), big)
		for _, v := range acc {
			a.zero(v)
		}
		a.LEAQ(memx(row, l.first, 4, 0), p)
		a.MOVQ(l.vectors, n)
		again, done := a.label("exp"), a.label("sum")
		a.Label(again)
		for g := range groups {
			s := a.vec()
			a.VMOVUPS(mem(p, 4*w*g), s)
			e := a.expSmall(a.sub(s, big))
			a.VMOVUPS(e, mem(p, 4*w*g))
			a.VADDPS(e, acc[g], acc[g])
			a.SUBQ(operand.U32(uint32(w)), n)
			if g+1 < groups {
				a.JLE(operand.LabelRef(done))
			}
		}
		a.LEAQ(mem(p, 256), p)
		a.JG(operand.LabelRef(again))
		a.Label(done)
		for i, v := range combine64(acc, a.add) {
			a.VMOVUPS(v, mem(lanes, 4*w*i))
		}
	}, func() {
		a.ADDQ(l.ld, row)
		a.ADDQ(four, m)
		a.ADDQ(operand.U32(64), lanes)
	})

	lanes = l.field(rowsLanes)
	sum, rows, last := l.field(rowsSum), l.field(rowsRows), a.label("last")
	a.Label(last)
	q := a.vecs(16 / w)
	for i, v := range q {
		a.VMOVUPS(mem(lanes, 4*w*i), v)
	}
	a.VMOVSS(a.combine16(q, a.VADDPS), mem(sum, 0))
	a.ADDQ(operand.U32(64), lanes)
	a.ADDQ(four, sum)
	a.DECQ(rows)
	a.JNZ(operand.LabelRef(last))
	a.ret()
}

// softmaxGradRows is the backward pass over scores and over the gradients of the probabilities.
func (a *asm) softmaxGradRows() {
	l := a.scoreRows("attendGradRows", "probabilities from scores, and the gradient of the scores.")
	l.masks()
	w := a.lanes()
	four := operand.Imm(4)
	row, drow := l.field(rowsS), l.field(rowsDS)
	from, to, m, sum := l.field(rowsFrom), l.field(rowsTo), l.field(rowsM), l.field(rowsSum)
	lse, dot := a.vec(), a.vec()
	i, n := a.GP64(), a.GP64()
	l.each(func() {
		l.maskRow(from, to)
		a.VBROADCASTSS(mem(m, 0), lse)
		a.VBROADCASTSS(mem(sum, 0), dot)
		a.MOVQ(l.first, i)
		a.SHLQ(operand.Imm(2), i)
		a.MOVQ(l.vectors, n)
		again := a.label("exp")
		a.Label(again)
		k, s, ds := l.seen(), a.vec(), a.vec()
		a.VMOVUPS(memx(row, i, 1, 0), s)
		e := a.orZero(k, a.expSmall(a.sub(s, lse)))
		a.VMOVUPS(e, memx(row, i, 1, 0))
		a.VMOVUPS(memx(drow, i, 1, 0), ds)
		a.VMOVUPS(a.orZero(k, a.mul(e, a.sub(ds, dot))), memx(drow, i, 1, 0))
		a.ADDQ(operand.U32(uint32(4*w)), i)
		a.SUBQ(operand.U32(uint32(w)), n)
		a.JG(operand.LabelRef(again))
	}, func() {
		a.ADDQ(l.ld, row)
		a.ADDQ(l.ld, drow)
		for _, p := range []reg.GPVirtual{from, to, m, sum} {
			a.ADDQ(four, p)
		}
	})
	a.ret()
}

// scaleRows multiplies each row by a number of its own, on the way from x to dst.
func (a *asm) scaleRows() {
	a.function("scaleRows", "func(dst, x, f *float32, ldd, ldx, rows, cols int)",
		fmt.Sprintf("scaleRows%s sets rows of dst to those of x, each times an element of f; ldd and ldx are bytes.",
			a.suffix()))
	dst, x, f, ldd, ldx, rows, cols := a.GP64(), a.GP64(), a.GP64(), a.GP64(), a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("x"), x)
	a.Load(a.Param("f"), f)
	a.Load(a.Param("ldd"), ldd)
	a.Load(a.Param("ldx"), ldx)
	a.Load(a.Param("rows"), rows)
	a.Load(a.Param("cols"), cols)
	w := a.lanes()
	// The last vector of a row is a part of one, or there is none: a store under a mask takes several times as long.
	last := a.GP64()
	a.MOVQ(cols, last)
	a.ANDQ(operand.I32(int32(-w)), last)
	m := a.GP64()
	a.MOVQ(cols, m)
	a.SUBQ(last, m)
	mask := a.mask(m, 0)
	a.SHLQ(operand.Imm(2), last)
	// A row is part of one that is much longer, and what is beside it will be wanted next: the next head.
	ahead, i := a.GP64(), a.GP64()
	a.LEAQ(memx(cols, cols, 1, 0), ahead)
	a.ADDQ(ahead, ahead)
	a.SHLQ(operand.Imm(2), cols)
	fetch := func() {
		at := a.GP64()
		a.LEAQ(memx(i, ahead, 1, 0), at)
		a.PREFETCHT1(memx(x, at, 1, 0))
	}
	a.Label("row")
	v, y := a.vec(), a.vec()
	a.VBROADCASTSS(mem(f, 0), v)
	a.XORQ(i, i)
	a.CMPQ(i, last)
	a.JGE(operand.LabelRef("tail"))
	a.Label("loop")
	fetch()
	a.VMULPS(memx(x, i, 1, 0), v, y)
	a.VMOVUPS(y, memx(dst, i, 1, 0))
	a.ADDQ(operand.U32(uint32(4*w)), i)
	a.CMPQ(i, last)
	a.JLT(operand.LabelRef("loop"))
	a.CMPQ(i, cols)
	a.JGE(operand.LabelRef("next"))
	a.Label("tail")
	fetch()
	a.maskedLoad(memx(x, i, 1, 0), mask, y)
	a.VMULPS(y, v, y)
	a.maskedStore(y, mask, memx(dst, i, 1, 0))
	a.Label("next")
	a.ADDQ(ldd, dst)
	a.ADDQ(ldx, x)
	a.ADDQ(operand.Imm(4), f)
	a.DECQ(rows)
	a.JNZ(operand.LabelRef("row"))
	a.ret()
}

// dotRows is rowDot for many rows.
func (a *asm) dotRows() {
	a.function("dotRows", "func(dst, x, y *float32, ldx, ldy, rows, n int)",
		fmt.Sprintf("dotRows%s sets dst to the rowDot of rows of x and y, ldx and ldy bytes apart.", a.suffix()))
	dst, x, y, ldx, ldy, rows, n := a.GP64(), a.GP64(), a.GP64(), a.GP64(), a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("x"), x)
	a.Load(a.Param("y"), y)
	a.Load(a.Param("ldx"), ldx)
	a.Load(a.Param("ldy"), ldy)
	a.Load(a.Param("rows"), rows)
	w := a.lanes()
	groups := 64 / w
	row, loop, tail, done := a.label("row"), a.label("loop"), a.label("tail"), a.label("done")
	a.Label(row)
	a.Load(a.Param("n"), n)
	a.PREFETCHT1(memx(y, n, 4, 0))
	r := &reduction{a: a, ptrs: []reg.GPVirtual{a.GP64(), a.GP64()}}
	a.MOVQ(x, r.ptrs[0])
	a.MOVQ(y, r.ptrs[1])
	acc := make([]vector, groups)
	for i := range acc {
		acc[i] = a.zeroVec()
	}
	a.SUBQ(operand.U32(64), n)
	a.JL(operand.LabelRef(tail))
	a.Label(loop)
	for g := range groups {
		r.disp, r.mask = 4*w*g, nil
		v := r.get(0)
		a.VFMADD231PS(mem(r.ptrs[1], r.disp), v, acc[g])
	}
	for _, p := range r.ptrs {
		a.ADDQ(operand.U32(256), p)
	}
	a.SUBQ(operand.U32(64), n)
	a.JGE(operand.LabelRef(loop))
	a.Label(tail)
	a.ADDQ(operand.U32(64), n)
	for g := range groups {
		a.CMPQ(n, operand.U32(uint32(w*g)))
		a.JLE(operand.LabelRef(done))
		r.disp, r.mask = 4*w*g, a.mask(n, w*g)
		a.fma231(acc[g], r.get(0), r.get(1))
	}
	a.Label(done)
	sum := a.combine(acc, a.add, a.VADDPS)
	a.VMOVSS(sum.AsX(), mem(dst, 0))
	a.ADDQ(operand.Imm(4), dst)
	a.ADDQ(ldx, x)
	a.ADDQ(ldy, y)
	a.DECQ(rows)
	a.JNZ(operand.LabelRef(row))
	a.ret()
}

// dispatchRowTiles writes the choice of the assembly of rowTiles.
func dispatchRowTiles(b *bytes.Buffer) {
	for _, wide := range []bool{true, false} {
		a := &asm{wide: wide}
		for _, form := range []string{"N", "T"} {
			fmt.Fprintf(b, "\nfunc (t *rowTiles) run%s%s(rows int) {\n\tswitch rows {\n", form, a.suffix())
			for r := 1; r <= a.maxAttendRows(); r++ {
				fmt.Fprintf(b, "\tcase %d:\n\t\trowTiles%s%d%s(t)\n", r, form, r, a.suffix())
			}
			b.WriteString("\t}\n}\n")
		}
	}
}
