package app

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gradsmith/gradsmith/runtime/checkpoint"
	"github.com/gradsmith/gradsmith/runtime/model"
	"github.com/gradsmith/gradsmith/runtime/text"
	"github.com/gradsmith/gradsmith/runtime/train"
)

func (a *program) newEval() *cobra.Command {
	var data dataFlags
	var path string
	var last float64
	var batch int
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Tell how well the model predicts a text",
		Long:  a.evalHelp(),
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if batch < 1 || batch > a.Info.Batch {
				return fmt.Errorf("--batch %d: give 1 to %d, the shape in %s", batch, a.Info.Batch, a.Info.Spec)
			}
			if !(last > 0 && last <= 1) {
				return fmt.Errorf("--last %v: give a share above 0 and at most 1", last)
			}
			m, err := a.trained(path, checkpoint.LoadWeights)
			if err != nil {
				return err
			}
			in, err := data.text(cmd.Context(), a)
			if err != nil {
				return err
			}
			o := text.Options{Separator: data.separator}
			if last < 1 {
				o.Validation = last
			}
			corpus, err := a.corpus(in, o)
			if err != nil {
				return err
			}
			part := corpus.Train
			if last < 1 {
				part = corpus.Validation
			}
			windows, err := a.evaluating(part, batch, a.Info.Steps)
			if err != nil {
				return err
			}
			windows, end := watch(cmd.ErrOrStderr(), windows)
			if a.Info.Masking != nil {
				var learnt *text.Part
				if last < 1 {
					learnt = corpus.Train
				}
				return a.evalMasked(cmd.Context(), cmd.OutOrStdout(), m.(model.Predictor), windows, learnt, end)
			}
			evaluate := func() (float64, int, error) { return train.Evaluate(cmd.Context(), m, windows) }
			if w, ok := m.(model.Packer); ok && a.decodes() {
				evaluate = func() (float64, int, error) { return train.EvaluateDecoder(cmd.Context(), w, windows) }
			}
			loss, tokens, err := evaluate()
			if w, ok := m.(model.Packer); ok && errors.Is(err, model.ErrMounted) {
				loss, tokens, err = train.EvaluateDecoder(cmd.Context(), w, windows)
			}
			end()
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s tokens, %s characters\n%s\n", part.Name, thousands(tokens),
				thousands(part.Chars()), a.lossLine(loss, "", density(part)))
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	data.addText(a, fs, "")
	fs.Float64Var(&last, "last", 1, "only the last `SHARE` of the text, such as what train kept for validation")
	fs.StringVar(&path, "model", a.checkpointPath(), "checkpoint `FILE`")
	a.addWeights(fs)
	fs.IntVar(&batch, "batch", a.Info.Batch, "sequences side by side")
	return cmd
}

func (a *program) evalHelp() string {
	if a.Info.Masking != nil {
		return `Eval hides tokens of a text, as in training but the same ones each time, and prints how well they are
restored: the mean of -log p in nats a token, the perplexity, and how often the likeliest token is the
one. With --last the rest of the text is what two baselines are counted from, its pairs of tokens and its
tokens, and they stand in the lines below.`
	}
	return `Eval prints the mean loss on a text in nats a token, the perplexity, and bits a character,
which can be compared between tokenizers. The text is read in order, as many sequences side by
side as the batch has, and each begins with an empty memory: with --batch 1 only one does.

With --weights bf16, q8 or q4, or --cache bf16 or q8, it is the loss of what sample computes with them.`
}
