package asm

// A piece is arithmetic on one vector of each of its arguments. Each is the elementwise kernel of its name, by itself,
// and a step of the routines of models: so the bits are the same.
type piece struct {
	name    string
	inputs  int
	numbers int
	unroll  int     // vectors that the kernel works on at a time
	consts  []konst // worth a register each
	emit    func(a *asm, x operands) vector
}

// operands are the arguments of a piece.
type operands interface {
	// input is argument i, in a register that must not be changed.
	input(i int) vector
	// changed is argument i, which the piece reads no more, in a register that it may change.
	changed(i int) vector
	// number is number i.
	number(i int) arg
}

func (a *asm) zeroVec() vector {
	v := a.vec()
	a.zero(v)
	return v
}

// expKonsts are the constants of exp that are worth a register, smallKonsts those of expSmall and of functions made
// from it.
var (
	smallKonsts = []konst{f32(expLow), f32(12582912), f32(1.4426950408889634), f32(-0.693145751953125),
		f32(-1.428606765330187e-06), f32(1), f32(0.000198527617612853646), f32(0.5)}
	expKonsts  = append([]konst{f32(89)}, smallKonsts...)
	tanhKonsts = append([]konst{f32(2), f32(87)}, smallKonsts...)
	gateKonsts = append([]konst{0}, smallKonsts...)
	// copiedKonsts are those that expSmall copies, which costs nothing from a register.
	copiedKonsts = []konst{f32(12582912), f32(0.000198527617612853646)}
)

// unary is the piece f of one argument.
func unary(f func(*asm, vector) vector) func(*asm, operands) vector {
	return func(a *asm, x operands) vector { return f(a, x.input(0)) }
}

// binary is the piece f of two arguments.
func binary(f func(a *asm, x, y arg) vector) func(*asm, operands) vector {
	return func(a *asm, x operands) vector { return f(a, x.input(0), x.input(1)) }
}

// slope is the piece that multiplies its second argument by f of the first.
func slope(f func(*asm, vector) vector) func(*asm, operands) vector {
	return func(a *asm, x operands) vector {
		d := f(a, x.input(0))
		return a.mul(x.input(1), d)
	}
}

