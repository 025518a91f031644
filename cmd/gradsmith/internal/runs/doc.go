// Package runs reads the logs of trainings, compares them, and makes a page of several in HTML that needs no other file
// and no other host.
//
// Curves are drawn by gonum/plot, which no generated program links: the command gradsmith alone imports this package.
// It must not know how a model computes or how a training goes.
package runs
