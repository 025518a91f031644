package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/spec"
)

func newShow() *cobra.Command {
	names, docs := spec.Library()
	cmd := &cobra.Command{
		Use:   "show [name]",
		Short: "Print a block or a layer by formula from the library, to copy into a spec",
		Long: `Show prints what the library has of a name: blocks, or definitions of layers by formula, written
in the language of specs. Copy it into a spec, use it by the name that stands in it, and change it;
where the spec has the key blocks or define already, copy what stands below it.
Without a name, show lists what there is.`,
		Example: `  gradsmith show
  gradsmith show lstm >> model.yaml`,
		Args:      cli.Args("[name]"),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				text, err := spec.LibraryText(args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(cmd.OutOrStdout(), text)
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for i, name := range names {
				fmt.Fprintf(w, "%s\t%s\n", name, strings.TrimSuffix(docs[i], "."))
			}
			return w.Flush()
		},
	}
	return cmd
}
