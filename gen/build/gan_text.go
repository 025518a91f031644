package build

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

// imitation makes the graphs of adversarial networks of text. The generator is a language model: it has the graphs of
// one, and its step learns from lines of tokens whose log-probabilities have weights, which are 1 for a text and
// rewards for what it wrote itself (Yu et al. 2017, equation 8). With a relaxation it has a second step, which goes
// back through the discriminator.
func (m *Model) imitation() {
	text := m.Spec.GAN.Text
	t := newBuilder(m, "train")
	t.training, t.time = true, true
	t.train()
	newBuilder(m, "decode").decode()

	d := newBuilder(m, "discriminate")
	d.training, d.time, d.streams = true, true, t.streams
	m.Discriminate = d.G
	d.discriminateText()
	if text.Estimator == "gumbel_softmax" {
		g := newBuilder(m, "relax")
		g.training, g.time, g.streams = true, true, d.streams
		m.Relax = g.G
		g.relax()
	}
	j := newBuilder(m, "judge")
	j.time = true
	m.Judge = j.G
	j.G.Output(j.verdictOn(j.lines("targets"), nil, ""), "verdict")
}

// ofText reports whether the model is adversarial networks of text.
func (b *builder) ofText() bool { return b.m.GAN != nil && b.m.GAN.Text != nil }

// carries reports whether recurrent layers go on from the state of the last window.
func (b *builder) carries() bool { return b.m.Kind == "rnn" || b.ofText() && !b.judging }

func (b *builder) lines(name string) *graph.Value {
	return b.G.Input(name, graph.Data, graph.I32, graph.Shape{steps, batch})
}

// verdictOn applies the discriminator, in the pass of that name, to lines of tokens [steps, batch], or to relaxed
// tokens [steps, batch, vocab].
func (b *builder) verdictOn(tokens, relaxed *graph.Value, pass string) *graph.Value {
	b.judging = true
	b.spectralNorms()
	b.pass, b.Pass, b.tokens = pass, pass, tokens
	return b.layers(b.m.GAN.Discriminator, relaxed, false)
}

// discriminateText is the discriminator's step.
func (b *builder) discriminateText() {
	targets := b.lines("targets")
	var real, fake *graph.Value
	if b.m.GAN.Text.Estimator == "gumbel_softmax" {
		made := b.writeRelaxed()
		real = b.verdictOn(targets, nil, "real")
		fake = b.verdictOn(nil, made, "fake")
	} else {
		real = b.verdictOn(targets, nil, "real")
		fake = b.verdictOn(b.lines("made"), nil, "fake")
	}
	b.G.Output(real, "real")
	b.G.Output(fake, "fake")
	l := b.losses()
	b.G.Output(l.one(op.Mean, "loss", nil, l.discriminator(real, fake)), "loss")
}

// relax is the generator's step on relaxed tokens: it differentiates through the discriminator, whose parameters stay.
func (b *builder) relax() {
	made := b.writeRelaxed()
	var real *graph.Value
	if b.m.Loss.Kind == "relativistic" {
		real = b.verdictOn(b.lines("targets"), nil, "real")
	}
	fake := b.verdictOn(nil, made, "fake")
	l := b.losses()
	b.G.Output(l.one(op.Mean, "loss", nil, l.generator(real, fake)), "loss")
}

