package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cache"
	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/kernel/kernelbench"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

func (a *program) newInfo() *cobra.Command {
	return &cobra.Command{
		Use:   "info [CHECKPOINT]",
		Short: "Show the model's layers, its size, and what a checkpoint holds",
		Args:  cli.Args("[CHECKPOINT]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			a.describe(out)
			path := a.checkpointPath()
			if len(args) > 0 {
				path = args[0]
			} else if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
				return nil
			}
			return a.describeCheckpoint(out, path)
		},
	}
}

// describe prints the table of layers.
func (a *program) describe(out io.Writer) {
	i := a.Info
	fmt.Fprintf(out, "%s, a model of kind %s, from %s\n", i.Name, i.Kind, i.Spec)
	if i.Description != "" {
		fmt.Fprintln(out, i.Description)
	}
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	unit := "token"
	if i.Vector != nil {
		unit = "vector"
	}
	fmt.Fprintln(t, "layer\tkind\toutput\tparameters\tflops a "+unit)
	var flops int64
	for _, l := range i.Layers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", l.Name, l.Kind, l.Output, thousands(l.Params), thousands(l.Flops))
		flops += l.Flops
	}
	fmt.Fprintf(t, "total\t\t\t%s\t%s\n", thousands(i.Params), thousands(flops))
	t.Flush()
	if i.Labels > 0 {
		fmt.Fprintf(out, "\nlabels 0 to %d\n", i.Labels-1)
	}
	if v := i.Vector; v != nil {
		fmt.Fprintf(out, "\nvectors of %s numbers, up to %d side by side; memory: %s to train\n", thousands(v.Width),
			i.Batch, bytesize(i.TrainBytes))
		fmt.Fprintf(out, "digests: spec %.12s, architecture %.12s\n", i.SpecDigest, i.Architecture)
		return
	}
	fmt.Fprintf(out, "\n%s tokens; windows of up to %d sequences × %d steps\n", thousands(i.Vocab), i.Batch, i.Steps)
	fmt.Fprintf(out, "memory: %s to train, %s to write text\n", bytesize(i.TrainBytes), bytesize(i.DecodeBytes))
	a.describeReading(out)
	fmt.Fprintf(out, "digests: spec %.12s, architecture %.12s, vocabulary %.12s\n", i.SpecDigest, i.Architecture,
		a.Tokenizer.Digest())
}

// describeReading prints what writing a token reads of matrices, and how many tokens a second the machine reads that
// for.
func (a *program) describeReading(out io.Writer) {
	m, ok := a.Empty().(model.Packer)
	if !ok {
		return
	}
	kinds := weights.Kinds()
	if a.Info.Weights != "" {
		kinds = []weights.Kind{a.usual()}
	}
	rate := kernelbench.ReadRate(m.MatrixBytes(weights.F32))
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nweights\ta token reads\tat %.1f GB/s, which this machine reads\n", rate/1e9)
	for _, kind := range kinds {
		bytes := m.MatrixBytes(kind)
		fmt.Fprintf(t, "%v\t%s\t%s tokens/s\n", kind, bytesize(bytes), thousands(int(rate/float64(max(1, bytes)))))
	}
	t.Flush()
	if c, ok := m.(model.Cacher); ok {
		a.describeCaches(out, c)
	}
}

// describeCaches prints what decoders keep of the tokens that they have read.
func (a *program) describeCaches(out io.Writer, c model.Cacher) {
	fmt.Fprintf(out, "\nkeys and values of %s tokens of a text:", thousands(a.Info.Steps))
	for i, kind := range cache.Kinds() {
		if i > 0 {
			fmt.Fprint(out, ",")
		}
		fmt.Fprintf(out, " %s as %v", bytesize(c.CacheBytes(kind, 1)), kind)
	}
	fmt.Fprintln(out)
}

// describeCheckpoint prints what a checkpoint holds, and whether it fits.
func (a *program) describeCheckpoint(out io.Writer, path string) error {
	c, err := checkpoint.Describe(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s: ", path)
	if c.Weights != "" {
		fmt.Fprintf(out, "%s weights for writing alone, %s in %d tensors", c.Weights, bytesize(c.Bytes), c.Tensors)
	} else {
		fmt.Fprintf(out, "%s numbers of type %s in %d tensors", thousands(c.Numbers),
			strings.ToLower(strings.Join(c.Types, " and ")), c.Tensors)
	}
	if c.Name == "" {
		fmt.Fprint(out, ", written by another program")
	} else {
		fmt.Fprintf(out, ", of the model %s, spec %.12s", c.Name, c.Spec)
	}
	fmt.Fprintln(out)
	if t := c.Training; t != nil {
		fmt.Fprintf(out, "step %s, seed %d\n", thousands(t.Step), t.Seed)
		keys := make([]string, 0, len(t.Loop))
		for k := range t.Loop {
			if !strings.HasPrefix(k, "-") && !strings.HasSuffix(t.Loop[k], "Inf") { // no best where there is none
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			fmt.Fprintf(out, "  %s %s\n", k, t.Loop[k])
		}
		given := train.Kept(t)
		keys = keys[:0]
		for k := range given {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			fmt.Fprintf(out, "  --%s %s\n", k, given[k])
		}
	} else if c.Name != "" && c.Weights == "" {
		fmt.Fprintln(out, "parameters alone")
	}
	switch verified, err := checkpoint.Verify(path); {
	case err != nil:
		return err
	case verified:
		fmt.Fprintln(out, "whole: it has the digests that were written with it")
	default:
		fmt.Fprintln(out, "without digests, so that damage cannot be told: written by gradsmith 0.4.0 or before, or "+
			"by another program")
	}
	return checkpoint.LoadWeights(path, a.Empty())
}
