package kernel

import (
	"testing"
)

// Windows are laid side by side and added up as the loops that define them do, at every level and with any number of
// threads.
func TestWindows(t *testing.T) {
	r := rng(21)
	for _, cols := range []int{1, 3, 16, 33} {
		for _, steps := range []int{1, 2, 5, 40} {
			for _, width := range []int{1, 2, 3, 7} {
				const batch = 3
				n := steps * batch * cols
				x, dy := floats(r, n), floats(r, n*width)
				want, folded := make([]float32, n*width), make([]float32, n)
				for s := range steps {
					for b := range batch {
						for k := range width {
							for c := range cols {
								at := ((s*batch+b)*width + k) * cols
								if s+k < steps {
									want[at+c] = x[((s+k)*batch+b)*cols+c]
								}
							}
						}
						for k := range width { // the sum begins with the step's own window
							for c := range cols {
								if s-k >= 0 {
									folded[(s*batch+b)*cols+c] += dy[(((s-k)*batch+b)*width+k)*cols+c]
								}
							}
						}
					}
				}
				for _, threads := range []int{1, 2} {
					withThreads(t, threads)
					for _, l := range levels() {
						setLevel(t, l)
						y, dx := guard(n*width, 3), guard(n, 4)
						Unfold(y.x, x, steps, batch, cols, width)
						Fold(dx.x, dy, steps, batch, cols, width)
						diff(t, "unfolded", y.x, want)
						diff(t, "folded", dx.x, folded)
						y.check(t, "unfolded")
						dx.check(t, "folded")
					}
				}
			}
		}
	}
}

// The largest over the steps is found where it is first, and gradients go there and come from there.
func TestMaxSteps(t *testing.T) {
	const batch, cols = 2, 3
	x := []float32{
		1, 5, -1 /**/, 0, 0, 0,
		2, 5, -3 /**/, 0, 1, 0,
		9, 5, -2 /**/, 0, 2, 7,
		8, 9, -0.5 /**/, 1, 3, 8,
	}
	for _, c := range []struct {
		steps int
		y     []float32
		at    []int
	}{
		{4, []float32{9, 9, -0.5, 1, 3, 8}, []int{2, 3, 3, 3, 3, 3}},
		{3, []float32{9, 5, -1, 0, 2, 7}, []int{2, 0, 0, 0, 2, 2}},
		{1, []float32{1, 5, -1, 0, 0, 0}, []int{0, 0, 0, 0, 0, 0}},
	} {
		y, dx, picked := guard(6, 1), guard(6*c.steps, 2), guard(6, 3)
		MaxSteps(y.x, x, c.steps, batch, cols)
		diff(t, "largest", y.x, c.y)
		dy, g := []float32{1, 2, 3, 4, 5, 6}, make([]float32, 6*c.steps)
		want, pick := make([]float32, 6*c.steps), make([]float32, 6)
		for i, s := range c.at {
			want[s*6+i] = dy[i]
			g[s*6+i] = float32(10 + i)
			pick[i] = g[s*6+i]
		}
		MaxStepsGrad(dx.x, x, y.x, dy, c.steps, batch, cols)
		diff(t, "gradient", dx.x, want)
		MaxStepsPick(picked.x, x, y.x, g, c.steps, batch, cols)
		diff(t, "picked", picked.x, pick)
		for _, p := range []*guarded{y, dx, picked} {
			p.check(t, "steps")
		}
	}
}
