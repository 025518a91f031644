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

// packTranspose emits the copy of lanes rows of k elements into lanes columns of a panel.
func (a *asm) packTranspose() {
	w := a.lanes()
	a.function("packTranspose", "func(dst, src *float32, ld, k int)",
		"packTranspose"+a.suffix()+" copies one vector of rows of k elements, ld bytes apart, into as many columns "+
			"of a panel of 32.")
	dst, src, ld, k := a.GP64(), a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("src"), src)
	a.Load(a.Param("ld"), ld)
	a.Load(a.Param("k"), k)
	rows := []reg.GPVirtual{src}
	for i := 3; i < w; i += 3 {
		p := a.GP64()
		a.LEAQ(memx(rows[len(rows)-1], ld, 2, 0), p)
		a.ADDQ(ld, p)
		rows = append(rows, p)
	}
	addr := func(r int) operand.Mem {
		switch r % 3 {
		case 1:
			return memx(rows[r/3], ld, 1, 0)
		case 2:
			return memx(rows[r/3], ld, 2, 0)
		}
		return mem(rows[r/3], 0)
	}
	v := a.vecs(w)
	a.CMPQ(k, operand.Imm(uint64(w)))
	a.JL(operand.LabelRef("part"))
	a.Label("loop")
	for k := 0; k < w; k += 4 {
		// Four columns: register j holds those of rows j, j+4, ..., one row a lane of 128 bits, and lanes are
		// transposed.
		for j := range 4 {
			at := func(r int) operand.Mem {
				m := addr(r)
				m.Disp += 4 * k
				return m
			}
			if a.wide {
				a.VBROADCASTF32X4(at(j), v[j])
				for l := 1; l < 4; l++ {
					a.VINSERTF32X4(operand.Imm(uint64(l)), at(j+4*l), v[j], v[j])
				}
			} else {
				a.VBROADCASTF128(at(j), v[j])
				a.VINSERTF128(operand.Imm(1), at(j+4), v[j], v[j])
			}
		}
		for i, x := range a.lanes4(v[:4]) {
			a.VMOVUPS(x, mem(dst, 128*(k+i)))
		}
	}
	for _, p := range rows {
		a.ADDQ(operand.Imm(uint64(4*w)), p)
	}
	a.ADDQ(operand.U32(uint32(128*w)), dst)
	a.SUBQ(operand.Imm(uint64(w)), k)
	a.CMPQ(k, operand.Imm(uint64(w)))
	a.JGE(operand.LabelRef("loop"))
	a.Label("part")
	a.TESTQ(k, k)
	a.JZ(operand.LabelRef("done"))
	m := a.mask(k, 0)
	for i := range v {
		v[i] = a.vec()
		a.maskedLoad(addr(i), m, v[i])
	}
	for _, x := range a.transpose(v) {
		a.VMOVUPS(x, mem(dst, 0))
		a.ADDQ(operand.U32(128), dst)
		a.DECQ(k)
		a.JZ(operand.LabelRef("done"))
	}
	a.Label("done")
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

// transpose emits the transposition of a square of vectors.
func (a *asm) transpose(r []reg.VecVirtual) []reg.VecVirtual {
	n := len(r)
	s := make([]reg.VecVirtual, 0, n)
	for i := 0; i < n; i += 4 {
		s = append(s, a.lanes4(r[i:i+4])...)
	}
	t := make([]reg.VecVirtual, n)
	out := make([]reg.VecVirtual, n)
	if !a.wide {
		for i := range 4 {
			lo, hi := a.vec(), a.vec()
			a.VPERM2F128(operand.Imm(0x20), s[i+4], s[i], lo)
			a.VPERM2F128(operand.Imm(0x31), s[i+4], s[i], hi)
			out[i], out[i+4] = lo, hi
		}
		return out
	}
	shuf := func(imm uint64, x, y reg.VecVirtual) reg.VecVirtual {
		v := a.vec()
		a.VSHUFF32X4(operand.Imm(imm), y, x, v)
		return v
	}
	for i := range 4 {
		t[i], t[4+i] = shuf(0x88, s[i], s[4+i]), shuf(0xdd, s[i], s[4+i])
		t[8+i], t[12+i] = shuf(0x88, s[8+i], s[12+i]), shuf(0xdd, s[8+i], s[12+i])
	}
	for i := range 4 {
		out[i], out[8+i] = shuf(0x88, t[i], t[8+i]), shuf(0xdd, t[i], t[8+i])
		out[4+i], out[12+i] = shuf(0x88, t[4+i], t[12+i]), shuf(0xdd, t[4+i], t[12+i])
	}
	return out
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
