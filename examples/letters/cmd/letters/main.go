// Command letters trains the model letters, draws with it and judges drawings.
//
//	letters train --data glyphs.idx
//	letters sample
package main

import (
	"github.com/gradsmith/gradsmith/examples/letters"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(letters.Program())
}
