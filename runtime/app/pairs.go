package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/metric"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// pairFlags name files of pairs.
type pairFlags struct {
	source, target pathList
	columns        string
}

func (p *pairFlags) add(fs *pflag.FlagSet, prefix, what, def string) {
	p.source = paths(def)
	fs.Var(&p.source, prefix+"source", "`FILE` with a "+what+" a line; with a tab and the answer behind it when "+
		"there is no --"+prefix+"target"+several)
	fs.Var(&p.target, prefix+"target", "`FILE` with the answer to each line of --"+prefix+"source"+several)
	fs.StringVar(&p.columns, prefix+"columns", "",
		"which two `COLUMNS` of lines with tabs, or which fields of JSON objects, one a line, are source and answer, "+
			"such as 1,2 or en,de")
}

// input is what the flags name.
func (p *pairFlags) input() text.PairInput {
	return text.PairInput{Sources: text.Paths(p.source.paths...), Answers: text.Paths(p.target.paths...),
		Columns: p.columns}
}

var errNoPairs = errors.New("no pairs: name a file of sources with --source FILE and one of their answers with " +
	"--target FILE")

// pairs reads pairs of lines for the model, whose groups are balanced at a temperature.
func (a *program) pairs(p *pairFlags, balance float64) (*text.Pairs, error) {
	if len(p.source.paths) == 0 {
		return nil, errNoPairs
	}
	return text.ReadPairs(p.input(), a.SourceTokenizer, a.Tokenizer,
		text.PairOptions{Source: *a.Info.Source, Steps: a.Info.Steps, Balance: balance})
}

// answerFlags say how answers are searched for.
type answerFlags struct {
	beam int
	rank sample.Ranking
	most int
	constraintFlags
}

func (f *answerFlags) add(fs *pflag.FlagSet, most int) {
	fs.IntVar(&f.beam, "beam", 1, "keep this `MANY` beginnings of an answer; 1 takes the likeliest token each time")
	fs.Float64Var(&f.rank.Length, "length-penalty", 1,
		"exponent of the length penalty by which a beam ranks answers; 0 favours short ones")
	fs.Float64Var(&f.rank.Coverage, "coverage-penalty", 0,
		"weight of what a beam takes off answers that leave parts of the text out, such as 0.2 for summaries")
	fs.IntVar(&f.most, "tokens", most, "tokens of an answer, at the most")
	f.constraintFlags.add(fs)
}

func (f *answerFlags) check(steps int) error {
	if f.beam < 1 {
		return fmt.Errorf("--beam %d: give 1 or more", f.beam)
	}
	if f.most < 1 || f.most > steps {
		return fmt.Errorf("--tokens %d: give 1 to %d, which the model was made for", f.most, steps)
	}
	return nil
}

// answer gives the model's answers to sources, which are tokens. progress, if any, is told how many are done.
func (a *program) answer(ctx context.Context, m model.Writer, sources [][]int32, f *answerFlags,
	progress func(done int)) ([]string, error) {
	answers := make([]string, 0, len(sources))
	var opts []sample.Option
	c, err := f.constraint(a)
	if err != nil {
		return nil, err
	}
	if c != nil {
		opts = append(opts, sample.Constrain(c))
	}
	decoder := func(n int) (model.Encoder, error) {
		d, err := model.NewDecoder(m, n)
		if err != nil {
			return nil, err
		}
		dec, ok := d.(model.Encoder)
		if !ok {
			return nil, errors.New("the model answers no sources")
		}
		return dec, nil
	}
	if f.beam > 1 {
		dec, err := decoder(f.beam)
		if err != nil {
			return nil, err
		}
		for i, x := range sources {
			found, err := sample.BeamAnswers(ctx, dec, text.Pad(slices.Repeat([][]int32{x}, f.beam)), *a.Info.Source,
				f.most, f.rank, opts...)
			if err != nil {
				return nil, err
			}
			answers = append(answers, a.Tokenizer.Decode(found[0].Tokens))
			progress(i + 1)
		}
		return answers, nil
	}
	// Greedily, several side by side.
	for part := range slices.Chunk(sources, a.Info.Batch) {
		dec, err := decoder(len(part))
		if err != nil {
			return nil, err
		}
		found, err := sample.GreedyAnswers(ctx, dec, text.Pad(part), *a.Info.Source, f.most, opts...)
		if err != nil {
			return nil, err
		}
		for _, x := range found {
			answers = append(answers, a.Tokenizer.Decode(x.Tokens))
		}
		progress(len(answers))
	}
	return answers, nil
}

// source is the tokens of a source.
func (a *program) source(s string) ([]int32, error) {
	return text.EncodeSource(s, a.SourceTokenizer, *a.Info.Source)
}

func (a *program) newTranslate() *cobra.Command {
	var path string
	var f answerFlags
	var lines lineFlags
	cmd := &cobra.Command{
		Use:   "translate",
		Short: "Answer each line of the standard input",
		Long: `Translate reads lines from the standard input and writes the model's answer to each.
` + linesHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(a.Info.Steps); err != nil {
				return err
			}
			m, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			return a.answerLines(cmd, "", lines, a.Info.Batch, func(_ int, lines []string) ([]reply, error) {
				sources, at, replies := taken(lines, a.source)
				answers, err := a.answer(cmd.Context(), m.(model.Writer), sources, &f, func(int) {})
				for i, s := range answers {
					replies[at[i]].text = s
				}
				return replies, err
			})
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	f.add(fs, a.Info.Steps)
	lines.add(cmd)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(fs)
	return cmd
}

func (a *program) newEvalPairs() *cobra.Command {
	var path string
	var p pairFlags
	var f answerFlags
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Tell how well the model answers",
		Long: `Eval answers the sources and compares with the answers given: the share that is exactly the
same, BLEU as sacreBLEU computes it, with its signature, and ROUGE. Of several files, or the files of a
folder, it tells that share of each as well.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(a.Info.Steps); err != nil {
				return err
			}
			m, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			if len(p.source.paths) == 0 {
				return errNoPairs
			}
			sources, references, err := p.input().Lines()
			if err != nil {
				return err
			}
			names, groups, err := p.input().Parts()
			if err != nil {
				return err
			}
			tokens := make([][]int32, len(sources))
			for i, s := range sources {
				if tokens[i], err = a.source(s); err != nil {
					return fmt.Errorf("%s: line %d: %w", p.input().Name(), i+1, err)
				}
			}
			bar := cli.NewCounter(cmd.ErrOrStderr(), len(sources), "lines")
			answers, err := a.answer(cmd.Context(), m.(model.Writer), tokens, &f, bar.Set)
			bar.End()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			exact := func(of string, at []int) {
				same := 0
				for _, i := range at {
					if answers[i] == references[i] {
						same++
					}
				}
				fmt.Fprintf(out, "%s%s lines, %.2f %% answered exactly\n", of, thousands(len(at)),
					100*float64(same)/float64(len(at)))
			}
			all := make([]int, len(answers))
			for i := range all {
				all[i] = i
			}
			for at := 0; at < len(groups); {
				end := at
				for end < len(groups) && groups[end] == groups[at] {
					end++
				}
				exact(names[groups[at]]+": ", all[at:end])
				at = end
			}
			b, err := metric.Corpus(answers, references)
			if err != nil {
				return err
			}
			exact("", all)
			overlap, err := metric.Overlap(answers, references)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%s\n%s\n", b, overlap)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	p.add(fs, "", "source", a.Data)
	f.add(fs, a.Info.Steps)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(fs)
	return cmd
}
