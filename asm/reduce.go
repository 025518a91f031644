package asm

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func emitReduce(ctx *file) {
	maskTable(ctx)
	for _, wide := range []bool{true, false} {
		a := &asm{Context: ctx.Context, file: ctx, wide: wide, hoisted: map[konst]vector{}}
		a.rowReductions()
		a.sumSquares()
		a.columns()
	}
	emitKonstants(ctx, 1)
}

// A reduction is a sum over a row while it is emitted: 64 virtual lanes, which are 4 registers at AVX-512 and 8 at
// AVX2, each kernel with one or more sets of them.
type reduction struct {
	a    *asm
	ptrs []reg.GPVirtual
	disp int
	mask reg.Register
}

func (r *reduction) get(i int) vector {
	v := r.a.vec()
	if r.mask != nil {
		r.a.maskedLoad(mem(r.ptrs[i], r.disp), r.mask, v)
	} else {
		r.a.VMOVUPS(mem(r.ptrs[i], r.disp), v)
	}
	return v
}

func (r *reduction) put(i int, v vector) {
	to := mem(r.ptrs[i], r.disp)
	if r.mask == nil {
		r.a.VMOVUPS(v, to)
	} else {
		r.a.maskedStore(v, r.mask, to)
	}
}

// reduce emits the kernel name over n elements of pointers; step updates the registers of one vector in each set. The
// lanes beyond the end are masked: loads give zeros there, and step must leave such lanes of the sums as they are.
func (a *asm) reduce(name, signature string, pointers, scalars []string, sets int, start konst, consts []konst,
	step func(r *reduction, s []vector, acc []vector), finish func(acc [][]vector)) {
	a.function(name, signature, name+a.suffix()+" is "+name+"Generic.")
	r := &reduction{a: a}
	for _, p := range pointers {
		g := a.GP64()
		a.Load(a.Param(p), g)
		r.ptrs = append(r.ptrs, g)
	}
	n := a.GP64()
	a.Load(a.Param("n"), n)
	var s []vector
	for _, p := range scalars {
		b, err := a.Param(p).Resolve()
		if err != nil {
			panic(err)
		}
		v := a.vec()
		a.VBROADCASTSS(b.Addr, v)
		s = append(s, v)
	}
	a.hoisted = map[konst]vector{}
	if a.wide {
		a.hoist(consts...)
	}
	w := a.lanes()
	groups := 64 / w
	acc := make([][]vector, sets)
	for i := range acc {
		acc[i] = make([]vector, groups)
		for g := range acc[i] {
			if start == 0 {
				acc[i][g] = a.zeroVec()
			} else {
				acc[i][g] = a.load(start)
			}
		}
	}
	at := func(g int) []vector {
		v := make([]vector, sets)
		for i := range v {
			v[i] = acc[i][g]
		}
		return v
	}
	loop, tail, done := a.label("loop"), a.label("tail"), a.label("done")
	a.SUBQ(operand.U32(64), n)
	a.JL(operand.LabelRef(tail))
	a.align(32)
	a.Label(loop)
	for g := range groups {
		r.disp = 4 * w * g
		step(r, s, at(g))
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
		r.disp = 4 * w * g
		r.mask = a.mask(n, w*g)
		step(r, s, at(g))
	}
	a.Label(done)
	finish(acc)
	a.ret()
}

// combine emits the tree over the 64 lanes of a set with f; the result is in lane 0.
func (a *asm) combine(acc []vector, f func(x, y arg) vector, fx func(ops ...operand.Op)) reg.VecVirtual {
	return a.combine16(combine64(acc, f), fx)
}

// combine64 is the first part, which leaves 16 lanes: one register, or two.
func combine64(acc []vector, f func(x, y arg) vector) []vector {
	var q []vector
	n := len(acc) / 4
	for i := range n {
		q = append(q, f(f(acc[i], acc[n+i]), f(acc[2*n+i], acc[3*n+i])))
	}
	return q
}

