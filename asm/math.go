package asm

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A konst is a constant in memory: eight copies for AVX2, of which AVX-512 broadcasts the first.
type konst uint32

func f32(x float64) konst { return konst(math.Float32bits(float32(x))) }

const (
	signBit = konst(1 << 31)
	absMask = konst(1<<31 - 1)
)

const konstName = "constants"

// emitKonstants writes the table of constants, so many of their words together; it comes after all the functions that
// use it.
func emitKonstants(f *file, together int) {
	f.Context.StaticGlobal(konstName)
	f.Context.DataAttributes(attr.RODATA | attr.NOPTR)
	list := slices.SortedFunc(maps.Keys(f.konstants), func(a, b konst) int { return f.konstants[a] - f.konstants[b] })
	for _, k := range list {
		for range 8 / together {
			if together == 2 {
				f.Context.AppendDatum(operand.U64(uint64(k)<<32 | uint64(k)))
			} else {
				f.Context.AppendDatum(operand.U32(k))
			}
		}
	}
}

// common are the constants that are read in memory, the one that is read most often first.
func (f *file) common() []konst {
	return slices.SortedFunc(maps.Keys(f.reads), func(a, b konst) int {
		return cmp.Or(f.reads[b]-f.reads[a], f.konstants[a]-f.konstants[b])
	})
}

// at is where the constant k lies in memory.
func (f *file) at(k konst) operand.Mem {
	at, ok := f.konstants[k]
	if !ok {
		at = 32 * len(f.konstants)
		f.konstants[k] = at
	}
	f.reads[k]++
	return operand.Mem{Symbol: operand.Symbol{Name: konstName, Static: true}, Base: reg.StaticBase, Disp: at}
}

type vector = reg.VecVirtual

// An arg is a vector or a konst.
type arg any

type instruction func(...operand.Op)

// hoist loads constants into registers for the rest of the function, which use them instead of memory.
func (a *asm) hoist(ks ...konst) {
	for _, k := range ks {
		a.hoisted[k] = a.load(k)
	}
}

// load is the constant in a new register.
func (a *asm) load(k konst) vector {
	v := a.vec()
	if a.wide {
		a.VBROADCASTSS(a.at(k), v)
	} else {
		a.VMOVUPS(a.at(k), v)
	}
	return v
}

// in is x in a register that must not be changed.
func (a *asm) in(x arg) vector {
	k, ok := x.(konst)
	if !ok {
		return x.(vector)
	}
	if v, ok := a.hoisted[k]; ok {
		return v
	}
	return a.load(k)
}

// own is a copy of x in a register that may be changed.
func (a *asm) own(x arg) vector {
	if k, ok := x.(konst); ok {
		if _, ok := a.hoisted[k]; !ok {
			return a.load(k)
		}
	}
	v := a.vec()
	a.VMOVAPS(a.in(x), v)
	return v
}

// apply emits dst = f(x, y), y perhaps in memory.
func (a *asm) apply(f, bcst instruction, y arg, ops ...operand.Op) {
	k, ok := y.(konst)
	if ok {
		if v, found := a.hoisted[k]; found {
			f(append([]operand.Op{v}, ops...)...)
		} else if a.wide {
			bcst(append([]operand.Op{a.at(k)}, ops...)...)
		} else {
			f(append([]operand.Op{a.at(k)}, ops...)...)
		}
		return
	}
	f(append([]operand.Op{y.(vector)}, ops...)...)
}

func (a *asm) op(f, bcst instruction, x, y arg) vector {
	d := a.vec()
	a.apply(f, bcst, y, a.in(x), d)
	return d
}

func (a *asm) add(x, y arg) vector { return a.op(a.VADDPS, a.VADDPS_BCST, x, y) }
func (a *asm) sub(x, y arg) vector { return a.op(a.VSUBPS, a.VSUBPS_BCST, x, y) }
func (a *asm) mul(x, y arg) vector { return a.op(a.VMULPS, a.VMULPS_BCST, x, y) }
func (a *asm) div(x, y arg) vector { return a.op(a.VDIVPS, a.VDIVPS_BCST, x, y) }
func (a *asm) and(x, y arg) vector { return a.op(a.VANDPS, a.VANDPS_BCST, x, y) }
func (a *asm) or(x, y arg) vector  { return a.op(a.VORPS, a.VORPS_BCST, x, y) }

// min and max return y when either is a NaN or both are zeros.
func (a *asm) min(x, y arg) vector { return a.op(a.VMINPS, a.VMINPS_BCST, x, y) }
func (a *asm) max(x, y arg) vector { return a.op(a.VMAXPS, a.VMAXPS_BCST, x, y) }

