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

// packRows emits the copy of up to a vector of columns of k rows.
func (a *asm) packRows() {
	a.function("packRows", "func(dst, src *float32, ld, k, cols int)",
		"packRows"+a.suffix()+" copies k rows of cols columns, ld bytes apart, to rows of one vector.")
	dst, src, ld, k, cols := a.GP64(), a.GP64(), a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("src"), src)
	a.Load(a.Param("ld"), ld)
	a.Load(a.Param("k"), k)
	a.Load(a.Param("cols"), cols)
	m := a.mask(cols, 0)
	a.Label("loop")
	v := a.vec()
	a.maskedLoad(mem(src, 0), m, v)
	a.VMOVUPS(v, mem(dst, 0))
	a.ADDQ(ld, src)
	a.ADDQ(operand.U32(uint32(4*a.lanes())), dst)
	a.DECQ(k)
	a.JNZ(operand.LabelRef("loop"))
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
