package main

import (
	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/spec"
)

func newSchema() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of specs, for editors",
		Long: `Schema prints the JSON Schema (draft 2020-12) of specs. Editors with a YAML language server
complete and check a spec with it when the spec names it in its first line:

  # yaml-language-server: $schema=spec.schema.json`,
		Example: "  gradsmith schema -o spec.schema.json",
		Args:    cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return output(cmd, out, spec.Schema())
		},
	}
	outFlag(cmd, &out)
	return cmd
}

func newDocs() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:    "docs",
		Short:  "Print the reference of the spec language, in Markdown",
		Args:   cli.Args(),
		Hidden: true, // for the project's own go generate; users read the page
		RunE: func(cmd *cobra.Command, _ []string) error {
			return output(cmd, out, []byte(spec.Reference()))
		},
	}
	outFlag(cmd, &out)
	return cmd
}
