package sample

import (
	"fmt"

	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// agree says which tokens of a decoder are other texts than those of tok, which is what the text is of. Numbers of
// tokens may be the same by chance, so that each token is compared where the tokenizers are not the same; what they
// make of a text does not count, as decoders read tokens. A decoder that does not tell its tokenizer is believed.
func agree(dec model.Decoder, tok text.Tokenizer, who string) error {
	d, ok := dec.(model.Tokenized)
	if !ok || tok == nil {
		return nil
	}
	own := d.Tokenizer()
	if own.Digest() == tok.Digest() {
		return nil
	}
	if own.Vocab() != tok.Vocab() {
		return fmt.Errorf("sample: %s has %d tokens, and the one that writes has %d: both must be of one vocabulary",
			who, own.Vocab(), tok.Vocab())
	}
	first, others := int32(0), 0
	for t := range int32(tok.Vocab()) {
		if own.Piece(t) != tok.Piece(t) {
			if others == 0 {
				first = t
			}
			others++
		}
	}
	if others == 0 {
		return nil
	}
	return fmt.Errorf("sample: %s has another vocabulary than the one that writes: token %d is %q to the one and %q "+
		"to the other, and so %d of %d differ", who, first, own.Piece(first), tok.Piece(first), others, tok.Vocab())
}
