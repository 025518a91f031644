package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/metric"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

// pairFlags name files of pairs.
type pairFlags struct {
	source, target string
}

func (p *pairFlags) add(fs *pflag.FlagSet, prefix, what string) {
	fs.StringVar(&p.source, prefix+"source", "", "`FILE` with a "+what+" a line; with a tab and the answer behind it when there is no --"+prefix+"target")
	fs.StringVar(&p.target, prefix+"target", "", "`FILE` with the answer to each line of --"+prefix+"source")
}

// input is what the flags name.
func (p pairFlags) input() text.PairInput {
	in := text.PairInput{Sources: text.Paths(p.source)}
	if p.target != "" {
		in.Answers = text.Paths(p.target)
	}
	return in
}

// pairs reads pairs of lines for the model.
func (a *program) pairs(p pairFlags, data string) (*text.Pairs, error) {
	if p.source == "" {
		if p.source = data; data == "" {
			return nil, errors.New("no pairs: name a file of sources with --source FILE and one of their answers with --target FILE")
		}
	}
	return text.ReadPairs(p.input(), a.SourceTokenizer, a.Tokenizer, text.PairOptions{Source: *a.Info.Source, Steps: a.Info.Steps})
}

// answerFlags say how answers are searched for.
type answerFlags struct {
	beam int
	rank sample.Ranking
	most int
}

func (f *answerFlags) add(fs *pflag.FlagSet, most int) {
	fs.IntVar(&f.beam, "beam", 1, "keep this `MANY` beginnings of an answer; 1 takes the likeliest token each time")
	fs.Float64Var(&f.rank.Length, "length-penalty", 1, "exponent of the length penalty by which a beam ranks answers; 0 favours short ones")
	fs.Float64Var(&f.rank.Coverage, "coverage-penalty", 0, "weight of what a beam takes off answers that leave parts of the text out, such as 0.2 for summaries")
	fs.IntVar(&f.most, "tokens", most, "tokens of an answer, at the most")
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

// answer calls each for the answer to every line, in their order. progress, if any, is told how many are done.
func (a *program) answer(ctx context.Context, m model.Writer, lines []string, f answerFlags, progress func(done int), each func(i int, s string) error) error {
	say := func(i int, tokens []int32) error { return each(i, a.Tokenizer.Decode(tokens)) }
	if f.beam > 1 {
		dec, ok := m.NewDecoder(f.beam).(model.Encoder)
		if !ok {
			return errors.New("the model answers no sources")
		}
		for i, line := range lines {
			same := make([]string, f.beam)
			for k := range same {
				same[k] = line
			}
			source, err := text.Fill(same, a.SourceTokenizer, *a.Info.Source)
			if err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
			found, err := sample.BeamAnswers(ctx, dec, source, *a.Info.Source, f.most, f.rank)
			if err != nil {
				return err
			}
			if err := say(i, found[0].Tokens); err != nil {
				return err
			}
			progress(i + 1)
		}
		return nil
	}
	// Greedily, several lines side by side.
	for at := 0; at < len(lines); at += a.Info.Batch {
		part := lines[at:min(at+a.Info.Batch, len(lines))]
		dec, ok := m.NewDecoder(len(part)).(model.Encoder)
		if !ok {
			return errors.New("the model answers no sources")
		}
		source, err := text.Fill(part, a.SourceTokenizer, *a.Info.Source)
		if err != nil {
			return fmt.Errorf("lines from %d on: %w", at+1, err)
		}
		found, err := sample.GreedyAnswers(ctx, dec, source, *a.Info.Source, f.most)
		if err != nil {
			return err
		}
		for i, x := range found {
			if err := say(at+i, x.Tokens); err != nil {
				return err
			}
		}
		progress(at + len(part))
	}
	return nil
}

func (a *program) newTranslate() *cobra.Command {
	var path string
	var f answerFlags
	cmd := &cobra.Command{
		Use:   "translate",
		Short: "Answer each line of the standard input",
		Long: `Translate reads lines from the standard input and writes the model's answer to each as a line.

A line that is longer than the model takes is an error that names it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(a.Info.Steps); err != nil {
				return err
			}
			m, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			print := func(_ int, s string) error {
				_, err := fmt.Fprintln(out, s)
				return err
			}
			if interactive(cmd.InOrStdin()) {
				in := bufio.NewScanner(cmd.InOrStdin())
				for in.Scan() {
					if err := a.answer(cmd.Context(), m.(model.Writer), []string{in.Text()}, f, func(int) {}, print); err != nil {
						return err
					}
					if err := out.Flush(); err != nil {
						return err
					}
				}
				return in.Err()
			}
			lines, err := text.Lines("standard input", cmd.InOrStdin())
			if err != nil {
				return err
			}
			if err := a.answer(cmd.Context(), m.(model.Writer), lines, f, func(int) {}, print); err != nil {
				return err
			}
			return out.Flush()
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	f.add(fs, a.Info.Steps)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// interactive reports whether a person types what is read.
func interactive(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && terminalWidth(f) > 0
}

func (a *program) newEvalPairs() *cobra.Command {
	var path string
	var p pairFlags
	var f answerFlags
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Tell how well the model answers",
		Long: `Eval answers the sources and compares with the answers given: the share that is exactly the
same, and BLEU as sacreBLEU computes it, with its signature.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(a.Info.Steps); err != nil {
				return err
			}
			m, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			sources, references, err := p.input().Lines()
			if err != nil {
				return err
			}
			answers := make([]string, len(sources))
			same := 0
			bar := newCounter(cmd.ErrOrStderr(), len(sources), "lines")
			err = a.answer(cmd.Context(), m.(model.Writer), sources, f, bar.set, func(i int, s string) error {
				if answers[i] = s; s == references[i] {
					same++
				}
				return nil
			})
			bar.end()
			if err != nil {
				return err
			}
			b, err := metric.Corpus(answers, references)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s lines, %.2f %% answered exactly\n%s\n", thousands(len(sources)), 100*float64(same)/float64(len(sources)), b)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	p.add(fs, "", "source")
	f.add(fs, a.Info.Steps)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}