// combine16 is the second part.
func (a *asm) combine16(q []vector, fx func(ops ...operand.Op)) reg.VecVirtual {
	y := a.YMM()
	if a.wide {
		hi := a.YMM()
		a.VEXTRACTF32X8(operand.Imm(1), q[0], hi)
		fx(hi, q[0].AsY(), y)
	} else {
		fx(q[1], q[0], y)
	}
	x, x2 := a.XMM(), a.XMM()
	a.VEXTRACTF128(operand.Imm(1), y, x2)
	fx(x2, y.AsX(), x)
	a.VMOVHLPS(x, x, x2)
	fx(x2, x, x)
	a.VMOVSHDUP(x, x2)
	fx(x2, x, x)
	return x
}

func (a *asm) rowReductions() {
	ret := func(i int, x reg.VecVirtual) { a.Store(x, a.ReturnIndex(i)) }
	sum := func(acc [][]vector) { ret(0, a.combine(acc[0], a.add, a.VADDPS)) }

	a.reduce("rowMax", "func(x *float32, n int) float32", []string{"x"}, nil, 1,
		konst(math.Float32bits(float32(math.Inf(-1)))), nil,
		func(r *reduction, _, acc []vector) {
			if r.mask == nil {
				a.VMAXPS(mem(r.ptrs[0], r.disp), acc[0], acc[0])
			} else if a.wide {
				a.VMAXPS(mem(r.ptrs[0], r.disp), acc[0], r.mask, acc[0])
			} else {
				v := a.vec()
				a.VBLENDVPS(r.mask, r.get(0), acc[0], v)
				a.VMAXPS(v, acc[0], acc[0])
			}
		}, func(acc [][]vector) { ret(0, a.combine(acc[0], a.max, a.VMAXPS)) })
	a.reduce("rowSum", "func(x *float32, n int) float32", []string{"x"}, nil, 1, 0, nil,
		func(r *reduction, _, acc []vector) {
			if r.mask == nil {
				a.VADDPS(mem(r.ptrs[0], r.disp), acc[0], acc[0])
			} else {
				a.VADDPS(r.get(0), acc[0], acc[0])
			}
		}, sum)
	a.reduce("rowSquares", "func(x *float32, n int, mean float32) float32", []string{"x"}, []string{"mean"}, 1, 0, nil,
		func(r *reduction, s, acc []vector) {
			d := a.masked(r, a.sub(r.get(0), s[0]))
			a.fma231(acc[0], d, d)
		}, sum)
	a.reduce("rowDot", "func(x, y *float32, n int) float32", []string{"x", "y"}, nil, 1, 0, nil,
		func(r *reduction, _, acc []vector) { a.fma231(acc[0], r.get(0), r.get(1)) }, sum)
	a.reduce("rowExp", "func(dst, x *float32, n int, m float32) float32", []string{"dst", "x"}, []string{"m"}, 1, 0,
		expKonsts,
		func(r *reduction, s, acc []vector) {
			e := a.exp(a.sub(r.get(1), s[0]))
			r.put(0, e)
			a.VADDPS(a.masked(r, e), acc[0], acc[0])
		}, sum)
	a.reduce("rowExpSum", "func(x *float32, n int, m float32) float32", []string{"x"}, []string{"m"}, 1, 0, expKonsts,
		func(r *reduction, s, acc []vector) {
			a.VADDPS(a.masked(r, a.exp(a.sub(r.get(0), s[0]))), acc[0], acc[0])
		}, sum)
	// Two sets at AVX2 would need all 16 registers: there each sum is a kernel of its own.
	signature := "func(dy, x, gain *float32, n int, mean, rstd float32) (s1, s2 float32)"
	if a.wide {
		a.reduce("rowNormSums", signature, []string{"dy", "x", "gain"}, []string{"mean", "rstd"}, 2, 0, nil,
			func(r *reduction, s, acc []vector) {
				g := a.mul(r.get(0), r.get(2))
				h := a.mul(a.sub(r.get(1), s[0]), s[1])
				a.VADDPS(g, acc[0], acc[0])
				a.fma231(acc[1], g, a.masked(r, h))
			}, func(acc [][]vector) {
				ret(0, a.combine(acc[0], a.add, a.VADDPS))
				ret(1, a.combine(acc[1], a.add, a.VADDPS))
			})
		return
	}
	a.reduce("rowNormSum1", "func(dy, gain *float32, n int) float32", []string{"dy", "gain"}, nil, 1, 0, nil,
		func(r *reduction, _, acc []vector) {
			a.VADDPS(a.mul(r.get(0), r.get(1)), acc[0], acc[0])
		}, sum)
	a.reduce("rowNormSum2", "func(dy, x, gain *float32, n int, mean, rstd float32) float32",
		[]string{"dy", "x", "gain"}, []string{"mean", "rstd"}, 1, 0, nil,
		func(r *reduction, s, acc []vector) {
			g := a.mul(r.get(0), r.get(2))
			h := a.mul(a.sub(r.get(1), s[0]), s[1])
			a.fma231(acc[0], g, a.masked(r, h))
		}, sum)
}

