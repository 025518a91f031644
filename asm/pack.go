package asm

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// packPanel emits the copy of up to 32 columns of k rows into a panel, zeros beyond.
func (a *asm) packPanel() {
	a.function("packPanel", "func(dst, src *float32, ld, k, cols int)",
		"packPanel"+a.suffix()+" copies k rows of cols columns, ld bytes apart, into a panel of 32 columns, with "+
			"zeros beyond cols.")
	dst, src, ld, k, cols := a.GP64(), a.GP64(), a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("src"), src)
	a.Load(a.Param("ld"), ld)
	a.Load(a.Param("k"), k)
	a.Load(a.Param("cols"), cols)
	n := 32 / a.lanes()
	m := make([]reg.Register, n)
	for i := range m {
		m[i] = a.mask(cols, i*a.lanes())
	}
	a.CMPQ(cols, operand.Imm(32))
	a.JL(operand.LabelRef("part"))
	v := a.vecs(n)
	full := func() {
		for i := range v {
			a.VMOVUPS(mem(src, 4*a.lanes()*i), v[i])
		}
		for i := range v {
			a.VMOVUPS(v[i], mem(dst, 4*a.lanes()*i))
		}
		a.ADDQ(ld, src)
		a.ADDQ(operand.U32(128), dst)
	}
	a.Label("full")
	full()
	a.DECQ(k)
	a.JNZ(operand.LabelRef("full"))
	a.ret()
	a.Label("part")
	for i := range v {
		a.maskedLoad(mem(src, 4*a.lanes()*i), m[i], v[i])
		a.VMOVUPS(v[i], mem(dst, 4*a.lanes()*i))
	}
	a.ADDQ(ld, src)
	a.ADDQ(operand.U32(128), dst)
	a.DECQ(k)
	a.JNZ(operand.LabelRef("part"))
	a.ret()
}

// packTiles emits the copy of columns for tiles of a height: some rows of all tiles at a time, so that rows are read
// from end to end.
func (a *asm) packTiles() {
	a.function("packTiles", "func(dst, src *float32, ld, k, tiles, height, apart int)",
		"packTiles"+a.suffix()+" copies k rows, ld bytes apart, of tiles times height columns: those of a tile to",
		"rows of one vector, those of the next tile apart bytes behind.")
	dst, src, rows := a.param("dst"), a.param("src"), a.rowsAt(a.param("ld"), 4)
	k, height, apart := a.param("k"), a.param("height"), a.param("apart")
	m := a.mask(height, 0)
	for _, n := range []int{4, 1} {
		loop, end := a.label("rows"), a.label("end")
		a.SUBQ(operand.Imm(uint64(n)), k)
		a.JL(operand.LabelRef(end))
		a.Label(loop)
		from, to, left, tile := a.GP64(), a.GP64(), a.param("tiles"), a.label("tiles")
		a.MOVQ(src, from)
		a.MOVQ(dst, to)
		a.Label(tile)
		for i, v := range a.vecs(n) {
			a.maskedLoad(rows.mem(from, i, 0), m, v)
			a.VMOVUPS(v, mem(to, 4*a.lanes()*i))
		}
		a.LEAQ(memx(from, height, 4, 0), from)
		a.ADDQ(apart, to)
		a.DECQ(left)
		a.JNZ(operand.LabelRef(tile))
		if n == 1 {
			a.ADDQ(rows[1], src)
		} else {
			a.LEAQ(memx(src, rows[1], uint8(n), 0), src)
		}
		a.ADDQ(operand.U32(uint32(4*a.lanes()*n)), dst)
		a.SUBQ(operand.Imm(uint64(n)), k)
		a.JGE(operand.LabelRef(loop))
		a.Label(end)
		a.ADDQ(operand.Imm(uint64(n)), k)
	}
	a.ret()
}

// lanes4 emits the transposition of each lane of 128 bits of four vectors.
func (a *asm) lanes4(r []reg.VecVirtual) []reg.VecVirtual {
	op2 := func(f func(ops ...operand.Op), x, y reg.VecVirtual) reg.VecVirtual {
		v := a.vec()
		f(y, x, v)
		return v
	}
	t0, t1 := op2(a.VUNPCKLPS, r[0], r[1]), op2(a.VUNPCKHPS, r[0], r[1])
	t2, t3 := op2(a.VUNPCKLPS, r[2], r[3]), op2(a.VUNPCKHPS, r[2], r[3])
	return []reg.VecVirtual{
		op2(a.VUNPCKLPD, t0, t2), op2(a.VUNPCKHPD, t0, t2), op2(a.VUNPCKLPD, t1, t3), op2(a.VUNPCKHPD, t1, t3),
	}
}

// mask emits the mask of a vector that begins at lane from, when the first n lanes count: n may be anything.
func (a *asm) mask(n reg.Register, from int) reg.Register {
	x, bound := a.GP64(), a.GP64()
	a.MOVQ(n, x)
	if from > 0 {
		a.SUBQ(operand.U32(uint32(from)), x)
	}
	a.XORQ(bound, bound)
	a.CMPQ(x, bound)
	a.CMOVQLT(bound, x)
	lim := a.GP64()
	a.MOVQ(operand.U32(uint32(a.lanes())), lim)
	a.CMPQ(x, lim)
	a.CMOVQGT(lim, x)
	if a.wide {
		ones, k := a.GP64(), a.K()
		a.MOVQ(operand.I32(-1), ones)
		a.BZHIQ(x, ones, ones)
		a.KMOVW(ones.As32(), k)
		return k
	}
	base, v := a.GP64(), a.YMM()
	a.LEAQ(a.laneMasks.Offset(32), base)
	a.NEGQ(x)
	a.VMOVDQU(memx(base, x, 4, 0), v)
	return v
}
