package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("dense", construction[*spec.Dense]{
		build: func(b *builder, l *spec.Dense, x *graph.Value, last bool) *graph.Value {
			return b.denseIn(b.Builder, l, x, last, func(v *graph.Value) *graph.Value { return v })
		},
		relaxed: func(w *relaxing, l *spec.Dense, h *graph.Value, last bool) *graph.Value {
			return w.denseIn(w.inner, l, h, last, w.read)
		},
	})
}

// denseIn is f(x·W + b) in the graph of bb, in which read gives what stands outside; last says that the layer gives
// what the loss reads.
func (b *builder) denseIn(bb *graph.Builder, l *spec.Dense, x *graph.Value, last bool,
	read func(*graph.Value) *graph.Value) *graph.Value {
	name, width := b.called(l, "y"), graph.Dim{}
	switch {
	case last:
		name, width = b.gives()
	case b.m.GAN != nil:
		width = b.features(l)
	default:
		width = b.width(l, "units", "width of the dense layer")
	}
	in, act := x.Shape.Last(), activation(l.Activation)
	type step struct {
		o     *graph.Op
		attrs graph.Attrs
		args  []*graph.Value
	}
	var steps []step
	if l.Tie != "" {
		steps = append(steps,
			step{op.MatMul, graph.Attrs{{Key: "tb", Val: true}}, []*graph.Value{read(b.tables[l.Tie])}})
	} else {
		w := b.param(l.Name, "w", graph.Shape{in, width}, 0, 0, l.Name, matrix(l.Init, in.N, l.Width))
		if l.Spectral {
			w = b.spectrally(l, w)
		}
		steps = append(steps, step{op.MatMul, nil, []*graph.Value{read(w)}})
	}
	if l.Bias {
		bias := b.param(l.Name, "b", graph.Shape{width}, 0, 0, l.Name, matrix(l.BiasInit, in.N, l.Width))
		steps = append(steps, step{op.AddBias, nil, []*graph.Value{read(bias)}})
	}
	if act != nil {
		steps = append(steps, step{act, slope(act, l.Slope), nil})
	}
	if c := l.SoftCap; c > 0 {
		steps = append(steps, step{op.Scale, graph.Attrs{{Key: "by", Val: 1 / c}}, nil}, step{op.Tanh, nil, nil},
			step{op.Scale, graph.Attrs{{Key: "by", Val: c}}, nil})
	}
	for i, s := range steps {
		called := b.called(l, "z")
		if i == len(steps)-1 {
			called = name
		}
		x = bb.Apply(s.o, []string{called}, s.attrs, append([]*graph.Value{x}, s.args...)...)[0]
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