// masked is v with zeros in the lanes beyond the end of the row.
func (a *asm) masked(r *reduction, v vector) vector {
	if r.mask == nil {
		return v
	}
	return a.orZero(r.mask, v)
}

// sumSquares adds squares in float64 over 32 lanes, which are 4 registers at AVX-512 and 8 at AVX2.
func (a *asm) sumSquares() {
	a.function("sumSquares", "func(x *float32, n int) float64", "sumSquares"+a.suffix()+" is sumSquaresGeneric.")
	x, n := a.GP64(), a.GP64()
	a.Load(a.Param("x"), x)
	a.Load(a.Param("n"), n)
	w := a.lanes() / 2
	acc := make([]vector, 32/w)
	for i := range acc {
		acc[i] = a.zeroVec()
	}
	half := func() reg.VecVirtual {
		if a.wide {
			return a.YMM()
		}
		return a.XMM()
	}
	step := func(i int, m reg.Register) {
		d := a.vec()
		if m == nil {
			a.VCVTPS2PD(mem(x, 4*w*i), d)
		} else {
			h := half()
			a.maskedLoad(mem(x, 4*w*i), m, h)
			a.VCVTPS2PD(h, d)
		}
		a.VFMADD231PD(d, d, acc[i])
	}
	loop, tail, done := a.label("loop"), a.label("tail"), a.label("done")
	a.SUBQ(operand.Imm(32), n)
	a.JL(operand.LabelRef(tail))
	a.Label(loop)
	for i := range acc {
		step(i, nil)
	}
	a.ADDQ(operand.U32(128), x)
	a.SUBQ(operand.Imm(32), n)
	a.JGE(operand.LabelRef(loop))
	a.Label(tail)
	a.ADDQ(operand.Imm(32), n)
	for i := range acc {
		a.CMPQ(n, operand.Imm(uint64(w*i)))
		a.JLE(operand.LabelRef(done))
		m := a.mask(n, w*i)
		if v, ok := m.(reg.VecVirtual); ok {
			m = v.AsX()
		}
		step(i, m)
	}
	a.Label(done)
	for len(acc) > 1 {
		n := len(acc) / 2
		for i := range n {
			a.VADDPD(acc[n+i], acc[i], acc[i])
		}
		acc = acc[:n]
	}
	y := a.YMM()
	if a.wide {
		hi := a.YMM()
		a.VEXTRACTF64X4(operand.Imm(1), acc[0], hi)
		a.VADDPD(hi, acc[0].AsY(), y)
	} else {
		a.VMOVAPD(acc[0], y)
	}
	lo, hi := a.XMM(), a.XMM()
	a.VEXTRACTF128(operand.Imm(1), y, hi)
	a.VADDPD(hi, y.AsX(), lo)
	a.VUNPCKHPD(lo, lo, hi)
	a.VADDSD(hi, lo, lo)
	a.Store(lo, a.ReturnIndex(0))
	a.ret()
}

