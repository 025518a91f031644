package build

import (
	"fmt"
	"math"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

// Recurrent layers of encoder-decoder models. The encoder reads a source whose shorter rows are padded behind their
// end; a state is zero wherever there is no token, so that a scan from the end begins at the last token, whatever the
// row's length. A source that is read in one direction is read from its end (Sutskever et al. 2014), and either way
// the states at the first step have seen all of it: from these the decoder begins.

// layerScope is the path of layer i of a stack, or of the one layer that it is.
func layerScope(l *spec.Recurrent, i int) string {
	if l.Layers == 1 {
		return l.Name
	}
	return fmt.Sprintf("%s.%d", l.Name, i+1)
}

func layerNumber(l *spec.Recurrent, i int) int {
	if l.Layers == 1 {
		return 0
	}
	return i + 1
}

// weights are the parameters of a cell for an input of width in; suffix tells the directions apart.
func (b *builder) weights(c *cell, scope, suffix string, number int, in graph.Dim) []*graph.Value {
	var ws []*graph.Value
	for _, w := range c.weights {
		ws = append(ws, b.param(scope, w.field+suffix, w.shape(in), 0, number, c.l.Name, w.init(in.N)))
	}
	return ws
}

// reader adds the recurrent layers of an encoder.
func (b *builder) reader(l *spec.Recurrent, x *graph.Value) *graph.Value {
	c := b.newCell(l)
	for i := range l.Layers {
		scope := layerScope(l, i)
		b.Scope = scope
		if i > 0 {
			x = b.dropout(b.Builder, x, scope+".x", l.Dropout, nil)
		}
		in := x.Shape.Last()
		if !l.Bidirectional {
			x = b.read(c, scope, "", x, b.weights(c, scope, "", layerNumber(l, i), in), !b.judging)
			continue
		}
		ahead := b.read(c, scope, "", x, b.weights(c, scope, "", layerNumber(l, i), in), false)
		back := b.read(c, scope, "Back", x, b.weights(c, scope, "_back", layerNumber(l, i), in), true)
		x = b.Apply(op.JoinColumns, []string{scope + ".y"}, nil, ahead, back)[0]
	}
	return x
}

// read is a scan over the source, from its end where reverse is set, that begins with zeros.
func (b *builder) read(c *cell, scope, suffix string, x *graph.Value, ws []*graph.Value, reverse bool) *graph.Value {
	defer func() { b.Part = "" }()
	if b.Part = "fromEnd"; !reverse {
		b.Part = "fromStart"
	}
	var start []*graph.Value
	for i, s := range c.states {
		start = append(start,
			b.Apply(op.Zeros, []string{scope + "." + s + "Start" + suffix},
				graph.Attrs{{Key: "shape", Val: b.stateShape(c, i)}})[0])
	}
	return b.scan(c, scope, suffix, x, ws, start, reverse)[len(c.states)]
}

// scan runs a cell over the tokens from the states start. It gives the last states and, behind them, what each step
// gives. Where there is no token a state is zero.
func (b *builder) scan(c *cell, scope, suffix string, x *graph.Value, ws, start []*graph.Value,
	reverse bool) []*graph.Value {
	body := graph.New(scope + suffix + ".step")
	sb := &graph.Builder{G: body, Phase: b.Phase, Scope: b.Scope, Part: b.Part, Pass: b.Pass, Stage: b.Stage,
		Origin: b.Origin}
	loop := &graph.Loop{Kind: graph.Scan, Trip: b.steps, Index: "t", Carries: len(c.states), Seqs: 1, Reverse: reverse,
		Body: body}
	args := append([]*graph.Value{}, start...)
	var prev, weights []*graph.Value
	for i, s := range c.states {
		prev = append(prev, body.Input(s+"Prev", graph.Local, graph.F32, start[i].Shape))
	}
	args = append(args, x)
	xt := body.Input("x", graph.Local, graph.F32, x.Shape[1:])
	var token *graph.Value
	if !b.judging { // where lines are all of one length
		args = append(args, b.tokens)
		token = body.Input("tokens", graph.Local, graph.I32, b.tokens.Shape[1:])
		loop.Seqs++
	}
	for i, w := range ws {
		args = append(args, w)
		weights = append(weights, body.Input(c.weights[i].field, graph.Local, graph.F32, w.Shape))
	}
	y, states := c.out(c.step(sb, "", xt, weights, prev, nil))
	next := append([]*graph.Value{}, states...)
	if token != nil {
		for i, s := range c.states {
			next[i] = sb.Apply(op.MaskRows, []string{s + "Next"}, nil, next[i], token)[0]
		}
	}
	if !c.gives {
		y = next[0]
	}
	body.Outputs = append(append([]*graph.Value{}, next...), y)
	var names []string
	for _, s := range c.states {
		names = append(names, scope+"."+s+"Last"+suffix)
	}
	return b.AddLoop(loop, append(names, scope+".h"+suffix), args...).Outs
}

// starts are the states from which a layer of the decoder begins: tanh(W·s + b), s being the encoder's output at the
// first step (Bahdanau et al. 2015, appendix A.2.2), or the latent vector.
func (b *builder) starts(c *cell, scope string, number int) []*graph.Value {
	first := b.latent
	if first == nil {
		first = b.Apply(op.FirstStep, []string{scope + ".first"}, nil, b.memory)[0]
	}
	in := first.Shape.Last()
	bound := spec.Init{Scheme: "uniform", Scale: 1 / math.Sqrt(float64(in.N))}
	var out []*graph.Value
	for i, s := range c.states {
		units := b.stateShape(c, i)[1]
		w := b.param(scope, "w_start_"+s, graph.Shape{in, units}, 0, number, c.l.Name, matrix(bound, in.N, units.N))
		bias := b.param(scope, "b_start_"+s, graph.Shape{units}, 0, number, c.l.Name, Init{Scheme: "zeros"})
		z := b.Apply(op.MatMul, []string{scope + "." + s + "Start"}, nil, first, w)[0]
		z = b.Apply(op.AddBias, []string{scope + "." + s + "Start"}, nil, z, bias)[0]
		out = append(out, b.Apply(op.Tanh, []string{scope + "." + s + "Start"}, nil, z)[0])
	}
	return out
}

// begin is what the recurrent layers of a decoder need of a source before the first token: their states, and the keys
// of an attention.
func (b *builder) begin(l *spec.Recurrent) {
	c := b.newCell(l)
	for i := range l.Layers {
		scope := layerScope(l, i)
		b.Scope = scope
		for k, s := range b.starts(c, scope, layerNumber(l, i)) {
			b.G.Output(s, "state:"+scope+"."+c.states[k])
		}
		if l.Attention != nil && i == l.Layers-1 {
			a := newAttending(b, l, scope, layerNumber(l, i))
			if a.scored() {
				b.G.Output(a.keys(), "cache:"+scope+".keys")
			}
			if l.Attention.InputFeeding {
				zero := b.Apply(op.Zeros, []string{scope + ".fed"},
					graph.Attrs{{Key: "shape", Val: graph.Shape{batch, b.units(l)}}})[0]
				b.G.Output(zero, "state:"+scope+".fed")
			}
			memory := b.Apply(op.Copy, []string{scope + ".memory"}, nil, b.memory)[0]
			b.G.Output(memory, "cache:"+scope+".memory")
		}
	}
}

// attending is the attention of a recurrent layer to the encoder's output.
type attending struct {
	b      *builder
	l      *spec.Recurrent
	scope  string
	number int
	width  graph.Dim // of the memory
	units  graph.Dim // of the state
	hidden graph.Dim // of the energies
}

func newAttending(b *builder, l *spec.Recurrent, scope string, number int) *attending {
	a := &attending{b: b, l: l, scope: scope, number: number, width: b.memoryWidth(), units: b.units(l)}
	if a.scored() {
		a.hidden = b.sized(scope, "score", l.Attention.Units, "width of the layer that scores places of the source")
	}
	return a
}

// scored reports whether a layer of its own scores a pair: additive and concat are one form, v·tanh(W·h + U·s).
func (a *attending) scored() bool {
	return a.l.Attention.Score == "additive" || a.l.Attention.Score == "concat"
}

// before reports whether the state before the step looks, and the step reads what it finds.
func (a *attending) before() bool { return a.l.Attention.Score == "additive" }

func (a *attending) param(field string, shape graph.Shape, zero bool) *graph.Value {
	init := Init{Scheme: "zeros"}
	if !zero {
		in := shape[0].N
		init = matrix(spec.Init{Scheme: "uniform", Scale: 1 / math.Sqrt(float64(in))}, in, shape.Last().N)
	}
	return a.b.param(a.scope, field, shape, 0, a.number, a.l.Name, init)
}

// keys are what the states are compared with, for all places at once.
func (a *attending) keys() *graph.Value {
	return a.b.Apply(op.MatMul, []string{a.scope + ".keys"}, nil, a.b.memory,
		a.param("w_keys", graph.Shape{a.width, a.hidden}, false))[0]
}

// fields are the parameters that a step reads, in their order.
func (a *attending) fields(gates map[string]graph.Dim) (names []string, ws []*graph.Value) {
	add := func(field string, shape graph.Shape, zero bool) {
		names = append(names, field)
		ws = append(ws, a.param(field, shape, zero))
	}
	switch {
	case a.scored():
		add("w_query", graph.Shape{a.units, a.hidden}, false)
		add("v", graph.Shape{a.hidden}, false)
	case a.l.Attention.Score == "general":
		add("w_query", graph.Shape{a.units, a.width}, false)
	}
	more := a.width
	if !a.before() {
		more = a.units
	}
	if a.before() || a.l.Attention.InputFeeding {
		for _, suffix := range []string{"", "n"} {
			if width, ok := gates[suffix]; ok {
				add("w_more"+suffix, graph.Shape{more, width}, false)
			}
		}
	}
	add("w_context", graph.Shape{a.width, a.units}, false)
	add("w_state", graph.Shape{a.units, a.units}, false)
	add("b_out", graph.Shape{a.units}, true)
	return names, ws
}

// context is what a state h [batch, units] finds.
func (a *attending) context(sb *graph.Builder, w map[string]*graph.Value, h *graph.Value, prefix string) *graph.Value {
	q := h
	if w["w_query"] != nil {
		q = sb.Apply(op.MatMul, []string{prefix + "query"}, nil, h, w["w_query"])[0]
	}
	if a.scored() {
		return sb.Apply(op.AdditiveAttention, []string{prefix + "context", prefix + "weights"}, nil, q, w["keys"],
			w["memory"], w["v"], w["source"])[0]
	}
	scale := 1.0
	if a.l.Attention.Score == "scaled_dot" {
		scale = math.Sqrt(1 / float64(a.l.Units))
	}
	attrs := graph.Attrs{{Key: "name", Val: a.scope + ".memory"}, {Key: "heads", Val: 1}, {Key: "kv", Val: 1},
		{Key: "size", Val: a.width.N}, {Key: "width", Val: a.width}, {Key: "memory", Val: true},
		{Key: "scale", Val: scale}}
	if !a.b.training {
		attrs = attrs.Set("decoding", true)
	}
	return sb.Apply(op.Attention, []string{prefix + "context", prefix + "lse"}, attrs, q, w["memory"], w["source"])[0]
}

// output is tanh(W·[c; h] + b) (Luong et al. 2015, equation 5), of one step or of all.
func (a *attending) output(sb *graph.Builder, w map[string]*graph.Value, c, h *graph.Value,
	prefix string) *graph.Value {
	z := sb.Apply(op.MatMul, []string{prefix + "y"}, nil, c, w["w_context"])[0]
	z = sb.Apply(op.Add, []string{prefix + "y"}, nil, z,
		sb.Apply(op.MatMul, []string{prefix + "y"}, nil, h, w["w_state"])[0])[0]
	z = sb.Apply(op.AddBias, []string{prefix + "y"}, nil, z, w["b_out"])[0]
	return sb.Apply(op.Tanh, []string{prefix + "y"}, nil, z)[0]
}

// writer adds the recurrent layers of a decoder.
func (b *builder) writer(l *spec.Recurrent, x *graph.Value) *graph.Value {
	c := b.newCell(l)
	for i := range l.Layers {
		scope := layerScope(l, i)
		b.Scope = scope
		if i > 0 {
			x = b.dropout(b.Builder, x, scope+".x", l.Dropout, nil)
		}
		x = b.write(c, scope, layerNumber(l, i), x, l.Attention != nil && i == l.Layers-1,
			b.m.Latent != nil && i == 0 && b.firstRecurrent(l))
	}
	return x
}

// firstRecurrent reports whether l is the first recurrent layer of the decoder.
func (b *builder) firstRecurrent(l *spec.Recurrent) bool {
	for x := range spec.Leaves(b.m.Layers) {
		if r, ok := x.(*spec.Recurrent); ok {
			return r == l
		}
	}
	return false
}

// write adds one layer of a decoder: over all time steps in training, once in decoding. It attends to the encoder's
// output, or reads the latent vector at every step, where it is asked to.
func (b *builder) write(c *cell, scope string, number int, x *graph.Value, attends, reads bool) *graph.Value {
	units := b.units(c.l)
	shape := graph.Shape{batch, units}
	names := []string{}
	ws := b.weights(c, scope, "", number, x.Shape.Last())
	for _, w := range c.weights {
		names = append(names, w.field)
	}
	var a *attending
	states := append([]string{}, c.states...)
	if attends {
		a = newAttending(b, c.l, scope, number)
		gates := map[string]graph.Dim{}
		for _, w := range c.weights {
			switch w.field {
			case "wx":
				gates[""] = w.shape(units)[1]
			case "wxn":
				gates["n"] = w.shape(units)[1]
			}
		}
		n, more := a.fields(gates)
		names, ws = append(names, n...), append(ws, more...)
		if c.l.Attention.InputFeeding {
			states = append(states, "fed")
		}
	}
	// step is one time step in a graph of its own; it gives the next states, and what the layer gives.
	step := func(sb *graph.Builder, prefix string, x *graph.Value, w map[string]*graph.Value,
		state []*graph.Value) (next []*graph.Value, out map[string]*graph.Value) {
		cells := make([]*graph.Value, len(c.weights))
		for i, f := range c.weights {
			cells[i] = w[f.field]
		}
		if a == nil {
			var more func(string) *graph.Value
			if reads {
				more = func(suffix string) *graph.Value { return w["latent"+suffix] }
			}
			y, next := c.out(c.step(sb, prefix, x, cells, state, more))
			return next, map[string]*graph.Value{"y": y}
		}
		var context, read *graph.Value
		switch {
		case a.before():
			context = a.context(sb, w, state[0], prefix)
			read = context
		case c.l.Attention.InputFeeding:
			read = state[len(state)-1]
		}
		var more func(string) *graph.Value
		if read != nil {
			more = func(suffix string) *graph.Value {
				return sb.Apply(op.MatMul, []string{prefix + "more" + suffix}, nil, read, w["w_more"+suffix])[0]
			}
		}
		next = c.step(sb, prefix, x, cells, state[:len(c.states)], more)
		if context == nil {
			context = a.context(sb, w, next[0], prefix)
		}
		if c.l.Attention.InputFeeding {
			y := a.output(sb, w, context, next[0], prefix)
			return append(next[:len(next):len(next)], y), map[string]*graph.Value{"y": y}
		}
		return next, map[string]*graph.Value{"context": context, "h": next[0]}
	}

	if !b.training {
		w := map[string]*graph.Value{}
		for i, n := range names {
			w[n] = ws[i]
		}
		if attends {
			w["source"] = b.source
			w["memory"] = b.cache(scope+".memory", graph.Shape{sourceSteps, batch, a.width})
			if a.scored() {
				w["keys"] = b.cache(scope+".keys", graph.Shape{sourceSteps, batch, a.hidden})
			}
		}
		if reads {
			for _, f := range b.latentFields(c) {
				w["latent"+f.suffix] = b.cache(scope+"."+f.name, graph.Shape{batch, f.width})
			}
		}
		var state []*graph.Value
		for i, s := range states {
			shape := shape
			if i < len(c.states) {
				shape = b.stateShape(c, i)
			}
			b.r.States = append(b.r.States, &State{Name: scope + "." + s, Shape: shape})
			state = append(state, b.G.StateInput(scope+"."+s, shape))
		}
		next, out := step(b.Builder, scope+".", x, w, state)
		if attends && a.scored() {
			for _, n := range b.G.Nodes {
				if n.Op == op.AdditiveAttention {
					b.G.Output(n.Outs[1], "alignment")
				}
			}
		}
		for i, s := range states {
			b.state = append(b.state, stateOut{scope + "." + s, next[i]})
		}
		if out["y"] == nil {
			return a.output(b.Builder, w, out["context"], out["h"], scope+".")
		}
		return out["y"]
	}

	defer func() { b.Part = "" }()
	b.Part = "steps"
	body := graph.New(scope + ".step")
	sb := &graph.Builder{G: body, Phase: b.Phase, Scope: b.Scope, Part: b.Part, Pass: b.Pass, Stage: b.Stage,
		Origin: b.Origin}
	loop := &graph.Loop{Kind: graph.Scan, Trip: b.steps, Index: "t", Carries: len(states), Seqs: 1, Body: body}
	b.Part = "beginning"
	args := b.starts(c, scope, number)
	if len(states) > len(c.states) {
		args = append(args, b.Apply(op.Zeros, []string{scope + ".fedStart"},
			graph.Attrs{{Key: "shape", Val: shape}})[0])
	}
	var prev []*graph.Value
	for i, s := range states {
		prev = append(prev, body.Input(s+"Prev", graph.Local, graph.F32, args[i].Shape))
	}
	args = append(args, x)
	xt := body.Input("x", graph.Local, graph.F32, x.Shape[1:])
	w, outer := map[string]*graph.Value{}, map[string]*graph.Value{}
	invariant := func(name string, v *graph.Value) {
		args = append(args, v)
		outer[name] = v
		w[name] = body.Input(name, graph.Local, v.Type, v.Shape)
	}
	for i, n := range names {
		if attends && !c.l.Attention.InputFeeding && (n == "w_context" || n == "w_state" || n == "b_out") {
			outer[n] = ws[i] // behind the loop, for all steps at once
			continue
		}
		invariant(n, ws[i])
	}
	if attends {
		invariant("source", b.source)
		invariant("memory", b.memory)
		if a.scored() {
			invariant("keys", a.keys())
		}
	}
	if reads {
		b.Part = "beginning"
		for _, f := range b.latentFields(c) {
			invariant("latent"+f.suffix, b.latentInput(c, scope, number, f))
		}
	}
	b.Part = "steps"
	next, out := step(sb, "", xt, w, prev)
	body.Outputs = next
	var results []string
	for _, s := range states {
		results = append(results, scope+"."+s+"Last")
	}
	var gives []string
	for _, name := range []string{"y", "context", "h"} {
		if out[name] != nil {
			gives = append(gives, name)
			body.Outputs = append(body.Outputs[:len(body.Outputs):len(body.Outputs)], out[name])
			results = append(results, scope+"."+name)
		}
	}
	done := b.AddLoop(loop, results, args...)
	given := map[string]*graph.Value{}
	for i, name := range gives {
		given[name] = done.Outs[len(states)+i]
	}
	b.Part = "output"
	if given["y"] == nil {
		return a.output(b.Builder, outer, given["context"], given["h"], scope+".")
	}
	return given["y"]
}
