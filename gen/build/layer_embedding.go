package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("embedding", construction[*spec.Embedding]{build: (*builder).embedding, tell: tellEmbedding})
}

// embedding looks the tokens up, or, where x is relaxed tokens, is their product with the table.
func (b *builder) embedding(l *spec.Embedding, x *graph.Value, _ bool) *graph.Value {
	table := b.tables[l.Tie]
	if l.Tie == "" {
		n := b.tokensRead()
		table = b.param(l.Name, "table", graph.Shape{n, b.width(l, "size", "width of the embedding")}, 0, 0, l.Name,
			matrix(l.Init, n.N, l.Width))
	} else if table == nil { // a decoder's graph does not have the encoder's layers
		table = b.param(l.Tie, "table", graph.Shape{b.vocab(), b.width(l, "size", "width of the embedding")}, 0, 0,
			l.Tie, Init{})
	}
	b.tables[l.Name] = table
	switch {
	case x != nil:
		return b.Apply(op.MatMul, []string{b.called(l, "x")}, nil, x, table)[0]
	case b.judging:
		return b.Apply(op.Gather, []string{b.called(l, "x")}, nil, table, b.tokens)[0]
	}
	name := l.Name + ".x"
	if l.Scale > 0 {
		name = l.Name + ".row"
	}
	y := b.Apply(op.Gather, []string{name}, nil, table, b.tokens)[0]
	if l.Scale > 0 {
		y = b.Apply(op.Scale, []string{l.Name + ".x"}, graph.Attrs{{Key: "by", Val: l.Scale}}, y)[0]
	}
	return b.dropWords(y, l.Name+".seen")
}

func tellEmbedding(m *spec.Model, l *spec.Embedding) Account {
	var a Account
	a.say("Looks up the row of each token in a table.")
	y := Symbol("table") + `_{x}`
	if l.Scale > 0 {
		y = figure(l.Scale) + ` \cdot ` + y
	}
	if l.Tie != "" {
		a.say("The table is that of %s.", l.Tie)
	}
	a.show("y = " + y)
	a.words(m, l)
	return a
}

// words tells of the tokens that the decoder of an autoencoder does not see.
func (a *Account) words(m *spec.Model, l spec.Layer) {
	if m.Latent == nil || m.Latent.WordDropout == 0 {
		return
	}
	for d := range spec.Leaves(m.Layers) {
		if d == l {
			a.say("In training %s of the tokens are hidden from the decoder: zeros stand in place of their rows "+
				"(Bowman et al. 2016).", percent(m.Latent.WordDropout))
		}
	}
}
