package optimize

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// sink moves work behind a loop over time: products whose results only leave the loop become one product over all
// steps, and a carried sum of products, which is the gradient of a weight that every step uses, becomes one product
// that sums over all steps.
func sink(g *graph.Graph) { bodies(g, true, sinkLoop) }

func sinkLoop(g *graph.Graph, n *graph.Node, top bool) {
	if n.Loop.Kind != graph.Scan {
		return // stacking the operands of all layers costs more than it saves
	}
	for again := true; again; {
		again = sinkSum(g, n, top) || sinkGiven(g, n, top)
	}
}

// outside gives the stacked or invariant value outside of the loop for a value of its body; nil for a carry's.
func outside(g *graph.Graph, n *graph.Node, v *graph.Value, top bool) (out *graph.Value, each bool) {
	l := n.Loop
	if v.Def != nil {
		return g.StackOut(n, v, outerName(n, v, top)), true
	}
	for i, in := range l.Body.Inputs {
		if in != v {
			continue
		}
		if i < l.Carries {
			return nil, false
		}
		return n.Args[i], i < l.Carries+l.Seqs
	}
	return nil, false
}

// isCarry reports whether v is the value that a carry has at the start of an iteration.
func isCarry(n *graph.Node, v *graph.Value) bool {
	for _, in := range n.Loop.Body.Inputs[:n.Loop.Carries] {
		if in == v {
			return true
		}
	}
	return false
}

// sinkSum takes one carried sum of products out of the loop.
func sinkSum(g *graph.Graph, n *graph.Node, top bool) bool {
	l := n.Loop
	count := uses(l.Body)
	for i := range l.Carries {
		sum, next := l.Body.Inputs[i], l.Body.Outputs[i]
		if next.Def == nil || next.Def.Op != op.Add || count[sum] != 1 || count[next] != 1 {
			continue
		}
		term := next.Def.Args[1]
		if term == sum {
			term = next.Def.Args[0]
		} else if next.Def.Args[0] != sum {
			continue
		}
		f := term.Def
		if f == nil || f.Loop != nil || !f.Op.Contracts || count[term] != 1 ||
			f.Op == op.MatMul && !f.Attrs.Bool("ta") {
			continue
		}
		ok := true
		for _, a := range f.Args {
			_, each := elementOf(n, a)
			ok = ok && each
		}
		if !ok {
			continue
		}
		var args []*graph.Value
		for _, a := range f.Args {
			out, _ := outside(g, n, a, top)
			args = append(args, out)
		}
		all := g.NewNode(f, f.Op, []string{n.Outs[i].Base}, f.Attrs, args...)
		total := g.NewNode(f, op.Add, []string{n.Outs[i].Base}, nil, n.Args[i], all.Outs[0])
		g.Replace(n.Outs[i], total.Outs[0])
		insert(g, n, true, all, total)
		dropCarry(n, i)
		remove(l.Body, map[*graph.Node]bool{f: true, next.Def: true})
		return true
	}
	return false
}

// elementOf reports whether v is one element of something that can be had stacked.
func elementOf(n *graph.Node, v *graph.Value) (*graph.Value, bool) {
	if v.Def != nil {
		return v, true
	}
	for i, in := range n.Loop.Body.Inputs {
		if in == v {
			return v, i >= n.Loop.Carries && i < n.Loop.Carries+n.Loop.Seqs
		}
	}
	return v, false
}

func dropCarry(n *graph.Node, i int) {
	l := n.Loop
	cut := func(s []*graph.Value) []*graph.Value { return append(s[:i:i], s[i+1:]...) }
	n.Args, n.Outs, l.Body.Inputs, l.Body.Outputs = cut(n.Args), cut(n.Outs), cut(l.Body.Inputs), cut(l.Body.Outputs)
	l.Carries--
	for j, o := range n.Outs {
		o.Out = j
	}
}

// sinkGiven takes one product that only leaves the loop out of it.
func sinkGiven(g *graph.Graph, n *graph.Node, top bool) bool {
	l := n.Loop
	count := uses(l.Body)
	for i := l.Carries; i < len(n.Outs); i++ {
		v := l.Body.Outputs[i]
		m := v.Def
		if m == nil || m.Loop != nil || !m.Op.Heavy || m.Op.Rowwise == nil || len(m.Outs) != 1 || count[v] != 1 {
			continue
		}
		each := make([]bool, len(m.Args))
		ok := true
		for j, a := range m.Args {
			_, each[j] = elementOf(n, a)
			ok = ok && !isCarry(n, a)
		}
		if !ok || !m.Op.Rowwise(m, each) {
			continue
		}
		var args []*graph.Value
		for _, a := range m.Args {
			out, _ := outside(g, n, a, top)
			args = append(args, out)
		}
		all := g.NewNode(m, m.Op, []string{n.Outs[i].Base}, m.Attrs, args...)
		g.Replace(n.Outs[i], all.Outs[0])
		insert(g, n, true, all)
		n.Outs = append(n.Outs[:i:i], n.Outs[i+1:]...)
		l.Body.Outputs = append(l.Body.Outputs[:i:i], l.Body.Outputs[i+1:]...)
		for j, o := range n.Outs {
			o.Out = j
		}
		remove(l.Body, map[*graph.Node]bool{m: true})
		return true
	}
	return false
}
