package app

import (
	"errors"
	"fmt"
	"html"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/cli"
	"github.com/gradsmith/gradsmith/runtime/inference"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/sample"
	"github.com/gradsmith/gradsmith/runtime/text"
)

func (a *program) newAlign() *cobra.Command {
	var path, out string
	cmd := &cobra.Command{
		Use:   "align TEXT",
		Short: "Draw where the model looks while it answers",
		Long: `Align answers a text and draws, for each token of the answer, how much the model looked at each
token of the text: a row a token of the answer, a column a token of the text, dark where it
looked. It takes a recurrent decoder with additive or concat attention.

` + cli.Escapes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("align takes one TEXT, in quotes")
			}
			args, err := texts(args)
			if err != nil {
				return err
			}
			lm, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			source, err := text.Fill(args, a.SourceTokenizer, *a.Info.Source)
			if err != nil {
				return err
			}
			ctx, m := cmd.Context(), lm.(model.Writer)
			if !inference.Aligns(m) { // before it is answered
				_, err := inference.Alignment(ctx, m, nil, nil)
				return err
			}
			found, err := inference.Answer(ctx, m, source, 1, a.Info.Steps-1, sample.Ranking{})
			if err != nil {
				return err
			}
			answer := found.Tokens
			if found.Ended {
				answer = append(answer, a.Info.Source.AnswerEnd)
			}
			weights, err := inference.Alignment(ctx, m, source, answer)
			if err != nil {
				return err
			}
			if err := put(out, []byte(alignment(pieces(a.SourceTokenizer, source), pieces(a.Tokenizer, answer),
				weights))); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), a.line(answer))
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&out, "out", "o", "alignment.svg", "`FILE` for the picture, in SVG")
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(fs)
	return cmd
}

func pieces(t model.Tokenizer, tokens []int32) []string {
	out := make([]string, len(tokens))
	for i, x := range tokens {
		out[i] = strings.TrimSpace(t.Piece(x))
	}
	return out
}

// alignment draws weights [answer][source] as an SVG picture.
func alignment(source, answer []string, weights [][]float32) string {
	const cell, font = 26, 14
	left, top := 0, 0
	for _, s := range answer {
		left = max(left, 9*len([]rune(s))+16)
	}
	for _, s := range source {
		top = max(top, 9*len([]rune(s))+16)
	}
	var b strings.Builder
	width, height := left+cell*len(source)+8, top+cell*len(answer)+8
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "+
		"font-family=\"monospace\" font-size=\"%d\">\n", width, height, width, height, font)
	fmt.Fprintf(&b, "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n", width, height)
	for i, s := range source {
		x := left + cell*i + cell/2 + font/3
		fmt.Fprintf(&b, "<text transform=\"translate(%d %d) rotate(-90)\">%s</text>\n", x, top-8, html.EscapeString(s))
	}
	for i, s := range answer {
		y := top + cell*i
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left-8, y+cell/2+font/3,
			html.EscapeString(s))
		for j := range source {
			w := weights[i][j]
			shade := 255 - int(255*w+0.5)
			fmt.Fprintf(&b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"rgb(%d,%d,%d)\" "+
				"stroke=\"#ddd\"><title>%s, %s: %.3f</title></rect>\n",
				left+cell*j, y, cell, cell, shade, shade, shade, html.EscapeString(s), html.EscapeString(source[j]), w)
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}