func (a *asm) xor(x, y arg) vector { return a.op(a.VXORPS, a.VXORPS_BCST, x, y) }
func (a *asm) neg(x arg) vector    { return a.xor(x, signBit) }
func (a *asm) abs(x arg) vector    { return a.and(x, absMask) }

func (a *asm) sqrt(x vector) vector {
	d := a.vec()
	a.VSQRTPS(x, d)
	return d
}

// fma213 changes u to u·x + y.
func (a *asm) fma213(u, x vector, y arg) { a.apply(a.VFMADD213PS, a.VFMADD213PS_BCST, y, x, u) }

// fms213 changes u to u·x - y.
func (a *asm) fms213(u, x vector, y arg) { a.apply(a.VFMSUB213PS, a.VFMSUB213PS_BCST, y, x, u) }

// fma231 changes u to u + x·y.
func (a *asm) fma231(u, x vector, y arg) { a.apply(a.VFMADD231PS, a.VFMADD231PS_BCST, y, x, u) }

// fnma231 changes u to u - x·y.
func (a *asm) fnma231(u, x vector, y arg) { a.apply(a.VFNMADD231PS, a.VFNMADD231PS_BCST, y, x, u) }

// fma is x·y + z.
func (a *asm) fma(x, y, z arg) vector {
	if _, ok := z.(konst); ok {
		if _, ok := y.(konst); !ok {
			u := a.own(x)
			a.fma213(u, a.in(y), z)
			return u
		}
	}
	u := a.own(z)
	a.fma231(u, a.in(x), y)
	return u
}

// fnma is z - x·y.
func (a *asm) fnma(x, y, z arg) vector {
	u := a.own(z)
	a.fnma231(u, a.in(x), y)
	return u
}

// horner is a polynomial in x, the highest coefficient first.
func (a *asm) horner(x vector, c ...float64) vector {
	u := a.own(f32(c[0]))
	for _, v := range c[1:] {
		a.fma213(u, x, f32(v))
	}
	return u
}

// Predicates of VCMPPS, all quiet.
const (
	equal        = 0x00
	less         = 0x11
	greater      = 0x1e
	notLessEq    = 0x16
	notGreaterEq = 0x19
	notGreater   = 0x1a
)

// cmp is the mask of the lanes where x is in the relation to y.
func (a *asm) cmp(relation uint64, x, y arg) reg.Register {
	if a.wide {
		m := a.K()
		if k, ok := y.(konst); ok {
			if _, found := a.hoisted[k]; !found {
				a.VCMPPS_BCST(operand.Imm(relation), a.at(k), a.in(x), m)
				return m
			}
		}
		a.VCMPPS(operand.Imm(relation), a.in(y), a.in(x), m)
		return m
	}
	m := a.vec()
	if k, ok := y.(konst); ok {
		if _, found := a.hoisted[k]; !found {
			a.VCMPPS(operand.Imm(relation), a.at(k), a.in(x), m)
			return m
		}
	}
	a.VCMPPS(operand.Imm(relation), a.in(y), a.in(x), m)
	return m
}

// choose is x where the mask is set and y elsewhere.
func (a *asm) choose(mask reg.Register, x, y arg) vector {
	d := a.vec()
	if a.wide {
		a.apply(a.VBLENDMPS, a.VBLENDMPS_BCST, x, a.in(y), mask, d)
	} else {
		a.VBLENDVPS(mask, a.in(x), a.in(y), d)
	}
	return d
}

// orZero is x where the mask is set and 0 elsewhere.
func (a *asm) orZero(mask reg.Register, x vector) vector {
	d := a.vec()
	if a.wide {
		a.VMOVAPS_Z(x, mask, d)
	} else {
		a.VANDPS(mask, x, d)
	}
	return d
}

func (a *asm) psub(x, y arg) vector { return a.op(a.VPSUBD, a.VPSUBD_BCST, x, y) }
func (a *asm) padd(x, y arg) vector { return a.op(a.VPADDD, a.VPADDD_BCST, x, y) }

// expLow is the largest float32 whose exponential is below the normal numbers.
const expLow = -87.33654785

// exp is exp32 of runtime/kernel/math.go; so are the others below.
func (a *asm) exp(x vector) vector {
	u, scale := a.expParts(x, true)
	return scale(a.add(u, f32(1)))
}

// expSmall is exp, to the same bits, of an x that is at most 87 or NaN: 2**n is then a float32.
func (a *asm) expSmall(x vector) vector {
	u, scale := a.expParts(x, false)
	return scale(a.add(u, f32(1)))
}

