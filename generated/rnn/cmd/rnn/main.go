// Command rnn trains the model rnn and writes text with it.
//
//	rnn train --data book.txt
//	rnn sample --prompt "It was"
package main

import (
	"github.com/gradsmith/gradsmith/generated/rnn"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(rnn.Program())
}
