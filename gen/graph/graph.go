// Package graph is the intermediate representation of the compiler: a list of nodes in the order of their execution,
// each of which applies an operation to values and gives values.
//
// A graph is closed: what a loop's body reads is an input of the body. Loops are nodes like any other, so that a
// recurrent layer and a stack of equal layers keep their form from the spec to the Go code.
//
// The package must know nothing of specs, of Go code, or of any single operation; those stand in gen/op.
package graph

import (
	"fmt"
	"strings"
)

// Phase tells the parts of a training step apart. Nodes of a graph are in the order of their phases.
type Phase uint8

// Phases, in the order of their execution.
const (
	Forward  Phase = iota // up to the logits and the carried state
	Loss                  // from the logits to the loss
	Backward              // gradients
)

func (p Phase) String() string { return [...]string{"forward", "loss", "backward"}[p] }

// Role says what an input of a whole graph is.
type Role uint8

// Roles of inputs.
const (
	Local  Role = iota // an input of a loop's body
	Param              // a learnt parameter
	Data               // tokens, targets, resets
	State              // carried from one call to the next
	Table              // constants that are computed when the program starts
	Scalar             // a number that is another one in each step
	Cache              // what decoding has kept of earlier tokens; its operation changes it
)

// Value is what a node gives, or an input.
type Value struct {
	Name  string // unique in its graph
	Base  string // the name that was asked for, before it was made unique
	Type  Type
	Shape Shape
	Role  Role  // for inputs
	ID    ID    // for inputs of whole graphs: what they are
	Def   *Node // nil for inputs
	Out   int   // index in Def.Outs
}

func (v *Value) String() string { return "%" + v.Name }

// Node applies Op to Args. A node with a Loop runs its body instead.
type Node struct {
	Op    *Op
	Args  []*Value
	Outs  []*Value
	Attrs Attrs
	Loop  *Loop
	Phase Phase
	Scope string // the layer that it belongs to
	Part  string // the part of a block in it: "attention"; may be empty
	// the application of a network, where there are several in the graph: "real"; empty where there is one
	Pass   string
	Stage  string // the part of a forward pass that can be run by itself: "encode"; empty where there is only the whole
	Origin string // file:line of that layer in the spec
}

// LoopKind tells loops over time from loops over layers.
type LoopKind uint8

// Kinds of loops.
const (
	Scan   LoopKind = iota // over time steps
	Repeat                 // over equal layers
)

func (k LoopKind) String() string {
	if k == Repeat {
		return "repeat"
	}
	return "scan"
}

// Loop is a loop with carried values. The node's Args are the first values of the carries, then the sequences, of
// which iteration i reads element i, then the invariants. Body.Inputs stand in the same order. Body.Outputs are the
// next values of the carries, then what each iteration gives; the node's Outs are the last values of the carries, then
// all iterations' stacked.
type Loop struct {
	Kind    LoopKind
	Trip    Dim
	Reverse bool // runs from the last element to the first
	// the gradient computes what it needs of the body again, from what an iteration reads, in place of keeping it
	Recompute bool
	Index     string // name of the loop variable
	Carries   int
	Seqs      int
	Body      *Graph
}

// Graph is a list of nodes in an order in which every value is given before it is read.
type Graph struct {
	Name    string
	Inputs  []*Value
	Nodes   []*Node
	Outputs []*Value
	Targets []Target // for a whole graph: where each output goes

	names map[string]bool
}

// New makes an empty graph.
func New(name string) *Graph { return &Graph{Name: name, names: map[string]bool{}} }

// Unique gives name, or the first of name2, name3, … that the graph does not have, and takes it.
func (g *Graph) Unique(name string) string {
	if g.names == nil {
		g.names = map[string]bool{}
	}
	if name == "" {
		name = "v"
	}
	if !g.names[name] {
		g.names[name] = true
		return name
	}
	for i := 2; ; i++ {
		if n := fmt.Sprintf("%s%d", name, i); !g.names[n] {
			g.names[n] = true
			return n
		}
	}
}

// Input adds an input.
func (g *Graph) Input(name string, role Role, t Type, shape Shape) *Value {
	v := &Value{Name: g.Unique(name), Base: name, Type: t, Shape: shape, Role: role, ID: Identity(name)}
	g.Inputs = append(g.Inputs, v)
	return v
}

// StateInput adds the input that is the state of that name, as the last call left it. Its value is called after it,
// with a 0.
func (g *Graph) StateInput(name string, shape Shape) *Value {
	v := g.Input(name+"0", State, F32, shape)
	v.ID = Identity(name)
	return v
}

// Output adds an output and says where it goes, in the text form of a target.
func (g *Graph) Output(v *Value, target string) {
	g.Outputs = append(g.Outputs, v)
	g.Targets = append(g.Targets, To(target))
}

