package build

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("define", construction[*spec.Defined]{
		build: func(b *builder, l *spec.Defined, x *graph.Value, _ bool) *graph.Value {
			return b.formula(b.Builder, l, x, func(part string) string { return b.called(l, part) },
				func(v *graph.Value) *graph.Value { return v })
		},
		relaxed: func(w *relaxing, l *spec.Defined, h *graph.Value, _ bool) *graph.Value {
			return w.formula(w.inner, l, h, func(part string) string { return l.Name + upperFirst(part) }, w.read)
		},
		tell: tellDefined,
	})
}

// formula is a layer by formula of each row of x, in the graph of bb, in which read gives what stands outside.
func (b *builder) formula(bb *graph.Builder, l *spec.Defined, x *graph.Value, name func(string) string,
	read func(*graph.Value) *graph.Value) *graph.Value {
	e := b.byFormula(bb, l, x, name, read)
	e.run(len(l.Formula.Equations))
	return e.values[l.Formula.Output]
}

// byFormula are the equations of a layer, with its parameters.
func (b *builder) byFormula(bb *graph.Builder, l *spec.Defined, x *graph.Value, name func(string) string,
	read func(*graph.Value) *graph.Value) *equations {
	e := &equations{Builder: bb, f: l.Formula, x: x, shape: rowsOf(x), name: name, params: map[string]*graph.Value{}}
	for i := range l.Formula.Params {
		p := &l.Formula.Params[i]
		w := weightOf(p, x.Shape.Last(), p.Start(l.Init, l.BiasInit))
		e.params[p.Name] = read(b.param(l.Name, w.field, w.shape(x.Shape.Last()), 0, 0, l.Name,
			w.init(x.Shape.Last().N)))
	}
	if l.Formula.Sums {
		e.sum = (&meeting{builder: b, l: l, rows: e}).sum
	}
	return e
}

// weightOf is a parameter of a formula of which in is the input's width. Matrices lie as all do, [in, out].
func weightOf(p *spec.FormulaParam, in graph.Dim, start spec.Init) weight {
	size := func(n int) graph.Dim {
		if n == in.N {
			return in
		}
		return graph.Const(n, "")
	}
	shape := graph.Shape{size(p.Out)}
	if p.In > 0 {
		shape = graph.Shape{size(p.In), size(p.Out)}
	}
	init := matrix(start, max(p.In, 1), p.Out)
	return weight{p.Field, func(graph.Dim) graph.Shape { return shape }, func(int) Init { return init }}
}

// formulaCell is a recurrent layer by formula. What it gives comes first among its states, or, where it is none,
// behind them.
func formulaCell(l *spec.Recurrent) *cell {
	f := l.Formula
	c := &cell{l: l, gives: !slices.Contains(f.States, f.Output)}
	var names []string
	for i, s := range f.States {
		at := len(names)
		if s == f.Output {
			at = 0
		}
		names, c.widths = slices.Insert(names, at, s), slices.Insert(c.widths, at, f.StateSizes[i])
	}
	for _, s := range names {
		c.states = append(c.states, stateName(s))
	}
	for i := range f.Params {
		p := &f.Params[i]
		c.weights = append(c.weights, weightOf(p, graph.Const(l.In, ""), p.Start(l.Init, l.BiasInit)))
	}
	c.formula = func(b *graph.Builder, prefix string, x *graph.Value, ws, state []*graph.Value) []*graph.Value {
		e := &equations{Builder: b, f: f, x: x, shape: rowsOf(x),
			name: func(part string) string { return prefix + part }, params: map[string]*graph.Value{},
			last: map[string]*graph.Value{}}
		for i := range f.Params {
			e.params[f.Params[i].Name] = ws[i]
		}
		for i, n := range names {
			e.last[n] = state[i]
		}
		e.run(len(f.Equations))
		values := e.values
		var next []*graph.Value
		for _, n := range names {
			next = append(next, values[n])
		}
		if c.gives {
			next = append(next, values[f.Output])
		}
		return next
	}
	return c
}

