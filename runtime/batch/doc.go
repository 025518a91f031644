// Package batch writes many texts at once with one model: the heart of a server. Texts join and leave at any token,
// each with options, seed, constraint and stop strings of its own, and each is what it would be alone, to the bit.
//
// A decoder for as many sequences as there are texts makes one step for all of them, which takes little longer than a
// step for one. In between, prompts are read in chunks by decoders of their own, so that a long one holds nobody up;
// and a beginning that prompts share is read once.
//
// It must not know where prompts come from or where texts go: it sees a [model.Writer], a tokenizer and the options of
// package sample.
package batch
