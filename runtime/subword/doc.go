// Package subword holds what tokenizers of parts of words share: the splits of text into pieces that tokens do not
// cross, the merging of byte-pair encoding, and the learning of its merges.
//
// Tokens and the symbols that they are made of are numbers here. The package must not know what stands for them, nor
// how a vocabulary is written to a file. It imports nothing but the standard library, so a program that embeds a model
// of bytes inherits little.
package subword
