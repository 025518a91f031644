// Package eval executes a graph in float64, from the definitions of its operations. It is slow and plain: what
// generated code and gradients are tested against.
package eval

import (
	"fmt"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// Dropout applies a mask to x in place, for the node's attributes rate and stream and the index of the loop around it
// (0 outside of loops).
type Dropout func(x []float64, rate float64, stream, index int)

// Run gives the outputs of g, by target, for inputs by name and run-time sizes by name. Nothing is random: dropout is
// the identity, as in a trained model.
func Run(g *graph.Graph, inputs map[string]*graph.Tensor, sizes map[string]int) (map[string]*graph.Tensor, error) {
	return RunRandom(g, inputs, sizes, Random{})
}

// Random is what is drawn in a training step. A nil function draws nothing: dropout is the identity, samples are their
// means.
type Random struct {
	Dropout Dropout
	// Normal fills x with what stands for standard normal numbers, for the node's attribute stream.
	Normal func(x []float64, stream int)
	// Gumbel fills x with what stands for numbers of the standard Gumbel distribution, for the node's attribute stream
	// and the index of the loop around it.
	Gumbel func(x []float64, stream, index int)
	// Rows sets mask to 1 for the rows that stay when rows are dropped, and 0 for the others, for the node's
	// attributes.
	Rows func(mask []float64, rate float64, stream int)
	// Round changes the numbers x that an operation made of in, as arithmetic of fewer bits would have.
	Round func(x []float64, in []*graph.Tensor)
}

// RunRandom is Run as in a training step.
func RunRandom(g *graph.Graph, inputs map[string]*graph.Tensor, sizes map[string]int,
	random Random) (map[string]*graph.Tensor, error) {
	env := map[*graph.Value]*graph.Tensor{}
	for _, in := range g.Inputs {
		t, ok := inputs[in.Name]
		if !ok {
			return nil, fmt.Errorf("eval: graph %s has no value for its input %s", g.Name, in.Name)
		}
		if err := fits(t, in, sizes); err != nil {
			return nil, err
		}
		env[in] = t
	}
	if err := (&machine{sizes, random}).run(g, env, 0); err != nil {
		return nil, err
	}
	out := map[string]*graph.Tensor{}
	for i, o := range g.Outputs {
		out[g.Targets[i].String()] = env[o]
	}
	return out, nil
}

func fits(t *graph.Tensor, v *graph.Value, sizes map[string]int) error {
	want := v.Shape.At(sizes)
	ok := len(want) == len(t.Shape)
	n := 1
	for i := range want {
		ok = ok && want[i] == t.Shape[i]
		n *= want[i]
	}
	if v.Type == graph.F32 {
		ok = ok && len(t.F) == n
	} else {
		ok = ok && len(t.I) == n
	}
	if !ok {
		return fmt.Errorf("eval: %s wants shape %v, got %v with %d numbers", v, want, t.Shape, max(len(t.F), len(t.I)))
	}
	return nil
}

// New makes a zero tensor for v.
func New(v *graph.Value, sizes map[string]int) *graph.Tensor {
	t := &graph.Tensor{Shape: v.Shape.At(sizes)}
	if v.Type == graph.F32 {
		t.F = make([]float64, t.Elems())
	} else {
		t.I = make([]int32, t.Elems())
	}
	return t
}

// machine is what an evaluation needs beside values.
type machine struct {
	sizes  map[string]int
	random Random
}

func (m *machine) run(g *graph.Graph, env map[*graph.Value]*graph.Tensor, index int) error {
	for _, n := range g.Nodes {
		if n.Loop != nil {
			if err := m.loop(n, env); err != nil {
				return err
			}
			continue
		}
		if n.Op == op.Index {
			env[n.Outs[0]] = &graph.Tensor{I: []int32{int32(index)}}
			continue
		}
		if n.Op.Eval == nil {
			return fmt.Errorf("eval: %s has no definition in float64: evaluate the graph before it is lowered",
				n.Op.Name)
		}
		in := make([]*graph.Tensor, len(n.Args))
		for i, a := range n.Args {
			in[i] = env[a]
		}
		out := make([]*graph.Tensor, len(n.Outs))
		for i, o := range n.Outs {
			out[i] = New(o, m.sizes)
			env[o] = out[i]
		}
		if n.Op == op.DropRows {
			if m.random.Rows != nil {
				mask := make([]float64, out[0].Rows())
				m.random.Rows(mask, n.Attrs.Float("rate"), n.Attrs.Int("stream"))
				masked := *n
				masked.Attrs = n.Attrs.Set("mask", mask)
				n = &masked
			}
		} else if n.Op == op.GaussianSample {
			if m.random.Normal != nil {
				noise := make([]float64, out[0].Elems())
				m.random.Normal(noise, n.Attrs.Int("stream"))
				drawn := *n
				drawn.Attrs = n.Attrs.Set("noise", noise)
				n = &drawn
			}
		} else if n.Op == op.GumbelSoftmax {
			if m.random.Gumbel != nil {
				at := 0
				if len(in) > 2 {
					at = int(in[2].I[0])
				}
				noise := make([]float64, out[0].Elems())
				m.random.Gumbel(noise, n.Attrs.Int("stream"), at)
				drawn := *n
				drawn.Attrs = n.Attrs.Set("noise", noise)
				n = &drawn
			}
			// an attention drops probabilities
		} else if stream := n.Attrs.Int("stream"); stream > 0 && n.Op != op.Dropout && m.random.Dropout != nil {
			mask := make([]float64, op.MaskLen(n, in))
			for i := range mask {
				mask[i] = 1
			}
			at := 0
			if last := in[len(in)-1]; len(last.I) == 1 && len(last.Shape) == 0 {
				at = int(last.I[0])
			}
			m.random.Dropout(mask, n.Attrs.Float("rate"), stream, at)
			masked := *n
			masked.Attrs = n.Attrs.Set("mask", mask)
			n = &masked
		}
		if err := n.Op.Eval(n, in, out); err != nil {
			return fmt.Errorf("eval: %s: %w", n.Outs[0], err)
		}
		if n.Op == op.Dropout && m.random.Dropout != nil {
			at := 0
			if len(n.Args) > 1 {
				at = int(in[1].I[0])
			}
			m.random.Dropout(out[0].F, n.Attrs.Float("rate"), n.Attrs.Int("stream"), at)
		}
		if m.random.Round != nil {
			for _, o := range out {
				m.random.Round(o.F, in)
			}
		}
	}
	return nil
}

func (m *machine) loop(n *graph.Node, env map[*graph.Value]*graph.Tensor) error {
	l := n.Loop
	trip := l.Trip.At(m.sizes)
	body := map[*graph.Value]*graph.Tensor{}
	for i, in := range l.Body.Inputs {
		if i < l.Carries || i >= l.Carries+l.Seqs {
			body[in] = env[n.Args[i]]
		}
	}
	for i := l.Carries; i < len(n.Outs); i++ {
		env[n.Outs[i]] = New(n.Outs[i], m.sizes)
	}
	for it := range trip {
		e := it
		if l.Reverse {
			e = trip - 1 - it
		}
		for i := l.Carries; i < l.Carries+l.Seqs; i++ {
			body[l.Body.Inputs[i]] = element(env[n.Args[i]], e)
		}
		if err := m.run(l.Body, body, e); err != nil {
			return err
		}
		next := make([]*graph.Tensor, l.Carries)
		for i, o := range l.Body.Outputs {
			if i < l.Carries {
				next[i] = body[o]
				continue
			}
			dst := element(env[n.Outs[i]], e)
			copy(dst.F, body[o].F)
			copy(dst.I, body[o].I)
		}
		for i := range next {
			body[l.Body.Inputs[i]] = next[i]
		}
	}
	for i := range l.Carries {
		env[n.Outs[i]] = body[l.Body.Inputs[i]]
	}
	return nil
}

// element is a view of element i of a stacked tensor.
func element(t *graph.Tensor, i int) *graph.Tensor {
	e := &graph.Tensor{Shape: t.Shape[1:]}
	n := e.Elems()
	if t.F != nil {
		e.F = t.F[i*n : (i+1)*n]
	} else {
		e.I = t.I[i*n : (i+1)*n]
	}
	return e
}
