package optim

import (
	"math"

	"github.com/gradsmith/gradsmith/runtime/kernel"
)

// Norm is the Euclidean norm of all gradients together.
func Norm(grads []float32) float64 { return math.Sqrt(kernel.SquaredNorm(grads, len(grads))) }

// ClipNorm gives the Euclidean norm of all gradients together and the factor that brings it down to limit, or 1 where
// it is below (Pascanu et al. 2013, algorithm 1). The factor is limit/(norm + 1e-6), as torch.nn.utils.clip_grad_norm_
// has it; grads is not changed.
func ClipNorm(grads []float32, limit float64) (norm float64, scale float32) {
	norm = Norm(grads)
	return norm, Shrink(norm, limit)
}

// Shrink is the factor that brings a norm down to limit, as [ClipNorm] has it.
func Shrink(norm, limit float64) float32 { return float32(min(1, limit/(norm+1e-6))) }

// ClipValue multiplies the gradients by scale and then bounds each to [-limit, limit].
func ClipValue(grads []float32, scale float32, limit float64) {
	if scale != 1 {
		kernel.Scale(grads, grads, scale, len(grads))
	}
	kernel.ClampValues(grads, float32(limit), len(grads))
}

// Finite reports whether none of xs is NaN or infinite.
func Finite(xs ...float64) bool {
	for _, x := range xs {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}
