// Command transformer trains the model transformer and translates with it.
//
//	transformer train --source train.en --target train.de
//	transformer translate < some.en
package main

import (
	"github.com/gradsmith/gradsmith/generated/transformer"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(transformer.Program())
}
