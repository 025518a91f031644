package asm

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// laneNumbers is 0, 2, ..., 14 and 1, 3, ..., 15 as 64-bit words.
func laneNumbers(ctx *file) {
	ctx.Context.StaticGlobal("laneNumbers")
	ctx.Context.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, first := range []uint64{0, 1} {
		for i := range uint64(8) {
			ctx.Context.AppendDatum(operand.U64(first + 2*i))
		}
	}
}

func laneNumber(byte int) operand.Mem {
	return operand.Mem{Symbol: operand.Symbol{Name: "laneNumbers", Static: true}, Base: reg.StaticBase, Disp: byte}
}

// philox emits Philox4x32-10 for one vector of counters: those of lanes first, first+1, ... of a group of 16 that
// begins at counter. The even and the odd lanes are worked on apart, as 64-bit lanes whose upper halves are ignored, as
// VPMULUDQ does.
func (a *asm) philox(counter, args reg.GPVirtual, first int) [4]vector {
	hi := a.GP64()
	a.MOVQ(counter, hi)
	a.SHRQ(operand.Imm(32), hi)
	x := a.XMM()
	ctr, high := a.vec(), a.vec()
	a.VMOVQ(counter, x)
	a.VPBROADCASTQ(x, ctr)
	a.VMOVQ(hi, x)
	a.VPBROADCASTQ(x, high)
	var c [2][4]vector
	for odd := range c {
		c[odd][0] = a.vec()
		at := laneNumber(64*odd + 4*first)
		a.VPADDQ(at, ctr, c[odd][0])
		for i := 1; i < 4; i++ {
			if i == 1 {
				c[odd][i] = high
			} else {
				c[odd][i] = a.zeroVec()
			}
		}
	}
	// The multipliers stay in memory: AVX2 has no register to spare.
	mul := func(m konst, x vector) vector {
		d := a.vec()
		if a.wide {
			a.VPMULUDQ_BCST(a.at(m), x, d)
		} else {
			a.VPMULUDQ(a.at(m), x, d)
		}
		return d
	}
	k0, k1 := a.vec(), a.vec()
	a.VBROADCASTSS(mem(args, vecKey), k0)
	a.VBROADCASTSS(mem(args, vecKey+4), k1)
	for r := range 10 {
		if r > 0 {
			k0, k1 = a.padd(k0, konst(0x9E3779B9)), a.padd(k1, konst(0xBB67AE85))
		}
		for odd := range c {
			v := &c[odd]
			p0, p1 := mul(0xD2511F53, v[0]), mul(0xCD9E8D57, v[2])
			h0, h1 := a.vec(), a.vec()
			a.VPSRLQ(operand.Imm(32), p0, h0)
			a.VPSRLQ(operand.Imm(32), p1, h1)
			*v = [4]vector{a.xor(a.xor(h1, v[1]), k0), p1, a.xor(a.xor(h0, v[3]), k1), p0}
		}
	}
	var out [4]vector
	for i := range out {
		o, d := a.vec(), a.vec()
		a.VPSLLQ(operand.Imm(32), c[1][i], o)
		if a.wide {
			m, bits := a.K(), a.GP32()
			a.MOVL(operand.U32(0xaaaa), bits)
			a.KMOVW(bits, m)
			a.VPBLENDMD(o, c[0][i], m, d)
		} else {
			a.VPBLENDD(operand.Imm(0xaa), o, c[0][i], d)
		}
		out[i] = d
	}
	return out
}