// equations are a formula while it becomes nodes.
type equations struct {
	*graph.Builder
	f      *spec.Formula
	x      *graph.Value // what the layer reads
	shape  graph.Shape  // of the rows that values are of: [batch], [steps, batch], or [tokens, batch] where tokens meet
	name   func(string) string
	params map[string]*graph.Value
	last   map[string]*graph.Value // values of the step before
	values map[string]*graph.Value
	made   map[*spec.Expr]*graph.Value // a square has one operand twice
	equals string                      // the name of what is being made

	whole map[string]string     // what a value is called that has parts, by the first of them; that one's name else
	sized func(n int) graph.Dim // a size of a part of a value, with its name; nil where sizes have none

	leaf func(x *spec.Expr) *graph.Value // what is made elsewhere; nil for nothing
	sum  func(x *spec.Expr) *graph.Value // a sum over tokens
	over *graph.Value                    // where tokens meet: which of them a sum is over
}

func rowsOf(x *graph.Value) graph.Shape { return x.Shape[: len(x.Shape)-1 : len(x.Shape)-1] }

// run makes the values that the first equations give.
func (e *equations) run(count int) {
	e.values, e.made = map[string]*graph.Value{}, map[*spec.Expr]*graph.Value{}
	for _, q := range e.f.Equations[:count] {
		e.equals = cmp.Or(e.whole[q.Names[0]], stateName(q.Names[0]))
		before := len(e.G.Nodes)
		v := e.rows(e.eval(q.Expr), q.Expr)
		for _, n := range e.G.Nodes[before:] { // the equation's name is that of its result
			if o := n.Outs[0]; o != v && n.Op.Elements && len(n.Args) == 1 {
				o.Base = e.name(n.Op.Name)
				o.Name = e.G.Unique(o.Base)
			}
		}
		part := graph.Const(q.Expr.Size/len(q.Names), "") // of one width
		if e.sized != nil {
			part = e.sized(part.N)
		}
		for i, n := range q.Names[:len(q.Names)-1] {
			rest := part
			if more := len(q.Names) - 1 - i; more > 1 {
				rest = graph.Mul(graph.Const(more, ""), part)
			}
			two := e.Apply(op.SplitColumns, []string{e.name(stateName(n)), e.name(stateName(q.Names[i+1]))},
				graph.Attrs{{Key: "a", Val: part}, {Key: "b", Val: rest}}, v)
			e.values[n], v = two[0], two[1]
		}
		e.values[q.Names[len(q.Names)-1]] = v
	}
}

// number is a term that is the same for all rows.
type number float64

// term is a value [..., n], one number a row [..., 1], a parameter [n], or a number.
type term struct {
	v     *graph.Value
	c     number
	fixed bool // a parameter that is a vector
}

func (e *equations) one(o *graph.Op, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
	return e.Apply(o, []string{e.name(e.equals)}, attrs, args...)[0]
}

// rows is a term as a value of every row.
func (e *equations) rows(t term, x *spec.Expr) *graph.Value {
	zeros := func(n graph.Dim) *graph.Value {
		shape := append(append(graph.Shape{}, e.shape...), n)
		return e.one(op.Zeros, graph.Attrs{{Key: "shape", Val: shape}})
	}
	switch {
	case t.v == nil:
		return e.one(op.Affine, graph.Attrs{{Key: "by", Val: 1.0}, {Key: "plus", Val: float64(t.c)}},
			zeros(graph.Const(max(1, x.Size), "")))
	case t.fixed:
		return e.one(op.AddBias, nil, zeros(t.v.Shape[0]), t.v)
	}
	return t.v
}

// row is a formula as a value of every row.
func (e *equations) row(x *spec.Expr) *graph.Value { return e.rows(e.eval(x), x) }

func (e *equations) eval(x *spec.Expr) term {
	if v := e.made[x]; v != nil {
		return term{v: v}
	}
	if e.leaf != nil {
		if v := e.leaf(x); v != nil {
			return term{v: v}
		}
	}
	t := e.compute(x)
	if t.v != nil && !t.fixed {
		e.made[x] = t.v
	}
	return t
}

