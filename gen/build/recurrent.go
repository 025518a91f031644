package build

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/gen/formula"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	c := construction[*spec.Recurrent]{build: (*builder).recurrence, relaxed: (*relaxing).recurrent,
		begin: (*builder).begin, tell: tellRecurrent}
	for _, kind := range []string{"rnn", "lstm", "gru"} {
		register(kind, c)
	}
}

// recurrence adds recurrent layers in the way that their network needs them.
func (b *builder) recurrence(l *spec.Recurrent, x *graph.Value, _ bool) *graph.Value {
	switch {
	case b.carries():
		return b.recurrent(l, x)
	case b.judging || b.steps.Same(sourceSteps):
		return b.reader(l, x)
	case b.m.DecoderOnly():
		return b.among(l, x)
	}
	return b.writer(l, x)
}

// among adds recurrent layers of a decoder that stand among layers with attention. A window of training is a text of
// its own, so that they begin with zeros; a decoder carries their states from chunk to chunk. Where there is no token
// a state is zero, so that a prompt can begin with missing ones.
func (b *builder) among(l *spec.Recurrent, x *graph.Value) *graph.Value {
	c := b.newCell(l)
	for i := range l.Layers {
		scope := layerScope(l, i)
		b.Scope = scope
		if i > 0 {
			x = b.dropout(b.Builder, x, scope+".x", l.Dropout, nil)
		}
		ws := b.weights(c, scope, "", layerNumber(l, i), x.Shape.Last())
		if b.training {
			x = b.read(c, scope, "", x, ws, false)
			continue
		}
		var start []*graph.Value
		for i, s := range c.states {
			shape := b.stateShape(c, i)
			b.r.States = append(b.r.States, &State{Name: scope + "." + s, Shape: shape})
			start = append(start, b.G.StateInput(scope+"."+s, shape))
		}
		done := b.scan(c, scope, "", x, ws, start, false)
		for i, s := range c.states {
			b.state = append(b.state, stateOut{scope + "." + s, done[i]})
		}
		x = done[len(c.states)]
	}
	return x
}

// cell is one recurrent layer: its weights, in the order in which step reads them, and its state.
type cell struct {
	l       *spec.Recurrent
	m       *Model
	weights []weight
	states  []string // "h", or "h" and "c"
	widths  []int    // of the states of a formula; nil where all are as wide as the layer

	gives bool // a step gives another value than its first state; it stands behind the states that step returns

	// formula is step, of a layer by formula; nil for the others.
	formula func(b *graph.Builder, prefix string, x *graph.Value, ws, state []*graph.Value) []*graph.Value
}

type weight struct {
	field string
	shape func(in graph.Dim) graph.Shape
	init  func(in int) Init
}

// recurrent adds a stack of equal recurrent layers. Layers whose input has the width of their output come in one loop;
// a first layer that differs from the others, in the width of its input or because no dropout stands before it, comes
// before the loop.
func (b *builder) recurrent(l *spec.Recurrent, x *graph.Value) *graph.Value {
	units := b.units(l)
	c := b.newCell(l)
	if l.Layers == 1 {
		return b.single(c, l.Name, 0, x)
	}
	if b.ofText() { // which write relaxed tokens through all layers in one loop, so that none are stacked
		for i := range l.Layers {
			b.Scope = layerScope(l, i)
			if i > 0 {
				x = b.dropout(b.Builder, x, b.Scope+".x", l.Dropout, nil)
			}
			x = b.single(c, b.Scope, layerNumber(l, i), x)
		}
		return x
	}
	rest, first := l.Layers, 1
	if !x.Shape.Last().Same(units) || l.Dropout > 0 {
		x = b.single(c, layerScope(l, 0), 1, x)
		rest, first = rest-1, 2
	}
	if rest == 1 {
		b.Scope = layerScope(l, 1)
		x = b.dropout(b.Builder, x, b.Scope+".x", l.Dropout, nil)
		return b.single(c, b.Scope, 2, x)
	}
	return b.stack(c, l.Name, first, rest, x, units)
}

