// Command embedded writes text with a trained model that is part of the program: no file stands beside it.
//
//	go build -o /tmp/newton ./examples/embedded && /tmp/newton "The Rays of "
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"

	"github.com/gradsmith/gradsmith/examples/embedded/newton"
	"github.com/gradsmith/gradsmith/runtime/sample"
)

//go:embed newton.safetensors
var checkpoint []byte

func main() {
	tokens := flag.Int("tokens", 300, "characters to write")
	temperature := flag.Float64("temperature", 0.7, "below 1 for likelier text, above for more surprising text")
	seed := flag.Uint64("seed", 1, "another seed writes another text")
	flag.Parse()
	prompt := "The "
	if flag.NArg() > 0 {
		prompt = flag.Arg(0)
	}
	if err := write(prompt, *tokens, *temperature, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "embedded:", err)
		os.Exit(1)
	}
}

func write(prompt string, tokens int, temperature float64, seed uint64) error {
	m, err := newton.Parse(checkpoint)
	if err != nil {
		return err
	}
	fmt.Print(prompt)
	for text, err := range m.Generate(context.Background(), prompt, sample.MaxTokens(tokens),
		sample.Temperature(temperature), sample.Seed(seed)) {
		if err != nil {
			return err
		}
		fmt.Print(text)
	}
	fmt.Println()
	return nil
}
