// Package onnx writes a graph as a file of ONNX (https://onnx.ai), which ONNX Runtime and other programs run.
//
// What an operation is there stands beside its definition, in gen/op; this package walks the graph, names operators
// after layers, and writes the file. A loop over layers is written out, so that each layer has its operators and its
// parameters under the names that they have in a checkpoint; a loop over time is a Scan. It must know nothing of specs,
// of any single operation, or of how a checkpoint is read.
package onnx

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
)

// Param is a parameter of the graph: its tensors in a checkpoint, one, or one for each layer of a stack.
type Param struct {
	Stacked bool
	Tensors []string
}

// Model is a file that can be written.
type Model struct {
	Doc      string
	Metadata [][2]string // keys and values
	Inputs   []string
	Outputs  []string

	root    *scope
	tensors []*tensor
}

// Operators is how many operators the file has, those in the bodies of loops included.
func (m *Model) Operators() int { return m.root.count() }

// scope is a graph of the file: all of it, or the body of a loop.
type scope struct {
	name, doc       string
	outer           *scope
	first           []*operator // of the whole: sizes, which everything may read
	list            []*operator
	inputs, outputs []fields
	reads           []string // outputs, by name
	made            map[string]*operator
	index           string // number of the iteration
}

func (s *scope) operators() []*operator { return append(slices.Clip(s.first), s.list...) }

func (s *scope) count() int {
	n := 0
	for _, o := range s.operators() {
		n++
		for _, a := range o.attrs {
			if body, ok := a.Val.(*scope); ok {
				n += body.count()
			}
		}
	}
	return n
}

type operator struct {
	operator, name, doc string
	args, outs          []string
	attrs               graph.Attrs
}

// term is a value of the graph in the file. A stack of parameters has a name for each element, and none for the whole
// until something reads it.
type term struct {
	name  string
	parts []string
}

// writer makes a file of a graph.
type writer struct {
	root, now *scope
	taken     map[string]bool
	tensors   map[string]*tensor // by name
	order     []string
	consts    map[string]string // constants by content
	sources   map[string][2]any // of run-time sizes: an input and an axis
	prefix    string            // of names in the body of a loop
	node      *graph.Node       // that is being written
}

// New makes a file of g, which is as gen/build has made it: no pass has fused its operations. Params are the
// parameters by the names of their inputs, tables the numbers of constant tables. An operation without a form in ONNX
// is an error that names it and its layer.
func New(g *graph.Graph, params map[string]Param, tables map[string][]float64) (*Model, error) {
	root := &scope{name: g.Name, made: map[string]*operator{}}
	w := &writer{root: root, now: root, taken: map[string]bool{}, tensors: map[string]*tensor{},
		consts: map[string]string{}, sources: map[string][2]any{}}
	m := &Model{root: root}
	env := map[*graph.Value]*term{}
	read := map[*graph.Value]bool{}
	for _, n := range g.Nodes {
		for _, a := range n.Args {
			read[a] = true
		}
	}
	for _, o := range g.Outputs {
		read[o] = true
	}
	inputs := slices.DeleteFunc(slices.Clone(g.Inputs), func(v *graph.Value) bool { return !read[v] })
	for _, in := range inputs { // which keep their names
		if in.Role != graph.Param && in.Role != graph.Table {
			w.taken[in.Name] = true
		}
	}
	for _, o := range g.Outputs {
		w.taken[targetName(g, o)] = true
	}
	for _, in := range inputs {
		switch in.Role {
		case graph.Param:
			p, ok := params[in.Name]
			if !ok {
				return nil, fmt.Errorf("onnx: nothing is known of the parameter %s", in.Name)
			}
			t, shape := &term{}, in.Shape.At(nil)
			env[in] = t
			if !p.Stacked {
				t.name = w.param(p.Tensors[0], shape)
				continue
			}
			for _, name := range p.Tensors {
				t.parts = append(t.parts, w.param(name, shape[1:]))
			}
		case graph.Table:
			x, ok := tables[in.Name]
			if !ok {
				return nil, fmt.Errorf("onnx: nothing is known of the table %s", in.Name)
			}
			env[in] = &term{name: w.constant(in.Name, isFloat, in.Shape.At(nil), littleEndian(single(x)))}
		default:
			env[in] = &term{name: in.Name}
			m.Inputs = append(m.Inputs, in.Name)
			root.inputs = append(root.inputs, port(in.Name, in))
			for axis, d := range in.Shape {
				if d.N == 1 && len(d.Runs()) == 1 && w.sources[d.Run][0] == nil {
					w.sources[d.Run] = [2]any{in.Name, axis}
				}
			}
		}
	}
	if err := w.graph(g, env); err != nil {
		return nil, err
	}
	for _, o := range g.Outputs {
		name := targetName(g, o)
		w.give(w.whole(env[o], o), name)
		root.outputs = append(root.outputs, port(name, o))
		root.reads = append(root.reads, name)
		m.Outputs = append(m.Outputs, name)
	}
	w.prune(root)
	used := map[string]bool{}
	root.walk(func(o *operator) {
		for _, a := range o.args {
			used[a] = true
		}
	})
	for _, name := range w.order {
		if used[name] {
			m.tensors = append(m.tensors, w.tensors[name])
		}
	}
	return m, nil
}

