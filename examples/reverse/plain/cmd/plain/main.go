// Command plain trains a model without attention to reverse sequences of digits, on the pairs of command reverse.
//
//	plain train --source train.tsv --valid-source short.tsv
//	plain eval --source short.tsv
package main

import (
	"github.com/gradsmith/gradsmith/examples/reverse/plain"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(plain.Program())
}
