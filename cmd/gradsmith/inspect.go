package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/gen"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/kernel/kernelbench"
	"github.com/gradsmith/gradsmith/spec"
)

func newInspect() *cobra.Command {
	var dot, asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect SPEC",
		Short: "Show layers, shapes, parameters, flops and memory of a model",
		Long: `Inspect shows what a model is made of and what it costs, without generating it: a table of
its layers with shapes, parameters and floating-point operations a token, and the memory
that training and decoding take. Of a model that writes it says what a token reads of
matrices, by kind of weights, and how many tokens a second this machine reads that for.`,
		Example: `  gradsmith inspect poet.yaml
  gradsmith inspect poet.yaml --dot | dot -Tsvg > poet.svg`,
		Args:              cli.Args("SPEC"),
		ValidArgsFunction: specs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dot && asJSON {
				return errors.New("--dot and --json exclude each other")
			}
			m, err := spec.Load(args[0])
			if err != nil {
				return err
			}
			if dot {
				text, err := gen.Dot(m)
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				fmt.Fprint(cmd.OutOrStdout(), text)
				return nil
			}
			work := cli.NewWork(cmd.ErrOrStderr(), "compiling "+args[0])
			r, err := gen.Inspect(m)
			work.End()
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(r)
			}
			fmt.Fprint(cmd.OutOrStdout(), r.Text())
			if len(r.Reads) > 0 && r.Reads[0].Bytes > 0 {
				rate := kernelbench.ReadRate(r.Reads[0].Bytes)
				fmt.Fprintf(cmd.OutOrStdout(), "           this machine reads %.1f GB/s, so that it writes at most",
					rate/1e9)
				for i, x := range r.Reads {
					if i > 0 {
						fmt.Fprint(cmd.OutOrStdout(), ",")
					}
					fmt.Fprintf(cmd.OutOrStdout(), " %s", cli.Thousands(int(rate/float64(x.Bytes))))
				}
				fmt.Fprintln(cmd.OutOrStdout(), " tokens a second")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dot, "dot", false, "print the graph of the forward pass for Graphviz")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	return cmd
}
