package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("dense", construction[*spec.Dense]{
		build: (*builder).dense,
		relaxed: func(w *relaxing, l *spec.Dense, h *graph.Value, last bool) *graph.Value {
			return w.denseIn(w.inner, l, h, last, w.read)
		},
	})
}

// dense is f(x·W + b); last says that the layer gives what the loss reads.
func (b *builder) dense(l *spec.Dense, x *graph.Value, last bool) *graph.Value {
	if last && b.time && !b.training && !b.r.Masked() { // only the last token's logits are asked for
		x = b.Apply(op.LastStep, []string{l.Name + ".last"}, nil, x)[0]
	}
	return b.denseIn(b.Builder, l, x, last, func(v *graph.Value) *graph.Value { return v })
}

// denseIn is dense inside of the loop that bb builds, in which read gives what stands outside.
func (b *builder) denseIn(bb *graph.Builder, l *spec.Dense, x *graph.Value, last bool, read func(*graph.Value) *graph.Value) *graph.Value {
	name, width := b.called(l, "y"), graph.Dim{}
	switch {
	case last:
		name, width = b.gives()
	case b.m.GAN != nil:
		width = b.features(l)
	default:
		width = b.width(l, "units", "width of the dense layer")
	}
	in := x.Shape.Last()
	act := activation(l.Activation)
	names := func(final bool) []string {
		if final {
			return []string{name}
		}
		return []string{b.called(l, "z")}
	}
	if l.Tie != "" {
		x = bb.Apply(op.MatMul, names(!l.Bias && act == nil), graph.Attrs{{Key: "tb", Val: true}}, x, read(b.tables[l.Tie]))[0]
	} else {
		w := b.param(l.Name, "w", graph.Shape{in, width}, 0, 0, l.Name, matrix(l.Init, in.N, l.Width))
		if l.Spectral {
			w = b.spectrally(l, w)
		}
		x = bb.Apply(op.MatMul, names(!l.Bias && act == nil), nil, x, read(w))[0]
	}
	if l.Bias {
		bias := b.param(l.Name, "b", graph.Shape{width}, 0, 0, l.Name, matrix(l.BiasInit, in.N, l.Width))
		x = bb.Apply(op.AddBias, names(act == nil), nil, x, read(bias))[0]
	}
	if act != nil {
		x = bb.Apply(act, names(true), slope(act, l.Slope), x)[0]
	}
	return x
}

// gives is the name and the width of what the last layer gives.
func (b *builder) gives() (string, graph.Dim) {
	switch {
	case b.m.Vectors == nil:
		return "logits", b.vocab()
	case b.m.Likelihood != nil && b.m.Likelihood.Kind == "gaussian":
		return "means", b.vectors()
	}
	return "logits", b.vectors()
}
