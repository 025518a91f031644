// Command gan trains the model gan, makes vectors with it and judges others.
//
//	gan train --data vectors.npy
//	gan sample --out samples.png
package main

import (
	"github.com/gradsmith/gradsmith/generated/gan"
	"github.com/gradsmith/gradsmith/runtime/app"
)

func main() {
	app.Main(gan.Program())
}
