package app

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/constrain"
	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/model"
)

func (a *program) newFill() *cobra.Command {
	var path string
	var top int
	mask := a.Tokenizer.Piece(a.Info.Masking.Token)
	var lines lineFlags
	var f constraintFlags
	cmd := &cobra.Command{
		Use:   "fill [TEXT]",
		Short: "Fill in what is masked in a text",
		Long: fmt.Sprintf(`Fill prints the text with each %s replaced by the likeliest token, and then, for each of
them, the likeliest tokens with their probabilities. All are filled in at once.

Flags keep what is filled in to a language: a regular expression, the JSON of a schema, a grammar, one of
several texts. Masks that follow each other are filled in with one text of it, of as many tokens.

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
			c, err := f.compile(a.Tokenizer)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.answerLines(cmd, "", lines, 1, func(_ int, lines []string) ([]reply, error) {
					replies := make([]reply, len(lines))
					for i, line := range lines {
						if replies[i].text = line; strings.Contains(line, mask) {
							replies[i].text, _, replies[i].err = a.filled(m, line, 1, c)
						}
					}
					return replies, nil
				})
			}
			s, likeliest, err := a.filled(m, args[0], top, c)
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
	f.add(fs)
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
func (a *program) filled(m model.Predictor, s string, top int, c *constrain.Constraint) (text string,
	likeliest []string, err error) {
	text, blanks, err := inference.FillWithin(m, a.Tokenizer, s, top, c)
	for n, x := range blanks {
		line := fmt.Sprintf("%d:", n+1)
		for i, t := range x.Tokens {
			line += fmt.Sprintf("  %q %.1f %%", a.Tokenizer.Piece(t), 100*x.Probabilities[i])
		}
		likeliest = append(likeliest, line)
	}
	return text, likeliest, err
}
