// Command lstm trains the model lstm and writes text with it.
//
//	lstm train --data book.txt
//	lstm sample --prompt "It was"
package main

import (
	"github.com/gradsmith/gradsmith/generated/lstm"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(lstm.Program())
}
