package optimize

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// hoist moves in front of a loop what does not depend on its carried values: what depends on invariants alone, and
// products of what the loop reads element by element, with what follows on them, which become one large product over
// all iterations.
//
// Other work on elements stays in the loop, where its operands are in cache.
func hoist(g *graph.Graph) { bodies(g, true, hoistLoop) }

func hoistLoop(g *graph.Graph, n *graph.Node, top bool) {
	l := n.Loop
	fixed := map[*graph.Value]*graph.Value{}   // invariant in the body → outside
	stacked := map[*graph.Value]*graph.Value{} // element in the body → all elements outside
	moved := map[*graph.Value]bool{}           // elements that were computed in the body
	for i, in := range l.Body.Inputs {
		if i >= l.Carries+l.Seqs {
			fixed[in] = n.Args[i]
		} else if i >= l.Carries && !l.Recompute { // what is computed again is not to be kept
			stacked[in] = n.Args[i]
		}
	}
	gone := map[*graph.Node]bool{}
	for _, m := range l.Body.Nodes {
		if m.Loop != nil || len(m.Args) == 0 {
			continue
		}
		if m.Op == op.AddBias && is(m.Args[0], op.Zeros) && fixed[m.Args[1]] != nil && fixed[m.Args[0]] == nil {
			// A vector in each row: the zeros go along.
			z := m.Args[0].Def
			zeros := g.NewNode(z, z.Op, outNames(n, z, top), z.Attrs)
			insert(g, n, false, zeros)
			fixed[m.Args[0]] = zeros.Outs[0]
		}
		args := make([]*graph.Value, len(m.Args))
		each := make([]bool, len(m.Args))
		ok, any, follows := true, false, false
		for i, a := range m.Args {
			switch {
			case fixed[a] != nil:
				args[i] = fixed[a]
			case stacked[a] != nil:
				args[i], each[i], any = stacked[a], true, true
				follows = follows || moved[a]
			default:
				ok = false
			}
		}
		if any && m.Op == op.SplitColumns {
			continue // costs nothing where its parts are read one by one
		}
		if !ok || any && !(m.Op.Rowwise != nil && m.Op.Rowwise(m, each) && (m.Op.Heavy || follows)) {
			continue
		}
		out := g.NewNode(m, m.Op, outNames(n, m, top), m.Attrs, args...)
		insert(g, n, false, out)
		for i, o := range m.Outs {
			if any {
				stacked[o], moved[o] = out.Outs[i], true
			} else {
				fixed[o] = out.Outs[i]
			}
		}
		gone[m] = true
	}
	remove(l.Body, gone)
	replaceMoved(n, gone, fixed, stacked)
}

// replaceMoved gives the body inputs for the values that have moved out and that it still reads.
func replaceMoved(n *graph.Node, gone map[*graph.Node]bool, fixed, stacked map[*graph.Value]*graph.Value) {
	body := n.Loop.Body
	read := func(v *graph.Value) *graph.Value {
		if v.Def == nil || !gone[v.Def] {
			return v
		}
		if s := stacked[v]; s != nil {
			return n.SeqIn(s, v.Base)
		}
		return n.ConstIn(fixed[v], v.Base)
	}
	for _, m := range body.Nodes {
		for i, a := range m.Args {
			m.Args[i] = read(a)
		}
	}
	for i, o := range body.Outputs {
		body.Outputs[i] = read(o)
	}
}