// expPair is exp and what its last addition rounded away, of an x that is at most 87 or NaN.
func (a *asm) expPair(x vector) (hi, lo vector) {
	u, scale := a.expParts(x, false)
	s := a.add(u, f32(1))
	lo = a.sub(u, a.sub(s, f32(1)))
	return scale(s), scale(lo)
}

// expParts is e**r - 1 and the multiplication by 2**n. Unless large, x is at most 87 or NaN.
func (a *asm) expParts(x vector, large bool) (vector, func(vector) vector) {
	// Results below the normal numbers are 0, whatever comes out for them: subnormal ones take some machines thirty
	// times as long.
	normal := a.cmp(notLessEq, x, f32(expLow))
	if large {
		x = a.min(f32(89), x)
	} else {
		x = a.own(x)
	}
	magic := f32(12582912)
	t := a.own(magic)
	a.fma231(t, x, f32(math.Log2E))
	n := a.sub(t, magic)
	a.fma231(x, n, f32(-0.693145751953125))
	a.fma231(x, n, f32(-1.428606765330187e-06))
	r := x
	u := a.horner(r, 0.000198527617612853646, 0.00139304355252534151, 0.00833336077630519867, 0.0416664853692054749,
		0.166666671633720398, 0.5)
	a.fma213(u, a.mul(r, r), r)
	if a.wide {
		return u, func(v vector) vector {
			d := a.vec()
			a.VSCALEFPS_Z(n, v, normal, d)
			return d
		}
	}
	if !large {
		// The lowest bits of t are those of n, and of the others none is left.
		p := a.vec()
		a.VPSLLD(operand.Imm(23), t, p)
		p = a.padd(p, f32(1))
		return u, func(v vector) vector { return a.orZero(normal, a.mul(v, p)) }
	}
	i, h := a.psub(t, magic), a.vec()
	a.VPSRAD(operand.Imm(1), i, h)
	p, q := a.pow2(h), a.pow2(a.psub(i, h))
	return u, func(v vector) vector { return a.orZero(normal, a.mul(a.mul(v, p), q)) }
}

func (a *asm) pow2(n vector) vector {
	p := a.padd(n, konst(127))
	d := a.vec()
	a.VPSLLD(operand.Imm(23), p, d)
	return d
}

func (a *asm) log(x vector) vector {
	tiny := a.cmp(less, x, f32(1.17549435e-38))
	y := a.choose(tiny, a.mul(x, f32(8388608)), x)
	r := a.logOf(y, a.orZero(tiny, a.in(f32(-23))))
	r = a.choose(a.cmp(greater, x, f32(math.MaxFloat32)), x, r)
	r = a.choose(a.cmp(notGreaterEq, x, konst(0)), konst(0x7fc00000), r)
	return a.choose(a.cmp(equal, x, konst(0)), konst(0xff800000), r)
}

// logNormal is log, to the same bits, of an x that is a normal number above 0.
func (a *asm) logNormal(x vector) vector { return a.logOf(x, nil) }

// logOf is i·ln(2) + log(y) of a normal number y above 0. It changes i, which is 0 when it is nil.
func (a *asm) logOf(y, i vector) vector {
	e := a.and(a.psub(y, konst(0x3f2aaaab)), konst(0xff800000))
	m := a.psub(y, e)
	ef := a.vec()
	a.VCVTDQ2PS(e, ef)
	if i == nil {
		i = a.mul(ef, f32(1.0/8388608))
	} else {
		a.fma231(i, ef, f32(1.0/8388608))
	}
	f := a.sub(m, f32(1))
	s := a.mul(f, f)
	r := a.horner(s, -0.130310059, -0.121483512, -0.166846126, -0.249996200)
	t := a.horner(s, 0.140869141, 0.139814854, 0.200120345)
	a.fma231(r, t, f)
	a.fma213(r, f, f32(0.333331972))
	a.fma213(r, f, f32(-0.5))
	a.fma213(r, s, f)
	a.fma231(r, i, f32(0.693147182))
	return r
}

