package kernel

// The elementwise kernels work on the first n elements of their slices. The destination may be any of the inputs, but
// may not overlap one partly. Errors in ulp are the worst over the float32 values that TestUlp visits; a NaN gives a
// NaN.

func unary(kernel string, o op, dst, x []float32, n int) {
	size(kernel, "n", n)
	need(kernel, "dst", len(dst), n)
	need(kernel, "x", len(x), n)
	var v vec
	v.p[0], v.p[1] = ptr(dst), ptr(x)
	elementwise(o, &v, n)
}

func binary(kernel string, o op, dst, a, b []float32, n int, argDst, argA, argB string, s float32) {
	size(kernel, "n", n)
	need(kernel, argDst, len(dst), n)
	need(kernel, argA, len(a), n)
	need(kernel, argB, len(b), n)
	var v vec
	v.p[0], v.p[1], v.p[2] = ptr(dst), ptr(a), ptr(b)
	v.s[0] = s
	elementwise(o, &v, n)
}

// Exp computes dst = e**x.
// A result below the normal numbers, 2**-126, is 0; overflow gives +Inf.
// The error is below 1 ulp.
func Exp(dst, x []float32, n int) { unary("Exp", opExp, dst, x, n) }

// Log computes dst = the natural logarithm of x.
// log(±0) is -Inf, log(+Inf) is +Inf, and a negative x gives NaN.
// The error is below 0.84 ulp.
func Log(dst, x []float32, n int) { unary("Log", opLog, dst, x, n) }

// Tanh computes dst = tanh(x).
// tanh(±Inf) is ±1, tanh(-0) is -0.
// The error is below 1.3 ulp.
func Tanh(dst, x []float32, n int) { unary("Tanh", opTanh, dst, x, n) }

// Sigmoid computes dst = 1/(1 + e**-x).
// sigmoid(-Inf) is 0, sigmoid(+Inf) is 1.
// The error is below 1 ulp.
func Sigmoid(dst, x []float32, n int) { unary("Sigmoid", opSigmoid, dst, x, n) }

// Gate computes dst = 1/(1 + e**-x), as [Sigmoid] does, in less time and to 2.6 ulp, which is enough where it weighs
// something, as the gates of recurrent cells do.
func Gate(dst, x []float32, n int) { unary("Gate", opGate, dst, x, n) }

// ReLU computes dst = max(x, 0).
// It is exact; a NaN stays a NaN.
func ReLU(dst, x []float32, n int) { unary("ReLU", opReLU, dst, x, n) }

// GELU computes dst = x·Φ(x) in its tanh form, 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), as GPT-2 has it (Hendrycks
// and Gimpel 2016). It is computed as x·sigmoid(2u), which keeps the left tail. GELU(-Inf) is NaN. The error is below
// 3.1 ulp, |2u|-fold in the left tail.
func GELU(dst, x []float32, n int) { unary("GELU", opGELU, dst, x, n) }

// GELUErf computes dst = x·Φ(x) in its exact form, 0.5·x·(1 + erf(x/√2)), as BERT has it (Hendrycks and Gimpel 2016).
// The error is at most 3 ulp of x, and so not small beside the result in the left tail. GELUErf(-Inf) is NaN.
func GELUErf(dst, x []float32, n int) { unary("GELUErf", opGELUErf, dst, x, n) }

// SiLU computes dst = x·sigmoid(x) (Elfwing et al. 2017).
// SiLU(-Inf) is NaN.
// The error is below 2.8 ulp.
func SiLU(dst, x []float32, n int) { unary("SiLU", opSiLU, dst, x, n) }

// Softplus computes dst = log(1 + e**x).
// Computed as max(x, 0) + log1p(e**-|x|).
// The error is below 2.7 ulp.
func Softplus(dst, x []float32, n int) { unary("Softplus", opSoftplus, dst, x, n) }

