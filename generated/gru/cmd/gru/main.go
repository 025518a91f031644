// Command gru trains the model gru and writes text with it.
//
//	gru train --data book.txt
//	gru sample --prompt "It was"
package main

import (
	"github.com/gradsmith/gradsmith/generated/gru"
	"github.com/gradsmith/gradsmith/runtime/app"
)

func main() {
	app.Main(gru.Program())
}
