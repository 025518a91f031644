// Command glyphs trains the model glyphs on images of letters, and draws others.
//
//	glyphs train --data glyphs.idx
//	glyphs sample
package main

import (
	"github.com/gradsmith/gradsmith/examples/glyphs"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(glyphs.Program())
}
