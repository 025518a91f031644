package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/kernel"
	"github.com/gradsmith/gradsmith/runtime/model"
)

func (a *program) newFill() *cobra.Command {
	var path string
	var top int
	mask := a.Tokenizer.Piece(a.Info.Masking.Token)
	var lines lineFlags
	cmd := &cobra.Command{
		Use:   "fill [TEXT]",
		Short: "Fill in what is masked in a text",
		Long: fmt.Sprintf(`Fill prints the text with each %s replaced by the likeliest token, and then, for each of
them, the likeliest tokens with their probabilities. All are filled in at once.

Without a TEXT it fills in the lines of the standard input, and prints these alone.
`, mask) + linesHelp + "\n\n" + cli.Escapes + a.aboutBlanks("before "+mask),
		Example: fmt.Sprintf("  %s fill %q", a.Info.Name, a.masks()),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("fill takes one TEXT, in quotes, with %s where something is missing", mask)
			}
			if choice := a.ordinary(); top < 1 || top > choice {
				return fmt.Errorf("--top %d: give 1 to %d", top, choice)
			}
			args, err := texts(args)
			if err != nil {
				return err
			}
			lm, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			m := lm.(model.Predictor)
			if len(args) == 0 {
				return a.answerLines(cmd, "", lines, 1, func(_ int, lines []string) ([]reply, error) {
					replies := make([]reply, len(lines))
					for i, line := range lines {
						if replies[i].text = line; strings.Contains(line, mask) {
							replies[i].text, _, replies[i].err = a.filled(m, line, mask, 1)
						}
					}
					return replies, nil
				})
			}
			s, likeliest, err := a.filled(m, args[0], mask, top)
			if err != nil {
				return err
			}
			for _, part := range strings.SplitAfter(args[0], mask) {
				if before, ok := strings.CutSuffix(part, mask); ok {
					a.warnBlank(cmd.ErrOrStderr(), before, "before "+mask)
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", s, strings.Join(likeliest, "\n"))
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.IntVar(&top, "top", 5, "show this `MANY` tokens for each")
	lines.add(cmd)
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	return cmd
}

// masks is a text with a mask in it, for help.
func (a *program) masks() string {
	mask := a.Tokenizer.Piece(a.Info.Masking.Token)
	switch {
	case a.spells("It was a dark night") && a.leads():
		return "It was a dark" + mask + "."
	case a.spells("It was a dark night"):
		return "It was a d" + mask + "rk night"
	}
	return a.example() + mask
}

// filled is a text with its masks filled in, and a line for each with its likeliest tokens.
func (a *program) filled(m model.Predictor, s, mask string, top int) (text string, likeliest []string, err error) {
	tokens, at, err := a.masked(s, mask)
	if err != nil {
		return "", nil, err
	}
	vocab, choice := a.Info.Vocab, a.ordinary() // a text has no others
	b := &model.Batch{Steps: len(tokens), Batch: 1, Tokens: tokens, Targets: make([]int32, len(tokens)), Reset: make([]int32, len(tokens))}
	logits, err := m.Logits(b)
	if err != nil {
		return "", nil, err
	}
	filled := append([]int32{}, tokens...)
	row, best := make([]float32, choice), make([]int32, top)
	for n, i := range at {
		kernel.Softmax(row, logits[i*vocab:i*vocab+choice], 1, choice)
		kernel.TopK(best, row)
		filled[i] = best[0]
		line := fmt.Sprintf("%d:", n+1)
		for _, t := range best {
			line += fmt.Sprintf("  %q %.1f %%", a.Tokenizer.Piece(t), 100*row[t])
		}
		likeliest = append(likeliest, line)
	}
	return a.Tokenizer.Decode(filled), likeliest, nil
}

// masked turns a text with masks into tokens, and says where the masks are.
func (a *program) masked(s, mask string) (tokens []int32, at []int, err error) {
	parts := strings.Split(s, mask)
	if len(parts) == 1 {
		return nil, nil, fmt.Errorf("there is no %s in the text", mask)
	}
	for i, part := range parts {
		if i > 0 {
			at = append(at, len(tokens))
			tokens = append(tokens, a.Info.Masking.Token)
		}
		if part == "" {
			continue
		}
		x, err := a.Tokenizer.Encode(part)
		if err != nil {
			return nil, nil, err
		}
		tokens = append(tokens, x...)
	}
	if len(tokens) > a.Info.Steps {
		return nil, nil, fmt.Errorf("the text has %d tokens, the model takes %d: shorten it", len(tokens), a.Info.Steps)
	}
	if len(tokens) == 0 {
		return nil, nil, errors.New("the text is empty")
	}
	return tokens, at, nil
}