func (e *equations) compute(x *spec.Expr) term {
	switch x.Op {
	case "number":
		return term{c: number(x.Number)}
	case "input":
		return term{v: e.x}
	case "param":
		return term{v: e.params[x.Name], fixed: true}
	case "value":
		return term{v: e.values[x.Name]}
	case "last":
		return term{v: e.last[x.Name]}
	case "product":
		var attrs graph.Attrs
		if x.Transposed {
			attrs = graph.Attrs{{Key: "tb", Val: true}}
		}
		return term{v: e.one(op.MatMul, attrs, e.rows(e.eval(x.Args[1]), x.Args[1]), e.params[x.Args[0].Name])}
	case "dot":
		a, b := x.Args[0], x.Args[1]
		if b.Op == "param" {
			a, b = b, a
		}
		if a.Op == "param" && b.Op != "param" { // one product for all rows
			v := e.params[a.Name]
			column := e.one(op.Reshape, graph.Attrs{{Key: "shape", Val: graph.Shape{v.Shape[0], graph.Const(1, "")}}},
				v)
			return term{v: e.one(op.MatMul, nil, e.row(b), column)}
		}
		return term{v: e.one(op.DotRows, nil, e.rows(e.eval(a), a), e.rows(e.eval(b), b))}
	case "join":
		y := e.rows(e.eval(x.Args[0]), x.Args[0])
		for _, a := range x.Args[1:] {
			y = e.one(op.JoinColumns, nil, y, e.rows(e.eval(a), a))
		}
		return term{v: y}
	case "+", "-", "*", "/":
		return e.elements(x)
	case "outer":
		return term{v: e.one(op.Outer, nil, e.row(x.Args[0]), e.row(x.Args[1]))}
	case "apply":
		var attrs graph.Attrs
		if x.Transposed {
			attrs = graph.Attrs{{Key: "transposed", Val: true}}
		}
		return term{v: e.one(op.ApplyRows, attrs, e.row(x.Args[0]), e.row(x.Args[1]))}
	case "rows": // diag(a)·M
		m := e.row(x.Args[1])
		cut := append(append(graph.Shape{}, e.shape...), graph.Const(x.Rows, ""), graph.Const(x.Cols(), ""))
		y := e.one(op.ScaleRows, nil, e.one(op.Reshape, graph.Attrs{{Key: "shape", Val: cut}}, m), e.row(x.Args[0]))
		return term{v: e.one(op.Reshape, graph.Attrs{{Key: "shape", Val: m.Shape}}, y)}
	case "columns": // M·diag(a)
		ones := e.one(op.Ones,
			graph.Attrs{{Key: "shape", Val: append(append(graph.Shape{}, e.shape...), graph.Const(x.Rows, ""))}})
		return term{v: e.one(op.Mul, nil, e.row(x.Args[1]), e.one(op.Outer, nil, ones, e.row(x.Args[0])))}
	case "sum":
		return term{v: e.sum(x)}
	case "weight":
		return term{v: e.one(op.SoftmaxSteps, nil, e.row(x.Args[0]), e.over)}
	}
	of := func() *graph.Value { return e.rows(e.eval(x.Args[0]), x.Args[0]) }
	if x.Op == "sigmoid" && e.last != nil { // a gate of a cell
		return term{v: e.one(op.Gate, nil, of())}
	}
	if act := activations[x.Op]; act != nil {
		return term{v: act(activating{inner: e.one, last: e.one}, of())}
	}
	if x.Op != "softmax" {
		panic(fmt.Sprintf("build: no operation for %q of a formula", x.Op))
	}
	return term{v: e.one(op.Softmax, nil, of())}
}

