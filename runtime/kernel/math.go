package kernel

import "math"

// The scalar functions below define the elementwise kernels: each is one fixed sequence of float32 operations, and the
// assembly performs the same sequence on vectors. The errors are held by TestUlp.

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

func copysign32(x, sign float32) float32 {
	return math.Float32frombits(math.Float32bits(x)&^(1<<31) | math.Float32bits(sign)&(1<<31))
}

// min32 and max32 return y when either is a NaN or both are zeros, as VMINPS and VMAXPS do.
func min32(x, y float32) float32 {
	if x < y {
		return x
	}
	return y
}

func max32(x, y float32) float32 {
	if x > y {
		return x
	}
	return y
}

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }

const (
	expHigh  = 89           // exp of more overflows
	expLow   = -87.33654785 // exp of this and of less is below the normal numbers
	log2e    = 1.4426950408889634
	ln2High  = 0.693145751953125
	ln2Low   = 1.428606765330187e-06
	expMagic = 12582912 // 1.5·2²³: adding it rounds to an integer
)

// exp32 is e**x: 2**n·e**r with |r| ≤ ln(2)/2, the polynomial of SLEEF's xexpf. What would be below the normal numbers
// is 0: with subnormal results an exponential takes thirty times as long on some machines, and in a softmax, where what
// is masked or far from the largest has them, they are nothing.
func exp32(x float32) float32 {
	if x <= expLow {
		return 0
	}
	u, i := expParts(x)
	return scale2(u+1, i)
}

// exp32Pair is exp32 and what its last addition rounded away.
func exp32Pair(x float32) (hi, lo float32) {
	if x <= expLow {
		return 0, 0
	}
	u, i := expParts(x)
	s := 1 + u
	return scale2(s, i), scale2(u-float32(s-1), i)
}

// expParts returns e**r - 1 and n.
func expParts(x float32) (float32, int32) {
	x = min32(expHigh, x)
	t := fma(x, log2e, expMagic)
	n := t - expMagic
	r := fma(n, -ln2High, x)
	r = fma(n, -ln2Low, r)
	u := float32(0.000198527617612853646)
	u = fma(u, r, 0.00139304355252534151)
	u = fma(u, r, 0.00833336077630519867)
	u = fma(u, r, 0.0416664853692054749)
	u = fma(u, r, 0.166666671633720398)
	u = fma(u, r, 0.5)
	u = fma(u, float32(r*r), r)
	if x != x {
		return x, 0
	}
	return u, int32(math.Float32bits(t)) - int32(math.Float32bits(expMagic))
}

// scale2 is u·2**i, in two factors because 2**128 is not a float32.
func scale2(u float32, i int32) float32 {
	h := i >> 1
	return float32(u*pow2(h)) * pow2(i-h)
}

// pow2 is 2**n for n from -126 to 127.
func pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// log32 is the natural logarithm: i·ln(2) + log1p(f) with f from -1/3 to 1/3, a minimax polynomial.
func log32(x float32) float32 {
	a, i := x, float32(0)
	if x < 1.17549435e-38 {
		a = x * 8388608
		i = -23
	}
	e := (math.Float32bits(a) - 0x3f2aaaab) & 0xff800000
	m := math.Float32frombits(math.Float32bits(a) - e)
	i = fma(float32(int32(e)), 1.0/8388608, i)
	f := m - 1
	s := f * f
	r := float32(-0.130310059)
	t := float32(0.140869141)
	r = fma(r, s, -0.121483512)
	t = fma(t, s, 0.139814854)
	r = fma(r, s, -0.166846126)
	t = fma(t, s, 0.200120345)
	r = fma(r, s, -0.249996200)
	r = fma(t, f, r)
	r = fma(r, f, 0.333331972)
	r = fma(r, f, -0.5)
	r = fma(r, s, f)
	r = fma(i, 0.693147182, r)
	switch {
	case x == 0:
		return float32(math.Inf(-1))
	case !(x >= 0): // negative or NaN
		return float32(math.NaN())
	case x > math.MaxFloat32:
		return x
	}
	return r
}

// tanh32 is tanh(x): an odd polynomial below 0.625 (Cephes, refitted for fused operations by rounding only), and
// 1 - 2/(e**2|x| + 1) above.
func tanh32(x float32) float32 {
	a := abs32(x)
	z := x * x
	p := float32(-5.70498872745e-3)
	p = fma(p, z, 2.06390887954e-2)
	p = fma(p, z, -5.37397155531e-2)
	p = fma(p, z, 1.33314422036e-1)
	p = fma(p, z, -3.33332819422e-1)
	p = fma(float32(p*z), x, x)
	e := exp32(a + a)
	q := 1 - 2/float32(e+1)
	if a < 0.625 {
		return p
	}
	return copysign32(q, x)
}

// gate32 is 1/(1 + e**-x), written with e**-|x| so that it neither overflows nor loses the left tail. Its error is
// below 2.6 ulp, which is enough for what is made from it: the gates of cells, GELU, SiLU.
func gate32(x float32) float32 {
	z := exp32(-abs32(x))
	n := float32(1)
	if x < 0 {
		n = z
	}
	return n / float32(1+z)
}

