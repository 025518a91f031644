package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/latent"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

const sentenceData = "`FILE` with a sentence a line"

// sentences reads the sentences of a file, or of the program's data where the flag names none: each is what the model reads and what it
// is to write.
func (a *program) sentences(path string) (*text.Pairs, error) {
	if path == "" {
		path = a.Data
	}
	if path == "" {
		return nil, errors.New("no sentences: name a file with one a line with --data FILE")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("can't read the sentences: %w", err)
	}
	defer f.Close()
	lines, err := text.Lines(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: there are no sentences", path)
	}
	return text.NewPairs(path, lines, lines, a.Tokenizer, a.Tokenizer, text.PairOptions{Source: *a.Info.Source, Steps: a.Info.Steps})
}

// sentenceMaterial reads what a training on sentences needs.
func (a *program) sentenceMaterial(f *trainFlags) (*material, error) {
	set, err := a.sentences(f.data)
	if err != nil {
		return nil, err
	}
	var valid *text.Pairs
	if f.valid != "" {
		if valid, err = a.sentences(f.valid); err != nil {
			return nil, err
		}
	}
	return a.pairMaterialOf(f, set, valid, "sentences")
}

// means encodes sentences: the mean of the latent vector of each.
func (a *program) means(m model.Autoencoder, lines []string) ([]float32, error) {
	var z []float32
	for at := 0; at < len(lines); at += a.Info.Batch {
		part := lines[at:min(at+a.Info.Batch, len(lines))]
		source, err := text.Fill(part, a.Tokenizer, *a.Info.Source)
		if err != nil {
			return nil, fmt.Errorf("of the sentences from number %d on, %w", at+1, err)
		}
		n := len(part)
		b := &model.Batch{Steps: 1, Batch: n, Tokens: make([]int32, n), Targets: make([]int32, n), Reset: make([]int32, n), SourceSteps: len(source) / n, Source: source}
		mean, _ := m.Encode(b)
		z = append(z, mean...)
	}
	return z, nil
}

// written is what the decoder writes from any number of latent vectors, a sentence each.
func (a *program) written(ctx context.Context, m model.Autoencoder, z []float32, opts ...sample.Option) ([]sample.Answer, error) {
	var all []sample.Answer
	width := a.Info.Latent.Width
	for first := 0; len(z) > 0; {
		n := min(a.Info.Batch*width, len(z))
		dec := m.(model.Writer).NewDecoder(n / width).(model.LatentDecoder)
		found, err := sample.LatentAnswers(ctx, dec, z[:n], *a.Info.Source, a.Info.Steps-1, first, opts...)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		first += n / width
		z = z[n:]
	}
	return all, nil
}

// reading is where a command reads sentences from: a file, or the standard input.
func reading(cmd *cobra.Command, path string) ([]string, error) {
	in := cmd.InOrStdin()
	name := "standard input"
	if path != "" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("can't read the sentences: %w", err)
		}
		defer f.Close()
		in, name = f, path
	}
	lines, err := text.Lines(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: there are no sentences", name)
	}
	return lines, nil
}

// writingFlags say how sentences are chosen.
type writingFlags struct {
	temperature float64
	seed        uint64
}

func (w *writingFlags) add(cmd *cobra.Command) {
	cmd.Flags().Float64Var(&w.temperature, "temperature", 0, "0 takes the likeliest token each time; 1 draws tokens as likely as the model says")
	cmd.Flags().Uint64Var(&w.seed, "seed", 1, "of what is drawn")
}

func (w *writingFlags) options() []sample.Option {
	if w.temperature == 0 {
		return nil
	}
	return []sample.Option{sample.Temperature(w.temperature), sample.Seed(w.seed)}
}

func (a *program) print(out io.Writer, answers []sample.Answer) error {
	for _, x := range answers {
		if _, err := fmt.Fprintln(out, a.Tokenizer.Decode(x.Tokens)); err != nil {
			return err
		}
	}
	return nil
}

