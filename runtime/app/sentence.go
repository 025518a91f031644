package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/latent"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

const sentenceData = "`FILE` with a sentence a line"

// sentences reads sentences as tokens: each is what the model reads and what it is to write. A conditional model is
// told their labels.
func (a *program) sentences(d *dataFlags, labels labelFlags) (*text.Pairs, error) {
	lines, l, err := d.labelled(a, "sentences")
	if err != nil {
		return nil, err
	}
	name := text.Paths(d.paths.paths...).Name()
	o := text.PairOptions{Source: *a.Info.Source, Steps: a.Info.Steps}
	if a.Info.Labels > 0 {
		if l == nil {
			l, err = labels.of(a, name, len(lines), "sentence", false)
		} else if labels.files.given {
			err = fmt.Errorf("--labels %s and --label-column %s contradict each other: give one of them",
				labels.files.String(), d.column)
		}
		if err != nil {
			return nil, err
		}
		o.Labels, o.Drop = l.Values, d.drop
	}
	if o.Balance = d.balance; o.Balance > 1 {
		in, err := d.lines("sentences")
		if err != nil {
			return nil, err
		}
		if _, o.Groups, err = in.Groups(); err != nil {
			return nil, err
		}
	}
	set, err := text.NewPairs(name, lines, lines, a.Tokenizer, a.Tokenizer, o)
	if err == nil && d.shuffle {
		set.Shuffle()
	}
	return set, err
}

// sentenceMaterial reads what a training on sentences needs.
func (a *program) sentenceMaterial(cmd *cobra.Command, f *trainFlags) (*material, error) {
	if err := f.data.checkBalance(); err != nil {
		return nil, err
	}
	set, err := a.sentences(&f.data, f.labels)
	if err != nil {
		return nil, err
	}
	var valid *text.Pairs
	if len(f.valid.paths) > 0 {
		if a.Info.Labels > 0 && len(f.validLabels.files.paths) == 0 && f.data.column == "" {
			return nil, errors.New("--valid: the model is conditional, so name the labels of these sentences with " +
				"--valid-labels FILE")
		}
		if valid, err = a.sentences(&dataFlags{paths: f.valid, field: f.data.field, column: f.data.column},
			f.validLabels); err != nil {
			return nil, err
		}
	}
	return a.pairMaterialOf(cmd, f, set, valid, "sentences")
}

// sentence is the tokens of a sentence.
func (a *program) sentence(s string) ([]int32, error) {
	return text.EncodeSource(s, a.Tokenizer, *a.Info.Source)
}

// writingFlags say how sentences are chosen.
type writingFlags struct {
	temperature float64
	seed        uint64
	guidance    float64
	constraintFlags
}

// addGuidance adds the flag of models that have learnt to write without a label.
func (w *writingFlags) addGuidance(a *program, cmd *cobra.Command) {
	if w.guidance = 1; a.Info.LearnsUnlabelled() {
		cmd.Flags().Float64Var(&w.guidance, "guidance", 1, "how much the label counts; 1 for as much as it does alone")
	}
}

// guided is the model by which sentences are written.
func (w *writingFlags) guided(m model.Autoencoder) (inference.Sentences, error) {
	if w.guidance == 1 {
		return m.(inference.Sentences), nil
	}
	return inference.Guided(m.(inference.Sentences), w.guidance)
}

func (w *writingFlags) add(cmd *cobra.Command) {
	cmd.Flags().Float64Var(&w.temperature, "temperature", 0,
		"0 takes the likeliest token each time; 1 draws tokens as likely as the model says")
	cmd.Flags().Uint64Var(&w.seed, "seed", 1, "of what is drawn")
	w.constraintFlags.add(cmd.Flags())
}

func (w *writingFlags) options(a *program) ([]sample.Option, error) {
	c, err := w.compile(a.Tokenizer)
	if err != nil || w.temperature == 0 && c == nil {
		return nil, err
	}
	opts := []sample.Option{sample.Temperature(w.temperature), sample.Seed(w.seed)}
	if c != nil {
		opts = append(opts, sample.Constrain(c))
	}
	return opts, nil
}

// print prints each answer as a line, with something before it; a line break in it is written as \n.
func (a *program) print(out io.Writer, before string, answers []sample.Answer) error {
	for _, x := range answers {
		if _, err := fmt.Fprintln(out, before+a.line(x.Tokens)); err != nil {
			return err
		}
	}
	return nil
}

