package optimize

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// contract makes one operation of a sum and a product that nothing but the sum reads, which then rounds once. It runs
// when the gradients are there, so that they follow from products and sums. Where both sides of a sum are products, the
// first one is contracted, and the second rounds as before: f∘c + i∘g is fma(f, c, i∘g). Before that, two products that
// have a factor in common become one, in fewer operations:
//
//	(1 − z)∘a + z∘b = a + z∘(b − a)
//	a∘b ± a∘c       = a∘(b ± c)
//
// and a term of factor −1 is subtracted. Whether it applies does not depend on what else is computed nearby: a decoder
// computes what a training step does. Numbers stay what they are, expressions of Go.
func contract(g *graph.Graph) {
	for _, n := range g.Nodes {
		if n.Loop != nil {
			contract(n.Loop.Body)
		}
	}
	c := contraction{g: g, count: uses(g)}
	for i := 0; i < len(g.Nodes); i++ {
		n := g.Nodes[i]
		if n.Op != op.Add && n.Op != op.Sub || len(n.Outs[0].Shape) == 0 {
			continue
		}
		made, gone := c.sum(n)
		if made == nil {
			continue
		}
		last := made[len(made)-1]
		g.Replace(n.Outs[0], last.Outs[0])
		insert(g, n, false, made...)
		dead := map[*graph.Node]bool{n: true}
		for _, m := range gone {
			dead[m] = true
		}
		remove(g, dead)
		c.count = uses(g)
		// A sum that was made may be contracted in its turn, and so may one that reads what was made.
		i -= len(gone) + 1
	}
}

type contraction struct {
	g     *graph.Graph
	count map[*graph.Value]int
}

// term is the node that gives argument i of n, if n alone reads it and it is of one of the operations.
func (c *contraction) term(n *graph.Node, i int, ops ...*graph.Op) *graph.Node {
	v := n.Args[i]
	if v.Def == nil || v.Def.Loop != nil || c.count[v] != 1 || !sameStep(n, v.Def) {
		return nil
	}
	for _, o := range ops {
		if v.Def.Op == o {
			return v.Def
		}
	}
	return nil
}

// sameStep reports whether two nodes come out in the same function, or at least in ones that run together.
func sameStep(a, b *graph.Node) bool {
	return a.Phase == b.Phase && a.Stage == b.Stage && a.Pass == b.Pass
}

// sum gives the nodes that take the place of the sum or difference n, and what is gone with it.
func (c *contraction) sum(n *graph.Node) (made, gone []*graph.Node) {
	one := func(gone *graph.Node, o *graph.Op, args ...*graph.Value) ([]*graph.Node, []*graph.Node) {
		return []*graph.Node{c.node(n, o, args...)}, []*graph.Node{gone}
	}
	for i := range n.Args {
		if s := c.term(n, i, op.Scale); s != nil && s.Attrs.Float("by") == -1 && (n.Op == op.Add || i == 1) {
			if n.Op == op.Sub {
				return one(s, op.Add, n.Args[0], s.Args[0])
			}
			return one(s, op.Sub, n.Args[1-i], s.Args[0])
		}
	}
	a, b := c.term(n, 0, op.Mul), c.term(n, 1, op.Mul)
	if a != nil && b != nil {
		if made := c.between(n, a, b); made != nil {
			return made, []*graph.Node{a, b}
		}
		if made := c.common(n, a, b); made != nil {
			return made, []*graph.Node{a, b}
		}
	}
	for i := range n.Args {
		p := c.term(n, i, op.Mul, op.TanhGrad, op.SigmoidGrad)
		if p == nil {
			continue
		}
		rest := n.Args[1-i]
		x, y := p.Args[0], p.Args[1]
		switch {
		case p.Op == op.TanhGrad && n.Op == op.Add:
			return one(p, op.AddTanhGrad, rest, x, y)
		case p.Op == op.SigmoidGrad && n.Op == op.Add:
			return one(p, op.AddSigmoidGrad, rest, x, y)
		case p.Op != op.Mul:
			continue
		case n.Op == op.Add:
			return one(p, op.MulAdd, x, y, rest)
		case i == 0:
			return one(p, op.MulSub, x, y, rest)
		default:
			return one(p, op.SubMul, rest, x, y)
		}
	}
	return nil, nil
}

// node is one like n, of the same name.
func (c *contraction) node(n *graph.Node, o *graph.Op, args ...*graph.Value) *graph.Node {
	return c.g.NewNode(n, o, []string{n.Outs[0].Base}, nil, args...)
}

// between gives a + z∘(b − a) for the sum n of the products (1 − z)∘a and z∘b, in either order.
func (c *contraction) between(n, p, q *graph.Node) []*graph.Node {
	if n.Op != op.Add {
		return nil
	}
	for _, two := range [][2]*graph.Node{{p, q}, {q, p}} {
		for i, rest := range two[0].Args {
			if !is(rest, op.Affine) || rest.Def.Attrs.Float("by") != -1 || rest.Def.Attrs.Float("plus") != 1 {
				continue
			}
			for j, z := range two[1].Args {
				if z != rest.Def.Args[0] {
					continue
				}
				a, b := two[0].Args[1-i], two[1].Args[1-j]
				change := c.node(n, op.Sub, b, a)
				return []*graph.Node{change, c.node(n, op.MulAdd, z, change.Outs[0], a)}
			}
		}
	}
	return nil
}

// common gives x∘(a ± b) for the sum or difference n of the products x∘a and x∘b.
func (c *contraction) common(n, p, q *graph.Node) []*graph.Node {
	for i, x := range p.Args {
		for j, y := range q.Args {
			if x == y {
				sum := c.node(n, n.Op, p.Args[1-i], q.Args[1-j])
				return []*graph.Node{sum, c.node(n, op.Mul, x, sum.Outs[0])}
			}
		}
	}
	return nil
}
