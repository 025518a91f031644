// Command newton trains the model that the program in examples/embedded carries.
//
//	go run ./examples/embedded/newton/cmd/newton train --best examples/embedded/newton.safetensors
//
// The file that --best names holds the parameters alone, without what a training needs to go on.
package main

import (
	"github.com/gradsmith/gradsmith/examples/embedded/newton"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(newton.Program())
}
