// Package build turns a checked spec into graphs: one of a training step's forward pass and loss, and one of a
// decoding step.
//
// It writes the plain form of a model, one time step at a time inside of loops, and leaves it to the optimizer to move
// work out of them. It must know nothing of gradients, memory or Go code.
package build

import (
	"fmt"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

// Model is what the spec describes, as graphs.
type Model struct {
	Spec *spec.Model
	// outputs: "loss", "logits", "state:<name>", and of a model that fills in masked tokens "hidden"; of adversarial
	// networks the generator's step
	Train *graph.Graph
	// outputs: "logits", "hidden", which they are made from, "state:<name>"; nil for a model that fills in masked
	// tokens or has no tokens
	Decode *graph.Graph
	// outputs: "state:<name>", "cache:<name>", what a decoder reads of the source, or of the latent vector; nil
	// without either
	Encode *graph.Graph

	// Of adversarial networks, nil for others.
	Discriminate *graph.Graph // the discriminator's step; outputs: "loss", "real", "fake", "keep:<parameter>"
	Make         *graph.Graph // of networks of vectors: vectors from noise; output: "made"
	Judge        *graph.Graph // verdicts on vectors or lines; output: "verdict"
	// of networks of text with a relaxation: the generator's step against the discriminator, Train being its step on
	// text; output: "loss"
	Relax *graph.Graph

	Parts  []*Part // of the parameters, in the order of the flat arrays
	Runs   []*Run  // of graphs by the model, in the order in which code has them
	Steps  []*Step // of a training, in the order in which one training step makes them
	Random Random  // what a training draws anew for

	TrainDoc, LossDoc string // comments on a training step and on its first loss, behind their names

	Params []*Param // in the order of their definition
	States []*State
	Caches []*State // of a decoder: the keys and values of earlier tokens
	Tables []*Table
	Names  []Constant // named sizes, in the order of their definition
	Layers []Layer

	Tapped []*Tapped // passes whose values can be read and moved, where the spec asks for taps

	place string // in the spec, of what is built
	marks map[*graph.Value]mark
	sides map[*graph.Value]besides // of values that taps show beside others, the last of them
}

// Table is a constant matrix that generated code computes once.
type Table struct {
	Name          string // of the graphs' input: "pos.waves"
	Scheme        string // "waves" or "angles"
	Rows, Columns graph.Dim
	Turns         op.Rotation // of angles
	Comment       string
}

// Values are the numbers of the table, by definition.
func (t *Table) Values() []float64 {
	if t.Scheme == "angles" {
		return op.RopeAngles(t.Rows.N, t.Columns.N, t.Turns)
	}
	return op.Waves(t.Rows.N, t.Columns.N)
}

// turns is a rotation for the operation.
func turns(r spec.Rotation) op.Rotation {
	return op.Rotation{Base: r.Base, Features: r.Features, Scaling: r.Scaling, Factor: r.Factor, Original: r.Original,
		Low: r.Low, High: r.High, Gain: r.Gain}
}

// Constant is a size of the spec that generated code names.
type Constant struct {
	Name    string // what it is, as the name of a dimension has it: "vocab", "lstm.units"
	Value   int
	Comment string
}

// Param is a parameter, or one for each layer of a stack.
type Param struct {
	Scope string // path of the layer: "lstm", or "lstm.1" for one layer of a stack
	Field string // "wx"
	Shape graph.Shape
	Stack int // 0: a single layer; otherwise how many layers, and the first dimension of Shape
	// number, from 1, of the stack's first layer in the layer of the spec; 0 where the spec's layer has just one
	First int
	Layer string
	Place string // of the layer in the spec: "model.yaml:7 lstm"
	Init  Init
	Fixed bool // no gradient changes it: the forward pass of a training step does

	// Discriminator tells the parameters of a discriminator from those of its generator.
	Discriminator bool
	// Encoder tells the parameters of an autoencoder's encoder, those of the heads included, from those of its decoder.
	Encoder bool
	// Adapter tells the parameters of low-rank changes from those that they change.
	Adapter bool
}

// ID is what the parameter is in its graph, Name that in one text.
func (p *Param) ID() graph.ID { return graph.ID{Layer: p.Scope, Field: p.Field} }
func (p *Param) Name() string { return p.ID().String() }

// Tensors are the names of the parameter's tensors in checkpoints, one for each layer of a stack.
func (p *Param) Tensors() []string {
	if p.First == 0 {
		return []string{p.Layer + "." + p.Field}
	}
	names := make([]string, max(p.Stack, 1))
	for i := range names {
		names[i] = fmt.Sprintf("%s.%d.%s", p.Layer, p.First+i, p.Field)
	}
	return names
}

// Init says how a parameter starts: a scheme of the spec, with fan-in and fan-out where it needs them, and a number
// added to some columns.
type Init struct {
	Scheme string
	Scale  float64
	In     int // fan-in
	Out    int // fan-out
	Blocks int // orthogonal: how many square blocks stand side by side
	Add    float64
	AddAt  [2]int // columns [from, to) that Add is added to
}

// State is carried from one window, or one decoding step, to the next.
type State struct {
	Name  string      // "lstm.1.h"
	Shape graph.Shape // [batch, units] or [layers, batch, units]
	// Kept is whether it is a cache of the keys or values of a decoder's own tokens, [batch, heads, slots, features] or
	// a stack of such: the form of its numbers is chosen when a decoder is made.
	Kept bool
}

// ID is what the state is in its graph.
func (s *State) ID() graph.ID { return graph.Identity(s.Name) }

// Learns lists the parameters that the step of g trains.
func (m *Model) Learns(g *graph.Graph) []*graph.Value {
	trained := map[string]bool{}
	for _, p := range m.Params {
		trained[p.Name()] = !p.Fixed && p.Adapter == (m.Spec.Adapter != nil) &&
			(m.Discriminate == nil || p.Discriminator == (g == m.Discriminate))
	}
	var vs []*graph.Value
	for _, in := range g.Inputs {
		if in.Role == graph.Param && trained[in.Name] {
			vs = append(vs, in)
		}
	}
	return vs
}

// Layer is one row of the summary.
type Layer struct {
	Name, Kind string
	Width      int
	Output     graph.Shape // in training
	Depth      int         // how many composites it stands in
	Blocks     []string    // the uses of blocks that it comes from, outermost first
	Share      string      // the layer whose parameters it has; empty for its own
	Line       int         // of the spec
	Params     []*Param
	Scopes     []string // of its nodes
}

// Build makes the graphs.
func Build(m *spec.Model) (*Model, error) {
	r := &Model{Spec: m, marks: map[*graph.Value]mark{}}
	defer func() {
		if p := recover(); p != nil {
			panic(graph.NewFault(r.place, p))
		}
	}()
	if err := r.graphs(); err != nil {
		return nil, err
	}
	r.runs()
	if m.Taps {
		if err := r.tap(); err != nil {
			return nil, err
		}
	}
	for _, g := range r.Graphs() {
		if err := g.Verify(); err != nil {
			return nil, fmt.Errorf("build: %w", err)
		}
	}
	return r, r.distinct()
}

// graphs makes the graphs of the spec.
func (m *Model) graphs() error {
	switch {
	case m.Spec.GAN != nil && m.Spec.GAN.Text != nil:
		m.imitation()
	case m.Spec.GAN != nil:
		if err := m.adversarial(); err != nil {
			return err
		}
	default:
		m.plain()
	}
	if m.Spec.Adapter != nil {
		return m.adapt()
	}
	return nil
}

// Conflict is an error of the spec that only its graphs show: two parameters of one name.
type Conflict struct {
	Place, Other string // of the layers: "model.yaml:7 lstm"
	Name         string // of the tensor in checkpoints
}

func (c *Conflict) Error() string {
	return fmt.Sprintf("%s: its parameter %s has the name of one of %s; give one of the two layers another name",
		c.Place, c.Name, c.Other)
}

// distinct refuses two tensors of one name in a checkpoint.
func (m *Model) distinct() error {
	seen := map[string]*Param{}
	for _, p := range m.Params {
		for _, name := range p.Tensors() {
			if q := seen[name]; q != nil {
				return &Conflict{p.Place, q.Place, name}
			}
			seen[name] = p
		}
	}
	return nil
}

// plain makes the graphs of a model that one loss trains.
func (m *Model) plain() {
	t := newBuilder(m, "train")
	t.training, t.time = true, true
	if m.Spec.Latent != nil {
		t.trainAutoencoder()
	} else {
		t.train()
	}
	if m.Writes() {
		d := newBuilder(m, "decode")
		d.time = m.positional() // a prompt is read many tokens at a time
		d.decode()
	}
	switch e := newBuilder(m, "encode"); {
	case m.Spec.Latent != nil && m.Spec.Source != nil:
		e.beginLatent()
	case m.Spec.Source != nil:
		e.time, e.encoding = true, true
		e.encode()
	}
}

// Graphs lists the graphs of the model.
func (m *Model) Graphs() []*graph.Graph {
	var all []*graph.Graph
	for _, g := range []*graph.Graph{m.Discriminate, m.Train, m.Relax, m.Encode, m.Decode, m.Make, m.Judge} {
		if g != nil {
			all = append(all, g)
		}
	}
	for _, t := range m.Tapped {
		all = append(all, t.Graph)
	}
	return all
}

// Trained lists the graphs of training steps.
func (m *Model) Trained() []*graph.Graph {
	var all []*graph.Graph
	for _, g := range []*graph.Graph{m.Discriminate, m.Train, m.Relax} {
		if g != nil {
			all = append(all, g)
		}
	}
	return all
}

// Masked reports whether the model fills in masked tokens, in place of writing text from left to right: then it has no
// decoder.
func (m *Model) Masked() bool { return m.Spec.Masking != nil }

// Writes reports whether the model writes text from left to right: then it has a decoder.
func (m *Model) Writes() bool { return !m.Masked() && m.Spec.Vectors == nil }

// Chunk is the number of tokens of a prompt that a decoder reads at once.
func (m *Model) Chunk() int {
	if m.Spec.Kind != "attention" {
		return 1
	}
	if m.Spec.Source != nil {
		return 1 // an answer begins with one token
	}
	return max(min(m.Spec.Shape.Steps, 64), m.Prefix())
}

// mostAhead is up to how many tokens attention that reads them together gives the bits of one by one (see
// kernel.AttentionCached).
const mostAhead = 8

// Ahead is how many tokens a decoder can be asked about at once, or 0 where it is asked of the last one alone.
func (m *Model) Ahead() int {
	if chunk := m.Chunk(); chunk > 1 && m.positional() {
		return min(mostAhead, chunk)
	}
	return 0
}

// positional reports whether a decoder counts its tokens: where a Transformer writes, but not where a recurrent
// network does.
func (m *Model) positional() bool {
	for l := range spec.Leaves(m.Spec.Layers) {
		if constructionOf(l).counts {
			return true
		}
	}
	return false
}

// Sizes are the capacities of the run-time sizes: of training, or of decoding for one sequence.
func (m *Model) Sizes(training bool) map[string]int {
	s := map[string]int{"steps": m.Chunk(), "batch": 1}
	if training {
		s = map[string]int{"steps": m.Spec.Shape.Steps, "batch": m.Spec.Shape.Batch}
	}
	if m.Spec.Source != nil {
		s["sourceSteps"] = m.Spec.Source.Steps
	}
	if m.Ahead() > 0 {
		s["ends"] = m.Ahead()
	}
	return s
}

// Decodes reports whether decoders run g, whose parameters then stay what they are.
func (m *Model) Decodes(g *graph.Graph) bool {
	return m.Decode != nil && (g == m.Decode || g == m.Encode)
}

// Capacity is the capacities of the run-time sizes of one of the model's graphs.
func (m *Model) Capacity(g *graph.Graph) map[string]int {
	sizes := m.Sizes(!m.Decodes(g))
	for _, t := range m.Tapped {
		if t.Graph == g {
			sizes["batch"] = 1
		}
	}
	return sizes
}

// Prefix is the number of tokens at the start of a text that see each other.
func (m *Model) Prefix() int {
	n := 0
	for l := range spec.Leaves(m.Spec.Layers) {
		switch l := l.(type) {
		case *spec.Transformer:
			n = max(n, l.Prefix)
		case *spec.Attention:
			n = max(n, l.Prefix)
		}
	}
	return n
}

type builder struct {
	*graph.Builder
	r        *Model
	m        *spec.Model
	training bool // the graph of a training step, not of a decoding step
	encoding bool // the graph that prepares decoding from a source
	time     bool // whether values have a dimension of time steps
	steps    graph.Dim
	source   *graph.Value // tokens of the source
	memory   *graph.Value // what the encoder makes of them
	latent   *graph.Value // the latent vector, which a decoder writes from, the features of a label beside it
	labels   *graph.Value // of the examples, of a conditional model
	params   map[string]*graph.Value
	tables   map[string]*graph.Value // embeddings by layer
	reset    *graph.Value
	tokens   *graph.Value
	places   *graph.Value // positions of the tokens, in decoding
	streams  int
	state    []stateOut
	site     *site // of the body of a loop over layers; nil outside of any
	depth    int   // of composites around what is being built

	// Of adversarial networks.
	judging  bool   // the layers are the discriminator's
	pass     string // what a network reads, where it is applied more than once: "real"
	spectral map[string]*graph.Value

	shared map[string]*spec.LayerBase // layers that have the parameters of others
}

type stateOut struct {
	name string
	v    *graph.Value
}

var (
	steps       = graph.Sym("steps")
	sourceSteps = graph.Sym("sourceSteps")
	batch       = graph.Sym("batch")
)

func newBuilder(r *Model, name string) *builder {
	shared := map[string]*spec.LayerBase{}
	for _, stack := range r.stacks() {
		for l := range spec.Leaves(stack) {
			if base := spec.Base(l); base.Share != "" {
				shared[base.Name] = base
			}
		}
	}
	return &builder{
		shared:  shared,
		Builder: &graph.Builder{G: graph.New(name)}, r: r, m: r.Spec, steps: steps,
		params: map[string]*graph.Value{}, tables: map[string]*graph.Value{}, spectral: map[string]*graph.Value{},
	}
}

// stacks are the lists of layers of the spec.
func (m *Model) stacks() [][]spec.Layer {
	stacks := [][]spec.Layer{m.Spec.Encoder, m.Spec.Layers}
	if m.Spec.GAN != nil {
		stacks = append(stacks, m.Spec.GAN.Discriminator)
	}
	return stacks
}

func (b *builder) vocab() graph.Dim { return b.named("vocab", b.m.Vocab(), "number of tokens") }

// tokensRead is the number of tokens that the first layer of a stack tells apart: those of a source, for what reads
// one.
func (b *builder) tokensRead() graph.Dim {
	if b.steps.Same(sourceSteps) && b.m.EncoderDecoder() {
		return b.named("sourceVocab", b.m.Source.Tokenizer.Vocab, "number of tokens of the source")
	}
	return b.vocab()
}

// sized is a size of a layer, which generated code has a constant for: "units" of the layer lstm.
func (b *builder) sized(layer, what string, n int, comment string) graph.Dim {
	return b.named(layer+"."+what, n, comment)
}

// named is a dimension that generated code has a constant for.
func (b *builder) named(name string, n int, comment string) graph.Dim {
	for _, c := range b.r.Names {
		if c.Name == name && c.Value != n {
			panic(fmt.Errorf("build: %s is %d and %d", name, c.Value, n))
		}
		if c.Name == name {
			return graph.Const(n, name)
		}
	}
	b.r.Names = append(b.r.Names, Constant{name, n, comment})
	return graph.Const(n, name)
}

func (b *builder) train() {
	b.r.Train = b.G
	tb := graph.Shape{steps, batch}
	b.tokens = b.G.Input("tokens", graph.Data, graph.I32, tb)
	targets := b.G.Input("targets", graph.Data, graph.I32, tb)
	if b.carries() {
		b.reset = b.G.Input("reset", graph.Data, graph.I32, tb)
	}
	if b.m.Source != nil {
		b.memory = b.encoder()
	}
	logits := b.layers(b.m.Layers, nil, true)
	for _, s := range b.state {
		b.G.Output(s.v, "state:"+s.name)
	}
	b.Phase, b.Scope, b.Origin = graph.Loss, "", b.at(b.m.Loss.Pos, "loss")
	names := []string{"loss", "rowLoss"}
	switch {
	case b.ofText() && b.m.GAN.Text.Estimator == "policy_gradient":
		weights := b.G.Input("weights", graph.Data, graph.F32, tb)
		b.G.Output(b.Apply(op.WeightedCrossEntropy, names, nil, logits, targets, weights)[0], "loss")
	case b.ofText(): // whose smoothing is of the discriminator's labels
		b.G.Output(b.Apply(op.CrossEntropy, names, graph.Attrs{{Key: "smoothing", Val: 0.0}}, logits, targets)[0],
			"loss")
	default:
		b.G.Output(b.Apply(op.CrossEntropy, names, graph.Attrs{{Key: "smoothing", Val: b.m.Loss.LabelSmoothing}},
			logits, targets)[0], "loss")
	}
}

func (b *builder) decode() {
	b.r.Decode = b.G
	at := graph.Shape{batch}
	if b.time {
		at = graph.Shape{steps, batch}
	}
	b.tokens = b.G.Input("tokens", graph.Data, graph.I32, at)
	if b.time {
		b.places = b.G.Input("positions", graph.Data, graph.I32, at)
	}
	if b.m.EncoderDecoder() {
		b.source = b.G.Input("source", graph.Data, graph.I32, graph.Shape{sourceSteps, batch})
	}
	logits := b.layers(b.m.Layers, nil, true)
	b.G.Output(logits, "logits")
	for _, s := range b.state {
		b.G.Output(s.v, "state:"+s.name)
	}
}

// encoder adds the layers that read the source.
func (b *builder) encoder() *graph.Value {
	b.source = b.G.Input("source", graph.Data, graph.I32, graph.Shape{sourceSteps, batch})
	tokens, n, places := b.tokens, b.steps, b.places
	b.tokens, b.steps, b.places = b.source, sourceSteps, nil
	memory := b.layers(b.m.Encoder, nil, false)
	b.tokens, b.steps, b.places = tokens, n, places
	return memory
}

// encode is the graph of what a decoder needs of the source: it goes through the layers of the decoder for what they
// read of the memory.
func (b *builder) encode() {
	b.r.Encode = b.G
	b.memory = b.encoder()
	b.beginAll(b.m.Layers)
}

func (b *builder) at(p spec.Pos, what string) string {
	if p.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d %s", b.m.File, p.Line, what)
}

// enter begins the nodes of a layer, and its row of the summary.
func (b *builder) enter(l spec.Layer) {
	b.Scope, b.Origin = l.LayerName(), b.at(l.LayerPos(), l.LayerName())
	b.r.place = b.Origin
	if b.training && b.row(l.LayerName()) == nil {
		base, kind := spec.Base(l), l.LayerKind()
		switch l := l.(type) {
		case *spec.Repeat:
			kind = fmt.Sprintf("repeat × %d", l.Times)
		case *spec.Branch:
			kind = "branch: " + l.Join
		}
		b.r.Layers = append(b.r.Layers,
			Layer{Name: l.LayerName(), Kind: kind, Width: l.OutputWidth(), Depth: b.depth, Blocks: base.Blocks,
				Share: base.Share, Line: l.LayerPos().Line})
	}
}

// layers adds a stack of layers, of which the first reads x, or tokens where that is nil; the last one of a model with
// a likelihood gives its logits or means.
func (b *builder) layers(stack []spec.Layer, x *graph.Value, logits bool) *graph.Value {
	for i, l := range stack {
		b.enter(l)
		if b.m.Latent != nil && b.depth == 0 {
			x = b.addLatent(l, x)
		}
		b.depth++
		last := logits && i == len(stack)-1
		if last {
			x = b.lastReads(l, x)
		}
		x = constructionOf(l).build(b, l, x, last)
		if last {
			x = b.lastGives(l, x)
		}
		b.r.mark(x, mark{"layer", l.LayerName() + ".y", l.LayerName(), l.LayerKind()})
		if row := b.row(l.LayerName()); b.training && row != nil && row.Output == nil {
			row.Output = x.Shape
		}
		b.depth--
	}
	return x
}

// asks reports whether only the last token's logits are asked for, of a chunk of tokens.
func (b *builder) asks() bool { return b.time && !b.training && !b.r.Masked() }

// carries reports whether the layer carries a state from one time step to the next.
func carries(l spec.Layer) bool {
	_, ok := l.(*spec.Recurrent)
	return ok
}

// last is the operation that takes what a decoder is asked for: of one step, or of several where it can be.
func (b *builder) last() *graph.Op {
	if b.r.Ahead() > 0 {
		return op.LastSteps
	}
	return op.LastStep
}

// lastReads is what the layer that gives the logits reads, x, of which a decoder hands out what belongs to the last
// token. A layer of each token reads that alone.
func (b *builder) lastReads(l spec.Layer, x *graph.Value) *graph.Value {
	if x != nil && b.training && b.r.Masked() { // it has no decoder, and shows what it makes of a whole text
		b.G.Output(x, "hidden")
	}
	if b.r.Decode != b.G || x == nil {
		return x
	}
	last := x
	if b.asks() {
		last = b.Apply(b.last(), []string{l.LayerName() + ".last"}, nil, x)[0]
	}
	b.G.Output(last, "hidden")
	if carries(l) {
		return x
	}
	return last
}

// lastGives is what the last layer gives, y, under the name that the loss and all that is emitted know it by.
func (b *builder) lastGives(l spec.Layer, y *graph.Value) *graph.Value {
	if carries(l) && b.r.Decode == b.G && b.asks() {
		y = b.Apply(b.last(), []string{l.LayerName() + ".lastY"}, nil, y)[0]
	}
	if name, _ := b.gives(); y.Base != name {
		y.Name, y.Base = b.G.Unique(name), name
	}
	return y
}

// called is the name of a value of the layer. Where several networks meet it is the layer's own name for what it
// gives, with the pass that it is in.
func (b *builder) called(l spec.Layer, name string) string {
	if b.m.GAN == nil {
		return l.LayerName() + "." + name
	}
	if name == "y" || name == "x" {
		return ident(l.LayerName())
	}
	return ident(l.LayerName()) + upperFirst(name)
}

func upperFirst(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] }

