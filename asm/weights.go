package asm

import (
	"fmt"
	"io"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets into the Go struct panelTile.
const (
	panelA = 8 * iota
	panelB
	panelC
	panelScales
	panelLda
	panelLdc
	panelN
	panelNext
)

// Layouts of package weights, and of a quantised block of a row: its values, its scale, and what sums start from.
const (
	scaleBytes   = 64
	blockBytesQ8 = scaleBytes + 1024
	blockBytesQ4 = scaleBytes + 512
	rowBlock     = 40
	rowScale     = 32
	rowStart     = 36
)

// ahead is how far in front of what is read memory is fetched, in bytes.
const ahead = 8 << 10

// panelShapes are the tiles of rows and vectors across that a kind of weights has at a width: the tallest for each
// number of vectors. A panel is two vectors at AVX-512 and four at AVX2.
var panelShapes = []struct {
	kind   string
	wide   bool
	across int
	rows   int
}{
	{"F32", true, 4, 3}, {"F32", true, 2, 12}, {"F32", false, 8, 1}, {"F32", false, 4, 2}, {"F32", false, 2, 5},
	{"BF16", true, 4, 3}, {"BF16", true, 2, 12}, {"BF16", false, 8, 1}, {"BF16", false, 4, 2}, {"BF16", false, 2, 5},
	{"Q8", true, 2, 6}, {"Q8", false, 4, 2}, {"Q8", false, 2, 4},
	{"Q4", true, 2, 6}, {"Q4Shuffled", true, 2, 6}, {"Q4", false, 4, 2}, {"Q4", false, 2, 4},
}

func emitWeights(ctx *file) {
	codes := codeTable(ctx)
	for _, s := range panelShapes {
		a := &asm{Context: ctx.Context, file: ctx, wide: s.wide}
		for r := 1; r <= s.rows; r++ {
			switch {
			case s.kind == "F32" || s.kind == "BF16":
				a.floatPanels(s.kind, r, s.across)
			case s.wide:
				a.quantizedPanel(s.kind, r, codes)
			default:
				a.quantizedPanelAVX2(s.kind, r, s.across, codes)
			}
		}
	}
	(&asm{Context: ctx.Context, file: ctx}).quantizeBlocks()
}

// dispatchWeights writes the choice of a kernel of a kind of weights by width and shape.
func dispatchWeights(b io.Writer) {
	for _, kind := range []string{"F32", "BF16", "Q8", "Q4", "Q4Shuffled"} {
		for _, wide := range []bool{true, false} {
			if kind == "Q4Shuffled" && !wide {
				continue
			}
			suffix := (&asm{wide: wide}).suffix()
			fmt.Fprintf(b, "\nfunc (t *panelTile) run%s%s(rows, across int) {\n", kind, suffix)
			fmt.Fprintf(b, "\tswitch rows<<4 | across {\n")
			for _, s := range panelShapes {
				for r := 1; r <= s.rows && s.kind == kind && s.wide == wide; r++ {
					fmt.Fprintf(b, "\tcase %d<<4 | %d:\n", r, s.across)
					fmt.Fprintf(b, "\t\tpanel%s%dx%d%s(t)\n", kind, r, s.across, suffix)
				}
			}
			fmt.Fprint(b, "\tdefault:\n\t\tpanic(\"kernel: no such tile\")\n\t}\n}\n")
		}
	}
}

// codeTable is the values of the codes of Q4 plus 64, four times.
func codeTable(ctx *file) operand.Mem {
	t := ctx.Context.StaticGlobal("weightCodes")
	ctx.Context.DataAttributes(attr.RODATA | attr.NOPTR)
	for range 4 {
		for _, c := range []int{-64, -49, -38, -30, -22, -16, -10, -4, 1, 6, 12, 18, 24, 32, 43, 60} {
			ctx.Context.AppendDatum(operand.U8(uint8(c + 64)))
		}
	}
	return t
}

// panelRows are the rows of a that a kernel reads.
type panelRows struct {
	addr func(r, disp int) operand.Mem // disp bytes behind where row r is read
	step func(n int)                   // go on by n bytes
}

// panel begins a kernel. It returns what loads a field of its argument, and the rows of a.
func (a *asm) panel(kind string, rows, across int) (load func(off int) reg.GPVirtual, x panelRows) {
	name := fmt.Sprintf("panel%s%dx%d", kind, rows, across)
	a.function(name, "func(t *panelTile)",
		fmt.Sprintf("%s%s adds %d rows times %d columns of %s weights to c, see panelTile.",
			name, a.suffix(), rows, across*a.lanes(), kind))
	t := a.GP64()
	a.Load(a.Param("t"), t)
	load = func(off int) reg.GPVirtual {
		r := a.GP64()
		a.MOVQ(mem(t, off), r)
		return r
	}
	pa, lda := load(panelA), load(panelLda)
	base := []reg.Register{pa}
	for r := 3; r < rows; r += 3 {
		p := a.GP64()
		a.LEAQ(memx(base[len(base)-1], lda, 2, 0), p)
		a.ADDQ(lda, p)
		base = append(base, p)
	}
	x.addr = func(r, disp int) operand.Mem {
		if r%3 == 0 {
			return mem(base[r/3], disp)
		}
		return memx(base[r/3], lda, uint8(r%3), disp)
	}
	x.step = func(n int) {
		for _, p := range base {
			a.ADDQ(operand.Imm(uint64(n)), p)
		}
	}
	return load, x
}

// rowsOf calls f for each row of c, with its address.
func (a *asm) rowsOf(pc, ldc reg.GPVirtual, rows int, f func(r int, p reg.GPVirtual)) {
	p := a.GP64()
	a.MOVQ(pc, p)
	for r := range rows {
		f(r, p)
		if r < rows-1 {
			a.ADDQ(ldc, p)
		}
	}
}

// floatPanels emits the product with panels of float32 or bf16: every step of k is added to sums that stay in
// registers.
func (a *asm) floatPanels(kind string, rows, across int) {
	load, left := a.panel(kind, rows, across)
	pb, pc, ldc, n := load(panelB), load(panelC), load(panelLdc), load(panelN)
	bytes := 4 * a.lanes()
	half := kind == "BF16"
	perPanel := 128 / bytes // vectors of a panel of float32
	stepBytes := 128
	if half {
		stepBytes = 64
	}
	// Vector v of the columns: its panel, and the place in the row of c. The vectors of bf16 come in pairs from one
	// load.
	panels := max(1, across/perPanel)
	pbs := []reg.GPVirtual{pb}
	if panels == 2 {
		next := load(panelNext)
		a.ADDQ(pb, next)
		pbs = append(pbs, next)
	}
	column := func(v int) int {
		i := v % perPanel
		at := v / perPanel * 128
		if half {
			return at + i%2*64 + i/2*bytes
		}
		return at + i*bytes
	}
	acc := make([][]reg.VecVirtual, rows)
	for r := range acc {
		acc[r] = a.vecs(across)
	}
	a.rowsOf(pc, ldc, rows, func(r int, p reg.GPVirtual) {
		for v, x := range acc[r] {
			a.VMOVUPS(mem(p, column(v)), x)
		}
	})
	var high reg.VecVirtual
	if half {
		high = a.constant(0xffff0000)
	}
	w := a.vecs(min(across, perPanel))
	x := [2]reg.VecVirtual{a.vec(), a.vec()}
	step := func(i int) {
		for p, pb := range pbs {
			for v := range w {
				switch {
				case !half:
					a.VMOVUPS(mem(pb, stepBytes*i+bytes*v), w[v])
				case v%2 == 0:
					a.VMOVUPS(mem(pb, stepBytes*i+bytes*v/2), w[v+1])
					a.VPSLLD(operand.Imm(16), w[v+1], w[v])
					a.andTo(high, w[v+1], w[v+1])
				}
			}
			for d := 0; d < stepBytes; d += 64 {
				a.PREFETCHT0(mem(pb, ahead+stepBytes*i+d))
			}
			for r := range acc {
				if p == 0 || rows > 1 {
					a.VBROADCASTSS(left.addr(r, 4*i), x[r%2])
				}
				for v := range w {
					a.VFMADD231PS(w[v], x[r%2], acc[r][p*len(w)+v])
				}
			}
		}
	}
	const unroll = 4
	loop, tail, tailLoop, done := a.label("loop"), a.label("tail"), a.label("tailloop"), a.label("done")
	advance := func(n int) {
		for _, pb := range pbs {
			a.ADDQ(operand.U32(uint32(stepBytes*n)), pb)
		}
		left.step(4 * n)
	}
	a.SUBQ(operand.Imm(unroll), n)
	a.JL(operand.LabelRef(tail))
	a.align(64)
	a.Label(loop)
	for i := range unroll {
		step(i)
	}
	advance(unroll)
	a.SUBQ(operand.Imm(unroll), n)
	a.JGE(operand.LabelRef(loop))
	a.Label(tail)
	a.ADDQ(operand.Imm(unroll), n)
	a.JZ(operand.LabelRef(done))
	a.Label(tailLoop)
	step(0)
	advance(1)
	a.DECQ(n)
	a.JNZ(operand.LabelRef(tailLoop))
	a.Label(done)
	a.rowsOf(pc, ldc, rows, func(r int, p reg.GPVirtual) {
		for v, x := range acc[r] {
			a.VMOVUPS(x, mem(p, column(v)))
		}
	})
	a.ret()
}

// constant is a vector of 32-bit words v.
func (a *asm) constant(v uint32) reg.VecVirtual {
	bits, x := a.GP32(), a.vec()
	a.MOVL(operand.U32(v), bits)
	if a.wide {
		a.VPBROADCASTD(bits, x)
		return x
	}
	first := a.XMM()
	a.VMOVD(bits, first)
	a.VPBROADCASTD(first, x)
	return x
}

func (a *asm) andTo(x, y, to reg.VecVirtual) {
	if a.wide {
		a.VPANDD(x, y, to)
	} else {
		a.VPAND(x, y, to)
	}
}

// quantizedPanel emits the product with a panel of Q8 or Q4 for processors with VNNI. Weights are unsigned, as they
// are stored or as the table of codes has them: what the constant that they are too large by adds to a sum, the sum
// starts without. A code of Q4 is looked up by VPERMB, which reads the lower six bits of a byte: the table has every
// code four times, so that what stands above the code need not be cleared. Q4Shuffled is for processors that have no
// VPERMB.
func (a *asm) quantizedPanel(kind string, rows int, codes operand.Mem) {
	load, left := a.panel(kind, rows, 2)
	pb, pc, ldc, n := load(panelB), load(panelC), load(panelLdc), load(panelN)
	sums, dots := make([][]reg.VecVirtual, rows), make([][]reg.VecVirtual, rows)
	for r := range rows {
		sums[r], dots[r] = a.vecs(2), a.vecs(2)
	}
	a.rowsOf(pc, ldc, rows, func(r int, p reg.GPVirtual) {
		for v, x := range sums[r] {
			a.VMOVUPS(mem(p, 64*v), x)
		}
	})
	var table, low reg.VecVirtual
	shuffled := kind == "Q4Shuffled"
	if kind != "Q8" {
		table = a.vec()
		a.VMOVUPS(codes, table)
		if shuffled {
			low = a.constant(0x0f0f0f0f)
		}
	}
	loop := a.label("loop")
	a.align(64)
	a.Label(loop)
	for r := range dots {
		for _, d := range dots[r] {
			a.VPBROADCASTD(left.addr(r, rowStart), d)
		}
	}
	a.PREFETCHT0(mem(pb, ahead))
	size := blockBytesQ8
	if kind == "Q8" {
		for g := range 8 {
			w := a.vecs(2)
			for v := range w {
				a.VMOVDQU32(mem(pb, scaleBytes+128*g+64*v), w[v])
				a.PREFETCHT0(mem(pb, ahead+scaleBytes+128*g+64*v))
			}
			for r := range dots {
				x := a.vec()
				a.VPBROADCASTD(left.addr(r, 4*g), x)
				for v := range w {
					a.VPDPBUSD(x, w[v], dots[r][v])
				}
			}
		}
	} else {
		size = blockBytesQ4
		for p := range 4 {
			var w [2][]reg.VecVirtual // of the low and of the high halves
			for v := range 2 {
				lo, hi := a.vec(), a.vec()
				a.VMOVDQU32(mem(pb, scaleBytes+128*p+64*v), lo)
				a.PREFETCHT0(mem(pb, ahead+scaleBytes+128*p+64*v))
				a.VPSRLW(operand.Imm(4), lo, hi)
				for _, x := range []reg.VecVirtual{lo, hi} {
					if shuffled {
						a.VPANDD(low, x, x)
						a.VPSHUFB(x, table, x)
					} else {
						a.VPERMB(table, x, x)
					}
				}
				w[0], w[1] = append(w[0], lo), append(w[1], hi)
			}
			for r := range dots {
				for i := range w {
					x := a.vec()
					a.VPBROADCASTD(left.addr(r, 8*p+4*i), x)
					for v, y := range w[i] {
						a.VPDPBUSD(x, y, dots[r][v])
					}
				}
			}
		}
	}
	for v := range 2 {
		s := a.vec()
		a.VPMOVZXWD(mem(pb, 32*v), s)
		a.VPSLLD(operand.Imm(16), s, s)
		for r := range dots {
			f := a.vec()
			a.VMULPS_BCST(left.addr(r, rowScale), s, f)
			a.VCVTDQ2PS(dots[r][v], dots[r][v])
			a.VFMADD231PS(f, dots[r][v], sums[r][v])
		}
	}
	a.ADDQ(operand.U32(uint32(size)), pb)
	left.step(rowBlock)
	a.DECQ(n)
	a.JNZ(operand.LabelRef(loop))
	a.rowsOf(pc, ldc, rows, func(r int, p reg.GPVirtual) {
		for v, x := range sums[r] {
			a.VMOVUPS(x, mem(p, 64*v))
		}
	})
	a.ret()
}

// quantizedPanelAVX2 emits the same without VNNI. VPMADDUBSW takes an unsigned and a signed operand and saturates at
// 16 bits, which two products of 127·128 do not reach: for Q8 the weights' signs go to the activations.
func (a *asm) quantizedPanelAVX2(kind string, rows, across int, codes operand.Mem) {
	load, left := a.panel(kind, rows, across)
	pb, ps, pc, ldc, n := load(panelB), load(panelScales), load(panelC), load(panelLdc), load(panelN)
	dots := make([][]reg.VecVirtual, rows)
	for r := range dots {
		dots[r] = a.vecs(across)
	}
	ones := a.constant(0x00010001)
	var table, low, offset reg.VecVirtual
	if kind == "Q4" {
		table, low = a.vec(), a.constant(0x0f0f0f0f)
		a.VMOVDQU(codes, table)
	} else {
		offset = a.constant(0x80808080)
	}
	loop := a.label("loop")
	a.align(64)
	a.Label(loop)
	for r := range dots {
		for _, d := range dots[r] {
			a.VPBROADCASTD(left.addr(r, rowStart), d)
		}
	}
	x := a.vec()
	size := blockBytesQ8
	if kind == "Q8" {
		for g := range 8 {
			for v := range across {
				w, abs := a.vec(), a.vec()
				a.VMOVDQU(mem(pb, 128*g+32*v), w)
				if v%2 == 0 {
					a.PREFETCHT0(mem(pb, ahead+128*g+32*v))
				}
				a.VPXOR(offset, w, w)
				a.VPABSB(w, abs)
				for r := range dots {
					a.VPBROADCASTD(left.addr(r, 4*g), x)
					a.VPSIGNB(w, x, x)
					a.VPMADDUBSW(x, abs, x)
					a.VPMADDWD(ones, x, x)
					a.VPADDD(x, dots[r][v], dots[r][v])
				}
			}
		}
	} else {
		size = blockBytesQ4
		for p := range 4 {
			for v := range across {
				lo, hi := a.vec(), a.vec()
				a.VMOVDQU(mem(pb, 128*p+32*v), lo)
				if v%2 == 0 {
					a.PREFETCHT0(mem(pb, ahead+128*p+32*v))
				}
				a.VPSRLW(operand.Imm(4), lo, hi)
				a.VPAND(low, lo, lo)
				a.VPAND(low, hi, hi)
				a.VPSHUFB(lo, table, lo)
				a.VPSHUFB(hi, table, hi)
				for r := range dots {
					for i, w := range []reg.VecVirtual{lo, hi} {
						a.VPBROADCASTD(left.addr(r, 8*p+4*i), x)
						a.VPMADDUBSW(x, w, x)
						a.VPMADDWD(ones, x, x)
						a.VPADDD(x, dots[r][v], dots[r][v])
					}
				}
			}
		}
	}
	for v := range across {
		s := a.vec()
		a.VPMOVZXWD(mem(ps, 16*v), s)
		a.VPSLLD(operand.Imm(16), s, s)
		a.rowsOf(pc, ldc, rows, func(r int, p reg.GPVirtual) {
			a.VBROADCASTSS(left.addr(r, rowScale), x)
			a.VMULPS(s, x, x)
			a.VCVTDQ2PS(dots[r][v], dots[r][v])
			sum := a.vec()
			a.VMOVUPS(mem(p, 32*v), sum)
			a.VFMADD231PS(x, dots[r][v], sum)
			a.VMOVUPS(sum, mem(p, 32*v))
		})
	}
	a.ADDQ(operand.U32(uint32(size)), pb)
	a.ADDQ(operand.U32(uint32(size)), ps)
	left.step(rowBlock)
	a.DECQ(n)
	a.JNZ(operand.LabelRef(loop))
	a.ret()
}

// quantizeBlocks emits the quantisation of blocks of 32 activations. It is bound by latencies, so that AVX2 serves
// AVX-512 as well.
func (a *asm) quantizeBlocks() {
	a.function("quantizeBlocks", "func(dst *actBlock, x *float32, blocks, offset, least int)",
		"quantizeBlocksAVX2 quantises whole blocks as quantizeBlocksGeneric does; least is leastActivation.")
	dst, src, blocks, offset, least := a.GP64(), a.GP64(), a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("x"), src)
	a.Load(a.Param("blocks"), blocks)
	a.Load(a.Param("offset"), offset)
	a.Load(a.Param("least"), least)
	abs, order := a.constant(0x7fffffff), a.YMM()
	// 0, 4, 1, 5, 2, 6, 3, 7 undoes what packing does to the order.
	bits := a.GP64()
	a.MOVQ(operand.U64(0x0703060205010400), bits)
	a.VMOVQ(bits, order.AsX())
	a.VPMOVZXBD(order.AsX(), order)
	top := a.XMM()
	number := a.GP32()
	a.MOVL(operand.U32(math.Float32bits(127)), number)
	a.VMOVD(number, top)

	loop, whole, nan, next := a.label("loop"), a.label("whole"), a.label("nan"), a.label("next")
	a.Label(loop)
	x := a.vecs(4)
	m, t := a.YMM(), a.YMM()
	for i := range x {
		a.VMOVUPS(mem(src, 32*i), x[i])
		if i == 0 {
			a.VPAND(abs, x[i], m)
			continue
		}
		a.VPAND(abs, x[i], t)
		a.VPMAXUD(t, m, m)
	}
	fold := func(f func(ops ...operand.Op), v reg.VecVirtual) {
		t, v128 := a.XMM(), v.AsX()
		a.VEXTRACTI128(operand.Imm(1), v, t)
		f(t, v128, v128)
		a.VPSHUFD(operand.Imm(0x4e), v128, t)
		f(t, v128, v128)
		a.VPSHUFD(operand.Imm(0xb1), v128, t)
		f(t, v128, v128)
	}
	fold(a.VPMAXUD, m)
	most := a.GP32()
	a.VMOVD(m.AsX(), most)
	a.CMPL(most, operand.U32(0xff<<23))
	a.JAE(operand.LabelRef(nan))
	a.CMPL(most, least.As32())
	a.JAE(operand.LabelRef(whole))
	zero := a.YMM()
	a.VPXOR(zero, zero, zero)
	a.VMOVDQU(zero, mem(dst, 0))
	a.MOVQ(operand.I32(0), mem(dst, rowScale))
	a.JMP(operand.LabelRef(next))
	a.Label(nan)
	zero = a.YMM()
	a.VPXOR(zero, zero, zero)
	a.VMOVDQU(zero, mem(dst, 0))
	a.MOVL(operand.U32(0x7fc00000), number)
	a.MOVQ(number.As64(), mem(dst, rowScale))
	a.JMP(operand.LabelRef(next))
	a.Label(whole)
	scale, inv := a.XMM(), a.XMM()
	a.VDIVSS(top, m.AsX(), scale)
	a.VMOVSS(scale, mem(dst, rowScale))
	a.VDIVSS(m.AsX(), top, inv)
	factor := a.YMM()
	a.VBROADCASTSS(inv, factor)
	for i := range x {
		a.VMULPS(factor, x[i], x[i])
		a.VCVTPS2DQ(x[i], x[i])
		if i == 0 {
			a.VMOVDQA(x[0], t)
		} else {
			a.VPADDD(x[i], t, t)
		}
	}
	a.VPACKSSDW(x[1], x[0], x[0])
	a.VPACKSSDW(x[3], x[2], x[2])
	a.VPACKSSWB(x[2], x[0], x[0])
	a.VPERMD(x[0], order, x[0])
	a.VMOVDQU(x[0], mem(dst, 0))
	fold(a.VPADDD, t)
	sum := a.GP32()
	a.VMOVD(t.AsX(), sum)
	a.IMULL(offset.As32(), sum)
	a.NEGL(sum)
	a.MOVL(sum, mem(dst, rowStart))
	a.Label(next)
	a.ADDQ(operand.U32(128), src)
	a.ADDQ(operand.Imm(rowBlock), dst)
	a.DECQ(blocks)
	a.JNZ(operand.LabelRef(loop))
	a.ret()
}
