// Command gocode trains a model on Go source and completes lines with it.
//
//	gocode train                       # on the toolchain's own src tree
//	gocode complete 'if err != '
//	gocode sample --prompt 'func main() {'
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gradsmith/gradsmith/examples/gocode"
	"github.com/gradsmith/gradsmith/runtime/app"
	_ "github.com/gradsmith/gradsmith/runtime/mpi" // several processes, started by mpirun, train together
	"github.com/gradsmith/gradsmith/runtime/sample"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "complete" {
		if err := complete(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "gocode:", err)
			os.Exit(1)
		}
		return
	}
	p := gocode.Program()
	p.Prompt = "func "
	if root, err := exec.Command("go", "env", "GOROOT").Output(); err == nil {
		p.Data = filepath.Join(strings.TrimSpace(string(root)), "src")
		p.Match = "*.go"
	}
	app.Main(p)
}

// complete prints the likeliest ends of a line, the best first, each with its probability.
func complete(args []string) error {
	flags := flag.NewFlagSet("complete", flag.ExitOnError)
	checkpoint := flags.String("checkpoint", "gocode.safetensors", "trained model `FILE`")
	width := flags.Int("n", 5, "completions to show")
	length := flags.Int("length", 60, "characters of a completion, at the most")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: gocode complete [flags] 'START OF A LINE'")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("complete takes the start of a line, in quotes: gocode complete 'if err != '")
	}
	m, err := gocode.Load(*checkpoint)
	if err != nil {
		return fmt.Errorf("%w; train one with: gocode train", err)
	}
	// A line stands after a line: the newline tells the model where it is.
	found, err := sample.Beam(context.Background(), m.NewDecoder(*width), gocode.Tokenizer, "\n"+flags.Arg(0), *width,
		sample.Stop("\n"), sample.MaxTokens(*length))
	if err != nil {
		return err
	}
	for _, h := range found {
		fmt.Printf("%5.1f %%  %s%s\n", 100*math.Exp(h.LogProb), flags.Arg(0), h.Text)
	}
	return nil
}