// columns emits the sums down the columns of one block of 64: the sums stay in registers.
func (a *asm) columns() {
	w := a.lanes()
	n := 64 / w
	a.function("colSum", "func(dst, x *float32, ld, rows, cols int)",
		fmt.Sprintf("colSum%s sums up to 64 columns of rows that are ld bytes apart.", a.suffix()))
	dst, x, ld, rows, cols := a.GP64(), a.GP64(), a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("x"), x)
	a.Load(a.Param("ld"), ld)
	a.Load(a.Param("rows"), rows)
	a.Load(a.Param("cols"), cols)
	acc := make([]vector, n)
	for i := range acc {
		acc[i] = a.zeroVec()
	}
	a.CMPQ(cols, operand.U32(64))
	a.JNE(operand.LabelRef("part"))
	a.Label("full")
	for i := range acc {
		a.VADDPS(mem(x, 4*w*i), acc[i], acc[i])
	}
	a.ADDQ(ld, x)
	a.DECQ(rows)
	a.JNZ(operand.LabelRef("full"))
	for i := range acc {
		a.VMOVUPS(acc[i], mem(dst, 4*w*i))
	}
	a.ret()
	// A part of a block: one vector of columns after the other.
	a.Label("part")
	p, r := a.GP64(), a.GP64()
	s := a.zeroVec()
	m := a.mask(cols, 0)
	a.MOVQ(x, p)
	a.MOVQ(rows, r)
	a.Label("partRows")
	v := a.vec()
	a.maskedLoad(mem(p, 0), m, v)
	a.VADDPS(v, s, s)
	a.ADDQ(ld, p)
	a.DECQ(r)
	a.JNZ(operand.LabelRef("partRows"))
	a.maskedStore(s, m, mem(dst, 0))
	a.ADDQ(operand.U32(uint32(4*w)), x)
	a.ADDQ(operand.U32(uint32(4*w)), dst)
	a.SUBQ(operand.U32(uint32(w)), cols)
	a.JG(operand.LabelRef("part"))
	a.ret()

	a.sumRows(8)
	a.sumRows(1)

	// As many rows as there are registers for their four numbers.
	if a.wide {
		a.normGrad(4)
	} else {
		a.normGrad(2)
	}
	a.normGrad(1)
}

// normGrad emits the gradient of a norm of so many rows, which lie one behind the other. What is summed down the rows
// is read and written once for all of them, and as many rows behind them are fetched meanwhile, in the order of their
// addresses.
func (a *asm) normGrad(rows int) {
	w := a.lanes()
	name := fmt.Sprintf("normGrad%d", rows)
	a.function(name, "func(dx, dgain, dbias, dy, x, gain, of *float32, ld, n int)",
		fmt.Sprintf("%s%s is normGradGeneric of %d rows of n elements, ld bytes apart.", name, a.suffix(), rows))
	dx, dgain, dbias, dy, x, gain := a.param("dx"), a.param("dgain"), a.param("dbias"), a.param("dy"), a.param("x"),
		a.param("gain")
	of, ld, n := a.param("of"), a.param("ld"), a.param("n")
	numbers := make([][]vector, rows) // of a row: mean, rstd, and the means over it
	for r := range numbers {
		for i := range 4 {
			v := a.vec()
			a.VBROADCASTSS(mem(of, 4*(4*r+i)), v)
			numbers[r] = append(numbers[r], v)
		}
	}
	row := a.rowsAt(ld, rows)
	// Rows that come next, of each matrix.
	matrices := []reg.GPVirtual{dy, x, dx}
	next := make([]reg.GPVirtual, len(matrices))
	for i, base := range matrices {
		next[i] = a.GP64()
		a.LEAQ(memx(base, ld, uint8(rows), 0), next[i])
	}
	step := func(mask reg.Register) {
		load := func(from operand.Mem) vector {
			v := a.vec()
			if mask == nil {
				a.VMOVUPS(from, v)
			} else {
				a.maskedLoad(from, mask, v)
			}
			return v
		}
		store := func(v vector, to operand.Mem) {
			if mask == nil {
				a.VMOVUPS(v, to)
			} else {
				a.maskedStore(v, mask, to)
			}
		}
		// Before dx, which may be dy.
		noBias := a.label("noBias")
		a.TESTQ(dbias, dbias)
		a.JZ(operand.LabelRef(noBias))
		sum := load(mem(dbias, 0))
		for r := range rows {
			a.VADDPS(load(row.mem(dy, r, 0)), sum, sum)
		}
		store(sum, mem(dbias, 0))
		a.ADDQ(operand.Imm(uint64(4*w)), dbias)
		a.Label(noBias)
		if mask == nil {
			for _, p := range next {
				for line := 0; line < 4*w*rows; line += 64 {
					a.PREFETCHT1(mem(p, line))
				}
			}
		}
		g, sum := load(mem(gain, 0)), load(mem(dgain, 0))
		for r, of := range numbers {
			d, h := load(row.mem(dy, r, 0)), a.mul(a.sub(load(row.mem(x, r, 0)), of[0]), of[1])
			a.fma231(sum, d, h)
			t := a.sub(a.mul(d, g), of[2])
			a.fnma231(t, h, of[3])
			store(a.mul(t, of[1]), row.mem(dx, r, 0))
		}
		store(sum, mem(dgain, 0))
	}
	loop, tail, done := a.label("loop"), a.label("tail"), a.label("done")
	a.SUBQ(operand.Imm(uint64(w)), n)
	a.JL(operand.LabelRef(tail))
	a.Label(loop)
	step(nil)
	for _, p := range append(matrices, gain, dgain) {
		a.ADDQ(operand.Imm(uint64(4*w)), p)
	}
	for _, p := range next {
		a.ADDQ(operand.U32(uint32(4*w*rows)), p)
	}
	a.SUBQ(operand.Imm(uint64(w)), n)
	a.JGE(operand.LabelRef(loop))
	a.Label(tail)
	a.ADDQ(operand.Imm(uint64(w)), n)
	a.JZ(operand.LabelRef(done))
	step(a.mask(n, 0))
	a.Label(done)
	a.ret()
}