// pieces are all of them; the arguments are listed beside the ops in runtime/kernel/vec.go.
var pieces = []piece{
	{"Copy", 1, 0, 4, nil, func(_ *asm, x operands) vector { return x.input(0) }},
	{"Add", 2, 0, 4, nil, binary((*asm).add)},
	{"Sub", 2, 0, 4, nil, binary((*asm).sub)},
	{"Mul", 2, 0, 4, nil, binary((*asm).mul)},
	{"Div", 2, 0, 4, nil, binary((*asm).div)},
	{"Scale", 1, 1, 4, nil, func(a *asm, x operands) vector { return a.mul(x.input(0), x.number(0)) }},
	{"AddScaled", 2, 1, 4, nil, func(a *asm, x operands) vector {
		u := x.changed(0)
		a.fma231(u, x.input(1), x.number(0))
		return u
	}},
	{"MulAdd", 3, 0, 4, nil, func(a *asm, x operands) vector {
		u := x.changed(0)
		a.fma213(u, x.input(1), x.input(2))
		return u
	}},
	{"MulSub", 3, 0, 4, nil, func(a *asm, x operands) vector {
		u := x.changed(0)
		a.fms213(u, x.input(1), x.input(2))
		return u
	}},
	{"SubMul", 3, 0, 4, nil, func(a *asm, x operands) vector {
		u := x.changed(0)
		a.fnma231(u, x.input(1), x.input(2))
		return u
	}},
	{"Axpb", 1, 2, 4, nil, func(a *asm, x operands) vector {
		u := x.changed(0)
		a.fma213(u, a.in(x.number(0)), x.number(1))
		return u
	}},
	{"Sqrt", 1, 0, 2, nil, unary((*asm).sqrt)},
	{"Clamp", 1, 2, 4, nil, func(a *asm, x operands) vector {
		return a.max(x.number(0), a.min(x.number(1), x.input(0)))
	}},
	{"ReLU", 1, 0, 4, []konst{0}, func(a *asm, x operands) vector { return a.max(konst(0), x.input(0)) }},
	{"LeakyReLU", 1, 1, 4, []konst{0}, func(a *asm, x operands) vector {
		v := x.input(0)
		return a.choose(a.cmp(less, v, konst(0)), a.mul(v, x.number(0)), v)
	}},
	{"TanhGrad", 2, 0, 4, []konst{f32(1)}, func(a *asm, x operands) vector {
		y := x.input(0)
		return a.mul(x.input(1), a.fnma(y, y, f32(1)))
	}},
	{"SigmoidGrad", 2, 0, 4, nil, func(a *asm, x operands) vector {
		y := x.input(0)
		return a.mul(x.input(1), a.fnma(y, y, y))
	}},
	{"MulTanhGrad", 3, 0, 4, []konst{f32(1)}, func(a *asm, x operands) vector {
		y := x.input(0)
		return a.mul(a.mul(x.input(1), x.input(2)), a.fnma(y, y, f32(1)))
	}},
	{"MulSigmoidGrad", 3, 0, 4, nil, func(a *asm, x operands) vector {
		y := x.input(0)
		return a.mul(a.mul(x.input(1), x.input(2)), a.fnma(y, y, y))
	}},
	{"AddTanhGrad", 3, 0, 4, []konst{f32(1)}, func(a *asm, x operands) vector {
		u, y := x.changed(0), x.input(1)
		a.fma231(u, x.input(2), a.fnma(y, y, f32(1)))
		return u
	}},
	{"AddSigmoidGrad", 3, 0, 4, nil, func(a *asm, x operands) vector {
		u, y := x.changed(0), x.input(1)
		a.fma231(u, x.input(2), a.fnma(y, y, y))
		return u
	}},
	{"ReLUGrad", 2, 0, 4, []konst{0}, func(a *asm, x operands) vector {
		m := a.cmp(greater, x.input(0), konst(0))
		return a.orZero(m, x.input(1))
	}},
	{"LeakyReLUGrad", 2, 1, 4, []konst{0}, func(a *asm, x operands) vector {
		m := a.cmp(less, x.input(0), konst(0))
		g := x.input(1)
		return a.choose(m, a.mul(g, x.number(0)), g)
	}},
	{"Exp", 1, 0, 2, expKonsts, unary((*asm).exp)},
	{"Log", 1, 0, 2, nil, unary((*asm).log)},
	{"Tanh", 1, 0, 2, tanhKonsts, unary((*asm).tanh)},
	{"Sigmoid", 1, 0, 2, gateKonsts, unary((*asm).sigmoid)},
	{"Gate", 1, 0, 2, gateKonsts, unary((*asm).gate)},
	{"GELU", 1, 0, 2, gateKonsts, unary((*asm).gelu)},
	{"GELUErf", 1, 0, 2, smallKonsts, unary((*asm).geluErf)},
	{"SiLU", 1, 0, 2, gateKonsts, unary((*asm).silu)},
	{"Softplus", 1, 0, 2, smallKonsts, unary((*asm).softplus)},
	{"Erf", 1, 0, 2, smallKonsts, unary((*asm).erf)},
	{"GELUGrad", 2, 0, 2, smallKonsts, slope((*asm).geluGrad)},
	{"GELUErfGrad", 2, 0, 2, smallKonsts, slope((*asm).geluErfGrad)},
	{"SiLUGrad", 2, 0, 2, smallKonsts, slope((*asm).siluGrad)},
	{"SoftplusGrad", 2, 0, 2, smallKonsts, slope((*asm).gate)},
	{"ErfGrad", 2, 0, 2, smallKonsts, slope((*asm).erfSlope)},
}
