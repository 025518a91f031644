// Command gradsmith compiles a spec of a generative text model into a Go package.
//
//	gradsmith init rnn poet        # a spec, a go:generate line and a program to begin with
//	gradsmith check poet.yaml      # what is wrong with a spec, all of it
//	gradsmith generate poet.yaml   # the package
//	gradsmith inspect poet.yaml    # its layers, shapes, parameters, flops and memory
//	gradsmith explain-spec poet.yaml # what it computes, in words and formulas
//	gradsmith import DIR -o smol   # a published checkpoint as a spec, its weights and a program
//	gradsmith export smol --gguf smol.gguf
//	gradsmith show lstm            # an LSTM by formula, to copy into a spec
//	gradsmith verify .             # is all generated code fresh?
//	gradsmith serve ./poet ./names # answer HTTP requests with several models
//
// It reads arguments and files, calls the packages spec and gen, and writes files. It must not know what a model is
// made of: what it prints about one comes from those packages.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/cmd/gradsmith/internal/interchange"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/spec"
)

func main() {
	interchange.Child()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(args []string, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.Execute()
	switch problems := spec.Errors(nil); {
	case err == nil:
		return 0
	case err == errReported:
	case errors.As(err, &problems):
		// They begin with file:line:column, which editors and terminals make links of.
		fmt.Fprintln(errOut, problems)
	default:
		// One line: the suggestions of cobra come on several.
		fmt.Fprintf(errOut, "gradsmith: %s\n", strings.Join(strings.Fields(err.Error()), " "))
	}
	return 1
}

// errReported ends a command that has printed its errors itself.
var errReported = errors.New("errors were reported")

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "gradsmith",
		Short: "Compile specs of generative text models into Go packages",
		Long: `gradsmith compiles a YAML spec of a generative text model into a plain Go package: its
forward pass, its backward pass, its training step and its decoder, as code to read,
step through and import.

Begin with:  gradsmith init rnn poet`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			return fileFlags.Check(cmd, args)
		},
	}
	root.AddCommand(
		newInit(),
		newCheck(),
		newGenerate(),
		newInspect(),
		newExplainSpec(),
		newVerify(),
		newImport(),
		newServe(),
		newExport(),
		newCompare(),
		newReport(),
		newShow(),
		newSchema(),
		newVocab(),
		newTokens(),
		newTokenizer(),
		newBench(),
		newDocs(),
		newVersion(),
	)
	cli.Prepare(root, elsewhere, acting)
	return root
}

// specs completes arguments that are specs.
func specs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// elsewhere says which flag is meant by names that other programs have for it.
var elsewhere = map[string][]string{
	"output": {"--out FILE"}, "size": {"--bpe N", "--words N"}, "tokens": {"--bpe N"}, "vocab-size": {"--bpe N"},
	"kind": {"--as MODEL"}, "package": {"--name NAME"},
	"min": {"--least N"}, "min-count": {"--least N"}, "glob": {"--match PATTERN"}, "pattern": {"--match PATTERN"},
}

// acting says of flags when they act; where they do not they are refused.
var acting = []cli.Rule{
	{
		Flags: []string{"out"},
		Acts:  func(fs *pflag.FlagSet) bool { return !cli.Given(fs, "dump") },
		Why:   "--dump prints and writes nothing", Do: "leave out --dump",
	},
}
