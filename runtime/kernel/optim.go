package kernel

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/parallel"
)

// The optimizers update the first n elements of the parameters p from the gradient g in one pass over memory. Every one
// multiplies the gradient by gscale first, which is where clipping by the global norm goes; g itself is not written.
// Names and formulas are PyTorch's. State slices start as zeros and must not overlap p or g.

// SGD is stochastic gradient descent: with d = gscale·g + weightDecay·p, p = p - lr·d.
func SGD(p, g []float32, lr, weightDecay, gscale float32, n int) {
	size("SGD", "n", n)
	need("SGD", "p", len(p), n)
	need("SGD", "g", len(g), n)
	var v vec
	v.p[0], v.p[1] = ptr(p), ptr(g)
	v.s[0], v.s[1], v.s[2] = lr, weightDecay, gscale
	elementwise(opSGD, &v, n)
}

// SGDMomentum is [SGD] with momentum, its velocity kept in buf: with d as there, buf = momentum·buf + (1-dampening)·d
// and p = p - lr·buf, or for Nesterov's form p = p - lr·(d + momentum·buf). PyTorch starts buf with the first d instead
// of (1-dampening)·d: for the same steps pass dampening 0 on the first call.
func SGDMomentum(p, g, buf []float32, lr, momentum, dampening, weightDecay float32, nesterov bool, gscale float32,
	n int) {
	size("SGDMomentum", "n", n)
	need("SGDMomentum", "p", len(p), n)
	need("SGDMomentum", "buf", len(buf), n)
	need("SGDMomentum", "g", len(g), n)
	var v vec
	v.p[0], v.p[1], v.p[2] = ptr(p), ptr(buf), ptr(g)
	v.s[0], v.s[1], v.s[2], v.s[3], v.s[4] = lr, weightDecay, gscale, momentum, 1-dampening
	if nesterov {
		elementwise(opNesterov, &v, n)
	} else {
		elementwise(opMomentum, &v, n)
	}
}

// RMSprop is Hinton's RMSprop (Coursera lecture 6e, 2012), not centred: with d = gscale·g + weightDecay·p,
// squareAvg = alpha·squareAvg + (1-alpha)·d² and p = p - lr·d/(√squareAvg + eps).
func RMSprop(p, g, squareAvg []float32, lr, alpha, eps, weightDecay, gscale float32, n int) {
	size("RMSprop", "n", n)
	need("RMSprop", "p", len(p), n)
	need("RMSprop", "squareAvg", len(squareAvg), n)
	need("RMSprop", "g", len(g), n)
	var v vec
	v.p[0], v.p[1], v.p[2] = ptr(p), ptr(squareAvg), ptr(g)
	v.s[0], v.s[1], v.s[2], v.s[3], v.s[4], v.s[5] = lr, weightDecay, gscale, alpha, 1-alpha, eps
	elementwise(opRMSprop, &v, n)
}

// Adagrad is Duchi, Hazan and Singer 2011: with d = gscale·g + weightDecay·p, sum = sum + d² and
// p = p - lr·d/(√sum + eps).
func Adagrad(p, g, sum []float32, lr, eps, weightDecay, gscale float32, n int) {
	size("Adagrad", "n", n)
	need("Adagrad", "p", len(p), n)
	need("Adagrad", "sum", len(sum), n)
	need("Adagrad", "g", len(g), n)
	var v vec
	v.p[0], v.p[1], v.p[2] = ptr(p), ptr(sum), ptr(g)
	v.s[0], v.s[1], v.s[2], v.s[3] = lr, weightDecay, gscale, eps
	elementwise(opAdagrad, &v, n)
}

func adamVec(kernel string, p, g, m, v []float32, lr, beta1, beta2, eps, bias1, bias2, gscale float32, n int) vec {
	size(kernel, "n", n)
	need(kernel, "p", len(p), n)
	need(kernel, "m", len(m), n)
	need(kernel, "v", len(v), n)
	need(kernel, "g", len(g), n)
	var a vec
	a.p[0], a.p[1], a.p[2], a.p[3] = ptr(p), ptr(m), ptr(v), ptr(g)
	a.s[0] = lr / bias1
	a.s[2], a.s[3], a.s[4], a.s[5], a.s[6] = gscale, beta1, 1-beta1, beta2, 1-beta2
	a.s[7], a.s[8] = float32(1/math.Sqrt(float64(bias2))), eps
	return a
}