// targetName is what an output is called: "logits", and a state after what it is the next value of.
func targetName(g *graph.Graph, v *graph.Value) string {
	for i, o := range g.Outputs {
		if o == v {
			name := g.Targets[i].String()
			return name[strings.IndexByte(name, ':')+1:]
		}
	}
	return v.Name
}

func (w *writer) unique(name string) string {
	for i, n := 2, name; ; i++ {
		if !w.taken[n] {
			w.taken[n] = true
			return n
		}
		n = fmt.Sprintf("%s_%d", name, i)
	}
}

func (w *writer) param(from string, shape []int) string {
	name := w.unique(from)
	w.tensors[name] = &tensor{name: name, shape: shape, element: isFloat, from: from}
	w.order = append(w.order, name)
	return name
}

// constant is a tensor of numbers; equal ones are one.
func (w *writer) constant(name string, element int, shape []int, raw []byte) string {
	key := fmt.Sprint(element, shape, string(raw))
	if known, ok := w.consts[key]; ok {
		return known
	}
	name = w.unique(name)
	w.consts[key] = name
	w.tensors[name] = &tensor{name: name, shape: shape, element: element, raw: raw}
	w.order = append(w.order, name)
	return name
}

// graph writes the nodes of g.
func (w *writer) graph(g *graph.Graph, env map[*graph.Value]*term) error {
	for _, n := range g.Nodes {
		if n.Loop != nil {
			var err error
			if n.Loop.Kind == graph.Repeat {
				err = w.repeat(n, env)
			} else {
				err = w.scan(n, env)
			}
			if err != nil {
				return err
			}
			continue
		}
		if n.Op.ONNX == nil {
			return fmt.Errorf("%s: the operation %s has no form in ONNX", n.Origin, n.Op.Name)
		}
		outer := w.node
		w.node = n
		args := make([]string, len(n.Args))
		for i, a := range n.Args {
			args[i] = w.whole(env[a], a)
		}
		from := len(w.now.list)
		outs := n.Op.ONNX(w, n, args)
		w.document(n, from)
		for i, o := range n.Outs {
			env[o] = &term{name: w.called(outs[i], w.name(o), from)}
		}
		w.node = outer
	}
	return nil
}

// document says at the last operator of a node what the node computes, and where it stands in the spec.
func (w *writer) document(n *graph.Node, from int) {
	if len(w.now.list) == from {
		return
	}
	last := w.now.list[len(w.now.list)-1]
	if n.Op.Formula != nil {
		last.doc = n.Op.Formula(n, func(v *graph.Value) string { return v.Name })
	}
	if n.Origin != "" {
		last.doc = strings.TrimPrefix(last.doc+"  ("+n.Origin+")", "  ")
	}
}

// name is that of a value in the file.
func (w *writer) name(v *graph.Value) string {
	if w.prefix == "" {
		return v.Name
	}
	return w.prefix + "." + v.Name
}

