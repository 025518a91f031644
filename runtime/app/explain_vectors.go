package app

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/explain"
	"github.com/gradsmith/gradsmith/runtime/explain/pages"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/page"
)

func (a *program) newExplainVectors() *cobra.Command {
	var data dataFlags
	var path, out, pictures, probe string
	var row int
	var seed uint64
	var labels labelFlags
	pair := a.Info.Adversary != nil
	about := `Explain writes a page about a vector of the data: its reconstruction, how much each number of its
latent vector tells, and what the decoder makes when one of them is moved.`
	if pair {
		about = `Explain writes a page about a vector that the generator makes, or with --data about one of the data:
which of its numbers move the discriminator's verdict, by three methods, each with what it leaves
unexplained, and which numbers of the noise move it the most, with what they change.`
	}
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Write a page that shows what the model does with a vector",
		Long:  about + a.otherLabels() + " The page is one file that fetches nothing.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := page.Writable(out, page.ExplainHead, "explain"); err != nil {
				return err
			}
			v := &pages.Vectors{Info: a.Info, Batch: &model.Batch{Steps: 1, Batch: 1}}
			width := a.Info.Vector.Width
			side := squareSide(width)
			if side < 2 {
				side = width
			}
			v.Draw = func(x []float32, columns int) ([]byte, error) {
				return grid(x, width, side, columns, a.Info.Vector)
			}
			if given := cmd.Flags().Changed("data"); given || !pair {
				set, err := data.vectors(cmd, a)
				if err != nil {
					return err
				}
				if probe != "" {
					if v.Probe, err = probedVectors(set, probe); err != nil {
						return err
					}
				}
				if row < 1 || row > set.Len() {
					return fmt.Errorf("--row %d: %s has %s vectors, counted from 1", row, set.Name,
						thousands(set.Len()))
				}
				v.Batch.Vectors = set.Row(row - 1)
				if set.Labels != nil && !cmd.Flags().Changed("label") { // the vectors have come with labels
					labels.one = int(set.Labels[row-1])
				} else if err := labels.needed(a, cmd, "vector"); err != nil {
					return err
				}
			} else if cmd.Flags().Changed("row") {
				return errors.New("--row is of the vectors of --data")
			} else if probe != "" {
				return errors.New("--probe has the labels of the vectors of --data: name those too")
			} else if err := labels.needed(a, cmd, "vector"); err != nil {
				return err
			}
			if a.Info.Labels > 0 {
				v.Batch.Labels = []int32{int32(labels.one)}
			}
			lm, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			if !pair {
				if v.Explainer, err = explain.New(lm, ""); err != nil {
					return err
				}
			} else {
				if v.Explainer, err = explain.New(lm, "discriminator"); err != nil {
					return err
				}
				if v.Generator, err = explain.New(lm, "generator"); err != nil {
					return err
				}
				if v.Batch.Vectors == nil {
					v.Noise = make([]float32, a.Info.Adversary.Noise)
					kernel.Normal(v.Noise, model.Key(seed), 0, len(v.Noise))
					made, err := v.Generator.Run(&model.Batch{Steps: 1, Batch: 1, Noise: v.Noise,
						Labels: v.Batch.Labels})
					if err != nil {
						return err
					}
					v.Batch.Vectors = made.Output().Value
				}
			}
			p, err := v.Page(cmd.Context())
			if err != nil {
				return err
			}
			return writeExplained(p, out, pictures)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	data.addVectors(a, fs)
	labels.addOne(a, fs, "the vector")
	fs.IntVar(&row, "row", 1, "which `VECTOR` of the data, from 1")
	if pair {
		fs.Uint64Var(&seed, "seed", 1, "of the noise that the vector is made of, without --data")
	}
	if a.Info.Labels == 0 { // else what is read is what the model was told
		fs.StringVar(&probe, "probe", "", "`FILE` with the label of each vector of --data, a whole number a line or IDX: "+
			"how well a linear probe reads them from each layer")
	}
	fs.StringVarP(&out, "out", "o", "explain.html", "`FILE` for the page")
	fs.StringVar(&pictures, "pictures", "", "`FOLDER` for the pictures of the page, in PNG")
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// otherLabels goes on with the help of what is explained of a vector.
func (a *program) otherLabels() string {
	if a.Info.Labels == 0 {
		return ""
	}
	return `
--label says what the model is told of it; the page also shows what the label has to do with it, and
what is made with others.`
}
