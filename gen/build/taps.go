package build

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/gen/grad"
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// Taps are values on the way of a trained model's forward pass that can be read, and most of them moved: to such a
// value the pass adds numbers that whoever asks for it gives, and the gradient of what the model gives with respect to
// these numbers is that with respect to the value. One graph so serves attributions, which ask for gradients at the
// embeddings, lenses and patches, which put other values in the place of some, and ablations, which take them away.
// It is made of the graph of a training step, as that of [Model.Inference] is, so that it computes what was trained.

// Tapped is a pass with taps.
type Tapped struct {
	*Run
	File string       // of its code, without an ending
	Part string       // of a pair of networks: "generator" or "discriminator"; empty elsewhere
	Taps []*Tap       // in the order in which they are computed; the last is what the model gives
	Seed *graph.Value // an input of the shape of that: what the gradient is of is its product with this, summed
}

// Tap is a value of it.
type Tap struct {
	Name  string
	Kind  string // see package runtime/model, which tells the kinds apart
	Layer string // of the spec; empty for what belongs to none
	Word  string // the kind of that layer
	Place string // of the layer in the spec: "model.yaml:7 lstm"
	Axes  []string

	Value    *graph.Value // all of it, one after the other for loops around it
	Add      *graph.Value // an input of that shape; nil for what is only read
	Gradient *graph.Value // with respect to Add; nil where what the model gives does not depend on it

	Gates  []string // of a value that holds gates side by side: what they are
	Heads  int      // of attention
	Weight *Param   // the matrix that the value of heads is multiplied with; nil where there is not one alone
}

// Results are the value and its gradient in the graph g of the pass, which may have been optimized since it was made.
func (t *Tap) Results(g *graph.Graph) (value, gradient *graph.Value) {
	return g.Find("tap:" + t.Name), g.Find("pull:" + t.Name)
}

// mark says what a value is, for taps.
type mark struct{ kind, name, layer, word string }

// mark notes what v is.
func (m *Model) mark(v *graph.Value, as mark) {
	if m.marks != nil && v != nil {
		m.marks[v] = as
	}
}

// besides are values that one tap shows side by side.
type besides struct {
	name   string
	values []*graph.Value
	words  []string
}

// gates notes values of a cell that are shown side by side; each of parts is a value's name and the word for it.
func (m *Model) gates(values map[string]*graph.Value, name string, parts ...string) {
	if m.marks == nil {
		return
	}
	g := besides{name: name}
	for _, p := range parts {
		value, word, _ := strings.Cut(p, " ")
		g.values, g.words = append(g.values, values[value]), append(g.words, word)
	}
	if m.sides == nil {
		m.sides = map[*graph.Value]besides{}
	}
	m.sides[g.values[len(g.values)-1]] = g
}

// tap makes the passes with taps, of graphs of their own.
func (m *Model) tap() error {
	for _, part := range m.InferenceParts() {
		if m.Discriminate == nil {
			part = ""
		}
		again := &Model{Spec: m.Spec, marks: map[*graph.Value]mark{}}
		if err := again.graphs(); err != nil {
			return err
		}
		t, err := again.tapped(part)
		if err != nil {
			return err
		}
		if m.Tapped = append(m.Tapped, t); part == "" {
			break
		}
	}
	return nil
}

// tapped makes the pass of a part.
func (m *Model) tapped(part string) (*Tapped, error) {
	g := m.Train
	switch {
	case part == "discriminator":
		g = m.Judge
	case part == "generator" && m.Make != nil:
		g = m.Make
	}
	x := &tapping{m: m, g: g, t: &Tapped{Part: part, File: "explain"}, names: map[string]bool{}}
	x.t.Run = &Run{Graph: g, Name: "explain" + upperFirst(part), Field: "explaining" + upperFirst(part),
		Type:     "explain" + upperFirst(part) + "Acts",
		What:     "what a pass with taps computes: each field holds the values of its name, of one sequence",
		Backward: "computes gradients",
		Averaged: part == "generator" && m.Make != nil && m.Spec.GAN.EMA > 0}
	if part != "" {
		x.t.File += "_" + part
	}
	y := x.begin()
	x.walk(g, nil)
	last := x.add(g, nil, x.moved(y), mark{kind: "output", name: "output"}, y.Def, false)
	x.t.Seed = g.Input("seed", graph.Data, graph.F32, last.Value.Shape)
	var wrt []*graph.Value
	var taps []*Tap
	for _, t := range x.t.Taps {
		if t.Add != nil {
			wrt, taps = append(wrt, t.Add), append(taps, t)
		}
	}
	forward := len(g.Nodes)
	grads, err := grad.From(&graph.Builder{G: g, Phase: graph.Backward}, last.Value, x.t.Seed, wrt)
	if err != nil {
		return nil, err
	}
	for i, d := range grads {
		if d.Def != nil && d.Def.Op == op.Zeros { // what the model gives does not depend on it
			continue
		}
		taps[i].Gradient = d
		g.Output(d, "pull:"+taps[i].Name)
	}
	for _, n := range g.Nodes[forward:] {
		n.Stage, n.Pass = "", ""
	}
	g.Name = strings.Trim("explain "+part, " ")
	return x.t, nil
}

