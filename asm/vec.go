package asm

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets into the Go struct vec.
const (
	vecScalars = 6 * 8
	vecKey     = vecScalars + 10*4
	vecOffset  = vecKey + 8
	vecLimit   = vecOffset + 8
)

// A loop is an elementwise kernel while it is emitted: body runs once for each vector.
type loop struct {
	a        *asm // not embedded, which would make two thousand methods more
	args     reg.GPVirtual
	pointers []reg.GPVirtual // of the first few; the others are loaded for each use
	index    reg.GPVirtual
	scalars  []vector
	disp     int
	mask     reg.Register // nil for a whole vector
}

func (l *loop) addr(i int) operand.Mem {
	var p reg.GPVirtual
	if i < len(l.pointers) {
		p = l.pointers[i]
	} else {
		p = l.a.GP64()
		l.a.MOVQ(mem(l.args, 8*i), p)
	}
	return memx(p, l.index, 4, l.disp)
}

// get loads from pointer i; put stores to it.
func (l *loop) get(i int) vector {
	v := l.a.vec()
	if l.mask != nil {
		l.a.maskedLoad(l.addr(i), l.mask, v)
	} else {
		l.a.VMOVUPS(l.addr(i), v)
	}
	return v
}

func (l *loop) put(i int, v vector) {
	if l.mask == nil {
		l.a.VMOVUPS(v, l.addr(i))
	} else {
		l.a.maskedStore(v, l.mask, l.addr(i))
	}
}

// input and changed are where pieces of a kernel find their arguments: those of the kernel.
func (l *loop) input(i int) vector   { return l.get(1 + i) }
func (l *loop) changed(i int) vector { return l.get(1 + i) }

func (l *loop) number(i int) arg { return l.scalars[i] }

