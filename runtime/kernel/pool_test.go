package kernel

import "testing"

// The mean is that of the steps with a token, and its gradient goes back to those alone, at every level.
func TestMeanSteps(t *testing.T) {
	r := rng(31)
	for _, steps := range []int{0, 1, 2, 7} {
		for _, cols := range []int{0, 1, 5, 16, 33, 64} {
			const batch = 4
			x, dy := floats(r, steps*batch*cols), floats(r, batch*cols)
			tokens := make([]int32, steps*batch)
			for s := range steps {
				for b := range batch { // the first sequence has no token, the last all, and the others some
					if b == 0 || b < batch-1 && (s+b)%2 == 1 {
						tokens[s*batch+b] = -1
					}
				}
			}
			want, back := make([]float32, batch*cols), make([]float32, steps*batch*cols)
			for b := range batch {
				n := float32(0)
				for s := range steps {
					if tokens[s*batch+b] >= 0 {
						n++
					}
				}
				for c := range cols {
					sum := float32(0)
					for s := range steps {
						if tokens[s*batch+b] >= 0 {
							sum += x[(s*batch+b)*cols+c]
							back[(s*batch+b)*cols+c] = dy[b*cols+c] * (1 / n)
						}
					}
					if n > 0 {
						want[b*cols+c] = sum * (1 / n)
					}
				}
			}
			for _, l := range levels() {
				setLevel(t, l)
				y, dx := guard(batch*cols, 3), guard(steps*batch*cols, 4)
				MeanSteps(y.x, x, tokens, steps, batch, cols)
				MeanStepsGrad(dx.x, dy, tokens, steps, batch, cols)
				diff(t, "mean", y.x, want)
				diff(t, "gradient", dx.x, back)
				y.check(t, "mean")
				dx.check(t, "gradient")
			}
		}
	}
}
