// Command gan trains the model gan, makes vectors with it and judges others.
//
//	gan train --data vectors.npy
//	gan sample --out samples.png
package main

import (
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(gan.Program())
}
