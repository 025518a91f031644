// Command kernels writes the assembly of runtime/kernel, and the Go files beside it; go generate runs it.
//
//	go run ./asm/kernels -dir runtime/kernel
package main

import (
	"flag"
	"log"

	"github.com/gradsmith/gradsmith/asm"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", ".", "the folder of package kernel")
	flag.Parse()
	if err := asm.WriteKernels(*dir); err != nil {
		log.Fatalf("asm: %v", err)
	}
}
