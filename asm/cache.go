package asm

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// cacheBlock is the number of features that share a scale in package cache.
const cacheBlock = 32

func emitCache(ctx *file) {
	for _, wide := range []bool{true, false} {
		a := &asm{Context: ctx.Context, file: ctx, wide: wide}
		a.widenHalves()
		a.widenBlocks()
	}
	(&asm{Context: ctx.Context, file: ctx}).narrow()
}

// widenHalves emits what makes float32 of bf16.
func (a *asm) widenHalves() {
	a.function("widenHalves", "func(dst *float32, x *uint16, n int)",
		fmt.Sprintf("widenHalves%s is widenHalvesGeneric of n elements, a multiple of 16 and not 0.", a.suffix()))
	dst, x, n := a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("x"), x)
	a.Load(a.Param("n"), n)
	loop := a.label("loop")
	a.Label(loop)
	for i := 0; i < 16; i += a.lanes() {
		v := a.vec()
		a.VPMOVZXWD(mem(x, 2*i), v)
		a.VPSLLD(operand.Imm(16), v, v)
		a.VMOVUPS(v, mem(dst, 4*i))
	}
	a.ADDQ(operand.Imm(64), dst)
	a.ADDQ(operand.Imm(32), x)
	a.SUBQ(operand.Imm(16), n)
	a.JNZ(operand.LabelRef(loop))
	a.ret()
}

// widenBlocks emits what multiplies blocks of numbers by their scales.
func (a *asm) widenBlocks() {
	a.function("widenBlocks", "func(dst *float32, x *int8, scales *float32, blocks int)",
		fmt.Sprintf("widenBlocks%s is widenBlocksGeneric of blocks of 32 numbers, at least one.", a.suffix()))
	dst, x, scales, n := a.GP64(), a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("x"), x)
	a.Load(a.Param("scales"), scales)
	a.Load(a.Param("blocks"), n)
	loop := a.label("loop")
	a.Label(loop)
	s := a.vec()
	a.VBROADCASTSS(mem(scales, 0), s)
	for i := 0; i < cacheBlock; i += a.lanes() {
		v := a.vec()
		a.VPMOVSXBD(mem(x, i), v)
		a.VCVTDQ2PS(v, v)
		a.VMULPS(s, v, v)
		a.VMOVUPS(v, mem(dst, 4*i))
	}
	a.ADDQ(operand.U32(4*cacheBlock), dst)
	a.ADDQ(operand.Imm(cacheBlock), x)
	a.ADDQ(operand.Imm(4), scales)
	a.DECQ(n)
	a.JNZ(operand.LabelRef(loop))
	a.ret()
}

// narrow emits what rounds numbers to bf16. So little is written to a cache at a time that AVX2 serves AVX-512 as well.
func (a *asm) narrow() {
	a.function("narrow", "func(dst *uint16, x *float32, n int)",
		"narrowAVX2 is narrowGeneric of n elements, a multiple of 16 and not 0.")
	dst, x, n := a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("x"), x)
	a.Load(a.Param("n"), n)
	half, one, quiet := a.constant(0x7fff), a.constant(1), a.constant(0x40)
	loop := a.label("loop")
	a.Label(loop)
	var v [2]reg.VecVirtual
	for i := range v {
		f, top, nan := a.vec(), a.vec(), a.vec()
		v[i] = a.vec()
		a.VMOVUPS(mem(x, 32*i), f)
		a.VCMPPS(operand.Imm(3), f, f, nan) // unordered
		a.VPSRLD(operand.Imm(16), f, top)
		a.VPAND(one, top, v[i])
		a.VPADDD(half, v[i], v[i])
		a.VPADDD(f, v[i], v[i])
		a.VPSRLD(operand.Imm(16), v[i], v[i])
		a.VPOR(quiet, top, top)
		a.VPBLENDVB(nan, top, v[i], v[i])
	}
	a.VPACKUSDW(v[1], v[0], v[0])
	a.VPERMQ(operand.Imm(0xd8), v[0], v[0])
	a.VMOVDQU(v[0], mem(dst, 0))
	a.ADDQ(operand.Imm(64), x)
	a.ADDQ(operand.Imm(32), dst)
	a.SUBQ(operand.Imm(16), n)
	a.JNZ(operand.LabelRef(loop))
	a.ret()
}
