package optimize

import (
	"slices"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// prepack lays out, in front of a loop over time, the matrices that its products read in every step.
func prepack(g *graph.Graph) {
	bodies(g, true, func(g *graph.Graph, n *graph.Node, top bool) {
		if n.Loop.Kind != graph.Scan {
			return
		}
		for _, m := range n.Loop.Body.Nodes {
			if m.Op != op.MatMul || m.Attrs.Bool("ta") || m.Attrs.Bool("packed") || m.Attrs.Bool("laid") {
				continue
			}
			w, each := argument(n, m.Args[1])
			if w == nil || each {
				continue
			}
			var attrs graph.Attrs
			name := w.Base + "Packed"
			if m.Attrs.Bool("tb") {
				attrs = graph.Attrs{{Key: "tb", Val: true}}
				name = w.Base + "TPacked"
			}
			p := g.NewNode(n, op.Pack, []string{name}, attrs, w)
			insert(g, n, false, p)
			in := n.ConstIn(p.Outs[0], m.Args[1].Base+"Packed")
			m.Args[1] = in
			m.Attrs = m.Attrs.Set("packed", true).Set("n", m.Outs[0].Shape.Last()).Set("tb", false)
		}
	})
	dce(g)
}

// layOut marks the products of a decoder's graph whose right matrix is a parameter, and the lookups whose table is one:
// it does not change while the decoder lives, so that it can be laid out once for all steps.
func layOut(g *graph.Graph) {
	var visit func(g *graph.Graph, loops []*graph.Node)
	visit = func(g *graph.Graph, loops []*graph.Node) {
		for _, n := range g.Nodes {
			if n.Loop != nil {
				visit(n.Loop.Body, append(loops[:len(loops):len(loops)], n))
				continue
			}
			if n.Op == op.MatMul && !n.Attrs.Bool("ta") && !n.Attrs.Bool("packed") && isParameter(n.Args[1], loops) {
				n.Attrs = n.Attrs.Set("laid", true)
			}
			if n.Op == op.Gather && isParameter(n.Args[0], loops) {
				n.Attrs = n.Attrs.Set("laid", true)
			}
		}
	}
	visit(g, nil)
}

// isParameter reports whether v, in the body of the innermost of loops, is a parameter or, in a loop over layers, the
// one of a layer.
func isParameter(v *graph.Value, loops []*graph.Node) bool {
	each := false
	for i := len(loops) - 1; i >= 0 && v.Role == graph.Local; i-- {
		outer, element := argument(loops[i], v)
		if outer == nil || element && (each || loops[i].Loop.Kind != graph.Repeat) {
			return false
		}
		v, each = outer, each || element
	}
	return v.Def == nil && v.Role == graph.Param
}

// argument gives the value of the loop behind an input of its body.
func argument(n *graph.Node, v *graph.Value) (*graph.Value, bool) {
	for i, in := range n.Loop.Body.Inputs {
		if in == v && i >= n.Loop.Carries {
			return n.Args[i], i < n.Loop.Carries+n.Loop.Seqs
		}
	}
	return nil, false
}

// giveOnce copies what a loop gives, or carries on, where that is an input of its body, the last value that an inner
// loop carried, another value under another shape, or given already: every result then has memory of its own. What a
// loop over layers carries may be given as it is.
func giveOnce(g *graph.Graph) {
	bodies(g, true, func(in *graph.Graph, n *graph.Node, top bool) {
		l := n.Loop
		seen := map[*graph.Value]bool{}
		for i, o := range l.Body.Outputs {
			if top && o.Def == nil && i == n.Kept(o) && !aimed(in, n.Outs[i]) &&
				!aimed(in, n.Outs[slices.Index(l.Body.Inputs, o)]) {
				continue // the elements that the loop carries are those that it gives
			}
			if i < l.Carries && o.Def != nil && !o.Def.Op.Alias {
				continue // a carry may be given as well
			}
			// stands in the memory of the inner loop
			last := o.Def != nil && o.Def.Loop != nil && o.Out < o.Def.Loop.Carries
			alias := o.Def != nil && o.Def.Op != nil && o.Def.Op.Alias // stands in the memory of its argument
			if o.Def != nil && !seen[o] && !last && !alias {
				seen[o] = true
				continue
			}
			like := *n
			c := l.Body.NewNode(&like, op.Copy, []string{o.Base + "Copy"}, nil, o)
			l.Body.Nodes = append([]*graph.Node{c}, l.Body.Nodes...)
			if o.Def != nil {
				l.Body.Nodes = append(l.Body.Nodes[1:], c)
			}
			l.Body.Outputs[i] = c.Outs[0]
		}
	})
}

// aimed reports whether v is an output of g, under whatever shape.
func aimed(g *graph.Graph, v *graph.Value) bool {
	return slices.ContainsFunc(g.Outputs, func(o *graph.Value) bool {
		for o.Def != nil && o.Def.Op.Alias {
			o = o.Def.Args[0]
		}
		return o == v
	})
}

// aimOnce copies what goes to two places outside of a graph, such as one sum of rows that is the gradient of two
// biases, and what stands in the memory of another value: then each place is written where it is computed.
func aimOnce(g *graph.Graph) {
	seen := map[*graph.Value]bool{}
	for i, o := range g.Outputs {
		if e := g.Targets[i].Ends; e != graph.Grad && e != graph.Kept {
			continue
		}
		if o.Def != nil && !o.Def.Op.Alias && !seen[o] {
			seen[o] = true
			continue
		}
		after := o.Def
		if after == nil {
			after = g.Nodes[len(g.Nodes)-1]
		}
		c := g.NewNode(after, op.Copy, []string{o.Base}, nil, o)
		insert(g, after, true, c)
		g.Outputs[i] = c.Outs[0]
	}
}

// tidyNames names values anew by what was asked for, so that "gx2" is "gx" again when the first gx has gone.
func tidyNames(g *graph.Graph) {
	g.Walk(func(g *graph.Graph) {
		g.Forget()
		for _, in := range g.Inputs {
			in.Name = g.Unique(in.Base)
		}
		for _, n := range g.Nodes {
			for _, o := range n.Outs {
				o.Name = g.Unique(o.Base)
			}
		}
	})
}