// units is the width of a recurrent layer's state.
func (b *builder) units(l *spec.Recurrent) graph.Dim {
	return b.sized(l.Name, "units", l.Units, "width of the recurrent layer's state")
}

// stateShape is the shape of state i of a cell.
func (b *builder) stateShape(c *cell, i int) graph.Shape {
	width := b.units(c.l)
	if c.widths != nil && c.widths[i] != width.N {
		width = graph.Const(c.widths[i], "")
	}
	return graph.Shape{batch, width}
}

// single adds one layer outside of any loop over layers; number is its number, from 1, in the layer of the spec, or 0
// where there is just one.
func (b *builder) single(c *cell, scope string, number int, x *graph.Value) *graph.Value {
	b.Scope = scope
	if number > 0 {
		b.Origin = b.at(c.l.LayerPos(), fmt.Sprintf("%s, layer %d", c.l.Name, number))
	}
	in := x.Shape.Last()
	var ws []*graph.Value
	for _, w := range c.weights {
		ws = append(ws, b.param(scope, w.field, w.shape(in), 0, number, c.l.Name, w.init(in.N)))
	}
	var state []*graph.Value
	for i, s := range c.states {
		state = append(state, b.stateIn(scope+"."+s, b.stateShape(c, i)))
	}
	y, next := b.layer(b.Builder, c, scope+".", x, b.reset, ws, state)
	for i, s := range c.states {
		b.state = append(b.state, stateOut{scope + "." + s, next[i]})
	}
	return y
}

// stack adds count layers in a loop.
func (b *builder) stack(c *cell, scope string, first, count int, x *graph.Value, units graph.Dim) *graph.Value {
	b.Scope = scope
	b.Origin = b.at(c.l.LayerPos(), fmt.Sprintf("%s, layers %d to %d", c.l.Name, first, first+count-1))
	n := b.sized(scope, "layers", count,
		fmt.Sprintf("layers %d to %d of %s, in one loop", first, first+count-1, c.l.Name))
	body := graph.New(scope + ".layer")
	bb := &graph.Builder{G: body, Phase: b.Phase, Scope: b.Scope, Stage: b.Stage, Origin: b.Origin}
	l := &graph.Loop{Kind: graph.Repeat, Trip: n, Index: "l", Carries: 1, Body: body}
	args := []*graph.Value{x}
	in := body.Input("x", graph.Local, x.Type, x.Shape)
	var ws, state []*graph.Value
	for _, w := range c.weights {
		shape := w.shape(units)
		args = append(args, b.param(scope, w.field, shape.Stack(n), count, first, c.l.Name, w.init(units.N)))
		ws = append(ws, body.Input(w.field, graph.Local, graph.F32, shape))
		l.Seqs++
	}
	for i, s := range c.states {
		shape := b.stateShape(c, i)
		args = append(args, b.stateIn(scope+"."+s, shape.Stack(n)))
		state = append(state, body.Input(s+"0", graph.Local, graph.F32, shape))
		l.Seqs++
	}
	var reset *graph.Value
	if b.time {
		args = append(args, b.reset)
		reset = body.Input("reset", graph.Local, graph.I32, b.reset.Shape)
	}
	if c.l.Dropout > 0 && b.training {
		index := bb.Apply(op.Index, []string{"index"}, nil)[0]
		in = b.dropout(bb, in, "xDropped", c.l.Dropout, index)
	}
	y, next := b.layer(bb, c, "", in, reset, ws, state)
	body.Outputs = append([]*graph.Value{y}, next...)
	names := []string{scope + ".y"}
	for _, s := range c.states {
		names = append(names, scope+"."+s+"Next")
	}
	done := b.AddLoop(l, names, args...)
	for i, s := range c.states {
		b.state = append(b.state, stateOut{scope + "." + s, done.Outs[1+i]})
	}
	return done.Outs[0]
}

func (b *builder) stateIn(name string, shape graph.Shape) *graph.Value {
	if s := b.site; s != nil {
		return s.element(s.outer.stateIn(name, shape.Stack(s.trip)), name+"0")
	}
	if b.training {
		b.r.States = append(b.r.States, &State{Name: name, Shape: shape})
	}
	return b.G.StateInput(name, shape)
}

