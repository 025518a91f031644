package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/spec"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check SPEC...",
		Short: "Report everything that is wrong with specs",
		Long: `Check reads specs and reports everything that is wrong with them, a line each, with file,
line and column; of a valid one it says what the model is made of. It writes nothing.`,
		Example:           "  gradsmith check poet.yaml",
		Args:              cli.Args("SPEC..."),
		ValidArgsFunction: specs,
		RunE: func(cmd *cobra.Command, paths []string) error {
			var failed spec.Errors
			for _, path := range paths {
				m, err := spec.Load(path)
				if err != nil {
					var problems spec.Errors
					if !errors.As(err, &problems) {
						return err
					}
					failed = append(failed, problems...)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: %s\n", path, m.Summary())
			}
			if failed != nil {
				return failed
			}
			return nil
		},
	}
}
