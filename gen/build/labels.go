package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

// LabelsInput is the name of the input with the label of each example, [batch].
const LabelsInput = "labels"

// labelledBy is the scope of the table of features of labels that one network has: "encoder", "decoder", "generator"
// or "discriminator".
func labelledBy(network string) string { return network + "_labels" }

// labelledWidth is the width of what the network reads: that of rows beside which the features of a label stand, where
// the spec has labels.
func (b *builder) labelledWidth(network, what string, width graph.Dim) graph.Dim {
	if b.m.Labels == nil {
		return width
	}
	return b.named(network+"Width", width.N+b.m.Labels.Size, what+" and features of its label, side by side")
}

// labelled puts the features of each row's label beside x, where the spec has labels (Mirza and Osindero 2014, section
// 3.2): [batch, width] becomes [batch, width + size]. The table is that of the network; what says what the wider rows
// are.
func (b *builder) labelled(network, name, what string, x *graph.Value) *graph.Value {
	l := b.m.Labels
	if l == nil {
		return x
	}
	scope, origin := b.Scope, b.Origin
	defer func() { b.Scope, b.Origin = scope, origin }()
	b.Scope, b.Origin = labelledBy(network), b.at(l.Pos, "labels")
	if b.training && b.row(b.Scope) == nil {
		b.r.Layers = append(b.r.Layers,
			Layer{Name: b.Scope, Kind: "labels", Width: l.Size, Output: graph.Shape{batch, graph.Const(l.Size, "")},
				Line: l.Line})
	}
	count := b.named("labelCount", l.Count, "number of labels")
	size := b.named("labelSize", l.Size, "features of a label")
	table := b.param(b.Scope, "table", graph.Shape{count, size}, 0, 0, b.Scope, matrix(l.Init, l.Count, l.Size))
	if b.labels == nil {
		b.labels = b.G.Input(LabelsInput, graph.Data, graph.I32, graph.Shape{batch})
	}
	features := b.Apply(op.Gather, []string{b.Scope + ".features"}, nil, table, b.labels)[0]
	width := b.labelledWidth(network, what, x.Shape.Last())
	return b.Apply(op.JoinColumns, []string{name}, graph.Attrs{{Key: "width", Val: width}}, x, features)[0]
}

// Labels tells how a model knows of labels.
func Labels(m *spec.Model) Account {
	var a Account
	l := m.Labels
	a.say("Each example has a label from 0 to %d. Each of the two networks has a table with a row of %d features for "+
		"each label, and reads that of the example beside its input.", l.Count-1, l.Size)
	if l.Drop > 0 {
		a.say("%s of the sentences are read in training without their label, zeros in place of the features.",
			percent(l.Drop))
	}
	a.show(`x \leftarrow [x, ` + Symbol("table") + `_{\text{label}}]`)
	return a
}
