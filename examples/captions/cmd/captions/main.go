// Command captions trains networks of captions on lines of text, writes lines, tells how good and how varied they are,
// and judges lines.
//
//	captions train --data train.en --valid val.en
//	captions sample
//	captions eval --data val.en --temperatures 0.5,0.7,1
package main

import (
	"github.com/gradsmith/gradsmith/examples/captions"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() { app.Main(captions.Program()) }