func (a *program) newSampleSentences() *cobra.Command {
	var path string
	var number int
	var w writingFlags
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Write sentences from latent vectors of the prior",
		Long: `Sample draws latent vectors from the prior, and prints what the decoder writes from each as a line. The
same seed writes the same.` + a.eachLabel("latent vectors") + a.labelledLines(),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := labels.checkNumber(a, number); err != nil {
				return err
			}
			m, err := a.autoencoder(path)
			if err != nil {
				return err
			}
			opts, err := w.options(a)
			if err != nil {
				return err
			}
			writes, err := w.guided(m)
			if err != nil {
				return err
			}
			z := make([]float32, number*a.Info.Latent.Width)
			latent.Prior(z, w.seed)
			return labels.each(a, cmd.Flags().Changed("label"), func(label int) error {
				answers, err := inference.Write(cmd.Context(), writes, z, repeated(label, number), 0, opts...)
				if err != nil {
					return err
				}
				before := ""
				if labels.every(a) {
					before = fmt.Sprintf("%d\t", label)
				}
				return a.print(cmd.OutOrStdout(), before, answers)
			})
		},
	}
	cmd.Flags().SortFlags = false
	labels.addNumber(a, cmd.Flags(), &number, 10)
	w.addGuidance(a, cmd)
	w.add(cmd)
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(cmd.Flags())
	return cmd
}

func (a *program) newReconstructSentences() *cobra.Command {
	var data, path string
	var w writingFlags
	var labels labelFlags
	var f lineFlags
	cmd := &cobra.Command{
		Use:   "reconstruct",
		Short: "Write each sentence again from its latent vector",
		Long: `Reconstruct reads sentences, a line each, and prints what the decoder writes from the mean of the latent
vector of each.
` + linesHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts, err := w.options(a)
			if err != nil {
				return err
			}
			return a.encodeLines(cmd, path, data, labels, f,
				func(m model.Autoencoder, first int, _ []string, z []float32, kinds []int32) ([]string, error) {
					writes, err := w.guided(m)
					if err != nil {
						return nil, err
					}
					answers, err := inference.Write(cmd.Context(), writes, z, kinds, first, opts...)
					var all []string
					for _, x := range answers {
						all = append(all, a.Tokenizer.Decode(x.Tokens))
					}
					return all, err
				})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&data, "data", "", sentenceData+" (default: the standard input)")
	labels.addBoth(a, cmd.Flags())
	w.addGuidance(a, cmd)
	w.add(cmd)
	f.add(cmd)
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(cmd.Flags())
	return cmd
}

// encodeLines answers sentences, a line each, of a conditional model with their labels. answer gets the lines that the
// model takes, the means of their latent vectors and their labels, and answers each; first is the number of the first
// of them, from 0.
func (a *program) encodeLines(cmd *cobra.Command, path, data string, labels labelFlags, f lineFlags,
	answer func(m model.Autoencoder, first int, lines []string, z []float32, kinds []int32) ([]string, error)) error {
	m, err := a.autoencoder(path)
	if err != nil {
		return err
	}
	of, err := labels.stream(a, cmp.Or(data, "the standard input"), "sentence", cmd.Flags().Changed("label"))
	if err != nil {
		return err
	}
	err = a.answerLines(cmd, data, f, a.Info.Batch, func(first int, lines []string) ([]reply, error) {
		sentences, at, replies := taken(lines, a.sentence)
		kinds, err := of.next(len(lines))
		if err != nil {
			return nil, err
		}
		// Those that are taken stand in runs, so that what is drawn for each follows from its number.
		for from := 0; from < len(at); {
			to := from + 1
			for to < len(at) && at[to] == at[to-1]+1 {
				to++
			}
			low, high := at[from], at[to-1]+1
			var these []int32
			if kinds != nil {
				these = kinds[low:high]
			}
			z, err := inference.Means(m, sentences[from:to], these)
			if err != nil {
				return nil, err
			}
			answers, err := answer(m, first+low, lines[low:high], z, these)
			if err != nil {
				return nil, err
			}
			for i, s := range answers {
				replies[low+i].text = s
			}
			from = to
		}
		return replies, nil
	})
	if err != nil {
		return err
	}
	return of.end()
}