// writeRelaxed is a scan in which the generator writes relaxed tokens [steps, batch, vocab]: each row is
// softmax(β(logits + g)), and its product with the embedding's table what the next step reads (Kusner and
// Hernández-Lobato 2016). The first step reads the token that begins each line.
func (b *builder) writeRelaxed() *graph.Value {
	b.judging, b.pass, b.Pass = false, "", "made"
	tokens := b.lines("tokens")
	beta := b.G.Input("inverseTemperature", graph.Scalar, graph.F32, nil)
	stack := b.m.Layers
	first := stack[0].(*spec.Embedding)
	b.enter(first)
	table := b.param(first.Name, "table", graph.Shape{b.vocab(), b.width(first, "size", "width of the embedding")}, 0,
		0, first.Name, matrix(first.Init, b.m.Vocab(), first.Width))
	b.tables[first.Name] = table
	begin := b.Apply(op.Gather, []string{first.Name + ".begin"}, nil, table, tokens)[0]

	w := &relaxing{builder: b, body: graph.New("write.step")}
	w.inner = &graph.Builder{G: w.body, Phase: b.Phase, Scope: b.Scope, Pass: b.Pass, Origin: b.Origin}
	x := w.carry("x", b.Apply(op.FirstStep, []string{first.Name + ".first"}, nil, begin)[0])
	for l := range spec.Leaves(stack) { // what all recurrent layers carry comes before what the loop reads
		if r, ok := l.(*spec.Recurrent); ok {
			w.remember(r)
		}
	}
	h := w.layers(stack[1:], x, true)
	w.inner.Scope, w.inner.Origin = "generator", b.at(b.m.GAN.Text.Pos, "estimator")
	b.streams++
	attrs := graph.Attrs{{Key: "stream", Val: b.streams}, {Key: "hard", Val: b.m.GAN.Text.Hard}}
	index := w.inner.Apply(op.Index, []string{"index"}, nil)[0]
	names := []string{"y"}
	if b.m.GAN.Text.Hard {
		names = []string{"token", "y"}
	}
	y := w.inner.Apply(op.GumbelSoftmax, names, attrs, h, w.read(beta), index)[0]
	w.inner.Scope, w.inner.Origin = first.Name, b.at(first.Pos, first.Name)
	again := w.inner.Apply(op.MatMul, []string{"xNext"}, nil, y, w.read(table))[0]
	w.body.Outputs = append(append([]*graph.Value{again}, w.next...), y)

	b.Scope, b.Origin = "generator", b.at(b.m.GAN.Text.Pos, "estimator")
	loop := &graph.Loop{Kind: graph.Scan, Trip: steps, Index: "t", Carries: len(w.starts), Body: w.body}
	var last []string
	for range w.starts {
		last = append(last, "")
	}
	return b.AddLoop(loop, append(last, "written"), append(w.starts, w.reads...)...).Outs[len(w.starts)]
}

// relaxing is the loop in which the generator writes: what it carries, and what each step reads of outside.
type relaxing struct {
	*builder
	inner         *graph.Builder
	body          *graph.Graph
	starts, reads []*graph.Value
	known         map[*graph.Value]*graph.Value
	cells         []memory       // of the recurrent layers that have not been reached yet
	next          []*graph.Value // states of the next step
}

// layers is one step of a list of layers; all says that it ends with the logits.
func (w *relaxing) layers(stack []spec.Layer, h *graph.Value, all bool) *graph.Value {
	for i, l := range stack {
		w.enterInner(l)
		w.depth++
		h = constructionOf(l).relaxed(w, l, h, all && i == len(stack)-1)
		w.depth--
	}
	return h
}

// enterInner begins the nodes of a layer, inside of the loop and outside.
func (w *relaxing) enterInner(l spec.Layer) {
	w.enter(l)
	w.inner.Scope, w.inner.Origin = w.Scope, w.Origin
}

// memory is what one recurrent layer carries while tokens are written.
type memory struct {
	c     *cell
	scope string
	state []*graph.Value
}

// remember carries the states of a recurrent layer, which begin with zeros.
func (w *relaxing) remember(l *spec.Recurrent) {
	b := w.builder
	c := b.newCell(l)
	for i := range l.Layers {
		m := memory{c: c, scope: layerScope(l, i)}
		for k, s := range c.states {
			zero := b.Apply(op.Zeros, []string{m.scope + "." + s + "Start"},
				graph.Attrs{{Key: "shape", Val: b.stateShape(c, k)}})[0]
			m.state = append(m.state, w.carry(ident(m.scope)+"_"+s, zero))
		}
		w.cells = append(w.cells, m)
	}
}

// recurrent is one step of recurrent layers.
func (w *relaxing) recurrent(l *spec.Recurrent, h *graph.Value, _ bool) *graph.Value {
	for k := range l.Layers {
		m := w.cells[0]
		w.cells = w.cells[1:]
		if k > 0 {
			h = w.drop(h, ident(m.scope)+"_x", l.Dropout)
		}
		var ws []*graph.Value
		for _, weight := range w.weights(m.c, m.scope, "", layerNumber(l, k), h.Shape.Last()) {
			ws = append(ws, w.read(weight))
		}
		now := m.c.step(w.inner, ident(m.scope)+"_", h, ws, m.state, nil)
		y, next := m.c.out(now)
		w.next = append(w.next, next...)
		h = y
	}
	return h
}

