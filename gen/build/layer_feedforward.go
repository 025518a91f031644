package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("feedforward", construction[*spec.Feedforward]{
		build: func(b *builder, l *spec.Feedforward, x *graph.Value, _ bool) *graph.Value {
			drop := func(h *graph.Value) *graph.Value {
				return b.dropout(b.Builder, h, b.called(l, "dropped"), l.Dropout, nil)
			}
			return b.feedforward(b.Builder, l, x, func(part string) string { return b.called(l, part) }, drop,
				func(v *graph.Value) *graph.Value { return v })
		},
		relaxed: func(w *relaxing, l *spec.Feedforward, h *graph.Value, _ bool) *graph.Value {
			drop := func(h *graph.Value) *graph.Value { return w.drop(h, l.Name+"Dropped", l.Dropout) }
			return w.feedforward(w.inner, l, h, func(part string) string { return l.Name + upperFirst(part) }, drop,
				w.read)
		},
	})
}

// feedforward is f(x·W + b)·V + c in the graph of bb, in which read gives what stands outside.
func (b *builder) feedforward(bb *graph.Builder, l *spec.Feedforward, x *graph.Value, name func(string) string, drop,
	read func(*graph.Value) *graph.Value) *graph.Value {
	width := x.Shape.Last()
	hidden := b.sized(l.Name, "hidden", l.Hidden, "width of the feed-forward part")
	up := hidden
	if l.Gated() {
		up = graph.Mul(graph.Const(2, ""), hidden)
	}
	one := func(o *graph.Op, part string, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
		return bb.Apply(o, []string{name(part)}, attrs, args...)[0]
	}
	product := func(part, field string, x *graph.Value, in, out graph.Dim, init spec.Init) *graph.Value {
		y := one(op.MatMul, part, nil, x,
			read(b.param(l.Name, "w"+field, graph.Shape{in, out}, 0, 0, l.Name, matrix(init, in.N, out.N))))
		if l.Bias {
			y = one(op.AddBias, part, nil, y,
				read(b.param(l.Name, "b"+field, graph.Shape{out}, 0, 0, l.Name, matrix(l.BiasInit, in.N, out.N))))
		}
		return y
	}
	z := product("z", "up", x, width, up, l.Init)
	inner := "h"
	if l.Gated() {
		inner = "gate"
	}
	by := func(part string) apply {
		return func(o *graph.Op, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
			return one(o, part, attrs, args...)
		}
	}
	h := activations[l.Activation](activating{inner: by(inner), last: by("h"), half: hidden,
		split: func(x *graph.Value) []*graph.Value {
			return bb.Apply(op.SplitColumns, []string{name("gate"), name("up")},
				graph.Attrs{{Key: "a", Val: hidden}, {Key: "b", Val: hidden}}, x)
		}}, z)
	return product("y", "down", drop(h), hidden, width, l.InitOut)
}
