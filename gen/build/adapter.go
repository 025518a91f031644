package build

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// Adapters (Hu et al. 2021) are made in the graphs, whatever layer a product is of: x·W becomes
// x·W + (x·A)·B·alpha/rank. A and B are parameters of their own, in a scope beside that of W, and come first in the
// flat arrays.

// adaption is an adapted matrix and the parameters of its change.
type adaption struct{ w, a, b *Param }

// adapt changes all graphs of the model.
func (m *Model) adapt() error {
	products := map[string]bool{} // parameters by name: whether all that reads them is a product with rows
	for _, g := range m.Graphs() {
		readers(g, parameters(g), products)
	}
	targets, err := m.targets(products)
	if err != nil {
		return err
	}
	rank := m.Spec.Adapter.Rank
	m.Names = append(m.Names, Constant{"adapterRank", rank, "rank of the adapter"})
	r := graph.Const(rank, "adapterRank")
	all := map[string]*adaption{}
	var params []*Param
	for _, w := range targets {
		dims := w.Shape
		var stack graph.Shape
		if w.Stack > 0 {
			stack, dims = dims[:1:1], dims[1:]
		}
		one := func(field string, init Init, shape ...graph.Dim) *Param {
			p := &Param{Scope: w.Scope + ".adapter", Field: w.Field + field,
				Shape: append(stack[:len(stack):len(stack)], shape...), Stack: w.Stack, First: w.First, Layer: w.Layer,
				Place: w.Place, Init: init, Adapter: true}
			params = append(params, p)
			row := m.rowOf(w.Layer)
			row.Params = append(row.Params, p)
			return p
		}
		// as in the paper's code: what A gives is of the size of x, and B is zero, so that nothing changes at first
		all[w.Name()] = &adaption{w: w,
			a: one("_lora_a", Init{Scheme: "uniform", Scale: 1 / math.Sqrt(float64(dims[0].N))}, dims[0], r),
			b: one("_lora_b", Init{Scheme: "zeros"}, r, dims[1])}
	}
	m.Params = append(params, m.Params...)
	for _, g := range m.Graphs() {
		m.adaptGraph(g, parameters(g), func(v *graph.Value, p *Param) *graph.Value {
			for _, in := range g.Inputs {
				if in.Role == graph.Param && in.ID == p.ID() {
					return in
				}
			}
			return g.Input(p.Name(), graph.Param, graph.F32, p.Shape)
		}, all)
	}
	return nil
}

func (m *Model) rowOf(layer string) *Layer {
	for i := range m.Layers {
		if m.Layers[i].Name == layer {
			return &m.Layers[i]
		}
	}
	panic(fmt.Errorf("build: no layer %s", layer))
}

// parameters are the inputs of a graph that are parameters, by name.
func parameters(g *graph.Graph) map[*graph.Value]string {
	all := map[*graph.Value]string{}
	for _, in := range g.Inputs {
		if in.Role == graph.Param {
			all[in] = in.Name
		}
	}
	return all
}

// within are the parameters that the body of a loop reads.
func within(n *graph.Node, params map[*graph.Value]string) map[*graph.Value]string {
	all := map[*graph.Value]string{}
	for i, a := range n.Args {
		if name, ok := params[a]; ok && i >= n.Loop.Carries {
			all[n.Loop.Body.Inputs[i]] = name
		}
	}
	return all
}

// adaptable reports whether n is a product of rows with a matrix that is a parameter.
func adaptable(n *graph.Node) bool {
	return n.Op == op.MatMul && len(n.Attrs) == 0 && len(n.Args) == 2 && n.Args[0] != n.Args[1]
}

// readers tells of parameters whether all that reads them is a product of rows.
func readers(g *graph.Graph, params map[*graph.Value]string, products map[string]bool) {
	note := func(name string, product bool) {
		old, known := products[name]
		products[name] = product && (old || !known)
	}
	for _, n := range g.Nodes {
		if n.Loop != nil {
			readers(n.Loop.Body, within(n, params), products)
		}
		for i, a := range n.Args {
			name, ok := params[a]
			if ok && (n.Loop == nil || i < n.Loop.Carries) {
				note(name, adaptable(n) && i == 1)
			}
		}
	}
	for _, o := range g.Outputs {
		if name, ok := params[o]; ok {
			note(name, false)
		}
	}
}

