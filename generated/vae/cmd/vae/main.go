// Command vae trains the model vae on vectors and puts it to use.
//
//	vae train --data digits.npy
//	vae sample
package main

import (
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(vae.Program())
}