// layer applies a layer to x: over all time steps in training, once in decoding. It gives the layer's output and its
// next state.
func (b *builder) layer(bb *graph.Builder, c *cell, prefix string, x, reset *graph.Value, ws,
	state []*graph.Value) (*graph.Value, []*graph.Value) {
	if !b.time {
		return c.out(c.step(bb, prefix, x, ws, state, nil))
	}
	body := graph.New(c.l.Name + ".step")
	sb := &graph.Builder{G: body, Phase: bb.Phase, Scope: bb.Scope, Stage: bb.Stage, Origin: bb.Origin}
	l := &graph.Loop{Kind: graph.Scan, Trip: b.steps, Index: "t", Carries: len(c.states), Seqs: 2, Body: body}
	var args, inner, weights []*graph.Value
	for i, s := range c.states {
		args = append(args, state[i])
		inner = append(inner, body.Input(s+"Carry", graph.Local, graph.F32, state[i].Shape))
	}
	args = append(args, x, reset)
	xt := body.Input("x", graph.Local, graph.F32, x.Shape[1:])
	rt := body.Input("reset", graph.Local, graph.I32, reset.Shape[1:])
	for i, w := range ws {
		args = append(args, w)
		weights = append(weights, body.Input(c.weights[i].field, graph.Local, graph.F32, w.Shape))
	}
	var prev []*graph.Value
	for i, s := range c.states {
		prev = append(prev, sb.Apply(op.ResetRows, []string{s + "Prev"}, nil, inner[i], rt)[0])
	}
	y, next := c.out(c.step(sb, "", xt, weights, prev, nil))
	body.Outputs = append(append([]*graph.Value{}, next...), y)
	var names []string
	for _, s := range c.states {
		names = append(names, prefix+s+"Last")
	}
	done := bb.AddLoop(l, append(names, prefix+"h"), args...)
	return done.Outs[len(c.states)], done.Outs[:len(c.states)]
}

func (b *builder) newCell(l *spec.Recurrent) *cell {
	units := b.units(l)
	if l.Formula != nil {
		return formulaCell(l)
	}
	c := &cell{l: l, m: b.r, states: statesOf(l)}
	add := func(field string, shape func(in graph.Dim) graph.Shape, init func(in int) Init) {
		c.weights = append(c.weights, weight{field, shape, init})
	}
	bias := Init{Scheme: l.BiasInit.Scheme, Scale: l.BiasInit.Scale, In: l.Units, Out: l.Units}
	state := func(blocks int) func(int) Init {
		return func(int) Init {
			return Init{Scheme: l.InitState.Scheme, Scale: l.InitState.Scale, In: l.Units, Out: l.Units, Blocks: blocks}
		}
	}
	input := func(blocks int) func(int) Init {
		return func(in int) Init {
			return Init{Scheme: l.Init.Scheme, Scale: l.Init.Scale, In: in, Out: l.Units, Blocks: blocks}
		}
	}
	// matrices adds a weight for the input, one for the state, and a bias, each for `blocks` gates; suffix tells two
	// such groups apart.
	matrices := func(suffix string, blocks int, bias Init) {
		width := units
		if blocks > 1 {
			width = graph.Mul(graph.Const(blocks, ""), units)
		}
		add("wx"+suffix, func(in graph.Dim) graph.Shape { return graph.Shape{in, width} }, input(blocks))
		add("wh"+suffix, func(graph.Dim) graph.Shape { return graph.Shape{units, width} }, state(blocks))
		if l.Bias {
			add("b"+suffix, func(graph.Dim) graph.Shape { return graph.Shape{width} }, func(int) Init { return bias })
		}
	}
	switch {
	case l.Kind == "rnn":
		matrices("", 1, bias)
	case l.Kind == "lstm":
		gates := bias
		if l.ForgetBias != 0 {
			gates.Add, gates.AddAt = l.ForgetBias, [2]int{l.Units, 2 * l.Units}
		}
		matrices("", 4, gates)
	case l.Reset == "before":
		matrices("", 2, bias)  // r and z
		matrices("n", 1, bias) // the candidate
	default:
		matrices("", 3, bias)
		if l.Bias {
			add("bh", func(graph.Dim) graph.Shape { return graph.Shape{graph.Mul(graph.Const(3, ""), units)} },
				func(int) Init { return bias })
		}
	}
	return c
}

