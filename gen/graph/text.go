package graph

import (
	"fmt"
	"strings"
)

// String is the text form of a graph: what -dump prints and golden files hold.
func (g *Graph) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "graph %s {\n", g.Name)
	for _, in := range g.Inputs {
		fmt.Fprintf(&b, "  %-5s %s %s%s\n",
			[...]string{"in", "param", "data", "state", "table", "scalar", "cache"}[in.Role], in, in.Type, in.Shape)
	}
	phase := Phase(255)
	for _, n := range g.Nodes {
		if n.Phase != phase {
			phase = n.Phase
			fmt.Fprintf(&b, "\n  # %s\n", phase)
		}
		n.write(&b, "  ")
	}
	b.WriteString("\n")
	for i, o := range g.Outputs {
		fmt.Fprintf(&b, "  out   %s = %s\n", g.Targets[i], o)
	}
	b.WriteString("}\n")
	return b.String()
}

func (n *Node) write(b *strings.Builder, indent string) {
	outs := make([]string, len(n.Outs))
	types := make([]string, len(n.Outs))
	for i, o := range n.Outs {
		outs[i] = o.String()
		types[i] = o.Type.String() + o.Shape.String()
	}
	origin := ""
	if n.Origin != "" {
		origin = "  # " + n.Origin
	}
	if n.Loop == nil {
		fmt.Fprintf(b, "%s%s = %s%s(%s) : %s%s\n", indent, strings.Join(outs, ", "), n.Op.Name, n.Attrs,
			argText(n.Args), strings.Join(types, ", "), origin)
		return
	}
	l := n.Loop
	dir := ""
	if l.Reverse {
		dir = " reverse"
	}
	if l.Recompute {
		dir += " recompute"
	}
	fmt.Fprintf(b, "%s%s = %s %s < %s%s {%s\n", indent, strings.Join(outs, ", "), l.Kind, l.Index, l.Trip, dir, origin)
	for i, in := range l.Body.Inputs {
		kind := "const"
		if i < l.Carries {
			kind = "carry"
		} else if i < l.Carries+l.Seqs {
			kind = "each"
		}
		fmt.Fprintf(b, "%s  %s %s = %s : %s%s\n", indent, kind, in, n.Args[i], in.Type, in.Shape)
	}
	for _, m := range l.Body.Nodes {
		m.write(b, indent+"  ")
	}
	fmt.Fprintf(b, "%s  next %s\n", indent, argText(l.Body.Outputs[:l.Carries]))
	fmt.Fprintf(b, "%s  give %s\n", indent, argText(l.Body.Outputs[l.Carries:]))
	fmt.Fprintf(b, "%s} : %s\n", indent, strings.Join(types, ", "))
}

func argText(vs []*Value) string {
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = v.String()
	}
	return strings.Join(parts, ", ")
}

// Dot is the graph for Graphviz: boxes for operations, clusters for loops, the arrows' labels shapes.
func (g *Graph) Dot() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=TB;\n  node [shape=box, fontname=\"Helvetica\", fontsize=10];\n  edge "+
		"[fontname=\"Helvetica\", fontsize=8];\n", g.Name)
	d := dotter{b: &b, at: map[*Value]string{}}
	d.inputs(g, "  ")
	d.nodes(g, "  ")
	for i, o := range g.Outputs {
		id := d.id()
		fmt.Fprintf(&b, "  %s [label=%q, shape=ellipse, style=filled, fillcolor=\"#e0f0e0\"];\n", id,
			g.Targets[i].String())
		d.edge(o, id)
	}
	b.WriteString("}\n")
	return b.String()
}

type dotter struct {
	b  *strings.Builder
	n  int
	at map[*Value]string
}

func (d *dotter) id() string { d.n++; return fmt.Sprintf("n%d", d.n) }

func (d *dotter) edge(v *Value, to string) {
	fmt.Fprintf(d.b, "  %s -> %s [label=%q];\n", d.at[v], to, v.Shape.String())
}

func (d *dotter) inputs(g *Graph, indent string) {
	for _, in := range g.Inputs {
		id := d.id()
		color := map[Role]string{Param: "#f0e0c0", Data: "#d0e0f8", State: "#e8d8f0", Local: "#ffffff"}[in.Role]
		fmt.Fprintf(d.b, "%s%s [label=%q, shape=ellipse, style=filled, fillcolor=%q];\n", indent, id, in.Name, color)
		d.at[in] = id
	}
}

func (d *dotter) nodes(g *Graph, indent string) {
	for _, n := range g.Nodes {
		if n.Loop == nil {
			id := d.id()
			fmt.Fprintf(d.b, "%s%s [label=%q];\n", indent, id, n.Op.Name+"\n"+n.Outs[0].Name)
			for _, a := range n.Args {
				d.edge(a, id)
			}
			for _, o := range n.Outs {
				d.at[o] = id
			}
			continue
		}
		l := n.Loop
		fmt.Fprintf(d.b, "%ssubgraph cluster_%d {\n%s  label=%q; style=rounded; color=\"#888888\";\n", indent, d.n,
			indent, fmt.Sprintf("%s %s %s < %s", n.Scope, l.Kind, l.Index, l.Trip))
		d.inputs(l.Body, indent+"  ")
		d.nodes(l.Body, indent+"  ")
		fmt.Fprintf(d.b, "%s}\n", indent)
		for i, a := range n.Args {
			d.edge(a, d.at[l.Body.Inputs[i]])
		}
		for i, o := range n.Outs {
			d.at[o] = d.at[l.Body.Outputs[i]]
		}
	}
}
