package kernel

// cellGeneric is the definition of the recurrent cells, over the units lo to hi of one row.
func cellGeneric(o op, v *vec, lo, hi int) {
	n := hi - lo
	p := func(i int) []float32 { return v.at(i, lo, hi)[:n] }
	switch o {
	case opLSTMCell:
		h, c, ai, af, ag, ao := p(0), p(1), p(2), p(3), p(4), p(5)
		gi, gf, gg, g3, cPrev := p(6), p(7), p(8), p(9), p(10)
		for k := range n {
			i, f, g, o := gate32(gi[k]), gate32(gf[k]), tanh32(gg[k]), gate32(g3[k])
			ct := fma(f, cPrev[k], float32(i*g))
			ai[k], af[k], ag[k], ao[k] = i, f, g, o
			c[k] = ct
			h[k] = o * tanh32(ct)
		}
	case opLSTMCellGrad:
		dgi, dgf, dgg, dgo, dcPrev, dh, dc := p(0), p(1), p(2), p(3), p(4), p(5), p(6)
		ai, af, ag, ao, c, cPrev := p(7), p(8), p(9), p(10), p(11), p(12)
		for k := range n {
			i, f, g, o := ai[k], af[k], ag[k], ao[k]
			t := tanh32(c[k])
			do := float32(dh[k] * t)
			d := fma(float32(dh[k]*o), fma(-t, t, 1), dc[k]) // through h and through the next step
			di, df, dg := float32(d*g), float32(d*cPrev[k]), float32(d*i)
			dcPrev[k] = d * f
			dgi[k] = di * fma(-i, i, i)
			dgf[k] = df * fma(-f, f, f)
			dgg[k] = dg * fma(-g, g, 1)
			dgo[k] = do * fma(-o, o, o)
		}
	case opGRUCell:
		h, ar, az, an := p(0), p(1), p(2), p(3)
		xr, xz, xn, hr, hz, hn, hPrev := p(4), p(5), p(6), p(7), p(8), p(9), p(10)
		for k := range n {
			r, z := gate32(xr[k]+hr[k]), gate32(xz[k]+hz[k])
			t := tanh32(fma(r, hn[k], xn[k]))
			ar[k], az[k], an[k] = r, z, t
			h[k] = fma(z, hPrev[k]-t, t)
		}
	case opGRUCellGrad:
		dxr, dxz, dxn, dhr, dhz, dhn, dhPrev, dh := p(0), p(1), p(2), p(3), p(4), p(5), p(6), p(7)
		ar, az, an, hn, hPrev := p(8), p(9), p(10), p(11), p(12)
		for k := range n {
			r, z, t, d := ar[k], az[k], an[k], dh[k]
			dn := float32(float32(d*(1-z)) * fma(-t, t, 1))
			dz := float32(float32(d*(hPrev[k]-t)) * fma(-z, z, z))
			dr := float32(float32(dn*hn[k]) * fma(-r, r, r))
			dhPrev[k] = d * z
			dxr[k], dxz[k], dxn[k] = dr, dz, dn
			dhr[k], dhz[k], dhn[k] = dr, dz, dn*r
		}
	case opGRUReset:
		ar, az, rh, gr, gz, hPrev := p(0), p(1), p(2), p(3), p(4), p(5)
		for k := range n {
			r, z := gate32(gr[k]), gate32(gz[k])
			ar[k], az[k] = r, z
			rh[k] = r * hPrev[k]
		}
	case opGRUResetGrad:
		dgr, dgz, dhPrev, drr, drz, drh, ar, az, hPrev := p(0), p(1), p(2), p(3), p(4), p(5), p(6), p(7), p(8)
		for k := range n {
			r, z, d := ar[k], az[k], drh[k]
			dr := float32(fma(d, hPrev[k], drr[k]) * fma(-r, r, r))
			dz := float32(drz[k] * fma(-z, z, z))
			dgr[k], dgz[k] = dr, dz
			dhPrev[k] = d * r
		}
	case opGRUUpdate:
		h, an, gn, az, hPrev := p(0), p(1), p(2), p(3), p(4)
		for k := range n {
			t, z := tanh32(gn[k]), az[k]
			an[k] = t
			h[k] = fma(z, hPrev[k]-t, t)
		}
	case opGRUUpdateGrad:
		dgn, drr, drz, dhPrev, dh, an, az, hPrev := p(0), p(1), p(2), p(3), p(4), p(5), p(6), p(7)
		for k := range n {
			t, z, d, hp := an[k], az[k], dh[k], hPrev[k]
			dgn[k] = float32(d*(1-z)) * fma(-t, t, 1)
			drr[k], drz[k] = 0, d*(hp-t)
			dhPrev[k] = d * z
		}
	default:
		panic("kernel: no such elementwise kernel")
	}
}