// elementwise emits the kernel name over elements lo to hi. unroll vectors are worked on at a time.
func (a *asm) elementwise(name string, pointers, scalars, unroll int, consts []konst, body func(l *loop)) {
	a.named(name)
	a.function("vec"+name, "func(v *vec, lo, hi int)", "vec"+name+a.suffix()+" is op"+name+" on elements lo to hi.")
	l := &loop{a: a, args: a.GP64(), index: a.GP64()}
	n := a.GP64()
	a.Load(a.Param("v"), l.args)
	a.Load(a.Param("lo"), l.index)
	a.Load(a.Param("hi"), n)
	a.SUBQ(l.index, n)
	for i := range min(pointers, 9) {
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
	if a.wide {
		a.hoist(consts...)
	}
	w := a.lanes()
	main, tail, part, done := a.label("loop"), a.label("tail"), a.label("part"), a.label("done")
	a.SUBQ(operand.U32(uint32(w*unroll)), n)
	a.JL(operand.LabelRef(tail))
	a.align(32)
	a.Label(main)
	for u := range unroll {
		l.disp = 4 * w * u
		body(l)
	}
	a.ADDQ(operand.U32(uint32(w*unroll)), l.index)
	a.SUBQ(operand.U32(uint32(w*unroll)), n)
	a.JGE(operand.LabelRef(main))
	a.Label(tail)
	a.ADDQ(operand.U32(uint32(w*unroll)), n)
	a.JZ(operand.LabelRef(done))
	a.Label(part)
	l.disp = 0
	l.mask = a.mask(n, 0)
	body(l)
	a.ADDQ(operand.U32(uint32(w)), l.index)
	a.SUBQ(operand.U32(uint32(w)), n)
	a.JG(operand.LabelRef(part))
	a.Label(done)
	a.ret()
}

func emitVec(ctx *file) {
	maskTable(ctx)
	laneNumbers(ctx)
	for _, wide := range []bool{true, false} {
		a := &asm{Context: ctx.Context, file: ctx, wide: wide, hoisted: map[konst]vector{}}
		a.elementwise("Clear", 1, 0, 4, nil, func(l *loop) { l.put(0, l.a.zeroVec()) })
		a.elementwise("Fill", 1, 1, 4, nil, func(l *loop) { l.put(0, l.scalars[0]) })
		for _, p := range pieces {
			a.elementwise(p.name, 1+p.inputs, p.numbers, p.unroll, p.consts, func(l *loop) {
				l.put(0, p.emit(a, l))
			})
		}
		a.rows()
		a.pairs()
		a.optimizers()
		a.lion()
		a.random()
	}
	emitKonstants(ctx, 1)
}

// rows emits what the kernels over rows do to each element of a row.
func (a *asm) rows() {
	hat := func(l *loop, x vector) vector { return l.a.mul(l.a.sub(x, l.scalars[0]), l.scalars[1]) }
	a.elementwise("Norm", 4, 2, 4, nil, func(l *loop) {
		h := hat(l, l.get(1))
		l.a.fma213(h, l.get(2), l.get(3))
		l.put(0, h)
	})
	a.elementwise("NormGain", 3, 2, 4, nil, func(l *loop) { l.put(0, l.a.mul(hat(l, l.get(1)), l.get(2))) })
	a.elementwise("LogSoftmax", 2, 2, 4, nil, func(l *loop) {
		l.put(0, l.a.sub(l.a.sub(l.get(1), l.scalars[0]), l.scalars[1]))
	})
	a.elementwise("SoftmaxGrad", 3, 1, 4, nil, func(l *loop) {
		y := l.get(1)
		l.put(0, l.a.mul(y, l.a.sub(l.get(2), l.scalars[0])))
	})
	a.elementwise("LogSoftmaxGrad", 3, 1, 2, expKonsts, func(l *loop) {
		e := l.a.exp(l.get(1))
		l.put(0, l.a.fnma(e, l.scalars[0], l.get(2)))
	})
}

// pairs emits the gated units and the rotation of positions.
func (a *asm) pairs() {
	a.elementwise("SwiGLU", 3, 0, 1, gateKonsts, func(l *loop) { l.put(0, l.a.mul(l.a.silu(l.get(1)), l.get(2))) })
	a.elementwise("SwiGLUGrad", 5, 0, 1, gateKonsts, func(l *loop) {
		g := l.get(2)
		s := l.a.gate(g)
		e := l.get(4)
		d := l.a.mul(e, l.get(3))
		t := l.a.fnma(s, g, g)
		l.a.fma213(t, s, s)
		up := l.a.mul(e, l.a.mul(g, s))
		l.put(0, l.a.mul(d, t))
		l.put(1, up)
	})
	a.elementwise("Rotate", 6, 1, 2, nil, func(l *loop) {
		p, q, cos, sin := l.get(2), l.get(3), l.get(4), l.a.mul(l.get(5), l.scalars[0])
		x, y := l.a.mul(p, cos), l.a.mul(q, cos)
		l.a.fnma231(x, q, sin)
		l.a.fma231(y, p, sin)
		l.put(0, x)
		l.put(1, y)
	})
}

// optimizers emits the update rules; the scalars are listed beside the ops in runtime/kernel/vec.go.
func (a *asm) optimizers() {
	// gradient is gscale·g + weightDecay·p.
	gradient := func(l *loop, p, g vector) vector {
		d := l.a.mul(g, l.scalars[2])
		l.a.fma231(d, p, l.scalars[1])
		return d
	}
	a.elementwise("SGD", 2, 3, 2, nil, func(l *loop) {
		p := l.get(0)
		d := gradient(l, p, l.get(1))
		l.a.fnma231(p, d, l.scalars[0])
		l.put(0, p)
	})
	for _, nesterov := range []bool{false, true} {
		name := "Momentum"
		if nesterov {
			name = "Nesterov"
		}
		a.elementwise(name, 3, 5, 2, nil, func(l *loop) {
			p := l.get(0)
			d := gradient(l, p, l.get(2))
			b := l.a.mul(d, l.scalars[4])
			l.a.fma231(b, l.get(1), l.scalars[3])
			l.put(1, b)
			if nesterov {
				l.a.fma213(b, l.scalars[3], d)
			}
			l.a.fnma231(p, b, l.scalars[0])
			l.put(0, p)
		})
	}
	a.elementwise("RMSprop", 3, 6, 2, nil, func(l *loop) {
		p := l.get(0)
		d := gradient(l, p, l.get(2))
		s := l.a.mul(l.a.mul(d, d), l.scalars[4])
		l.a.fma231(s, l.get(1), l.scalars[3])
		l.put(1, s)
		l.a.fnma231(p, l.a.div(d, l.a.add(l.a.sqrt(s), l.scalars[5])), l.scalars[0])
		l.put(0, p)
	})
	a.elementwise("Adagrad", 3, 4, 2, nil, func(l *loop) {
		p := l.get(0)
		d := gradient(l, p, l.get(2))
		s := l.get(1)
		l.a.fma231(s, d, d)
		l.put(1, s)
		l.a.fnma231(p, l.a.div(d, l.a.add(l.a.sqrt(s), l.scalars[3])), l.scalars[0])
		l.put(0, p)
	})
	for _, coupled := range []bool{false, true} {
		name := "Adam"
		if coupled {
			name = "AdamL2"
		}
		a.elementwise(name, 4, 9, 1, nil, func(l *loop) {
			p := l.get(0)
			d := l.a.mul(l.get(3), l.scalars[2])
			if coupled {
				l.a.fma231(d, p, l.scalars[1])
			} else {
				p = l.a.mul(p, l.scalars[1])
			}
			m := l.a.mul(d, l.scalars[4])
			l.a.fma231(m, l.get(1), l.scalars[3])
			s := l.a.mul(l.a.mul(d, d), l.scalars[6])
			l.a.fma231(s, l.get(2), l.scalars[5])
			l.put(1, m)
			l.put(2, s)
			den := l.a.sqrt(s)
			l.a.fma213(den, l.scalars[7], l.scalars[8])
			l.a.fnma231(p, l.a.div(m, den), l.scalars[0])
			l.put(0, p)
		})
	}
}

// lion emits the update whose step is a sign; see runtime/kernel/vec.go.
func (a *asm) lion() {
	huge := f32(0x1p127) // twice, so that the smallest number becomes more than 1
	a.elementwise("Lion", 3, 7, 2, []konst{huge, f32(1), f32(-1)}, func(l *loop) {
		p := l.a.mul(l.get(0), l.scalars[1])
		d := l.a.mul(l.get(2), l.scalars[2])
		m := l.get(1)
		u := l.a.mul(d, l.scalars[4])
		l.a.fma231(u, m, l.scalars[3])
		next := l.a.mul(d, l.scalars[6])
		l.a.fma231(next, m, l.scalars[5])
		l.put(1, next)
		sign := l.a.max(f32(-1), l.a.min(f32(1), l.a.mul(l.a.mul(u, huge), huge)))
		l.a.fnma231(p, sign, l.scalars[0])
		l.put(0, p)
	})
}