func (a *program) newSampleSentences() *cobra.Command {
	var path string
	var number int
	var w writingFlags
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Write sentences from latent vectors of the prior",
		Long: `Sample draws latent vectors from the prior, and prints what the decoder writes from each as a line. The
same seed writes the same.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if number < 1 || number > 1e6 {
				return fmt.Errorf("--number %d: give 1 to 1000000", number)
			}
			m, err := a.autoencoder(path)
			if err != nil {
				return err
			}
			z := make([]float32, number*a.Info.Latent.Width)
			latent.Prior(z, w.seed)
			answers, err := a.written(cmd.Context(), m, z, w.options()...)
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), answers)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().IntVarP(&number, "number", "n", 10, "how many")
	w.add(cmd)
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

func (a *program) newReconstructSentences() *cobra.Command {
	var data, path string
	var w writingFlags
	cmd := &cobra.Command{
		Use:   "reconstruct",
		Short: "Write each sentence again from its latent vector",
		Long: `Reconstruct reads sentences, a line each, and prints what the decoder writes from the mean of the latent
vector of each.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, lines, err := a.withSentences(cmd, path, data)
			if err != nil {
				return err
			}
			z, err := a.means(m, lines)
			if err != nil {
				return err
			}
			answers, err := a.written(cmd.Context(), m, z, w.options()...)
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), answers)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&data, "data", "", sentenceData+" (default: the standard input)")
	w.add(cmd)
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// withSentences makes the model, and reads the sentences that a command is for.
func (a *program) withSentences(cmd *cobra.Command, path, data string) (model.Autoencoder, []string, error) {
	m, err := a.autoencoder(path)
	if err != nil {
		return nil, nil, err
	}
	lines, err := reading(cmd, data)
	return m, lines, err
}

func (a *program) newInterpolateSentences() *cobra.Command {
	var path string
	var steps int
	var w writingFlags
	cmd := &cobra.Command{
		Use:   "interpolate A B",
		Short: "Go from one sentence to another through the latent space",
		Long: `Interpolate encodes two sentences, and prints what the decoder writes from points on the straight line
between the means of their latent vectors.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("interpolate takes two sentences, each in quotes")
			}
			if steps < 2 {
				return fmt.Errorf("--steps %d: give 2 or more", steps)
			}
			m, err := a.autoencoder(path)
			if err != nil {
				return err
			}
			ends, err := a.means(m, args)
			if err != nil {
				return err
			}
			width := a.Info.Latent.Width
			way := make([]float32, steps*width)
			latent.Between(way, ends[:width], ends[width:], steps)
			answers, err := a.written(cmd.Context(), m, way, w.options()...)
			if err != nil {
				return err
			}
			return a.print(cmd.OutOrStdout(), answers)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().IntVar(&steps, "steps", 7, "points, both ends included")
	w.add(cmd)
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// sentenceCode is a line of encode.
type sentenceCode struct {
	Text string    `json:"text"`
	Mean []float32 `json:"mean"`
}

func (a *program) newEncodeSentences() *cobra.Command {
	var data, path string
	cmd := &cobra.Command{
		Use:   "encode",
		Short: "Print the mean of each sentence's latent vector as a line of JSON",
		Long: `Encode reads sentences, a line each, and prints for each a line such as
{"text":"A dog runs.","mean":[0.12,-1.3]}: for search, clustering and plots.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, lines, err := a.withSentences(cmd, path, data)
			if err != nil {
				return err
			}
			z, err := a.means(m, lines)
			if err != nil {
				return err
			}
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetEscapeHTML(false)
			width := a.Info.Latent.Width
			for i, line := range lines {
				if err := e.Encode(sentenceCode{line, z[i*width : (i+1)*width]}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&data, "data", "", sentenceData+" (default: the standard input)")
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// accuracy tells how much of the sentences the decoder writes again from the means: the share of tokens that stand in their place, the
// end of a sentence included, and the share of sentences that are the same.
func (a *program) accuracy(ctx context.Context, m model.Autoencoder, data latent.Batches) (tokens, same float64, err error) {
	var b model.Batch
	right, all, exact, rows := 0, 0, 0, 0
	data.Rewind()
	for data.Next(&b) {
		mean, _ := m.Encode(&b)
		answers, err := a.written(ctx, m, append([]float32{}, mean...))
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
		}
	}
	return float64(right) / float64(max(all, 1)), float64(exact) / float64(max(rows, 1)), nil
}
