package kernel

// vecGeneric is the definition of every elementwise kernel.
func vecGeneric(o op, v *vec, lo, hi int) {
	d := v.at(0, lo, hi)
	switch o {
	case opClear:
		clear(d)
		return
	case opFill:
		for i := range d {
			d[i] = v.s[0]
		}
		return
	case opUniform, opNormal, opGumbel:
		drawGeneric(o, d, v.key, v.offset+uint64(lo))
		return
	}
	x := v.at(1, lo, hi)
	switch o {
	case opCopy:
		copy(d, x)
	case opScale:
		for i := range d {
			d[i] = x[i] * v.s[0]
		}
	case opClamp:
		for i := range d {
			d[i] = max32(v.s[0], min32(v.s[1], x[i]))
		}
	case opSqrt:
		for i := range d {
			d[i] = sqrt32(x[i])
		}
	case opExp:
		for i := range d {
			d[i] = exp32(x[i])
		}
	case opLog:
		for i := range d {
			d[i] = log32(x[i])
		}
	case opTanh:
		for i := range d {
			d[i] = tanh32(x[i])
		}
	case opSigmoid:
		for i := range d {
			d[i] = sigmoid32(x[i])
		}
	case opGate:
		for i := range d {
			d[i] = gate32(x[i])
		}
	case opReLU:
		for i := range d {
			d[i] = max32(0, x[i])
		}
	case opLeakyReLU:
		for i := range d {
			d[i] = x[i]
			if x[i] < 0 {
				d[i] = x[i] * v.s[0]
			}
		}
	case opGELU:
		for i := range d {
			d[i] = gelu32(x[i])
		}
	case opGELUErf:
		for i := range d {
			d[i] = geluErf32(x[i])
		}
	case opSiLU:
		for i := range d {
			d[i] = silu32(x[i])
		}
	case opSoftplus:
		for i := range d {
			d[i] = softplus32(x[i])
		}
	case opErf:
		for i := range d {
			d[i] = erf32(x[i])
		}
	case opAxpb:
		for i := range d {
			d[i] = fma(x[i], v.s[0], v.s[1])
		}
	case opLogSoftmax:
		for i := range d {
			d[i] = x[i] - v.s[0] - v.s[1]
		}
	case opDropout:
		dropoutGeneric(d, x, v.s[0], v.limit, v.key, v.offset+uint64(lo))
	case opSGD:
		sgdGeneric(v, d, x)
	default:
		vecGeneric3(o, v, d, x, lo, hi)
	}
}

// vecGeneric3 is vecGeneric for kernels of three pointers and more.
func vecGeneric3(o op, v *vec, d, x []float32, lo, hi int) {
	y := v.at(2, lo, hi)
	switch o {
	case opAdd:
		for i := range d {
			d[i] = x[i] + y[i]
		}
	case opSub:
		for i := range d {
			d[i] = x[i] - y[i]
		}
	case opMul:
		for i := range d {
			d[i] = x[i] * y[i]
		}
	case opDiv:
		for i := range d {
			d[i] = x[i] / y[i]
		}
	case opAddScaled:
		for i := range d {
			d[i] = fma(y[i], v.s[0], x[i])
		}
	case opMulAdd:
		c := v.at(3, lo, hi)
		for i := range d {
			d[i] = fma(x[i], y[i], c[i])
		}
	case opMulSub:
		c := v.at(3, lo, hi)
		for i := range d {
			d[i] = fma(x[i], y[i], -c[i])
		}
	case opSubMul:
		b := v.at(3, lo, hi)
		for i := range d {
			d[i] = fma(-y[i], b[i], x[i])
		}
	case opMulTanhGrad:
		b := v.at(3, lo, hi)
		for i := range d {
			d[i] = float32(y[i]*b[i]) * fma(-x[i], x[i], 1)
		}
	case opMulSigmoidGrad:
		b := v.at(3, lo, hi)
		for i := range d {
			d[i] = float32(y[i]*b[i]) * fma(-x[i], x[i], x[i])
		}
	case opAddTanhGrad:
		dy := v.at(3, lo, hi)
		for i := range d {
			d[i] = fma(dy[i], fma(-y[i], y[i], 1), x[i])
		}
	case opAddSigmoidGrad:
		dy := v.at(3, lo, hi)
		for i := range d {
			d[i] = fma(dy[i], fma(-y[i], y[i], y[i]), x[i])
		}
	case opTanhGrad:
		for i := range d {
			d[i] = y[i] * fma(-x[i], x[i], 1)
		}
	case opSigmoidGrad:
		for i := range d {
			d[i] = y[i] * fma(-x[i], x[i], x[i])
		}
	case opReLUGrad:
		for i := range d {
			g := y[i]
			if !(x[i] > 0) {
				g = 0
			}
			d[i] = g
		}
	case opLeakyReLUGrad:
		for i := range d {
			g := y[i]
			if x[i] < 0 {
				g *= v.s[0]
			}
			d[i] = g
		}
	case opGELUGrad:
		for i := range d {
			d[i] = y[i] * geluGrad32(x[i])
		}
	case opGELUErfGrad:
		for i := range d {
			d[i] = y[i] * geluErfGrad32(x[i])
		}
	case opSiLUGrad:
		for i := range d {
			d[i] = y[i] * siluGrad32(x[i])
		}
	case opSoftplusGrad:
		for i := range d {
			d[i] = y[i] * gate32(x[i])
		}
	case opErfGrad:
		for i := range d {
			d[i] = y[i] * float32(exp32(-float32(x[i]*x[i]))*twoRsqrtPi)
		}
	case opNorm:
		bias := v.at(3, lo, hi)
		for i := range d {
			d[i] = fma(float32((x[i]-v.s[0])*v.s[1]), y[i], bias[i])
		}
	case opNormGain:
		for i := range d {
			d[i] = float32((x[i]-v.s[0])*v.s[1]) * y[i]
		}
	case opSoftmaxGrad:
		for i := range d {
			d[i] = x[i] * float32(y[i]-v.s[0])
		}
	case opSwiGLU:
		for i := range d {
			d[i] = silu32(x[i]) * y[i]
		}
	case opSwiGLUGrad:
		up, dy := v.at(3, lo, hi), v.at(4, lo, hi)
		for i := range d {
			g, u, e := y[i], up[i], dy[i]
			s := gate32(g)
			d[i] = float32(e*u) * fma(s, fma(-s, g, g), s)
			x[i] = e * float32(g*s)
		}
	case opRotate:
		a, b, cos, sin := y, v.at(3, lo, hi), v.at(4, lo, hi), v.at(5, lo, hi)
		for i := range d {
			s, p, q := float32(sin[i]*v.s[0]), a[i], b[i]
			d[i] = fma(-q, s, float32(p*cos[i]))
			x[i] = fma(p, s, float32(q*cos[i]))
		}
	case opLogSoftmaxGrad:
		for i := range d {
			d[i] = fma(-exp32(x[i]), v.s[0], y[i])
		}
	case opMomentum, opNesterov:
		momentumGeneric(v, d, x, y, o == opNesterov)
	case opRMSprop:
		rmspropGeneric(v, d, x, y)
	case opAdagrad:
		adagradGeneric(v, d, x, y)
	case opAdam, opAdamL2:
		adamGeneric(v, d, x, y, v.at(3, lo, hi), o == opAdamL2)
	case opLion:
		lionGeneric(v, d, x, y)
	default:
		panic("kernel: no such elementwise kernel")
	}
}
