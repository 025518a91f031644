package kernel

func sgdGeneric(v *vec, p, g []float32) {
	lr, decay, gs := v.s[0], v.s[1], v.s[2]
	for i := range p {
		d := fma(decay, p[i], float32(g[i]*gs))
		p[i] = fma(-lr, d, p[i])
	}
}

func momentumGeneric(v *vec, p, buf, g []float32, nesterov bool) {
	lr, decay, gs, mu, damp := v.s[0], v.s[1], v.s[2], v.s[3], v.s[4]
	for i := range p {
		d := fma(decay, p[i], float32(g[i]*gs))
		b := fma(mu, buf[i], float32(d*damp))
		buf[i] = b
		if nesterov {
			b = fma(mu, b, d)
		}
		p[i] = fma(-lr, b, p[i])
	}
}

func rmspropGeneric(v *vec, p, sq, g []float32) {
	lr, decay, gs, alpha, rest, eps := v.s[0], v.s[1], v.s[2], v.s[3], v.s[4], v.s[5]
	for i := range p {
		d := fma(decay, p[i], float32(g[i]*gs))
		s := fma(alpha, sq[i], float32(float32(d*d)*rest))
		sq[i] = s
		p[i] = fma(-lr, d/float32(sqrt32(s)+eps), p[i])
	}
}

func adagradGeneric(v *vec, p, sum, g []float32) {
	lr, decay, gs, eps := v.s[0], v.s[1], v.s[2], v.s[3]
	for i := range p {
		d := fma(decay, p[i], float32(g[i]*gs))
		s := fma(d, d, sum[i])
		sum[i] = s
		p[i] = fma(-lr, d/float32(sqrt32(s)+eps), p[i])
	}
}

func adamGeneric(v *vec, p, m, sq, g []float32, coupled bool) {
	step, decay, gs, b1, r1, b2, r2, c2, eps := v.s[0], v.s[1], v.s[2], v.s[3], v.s[4], v.s[5], v.s[6], v.s[7], v.s[8]
	for i := range p {
		d, w := float32(g[i]*gs), p[i]
		if coupled {
			d = fma(decay, w, d)
		} else {
			w *= decay
		}
		mt := fma(b1, m[i], float32(d*r1))
		st := fma(b2, sq[i], float32(float32(d*d)*r2))
		m[i], sq[i] = mt, st
		den := fma(sqrt32(st), c2, eps)
		p[i] = fma(-step, mt/den, w)
	}
}

func lionGeneric(v *vec, p, m, g []float32) {
	const huge = 0x1p127 // twice, so that the smallest number becomes more than 1
	lr, decay, gs, b1, r1, b2, r2 := v.s[0], v.s[1], v.s[2], v.s[3], v.s[4], v.s[5], v.s[6]
	for i := range p {
		d := float32(g[i] * gs)
		u := fma(b1, m[i], float32(d*r1))
		m[i] = fma(b2, m[i], float32(d*r2))
		sign := max32(-1, min32(1, float32(float32(u*huge)*huge)))
		p[i] = fma(-lr, sign, float32(p[i]*decay))
	}
}
