// Command translate trains the model translate and translates with it.
//
//	translate train --source train.en --target train.de
//	translate translate < some.en
package main

import (
	"github.com/gradsmith/gradsmith/generated/translate"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(translate.Program())
}
