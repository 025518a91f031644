package optimize

import (
	"slices"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// fuseElements makes one node of operations on elements that follow from each other: generated code then goes over
// memory once, row by row, and what lies between them stays in the first cache. Columns that are split and joined
// on the way are not moved at all.
func fuseElements(g *graph.Graph) {
	for _, n := range g.Nodes {
		if n.Loop != nil {
			fuseElements(n.Loop.Body)
		}
	}
	for i := 0; i < len(g.Nodes); i++ {
		if c := chainAt(g, i); c != nil {
			i += c.replace(g) - 1
		}
	}
}

// fewest is how many operations are worth a function of their own, and fewestMoving how many are where columns need
// not be moved for them. Fewer are read more easily where they stand, and run as fast.
const fewest, fewestMoving = 6, 2

// chain is a list of nodes that may become one, and the nodes among them.
type chain struct {
	from, to int           // places of the first node and behind the last one
	parts    []*chainPart  // nodes that follow from each other
	behind   []*graph.Node // what stands among the nodes and reads what they give
}

type chainPart struct {
	nodes []*graph.Node
	width graph.Dim // of the rows of all operations; whole when there is nothing else
	rows  bool
}

// alike reports whether two nodes belong to the same part of a program.
func alike(a, b *graph.Node) bool {
	return a.Phase == b.Phase && a.Scope == b.Scope && a.Part == b.Part && a.Pass == b.Pass && a.Stage == b.Stage
}

// onElements reports whether n may be part of a chain.
func onElements(n *graph.Node) bool {
	if n.Loop != nil || len(n.Outs[0].Shape) == 0 {
		return false
	}
	switch n.Op {
	case op.SplitColumns, op.JoinColumns:
		return true
	case op.AddBias:
		return n.Args[1].Def == nil || n.Args[1].Def.Op != op.AddBias
	}
	return n.Op.Elements
}

// moves reports whether n only moves columns.
func moves(n *graph.Node) bool { return n.Op == op.SplitColumns || n.Op == op.JoinColumns }

// chainAt gives the chains that begin with node i, or nil when nothing comes of it.
func chainAt(g *graph.Graph, i int) *chain {
	first := g.Nodes[i]
	if !onElements(first) {
		return nil
	}
	c := &chain{from: i}
	rows := first.Outs[0].Shape.Rows()
	in, behind := map[*graph.Node]bool{}, map[*graph.Node]bool{}
	var nodes []*graph.Node
	for j := i; j < len(g.Nodes) && alike(first, g.Nodes[j]); j++ {
		n := g.Nodes[j]
		reads, late := false, false
		for _, a := range n.Args {
			reads = reads || in[a.Def]
			late = late || behind[a.Def]
		}
		switch {
		case !late && onElements(n) && n.Outs[0].Shape.Rows().Same(rows) && fits(n, in):
			in[n] = true
			nodes = append(nodes, n)
			c.to = j + 1
		case reads || late:
			behind[n] = true
		}
	}
	for _, p := range connected(nodes) {
		if p.decide() {
			c.parts = append(c.parts, p)
		}
	}
	if len(c.parts) == 0 || !slices.Contains(c.parts[0].nodes, first) {
		return nil
	}
	for _, n := range g.Nodes[i:c.to] {
		if behind[n] {
			c.behind = append(c.behind, n)
		}
	}
	return c
}

// fits reports whether n goes with the nodes of a chain: columns are split off what comes from outside alone.
func fits(n *graph.Node, in map[*graph.Node]bool) bool {
	for i, a := range n.Args {
		if !in[a.Def] {
			continue
		}
		if n.Op == op.SplitColumns && a.Def.Op != op.SplitColumns {
			return false
		}
		if n.Op == op.AddBias && i == 1 {
			return false
		}
		if a.Def.Op == op.JoinColumns && n.Op != op.JoinColumns {
			return false
		}
	}
	return true
}

// connected are the nodes that follow from each other, each list in order.
func connected(nodes []*graph.Node) []*chainPart {
	of := map[*graph.Node]*chainPart{}
	var parts []*chainPart
	for _, n := range nodes {
		p := &chainPart{}
		for _, a := range n.Args {
			q := of[a.Def]
			if a.Def == nil || q == nil || q == p {
				continue
			}
			p.nodes = append(p.nodes, q.nodes...)
			for _, m := range q.nodes {
				of[m] = p
			}
			q.nodes = nil
		}
		p.nodes = append(p.nodes, n)
		of[n] = p
		parts = append(parts, p)
	}
	place := map[*graph.Node]int{}
	for i, n := range nodes {
		place[n] = i
	}
	parts = slices.DeleteFunc(parts, func(p *chainPart) bool { return len(p.nodes) == 0 })
	for _, p := range parts {
		slices.SortFunc(p.nodes, func(a, b *graph.Node) int { return place[a] - place[b] })
	}
	slices.SortFunc(parts, func(a, b *chainPart) int { return place[a.nodes[0]] - place[b.nodes[0]] })
	return parts
}

// decide finds how wide the rows of p are, and reports whether it becomes one node.
func (p *chainPart) decide() bool {
	work, moved := 0, 0
	for _, n := range p.nodes {
		if moves(n) {
			moved++
			continue
		}
		if work > 0 && !n.Outs[0].Shape.Last().Same(p.width) {
			return false
		}
		p.width = n.Outs[0].Shape.Last()
		p.rows = p.rows || n.Op == op.AddBias
		work++
	}
	if work < fewest && !(work >= fewestMoving && moved > 0) {
		return false
	}
	p.rows = p.rows || moved > 0
	if !p.rows {
		return true
	}
	if !p.width.IsConst() {
		return false
	}
	for _, n := range p.nodes {
		for _, v := range slices.Concat(n.Args, n.Outs) {
			if moves(n) && v.Shape.Last().N%p.width.N != 0 {
				return false
			}
		}
	}
	return true
}

// replace puts the nodes of the chain in the place of what they are made of, and gives their number.
func (c *chain) replace(g *graph.Graph) int {
	part := map[*graph.Node]*chainPart{}
	for _, p := range c.parts {
		for _, n := range p.nodes {
			part[n] = p
		}
	}
	var before, behind, made []*graph.Node
	late := map[*graph.Node]bool{}
	for _, n := range c.behind {
		late[n] = true
	}
	for _, n := range g.Nodes[c.from:c.to] {
		if part[n] != nil {
			continue
		}
		reads := late[n]
		for _, a := range n.Args {
			reads = reads || part[a.Def] != nil || late[a.Def]
		}
		late[n] = reads
		if reads {
			behind = append(behind, n)
		} else {
			before = append(before, n)
		}
	}
	for _, p := range c.parts {
		made = append(made, p.fuse(g))
	}
	g.Nodes = slices.Replace(g.Nodes, c.from, c.to, slices.Concat(before, made, behind)...)
	return len(before) + len(made)
}

// fuse makes the node of p. Its results are the values that are read elsewhere, themselves.
func (p *chainPart) fuse(g *graph.Graph) *graph.Node {
	body := graph.New("elements")
	in := map[*graph.Node]bool{}
	for _, n := range p.nodes {
		in[n] = true
	}
	is := map[*graph.Value]*graph.Value{} // in the body
	fused := &graph.Node{Op: op.Elementwise}
	last := p.nodes[len(p.nodes)-1]
	fused.Phase, fused.Scope, fused.Part, fused.Pass, fused.Stage, fused.Origin = last.Phase, last.Scope, last.Part,
		last.Pass, last.Stage, last.Origin
	for _, n := range p.nodes {
		var args []*graph.Value
		for _, a := range n.Args {
			if is[a] == nil {
				is[a] = body.Input(a.Base, graph.Local, a.Type, a.Shape)
				fused.Args = append(fused.Args, a)
			}
			args = append(args, is[a])
		}
		var names []string
		for _, o := range n.Outs {
			names = append(names, o.Base)
		}
		m := body.NewNode(n, n.Op, names, n.Attrs, args...)
		body.Nodes = append(body.Nodes, m)
		for i, o := range n.Outs {
			m.Outs[i].Shape = o.Shape // with the names of its sizes
			is[o] = m.Outs[i]
		}
	}
	read := map[*graph.Value]bool{}
	for _, o := range g.Outputs {
		read[o] = true
	}
	for _, n := range g.Nodes {
		if !in[n] {
			for _, a := range n.Args {
				read[a] = true
			}
		}
	}
	for _, n := range p.nodes {
		for _, o := range n.Outs {
			if read[o] {
				body.Outputs = append(body.Outputs, is[o])
				o.Def, o.Out = fused, len(fused.Outs)
				fused.Outs = append(fused.Outs, o)
			}
		}
	}
	fused.Attrs = graph.Attrs{{Key: "body", Val: op.Body{Graph: body}}}
	if p.rows {
		fused.Attrs = fused.Attrs.Set("n", p.width)
	}
	return fused
}

// fuseGradients makes one operation, in nodes of elements, of the gradient of a tanh or of a sigmoid and the product
// that it alone reads, which changes no bit. Parts of wide rows, as the gates of a cell are, are read early instead:
// gradients then take their place.
func fuseGradients(g *graph.Graph) {
	g.Walk(func(g *graph.Graph) {
		for _, n := range g.Nodes {
			if n.Op != op.Elementwise {
				continue
			}
			body := op.BodyOf(n).Graph
			count := uses(body)
			for i, m := range body.Nodes {
				o := map[*graph.Op]*graph.Op{op.TanhGrad: op.MulTanhGrad, op.SigmoidGrad: op.MulSigmoidGrad}[m.Op]
				if o == nil || !is(m.Args[1], op.Mul) || count[m.Args[1]] != 1 {
					continue
				}
				p := m.Args[1].Def
				if is(p.Args[0], op.SplitColumns) || is(p.Args[1], op.SplitColumns) {
					continue
				}
				f := body.NewNode(m, o, []string{m.Outs[0].Base}, nil, m.Args[0], p.Args[0], p.Args[1])
				f.Outs[0].Shape = m.Outs[0].Shape // with the names of its sizes
				body.Replace(m.Outs[0], f.Outs[0])
				body.Nodes[i] = f
			}
			dce(body)
		}
	})
}