// stream emits a kernel over groups of 64 elements. body gets the random words of a vector of each of the four
// sixteens of a group, of which at makes number i the one that is loaded and stored.
func (a *asm) stream(name string, pointers, scalars int, body func(l *loop, words [4]vector, at func(i int))) {
	a.named(name)
	a.function("vec"+name, "func(v *vec, lo, hi int)",
		"vec"+name+a.suffix()+" is op"+name+" on elements lo to hi; offset + lo is a multiple of 64.")
	l := &loop{a: a, args: a.GP64(), index: a.GP64()}
	n := a.GP64()
	a.Load(a.Param("v"), l.args)
	a.Load(a.Param("lo"), l.index)
	a.Load(a.Param("hi"), n)
	a.SUBQ(l.index, n)
	for i := range pointers {
		p := a.GP64()
		a.MOVQ(mem(l.args, 8*i), p)
		l.pointers = append(l.pointers, p)
	}
	for i := range scalars {
		s := a.vec()
		a.VBROADCASTSS(mem(l.args, vecScalars+4*i), s)
		l.scalars = append(l.scalars, s)
	}
	a.hoisted = map[konst]vector{}
	counter := a.GP64()
	a.MOVQ(mem(l.args, vecOffset), counter)
	a.ADDQ(l.index, counter)
	a.SHRQ(operand.Imm(2), counter)
	w := a.lanes()
	group := func(masked bool) {
		for first := 0; first < 16; first += w {
			body(l, a.philox(counter, l.args, first), func(i int) {
				from := 16*i + first
				l.disp, l.mask = 4*from, nil
				if masked {
					l.mask = a.mask(n, from)
				}
			})
		}
	}
	loop, tail, done := a.label("loop"), a.label("tail"), a.label("done")
	a.SUBQ(operand.U32(64), n)
	a.JL(operand.LabelRef(tail))
	a.Label(loop)
	group(false)
	a.ADDQ(operand.Imm(16), counter)
	a.ADDQ(operand.U32(64), l.index)
	a.SUBQ(operand.U32(64), n)
	a.JGE(operand.LabelRef(loop))
	a.Label(tail)
	a.ADDQ(operand.U32(64), n)
	a.JZ(operand.LabelRef(done))
	group(true)
	a.Label(done)
	a.ret()
}

func (a *asm) random() {
	shift := func(w vector, bits uint64) vector {
		d := a.vec()
		a.VPSRLD(operand.Imm(bits), w, d)
		return d
	}
	left := func(w vector, bits uint64) vector {
		d := a.vec()
		a.VPSLLD(operand.Imm(bits), w, d)
		return d
	}
	float := func(w vector) vector {
		d := a.vec()
		a.VCVTDQ2PS(w, d)
		return d
	}
	unit := func(w vector) vector { return a.mul(float(shift(w, 8)), f32(1.0/(1<<24))) }

	a.stream("Uniform", 1, 0, func(l *loop, words [4]vector, at func(int)) {
		for i, w := range words {
			at(i)
			l.put(0, unit(w))
		}
	})
	a.stream("Dropout", 2, 1, func(l *loop, words [4]vector, at func(int)) {
		for i, w := range words {
			at(i)
			limit := l.a.vec()
			l.a.VBROADCASTSS(mem(l.args, vecLimit), limit)
			// Keep unless the limit is greater than the word.
			x := l.a.mul(l.get(1), l.scalars[0])
			if l.a.wide {
				m := l.a.K()
				l.a.VPCMPD(operand.Imm(2), shift(w, 8), limit, m) // limit ≤ word
				l.put(0, l.a.orZero(m, x))
				continue
			}
			m, d := l.a.vec(), l.a.vec()
			l.a.VPCMPGTD(shift(w, 8), limit, m)
			l.a.VANDNPS(x, m, d)
			l.put(0, d)
		}
	})
	a.stream("Normal", 1, 0, func(l *loop, words [4]vector, at func(int)) {
		for i := 0; i < 4; i += 2 {
			r := l.a.sqrt(l.a.mul(l.a.logNormal(l.a.sub(f32(1), unit(words[i]))), f32(-2)))
			// sincosTurns; the quarter is in the low bits of t.
			u := unit(words[i+1])
			magic := f32(12582912)
			t := l.a.fma(u, f32(4), magic)
			x := l.a.mul(l.a.fnma(l.a.sub(t, magic), f32(0.25), u), f32(2*math.Pi))
			z := l.a.mul(x, x)
			s := l.a.horner(z, -1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
			s = l.a.mul(s, z)
			l.a.fma213(s, x, x)
			c := l.a.horner(z, 2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2, -0.5, 1)
			var odd reg.Register = left(t, 31) // in the sign
			if l.a.wide {
				k := l.a.K()
				l.a.VPMOVD2M(odd, k)
				odd = k
			}
			sin, cos := l.a.choose(odd, c, s), l.a.choose(odd, s, c)
			sin = l.a.xor(sin, l.a.and(left(t, 30), signBit))
			cos = l.a.xor(cos, l.a.and(left(l.a.padd(t, konst(1)), 30), signBit))
			at(i)
			l.put(0, l.a.mul(r, cos))
			at(i + 1)
			l.put(0, l.a.mul(r, sin))
		}
	})
	a.stream("Gumbel", 1, 0, func(l *loop, words [4]vector, at func(int)) {
		for i, w := range words {
			u := l.a.mul(l.a.add(float(shift(w, 9)), f32(0.5)), f32(1.0/(1<<23)))
			g := l.a.neg(l.a.logNormal(l.a.neg(l.a.logNormal(u))))
			at(i)
			l.put(0, g)
		}
	})
}
