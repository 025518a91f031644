package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/spec"
)

func newCompare() *cobra.Command {
	var all bool
	var of, text string
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Compare the tensors of two checkpoints",
		Long: `Compare reads two safetensors files, of this project or of others, and says of each tensor how far
B is from A: the largest difference of two numbers, and the length of all differences over that
of A's numbers. Tensors with the same bits are counted alone, unless --all lists them.

With --text and --spec, of which both are checkpoints, it also evaluates both on a text, in float64:
the largest difference of two logits, and how far the distributions of the next token are apart.

The status is 1 where anything differs.`,
		Example: `  gradsmith compare smol/pretrained.safetensors smol.safetensors
  gradsmith compare smol/pretrained.safetensors smol.safetensors --spec smol/smol.yaml --text "It was"`,
		Args: cli.Args("A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (of == "") != (text == "") {
				return errors.New("--text needs --spec, of which both are checkpoints, and --spec needs --text")
			}
			a, err := checkpoint.Open(args[0])
			if err != nil {
				return err
			}
			defer a.Close()
			b, err := checkpoint.Open(args[1])
			if err != nil {
				return err
			}
			defer b.Close()
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			same, other, err := compare(t, a, b, all)
			if err != nil {
				return err
			}
			if err := t.Flush(); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d tensors have the same numbers, %d differ\n", same, other)
			if of != "" {
				m, err := spec.Load(of)
				if err != nil {
					return err
				}
				differ, err := compareText(cmd.OutOrStdout(), m, a, b, text)
				if err != nil {
					return err
				}
				if differ {
					return errReported
				}
			}
			if other > 0 {
				return errReported
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "list tensors that are the same, too")
	cmd.Flags().StringVar(&of, "spec", "", "`SPEC` of both")
	cmd.Flags().StringVar(&text, "text", "", "`TEXT` to evaluate both on")
	return cmd
}

// compare writes a line a tensor, and counts those that are the same and those that are not.
func compare(w *tabwriter.Writer, a, b *checkpoint.Reader, all bool) (same, other int, err error) {
	in := map[string]checkpoint.Entry{}
	for _, e := range b.Entries() {
		in[e.Name] = e
	}
	line := func(e checkpoint.Entry, largest, relative, what string) {
		fmt.Fprintf(w, "%s\t%v\t%s\t%s\t%s\n", e.Name, e.Shape, largest, relative, what)
	}
	fmt.Fprintln(w, "tensor\tshape\tlargest difference\trelative\t")
	for _, e := range a.Entries() {
		f, ok := in[e.Name]
		delete(in, e.Name)
		switch {
		case !ok:
			line(e, "", "", "only in "+a.Path())
			other++
			continue
		case !slices.Equal(e.Shape, f.Shape):
			line(e, "", "", fmt.Sprintf("has the shape %v in %s", f.Shape, b.Path()))
			other++
			continue
		case !e.Float() || !f.Float():
			line(e, "", "", fmt.Sprintf("of types %s and %s, which are not read as numbers", e.Type, f.Type))
			other++
			continue
		}
		d, err := distance(e, a, b)
		if err != nil {
			return 0, 0, err
		}
		switch {
		case d.bits:
			if same++; all {
				line(e, "0", "0", "the same")
			}
		default:
			other++
			line(e, fmt.Sprintf("%.3g", d.largest), fmt.Sprintf("%.3g", d.relative), d.note)
		}
	}
	for _, e := range b.Entries() {
		if _, left := in[e.Name]; left {
			line(e, "", "", "only in "+b.Path())
			other++
		}
	}
	return same, other, nil
}

// apart is how far a tensor is from another.
type apart struct {
	largest, relative float64
	bits              bool // all numbers have the same bits
	note              string
}

// distance reads a tensor of both files, some numbers at a time.
func distance(e checkpoint.Entry, a, b *checkpoint.Reader) (apart, error) {
	const some = 1 << 16
	x, y := make([]float32, some), make([]float32, some)
	d := apart{bits: true}
	diff, size := 0.0, 0.0
	bad := 0 // places where one is not a number
	for at, n := 0, e.Numbers(); at < n; at += some {
		x, y := x[:min(some, n-at)], y[:min(some, n-at)]
		if err := errors.Join(a.Read(e.Name, at, x), b.Read(e.Name, at, y)); err != nil {
			return d, err
		}
		for i, v := range x {
			d.bits = d.bits && math.Float32bits(v) == math.Float32bits(y[i])
			delta := math.Abs(float64(v) - float64(y[i]))
			if math.IsNaN(delta) || math.IsInf(delta, 0) {
				if math.Float32bits(v) != math.Float32bits(y[i]) {
					bad++
				}
				continue
			}
			d.largest = max(d.largest, delta)
			diff += delta * delta
			size += float64(v) * float64(v)
		}
	}
	if d.relative = math.Sqrt(diff); size > 0 {
		d.relative /= math.Sqrt(size)
	}
	if bad > 0 {
		d.note = fmt.Sprintf("%d numbers are not finite in one of them", bad)
	}
	return d, nil
}
