package app

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/train"
	"github.com/gradsmith/gradsmith/runtime/weights"
)

// quantizeFlags are the flags of quantize.
type quantizeFlags struct {
	model, out string
	kind       weights.Kind
	data       dataFlags
	pairs      pairFlags
	last       float64
	tokens     int
}

func (a *program) newQuantize() *cobra.Command {
	usual := a.usual()
	if a.Info.Weights == "" {
		usual = weights.Q8
	}
	f := quantizeFlags{kind: usual}
	cmd := &cobra.Command{
		Use:   "quantize",
		Short: "Write a smaller checkpoint, with what writing needs and no more",
		Long: `Quantize writes the weights of a checkpoint in the form in which the model reads them when it
writes. Every command that writes takes the file for --model: it is mapped into memory and not read,
so that it is there at once. It can't be trained on or exported: keep the checkpoint for that.

It prints how much of the weights is lost by rounding, and in which layer most. ` + a.quantizeData(),
		Example: fmt.Sprintf("  %s quantize --weights q8 -o small.safetensors", a.Info.Name),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !(f.last > 0 && f.last <= 1) {
				return fmt.Errorf("--last %v: give a share above 0 and at most 1", f.last)
			}
			if f.tokens < 0 {
				return fmt.Errorf("--tokens %d: give 0 or more", f.tokens)
			}
			if err := a.fixed(f.kind); err != nil {
				return err
			}
			lm, err := a.trained(f.model, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			m, ok := lm.(model.Packer)
			if !ok {
				return fmt.Errorf("%s does not write token by token", a.Info.Name)
			}
			if m.Kind() != weights.Live {
				return fmt.Errorf("%s has %v weights already: take the checkpoint that it was made of", f.model,
					m.Kind())
			}
			windows, err := a.quantizeWindows(cmd, &f)
			if err != nil {
				return err
			}
			if err := checkpoint.SaveMatrices(f.out, m, f.kind); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			a.describeQuantized(out, m, &f)
			if f.kind == weights.F32 {
				return nil // every bit is kept
			}
			lost, err := rounding(m, f.kind)
			if err != nil {
				return err
			}
			lost.describe(out)
			if windows == nil {
				return nil
			}
			return a.compareKinds(cmd.Context(), out, cmd.ErrOrStderr(), m, f.kind, lost.layers, windows)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.TextVar(&f.kind, "weights", usual, "`KIND` of numbers: f32, bf16, q8 or q4")
	fs.StringVarP(&f.out, "out", "o", a.Info.Name+"-quantized.safetensors", "`FILE` to write")
	switch {
	case a.Info.Source != nil:
		f.pairs.add(fs, "", "source", a.Data)
	case a.ofText():
		f.data.addText(a, fs, " to compare losses on")
		fs.Float64Var(&f.last, "last", 1, "only the last `SHARE` of the text, such as what train kept for validation")
	}
	if a.Info.Source != nil || a.ofText() {
		fs.IntVar(&f.tokens, "tokens", 10000, "tokens of the data to compare losses on, about; 0 for all")
	}
	if f.last == 0 {
		f.last = 1
	}
	fs.StringVar(&f.model, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// ofText reports whether the model is one of running text.
func (a *program) ofText() bool {
	i := a.Info
	return i.Source == nil && i.Latent == nil && i.Vector == nil && i.Adversary == nil && i.Masking == nil
}

// quantizeData is what the help of quantize says of data.
func (a *program) quantizeData() string {
	switch {
	case a.Info.Source != nil:
		return "With pairs it prints\nthe loss of both on them, and which layer alone costs most."
	case a.ofText():
		return "With --data it prints\nthe loss of both on a text, and which layer alone costs most."
	}
	return ""
}

// quantizeWindows is what losses are compared on, or nil.
func (a *program) quantizeWindows(cmd *cobra.Command, f *quantizeFlags) (train.Windows, error) {
	var windows train.Windows
	switch {
	case a.Info.Source != nil:
		if !cmd.Flags().Changed("source") {
			return nil, nil
		}
		pairs, err := a.pairs(&f.pairs, 1)
		if err != nil {
			return nil, err
		}
		if windows, err = pairs.Whole(a.Info.Batch); err != nil {
			return nil, err
		}
	case a.ofText():
		if !cmd.Flags().Changed("data") {
			return nil, nil
		}
		in, err := f.data.text(cmd.Context(), a)
		if err != nil {
			return nil, err
		}
		o := text.Options{Separator: f.data.separator}
		if f.last < 1 {
			o.Validation = f.last
		}
		corpus, err := a.corpus(in, o)
		if err != nil {
			return nil, err
		}
		part := corpus.Train
		if f.last < 1 {
			part = corpus.Validation
		}
		if windows, err = a.evaluating(part, a.Info.Batch, a.Info.Steps); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	if f.tokens > 0 {
		windows = &firstWindows{allWindows: windows, most: f.tokens}
	}
	return windows, nil
}

// firstWindows are windows up to the one in which a number of tokens is reached.
type firstWindows struct {
	allWindows
	most, read int
}

type allWindows = train.Windows

func (w *firstWindows) Rewind() {
	w.allWindows.Rewind()
	w.read = 0
}

func (w *firstWindows) Next(b *model.Batch) bool {
	if w.read >= w.most || !w.allWindows.Next(b) {
		return false
	}
	w.read += b.Steps * b.Batch
	return true
}

func (a *program) describeQuantized(out io.Writer, m model.Packer, f *quantizeFlags) {
	size := func(path string) string {
		info, err := os.Stat(path)
		if err != nil {
			return "?"
		}
		return bytesize(info.Size())
	}
	fmt.Fprintf(out, "%s: %v weights, %s; %s has %s\n", f.out, f.kind, size(f.out), f.model, size(f.model))
	fmt.Fprintf(out, "a token reads %s of matrices, and %s in float32\n", bytesize(m.MatrixBytes(f.kind)),
		bytesize(m.MatrixBytes(weights.F32)))
}

// layerError is what is lost in the matrices of a layer: sums of squares.
type layerError struct {
	name         string
	lost, square float64
}

func (l *layerError) relative() float64 {
	if l.square == 0 {
		return 0
	}
	return math.Sqrt(l.lost / l.square)
}

// roundingError is what is lost in the layers.
type roundingError struct{ layers []layerError }

// rounding compares the matrices of a kind with the parameters that they are made of.
func rounding(m model.Packer, kind weights.Kind) (*roundingError, error) {
	values := map[string][]float32{}
	for _, t := range m.Tensors() {
		values[t.Name] = t.Value
	}
	e := &roundingError{}
	err := m.Lay(&weights.Layout{Kind: kind, Made: func(name string, form weights.Form, x *weights.Matrix) {
		layer := layerOf(name)
		i := slices.IndexFunc(e.layers, func(l layerError) bool { return l.name == layer })
		if i < 0 {
			i = len(e.layers)
			e.layers = append(e.layers, layerError{name: layer})
		}
		k, n := x.Dims()
		column := make([]float32, k)
		for j := range n {
			x.Column(column, j)
			for r, got := range column {
				at := r*n + j
				if form != weights.Straight {
					at = j*k + r
				}
				want := float64(values[name][at])
				e.layers[i].lost += (float64(got) - want) * (float64(got) - want)
				e.layers[i].square += want * want
			}
		}
	}})
	return e, err
}

// layerOf is the layer of a parameter: its name without the last part.
func layerOf(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return name[:i]
	}
	return name
}

func (e *roundingError) describe(out io.Writer) {
	var all layerError
	most := 0
	for i, l := range e.layers {
		all.lost += l.lost
		all.square += l.square
		if l.relative() > e.layers[most].relative() {
			most = i
		}
	}
	fmt.Fprintf(out, "rounding moves the weights by %.2g %% of their size, most in %s, by %.2g %%\n",
		100*all.relative(), e.layers[most].name, 100*e.layers[most].relative())
}

// compareKinds prints the loss of what decoders compute in float32 and with a kind, and the layer that alone costs
// most.
func (a *program) compareKinds(ctx context.Context, out, errOut io.Writer, m model.Packer, kind weights.Kind,
	layers []layerError, windows train.Windows) error {
	bar := cli.NewCounter(errOut, 2+len(layers), "evaluations")
	defer bar.End()
	done := 0
	loss := func(l *weights.Layout) (float64, int, error) {
		if err := m.Lay(l); err != nil {
			return 0, 0, err
		}
		nats, tokens, err := train.EvaluateDecoder(ctx, m, windows)
		done++
		bar.Set(done)
		return nats, tokens, err
	}
	exact, tokens, err := loss(&weights.Layout{Kind: weights.F32})
	if err != nil {
		return err
	}
	rounded, _, err := loss(&weights.Layout{Kind: kind})
	if err != nil {
		return err
	}
	worst, most := "", math.Inf(-1)
	for _, layer := range layers {
		alone, _, err := loss(&weights.Layout{Kind: kind, KindOf: func(name string) weights.Kind {
			if layerOf(name) == layer.name {
				return kind
			}
			return weights.F32
		}})
		if err != nil {
			return err
		}
		if alone > most {
			worst, most = layer.name, alone
		}
	}
	bar.End()
	fmt.Fprintf(out, "on %s tokens:\n  f32   %s\n  %-5v %s, %+.3f %%\n", thousands(tokens), a.lossLine(exact, "", 0),
		kind, a.lossLine(rounded, "", 0), 100*(math.Exp(rounded-exact)-1))
	fmt.Fprintf(out, "with one layer in %v alone %s costs most: %s, %+.3f %%\n", kind, worst, a.lossLine(most, "", 0),
		100*(math.Exp(most-exact)-1))
	return nil
}
