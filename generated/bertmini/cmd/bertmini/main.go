// Command bertmini trains the model bertmini and fills in what is masked in a text.
//
//	bertmini train --data book.txt
//	bertmini fill "To be or [MASK] to be"
package main

import (
	"github.com/gradsmith/gradsmith/generated/bertmini"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(bertmini.Program())
}
