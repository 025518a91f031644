package asm

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// emitPeak emits the loops that measure what the machine can do.
func emitPeak(ctx *file) {
	for _, wide := range []bool{true, false} {
		a := &asm{Context: ctx.Context, file: ctx, wide: wide}
		a.peakFMA()
		a.read()
		a.copy()
		a.write()
	}
}

// fmaChains is the number of independent sums of the peak loop, more than latency times throughput asks for.
func (a *asm) fmaChains() int {
	if a.wide {
		return 24
	}
	return 12
}

func (a *asm) peakFMA() {
	a.function("peakFMA", "func(n int)",
		"peakFMA"+a.suffix()+" does n rounds of independent fused multiply-adds on registers.")
	n := a.GP64()
	a.Load(a.Param("n"), n)
	acc := a.vecs(a.fmaChains())
	for _, v := range acc {
		a.zero(v)
	}
	x, y := a.vec(), a.vec()
	a.zero(x)
	a.zero(y)
	a.align(64)
	a.Label("loop")
	for range 4 {
		for _, v := range acc {
			a.VFMADD231PS(x, y, v)
		}
	}
	a.DECQ(n)
	a.JNZ(operand.LabelRef("loop"))
	a.ret()
}

// walk emits a loop over n bytes, a multiple of 1024, from each of ptrs.
func (a *asm) walk(n reg.GPVirtual, ptrs []reg.GPVirtual, body func(off int)) {
	size := 4 * a.lanes()
	a.align(64)
	a.Label("loop")
	for off := 0; off < 1024; off += size {
		body(off)
	}
	for _, p := range ptrs {
		a.ADDQ(operand.U32(1024), p)
	}
	a.SUBQ(operand.U32(1024), n)
	a.JNZ(operand.LabelRef("loop"))
	a.ret()
}

func (a *asm) read() {
	a.function("read", "func(src *byte, n int)", "read"+a.suffix()+" loads n bytes, a multiple of 1024.")
	p, n := a.GP64(), a.GP64()
	a.Load(a.Param("src"), p)
	a.Load(a.Param("n"), n)
	acc := a.vecs(4)
	for _, v := range acc {
		a.zero(v)
	}
	i := 0
	a.walk(n, []reg.GPVirtual{p}, func(off int) {
		a.VORPS(mem(p, off), acc[i%4], acc[i%4])
		i++
	})
}

func (a *asm) copy() {
	a.function("copy", "func(dst, src *byte, n int)",
		"copy"+a.suffix()+" copies n bytes, a multiple of 1024, with ordinary stores.")
	d, s, n := a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), d)
	a.Load(a.Param("src"), s)
	a.Load(a.Param("n"), n)
	v := a.vecs(4)
	i := 0
	a.walk(n, []reg.GPVirtual{d, s}, func(off int) {
		a.VMOVUPS(mem(s, off), v[i%4])
		a.VMOVUPS(v[i%4], mem(d, off))
		i++
	})
}

func (a *asm) write() {
	a.function("write", "func(dst *byte, n int)",
		"write"+a.suffix()+" clears n bytes, a multiple of 1024, with ordinary stores.")
	d, n := a.GP64(), a.GP64()
	a.Load(a.Param("dst"), d)
	a.Load(a.Param("n"), n)
	v := a.vec()
	a.zero(v)
	a.walk(n, []reg.GPVirtual{d}, func(off int) { a.VMOVUPS(v, mem(d, off)) })
}