// sumRows emits the sum of so many rows of x, added to dst. Every row is a stream that is read from end to end, and
// that of as many rows further on is fetched meanwhile.
func (a *asm) sumRows(rows int) {
	w := a.lanes()
	name := fmt.Sprintf("sumRows%d", rows)
	a.function(name, "func(dst, x *float32, ld, n int)",
		fmt.Sprintf("%s%s adds %d rows of x, one after the other, to dst. Rows have n elements and are ld bytes apart.",
			name, a.suffix(), rows))
	dst, x, ld, n := a.GP64(), a.GP64(), a.GP64(), a.GP64()
	a.Load(a.Param("dst"), dst)
	a.Load(a.Param("x"), x)
	a.Load(a.Param("ld"), ld)
	a.Load(a.Param("n"), n)
	row := []reg.GPVirtual{x}
	for i := 1; i < rows; i++ {
		p := a.GP64()
		a.LEAQ(memx(row[i-1], ld, 1, 0), p)
		row = append(row, p)
	}
	at, ahead := a.GP64(), a.GP64() // bytes from the start of the rows, and of those that are fetched
	a.XORQ(at, at)
	a.IMUL3Q(operand.Imm(uint64(rows)), ld, ahead)
	const unroll = 4
	for _, vectors := range []int{unroll, 1} {
		loop, end := a.label("loop"), a.label("end")
		a.SUBQ(operand.Imm(uint64(vectors*w)), n)
		a.JL(operand.LabelRef(end))
		a.Label(loop)
		sums := a.vecs(vectors)
		for j, s := range sums {
			a.VMOVUPS(memx(dst, at, 1, 4*w*j), s)
		}
		for _, r := range row {
			for line := 0; line < 4*w*vectors && vectors > 1; line += 64 {
				a.PREFETCHT0(memx(r, ahead, 1, line))
			}
			for j, s := range sums {
				a.VADDPS(memx(r, at, 1, 4*w*j), s, s)
			}
		}
		for j, s := range sums {
			a.VMOVUPS(s, memx(dst, at, 1, 4*w*j))
		}
		a.ADDQ(operand.U32(uint32(4*w*vectors)), at)
		a.ADDQ(operand.U32(uint32(4*w*vectors)), ahead)
		a.SUBQ(operand.Imm(uint64(vectors*w)), n)
		a.JGE(operand.LabelRef(loop))
		a.Label(end)
		a.ADDQ(operand.Imm(uint64(vectors*w)), n)
	}
	done := a.label("done")
	a.TESTQ(n, n)
	a.JZ(operand.LabelRef(done))
	m := a.mask(n, 0)
	s, v := a.vec(), a.vec()
	a.maskedLoad(memx(dst, at, 1, 0), m, s)
	for _, r := range row {
		a.maskedLoad(memx(r, at, 1, 0), m, v)
		a.VADDPS(v, s, s)
	}
	a.maskedStore(s, m, memx(dst, at, 1, 0))
	a.Label(done)
	a.ret()
}
