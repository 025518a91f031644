// Package grad differentiates a graph, source to source, in reverse mode: it adds the nodes that compute the gradient
// of a scalar. As gradients are nodes like any other, a graph can be differentiated again.
//
// The gradient of a loop is a loop that runs the other way. What its body reads of the forward body is stacked by the
// forward loop, or computed again where the loop says so (Chen et al. 2016); gradients of invariants are carried sums,
// which the optimizer turns into one product after the loop.
//
// The package must know nothing of specs or Go code, and of operations only their rules.
package grad

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// Append adds to g, in phase Backward, the gradient of the scalar loss with respect to each of wrt, and gives those
// gradients. Where loss does not depend on a value its gradient is zero.
func Append(g *graph.Graph, loss *graph.Value, wrt []*graph.Value) ([]*graph.Value, error) {
	if len(loss.Shape) != 0 || loss.Type != graph.F32 {
		return nil, fmt.Errorf("grad: %s of shape %s is not a number", loss, loss.Shape)
	}
	b := &graph.Builder{G: g, Phase: graph.Backward}
	return From(b, loss, b.Apply(op.Ones, []string{"dloss"}, graph.Attrs{{Key: "shape", Val: loss.Shape}})[0], wrt)
}

// From adds to the graph of b, in its phase, the product of dy, of y's shape, with the derivative of y with respect to
// each of wrt: the gradient of Σ dy∘y. As what it adds are nodes like any other, the result can be part of what is
// differentiated next, such as the loss of a gradient penalty.
func From(b *graph.Builder, y, dy *graph.Value, wrt []*graph.Value) ([]*graph.Value, error) {
	if !y.Shape.Same(dy.Shape) {
		return nil, fmt.Errorf("grad: %s of shape %s has a gradient of shape %s", y, y.Shape, dy.Shape)
	}
	own := *b // the layers of the nodes pass through it
	b = &own
	g := b.G
	r := newReverse(b, func(v *graph.Value) *graph.Value { return v })
	r.src, r.top = g, true
	for _, v := range wrt {
		r.active[v] = true
	}
	nodes := append([]*graph.Node{}, g.Nodes...)
	r.activate(nodes)
	r.adjoint[y] = dy
	if err := r.run(nodes); err != nil {
		return nil, err
	}
	out := make([]*graph.Value, len(wrt))
	for i, v := range wrt {
		if out[i] = r.adjoint[v]; out[i] == nil {
			out[i] = zeros(b, "d"+v.Base, v.Shape)
		}
	}
	return out, nil
}

// reverse carries the adjoints of one graph's values into nodes of another (or of the same).
type reverse struct {
	b       *graph.Builder
	src     *graph.Graph                    // the forward graph
	top     bool                            // src is the whole graph: its values' names begin with their layer's
	val     func(*graph.Value) *graph.Value // a forward value, in b's graph
	active  map[*graph.Value]bool           // values that depend on what is differentiated
	adjoint map[*graph.Value]*graph.Value
}

func newReverse(b *graph.Builder, val func(*graph.Value) *graph.Value) *reverse {
	return &reverse{b: b, val: val, active: map[*graph.Value]bool{}, adjoint: map[*graph.Value]*graph.Value{}}
}

// activate marks what depends on an active value; it reports whether it marked anything new.
func (r *reverse) activate(nodes []*graph.Node) bool {
	changed := false
	mark := func(v *graph.Value) {
		if v.Type == graph.F32 && !r.active[v] {
			r.active[v] = true
			changed = true
		}
	}
	for _, n := range nodes {
		if n.Loop != nil {
			in := loopActivity(n, r.active)
			for i, o := range n.Loop.Body.Outputs {
				if in.active[o] {
					mark(n.Outs[i])
				}
			}
			continue
		}
		if n.Op.Stops {
			continue
		}
		for _, a := range n.Args {
			if r.active[a] {
				for _, o := range n.Outs {
					mark(o)
				}
				break
			}
		}
	}
	return changed
}