// tapping is the making of a pass with taps.
type tapping struct {
	m     *Model
	g     *graph.Graph
	t     *Tapped
	names map[string]bool
	moves []struct{ old, now *graph.Value }
}

// level is a loop, and the graph that it is a node of.
type level struct {
	g *graph.Graph
	n *graph.Node
}

// begin makes of the graph of a step the forward pass of a trained model, and gives what that gives.
func (x *tapping) begin() *graph.Value {
	g := x.g
	g.Walk(still)
	g.Walk(func(g *graph.Graph) {
		for _, n := range g.Nodes {
			n.Stage, n.Pass = "", ""
			if n.Op == op.Attention {
				undropped(n)
			}
		}
	})
	outputs, targets := g.Outputs, g.Targets
	g.Outputs, g.Targets = nil, nil
	find := func(target string) *graph.Value {
		for i, t := range targets {
			if t.Is(target) {
				return outputs[i]
			}
		}
		return nil
	}
	var y *graph.Value
	switch {
	case g == x.m.Make:
		y = find("made")
	case g == x.m.Judge:
		y = find("verdict")
	default:
		y = judged(g)
	}
	if mean := find(MeanTarget); mean != nil {
		z, variance := find(SampleTarget), find(LogVarTarget)
		g.Replace(z, mean)
		x.m.mark(mean, mark{"latent", latentScope + ".z", latentScope, "latent"})
		x.m.mark(variance, mark{"variance", latentScope + ".logvar", latentScope, "latent"})
		g.Output(variance, "kept")
	}
	g.Output(y, "kept")
	delete(x.m.marks, y) // which is the last tap
	unread(g)
	g.Outputs, g.Targets = nil, nil
	x.zeroStates()
	return y
}

// undropped takes the dropout of probabilities off an attention, and lets it keep what its gradient reads.
func undropped(n *graph.Node) {
	indexed := n.Attrs.Int("stream") > 0 && n.Args[len(n.Args)-1].Def != nil && n.Args[len(n.Args)-1].Def.Op == op.Index
	if indexed {
		n.Args = n.Args[:len(n.Args)-1]
	}
	n.Attrs = slices.DeleteFunc(slices.Clone(n.Attrs), func(a graph.Attr) bool {
		return a.Key == "rate" || a.Key == "stream" || a.Key == "decoding"
	})
}

// zeroStates lets recurrent layers begin with zeros: what is explained is a text from its beginning.
func (x *tapping) zeroStates() {
	var zeros []*graph.Node
	for _, in := range slices.Clone(x.g.Inputs) {
		if in.Role != graph.State {
			continue
		}
		i := slices.IndexFunc(x.g.Nodes, func(n *graph.Node) bool { return slices.Contains(n.Args, in) })
		n := x.g.NewNode(x.g.Nodes[i], op.Zeros, []string{in.Base}, graph.Attrs{{Key: "shape", Val: in.Shape}})
		x.g.Replace(in, n.Outs[0])
		zeros = append(zeros, n)
	}
	x.g.Inputs = slices.DeleteFunc(x.g.Inputs, func(v *graph.Value) bool { return v.Role == graph.State })
	x.g.Nodes = append(zeros, x.g.Nodes...)
}

