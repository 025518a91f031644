package kernel

import (
	"unsafe"

	"github.com/gradsmith/gradsmith/runtime/parallel"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// An op is one elementwise kernel. Its pointers p[0], p[1], ... and scalars s[0], s[1], ... are listed beside its name;
// an output may be the same memory as an input, element for element.
type op uint8

const (
	opAdd            op = iota // dst, a, b
	opSub                      // dst, a, b
	opMul                      // dst, a, b
	opDiv                      // dst, a, b
	opScale                    // dst, a; s
	opAddScaled                // dst, a, b; s
	opMulAdd                   // dst, a, b, c
	opMulSub                   // dst, a, b, c
	opSubMul                   // dst, c, a, b
	opExp                      // dst, x
	opLog                      // dst, x
	opTanh                     // dst, x
	opSigmoid                  // dst, x
	opGate                     // dst, x
	opReLU                     // dst, x
	opLeakyReLU                // dst, x; slope
	opGELU                     // dst, x
	opGELUErf                  // dst, x
	opSiLU                     // dst, x
	opSoftplus                 // dst, x
	opErf                      // dst, x
	opTanhGrad                 // dx, y, dy
	opSigmoidGrad              // dx, y, dy
	opReLUGrad                 // dx, y, dy
	opLeakyReLUGrad            // dx, x, dy; slope
	opGELUGrad                 // dx, x, dy
	opGELUErfGrad              // dx, x, dy
	opSiLUGrad                 // dx, x, dy
	opSoftplusGrad             // dx, x, dy
	opErfGrad                  // dx, x, dy
	opMulTanhGrad              // dx, y, a, b
	opMulSigmoidGrad           // dx, y, a, b
	opAddTanhGrad              // dx, a, y, dy
	opAddSigmoidGrad           // dx, a, y, dy
	opClamp                    // x, x; -limit, limit
	opCopy                     // dst, x
	opClear                    // dst
	opFill                     // dst; value
	opSqrt                     // dst, x
	opSGD                      // p, g; lr, weightDecay, gscale
	opMomentum                 // p, v, g; lr, weightDecay, gscale, momentum, 1-dampening
	opNesterov                 // as opMomentum
	opRMSprop                  // p, v, g; lr, weightDecay, gscale, alpha, 1-alpha, eps
	opAdagrad                  // p, v, g; lr, weightDecay, gscale, eps
	// p, m, v, g; lr/bias1, 1-lr·decay, gscale, beta1, 1-beta1, beta2, 1-beta2, 1/√bias2, eps
	opAdam
	opAdamL2         // as opAdam, s[1] the decay added to the gradient
	opLion           // p, m, g; lr, 1-lr·decay, gscale, beta1, 1-beta1, beta2, 1-beta2
	opNorm           // y, x, gain, bias; mean, rstd
	opNormGain       // y, x, gain; mean, rstd
	opAxpb           // dst, x; a, b
	opLogSoftmax     // dst, x; max, log of the sum
	opSoftmaxGrad    // dx, y, dy; Σ y·dy
	opLogSoftmaxGrad // dx, y, dy; Σ dy
	opSwiGLU         // dst, gate, up
	opSwiGLUGrad     // dgate, dup, gate, up, dy
	opRotate         // dst1, dst2, x1, x2, cos, sin; 1 or, for the inverse, -1
	opDropout        // dst, x; scale, and the key and first element
	opNormal         // dst; key, offset
	opGumbel         // dst; key, offset
	opUniform        // dst; key, offset
)

// vec is what an elementwise kernel works on. Assembly reads it at these offsets.
type vec struct {
	p      [6]unsafe.Pointer
	s      [10]float32
	key    uint64 // random kernels
	offset uint64 // random kernels: the number of the element at index 0
	limit  uint32 // opDropout: keep when the top 24 bits of the random word are at least this
}

// at is elements lo to hi of pointer i.
func (v *vec) at(i, lo, hi int) []float32 {
	return unsafe.Slice((*float32)(v.p[i]), hi)[lo:hi]
}

func ptr(x []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }

// grain is how many elements one task of an elementwise kernel has at the most, few enough for one assembly call to
// stay well below 100 µs. It is a multiple of 64.
func (o op) grain() int {
	switch o {
	case opAdd, opSub, opMul, opDiv, opScale, opAddScaled, opMulAdd, opMulSub, opSubMul, opReLU, opLeakyReLU,
		opTanhGrad, opSigmoidGrad, opMulTanhGrad, opMulSigmoidGrad, opAddTanhGrad, opAddSigmoidGrad, opReLUGrad,
		opLeakyReLUGrad, opClamp, opCopy, opClear, opFill, opSGD, opMomentum, opNesterov, opRMSprop, opAdagrad,
		opAdam, opAdamL2, opLion, opSqrt:
		return 16384
	}
	return 4096
}

// pieces is into how many tasks something of n units is cut, of most each: as many as there are threads, or a multiple
// of that, so that each has the same to do, and nearly the same in call after call. A task has no fewer than least,
// which takes about as long as handing it over does. Fewer stay with the caller, though what another core has written
// then comes to the caller's.
func pieces(n, most, least int) int {
	tasks := (n + most - 1) / most
	if t := parallel.Threads(); t > 1 {
		tasks = max(tasks, min((tasks+t-1)/t*t, n/least))
	}
	return tasks
}

// elementwise runs o over elements 0 to n-1 of v.
func elementwise(o op, v *vec, n int) {
	if n <= 0 {
		return
	}
	g := o.grain()
	tasks := pieces(n, g, g/4)
	if tasks == 1 {
		vecRange(o, v, 0, n)
		return
	}
	if parallel.Threads() == 1 {
		for lo := 0; lo < n; lo += g {
			vecRange(o, v, lo, min(lo+g, n))
		}
		return
	}
	g = ((n+tasks-1)/tasks + 63) &^ 63 // random kernels begin at multiples of 64
	j := vecJobs.get()
	j.op, j.v, j.n, j.grain = o, *v, n, g
	parallel.Run((n+g-1)/g, j)
	j.v = vec{}
	vecJobs.put(j)
}

type vecJob struct {
	op       op
	v        vec
	n, grain int
}

func (j *vecJob) Do(task int) {
	lo := task * j.grain
	vecRange(j.op, &j.v, lo, min(lo+j.grain, j.n))
}

var vecJobs jobs[vecJob]

// rowJob runs f over ranges of rows.
type rowJob struct {
	f           func(j *rowJob, lo, hi int)
	x           [8][]float32
	ids         []int32
	w           *weights.Matrix
	rows, grain int
	cols        int
	s           [4]float32
	n           [3]int
	key, offset uint64 // random kernels, as in vec
}

func (j *rowJob) Do(task int) {
	lo := task * j.grain
	j.f(j, lo, min(lo+j.grain, j.rows))
}

var rowJobs jobs[rowJob]

// rowGrain is the number of rows in a task such that a task has about `work` elements, or fewer where there are more
// threads than tasks.
func rowGrain(rows, cols, work int) int {
	cols = max(1, cols)
	tasks := max(1, pieces(rows, max(1, work/cols), max(1, work/4/cols)))
	return (rows + tasks - 1) / tasks
}

// run runs the job in tasks of about work elements, and gives it back.
func (j *rowJob) run(rows, cols, work int) {
	j.rows, j.cols = rows, cols
	j.grain = rowGrain(rows, cols, work)
	parallel.Run((rows+j.grain-1)/j.grain, j)
	*j = rowJob{}
	rowJobs.put(j)
}
