// Command opticks trains the model opticks on a text and writes more of it.
//
//	opticks train            # on Newton's Opticks, which comes with Go
//	opticks train --data book.txt
//	opticks sample --prompt "The Rays of Light"
package main

import (
	"github.com/gradsmith/gradsmith/examples/opticks"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	p := opticks.Program()
	p.Prompt = "The "
	app.Main(p)
}