// Erf computes dst = the error function.
// erf(±Inf) is ±1.
// The error is below 1 ulp.
func Erf(dst, x []float32, n int) { unary("Erf", opErf, dst, x, n) }

// Sqrt computes dst = √x.
// It is exact to rounding; a negative x gives NaN.
func Sqrt(dst, x []float32, n int) { unary("Sqrt", opSqrt, dst, x, n) }

// Add computes dst = a + b.
func Add(dst, a, b []float32, n int) { binary("Add", opAdd, dst, a, b, n, "dst", "a", "b", 0) }

// Sub computes dst = a - b.
func Sub(dst, a, b []float32, n int) { binary("Sub", opSub, dst, a, b, n, "dst", "a", "b", 0) }

// Mul computes dst = a·b.
func Mul(dst, a, b []float32, n int) { binary("Mul", opMul, dst, a, b, n, "dst", "a", "b", 0) }

// Div computes dst = a/b.
func Div(dst, a, b []float32, n int) { binary("Div", opDiv, dst, a, b, n, "dst", "a", "b", 0) }

// AddScaled computes dst = a + s·b, with one rounding.
func AddScaled(dst, a, b []float32, s float32, n int) {
	binary("AddScaled", opAddScaled, dst, a, b, n, "dst", "a", "b", s)
}

// ternary is what the kernels of four pointers have in common; args names the three behind dst.
func ternary(kernel string, o op, dst, a, b, c []float32, n int, args [3]string) {
	size(kernel, "n", n)
	need(kernel, "dst", len(dst), n)
	need(kernel, args[0], len(a), n)
	need(kernel, args[1], len(b), n)
	need(kernel, args[2], len(c), n)
	var v vec
	v.p[0], v.p[1], v.p[2], v.p[3] = ptr(dst), ptr(a), ptr(b), ptr(c)
	elementwise(o, &v, n)
}

// MulAdd computes dst = a·b + c, with one rounding.
func MulAdd(dst, a, b, c []float32, n int) {
	ternary("MulAdd", opMulAdd, dst, a, b, c, n, [3]string{"a", "b", "c"})
}

// MulSub computes dst = a·b - c, with one rounding.
func MulSub(dst, a, b, c []float32, n int) {
	ternary("MulSub", opMulSub, dst, a, b, c, n, [3]string{"a", "b", "c"})
}

// SubMul computes dst = c - a·b, with one rounding.
func SubMul(dst, c, a, b []float32, n int) {
	ternary("SubMul", opSubMul, dst, c, a, b, n, [3]string{"c", "a", "b"})
}

// Scale computes dst = a·s.
func Scale(dst, a []float32, s float32, n int) {
	size("Scale", "n", n)
	need("Scale", "dst", len(dst), n)
	need("Scale", "a", len(a), n)
	var v vec
	v.p[0], v.p[1], v.s[0] = ptr(dst), ptr(a), s
	elementwise(opScale, &v, n)
}

// Affine computes dst = a·x + b.
func Affine(dst, x []float32, a, b float32, n int) {
	size("Affine", "n", n)
	need("Affine", "dst", len(dst), n)
	need("Affine", "x", len(x), n)
	var v vec
	v.p[0], v.p[1], v.s[0], v.s[1] = ptr(dst), ptr(x), a, b
	elementwise(opAxpb, &v, n)
}

// LeakyReLU computes dst = x where x ≥ 0, slope·x elsewhere.
func LeakyReLU(dst, x []float32, slope float32, n int) {
	size("LeakyReLU", "n", n)
	need("LeakyReLU", "dst", len(dst), n)
	need("LeakyReLU", "x", len(x), n)
	var v vec
	v.p[0], v.p[1], v.s[0] = ptr(dst), ptr(x), slope
	elementwise(opLeakyReLU, &v, n)
}

