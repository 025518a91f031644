package optimize

import "github.com/gradsmith/gradsmith/gen/graph"

// dce removes nodes that nothing reads, and from loops the carries, results and arguments that nothing needs.
func dce(g *graph.Graph) {
	for changed := true; changed; {
		changed = false
		live := uses(g)
		gone := map[*graph.Node]bool{}
		for i := len(g.Nodes) - 1; i >= 0; i-- {
			n := g.Nodes[i]
			used := false
			for _, o := range n.Outs {
				used = used || live[o] > 0
			}
			if !used {
				for _, a := range n.Args {
					live[a]--
				}
				gone[n] = true
				changed = true
				continue
			}
			if n.Loop != nil {
				before := append([]*graph.Value{}, n.Args...)
				if trim(n, live) {
					for _, a := range before {
						live[a]--
					}
					for _, a := range n.Args {
						live[a]++
					}
					changed = true
				}
			}
		}
		remove(g, gone)
	}
}

// trim removes what is not needed from the loop n; live counts the readers of its results.
func trim(n *graph.Node, live map[*graph.Value]int) bool {
	l := n.Loop
	before := len(n.Args) + len(n.Outs)
	need := make([]bool, len(n.Outs))
	for i, o := range n.Outs {
		need[i] = live[o] > 0
	}
	var reached map[*graph.Value]bool
	for again := true; again; {
		again = false
		reached = map[*graph.Value]bool{}
		for i, o := range l.Body.Outputs {
			if need[i] {
				reached[o] = true
			}
		}
		for i := len(l.Body.Nodes) - 1; i >= 0; i-- {
			m := l.Body.Nodes[i]
			for _, o := range m.Outs {
				if reached[o] {
					for _, a := range m.Args {
						reached[a] = true
					}
					break
				}
			}
		}
		for i := range l.Carries {
			if !need[i] && reached[l.Body.Inputs[i]] {
				need[i], again = true, true
			}
		}
	}
	var args, inputs, outs, outputs []*graph.Value
	carries, seqs := 0, 0
	for i, in := range l.Body.Inputs {
		switch {
		case i < l.Carries:
			if !need[i] {
				continue
			}
			carries++
		case !reached[in]:
			continue
		case i < l.Carries+l.Seqs:
			seqs++
		}
		args, inputs = append(args, n.Args[i]), append(inputs, in)
	}
	for i, o := range l.Body.Outputs {
		if need[i] {
			n.Outs[i].Out = len(outs)
			outs, outputs = append(outs, n.Outs[i]), append(outputs, o)
		}
	}
	n.Args, n.Outs, l.Body.Inputs, l.Body.Outputs, l.Carries, l.Seqs = args, outs, inputs, outputs, carries, seqs
	nodes := len(l.Body.Nodes)
	dce(l.Body)
	return len(n.Args)+len(n.Outs) != before || len(l.Body.Nodes) != nodes
}