// sigmoid32 is 1/(1 + e**-x) as gate32 has it, with the rounding errors of the exponential, of the denominator and of
// the quotient carried along and corrected at the end.
func sigmoid32(x float32) float32 {
	z, zl := exp32Pair(-abs32(x))
	d := 1 + z
	dl := float32(z-float32(d-1)) + zl
	n, nl := float32(1), float32(0)
	if x < 0 {
		n, nl = z, zl
	}
	r := 1 / d
	y := float32(n * r)
	e := fma(-y, d, n) + nl
	e = fma(-y, dl, e)
	return fma(e, r, y)
}

// erf32 is the error function: an odd polynomial below 0.921875 and 1 - e**q(|x|) above.
func erf32(x float32) float32 {
	t := abs32(x)
	s := x * x
	p := float32(-5.96761703e-4)
	p = fma(p, s, 4.99119423e-3)
	p = fma(p, s, -2.67681349e-2)
	p = fma(p, s, 1.12819925e-1)
	p = fma(p, s, -3.76125336e-1)
	p = fma(p, s, 1.28379166e-1)
	p = fma(p, x, x)

	t4 := min32(4, t) // erf rounds to 1 beyond; the polynomial would not
	s = t4 * t4
	r := fma(-1.72853470e-5, t4, 3.83197126e-4)
	u := fma(-3.88396438e-3, t4, 2.42546219e-2)
	r = fma(r, s, u)
	r = fma(r, t4, -1.06777877e-1)
	r = fma(r, t4, -6.34846687e-1)
	r = fma(r, t4, -1.28717512e-1)
	r = fma(r, t4, -t4)
	r = 1 - exp32(r)
	if t < 0.921875 {
		return p
	}
	return copysign32(r, x)
}

// normal32 is erf(x/√2), to an absolute error of 2**-22: a rational function of degrees 13 and 8 (Eigen's), which is
// what GELU needs, at half the cost of erf32.
func normal32(x float32) float32 {
	t := max32(-4, min32(4, x*rsqrt2))
	s := float32(t * t)
	p := float32(-2.72614225801306e-10)
	p = fma(p, s, 2.77068142495902e-08)
	p = fma(p, s, -2.10102402082508e-06)
	p = fma(p, s, -5.69250639462346e-05)
	p = fma(p, s, -7.34990630326855e-04)
	p = fma(p, s, -2.95459980854025e-03)
	p = fma(p, s, -1.60960333262415e-02)
	p = t * p
	q := float32(-1.45660718464996e-05)
	q = fma(q, s, -2.13374055278905e-04)
	q = fma(q, s, -1.68282697438203e-03)
	q = fma(q, s, -7.37332916720468e-03)
	q = fma(q, s, -1.42647390514189e-02)
	return p / q
}

// log1p32 is log(1+z) for z from 0 to 1: 2·artanh(z/(2+z)).
func log1p32(z float32) float32 {
	s := z / float32(2+z)
	q := s * s
	p := float32(2.0 / 15)
	p = fma(p, q, 2.0/13)
	p = fma(p, q, 2.0/11)
	p = fma(p, q, 2.0/9)
	p = fma(p, q, 2.0/7)
	p = fma(p, q, 2.0/5)
	p = fma(p, q, 2.0/3)
	p = p * q
	return fma(p, s, float32(s+s))
}

// softplus32 is log(1 + e**x).
func softplus32(x float32) float32 {
	return max32(0, x) + log1p32(exp32(-abs32(x)))
}

const (
	geluA      = 0.7978845608028654 // √(2/π)
	geluB      = 0.044715
	rsqrt2     = 0.7071067811865476 // 1/√2
	rsqrt2pi   = 0.3989422804014327 // 1/√(2π)
	twoRsqrtPi = 1.1283791670955126 // 2/√π
)

// gelu32 is 0.5·x·(1 + tanh(u)) with u = √(2/π)·(x + 0.044715·x³), which is x·sigmoid(2u).
func gelu32(x float32) float32 {
	q := x * x
	w := fma(q, 2*geluA*geluB, 2*geluA)
	return x * gate32(x*w)
}

// geluGrad32 is the derivative of gelu32: s + x·s·(1-s)·2u'.
func geluGrad32(x float32) float32 {
	q := x * x
	w := fma(q, 2*geluA*geluB, 2*geluA)
	v := fma(q, 6*geluA*geluB, 2*geluA)
	s := gate32(x * w)
	t := fma(-s, s, s)
	return fma(float32(t*x), v, s)
}

// geluErf32 is 0.5·x·(1 + erf(x/√2)).
func geluErf32(x float32) float32 {
	h := 0.5 * x
	return fma(h, normal32(x), h)
}

// geluErfGrad32 is Φ(x) + x·φ(x).
func geluErfGrad32(x float32) float32 {
	phi := fma(0.5, normal32(x), 0.5)
	d := exp32(float32(x*x)*-0.5) * rsqrt2pi
	return fma(x, d, phi)
}

// silu32 is x·sigmoid(x).
func silu32(x float32) float32 { return x * gate32(x) }

// siluGrad32 is s·(1 + x·(1-s)).
func siluGrad32(x float32) float32 {
	s := gate32(x)
	t := fma(-s, x, x)
	return fma(s, t, s)
}
