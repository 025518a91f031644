package app

import (
	"bufio"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/metric"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/train"
)

// adversaries makes the model with the parameters of a checkpoint.
func (a *program) adversaries(path string) (model.Adversaries, error) {
	m, err := a.trained(path, checkpoint.LoadWeights)
	if err != nil {
		return nil, err
	}
	return m.(model.Adversaries), nil
}

// neighbours is the rank of the neighbour that the balls of a manifold reach to (Naeem et al. 2020, section 5).
const neighbours = 5

func (a *program) newEvalAdversaries() *cobra.Command {
	var data dataFlags
	var path string
	var samples int
	var seed uint64
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Tell how well the generator imitates vectors, and how well the discriminator tells them apart",
		Long: `Eval makes vectors and compares them with those of a file: the precision is the share of the made
ones that lie among those of the file, each within the distance to the 5th nearest neighbour of one
of them, and the coverage the share of those of the file that have a made one as near as that.
A generator that has lost a part of the data has a low coverage, one whose vectors are poor a low
precision; as many vectors of the file beside the others would have a precision and a coverage
near 1. The discriminator's loss and its verdicts are shown beside.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if samples <= neighbours {
				return fmt.Errorf("--samples %d: give more than %d", samples, neighbours)
			}
			m, err := a.adversaries(path)
			if err != nil {
				return err
			}
			set, err := a.examples(cmd, &data, labels)
			if err != nil {
				return err
			}
			if set.Len() <= neighbours {
				return fmt.Errorf("%s: %d vectors are too few to compare others with: give more than %d", set.Name,
					set.Len(), neighbours)
			}
			batches, err := set.Whole(a.Info.Batch)
			if err != nil {
				return err
			}
			work := cli.NewWork(cmd.ErrOrStderr(), "judging the vectors")
			defer work.End()
			loss, _, err := train.Evaluate(cmd.Context(), m, batches)
			if err != nil {
				return err
			}
			n := min(samples, set.Len())
			real := set.Data[:n*set.Width]
			var kinds []int32 // what is made has the labels of what it is compared with
			if set.Labels != nil {
				kinds = set.Labels[:n]
			}
			work.Now("making vectors and comparing them")
			made, err := m.Generate(n, kinds, seed)
			if err != nil {
				return err
			}
			var d model.Duel
			onReal, onMade := make([]float32, n), make([]float32, n)
			if err := m.Judge(onReal, real, kinds); err != nil {
				return err
			}
			if err := m.Judge(onMade, made, kinds); err != nil {
				return err
			}
			d.Judged(onReal, onMade, a.Info.Adversary)
			fit := metric.MeasureManifold(made, real, set.Width, neighbours)
			work.End()
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "%s: %s vectors, of which %s are compared with as many made ones\n", set.Name,
				thousands(set.Len()), thousands(n))
			fmt.Fprintf(out, "generator      precision %.3f, coverage %.3f\n", fit.Precision, fit.Coverage)
			fmt.Fprintf(out, "discriminator  loss %.4f, %.1f %% of its verdicts right; mean verdict %.3f on the "+
				"data, %.3f on what is made\n", loss, 100*d.Accuracy, d.Real, d.Fake)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	data.addVectors(a, fs)
	labels.add(a, fs)
	fs.IntVar(&samples, "samples", 1000, "vectors of each side to compare, at the most; time grows with the square")
	fs.Uint64Var(&seed, "seed", 1, "of what is made")
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

func (a *program) newSampleAdversaries() *cobra.Command {
	var path string
	var number, columns int
	var seed uint64
	var p pictureFlags
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Write what the generator makes of noise",
		Long: `Sample writes vectors that the generator makes of noise, as a grid of images or as CSV. The same seed
gives the same.` + a.eachLabel("noise"),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := labels.checkNumber(a, number); err != nil {
				return err
			}
			if columns < 0 {
				return fmt.Errorf("--columns %d: give 1 or more, or 0 for a square", columns)
			}
			m, err := a.adversaries(path)
			if err != nil {
				return err
			}
			if columns == 0 {
				columns = labels.columns(a, number)
			}
			columns = min(columns, number*max(1, a.Info.Labels)) // no more than there are
			var x []float32
			if err := labels.each(a, cmd.Flags().Changed("label"), func(label int) error {
				made, err := m.Generate(number, repeated(label, number), seed)
				x = append(x, made...)
				return err
			}); err != nil {
				return err
			}
			return p.write(cmd, x, a.Info.Vector.Width, columns, a.Info.Vector)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	labels.addNumber(a, fs, &number, 64)
	fs.Uint64Var(&seed, "seed", 1, "of the noise")
	p.add(a, "samples.png")(cmd)
	fs.IntVar(&columns, "columns", 0, "images beside each other, 0 for a square of them"+a.rowALabel())
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

func (a *program) newScore() *cobra.Command {
	var data dataFlags
	var path string
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Tell which vectors the discriminator takes for data",
		Long: `Score prints the discriminator's verdict on each vector of a file, a line each: a number that is the
higher the more the vector is like those that the model was trained on.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := a.adversaries(path)
			if err != nil {
				return err
			}
			set, err := a.examples(cmd, &data, labels)
			if err != nil {
				return err
			}
			verdicts := make([]float32, set.Len())
			if err := m.Judge(verdicts, set.Data, set.Labels); err != nil {
				return err
			}
			w := bufio.NewWriter(cmd.OutOrStdout())
			for _, v := range verdicts {
				fmt.Fprintf(w, "%.6g\n", v)
			}
			if err := w.Flush(); err != nil {
				return fmt.Errorf("can't print: %w", err)
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	data.addVectors(a, fs)
	labels.add(a, fs)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}
