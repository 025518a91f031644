package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/data"
	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// writer makes a model that writes text, with the parameters of a checkpoint.
func (a *program) writer(path string) (model.Writer, error) {
	m, err := a.trained(path, checkpoint.LoadWeights)
	if err != nil {
		return nil, err
	}
	return m.(model.Writer), nil
}

// fitLine is what perplexity prints of a file.
type fitLine struct {
	File string `json:"file"`
	sample.Fit
	BitsPerByte float64 `json:"bits_per_byte"`
	Perplexity  float64 `json:"perplexity"`
}

func (a *program) newPerplexity() *cobra.Command {
	var path, prompt string
	cmd := &cobra.Command{
		Use:   "perplexity FILE...",
		Short: "Tell how well the model predicts each of some files, in bits a byte",
		Long: `Perplexity reads each file as one text, token by token from its begin, and prints a line of JSON:

  {"file":"a.txt","tokens":5120,"bytes":20480,"log_prob":-9731.2,"bits_per_byte":0.686,"perplexity":6.69}

log_prob is the natural logarithm of the probability of the text, bits_per_byte can be compared between
tokenizers, and perplexity is exp of the mean loss a token. A text that is longer than the model's window
is read on with the newer half of what it saw. eval reads the windows of training, side by side, which is faster.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			m, err := a.writer(path)
			if err != nil {
				return err
			}
			dec, err := model.NewDecoder(m, 1)
			if err != nil {
				return err
			}
			for _, file := range files {
				r, err := data.Open(file)
				if err != nil {
					return err
				}
				b, err := r.AllText()
				r.Close()
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				bar := cli.NewCounter(cmd.ErrOrStderr(), len(b), "tokens at most")
				f, err := sample.Measure(cmd.Context(), dec, a.Tokenizer, prompt, string(b), bar.Set)
				bar.End()
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				line, err := jsonLine(fitLine{file, f, f.BitsPerByte(), f.Perplexity()})
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), line); err != nil {
					return fmt.Errorf("can't print: %w", err)
				}
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	cli.TextVar(cmd.Flags(), &prompt, "prompt", "p", "",
		"`TEXT` that is read first and not counted; a newline when it is empty")
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(cmd.Flags())
	return cmd
}

// question is a line that choose reads.
type question struct {
	Prompt        string   `json:"prompt"`
	Continuations []string `json:"continuations"`
}

// choice is a line that it prints.
type choice struct {
	Line    int       `json:"line"`
	LogProb []float64 `json:"log_prob,omitempty"`
	PerByte []float64 `json:"log_prob_per_byte,omitempty"`
	Best    int       `json:"best"`          // from 0, by log_prob
	Likely  int       `json:"best_per_byte"` // from 0, by log_prob_per_byte
}

// failure is what is printed of a line that has no answer.
type failure struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// jsonReplies answers lines with lines of JSON.
func jsonReplies(first int, lines []string, answer func(n int, line string) (any, error)) ([]reply, error) {
	replies := make([]reply, len(lines))
	for i, line := range lines {
		v, err := answer(first+i+1, line)
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		if replies[i].err = err; err != nil {
			v = failure{first + i + 1, err.Error()}
		}
		if replies[i].text, err = jsonLine(v); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

func (a *program) newChoose() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "choose",
		Short: "Tell which of several continuations of a prompt is likeliest",
		Long: `Choose reads lines of JSON from the standard input, such as

  {"prompt":"The sky is ","continuations":["blue.","green."]}

and prints a line of JSON for each, as soon as it has come:

  {"line":1,"log_prob":[-5.1,-8.9],"log_prob_per_byte":[-1.02,-1.48],"best":0,"best_per_byte":0}

log_prob is the natural logarithm of the probability of each continuation behind the prompt, and best the
number of the likeliest, from 0. Prompt and continuation are turned into tokens each by itself.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := a.writer(path)
			if err != nil {
				return err
			}
			dec, err := model.NewDecoder(m, 1)
			if err != nil {
				return err
			}
			return a.answerLines(cmd, "", lineFlags{}, 1, func(first int, lines []string) ([]reply, error) {
				return jsonReplies(first, lines, func(n int, line string) (any, error) {
					var q question
					d := json.NewDecoder(strings.NewReader(line))
					d.DisallowUnknownFields()
					if err := d.Decode(&q); err != nil {
						return nil, fmt.Errorf("it is not JSON of the form "+
							"{\"prompt\":\"…\",\"continuations\":[\"…\"]}: %w", err)
					}
					if len(q.Continuations) == 0 {
						return nil, errors.New("it has no continuations")
					}
					c := choice{Line: n}
					for i, s := range q.Continuations {
						if s == "" {
							return nil, fmt.Errorf("continuation %d is empty", i)
						}
						f, err := sample.Measure(cmd.Context(), dec, a.Tokenizer, q.Prompt, s, nil)
						if err != nil {
							return nil, fmt.Errorf("continuation %d: %w", i, err)
						}
						c.LogProb = append(c.LogProb, f.LogProb)
						c.PerByte = append(c.PerByte, f.LogProb/float64(f.Bytes))
						if f.LogProb > c.LogProb[c.Best] {
							c.Best = i
						}
						if c.PerByte[i] > c.PerByte[c.Likely] {
							c.Likely = i
						}
					}
					return c, nil
				})
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(cmd.Flags())
	return cmd
}

// embedding is a line that embed prints.
type embedding struct {
	Line      int       `json:"line"`
	Embedding []float32 `json:"embedding"`
}

func (a *program) newEmbed() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "embed",
		Short: "Turn each line of the standard input into a vector",
		Long: `Embed prints a line of JSON for each line of the standard input, as soon as it has come:

  {"line":1,"embedding":[0.031,-0.118,…]}

The vector is the mean over the tokens of what the model's logits are made from, and has length 1: the
sum of products of two of them is the cosine by which texts are compared.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			embed, err := inference.Embedder(m, a.Tokenizer)
			if err != nil {
				return err
			}
			return a.answerLines(cmd, "", lineFlags{}, 1, func(first int, lines []string) ([]reply, error) {
				return jsonReplies(first, lines, func(n int, line string) (any, error) {
					v, err := embed(cmd.Context(), line)
					return embedding{n, v}, err
				})
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	if a.Info.Masking == nil {
		a.addWeights(cmd.Flags())
	}
	return cmd
}

func (a *program) newMoveSentences() *cobra.Command {
	var toward, from, path string
	var by float64
	var w writingFlags
	var labels labelFlags
	var f lineFlags
	cmd := &cobra.Command{
		Use:   "move",
		Short: "Write each sentence again with more of an attribute that examples have",
		Long: `Move reads sentences, a line each, and writes each again from its latent vector after moving that by some
share of the way from the mean latent vector of the sentences of one file to that of another:

  z + by·(mean of z of --toward − mean of z of --from)
` + linesHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if toward == "" || from == "" {
				return errors.New("name two files of sentences, those with the attribute by --toward FILE and those " +
					"without it by --from FILE")
			}
			var way []float64
			opts, err := w.options(a)
			if err != nil {
				return err
			}
			return a.encodeLines(cmd, path, "", labels, f,
				func(m model.Autoencoder, first int, _ []string, z []float32, kinds []int32) ([]string, error) {
					if way == nil {
						var err error
						if way, err = a.direction(m, toward, from); err != nil {
							return nil, err
						}
					}
					moved := make([]float32, len(z))
					for i, x := range z {
						moved[i] = x + float32(by*way[i%len(way)])
					}
					answers, err := inference.Write(cmd.Context(), m.(inference.Sentences), moved, kinds, first,
						opts...)
					var all []string
					for _, x := range answers {
						all = append(all, a.Tokenizer.Decode(x.Tokens))
					}
					return all, err
				})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&toward, "toward", "", "`FILE` of sentences with the attribute, a line each")
	cmd.Flags().StringVar(&from, "from", "", "`FILE` of sentences without it")
	cmd.Flags().Float64Var(&by, "by", 1, "how much of the way to go; 0 for none")
	w.add(cmd)
	f.add(cmd)
	cmd.Flags().StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(cmd.Flags())
	return cmd
}

// direction is the mean latent vector of the sentences of one file less that of another.
func (a *program) direction(m model.Autoencoder, toward, from string) ([]float64, error) {
	width := a.Info.Latent.Width
	way := make([]float64, width)
	for _, x := range [...]struct {
		path string
		sign float64
	}{{toward, 1}, {from, -1}} {
		lines, err := text.Paths(x.path).Lines()
		if err != nil {
			return nil, err
		}
		sentences := make([][]int32, len(lines))
		for i, line := range lines {
			if sentences[i], err = a.sentence(line); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", x.path, i+1, err)
			}
		}
		if len(sentences) == 0 {
			return nil, fmt.Errorf("%s: there are no sentences", x.path)
		}
		z, err := inference.Means(m, sentences, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", x.path, err)
		}
		for i, v := range z {
			way[i%width] += x.sign * float64(v) / float64(len(z)/width)
		}
	}
	return way, nil
}
