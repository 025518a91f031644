// Command vae trains the model vae on vectors and puts it to use.
//
//	vae train --data digits.npy
//	vae sample
package main

import (
	"github.com/gradsmith/gradsmith/generated/vae"
	"github.com/gradsmith/gradsmith/runtime/app"
)

func main() {
	app.Main(vae.Program())
}