// ClampValues limits every element of x to the range -limit to limit. A NaN stays a NaN.
func ClampValues(x []float32, limit float32, n int) {
	size("ClampValues", "n", n)
	need("ClampValues", "x", len(x), n)
	var v vec
	v.p[0], v.p[1], v.s[0], v.s[1] = ptr(x), ptr(x), -limit, limit
	elementwise(opClamp, &v, n)
}

// Clear sets the first n elements of dst to 0.
func Clear(dst []float32, n int) {
	size("Clear", "n", n)
	need("Clear", "dst", len(dst), n)
	var v vec
	v.p[0] = ptr(dst)
	elementwise(opClear, &v, n)
}

// Fill sets the first n elements of dst to value.
func Fill(dst []float32, value float32, n int) {
	size("Fill", "n", n)
	need("Fill", "dst", len(dst), n)
	var v vec
	v.p[0], v.s[0] = ptr(dst), value
	elementwise(opFill, &v, n)
}

// Copy copies the first n elements of src to dst, which may not overlap it partly.
func Copy(dst, src []float32, n int) {
	size("Copy", "n", n)
	need("Copy", "dst", len(dst), n)
	need("Copy", "src", len(src), n)
	var v vec
	v.p[0], v.p[1] = ptr(dst), ptr(src)
	elementwise(opCopy, &v, n)
}

// TanhGrad computes dx = dy·(1 - y²), the gradient of Tanh from its output y.
func TanhGrad(dx, y, dy []float32, n int) {
	binary("TanhGrad", opTanhGrad, dx, y, dy, n, "dx", "y", "dy", 0)
}

// SigmoidGrad computes dx = dy·y·(1 - y), the gradient of Sigmoid from its output y.
func SigmoidGrad(dx, y, dy []float32, n int) {
	binary("SigmoidGrad", opSigmoidGrad, dx, y, dy, n, "dx", "y", "dy", 0)
}

// MulTanhGrad computes dx = a·b·(1 - y²), the gradient of Tanh from its output y where that of the output is a·b, which
// is rounded: the bits are those of [Mul] and [TanhGrad].
func MulTanhGrad(dx, y, a, b []float32, n int) {
	ternary("MulTanhGrad", opMulTanhGrad, dx, y, a, b, n, [3]string{"y", "a", "b"})
}

// MulSigmoidGrad computes dx = a·b·y·(1 - y), the gradient of Sigmoid from its output y where that of the output is
// a·b, which is rounded: the bits are those of [Mul] and [SigmoidGrad].
func MulSigmoidGrad(dx, y, a, b []float32, n int) {
	ternary("MulSigmoidGrad", opMulSigmoidGrad, dx, y, a, b, n, [3]string{"y", "a", "b"})
}

// AddTanhGrad computes dx = a + dy·(1 - y²): [TanhGrad] added to a, with one rounding of product and sum.
func AddTanhGrad(dx, a, y, dy []float32, n int) {
	ternary("AddTanhGrad", opAddTanhGrad, dx, a, y, dy, n, [3]string{"a", "y", "dy"})
}

// AddSigmoidGrad computes dx = a + dy·y·(1 - y): [SigmoidGrad] added to a, with one rounding of product and sum.
func AddSigmoidGrad(dx, a, y, dy []float32, n int) {
	ternary("AddSigmoidGrad", opAddSigmoidGrad, dx, a, y, dy, n, [3]string{"a", "y", "dy"})
}

// ReLUGrad computes dx = dy where y > 0 and 0 elsewhere, the gradient of ReLU from its output (or its input) y.
func ReLUGrad(dx, y, dy []float32, n int) {
	binary("ReLUGrad", opReLUGrad, dx, y, dy, n, "dx", "y", "dy", 0)
}

// GELUGrad computes dx = dy·(s + x·s·(1-s)·2u'), the gradient of GELU at x, with s = sigmoid(2u).
func GELUGrad(dx, x, dy []float32, n int) {
	binary("GELUGrad", opGELUGrad, dx, x, dy, n, "dx", "x", "dy", 0)
}