// called names a result that has been made since from, which keeps the name that it has elsewhere.
func (w *writer) called(term, name string, from int) string {
	for _, o := range w.now.list[from:] {
		for i, r := range o.outs {
			if r != term || term == "" {
				continue
			}
			delete(w.taken, term)
			name = w.unique(name)
			o.outs[i], o.name = name, name
			for _, p := range w.now.list[from:] {
				for j, a := range p.args {
					if a == term {
						p.args[j] = name
					}
				}
			}
			return name
		}
	}
	return term
}

// whole is the name of a value, which for a stack puts its elements together.
func (w *writer) whole(t *term, v *graph.Value) string {
	if t == nil {
		panic(fmt.Sprintf("onnx: %s is read before it is given", v))
	}
	if t.name == "" && t.parts != nil {
		each := make([]string, len(t.parts))
		for i, p := range t.parts {
			each[i] = w.Op("Unsqueeze", nil, p, w.Ints(0))
		}
		return w.Op("Concat", graph.Attrs{{Key: "axis", Val: 0}}, each...)
	}
	return t.name
}

// repeat writes a loop over layers out.
func (w *writer) repeat(n *graph.Node, env map[*graph.Value]*term) error {
	l := n.Loop
	if !l.Trip.IsConst() {
		return fmt.Errorf("%s: ONNX has no loop over %s layers", n.Origin, l.Trip)
	}
	outer, index := w.prefix, w.now.index
	defer func() { w.prefix, w.now.index = outer, index }()
	carried := make([]*term, l.Carries)
	for i := range carried {
		carried[i] = env[n.Args[i]]
	}
	given := make([][]string, len(n.Outs))
	for i := range given {
		given[i] = make([]string, l.Trip.N)
	}
	for it := range l.Trip.N {
		at := it
		if l.Reverse {
			at = l.Trip.N - 1 - it
		}
		w.prefix = fmt.Sprintf("%s.%d", n.Scope, at+1)
		w.now.index = w.ID(at)
		body := map[*graph.Value]*term{}
		for i, in := range l.Body.Inputs {
			switch a := env[n.Args[i]]; {
			case i < l.Carries:
				body[in] = carried[i]
			case i >= l.Carries+l.Seqs:
				body[in] = a
			case a.parts != nil:
				body[in] = &term{name: a.parts[at]}
			default:
				body[in] = &term{name: w.Op("Gather", graph.Attrs{{Key: "axis", Val: 0}}, a.name, w.ID(at))}
			}
		}
		if err := w.graph(l.Body, body); err != nil {
			return err
		}
		next := make([]*term, l.Carries)
		for i, o := range l.Body.Outputs {
			if i < l.Carries {
				next[i] = body[o]
			} else {
				given[i][at] = w.whole(body[o], o)
			}
		}
		carried = next
	}
	for i, o := range n.Outs {
		if i < l.Carries {
			env[o] = carried[i]
		} else {
			env[o] = &term{parts: given[i]}
		}
	}
	return nil
}

// scan writes a loop over time. Its body reads invariants as it finds them outside.
func (w *writer) scan(n *graph.Node, env map[*graph.Value]*term) error {
	l := n.Loop
	scope := &scope{name: n.Scope, doc: n.Origin, outer: w.now, made: map[string]*operator{}}
	outer, prefix := w.now, w.prefix
	body := map[*graph.Value]*term{}
	var args []string
	w.prefix = strings.TrimPrefix(prefix+"."+n.Scope, ".")
	for i, in := range l.Body.Inputs {
		a := w.whole(env[n.Args[i]], n.Args[i])
		if i >= l.Carries+l.Seqs {
			body[in] = &term{name: a}
			continue
		}
		args = append(args, a)
		name := w.unique(w.name(in))
		scope.inputs = append(scope.inputs, port(name, in))
		body[in] = &term{name: name}
	}
	seqs := l.Seqs
	if readsIndex(l.Body) {
		// the elements' numbers are another sequence
		args = append(args, w.numbers(l.Trip))
		seqs++
		scope.index = w.unique(w.prefix + "." + l.Index)
		scope.inputs = append(scope.inputs, port(scope.index, &graph.Value{Type: graph.I32}))
	}
	w.now = scope
	err := w.graph(l.Body, body)
	if err == nil {
		for i, o := range l.Body.Outputs {
			name := w.unique(w.prefix + "." + map[bool]string{true: "next_", false: "give_"}[i < l.Carries] + o.Name)
			w.give(w.whole(body[o], o), name)
			scope.outputs = append(scope.outputs, port(name, o))
			scope.reads = append(scope.reads, name)
		}
	}
	w.now, w.prefix = outer, prefix
	if err != nil {
		return err
	}
	attrs := graph.Attrs{{Key: "num_scan_inputs", Val: seqs}, {Key: "body", Val: scope}}
	if l.Reverse {
		backwards := func(n int) []int { return slices.Repeat([]int{1}, n) }
		attrs = append(attrs, graph.Attr{Key: "scan_input_directions", Val: backwards(seqs)})
		if outs := len(n.Outs) - l.Carries; outs > 0 {
			attrs = append(attrs, graph.Attr{Key: "scan_output_directions", Val: backwards(outs)})
		}
	}
	o := &operator{operator: "Scan", name: w.unique(strings.TrimPrefix(prefix+"."+n.Scope+"/Scan", ".")),
		doc: n.Origin, args: args, attrs: attrs}
	for _, v := range n.Outs {
		name := w.unique(w.name(v))
		o.outs = append(o.outs, name)
		env[v] = &term{name: name}
	}
	w.now.list = append(w.now.list, o)
	return nil
}