func (a *asm) tanh(x vector) vector {
	y := a.abs(x)
	e := a.expSmall(a.min(f32(87), a.add(y, y))) // beside which 1 does not count
	q := a.sub(f32(1), a.div(f32(2), a.add(e, f32(1))))
	q = a.or(q, a.and(x, signBit))
	z := a.mul(x, x)
	p := a.horner(z, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
	p = a.mul(p, z)
	a.fma213(p, x, x)
	return a.choose(a.cmp(less, y, f32(0.625)), p, q)
}

func (a *asm) gate(x vector) vector {
	z := a.expSmall(a.or(x, signBit))
	n := a.choose(a.cmp(less, x, konst(0)), z, f32(1))
	return a.div(n, a.add(z, f32(1)))
}

func (a *asm) sigmoid(x vector) vector {
	z, zl := a.expPair(a.or(x, signBit))
	d := a.add(z, f32(1))
	dl := a.add(a.sub(z, a.sub(d, f32(1))), zl)
	negative := a.cmp(less, x, konst(0))
	n := a.choose(negative, z, f32(1))
	r := a.div(f32(1), d)
	y := a.mul(n, r)
	e := a.add(a.fnma(y, d, n), a.orZero(negative, zl))
	a.fnma231(e, y, dl)
	a.fma231(y, e, r)
	return y
}

func (a *asm) erf(x vector) vector {
	t := a.abs(x)
	t4 := a.min(f32(4), t)
	s := a.mul(t4, t4)
	r := a.fma(t4, f32(-1.72853470e-5), f32(3.83197126e-4))
	u := a.fma(t4, f32(-3.88396438e-3), f32(2.42546219e-2))
	a.fma213(r, s, u)
	a.fma213(r, t4, f32(-1.06777877e-1))
	a.fma213(r, t4, f32(-6.34846687e-1))
	a.fma213(r, t4, f32(-1.28717512e-1))
	w := a.neg(t4)
	a.fma231(w, r, t4)
	r = a.sub(f32(1), a.expSmall(w))
	r = a.or(r, a.and(x, signBit))
	s = a.mul(x, x)
	p := a.horner(s, -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1)
	a.fma213(p, x, x)
	return a.choose(a.cmp(less, t, f32(0.921875)), p, r)
}

func (a *asm) erfSlope(x vector) vector {
	return a.mul(a.expSmall(a.neg(a.mul(x, x))), f32(twoRsqrtPi))
}

func (a *asm) normal(x vector) vector {
	t := a.max(f32(-4), a.min(f32(4), a.mul(x, f32(rsqrt2))))
	s := a.mul(t, t)
	p := a.mul(t, a.horner(s, -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
		-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02))
	q := a.horner(s, -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
		-1.42647390514189e-02)
	return a.div(p, q)
}

func (a *asm) log1p(z vector) vector {
	s := a.div(z, a.add(z, f32(2)))
	q := a.mul(s, s)
	p := a.horner(q, 2.0/15, 2.0/13, 2.0/11, 2.0/9, 2.0/7, 2.0/5, 2.0/3)
	p = a.mul(p, q)
	a.fma213(p, s, a.add(s, s))
	return p
}

func (a *asm) softplus(x vector) vector {
	l := a.log1p(a.expSmall(a.or(x, signBit)))
	return a.add(a.max(a.in(konst(0)), x), l)
}

const (
	geluA      = 0.7978845608028654 // √(2/π)
	geluB      = 0.044715
	rsqrt2     = 0.7071067811865476 // 1/√2
	rsqrt2pi   = 0.3989422804014327 // 1/√(2π)
	twoRsqrtPi = 1.1283791670955126 // 2/√π
)

func (a *asm) geluW(x vector, factor float64) vector {
	return a.fma(a.mul(x, x), f32(factor*geluA*geluB), f32(2*geluA))
}

func (a *asm) gelu(x vector) vector {
	return a.mul(x, a.gate(a.mul(x, a.geluW(x, 2))))
}

func (a *asm) geluGrad(x vector) vector {
	s := a.gate(a.mul(x, a.geluW(x, 2)))
	t := a.mul(a.fnma(s, s, s), x)
	a.fma213(t, a.geluW(x, 6), s)
	return t
}

func (a *asm) geluErf(x vector) vector {
	h := a.mul(x, f32(0.5))
	e := a.normal(x)
	a.fma213(e, h, h)
	return e
}

func (a *asm) geluErfGrad(x vector) vector {
	phi := a.fma(a.normal(x), f32(0.5), f32(0.5))
	d := a.mul(a.expSmall(a.mul(a.mul(x, x), f32(-0.5))), f32(rsqrt2pi))
	a.fma231(phi, x, d)
	return phi
}

func (a *asm) silu(x vector) vector { return a.mul(x, a.gate(x)) }

func (a *asm) siluGrad(x vector) vector {
	s := a.gate(x)
	t := a.fnma(s, x, x)
	a.fma213(t, s, s)
	return t
}
