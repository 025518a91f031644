package app

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// addWeights adds the flag that says in which form decoders read matrices, which trained then makes.
func (a *program) addWeights(fs *pflag.FlagSet) {
	a.weights = a.usual()
	fs.TextVar(&a.weights, "weights", a.usual(),
		"`KIND` of numbers that matrices are read as: f32, bf16, q8 or q4; the smaller, the faster and the less exact")
}

// usual is the kind of weights where nobody says otherwise: that of the spec, or float32.
func (a *program) usual() weights.Kind {
	if a.Info == nil { // flags that several models have in common
		return weights.F32
	}
	kind, err := weights.ParseKind(a.Info.Weights)
	if err != nil {
		return weights.F32
	}
	return kind
}

// fixed reports a kind of weights that is not the one that the spec asks for.
func (a *program) fixed(kind weights.Kind) error {
	if a.Info.Weights != "" && kind != a.usual() {
		return fmt.Errorf("--weights %v: %s says decode: {weights: %s}, so that the package has no other", kind,
			a.Info.Spec, a.Info.Weights)
	}
	return nil
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