// Adam is Kingma and Ba 2015 with decoupled weight decay (AdamW, Loshchilov and Hutter 2019); weightDecay 0 is Adam
// itself. bias1 and bias2 are the bias corrections of this step t, 1 - beta1**t and 1 - beta2**t. With d = gscale·g:
//
//	p = p·(1 - lr·weightDecay)
//	m = beta1·m + (1-beta1)·d
//	v = beta2·v + (1-beta2)·d²
//	p = p - lr/bias1 · m/(√v/√bias2 + eps)
func Adam(p, g, m, v []float32, lr, beta1, beta2, eps, weightDecay, bias1, bias2, gscale float32, n int) {
	a := adamVec("Adam", p, g, m, v, lr, beta1, beta2, eps, bias1, bias2, gscale, n)
	a.s[1] = 1 - float32(lr*weightDecay)
	elementwise(opAdam, &a, n)
}

// AdamL2 is [Adam] with the older form of weight decay, which is added to the gradient: d = gscale·g + weightDecay·p.
func AdamL2(p, g, m, v []float32, lr, beta1, beta2, eps, weightDecay, bias1, bias2, gscale float32, n int) {
	a := adamVec("AdamL2", p, g, m, v, lr, beta1, beta2, eps, bias1, bias2, gscale, n)
	a.s[1] = weightDecay
	elementwise(opAdamL2, &a, n)
}

// Lion is Chen et al. 2023, algorithm 2: a step of one length in the direction of the sign of an average. With
// d = gscale·g:
//
//	u = beta1·m + (1-beta1)·d
//	p = p·(1 - lr·weightDecay) - lr·sign(u)
//	m = beta2·m + (1-beta2)·d
func Lion(p, g, m []float32, lr, beta1, beta2, weightDecay, gscale float32, n int) {
	size("Lion", "n", n)
	need("Lion", "p", len(p), n)
	need("Lion", "m", len(m), n)
	need("Lion", "g", len(g), n)
	var v vec
	v.p[0], v.p[1], v.p[2] = ptr(p), ptr(m), ptr(g)
	v.s[0], v.s[1], v.s[2] = lr, 1-float32(lr*weightDecay), gscale
	v.s[3], v.s[4], v.s[5], v.s[6] = beta1, 1-beta1, beta2, 1-beta2
	elementwise(opLion, &v, n)
}

// normChunk is the number of elements whose squares are added in one call; the sums of the chunks are added in order.
const normChunk = 16384

// normChunks is how many chunk sums SquaredNorm keeps at a time.
const normChunks = 256

type normJob struct {
	x   []float32
	sum [normChunks]float64
}

var normJobs jobs[normJob]

func (j *normJob) Do(task int) {
	lo := task * normChunk
	j.sum[task] = sumSquares(j.x[lo:min(lo+normChunk, len(j.x))])
}

// SquaredNorm returns the sum of the squares of the first n elements of x, in float64. The squares are exact; they are
// added over 32 virtual lanes a chunk of 16384 elements, and the chunks in order.
func SquaredNorm(x []float32, n int) float64 {
	size("SquaredNorm", "n", n)
	need("SquaredNorm", "x", len(x), n)
	j := normJobs.get()
	total := 0.0
	for lo := 0; lo < n; lo += normChunk * normChunks {
		j.x = x[lo:min(lo+normChunk*normChunks, n)]
		tasks := (len(j.x) + normChunk - 1) / normChunk
		parallel.Run(tasks, j)
		for _, s := range j.sum[:tasks] {
			total += s
		}
	}
	j.x = nil
	normJobs.put(j)
	return total
}

// sumSquaresGeneric adds the squares of x over 32 lanes, element i in lane i mod 32, and the lanes in a tree.
func sumSquaresGeneric(x []float32) float64 {
	var l [32]float64
	for i, v := range x {
		l[i%32] += float64(v) * float64(v) // the square is exact, so fusing it changes nothing
	}
	for w := 16; w > 0; w /= 2 {
		for i := range w {
			l[i] += l[i+w]
		}
	}
	return l[0]
}