func (w *relaxing) carry(name string, start *graph.Value) *graph.Value {
	w.starts = append(w.starts, start)
	return w.body.Input(name+"Carry", graph.Local, graph.F32, start.Shape)
}

// read is v inside of the loop.
func (w *relaxing) read(v *graph.Value) *graph.Value {
	if in := w.known[v]; in != nil {
		return in
	}
	if w.known == nil {
		w.known = map[*graph.Value]*graph.Value{}
	}
	w.reads = append(w.reads, v)
	id := graph.Identity(v.Name)
	id.Field = ident(id.Field)
	w.known[v] = w.body.Input(id.String(), graph.Local, v.Type, v.Shape)
	return w.known[v]
}

func (w *relaxing) drop(x *graph.Value, name string, rate float64) *graph.Value {
	if rate == 0 {
		return x
	}
	return w.dropout(w.inner, x, name, rate, w.inner.Apply(op.Index, []string{"index"}, nil)[0])
}

func tellPretraining(m *spec.Model) Account {
	var a Account
	t := m.GAN.Text
	a.say("In the first %d steps the generator learns from the text alone, at a rate of %g; in the next %d the "+
		"discriminator alone learns; then both do.", t.Pretraining, t.Rate, t.Discriminator)
	a.show(`\mathcal{L} = -\frac{1}{n} \sum_{i} \log(p_i(\text{target}_i))`)
	return a
}

// tellEstimator tells how verdicts reach a generator of text.
func tellEstimator(m *spec.Model) Account {
	var a Account
	t := m.GAN.Text
	if t.Estimator == "gumbel_softmax" {
		a.say("Tokens are drawn and have no gradient: in their place the generator writes rows of weights, which " +
			"gradients pass through (Jang et al. 2017).")
		if t.Hard {
			a.say("The discriminator reads the likeliest token of each row; the gradient is that of the row.")
		}
		a.show(`y = \operatorname{softmax}(\frac{\text{logits} + \gamma}{\tau}) \quad \gamma = -\log(-\log(u)) \quad ` +
			`u \in [0, 1)`)
		if t.Hot == t.Cold {
			a.show(`\tau = ` + figure(t.Hot))
			return a
		}
		a.say("The temperature falls from %g to %g in %d steps.", t.Hot, t.Cold, t.Cooling)
		a.show(fmt.Sprintf(`\tau = %s \cdot (\frac{%s}{%s})^{\min(1, k / %d)} \quad \text{in step } k \text{ of the `+
			`generator}`,
			figure(t.Hot), figure(t.Cold), figure(t.Hot), t.Cooling))
		return a
	}
	a.say("Tokens are drawn and have no gradient: what the generator wrote counts like text, each token by its " +
		"reward (Williams 1992; Yu et al. 2017).")
	a.show(`\mathcal{L}_G = -\frac{1}{n} \sum_t R_t \cdot \log(p_t(\text{token}_t))`)
	value := `D`
	if t.Value == "probability" {
		value = `\sigma(D)`
	}
	a.show("v(D) = " + value)
	if t.Rewards == "rollouts" {
		a.say("The reward of a token is the mean value of verdicts on %d lines that the generator finishes behind it.",
			t.Rollouts)
		a.show(fmt.Sprintf(`Q_t = \frac{1}{%d} \sum_k v(D(\text{line finished behind } t \text{ for the } k `+
			`\text{-th time}))`,
			t.Rollouts))
	} else {
		a.say("Each token has a verdict on the line up to it; its reward is what it and those behind it add to the " +
			"value.")
		a.show(fmt.Sprintf(`Q_t = \sum_{k \ge 0} %s^k \cdot (v(D_{t+k}) - v(D_{t+k-1}))`, figure(t.Discount)))
	}
	switch t.Baseline {
	case "mean":
		a.say("The mean over the batch is taken off.")
		a.show(`R_t = Q_t - \mathbb{E}[Q_t]`)
	case "prefix":
		a.say("The reward of the token before is taken off, of the first token the mean over the batch.")
		a.show(`R_t = Q_t - Q_{t-1}`)
	default:
		a.show("R_t = Q_t")
	}
	return a
}
