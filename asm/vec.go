package main

import (
	"github.com/mmcloughlin/avo/build"
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
	*asm
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
		p = l.GP64()
		l.MOVQ(mem(l.args, 8*i), p)
	}
	return memx(p, l.index, 4, l.disp)
}

// get loads from pointer i; put stores to it.
func (l *loop) get(i int) vector {
	v := l.vec()
	if l.mask != nil {
		l.maskedLoad(l.addr(i), l.mask, v)
	} else {
		l.VMOVUPS(l.addr(i), v)
	}
	return v
}

func (l *loop) put(i int, v vector) {
	switch {
	case l.mask == nil:
		l.VMOVUPS(v, l.addr(i))
	case l.wide:
		l.VMOVUPS(v, l.mask, l.addr(i))
	default:
		l.VMASKMOVPS(v, l.mask, l.addr(i))
	}
}

// elementwise emits the kernel name over elements lo to hi. unroll vectors are worked on at a time.
func (a *asm) elementwise(name string, pointers, scalars, unroll int, consts []konst, body func(l *loop)) {
	a.ops = append(a.ops, name)
	a.function("vec"+name, "func(v *vec, lo, hi int)", "vec"+name+a.suffix()+" is op"+name+" on elements lo to hi.")
	l := &loop{asm: a, args: a.GP64(), index: a.GP64()}
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

// vecOps are the names of the elementwise kernels.
var vecOps []string

func emitVec(ctx *build.Context) {
	maskTable(ctx)
	laneNumbers(ctx)
	konstants = map[konst]int{}
	for _, wide := range []bool{true, false} {
		a := &asm{Context: ctx, wide: wide, hoisted: map[konst]vector{}}
		a.simple()
		a.functions()
		a.rows()
		a.pairs()
		a.optimizers()
		a.lion()
		a.random()
		vecOps = a.ops
	}
	emitKonstants(ctx)
}

// simple emits the kernels that are a few instructions an element.
func (a *asm) simple() {
	a.elementwise("Clear", 1, 0, 4, nil, func(l *loop) { l.put(0, l.zeroVec()) })
	a.elementwise("Fill", 1, 1, 4, nil, func(l *loop) { l.put(0, l.scalars[0]) })
	a.elementwise("Copy", 2, 0, 4, nil, func(l *loop) { l.put(0, l.get(1)) })
	for _, b := range []struct {
		name string
		f    func(x, y arg) vector
	}{{"Add", a.add}, {"Sub", a.sub}, {"Mul", a.mul}, {"Div", a.div}} {
		a.elementwise(b.name, 3, 0, 4, nil, func(l *loop) { l.put(0, b.f(l.get(1), l.get(2))) })
	}
	a.elementwise("Scale", 2, 1, 4, nil, func(l *loop) { l.put(0, l.mul(l.get(1), l.scalars[0])) })
	a.elementwise("AddScaled", 3, 1, 4, nil, func(l *loop) {
		x := l.get(1)
		l.fma231(x, l.get(2), l.scalars[0])
		l.put(0, x)
	})
	a.elementwise("MulAdd", 4, 0, 4, nil, func(l *loop) {
		x := l.get(1)
		l.fma213(x, l.get(2), l.get(3))
		l.put(0, x)
	})
	a.elementwise("MulSub", 4, 0, 4, nil, func(l *loop) {
		x := l.get(1)
		l.fms213(x, l.get(2), l.get(3))
		l.put(0, x)
	})
	a.elementwise("SubMul", 4, 0, 4, nil, func(l *loop) {
		x := l.get(1)
		l.fnma231(x, l.get(2), l.get(3))
		l.put(0, x)
	})
	a.elementwise("Axpb", 2, 2, 4, nil, func(l *loop) {
		x := l.get(1)
		l.fma213(x, l.scalars[0], l.scalars[1])
		l.put(0, x)
	})
	a.elementwise("Sqrt", 2, 0, 2, nil, func(l *loop) { l.put(0, l.sqrt(l.get(1))) })
	a.elementwise("Clamp", 2, 2, 4, nil, func(l *loop) {
		l.put(0, l.max(l.scalars[0], l.min(l.scalars[1], l.get(1))))
	})
	a.elementwise("ReLU", 2, 0, 4, []konst{0}, func(l *loop) { l.put(0, l.max(konst(0), l.get(1))) })
	a.elementwise("LeakyReLU", 2, 1, 4, []konst{0}, func(l *loop) {
		x := l.get(1)
		l.put(0, l.choose(l.cmp(less, x, konst(0)), l.mul(x, l.scalars[0]), x))
	})
	a.elementwise("TanhGrad", 3, 0, 4, []konst{f32(1)}, func(l *loop) {
		y := l.get(1)
		l.put(0, l.mul(l.get(2), l.fnma(y, y, f32(1))))
	})
	a.elementwise("SigmoidGrad", 3, 0, 4, nil, func(l *loop) {
		y := l.get(1)
		l.put(0, l.mul(l.get(2), l.fnma(y, y, y)))
	})
	a.elementwise("MulTanhGrad", 4, 0, 4, []konst{f32(1)}, func(l *loop) {
		y := l.get(1)
		l.put(0, l.mul(l.mul(l.get(2), l.get(3)), l.fnma(y, y, f32(1))))
	})
	a.elementwise("MulSigmoidGrad", 4, 0, 4, nil, func(l *loop) {
		y := l.get(1)
		l.put(0, l.mul(l.mul(l.get(2), l.get(3)), l.fnma(y, y, y)))
	})
	a.elementwise("AddTanhGrad", 4, 0, 4, []konst{f32(1)}, func(l *loop) {
		x, y := l.get(1), l.get(2)
		l.fma231(x, l.get(3), l.fnma(y, y, f32(1)))
		l.put(0, x)
	})
	a.elementwise("AddSigmoidGrad", 4, 0, 4, nil, func(l *loop) {
		x, y := l.get(1), l.get(2)
		l.fma231(x, l.get(3), l.fnma(y, y, y))
		l.put(0, x)
	})
	a.elementwise("ReLUGrad", 3, 0, 4, []konst{0}, func(l *loop) {
		m := l.cmp(greater, l.get(1), konst(0))
		l.put(0, l.orZero(m, l.get(2)))
	})
	a.elementwise("LeakyReLUGrad", 3, 1, 4, []konst{0}, func(l *loop) {
		m := l.cmp(less, l.get(1), konst(0))
		g := l.get(2)
		l.put(0, l.choose(m, l.mul(g, l.scalars[0]), g))
	})
}

func (a *asm) zeroVec() vector {
	v := a.vec()
	a.zero(v)
	return v
}

// expKonsts are the constants of exp that are worth a register, commonKonsts those of functions made from it.
var expKonsts = []konst{f32(89), f32(expLow), f32(12582912), f32(1.4426950408889634), f32(-0.693145751953125),
	f32(-1.428606765330187e-06), f32(1), f32(0.000198527617612853646), f32(0.5)}

func (a *asm) functions() {
	for _, f := range []struct {
		name   string
		f      func(vector) vector
		unroll int
		consts []konst
	}{
		{"Exp", a.exp, 2, expKonsts},
		{"Log", a.log, 2, nil},
		{"Tanh", a.tanh, 2, append([]konst{f32(2)}, expKonsts...)},
		{"Sigmoid", a.sigmoid, 2, append([]konst{0}, expKonsts...)},
		{"Gate", a.gate, 2, append([]konst{0}, expKonsts...)},
		{"GELU", a.gelu, 2, append([]konst{0}, expKonsts...)},
		{"GELUErf", a.geluErf, 2, expKonsts},
		{"SiLU", a.silu, 2, append([]konst{0}, expKonsts...)},
		{"Softplus", a.softplus, 2, expKonsts},
		{"Erf", a.erf, 2, expKonsts},
	} {
		a.elementwise(f.name, 2, 0, f.unroll, f.consts, func(l *loop) { l.put(0, f.f(l.get(1))) })
	}
	for _, f := range []struct {
		name string
		f    func(vector) vector
	}{
		{"GELUGrad", a.geluGrad},
		{"GELUErfGrad", a.geluErfGrad},
		{"SiLUGrad", a.siluGrad},
		{"SoftplusGrad", a.gate},
		{"ErfGrad", func(x vector) vector { return a.mul(a.exp(a.neg(a.mul(x, x))), f32(twoRsqrtPi)) }},
	} {
		a.elementwise(f.name, 3, 0, 2, expKonsts, func(l *loop) {
			d := f.f(l.get(1))
			l.put(0, l.mul(l.get(2), d))
		})
	}
}

// rows emits what the kernels over rows do to each element of a row.
func (a *asm) rows() {
	hat := func(l *loop, x vector) vector { return l.mul(l.sub(x, l.scalars[0]), l.scalars[1]) }
	a.elementwise("Norm", 4, 2, 4, nil, func(l *loop) {
		h := hat(l, l.get(1))
		l.fma213(h, l.get(2), l.get(3))
		l.put(0, h)
	})
	a.elementwise("NormGain", 3, 2, 4, nil, func(l *loop) { l.put(0, l.mul(hat(l, l.get(1)), l.get(2))) })
	a.elementwise("NormGrad", 4, 4, 2, nil, func(l *loop) {
		h := hat(l, l.get(2))
		t := l.sub(l.mul(l.get(1), l.get(3)), l.scalars[2])
		l.fnma231(t, h, l.scalars[3])
		l.put(0, l.mul(t, l.scalars[1]))
	})
	a.elementwise("LogSoftmax", 2, 2, 4, nil, func(l *loop) {
		l.put(0, l.sub(l.sub(l.get(1), l.scalars[0]), l.scalars[1]))
	})
	a.elementwise("SoftmaxGrad", 3, 1, 4, nil, func(l *loop) {
		y := l.get(1)
		l.put(0, l.mul(y, l.sub(l.get(2), l.scalars[0])))
	})
	a.elementwise("LogSoftmaxGrad", 3, 1, 2, expKonsts, func(l *loop) {
		e := l.exp(l.get(1))
		l.put(0, l.fnma(e, l.scalars[0], l.get(2)))
	})
}

// pairs emits the gated units and the rotation of positions.
func (a *asm) pairs() {
	gateKonsts := append([]konst{0}, expKonsts...)
	a.elementwise("SwiGLU", 3, 0, 1, gateKonsts, func(l *loop) { l.put(0, l.mul(l.silu(l.get(1)), l.get(2))) })
	a.elementwise("SwiGLUGrad", 5, 0, 1, gateKonsts, func(l *loop) {
		g := l.get(2)
		s := l.gate(g)
		e := l.get(4)
		d := l.mul(e, l.get(3))
		t := l.fnma(s, g, g)
		l.fma213(t, s, s)
		up := l.mul(e, l.mul(g, s))
		l.put(0, l.mul(d, t))
		l.put(1, up)
	})
	a.elementwise("Rotate", 6, 1, 2, nil, func(l *loop) {
		p, q, cos, sin := l.get(2), l.get(3), l.get(4), l.mul(l.get(5), l.scalars[0])
		x, y := l.mul(p, cos), l.mul(q, cos)
		l.fnma231(x, q, sin)
		l.fma231(y, p, sin)
		l.put(0, x)
		l.put(1, y)
	})
}

// optimizers emits the update rules; the scalars are listed beside the ops in runtime/kernel/vec.go.
func (a *asm) optimizers() {
	// gradient is gscale·g + weightDecay·p.
	gradient := func(l *loop, p, g vector) vector {
		d := l.mul(g, l.scalars[2])
		l.fma231(d, p, l.scalars[1])
		return d
	}
	a.elementwise("SGD", 2, 3, 2, nil, func(l *loop) {
		p := l.get(0)
		d := gradient(l, p, l.get(1))
		l.fnma231(p, d, l.scalars[0])
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
			b := l.mul(d, l.scalars[4])
			l.fma231(b, l.get(1), l.scalars[3])
			l.put(1, b)
			if nesterov {
				l.fma213(b, l.scalars[3], d)
			}
			l.fnma231(p, b, l.scalars[0])
			l.put(0, p)
		})
	}
	a.elementwise("RMSprop", 3, 6, 2, nil, func(l *loop) {
		p := l.get(0)
		d := gradient(l, p, l.get(2))
		s := l.mul(l.mul(d, d), l.scalars[4])
		l.fma231(s, l.get(1), l.scalars[3])
		l.put(1, s)
		l.fnma231(p, l.div(d, l.add(l.sqrt(s), l.scalars[5])), l.scalars[0])
		l.put(0, p)
	})
	a.elementwise("Adagrad", 3, 4, 2, nil, func(l *loop) {
		p := l.get(0)
		d := gradient(l, p, l.get(2))
		s := l.get(1)
		l.fma231(s, d, d)
		l.put(1, s)
		l.fnma231(p, l.div(d, l.add(l.sqrt(s), l.scalars[3])), l.scalars[0])
		l.put(0, p)
	})
	for _, coupled := range []bool{false, true} {
		name := "Adam"
		if coupled {
			name = "AdamL2"
		}
		a.elementwise(name, 4, 9, 1, nil, func(l *loop) {
			p := l.get(0)
			d := l.mul(l.get(3), l.scalars[2])
			if coupled {
				l.fma231(d, p, l.scalars[1])
			} else {
				p = l.mul(p, l.scalars[1])
			}
			m := l.mul(d, l.scalars[4])
			l.fma231(m, l.get(1), l.scalars[3])
			s := l.mul(l.mul(d, d), l.scalars[6])
			l.fma231(s, l.get(2), l.scalars[5])
			l.put(1, m)
			l.put(2, s)
			den := l.sqrt(s)
			l.fma213(den, l.scalars[7], l.scalars[8])
			l.fnma231(p, l.div(m, den), l.scalars[0])
			l.put(0, p)
		})
	}
}

// lion emits the update whose step is a sign; see runtime/kernel/vec.go.
func (a *asm) lion() {
	huge := f32(0x1p127) // twice, so that the smallest number becomes more than 1
	a.elementwise("Lion", 3, 7, 2, []konst{huge, f32(1), f32(-1)}, func(l *loop) {
		p := l.mul(l.get(0), l.scalars[1])
		d := l.mul(l.get(2), l.scalars[2])
		m := l.get(1)
		u := l.mul(d, l.scalars[4])
		l.fma231(u, m, l.scalars[3])
		next := l.mul(d, l.scalars[6])
		l.fma231(next, m, l.scalars[5])
		l.put(1, next)
		sign := l.max(f32(-1), l.min(f32(1), l.mul(l.mul(u, huge), huge)))
		l.fnma231(p, sign, l.scalars[0])
		l.put(0, p)
	})
}
