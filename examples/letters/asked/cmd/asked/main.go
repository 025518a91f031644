// Command asked trains the pair asked on images of letters, and draws the ones that it is asked for.
//
//	asked train --data glyphs.idx --labels glyphs.labels.idx
//	asked sample --label 0
package main

import (
	"github.com/gradsmith/gradsmith/examples/letters/asked"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(asked.Program())
}
