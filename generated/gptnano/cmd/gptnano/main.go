// Command gptnano trains the model gptnano and writes text with it.
//
//	gptnano train --data book.txt
//	gptnano sample --prompt "It was"
package main

import (
	"github.com/gradsmith/gradsmith/generated/gptnano"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(gptnano.Program())
}
