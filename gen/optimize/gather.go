package optimize

import (
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// keepTogether lays what a loop keeps for another one, such as the activated gates of a cell, side by side where it
// was read from: in the place of the rows that it was computed from part by part. Only nodes of elements read it,
// which take parts of rows as they are.
func keepTogether(g *graph.Graph) { keepWithin(g, nil) }

// around is a loop, and the graph that it is a node of.
type around struct {
	g *graph.Graph
	n *graph.Node
}

// keepWithin does it for the loops of g, which is the body of the last of path.
func keepWithin(g *graph.Graph, path []around) {
	for _, n := range g.Nodes {
		if n.Loop != nil {
			keepWithin(n.Loop.Body, append(path[:len(path):len(path)], around{g, n}))
		}
	}
	for _, n := range g.Nodes {
		if n.Loop == nil {
			continue
		}
		for _, m := range slices.Clone(n.Loop.Body.Nodes) {
			if m.Op == op.Elementwise {
				for i := range m.Args {
					keepIn(append(path[:len(path):len(path)], around{g, n}), m, i)
				}
			}
		}
	}
}

// keepIn finds, for each part of argument i of the node m in the body of the last loop of path, what may lie in its
// place, and if there is something for all of them, keeps that as one.
func keepIn(path []around, m *graph.Node, i int) {
	width, ok := m.Attrs.Get("n").(graph.Dim)
	arg := m.Args[i]
	if !ok || len(arg.Shape) < 2 || arg.Shape.Last().N == width.N {
		return
	}
	body := op.BodyOf(m)
	parts := op.Leaves(body, body.Inputs[i])
	for _, p := range parts {
		if p.Shape.Last().N != width.N {
			return
		}
	}
	read, written := op.Order(m)
	taken := map[*graph.Value]bool{}
	kept := make([]*graph.Value, len(parts)) // results of m
	depth := 0                               // of the loops that give them
	for k, p := range parts {
		best := -1
		for _, o := range m.Outs {
			inner := body.Outputs[o.Out]
			at, computed := written[op.Spot{In: op.InResult, Index: o.Out, Parts: 1}]
			if inner == p {
				at = len(body.Nodes) // a copy of the part itself
			} else if !computed || at < read[part(i, k, len(parts))] || !from(inner, p) {
				continue
			}
			if taken[o] || !o.Shape.Last().Same(width) {
				continue
			}
			d := readByElements(path, o, width)
			if d == 0 || depth > 0 && d != depth {
				continue
			}
			depth = d
			if best < 0 || inner == p || at < best && body.Outputs[kept[k].Out] != p {
				best, kept[k] = at, o
			}
		}
		if kept[k] == nil {
			return
		}
		taken[kept[k]] = true
	}
	join(path, m, arg, kept, width)
}

// part is part k of parts of argument i.
func part(i, k, parts int) op.Spot {
	return op.Spot{In: op.InArgument, Index: i, From: k, Parts: parts}
}

// from reports whether v is computed from p.
func from(v, p *graph.Value) bool {
	seen := map[*graph.Value]bool{}
	var search func(v *graph.Value) bool
	search = func(v *graph.Value) bool {
		if v == p || v.Def == nil || seen[v] {
			return v == p
		}
		seen[v] = true
		return slices.ContainsFunc(v.Def.Args, search)
	}
	return search(v)
}

// stacked is the place among the results of loop n where it gives v, or -1.
func stacked(n *graph.Node, v *graph.Value) int {
	at := -1
	for j, o := range n.Loop.Body.Outputs {
		if o != v {
			continue
		}
		if j < n.Loop.Carries || at >= 0 {
			return -1
		}
		at = j
	}
	return at
}

// readByElements reports whether v, of the body of the last loop of path, is read by nothing but, element by element,
// nodes of elements in other loops: it gives the number of loops that stack v, one in the other, or 0.
func readByElements(path []around, v *graph.Value, width graph.Dim) int {
	last := path[len(path)-1]
	for _, m := range last.n.Loop.Body.Nodes {
		if slices.Contains(m.Args, v) {
			return 0
		}
	}
	at := stacked(last.n, v)
	if at < 0 {
		return 0
	}
	all := last.n.Outs[at]
	switch last.g.IsOutput(all) {
	case 0:
		if readers, ok := elementsRead(last.g, all, width, false); ok && readers > 0 {
			return 1
		}
	case 1: // a loop over layers stacks what each of them gives
		if len(path) == 1 {
			return 0
		}
		if d := readByElements(path[:len(path)-1], all, width); d > 0 {
			return d + 1
		}
	}
	return 0
}

// elementsRead counts the nodes of elements that read elements of v, a value of g, in loops that are nodes of g, and
// reports whether nothing else does. inner says that g is the body of such a loop.
func elementsRead(g *graph.Graph, v *graph.Value, width graph.Dim, inner bool) (readers int, ok bool) {
	for _, r := range g.Nodes {
		for i, a := range r.Args {
			if a != v {
				continue
			}
			if inner && r.Op == op.Elementwise {
				if w, ok := r.Attrs.Get("n").(graph.Dim); ok && !w.Same(width) {
					return 0, false
				}
				readers++
				continue
			}
			if r.Loop == nil || i < r.Loop.Carries || i >= r.Loop.Carries+r.Loop.Seqs {
				return 0, false
			}
			body := r.Loop.Body
			if body.IsOutput(body.Inputs[i]) > 0 {
				return 0, false
			}
			more, ok := elementsRead(body, body.Inputs[i], width, true)
			if !ok {
				return 0, false
			}
			readers += more
		}
	}
	return readers, true
}

// join makes one result of those of m in kept, side by side, and lets what reads them read its parts.
func join(path []around, m *graph.Node, arg *graph.Value, kept []*graph.Value, width graph.Dim) {
	body, l := op.BodyOf(m), path[len(path)-1].n.Loop
	inner := make([]*graph.Value, len(kept))
	for k, o := range kept {
		inner[k] = body.Outputs[o.Out]
	}
	wide, itself := arg, slices.Equal(inner, op.Leaves(body, body.Inputs[slices.Index(m.Args, arg)]))
	if itself && (arg.Def == nil || arg.Def.Loop != nil || arg.Def.Op.Alias) {
		return // it has no memory of its own for each iteration
	}
	// The results of m.
	var outs, outputs []*graph.Value
	for _, o := range m.Outs {
		if !slices.Contains(kept, o) {
			outs, outputs = append(outs, o), append(outputs, body.Outputs[o.Out])
		}
	}
	if !itself {
		all := inner[len(inner)-1]
		for k := len(kept) - 2; k >= 0; k-- {
			last := graph.Mul(graph.Const(len(kept)-k, ""), width)
			if k == 0 {
				last = arg.Shape.Last()
			}
			attrs := graph.Attrs{{Key: "width", Val: last}}
			j := body.NewNode(m, op.JoinColumns, []string{arg.Base}, attrs, inner[k], all)
			body.Nodes = append(body.Nodes, j)
			all = j.Outs[0]
		}
		wide = &graph.Value{Name: l.Body.Unique(arg.Base), Base: arg.Base, Type: arg.Type, Shape: arg.Shape, Def: m}
		outs, outputs = append(outs, wide), append(outputs, all)
	}
	if len(outs) == 0 {
		return
	}
	body.Outputs, m.Outs = outputs, outs
	for i, o := range m.Outs {
		o.Out = i
	}
	// Those of the loops.
	gone := kept // of the body of a loop, then what the loop stacks of them, in the order of kept
	for k := len(path) - 1; ; k-- {
		g, n := path[k].g, path[k].n
		all := make([]*graph.Value, len(gone))
		for i, v := range gone {
			at := stacked(n, v)
			all[i] = n.Outs[at]
			n.Outs = slices.Delete(n.Outs, at, at+1)
			n.Loop.Body.Outputs = slices.Delete(n.Loop.Body.Outputs, at, at+1)
		}
		for i, o := range n.Outs {
			o.Out = i
		}
		gone, wide = all, g.StackOut(n, wide, outerName(n, arg, k == 0 && !strings.Contains(arg.Base, ".")))
		if g.IsOutput(gone[0]) > 0 {
			continue
		}
		for _, r := range g.Nodes {
			if reads(r, gone) {
				readParts(r, gone, wide, width)
			}
		}
		return
	}
}

func reads(n *graph.Node, values []*graph.Value) bool {
	return slices.ContainsFunc(n.Args, func(a *graph.Value) bool { return slices.Contains(values, a) })
}

// readParts lets the body of loop r read parts of the elements of stack in the place of elements of gone.
func readParts(r *graph.Node, gone []*graph.Value, stack *graph.Value, width graph.Dim) {
	l := r.Loop
	inputs := make([]*graph.Value, len(gone)) // of the body, for each of gone
	for i := len(r.Args) - 1; i >= 0; i-- {
		at := slices.Index(gone, r.Args[i])
		if at < 0 {
			continue
		}
		inputs[at] = l.Body.Inputs[i]
		r.Args = slices.Delete(r.Args, i, i+1)
		l.Body.Inputs = slices.Delete(l.Body.Inputs, i, i+1)
		l.Seqs--
	}
	wide := r.SeqIn(stack, stack.Base)
	for _, m := range l.Body.Nodes {
		if !reads(m, inputs) {
			continue
		}
		if m.Loop != nil {
			readParts(m, inputs, wide, width)
			continue
		}
		body := op.BodyOf(m)
		m.Attrs = m.Attrs.Set("n", width)
		whole := body.Input(wide.Base, graph.Local, wide.Type, wide.Shape)
		m.Args = append(m.Args, wide)
		names := make([]string, len(inputs))
		for k, in := range inputs {
			names[k] = wide.Base
			if in != nil {
				names[k] = in.Base
			}
		}
		parts := splitAll(body.Graph, m, whole, names, width)
		for k, in := range inputs {
			i := slices.Index(m.Args, in)
			if in == nil || i < 0 {
				continue
			}
			body.Replace(body.Inputs[i], parts[k])
			m.Args = slices.Delete(m.Args, i, i+1)
			body.Inputs = slices.Delete(body.Inputs, i, i+1)
		}
	}
}

// splitAll puts nodes that split v into parts of those names in front of body.
func splitAll(body *graph.Graph, like *graph.Node, v *graph.Value, names []string, width graph.Dim) []*graph.Value {
	var parts []*graph.Value
	var nodes []*graph.Node
	for k := len(names) - 1; k > 0; k-- {
		rest := graph.Mul(graph.Const(k, ""), width)
		if k == 1 {
			rest = width
		}
		two := names[len(names)-1-k:][:2]
		s := body.NewNode(like, op.SplitColumns, two, graph.Attrs{{Key: "a", Val: width}, {Key: "b", Val: rest}}, v)
		nodes = append(nodes, s)
		parts, v = append(parts, s.Outs[0]), s.Outs[1]
	}
	body.Nodes = append(nodes, body.Nodes...)
	return append(parts, v)
}
