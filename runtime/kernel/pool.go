package kernel

// MeanSteps sets y [batch, cols] to the mean over those time steps of x [steps, batch, cols] whose token, of tokens
// [steps, batch], is not negative, and to 0 for a sequence that has none. Steps are added in their order. y may not
// overlap x.
func MeanSteps(y, x []float32, tokens []int32, steps, batch, cols int) {
	pooled("MeanSteps", steps, batch, cols)
	need("MeanSteps", "y", len(y), batch*cols)
	need("MeanSteps", "x", len(x), steps*batch*cols)
	need("MeanSteps", "tokens", len(tokens), steps*batch)
	for b := range batch {
		d := y[b*cols : (b+1)*cols]
		clear(d)
		for t := range steps {
			if r := t*batch + b; tokens[r] >= 0 {
				combine(opAdd, d, d, x[r*cols:(r+1)*cols], 0, cols)
			}
		}
		if n := present(tokens, steps, batch, b); n > 0 {
			combine(opScale, d, d, d, 1/float32(n), cols)
		}
	}
}

// MeanStepsGrad is the gradient of [MeanSteps]: dx [steps, batch, cols] is dy [batch, cols] over the number of the
// sequence's tokens at steps with one, and 0 elsewhere. dx may not overlap dy.
func MeanStepsGrad(dx, dy []float32, tokens []int32, steps, batch, cols int) {
	pooled("MeanStepsGrad", steps, batch, cols)
	need("MeanStepsGrad", "dx", len(dx), steps*batch*cols)
	need("MeanStepsGrad", "dy", len(dy), batch*cols)
	need("MeanStepsGrad", "tokens", len(tokens), steps*batch)
	for b := range batch {
		n := present(tokens, steps, batch, b)
		for t := range steps {
			r := t*batch + b
			d := dx[r*cols : (r+1)*cols]
			if tokens[r] < 0 {
				clear(d)
				continue
			}
			from := dy[b*cols : (b+1)*cols]
			combine(opScale, d, from, from, 1/float32(n), cols)
		}
	}
}

func pooled(kernel string, steps, batch, cols int) {
	size(kernel, "steps", steps)
	size(kernel, "batch", batch)
	size(kernel, "cols", cols)
}

// present is the number of tokens that sequence b has.
func present(tokens []int32, steps, batch, b int) int {
	n := 0
	for t := range steps {
		if tokens[t*batch+b] >= 0 {
			n++
		}
	}
	return n
}
