package graph

import "fmt"

// Builder adds nodes to a graph.
type Builder struct {
	G      *Graph
	Phase  Phase
	Scope  string
	Part   string
	Pass   string
	Stage  string
	Origin string
}

// Apply adds a node and gives its results, named by names; a node of one result takes one name. It panics when the
// arguments do not fit: that is a defect of the compiler, as the spec has been checked.
func (b *Builder) Apply(op *Op, names []string, attrs Attrs, args ...*Value) []*Value {
	n := &Node{Op: op, Args: args, Attrs: attrs, Phase: b.Phase, Scope: b.Scope, Part: b.Part, Pass: b.Pass,
		Stage: b.Stage, Origin: b.Origin}
	if err := b.G.finish(n, names); err != nil {
		panic(NewFault(b.Origin, err))
	}
	b.G.Nodes = append(b.G.Nodes, n)
	return n.Outs
}

// NewNode makes a node for g without adding it to its list.
func (g *Graph) NewNode(like *Node, op *Op, names []string, attrs Attrs, args ...*Value) *Node {
	n := &Node{Op: op, Args: args, Attrs: attrs, Phase: like.Phase, Scope: like.Scope, Part: like.Part, Pass: like.Pass,
		Stage: like.Stage, Origin: like.Origin}
	if err := g.finish(n, names); err != nil {
		panic(NewFault(like.Origin, err))
	}
	return n
}

func (g *Graph) finish(n *Node, names []string) error {
	shapes, err := n.Op.Infer(n)
	if err != nil {
		return fmt.Errorf("graph %s: %s(%v): %w", g.Name, n.Op.Name, argText(n.Args), err)
	}
	for i, s := range shapes {
		name := n.Op.Name
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		n.Outs = append(n.Outs, &Value{Name: g.Unique(name), Base: name, Type: s.Type, Shape: s.Shape, Def: n, Out: i})
	}
	return nil
}

// AddLoop adds a loop whose body is complete; args are the first carries, the sequences and the invariants. names are
// those of the results.
func (b *Builder) AddLoop(l *Loop, names []string, args ...*Value) *Node {
	n := &Node{Op: LoopOp, Args: args, Loop: l, Phase: b.Phase, Scope: b.Scope, Part: b.Part, Pass: b.Pass,
		Stage: b.Stage, Origin: b.Origin}
	for i, o := range l.Body.Outputs {
		name := o.Base
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		n.Outs = append(n.Outs, b.G.loopOut(n, i, name))
	}
	b.G.Nodes = append(b.G.Nodes, n)
	return n
}

func (g *Graph) loopOut(n *Node, i int, name string) *Value {
	o := n.Loop.Body.Outputs[i]
	shape := o.Shape
	if i >= n.Loop.Carries {
		shape = shape.Stack(n.Loop.Trip)
	}
	return &Value{Name: g.Unique(name), Base: name, Type: o.Type, Shape: shape, Def: n, Out: i}
}

// StackOut gives the stacked values over all iterations of the body's value v, adding an output to the loop n of graph
// g where there is none yet.
func (g *Graph) StackOut(n *Node, v *Value, name string) *Value {
	for i := n.Loop.Carries; i < len(n.Outs); i++ {
		if n.Loop.Body.Outputs[i] == v {
			return n.Outs[i]
		}
	}
	n.Loop.Body.Outputs = append(n.Loop.Body.Outputs, v)
	out := g.loopOut(n, len(n.Outs), name)
	n.Outs = append(n.Outs, out)
	return out
}

// SeqIn gives the body's input that reads the elements of the stacked value seq, adding one where there is none yet.
func (n *Node) SeqIn(seq *Value, name string) *Value {
	l := n.Loop
	for i := l.Carries; i < l.Carries+l.Seqs; i++ {
		if n.Args[i] == seq {
			return l.Body.Inputs[i]
		}
	}
	in := &Value{Name: name, Type: seq.Type, Shape: seq.Shape[1:]}
	at := l.Carries + l.Seqs
	l.Body.InsertInput(at, in)
	n.Args = append(n.Args, nil)
	copy(n.Args[at+1:], n.Args[at:])
	n.Args[at] = seq
	l.Seqs++
	return in
}

// ConstIn gives the body's input that is the invariant v, adding one where there is none yet.
func (n *Node) ConstIn(v *Value, name string) *Value {
	l := n.Loop
	for i := l.Carries + l.Seqs; i < len(n.Args); i++ {
		if n.Args[i] == v {
			return l.Body.Inputs[i]
		}
	}
	in := &Value{Name: name, Type: v.Type, Shape: v.Shape}
	l.Body.InsertInput(len(l.Body.Inputs), in)
	n.Args = append(n.Args, v)
	return in
}

// LoopOp is the operation of loops; their rules stand with the stages.
var LoopOp = &Op{Name: "loop"}
