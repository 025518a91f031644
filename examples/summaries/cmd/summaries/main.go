// Command summaries trains a model that says in a sentence what a Go function does, and asks it:
//
//	go run ./examples/summaries/data -out data
//	summaries train --source data/train.tsv --shuffle
//	summaries eval --source data/held.tsv --beam 5
//	echo "func Abs(x float64) float64 { return Float64frombits(Float64bits(x) &^ (1 << 63)) }" | summaries translate
package main

import (
	"github.com/gradsmith/gradsmith/examples/summaries"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() { app.Main(summaries.Program()) }
