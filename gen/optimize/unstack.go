package optimize

import "github.com/gradsmith/gradsmith/gen/graph"

// unstack takes from loops the results that are what the loop reads: elements of a stacked value, which is read where
// it is, and invariants, of which a loop that reads the copies reads the one. They come of work that has moved in
// front of the loop while the gradient still asks the loop for it.
func unstack(g *graph.Graph) { bodies(g, true, unstackLoop) }

func unstackLoop(g *graph.Graph, n *graph.Node, _ bool) {
	l := n.Loop
	for i := l.Carries; i < len(n.Outs); i++ {
		for k, in := range l.Body.Inputs {
			switch {
			case in != l.Body.Outputs[i] || k < l.Carries:
			case k < l.Carries+l.Seqs:
				replaceArgs(g, n.Outs[i], n.Args[k])
			default:
				for _, m := range g.Nodes {
					if m.Loop != nil {
						unstacked(m, n.Outs[i], n.Args[k])
					}
				}
			}
		}
	}
}

// replaceArgs lets the nodes of g read a value in the place of another.
func replaceArgs(g *graph.Graph, old, new *graph.Value) {
	for _, m := range g.Nodes {
		for i, a := range m.Args {
			if a == old {
				m.Args[i] = new
			}
		}
	}
}

// unstacked lets the loop m read one as an invariant, where it reads the elements of copies, which are all that.
func unstacked(m *graph.Node, copies, one *graph.Value) {
	l := m.Loop
	for i := l.Carries; i < l.Carries+l.Seqs; i++ {
		if m.Args[i] != copies {
			continue
		}
		in := l.Body.Inputs[i]
		m.Args = append(append(m.Args[:i:i], m.Args[i+1:]...), one)
		l.Body.Inputs = append(append(l.Body.Inputs[:i:i], l.Body.Inputs[i+1:]...), in)
		l.Seqs--
		i--
	}
}
