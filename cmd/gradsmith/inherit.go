package main

// Programs of generated packages are built from more modules than the tool. Whoever has the tool in a go.mod file, by
// go get
// -tool, needs the sums of all of them: so the tool is built from them as well.
import (
	_ "github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi"
)