// row is the layer's row of the summary, or nil.
func (b *builder) row(layer string) *Layer {
	for i := range b.r.Layers {
		if b.r.Layers[i].Name == layer {
			return &b.r.Layers[i]
		}
	}
	return nil
}

// width is the layer's width as a named constant.
func (b *builder) width(l spec.Layer, what, comment string) graph.Dim {
	return b.sized(l.LayerName(), what, l.OutputWidth(), comment)
}

// ident is a name in one word, as the start of that of a value.
func ident(name string) string {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '.' })
	for i := range parts {
		if i > 0 && parts[i] != "" {
			parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
		}
	}
	return strings.Join(parts, "")
}

func (b *builder) param(scope, field string, shape graph.Shape, stack, first int, layer string,
	init Init) *graph.Value {
	if base := b.shared[layer]; base != nil { // the parameters of another layer
		scope, layer = base.Share+strings.TrimPrefix(scope, layer), base.Share
		if s := b.site; s != nil && base.Common {
			return s.invariant(s.outer.param(scope, field, shape, stack, first, layer, init))
		}
	}
	if s := b.site; s != nil {
		name := scope + "." + field
		if v := b.params[name]; v != nil {
			return v
		}
		if s.layer.Shared {
			b.params[name] = s.invariant(s.outer.param(scope, field, shape, stack, first, layer, init))
			return b.params[name]
		}
		n := b.sized(scope, "layers", s.layer.Times, "repetitions of "+scope+", in one loop")
		b.params[name] = s.element(s.outer.param(scope, field, shape.Stack(n), s.layer.Times, 1, layer, init), name)
		return b.params[name]
	}
	p := &Param{Scope: scope, Field: field, Shape: shape, Stack: stack, First: first, Layer: layer, Place: b.Origin,
		Init: init, Discriminator: b.judging, Encoder: b.Stage == Stages[0]}
	if v := b.params[p.Name()]; v != nil {
		return v
	}
	known := false // other graphs have the same parameters
	for _, q := range b.r.Params {
		if q.ID() != p.ID() {
			continue
		}
		if known = true; q.Layer != layer || !q.Shape.Same(shape) {
			panic(fmt.Errorf("build: two parameters are named %s: %s of %s, %s of %s", p.Name(), q.Shape, q.Layer,
				shape, layer))
		}
	}
	if b.training && !known {
		b.r.Params = append(b.r.Params, p)
		row := b.row(layer)
		row.Params = append(row.Params, p)
		if n := len(row.Scopes); n == 0 || row.Scopes[n-1] != scope {
			row.Scopes = append(row.Scopes, scope)
		}
	}
	v := b.G.Input(p.Name(), graph.Param, graph.F32, shape)
	b.params[p.Name()] = v
	return v
}