// elements is a sum, difference, product or quotient, element by element.
func (e *equations) elements(x *spec.Expr) term {
	a, b := e.eval(x.Args[0]), e.eval(x.Args[1])
	affine := func(v *graph.Value, by, plus float64) term {
		if plus == 0 {
			return term{v: e.one(op.Scale, graph.Attrs{{Key: "by", Val: by}}, v)}
		}
		return term{v: e.one(op.Affine, graph.Attrs{{Key: "by", Val: by}, {Key: "plus", Val: plus}}, v)}
	}
	switch {
	case a.v == nil && b.v == nil:
		return term{c: map[string]func() number{"+": func() number { return a.c + b.c },
			"-": func() number { return a.c - b.c }, "*": func() number { return a.c * b.c },
			"/": func() number { return a.c / b.c }}[x.Op]()}
	case b.v == nil:
		v, c := e.rows(a, x.Args[0]), float64(b.c)
		switch x.Op {
		case "+":
			return affine(v, 1, c)
		case "-":
			return affine(v, 1, -c)
		case "*":
			return affine(v, c, 0)
		}
		return affine(v, 1/c, 0)
	case a.v == nil && x.Op != "/":
		v, c := e.rows(b, x.Args[1]), float64(a.c)
		switch x.Op {
		case "+":
			return affine(v, 1, c)
		case "-":
			return affine(v, -1, c)
		}
		return affine(v, c, 0)
	case x.Op == "+" && b.fixed && !a.fixed && len(a.v.Shape) > 1 && a.v.Shape.Last().Same(b.v.Shape[0]):
		return term{v: e.one(op.AddBias, nil, a.v, b.v)}
	case x.Op == "+" && a.fixed && !b.fixed && len(b.v.Shape) > 1 && b.v.Shape.Last().Same(a.v.Shape[0]):
		return term{v: e.one(op.AddBias, nil, b.v, a.v)}
	}
	left, right := e.rows(a, &spec.Expr{Size: max(x.Args[0].Size, x.Args[1].Size)}), e.rows(b, x.Args[1])
	// One number a row goes with each element of the other side.
	wide := func(v *graph.Value, n *graph.Value) *graph.Value {
		if v.Shape.Same(n.Shape) {
			return v
		}
		ones := e.one(op.Ones, graph.Attrs{{Key: "shape", Val: n.Shape}})
		return e.one(op.ScaleRows, nil, ones, v)
	}
	if !left.Shape.Same(right.Shape) {
		if left.Shape.Last().N == 1 {
			if x.Op == "*" {
				return term{v: e.one(op.ScaleRows, nil, right, left)}
			}
			left = wide(left, right)
		} else {
			if x.Op == "*" {
				return term{v: e.one(op.ScaleRows, nil, left, right)}
			}
			right = wide(right, left)
		}
	}
	return term{v: e.one(map[string]*graph.Op{"+": op.Add, "-": op.Sub, "*": op.Mul, "/": op.Div}[x.Op], nil, left,
		right)}
}

// stateName is a name of a formula as that of a value.
func stateName(name string) string { return spec.FieldName(name) }

func tellDefined(_ *spec.Model, l *spec.Defined) Account {
	var a Account
	a.byFormula(l.Formula)
	return a
}

// byFormula tells a layer by formula: its equations are those of the spec.
func (a *Account) byFormula(f *spec.Formula) {
	switch {
	case len(f.States) > 0:
		a.say("The equations are computed step by step; what stands at t−1 is of the step before, and zero before " +
			"the first.")
	case f.Memory:
		a.say("The equations are of each token; sums are over the tokens of the source.")
	case f.Looks:
		which := "all tokens of the text"
		for _, e := range f.Equations {
			e.Expr.Each(func(x *spec.Expr) {
				if x.Causal {
					which = "the token itself and those before it"
				}
			})
		}
		a.say("The equations are of each token; sums are over %s.", which)
	default:
		a.say("The equations are of each row by itself.")
	}
	a.say("The layer gives %s.", f.Output)
	a.show(f.Written...)
	shown := map[string]bool{}
	for _, e := range f.Equations {
		e.Expr.Each(func(x *spec.Expr) {
			if formulas := activationFormulas[x.Op]; len(formulas) > 0 && !shown[x.Op] && !plainFunction[x.Op] {
				shown[x.Op] = true
				a.show(formulas...)
			}
		})
	}
}

// plainFunction says of functions of formulas that nobody needs to be told what they are.
var plainFunction = map[string]bool{"exp": true, "log": true, "sqrt": true, "tanh": true, "erf": true}
