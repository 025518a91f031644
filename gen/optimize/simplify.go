package optimize

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// simplify applies rules of algebra to single nodes.
func simplify(g *graph.Graph) {
	gone := map[*graph.Node]bool{}
	for i, n := range g.Nodes {
		if n.Loop != nil {
			simplify(n.Loop.Body)
			continue
		}
		if v := same(n); v != nil {
			g.Replace(n.Outs[0], v)
			gone[n] = true
			continue
		}
		if m := lookup(g, n); m != nil {
			g.Replace(n.Outs[0], m.Outs[0])
			g.Nodes[i] = m
		}
	}
	remove(g, gone)
}

func is(v *graph.Value, o *graph.Op) bool { return v.Def != nil && v.Def.Op == o }

// same gives the argument that the node's result equals, if there is one.
func same(n *graph.Node) *graph.Value {
	switch n.Op {
	case op.Add:
		if is(n.Args[0], op.Zeros) {
			return n.Args[1]
		}
		if is(n.Args[1], op.Zeros) {
			return n.Args[0]
		}
	case op.Mul:
		if is(n.Args[0], op.Ones) {
			return n.Args[1]
		}
		if is(n.Args[1], op.Ones) {
			return n.Args[0]
		}
	case op.Scale:
		if n.Attrs.Float("by") == 1 || is(n.Args[0], op.Zeros) {
			return n.Args[0]
		}
	case op.ResetRows, op.Dropout:
		if is(n.Args[0], op.Zeros) {
			return n.Args[0]
		}
	}
	return nil
}

// lookup turns a product with one-hot rows into a lookup of the matrix's rows, and its gradient into a sum by row.
func lookup(g *graph.Graph, n *graph.Node) *graph.Node {
	if n.Op != op.MatMul || len(n.Args) != 2 || !is(n.Args[0], op.OneHot) || n.Attrs.Bool("tb") {
		return nil
	}
	hot := n.Args[0].Def
	name := []string{n.Outs[0].Base}
	if n.Attrs.Bool("ta") {
		return g.NewNode(n, op.ScatterAdd, name, graph.Attrs{{Key: "rows", Val: hot.Outs[0].Shape.Last()}}, hot.Args[0],
			n.Args[1])
	}
	return g.NewNode(n, op.Gather, name, nil, n.Args[1], hot.Args[0])
}
