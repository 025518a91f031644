// Package sample turns the logits of a model into text: a chain of processors that shape the distribution of the next
// token, a seeded draw, streaming generation, beam search and the scoring of given text.
//
// It must not know how a model computes its logits, nor how it was trained: it sees a [model.Decoder] and a tokenizer.
package sample
