package optimize

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// accumulate lets every gradient of a parameter to which several passes over a network add start from zeros, which the
// first of them adds to as the others do: then the passes come out the same, and may share their code. The zeros have
// the attribute "gradient".
func accumulate(g *graph.Graph) {
	place := map[*graph.Node]int{}
	for i, n := range g.Nodes {
		place[n] = i
	}
	var last []*graph.Value         // of each sum, with its terms
	sums := map[*graph.Value]bool{} // one may be the gradient of two parameters, such as of the biases of two paths
	for i, t := range g.Targets {
		if t.Ends != graph.Grad || sums[g.Outputs[i]] {
			continue
		}
		sums[g.Outputs[i]] = true
		passes := map[string]bool{}
		first := g.Outputs[i]
		for first.Def != nil {
			n := first.Def
			passes[n.Pass] = true
			before := addsTo(n, place)
			if before < 0 {
				break
			}
			first = n.Args[before]
		}
		if first.Def != nil && len(passes) > 1 {
			start(g, first)
			last = append(last, g.Outputs[i])
		}
	}
	settle(g, last)
}

// settle puts every term of a sum right behind the last of what it reads, those that read the same in the order of the
// sums: where passes read the same, they then do so in one order.
func settle(g *graph.Graph, sums []*graph.Value) {
	place := map[*graph.Node]int{}
	for i, n := range g.Nodes {
		place[n] = i
	}
	behind := map[*graph.Node][]*graph.Node{}
	moved := map[*graph.Node]bool{}
	for _, v := range sums {
		for v.Def != nil && !moved[v.Def] {
			n := v.Def
			before := addsTo(n, place)
			if before < 0 || n.Op == op.Add {
				break
			}
			var anchor *graph.Node
			for i, a := range n.Args {
				if i != before && a.Def != nil && (anchor == nil || place[a.Def] > place[anchor]) {
					anchor = a.Def
				}
			}
			if anchor == nil || anchor.Phase != n.Phase || anchor.Pass != n.Pass || moved[anchor] ||
				n.Args[before].Def != nil && place[n.Args[before].Def] > place[anchor] {
				break
			}
			moved[n] = true
			behind[anchor] = append(behind[anchor], n)
			v = n.Args[before]
		}
	}
	var nodes []*graph.Node
	for _, n := range g.Nodes {
		if moved[n] {
			continue
		}
		nodes = append(nodes, n)
		nodes = append(nodes, behind[n]...)
	}
	g.Nodes = nodes
}

// addsTo is the argument of n that it adds a term of a gradient to, or -1.
func addsTo(n *graph.Node, place map[*graph.Node]int) int {
	at := -1
	switch n.Op {
	case op.MatMul, op.ScatterAdd:
		at = 2
	case op.SumRows:
		at = 1
	case op.Add:
		a, b := n.Args[0].Def, n.Args[1].Def
		switch {
		case a == nil || b == nil || a.Loop != nil || b.Loop != nil:
			return -1
		case place[a] < place[b]:
			return 0
		}
		return 1
	}
	if at < 0 || !n.Attrs.Bool("acc") || n.Args[at].Def == nil || n.Args[at].Def.Phase != graph.Backward {
		return -1
	}
	return at
}

// start makes v, the first term of a gradient, a sum with zeros.
func start(g *graph.Graph, v *graph.Value) {
	n := v.Def
	if n.Loop != nil || n.Phase != graph.Backward || n.Op.Alias {
		return
	}
	var head *graph.Node
	for _, x := range g.Nodes {
		if x.Phase == graph.Backward {
			head = x
			break
		}
	}
	like := &graph.Node{Phase: graph.Backward, Scope: n.Scope}
	zero := g.NewNode(like, op.Zeros, []string{v.Base},
		graph.Attrs{{Key: "shape", Val: v.Shape}, {Key: "gradient", Val: true}})
	insert(g, head, false, zero)
	z := zero.Outs[0]
	var sum *graph.Node
	switch acc := n.Attrs.Set("acc", true); {
	case n.Op == op.MatMul && len(n.Args) == 2:
		sum = g.NewNode(n, n.Op, []string{v.Base}, acc, n.Args[0], n.Args[1], z)
	case n.Op == op.ScatterAdd && len(n.Args) == 2:
		sum = g.NewNode(n, n.Op, []string{v.Base}, acc, n.Args[0], n.Args[1], z)
	case n.Op == op.SumRows && len(n.Args) == 1:
		sum = g.NewNode(n, n.Op, []string{v.Base}, acc, n.Args[0], z)
	default:
		sum = g.NewNode(n, op.Add, []string{v.Base}, nil, z, v)
		insert(g, n, true, sum)
		g.Replace(v, sum.Outs[0])
		sum.Args[1] = v
		return
	}
	insert(g, n, true, sum)
	g.Replace(v, sum.Outs[0])
	remove(g, map[*graph.Node]bool{n: true})
}
