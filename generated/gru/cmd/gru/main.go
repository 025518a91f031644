// Command gru trains the model gru and writes text with it.
//
//	gru train --data book.txt
//	gru sample --prompt "It was"
package main

import (
	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(gru.Program())
}