// statesOf are the states of a layer.
func statesOf(l *spec.Recurrent) []string {
	switch {
	case l.Formula != nil:
		return formulaCell(l).states
	case l.Kind == "lstm":
		return []string{"h", "c"}
	}
	return []string{"h"}
}

// out is what a step gives, and the next states.
func (c *cell) out(values []*graph.Value) (y *graph.Value, next []*graph.Value) {
	if c.gives {
		last := len(values) - 1
		return values[last], values[:last:last]
	}
	return values[0], values
}

// step computes the next state from the input x and the last state, [batch, width]. more, if any, gives what is added
// to the products of x with the weights wx and, with the suffix n, wxn.
func (c *cell) step(b *graph.Builder, prefix string, x *graph.Value, ws, state []*graph.Value,
	more func(suffix string) *graph.Value) []*graph.Value {
	if c.formula != nil {
		return c.formula(b, prefix, x, ws, state)
	}
	w := map[string]*graph.Value{}
	for i, v := range ws {
		w[c.weights[i].field] = v
	}
	apply := func(o *graph.Op, name string, args ...*graph.Value) *graph.Value {
		return b.Apply(o, []string{prefix + name}, nil, args...)[0]
	}
	// affine is in·W + b.
	affine := func(name string, in *graph.Value, wf, bf string) *graph.Value {
		y := apply(op.MatMul, name, in, w[wf])
		if w[bf] != nil {
			y = apply(op.AddBias, name, y, w[bf])
		}
		return y
	}
	// input is x·Wx + b, and more.
	input := func(suffix string) *graph.Value {
		gx := affine("gx"+suffix, x, "wx"+suffix, "b"+suffix)
		if more != nil {
			gx = apply(op.Add, "gx"+suffix, gx, more(suffix))
		}
		return gx
	}
	h := state[0]
	if c.l.Kind == "rnn" {
		z := apply(op.Add, "z", input(""), apply(op.MatMul, "gh", h, w["wh"]))
		act := op.Tanh
		if c.l.Activation == "relu" {
			act = op.ReLU
		}
		return []*graph.Value{apply(act, "h", z)}
	}
	// The equations of the library, whose matrices and biases are those of the layer: U of h_{t−1} is wh.
	e := &equations{Builder: b, f: c.l.Cell(), x: x, shape: rowsOf(x), params: map[string]*graph.Value{},
		last: map[string]*graph.Value{}, name: func(part string) string { return prefix + part },
		whole: map[string]string{"a_i": "gates", "a_r": "gates"}}
	for i, s := range c.states {
		e.last[s] = state[i]
	}
	e.sized = func(n int) graph.Dim {
		if units := h.Shape.Last(); n == units.N {
			return units
		}
		return graph.Const(n, "")
	}
	e.leaf = func(f *spec.Expr) *graph.Value {
		bias := f.Op == "+" && f.Args[1].Op == "param"
		if bias {
			f = f.Args[0]
		}
		if f.Op != "product" {
			return nil
		}
		matrix, in := f.Args[0].Name, f.Args[1]
		suffix := ""
		if strings.HasSuffix(matrix, "_n") {
			suffix = "n"
		}
		switch {
		case matrix[0] == 'W':
			return input(suffix)
		case bias:
			return affine("gh"+suffix, e.row(in), "wh"+suffix, "b"+suffix+"h")
		}
		return apply(op.MatMul, "gh"+suffix, e.row(in), w["wh"+suffix])
	}
	e.run(len(e.f.Equations))
	var next []*graph.Value
	for _, s := range c.states {
		next = append(next, e.values[s])
	}
	c.gates(e.values)
	return next
}

