package spec

import (
	"fmt"
	"math"
)

func init() {
	register(record{name: "embedding", group: tables, table: true, check: (*layers).embedding,
		word: func(in place) *word {
			tie := func(where string) *key {
				return may("tie", nameType, "a table of its own", where).called("tied", "share", "tie_to")
			}
			switch in {
			case inRNN:
				return embeddingWord("the model's `init`; else normal 1, or normal 1/√size when a `dense` layer ties " +
					"the table, so that logits start near a size of 1")
			case inAttention:
				return embeddingWord(tableStart+", and in others normal 1, or normal 1/√size when a `dense` layer "+
					"ties the table",
					may("scale", above(0, 1e6), "1",
						"What the rows are multiplied with: √size in Vaswani et al. 2017, "+
							"section 3.4, and in Gemma. A `dense` that ties the table reads it as it is.").called(
						"multiplier"),
					tie("In a decoder behind an encoder: name of the encoder's embedding whose table this is. Both "+
						"have the same tokens under the same numbers, and the same `size`."))
			case inVAE:
				return embeddingWord(tableStart+", and in others normal 1, or normal 1/√size when a `dense` layer "+
					"ties the table",
					tie("In the decoder: name of the encoder's embedding whose table this is. Both have the same "+
						"`size`."))
			case inGenerator:
				return embeddingWord("the model's `init`; else normal 1")
			}
			return embeddingWord(tableStart + ", normal 1 in others")
		}})
}

// tableStart is how a table starts in stacks that may have a transformer.
const tableStart = "the model's `init`; else normal 0.02 in a stack with a `transformer` and without sinusoidal " +
	"positions"

// Embedding looks up a row of a [vocabulary, Width] table a token.
type Embedding struct {
	LayerBase
	Scale float64 // what the rows are multiplied with; 0: they are as they are
	// decoder of an encoder-decoder model: name of the encoder's embedding whose table it shares; or empty
	Tie  string
	Init Init // not used when Tie is set
}

func embeddingWord(initDefault string, more ...*key) *word {
	keys := []*key{
		layerName(),
		need("size", integer(1, maxWidth), "Features of a row.").called("units", "dim", "width", "embedding_dim",
			"dimension"),
	}
	keys = append(keys, more...)
	return &word{name: "embedding", doc: "Looks up a row of a learnt table, one row a token.", also: []string{"embed"},
		typ: object("", append(keys,
			may("init", initType, initDefault, "How the table starts.").called("initializer"))...).shortFor("size")}
}

func (c *layers) embedding(v *value, base LayerBase, _ int, _ bool) Layer {
	own, tie := v.set.key("init"), v.set.key("tie")
	e := &Embedding{LayerBase: base, Tie: tie.text}
	e.Width = int(v.set.key("size").integer)
	e.Scale = v.set.key("scale").number
	standard := Init{Pos: v.Pos, Scheme: "normal", Scale: 1}
	switch {
	case c.transformers && !c.sinusoidal:
		standard = small(v)
	case c.tied[e.Name] && e.Width > 0:
		// As the matrix of the last layer a table of standard deviation 1 would start with logits around √size.
		standard.Scale = 1 / math.Sqrt(float64(e.Width))
	}
	e.Init = c.initial(own, c.initial(c.init, standard))
	c.tables[e.Name] = e
	params := int64(c.vocab) * int64(e.Width)
	if tie.given && !tie.bad {
		params = 0
		table := c.shared[e.Tie]
		switch {
		case c.role != targetSide:
			c.errorf(tie.Pos, "embedding.tie: only the embedding of a decoder behind an encoder can share a table, "+
				"that of the encoder; the last layer shares one by a `tie` of its own")
		case table == nil && c.unknown:
		case table == nil:
			c.errorf(tie.Pos, "embedding.tie: the encoder has no embedding named %s%s", quote(e.Tie),
				didYouMean(anyTable(c.shared)))
		case table.Width > 0 && e.Width > 0 && table.Width != e.Width:
			c.errorf(tie.Pos, "embedding.tie: the table of %s has %d features a token, not %d; give both the same size",
				quote(e.Tie), table.Width, e.Width)
		case own.given:
			c.errorf(own.Pos, "embedding.init: the table is that of %s; say there how it starts", quote(e.Tie))
		}
	}
	c.count(v, params, e.Width)
	return e
}

// small is how GPT-2 begins its tables and matrices.
func small(v *value) Init { return Init{Pos: v.Pos, Scheme: "normal", Scale: 0.02} }

func (l *Embedding) architecture() string {
	s := fmt.Sprintf("embedding %s size=%d", l.Name, l.Width)
	if l.Scale > 0 {
		s += fmt.Sprintf(" scale=%v", l.Scale)
	}
	return s
}