// loopActivity marks the values of a loop's body that depend on active arguments, through any number of iterations.
func loopActivity(n *graph.Node, active map[*graph.Value]bool) *reverse {
	l := n.Loop
	in := newReverse(nil, nil)
	for i, a := range n.Args {
		if active[a] {
			in.active[l.Body.Inputs[i]] = true
		}
	}
	for again := true; again; {
		again = in.activate(l.Body.Nodes)
		for i := range l.Carries {
			if in.active[l.Body.Outputs[i]] && !in.active[l.Body.Inputs[i]] {
				in.active[l.Body.Inputs[i]] = true
				again = true
			}
		}
	}
	return in
}

// add adds g to the adjoint of v.
func (r *reverse) add(v, g *graph.Value) {
	if g == nil || !r.active[v] {
		return
	}
	if old := r.adjoint[v]; old != nil {
		g = r.b.Apply(op.Add, []string{g.Base}, nil, old, g)[0]
	}
	r.adjoint[v] = g
}

func (r *reverse) run(nodes []*graph.Node) error {
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		d := make([]*graph.Value, len(n.Outs))
		any := false
		for j, o := range n.Outs {
			d[j] = r.adjoint[o]
			any = any || d[j] != nil
		}
		need := false
		for _, a := range n.Args {
			need = need || r.active[a]
		}
		if !any || !need {
			continue
		}
		r.b.Scope, r.b.Part, r.b.Pass, r.b.Origin = n.Scope, n.Part, n.Pass, n.Origin
		if n.Loop != nil {
			if err := r.loop(n, d); err != nil {
				return err
			}
			continue
		}
		if n.Op.Grad == nil {
			return fmt.Errorf("grad: %s has no rule for its gradient", n.Op.Name)
		}
		c := &graph.Context{Builder: r.b, Val: r.val, Need: func(i int) bool { return r.active[n.Args[i]] }}
		for j, g := range n.Op.Grad(c, n, d) {
			if j < len(n.Args) {
				r.add(n.Args[j], g)
			}
		}
	}
	return nil
}