// gates notes the gates of an LSTM or a GRU, for taps.
func (c *cell) gates(values map[string]*graph.Value) {
	switch {
	case c.l.Kind == "lstm":
		c.m.gates(values, "gates", "i input", "f forget", "g candidate", "o output")
	case c.l.Reset == "before":
		c.m.gates(values, "gates", "r reset", "z update")
		c.m.gates(values, "candidate", "n candidate")
	default:
		c.m.gates(values, "gates", "r reset", "z update", "n candidate")
	}
}

func tellRecurrent(m *spec.Model, l *spec.Recurrent) Account {
	var a Account
	among := func(stack []spec.Layer) bool {
		for x := range spec.Leaves(stack) {
			if x == spec.Layer(l) {
				return true
			}
		}
		return false
	}
	if l.Layers > 1 {
		a.say("%s, one on the other, each with parameters of its own: h of one is x of the next.",
			counted(l.Layers, "equal layer"))
		a.dropped("the features between two layers", l.Dropout)
	}
	judging := m.GAN != nil && among(m.GAN.Discriminator)
	reading := among(m.Encoder) && (m.Source != nil || m.Latent != nil)
	writing := !judging && !reading && (m.EncoderDecoder() || m.Latent != nil)
	switch {
	case l.Bidirectional:
		a.say("It reads from both ends, from the last token with the parameters whose names end in _back; y has both "+
			"states of a token side by side, %d features.", l.Width)
	case reading:
		a.say("It reads the text from its end, so that the state at the first token has seen all of it.")
	case writing:
	case m.Kind == "rnn" || m.GAN != nil && !judging:
		a.say("The state is carried from window to window, and is zero at the start of a text. Gradients reach back "+
			"to the start of a window of %d steps.", m.Shape.Steps)
	default:
		a.say("The state is zero before the first token.")
	}
	more, reads := "", ""
	if writing {
		from := "m_1"
		if m.Latent != nil {
			from = "z"
			a.say("Its states begin with what the latent vector z makes of them.")
		} else {
			a.say("Its states begin with what the encoder gives at the first token, m₁, which has seen all of the " +
				"source.")
		}
		for _, s := range statesOf(l) {
			a.show(stateLetter(s) + `_0 = \tanh(` + affine(from, "w_start_"+s, "b_start_"+s, true) + ")")
		}
		if m.Latent != nil && l.Formula == nil {
			for x := range spec.Leaves(m.Layers) {
				if r, ok := x.(*spec.Recurrent); ok {
					if r == l {
						reads = "z"
						a.say("The first of its layers reads z at every step as well.")
					}
					break
				}
			}
		}
	}
	switch {
	case reads != "":
		more = "latent"
	case l.Attention != nil:
		reads = a.attends(l)
		more = "more"
	}
	if l.Formula != nil {
		a.byFormula(l.Formula)
		a.show("y_t = " + l.Formula.Output + "_t")
		return a
	}
	a.cell(l, more, reads)
	given := "h_t"
	if l.Attention != nil {
		given = `\tanh(` + affine("c_t^{m}", "w_context", "", false) + " + " + affine("h_t", "w_state", "b_out",
			true) + ")"
		if l.Attention.InputFeeding && l.Attention.Score != "additive" {
			a.say("What it gives is an input of the next step, so that it knows where it has looked.")
		}
	}
	if l.Bidirectional {
		given = `[h_t, h_t^{\text{back}}]`
	}
	a.show("y_t = " + given)
	return a
}

// stateLetter is a state of a cell in a formula.
func stateLetter(s string) string {
	if len(s) == 1 {
		return s
	}
	return `\text{` + formula.Escape(s) + "}"
}

