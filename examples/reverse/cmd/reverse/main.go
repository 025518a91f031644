// Command reverse trains a model to reverse sequences of digits.
//
//	reverse data       # writes pairs: train.tsv and short.tsv of 1 to 10 digits, long.tsv of 11 to 15
//	reverse train --source train.tsv --valid-source short.tsv
//	reverse eval --source long.tsv
//	reverse align 31415926
package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/gradsmith/gradsmith/examples/reverse"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "data" {
		if err := data(); err != nil {
			fmt.Fprintln(os.Stderr, "reverse:", err)
			os.Exit(1)
		}
		return
	}
	app.Main(reverse.Program())
}

// data writes the pairs, the same ones each time.
func data() error {
	r := rand.New(rand.NewPCG(1, 2))
	for _, x := range []struct {
		name        string
		pairs       int
		least, most int
	}{{"train.tsv", 50000, 1, 10}, {"short.tsv", 1000, 1, 10}, {"long.tsv", 1000, 11, 15}} {
		f, err := os.Create(x.name)
		if err != nil {
			return err
		}
		w := bufio.NewWriter(f)
		for range x.pairs {
			n := x.least + r.IntN(x.most-x.least+1)
			digits, reversed := make([]byte, n), make([]byte, n)
			for i := range digits {
				digits[i] = byte('0' + r.IntN(10))
				reversed[n-1-i] = digits[i]
			}
			fmt.Fprintf(w, "%s\t%s\n", digits, reversed)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}
