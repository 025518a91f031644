// Command byletter trains the model byletter on images of letters, and draws the ones that it is asked for.
//
//	byletter train --data glyphs.idx --labels glyphs.labels.idx
//	byletter sample --label 0
package main

import (
	"github.com/gradsmith/gradsmith/examples/glyphs/byletter"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(byletter.Program())
}