// cell tells a step of a cell. more is the name, in the weights, of what it reads besides, and reads that itself;
// empty for nothing.
func (a *Account) cell(l *spec.Recurrent, more, reads string) {
	input := func(suffix string) string {
		s := affine("x_t", "wx"+suffix, "", false)
		if reads != "" {
			s += " + " + affine(reads, "w_"+more+suffix, "", false)
		}
		return s
	}
	bias := func(field string) string {
		if !l.Bias {
			return ""
		}
		return " + " + Symbol(field)
	}
	sigmoid := activationFormulas["sigmoid"][0]
	state := affine("h_{t-1}", "wh", "", false)
	switch {
	case l.Kind == "rnn":
		y, define := activated(l.Activation, input("")+" + "+state+bias("b"), 0)
		a.say("A simple recurrent layer (Elman 1990): the next state is a function of the input and the state.")
		a.show("h_t = " + y)
		a.show(define...)
	case l.Kind == "lstm":
		a.say("Long short-term memory: gates i, f and o say what of g enters the cell c, what of it stays, and what " +
			"of it is seen.")
		if l.ForgetBias != 0 {
			a.say("The bias of f starts %g higher.", l.ForgetBias)
		}
		a.show(`[\hat{i}, \hat{f}, \hat{g}, \hat{o}] = `+input("")+" + "+state+bias("b"),
			`i = \sigma(\hat{i}) \quad f = \sigma(\hat{f}) \quad g = \tanh(\hat{g}) \quad o = \sigma(\hat{o})`,
			`c_t = f \odot c_{t-1} + i \odot g`, `h_t = o \odot \tanh(c_t)`, sigmoid)
	case l.Reset == "before":
		a.say("A gated recurrent unit whose reset gate r acts before the product with the state (Cho et al. 2014); " +
			"the gate z says how much of the state stays.")
		a.show(`[\hat{r}, \hat{z}] = `+input("")+" + "+state+bias("b"), `r = \sigma(\hat{r}) \quad z = \sigma(\hat{z})`,
			`n = \tanh(`+input("n")+` + (r \odot h_{t-1}) \cdot `+Symbol("whn")+bias("bn")+")",
			`h_t = (1 - z) \odot n + z \odot h_{t-1}`, sigmoid)
	default:
		a.say("A gated recurrent unit whose reset gate r acts behind the product with the state, as in cuDNN; the " +
			"gate z says how much of the state stays.")
		a.show(`[\hat{r}, \hat{z}, \hat{n}] = `+input("")+bias("b"), `[\tilde{r}, \tilde{z}, \tilde{n}] = `+
			``+state+bias("bh"),
			`r = \sigma(\hat{r} + \tilde{r}) \quad z = \sigma(\hat{z} + \tilde{z})`,
			`n = \tanh(\hat{n} + r \odot \tilde{n})`, `h_t = (1 - z) \odot n + z \odot h_{t-1}`, sigmoid)
	}
}

// attends tells the attention of a recurrent layer to the encoder's output m, and gives what of it a step reads beside
// its input; empty for nothing.
func (a *Account) attends(l *spec.Recurrent) string {
	t := l.Attention
	by, index := "h_t", "t"
	if t.Score == "additive" {
		by, index = "h_{t-1}", "t"
		a.say("Before each step its state looks at all places of the source, and the step reads what it finds, c " +
			"(Bahdanau et al. 2015).")
	} else {
		a.say("After each step its state looks at all places of the source and finds c (Luong et al. 2015).")
	}
	score := map[string]string{
		"additive": `\tanh(` + affine(by, "w_query", "", false) + " + " + affine("m_j", "w_keys", "", false) + `) ` +
			`\cdot v^\top`,
		"dot":        by + ` \cdot m_j^\top`,
		"general":    affine(by, "w_query", "", false) + ` \cdot m_j^\top`,
		"scaled_dot": fmt.Sprintf(`\frac{%s \cdot m_j^\top}{\sqrt{%d}}`, by, l.Units),
	}
	score["concat"] = score["additive"]
	a.show("e_{"+index+", j} = "+score[t.Score], `\alpha_{t, j} = \operatorname{softmax}_j(e_{t, j})`,
		`c_t^{m} = \sum_j \alpha_{t, j} \cdot m_j`)
	switch {
	case t.Score == "additive":
		return "c_t^{m}"
	case t.InputFeeding:
		return "y_{t-1}"
	}
	return ""
}
