package optimize

import (
	"slices"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// fuseLoss joins a loss and its gradient, where the loss, or a sum with it, is what is differentiated.
func fuseLoss(g *graph.Graph) {
	for _, l := range op.Losses {
		fuse(g, l)
	}
}

func fuse(g *graph.Graph, l op.Loss) {
	for _, n := range append([]*graph.Node{}, g.Nodes...) {
		if n.Op != l.Grad {
			continue
		}
		last := len(n.Args) - 1
		if !is(n.Args[last], op.Ones) {
			continue
		}
		for _, m := range g.Nodes {
			if m.Op != l.Loss || !slices.Equal(m.Args, n.Args[:last]) || m.Attrs.String() != n.Attrs.String() {
				continue
			}
			f := g.NewNode(m, l.Fused, []string{m.Outs[0].Base, m.Outs[1].Base, n.Outs[0].Base}, m.Attrs, m.Args...)
			insert(g, m, false, f)
			g.Replace(m.Outs[0], f.Outs[0])
			g.Replace(m.Outs[1], f.Outs[1])
			g.Replace(n.Outs[0], f.Outs[2])
			remove(g, map[*graph.Node]bool{m: true, n: true})
			break
		}
	}
}

// fuseEpilogue makes sums, biases and activations part of the product whose result only they read, and a sum part of
// the scattering, or of the sum of rows, whose result only it reads.
func fuseEpilogue(g *graph.Graph) {
	for _, n := range g.Nodes {
		if n.Loop != nil {
			fuseEpilogue(n.Loop.Body)
		}
	}
	for again := true; again; {
		again = false
		count := uses(g)
		for i, n := range g.Nodes {
			if f, gone := fused(g, n, count); f != nil {
				g.Replace(n.Outs[0], f.Outs[0])
				g.Nodes[i] = f
				remove(g, map[*graph.Node]bool{gone: true})
				again = true
				break
			}
		}
	}
}

// fused gives the node that takes the place of n and of the product whose result n reads.
func fused(g *graph.Graph, n *graph.Node, count map[*graph.Value]int) (f, gone *graph.Node) {
	product := func(i int, o *graph.Op) *graph.Node {
		if d := n.Args[i].Def; d != nil && d.Op == o && count[n.Args[i]] == 1 && d.Attrs.Str("act") == "" &&
			d.Phase == n.Phase {
			return d
		}
		return nil
	}
	build := func(p *graph.Node, attrs graph.Attrs, args ...*graph.Value) (*graph.Node, *graph.Node) {
		return g.NewNode(n, p.Op, []string{n.Outs[0].Base}, attrs, args...), p
	}
	switch n.Op {
	case op.AddBias:
		if p := product(0, op.MatMul); p != nil && !p.Attrs.Bool("bias") {
			return build(p, p.Attrs.Set("bias", true), append(append([]*graph.Value{}, p.Args...), n.Args[1])...)
		}
	case op.Add:
		for i := 1; i >= 0; i-- {
			if p := product(i, op.MatMul); p != nil && !p.Attrs.Bool("acc") {
				args := append([]*graph.Value{p.Args[0], p.Args[1], n.Args[1-i]}, p.Args[2:]...)
				return build(p, p.Attrs.Set("acc", true), args...)
			}
			if p := product(i, op.ScatterAdd); p != nil && !p.Attrs.Bool("acc") {
				return build(p, p.Attrs.Set("acc", true), p.Args[0], p.Args[1], n.Args[1-i])
			}
			if p := product(i, op.SumRows); p != nil && !p.Attrs.Bool("acc") {
				return build(p, p.Attrs.Set("acc", true), p.Args[0], n.Args[1-i])
			}
		}
	}
	if op.Follows(n.Op) {
		if p := product(0, op.MatMul); p != nil {
			return build(p, p.Attrs.Set("act", n.Op.Name), p.Args...)
		}
	}
	return nil, nil
}
