// Command textvae trains the model textvae on sentences and writes others.
//
//	textvae train --data sentences.txt
//	textvae sample
//	textvae interpolate "A dog runs." "Two men are sitting on a bench."
package main

import (
	"github.com/gradsmith/gradsmith/generated/textvae"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(textvae.Program())
}
