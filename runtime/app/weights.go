package app

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// addWeights adds the flags that say in which form decoders read matrices, which trained then makes, and keep keys and
// values.
func (a *program) addWeights(fs *pflag.FlagSet) {
	a.weights = a.usual()
	fs.TextVar(&a.weights, "weights", a.usual(),
		"`KIND` of numbers that matrices are read as: f32, bf16, q8 or q4; the smaller, the faster and the less exact")
	a.addCache(fs)
}

// addCache adds the flag that says in which form decoders keep keys and values.
func (a *program) addCache(fs *pflag.FlagSet) {
	fs.TextVar(&a.cache, "cache", cache.F32, "`KIND` of numbers in which keys and values of earlier tokens are kept: "+
		"f32, bf16 or q8; the smaller, the longer a text fits")
}

// keep makes the decoders of m keep keys and values as --cache says.
func (a *program) keep(m model.LanguageModel) error {
	if !a.keeps {
		return nil
	}
	c, ok := m.(model.Cacher)
	if !ok {
		return fmt.Errorf("--cache %v: %s keeps no keys and values of earlier tokens: leave it out", a.cache,
			a.Info.Name)
	}
	return c.SetCache(a.cache)
}

// decodes reports whether what decoders compute is to be told, and not what the forward pass does.
func (a *program) decodes() bool {
	return a.weights != weights.F32 || a.keeps && a.cache != cache.F32
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
