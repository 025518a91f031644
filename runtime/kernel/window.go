package kernel

// Kernels over windows of time steps; x is time-major, [steps, batch, cols].

func window(kernel string, steps, batch, cols, width int) bool {
	size(kernel, "steps", steps)
	size(kernel, "batch", batch)
	size(kernel, "cols", cols)
	if width < 1 {
		panic("kernel." + kernel + ": width is below 1")
	}
	return steps > 0 && batch > 0 && cols > 0
}

// Unfold lays the width time steps that begin at each step side by side: dst [steps, batch, width·cols] holds in the
// row of step t and sequence b those of steps t to t+width-1 of x [steps, batch, cols], and zeros for steps behind the
// last. A convolution over time is a product of these rows. dst may not overlap x.
func Unfold(dst, x []float32, steps, batch, cols, width int) {
	if !window("Unfold", steps, batch, cols, width) {
		return
	}
	need("Unfold", "dst", len(dst), steps*batch*width*cols)
	need("Unfold", "x", len(x), steps*batch*cols)
	j := rowJobs.get()
	j.x[0], j.x[1], j.n[0], j.n[1], j.n[2] = dst, x, steps, batch, width
	j.f = unfoldRows
	j.run(steps*batch, cols, rowWork)
}

func unfoldRows(j *rowJob, lo, hi int) {
	dst, x, steps, batch, width, cols := j.x[0], j.x[1], j.n[0], j.n[1], j.n[2], j.cols
	for r := lo; r < hi; r++ {
		for k := range width {
			d := dst[(r*width+k)*cols : (r*width+k+1)*cols]
			if from := r + k*batch; from < steps*batch {
				copy(d, x[from*cols:])
			} else {
				clear(d)
			}
		}
	}
}

// Fold is the gradient of [Unfold]: dx [steps, batch, cols] gets the sum of all places where dy [steps, batch,
// width·cols] holds its step, from the last step in front of it to the step itself. dx may not overlap dy.
func Fold(dx, dy []float32, steps, batch, cols, width int) {
	if !window("Fold", steps, batch, cols, width) {
		return
	}
	need("Fold", "dx", len(dx), steps*batch*cols)
	need("Fold", "dy", len(dy), steps*batch*width*cols)
	j := rowJobs.get()
	j.x[0], j.x[1], j.n[0], j.n[1], j.n[2] = dx, dy, steps, batch, width
	j.f = foldRows
	j.run(steps*batch, cols, rowWork)
}

func foldRows(j *rowJob, lo, hi int) {
	dx, dy, batch, width, cols := j.x[0], j.x[1], j.n[1], j.n[2], j.cols
	for r := lo; r < hi; r++ {
		d := dx[r*cols : (r+1)*cols]
		copy(d, dy[r*width*cols:(r*width+1)*cols])
		for k := 1; k < width && r-k*batch >= 0; k++ {
			from := ((r-k*batch)*width + k) * cols
			var v vec
			v.p[0], v.p[1], v.p[2] = ptr(d), ptr(d), ptr(dy[from:])
			vecRange(opAdd, &v, 0, cols)
		}
	}
}

// MaxSteps sets y [batch, cols] to the largest value of each column over the time steps of x [steps, batch, cols].
// With a NaN among the values y is anything.
func MaxSteps(y, x []float32, steps, batch, cols int) {
	if !window("MaxSteps", steps, batch, cols, 1) {
		return
	}
	need("MaxSteps", "y", len(y), batch*cols)
	need("MaxSteps", "x", len(x), steps*batch*cols)
	n := batch * cols
	copy(y[:n], x)
	for t := 1; t < steps; t++ {
		for i, v := range x[t*n : (t+1)*n] {
			y[i] = max32(y[i], v)
		}
	}
}

// MaxStepsGrad is the gradient of [MaxSteps] from its input x and its result y: dx [steps, batch, cols] is dy [batch,
// cols] at the first step where x is y, and 0 elsewhere. dx may not overlap the others.
func MaxStepsGrad(dx, x, y, dy []float32, steps, batch, cols int) {
	if !window("MaxStepsGrad", steps, batch, cols, 1) {
		return
	}
	n := batch * cols
	need("MaxStepsGrad", "dx", len(dx), steps*n)
	need("MaxStepsGrad", "x", len(x), steps*n)
	need("MaxStepsGrad", "y", len(y), n)
	need("MaxStepsGrad", "dy", len(dy), n)
	clear(dx[:steps*n])
	for i := range n {
		if t := maxStep(x, y, i, steps, n); t >= 0 {
			dx[t*n+i] = dy[i]
		}
	}
}

// MaxStepsPick picks from g [steps, batch, cols] what stands where [MaxSteps] of x found y: into dst [batch, cols],
// which is what [MaxStepsGrad] does to gradients, the other way. Where x never is y, which a NaN does, dst is 0.
func MaxStepsPick(dst, x, y, g []float32, steps, batch, cols int) {
	if !window("MaxStepsPick", steps, batch, cols, 1) {
		return
	}
	n := batch * cols
	need("MaxStepsPick", "dst", len(dst), n)
	need("MaxStepsPick", "x", len(x), steps*n)
	need("MaxStepsPick", "y", len(y), n)
	need("MaxStepsPick", "g", len(g), steps*n)
	for i := range n {
		dst[i] = 0
		if t := maxStep(x, y, i, steps, n); t >= 0 {
			dst[i] = g[t*n+i]
		}
	}
}

// maxStep is the first step at which number i of x is that of y, or -1.
func maxStep(x, y []float32, i, steps, n int) int {
	for t := range steps {
		if x[t*n+i] == y[i] {
			return t
		}
	}
	return -1
}
