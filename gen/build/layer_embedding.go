package build

import (
	"github.com/gradsmith/gradsmith/gen/graph"
	"github.com/gradsmith/gradsmith/gen/op"
	"github.com/gradsmith/gradsmith/spec"
)

func init() {
	register("embedding", construction[*spec.Embedding]{build: (*builder).embedding})
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
	return b.dropWords(b.Apply(op.Gather, []string{l.Name + ".x"}, nil, table, b.tokens)[0], l.Name+".seen")
}