func (a *program) newInterpolateSentences() *cobra.Command {
	var path string
	var steps int
	var w writingFlags
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "interpolate TEXT TEXT",
		Short: "Go from one sentence to another through the latent space",
		Long: `Interpolate encodes two sentences, and prints what the decoder writes from points on the straight line
between the means of their latent vectors.` + a.betweenLabels() + `

` + cli.Escapes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("interpolate takes two sentences, each in quotes")
			}
			args, err := texts(args)
			if err != nil {
				return err
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
			var sentences [][]int32
			for _, s := range args {
				x, err := a.sentence(s)
				if err != nil {
					return fmt.Errorf("%q: %w", s, err)
				}
				sentences = append(sentences, x)
			}
			ends, err := inference.Means(m, sentences, of)
			if err != nil {
				return err
			}
			width := a.Info.Latent.Width
			way := make([]float32, steps*width)
			latent.Between(way, ends[:width], ends[width:], steps)
			opts, err := w.options(a)
			if err != nil {
				return err
			}
			answers, err := inference.Write(cmd.Context(), m.(inference.Sentences), way, along, 0, opts...)
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), "", answers)
		},
	}
	cmd.Flags().SortFlags = false
	labels.addTwo(a, cmd.Flags(), "both sentences, or A,B of each")
	cmd.Flags().IntVar(&steps, "steps", 7, "points, both ends included")
	w.add(cmd)
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(cmd.Flags())
	return cmd
}

// sentenceCode is a line of encode.
type sentenceCode struct {
	Text  string    `json:"text"`
	Mean  []float32 `json:"mean,omitempty"`
	Error string    `json:"error,omitempty"`
}

func (a *program) newEncodeSentences() *cobra.Command {
	var data, path string
	var labels labelFlags
	cmd := &cobra.Command{
		Use:   "encode",
		Short: "Print the mean of each sentence's latent vector as a line of JSON",
		Long: `Encode reads sentences, a line each, and prints for each a line such as
{"text":"A dog runs.","mean":[0.12,-1.3]}: for search, clustering and plots. A line that the model
cannot take, such as one that is too long, has an "error" in place of the mean, which is also printed
on the standard error; the others are encoded all the same, and the exit status is 1 at the end.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			width := a.Info.Latent.Width
			return a.encodeLines(cmd, path, data, labels, lineFlags{of: func(line string, r reply) any {
				if r.err != nil {
					return sentenceCode{Text: line, Error: r.err.Error()}
				}
				return json.RawMessage(r.text)
			}}, func(_ model.Autoencoder, _ int, lines []string, z []float32, _ []int32) ([]string, error) {
				var all []string
				for i, line := range lines {
					code, err := jsonLine(sentenceCode{Text: line, Mean: z[i*width : (i+1)*width]})
					if err != nil {
						return nil, err
					}
					all = append(all, code)
				}
				return all, nil
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&data, "data", "", sentenceData+" (default: the standard input)")
	labels.addBoth(a, cmd.Flags())
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(cmd.Flags())
	return cmd
}

// accuracy tells how much of the sentences the decoder writes again from the means: the share of tokens that stand in
// their place, the end of a sentence included, and the share of sentences that are the same.
func (a *program) accuracy(ctx context.Context, m model.Autoencoder, data latent.Batches, count int,
	errOut io.Writer) (tokens, same float64, err error) {
	var b model.Batch
	right, all, exact, rows := 0, 0, 0, 0
	bar := cli.NewCounter(errOut, count, "sentences written again")
	defer bar.End()
	data.Rewind()
	for data.Next(&b) {
		mean, _, err := m.Posterior(&b)
		if err != nil {
			return 0, 0, err
		}
		answers, err := inference.Write(ctx, m.(inference.Sentences), append([]float32{}, mean...), b.Labels, 0)
		if err != nil {
			return 0, 0, err
		}
		for i, x := range answers {
			wrong := 0
			written := append(x.Tokens, a.Info.Source.AnswerEnd)
			for s := range b.Steps {
				if t := b.Targets[s*b.Batch+i]; t >= 0 {
					if all++; s < len(written) && written[s] == t {
						right++
					} else {
						wrong++
					}
				}
			}
			if rows++; wrong == 0 {
				exact++
			}
			bar.Set(rows)
		}
	}
	return float64(right) / float64(max(all, 1)), float64(exact) / float64(max(rows, 1)), nil
}
