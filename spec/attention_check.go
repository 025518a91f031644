package spec

import (
	"bytes"
	"maps"
	"slices"

	"github.com/gradsmith/gradsmith/runtime/tokenizer/formats"
)

// checkAttention makes the Model of a spec of kind attention.
func checkAttention(c *checker, root *value) *Model {
	if root.bad {
		return nil
	}
	encoder, decoder := root.key("encoder"), root.key("decoder")
	source, masking := root.key("source"), root.key("masking")
	if !encoder.given && !decoder.given {
		c.errorf(root.Pos, "the keys \"encoder\" and \"decoder\" are both missing; a decoder alone continues a text, "+
			"an encoder alone restores masked tokens, both together answer one text with another")
		return nil
	}
	if source.given && !(encoder.given && decoder.given) {
		c.errorf(source.Pos, "source: it is what an encoder in front of a decoder reads; a model of one stack reads "+
			"the text of `tokenizer`")
	}
	if masking.given && decoder.given {
		c.errorf(masking.Pos, "masking: it trains an encoder without a decoder; a decoder is trained to give the "+
			"next token")
	}
	m := c.model(root)
	switch {
	case encoder.given && decoder.given:
		c.encoderDecoder(root, m)
	case encoder.given:
		c.encoderOnly(root, m)
	default:
		m.Tokenizer = c.tokenizer(root.key("tokenizer"), "tokenizer")
		l := layers{checker: c, path: "decoder", role: decoderOnly, vocab: m.Tokenizer.Vocab, shape: m.Shape,
			init: root.key("init")}
		m.Layers = l.all(decoder)
	}
	c.training(root, m)
	return m
}

func (c *checker) encoderOnly(root *value, m *Model) {
	m.Tokenizer = c.tokenizer(root.key("tokenizer"), "tokenizer", MaskToken)
	l := layers{checker: c, path: "encoder", role: encoderOnly, vocab: m.Tokenizer.Vocab, shape: m.Shape,
		init: root.key("init")}
	m.Layers = l.all(root.key("encoder"))
	m.Encoder = m.Layers

	v := root.key("masking")
	share, mask, random := v.key("share"), v.key("mask"), v.key("random")
	m.Masking = &Masking{Pos: v.Pos, Share: share.number, Mask: mask.number, Random: random.number}
	if sum := m.Masking.Mask + m.Masking.Random; sum > 1+1e-9 && !mask.bad && !random.bad {
		at := random
		if !random.given {
			at = mask
		}
		c.errorf(at.Pos, "masking: mask and random are shares of the same tokens, but %v and %v together are more "+
			"than 1", m.Masking.Mask, m.Masking.Random)
	}
}

func (c *checker) encoderDecoder(root *value, m *Model) {
	encoder, decoder, source := root.key("encoder"), root.key("decoder"), root.key("source")
	m.Tokenizer = c.tokenizer(root.key("tokenizer"), "tokenizer", BeginToken, EndToken)
	m.Source = &Source{Pos: source.Pos, Steps: m.Shape.Steps}
	if steps := source.key("steps"); steps.given {
		m.Source.Steps = int(steps.integer)
	}
	own := source.key("tokenizer")
	specials := []string{EndToken}
	var tie *value // the decoder's embedding that shares the table of the encoder's
	for _, v := range leaves(decoder) {
		if t := v.set.key("tie"); v.word == "embedding" && t.given && !t.bad {
			tie, specials = t, []string{BeginToken, EndToken} // one table has the same tokens on both sides
		}
	}
	if own.given {
		m.Source.Tokenizer = c.tokenizer(own, "source.tokenizer", specials...)
	} else {
		m.Source.Tokenizer = m.Tokenizer.with(specials...)
	}
	a, b := &m.Tokenizer, &m.Source.Tokenizer
	if tie != nil && a.Vocab > 0 && b.Vocab > 0 && !a.same(b) && !a.numbers(b) {
		c.errorf(tie.Pos, "embedding.tie: one table needs the same tokens on both sides, but source.tokenizer is not "+
			"the tokenizer of the model; leave one of them out")
	}

	c.names(encoder, decoder)
	tied := tiedTables(encoder, decoder)
	e := layers{checker: c, path: "encoder", role: sourceSide, vocab: m.Source.Tokenizer.Vocab, shape: m.Shape,
		init: root.key("init"), tied: tied}
	e.shape.Steps = m.Source.Steps
	m.Encoder = e.check(encoder)
	d := layers{checker: c, path: "decoder", role: targetSide, vocab: m.Tokenizer.Vocab, shape: m.Shape,
		init: root.key("init"), tied: tied,
		shared: e.tables, params: e.params, tooMany: e.tooMany}
	if n := len(m.Encoder); n > 0 && !e.unknown {
		d.memory = m.Encoder[n-1].OutputWidth()
	}
	d.unknown = e.unknown
	m.Layers = d.check(decoder)
	c.readers(m)
}

// readers finds an encoder whose work is lost: a recurrent decoder without attention begins from what the encoder
// gives for the first token, which of two directions only the one from the end has read all of the source for.
func (c *checker) readers(m *Model) {
	recurrent := false
	for l := range Leaves(m.Layers) {
		r, ok := l.(*Recurrent)
		if ok && r.Attention != nil {
			return
		}
		recurrent = recurrent || ok
	}
	if !recurrent {
		return
	}
	for i := len(m.Encoder) - 1; i >= 0; i-- {
		if r, ok := m.Encoder[i].(*Recurrent); ok {
			if r.Bidirectional {
				c.errorf(r.Pos, "%s.bidirectional: a decoder without attention begins from the first token's output, "+
					"for which the direction from the start has read nothing else; leave it out, and the layer reads "+
					"from the end, or give the decoder attention", r.Kind)
			}
			return
		}
	}
}

// same tells whether two tokenizers give the same tokens for the same text.
func (t *Tokenizer) same(o *Tokenizer) bool {
	return t.Kind == o.Kind && slices.Equal(t.Chars, o.Chars) && slices.Equal(t.Words, o.Words) &&
		slices.Equal(t.Merges, o.Merges) &&
		bytes.Equal(t.Data, o.Data) && t.Split == o.Split && t.Normal == o.Normal && t.OrBytes == o.OrBytes
}

// numbers tells whether two tokenizers of files give each token the same number, though they may take a text apart in
// two ways, as those of two languages do.
func (t *Tokenizer) numbers(o *Tokenizer) bool {
	if t.Kind != "file" || o.Kind != "file" || t.Vocab != o.Vocab || !maps.Equal(t.Own, o.Own) ||
		!slices.Equal(t.Specials, o.Specials) {
		return false
	}
	a, _, err := formats.Parse(t.Data, t.Split)
	b, _, also := formats.Parse(o.Data, o.Split)
	if err != nil || also != nil || a.Vocab() != b.Vocab() {
		return false
	}
	for i := range int32(a.Vocab()) {
		if a.Name(i) != b.Name(i) {
			return false
		}
	}
	return true
}