// targets are the matrices that the spec's patterns name. Patterns also match what names begin with, up to a dot.
func (m *Model) targets(products map[string]bool) ([]*Param, error) {
	a := m.Spec.Adapter
	at := fmt.Sprintf("%s:%d:%d: ", m.Spec.File, a.Line, a.Col)
	fault := func(format string, args ...any) error {
		return &Refusal{at + "adapter: " + fmt.Sprintf(format, args...)}
	}
	found := map[string]bool{}
	large := 0 // the rank of the largest of the matrices that are too small
	var targets []*Param
	for _, p := range m.Params {
		names := p.Tensors()
		hits, by := 0, ""
		for _, name := range names {
			if i := slices.IndexFunc(a.Targets, func(t string) bool { return matches(t, name) }); i >= 0 {
				hits++
				by = a.Targets[i]
			}
		}
		switch {
		case hits == 0 || !products[p.Name()]:
			continue
		case hits < len(names):
			return nil, fault("%q names some of the matrices %s to %s, which one loop multiplies with: name all, as in "+
				"%q", by, names[0], names[len(names)-1], fmt.Sprintf("%s.*.%s", p.Layer, p.Field))
		}
		for _, t := range a.Targets {
			found[t] = found[t] || matches(t, names[0])
		}
		dims := p.Shape[len(p.Shape)-2:]
		if least := min(dims[0].N, dims[1].N); a.Rank >= least {
			if by == "*" { // all that can have the rank
				large = max(large, least)
				continue
			}
			return nil, fault("the rank %d is not below the %d that the matrix %s [%d, %d] can have: give a smaller one, "+
				"or other targets", a.Rank, least, names[0], dims[0].N, dims[1].N)
		}
		targets = append(targets, p)
	}
	if len(targets) == 0 && large > 0 {
		return nil, fault("the rank %d is below that of no matrix: give one below %d", a.Rank, large)
	}
	for _, t := range a.Targets {
		if !found[t] {
			return nil, fault("the target %q matches no matrix that rows are multiplied with: there are %s", t,
				strings.Join(m.matrices(products), ", "))
		}
	}
	return targets, nil
}

// matrices names what can be adapted.
func (m *Model) matrices(products map[string]bool) []string {
	var all []string
	for _, p := range m.Params {
		if products[p.Name()] && len(all) < 20 {
			all = append(all, p.Tensors()[0])
		}
	}
	if len(all) == 0 {
		return []string{"none"}
	}
	return all
}

// matches is as package runtime/model has it.
func matches(pattern, name string) bool {
	for i := 0; i <= len(name); i++ {
		if i == len(name) || name[i] == '.' {
			if ok, _ := path.Match(pattern, name[:i]); ok {
				return true
			}
		}
	}
	return false
}

// biased is what y becomes when biases are added to it, if nothing else reads it before.
func biased(g *graph.Graph, y *graph.Value) *graph.Value {
	users := g.Users()
	for len(users[y]) == 1 && users[y][0].Op == op.AddBias && g.IsOutput(y) == 0 {
		y = users[y][0].Outs[0]
	}
	return y
}

// Refusal is an error of the spec that only its graphs show. It has a place.
type Refusal struct{ Text string }

func (r *Refusal) Error() string { return r.Text }

// adaptGraph changes the products of g. read gives, in g, the parameter p beside v, which is an adapted matrix there.
func (m *Model) adaptGraph(g *graph.Graph, params map[*graph.Value]string,
	read func(v *graph.Value, p *Param) *graph.Value, all map[string]*adaption) {
	by := m.Spec.Adapter.Alpha / float64(m.Spec.Adapter.Rank)
	var nodes []*graph.Node
	for _, n := range g.Nodes {
		nodes = append(nodes, n)
		if l := n.Loop; l != nil {
			m.adaptGraph(l.Body, within(n, params), func(v *graph.Value, p *Param) *graph.Value {
				i := slices.Index(l.Body.Inputs, v)
				outer := read(n.Args[i], p)
				if i < l.Carries+l.Seqs {
					return n.SeqIn(outer, p.Name())
				}
				return n.ConstIn(outer, p.Name())
			}, all)
			continue
		}
		if !adaptable(n) {
			continue
		}
		x := all[params[n.Args[1]]]
		if x == nil {
			continue
		}
		y := n.Outs[0]
		name, base := y.Name, y.Base
		y.Base = biased(g, y).Base // the sum takes its place, and the bias after it
		y.Name = g.Unique(y.Base)
		apply := func(o *graph.Op, name string, attrs graph.Attrs, args ...*graph.Value) *graph.Value {
			made := g.NewNode(n, o, []string{name}, attrs, args...)
			nodes = append(nodes, made)
			return made.Outs[0]
		}
		low := apply(op.MatMul, base+"Low", nil, n.Args[0], read(n.Args[1], x.a))
		low = apply(op.Scale, base+"Low", graph.Attrs{{Key: "by", Val: by}}, low)
		change := apply(op.MatMul, base+"Change", nil, low, read(n.Args[1], x.b))
		sum := g.NewNode(n, op.Add, []string{base}, nil, y, change)
		g.Replace(y, sum.Outs[0])
		sum.Args[0] = y
		sum.Outs[0].Name, sum.Outs[0].Base = name, base
		nodes = append(nodes, sum)
	}
	g.Nodes = nodes
}
