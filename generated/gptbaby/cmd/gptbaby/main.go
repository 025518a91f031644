// Command gptbaby trains the model gptbaby and writes text with it.
//
//	gptbaby train --data book.txt
//	gptbaby sample --prompt "It was"
package main

import (
	"github.com/gradsmith/gradsmith/generated/gptbaby"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(gptbaby.Program())
}
