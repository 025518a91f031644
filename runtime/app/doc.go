// Package app is the command line of a generated model: train, eval, sample and info.
//
// It is, with package data/zstd that it imports, the only part of the runtime that depends on anything but the
// standard library, and only programs with a command line import it. It must not know how a model computes or how a
// training goes: it reads flags, calls package train or sample, and prints.
package app
