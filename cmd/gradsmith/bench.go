package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/kernel/kernelbench"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine",
		Args:  cli.Args(),
	}
	cmd.AddCommand(newBenchKernels())
	return cmd
}

func newBenchKernels() *cobra.Command {
	o := kernelbench.Options{}
	cmd := &cobra.Command{
		Use:   "kernels [NAME]",
		Short: "Time the kernels against the limits of this machine",
		Long: `Kernels measures the kernels that generated code calls, at every level of assembly that the
machine has, and beside each in the same run the machine's peak of fused multiply-adds and
its memory bandwidth: the last column is the share of the lower of the two limits.

With NAME it measures the kernels whose name and size contain it.`,
		Example: `  gradsmith bench kernels
  gradsmith bench kernels GemmNN --levels avx2 --json`,
		Args:              cli.Args("[NAME]"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Kernels = args[0]
			}
			if o.Threads < 1 {
				return fmt.Errorf("--threads %d: give 1 or more", o.Threads)
			}
			if o.Rounds < 1 {
				return fmt.Errorf("--rounds %d: give 1 or more", o.Rounds)
			}
			if o.JSON { // which is printed at the end
				work := cli.NewWork(cmd.ErrOrStderr(), "measuring")
				defer work.End()
			}
			return kernelbench.Run(cmd.OutOrStdout(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.JSON, "json", false, "print JSON")
	f.StringVar(&o.Levels, "levels", "",
		"`LEVELS` to run, of generic, avx2 and avx512, with commas between them (default: all that the machine has)")
	f.IntVar(&o.Threads, "threads", 1, "threads that compute")
	f.IntVar(&o.Rounds, "rounds", 11, "measurements of which the median counts")
	return cmd
}
