package graph

import "fmt"

// Verify checks that a graph is well-formed: every value is given once and before it is read, shapes are those that
// the operations' rules give, loops' arguments fit their bodies, phases are in order, no state is read after it has
// been replaced.
func (g *Graph) Verify() error {
	if len(g.Outputs) != len(g.Targets) {
		return fmt.Errorf("graph %s: %d outputs with %d targets", g.Name, len(g.Outputs), len(g.Targets))
	}
	return g.verify()
}

func (g *Graph) verify() error {
	known, names := map[*Value]bool{}, map[string]bool{}
	give := func(v *Value) error {
		if known[v] {
			return fmt.Errorf("graph %s: %s is given twice", g.Name, v)
		}
		if names[v.Name] {
			return fmt.Errorf("graph %s: two values are named %s", g.Name, v)
		}
		known[v], names[v.Name] = true, true
		return nil
	}
	for _, in := range g.Inputs {
		if in.Def != nil {
			return fmt.Errorf("graph %s: input %s has a node", g.Name, in)
		}
		if err := give(in); err != nil {
			return err
		}
	}
	phase := Forward
	for _, n := range g.Nodes {
		if n.Phase < phase {
			return fmt.Errorf("graph %s: %s node %s after a %s node", g.Name, n.Phase, n.Outs[0], phase)
		}
		phase = n.Phase
		for _, a := range n.Args {
			if !known[a] {
				return fmt.Errorf("graph %s: node %s %v reads %s before it is given", g.Name, n.Op.Name, n.Outs, a)
			}
		}
		if err := n.verify(); err != nil {
			return fmt.Errorf("graph %s: %w", g.Name, err)
		}
		for i, o := range n.Outs {
			if o.Def != n || o.Out != i {
				return fmt.Errorf("graph %s: %s does not point at its node", g.Name, o)
			}
			if err := give(o); err != nil {
				return err
			}
		}
	}
	for _, o := range g.Outputs {
		if !known[o] {
			return fmt.Errorf("graph %s: output %s is not given", g.Name, o)
		}
	}
	return nil
}

func (n *Node) verify() error {
	if n.Loop == nil {
		shapes, err := n.Op.Infer(n)
		if err != nil {
			return fmt.Errorf("%s %v: %w", n.Op.Name, n.Outs, err)
		}
		if len(shapes) != len(n.Outs) {
			return fmt.Errorf("%s gives %d values, not %d", n.Op.Name, len(shapes), len(n.Outs))
		}
		for i, s := range shapes {
			if o := n.Outs[i]; o.Type != s.Type || !o.Shape.Same(s.Shape) {
				return fmt.Errorf("%s: %s is %s%s, its operation gives %s%s", n.Op.Name, o, o.Type, o.Shape, s.Type,
					s.Shape)
			}
		}
		return nil
	}
	l := n.Loop
	if len(n.Args) != len(l.Body.Inputs) || len(n.Outs) != len(l.Body.Outputs) || l.Carries+l.Seqs > len(n.Args) ||
		l.Carries > len(n.Outs) {
		return fmt.Errorf("loop %v: arguments or results do not fit its body", n.Outs)
	}
	for i, a := range n.Args {
		in, want := l.Body.Inputs[i], a.Shape
		if i >= l.Carries && i < l.Carries+l.Seqs {
			if len(a.Shape) == 0 || !a.Shape[0].Same(l.Trip) {
				return fmt.Errorf("loop %v: sequence %s%s does not have %s elements", n.Outs, a, a.Shape, l.Trip)
			}
			want = a.Shape[1:]
		}
		if !in.Shape.Same(want) || in.Type != a.Type {
			return fmt.Errorf("loop %v: %s is %s, its body reads %s", n.Outs, a, want, in.Shape)
		}
	}
	for i, o := range n.Outs {
		want := l.Body.Outputs[i].Shape
		if i < l.Carries {
			if !want.Same(l.Body.Inputs[i].Shape) {
				return fmt.Errorf("loop %v: carry %s changes its shape to %s", n.Outs, l.Body.Inputs[i], want)
			}
		} else {
			want = want.Stack(l.Trip)
		}
		if !o.Shape.Same(want) {
			return fmt.Errorf("loop %v: %s is %s, its body gives %s", n.Outs, o, o.Shape, want)
		}
	}
	return l.Body.verify()
}