// walk adds taps for the values of g, which is the body of the last of around.
func (x *tapping) walk(g *graph.Graph, around []level) {
	if len(around) == 0 {
		for _, in := range g.Inputs {
			if in.Role == graph.Data && in.Type == graph.F32 {
				x.moveInput(in)
			}
		}
	}
	for _, n := range slices.Clone(g.Nodes) {
		if n.Loop != nil {
			x.walk(n.Loop.Body, append(around[:len(around):len(around)], level{g, n}))
		}
		for i, o := range n.Outs {
			as, ok := x.m.marks[o]
			moves := ok && as.kind != "variance"
			if known := tapOf(n, i); known.kind != "" && (!ok || as.kind == "layer" && n.Loop == nil) {
				as, ok = known, true
				moves = as.kind == "embedding" || as.kind == "heads"
				x.add(g, around, o, as, n, moves)
				continue
			}
			if ok && len(o.Shape) > 1 && !x.carried(o, around) {
				x.add(g, around, o, as, n, moves)
			}
		}
		if side, ok := x.m.sides[n.Outs[0]]; ok && n.Loop == nil {
			x.gates(g, around, n, side)
		}
		if n.Op == op.Attention {
			w := g.NewNode(n, op.AttentionWeights, []string{"weights"}, n.Attrs, n.Args...)
			g.Nodes = slices.Insert(g.Nodes, slices.Index(g.Nodes, n)+1, w)
			x.add(g, around, w.Outs[0], mark{kind: "attention", name: n.Attrs.Str("name") + ".weights"}, n, false)
		}
	}
	if len(around) > 0 {
		x.states(g, around)
	}
}

// gates adds a tap of gates, of which n computes the last.
func (x *tapping) gates(g *graph.Graph, around []level, n *graph.Node, side besides) {
	all := side.values[len(side.values)-1]
	for i := len(side.values) - 2; i >= 0; i-- {
		j := g.NewNode(n, op.JoinColumns, []string{side.name}, nil, side.values[i], all)
		g.Nodes = slices.Insert(g.Nodes, slices.Index(g.Nodes, n)+1, j)
		all, n = j.Outs[0], j
	}
	x.add(g, around, all, mark{kind: "gates", name: n.Scope + "." + side.name}, n, false).Gates = side.words
}

// tapOf says what result i of n is by its operation.
func tapOf(n *graph.Node, i int) mark {
	of := func(kind, name string) mark { return mark{kind: kind, name: n.Scope + "." + name} }
	switch {
	case n.Op == op.Gather && n.Args[0].Role == graph.Param && n.Args[1].Role == graph.Data, n.Op == op.OneHot:
		return of("embedding", "x")
	case n.Op == op.Attention && i == 0:
		as := of("heads", "heads")
		as.name = n.Attrs.Str("name")
		return as
	case n.Op == op.AdditiveAttention && i == 1, n.Op == op.SoftmaxSteps:
		return of("attention", "weights")
	}
	return mark{}
}

// carried reports whether v is what a loop over time carries on, which states adds.
func (x *tapping) carried(v *graph.Value, around []level) bool {
	if len(around) == 0 || around[len(around)-1].n.Loop.Kind != graph.Scan {
		return false
	}
	l := around[len(around)-1].n.Loop
	return slices.Contains(l.Body.Outputs[:l.Carries], v)
}

// states adds taps for what a loop over time carries from step to step.
func (x *tapping) states(g *graph.Graph, around []level) {
	n := around[len(around)-1].n
	if n.Loop.Kind != graph.Scan {
		return
	}
	for i := range n.Loop.Carries {
		v := n.Loop.Body.Outputs[i]
		if v.Def == nil || v.Def.Loop != nil {
			continue
		}
		name := strings.TrimSuffix(strings.TrimSuffix(n.Loop.Body.Inputs[i].Base, "Carry"), "Prev")
		if n.Part == "fromEnd" {
			name += "Back"
		}
		x.add(g, around, v, mark{kind: "state", name: n.Scope + "." + name}, v.Def, true)
	}
}

// moveInput makes a vector that the pass reads one that can be moved.
func (x *tapping) moveInput(in *graph.Value) {
	first := x.g.Nodes[slices.IndexFunc(x.g.Nodes, func(n *graph.Node) bool { return slices.Contains(n.Args, in) })]
	n := x.g.NewNode(first, op.Copy, []string{in.Base + ".read"}, nil, in)
	x.g.Replace(in, n.Outs[0])
	n.Args[0] = in
	x.g.Nodes = append([]*graph.Node{n}, x.g.Nodes...)
	x.add(x.g, nil, n.Outs[0], mark{kind: "input", name: in.Base}, n, true)
}

// moved is what has taken the place of v.
func (x *tapping) moved(v *graph.Value) *graph.Value {
	for _, m := range x.moves {
		if m.old == v {
			v = m.now
		}
	}
	return v
}

