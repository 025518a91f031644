package app

import (
	"bufio"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/policy"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

const lineData = "`FILE` of lines to imitate"

// ofLines reports whether the model is adversarial networks of text.
func (a *program) ofLines() bool { return a.Info.Adversary != nil && a.Info.Adversary.Text != nil }

// lines reads lines as tokens.
func (a *program) lines(d *dataFlags) (*text.LineSet, error) {
	in, err := d.lines("lines")
	if err != nil {
		return nil, err
	}
	lines, err := in.Lines()
	if err != nil {
		return nil, err
	}
	set, err := text.NewLineSet(in.Name(), lines, a.Tokenizer, *a.Info.Adversary.Text, a.Info.Steps)
	if err == nil && d.shuffle {
		set.Shuffle()
	}
	return set, err
}

// lineMaterial reads what a training on lines needs.
func (a *program) lineMaterial(cmd *cobra.Command, f *trainFlags) (*material, error) {
	set, err := a.lines(&f.data)
	if err != nil {
		return nil, err
	}
	var valid *text.LineSet
	switch {
	case len(f.valid.paths) > 0:
		if valid, err = a.lines(&dataFlags{paths: f.valid, field: f.data.field}); err != nil {
			return nil, err
		}
	case f.validation > 0:
		a.warnOfTail(cmd, set, f.validation)
		if set, valid, err = set.Split(f.validation); err != nil {
			return nil, err
		}
	}
	m := &material{text: fmt.Sprintf("%s: %s lines to learn", set.Name, thousands(set.Len()))}
	m.Digest = fmt.Sprintf("%s %d of %d", set.Digest, f.batch, set.Len())
	if m.Train, err = set.Shuffled(f.batch, f.seed); err != nil {
		return nil, err
	}
	if valid != nil {
		m.text += fmt.Sprintf(", %s to validate", thousands(valid.Len()))
		if m.Validation, err = valid.Whole(f.shard()); err != nil {
			return nil, err
		}
	}
	if set.Skipped > 0 {
		m.text += fmt.Sprintf("; %s longer than the model takes are left out", thousands(set.Skipped))
	}
	return m, nil
}

// imitators makes the model with the parameters of a checkpoint.
func (a *program) imitators(path string) (model.Imitators, error) {
	m, err := a.trained(path, checkpoint.LoadWeights)
	if err != nil {
		return nil, err
	}
	return m.(model.Imitators), nil
}

// known gives the tokens of the first n lines of a set in front of their ends.
func (a *program) known(set *text.LineSet, n int) [][]int32 {
	var all [][]int32
	for i := range min(n, set.Len()) {
		line := set.Line(i)
		for t, token := range line {
			if token == a.Info.Adversary.Text.End {
				line = line[:t]
				break
			}
		}
		all = append(all, line)
	}
	return all
}

func checkLines(number int, temperature float64) error {
	if number < 1 || number > 1e6 {
		return fmt.Errorf("%d lines: give 1 to 1000000", number)
	}
	if !(temperature > 0 && temperature <= 1e6) {
		return fmt.Errorf("--temperature %v: give a number above 0", temperature)
	}
	return nil
}

// verdicts judges lines, filled to their full length.
func (a *program) verdicts(m model.Imitators, lines [][]int32) ([]float32, error) {
	steps, format := a.Info.Steps, a.Info.Adversary.Text
	all := make([]float32, len(lines))
	for at := 0; at < len(lines); at += a.Info.Batch {
		part := lines[at:min(at+a.Info.Batch, len(lines))]
		b := &model.Batch{Steps: steps, Batch: len(part), Targets: make([]int32, steps*len(part))}
		for i, line := range part {
			for t := range steps {
				token := format.End
				if t < len(line) {
					token = line[t]
				}
				b.Targets[t*len(part)+i] = token
			}
		}
		if err := m.Judge(all[at:at+len(part)], b); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (a *program) newSampleLines() *cobra.Command {
	var path string
	var number int
	var temperature float64
	var seed uint64
	var weight float64
	var judged int
	var f constraintFlags
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Write lines",
		Long: `Sample prints lines that the generator writes, token by token, each as likely as the model says. The
same seed writes the same. With --judge the discriminator has a say: of each beginning of a line it tells how much it is
like what the model was trained on.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLines(number, temperature); err != nil {
				return err
			}
			m, err := a.imitators(path)
			if err != nil {
				return err
			}
			w := bufio.NewWriter(cmd.OutOrStdout())
			c, err := f.compile(a.Tokenizer)
			if err != nil {
				return err
			}
			opts := []sample.Option{sample.Temperature(temperature), sample.Seed(seed)}
			if c != nil {
				opts = append(opts, sample.Constrain(c))
			}
			if weight != 0 {
				opts = append(opts, sample.Judged(sample.Discriminator(m, 1), judged, weight))
			}
			plain := c == nil && weight == 0
			if plain {
				lines, err := policy.Sample(cmd.Context(), m, number, temperature, seed)
				if err != nil {
					return err
				}
				for _, line := range lines {
					fmt.Fprintln(w, a.line(line))
				}
			}
			for at := 0; !plain && at < number; at += a.Info.Batch {
				dec, err := model.NewDecoder(m, min(a.Info.Batch, number-at))
				if err != nil {
					return err
				}
				lines, err := sample.Lines(cmd.Context(), dec, *a.Info.Adversary.Text, a.Info.Steps, at, opts...)
				if err != nil {
					return err
				}
				for _, line := range lines {
					fmt.Fprintln(w, a.line(line.Tokens))
				}
			}
			if err := w.Flush(); err != nil {
				return fmt.Errorf("can't print: %w", err)
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.IntVarP(&number, "number", "n", 10, "how many")
	fs.Float64Var(&temperature, "temperature", 1, "what logits are divided by; below 1 lines are better and more alike")
	fs.Uint64Var(&seed, "seed", 1, "of what is written")
	fs.Float64Var(&weight, "judge", 0, "how much the discriminator counts beside the generator; 1 is usual, 0 for not")
	fs.IntVar(&judged, "judge-tokens", 20,
		"how many of the likeliest tokens it looks at each time; no others are written")
	f.add(fs)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(fs)
	return cmd
}

func (a *program) newScoreLines() *cobra.Command {
	var data, path string
	var f lineFlags
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Tell which lines the discriminator takes for text",
		Long: `Score prints the discriminator's verdict on each line of a file, or of the standard input: a number that
is the higher the more the line is like those that the model was trained on.
` + linesHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := a.imitators(path)
			if err != nil {
				return err
			}
			encode := func(s string) ([]int32, error) {
				return text.EncodeJudged(s, a.Tokenizer, *a.Info.Adversary.Text, a.Info.Steps)
			}
			return a.answerLines(cmd, data, f, a.Info.Batch, func(_ int, lines []string) ([]reply, error) {
				tokens, at, replies := taken(lines, encode)
				verdicts, err := a.verdicts(m, tokens)
				if err != nil {
					return nil, err
				}
				for i, v := range verdicts {
					replies[at[i]].text = fmt.Sprintf("%.6g", v)
				}
				return replies, nil
			})
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&data, "data", a.Data, lineData+" (default: the standard input)")
	f.add(cmd)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}
