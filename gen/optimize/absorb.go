package optimize

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// absorb moves the sum of something with what a loop over layers gives into that loop: each iteration adds an element.
// So meet the gradients of equal layers that were applied twice; inside of the loop the sum becomes part of a product,
// and is made where the first gradient lies.
func absorb(g *graph.Graph) {
	for _, n := range g.Nodes {
		if n.Loop != nil {
			absorb(n.Loop.Body)
		}
	}
	place := map[*graph.Node]int{}
	for i, n := range g.Nodes {
		place[n] = i
	}
	count := uses(g)
	gone := map[*graph.Node]bool{}
	for _, sum := range g.Nodes {
		if sum.Op != op.Add || sum.Loop != nil {
			continue
		}
		for i, given := range sum.Args {
			other := sum.Args[1-i]
			n := given.Def
			if n == nil || n.Loop == nil || n.Loop.Kind != graph.Repeat || given.Out < n.Loop.Carries ||
				count[given] != 1 || !other.Shape.Same(given.Shape) {
				continue
			}
			if other.Def != nil && place[other.Def] >= place[n] {
				continue
			}
			body := n.Loop.Body
			m := body.Outputs[given.Out].Def
			if m == nil {
				continue
			}
			term := body.Outputs[given.Out]
			total := body.NewNode(m, op.Add, []string{term.Base}, nil, n.SeqIn(other, term.Base+"Before"), term)
			insert(body, m, true, total)
			body.Outputs[given.Out] = total.Outs[0]
			g.Replace(sum.Outs[0], given)
			gone[sum] = true
			break
		}
	}
	remove(g, gone)
}
