package build

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
)

// InferenceParts are the parts of a trained model that can be run by themselves, what makes something first; one
// without a name is all of it.
func (m *Model) InferenceParts() []string {
	switch {
	case m.Discriminate != nil:
		return []string{"generator", "discriminator"}
	case m.Spec.Latent != nil:
		return []string{"decoder", "encoder"}
	}
	return []string{""}
}

// Inference is a graph of what a part of a trained model computes, for programs that have no training: of a whole text
// at once, each token with what is behind it, and with the states that it begins and ends with. Nothing is dropped, no
// text begins inside of what is read, and a latent vector is an input of what decodes it.
//
// The outputs are "logits" of a text; "hidden" too of a model that fills in masked tokens, and "state:<name>"; of an
// encoder "mean" and "logvar"; of a decoder of vectors "means", which are probabilities where the likelihood is
// Bernoulli's; "made" of a generator of vectors; "verdict" of a discriminator.
//
// The graph is made of the model's own, which is of no further use.
func (m *Model) Inference(part string) (*graph.Graph, error) {
	if !slices.Contains(m.InferenceParts(), part) {
		if m.InferenceParts()[0] == "" {
			return nil, fmt.Errorf("model %s has no parts, as %q would be", m.Spec.Name, part)
		}
		return nil, fmt.Errorf("model %s has no part %q: its parts are %s", m.Spec.Name, part,
			strings.Join(m.InferenceParts(), " and "))
	}
	g := m.Train
	switch {
	case part == "discriminator":
		g = m.Judge
	case part == "generator" && m.Make != nil:
		g = m.Make
	}
	if g == m.Train {
		m.cut(g, part)
	}
	g.Walk(still)
	g.Name = strings.Trim(m.Spec.Name+" "+part, " ")
	return g, nil
}

// cut gives the graph of a training step the outputs and inputs of a part.
func (m *Model) cut(g *graph.Graph, part string) {
	outputs, targets := g.Outputs, g.Targets
	g.Outputs, g.Targets = nil, nil
	for i, o := range outputs {
		if t := targets[i]; part == "" && (t.Is("hidden") || strings.HasPrefix(t.String(), "state:")) {
			g.Output(o, t.String())
		}
	}
	find := func(target string) *graph.Value {
		for i, t := range targets {
			if t.Is(target) {
				return outputs[i]
			}
		}
		panic("build: a graph has no output " + target)
	}
	if part == "encoder" {
		g.Output(find(MeanTarget), "mean")
		g.Output(find(LogVarTarget), "logvar")
	} else {
		y := judged(g)
		name := "logits"
		if m.Spec.Vectors != nil {
			name = "means"
			if m.Spec.Likelihood.Kind == "bernoulli" {
				b := &graph.Builder{G: g, Scope: y.Def.Scope, Origin: y.Def.Origin}
				y = b.Apply(op.Sigmoid, []string{name}, nil, y)[0]
				last := g.Nodes[len(g.Nodes)-1] // in front of the loss, to stand in its phase
				at := slices.Index(g.Nodes, y.Def.Args[0].Def) + 1
				g.Nodes = slices.Insert(g.Nodes[:len(g.Nodes)-1], at, last)
			}
		}
		g.Output(y, name)
	}
	if part == "decoder" {
		z := find(SampleTarget)
		g.Replace(z, g.Input("z", graph.Data, graph.F32, z.Shape))
	}
	unread(g)
}

// judged is what the loss of g is of: the logits or means that the last layer gives.
func judged(g *graph.Graph) *graph.Value {
	for _, n := range g.Nodes {
		for _, l := range op.Losses {
			if n.Op == l.Loss && n.Op != op.BagOfWords {
				return n.Args[0]
			}
		}
	}
	panic("build: a graph has no loss")
}

// unread takes the nodes and inputs out that no output depends on.
func unread(g *graph.Graph) {
	used := map[*graph.Value]bool{}
	for _, o := range g.Outputs {
		used[o] = true
	}
	for _, n := range slices.Backward(g.Nodes) {
		if slices.ContainsFunc(n.Outs, func(o *graph.Value) bool { return used[o] }) {
			for _, a := range n.Args {
				used[a] = true
			}
		}
	}
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *graph.Node) bool {
		return !slices.ContainsFunc(n.Outs, func(o *graph.Value) bool { return used[o] })
	})
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v *graph.Value) bool { return !used[v] })
}

// still takes out of g what only a training draws, and what marks the beginnings of texts.
func still(g *graph.Graph) {
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *graph.Node) bool {
		switch n.Op {
		case op.Dropout, op.DropRows, op.ResetRows:
			g.Replace(n.Outs[0], n.Args[0])
			return true
		}
		return false
	})
}
