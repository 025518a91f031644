// Command seqgan trains the model seqgan, writes lines with it and judges others.
//
//	seqgan train --data lines.txt
//	seqgan sample
package main

import (
	"github.com/gradsmith/gradsmith/generated/seqgan"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	app.Main(seqgan.Program())
}
