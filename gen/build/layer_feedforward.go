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
		tell: func(_ *spec.Model, l *spec.Feedforward) Account {
			var a Account
			a.feeds("x", "y", l.Hidden, l.Activation, l.Bias)
			a.dropped("the features of h", l.Dropout)
			return a
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

// feeds tells a feed-forward part that reads x and gives y.
func (a *Account) feeds(x, y string, hidden int, activation string, bias bool) {
	a.say("A feed-forward part of %d hidden features works on each token by itself.", hidden)
	h, define := activated(activation, affine(x, "wup", "bup", bias), 0)
	if spec.Gated(activation) {
		a.say("Its first product is two: b is the gate's other side.")
		a.show("[a, b] = " + affine(x, "wup", "bup", bias))
		h, define = activated(activation, "a, b", 0)
	}
	a.show("h = "+h, y+" = "+affine("h", "wdown", "bdown", bias))
	a.show(define...)
}
