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
		tell: tellDense,
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
	in := x.Shape.Last()
	type step func(name string, x *graph.Value) *graph.Value
	one := func(o *graph.Op, attrs graph.Attrs, args ...*graph.Value) step {
		return func(name string, x *graph.Value) *graph.Value {
			return bb.Apply(o, []string{name}, attrs, append([]*graph.Value{x}, args...)...)[0]
		}
	}
	var steps []step
	if l.Scale > 0 {
		steps = append(steps, one(op.Scale, graph.Attrs{{Key: "by", Val: l.Scale}}))
	}
	if l.Tie != "" {
		steps = append(steps, one(op.MatMul, graph.Attrs{{Key: "tb", Val: true}}, read(b.tables[l.Tie])))
	} else {
		w := b.param(l.Name, "w", graph.Shape{in, width}, 0, 0, l.Name, matrix(l.Init, in.N, l.Width))
		if l.Spectral {
			w = b.spectrally(l, w)
		}
		steps = append(steps, one(op.MatMul, nil, read(w)))
	}
	if l.Bias {
		bias := b.param(l.Name, "b", graph.Shape{width}, 0, 0, l.Name, matrix(l.BiasInit, in.N, l.Width))
		steps = append(steps, one(op.AddBias, nil, read(bias)))
	}
	if act := activations[l.Activation]; act != nil {
		steps = append(steps, func(name string, x *graph.Value) *graph.Value {
			by := func(name string) apply {
				return func(o *graph.Op, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
					return bb.Apply(o, []string{name}, attrs, args...)[0]
				}
			}
			return act(activating{inner: by(b.called(l, "z")), last: by(name), slope: l.Slope}, x)
		})
	}
	if c := l.SoftCap; c > 0 {
		steps = append(steps, one(op.Scale, graph.Attrs{{Key: "by", Val: 1 / c}}), one(op.Tanh, nil),
			one(op.Scale, graph.Attrs{{Key: "by", Val: c}}))
	}
	for i, s := range steps {
		called := b.called(l, "z")
		if i == len(steps)-1 {
			called = name
		}
		x = s(called, x)
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

func tellDense(_ *spec.Model, l *spec.Dense) Account {
	var a Account
	a.say("Makes %s of the %d that it reads.", counted(l.Width, "feature"), l.In)
	read, matrix := "x", Symbol("w")
	if l.Scale > 0 {
		read = figure(l.Scale) + ` \cdot x`
	}
	if l.Tie != "" {
		matrix = Symbol("table") + `^\top`
		a.say("The matrix is the table of the embedding %s, transposed.", l.Tie)
	}
	if l.Spectral {
		matrix = `\bar{W}`
		u, w := Symbol("u"), Symbol("w")
		a.say("The matrix is divided by an estimate of its largest singular value, which each training step improves " +
			"by a step of power iteration; u is what is kept of it (Miyato et al. 2018).")
		a.show(`\bar{W} = \frac{`+w+`}{u \cdot `+w+` \cdot v^\top}`,
			`v = \frac{`+u+` \cdot `+w+`}{\lVert `+u+` \cdot `+w+` \rVert}`)
	}
	z := read + ` \cdot ` + matrix
	if l.Bias {
		z += " + " + Symbol("b")
	}
	y, define := activated(l.Activation, z, l.Slope)
	if l.SoftCap > 0 {
		c := figure(l.SoftCap)
		y = c + ` \cdot \tanh(\frac{` + y + `}{` + c + `})`
		a.say("What the layer gives stays between −%g and %g.", l.SoftCap, l.SoftCap)
	}
	a.show("y = " + y)
	a.show(define...)
	return a
}
