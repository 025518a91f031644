// Command gumbelgan trains the model gumbelgan, writes lines with it and judges others.
//
//	gumbelgan train --data lines.txt
//	gumbelgan sample
package main

import (
	"github.com/gradsmith/gradsmith/generated/gumbelgan"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(gumbelgan.Program())
}