// readsIndex reports whether a node of a loop's body, which no inner loop has, asks for the number of the iteration.
func readsIndex(g *graph.Graph) bool {
	return slices.ContainsFunc(g.Nodes, func(n *graph.Node) bool { return n.Loop == nil && n.Op.Name == "index" })
}

// numbers is the vector 0, 1, … as long as a loop.
func (w *writer) numbers(trip graph.Dim) string {
	n := w.Op("Cast", graph.Attrs{{Key: "to", Val: isInt32}}, w.Op("Squeeze", nil, w.Sizes(trip)))
	return w.Op("Range", nil, w.ID(0), n, w.ID(1))
}

// give makes a value the output of that name.
func (w *writer) give(v, name string) {
	o := &operator{operator: "Identity", name: name, args: []string{v}, outs: []string{name}}
	w.now.list = append(w.now.list, o)
}

// prune takes out what nothing reads, and the Identity in front of an output that is the only reader of its value.
func (w *writer) prune(s *scope) {
	for _, o := range s.list {
		for _, a := range o.attrs {
			if body, ok := a.Val.(*scope); ok {
				w.prune(body)
			}
		}
	}
	used := map[string]int{}
	s.walk(func(o *operator) {
		for _, a := range o.args {
			used[a]++
		}
	})
	unread := func(o *operator) bool {
		for _, r := range o.outs {
			if used[r] > 0 || slices.Contains(s.reads, r) {
				return false
			}
		}
		for _, a := range o.args {
			used[a]--
		}
		return true
	}
	slices.Reverse(s.list)
	s.list = slices.DeleteFunc(s.list, unread)
	slices.Reverse(s.list)
	slices.Reverse(s.first)
	s.first = slices.DeleteFunc(s.first, unread)
	slices.Reverse(s.first)
	s.list = slices.DeleteFunc(s.list, func(o *operator) bool {
		if o.operator != "Identity" || used[o.args[0]] != 1 || slices.Contains(s.reads, o.args[0]) {
			return false
		}
		def := s.defines(o.args[0])
		if def != nil {
			def.outs[slices.Index(def.outs, o.args[0])] = o.outs[0]
		}
		return def != nil
	})
}

func (s *scope) defines(name string) *operator {
	for _, o := range s.list {
		if slices.Contains(o.outs, name) {
			return o
		}
	}
	return nil
}

// walk calls f for all operators.
func (s *scope) walk(f func(*operator)) {
	for _, o := range s.operators() {
		f(o)
		for _, a := range o.attrs {
			if body, ok := a.Val.(*scope); ok {
				body.walk(f)
			}
		}
	}
}

// What follows makes a writer a graph.Assembler.

// Op adds an operator of one result.
func (w *writer) Op(name string, attrs graph.Attrs, args ...string) string {
	return w.Ops(name, 1, attrs, args...)[0]
}