// InsertInput adds an input at place i.
func (g *Graph) InsertInput(i int, v *Value) {
	v.Base = v.Name
	v.Name = g.Unique(v.Name)
	g.Inputs = append(g.Inputs, nil)
	copy(g.Inputs[i+1:], g.Inputs[i:])
	g.Inputs[i] = v
}

// Consts is the number of invariants of a loop.
func (n *Node) Consts() int { return len(n.Args) - n.Loop.Carries - n.Loop.Seqs }

// Kept is the result of loop n that stacks what carry v, an input of its body, is in each iteration, or -1. A loop over
// layers can keep such a value in one stack that is longer by one: it reads element l, writes element l+1, and copies
// nothing. For that each iteration has to compute the next value, and no other result may be that.
func (n *Node) Kept(v *Value) int {
	l := n.Loop
	if l.Kind != Repeat || l.Reverse || !l.Trip.IsConst() {
		return -1
	}
	carry, given := -1, -1
	for i, in := range l.Body.Inputs[:l.Carries] {
		if in == v {
			carry = i
		}
	}
	if carry < 0 {
		return -1
	}
	next := l.Body.Outputs[carry]
	if next.Def == nil || next.Def.Loop != nil || next.Def.Op.Alias {
		return -1
	}
	for j, o := range l.Body.Outputs {
		if o == next && j != carry || o == v && j < l.Carries {
			return -1
		}
		if o == v && given < 0 {
			given = j
		}
	}
	return given
}

// Reads reports whether a node of g reads the input of that name.
func (g *Graph) Reads(name string) bool {
	for _, n := range g.Nodes {
		for _, a := range n.Args {
			if a.Def == nil && a.Name == name {
				return true
			}
		}
	}
	return false
}

// InPlace lists pairs (result, argument) that may share memory.
func (n *Node) InPlace() [][2]int {
	if n.Op.Replaces != nil {
		return n.Op.Replaces(n)
	}
	return n.Op.InPlace
}

// Users lists, for every value of the graph, the nodes that read it, without those inside of bodies.
func (g *Graph) Users() map[*Value][]*Node {
	u := map[*Value][]*Node{}
	for _, n := range g.Nodes {
		for _, a := range n.Args {
			if l := u[a]; len(l) == 0 || l[len(l)-1] != n {
				u[a] = append(l, n)
			}
		}
	}
	return u
}

// IsOutput tells how often v is an output of g.
func (g *Graph) IsOutput(v *Value) int {
	c := 0
	for _, o := range g.Outputs {
		if o == v {
			c++
		}
	}
	return c
}

// Replace makes every reader of old, and every output that is old, read new.
func (g *Graph) Replace(old, new *Value) {
	for _, n := range g.Nodes {
		for i, a := range n.Args {
			if a == old {
				n.Args[i] = new
			}
		}
	}
	for i, o := range g.Outputs {
		if o == old {
			g.Outputs[i] = new
		}
	}
}

// Walk calls f for g and every body in it, outermost first.
func (g *Graph) Walk(f func(*Graph)) {
	f(g)
	for _, n := range g.Nodes {
		if n.Loop != nil {
			n.Loop.Body.Walk(f)
		}
	}
}

// Attr is a constant argument of a node: an int, a float64, a bool or a string.
type Attr struct {
	Key string
	Val any
}

// Attrs is a short list of constants.
type Attrs []Attr

// Get is the attribute key, or nil.
func (a Attrs) Get(key string) any {
	for _, x := range a {
		if x.Key == key {
			return x.Val
		}
	}
	return nil
}

// Int is the attribute key, or 0.
func (a Attrs) Int(key string) int { v, _ := a.Get(key).(int); return v }

// Float is the attribute key, or 0.
func (a Attrs) Float(key string) float64 { v, _ := a.Get(key).(float64); return v }

// Bool is the attribute key, or false.
func (a Attrs) Bool(key string) bool { v, _ := a.Get(key).(bool); return v }

// Str is the attribute key, or "".
func (a Attrs) Str(key string) string { v, _ := a.Get(key).(string); return v }

// Set is a with key set to val.
func (a Attrs) Set(key string, val any) Attrs {
	r := append(Attrs{}, a...)
	for i := range r {
		if r[i].Key == key {
			r[i].Val = val
			return r
		}
	}
	return append(r, Attr{key, val})
}

func (a Attrs) String() string {
	if len(a) == 0 {
		return ""
	}
	parts := make([]string, len(a))
	for i, x := range a {
		parts[i] = fmt.Sprintf("%s=%v", x.Key, x.Val)
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// Forget frees all names, for a renaming of all values.
func (g *Graph) Forget() { g.names = map[string]bool{} }
