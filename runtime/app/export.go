package app

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
)

func (a *program) newExport() *cobra.Command {
	var path, as, out string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write a checkpoint of the parameters alone, to embed in a program",
		Long: `Export writes the parameters of a checkpoint, and nothing of its training: a third of the size with Adam,
and half of that again with --type bf16, whose numbers are rounded to the nearest with 8 bits of precision.
Load, Parse and all commands read it; only a training can't go on from it.`,
		Example: fmt.Sprintf("  %s export -o small.safetensors --type bf16", a.Info.Name),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := checkpoint.ParseType(as)
			if err != nil {
				return fmt.Errorf("--type: %w", err)
			}
			m, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			if err := checkpoint.Export(out, m, t); err != nil {
				return err
			}
			size := ""
			if info, err := os.Stat(out); err == nil {
				size = ", " + bytesize(int(info.Size()))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s parameters as %s%s\n", out, thousands(a.Info.Params), as,
				size)
			return err
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&as, "type", "f32", "of the numbers: f32 or bf16")
	fs.StringVarP(&out, "out", "o", a.Info.Name+"-parameters.safetensors", "`FILE` to write")
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}
