// Command names trains a model that names languages, scripts and regions in 34 languages, and asks it:
//
//	go run ./examples/names/data -out data
//	names train --source data/train --balance 3 --shuffle
//	names eval --source data/held --beam 5
//	echo "<de> Estonian" | names translate
package main

import (
	"github.com/gradsmith/gradsmith/examples/names"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() { app.Main(names.Program()) }