// loop adds the loop of the gradient of loop n, whose results' adjoints are d.
func (r *reverse) loop(n *graph.Node, d []*graph.Value) error {
	l := n.Loop
	activity := loopActivity(n, r.active)
	body := graph.New(l.Body.Name + ".grad")
	rl := &graph.Loop{Kind: l.Kind, Trip: l.Trip, Reverse: !l.Reverse, Recompute: l.Recompute, Index: l.Index,
		Body: body}
	node := &graph.Node{Op: graph.LoopOp, Loop: rl, Phase: r.b.Phase, Scope: n.Scope, Part: n.Part, Pass: n.Pass,
		Origin: n.Origin}
	bb := &graph.Builder{G: body, Phase: r.b.Phase, Scope: n.Scope, Part: n.Part, Pass: n.Pass, Origin: n.Origin}

	// Carried: the adjoint of every active carry, then a sum for every active invariant.
	var carries []int
	for i := range l.Carries {
		if activity.active[l.Body.Inputs[i]] {
			carries = append(carries, i)
		}
	}
	var consts []int
	for i := l.Carries + l.Seqs; i < len(n.Args); i++ {
		if activity.active[l.Body.Inputs[i]] {
			consts = append(consts, i)
		}
	}
	forward := l.Body.Nodes[:len(l.Body.Nodes):len(l.Body.Nodes)]
	in := activity
	in.b, in.src = bb, l.Body
	carryIn := map[int]*graph.Value{}
	for _, i := range carries {
		v := l.Body.Inputs[i]
		first := d[i]
		if first == nil {
			first = zeros(r.b, "d"+v.Base, v.Shape)
		}
		node.Args = append(node.Args, first)
		carryIn[i] = body.Input("d"+v.Base, graph.Local, graph.F32, v.Shape)
	}
	sumIn := map[int]*graph.Value{}
	for _, i := range consts {
		v := l.Body.Inputs[i]
		node.Args = append(node.Args, zeros(r.b, "d"+v.Base, v.Shape))
		sumIn[i] = body.Input("d"+v.Base+".sum", graph.Local, graph.F32, v.Shape)
	}
	rl.Carries = len(node.Args)

	// The value, in the gradient's body, of a value of the forward body.
	known := map[*graph.Value]*graph.Value{}
	position := map[*graph.Value]int{} // of the body's inputs
	for i, v := range l.Body.Inputs {
		position[v] = i
	}
	in.val = func(v *graph.Value) *graph.Value {
		if k := known[v]; k != nil {
			return k
		}
		var k *graph.Value
		i, input := position[v]
		switch {
		case v.Def != nil && v.Def.Op == op.Index:
			k = bb.Apply(op.Index, []string{v.Base}, nil)[0]
		case input && i >= l.Carries+l.Seqs:
			k = node.ConstIn(r.val(n.Args[i]), v.Base)
		case input && i >= l.Carries:
			k = node.SeqIn(r.val(n.Args[i]), v.Name)
		case v.Def != nil && v.Def.Loop == nil && (l.Recompute || v.Def.Op == op.Affine):
			// 1 − z of a z that is kept takes less time than to read it.
			recompute(bb, v.Def, in.val, known)
			return known[v]
		default:
			k = node.SeqIn(r.val(r.stack(n, v)), v.Base)
		}
		known[v] = k
		return k
	}

	// Adjoints that come from outside: of the carries' next values and of what each iteration gives.
	for _, i := range carries {
		in.add(l.Body.Outputs[i], carryIn[i])
	}
	for i := l.Carries; i < len(d); i++ {
		if d[i] != nil {
			in.add(l.Body.Outputs[i], node.SeqIn(d[i], "d"+l.Body.Outputs[i].Base))
		}
	}
	if err := in.run(forward); err != nil {
		return err
	}

	adjoint := func(v *graph.Value) *graph.Value {
		if g := in.adjoint[v]; g != nil {
			return g
		}
		return zeros(bb, "d"+v.Base, v.Shape)
	}
	for _, i := range carries {
		body.Outputs = append(body.Outputs, adjoint(l.Body.Inputs[i]))
	}
	for _, i := range consts {
		sum := sumIn[i]
		if g := in.adjoint[l.Body.Inputs[i]]; g != nil {
			sum = bb.Apply(op.Add, []string{sum.Base}, nil, sum, g)[0]
		}
		body.Outputs = append(body.Outputs, sum)
	}
	var seqs []int
	for i := l.Carries; i < l.Carries+l.Seqs; i++ {
		if r.active[n.Args[i]] && in.adjoint[l.Body.Inputs[i]] != nil {
			seqs = append(seqs, i)
			body.Outputs = append(body.Outputs, in.adjoint[l.Body.Inputs[i]])
		}
	}
	var results []string
	for _, i := range carries {
		results = append(results, op.GradName(n.Args[i]))
	}
	for _, i := range consts {
		results = append(results, op.GradName(n.Args[i]))
	}
	for _, i := range seqs {
		results = append(results, op.GradName(n.Args[i]))
	}
	done := r.b.AddLoop(rl, results, node.Args...)
	at := 0
	for _, i := range append(append(append([]int{}, carries...), consts...), seqs...) {
		r.add(n.Args[i], done.Outs[at])
		at++
	}
	return nil
}

// recompute computes a node of a forward body again in the body of the gradient, where val gives what it reads; known
// then has what it gives.
func recompute(b *graph.Builder, n *graph.Node, val func(*graph.Value) *graph.Value,
	known map[*graph.Value]*graph.Value) {
	args := make([]*graph.Value, len(n.Args))
	for i, a := range n.Args {
		args[i] = val(a)
	}
	names := make([]string, len(n.Outs))
	for i, o := range n.Outs {
		names[i] = o.Base
	}
	own := *b // of the layer that the node is of
	own.Scope, own.Origin = n.Scope, n.Origin
	for i, o := range own.Apply(n.Op, names, n.Attrs, args...) {
		known[n.Outs[i]] = o
	}
}

// stack gives all values of v, a value of the body of loop n, over the iterations, as an output of n.
func (r *reverse) stack(n *graph.Node, v *graph.Value) *graph.Value {
	body := n.Loop.Body
	for i := n.Loop.Carries; i < len(n.Outs); i++ {
		if body.Outputs[i] == v {
			return n.Outs[i]
		}
	}
	name := v.Base
	if r.top && n.Scope != "" {
		name = n.Scope + "." + v.Base
	}
	return r.src.StackOut(n, v, name)
}

func zeros(b *graph.Builder, name string, shape graph.Shape) *graph.Value {
	return b.Apply(op.Zeros, []string{name}, graph.Attrs{{Key: "shape", Val: shape}})[0]
}
