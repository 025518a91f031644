package app

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// addWeights adds the flag that says in which form decoders read matrices, which trained then makes.
func (a *program) addWeights(fs *pflag.FlagSet) {
	a.weights = weights.F32
	fs.TextVar(&a.weights, "weights", weights.F32,
		"`KIND` of numbers that matrices are read as: f32, bf16, q8 or q4; the smaller, the faster and the less exact")
}

// pack lays the matrices of m out for decoders, where the command has decoders. A file of quantize has its own.
func (a *program) pack(m model.LanguageModel) error {
	p, ok := m.(model.Packer)
	if !ok {
		return nil
	}
	if kind := p.Kind(); kind != weights.Live {
		if a.chosen && kind != a.weights {
			return fmt.Errorf("has %v weights, not %v: leave --weights out, or quantize the checkpoint that it was "+
				"made of", kind, a.weights)
		}
		a.weights = kind
		return nil
	}
	if a.weights == weights.Live {
		return nil
	}
	return p.Pack(a.weights)
}