func matrix(i spec.Init, in, out int) Init {
	return Init{Scheme: i.Scheme, Scale: i.Scale, In: in, Out: out}
}

func (b *builder) dropout(bb *graph.Builder, x *graph.Value, name string, rate float64,
	index *graph.Value) *graph.Value {
	if rate == 0 || !b.training {
		return x
	}
	b.streams++
	args := []*graph.Value{x}
	if index == nil {
		index = b.count()
	}
	if index != nil {
		args = append(args, index)
	}
	return bb.Apply(op.Dropout, []string{name}, graph.Attrs{{Key: "rate", Val: rate}, {Key: "stream", Val: b.streams}},
		args...)[0]
}

// tellCrossEntropy tells the loss of a model of tokens.
func tellCrossEntropy(m *spec.Model) Account {
	var a Account
	what := "the next token"
	switch {
	case m.Masking != nil:
		what = "each token that is to be restored"
	case m.Source != nil:
		what = "the next token of the answer"
	}
	a.say("The loss is the mean over the tokens of a batch of −log of the probability of %s, in nats; padding does "+
		"not count.", what)
	a.show(`p = \operatorname{softmax}(\text{logits})`, `\mathcal{L} = -\frac{1}{n} \sum_{i} `+
		`\log(p_i(\text{target}_i))`)
	if s := m.Loss.LabelSmoothing; s > 0 {
		a.say("In training %s of the target's probability is spread over all %d tokens.", percent(s), m.Vocab())
		a.Formulas[1] = fmt.Sprintf(`\mathcal{L} = -\frac{1}{n} \sum_{i} (%s \cdot \log(p_i(\text{target}_i)) + `+
			`\frac{%s}{%d} \sum_k \log(p_i(k)))`, figure(1-s), figure(s), m.Vocab())
	}
	if m.Train.Sampling > 0 {
		a.say("The decoder draws %s of the tokens that it reads in training from what it would have written itself.",
			percent(m.Train.Sampling))
	}
	return a
}

// tellMasking tells which tokens an encoder restores.
func tellMasking(m *spec.Model) Account {
	var a Account
	k := m.Masking
	a.say("%s of the tokens of a text are to be restored: of these %s are replaced by the token [MASK], %s by a token "+
		"drawn at random, and %s stay as they are.", percent(k.Share), percent(k.Mask), percent(k.Random),
		percent(1-k.Mask-k.Random))
	a.show(fmt.Sprintf(`P(i \text{ is to be restored}) = %s`, figure(k.Share)))
	return a
}