// GELUErfGrad computes dx = dy·(Φ(x) + x·φ(x)), the gradient of GELUErf at x.
func GELUErfGrad(dx, x, dy []float32, n int) {
	binary("GELUErfGrad", opGELUErfGrad, dx, x, dy, n, "dx", "x", "dy", 0)
}

// SiLUGrad computes dx = dy·s·(1 + x·(1-s)), the gradient of SiLU at x, with s = sigmoid(x).
func SiLUGrad(dx, x, dy []float32, n int) {
	binary("SiLUGrad", opSiLUGrad, dx, x, dy, n, "dx", "x", "dy", 0)
}

// SoftplusGrad computes dx = dy·sigmoid(x), the gradient of Softplus at x.
func SoftplusGrad(dx, x, dy []float32, n int) {
	binary("SoftplusGrad", opSoftplusGrad, dx, x, dy, n, "dx", "x", "dy", 0)
}

// ErfGrad computes dx = dy·2/√π·e**-x², the gradient of Erf at x.
func ErfGrad(dx, x, dy []float32, n int) {
	binary("ErfGrad", opErfGrad, dx, x, dy, n, "dx", "x", "dy", 0)
}

// LeakyReLUGrad computes dx = dy where x ≥ 0 and slope·dy elsewhere, the gradient of LeakyReLU at x, or, for a slope
// that is not negative, from its output.
func LeakyReLUGrad(dx, x, dy []float32, slope float32, n int) {
	binary("LeakyReLUGrad", opLeakyReLUGrad, dx, x, dy, n, "dx", "x", "dy", slope)
}

// SwiGLU is the gated unit of Shazeer 2020, y = SiLU(gate)∘up: x [rows, 2·cols] holds in each row the gate and then
// up; y is [rows, cols] and may not overlap x.
func SwiGLU(y, x []float32, rows, cols int) {
	if !matrix("SwiGLU", rows, cols) {
		return
	}
	need("SwiGLU", "y", len(y), rows*cols)
	need("SwiGLU", "x", len(x), 2*rows*cols)
	j := rowJobs.get()
	j.x[0], j.x[1], j.f = y, x, swiGLURows
	j.run(rows, cols, rowWork)
}

func swiGLURows(j *rowJob, lo, hi int) {
	var v vec
	for r := lo; r < hi; r++ {
		x := j.x[1][2*r*j.cols:]
		v.p[0], v.p[1], v.p[2] = ptr(j.x[0][r*j.cols:]), ptr(x), ptr(x[j.cols:])
		vecRange(opSwiGLU, &v, 0, j.cols)
	}
}

// SwiGLUGrad is the gradient of [SwiGLU] from its input x: dx [rows, 2·cols], which may be x, from dy [rows, cols].
func SwiGLUGrad(dx, x, dy []float32, rows, cols int) {
	if !matrix("SwiGLUGrad", rows, cols) {
		return
	}
	need("SwiGLUGrad", "dx", len(dx), 2*rows*cols)
	need("SwiGLUGrad", "x", len(x), 2*rows*cols)
	need("SwiGLUGrad", "dy", len(dy), rows*cols)
	j := rowJobs.get()
	j.x[0], j.x[1], j.x[2], j.f = dx, x, dy, swiGLUGradRows
	j.run(rows, cols, rowWork)
}

func swiGLUGradRows(j *rowJob, lo, hi int) {
	var v vec
	for r := lo; r < hi; r++ {
		dx, x := j.x[0][2*r*j.cols:], j.x[1][2*r*j.cols:]
		v.p[0], v.p[1], v.p[2], v.p[3] = ptr(dx), ptr(dx[j.cols:]), ptr(x), ptr(x[j.cols:])
		v.p[4] = ptr(j.x[2][r*j.cols:])
		vecRange(opSwiGLUGrad, &v, 0, j.cols)
	}
}