// Ops adds an operator, unless the same one is there already.
func (w *writer) Ops(name string, results int, attrs graph.Attrs, args ...string) []string {
	if slices.Contains(args, "") {
		panic(fmt.Sprintf("onnx: %s reads a result that the file does not have", name))
	}
	key := fmt.Sprint(name, results, attrs, args)
	for s := w.now; s != nil; s = s.outer {
		if o := s.made[key]; o != nil && slices.Equal(o.args, args) {
			return o.outs
		}
	}
	o := w.operator(name, results, attrs, args)
	w.now.list = append(w.now.list, o)
	w.now.made[key] = o
	return o.outs
}

func (w *writer) operator(name string, results int, attrs graph.Attrs, args []string) *operator {
	at := w.prefix
	if w.node != nil {
		at = w.name(w.node.Outs[0])
	}
	o := &operator{operator: name, args: slices.Clone(args), attrs: attrs}
	o.name = w.unique(strings.TrimPrefix(at+"/"+name, "/"))
	o.outs = []string{o.name}
	for i := 1; i < results; i++ {
		o.outs = append(o.outs, w.unique(fmt.Sprintf("%s.%d", o.name, i)))
	}
	return o
}

// Float is a number.
func (w *writer) Float(x float64) string {
	return w.constant(fmt.Sprintf("%g", x), isFloat, nil, littleEndian(single([]float64{x})))
}

// Floats is a constant.
func (w *writer) Floats(x []float64, shape ...int) string {
	return w.constant("floats", isFloat, shape, littleEndian(single(x)))
}

// Ints is a vector of constants.
func (w *writer) Ints(x ...int) string {
	var raw []byte
	for _, v := range x {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	name := strings.ReplaceAll(fmt.Sprint(x), " ", ",")
	if len(x) > 8 {
		name = "ints"
	}
	return w.constant(name, isInt64, []int{len(x)}, raw)
}

// ID is a number of the type of tokens.
func (w *writer) ID(x int) string {
	return w.constant(fmt.Sprintf("%d", x), isInt32, nil, binary.LittleEndian.AppendUint32(nil, uint32(int32(x))))
}

// Sizes is a vector of sizes. They are read off the inputs in front of everything else.
func (w *writer) Sizes(dims ...graph.Dim) string {
	parts := make([]string, len(dims))
	all := true
	for _, d := range dims {
		all = all && d.IsConst()
	}
	if all {
		x := make([]int, len(dims))
		for i, d := range dims {
			x[i] = d.N
		}
		return w.Ints(x...)
	}
	for i, d := range dims {
		parts[i] = w.size(d)
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return w.front("Concat", graph.Attrs{{Key: "axis", Val: 0}}, "sizes", parts...)
}

func (w *writer) size(d graph.Dim) string {
	if d.IsConst() {
		return w.Ints(d.N)
	}
	factors := []string{}
	for _, r := range d.Ordered() {
		from, ok := w.sources[r]
		if !ok {
			panic(fmt.Sprintf("onnx: no input tells the size %s", r))
		}
		axis := from[1].(int)
		factors = append(factors, w.front("Shape",
			graph.Attrs{{Key: "start", Val: axis}, {Key: "end", Val: axis + 1}}, r, from[0].(string)))
	}
	if d.N != 1 {
		factors = append(factors, w.Ints(d.N))
	}
	product := factors[0]
	for _, f := range factors[1:] {
		product = w.front("Mul", nil, d.String(), product, f)
	}
	return product
}

// front adds an operator in front of all.
func (w *writer) front(name string, attrs graph.Attrs, called string, args ...string) string {
	key := fmt.Sprint(name, 1, attrs, args)
	if o := w.root.made[key]; o != nil {
		return o.outs[0]
	}
	o := &operator{operator: name, attrs: attrs, args: args}
	o.name = w.unique(called)
	o.outs = []string{o.name}
	w.root.first = append(w.root.first, o)
	w.root.made[key] = o
	return o.outs[0]
}

// Iteration is the number of the iteration.
func (w *writer) Iteration() string {
	for s := w.now; s != nil; s = s.outer {
		if s.index != "" {
			return s.index
		}
	}
	panic("onnx: there is no loop around an operation that asks for its index")
}

func single(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}
