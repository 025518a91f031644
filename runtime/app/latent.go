package app

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/latent"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/vector"
)

// autoencoder makes the model with the parameters of a checkpoint.
func (a *program) autoencoder(path string) (model.Autoencoder, error) {
	m, err := a.trained(path, checkpoint.LoadWeights)
	if err != nil {
		return nil, err
	}
	return m.(model.Autoencoder), nil
}

// mostPoints is the number of points between two that are shown.
const mostPoints = 100_000

const vectorData = "`FILE` of vectors, CSV, NPY, IDX or PNG, or a folder of them" + several

func (a *program) newEvalLatent() *cobra.Command {
	var data dataFlags
	var path string
	var last float64
	var o latent.Options
	var asJSON bool
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Tell how well the model reconstructs, and what its latent vector says",
		Long: `Eval prints, in nats: the reconstruction term −log p(x|z); the divergence of the latent vectors'
distributions from the prior, in all and of each dimension; their sum, the negative evidence lower
bound; and an estimate of −log p(x) by importance weighting, which the bound is above. Then how many
dimensions are active (the variance of their means is above 0.01) and the mutual information of data and
latent vectors.

A model that does not use its latent vector at all is warned of.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Samples < 1 {
				return fmt.Errorf("--samples %d: give 1 or more", o.Samples)
			}
			if !(last > 0 && last <= 1) {
				return fmt.Errorf("--last %v: give a share above 0 and at most 1", last)
			}
			m, err := a.autoencoder(path)
			if err != nil {
				return err
			}
			batches, name, count, err := a.evaluated(cmd, &data, labels, last)
			if err != nil {
				return err
			}
			bar := cli.NewCounter(cmd.ErrOrStderr(), count, a.Info.Unit()+"s")
			o.Progress = bar.Set
			r, err := latent.Evaluate(cmd.Context(), m, batches, o)
			bar.End()
			if err != nil {
				return err
			}
			found := evaluation{Report: r, Collapsed: r.Collapsed()}
			if a.Info.Vector == nil {
				if found.Tokens, found.Sentences, err = a.accuracy(cmd.Context(), m, batches, count,
					cmd.ErrOrStderr()); err != nil {
					return err
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(found)
			}
			a.reportLatent(cmd.OutOrStdout(), name, found)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	if a.Info.Vector != nil {
		data.addVectors(a, fs)
	} else {
		data.addLines(a, fs, sentenceData+several, a.Data)
	}
	data.addShuffle(fs)
	labels.add(a, fs)
	fs.Float64Var(&last, "last", 1, "only the last `SHARE` of the data, such as what train kept for validation")
	fs.IntVar(&o.Samples, "samples", 100,
		"latent vectors drawn for each of them: the more, the better the estimate of −log p(x)")
	fs.Uint64Var(&o.Seed, "seed", 1, "of the samples")
	fs.BoolVar(&asJSON, "json", false, "print a line of JSON")
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// evaluated is data to evaluate on, its name, and the number of vectors or sentences in it.
func (a *program) evaluated(cmd *cobra.Command, data *dataFlags, labels labelFlags, last float64) (latent.Batches,
	string, int, error) {
	if a.Info.Vector == nil {
		set, err := a.sentences(data, labels)
		if err == nil && last < 1 {
			_, set, err = set.Split(last)
		}
		if err != nil {
			return nil, "", 0, err
		}
		batches, err := set.Whole(a.Info.Batch)
		return batches, set.Name, set.Len(), err
	}
	set, err := a.examples(cmd, data, labels)
	if err == nil && last < 1 {
		_, set, err = set.Split(last)
	}
	if err != nil {
		return nil, "", 0, err
	}
	batches, err := set.Whole(a.Info.Batch)
	return batches, set.Name, set.Len(), err
}

// evaluation is what eval finds.
type evaluation struct {
	*latent.Report
	Collapsed bool    `json:"collapsed"`
	Tokens    float64 `json:"tokens_in_place,omitempty"` // of text: the share that is written again from the mean
	Sentences float64 `json:"sentences_exact,omitempty"`
}

func (a *program) reportLatent(out io.Writer, name string, r evaluation) {
	unit := a.Info.Unit()
	fmt.Fprintf(out, "%s: %s %ss; in nats a %s:\n", name, thousands(r.Rows), unit, unit)
	fmt.Fprintf(out, "  reconstruction  %10.4f\n  divergence      %10.4f\n  bound (−ELBO)   %10.4f\n  −log p(x)      "+
		" %10.4f  by importance weighting, %s samples\n",
		r.Reconstruction, r.KL, r.Bound, r.NLL, thousands(r.Samples))
	fmt.Fprintf(out, "  information     %10.4f  of data and latent vector\n", r.Information)
	fmt.Fprintf(out, "  active units    %5d of %d\n  divergence by dimension", r.Active, len(r.Dims))
	for d, x := range r.Dims {
		if d%10 == 0 {
			fmt.Fprint(out, "\n   ")
		}
		fmt.Fprintf(out, " %.3f", x)
	}
	fmt.Fprintln(out)
	if a.Info.Vector == nil {
		fmt.Fprintf(out, "  written again from the mean: %.2f %% of tokens in their place, %.2f %% of sentences\n",
			100*r.Tokens, 100*r.Sentences)
	}
	if r.Collapsed {
		fmt.Fprintf(out, "warning     the latent vector is not used (%d active units, a divergence of %.3f): the "+
			"decoder has learnt the data without it; let the divergence's weight rise slowly (latent.annealing), "+
			"give it free bits (latent.free_bits), or take a weaker decoder\n", r.Active, r.KL)
	}
}

// pictureFlags say where vectors go.
type pictureFlags struct {
	out   string
	width int
	what  string // what a picture shows; empty for the images one by one
}

func (p *pictureFlags) add(a *program, name string) func(cmd *cobra.Command) {
	return func(cmd *cobra.Command) {
		side := squareSide(a.Info.Vector.Width)
		if side == 0 {
			name = ""
		}
		cmd.Flags().StringVarP(&p.out, "out", "o", name,
			"`FILE`.png for a grid of images, or .csv for numbers; nothing prints these")
		cmd.Flags().IntVar(&p.width, "width", side, "pixels of a row of an image")
	}
}

// write puts vectors, which are rows of a grid of the given number of columns, where the flags say.
func (p *pictureFlags) write(cmd *cobra.Command, x []float32, size, columns int, v *model.Vector) error {
	switch {
	case p.out == "" || strings.HasSuffix(p.out, ".csv"):
		var b strings.Builder
		for i, n := range x {
			b.WriteString(strconv.FormatFloat(float64(n), 'g', -1, 32))
			if (i+1)%size == 0 {
				b.WriteByte('\n')
			} else {
				b.WriteByte(',')
			}
		}
		if p.out == "" {
			_, err := io.WriteString(cmd.OutOrStdout(), b.String())
			return err
		}
		return writeFile(cmd, p.out, []byte(b.String()), fmt.Sprintf("%d vectors", len(x)/size))
	case !strings.HasSuffix(p.out, ".png"):
		return fmt.Errorf("--out %s: give the name of a .png or a .csv file", p.out)
	case p.width < 1 || size%p.width != 0:
		return fmt.Errorf("--width %d: the vectors have %d numbers, which are not whole rows of an image; give a "+
			"divisor, or write numbers with --out FILE.csv", p.width, size)
	}
	data, err := grid(x, size, p.width, columns, v)
	if err != nil {
		return err
	}
	if p.what == "" {
		p.what = fmt.Sprintf("%d images in rows of %d", len(x)/size, columns)
	}
	return writeFile(cmd, p.out, data, p.what)
}

func (a *program) newSampleVectors() *cobra.Command {
	var path string
	var number int
	var seed uint64
	var p pictureFlags
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Write vectors from latent vectors of the prior",
		Long: `Sample draws latent vectors from the prior, and writes what the decoder makes of them: the means of
their numbers, as a grid of images or as CSV. The same seed gives the same.` + a.eachLabel("latent vectors"),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := labels.checkNumber(a, number); err != nil {
				return err
			}
			m, err := a.autoencoder(path)
			if err != nil {
				return err
			}
			z := make([]float32, number*a.Info.Latent.Width)
			latent.Prior(z, seed)
			var x []float32
			if err := labels.each(a, cmd.Flags().Changed("label"), func(label int) error {
				made, err := inference.DecodeVectors(m, z, repeated(label, number))
				x = append(x, made...)
				return err
			}); err != nil {
				return err
			}
			return p.write(cmd, x, a.Info.Vector.Width, labels.columns(a, number), a.Info.Vector)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	labels.addNumber(a, fs, &number, 64)
	fs.Uint64Var(&seed, "seed", 1, "of the latent vectors")
	p.add(a, "samples.png")(cmd)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// encoded calls each with the mean of every vector's latent vector, in order.
func (a *program) encoded(m model.Autoencoder, set *vector.Set, each func(row int, mean []float32) error) error {
	batches, err := set.Whole(a.Info.Batch)
	if err != nil {
		return err
	}
	var b model.Batch
	width, row := a.Info.Latent.Width, 0
	for batches.Next(&b) {
		mean, _, err := m.Posterior(&b)
		if err != nil {
			return err
		}
		for i := range b.Batch {
			if err := each(row, mean[i*width:(i+1)*width]); err != nil {
				return err
			}
			row++
		}
	}
	return nil
}

func (a *program) newReconstruct() *cobra.Command {
	var data dataFlags
	var path string
	var number int
	var p pictureFlags
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "reconstruct",
		Short: "Write what the model makes of vectors",
		Long: `Reconstruct encodes vectors, and writes what the decoder makes of the means: a grid of images in which
each is below the one that it is of, or the numbers alone as CSV.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if number < 1 {
				return fmt.Errorf("--number %d: give 1 or more", number)
			}
			m, err := a.autoencoder(path)
			if err != nil {
				return err
			}
			set, err := a.examples(cmd, &data, labels)
			if err != nil {
				return err
			}
			set.Data = set.Data[:min(number, set.Len())*set.Width]
			if set.Labels != nil {
				set.Labels = set.Labels[:set.Len()]
			}
			var z []float32
			if err := a.encoded(m, set,
				func(_ int, mean []float32) error { z = append(z, mean...); return nil }); err != nil {
				return err
			}
			x, err := inference.DecodeVectors(m, z, set.Labels)
			if err != nil {
				return err
			}
			if !strings.HasSuffix(p.out, ".png") {
				return p.write(cmd, x, set.Width, set.Len(), a.Info.Vector)
			}
			rows := (set.Len() + mostColumns - 1) / mostColumns
			columns := (set.Len() + rows - 1) / rows
			p.what = fmt.Sprintf("%d vectors in rows of %d, each with what the model makes of it below", set.Len(),
				columns)
			return p.write(cmd, paired(set.Data, x, set.Width, columns), set.Width, columns, a.Info.Vector)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	data.addVectors(a, fs)
	labels.add(a, fs)
	fs.IntVarP(&number, "number", "n", 64, "of how many, from the first on")
	p.add(a, "reconstructions.png")(cmd)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// mostColumns is how many vectors stand beside each other at the most.
const mostColumns = 16

// paired sets rows of vectors and of their reconstructions below each other. The last row is filled up with zeros.
func paired(x, y []float32, size, columns int) []float32 {
	var out []float32
	row := columns * size
	for at := 0; at < len(x); at += row {
		for _, from := range [][]float32{x, y} {
			part := from[at:min(at+row, len(from))]
			out = append(out, part...)
			out = append(out, make([]float32, row-len(part))...)
		}
	}
	return out
}

func (a *program) newInterpolate() *cobra.Command {
	var data dataFlags
	var path string
	var steps int
	var p pictureFlags
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "interpolate A B",
		Short: "Go from one vector to another through the latent space",
		Long: `Interpolate encodes the vectors number A and B of a file, counted from 1, and writes what the decoder
makes of the points on the straight line between their means.` + a.betweenLabels(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("interpolate takes the numbers of two vectors, such as `interpolate 1 2`")
			}
			if steps < 2 || steps > mostPoints {
				return fmt.Errorf("--steps %d: give 2 to %d", steps, mostPoints)
			}
			of, along, err := labels.between(a, steps)
			if err != nil {
				return err
			}
			m, err := a.autoencoder(path)
			if err != nil {
				return err
			}
			set, err := data.vectors(cmd, a)
			if err != nil {
				return err
			}
			var ends []float32
			for _, arg := range args {
				n, err := strconv.Atoi(arg)
				if err != nil || n < 1 || n > set.Len() {
					return fmt.Errorf("%q is not the number of one of the %s vectors of %s, from 1", arg,
						thousands(set.Len()), set.Name)
				}
				ends = append(ends, set.Row(n-1)...)
			}
			two, err := vector.New(set.Name, ends, *a.Info.Vector)
			if err != nil {
				return err
			}
			two.Labels = of
			width := a.Info.Latent.Width
			var z []float32
			if err := a.encoded(m, two,
				func(_ int, mean []float32) error { z = append(z, mean...); return nil }); err != nil {
				return err
			}
			way := make([]float32, steps*width)
			latent.Between(way, z[:width], z[width:], steps)
			x, err := inference.DecodeVectors(m, way, along)
			if err != nil {
				return err
			}
			return p.write(cmd, x, set.Width, steps, a.Info.Vector)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	data.addVectors(a, fs)
	labels.addTwo(a, fs, "both vectors, or A,B of each")
	fs.IntVar(&steps, "steps", 10, "points, both ends included")
	p.add(a, "interpolation.png")(cmd)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// code is a line of encode.
type code struct {
	Row  int       `json:"row"` // from 1
	Mean []float32 `json:"mean"`
}

func (a *program) newEncode() *cobra.Command {
	var data dataFlags
	var path string
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "encode",
		Short: "Print the mean of each vector's latent vector as a line of JSON",
		Long: `Encode prints, for each vector, a line such as {"row":1,"mean":[0.12,-1.3]}: for search, clustering
and plots.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := a.autoencoder(path)
			if err != nil {
				return err
			}
			set, err := a.examples(cmd, &data, labels)
			if err != nil {
				return err
			}
			e := json.NewEncoder(cmd.OutOrStdout())
			return a.encoded(m, set, func(row int, mean []float32) error { return e.Encode(code{row + 1, mean}) })
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	data.addVectors(a, fs)
	labels.add(a, fs)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}