// add adds a tap of v, which def gives in the graph g, the body of the last of around. Where it can be moved, what
// reads v then reads the sum.
func (x *tapping) add(g *graph.Graph, around []level, v *graph.Value, as mark, def *graph.Node, moves bool) *Tap {
	t := &Tap{Name: x.unique(as.name), Kind: as.kind, Layer: as.layer, Word: as.word, Place: def.Origin,
		Heads: def.Attrs.Int("heads")}
	if t.Layer == "" && def.Scope != "" {
		t.Layer = def.Scope
		for _, l := range x.m.Layers {
			if slices.Contains(l.Scopes, def.Scope) || l.Name == def.Scope {
				t.Layer, t.Word = l.Name, l.Kind
			}
		}
	}
	var outer graph.Shape
	for _, l := range around {
		outer = append(outer, l.n.Loop.Trip)
		axis := "layer"
		if l.n.Loop.Kind == graph.Scan {
			axis = axisOf(l.n.Loop.Trip)
		}
		t.Axes = append(t.Axes, axis)
	}
	for i, d := range v.Shape {
		axis := axisOf(d)
		if as.kind == "attention" && def.Op == op.Attention {
			switch {
			case i == 1:
				axis = "head"
			case i == 2 && d.IsConst(): // the step of a loop
				axis = "one"
			case i == 3 && axis == "step":
				axis = "key"
			}
		}
		t.Axes = append(t.Axes, axis)
	}
	if moves {
		all := append(outer[:len(outer):len(outer)], v.Shape...)
		t.Add = x.g.Input(t.Name+".add", graph.Data, graph.F32, all)
		inner := t.Add
		for _, l := range around {
			inner = l.n.SeqIn(inner, as.name+".add")
		}
		sum := g.NewNode(def, op.Add, []string{v.Base + "Moved"}, nil, v, inner)
		g.Replace(v, sum.Outs[0])
		sum.Args[0] = v
		at := slices.Index(g.Nodes, v.Def)
		g.Nodes = slices.Insert(g.Nodes, at+1, sum)
		x.moves = append(x.moves, struct{ old, now *graph.Value }{v, sum.Outs[0]})
		v = sum.Outs[0]
		if as.kind == "heads" {
			t.Weight = x.weight(g, around, v)
		}
	}
	if k := len(around) - 1; k >= 0 && around[k].n.Loop.Kind == graph.Repeat {
		// What a loop over layers carries on it keeps by itself where it does not also give it (graph.Node.Kept); else
		// it would be a Go variable, and the body one long function.
		if l := around[k].n.Loop; slices.Contains(l.Body.Outputs[:l.Carries], v) {
			c := g.NewNode(def, op.Copy, []string{v.Base}, nil, v)
			g.Nodes = slices.Insert(g.Nodes, slices.Index(g.Nodes, v.Def)+1, c)
			v = c.Outs[0]
		}
	}
	t.Value = v
	for _, l := range slices.Backward(around) {
		t.Value = l.g.StackOut(l.n, t.Value, t.Name)
	}
	x.g.Output(t.Value, "tap:"+t.Name)
	x.t.Taps = append(x.t.Taps, t)
	return t
}

// axisOf is what a dimension counts.
func axisOf(d graph.Dim) string {
	switch {
	case d.Same(steps):
		return "step"
	case d.Same(sourceSteps):
		return "source"
	case d.Same(batch):
		return "sequence"
	}
	return "feature"
}

// weight is the parameter that v is multiplied with, where that is one alone.
func (x *tapping) weight(g *graph.Graph, around []level, v *graph.Value) *Param {
	var w *graph.Value
	for _, n := range g.Nodes {
		if !slices.Contains(n.Args, v) {
			continue
		}
		if w != nil || !adaptable(n) || n.Args[0] != v {
			return nil
		}
		w = n.Args[1]
	}
	for _, l := range slices.Backward(around) {
		i := slices.Index(l.n.Loop.Body.Inputs, w)
		if i < l.n.Loop.Carries {
			return nil
		}
		w = l.n.Args[i]
	}
	for _, p := range x.m.Params {
		if w != nil && w.Role == graph.Param && w.ID == p.ID() {
			return p
		}
	}
	return nil
}

// unique is a name that no other tap has.
func (x *tapping) unique(name string) string {
	name = strings.TrimPrefix(name, ".")
	for i, want := 2, name; x.names[name]; i++ {
		name = fmt.Sprintf("%s%d", want, i)
	}
	x.names[name] = true
	return name
}
