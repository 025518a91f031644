// Package interchange turns published checkpoints into specs with weights, and models of this project into the files of
// other programs.
//
// An architecture is a row of a table: how the keys of its config.json become layers of a spec, and which of its
// tensors each parameter is made of. Both stand in one tree of layers, from which the spec is written and the weights
// are read, so that they cannot disagree. The compiler says which parameters the spec has; every one must be made
// exactly once.
//
// The package must not know how a model computes, nor what a command line looks like.
package interchange
